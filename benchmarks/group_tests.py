"""How often compare_groups finds a difference between groups that is not there.

Cohorts of 2 x 8 animals that learn by REINFORCE, log learning rates of standard deviation .3:

    python benchmarks/group_tests.py --cohorts 200
    python benchmarks/group_tests.py --cohorts 200 --permutations 19 --keep FILE

Cohorts whose p-values stand in FILE (CSV) are not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from sklearn_learnrule import ReinforceRuleEstimator, make_design
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import compare_groups
from sklearn_learnrule.utils.files import replacing

RATE, SPREAD, N_ANIMALS = 0.03, 0.3, 16
RULE = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])


def make_cohort(seed: int, n_trials: int) -> pd.DataFrame:
    """Simulate animals, every second one called "ko"."""
    rng = np.random.RandomState(seed)
    rates = RATE * np.exp(SPREAD * rng.randn(N_ANIMALS))[:, None]

    def reinforce(weights, trial):
        features = np.asarray(trial.features)
        p = 1 / (1 + np.exp(-(weights * features).sum(1)))
        return (
            rates * (np.asarray(trial.reward) * (np.asarray(trial.choice) - p))[:, None] * features
        )

    how = {"rule": reinforce, "length_spread": 0, "random_state": rng}
    trials = make_learning_cohort(N_ANIMALS, n_trials, **how)
    is_ko = pd.factorize(trials["subject"])[0] % 2 == 1
    return trials.assign(genotype=np.where(is_ko, "ko", "control"))


def p_values_of(seed: int, n_trials: int, n_permutations: int) -> dict[str, float]:
    """Return what each test says of a cohort whose groups are alike."""
    X, y, _ = make_design(make_cohort(seed, n_trials), covariates="genotype")
    how = {"n_permutations": n_permutations, "random_state": seed, "verbose": 0}
    found = compare_groups(RULE, X, y, "genotype", **how)
    tests = {"likelihood ratio": found.p_value, "Wald": found.table["p"][0]}
    if n_permutations:
        tests |= {"shuffled": found.permutation_p_value, "updates": found.updates_p_value}
    return tests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=200)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--permutations", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a CSV file for the cohorts that are done")
    options = parser.parse_args()
    kept = options.keep is not None and options.keep.exists()
    rows = pd.read_csv(options.keep).to_dict("records") if kept else []
    for seed in tqdm(range(len(rows), options.cohorts), unit="cohort"):
        rows.append(p_values_of(seed, options.trials, options.permutations))
        if options.keep is not None:
            with replacing(options.keep) as path:
                pd.DataFrame(rows).to_csv(path, index=False)
    print(f"{len(rows)} cohorts, share with p of at most .05:")
    print((pd.DataFrame(rows) <= 0.05).mean())


if __name__ == "__main__":
    main()
