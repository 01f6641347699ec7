"""A rule along weights that are given, wherever they come from, where its own memory goes along."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..engine import unroll
from ..rules import LearningRule, Trial


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
    start = rule.initial_memory(len(weights), like=weights)
    guide = replace(trials, features=torch.cat([trials.features, weights], -1))  # (N, T, 2 K)
    return unroll(_Guided(rule), start, guide, observed)[observed]


class _Guided(LearningRule):
    """The memory of a rule while its weights are given: an engine takes the one for the other.

    The features of a trial are the rule's own, then the policy weights of that trial.
    """

    def __init__(self, rule: LearningRule) -> None:
        super().__init__(rule.memory_size)
        self.rule = rule

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        features, given = trial.features.chunk(2, -1)  # (N, K) each
        remembered = self.rule(given, replace(trial, features=features), weights)[1]
        return remembered - weights, memory
