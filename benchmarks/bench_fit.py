"""Seconds of whole fits, and of a five-fold comparison, on 12 simulated animals x 10,000 trials.

python benchmarks/bench_fit.py
"""

from __future__ import annotations

import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

NOISY: dict[str, Any] = {"process_noise": "learned"}
FITS: dict[str, Any] = {
    "REINFORCE, to convergence": lr.ReinforceRuleEstimator(),
    "REINFORCE, nonnegative, to convergence": lr.ReinforceRuleEstimator(baseline="nonnegative"),
    "PredictMax, to convergence": lr.PredictMaxRuleEstimator(),
    "DNN, three networks": lr.DNNRuleEstimator(random_state=0),
    "RNN, three networks": lr.RNNRuleEstimator(random_state=0),
    "REINFORCE with noise, to convergence": lr.ReinforceRuleEstimator(**NOISY),
    "DNN with noise, three networks": lr.DNNRuleEstimator(**NOISY, random_state=0),
}
COMPARISON: dict[str, Any] = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(random_state=0),
    "RNN": lr.RNNRuleEstimator(random_state=0),
}


def report(what: str, job: Callable[[], Any]) -> None:
    start = time.perf_counter()
    job()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {what} | {seconds:.1f} | {peak:.2f} |", flush=True)


def main() -> None:
    trials = make_learning_cohort(12, 10_000, length_spread=0, random_state=0)
    X, y, _ = lr.make_design(trials)
    print("| job | seconds | peak memory so far (GB) |\n|---|---|---|")
    warnings.simplefilter("error")
    for name, estimator in FITS.items():
        report(name, lambda estimator=estimator: estimator.fit(X, y))
    report(
        "five folds of constant, REINFORCE, DNN, RNN, two at a time",
        lambda: lr.compare_rules(COMPARISON, X, y, cv=5, n_jobs=2, verbose=0),
    )


if __name__ == "__main__":
    main()
