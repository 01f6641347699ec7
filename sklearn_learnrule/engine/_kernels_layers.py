"""What network kernels do layer by layer: linear maps, activations, and both backward.

A layer is a pointer to its row in the table of layers, whose columns are N_IN, ..., OUTPUT.
See ``_kernels_network`` for rows, slots and deltas.
"""

from __future__ import annotations

import math

from numba import njit

from ._kernels_vector import (
    add_up,
    clear_slot,
    copy_slot,
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

# A layer's sizes; those padded to LANES; its place in the flat parameters, (N_IN + 1, WIDTH)
# with the bias last, and in their transposed copy, (N_OUT, WIDTH_BACK); its slots in a row.
N_IN, N_OUT, WIDTH, WIDTH_BACK, WEIGHTS, WEIGHTS_BACK, INPUT, OUTPUT = range(8)
N_COLUMNS = 8
RELU, TANH, ELU, SILU, SOFTPLUS, GELU = range(6)


@njit(forceinline=True)
def multiply(matrix, n_rows, n_columns, bias, x, y):
    """y = x @ matrix, plus the matrix's row after the last where there is a bias.

    Each number of x meets two Vectors of its row, which halves the loads, and sums are
    taken in four parts, so that the processor need not wait for one addition to end.
    """
    n = length(matrix)
    n_fours = n_rows - n_rows % 4
    last = n_columns - n_columns % (2 * n)
    for j in range(0, last, 2 * n):
        a = b = c = d = zeros(matrix)
        e = f = g = h = zeros(matrix)
        row = shift(matrix, j)
        for i in range(0, n_fours, 4):
            a = multiply_add(x[i], load(row, 0), a)
            e = multiply_add(x[i], load(row, n), e)
            row = shift(row, n_columns)
            b = multiply_add(x[i + 1], load(row, 0), b)
            f = multiply_add(x[i + 1], load(row, n), f)
            row = shift(row, n_columns)
            c = multiply_add(x[i + 2], load(row, 0), c)
            g = multiply_add(x[i + 2], load(row, n), g)
            row = shift(row, n_columns)
            d = multiply_add(x[i + 3], load(row, 0), d)
            h = multiply_add(x[i + 3], load(row, n), h)
            row = shift(row, n_columns)
        for i in range(n_fours, n_rows):
            a = multiply_add(x[i], load(row, 0), a)
            e = multiply_add(x[i], load(row, n), e)
            row = shift(row, n_columns)
        if bias:
            b, f = b + load(row, 0), f + load(row, n)
        store(y, j, (a + b) + (c + d))
        store(y, j + n, (e + f) + (g + h))
    if last < n_columns:
        multiply_last(matrix, n_rows, n_columns, bias, x, y)


@njit
def multiply_last(matrix, n_rows, n_columns, bias, x, y):
    """The same for the last Vector of the columns, where their number is odd."""
    a = b = c = d = zeros(matrix)
    n_fours = n_rows - n_rows % 4
    row = shift(matrix, n_columns - length(matrix))
    for i in range(0, n_fours, 4):
        a = multiply_add(x[i], load(row, 0), a)
        b = multiply_add(x[i + 1], load(row, n_columns), b)
        c = multiply_add(x[i + 2], load(row, 2 * n_columns), c)
        d = multiply_add(x[i + 3], load(row, 3 * n_columns), d)
        row = shift(row, 4 * n_columns)
    for i in range(n_fours, n_rows):
        a = multiply_add(x[i], load(row, 0), a)
        row = shift(row, n_columns)
    if bias:
        b = b + load(row, 0)
    store(y, n_columns - length(matrix), (a + b) + (c + d))


@njit(forceinline=True)
def linear(layer, parameters, row):
    """Fill the layer's output slot from its input slot."""
    weights = shift(parameters, layer[WEIGHTS])
    x, y = shift(row, layer[INPUT]), shift(row, layer[OUTPUT])
    multiply(weights, layer[N_IN], layer[WIDTH], True, x, y)


@njit(forceinline=True)
def linear_back(layer, transposed, deltas):
    """Fill the layer's input slot of deltas from its output slot."""
    weights = shift(transposed, layer[WEIGHTS_BACK])
    x, y = shift(deltas, layer[OUTPUT]), shift(deltas, layer[INPUT])
    multiply(weights, layer[N_OUT], layer[WIDTH_BACK], False, x, y)


@njit
def linear_back_to(layer, n_inputs, parameters, deltas):
    """Fill the first numbers of the layer's input slot of deltas, where no more are wanted."""
    width = layer[WIDTH]
    x, delta = shift(deltas, layer[INPUT]), shift(deltas, layer[OUTPUT])
    for i in range(n_inputs):
        weights = shift(parameters, layer[WEIGHTS] + i * width)
        total = zeros(weights)
        for j in range(0, width, length(weights)):
            total = load(weights, j) * load(delta, j) + total
        x[i] = add_up(total)


@njit
def transpose(n_layers, layers, parameters, transposed):
    """Lay out each layer's weights for the way back."""
    for number in range(1, n_layers):  # the first has no layer below
        layer = shift(layers, number * N_COLUMNS)
        source, target = shift(parameters, layer[WEIGHTS]), shift(transposed, layer[WEIGHTS_BACK])
        for i in range(layer[N_IN]):
            for j in range(layer[N_OUT]):
                target[j * layer[WIDTH_BACK] + i] = source[i * layer[WIDTH] + j]


@njit(forceinline=True)
def linear_rows(layer, parameters, rows, n_rows, row_size):
    """Fill the layer's output slots of many rows, faster than one by one."""
    weights = shift(parameters, layer[WEIGHTS])
    x, y = shift(rows, layer[INPUT]), shift(rows, layer[OUTPUT])
    multiply_rows(weights, layer[N_IN], layer[WIDTH], True, x, y, n_rows, row_size)


@njit(forceinline=True)
def linear_back_rows(layer, transposed, deltas, n_rows, row_size):
    """Fill the layer's input slots of many rows of deltas likewise."""
    weights = shift(transposed, layer[WEIGHTS_BACK])
    x, y = shift(deltas, layer[OUTPUT]), shift(deltas, layer[INPUT])
    multiply_rows(weights, layer[N_OUT], layer[WIDTH_BACK], False, x, y, n_rows, row_size)


@njit
def multiply_rows(matrix, n_in, width, bias, x, y, n_rows, row_size):
    """As ``multiply``, of an x and a y in each of many rows, four at a time."""
    n_fours = n_rows - n_rows % 4
    for _ in range(0, n_fours, 4):
        for i in range(4):
            if bias:
                copy_slot(shift(matrix, n_in * width), shift(y, i * row_size), width)
            else:
                clear_slot(shift(y, i * row_size), width)
        add_products(n_in, x, 1, row_size, matrix, width, y, row_size, width)
        x, y = shift(x, 4 * row_size), shift(y, 4 * row_size)
    for _ in range(n_fours, n_rows):
        multiply(matrix, n_in, width, bias, x, y)
        x, y = shift(x, row_size), shift(y, row_size)


@njit
def add_gradient(layer, gradient, rows, deltas, n_rows, row_size):
    """Add each row's (inputs, 1) times deltas to the layer's part of the gradient."""
    n_in, width = layer[N_IN], layer[WIDTH]
    x, y = shift(rows, layer[INPUT]), shift(deltas, layer[OUTPUT])
    total = shift(gradient, layer[WEIGHTS])
    n_fours = n_in - n_in % 4
    for i in range(0, n_fours, 4):
        add_products(n_rows, shift(x, i), row_size, 1, y, row_size, total, width, width)
        total = shift(total, 4 * width)
    for i in range(n_fours, n_in + 1):
        for j in range(0, width, length(total)):
            a = load(total, j)
            for row in range(0, n_rows * row_size, row_size):
                number = x[row + i] if i < n_in else 1
                a = multiply_add(number, load(y, row + j), a)
            store(total, j, a)
        total = shift(total, width)


@njit
def add_products(n, x, x_step, x_four, y, y_step, total, total_four, n_columns):
    """total[k, column] += x[i, k] * y[i, column], summed over n values of i, for k < 4.

    A step of i is x_step numbers in x and y_step in y; one of k is x_four and total_four.
    """
    last = n_columns - n_columns % (2 * length(y))
    for j in range(0, last, 2 * length(y)):
        add_four_by_two(n, x, x_step, x_four, shift(y, j), y_step, shift(total, j), total_four)
    if last < n_columns:
        add_four_by_one(
            n, x, x_step, x_four, shift(y, last), y_step, shift(total, last), total_four
        )


@njit
def add_four_by_two(n, x, x_step, x_four, y, y_step, total, total_four):
    """The same for two Vectors of columns."""
    right = length(y)
    second, third, fourth = total_four, 2 * total_four, 3 * total_four
    a, e = load(total, 0), load(total, right)
    b, f = load(total, second), load(total, second + right)
    c, g = load(total, third), load(total, third + right)
    d, h = load(total, fourth), load(total, fourth + right)
    for _ in range(n):
        left_y, right_y = load(y, 0), load(y, right)
        a, e = multiply_add(x[0], left_y, a), multiply_add(x[0], right_y, e)
        b, f = multiply_add(x[x_four], left_y, b), multiply_add(x[x_four], right_y, f)
        c, g = multiply_add(x[2 * x_four], left_y, c), multiply_add(x[2 * x_four], right_y, g)
        d, h = multiply_add(x[3 * x_four], left_y, d), multiply_add(x[3 * x_four], right_y, h)
        x, y = shift(x, x_step), shift(y, y_step)
    store(total, 0, a)
    store(total, right, e)
    store(total, second, b)
    store(total, second + right, f)
    store(total, third, c)
    store(total, third + right, g)
    store(total, fourth, d)
    store(total, fourth + right, h)


@njit
def add_four_by_one(n, x, x_step, x_four, y, y_step, total, total_four):
    """The same for one Vector of columns, where their number is odd."""
    second, third, fourth = total_four, 2 * total_four, 3 * total_four
    a, b = load(total, 0), load(total, second)
    c, d = load(total, third), load(total, fourth)
    for _ in range(n):
        values = load(y, 0)
        a = multiply_add(x[0], values, a)
        b = multiply_add(x[x_four], values, b)
        c = multiply_add(x[2 * x_four], values, c)
        d = multiply_add(x[3 * x_four], values, d)
        x, y = shift(x, x_step), shift(y, y_step)
    store(total, 0, a)
    store(total, second, b)
    store(total, third, c)
    store(total, fourth, d)


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
