"""The rule that a network goes around, and a subject's own pace, compiled.

That rule comes as compiled steps of its own, those for a filter (see ``_steps``): its update is
added to the network's. It has its row, and its delta, at the end of the network's.
"""

from __future__ import annotations

from math import exp

from numba import njit

from ._kernels_vector import at_address, call, copy, shift


@njit
def context_of(network, fields, subject, row):
    return shift(at_address(fields[5], row), subject * network.context_width)


@njit
def set_pace(network, fields, subject, row, n, update):
    """Multiply an update, or its adjoint, by the subject's own factor, if it has one."""
    if network.rate_column >= 0:
        factor = exp(context_of(network, fields, subject, row)[network.rate_column])
        for k in range(n):
            update[k] = update[k] * factor


@njit
def move_around(network, layout, parameters, fields, subject, trial, weights, row, update):
    """Add the update of the rule that the network goes around, if any."""
    if not network.around:
        return
    own, known = shift(row, network.around_row), (fields, subject, trial, weights, weights)
    call(network.around, (layout, shift(parameters, network.of_around), *known, own))
    set_pace(network, fields, subject, row, network.n_weights, own)
    for k in range(network.n_weights):
        update[k] = update[k] + own[k]


@njit
def around_back(
    network, layout, parameters, fields, subject, trial, weights, row, delta, of_update, gradient
):
    """Leave the weights' adjoint by way of that rule in its own delta, and add its gradient."""
    if not network.around:
        return
    own, own_row = shift(delta, network.around_row), shift(row, network.around_row)
    copy(of_update, own, network.n_weights)
    set_pace(network, fields, subject, row, network.n_weights, own)
    place, known = network.of_around, (fields, subject, trial, weights, weights)
    back = own_row, own, own, shift(gradient, place)
    call(network.around_back, (layout, shift(parameters, place), *known, *back))


@njit
def add_around(network, delta, of_weights):
    """Add to the weights' adjoint what that rule left, after its update's (see ``_traced``)."""
    if network.around:
        own = shift(delta, network.around_row + network.n_weights)
        for k in range(network.n_weights):
            of_weights[k] = of_weights[k] + own[k]
