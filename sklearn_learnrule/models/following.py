"""Who a subject is, learned from its own choices as they come: the same in fitting and predicting.

Trials come in stretches, each as long as all before it. Nodes for a stretch lie where the choices
before it say that the subject is, and what they foretell is averaged, each weighted by how well it
has foretold so far. So a node costs twice the trials, knowledge narrows little within a stretch,
and no prediction knows a later choice. Where learning begins anew, weights do, at every node, and
what is known of the subject goes on.
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
    """What tells who subjects are, (n, T) each: a choice, and how many trials it counts for."""

    choice: Tensor
    weight: Tensor


class Parts(NamedTuple):
    """Which part of a subject's trials each of n sequences is."""

    subject: Tensor  # (n,) its number, of N
    first: Tensor  # (n,) how many of the subject's trials came before

    def twice(self, n_subjects: int) -> Parts:
        """Return the same and, after them, as many of other subjects."""
        others = self.subject + n_subjects
        return Parts(torch.cat([self.subject, others]), torch.cat([self.first, self.first]))


class Followed(NamedTuple):
    """What following found out."""

    known: Normal  # in the end
    log_likelihood: Tensor  # of all choices, effects integrated out, (N,)
    logits: Tensor  # before each choice, (n, T) or (n, T, C - 1); empty if not asked for
    path: Tensor  # what was then known of weights, (n, T, K + S); the same


@torch.no_grad()
def follow(
    model: LearningModel,
    trials: Trial,
    observed: Tensor,
    choices: Choices,
    parts: Parts,
    covariates: Tensor,
    *,
    predict: bool = False,
) -> Followed:
    """Learn who N subjects are.

    Parameters
    ----------
    model : LearningModel with effects
    trials : Trial
        Of n sequences, all that these subjects have.
    observed : bool Tensor of shape (n, T)
    choices : Choices
    parts : Parts
    covariates : Tensor of shape (N, C)
    predict : bool
        Whether predictions are wanted along the way.
    """
    told = _Told(trials, observed, choices, parts, covariates)
    n_trials = int(told.n_trials.max())
    n_subjects, long = len(covariates), n_trials if predict else 0
    known = model.effects_before(covariates)
    total = covariates.new_zeros(n_subjects)
    logits = covariates.new_zeros(n_subjects, long, *model.policy.shape)
    path = covariates.new_zeros(n_subjects, long, model.path_width)
    for start, end in pairwise(_ends(n_trials)):
        some = torch.nonzero(told.n_trials > start)[:, 0]
        for attempt in range(MAX_TRIES):
            asked = _ask(model, told.before(end, some), known.of_subjects(some), end)
            if predict and not attempt:  # by what was known before the stretch
                logits[some, start:end], path[some, start:end] = asked.predict(model, start)
            log_weights = asked.log_weights[..., -1]
            found, again = moments(asked.places, log_weights, known.of_subjects(some))
            known.mean[some], known.root[some] = found
            total[some] = log_weights.logsumexp(0)
            some = some[again]
            if not len(some):
                break
    if predict:
        order = told.order(n_trials)
        logits, path = order.by_sequence(logits), order.by_sequence(path)
    return Followed(known, total, logits, path)


def _ends(n_trials: int) -> list[int]:
    """Return where stretches begin and end."""
    ends = [0, FIRST_STRETCH]
    while ends[-1] < n_trials:
        ends.append(2 * ends[-1])
    return [*ends[:-1], n_trials]


class _Told(NamedTuple):
    """What is told of N subjects, by n sequences of their trials."""

    trials: Trial
    observed: Tensor  # (n, T)
    choices: Choices
    parts: Parts
    covariates: Tensor  # (N, C)

    @property
    def exists(self) -> Tensor:
        """Which are trials, (n, T): there the bias, the last feature, is 1."""
        return self.trials.features[..., -1] != 0

    @property
    def n_trials(self) -> Tensor:
        """How many each subject has, (N,)."""
        lengths = self.exists.sum(1)
        return lengths.new_zeros(len(self.covariates)).index_add(0, self.parts.subject, lengths)

    def before(self, end: int, some: Tensor) -> _Told:
        """Return what tells of some subjects' first trials, and maybe of a few later ones."""
        number = torch.full((len(self.covariates),), -1, device=some.device)
        number[some] = torch.arange(len(some), device=some.device)
        subject, first = self.parts
        kept = torch.nonzero((number[subject] >= 0) & (first < end))[:, 0]
        longest = int(torch.minimum(self.exists[kept].sum(1), end - first[kept]).max())
        return _Told(
            self.trials.of_subjects(kept).at(slice(longest)),
            self.observed[kept, :longest],
            Choices(*(field[kept, :longest] for field in self.choices)),
            Parts(number[subject[kept]], first[kept]),
            self.covariates[some],
        )

    def order(self, end: int) -> _Order:
        """Return where subjects' first trials stand in sequences, and in the order they came."""
        subject, first = self.parts
        sequence, place = torch.nonzero(self.exists, as_tuple=True)
        early = first[sequence] + place < end
        sequence, place = sequence[early], place[early]
        trial, shape = first[sequence] + place, (len(self.covariates), end)
        return _Order(sequence, place, subject[sequence], trial, self.observed.shape, shape)


class _Order(NamedTuple):
    """Where trials stand: in sequences (n, T), and in the order a subject had them (N, T')."""

    sequence: Tensor
    place: Tensor
    subject: Tensor
    trial: Tensor
    in_sequences: tuple[int, ...]
    in_order: tuple[int, ...]

    @property
    def are_alike(self) -> bool:
        """Whether each subject has one sequence, in the same order."""
        same = self.in_sequences == self.in_order
        return same and torch.equal(self.sequence, self.subject)

    def by_subject(self, values: Tensor) -> Tensor:
        """Return what sequences have at nodes, (Q, n, T, ...), in order, (Q, N, T', ...)."""
        if self.are_alike:
            return values
        found = values.new_zeros(len(values), *self.in_order, *values.shape[3:])
        found[:, self.subject, self.trial] = values[:, self.sequence, self.place]
        return found

    def by_sequence(self, values: Tensor) -> Tensor:
        """Return what subjects have in order, (N, T', ...), as in sequences, (n, T, ...)."""
        found = values.new_zeros(*self.in_sequences, *values.shape[2:])
        found[self.sequence, self.place] = values[self.subject, self.trial]
        return found


class _Asked(NamedTuple):
    """What Q nodes say of some subjects' first trials."""

    places: Tensor  # (Q, N, D)
    logits: Tensor  # (Q, n, T) or (Q, n, T, C - 1)
    paths: Tensor  # (Q, n, T, K + S)
    order: _Order
    log_weights: Tensor  # (Q, N, T' + 1), before each choice and after the last one

    def predict(self, model: LearningModel, start: int) -> tuple[Tensor, Tensor]:
        """Return the logits (N, T'') and the path (N, T'', K + S) to expect from a trial on."""
        log_weights = self.log_weights[..., start:-1].log_softmax(0)
        logits = self.order.by_subject(self.logits)[:, :, start:]
        paths = self.order.by_subject(self.paths)[:, :, start:]
        mean = model.policy.mix(logits, log_weights)
        return mean, mix_paths(paths, log_weights.exp(), model.dynamics.n_weights)


def _ask(model: LearningModel, told: _Told, known: Normal, end: int) -> _Asked:
    nodes = model.place_nodes(known, many=True)
    places = nodes.places[:, told.parts.subject]  # (Q, n, D)
    paths = at_places(lambda *asked: model.path(*asked)[0], told.trials, told.observed, places)
    logits = torch.stack(
        [choice_logits([model], path[None], told.trials.features) for path in paths]
    )
    choice, weight = (field.to(told.covariates) for field in told.choices)
    logits, paths = logits.to(weight), paths.to(weight)
    each = model.policy.log_probability(logits, choice) * weight
    order = told.order(end)
    so_far = order.by_subject(each).cumsum(-1)
    before = log_prior_at(model, nodes, told.covariates)[..., None]
    log_weights = before + torch.cat([torch.zeros_like(before), so_far], -1)
    return _Asked(nodes.places, logits, paths, order, log_weights)


def at_places(
    ask: Callable[[Trial, Tensor], Tensor], trials: Trial, observed: Tensor, places: Tensor
) -> Tensor:
    """Return what a function of n sequences says at places (Q, n, D), (Q, n, ...)."""
    n_sequences, found = len(observed), []
    for some in places.split(max(1, MAX_AT_ONCE // observed.numel())):
        each = torch.arange(n_sequences, device=observed.device).repeat(len(some))
        own = some.flatten(0, 1).to(trials.features)
        answer = ask(replace(trials.of_subjects(each), context=own), observed[each])
        found.append(answer.unflatten(0, (len(some), n_sequences)))
    return torch.cat(found)


def log_prior_at(model: LearningModel, nodes: Nodes, covariates: Tensor) -> Tensor:
    """Return the logarithm of each node's share in the prior, (Q, N)."""
    assert model.effects is not None
    return model.effects.log_density(nodes.places, covariates) + nodes.log_weights


def integrate(
    model: LearningModel,
    nodes: Nodes,
    covariates: Tensor,
    parts: Parts,
    log_likelihood: Tensor,
    unit: Any,
) -> Tensor:
    """Return subjects' log-likelihood (N,) from sequences' at nodes (Q, n), in so many trials."""
    prior = log_prior_at(model, nodes, covariates)
    of_subjects = torch.zeros_like(prior).index_add(1, parts.subject, log_likelihood.to(prior))
    return (prior + of_subjects * unit).logsumexp(0) / unit


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
