"""A network's rule while the weights drift: unrolled inside an extended Kalman filter.

A deterministic rule that is fitted to drifting weights learns to follow them: the weight moves
toward whatever was chosen. Here the filter does that, and leaves to the network what is learned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import sklearn_learnrule as lr
from sklearn_learnrule.rules import LearningRule, Trial, choice_probability


class FilteredRule(LearningRule):
    """``learned``, and random steps of the first weight of standard deviation sigma.

    The weights are the filter's mean, and the memory is its variance v of the first one, known
    to begin with. A choice y shrinks v to v' = v / (1 + v p (1 - p) x^2) and moves the mean by
    v' (y - p) x; then the rule applies, and v' grows by sigma^2.
    """

    def __init__(self, learned: LearningRule, sigma: float) -> None:
        super().__init__(learned.n_weights, 1)
        self.learned = learned
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))

    @property
    def scale(self) -> Tensor:
        """The network's own."""
        return self.learned.scale

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        p = choice_probability(weights, trial.features)  # (N,)
        x = trial.features[:, 0]
        variance = memory[:, 0] / (1 + memory[:, 0] * p * (1 - p) * x.square())
        seen = torch.zeros_like(weights)
        seen[:, 0] = variance * (trial.choice - p) * x
        update, _ = self.learned(weights + seen, trial, memory[:, :0])
        return seen + update, (variance + (2 * self.log_sigma).exp())[:, None]


class FilteredDNNEstimator(lr.DNNRuleEstimator):
    """The DNN rule, inside the filter."""

    def make_rule(self, n_weights: int) -> LearningRule:
        return FilteredRule(super().make_rule(n_weights), sigma=0.03)
