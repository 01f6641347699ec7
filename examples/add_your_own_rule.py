"""Does an error unteach, or is it habit? Test a hypothesis of your own: write the rule down.

A negative baseline in REINFORCE says that choices are strengthened after errors, too. But so does
an animal seem to do that merely repeats itself. These mice have no baseline; each choice leaves
a habit, a push of the bias that fades. REINFORCE is misled; the right hypothesis, a class of a few
lines and an estimator of three, is not.

    python examples/add_your_own_rule.py --figure habit.png
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import LearningRule, Trial
from sklearn_learnrule.testing import check_rule
from sklearn_learnrule.utils.files import replacing

TRUTH: dict[str, Any] = {"learning_rate": (0.03, 0.03), "habit": 0.2, "fading": 0.2}


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


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few trials: a test, no science")
    parser.add_argument("--figure", help="where to save the figure")
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    print(f"Is it a rule?\n\n{check_rule(HabitRule(2, **TRUTH))}\n")
    n_mice, n_trials, n_folds = (6, 100, 2) if arguments.quick else (16, 800, 4)
    trials = make_learning_cohort(n_mice, n_trials, rule=HabitRule(2, **TRUTH), random_state=0)
    X, y, _ = lr.make_design(trials)
    rules = {
        "REINFORCE, no baseline": lr.ReinforceRuleEstimator(baseline=None),
        "REINFORCE": lr.ReinforceRuleEstimator(),
        "REINFORCE, forgetting": lr.ReinforceRuleEstimator(forgetting=True),
        "habit": HabitRuleEstimator(),
    }
    misled = rules["REINFORCE"].fit(X, y).summary_.query("parameter == 'baseline'")
    print(f"{n_mice} mice, {len(X)} trials. There is no baseline, but REINFORCE finds one:\n")
    print(misled[["weight", "estimate", "lower", "upper"]].round(2).to_string(index=False))
    print("\nWhich rule predicts mice that it has not seen? (nats per trial)\n")
    scores = lr.compare_rules(rules, X, y, cv=n_folds)
    columns = ["log_likelihood", "difference", "p_value", "seconds"]
    print(lr.rank_rules(scores)[columns].round(4).to_string())

    summary = rules["habit"].fit(X, y).summary_
    summary.insert(2, "truth", np.hstack([*TRUTH.values(), (0.0, 0.0)]))  # and initial weights
    print("\nThe habit rule's parameters:\n")
    columns = ["parameter", "weight", "truth", "estimate", "standard_error"]
    print(summary[columns].round(3).to_string(index=False))
    if arguments.figure:
        save_figure(scores, arguments.figure)


def save_figure(scores: pd.DataFrame, file: str) -> None:
    from sklearn_learnrule.plotting import ComparisonDisplay

    figure = ComparisonDisplay.from_scores(scores).figure_
    with replacing(file) as beside:
        figure.savefig(beside, dpi=200)
    print(f"\nFigure: {file}")


if __name__ == "__main__":
    main()
