"""Three choices: networks and the true rule, which they do not know, on animals never seen.

python benchmarks/three_choices.py
python benchmarks/three_choices.py --seed 2

Networks are also fitted to each animal under all names that its places may have: what is learned
of one is learned of each.
"""

from __future__ import annotations

import argparse
from itertools import permutations
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
CHOICES = ["A", "B", "C"]
STIMULI = [f"stimulus_{choice}" for choice in CHOICES]
STEPS = {"lr": 0.005, "max_epochs": 100, "batch_size": 12, "mirror": False, "random_state": 0}
NEAR: dict[str, Any] = {"around": lr.ReinforceRuleEstimator(), "weight_decay": 20.0}
MODELS = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE, its numbers fitted": lr.ReinforceRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(random_state=0),
    "DNN, choices not alike": lr.DNNRuleEstimator(random_state=0, mirror=False),
    "RNN": lr.RNNRuleEstimator(random_state=0),
    "RNN, choices not alike": lr.RNNRuleEstimator(random_state=0, mirror=False),
    "DNN around REINFORCE": lr.DNNRuleEstimator(random_state=0, around=lr.ReinforceRuleEstimator()),
    "RNN around REINFORCE": lr.RNNRuleEstimator(random_state=0, around=lr.ReinforceRuleEstimator()),
    "DNN kept near REINFORCE": lr.DNNRuleEstimator(random_state=0, **NEAR),
    "RNN kept near REINFORCE": lr.RNNRuleEstimator(random_state=0, **NEAR),
    "DNN, all names": lr.DNNRuleEstimator(**STEPS),
    "RNN, all names": lr.RNNRuleEstimator(**STEPS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*MODELS], choices=[*MODELS])
    parser.add_argument("--seed", type=int, default=0, help="of those fitted; scored is the next")
    options = parser.parse_args()
    trials, _ = make_animals(options.seed)
    new, weights = make_animals(options.seed + 1)
    X_new, y_new = design(new)
    truth = log_likelihood(y_new.map(CHOICES.index), true_logits(X_new[STIMULI], weights))
    print(f"The truth: {truth:.4f} nats per trial of {len(X_new)} trials.\n")
    print("| model | nats per trial | below the truth | s |\n|---|---|---|---|")
    for name in options.models:
        start = perf_counter()
        seen = under_all_names(trials) if name.endswith("all names") else trials
        score = MODELS[name].fit(*design(seen)).score(X_new, y_new)
        seconds = perf_counter() - start
        print(f"| {name} | {score:.4f} | {truth - score:.4f} | {seconds:.0f} |", flush=True)


def make_animals(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return trials, and the true weights, of animals that learn by REINFORCE."""
    how: Any = {"n_choices": len(CHOICES), "random_state": seed}
    return make_learning_cohort(N_ANIMALS, N_TRIALS, return_weights=True, **how)


def design(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    return lr.make_design(trials, stimulus=STIMULI)[:2]


def under_all_names(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each animal six times, its places called otherwise each time."""
    animals = []
    for names in permutations(CHOICES):
        new = dict(zip(CHOICES, names, strict=True))
        columns = {f"stimulus_{name}": f"stimulus_{new[name]}" for name in CHOICES}
        animals.append(
            trials.rename(columns=columns).assign(
                subject=trials["subject"] + "".join(names),
                choice=trials["choice"].map(new),
                answer=trials["answer"].map(new),
            )
        )
    return pd.concat(animals, ignore_index=True)


def true_logits(stimuli: pd.DataFrame, weights: pd.DataFrame) -> NDArray[np.float64]:
    """Return each choice's log odds against the first's, (n_rows, C - 1)."""
    seen = stimuli.assign(bias=1.0)
    return np.stack([(weights[choice] * seen).sum(axis=1) for choice in CHOICES[1:]], axis=1)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
