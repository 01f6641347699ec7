"""Textbook rules: each moves the weights along a gradient of the policy.

Throughout, x = [s, 1] are the policy's inputs, y the choice, z the correct choice, r the
reward, p = P(y = 1), and a learning rate alpha scales the step of each weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ._contract import LearningRule, Trial, choice_probability

BASELINES = (None, "free", "nonnegative")


def _one_a_weight(value: float | Sequence[float], n_weights: int) -> Tensor:
    return torch.as_tensor(value, dtype=torch.get_default_dtype()).expand(n_weights).clone()


def _root(value: float | Sequence[float], n_weights: int, name: str) -> Tensor:
    """Return the root that holds a value of at least 0."""
    values = _one_a_weight(value, n_weights)
    if not (values >= 0).all():
        raise ValueError(f"{name} should be at least 0, got {value}.")
    return values.sqrt()


class ConstantRule(LearningRule):
    """No learning: the update is 0 and the policy a static GLM."""

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        del trial
        return torch.zeros_like(weights), memory


class _RatedRule(LearningRule):
    """A rule with a positive learning rate for each weight, held as its root."""

    textbook_names: ClassVar[tuple[str, ...]] = ("learning_rate",)

    def __init__(self, n_weights: int, *, learning_rate: float | Sequence[float] = 0.01) -> None:
        super().__init__(n_weights)
        self.root_learning_rate = nn.Parameter(_root(learning_rate, n_weights, "learning_rate"))

    @property
    def learning_rate(self) -> Tensor:
        """alpha, one a weight, (K,)."""
        return self.root_learning_rate.square()


class ReinforceRule(_RatedRule):
    """REINFORCE: update = alpha (r - b) (y - p) x (Williams 1992).

    (y - p) x is the gradient of log P(y). The baseline b, one a weight, is absent (``None``),
    any number (``"free"``) or at least 0 (``"nonnegative"``). A free one is held as the
    product alpha b, so that the likelihood stays well conditioned where b is large and
    alpha small; a nonnegative one as its root.
    """

    textbook_names = ("learning_rate", "baseline")

    def __init__(
        self,
        n_weights: int,
        baseline: str | None = None,
        *,
        learning_rate: float | Sequence[float] = 0.01,
        initial_baseline: float | Sequence[float] = 0.01,
    ) -> None:
        super().__init__(n_weights, learning_rate=learning_rate)
        if baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {BASELINES}, got {baseline!r}.")
        self.baseline_kind = baseline
        if baseline == "free":
            start = _one_a_weight(initial_baseline, n_weights)
            self.rate_times_baseline = nn.Parameter(self.learning_rate.detach() * start)
        elif baseline == "nonnegative":
            start = _root(initial_baseline, n_weights, "initial_baseline")
            self.root_baseline = nn.Parameter(start)

    @property
    def baseline(self) -> Tensor:
        """b, one a weight, (K,)."""
        if self.baseline_kind == "free":
            return self.rate_times_baseline / self.learning_rate
        if self.baseline_kind == "nonnegative":
            return self.root_baseline.square()
        return torch.zeros_like(self.root_learning_rate)

    def step_size(self, reward: Tensor) -> Tensor:
        """alpha (r - b), (N, K)."""
        reward = reward[:, None]
        if self.baseline_kind == "free":
            return self.learning_rate * reward - self.rate_times_baseline
        return self.learning_rate * (reward - self.baseline)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        p = choice_probability(weights, trial.features)  # (N,)
        gradient = (trial.choice - p)[:, None] * trial.features  # (N, K)
        return self.step_size(trial.reward) * gradient, memory


class RewardMaxRule(_RatedRule):
    """RewardMax: update = alpha (2z - 1) p (1 - p) x / 0.5 (Ashwood et al., NeurIPS 2020).

    The gradient of the expected reward, over its largest value at p = 1/2 per unit input.
    """

    uses_answer = True

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        p = choice_probability(weights, trial.features)  # (N,)
        slope = (2 * trial.answer - 1) * p * (1 - p) / 0.5  # (N,)
        return self.learning_rate * slope[:, None] * trial.features, memory


class PredictMaxRule(_RatedRule):
    """PredictMax, or maximum likelihood: update = alpha (z - p) x.

    The gradient of the log probability of the correct choice.
    """

    uses_answer = True

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        p = choice_probability(weights, trial.features)  # (N,)
        return self.learning_rate * (trial.answer - p)[:, None] * trial.features, memory
