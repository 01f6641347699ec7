"""Rules with a memory that is known, for the tests of inspection."""

from __future__ import annotations

import torch
from torch import nn

from sklearn_learnrule.estimators.base import BaseRuleEstimator
from sklearn_learnrule.rules import LearningRule, choice_probability

BASELINE = -0.3


class MoodRule(LearningRule):
    """REINFORCE whose learning rate follows the recent rewards: alpha m, m' = (m + r) / 2."""

    def __init__(self, n_weights, learning_rate=0.6):
        super().__init__(n_weights, memory_size=1)
        self.learning_rate = nn.Parameter(torch.tensor(learning_rate))

    def forward(self, weights, trial, memory):
        p = choice_probability(weights, trial.features)
        step = (trial.reward - BASELINE) * (trial.choice - p)
        update = self.learning_rate * memory * step[:, None] * trial.features
        return update, (memory + trial.reward[:, None]) / 2


class MemoRule(LearningRule):
    """Remembers how many trials there were and the weights on the last of them.

    The update of the first weight is a thousandth of the number of trials, that of the others
    a thousandth of what they were.
    """

    def __init__(self, n_weights):
        super().__init__(n_weights, memory_size=n_weights)

    def forward(self, weights, trial, memory):
        del trial
        return memory / 1000, torch.cat([memory[:, :1] + 1, weights[:, 1:]], -1)


class MoodRuleEstimator(BaseRuleEstimator):
    def make_rule(self, n_weights):
        return MoodRule(n_weights)


class MemoRuleEstimator(BaseRuleEstimator):
    def make_rule(self, n_weights):
        return MemoRule(n_weights)


ONE_STEP = {"optimizer": "adam", "max_epochs": 1, "lr": 1e-4}
"""Fitted in name only: the parameters stay about where they start."""
