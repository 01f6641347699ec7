"""What a network that learns of all choices alike sees and moves, compiled: see ``DNNRule``.

It is asked of each choice, beside the one made, y: one without memory, of each but that. A trial
has a row of each, its *views*, in the order of the classes; the first inputs of a view are those
that hang on the weights: w_c - w_y, p_c and p_y. Class 0 has no weights in the policy, and class c
the c-th set of them.
"""

from __future__ import annotations

from math import exp

from numba import njit

from ._kernels_vector import copy, fill_zeros, shift


@njit
def has_all(network):
    """Whether a trial has a view of the choice made, too."""
    return network.n_views > network.n_sets


@njit
def class_of(network, made, view):
    """Return the class that a view is of."""
    return view if has_all(network) or view < made else view + 1


@njit
def fill_apart(network, weights, features, made, row):
    """Fill each view's w_c - w_y, p_c, p_y and x."""
    n_features, n_views = network.n_features, network.n_views
    row_size, highest = network.row_size, 0.0  # the logit of y
    for view in range(n_views):
        inputs, logit, c = shift(row, view * row_size), 0.0, class_of(network, made, view)
        of_class = shift(weights, (c - 1) * n_features)
        of_made = shift(weights, (made - 1) * n_features)
        for k in range(n_features):
            inputs[k] = 0
            if c:
                inputs[k] = of_class[k]
            if made:
                inputs[k] = inputs[k] - of_made[k]
            logit += inputs[k] * features[k]
        inputs[n_features] = logit
        highest = max(highest, logit)
        copy(features, shift(inputs, n_features + 2), n_features)
    total = 0.0 if has_all(network) else exp(-highest)
    for view in range(n_views):
        odds = exp(row[view * row_size + n_features] - highest)
        row[view * row_size + n_features] = odds
        total += odds
    for view in range(n_views):
        row[view * row_size + n_features] = row[view * row_size + n_features] / total
        row[view * row_size + n_features + 1] = exp(-highest) / total


@njit
def apart_back(network, made, row, delta, adjoint):
    """Fill the weights' adjoint from those of each view's w_c - w_y, p_c and p_y."""
    n_features, n_views = network.n_features, network.n_views
    row_size = network.row_size
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
    fill_zeros(adjoint, network.n_weights)
    for view in range(n_views):
        slope, c = shift(delta, view * row_size), class_of(network, made, view)
        for k in range(n_features):
            if c:
                adjoint[(c - 1) * n_features + k] += slope[k]
            if made:
                adjoint[(made - 1) * n_features + k] -= slope[k]


@njit
def join_updates(network, made, outputs, update):
    """Fill the weights' update from each view's."""
    n_features = network.n_features
    fill_zeros(update, network.n_weights)
    for view in range(network.n_views):
        of_class, c = shift(outputs, view * network.row_size), class_of(network, made, view)
        for k in range(n_features):
            if c:
                update[(c - 1) * n_features + k] += of_class[k]
            else:  # whose weights stay 0: all others move away from them
                for each in range(network.n_sets):
                    update[each * n_features + k] -= of_class[k]


@njit
def part_updates(network, made, adjoint, outputs):
    """Fill the adjoint of each view's update from that of the weights' update."""
    n_features = network.n_features
    for view in range(network.n_views):
        of_class, c = shift(outputs, view * network.row_size), class_of(network, made, view)
        for k in range(n_features):
            if c:
                of_class[k] = adjoint[(c - 1) * n_features + k]
            else:
                total = 0.0
                for each in range(network.n_sets):
                    total += adjoint[each * n_features + k]
                of_class[k] = -total
