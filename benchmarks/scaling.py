"""How many mice does each rule need? Held-out likelihood, time and memory against mice fitted.

    python benchmarks/scaling.py FILE --figure benchmarks/scaling.png
    python benchmarks/scaling.py --render --figure benchmarks/scaling.png

FILE holds the first 10,001 trials of 89 mice of the International Brain Laboratory's release. Rules
are fitted to 5, 10, ... of the mice that are not the twelve of Liu, Geadah & Pillow (2025), in a
random order, the fewer among the more, and scored on those twelve; the first trial of an animal is
not scored. Each fit has a process of its own, so that its peak memory is its own, and goes to the
CSV beside this script when it is done; what stands there is not run again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from reproduce_ibl import HABITS, HISTORY
from sklearn.pipeline import make_pipeline
from tqdm import tqdm

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.utils.files import replacing

RESULTS = Path(__file__).with_suffix(".csv")
HELD_OUT = [f"CSHL_{i:03d}" for i in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15)]
SIZES = (5, 10, 20, 40, 77)
SECONDS = (20, 50, 100, 200, 500, 1000)  # ticks
NOISY: dict[str, Any] = {"process_noise": "learned"}
SEEDED: dict[str, Any] = {"random_state": 0}
RULES: dict[str, Any] = {
    "no rule, noise, history": make_pipeline(HISTORY, lr.ConstantRuleEstimator(**NOISY)),
    "REINFORCE, noise, history": make_pipeline(
        HISTORY, lr.ReinforceRuleEstimator(**HABITS, **NOISY)
    ),
    "DNN, noise, history": make_pipeline(HISTORY, lr.DNNRuleEstimator(**NOISY, **SEEDED)),
    "RNN, noise, history": make_pipeline(HISTORY, lr.RNNRuleEstimator(**NOISY, **SEEDED)),
    "RNN": lr.RNNRuleEstimator(**SEEDED),
}


def cohorts(trials: pd.DataFrame, n_mice: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials of some mice to fit, and those of the mice to score."""
    mice = np.array(sorted(set(trials["subject"]) - set(HELD_OUT)))
    chosen = np.random.RandomState(0).permutation(mice)[:n_mice]
    return tuple(trials[trials["subject"].isin(names)] for names in (chosen, HELD_OUT))


def fit_once(file: str, rule: str, n_mice: int) -> dict[str, float]:
    """Return what a fit in this process takes, and its total log-likelihood, in nats."""
    fitted, held_out = cohorts(load_ibl_trials(file, processing="published"), n_mice)
    X, y, _ = lr.make_design(fitted, answer="answer")
    start = time.perf_counter(), time.process_time()
    RULES[rule].fit(X, y)
    seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    X, y, _ = lr.make_design(held_out, answer="answer")
    counts = X.index.get_level_values("trial") > 0
    total = RULES[rule].score(X, y, sample_weight=counts) * counts.sum()
    return {"log_likelihood": total, "seconds": seconds, "cpu": cpu, "peak_gb": peak}


def measure(file: str, rule: str, n_mice: int) -> dict[str, Any]:
    once = [sys.executable, __file__, file, "--once", rule, str(n_mice)]
    answer = subprocess.run(once, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"rule": rule, "n_mice": n_mice, **json.loads(answer.splitlines()[-1])}


def run_missing(file: str, rules: list[str], sizes: list[int]) -> None:
    done = finished()
    known = set(zip(done["rule"], done["n_mice"], strict=True))
    missing = [(rule, n) for n in sorted(sizes) for rule in rules if (rule, n) not in known]
    for rule, n_mice in tqdm(missing, unit="fit"):
        done = pd.concat([finished(), pd.DataFrame([measure(file, rule, n_mice)])])
        with replacing(RESULTS) as path:
            done.round({"log_likelihood": 2, "seconds": 1, "cpu": 1, "peak_gb": 2}).to_csv(
                path, index=False
            )


def finished() -> pd.DataFrame:
    if RESULTS.exists():
        return pd.read_csv(RESULTS)
    return pd.DataFrame({"rule": pd.Series(dtype=str), "n_mice": pd.Series(dtype=int)})


def render(results: pd.DataFrame) -> str:
    """Return a Markdown table: a row a rule, and a cell a number of mice."""
    sizes = sorted(results["n_mice"].unique())
    lines = [
        f"| rule | {' | '.join(f'{n} mice' for n in sizes)} |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for rule in RULES:
        cells = [rule]
        for n_mice in sizes:
            row = results[(results["rule"] == rule) & (results["n_mice"] == n_mice)].squeeze()
            measured = "{log_likelihood:.0f} ({cpu:.0f} CPU s, {peak_gb:.1f} GB)"
            cells.append(measured.format(**row) if len(row) else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results: pd.DataFrame, path: str) -> None:
    """Draw the likelihood of mice held out, and CPU seconds, against mice fitted."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for rule, line in results.sort_values("n_mice").groupby("rule", sort=False):
        left.plot(line["n_mice"], line["log_likelihood"], "o-", markersize=4, label=rule)
        right.loglog(line["n_mice"], line["cpu"], "o-", markersize=4)
    left.set_xscale("log")
    for axis, ticks in ((left.xaxis, SIZES), (right.xaxis, SIZES), (right.yaxis, SECONDS)):
        axis.set(major_locator=FixedLocator(ticks), minor_locator=NullLocator())
        axis.set_major_formatter(ScalarFormatter())
    for axes in (left, right):
        axes.set_xlabel("mice fitted")
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("log-likelihood of twelve others (nats)")
    right.set_ylabel("CPU seconds a fit")
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    with replacing(path) as file:
        figure.savefig(file, dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE")
    parser.add_argument("--mice", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--figure", help="where to draw the learning curves")
    parser.add_argument("--render", action="store_true", help="fit nothing")
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        rule, n_mice = arguments.once
        print(json.dumps(fit_once(arguments.file, rule, int(n_mice))))
        return
    if not arguments.render:
        if arguments.file is None:
            parser.error("name the file of trials, or --render")
        run_missing(arguments.file, arguments.rules, arguments.mice)
    print(render(finished()))
    if arguments.figure:
        draw(finished(), arguments.figure)


if __name__ == "__main__":
    main()
