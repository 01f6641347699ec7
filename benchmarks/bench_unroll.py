"""Seconds and peak memory of one exact gradient, by engine, as ratios to the loop.

    python benchmarks/bench_unroll.py --figure benchmarks/unroll.png

Goes along three axes from 12 subjects x 10,000 trials and the default networks: trials, subjects
(at 3,000 trials), hidden sizes. Each measurement has a process of its own, so that its peak
memory is its own; the loop's is taken in the same run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from sklearn_learnrule.engine import ENGINES, unroll
from sklearn_learnrule.rules import DNNRule, LearningRule, ReinforceRule, RNNRule, Trial
from sklearn_learnrule.utils.files import replacing

RULES = ("REINFORCE", "DNN", "RNN")
MAX_LOOP_WORK = 4e6  # subjects x trials beyond which the loop's graph no longer fits


def make_rule(name: str, hidden: int) -> LearningRule:
    if name == "REINFORCE":
        return ReinforceRule(2, "free")
    if name == "DNN":
        return DNNRule(2, (hidden, hidden))
    return RNNRule(2, hidden, (hidden, hidden))


def random_trials(n_subjects: int, n_trials: int, device: str) -> tuple[Trial, torch.Tensor]:
    """Return coin flips for choices and rewards, on the device."""
    torch.manual_seed(0)
    coins = (torch.rand(4, n_subjects, n_trials, device=device) < 0.5).float()
    stimulus = torch.rand(n_subjects, n_trials, 1, device=device) * 2 - 1
    features = torch.cat([stimulus, torch.ones_like(stimulus)], -1)
    observed = torch.ones(n_subjects, n_trials, dtype=torch.bool, device=device)
    observed[:, -1] = False
    return Trial(features, *coins), observed


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Return the best of some gradients, in seconds, and the memory it took, in GB."""
    torch.manual_seed(0)
    rule = make_rule(case["rule"], case["hidden"]).to(case["device"])
    trials, observed = random_trials(case["subjects"], case["trials"], case["device"])
    start = torch.zeros(case["subjects"], 2, device=case["device"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    while len(seconds) < 2 or (sum(seconds) < 2 and len(seconds) < 20):
        began = time.perf_counter()
        weights = unroll(rule, start, trials, observed, engine=case["engine"])
        (weights * trials.features).sum(-1).sigmoid().sum().backward()
        if case["device"] == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
        if seconds[0] > 5:
            break
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    return {**case, "seconds": min(seconds), "peak_gb": peak}


def cases(engines: list[str], device: str) -> Iterator[dict[str, Any]]:
    shapes = [(12, n_trials, 32) for n_trials in (1_000, 3_000, 10_000, 30_000)]
    shapes += [(n_subjects, 3_000, 32) for n_subjects in (1, 100, 1_000)]
    shapes += [(12, 10_000, hidden) for hidden in (8, 128)]
    for rule in RULES:
        for n_subjects, n_trials, hidden in shapes:
            if rule == "REINFORCE" and hidden != 32:
                continue
            for engine in engines:
                if engine == "loop" and n_subjects * n_trials > MAX_LOOP_WORK:
                    continue
                yield {
                    "rule": rule,
                    "subjects": n_subjects,
                    "trials": n_trials,
                    "hidden": hidden,
                    "engine": engine,
                    "device": device,
                }


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Lay the engines side by side, with how many times faster than the loop each is."""
    table = pd.DataFrame(rows)
    engines = list(table["engine"].unique())
    wide = table.pivot(
        index=["rule", "subjects", "trials", "hidden"],
        columns="engine",
        values=["seconds", "peak_gb"],
    )
    shown = pd.DataFrame(index=wide.index)
    for engine in engines:
        shown[f"{engine} (s)"] = wide["seconds", engine].map("{:.2g}".format)
    for engine in engines:
        if engine != "loop" and "loop" in engines:
            faster = wide["seconds", "loop"] / wide["seconds", engine]
            shown[f"{engine}, times faster"] = faster.map(
                lambda x: f"{x:.0f}" if x > 10 else f"{x:.1f}"
            )
    for engine in engines:
        shown[f"{engine} (GB)"] = wide["peak_gb", engine].map("{:.2f}".format)
    return shown.reset_index().to_markdown(index=False, disable_numparse=True)


def draw(rows: list[dict[str, Any]], path: str) -> None:
    """Draw seconds a gradient against subjects x trials, a panel a rule."""
    from matplotlib.figure import Figure

    table = pd.DataFrame(rows).query("hidden == 32")
    table = table.assign(work=table["subjects"] * table["trials"]).sort_values("work")
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    for ax, rule in zip(figure.subplots(1, len(RULES), sharey=True), RULES, strict=True):
        for engine, line in table[table["rule"] == rule].groupby("engine"):
            # the loop's cost follows trials, not work, so that a line would mislead
            style = "o" if engine == "loop" else "o-"
            ax.loglog(line["work"], line["seconds"], style, markersize=4, label=engine)
        ax.set(title=rule, xlabel="subjects × trials")
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("seconds a gradient")
    figure.axes[0].legend(frameon=False)
    with replacing(path) as file:
        figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--csv", default="unroll.csv", help="every measurement goes here at once")
    parser.add_argument("--figure", help="where to draw cost against work")
    arguments = parser.parse_args()
    rows = []
    spawn = multiprocessing.get_context("spawn")
    for case in cases(arguments.engines, arguments.device):
        if case["engine"] == "fused" and case["device"] != "cpu":
            continue
        with spawn.Pool(1) as process:
            rows.append(process.apply(measure, (case,)))
        print(rows[-1], flush=True)
        with replacing(arguments.csv) as file:
            pd.DataFrame(rows).to_csv(file, index=False)
    print(as_markdown(rows))
    if arguments.figure:
        draw(rows, arguments.figure)


if __name__ == "__main__":
    main()
