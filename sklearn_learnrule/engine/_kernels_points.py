"""A network's steps inside the filter, which asks of each trial at several weights, its *points*.

A point has a row, or one of each view. All points of a trial share the memory before it, so that
what it adds to the gates is computed once, and layers go over all rows at a time; without memory,
one row after another is faster.
"""

from __future__ import annotations

from numba import njit

from ._kernels_around import add_around, around_back, move_around
from ._kernels_gru import share_memory, share_memory_back
from ._kernels_layers import N_COLUMNS, linear_back_rows, linear_back_to, linear_rows
from ._kernels_network import (
    activate_below_back,
    fill_deltas,
    fill_hidden,
    fill_inputs,
    fill_row,
    first_layer,
    hand_back,
    hand_on,
    n_of_weights,
    read,
    weights_back,
)
from ._kernels_vector import shift


def fill_points(layout, parameters, fields, subject, trial, n_points, weights, width, memory, rows):
    """Fill a trial's rows, and what each point hands on; ``weights`` are (n_points, width)."""
    network, layers = read(layout)
    size, n_views = network.row_size, network.n_views
    for i in range(n_points):
        here, row = shift(weights, i * width), shift(rows, i * n_views * size)
        if network.memory_width:
            fill_inputs(network, fields, subject, trial, here, row)
        else:
            fill_row(network, layers, parameters, fields, subject, trial, here, memory, row)
    if network.memory_width:
        n_rows = n_points * n_views
        linear_rows(layers, parameters, rows, n_rows, size)
        for view in range(n_views):
            of_view, row = shift(memory, view * network.memory_width), shift(rows, view * size)
            share_memory(network, layers, parameters, of_view, n_points, n_views * size, row)
        fill_hidden(network, layers, parameters, rows, n_rows)
        last = shift(layers, (network.n_layers - 1) * N_COLUMNS)
        linear_rows(last, parameters, rows, n_rows, size)
    for i in range(n_points):
        here, row = shift(weights, i * width), shift(rows, i * n_views * size)
        update = shift(row, network.handed_on)
        later = shift(update, network.n_weights)
        hand_on(network, layers, fields, subject, trial, row, update, later)
        move_around(network, layout, parameters, fields, subject, trial, here, row, update)


def points_back(
    layout, parameters, fields, subject, trial, n_points, weights, width, rows, deltas, adjoint,
    gradient,
):  # fmt: skip
    """Fill a trial's deltas, and the weights' adjoint in each, from that of each point's update.

    ``adjoint`` is that of the memory, which goes on from the first point.
    """
    network, layers = read(layout)
    size = network.n_views * network.row_size
    for i in range(n_points):
        here, row, delta = shift(weights, i * width), shift(rows, i * size), shift(deltas, i * size)
        update = shift(delta, network.handed_on)
        around_back(
            network, layout, parameters, fields, subject, trial, here, row, delta, update, gradient
        )
        hand_back(network, layers, fields, subject, trial, row, delta, update)
    if network.memory_width:
        fill_deltas_at_once(network, layers, parameters, n_points, rows, deltas, adjoint)
    else:
        for i in range(n_points * network.n_views):
            row, delta = shift(rows, i * network.row_size), shift(deltas, i * network.row_size)
            fill_deltas(network, layers, parameters, row, delta, adjoint)
    for i in range(n_points):
        row, delta = shift(rows, i * size), shift(deltas, i * size)
        add_around(network, delta, weights_back(network, fields, trial, row, delta))


@njit
def fill_deltas_at_once(network, layers, parameters, n_points, rows, deltas, adjoint):
    """Fill all rows of deltas, of a network with memory, as ``fill_deltas`` does one."""
    transposed, size = shift(parameters, network.transposed), network.row_size
    n_rows, first = n_points * network.n_views, first_layer(network)
    for number in range(network.n_layers - 1, first, -1):
        layer = shift(layers, number * N_COLUMNS)
        linear_back_rows(layer, transposed, deltas, n_rows, size)
        for i in range(n_rows):
            activate_below_back(network, layer, shift(rows, i * size), shift(deltas, i * size))
    linear_back_rows(shift(layers, first * N_COLUMNS), transposed, deltas, n_rows, size)
    for view in range(network.n_views):
        row, delta = shift(rows, view * size), shift(deltas, view * size)
        of_view, size_of_point = shift(adjoint, view * network.memory_width), network.n_views * size
        share_memory_back(network, layers, transposed, n_points, size_of_point, row, delta, of_view)
    for i in range(n_rows):
        linear_back_to(layers, n_of_weights(network), parameters, shift(deltas, i * size))
