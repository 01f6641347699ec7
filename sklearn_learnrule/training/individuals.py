"""Subjects' effects in training: nodes stay where subjects are, as the parameters change."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from ..models.following import Choices, Followed, follow
from ..models.learning import LearningModel
from ..models.nodes import Normal
from ..models.population import estimate_population
from ..utils.arrays import Floats
from .dataset import Block, SequenceDataset, to_numpy

ENOUGH = 1e-3  # nats, of all trials: by less, individuals' likelihood need not rise


class KnownSubjects(NamedTuple):
    """What the scored choices of a dataset's N subjects tell, in standard units."""

    mean: Floats  # (N, D) of their effects
    std: Floats
    log_likelihood: Floats  # (N,), in nats, effects integrated out


def follow_block(
    model: LearningModel, block: Block, weight_unit: float = 1.0, *, predict: bool = False
) -> Followed:
    """Learn who a block's subjects are, by the choices that are scored; without targets, by all."""
    if block.target is None:
        choices = Choices(block.trials.choice, block.observed)
    else:
        choices = Choices(block.target.choice, block.target.weight * weight_unit)
    known = block.covariates.double()
    told = block.trials, block.observed, choices, block.parts, known
    return follow(model, *told, predict=predict)


def follow_subjects(model: LearningModel, dataset: SequenceDataset) -> KnownSubjects:
    """Learn who a dataset's subjects are."""
    n_effects = len(model.effects.names) if model.effects is not None else 0
    mean, std = np.zeros((2, dataset.n_subjects, n_effects))
    found = KnownSubjects(mean, std, np.zeros(dataset.n_subjects))
    for block in dataset.blocks:
        followed = follow_block(model, block, dataset.weight_unit)
        of_block = followed.known.mean, followed.known.std, followed.log_likelihood
        for values, told in zip(found, of_block, strict=True):
            values[dataset.subjects_of(block)] = to_numpy(told)
    return found


def place_subjects(model: LearningModel, dataset: SequenceDataset) -> list[Followed]:
    """Give subjects nodes where they are, in place, and return what is known of the blocks'."""
    found = [follow_block(model, block, dataset.weight_unit) for block in dataset.blocks]
    for i, (block, followed) in enumerate(zip(dataset.blocks, found, strict=True)):
        dataset.blocks[i] = block._replace(nodes=model.place_nodes(followed.known, many=False))
    return found


def leap(model: LearningModel, dataset: SequenceDataset, found: list[Followed]) -> None:
    """Let subjects that were placed have in common what was ``found``, if that is likelier.

    Gradients at nodes, which are for one spread, would take many small steps there.
    """
    assert model.effects is not None
    before, blocks = deepcopy(model.state_dict()), list(dataset.blocks)
    known = Normal(*(torch.cat(part) for part in zip(*(of.known for of in found), strict=True)))
    covariates = torch.cat([block.covariates for block in blocks]).double()
    gain = estimate_population(model.effects, known, covariates)
    if gain > ENOUGH / 10:
        model.settle_effects()
        again = place_subjects(model, dataset)
        if _log_likelihood(again) > _log_likelihood(found):
            return
    model.load_state_dict(before)
    dataset.blocks = blocks


def _log_likelihood(found: list[Followed]) -> float:
    return sum(followed.log_likelihood.sum().item() for followed in found)


def with_own_nodes(dataset: SequenceDataset) -> SequenceDataset:
    """Return the same subjects, whose nodes no other fit will move."""
    own = copy(dataset)
    own.blocks = list(dataset.blocks)
    return own


class FollowSubjects(Callback):
    """Places nodes at the start of every pass, and gives the typical subject what all share."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        net.module_.effects.begin()

    def on_epoch_begin(
        self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        model: Any = net.module_
        newton = isinstance(net.optimizer_, torch.optim.LBFGS)
        if not newton and len(net.history) % 2 == 0:  # a network moves little in a pass
            return
        model.settle_effects()
        found = place_subjects(model, dataset_train)
        if newton:
            net.optimizer_.state.clear()  # of slopes at other nodes
            if model.effects.learns_spread and len(net.history) > 1:  # not where training begins
                leap(model, dataset_train, found)
        if dataset_valid is not None:
            place_subjects(model, dataset_valid)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        net.module_.settle_effects()
        net.module_.effects.center.requires_grad_(False)  # which the typical subject now has
