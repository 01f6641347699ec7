"""Seconds and peak memory of one exact gradient, by engine, rule and version of the package.

    python benchmarks/bench_unroll.py --figure benchmarks/unroll.png
    python benchmarks/bench_unroll.py --device cuda
    python benchmarks/bench_unroll.py --against ANOTHER_CHECKOUT

The first goes along three axes from 12 subjects x 10,000 trials and the default networks: trials,
subjects (at 3,000 trials), hidden sizes. Each measurement has a process of its own, so that its
peak memory is its own; the loop's is taken in the same run. The second does so on a GPU, with the
fused engine on the CPU beside it.

The third takes compiled code on one thread: every rule, with process noise and without ("rules"),
and what a process waits for its first gradient ("first"). The two versions measure each case in
turn, several times over, and the least CPU time counts. ``--parts rules first`` does so for this
version alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from _unroll_cases import random_trials, take_gradient
from _unroll_compared import as_markdown, compare

from sklearn_learnrule.engine import ENGINES
from sklearn_learnrule.rules import DNNRule, LearningRule, ReinforceRule, RNNRule
from sklearn_learnrule.utils.files import replacing

PARTS = ("rules", "first")
RULES = ("REINFORCE", "DNN", "RNN")
MAX_LOOP_WORK = 4e6  # subjects x trials beyond which the loop's graph no longer fits
MAX_GPU_LOOP_TRIALS = 3_000  # a trial by itself keeps a GPU waiting: ten minutes are soon over


def make_rule(name: str, hidden: int) -> LearningRule:
    if name == "REINFORCE":
        return ReinforceRule(2, "free")
    if name == "DNN":
        return DNNRule(2, (hidden, hidden))
    return RNNRule(2, hidden, (hidden, hidden))


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Return the best of some gradients, in seconds, and the memory it took, in GB."""
    device = case["device"]
    torch.manual_seed(0)
    rule = make_rule(case["rule"], case["hidden"]).to(device)
    trials, observed = random_trials(case["subjects"], case["trials"], device=device)
    start = torch.zeros(case["subjects"], 2, device=device)
    before = peak_memory(device)
    seconds = []
    while len(seconds) < 2 or (sum(seconds) < 2 and len(seconds) < 20):
        began = time.perf_counter()
        try:
            take_gradient(rule, start, trials, observed, case["engine"])
        except torch.cuda.OutOfMemoryError:
            return {**case, "seconds": float("nan"), "peak_gb": float("nan")}
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
        if seconds[0] > 5:
            break
    return {**case, "seconds": min(seconds), "peak_gb": peak_memory(device) - before}


def peak_memory(device: str) -> float:
    """Return the peak so far, in GB: a process' on the CPU, torch's on a GPU."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return torch.cuda.max_memory_allocated() / 2**30


def measure_apart(case: dict[str, Any]) -> dict[str, Any]:
    """Measure in a process of its own; on a GPU, whose driver takes seconds to start, in this."""
    if case["device"] != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return measure(case)
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(measure, (case,))


def cases(engines: list[str], device: str) -> Iterator[dict[str, Any]]:
    """Yield what is measured; the fused engine is the CPU's."""
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
                if engine == "loop" and device != "cpu" and n_trials > MAX_GPU_LOOP_TRIALS:
                    continue
                yield {
                    "rule": rule,
                    "subjects": n_subjects,
                    "trials": n_trials,
                    "hidden": hidden,
                    "engine": engine,
                    "device": "cpu" if engine == "fused" else device,
                }


def sizes_table(rows: list[dict[str, Any]]) -> str:
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
        shown[f"{engine} (s)"] = wide["seconds", engine].map("{:.2g}".format, na_action="ignore")
    for engine in engines:
        if engine != "loop" and "loop" in engines:
            faster = wide["seconds", "loop"] / wide["seconds", engine]
            shown[f"{engine}, times faster"] = faster.map(
                lambda x: f"{x:.0f}" if x > 10 else f"{x:.1f}", na_action="ignore"
            )
    for engine in engines:
        shown[f"{engine} (GB)"] = wide["peak_gb", engine].map("{:.2f}".format, na_action="ignore")
    return as_markdown(shown.fillna("").reset_index())


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
        figure.savefig(file, dpi=200)


def measure_sizes(arguments: argparse.Namespace) -> None:
    rows = []
    for case in cases(arguments.engines, arguments.device):
        rows.append(measure_apart(case))
        print(rows[-1], flush=True)
        with replacing(arguments.csv) as file:
            pd.DataFrame(rows).to_csv(file, index=False)
    print(sizes_table(rows))
    if arguments.figure:
        draw(rows, arguments.figure)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--csv", default="unroll.csv", help="every measurement goes here")
    parser.add_argument("--figure", help="where to draw cost against work")
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="compiled code only, not sizes")
    parser.add_argument("--rounds", type=int, default=3, help="of processes that measure parts")
    parser.add_argument("--quick", action="store_true", help="parts on few trials: a test")
    arguments = parser.parse_args()
    if arguments.against and not (arguments.against / "sklearn_learnrule").is_dir():
        parser.error(f"--against {arguments.against} is no checkout of sklearn_learnrule.")
    if arguments.against and not arguments.parts:
        arguments.parts = PARTS
    if arguments.device == "cuda" and arguments.parts:
        parser.error("--against and --parts measure compiled code, which is the CPU's.")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch can use: there is none.")
    return arguments


def main() -> None:
    arguments = read_arguments()
    if not arguments.parts:
        measure_sizes(arguments)
        return
    measured = compare(arguments.parts, arguments.against, arguments.rounds, arguments.quick)
    with replacing(arguments.csv) as file:
        measured.to_csv(file, index=False)


if __name__ == "__main__":
    main()
