"""One drifting animal's weights by process noise alone, beside PsyTrack's: CPU seconds, agreement.

python benchmarks/beside_psytrack.py --python /path/to/an/environment/with/psytrack/bin/python

PsyTrack (Roy et al., Neuron 2021) maximizes a Laplace approximation of the evidence and finds the
weights by Newton steps over all trials at once; ours is a filter and a smoother. Both have the
same prior of the first weights, and get the same simulated trials.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

import sklearn_learnrule as lr

CHILD = Path(__file__).with_name("_psytrack_fit.py")
SESSION = 250  # trials
START = 4.0  # standard deviation of the prior of the first weights
HEAD = "| trials | weights | session noise | | CPU s | evidence | correlation: all, each weight |"


@dataclass(frozen=True)
class Case:
    """An animal whose weights drift."""

    n_trials: int
    n_weights: int
    session_noise: bool


CASES = [Case(10_000, 3, False), Case(10_000, 3, True), Case(3_000, 6, False), Case(3_000, 6, True)]


@dataclass(frozen=True)
class Fit:
    """What one of the two says: weights (n, K), bias last."""

    seconds: float
    evidence: float
    weights: np.ndarray


def simulate(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stimuli (n, K - 1), choices (n,), 1 or 2, and sessions (n,)."""
    rng = np.random.RandomState(0)
    session = np.arange(case.n_trials) // SESSION
    opens = np.diff(session, prepend=0)[:, None] > 0
    std = np.hypot(rng.uniform(0.01, 0.03, case.n_weights), 0.2 * case.session_noise * opens)
    steps = rng.normal(0, std, (case.n_trials, case.n_weights))
    weights = rng.normal(0, 1, case.n_weights) + steps.cumsum(0)
    stimulus = rng.uniform(-1, 1, (case.n_trials, case.n_weights - 1))
    p = expit((weights[:, :-1] * stimulus).sum(1) + weights[:, -1])
    return stimulus, 1 + (rng.random_sample(case.n_trials) < p), session


def ours(case: Case, stimulus: np.ndarray, choice: np.ndarray, session: np.ndarray) -> Fit:
    names = [f"input_{k}" for k in range(case.n_weights - 1)]
    trials = pd.DataFrame(stimulus, columns=names)
    trials = trials.assign(subject="one", session=session, choice=choice, reward=0.0)
    X, y, _ = lr.make_design(trials, stimulus=names)
    noise: dict[str, Any] = {"process_noise": "learned", "initial_std": START}
    noise |= {"train_initial_weights": False}
    noise |= {} if case.session_noise else {"session_noise": 0.0}
    start = time.process_time()
    rule = lr.ConstantRuleEstimator(**noise).fit(X, y)
    weights = rule.smooth_weights(X, y)
    seconds = time.process_time() - start
    return Fit(seconds, rule.score(X, y) * len(y), weights.to_numpy())


def psytracks(
    python: str, case: Case, stimulus: np.ndarray, choice: np.ndarray, session: np.ndarray
) -> Fit:
    days = np.bincount(session) if case.session_noise else np.array([], dtype=int)
    with tempfile.TemporaryDirectory() as folder:
        trials, fit = f"{folder}/trials.npz", f"{folder}/fit.npz"
        np.savez(trials, y=choice, inputs=stimulus, days=days, sig_init=START)
        one_thread = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
        command = [python, str(CHILD), trials, fit]
        subprocess.run(command, check=True, env=os.environ | one_thread)
        found = np.load(fit)
        weights = np.roll(found["weights"].T, -1, axis=1)  # the bias last
        return Fit(float(found["seconds"]), float(found["evidence"]), weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="of an environment with psytrack")
    python = parser.parse_args().python
    ours(CASES[1], *simulate(CASES[1]))  # compiles what is compiled
    print(HEAD + "\n" + "|---" * HEAD.count(" |") + "|")
    for case in CASES:
        animal = simulate(case)
        a, b = ours(case, *animal), psytracks(python, case, *animal)
        pairs = zip(a.weights.T, b.weights.T, strict=True)
        agreement = [np.corrcoef(*pair)[0, 1] for pair in pairs]
        of_all = np.corrcoef(a.weights.ravel(), b.weights.ravel())[0, 1]
        noise = "fitted" if case.session_noise else "none"
        row = f"| {case.n_trials:,} | {case.n_weights} | {noise} |"
        print(f"{row} PsyTrack | {b.seconds:.1f} | {b.evidence:.1f} | |")
        span = f"{of_all:.4f}, {min(agreement):.4f} to {max(agreement):.4f}"
        print(f"{row} ours | {a.seconds:.2f} | {a.evidence:.1f} | {span} |", flush=True)


if __name__ == "__main__":
    main()
