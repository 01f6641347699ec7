"""Held-out likelihood of twelve IBL mice, as in Tables 1 and 2 of Liu, Geadah & Pillow (2025).

    python benchmarks/reproduce_ibl.py FILE        # both tables, or what an earlier run left undone
    python benchmarks/reproduce_ibl.py FILE --seeds 99 --models REINFORCE DNN
    python benchmarks/reproduce_ibl.py --render    # the tables of what has been run

FILE holds the first 10,001 trials of CSHL_001 to 008, 010, 012, 014 and 015. "animals" (Table 1):
five folds by animal; "future" (Table 2): trained on every animal's first 5,500 scored trials,
scored on its next 500. The first trial of an animal is not scored. Every finished fit is a few
rows in the CSV beside this script; a killed run loses the fit it was in.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from skorch.callbacks import LRScheduler
from tqdm import tqdm

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.metrics import trial_log_likelihood

RESULTS = Path(__file__).with_suffix(".csv")
KEYS = ["table", "model", "seed", "fold"]
COLUMNS = [*KEYS, "subject", "n_trials", "log_likelihood", "seconds"]
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


def with_defaults(estimator: Any, seed: int) -> Any:
    return estimator(random_state=seed)


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
FORGETS: dict[str, Any] = {"forgetting": True}
ALONE = {"n_ensemble": 1}  # networks of six weights take their time
# Of what came before, REINFORCE's weights only drift: so it fits the training mice better.
HABITS = FORGETS | {"unlearned": ["choice_back", "win_stay", "stimulus_back"]}
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
MODELS = TABLES | WITH_NOISE


class Fold(NamedTuple):
    """Rows to fit, rows to predict from, and which of all rows are scored."""

    number: int
    fitted: pd.Series
    given: pd.Series
    scored: pd.Series


def animal_folds(X: pd.DataFrame, seed: int) -> Iterator[Fold]:
    """The paper's five folds: a seeded permutation of the mice, split in order."""
    subject, trial = (X.index.to_frame()[name] for name in ("subject", "trial"))
    mice = np.array(sorted(subject.unique()))
    shuffled = np.random.RandomState(seed).permutation(len(mice))
    for number, held_out in enumerate(np.array_split(shuffled, 5)):
        given = subject.isin(mice[held_out])
        yield Fold(number, ~given, given, given & (trial > 0))


def future_folds(X: pd.DataFrame, seed: int) -> Iterator[Fold]:
    del seed
    trial = X.index.to_frame()["trial"]
    given = trial <= N_TRAINED + N_FUTURE
    yield Fold(0, trial <= N_TRAINED, given, given & (trial > N_TRAINED))


FOLDS = {"animals": animal_folds, "future": future_folds}


def held_out(model: Model, seed: int, fold: Fold, X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    """Fit, and return each held-out subject's mean log-likelihood, in nats per trial."""
    start = time.perf_counter()
    if model.regressors is not None:
        X = model.regressors.fit_transform(X)
    after_first = (X.index.get_level_values("trial") > 0)[fold.fitted].astype(float)
    estimator = model.make(seed)
    estimator.fit(X[fold.fitted], y[fold.fitted], sample_weight=after_first)
    logits = estimator.decision_function(X[fold.given])
    is_second = y[fold.given] == estimator.classes_[1]
    scores = pd.Series(trial_log_likelihood(is_second, logits), is_second.index)
    by_subject = scores[fold.scored[fold.given]].groupby("subject")
    return pd.DataFrame(
        {
            "n_trials": by_subject.size(),
            "log_likelihood": by_subject.mean(),
            "seconds": round(time.perf_counter() - start, 1),
        }
    ).reset_index()


def finished() -> pd.DataFrame:
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)


def run(
    tables: list[str], models: list[str], seeds: list[int], X: pd.DataFrame, y: pd.Series, jobs: int
) -> None:
    """Fit what the CSV lacks, and append it."""
    done = set(finished()[KEYS].itertuples(index=False, name=None))
    todo = [
        joblib.delayed(fit_and_score)((table, name, seed, fold.number), fold, X, y)
        for seed in seeds
        for table in tables
        for name in models
        for fold in FOLDS[table](X, seed)
        if (table, name, seed, fold.number) not in done
    ]
    results = joblib.Parallel(jobs, return_as="generator_unordered")(todo)
    for rows in tqdm(results, total=len(todo), unit="fit"):
        rows.to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False)


def fit_and_score(key: tuple[Any, ...], fold: Fold, X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    """Return the rows of one fit, as they stand in the CSV."""
    _, name, seed, _ = key
    rows = held_out(MODELS[name], seed, fold, X, y)
    rows[KEYS] = key
    return rows[COLUMNS]


def render(table: str, results: pd.DataFrame) -> str:
    """Return the Markdown table: totals over all subjects' scored trials, mean of the seeds."""
    results = results[results["table"] == table]
    n_subjects = results["subject"].nunique()
    results = results.groupby(["model", "seed"]).filter(lambda rows: len(rows) == n_subjects)
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
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--tables", nargs="+", choices=FOLDS, default=list(FOLDS))
    which: dict[str, Any] = {"choices": MODELS, "default": list(TABLES), "metavar": "MODEL"}
    parser.add_argument("--models", nargs="+", **which, help="default: all without noise")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time, default 2")
    parser.add_argument("--render", action="store_true", help="fit nothing")
    arguments = parser.parse_args()
    if not arguments.render:
        if arguments.file is None:
            parser.error("name the file of trials, or --render")
        trials = load_ibl_trials(arguments.file, processing="published")
        X, y, _ = lr.make_design(trials, answer="answer")
        run(arguments.tables, arguments.models, arguments.seeds, X, y, arguments.jobs)
    results = finished()
    for table in results["table"].unique():
        print(f"\n{table}\n\n{render(table, results)}")


if __name__ == "__main__":
    main()
