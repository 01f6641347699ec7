"""Held-out likelihood of twelve IBL mice, as in Tables 1 and 2 of Liu, Geadah & Pillow (2025).

    python benchmarks/reproduce_ibl.py FILE        # both tables, or what an earlier run left undone
    python benchmarks/reproduce_ibl.py FILE --seeds 99 --models REINFORCE DNN
    python benchmarks/reproduce_ibl.py --render    # the tables of what has been run

FILE holds the first 10,001 trials of CSHL_001 to 008, 010, 012, 014 and 015. "animals" (Table 1):
five folds by animal; "future" (Table 2): trained on every animal's first 5,500 scored trials,
scored on its next 500. The first trial of an animal is not scored. Every finished fit is kept in
--cache, and a killed run goes on where it was. The CSV beside this script, the published record, is
written whole, when all folds of a table and seed are done; what it has is not run again.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from sklearn.pipeline import make_pipeline
from skorch.callbacks import LRScheduler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.utils.files import replacing

RESULTS = Path(__file__).with_suffix(".csv")
CACHE = Path(__file__).with_name("reproduce_ibl_fits")
ROW = ["table", "model", "seed", "fold", "subject"]
COLUMNS = [*ROW, "n_trials", "log_likelihood", "seconds"]
SEEDS = (99, 41, 42, 43)
N_TRAINED, N_FUTURE = 5500, 500
REFERENCE = "REINFORCE"
FIXED_START: dict[str, Any] = {"initial_weights": "zeros", "train_initial_weights": False}


class Model(NamedTuple):
    """A row of the tables: published totals, and an estimator for a seed."""

    animals: float | None
    future: float | None
    make: Callable[[int], Any]
    regressors: lr.PolicyRegressors | None = None


def reinforce(baseline: str, seed: int) -> Any:
    del seed  # nothing is random
    return lr.ReinforceRuleEstimator(baseline=baseline, **FIXED_START)


def network(estimator: Any, seed: int) -> Any:
    """The paper's training: Adam, 1,000 epochs, gradients of 500 trials, no regulariser."""
    decay = LRScheduler("StepLR", step_size=5, gamma=0.999)
    how = {"lr": 1e-3, "max_epochs": 1000, "batch_size": -1, "truncation": 500}
    plain: dict[str, Any] = {"n_ensemble": 1, "weight_decay": 0.0, "average": False}
    plain |= {"gradient_clip_value": np.inf, "mirror": False}
    start = {} if estimator is lr.ChoiceRNNClassifier else FIXED_START
    return estimator(random_state=seed, callbacks=[("decay", decay)], **how, **plain, **start)


def with_defaults(estimator: Any, seed: int, **parameters: Any) -> Any:
    return estimator(random_state=seed, **parameters)


def drifting(estimator: Any, seed: int, **parameters: Any) -> Any:
    """Return a rule with process noise, whose subjects may start apart."""
    if estimator in (DNN, RNN):
        how = {"lr": 3e-3, "max_epochs": 60, "weight_decay": 0.3, "mirror": False}
        parameters |= {"random_state": seed, **how}
    return estimator(process_noise="learned", **parameters)


BACK = lr.PolicyRegressors(previous_choice=False, win_stay=False)
SIDES = lr.PolicyRegressors(
    previous_choice=False, win_stay=False, previous_stimulus=False, split_sides=True
)
HISTORY = lr.PolicyRegressors(split_sides=True)
LASTING = lr.PolicyRegressors(split_sides=True, trace_decay=0.75)  # chosen on other mice
FORGETS: dict[str, Any] = {"forgetting": True}
NOISY: dict[str, Any] = {"process_noise": "learned"}
ALONE = {"n_ensemble": 1}  # networks of six weights take their time
# Of what came before, REINFORCE's weights only drift: so it fits the training mice better.
HABITS = FORGETS | {"unlearned": "habits"}
DNN, RNN, TINY = lr.DNNRuleEstimator, lr.RNNRuleEstimator, lr.ChoiceRNNClassifier
TABLES = {
    "REINFORCE, nonnegative": Model(-68532, -3272.4, partial(reinforce, "nonnegative")),
    "REINFORCE": Model(-60576, -2924.4, partial(reinforce, "free")),
    "tinyRNN": Model(-60564, -2893.8, partial(network, TINY)),
    "REINFORCE, previous stimulus": Model(-60504, -2914.8, partial(reinforce, "free"), BACK),
    "DNN": Model(-60360, -2905.8, partial(network, DNN)),
    "DNN, previous stimulus": Model(-60168, -2890.2, partial(network, DNN), BACK),
    "RNN": Model(-59892, -2881.2, partial(network, RNN)),
    "DNN, our defaults": Model(None, None, partial(with_defaults, DNN)),
    "RNN, our defaults": Model(None, None, partial(with_defaults, RNN)),
    "tinyRNN, our defaults": Model(None, None, partial(with_defaults, TINY)),
}
WITH_NOISE = {
    f"{name}, noise{', history' * (regressors is HISTORY)}": Model(
        None, None, partial(drifting, estimator, **parameters), regressors
    )
    for regressors in (SIDES, HISTORY)
    for name, estimator, parameters in (
        ("no rule", lr.ConstantRuleEstimator, {}),
        ("REINFORCE", lr.ReinforceRuleEstimator, HABITS if regressors is HISTORY else FORGETS),
        ("DNN", DNN, ALONE if regressors is HISTORY else {}),
        ("RNN", RNN, ALONE if regressors is HISTORY else {}),
    )
}
WITH_NOISE["RNN, noise, history, our defaults"] = Model(
    None, None, partial(with_defaults, RNN, process_noise="learned"), HISTORY
)
WITH_TRACES = {
    f"{name}, lasting history": Model(None, None, partial(with_defaults, rule, **how), LASTING)
    for name, rule, how in (
        ("REINFORCE", lr.ReinforceRuleEstimator, FORGETS),
        ("no rule, noise", lr.ConstantRuleEstimator, NOISY),
        ("REINFORCE, noise", lr.ReinforceRuleEstimator, HABITS | NOISY),
        ("DNN, noise", DNN, NOISY),
        ("RNN, noise", RNN, NOISY),
    )
}
MODELS = TABLES | WITH_NOISE | WITH_TRACES


def animal_folds(X: pd.DataFrame, seed: int) -> list[tuple[Any, Any]]:
    """The paper's five folds: a seeded permutation of the mice, split in order."""
    subject = X.index.get_level_values("subject")
    mice = np.array(sorted(subject.unique()))
    shuffled = np.random.RandomState(seed).permutation(len(mice))
    folds = np.array_split(shuffled, 5)
    return [(~(held := subject.isin(mice[fold])), held) for fold in folds]


def future_folds(X: pd.DataFrame, seed: int) -> lr.FutureSplit:
    del X, seed
    return lr.FutureSplit(n_train=1 + N_TRAINED, n_test=N_FUTURE)  # the first is not scored


FOLDS = {"animals": animal_folds, "future": future_folds}


def run(
    table: str,
    names: list[str],
    seed: int,
    X: pd.DataFrame,
    y: pd.Series,
    how: dict[str, Any],
) -> pd.DataFrame:
    """Fit these models on all folds of a table, and return their rows of the record."""
    models = {}
    for name in names:
        estimator, regressors = MODELS[name].make(seed), MODELS[name].regressors
        models[name] = make_pipeline(regressors, estimator) if regressors else estimator
    after_first = X.index.get_level_values("trial") > 0
    cv = FOLDS[table](X, seed)
    scores = lr.compare_rules(models, X, y, cv=cv, sample_weight=after_first, **how)
    scores = scores.dropna(subset="log_likelihood")  # what failed is tried again
    scores = scores.rename(columns={"rule": "model"}).assign(table=table, seed=seed)
    return scores.assign(seconds=scores["seconds"].round(1))[COLUMNS]


def finished() -> pd.DataFrame:
    """Read the record; rows that stand in it twice are one, and raise where they differ."""
    if not RESULTS.exists():
        return pd.DataFrame(columns=COLUMNS)
    whole, _, torn = RESULTS.read_text().rpartition("\n")
    if torn:
        warnings.warn(
            f"{RESULTS.name} ends in a torn line, which is left out: {torn}", stacklevel=2
        )
    exact = {"log_likelihood": str}  # whose last digit pandas might miss
    results = pd.read_csv(StringIO(whole), dtype=exact).astype({"log_likelihood": float})
    results = results.drop_duplicates([*ROW, "n_trials", "log_likelihood"], ignore_index=True)
    if (twice := results.duplicated(ROW)).any():
        row = results.loc[twice.idxmax(), ROW].to_dict()
        raise ValueError(f"{RESULTS.name} has two log-likelihoods of {row}: delete the wrong one.")
    return results


def record(results: pd.DataFrame) -> None:
    """Write the record whole."""
    with replacing(RESULTS) as file:
        results.to_csv(file, index=False)


def run_missing(
    tables: list[str],
    names: list[str],
    seeds: list[int],
    X: pd.DataFrame,
    y: pd.Series,
    how: dict[str, Any],
) -> None:
    """Fit what the record lacks, and write it whole after each table and seed."""
    n_mice = X.index.unique("subject").size
    for seed in seeds:
        for table in tables:
            results = finished()
            here = results[(results["table"] == table) & (results["seed"] == seed)]
            n_scored = here.groupby("model")["subject"].nunique()
            missing = [name for name in names if n_scored.get(name) != n_mice]
            if missing:
                rest = results.drop(here.index[here["model"].isin(missing)])
                record(pd.concat([rest, run(table, missing, seed, X, y, how)]))


def render(table: str, results: pd.DataFrame) -> str:
    """Return the Markdown table: totals over all subjects' scored trials, mean of the seeds."""
    results = results[results["table"] == table]
    n_mice = results["subject"].nunique()
    by_cell = results.groupby(["model", "seed"])
    incomplete = [cell for cell, rows in by_cell if rows["subject"].nunique() < n_mice]
    results = by_cell.filter(lambda rows: rows["subject"].nunique() == n_mice)
    n_scored = results.drop_duplicates("subject")["n_trials"].sum()
    by_seed = results.pivot_table("log_likelihood", "model", "seed") * n_scored
    by_subject = results.pivot_table("log_likelihood", ["subject", "seed"], "model") * n_scored
    reference = by_subject[REFERENCE] if REFERENCE in by_subject else np.nan  # not run yet
    difference = by_subject.sub(reference, axis=0).groupby("subject").mean()
    fits = results.drop_duplicates(["model", "seed", "fold"])
    seconds = fits.groupby("model")["seconds"].sum() / fits.groupby("model")["seed"].nunique()
    lines = [
        f"| model | published | ours | {' | '.join(f'seed {s}' for s in by_seed)} "
        f"| − {REFERENCE} ± s.e. | p | s / seed |",
        "|" + "---|" * (6 + by_seed.shape[1]),
    ]
    digits = 0 if table == "animals" else 1
    for name, model in MODELS.items():
        if name not in by_seed.index:
            continue
        published = getattr(model, table)
        gain = difference[name]
        p = ttest_1samp(gain, 0).pvalue if name != REFERENCE else np.nan
        cells = [
            name,
            "" if published is None else f"{published:.{digits}f}",
            f"**{by_seed.loc[name].mean():.{digits}f}**",
            *("" if np.isnan(total) else f"{total:.{digits}f}" for total in by_seed.loc[name]),
            "" if np.isnan(p) else f"{gain.mean():+.{digits}f} ± {gain.sem():.{digits}f}",
            "" if np.isnan(p) else f"{p:.2g}",
            f"{seconds[name]:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\nNot complete: {name}, seed {seed}" for name, seed in incomplete]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--tables", nargs="+", choices=FOLDS, default=list(FOLDS))
    which: dict[str, Any] = {"choices": MODELS, "default": list(TABLES), "metavar": "MODEL"}
    parser.add_argument("--models", nargs="+", **which, help="default: all without noise")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time, default 2")
    parser.add_argument("--cache", default=CACHE, help=f"finished fits, default {CACHE.name}")
    parser.add_argument("--render", action="store_true", help="fit nothing")
    arguments = parser.parse_args()
    if not arguments.render:
        if arguments.file is None:
            parser.error("name the file of trials, or --render")
        trials = load_ibl_trials(arguments.file, processing="published")
        X, y, _ = lr.make_design(trials, answer="answer")
        how = {"cache": arguments.cache, "n_jobs": arguments.jobs}
        run_missing(arguments.tables, arguments.models, arguments.seeds, X, y, how)
    results = finished()
    for table in results["table"].unique():
        print(f"\n{table}\n\n{render(table, results)}")


if __name__ == "__main__":
    main()
