"""What each means against overfitting is worth: how the networks' defaults were chosen.

    python benchmarks/choose_defaults.py mice FILE
    python benchmarks/choose_defaults.py simulated --seed 0

"mice": held-out log-likelihood by three folds among the ten training mice of one of the paper's
folds (seed 99); the two mice that this fold holds out are never touched. "simulated": 12 animals
x 2,000 trials of eight rules, scored on 20 further animals, relative to the true weights' own.
"searched" asks three folds of the animals fitted, by scikit-learn's GridSearchCV.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import Tensor

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials, make_learning_cohort
from sklearn_learnrule.metrics import log_likelihood
from sklearn_learnrule.rules import EligibilityRule, LearningRule, PredictMaxRule, Trial

N_TRAINED, N_SCORED, N_TRIALS = 12, 20, 2000
WHOLE = {"batch_size": -1, "max_epochs": 1000}
PLAIN = {"n_ensemble": 1, "weight_decay": 0.0, "average": False, "gradient_clip_value": np.inf}
PLAIN |= WHOLE | {"mirror": False, "lr": 1e-3}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "lr=.003, 300 epochs": {**PLAIN, "lr": 3e-3, "max_epochs": 300},
    "average": {**PLAIN, "average": True},
    "weight_decay=.3": {**PLAIN, "weight_decay": 0.3},
    "n_ensemble=3": {**PLAIN, "n_ensemble": 3},
    "defaults, but whole batches": WHOLE,
    "the defaults": {},
    "defaults, early_stopping": {"early_stopping": True},
    "defaults, weight_decay=.3": {"weight_decay": 0.3},
    "defaults, around REINFORCE": {"around": lr.ReinforceRuleEstimator()},
    "around REINFORCE, weight_decay=5": {
        "around": lr.ReinforceRuleEstimator(),
        "weight_decay": 5.0,
    },
    "kept near REINFORCE": {"around": lr.ReinforceRuleEstimator(), "weight_decay": 20.0},
    "defaults, mirror=False": {"mirror": False},
    "defaults, mirror=True": {"mirror": True},
}
GRID: list[dict[str, Any]] = [
    {"around": [None]},
    {"around": [lr.ReinforceRuleEstimator()], "weight_decay": [5.0]},
]
TRAININGS = [*VARIANTS, "searched"]
NETWORKS = {
    "DNN": lr.DNNRuleEstimator(random_state=0),
    "RNN": lr.RNNRuleEstimator(random_state=0),
}


def asymmetric(weights: np.ndarray, trial: Trial) -> np.ndarray:
    """Errors move the weights away, by less than rewards do; the right side learns faster."""
    p = expit((weights * trial.features).sum(-1))
    size = np.where(trial.reward > 0, 0.03, -0.008) * np.where(trial.choice > 0, 1.4, 0.6)
    return (size * (trial.choice - p))[:, None] * np.asarray(trial.features)


class ScoreRule(LearningRule):
    """A rule made of the policy's score (y - p) x, and of numbers that are not fitted."""

    def __init__(self, **numbers: float) -> None:
        super().__init__(2)
        self.numbers = numbers

    def score(self, weights: Tensor, trial: Trial) -> Tensor:
        p = torch.sigmoid((weights * trial.features).sum(-1))
        return (trial.choice - p)[:, None] * trial.features


class AversiveRule(ScoreRule):
    """Errors count as a loss, and weights are forgotten."""

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        worth = torch.where(trial.reward > 0, 1.0, -self.numbers["cost"])[:, None]
        gain = self.numbers["rate"] * worth * self.score(weights, trial)
        return gain - self.numbers["forgets"] * weights, memory


class TraceRule(ScoreRule):
    """What is rewarded is a trace of scores, which decays."""

    memory_size = 2

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        trace = self.numbers["decay"] * memory + self.score(weights, trial)
        return self.numbers["rate"] * trial.reward[:, None] * trace, trace


class ConfidentRule(ScoreRule):
    """The learning rate grows with a power of recent reward."""

    memory_size = 1

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        reward = trial.reward[:, None]
        rate = self.numbers["rate"] * memory ** self.numbers["power"]
        return rate * reward * self.score(weights, trial), memory + 0.1 * (reward - memory)


RULES = {
    "REINFORCE": None,  # the cohort's own
    "errors count -.25, forgetting": AversiveRule(rate=0.03, cost=0.25, forgets=0.0005),
    "trace that decays by .8": TraceRule(rate=0.005, decay=0.8),
    "strong trace that decays by .8": TraceRule(rate=0.015, decay=0.8),
    "rate by recent reward squared": ConfidentRule(rate=0.08, power=2),
    "asymmetric": asymmetric,
    "PredictMax": PredictMaxRule(2, learning_rate=0.01),
    "eligibility": EligibilityRule(2, learning_rate=0.002),
}


def trained(network: Any, variant: str) -> Any:
    """Return an estimator that trains the network so."""
    if variant == "searched":
        return GridSearchCV(clone(network), GRID, cv=lr.SubjectKFold(3), error_score="raise")
    return clone(network).set_params(**VARIANTS[variant])


def on_mice(file: str, variants: list[str]) -> None:
    X, y, _ = lr.make_design(load_ibl_trials(file, processing="published"), answer="answer")
    subject = X.index.get_level_values("subject")
    mice = np.array(sorted(subject.unique()))
    held_out = np.array_split(np.random.RandomState(99).permutation(len(mice)), 5)[2]
    training = ~subject.isin(mice[held_out])
    X, y = X[training], y[training]
    for name, network in NETWORKS.items():
        for variant in variants:
            start = time.perf_counter()
            folds = lr.SubjectKFold(3, shuffle=True, random_state=0)
            score = cross_val_score(trained(network, variant), X, y, cv=folds).mean()
            seconds = time.perf_counter() - start
            print(f"| {name} | {variant} | {score:.4f} | {seconds:.0f} |", flush=True)


def on_simulated(variants: list[str], seed: int) -> None:
    for rule in RULES:
        (X, y), _ = cohort(rule, N_TRAINED, 2 * seed)
        truth = cohort(rule, N_SCORED, 2 * seed + 1)
        for name, network in NETWORKS.items():
            cells = []
            for variant in variants:
                fitted = trained(network, variant).fit(X, y)
                (X_new, y_new), own = truth
                cells.append(f"{fitted.score(X_new, y_new) - own:+.4f}")
            print(f"| {rule} ({truth[1]:.4f}) | {name} | {' | '.join(cells)} |", flush=True)


def cohort(rule: str, n_subjects: int, seed: int) -> tuple[Any, float]:
    """Return X and y of animals that learn by the rule, and the true weights' likelihood."""
    trials, weights = make_learning_cohort(
        n_subjects, N_TRIALS, rule=RULES[rule], random_state=seed, return_weights=True
    )
    X, y, _ = lr.make_design(trials, answer="answer")
    logits = weights["stimulus"].to_numpy() * X["stimulus"] + weights["bias"].to_numpy()
    return (X, y), log_likelihood(y == "right", logits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["mice", "simulated"])
    parser.add_argument("file", nargs="?", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--variants", nargs="+", choices=TRAININGS, default=TRAININGS)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated animals")
    arguments = parser.parse_args()
    variants = arguments.variants
    torch.set_num_threads(2)
    if arguments.part == "mice":
        print("| network | training | nats per trial | seconds |\n|---|---|---|---|")
        on_mice(arguments.file, variants)
    else:
        print(f"| true rule | network | {' | '.join(variants)} |")
        print("|---|---|" + "---|" * len(variants))
        on_simulated(variants, arguments.seed)


if __name__ == "__main__":
    main()
