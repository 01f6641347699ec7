"""Compiled unrolling of the recurrent choice network, in blocks of trials.

Its three layers lead from the inputs and from the memory to a GRU's gates, and from the new
memory to the logits. Rows, slots and deltas are those of ``_kernels_network``; as nothing
of the output is fed back, a block's rows take the first and the last layer all at once.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ._kernels_gru import fill_memories, gru_back, new_memory
from ._kernels_layers import (
    N_COLUMNS,
    OUTPUT,
    add_gradient,
    linear_back,
    linear_rows,
    transpose,
)
from ._kernels_state import BLOCK, is_cut, kernel
from ._kernels_vector import copy, pointer, shift

N_LAYERS = 3


class ChoiceNetwork(NamedTuple):
    """The network's shape."""

    n_inputs: int
    memory_width: int
    """M padded to LANES."""
    row_size: int


@njit
def fill_rows(network, layers, parameters, inputs, memory, n_rows, rows):
    """Fill a block's rows from its trials' inputs and the memory before them."""
    size = network.row_size
    for i in range(n_rows):
        copy(shift(inputs, i * network.n_inputs), shift(rows, i * size), network.n_inputs)
    linear_rows(layers, parameters, rows, n_rows, size)
    fill_memories(network, layers, parameters, memory, 1, n_rows, rows)
    linear_rows(readout(layers), parameters, rows, n_rows, size)


@njit
def readout(layers):
    return shift(layers, 2 * N_COLUMNS)


@kernel
def choice_logits(
    network, layers, parameters, inputs, n_trials, first, last, rows, memory, logits, memories
):
    """Fill ``logits`` (N, T, n_logits) of some subjects from ``inputs`` (N, T, n_inputs).

    ``memories`` (N, n_blocks, memory_width) takes the memory before each block of trials,
    where it has room for it. Logits after a subject's last trial are 0.
    """
    n_blocks, m = memories.shape[1:]
    size = network.row_size
    layers_, parameters_, inputs_ = pointer(layers), pointer(parameters), pointer(inputs)
    rows_, memory_, memories_ = pointer(rows), pointer(memory), pointer(memories)
    logit = shift(rows_, readout(layers_)[OUTPUT])
    for n in range(first, last):
        memory[:] = 0
        for start in range(0, n_trials[n], BLOCK):
            n_rows = min(BLOCK, n_trials[n] - start)
            if n_blocks:
                copy(memory_, shift(memories_, (n * n_blocks + start // BLOCK) * m), m)
            block = shift(inputs_, (n * logits.shape[1] + start) * network.n_inputs)
            fill_rows(network, layers_, parameters_, block, memory_, n_rows, rows_)
            for i in range(n_rows):
                for c in range(logits.shape[2]):
                    logits[n, start + i, c] = logit[i * size + c]
            copy(new_memory(layers_, shift(rows_, (n_rows - 1) * size)), memory_, m)
        for t in range(n_trials[n], logits.shape[1]):
            for c in range(logits.shape[2]):
                logits[n, t, c] = 0


@kernel
def choice_logits_back(
    network, layers, parameters, inputs, n_trials, first, last, rows, deltas, adjoint_memory,
    transposed, memories, truncation, gradient_logits, gradient,
):  # fmt: skip
    """Add some subjects' part to the parameters' ``gradient``."""
    n_blocks, m = memories.shape[1:]
    size = network.row_size
    layers_, parameters_, inputs_ = pointer(layers), pointer(parameters), pointer(inputs)
    rows_, deltas_, memories_ = pointer(rows), pointer(deltas), pointer(memories)
    adjoint_, transposed_ = pointer(adjoint_memory), pointer(transposed)
    gradient_ = pointer(gradient)
    transpose(N_LAYERS, layers_, parameters_, transposed_)
    for n in range(first, last):
        adjoint_memory[:] = 0
        for start in range((n_trials[n] - 1) // BLOCK * BLOCK, -1, -BLOCK):
            n_rows = min(BLOCK, n_trials[n] - start)
            block = shift(inputs_, (n * gradient_logits.shape[1] + start) * network.n_inputs)
            memory = shift(memories_, (n * n_blocks + start // BLOCK) * m)
            fill_rows(network, layers_, parameters_, block, memory, n_rows, rows_)
            for i in range(n_rows - 1, -1, -1):
                row, delta = shift(rows_, i * size), shift(deltas_, i * size)
                for c in range(gradient_logits.shape[2]):
                    delta[readout(layers_)[OUTPUT] + c] = gradient_logits[n, start + i, c]
                linear_back(readout(layers_), transposed_, delta)
                gru_back(network, layers_, transposed_, row, delta, adjoint_)
                if is_cut(start + i, truncation):
                    adjoint_memory[:] = 0
            for number in range(N_LAYERS):
                layer = shift(layers_, number * N_COLUMNS)
                add_gradient(layer, gradient_, rows_, deltas_, n_rows, size)
