"""How well animals' own learning rates are told, over simulated cohorts.

16 animals x 1,000 trials learn by REINFORCE, log learning rates of standard deviation .5, and as
many that are all alike; as many animals again are held out of each fit:

    python benchmarks/subject_effects.py --cohorts 100
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from sklearn_learnrule import ReinforceRuleEstimator, make_design
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import ReinforceRule

RATE, SPREAD, N_ANIMALS, N_TRIALS = 0.03, 0.5, 16, 1_000
NORMAL_90 = 1.645
POOLED = ReinforceRuleEstimator(baseline=None)
OWN = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])


def make_cohort(spread: float, seed: int) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Simulate a design, its choices, and each animal's log learning rate."""
    own = spread * np.random.RandomState(seed).randn(N_ANIMALS)
    trials = make_learning_cohort(
        N_ANIMALS,
        N_TRIALS,
        rule=ReinforceRule(2, learning_rate=RATE),
        subject_effects={"learning_rate": own},
        random_state=seed,
    )
    X, y, _ = make_design(trials)
    return X, y, np.log(RATE) + pd.Series(own, trials["subject"].unique())


def recover(spread: float, seed: int) -> dict[str, float]:
    """Fit one cohort, score another; by animal, how well it is told and predicted."""
    X, y, truth = make_cohort(spread, seed)
    others, chosen, _ = make_cohort(spread, 10_000 + seed)
    own, pooled = (rule.fit(X, y) for rule in (OWN, POOLED))
    told = own.subject_effects_
    mean = np.log(own.learning_rate_[0]) + told["mean", "learning_rate"]
    std = told["std", "learning_rate"]
    found = {
        "spread": own.subject_effects_std_[0],
        "gain, never seen": own.score(others, chosen) - pooled.score(others, chosen),
    }
    if spread:
        found |= {
            "spread, of the animals' own": found["spread"] / truth.std(),
            "correlation": mean.corr(truth),
            "held by 90%": ((mean - truth).abs() < NORMAL_90 * std).mean(),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=100)
    options = parser.parse_args()
    for spread in (SPREAD, 0.0):
        found = pd.DataFrame([recover(spread, seed) for seed in range(options.cohorts)])
        print(f"Log learning rates of standard deviation {spread}:")
        print(found.describe(percentiles=[0.05, 0.5, 0.95]).round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
