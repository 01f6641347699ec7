"""Held-out log-likelihood of twelve IBL mice, as in Table 1 of Liu, Geadah & Pillow (2025).

    python benchmarks/reproduce_ibl.py FILE --rules REINFORCE "REINFORCE, nonnegative" --seeds 99

FILE holds the first 10,001 trials of CSHL_001 to 008, 010, 012, 014 and 015. Five folds by
animal; the first trial of each animal is not scored; a total is the mean log-likelihood per trial
of held-out animals times 120,000.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from skorch.callbacks import LRScheduler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.metrics import trial_log_likelihood

PUBLISHED = {
    "REINFORCE, nonnegative": -68532,
    "REINFORCE": -60576,
    "REINFORCE, previous stimulus": -60504,
    "DNN": -60360,
    "DNN, previous stimulus": -60168,
    "RNN": -59892,
}
N_SCORED = 120_000
FIXED_START: dict[str, Any] = {"initial_weights": "zeros", "train_initial_weights": False}


def paper_training() -> dict[str, Any]:
    """Return the paper's settings for networks: Adam, 1,000 epochs, gradients of 500 trials."""
    decay = LRScheduler("StepLR", step_size=5, gamma=0.999)
    return {
        "lr": 1e-3,
        "max_epochs": 1000,
        "truncation": 500,
        "callbacks": [("decay", decay)],
        "random_state": 0,
        **FIXED_START,
    }


def make_estimator(name: str) -> Any:
    rule = name.split(",")[0]
    if rule == "REINFORCE":
        baseline = "nonnegative" if "nonnegative" in name else "free"
        return lr.ReinforceRuleEstimator(baseline=baseline, **FIXED_START)
    network = {"DNN": lr.DNNRuleEstimator, "RNN": lr.RNNRuleEstimator}[rule]
    return network(**paper_training())


def folds(groups: pd.Series, seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield the paper's five folds: a seeded permutation of the mice, split in order."""
    mice = np.array(sorted(groups.unique()))
    shuffled = np.random.RandomState(seed).permutation(len(mice))
    for held_out in np.array_split(shuffled, 5):
        test = groups.isin(mice[held_out]).to_numpy()
        yield np.flatnonzero(~test), np.flatnonzero(test)


def held_out_total(name: str, X: pd.DataFrame, y: pd.Series, groups: pd.Series, seed: int) -> float:
    scored = (X.index.get_level_values("trial") > 0).astype(float)
    if "previous stimulus" in name:
        X = X.assign(previous_stimulus=X.groupby("subject")["stimulus"].shift(fill_value=0.0))
    total = []
    for train, test in folds(groups, seed):
        rule = make_estimator(name).fit(X.iloc[train], y.iloc[train], sample_weight=scored[train])
        likelihood = trial_log_likelihood(
            y.iloc[test] == rule.classes_[1], rule.decision_function(X.iloc[test])
        )
        total.append(likelihood[scored[test] > 0])
    return float(np.concatenate(total).mean() * N_SCORED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--rules", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--seeds", nargs="+", type=int, default=[99])
    arguments = parser.parse_args()
    X, y, groups = lr.make_design(load_ibl_trials(arguments.file), answer="answer")
    print("| rule | seed | held-out total | published (four seeds) | seconds |")
    print("|---|---|---|---|---|")
    for name in arguments.rules:
        for seed in arguments.seeds:
            start = time.perf_counter()
            total = held_out_total(name, X, y, groups, seed)
            seconds = time.perf_counter() - start
            row = (name, seed, f"{total:.0f}", PUBLISHED[name], f"{seconds:.0f}")
            print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
