"""A GRU's step, forward and backward, in the rows of the network kernels.

Of the layers, the first maps the inputs to the gates, the second the memory; the third's
input is the new memory.
"""

from __future__ import annotations

from numba import njit

from ._kernels_layers import INPUT, N_COLUMNS, OUTPUT, linear, linear_back
from ._kernels_vector import (
    add_slot,
    clear_slot,
    copy_slot,
    length,
    load,
    shift,
    sigmoid,
    store,
    tanh,
)


@njit
def gru(network, layers, parameters, row):
    """Fill the new memory's slot, given the inputs' part of the gates, which r, z, n replace."""
    linear(shift(layers, N_COLUMNS), parameters, row)
    open_gates(network, layers, row, row)


@njit(forceinline=True)
def open_gates(network, layers, row, remembers):
    """The same once the row that ``remembers`` has the old memory and its part of the gates."""
    from_inputs, from_memory = layers, shift(layers, N_COLUMNS)
    gates, gates_h = shift(row, from_inputs[OUTPUT]), shift(remembers, from_memory[OUTPUT])
    old, new = old_memory(layers, remembers), new_memory(layers, row)
    m = network.memory_width
    for j in range(0, m, length(row)):
        r = sigmoid(load(gates, j) + load(gates_h, j))
        z = sigmoid(load(gates, m + j) + load(gates_h, m + j))
        n = tanh(load(gates, 2 * m + j) + r * load(gates_h, 2 * m + j))
        store(gates, j, r)
        store(gates, m + j, z)
        store(gates, 2 * m + j, n)
        store(new, j, n + z * (load(old, j) - n))


@njit
def gru_back(network, layers, transposed, row, deltas, adjoint_memory):
    """Take the adjoint of the memory one trial back, with what the layer above adds to it."""
    gates_back(network, layers, row, row, deltas, adjoint_memory)
    memory_back(network, layers, transposed, deltas, adjoint_memory)


@njit(forceinline=True)
def gates_back(network, layers, row, remembers, deltas, adjoint_memory):
    """Take it back over the gates: what goes past them stays in it."""
    from_inputs, from_memory = layers, shift(layers, N_COLUMNS)
    gates, gates_h = shift(row, from_inputs[OUTPUT]), shift(remembers, from_memory[OUTPUT])
    back, back_h = shift(deltas, from_inputs[OUTPUT]), shift(deltas, from_memory[OUTPUT])
    old = old_memory(layers, remembers)
    m = network.memory_width
    for j in range(0, m, length(row)):
        r, z, n = load(gates, j), load(gates, m + j), load(gates, 2 * m + j)
        delta = load(new_memory(layers, deltas), j) + load(adjoint_memory, j)
        delta_n = delta * (1.0 - z) * (1.0 - n * n)
        delta_z = delta * (load(old, j) - n) * z * (1.0 - z)
        delta_r = delta_n * load(gates_h, 2 * m + j) * r * (1.0 - r)
        store(back, j, delta_r)
        store(back_h, j, delta_r)
        store(back, m + j, delta_z)
        store(back_h, m + j, delta_z)
        store(back, 2 * m + j, delta_n)
        store(back_h, 2 * m + j, delta_n * r)
        store(adjoint_memory, j, delta * z)


@njit(forceinline=True)
def memory_back(network, layers, transposed, deltas, adjoint_memory):
    """Add to the old memory's adjoint what comes by way of the gates."""
    linear_back(shift(layers, N_COLUMNS), transposed, deltas)
    for j in range(0, network.memory_width, length(deltas)):
        through_gates = load(old_memory(layers, deltas), j)
        store(adjoint_memory, j, load(adjoint_memory, j) + through_gates)


@njit
def old_memory(layers, row):
    return shift(row, layers[N_COLUMNS + INPUT])


@njit
def new_memory(layers, row):
    return shift(row, layers[2 * N_COLUMNS + INPUT])


@njit
def fill_memories(network, layers, parameters, memory, n_views, n_rows, rows):
    """Fill old and new memory of a block's rows, given the inputs' part of the gates.

    A trial has a row of each of its views, which have memories of their own.
    """
    for i in range(n_rows):
        row, before = shift(rows, i * network.row_size), shift(memory, i * network.memory_width)
        if i >= n_views:
            before = new_memory(layers, shift(row, -n_views * network.row_size))
        copy_slot(before, old_memory(layers, row), network.memory_width)
        gru(network, layers, parameters, row)


@njit
def share_memory(network, layers, parameters, memory, n_points, size, rows):
    """Fill the new memory of a trial's points, given the inputs' part of their gates.

    They share the old memory, and its part of the gates, which the first point's row holds.
    """
    copy_slot(memory, old_memory(layers, rows), network.memory_width)
    linear(shift(layers, N_COLUMNS), parameters, rows)
    for i in range(n_points):
        open_gates(network, layers, shift(rows, i * size), rows)


@njit
def share_memory_back(network, layers, transposed, n_points, size, rows, deltas, adjoint_memory):
    """Take the adjoint of the memory back: the new one is the first point's, the old one all's.

    The delta of its part of the gates comes to stand in the first point's, too.
    """
    gates_back(network, layers, rows, rows, deltas, adjoint_memory)
    of_memory = shift(layers, N_COLUMNS)[OUTPUT]
    for i in range(1, n_points):
        row, delta = shift(rows, i * size), shift(deltas, i * size)
        past_gates = old_memory(layers, delta)
        clear_slot(past_gates, network.memory_width)
        gates_back(network, layers, row, rows, delta, past_gates)
        add_slot(past_gates, adjoint_memory, network.memory_width)
        add_slot(shift(delta, of_memory), shift(deltas, of_memory), 3 * network.memory_width)
    memory_back(network, layers, transposed, deltas, adjoint_memory)
