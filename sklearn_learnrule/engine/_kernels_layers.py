"""What network kernels do layer by layer: linear maps, activations, and both backward.

A layer is a pointer to its row in the table of layers, whose columns are N_IN, ..., OUTPUT.
See ``_kernels_network`` for rows, slots and deltas. numba's disk cache watches the file of
a cached kernel only: after a change here, touch that file.
"""

from __future__ import annotations

import math

from numba import njit

from ._kernels_vector import (
    exp,
    length,
    like,
    load,
    multiply_add,
    shift,
    sigmoid,
    store,
    tanh,
    where_at_most,
    zeros,
)

# A layer's sizes; those padded to LANES; its place in the flat parameters and in their
# transposed copy, as (N_IN + 1, WIDTH), the bias last, and (N_OUT, WIDTH_BACK); and its
# slots in a row. N_BACK of its inputs want a gradient: of the network's, the weights alone.
N_IN, N_OUT, N_BACK, WIDTH, WIDTH_BACK, WEIGHTS, WEIGHTS_BACK, INPUT, OUTPUT = range(9)
N_COLUMNS = 9
RELU, TANH, ELU, SILU, SOFTPLUS, GELU = range(6)


@njit
def multiply(matrix, n_rows, n_columns, bias, x, y):
    """y = x @ matrix, plus the matrix's row after the last where there is a bias.

    Four partial sums, so that the processor need not wait for one addition to end.
    """
    n_fours = n_rows - n_rows % 4
    for j in range(0, n_columns, length(matrix)):
        a = load(matrix, n_rows * n_columns + j) if bias else zeros(matrix)
        b = c = d = zeros(matrix)
        at = j
        for i in range(0, n_fours, 4):
            a = multiply_add(x[i], load(matrix, at), a)
            b = multiply_add(x[i + 1], load(matrix, at + n_columns), b)
            c = multiply_add(x[i + 2], load(matrix, at + 2 * n_columns), c)
            d = multiply_add(x[i + 3], load(matrix, at + 3 * n_columns), d)
            at += 4 * n_columns
        for i in range(n_fours, n_rows):
            a = multiply_add(x[i], load(matrix, at), a)
            at += n_columns
        store(y, j, (a + b) + (c + d))


@njit
def linear(layer, parameters, row):
    """Fill the layer's output slot from its input slot."""
    weights = shift(parameters, layer[WEIGHTS])
    x, y = shift(row, layer[INPUT]), shift(row, layer[OUTPUT])
    multiply(weights, layer[N_IN], layer[WIDTH], True, x, y)


@njit
def linear_back(layer, transposed, deltas):
    """Fill the layer's input slot of deltas from its output slot."""
    weights = shift(transposed, layer[WEIGHTS_BACK])
    x, y = shift(deltas, layer[OUTPUT]), shift(deltas, layer[INPUT])
    multiply(weights, layer[N_OUT], layer[WIDTH_BACK], False, x, y)


@njit
def add_products(layer, gradient, rows, deltas, n_rows, row_size):
    """Add each row's (inputs, 1) times deltas to the layer's gradient, four inputs at a time."""
    n_in, width = layer[N_IN], layer[WIDTH]
    n_fours = n_in - n_in % 4
    for j in range(0, width, length(gradient)):
        y = shift(deltas, layer[OUTPUT] + j)
        total = shift(gradient, layer[WEIGHTS] + j)
        for i in range(0, n_fours, 4):
            x = shift(rows, layer[INPUT] + i)
            a, b = load(total, 0), load(total, width)
            c, d = load(total, 2 * width), load(total, 3 * width)
            for at in range(0, n_rows * row_size, row_size):
                delta = load(y, at)
                a = multiply_add(x[at], delta, a)
                b = multiply_add(x[at + 1], delta, b)
                c = multiply_add(x[at + 2], delta, c)
                d = multiply_add(x[at + 3], delta, d)
            store(total, 0, a)
            store(total, width, b)
            store(total, 2 * width, c)
            store(total, 3 * width, d)
            total = shift(total, 4 * width)
        for i in range(n_fours, n_in):
            a = load(total, 0)
            for at in range(0, n_rows * row_size, row_size):
                a = multiply_add(rows[layer[INPUT] + i + at], load(y, at), a)
            store(total, 0, a)
            total = shift(total, width)
        bias = load(total, 0)
        for at in range(0, n_rows * row_size, row_size):
            bias = bias + load(y, at)
        store(total, 0, bias)


@njit
def activate(kind, x, y, width):
    """y = activation(x), slot to slot."""
    if kind == SOFTPLUS:
        for j in range(width):
            y[j] = x[j] if x[j] > 20 else math.log1p(math.exp(x[j]))
    elif kind == GELU:
        for j in range(width):
            y[j] = 0.5 * x[j] * (1 + math.erf(x[j] * math.sqrt(0.5)))
    else:
        for j in range(0, width, length(x)):
            store(y, j, activation(kind, load(x, j)))


@njit
def activation(kind, x):
    zero = like(x, 0)
    if kind == RELU:
        return where_at_most(x, zero, zero, x)
    if kind == TANH:
        return tanh(x)
    if kind == ELU:
        return where_at_most(x, zero, exp(x) - 1.0, x)
    return x * sigmoid(x)


@njit
def activate_back(kind, x, y, delta_x, delta_y, width):
    """delta_x = activation'(x) * delta_y."""
    if kind == GELU:
        for j in range(width):
            normal = 0.5 * (1 + math.erf(x[j] * math.sqrt(0.5)))
            density = math.exp(-0.5 * x[j] * x[j]) / math.sqrt(2 * math.pi)
            delta_x[j] = delta_y[j] * (normal + x[j] * density)
    else:
        for j in range(0, width, length(x)):
            delta = load(delta_y, j)
            if kind == RELU:
                zero = zeros(x)
                delta = where_at_most(load(x, j), zero, zero, delta)
            else:
                delta = delta * slope(kind, load(x, j), load(y, j))
            store(delta_x, j, delta)


@njit
def slope(kind, x, y):
    if kind == TANH:
        return 1.0 - y * y
    if kind == ELU:
        return where_at_most(x, like(x, 0), y + 1.0, like(x, 1))
    s = sigmoid(x)
    if kind == SILU:
        return s + y * (1.0 - s)
    return where_at_most(x, like(x, 20), s, like(x, 1))
