"""Compiled unrolling of drifting weights that any rule moves, inside the filter.

As ``_kernels_unroll``. The rule sees and moves the weights at ``places``, M of K; ``fields`` has
their features, ``features`` those of all. A trial has 1 + M rows: the rule at the weights' mean,
and with each of its weights a step on, which gives its slope. The memory goes on from the first of
them. ``odds`` (2,) are those of lapses, ``variances`` (2, K) what a trial adds, as many
times as ``amounts`` (N, T, 2) say.
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
    call(steps.forward, (*known, n, at, weights, memory, rows))
    for j in range(len(places)):
        own[j] += SLOPE_STEP
        call(steps.forward, (*known, n, at, weights, memory, shift(rows, (j + 1) * steps.row_size)))
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
        call(steps.backward, (*known, *here, adjoint_new, gradient))
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


@njit
def observe_trial(features, choice, odds, n, t, row, covariance, record):
    """Fill the record of a trial's choice, and the covariance before it, from its path's row."""
    n_trials, n_weights = features.shape[1:]
    x = shift(pointer(features), (n * n_trials + t) * n_weights)
    unpack(row, covariance)
    observe(row, covariance, x, choice[n, t], odds[side_of(choice[n, t])], record)


@njit
def side_of(choice):
    return 1 if choice > 0.5 else 0


@kernel
def unroll_filtered(
    steps, layout, parameters, fields, odds, variances, places, features, choice, amounts,
    n_observed, first, last, start, record, rows, path, memories,
):  # fmt: skip
    """Fill ``path`` (N, T, K + S), whose first trial is given, of some subjects."""
    (n_trials, width), n_weights = path.shape[1:], features.shape[2]
    n_blocks, m = memories.shape[1:]
    known = (pointer(layout), pointer(parameters), pointer(fields))
    rows_, path_, start_ = pointer(rows), pointer(path), pointer(start)
    memories_, record_ = pointer(memories), pointer(record)
    covariance, product = np.empty((2, n_weights, n_weights), path.dtype)
    transition = np.eye(n_weights, dtype=path.dtype)
    own = np.empty(len(places), path.dtype)
    change = shift(rows_, steps.update)
    for n in range(first, last):
        memory = shift(start_, n * m)
        for t in range(n_observed[n]):
            at = n * n_trials + t
            row, later = shift(path_, at * width), shift(path_, (at + 1) * width)
            if n_blocks and m and t % steps.block == 0:
                copy(memory, shift(memories_, (n * n_blocks + t // steps.block) * m), m)
            observe_trial(features, choice, odds, n, t, row, covariance, record_)
            shrink(record_, covariance)
            fill_trial(steps, known, n, at, record_, places, n_weights, own, memory, rows_)
            fill_transition(steps, rows_, places, transition)
            copy(mean_of(record_, n_weights), later, n_weights)
            for i in range(len(places)):
                later[places[i]] += change[i]
            spread(transition, covariance, product)
            for i in range(n_weights):
                covariance[i, i] += (
                    amounts[n, t, 0] * variances[0, i] + amounts[n, t, 1] * variances[1, i]
                )
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
        record, here = shift(records, i * record_size(n_weights)), shift(rows, i * size)
        row = shift(pointer(path), at * width)
        observe_trial(features, choice, odds, n, t + i, row, covariance, record)
        fill_trial(steps, known, n, at, record, places, n_weights, own, memory, here)
        memory = shift(here, steps.memory)


@njit
def noise_back(adjoint_covariance, amounts, gradient_variances):
    """Add to the variances' gradient."""
    for k in range(len(adjoint_covariance)):
        gradient_variances[0, k] += amounts[0] * adjoint_covariance[k, k]
        gradient_variances[1, k] += amounts[1] * adjoint_covariance[k, k]


@njit
def pass_to_row(cut, above, adjoint, adjoint_covariance, adjoint_memory):
    """Cut the adjoints if they are to be, and add the upstream gradient of the row before."""
    if cut:
        adjoint_covariance[:] = 0
        adjoint_memory[:] = 0
    for k in range(len(adjoint_covariance)):
        adjoint[k] = (0.0 if cut else adjoint[k]) + above[k]
    unpack_adjoint(above, adjoint_covariance)
    bound(adjoint, adjoint_covariance)


@kernel
def unroll_filtered_back(
    steps, layout, parameters, fields, odds, places, features, choice, amounts,
    n_observed, first, last, path, memories, truncation, n_steps, records, along, rows, deltas,
    upstream, gradient, gradient_odds, gradient_variances, gradient_start,
):  # fmt: skip
    """Fill ``gradient_start`` (N, K + S + M) of some subjects; add their part to the gradients."""
    known = (pointer(layout), pointer(parameters), pointer(fields))
    size, k = (1 + len(places)) * steps.row_size, features.shape[2]
    room = np.zeros((5, k, k), path.dtype)
    room[4] = np.eye(k)
    own, of_memory = np.empty(len(places), path.dtype), np.zeros((2, memories.shape[2]), path.dtype)
    for n in range(first, last):
        adjoint = gradient_start[n]  # of the path's row, then the memory
        adjoint[:] = 0
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint[: path.shape[2]])
        room[0] = 0
        unpack_adjoint(pointer(adjoint), room[0])
        of_memory[:] = 0
        for start in range((n_observed[n] - 1) // steps.block * steps.block, -1, -steps.block):
            n_rows = min(steps.block, n_observed[n] - start)
            kept = memory_before(steps, n, start, memories)
            fill_block(
                steps, known, odds, places, features, choice, n, start, n_rows, path, own, room[1],
                kept, pointer(records), pointer(rows),
            )  # fmt: skip
            for i in range(n_rows - 1, -1, -1):
                here, delta = shift(pointer(rows), i * size), shift(pointer(deltas), i * size)
                memory = shift(here, steps.memory - size) if i else kept
                record = shift(pointer(records), i * record_size(k))
                filtered_trial_back(
                    steps, known, n, start + i, record, places, features, amounts, path, own,
                    memory, here, delta, adjoint, of_memory, room, gradient, gradient_variances,
                )  # fmt: skip
                side, x = side_of(choice[n, start + i]), pointer(features[n, start + i])
                gradient_odds[side] += observe_back(
                    record, x, pointer(adjoint), room[0], pointer(along)
                )
                cut, above = is_cut(start + i, truncation), pointer(upstream[n, start + i])
                pass_to_row(cut, above, pointer(adjoint), room[0], of_memory[0])
            if steps.add_gradients:
                both, n_all = (pointer(rows), pointer(deltas)), n_rows * (1 + len(places))
                call(steps.add_gradients, (*known, *both, n_all, pointer(gradient)))
        pack_adjoint(room[0], pointer(adjoint))
        copy(pointer(of_memory), shift(pointer(adjoint), path.shape[2]), memories.shape[2])


@njit
def memory_before(steps, n, start, memories):
    """Return where the memory before a block is kept."""
    n_blocks, m = memories.shape[1:]
    return shift(pointer(memories), (n * n_blocks + start // steps.block) * m)


@njit
def filtered_trial_back(
    steps, known, n, t, record, places, features, amounts, path, own, memory, rows, deltas,
    adjoint, of_memory, room, gradient, gradient_variances,
):  # fmt: skip
    """Take the adjoints over what moves the weights after a choice: rule and noise.

    ``room`` (5, K, K) has the covariance's adjoint, and places for the covariance, F, and products.
    """
    width = path.shape[2]
    row = shift(pointer(path), (n * features.shape[1] + t) * width)
    adjoint_covariance, covariance, product, of_transition, transition = room
    unpack(row, covariance)
    shrink(record, covariance)
    fill_transition(steps, rows, places, transition)
    cut_adjoint(shift(row, width), pointer(adjoint), adjoint_covariance)
    noise_back(adjoint_covariance, amounts[n, t], gradient_variances)
    spread_back(transition, covariance, adjoint_covariance, of_transition, product)
    fill_trial_back(
        steps, known, n, n * features.shape[1] + t, record, places, own, memory, rows, deltas,
        pointer(adjoint), of_memory[0], of_transition, of_memory[1], pointer(gradient),
    )  # fmt: skip
