"""Does mirror="auto" tell whether what is learned of one choice is learned of all?

    python benchmarks/mirror_auto.py

Simulated animals learn by REINFORCE, of all choices at one rate or of the first at three times that
of the others; of each kind of cohort, the share that a DNN is told to take for alike.
"""

from __future__ import annotations

import argparse
from itertools import product

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import LearningRule, ReinforceRule

SIZES = ((6, 200), (12, 600))
RATE, TIMES = 0.03, 3.0
CHOICES = "ABC"


def make_rule(n_choices: int, apart: bool) -> LearningRule:
    n_features = 2 if n_choices == 2 else n_choices + 1  # one stimulus by its side, or one each
    n_weights = n_features * (n_choices - 1)
    rule = ReinforceRule(n_weights, "free", side_specific=True, n_choices=n_choices)
    rates = torch.full((n_choices, 1), RATE)
    rates[0] *= TIMES if apart else 1
    with torch.no_grad():
        rule.root_learning_rate.copy_(rates.sqrt())
    return rule


def takes_for_alike(n_choices: int, size: tuple[int, int], rule: LearningRule, seed: int) -> bool:
    """Return what a network was told of a cohort; it is hardly trained."""
    trials = make_learning_cohort(*size, n_choices=n_choices, rule=rule, random_state=seed)
    of_places = [f"stimulus_{choice}" for choice in CHOICES]
    X, y, _ = lr.make_design(trials, stimulus="stimulus" if n_choices == 2 else of_places)
    network = lr.DNNRuleEstimator(max_epochs=1, n_ensemble=1, random_state=0)
    return bool(network.fit(X, y).mirrored_)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=16, help="of each kind")
    options = parser.parse_args()
    kinds = list(product((2, 3), SIZES, (False, True)))
    print("| choices | animals x trials | learned | taken for alike |\n|---|---|---|---|")
    for n_choices, size, apart in tqdm(kinds, unit="kind"):
        rule = make_rule(n_choices, apart)
        found = [takes_for_alike(n_choices, size, rule, seed) for seed in range(options.cohorts)]
        how = f"{TIMES:g} : 1" if apart else "alike"
        share = f"{sum(found)} of {len(found)}"
        tqdm.write(f"| {n_choices} | {size[0]} x {size[1]} | {how} | {share} |")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
