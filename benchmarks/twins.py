"""Do twins learn as animals do? Mice held out, each beside twins that choose of their own accord.

    python benchmarks/twins.py TRIALS [--release FILE] --figure benchmarks/twins.png

TRIALS holds the twelve mice of Liu, Geadah & Pillow (2025), in five folds as there; FILE the 89 of
the release, of which 77 are fitted and the twelve simulated. Twins have the stimuli and sessions of
the mice that their fit has not seen, but for stimuli that answered the mice's errors: they get
those that answer their own, or with --replay the very stimuli. Fits, and what twins did by session,
are kept in --cache and not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from reproduce_ibl import FORGETS, HABITS, HISTORY, LASTING, NOISY, SIDES, animal_folds
from scaling import cohorts
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.simulation import BiasCorrection, predictive_check
from sklearn_learnrule.utils.files import replacing

CACHE = Path(__file__).with_name("twins_fits")
SEED, LEVEL = 99, 0.9
CORRECTION = BiasCorrection(easy=0.98)  # contrasts from 50%, as load_ibl_trials bends them
RELEASE = "77"  # mice of the release that are fitted, and so their fold
SEEDED: dict[str, Any] = {"random_state": SEED}
RULES = {
    f"{name}, noise{', history' * history}": make_pipeline(HISTORY if history else SIDES, rule)
    for history in (True, False)
    for name, rule in (
        ("no rule", lr.ConstantRuleEstimator(**NOISY)),
        ("REINFORCE", lr.ReinforceRuleEstimator(**(HABITS if history else FORGETS), **NOISY)),
        ("DNN", lr.DNNRuleEstimator(**NOISY, **SEEDED)),
        ("RNN", lr.RNNRuleEstimator(**NOISY, **SEEDED)),
    )
}
RULES["REINFORCE, noise, lasting history"] = make_pipeline(
    LASTING, lr.ReinforceRuleEstimator(**HABITS, **NOISY)
)
STATISTICS = (("accuracy", "accuracy", 3), ("bias", "bias", 2), ("slope", "slope_stimulus", 2))
EXPECTED = np.sqrt(2 / np.pi) / (2 * 1.645)  # mean distance from the mean, in widths of 90% bands


def make_folds(options: argparse.Namespace) -> list[tuple[str, Any, Any]]:
    """Return each fold's name, and X and y of the mice to fit and of those to simulate."""
    X, y, _ = lr.make_design(
        load_ibl_trials(options.trials, processing="published"), answer="answer"
    )
    folds = [
        (str(number), (X[fitted], y[fitted]), (X[held_out], y[held_out]))
        for number, (fitted, held_out) in enumerate(animal_folds(X, SEED))
    ]
    if options.release:
        release = load_ibl_trials(options.release, processing="published")
        parts = cohorts(release, int(RELEASE))
        fitted, held_out = (lr.make_design(part, answer="answer")[:2] for part in parts)
        folds.append((RELEASE, fitted, held_out))
    return folds


def measure(rule: str, fold: str, fitted: Any, held_out: Any, options: Any) -> pd.DataFrame:
    """Return what mice held out did, and their twins, by session; from the cache if it is there."""
    fit = options.cache / f"{rule}-{fold}.joblib"
    if not fit.exists():
        estimator = clone(RULES[rule]).fit(*fitted)
        with replacing(fit) as path:
            joblib.dump(estimator, path, compress=3)
    stimuli = "replay" if options.replay else "corrected"
    kept = options.cache / f"{rule}-{fold}-{stimuli}-{options.n_simulations}.csv"
    if not kept.exists():
        how: dict[str, Any] = {"n_simulations": options.n_simulations, "random_state": 0}
        how |= {"per_subject": True, "level": LEVEL, "verbose": 1}
        how["correction"] = None if options.replay else CORRECTION
        check = predictive_check(joblib.load(fit), *held_out, **how)
        with replacing(kept) as path:
            check.to_csv(path, index=False)
    return pd.read_csv(kept).assign(rule=rule, mice=RELEASE if fold == RELEASE else "10")


def summarize(check: pd.DataFrame) -> dict[str, str]:
    """Return cells of the table: what twins are off by, and what a twin itself would be."""
    cells = {}
    for name, statistic, digits in STATISTICS:
        rows = check[check["statistic"] == statistic]
        off = (rows["observed"] - rows["simulated"]).abs().mean()
        of_a_twin = EXPECTED * (rows["upper"] - rows["lower"]).mean()
        held = rows["observed"].between(rows["lower"], rows["upper"]).mean()
        cells[f"{name} off by"] = f"{off:.{digits}f} ({of_a_twin:.{digits}f})"
        cells[f"{name} held"] = f"{held:.0%}"
    curve = mean_curve(check)
    cells["mean curve off by"] = f"{(curve['observed'] - curve['simulated']).abs().mean():.3f}"
    stuck = check.loc[check["statistic"] == "one_sided", ["observed", "simulated"]].mean()
    cells["one-sided"] = f"{stuck['simulated']:.1%} ({stuck['observed']:.1%})"
    return cells


def mean_curve(check: pd.DataFrame) -> pd.DataFrame:
    """Return mean accuracies of at least half of the mice, by session."""
    rows = check[check["statistic"] == "accuracy"].groupby("block")
    means = rows[["observed", "simulated", "lower", "upper"]].mean()
    return means[rows.size() >= check["subject"].nunique() / 2]


def by_other_mice(check: pd.DataFrame) -> dict[str, str]:
    """Return the same cells where each mouse is foretold by the mean of the others."""
    cells = {}
    for name, statistic, digits in STATISTICS:
        rows = check[check["statistic"] == statistic]
        each = rows.pivot(index="block", columns="subject", values="observed")
        others = each.rsub(each.sum(axis=1), axis=0).div(each.count(axis=1) - 1, axis=0)
        cells[f"{name} off by"] = f"{(each - others).abs().stack().mean():.{digits}f}"
    return cells


def render(results: pd.DataFrame) -> str:
    """Return the Markdown table."""
    by_rule = results.groupby(["rule", "mice"], sort=False)
    rows = [
        {"rule": rule, "mice fitted": mice} | summarize(check) for (rule, mice), check in by_rule
    ]
    _, any_rule = next(iter(by_rule))
    rows.append(dict.fromkeys(rows[0], "") | {"rule": "the other mice"} | by_other_mice(any_rule))
    lines = [[*rows[0]], ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(results: pd.DataFrame, path: str) -> None:
    """Draw learning curves, of each mouse, their mean and their twins', a panel a rule."""
    from matplotlib.figure import Figure

    panels = list(results.groupby(["rule", "mice"], sort=False))
    n_columns = min(4, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = Figure(figsize=(2.4 * n_columns, 0.4 + 2 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    for panel in axes.flat[len(panels) :]:
        panel.set_visible(False)
    for panel, ((rule, mice), check) in zip(axes.flat, panels, strict=False):
        curves = check[check["statistic"] == "accuracy"].pivot(index="block", columns="subject")
        panel.plot(curves["observed"], color="0.75", linewidth=0.5)
        mean = mean_curve(check)
        panel.fill_between(mean.index, mean["lower"], mean["upper"], color="C1", alpha=0.25)
        panel.plot(mean["simulated"], color="C1", label="twins, and their 90% bands")
        panel.plot(mean["observed"], color="black", label="mice")
        panel.set_title(f"{rule}\n{mice} mice fitted", fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[-1]:
        panel.set_xlabel("session")
    for panel in axes[:, 0]:
        panel.set_ylabel("P(correct)")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    with replacing(path) as file:
        figure.savefig(file, dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", help="the twelve mice's trials, read by load_ibl_trials")
    parser.add_argument("--release", metavar="FILE", help="the release's, to fit 77 others as well")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE")
    parser.add_argument("--replay", action="store_true", help="the stimuli as the mice had them")
    parser.add_argument("--n-simulations", type=int, default=50, help="twins a mouse, default 50")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"default {CACHE.name}")
    parser.add_argument("--figure", help="where to draw the learning curves")
    options = parser.parse_args()
    options.cache.mkdir(exist_ok=True)
    folds = make_folds(options)
    results = pd.concat([measure(rule, *fold, options) for rule in options.rules for fold in folds])
    print(render(results))
    if options.figure:
        draw(results, options.figure)


if __name__ == "__main__":
    main()
