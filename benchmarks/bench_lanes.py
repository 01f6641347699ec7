"""What lanes could gain: a network's linear maps of one row at a time, beside four rows at a time.

    python benchmarks/bench_lanes.py

A trial's weights hang on those of the trial before, so that its linear maps are products of a
matrix and one row. Lanes (several animals, or members of an ensemble, in step) would make them
products of two matrices. CPU nanoseconds a trial on one thread, by default sizes, in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from bench_choices import make_trials
from numba import njit

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.engine._kernels_layers import linear, linear_rows
from sklearn_learnrule.engine._kernels_vector import LANES, pointer, shift
from sklearn_learnrule.rules import DNNRule, RNNRule

N_FEATURES, SHAPE, N_ROWS, N_TIMES = 2, (12, 10_000), 4, 20_000
# Inputs and outputs of the maps that a trial must wait for: forward, again for what the way back
# needs (the memory's alone), and backward.
MAPS = {
    "DNN": (DNNRule, [(8, 32), (32, 32), (32, 2)], [], [(2, 32), (32, 32)]),
    "RNN": (
        RNNRule,
        [(8, 96), (32, 96), (32, 32), (32, 32), (32, 2)],
        [(32, 96)],
        [(2, 32), (32, 32), (32, 32), (96, 32)],
    ),
}


@njit(nogil=True)
def one_by_one(layer, parameters, rows, size, times):
    for _ in range(times):
        for i in range(N_ROWS):
            linear(pointer(layer), pointer(parameters), shift(pointer(rows), i * size))


@njit(nogil=True)
def all_at_once(layer, parameters, rows, size, times):
    for _ in range(times):
        linear_rows(pointer(layer), pointer(parameters), pointer(rows), N_ROWS, size)


def nanoseconds(function: Callable[..., None], n_in: int, n_out: int) -> float:
    """Return the CPU time of a row's linear map."""
    x_width, width = (-(-n // LANES) * LANES for n in (n_in, n_out))
    layer = np.array([n_in, n_out, width, x_width, 0, 0, 0, x_width])
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(n_in + 1) * width).astype(np.float32)
    rows = rng.normal(size=N_ROWS * (x_width + width)).astype(np.float32)
    given: Any = (layer, parameters, rows, x_width + width)
    function(*given, 1)
    return least(lambda: function(*given, N_TIMES)) / (N_ROWS * N_TIMES)


def of_gradient(rule: Any) -> float:
    """Return the CPU time of a trial's share of an exact gradient."""
    trials = make_trials(2, SHAPE, torch.float32)
    start = torch.zeros(SHAPE[0], rule.n_weights, requires_grad=True)
    observed = torch.ones(SHAPE, dtype=torch.bool)

    def gradient() -> None:
        unroll(rule, start, trials, observed, engine="fused").square().mean().backward()

    gradient()
    return least(gradient) / np.prod(SHAPE)


def least(run: Callable[[], None], rounds: int = 15) -> float:
    """Return the nanoseconds of the quickest of some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time_ns()
        run()
        taken.append(time.process_time_ns() - start)
    return min(taken)


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name, (rule, *stages) in MAPS.items():
        maps = sum(stages, [])
        alone, together = (
            sum(nanoseconds(function, *each) for each in maps)
            for function in (one_by_one, all_at_once)
        )
        whole = of_gradient(rule(N_FEATURES).float())
        rows.append(
            [name, *map(round, (whole, alone, together)), f"{(alone - together) / whole:.0%}"]
        )
    columns = ["rule", "a gradient", "its maps, one by one", "in fours", "lanes' gain at best"]
    print(pd.DataFrame(rows, columns=columns).to_markdown(index=False))


if __name__ == "__main__":
    main()
