"""Cases of ``_unroll_cases.py`` by one checkout of the package or two in turn, and their tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from _unroll_cases import OWN, READY, Case, first_call_cases, rule_cases
from tqdm import tqdm

SCRIPT = Path(__file__).with_name("_unroll_cases.py")
HERE = SCRIPT.resolve().parents[1]
COLD, WARM = "empty cache", "compiled before"

Seconds = Mapping[tuple[Case, str], Sequence[float | None]]
"""Of a case and what is measured of it, the least of each checkout."""


def start(checkout: Path, cache: str) -> subprocess.Popen[str]:
    """Return a process that is ready to answer cases by the package of a checkout."""
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(checkout)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NUMBA_CACHE_DIR": cache},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout.readline() != READY:
        process.communicate()
        raise RuntimeError(f"The package in {checkout} does not start.")
    return process


def ask(process: subprocess.Popen[str], case: Case) -> list[float] | None:
    """Return the seconds of each gradient of a case, None if there is no kernel for it."""
    process.stdin.write(json.dumps(asdict(case)) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"The process of {process.args[-1]} ended at {case}.")
    return json.loads(answer)


def measure_gradients(cases: list[Case], checkouts: list[Path], n_rounds: int) -> Seconds:
    """Return the least seconds a gradient; each round has processes of its own."""
    found: dict[Case, list[list[float]]] = {case: [[] for _ in checkouts] for case in cases}
    with TemporaryDirectory() as cache:
        for _ in range(n_rounds):
            with ExitStack() as stack:
                processes = [stack.enter_context(start(path, cache)) for path in checkouts]
                for case in tqdm(cases, unit="case"):
                    for process, seconds in zip(processes, found[case], strict=True):
                        seconds += ask(process, case) or []
    return {(case, "gradient"): least(seconds) for case, seconds in found.items()}


def measure_first_calls(cases: list[Case], checkouts: list[Path], n_rounds: int) -> Seconds:
    """Return the least seconds of a process' first gradient, compiled now and before."""
    found = {(case, when): [[] for _ in checkouts] for case in cases for when in (COLD, WARM)}
    for case in tqdm(n_rounds * cases, unit="case"):
        for place, checkout in enumerate(checkouts):
            with TemporaryDirectory() as cache:
                for when in (COLD, WARM):
                    with start(checkout, cache) as process:
                        found[case, when][place] += (ask(process, case) or [])[:1]
    return {key: least(seconds) for key, seconds in found.items()}


def least(seconds: list[list[float]]) -> list[float | None]:
    return [min(some, default=None) for some in seconds]


def compare(parts: Iterable[str], against: Path | None, n_rounds: int, quick: bool) -> pd.DataFrame:
    """Measure "rules" and "first" calls, and print their tables; return all measurements."""
    checkouts = [*([against] if against else []), HERE]
    versions = ["before", "now"][-len(checkouts) :]
    sides = " → ".join(versions) + (" (times faster)" if against else "")
    measured: dict[tuple[Case, str], Sequence[float | None]] = {}
    if "rules" in parts:
        gradients = measure_gradients(shorten(rule_cases(), quick), checkouts, n_rounds)
        print(f"\nMilliseconds a gradient, {sides}:\n\n{rules_table(gradients)}")
        print(f"\n{OWN.capitalize()}, by engine:\n\n{engines_table(gradients)}", flush=True)
        measured |= gradients
    if "first" in parts:
        calls = measure_first_calls(shorten(first_call_cases(), quick), checkouts, n_rounds)
        print(f"\nSeconds of a process' first gradient, {sides}:\n\n{first_calls_table(calls)}")
        measured |= calls
    return pd.DataFrame(
        {**asdict(case), "measure": measure, **dict(zip(versions, seconds, strict=True))}
        for (case, measure), seconds in measured.items()
    )


def shorten(cases: Iterable[Case], quick: bool) -> list[Case]:
    """Return the cases, or if it is to be quick those of few weights on a few trials."""
    if quick:
        return [replace(case, n_trials=20) for case in cases if case.n_weights < 4]
    return list(cases)


# ------------------------------------------------------------------------------ tables


def cell(seconds: Sequence[float | None], unit: float) -> str:
    """Lay the checkouts' numbers side by side; what there is none of stays empty."""
    numbers = ["" if s is None else f"{s / unit:.{0 if s / unit >= 100 else 2}f}" for s in seconds]
    text = " → ".join(numbers)
    if len(seconds) > 1 and None not in seconds:
        text += f" ({seconds[0] / seconds[1]:.1f})"
    return text


def as_markdown(rows: pd.DataFrame) -> str:
    return rows.to_markdown(index=False, disable_numparse=True)


def side_by_side(cells: dict[tuple[str, ...], str]) -> pd.DataFrame:
    """Return a column for each value of the last key, in the order of the cells."""
    long = pd.Series(cells)  # whose unstack(sort=False) confuses cells in pandas 2.2
    rows, columns = long.index.droplevel(-1).unique(), long.index.unique(-1)
    return long.unstack().reindex(index=rows, columns=columns)


def rules_table(gradients: Seconds) -> str:
    """Rules, with noise and without, against the number of weights."""
    cells = {
        (case.rule, "yes" if case.noise else "", f"K = {case.n_weights}"): cell(seconds, 1e-3)
        for (case, _), seconds in gradients.items()
        if case.engine == "fused"
    }
    wide = side_by_side(cells).fillna("")
    wide.index.names = ["rule", "noise"]
    return as_markdown(wide.sort_index(axis=1).reset_index())


def engines_table(gradients: Seconds) -> str:
    """A user's own rule: milliseconds, and how many times faster than the loop it is now."""
    by_engine = {
        case.engine: seconds
        for (case, _), seconds in gradients.items()
        if (case.rule, case.n_weights, case.noise) == (OWN, 2, False)
    }
    rows = []
    for engine in sorted(by_engine, key=["loop", "parallel", "fused"].index):
        faster = by_engine["loop"][-1] / by_engine[engine][-1]
        rows.append((engine, cell(by_engine[engine], 1e-3), f"{faster:.1f}"))
    return as_markdown(pd.DataFrame(rows, columns=["engine", "ms", "times the loop, now"]))


def first_calls_table(calls: Seconds) -> str:
    cells = {
        ("yes" if case.noise else "", f"{case.n_weights}", when): cell(seconds, 1)
        for (case, when), seconds in calls.items()
    }
    wide = side_by_side(cells)
    wide.index.names = ["noise", "K"]
    return as_markdown(wide.reset_index())
