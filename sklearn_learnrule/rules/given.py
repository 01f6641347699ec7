"""A rule at weights that are given: what it remembers of the trials."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ._contract import LearningRule
from ._wrapping import WrappingRule
from .trial import Trial


@dataclass(frozen=True, eq=False)
class GivenTrial(Trial):
    """A trial, or trials, at weights that are given, wherever they come from."""

    weights: Tensor = field(kw_only=True)
    """Before the choice, (N, K)."""


class GivenWeightsRule(WrappingRule):
    """Another rule that is told the weights of each trial, and so moves none: it remembers.

    It has no weights of its own, (N, 0). All of its memory, the other rule's, is shown.

    Parameters
    ----------
    rule : LearningRule
    """

    def __init__(self, rule: LearningRule) -> None:
        super().__init__(rule, n_weights=0)
        self.shown_memory = rule.memory_size

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(trial, GivenTrial)
        return weights, self.rule(trial.weights, trial, memory)[1]
