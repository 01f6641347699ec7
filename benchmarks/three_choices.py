"""Three choices: networks and the true rule, which they do not know, on animals never seen.

python benchmarks/three_choices.py
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.metrics import log_likelihood

N_ANIMALS, N_TRIALS = 12, 2000
CLASSES = {"A": 0, "B": 1, "C": 2}
MODELS = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE, its numbers fitted": lr.ReinforceRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(random_state=0),
    "RNN": lr.RNNRuleEstimator(random_state=0),
}


def main() -> None:
    X, y, _ = make_animals(seed=0)
    X_new, y_new, truth = make_animals(seed=1)
    print(f"The truth: {truth:.4f} nats per trial of {len(X_new)} trials.\n")
    print("| model | nats per trial | below the truth | s |\n|---|---|---|---|")
    for name, model in MODELS.items():
        start = perf_counter()
        score = model.fit(X, y).score(X_new, y_new)
        seconds = perf_counter() - start
        print(f"| {name} | {score:.4f} | {truth - score:.4f} | {seconds:.0f} |", flush=True)


def make_animals(seed: int) -> tuple[pd.DataFrame, pd.Series, float]:
    """Return X and y of animals, and the mean log-likelihood by their true weights."""
    how: Any = {"n_choices": len(CLASSES), "random_state": seed}
    trials, weights = make_learning_cohort(N_ANIMALS, N_TRIALS, return_weights=True, **how)
    stimuli = [name for name in trials if name.startswith("stimulus")]
    X, y, _ = lr.make_design(trials, stimulus=stimuli)
    return X, y, log_likelihood(y.map(CLASSES), true_logits(X[stimuli], weights))


def true_logits(stimuli: pd.DataFrame, weights: pd.DataFrame) -> NDArray[np.float64]:
    """Return each choice's log odds against the first's, (n_rows, C - 1)."""
    seen = stimuli.assign(bias=1.0)
    return np.stack([(weights[choice] * seen).sum(axis=1) for choice in [*CLASSES][1:]], axis=1)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
