"""Compiled unrolling of drifting weights that any rule moves, inside the filter.

As ``_kernels_unroll``. The rule sees and moves the weights at ``places``, M of K; ``fields`` has
their features, ``features`` those of all. A trial has 1 + M rows: the rule at the weights' mean,
and with each of its weights a step on, which gives its slope. The memory goes on from the first of
them. ``odds`` (2,) are those of lapses, ``variances`` (2, K) what every trial and a session's start
add.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..rules import SLOPE_STEP
from ._kernels_filter import (
    bound,
    cut_adjoint,
    mean_of,
    observe,
    observe_back,
    pack,
    pack_adjoint,
    record_size,
    shrink,
    spread,
    spread_back,
    unpack,
    unpack_adjoint,
)
from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_vector import call, copy, pointer, shift


@njit
def fill_trial(steps, known, n, at, record, places, n_weights, own, memory, rows):
    """Compute a trial's rows; ``own`` (M,) is room to work in."""
    mean = mean_of(record, n_weights)
    for i in range(len(places)):
        own[i] = mean[places[i]]
    weights = pointer(own)
    call(steps.step, (*known, n, at, weights, memory, rows))
    for j in range(len(places)):
        own[j] += SLOPE_STEP
        call(steps.step, (*known, n, at, weights, memory, shift(rows, (j + 1) * steps.row_size)))
        own[j] = mean[places[j]]


@njit
def fill_trial_back(
    steps, known, n, at, record, places, own, memory, rows, deltas, adjoint, adjoint_memory,
    adjoint_transition, further, gradient,
):  # fmt: skip
    """Take the adjoints of mean and F back over a trial's rows; ``further`` is room to work in."""
    size, n_own = steps.row_size, len(places)
    mean = mean_of(record, len(adjoint_transition))
    change = shift(deltas, steps.update)
    for i in range(n_own):
        own[i] = mean[places[i]]
        change[i] = adjoint[places[i]]
    for j in range(n_own):
        moved = shift(deltas, (j + 1) * size + steps.update)
        for i in range(n_own):
            moved[i] = adjoint_transition[places[i], places[j]] / SLOPE_STEP
            change[i] -= moved[i]
    weights = pointer(own)
    for j in range(n_own + 1):
        if j:
            own[j - 1] += SLOPE_STEP
            further[:] = 0
        delta = shift(deltas, j * size)
        adjoint_new = pointer(further) if j else pointer(adjoint_memory)
        here = (n, at, weights, memory, shift(rows, j * size), delta)
        call(steps.step_back, (*known, *here, adjoint_new, gradient))
        for i in range(n_own):
            adjoint[places[i]] += delta[steps.weights + i]
        if j:
            own[j - 1] = mean[places[j - 1]]
            for i in range(len(further)):
                adjoint_memory[i] += further[i]


@njit
def fill_transition(steps, rows, places, transition):
    """Fill F = 1 + the slope of the rule's update; of weights not its own, F stays 1."""
    change = shift(rows, steps.update)
    for j in range(len(places)):
        moved = shift(rows, (j + 1) * steps.row_size + steps.update)
        for i in range(len(places)):
            slope = (moved[i] - change[i]) / SLOPE_STEP
            transition[places[i], places[j]] = slope + (1.0 if i == j else 0.0)


@kernel
def unroll_filtered(
    steps, layout, parameters, fields, odds, variances, places, features, choice, session_start,
    n_observed, first, last, start, record, rows, path, memories,
):  # fmt: skip
    """Fill ``path`` (N, T, K + S), whose first trial is given, of some subjects."""
    n_trials, n_weights = features.shape[1:]
    width = path.shape[2]
    n_blocks, m = memories.shape[1:]
    known = (pointer(layout), pointer(parameters), pointer(fields))
    rows_, path_, start_, memories_ = (
        pointer(rows),
        pointer(path),
        pointer(start),
        pointer(memories),
    )
    features_ = pointer(features)
    covariance, product = np.empty((2, n_weights, n_weights), path.dtype)
    transition = np.eye(n_weights, dtype=path.dtype)
    record_ = pointer(record)
    own = np.empty(len(places), path.dtype)
    change = shift(rows_, steps.update)
    for n in range(first, last):
        memory = shift(start_, n * m)
        for t in range(n_observed[n]):
            at = n * n_trials + t
            row, later = shift(path_, at * width), shift(path_, (at + 1) * width)
            if n_blocks and m and t % steps.block == 0:
                copy(memory, shift(memories_, (n * n_blocks + t // steps.block) * m), m)
            side = 1 if choice[n, t] > 0.5 else 0
            unpack(row, covariance)
            x = shift(features_, at * n_weights)
            observe(row, covariance, x, choice[n, t], odds[side], record_)
            shrink(record_, covariance)
            fill_trial(steps, known, n, at, record_, places, n_weights, own, memory, rows_)
            fill_transition(steps, rows_, places, transition)
            copy(mean_of(record_, n_weights), later, n_weights)
            for i in range(len(places)):
                later[places[i]] += change[i]
            spread(transition, covariance, product)
            for i in range(n_weights):
                covariance[i, i] += variances[0, i] + session_start[n, t] * variances[1, i]
            pack(covariance, later)
            copy(shift(rows_, steps.memory), memory, m)
        hold(path, n, n_observed[n])


@njit
def fill_block(
    steps, known, odds, places, features, choice, n, t, n_rows, path, own, covariance, memory,
    records, rows,
):  # fmt: skip
    """Compute a block's records and rows again."""
    n_trials, n_weights = features.shape[1:]
    width = path.shape[2]
    size = (1 + len(places)) * steps.row_size
    for i in range(n_rows):
        at = n * n_trials + t + i
        row, x = shift(pointer(path), at * width), shift(pointer(features), at * n_weights)
        record, here = shift(records, i * record_size(n_weights)), shift(rows, i * size)
        side = 1 if choice[n, t + i] > 0.5 else 0
        unpack(row, covariance)
        observe(row, covariance, x, choice[n, t + i], odds[side], record)
        fill_trial(steps, known, n, at, record, places, n_weights, own, memory, here)
        memory = shift(here, steps.memory)


@kernel
def unroll_filtered_back(
    steps, layout, parameters, fields, odds, places, features, choice, session_start,
    n_observed, first, last, path, memories, truncation, n_steps, records, along, rows, deltas,
    upstream, gradient, gradient_odds, gradient_variances, gradient_start,
):  # fmt: skip
    """Fill ``gradient_start`` (N, K + S + M) of some subjects; add their part to the gradients."""
    n_trials, n_weights = features.shape[1:]
    width = path.shape[2]
    n_blocks, m = memories.shape[1:]
    known = (pointer(layout), pointer(parameters), pointer(fields))
    records_, rows_, deltas_ = pointer(records), pointer(rows), pointer(deltas)
    path_, upstream_, features_ = pointer(path), pointer(upstream), pointer(features)
    gradient_, memories_ = pointer(gradient), pointer(memories)
    size, block = (1 + len(places)) * steps.row_size, steps.block
    covariance, product, adjoint_covariance, adjoint_transition = np.zeros(
        (4, n_weights, n_weights), path.dtype
    )
    transition = np.eye(n_weights, dtype=path.dtype)
    adjoint_along, own = pointer(along), np.empty(len(places), path.dtype)
    adjoint_memory, further = np.zeros((2, m), path.dtype)
    for n in range(first, last):
        initial = gradient_start[n]  # of the path's row, then the memory
        initial[:] = 0
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, initial[:width])
        adjoint = pointer(initial)  # of the mean
        adjoint_covariance[:] = 0
        unpack_adjoint(adjoint, adjoint_covariance)
        adjoint_memory[:] = 0
        for start in range((n_observed[n] - 1) // block * block, -1, -block):
            n_rows = min(block, n_observed[n] - start)
            kept = shift(memories_, (n * n_blocks + start // block) * m)
            fill_block(
                steps, known, odds, places, features, choice, n, start, n_rows, path, own,
                covariance, kept, records_, rows_,
            )  # fmt: skip
            for i in range(n_rows - 1, -1, -1):
                t = start + i
                at = n * n_trials + t
                record, here = shift(records_, i * record_size(n_weights)), shift(rows_, i * size)
                memory = shift(rows_, (i - 1) * size + steps.memory) if i else kept
                unpack(shift(path_, at * width), covariance)
                shrink(record, covariance)
                fill_transition(steps, here, places, transition)
                cut_adjoint(shift(path_, (at + 1) * width), adjoint, adjoint_covariance)
                for k in range(n_weights):
                    gradient_variances[0, k] += adjoint_covariance[k, k]
                    gradient_variances[1, k] += session_start[n, t] * adjoint_covariance[k, k]
                spread_back(transition, covariance, adjoint_covariance, adjoint_transition, product)
                fill_trial_back(
                    steps, known, n, at, record, places, own, memory, here,
                    shift(deltas_, i * size), adjoint, adjoint_memory, adjoint_transition, further,
                    gradient_,
                )  # fmt: skip
                x = shift(features_, at * n_weights)
                gradient_odds[1 if choice[n, t] > 0.5 else 0] += observe_back(
                    record, x, adjoint, adjoint_covariance, adjoint_along
                )
                if is_cut(t, truncation):
                    adjoint_covariance[:] = 0
                    adjoint_memory[:] = 0
                    for k in range(n_weights):
                        adjoint[k] = 0.0
                above = shift(upstream_, at * width)
                for k in range(n_weights):
                    adjoint[k] += above[k]
                unpack_adjoint(above, adjoint_covariance)
                bound(adjoint, adjoint_covariance)
            if steps.add_gradients:
                n_all = n_rows * (1 + len(places))
                call(steps.add_gradients, (*known, rows_, deltas_, n_all, gradient_))
        pack_adjoint(adjoint_covariance, adjoint)
        copy(pointer(adjoint_memory), shift(adjoint, width), m)
