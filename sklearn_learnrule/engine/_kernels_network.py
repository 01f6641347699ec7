"""Compiled unrolling of the network rules, one trial of one subject at a time.

A *row* holds everything that one trial computes: the network's inputs, the memory, the
gates, each layer's output before and after its activation, each in a slot padded to
``LANES``. A row of *deltas* holds the loss's gradient with respect to the same slots.
The state that a trial hands on is the weights (K) and the memory (M).

The backward pass goes through blocks of trials, last block first. It computes the block's
rows again, from the weights that the forward pass returned and the memory that it kept at
each block's start; goes back through the block with one row of deltas a trial; and adds up
the parameters' gradients as products of rows and deltas. All of it stays in cache.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ._kernels_gru import fill_memories, gru, gru_back, new_memory, old_memory
from ._kernels_layers import (
    INPUT,
    N_COLUMNS,
    OUTPUT,
    WIDTH,
    activate,
    activate_back,
    add_gradient,
    copy,
    linear,
    linear_back,
    linear_back_to,
    linear_rows,
    transpose,
)
from ._kernels_state import BLOCK, adjoint_of_held, hold, is_cut, kernel
from ._kernels_vector import pointer, shift


class Network(NamedTuple):
    """A network rule's shape: the numbers that are the same for all its layers."""

    n_layers: int
    n_weights: int
    memory_width: int
    """M padded to LANES; 0 for a rule without memory."""
    activation: int
    session_input: bool
    answer_input: bool
    row_size: int


@njit
def last_layer(network, layers):
    return shift(layers, (network.n_layers - 1) * N_COLUMNS)


@njit
def last_output(network, layers, row):
    return shift(row, last_layer(network, layers)[OUTPUT])


@njit
def step(network, layers, parameters, row):
    """Fill a row from its inputs and its old memory."""
    linear(layers, parameters, row)
    first = 0
    if network.memory_width:
        gru(network, layers, parameters, row)
        first = 2
        linear(shift(layers, first * N_COLUMNS), parameters, row)
    for number in range(first + 1, network.n_layers):
        layer = shift(layers, number * N_COLUMNS)
        activate_below(network, layer, row)
        linear(layer, parameters, row)


@njit
def activate_below(network, layer, row):
    """Fill a layer's input slot from the output slot of the layer below."""
    below = shift(layer, -N_COLUMNS)
    x, y = shift(row, below[OUTPUT]), shift(row, layer[INPUT])
    activate(network.activation, x, y, below[WIDTH])


@njit
def step_back(network, layers, parameters, transposed, row, deltas, adjoint_memory):
    """Fill a row of deltas from its last output, down to the weights in its inputs."""
    first = 2 if network.memory_width else 0
    for number in range(network.n_layers - 1, first, -1):
        layer = shift(layers, number * N_COLUMNS)
        linear_back(layer, transposed, deltas)
        below = shift(layer, -N_COLUMNS)
        x, y = shift(row, below[OUTPUT]), shift(row, layer[INPUT])
        delta_x, delta_y = shift(deltas, below[OUTPUT]), shift(deltas, layer[INPUT])
        activate_back(network.activation, x, y, delta_x, delta_y, below[WIDTH])
    if network.memory_width:
        linear_back(shift(layers, first * N_COLUMNS), transposed, deltas)
        gru_back(network, layers, transposed, row, deltas, adjoint_memory)
    linear_back_to(layers, network.n_weights, parameters, deltas)


@njit
def fill_inputs(network, trials, weights, at, row):
    """[w, x, y, r] and, unless switched off, session start and correct choice."""
    features, choice, reward, answer, session_start = trials
    n_weights = network.n_weights
    for k in range(n_weights):
        row[k] = weights[k]
        row[n_weights + k] = features[at * n_weights + k]
    outcome = shift(row, 2 * n_weights)
    outcome[0] = choice[at]
    outcome[1] = reward[at]
    if network.session_input:
        outcome[2] = session_start[at]
    if network.answer_input:
        outcome[2 + network.session_input] = answer[at]


@njit
def pointers(trials):
    features, choice, reward, answer, session_start = trials
    return (
        pointer(features),
        pointer(choice),
        pointer(reward),
        pointer(answer),
        pointer(session_start),
    )


@kernel
def unroll_network(
    network, layers, parameters, trials, n_observed, first, last, row, trajectory, memories
):
    """Fill ``trajectory`` (N, T, K), whose first trial is given, of some subjects.

    ``memories`` (N, n_blocks, memory_width) takes the memory before each block of trials,
    where it has room for it.
    """
    n_trials, n_weights = trajectory.shape[1:]
    n_blocks, m = memories.shape[1:]
    trials_, layers_, parameters_ = pointers(trials), pointer(layers), pointer(parameters)
    row_, trajectory_, memories_ = pointer(row), pointer(trajectory), pointer(memories)
    change = last_output(network, layers_, row_)
    for n in range(first, last):
        row[:] = 0
        for t in range(n_observed[n]):
            at = n * n_trials + t
            if n_blocks and m and t % BLOCK == 0:
                kept = shift(memories_, (n * n_blocks + t // BLOCK) * m)
                copy(old_memory(layers_, row_), kept, m)
            weights = shift(trajectory_, at * n_weights)
            fill_inputs(network, trials_, weights, at, row_)
            step(network, layers_, parameters_, row_)
            for k in range(n_weights):
                weights[n_weights + k] = weights[k] + change[k]
            if m:
                copy(new_memory(layers_, row_), old_memory(layers_, row_), m)
        hold(trajectory, n, n_observed[n])


@njit
def fill_rows(network, layers, parameters, trials, weights, memory, start, n_rows, rows):
    """Compute a block's rows again, but for the last layer's output, which no slope needs.

    The trials' weights are known, so that only the memory needs one trial after another.
    """
    size = network.row_size
    for i in range(n_rows):
        weights_now = shift(weights, i * network.n_weights)
        fill_inputs(network, trials, weights_now, start + i, shift(rows, i * size))
    first = 0
    if network.memory_width:
        linear_rows(layers, parameters, rows, n_rows, size)
        fill_memories(network, layers, parameters, memory, n_rows, rows)
        first = 2
    for number in range(first, network.n_layers - 1):
        layer = shift(layers, number * N_COLUMNS)
        linear_rows(layer, parameters, rows, n_rows, size)
        for i in range(n_rows):
            activate_below(network, shift(layer, N_COLUMNS), shift(rows, i * size))


@kernel
def unroll_network_back(
    network, layers, parameters, trials, n_observed, first, last, trajectory, memories,
    truncation, n_steps, transposed, rows, deltas, adjoint_memory,
    gradient_trajectory, gradient, gradient_initial,
):  # fmt: skip
    """Fill ``gradient_initial`` (N, K) of some subjects; add their part to ``gradient``."""
    n_trials, n_weights = trajectory.shape[1:]
    n_blocks, m = memories.shape[1:]
    trials_, layers_, parameters_ = pointers(trials), pointer(layers), pointer(parameters)
    transposed_, rows_, deltas_ = pointer(transposed), pointer(rows), pointer(deltas)
    memory_, gradient_ = pointer(adjoint_memory), pointer(gradient)
    trajectory_, memories_ = pointer(trajectory), pointer(memories)
    upstream_ = pointer(gradient_trajectory)
    transpose(network.n_layers, layers_, parameters_, transposed_)
    for n in range(first, last):
        adjoint_of_held(
            gradient_trajectory, n, n_observed[n], truncation, n_steps, gradient_initial[n]
        )
        adjoint = shift(pointer(gradient_initial), n * n_weights)  # of the weights
        adjoint_memory[:] = 0
        for start in range((n_observed[n] - 1) // BLOCK * BLOCK, -1, -BLOCK):
            n_rows = min(BLOCK, n_observed[n] - start)
            at = n * n_trials + start
            weights = shift(trajectory_, at * n_weights)
            memory = shift(memories_, (n * n_blocks + start // BLOCK) * m)
            fill_rows(network, layers_, parameters_, trials_, weights, memory, at, n_rows, rows_)
            for i in range(n_rows - 1, -1, -1):
                row = shift(rows_, i * network.row_size)
                delta = shift(deltas_, i * network.row_size)
                copy(adjoint, last_output(network, layers_, delta), n_weights)
                step_back(network, layers_, parameters_, transposed_, row, delta, memory_)
                cut = is_cut(start + i, truncation)
                if cut:
                    adjoint_memory[:] = 0
                for k in range(n_weights):
                    passed = 0.0 if cut else adjoint[k] + delta[k]
                    adjoint[k] = passed + upstream_[(at + i) * n_weights + k]
            for number in range(network.n_layers):
                layer = shift(layers_, number * N_COLUMNS)
                add_gradient(layer, gradient_, rows_, deltas_, n_rows, network.row_size)
