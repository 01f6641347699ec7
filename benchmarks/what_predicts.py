"""What predicts a mouse's next choice? Twelve mice never seen, one thing added at a time.

    python benchmarks/what_predicts.py FILE --figure benchmarks/what_predicts.png
    python benchmarks/what_predicts.py --render --figure benchmarks/what_predicts.png

FILE holds the first 10,001 trials of 89 mice of the International Brain Laboratory's release. Each
row is fitted to ten of the twelve mice of Liu, Geadah & Pillow (2025) and scored on the others
(five folds, seed 99), but those of 77 other mice, which are fitted; the first trial of an animal is
not scored. Finished fits stand in the CSV beside this script, and are not run again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from reproduce_ibl import FIXED_START, HABITS, HISTORY, LASTING, SIDES, animal_folds
from scaling import HELD_OUT, cohorts
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline
from tqdm import tqdm

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.utils.files import replacing

RESULTS = Path(__file__).with_suffix(".csv")
SEED = 99
FOLDS = ("0", "1", "2", "3", "4")
OTHERS = "77 others"
N_SCORED = 120_000
DRIFT: dict[str, Any] = {"process_noise": "learned", "random_state": SEED}
OWN: dict[str, Any] = {"subject_effects": ["process_noise"]}


class Row(NamedTuple):
    """What is added to the row before, the estimator, its folds, and the published total."""

    estimator: Any
    folds: tuple[str, ...] = FOLDS
    published: float | None = None


def rnn(regressors: lr.PolicyRegressors, **parameters: Any) -> Any:
    return make_pipeline(regressors, lr.RNNRuleEstimator(**DRIFT, **parameters))


def vote(*rules: Any) -> VotingClassifier:
    return VotingClassifier([(f"rule {i}", rule) for i, rule in enumerate(rules)], voting="soft")


REINFORCE = make_pipeline(LASTING, lr.ReinforceRuleEstimator(**DRIFT, **HABITS))
DNN = make_pipeline(LASTING, lr.DNNRuleEstimator(**DRIFT))
ROWS = {
    "a policy that never changes": Row(lr.ConstantRuleEstimator()),
    "a textbook rule: REINFORCE": Row(
        lr.ReinforceRuleEstimator(baseline="free", **FIXED_START), published=-60576
    ),
    "a flexible rule: DNN": Row(lr.DNNRuleEstimator(random_state=SEED), published=-60360),
    "that remembers: RNN": Row(lr.RNNRuleEstimator(random_state=SEED), published=-59892),
    "weights that drift, sides apart": Row(rnn(SIDES)),
    "habits of choosing": Row(rnn(HISTORY)),
    "drift of each animal's own": Row(rnn(HISTORY, **OWN)),
    "lasting habits; two rules vote": Row(vote(REINFORCE, DNN)),
    "77 other mice": Row(vote(REINFORCE, DNN), (OTHERS,)),
    "the RNN of no drift votes, too": Row(
        vote(REINFORCE, DNN, lr.RNNRuleEstimator(random_state=SEED)), (OTHERS,)
    ),
}


def run_missing(file: str, names: list[str]) -> None:
    trials = load_ibl_trials(file, processing="published")
    X, y, _ = lr.make_design(trials[trials["subject"].isin(HELD_OUT)], answer="answer")
    by_fold = dict(zip(FOLDS, animal_folds(X, SEED), strict=True))
    done = set(finished()[["row", "fold"]].itertuples(index=False, name=None))
    missing = [(n, fold) for n in names for fold in ROWS[n].folds if (n, fold) not in done]
    for name, fold in tqdm(missing, unit="fit"):
        if fold == OTHERS:
            X_train, y_train, _ = lr.make_design(cohorts(trials, 77)[0], answer="answer")
            X_test, y_test = X, y
        else:
            train, test = by_fold[fold]
            X_train, y_train, X_test, y_test = X[train], y[train], X[test], y[test]
        start = time.process_time()
        estimator = clone(ROWS[name].estimator).fit(X_train, y_train)
        seconds = time.process_time() - start
        scores = score(estimator, X_test, y_test)
        rows = scores.assign(row=name, fold=fold, cpu_seconds=round(seconds, 1))
        with replacing(RESULTS) as path:
            pd.concat([finished(), rows]).to_csv(path, index=False)


def score(estimator: Any, X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    """Return each mouse's log-likelihood, in nats."""
    made = np.searchsorted(estimator.classes_, y)
    nats = pd.Series(np.log(estimator.predict_proba(X)[np.arange(len(X)), made]), index=X.index)
    nats = nats[nats.index.get_level_values("trial") > 0]
    by_mouse = nats.groupby("subject", sort=False).agg(["size", "sum"]).reset_index()
    return by_mouse.set_axis(["subject", "n_trials", "log_likelihood"], axis=1).round(2)


def finished() -> pd.DataFrame:
    if RESULTS.exists():
        return pd.read_csv(RESULTS, dtype={"fold": str})
    return pd.DataFrame(columns=["subject", "n_trials", "log_likelihood", "row", "fold"])


def of_mice(results: pd.DataFrame) -> pd.DataFrame:
    """Return log-likelihoods of the rows that are complete, (12, n_rows), in nats."""
    table = results.pivot_table("log_likelihood", "subject", "row").reindex(columns=list(ROWS))
    return table.loc[:, table.notna().sum() == len(HELD_OUT)]


def bits(nats: Any) -> Any:
    """Return bits per trial above chance of log-likelihoods of 10,000 trials each."""
    return nats / (N_SCORED / len(HELD_OUT)) / np.log(2) + 1


def interval(values: pd.Series) -> float:
    """Return half the width of the mean's 95% interval over mice."""
    return float(values.sem() * student.ppf(0.975, len(values) - 1))


def render(table: pd.DataFrame) -> str:
    """Return a Markdown table: a row a thing added."""
    head = "| | nats | published | bits a trial above chance | added, millibits | mice that gain |"
    lines = [head, "|---" * 6 + "|"]
    before = None
    for name, nats in table.items():
        published = ROWS[str(name)].published
        cells = [str(name), f"{nats.sum():.0f}", "" if published is None else f"{published:.0f}"]
        cells.append(f"{bits(nats).mean():.4f}")
        if before is not None:
            gain = 1000 * (bits(nats) - bits(before))
            cells += [f"{gain.mean():+.1f} ± {interval(gain):.1f}", f"{(gain > 0).sum()} of 12"]
        lines.append(f"| {' | '.join(cells + (6 - len(cells)) * [''])} |")
        before = nats
    return "\n".join(lines)


def draw(table: pd.DataFrame, path: str) -> None:
    """Draw bits above chance, and what each thing has added, each mouse a dot."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(9, 0.8 + 0.4 * table.shape[1]), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = list(table)
    for place, name in enumerate(names):
        each = bits(table[name])
        left.barh(place, each.mean(), color="#56B4E9", height=0.65)
        left.text(each.mean(), place, f" {each.mean():.3f}", va="center", fontsize=8)
        if (published := ROWS[name].published) is not None:
            at = bits(published / len(HELD_OUT))
            left.plot(2 * [at], [place - 0.4, place + 0.4], color="#D55E00", linewidth=2)
        if place:
            gain = 1000 * (each - bits(table[names[place - 1]]))
            right.plot(gain, len(gain) * [place], ".", color="#999999", markersize=4)
            right.errorbar(gain.mean(), place, xerr=interval(gain), fmt="o", color="black",
                           markersize=4, capsize=2)  # fmt: skip
    left.plot([], [], color="#D55E00", linewidth=2, label="published by Liu et al. (2025)")
    left.set_yticks(range(len(names)), [f"{'+ ' * (i > 0)}{name}" for i, name in enumerate(names)])
    left.invert_yaxis()
    left.set_xlim(0, 1.15 * bits(table).mean().max())
    left.set_xlabel("bits a trial above chance, mice never seen")
    right.axvline(0, color="#999999", linewidth=0.8)
    right.set_xscale("symlog", linthresh=10)
    right.set_xticks(ticks := [-10, 0, 10, 100], ticks, minor=False)
    right.xaxis.set_minor_locator(NullLocator())
    right.set_xlabel("added, millibits a trial\n(dots: mice; mean and 95% interval)")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside upper right", fontsize=8)
    with replacing(path) as file:
        figure.savefig(file, dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--figure", help="where to draw the map")
    parser.add_argument("--render", action="store_true", help="fit nothing")
    arguments = parser.parse_args()
    if not arguments.render:
        if arguments.file is None:
            parser.error("name the file of trials, or --render")
        run_missing(arguments.file, arguments.rows)
    table = of_mice(finished())
    print(render(table))
    if arguments.figure:
        draw(table, arguments.figure)


if __name__ == "__main__":
    main()
