"""What a network that learns of all choices alike sees and moves, compiled: see ``DNNRule``.

It is asked of each other choice, beside the one made, y. A trial has a row of each, its *views*, in
the order of the classes; the first inputs of a view are those that hang on the weights: w_c - w_y,
p_c and p_y. Class 0 has no weights in the policy, and class c the c-th set of them.
"""

from __future__ import annotations

from math import exp

from numba import njit

from ._kernels_vector import copy, shift


@njit
def other(made, view):
    """Return the class that a view is of."""
    return view if view < made else view + 1


@njit
def fill_apart(weights, features, made, n_features, n_views, row, row_size):
    """Fill each view's w_c - w_y, p_c, p_y and x."""
    highest = 0.0  # the logit of y
    for view in range(n_views):
        inputs, logit = shift(row, view * row_size), 0.0
        of_other = shift(weights, (other(made, view) - 1) * n_features)
        of_made = shift(weights, (made - 1) * n_features)
        for k in range(n_features):
            inputs[k] = 0
            if other(made, view):
                inputs[k] = of_other[k]
            if made:
                inputs[k] = inputs[k] - of_made[k]
            logit += inputs[k] * features[k]
        inputs[n_features] = logit
        highest = max(highest, logit)
        copy(features, shift(inputs, n_features + 2), n_features)
    total = exp(-highest)
    for view in range(n_views):
        odds = exp(row[view * row_size + n_features] - highest)
        row[view * row_size + n_features] = odds
        total += odds
    for view in range(n_views):
        row[view * row_size + n_features] = row[view * row_size + n_features] / total
        row[view * row_size + n_features + 1] = exp(-highest) / total


@njit
def apart_back(made, n_features, n_views, row, delta, row_size, adjoint):
    """Fill the weights' adjoint from those of each view's w_c - w_y, p_c and p_y."""
    of_made = mean = 0.0
    for view in range(n_views):
        of_made += delta[view * row_size + n_features + 1]
        mean += delta[view * row_size + n_features] * row[view * row_size + n_features]
    mean += of_made * row[n_features + 1]
    for view in range(n_views):
        inputs, slope = shift(row, view * row_size), shift(delta, view * row_size)
        of_logit = inputs[n_features] * (slope[n_features] - mean)
        for k in range(n_features):
            slope[k] = slope[k] + of_logit * inputs[n_features + 2 + k]
    fill_zeros(adjoint, n_views * n_features)
    for view in range(n_views):
        slope = shift(delta, view * row_size)
        for k in range(n_features):
            if other(made, view):
                adjoint[(other(made, view) - 1) * n_features + k] += slope[k]
            if made:
                adjoint[(made - 1) * n_features + k] -= slope[k]


@njit
def fill_zeros(numbers, n):
    for k in range(n):
        numbers[k] = 0


@njit
def join_updates(made, n_features, n_views, outputs, row_size, update):
    """Fill the weights' update from each view's, of w_c - w_y."""
    fill_zeros(update, n_views * n_features)
    for view in range(n_views):
        of_other, c = shift(outputs, view * row_size), other(made, view)
        for k in range(n_features):
            if c:
                update[(c - 1) * n_features + k] += of_other[k]
            else:  # whose weights stay 0: all others move away from them
                for each in range(n_views):
                    update[each * n_features + k] -= of_other[k]


@njit
def part_updates(made, n_features, n_views, adjoint, outputs, row_size):
    """Fill the adjoint of each view's update from that of the weights' update."""
    for view in range(n_views):
        of_other, c = shift(outputs, view * row_size), other(made, view)
        for k in range(n_features):
            if c:
                of_other[k] = adjoint[(c - 1) * n_features + k]
            else:
                total = 0.0
                for each in range(n_views):
                    total += adjoint[each * n_features + k]
                of_other[k] = -total
