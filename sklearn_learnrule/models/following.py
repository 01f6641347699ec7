"""Who a subject is, learned from its own choices as they come: the same in fitting and predicting.

Trials come in stretches, each as long as all before it. Nodes for a stretch lie where the choices
before it say that the subject is, and what they foretell is averaged, each weighted by how well it
has foretold so far. So a node costs twice the trials, knowledge narrows little within a stretch,
and no prediction knows a later choice.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..rules import TWO_CHOICES, Trial, pack, unpack
from .learning import LearningModel, choice_logits
from .nodes import Nodes, Normal, moments

FIRST_STRETCH = 20  # trials
MAX_TRIES = 8  # at nodes close enough to what a stretch tells


class Choices(NamedTuple):
    """What tells who subjects are, (N, T) each: a choice, and how many trials it counts for."""

    choice: Tensor
    weight: Tensor


class Followed(NamedTuple):
    """What following found out."""

    known: Normal  # in the end
    log_likelihood: Tensor  # of all choices, effects integrated out, (N,)
    logits: Tensor  # of P(y = 1) before each choice, (N, T); empty if not asked for
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
    logits = covariates.new_zeros(n_subjects, n_trials if predict else 0)
    path = covariates.new_zeros(n_subjects, n_trials if predict else 0, model.path_width)
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
    logits: Tensor  # (Q, N, T)
    paths: Tensor  # (Q, N, T, K + S)
    log_weights: Tensor  # (Q, N, T + 1), before each choice and after the last one

    def predict(self, model: LearningModel, start: int) -> tuple[Tensor, Tensor]:
        """Return the logits (N, T) and the path (N, T, K + S) that are to be expected."""
        log_weights = self.log_weights[..., start:-1].log_softmax(0)
        logits, paths = self.logits[..., start:], self.paths[:, :, start:]
        second, first = ((log_weights + logsigmoid(sign * logits)).logsumexp(0) for sign in (1, -1))
        return second - first, mix_paths(paths, log_weights.exp(), model.dynamics.n_weights)


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
    nodes = model.place_nodes(known.of_subjects(some))
    of_nodes = [
        model.path(replace(trials, context=place.to(trials.features)), observed)[0]
        for place in nodes.places
    ]
    logits = [choice_logits([model], path[None], trials.features) for path in of_nodes]
    choice, weight = (field[some, :end].to(covariates) for field in choices)
    each = [TWO_CHOICES.log_probability(of_node.to(weight), choice) * weight for of_node in logits]
    before = log_prior_at(model, nodes, covariates[some])[..., None]
    so_far = torch.cat([torch.zeros_like(before), torch.stack(each).cumsum(-1)], -1)
    stacked = torch.stack(logits).to(weight), torch.stack(of_nodes).to(weight)
    return _Asked(trials, nodes.places, *stacked, before + so_far)


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
