"""A rule along weights that are given, wherever they come from, where its own memory goes along."""

from __future__ import annotations

from torch import Tensor

from ..engine import unroll
from ..rules import GivenTrial, GivenWeightsRule, LearningRule, Trial


def updates_along(rule: LearningRule, trials: Trial, weights: Tensor, observed: Tensor) -> Tensor:
    """Return what a rule would do at weights that are given, where its own memory goes along.

    Parameters
    ----------
    rule : LearningRule
    trials : Trial
        Features (N, T, K), the other fields (N, T).
    weights : Tensor of shape (N, T, K)
        Those before each choice, wherever they come from.
    observed : bool Tensor of shape (N, T)
        As for :func:`~sklearn_learnrule.engine.unroll`.

    Returns
    -------
    Tensor of shape (n, K)
        The updates on the n observed trials, subject after subject.
    """
    each = trials.rows(observed)
    return rule(weights[observed], each, memory_along(rule, trials, weights, observed))[0]


def memory_along(rule: LearningRule, trials: Trial, weights: Tensor, observed: Tensor) -> Tensor:
    """Return what the rule remembers before each observed trial, (n, M)."""
    if not rule.memory_size:
        return weights.new_zeros(int(observed.sum()), 0)
    given = GivenTrial(**vars(trials), weights=weights)
    nothing = weights.new_zeros(len(weights), 0)
    return unroll(GivenWeightsRule(rule), nothing, given, observed)[observed]
