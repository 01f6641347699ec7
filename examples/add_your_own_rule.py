"""
Does an error unteach, or is it habit?
======================================

Test a hypothesis of your own: write the rule down. A negative baseline in REINFORCE says that
choices are strengthened after errors, too. But so does an animal seem to do that merely repeats
itself. These mice have no baseline; each choice leaves a habit, a push of the bias that fades.
REINFORCE is misled; the right hypothesis, a class of a few lines and an estimator of three, is not.

In a shell::

    python examples/add_your_own_rule.py          # a minute
    python examples/add_your_own_rule.py --quick  # few trials: a test, no science
"""

# %%
# The hypothesis
# --------------
# A learning rule says how the weights change after a trial: here a reward teaches, and the bias is
# pushed towards the choice and fades. The estimator is all that scikit-learn needs.

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.plotting import ComparisonDisplay
from sklearn_learnrule.rules import LearningRule, Trial
from sklearn_learnrule.testing import check_rule


class HabitRule(LearningRule):
    """Reward teaches, alpha r (y - p) x; and the bias gets habit (2y - 1) - fading bias."""

    textbook_names = ("learning_rate", "habit", "fading")  # become learning_rate_, habit_, ...
    parameter_units = {"learning_rate": (-2, -1)}  # 1 / (stimulus^2 reward); the others have none

    def __init__(
        self,
        n_weights: int,
        learning_rate: tuple[float, ...] | float = 0.01,
        habit: float = 0.01,
        fading: float = 0.1,
    ) -> None:
        super().__init__(n_weights)
        self.learning_rate = nn.Parameter(torch.tensor(learning_rate).expand(n_weights).clone())
        self.habit = nn.Parameter(torch.tensor(habit))
        self.fading = nn.Parameter(torch.tensor(fading))

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        score = self.policy.score(weights, trial.features, trial.choice)  # (y - p) x, (N, K)
        taught = self.learning_rate * trial.reward[:, None] * score
        trace = self.habit * (2 * trial.choice - 1) - self.fading * weights[:, -1]  # (N,)
        return torch.cat([taught[:, :-1], (taught[:, -1] + trace)[:, None]], 1), memory


class HabitRuleEstimator(lr.BaseRuleEstimator):
    """Learning from reward, and a habit that fades."""

    def make_rule(self, n_weights: int) -> LearningRule:
        return HabitRule(n_weights)


TRUTH: dict[str, Any] = {"learning_rate": (0.03, 0.03), "habit": 0.2, "fading": 0.2}
print(f"Is it a rule?\n\n{check_rule(HabitRule(2, **TRUTH))}")

# %%
# Mice of habit
# -------------
# They learn by that rule. Nothing of it is a baseline, but REINFORCE finds one of the bias, below
# 0, and its interval leaves 0 out: intervals ask how well the data fix the numbers of a rule, not
# whether the rule is the right one.

quick = "--quick" in sys.argv
n_mice, n_trials, n_folds = (6, 100, 2) if quick else (16, 800, 4)
trials = make_learning_cohort(n_mice, n_trials, rule=HabitRule(2, **TRUTH), random_state=0)
X, y, _ = lr.make_design(trials)
misled = lr.ReinforceRuleEstimator().fit(X, y).summary_.query("parameter == 'baseline'")
print(f"{n_mice} mice, {len(X)} trials. There is no baseline, but REINFORCE finds one:\n")
print(misled[["weight", "estimate", "lower", "upper"]].round(2).to_string(index=False))

# %%
# Which rule predicts mice that it has not seen?
# ----------------------------------------------
# Log-likelihoods are in nats per trial. A forgetting REINFORCE, whose weights decay, is the best
# that the textbook has to offer. But habits need no rule of one's own: as a further input of the
# policy, a trace of the choices made, they leave the textbook to learn what there is to learn.

habits = lr.PolicyRegressors(win_stay=False, previous_stimulus=False, trace_decay=0.8)
beside_habits = lr.ReinforceRuleEstimator(unlearned="habits")
rules = {
    "REINFORCE, no baseline": lr.ReinforceRuleEstimator(baseline=None),
    "REINFORCE": lr.ReinforceRuleEstimator(),
    "REINFORCE, forgetting": lr.ReinforceRuleEstimator(forgetting=True),
    "REINFORCE beside habits": make_pipeline(habits, beside_habits),
    "habit": HabitRuleEstimator(),
}
scores = lr.compare_rules(rules, X, y, cv=n_folds)
columns = ["log_likelihood", "difference", "p_value", "seconds"]
print(lr.rank_rules(scores)[columns].round(4).to_string())
ComparisonDisplay.from_scores(scores)

# %%
# What is left of the baselines
# -----------------------------

fitted = rules["REINFORCE beside habits"].fit(X, y)[-1]
left = fitted.summary_.query("parameter == 'baseline'")
print("REINFORCE's baselines beside habits (the truth: 0):\n")
print(left[["weight", "estimate", "lower", "upper"]].round(2).to_string(index=False))

# %%
# The habit rule's parameters
# ---------------------------

summary = rules["habit"].fit(X, y).summary_
summary.insert(2, "truth", np.hstack([*TRUTH.values(), (0.0, 0.0)]))  # and initial weights
columns = ["parameter", "weight", "truth", "estimate", "standard_error"]
print(summary[columns].round(3).to_string(index=False))
plt.show()
