"""Compiled unrolling of drifting weights that a network moves.

As ``_kernels_network``, inside the filter of ``_kernels_filter``. The network sees and moves the
weights at ``places``, M of K; ``trials`` has their features, ``features`` those of all. A trial
has 1 + M rows: the network at the weights' mean, and with each of its weights a step on, which
gives its slope. The memory goes on from the first of them. After the network's parameters come
the odds of lapses (2), and the variances that every trial (K) and a session's start (K) add.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..rules import SLOPE_STEP
from ._kernels_filter import (
    bound,
    cut_adjoint,
    observe,
    observe_back,
    pack,
    pack_adjoint,
    spread,
    spread_back,
    unpack,
    unpack_adjoint,
)
from ._kernels_gru import new_memory, old_memory
from ._kernels_layers import N_COLUMNS, add_gradient, copy, transpose
from ._kernels_network import fill_inputs, last_output, pointers, step, step_back
from ._kernels_state import BLOCK, adjoint_of_held, hold, is_cut, kernel
from ._kernels_textbook import side_of
from ._kernels_vector import pointer, shift


@njit
def fill_trial(network, layers, parameters, trials, mean, places, own, at, rows):
    """Compute a trial's rows, whose first has its old memory; ``own`` (M,) is room to work in."""
    for i in range(len(places)):
        own[i] = mean[places[i]]
    weights = pointer(own)
    for j in range(len(places) + 1):
        row = shift(rows, j * network.row_size)
        if j:
            own[j - 1] += SLOPE_STEP
            copy(old_memory(layers, rows), old_memory(layers, row), network.memory_width)
        fill_inputs(network, trials, weights, at, row)
        step(network, layers, parameters, row)
        if j:
            own[j - 1] -= SLOPE_STEP


@njit
def fill_transition(network, layers, rows, places, transition):
    """Fill F = 1 + the slope of the network's output; of weights not its own, F stays 1."""
    n = len(places)
    change = last_output(network, layers, rows)
    for j in range(n):
        moved = last_output(network, layers, shift(rows, (j + 1) * network.row_size))
        for i in range(n):
            slope = (moved[i] - change[i]) / SLOPE_STEP
            transition[places[i], places[j]] = slope + (1.0 if i == j else 0.0)


@kernel
def unroll_filtered_network(
    network, layers, parameters, odds, variances, places, features, trials, n_observed, first,
    last, rows, path, memories,
):  # fmt: skip
    """Fill ``path`` (N, T, K + S), whose first trial is given, of some subjects."""
    choice, session_start = trials[1], trials[4]
    n_trials, n_weights = features.shape[1:]
    n_blocks, m = memories.shape[1:]
    trials_, layers_, parameters_ = pointers(trials), pointer(layers), pointer(parameters)
    rows_, memories_ = pointer(rows), pointer(memories)
    covariance, product = np.empty((2, n_weights, n_weights), path.dtype)
    transition = np.eye(n_weights, dtype=path.dtype)
    along, mean, noise, own = np.empty((4, n_weights), path.dtype)
    change = last_output(network, layers_, rows_)
    for n in range(first, last):
        rows[:] = 0
        for t in range(n_observed[n]):
            at = n * n_trials + t
            row, later = path[n, t], path[n, t + 1]
            if n_blocks and m and t % BLOCK == 0:
                kept = shift(memories_, (n * n_blocks + t // BLOCK) * m)
                copy(old_memory(layers_, rows_), kept, m)
            unpack(row, n_weights, covariance)
            x, y = features[n, t], choice[n, t]
            observe(row[:n_weights], covariance, x, y, odds[side_of(y)], along, mean)
            fill_trial(network, layers_, parameters_, trials_, mean, places, own, at, rows_)
            fill_transition(network, layers_, rows_, places, transition)
            later[:n_weights] = mean
            for i in range(len(places)):
                later[places[i]] += change[i]
            for i in range(n_weights):
                noise[i] = variances[0, i] + session_start[n, t] * variances[1, i]
            spread(transition, covariance, noise, product)
            pack(covariance, n_weights, later)
            if m:
                copy(new_memory(layers_, rows_), old_memory(layers_, rows_), m)
        hold(path, n, n_observed[n])


@kernel
def unroll_filtered_network_back(
    network, layers, parameters, odds, places, features, trials, n_observed, first, last,
    path, memories, truncation, n_steps, transposed, rows, deltas, adjoint_memory, further_memory,
    upstream, gradient, gradient_odds, gradient_variances, gradient_initial,
):  # fmt: skip
    """Fill ``gradient_initial`` (N, K + S) of some subjects; add their part to the gradients."""
    choice, session_start = trials[1], trials[4]
    n_trials, n_weights = features.shape[1:]
    n_blocks, m = memories.shape[1:]
    trials_, layers_, parameters_ = pointers(trials), pointer(layers), pointer(parameters)
    transposed_, rows_, deltas_ = pointer(transposed), pointer(rows), pointer(deltas)
    gradient_, memories_ = pointer(gradient), pointer(memories)
    memory_, further_ = pointer(adjoint_memory), pointer(further_memory)
    size = network.row_size
    n_own = len(places)
    n_rows = n_own + 1  # of a trial
    covariance, product, adjoint_covariance, adjoint_transition = np.zeros(
        (4, n_weights, n_weights), path.dtype
    )
    transition = np.eye(n_weights, dtype=path.dtype)
    along, mean, adjoint_along, own = np.empty((4, n_weights), path.dtype)
    transpose(network.n_layers, layers_, parameters_, transposed_)
    for n in range(first, last):
        initial = gradient_initial[n]  # of the path's row
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, initial)
        adjoint = initial[:n_weights]  # of the mean
        adjoint_covariance[:] = 0
        unpack_adjoint(initial, n_weights, adjoint_covariance)
        adjoint_memory[:] = 0
        for start in range((n_observed[n] - 1) // BLOCK * BLOCK, -1, -BLOCK):
            stop = min(start + BLOCK, n_observed[n])
            kept = shift(memories_, (n * n_blocks + start // BLOCK) * m)
            for t in range(start, stop):  # compute the block's rows again
                row, x, y = path[n, t], features[n, t], choice[n, t]
                at, here = n * n_trials + t, shift(rows_, (t - start) * n_rows * size)
                unpack(row, n_weights, covariance)
                observe(row[:n_weights], covariance, x, y, odds[side_of(y)], along, mean)
                copy(kept, old_memory(layers_, here), m)
                fill_trial(network, layers_, parameters_, trials_, mean, places, own, at, here)
                kept = new_memory(layers_, here)
            for t in range(stop - 1, start - 1, -1):
                row, x, y = path[n, t], features[n, t], choice[n, t]
                here = shift(rows_, (t - start) * n_rows * size)
                delta = shift(deltas_, (t - start) * n_rows * size)
                unpack(row, n_weights, covariance)
                odds_y = odds[side_of(y)]
                variance = observe(row[:n_weights], covariance, x, y, odds_y, along, mean)
                fill_transition(network, layers_, here, places, transition)
                cut_adjoint(path[n, t + 1], n_weights, adjoint, adjoint_covariance)
                for i in range(n_weights):
                    gradient_variances[0, i] += adjoint_covariance[i, i]
                    gradient_variances[1, i] += session_start[n, t] * adjoint_covariance[i, i]
                spread_back(transition, covariance, adjoint_covariance, adjoint_transition, product)

                change = last_output(network, layers_, delta)
                for i in range(n_own):
                    change[i] = adjoint[places[i]]
                for j in range(n_own):
                    moved = last_output(network, layers_, shift(delta, (j + 1) * size))
                    for i in range(n_own):
                        moved[i] = adjoint_transition[places[i], places[j]] / SLOPE_STEP
                        change[i] -= moved[i]
                for j in range(n_rows):
                    further_memory[:] = 0
                    row_j, delta_j = shift(here, j * size), shift(delta, j * size)
                    adjoint_new = further_ if j else memory_
                    step_back(
                        network, layers_, parameters_, transposed_, row_j, delta_j, adjoint_new
                    )
                    for i in range(n_own):
                        adjoint[places[i]] += delta_j[i]
                    if j:
                        for i in range(m):
                            adjoint_memory[i] += further_memory[i]
                gradient_odds[side_of(y)] += observe_back(
                    row[:n_weights], variance, x, y, odds_y, along, adjoint, adjoint_covariance,
                    adjoint_along,
                )  # fmt: skip
                if is_cut(t, truncation):
                    adjoint[:] = 0
                    adjoint_covariance[:] = 0
                    adjoint_memory[:] = 0
                for i in range(n_weights):
                    adjoint[i] += upstream[n, t, i]
                unpack_adjoint(upstream[n, t], n_weights, adjoint_covariance)
                bound(adjoint)
                bound(adjoint_covariance)
            for number in range(network.n_layers):
                layer = shift(layers_, number * N_COLUMNS)
                add_gradient(layer, gradient_, rows_, deltas_, (stop - start) * n_rows, size)
        pack_adjoint(adjoint_covariance, n_weights, initial)
