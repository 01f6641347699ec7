"""The findings of mice_rules.py, mouse by mouse: what each does after a trial by rules of its own.

    python benchmarks/mice_individuals.py FILE

With process noise, rules in which something is each mouse's own are fitted to all twelve:
REINFORCE's baselines or its learning rate, two numbers that a DNN or an RNN reads. FILE is that of
``reproduce_ibl.py``. Finished fits are kept in ``--fits``, a folder.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mice_rules import BRIEF, NOISY, kept
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.inspection import history_table, subject_effects_table, subject_update_table

BASELINES = ["baseline[contrast]", "baseline[bias]"]
RULES = {
    "REINFORCE, own learning rate": lr.ReinforceRuleEstimator(
        subject_effects=["learning_rate"], **NOISY
    ),
    "REINFORCE, own baselines": lr.ReinforceRuleEstimator(subject_effects=BASELINES, **NOISY),
    "DNN, two numbers": lr.DNNRuleEstimator(subject_effects=2, **BRIEF, **NOISY),
    "RNN, two numbers": lr.RNNRuleEstimator(subject_effects=2, **BRIEF, **NOISY),
}


def own_updates(fitted: Any, X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    """Return what each mouse does after a trial, times 1000, on average over the contrasts.

    The contrast weight's change after an error, and the bias's towards the choice made, after a
    correct one and an error.
    """
    table = subject_update_table(fitted, X, y)
    side = np.where(table["choice"] == fitted[-1].classes_[1], 1, -1)
    table["stays"] = side * table["update_bias"]
    correct = table["correct"].astype(bool)
    means = {
        "contrast weight after an error": table[~correct].groupby("subject")["update_contrast"],
        "bias, win-stay": table[correct].groupby("subject")["stays"],
        "bias, stay after an error": table[~correct].groupby("subject")["stays"],
    }
    return 1000 * pd.DataFrame({name: group.mean() for name, group in means.items()})


def reward_gap(fitted: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Return the typical mouse's update after a rewarded run less that after an unrewarded one."""
    how = {"lengths": (1, 4), "stimuli": [-1.0, 1.0], "n_warm_up": 20, "n_draws": 8}
    table = history_table(fitted, X, **how)
    runs = table.pivot_table("update_contrast", "length", "run")
    return (1000 * (runs["rewarded"] - runs["unrewarded"])).rename("gap").to_frame()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE")
    parser.add_argument("--fits", type=Path, default=Path("mice_rules_fits"))
    arguments = parser.parse_args()
    trials = load_ibl_trials(arguments.file, processing="published")
    X, y, _ = lr.make_design(trials, stimulus="contrast", answer="answer")
    pd.set_option("display.width", 200)
    for name in arguments.rules:
        rule = make_pipeline(lr.TanhContrast(), clone(RULES[name]))
        fitted = kept(arguments.fits, name, partial(rule.fit, X, y))
        print(f"\n{name}: {len(y) * fitted.score(X, y):.0f} nats", flush=True)
        if "numbers" in name:
            updates = own_updates(fitted, X, y)
            counts = pd.DataFrame({"mice above 0": (updates > 0).sum(), "mean": updates.mean()})
            print(updates.round(2).to_string(), counts.round(2).to_string(), sep="\n\n")
            if "RNN" in name:
                print(reward_gap(fitted, X).round(2).to_string())
        else:
            print(fitted[-1].summary_.round(4).to_string())
            print(subject_effects_table(fitted, X, y).round(3).to_string())


if __name__ == "__main__":
    main()
