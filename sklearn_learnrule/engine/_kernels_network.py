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

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ._kernels_vector import (
    exp,
    full,
    length,
    like,
    load,
    multiply_add,
    sigmoid,
    store,
    tanh,
    where_at_most,
)

BLOCK = 64  # trials whose rows are held at a time
N_IN, N_OUT, N_BACK, WIDTH, WIDTH_BACK, WEIGHTS, WEIGHTS_BACK, INPUT, OUTPUT = range(9)
RELU, TANH, ELU, SILU, SOFTPLUS, GELU = range(6)


class Network(NamedTuple):
    """A network rule's shape, and where each part lies in a row and in the parameters."""

    layers: np.ndarray
    """One row a linear layer, (L, 9); the columns are N_IN, ..., OUTPUT. With a memory the
    first two layers are the GRU's, from the inputs and from the memory. N_BACK of a
    layer's inputs want a gradient: of the network's own inputs, the weights alone."""
    n_weights: int
    memory_width: int
    """M padded to LANES; 0 for a rule without memory."""
    activation: int
    session_input: bool
    answer_input: bool
    row_size: int
    n_parameters: int
    """Of the layers' (N_IN + 1, WIDTH) weights, the bias being the last row."""
    n_transposed: int
    """Of the layers' (N_OUT, WIDTH_BACK) transposed weights, without bias."""


@njit
def multiply(matrix, at, n_rows, n_columns, bias, x, x_at, y, y_at):
    """y = x @ matrix, plus the matrix's row after the last where there is a bias.

    Four partial sums, so that the processor need not wait for one addition to end.
    """
    n_fours = n_rows - n_rows % 4
    for j in range(0, n_columns, length(matrix)):
        a = full(matrix, 0)
        b, c, d = a, a, a
        if bias:
            a = load(matrix, at + n_rows * n_columns + j)
        weights = at + j
        for i in range(0, n_fours, 4):
            a = multiply_add(x[x_at + i], load(matrix, weights), a)
            b = multiply_add(x[x_at + i + 1], load(matrix, weights + n_columns), b)
            c = multiply_add(x[x_at + i + 2], load(matrix, weights + 2 * n_columns), c)
            d = multiply_add(x[x_at + i + 3], load(matrix, weights + 3 * n_columns), d)
            weights += 4 * n_columns
        for i in range(n_fours, n_rows):
            a = multiply_add(x[x_at + i], load(matrix, weights), a)
            weights += n_columns
        store(y, y_at + j, (a + b) + (c + d))


@njit
def linear(network, parameters, layer, rows, row):
    """Fill the layer's output slot from its input slot."""
    at = network.layers[layer]
    multiply(
        parameters, at[WEIGHTS], at[N_IN], at[WIDTH], True,
        rows, row + at[INPUT], rows, row + at[OUTPUT],
    )  # fmt: skip


@njit
def linear_back(network, transposed, layer, deltas, row):
    """Fill the layer's input slot of deltas from its output slot."""
    at = network.layers[layer]
    multiply(
        transposed, at[WEIGHTS_BACK], at[N_OUT], at[WIDTH_BACK], False,
        deltas, row + at[OUTPUT], deltas, row + at[INPUT],
    )  # fmt: skip


@njit
def add_products(gradient, network, layer, rows, deltas, n_rows):
    """Add each row's (inputs, 1) times deltas to the layer's gradient, four inputs at a time."""
    at = network.layers[layer]
    n_in, width = at[N_IN], at[WIDTH]
    n_fours = n_in - n_in % 4
    size = network.row_size
    for j in range(0, width, length(gradient)):
        for i in range(0, n_fours, 4):
            weights = at[WEIGHTS] + i * width + j
            a = load(gradient, weights)
            b = load(gradient, weights + width)
            c = load(gradient, weights + 2 * width)
            d = load(gradient, weights + 3 * width)
            x, delta = at[INPUT] + i, at[OUTPUT] + j
            for _ in range(n_rows):
                values = load(deltas, delta)
                a = multiply_add(rows[x], values, a)
                b = multiply_add(rows[x + 1], values, b)
                c = multiply_add(rows[x + 2], values, c)
                d = multiply_add(rows[x + 3], values, d)
                x, delta = x + size, delta + size
            store(gradient, weights, a)
            store(gradient, weights + width, b)
            store(gradient, weights + 2 * width, c)
            store(gradient, weights + 3 * width, d)
        bias = load(gradient, at[WEIGHTS] + n_in * width + j)
        delta = at[OUTPUT] + j
        for _ in range(n_rows):
            bias = bias + load(deltas, delta)
            delta += size
        store(gradient, at[WEIGHTS] + n_in * width + j, bias)
        for i in range(n_fours, n_in):
            weights = at[WEIGHTS] + i * width + j
            a = load(gradient, weights)
            x, delta = at[INPUT] + i, at[OUTPUT] + j
            for _ in range(n_rows):
                a = multiply_add(rows[x], load(deltas, delta), a)
                x, delta = x + size, delta + size
            store(gradient, weights, a)


@njit
def activate(kind, rows, before, after, width):
    """Apply the activation to one slot, into another."""
    if kind == SOFTPLUS:
        for j in range(width):
            x = rows[before + j]
            rows[after + j] = x if x > 20 else math.log1p(math.exp(x))
    elif kind == GELU:
        for j in range(width):
            x = rows[before + j]
            rows[after + j] = 0.5 * x * (1 + math.erf(x * math.sqrt(0.5)))
    else:
        for j in range(0, width, length(rows)):
            x = load(rows, before + j)
            zero = like(x, 0)
            if kind == RELU:
                y = where_at_most(x, zero, zero, x)
            elif kind == TANH:
                y = tanh(x)
            elif kind == ELU:
                y = where_at_most(x, zero, exp(x) - 1.0, x)
            else:
                y = x * sigmoid(x)
            store(rows, after + j, y)


@njit
def activate_back(kind, rows, deltas, before, after, width):
    """Fill one slot of deltas from another: times the activation's slope."""
    if kind == GELU:
        for j in range(width):
            x = rows[before + j]
            normal = 0.5 * (1 + math.erf(x * math.sqrt(0.5)))
            density = math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
            deltas[before + j] = deltas[after + j] * (normal + x * density)
        return
    for j in range(0, width, length(rows)):
        x, y = load(rows, before + j), load(rows, after + j)
        delta = load(deltas, after + j)
        zero, one = like(x, 0), like(x, 1)
        if kind == RELU:
            delta = where_at_most(x, zero, zero, delta)
        elif kind == TANH:
            delta = delta * (1.0 - y * y)
        elif kind == ELU:
            delta = delta * where_at_most(x, zero, y + 1.0, one)
        elif kind == SILU:
            s = sigmoid(x)
            delta = delta * (s + y * (1.0 - s))
        else:
            delta = delta * where_at_most(x, like(x, 20), sigmoid(x), one)
        store(deltas, before + j, delta)


@njit
def gru(network, parameters, rows, row):
    """Fill the new memory's slot; r, z, n take the place of the inputs' part of the gates."""
    linear(network, parameters, 0, rows, row)
    linear(network, parameters, 1, rows, row)
    m = network.memory_width
    gates, gates_h = row + network.layers[0, OUTPUT], row + network.layers[1, OUTPUT]
    old, new = row + network.layers[1, INPUT], row + network.layers[2, INPUT]
    for j in range(0, m, length(rows)):
        r = sigmoid(load(rows, gates + j) + load(rows, gates_h + j))
        z = sigmoid(load(rows, gates + m + j) + load(rows, gates_h + m + j))
        n = tanh(load(rows, gates + 2 * m + j) + r * load(rows, gates_h + 2 * m + j))
        store(rows, gates + j, r)
        store(rows, gates + m + j, z)
        store(rows, gates + 2 * m + j, n)
        store(rows, new + j, n + z * (load(rows, old + j) - n))


@njit
def gru_back(network, transposed, rows, deltas, row, adjoint_memory):
    """Take the adjoint of the memory one trial back, with what the MLP adds to it."""
    m = network.memory_width
    gates, gates_h = row + network.layers[0, OUTPUT], row + network.layers[1, OUTPUT]
    old, new = row + network.layers[1, INPUT], row + network.layers[2, INPUT]
    for j in range(0, m, length(rows)):
        r, z = load(rows, gates + j), load(rows, gates + m + j)
        n, n_h = load(rows, gates + 2 * m + j), load(rows, gates_h + 2 * m + j)
        delta = load(deltas, new + j) + load(adjoint_memory, j)
        delta_n = delta * (1.0 - z) * (1.0 - n * n)
        delta_z = delta * (load(rows, old + j) - n) * z * (1.0 - z)
        delta_r = delta_n * n_h * r * (1.0 - r)
        store(deltas, gates + j, delta_r)
        store(deltas, gates_h + j, delta_r)
        store(deltas, gates + m + j, delta_z)
        store(deltas, gates_h + m + j, delta_z)
        store(deltas, gates + 2 * m + j, delta_n)
        store(deltas, gates_h + 2 * m + j, delta_n * r)
        store(adjoint_memory, j, delta * z)
    linear_back(network, transposed, 0, deltas, row)
    linear_back(network, transposed, 1, deltas, row)
    for j in range(0, m, length(rows)):
        store(adjoint_memory, j, load(adjoint_memory, j) + load(deltas, old + j))


@njit
def fill_inputs(network, trials, weights, n, t, rows, row):
    """[w, x, y, r] and, unless switched off, session start and correct choice."""
    at = row + network.layers[0, INPUT]
    n_weights = network.n_weights
    for k in range(n_weights):
        rows[at + k] = weights[k]
        rows[at + n_weights + k] = trials.features[n, t, k]
    at += 2 * n_weights
    rows[at] = trials.choice[n, t]
    rows[at + 1] = trials.reward[n, t]
    if network.session_input:
        rows[at + 2] = trials.session_start[n, t]
        at += 1
    if network.answer_input:
        rows[at + 2] = trials.answer[n, t]


@njit
def step(network, parameters, rows, row):
    """Fill a row from its inputs and its old memory."""
    first = 0
    if network.memory_width:
        gru(network, parameters, rows, row)
        first = 2
    layers = network.layers
    for layer in range(first, len(layers)):
        if layer > first:
            before, after = row + layers[layer - 1, OUTPUT], row + layers[layer, INPUT]
            activate(network.activation, rows, before, after, layers[layer - 1, WIDTH])
        linear(network, parameters, layer, rows, row)


@njit
def step_back(network, transposed, rows, deltas, row, adjoint_memory):
    """Fill a row of deltas from its last layer's output slot."""
    first = 2 if network.memory_width else 0
    layers = network.layers
    for layer in range(len(layers) - 1, first - 1, -1):
        linear_back(network, transposed, layer, deltas, row)
        if layer > first:
            before, after = row + layers[layer - 1, OUTPUT], row + layers[layer, INPUT]
            width = layers[layer - 1, WIDTH]
            activate_back(network.activation, rows, deltas, before, after, width)
    if network.memory_width:
        gru_back(network, transposed, rows, deltas, row, adjoint_memory)


@njit
def copy(source, source_at, target, target_at, size):
    for j in range(size):
        target[target_at + j] = source[source_at + j]


@njit
def memory_slots(network):
    """Where a row's old and new memory lie (0, 0 for a rule without)."""
    if network.memory_width:
        return network.layers[1, INPUT], network.layers[2, INPUT]
    return 0, 0


@njit(nogil=True, cache=True)
def unroll_network(
    network, parameters, trials, n_observed, first, last, rows, trajectory, memories
):
    """Fill ``trajectory`` (N, T, K), whose first trial is given, of some subjects.

    ``memories`` (N, n_blocks, memory_width) takes the memory before each block of trials,
    where it has room for it.
    """
    old, new = memory_slots(network)
    output = network.layers[-1, OUTPUT]
    m = network.memory_width
    for n in range(first, last):
        rows[old : old + m] = 0
        for t in range(n_observed[n]):
            if t % BLOCK == 0 and t // BLOCK < memories.shape[1]:
                memories[n, t // BLOCK] = rows[old : old + m]
            fill_inputs(network, trials, trajectory[n, t], n, t, rows, 0)
            step(network, parameters, rows, 0)
            for k in range(network.n_weights):
                trajectory[n, t + 1, k] = trajectory[n, t, k] + rows[output + k]
            copy(rows, new, rows, old, m)
        for t in range(n_observed[n] + 1, trajectory.shape[1]):
            trajectory[n, t] = trajectory[n, t - 1]


@njit
def transpose(network, parameters, transposed):
    """Lay out each layer's weights for the way back."""
    transposed[:] = 0
    for at in network.layers:
        for i in range(at[N_BACK]):
            for j in range(at[N_OUT]):
                weight = parameters[at[WEIGHTS] + i * at[WIDTH] + j]
                transposed[at[WEIGHTS_BACK] + j * at[WIDTH_BACK] + i] = weight


@njit
def fill_rows(network, parameters, trials, trajectory, memory, n, start, stop, rows):
    """Compute again the rows of trials ``start`` to ``stop``."""
    old, new = memory_slots(network)
    m = network.memory_width
    for j in range(m):
        rows[old + j] = memory[j]
    for t in range(start, stop):
        row = (t - start) * network.row_size
        fill_inputs(network, trials, trajectory[n, t], n, t, rows, row)
        step(network, parameters, rows, row)
        if t + 1 < stop:
            copy(rows, row + new, rows, row + network.row_size + old, m)


@njit
def is_cut(t, truncation):
    """Whether no gradient passes from trial t to the trials before."""
    return truncation > 0 and t > 0 and t % truncation == 0


@njit(nogil=True, cache=True)
def unroll_network_back(
    network, parameters, trials, n_observed, first, last, trajectory, memories,
    truncation, n_steps, transposed, rows, deltas, adjoint_memory,
    gradient_trajectory, gradient, gradient_initial,
):  # fmt: skip
    """Fill ``gradient_initial`` (N, K) of some subjects, and add to ``gradient`` theirs.

    The adjoint of the state before trial t is the loss's gradient with respect to it, by
    way of all that follows. It is cut at every ``truncation``-th of the ``n_steps``
    trials, if that is above 0.
    """
    output, weights = network.layers[-1, OUTPUT], network.layers[0, INPUT]
    transpose(network, parameters, transposed)
    deltas[:] = 0
    for n in range(first, last):
        adjoint = gradient_initial[n]  # (K,), the weights' part; the last trial's is the result
        adjoint[:] = 0
        adjoint_memory[:] = 0
        for t in range(trajectory.shape[1] - 1, n_observed[n] - 1, -1):
            if t < n_steps and is_cut(t, truncation):
                adjoint[:] = 0
            for k in range(network.n_weights):
                adjoint[k] += gradient_trajectory[n, t, k]
        for start in range((n_observed[n] - 1) // BLOCK * BLOCK, -1, -BLOCK):
            stop = min(start + BLOCK, n_observed[n])
            memory = memories[n, start // BLOCK]
            fill_rows(network, parameters, trials, trajectory, memory, n, start, stop, rows)
            for t in range(stop - 1, start - 1, -1):
                row = (t - start) * network.row_size
                for k in range(network.n_weights):
                    deltas[row + output + k] = adjoint[k]
                step_back(network, transposed, rows, deltas, row, adjoint_memory)
                cut = is_cut(t, truncation)
                if cut:
                    adjoint_memory[:] = 0
                for k in range(network.n_weights):
                    change = 0 if cut else adjoint[k] + deltas[row + weights + k]
                    adjoint[k] = change + gradient_trajectory[n, t, k]
            for layer in range(len(network.layers)):
                add_products(gradient, network, layer, rows, deltas, stop - start)
