"""Fits from several places, of which the likeliest is kept: some rules have lower maxima."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats.qmc import Halton
from skorch.callbacks import Callback

from ..engine import threads
from ..models.learning import SequenceModel
from ..rules import mover
from .dataset import SequenceDataset
from .individuals import follow_subjects
from .net import SequenceNet
from .optimization import train
from .settings import TrainingSettings

FARTHEST = 10.0  # by which factor a parameter begins elsewhere, at most
AS_LIKELY = 0.5  # nats: less speaks for neither of two fits, or for another maximum


def train_from_several(
    model: SequenceModel,
    dataset: SequenceDataset,
    settings: TrainingSettings,
    device: str,
    generator: torch.Generator,
    seed: int,
    member: int,
    teller: Callable[[int], Callback | None],
) -> SequenceNet:
    """Fit a model from ``settings.n_init`` places, on a CPU side by side, and return the likeliest.

    The first is where the model is, and its fit is kept where no other is likelier by half a nat:
    along a ridge, its numbers are the more moderate ones. Where others begin is the same at every
    call. What ``teller`` returns of a training's number, over all members' places, looks on at it.

    Raises
    ------
    FloatingPointError
        If every training diverges.
    """

    def fit(place: int) -> SequenceNet | FloatingPointError:
        named = settings.one_of(settings.n_init, "place", place)
        watched = replace(named, teller=teller(member * settings.n_init + place))
        try:
            return train(models[place], dataset, watched, device, generators[place], seed)
        except FloatingPointError as error:
            return error

    places = range(settings.n_init)
    models = [begin_at(model, place) for place in places]
    generators = [generator, *(generator.clone_state() for _ in places[1:])]
    ends = threads.share(fit, places) if device == "cpu" else [*map(fit, places)]
    nets = [end for end in ends if isinstance(end, SequenceNet)]
    if not nets:
        raise next(end for end in ends if isinstance(end, FloatingPointError))
    if len(nets) == 1:
        return nets[0]
    losses = np.nan_to_num([loss_of(net, dataset) for net in nets], nan=np.inf)
    return nets[int((losses <= losses.min() + AS_LIKELY).argmax())]


@torch.no_grad()
def loss_of(net: SequenceNet, dataset: SequenceDataset) -> float:
    """Return what a fit minimizes, at what it has come to, in nats of all trials.

    The last loss of its history is that before a step, or an average over minibatches.
    """
    model: Any = net.module_
    if model.effects is not None:  # nodes are where subjects were before the last pass
        nats = -follow_subjects(model, dataset).log_likelihood.sum()
        return float(nats - model.log_prior() if model.has_prior else nats)
    model.eval()
    logits, targets = net.infer(dataset), dataset.targets_of(dataset)
    return net.n_trials * net.get_loss(logits, targets, X=dataset, training=True).item()


@torch.no_grad()
def begin_at(model: Any, place: int) -> Any:
    """Return a model whose rule begins elsewhere, unless the place is 0: there it is the same.

    Each of the rule's parameters is between a tenth of what it was and ten times as large. One that
    was 0 is between -1 and 1, in standard units, and more often small, as rates are, than large.
    """
    if not place:
        return model
    there = deepcopy(model)
    rule, _ = mover(there.dynamics.rule)
    fitted = {name: held for name, held in rule.named_parameters() if held.requires_grad}
    if fitted:
        powers = 2 * Halton(len(fitted), scramble=False).random(place + 1)[place] - 1
        for (name, held), power in zip(fitted.items(), powers, strict=True):
            factor = FARTHEST ** (power / 2 if "root_" in name else power)
            held.copy_(torch.where(held == 0, power**3, held * factor))
    return there
