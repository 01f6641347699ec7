"""Seconds of whole fits by default settings, by one checkout of the package or two in turn.

    python benchmarks/bench_fit.py
    python benchmarks/bench_fit.py --against ../old --rounds 3
    python benchmarks/bench_fit.py --jobs REINFORCE "REINFORCE, own rates" --spread 0.4

12 simulated animals x 10,000 trials. Every fit has a process of its own, in which the same
estimator was fitted before to a few trials, so that kernels are there. Wall and CPU seconds are
medians over rounds; "beside": a process keeps one core busy meanwhile. "grid" is GridSearchCV over
three DNN architectures, five folds, two jobs. Animals are alike, but for ``--spread``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

HERE = Path(__file__).resolve().parents[1]
NOISY: dict[str, Any] = {"process_noise": "learned"}
SEEDED: dict[str, Any] = {"random_state": 0}
FITS: dict[str, tuple[str, dict[str, Any]]] = {
    "REINFORCE": ("ReinforceRuleEstimator", {}),
    "DNN": ("DNNRuleEstimator", SEEDED),
    "RNN": ("RNNRuleEstimator", SEEDED),
    "ChoiceRNN": ("ChoiceRNNClassifier", SEEDED),
    "REINFORCE, noise": ("ReinforceRuleEstimator", NOISY),
    "DNN, noise": ("DNNRuleEstimator", NOISY | SEEDED),
    "RNN, noise": ("RNNRuleEstimator", NOISY | SEEDED),
}
OWN_RATE: dict[str, Any] = {"subject_effects": ["learning_rate"]}
OF_INDIVIDUALS: dict[str, tuple[str, dict[str, Any]]] = {  # by --jobs: older checkouts have none
    "REINFORCE, own rates": ("ReinforceRuleEstimator", OWN_RATE),
    "REINFORCE, noise, own rates": ("ReinforceRuleEstimator", NOISY | OWN_RATE),
    "DNN, two numbers": ("DNNRuleEstimator", SEEDED | {"subject_effects": 2}),
}
GRID = "grid of DNNs"
ARCHITECTURES = {"hidden_sizes": [(16,), (32,), (32, 32)]}
BUSY = "while True: pass"


def fit_once(job: str, spread: float) -> dict[str, float]:
    """Return the seconds of one job in this process, and its peak of memory."""
    from sklearn.model_selection import GridSearchCV

    import sklearn_learnrule as lr
    from sklearn_learnrule.datasets import make_learning_cohort

    warnings.simplefilter("ignore")
    name, parameters = (FITS | OF_INDIVIDUALS)["DNN" if job == GRID else job]
    estimator = getattr(lr, name)(**parameters)
    log_rates = np.random.default_rng(0).normal(0, spread, 12)
    cohort: dict[str, Any] = {"subject_effects": {"learning_rate": log_rates}} if spread else {}
    cohort |= {"length_spread": 0, "random_state": 0}
    few, whole = (lr.make_design(make_learning_cohort(12, n, **cohort)) for n in (30, 10_000))
    estimator.fit(*few[:2])
    if job == GRID:
        estimator = GridSearchCV(estimator, ARCHITECTURES, cv=lr.SubjectKFold(5), n_jobs=2)
    start = time.perf_counter(), cpu_seconds()
    estimator.fit(*whole[:2], **({"groups": whole[2]} if job == GRID else {}))
    wall, cpu = time.perf_counter() - start[0], cpu_seconds() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if job == GRID:  # what its workers take is not seen from here
        cpu = peak = float("nan")
    return {"wall": wall, "cpu": cpu, "GB": peak, "score": estimator.score(*whole[:2])}


def cpu_seconds() -> float:
    """Return this process's CPU time so far; that of a grid's workers is not in it."""
    return time.process_time()


def measure(checkout: Path, job: str, beside: bool, spread: float) -> dict[str, float]:
    """Return what a process that uses a checkout of the package says of a job."""
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    busy = subprocess.Popen([sys.executable, "-c", BUSY]) if beside else None
    try:
        answer = subprocess.run(
            [sys.executable, __file__, "--once", job, "--spread", str(spread)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout, measured in turn")
    parser.add_argument("--rounds", type=int, default=1)
    jobs = [*FITS, *OF_INDIVIDUALS, GRID]
    parser.add_argument("--jobs", nargs="+", choices=jobs, default=[*FITS, GRID])
    parser.add_argument("--beside", action="store_true", help="a busy process, too")
    parser.add_argument("--spread", type=float, default=0, help="of animals' log learning rates")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(fit_once(arguments.once, arguments.spread)))
        return
    checkouts = {"here": HERE}
    if arguments.against:
        checkouts["against"] = arguments.against.resolve()
    tasks = [
        (job, beside, name)
        for job in arguments.jobs
        for beside in ((False, True) if arguments.beside else (False,))
        for _ in range(arguments.rounds)
        for name in checkouts
    ]
    rows = []
    for job, beside, name in tqdm(tasks, unit="fit"):
        found = measure(checkouts[name], job, beside, arguments.spread)
        rows.append({"job": job, "beside": "yes" if beside else "", "by": name, **found})
        tqdm.write(json.dumps(rows[-1]))
    table = pd.DataFrame(rows).groupby(["job", "beside", "by"], sort=False).median()
    print(table.round({"wall": 1, "cpu": 1, "GB": 2, "score": 4}).reset_index().to_string())


if __name__ == "__main__":
    main()
