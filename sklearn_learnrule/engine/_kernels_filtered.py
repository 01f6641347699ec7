"""Compiled unrolling of drifting weights that any rule moves, inside the filter.

As ``_kernels_unroll``. What a choice tells comes as steps of their own, ``Observation``'s; of each
trial, it is a *record*: mean and covariance after the choice, as in a path's row. Then a trial has
1 + M rows: the rule at the mean, and with each of its weights a step on, which gives its slope. The
memory goes on from the first of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ..rules import SLOPE_STEP
from ._kernels_filter import (
    bound,
    cut_adjoint,
    pack,
    pack_adjoint,
    spread,
    spread_back,
    unpack,
    unpack_adjoint,
)
from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_vector import borrowed, call, copy, pointer, shift


class Seen(NamedTuple):
    """What the filter knows beside the rule, whose ``fields`` have the features that it sees."""

    places: np.ndarray
    """Of the weights that the rule sees and moves, (M,): M of K."""
    fields: np.ndarray
    """With all features."""
    forward: int
    """The address of the observation's ``advance``."""
    backward: int
    """That of its ``retreat``."""
    odds: np.ndarray
    """Of lapses: the observation's parameters."""
    amounts: np.ndarray
    """How many times each of the variances a trial adds, (N, T, 2)."""
    variances: np.ndarray
    """What every trial adds, and a session's start, (2, K)."""
    n_features: int
    """Weights of one set, each of which shares half of its noise with its like in other sets."""


class Room(NamedTuple):
    """Where a thread computes: trials' records, rows and deltas, and what one trial needs."""

    records: np.ndarray
    rows: np.ndarray
    deltas: np.ndarray
    own: np.ndarray
    """The rule's own weights at a trial's points, (1 + M, M)."""
    of_record: np.ndarray
    """The adjoint of a record, (K + S,)."""
    nothing: np.ndarray
    """Zeros, (K,)."""
    of_memory: np.ndarray
    """The adjoint of the memory, and of that which one row hands on, (2, size of the memory)."""
    covariance: np.ndarray
    product: np.ndarray
    transition: np.ndarray
    """F, (K, K); that of weights which are not the rule's own is 1, and stays."""
    of_covariance: np.ndarray
    of_transition: np.ndarray


@njit
def borrow_seen(seen):
    return Seen(
        borrowed(seen.places), borrowed(seen.fields), seen.forward, seen.backward,
        borrowed(seen.odds), borrowed(seen.amounts), borrowed(seen.variances), seen.n_features,
    )  # fmt: skip


@njit
def borrow_room(room):
    return Room(
        borrowed(room.records), borrowed(room.rows), borrowed(room.deltas), borrowed(room.own),
        borrowed(room.of_record), borrowed(room.nothing), borrowed(room.of_memory),
        borrowed(room.covariance), borrowed(room.product), borrowed(room.transition),
        borrowed(room.of_covariance), borrowed(room.of_transition),
    )  # fmt: skip


@njit
def fill_own(n_own, places, mean, own):
    """Fill the rule's own weights at the mean, and a step on with each of them."""
    for point in range(n_own + 1):
        for i in range(n_own):
            own[i] = mean[places[i]]
        if point:
            own[point - 1] = own[point - 1] + SLOPE_STEP
        own = shift(own, n_own)


@njit(forceinline=True)
def fill_trial(steps, known, seen, room, n, t, record, memory, rows):
    """Compute a trial's rows."""
    n_own, at, own = len(seen.places), n * seen.amounts.shape[1] + t, pointer(room.own)
    n_points = n_own + 1
    fill_own(n_own, pointer(seen.places), record, own)
    if steps.fill_rows:
        call(steps.fill_rows, (*known, n, at, n_points, own, n_own, memory, rows))
        return
    for j in range(n_points):
        weights, row = shift(own, j * n_own), shift(rows, j * steps.row_size)
        call(steps.forward, (*known, n, at, weights, memory, row))


@njit(forceinline=True)
def fill_trial_back(
    steps, known, seen, room, n, t, record, memory, rows, deltas, adjoint, gradient
):
    """Take the adjoints of mean and F back over a trial's rows."""
    places, at, size = pointer(seen.places), n * seen.amounts.shape[1] + t, steps.row_size
    n_own = len(seen.places)
    n_points = n_own + 1
    change = shift(deltas, steps.update)
    for i in range(n_own):
        change[i] = adjoint[places[i]]
    for j in range(n_own):
        moved = shift(deltas, (j + 1) * size + steps.update)
        for i in range(n_own):
            moved[i] = room.of_transition[places[i], places[j]] / SLOPE_STEP
            change[i] -= moved[i]
    fill_own(n_own, places, record, pointer(room.own))
    own, of_memory = pointer(room.own), pointer(room.of_memory)
    if steps.fill_rows:
        here = n, at, n_points, own, n_own, rows, deltas, of_memory
        call(steps.backward, (*known, *here, gradient))
    else:
        for j in range(n_points):
            point_back(steps, known, room, n, at, j, memory, rows, deltas, gradient)
    for j in range(n_points):
        for i in range(n_own):
            adjoint[places[i]] += deltas[j * size + steps.weights + i]


@njit(forceinline=True)
def point_back(steps, known, room, n, at, j, memory, rows, deltas, gradient):
    """Take the adjoints back over one of a trial's rows."""
    size, total, further = steps.row_size, room.of_memory[0], room.of_memory[1]
    further[:] = 0
    of_memory = pointer(room.of_memory[1 if j else 0])
    weights = shift(pointer(room.own), j * room.own.shape[1])
    here = n, at, weights, memory, shift(rows, j * size), shift(deltas, j * size), of_memory
    call(steps.backward, (*known, *here, gradient))
    total += further


@njit(forceinline=True)
def fill_transition(steps, rows, places, transition):
    """Fill F = 1 + the slope of the rule's update."""
    change = shift(rows, steps.update)
    for j in range(len(places)):
        moved = shift(rows, (j + 1) * steps.row_size + steps.update)
        for i in range(len(places)):
            slope = (moved[i] - change[i]) / SLOPE_STEP
            transition[places[i], places[j]] = slope + (1.0 if i == j else 0.0)


@njit(forceinline=True)
def observe(seen, n, t, row, record):
    """Fill the record of a trial's choice from its path's row."""
    n_weights, at = seen.variances.shape[1], n * seen.amounts.shape[1] + t
    known = pointer(seen.fields), pointer(seen.odds), pointer(seen.fields)  # the layout is not read
    here = n, at, row, shift(row, n_weights), record  # nor is the row that would be computed in
    call(seen.forward, (*known, *here, record, shift(record, n_weights)))


@njit(forceinline=True)
def observe_back(seen, room, n, t, row, adjoint, gradient_odds):
    """Take the adjoints of mean and P back over a choice."""
    n_weights, at = seen.variances.shape[1], n * seen.amounts.shape[1] + t
    known = pointer(seen.fields), pointer(seen.odds), pointer(seen.fields)
    of_record, of_covariance = pointer(room.of_record), room.of_covariance
    copy(adjoint, of_record, n_weights)
    pack_adjoint(of_covariance, of_record)
    here = n, at, row, shift(row, n_weights), of_record, of_record, of_record
    call(seen.backward, (*known, *here, pointer(room.nothing), pointer(gradient_odds)))
    copy(of_record, adjoint, n_weights)
    of_covariance[:] = 0
    unpack_adjoint(of_record, of_covariance)


@njit(forceinline=True)
def add_noise(seen, n, t, covariance):
    """Widen what is known: by the noise of every trial, and of a session's start."""
    for i in range(len(covariance)):
        of_session = seen.amounts[n, t, 1] * seen.variances[1, i]
        variance = seen.amounts[n, t, 0] * seen.variances[0, i] + of_session
        for j in range(i % seen.n_features, len(covariance), seen.n_features):
            covariance[i, j] += variance if i == j else variance / 2


@kernel
def unroll_filtered(
    steps, layout, parameters, fields, seen, n_observed, first, last, start, room, path, memories
):
    """Fill ``path`` (N, T, K + S), whose first trial is given, of some subjects."""
    seen, room = borrow_seen(seen), borrow_room(room)
    (n_trials, width), n_weights = path.shape[1:], seen.variances.shape[1]
    n_blocks, m = memories.shape[1:]
    known = (pointer(layout), pointer(parameters), pointer(fields))
    record, rows, path_ = pointer(room.records), pointer(room.rows), pointer(path)
    start_, memories_ = pointer(start), pointer(memories)
    covariance, change = room.covariance, shift(rows, steps.update)
    for n in range(first, last):
        memory = shift(start_, n * m)
        for t in range(n_observed[n]):
            row = shift(path_, (n * n_trials + t) * width)
            later = shift(row, width)
            if n_blocks and m and t % steps.block == 0:
                copy(memory, shift(memories_, (n * n_blocks + t // steps.block) * m), m)
            observe(seen, n, t, row, record)
            unpack(record, covariance)
            fill_trial(steps, known, seen, room, n, t, record, memory, rows)
            fill_transition(steps, rows, seen.places, room.transition)
            copy(record, later, n_weights)
            for i in range(len(seen.places)):
                later[seen.places[i]] += change[i]
            spread(room.transition, covariance, room.product)
            add_noise(seen, n, t, covariance)
            pack(covariance, later)
            copy(shift(rows, steps.memory), memory, m)
        hold(path, n, n_observed[n])


@njit(forceinline=True)
def fill_block(steps, known, seen, room, n, start, n_rows, row, width, memory):
    """Compute a block's records and rows again, from its first trial's row of the path."""
    for i in range(n_rows):
        record, rows = place_of(steps, seen, room.records, room.rows, i)
        observe(seen, n, start + i, shift(row, i * width), record)
        fill_trial(steps, known, seen, room, n, start + i, record, memory, rows)
        memory = shift(rows, steps.memory)


@njit(forceinline=True)
def place_of(steps, seen, records, rows, i):
    """Return where a block's i-th trial has its record, and its rows or their deltas."""
    n_weights = seen.variances.shape[1]
    record = shift(pointer(records), i * (n_weights + n_weights * (n_weights + 1) // 2))
    return record, shift(pointer(rows), i * (1 + len(seen.places)) * steps.row_size)


@njit(forceinline=True)
def noise_back(seen, n, t, adjoint_covariance, gradient_variances):
    """Add to the variances' gradient."""
    for i in range(len(adjoint_covariance)):
        total = 0.0
        for j in range(i % seen.n_features, len(adjoint_covariance), seen.n_features):
            total += adjoint_covariance[i, j] if i == j else adjoint_covariance[i, j] / 2
        gradient_variances[0, i] += seen.amounts[n, t, 0] * total
        gradient_variances[1, i] += seen.amounts[n, t, 1] * total


@njit(forceinline=True)
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
    steps, layout, parameters, fields, seen, n_observed, first, last, room, path, memories,
    truncation, n_steps, upstream, gradient, gradient_odds, gradient_variances, gradient_start,
):  # fmt: skip
    """Fill ``gradient_start`` (N, K + S + M) of some subjects; add their part to the gradients."""
    seen, room = borrow_seen(seen), borrow_room(room)
    gradient_variances = borrowed(gradient_variances)
    known = (pointer(layout), pointer(parameters), pointer(fields))
    (n_trials, width), (n_blocks, m) = path.shape[1:], memories.shape[1:]
    of_covariance, of_memory, gradient_ = room.of_covariance, room.of_memory[0], pointer(gradient)
    for n in range(first, last):
        adjoint, adjoint_ = gradient_start[n], pointer(gradient_start[n])  # row, then memory
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint[:width])
        of_covariance[:] = 0
        unpack_adjoint(adjoint_, of_covariance)
        of_memory[:] = 0
        for start in range((n_observed[n] - 1) // steps.block * steps.block, -1, -steps.block):
            n_rows = min(steps.block, n_observed[n] - start)
            at = (n * n_trials + start) * width  # in the path, and in the gradient from above
            row, above = shift(pointer(path), at), shift(pointer(upstream), at)
            kept = shift(pointer(memories), (n * n_blocks + start // steps.block) * m)
            fill_block(steps, known, seen, room, n, start, n_rows, row, width, kept)
            for i in range(n_rows - 1, -1, -1):
                memory = kept
                if i:
                    _, before = place_of(steps, seen, room.records, room.rows, i - 1)
                    memory = shift(before, steps.memory)
                filtered_trial_back(
                    steps, known, seen, room, n, start, i, shift(row, i * width), width, memory,
                    adjoint_, gradient_, gradient_odds, gradient_variances,
                )  # fmt: skip
                cut = is_cut(start + i, truncation)
                pass_to_row(cut, shift(above, i * width), adjoint_, of_covariance, of_memory)
            if steps.add_gradients:
                both, n_all = (pointer(room.rows), pointer(room.deltas)), 1 + len(seen.places)
                call(steps.add_gradients, (*known, *both, n_rows * n_all, gradient_))
        pack_adjoint(of_covariance, adjoint_)
        copy(pointer(of_memory), shift(adjoint_, width), m)


@njit(forceinline=True)
def filtered_trial_back(
    steps, known, seen, room, n, start, i, row, width, memory, adjoint, gradient, gradient_odds,
    gradient_variances,
):  # fmt: skip
    """Take the adjoints back over a trial: over what moves the weights, and over the choice."""
    t = start + i
    record, rows = place_of(steps, seen, room.records, room.rows, i)
    _, deltas = place_of(steps, seen, room.records, room.deltas, i)
    unpack(record, room.covariance)
    fill_transition(steps, rows, seen.places, room.transition)
    cut_adjoint(shift(row, width), adjoint, room.of_covariance)
    noise_back(seen, n, t, room.of_covariance, gradient_variances)
    spread_back(
        room.transition, room.covariance, room.of_covariance, room.of_transition, room.product
    )
    fill_trial_back(steps, known, seen, room, n, t, record, memory, rows, deltas, adjoint, gradient)
    observe_back(seen, room, n, t, row, adjoint, gradient_odds)
