"""What it is worth on the twelve mice that something is each animal's own.

Five folds of animals as in the paper, process noise, choices weighed apart by side; with
``--history``, the choice, outcome and stimulus of the trial before are in the policy as well:

    python benchmarks/individuals.py TRIALS [--history]
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from reproduce_ibl import ALONE, DNN, FORGETS, HABITS, HISTORY, SIDES, animal_folds, drifting
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials

NOISY: dict[str, Any] = {"process_noise": "learned"}
OWN_NOISE, OWN_RATE = ({"subject_effects": [name]} for name in ("process_noise", "learning_rate"))
network = partial(drifting, DNN, 99, **ALONE)
RULES = {
    "no rule": lr.ConstantRuleEstimator(**NOISY),
    "no rule, own process noise": lr.ConstantRuleEstimator(**NOISY, **OWN_NOISE),
    "REINFORCE": lr.ReinforceRuleEstimator(**NOISY, **FORGETS),
    "REINFORCE, own process noise": lr.ReinforceRuleEstimator(**NOISY, **FORGETS, **OWN_NOISE),
    "REINFORCE, own learning rate": lr.ReinforceRuleEstimator(**NOISY, **FORGETS, **OWN_RATE),
    "DNN": network(),
    "DNN, own process noise": network(**OWN_NOISE),
    "DNN, own learning rate": network(**OWN_RATE),
    "DNN, two numbers": network(subject_effects=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE")
    parser.add_argument("--history", action="store_true", help="habits in the policy, too")
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--cache", help="a folder for finished fits")
    options = parser.parse_args()
    trials = load_ibl_trials(options.trials, processing="published")
    X, y, _ = lr.make_design(trials, answer="answer")
    regressors = HISTORY if options.history else SIDES
    rules = {name: clone(RULES[name]) for name in options.rules}
    for name, rule in rules.items():
        if options.history and name.startswith("REINFORCE"):
            rule.set_params(**HABITS)  # which it does not learn
    scores = lr.compare_rules(
        {name: make_pipeline(regressors, rule) for name, rule in rules.items()},
        X,
        y,
        cv=animal_folds(X, options.seed),
        sample_weight=X.index.get_level_values("trial") > 0,
        cache=options.cache,
    )
    scores["total"] = scores["log_likelihood"] * scores["n_trials"]
    print(scores.pivot_table(index="subject", columns="rule", values="total", margins=True,
                             aggfunc="sum").round(1).to_string())  # fmt: skip


if __name__ == "__main__":
    main()
