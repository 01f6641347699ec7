"""Subjects' effects in training: nodes stay where subjects are, as the parameters change."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from ..models.following import Choices, Followed, follow
from ..models.learning import LearningModel
from ..utils.arrays import Floats
from .dataset import Block, SequenceDataset, to_numpy


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
    return follow(model, block.trials, block.observed, choices, known, predict=predict)


def follow_subjects(model: LearningModel, dataset: SequenceDataset) -> KnownSubjects:
    """Learn who a dataset's subjects are."""
    n_effects = len(model.effects.names) if model.effects is not None else 0
    mean, std = np.zeros((2, len(dataset), n_effects))
    found = KnownSubjects(mean, std, np.zeros(len(dataset)))
    for block in dataset.blocks:
        followed = follow_block(model, block, dataset.weight_unit)
        of_block = followed.known.mean, followed.known.std, followed.log_likelihood
        for values, told in zip(found, of_block, strict=True):
            values[block.sequences] = to_numpy(told)
    return found


def place_subjects(model: LearningModel, dataset: SequenceDataset) -> None:
    """Give subjects nodes where they are, in place."""
    for i, block in enumerate(dataset.blocks):
        followed = follow_block(model, block, dataset.weight_unit)
        dataset.blocks[i] = block._replace(nodes=model.place_nodes(followed.known, many=False))


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
        net.module_.settle_effects()
        for dataset in (dataset_train, dataset_valid):
            if dataset is not None:
                place_subjects(net.module_, dataset)
        if isinstance(net.optimizer_, torch.optim.LBFGS):
            net.optimizer_.state.clear()  # of slopes at other nodes

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        net.module_.settle_effects()
        net.module_.effects.center.requires_grad_(False)  # which the typical subject now has
