"""Who a subject is, learned from its own choices as they come: the same in fitting and predicting.

Trials come in stretches, each as long as all before it. Nodes for a stretch lie where the choices
before it say that the subject is, and what they foretell is averaged, each weighted by how well it
has foretold so far. So a node costs twice the trials, knowledge narrows little within a stretch,
and no prediction knows a later choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..rules import Trial, pack, unpack
from .learning import LearningModel, choice_logits
from .nodes import Nodes, Normal, moments

FIRST_STRETCH = 20  # trials
MAX_AT_ONCE = 100_000  # trials: of few, a call costs more than they do
MAX_TRIES = 8  # at nodes close enough to what a stretch tells


class Choices(NamedTuple):
    """What tells who subjects are, (N, T) each: a choice, and how many trials it counts for."""

    choice: Tensor
    weight: Tensor


class Followed(NamedTuple):
    """What following found out."""

    known: Normal  # in the end
    log_likelihood: Tensor  # of all choices, effects integrated out, (N,)
    logits: Tensor  # before each choice, (N, T) or (N, T, C - 1); empty if not asked for
    path: Tensor  # what was then known of weights, (N, T, K + S); the same


@torch.no_grad()
def follow(
    model: LearningModel,
    trials: Trial,
    observed: Tensor,
    choices: Choices,
    covariates: Tensor,
    *,
    predict: bool = False,
) -> Followed:
    """Learn who N subjects are.

    Parameters
    ----------
    model : LearningModel with effects
    trials : Trial
    observed : bool Tensor of shape (N, T)
    choices : Choices
    covariates : Tensor of shape (N, C)
    predict : bool
        Whether predictions are wanted along the way.
    """
    n_subjects, n_trials = observed.shape
    known = model.effects_before(covariates)
    total = covariates.new_zeros(n_subjects)
    wanted = n_subjects, n_trials if predict else 0
    logits = covariates.new_zeros(*wanted, *model.policy.shape)
    path = covariates.new_zeros(*wanted, model.path_width)
    for start, end in pairwise(_ends(n_trials)):
        some = torch.nonzero(_goes_on(trials, start))[:, 0]
        for attempt in range(MAX_TRIES):
            asked = _ask(model, trials, observed, choices, covariates, known, some, end)
            if predict and not attempt:  # by what was known before the stretch
                logits[some, start:end], path[some, start:end] = asked.predict(model, start)
            log_weights = asked.log_weights[..., -1]
            found, again = moments(asked.places, log_weights, known.of_subjects(some))
            known.mean[some], known.root[some] = found
            total[some] = log_weights.logsumexp(0)
            some = some[again]
            if not len(some):
                break
    return Followed(known, total, logits, path)


def _ends(n_trials: int) -> list[int]:
    """Return where stretches begin and end."""
    ends = [0, FIRST_STRETCH]
    while ends[-1] < n_trials:
        ends.append(2 * ends[-1])
    return [*ends[:-1], n_trials]


def _goes_on(trials: Trial, start: int) -> Tensor:
    """Tell whose trials go on to a stretch: the bias, the last feature, is 1 on trials."""
    return trials.features[:, start, -1] != 0


class _Asked(NamedTuple):
    """What Q nodes say of some subjects' first trials."""

    trials: Trial
    places: Tensor  # (Q, N, D)
    logits: Tensor  # (Q, N, T) or (Q, N, T, C - 1)
    paths: Tensor  # (Q, N, T, K + S)
    log_weights: Tensor  # (Q, N, T + 1), before each choice and after the last one

    def predict(self, model: LearningModel, start: int) -> tuple[Tensor, Tensor]:
        """Return the logits and the path (N, T, K + S) that are to be expected."""
        log_weights = self.log_weights[..., start:-1].log_softmax(0)
        logits, paths = self.logits[:, :, start:], self.paths[:, :, start:]
        mean = model.policy.mix(logits, log_weights)
        return mean, mix_paths(paths, log_weights.exp(), model.dynamics.n_weights)


def _ask(
    model: LearningModel,
    trials: Trial,
    observed: Tensor,
    choices: Choices,
    covariates: Tensor,
    known: Normal,
    some: Tensor,
    end: int,
) -> _Asked:
    trials, observed = trials.of_subjects(some).at(slice(end)), observed[some, :end]
    nodes = model.place_nodes(known.of_subjects(some), many=True)
    paths = at_places(lambda *asked: model.path(*asked)[0], trials, observed, nodes.places)
    logits = torch.stack([choice_logits([model], path[None], trials.features) for path in paths])
    choice, weight = (field[some, :end].to(covariates) for field in choices)
    logits, paths = logits.to(weight), paths.to(weight)
    each = model.policy.log_probability(logits, choice) * weight
    before = log_prior_at(model, nodes, covariates[some])[..., None]
    so_far = torch.cat([torch.zeros_like(before), each.cumsum(-1)], -1)
    return _Asked(trials, nodes.places, logits, paths, before + so_far)


def at_places(
    ask: Callable[[Trial, Tensor], Tensor], trials: Trial, observed: Tensor, places: Tensor
) -> Tensor:
    """Return what a function of N subjects' trials says at places (Q, N, D), (Q, N, ...)."""
    n_subjects, found = len(observed), []
    for some in places.split(max(1, MAX_AT_ONCE // observed.numel())):
        each = torch.arange(n_subjects, device=observed.device).repeat(len(some))
        own = some.flatten(0, 1).to(trials.features)
        answer = ask(replace(trials.of_subjects(each), context=own), observed[each])
        found.append(answer.unflatten(0, (len(some), n_subjects)))
    return torch.cat(found)


def log_prior_at(model: LearningModel, nodes: Nodes, covariates: Tensor) -> Tensor:
    """Return the logarithm of each node's share in the prior, (Q, N)."""
    assert model.effects is not None
    return model.effects.log_density(nodes.places, covariates) + nodes.log_weights


def integrate(
    model: LearningModel, nodes: Nodes, covariates: Tensor, log_likelihood: Tensor, unit: Any
) -> Tensor:
    """Return subjects' log-likelihood (N,) from that at each node (Q, N), in so many trials."""
    prior = log_prior_at(model, nodes, covariates)
    return (prior + log_likelihood * unit).logsumexp(0) / unit


def mix_paths(paths: Tensor, weights: Tensor, n_weights: int) -> Tensor:
    """Return the mean of what Q nodes know of policy weights and, if there is one, the covariance.

    Of paths (Q, ..., K + S), each with a share (Q, ...).
    """
    share = weights[..., None]
    mean = (share * paths[..., :n_weights]).sum(0)
    if paths.shape[-1] == n_weights:
        return mean
    apart = paths[..., :n_weights] - mean
    spread = unpack(paths[..., n_weights:]) + apart[..., :, None] * apart[..., None, :]
    return torch.cat([mean, pack((share[..., None] * spread).sum(0))], -1)
