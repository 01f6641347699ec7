"""
Which learning rule predicts held-out animals best?
===================================================

By default on a simulated cohort that learns by REINFORCE; with ``--trials`` on your own table::

    python examples/compare_rules.py
    python examples/compare_rules.py --trials mice.csv --choice response --rules REINFORCE DNN
"""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import IBL_COLUMNS, load_ibl_trials, make_learning_cohort
from sklearn_learnrule.plotting import ComparisonDisplay
from sklearn_learnrule.utils.files import replacing

# A tenth of the default training: the ranking of the rules is clear by then.
QUICK: dict[str, Any] = {"n_ensemble": 1, "max_epochs": 60, "lr": 3e-3, "random_state": 0}
RULES: dict[str, Any] = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(),
    "REINFORCE, no baseline": lr.ReinforceRuleEstimator(baseline=None),
    "RewardMax": lr.RewardMaxRuleEstimator(),
    "PredictMax": lr.PredictMaxRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(**QUICK),
    "RNN": lr.RNNRuleEstimator(**QUICK),
}
DEFAULT_RULES = ("constant", "REINFORCE", "DNN", "RNN")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Rank learning rules by how well they predict held-out animals."
    )
    parser.add_argument("--trials", help="CSV file of trials; default: a simulated cohort")
    for column in ("subject", "session", "choice", "reward"):
        parser.add_argument(f"--{column}", default=column, help=f"its column of {column}s")
    parser.add_argument("--stimulus", nargs="+", default=["stimulus"], help="its stimulus columns")
    parser.add_argument("--answer", help="its column of correct choices, if it has one")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=DEFAULT_RULES, metavar="RULE",
                        help=f"any of: {', '.join(map(repr, RULES))}")  # fmt: skip
    parser.add_argument("--reference", default="REINFORCE", choices=RULES, metavar="RULE",
                        help="the rule to compare with")  # fmt: skip
    parser.add_argument("--folds", type=int, default=5, help="of animals (default: 5)")
    parser.add_argument("--max-trials", type=int, help="keep each animal's first trials only")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    parser.add_argument("--figure", default="compare_rules.png", help="where to save the figure")
    return parser.parse_args()


def read_trials(arguments: argparse.Namespace) -> pd.DataFrame:
    """Return the table of trials, its columns named as make_design expects."""
    if arguments.trials is None:
        return make_learning_cohort(n_subjects=15, n_trials=1000, random_state=1)
    header = pd.read_csv(arguments.trials, nrows=0).columns
    if set(IBL_COLUMNS) <= set(header):
        return load_ibl_trials(arguments.trials)
    return pd.read_csv(arguments.trials)


def read_design(arguments: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Return X and y, each animal's first trials only if so asked."""
    X, y, _ = lr.make_design(
        read_trials(arguments),
        stimulus=arguments.stimulus,
        choice=arguments.choice,
        reward=arguments.reward,
        subject=arguments.subject,
        session=arguments.session,
        answer=arguments.answer,
    )
    if not arguments.max_trials:
        return X, y
    early = X.index.get_level_values("trial") < arguments.max_trials
    return X[early], y[early]


def main() -> None:
    arguments = read_arguments()
    try:
        X, y = read_design(arguments)
    except (ValueError, OSError) as error:
        raise SystemExit(f"compare_rules: {error}") from None
    n_animals = X.index.unique("subject").size
    print(f"{len(X)} trials of {n_animals} animals, {arguments.folds} folds by animal\n")
    rules = {name: RULES[name] for name in dict.fromkeys([*arguments.rules, arguments.reference])}
    scores = lr.compare_rules(rules, X, y, cv=arguments.folds, n_jobs=arguments.jobs)
    table = lr.rank_rules(scores, arguments.reference)
    print(f"\nHeld-out animals, log-likelihood in nats per trial, difference from "
          f"{arguments.reference}:\n")  # fmt: skip
    print(table[list(FORMATS)].to_string(formatters=FORMATS))
    save_figure(scores, arguments)


FORMATS: Any = {
    "log_likelihood": "{:.4f}".format,
    "standard_error": "{:.4f}".format,
    "bits_above_chance": "{:.3f}".format,
    "difference": "{:+.4f}".format,
    "p_value": "{:.2g}".format,
    "accuracy": "{:.3f}".format,
    "seconds": "{:.1f}".format,
}


def save_figure(scores: pd.DataFrame, arguments: argparse.Namespace) -> None:
    try:
        display = ComparisonDisplay.from_scores(scores, reference=arguments.reference)
    except ImportError:
        print("\nInstall matplotlib, or sklearn_learnrule[plot], to get the figure as well.")
        return
    with replacing(arguments.figure) as file:
        display.figure_.savefig(file, dpi=200)
    print(f"\nFigure: {arguments.figure}")


if __name__ == "__main__":
    main()
