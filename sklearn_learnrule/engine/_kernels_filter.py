"""The covariance of drifting weights, and the logits that it makes of them, compiled.

See ``FilteredRule`` for the equations.

A path's row is the mean of K weights, then the lower triangle of their covariance P. The
kernels hold P whole, (K, K). An adjoint of P is symmetric: that of a number of the triangle
is the sum of its two places.
"""

from __future__ import annotations

from numba import njit

from ..rules.filtered import MAX_COVARIANCE, MAX_WEIGHT
from ._kernels_state import kernel
from ._kernels_vector import call, copy, pointer, shift

MAX_ADJOINT = 1e12  # whose products with MAX_COVARIANCE are finite in single precision


@njit
def unpack(row, covariance):
    """Fill a covariance from a path's row."""
    n = len(covariance)
    place = n
    for i in range(n):
        for j in range(i + 1):
            covariance[i, j] = covariance[j, i] = row[place]
            place += 1


@njit
def limit(number, largest):
    """Return a number between -largest and largest; NaN stays."""
    if number > largest:
        return largest
    return -largest if number < -largest else number


@njit
def pack(covariance, row):
    """Hold a row's mean within its limits, and fill in the covariance within its own."""
    n = len(covariance)
    largest = 0.0
    for i in range(n):
        row[i] = limit(row[i], MAX_WEIGHT)
        for j in range(i + 1):
            largest = max(largest, abs(covariance[i, j]))
    place = n
    for i in range(n):
        for j in range(i + 1):
            row[place] = covariance[i, j]
            if largest > MAX_COVARIANCE:
                row[place] = covariance[i, j] / largest * MAX_COVARIANCE  # of the largest: exact
            place += 1


@njit
def unpack_adjoint(row, adjoint):
    """Add to a covariance's adjoint what a path's row says of it."""
    n = len(adjoint)
    place = n
    for i in range(n):
        for j in range(i + 1):
            adjoint[i, j] += row[place] / 2
            adjoint[j, i] += row[place] / 2
            place += 1


@njit
def pack_adjoint(adjoint, row):
    n = len(adjoint)
    place = n
    for i in range(n):
        for j in range(i + 1):
            row[place] = adjoint[i, j] + (adjoint[j, i] if i != j else 0.0)
            place += 1


@njit
def cut_adjoint(row, adjoint, adjoint_covariance):
    """Let no gradient pass by what ``pack`` has held."""
    n = len(adjoint_covariance)
    held = False
    for i in range(n):
        if abs(row[i]) >= MAX_WEIGHT:
            adjoint[i] = 0.0
    for place in range(n, n + n * (n + 1) // 2):
        held = held or abs(row[place]) >= MAX_COVARIANCE
    if held:
        adjoint_covariance[:] = 0


@njit
def bound(adjoint, adjoint_covariance):
    """Keep adjoints finite where the parameters are so wild that they grow from trial to trial.

    A search that strays there turns back for the likelihood, and needs numbers to do so.
    """
    n = len(adjoint_covariance)
    for i in range(n):
        adjoint[i] = limit(adjoint[i], MAX_ADJOINT)
        for j in range(n):
            adjoint_covariance[i, j] = limit(adjoint_covariance[i, j], MAX_ADJOINT)


@njit
def multiply(a, b, out):
    """out = a b."""
    n = len(a)
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += a[i, k] * b[k, j]
            out[i, j] = total


@njit
def spread(transition, covariance, product):
    """P <- F P F'; ``product`` (K, K) is room to work in."""
    n = len(covariance)
    multiply(transition, covariance, product)
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(n):
                total += product[i, k] * transition[j, k]
            covariance[i, j] = covariance[j, i] = total


@njit
def spread_back(transition, covariance, adjoint_covariance, adjoint_transition, product):
    """Take P's adjoint S back over ``spread``, given P before it, and fill that of F: 2 S F P."""
    n = len(covariance)
    multiply(adjoint_covariance, transition, product)
    multiply(product, covariance, adjoint_transition)
    for i in range(n):
        for j in range(n):
            adjoint_transition[i, j] *= 2
        for j in range(i + 1):  # symmetric to the last digit: what is not would grow
            total = 0.0
            for k in range(n):
                total += transition[k, i] * product[k, j]
            adjoint_covariance[i, j] = adjoint_covariance[j, i] = total


@kernel
def expect(steps, fields, first, last, path, row, logits):
    """Fill the logits (R, C - 1) of some rows (R, K + S), by the step of an ``Expectation``."""
    width, n_logits = path.shape[1], logits.shape[1]
    known = pointer(fields), pointer(row), pointer(fields)  # layout and parameters are not read
    for i in range(first, last):
        weights = shift(pointer(path), i * width)
        here = i, i, weights, shift(weights, steps.n_weights)
        call(steps.forward, (*known, *here, pointer(row)))
        copy(shift(pointer(row), steps.update), shift(pointer(logits), i * n_logits), n_logits)


@kernel
def expect_back(steps, fields, first, last, path, delta, upstream, gradient):
    """Fill the rows' gradient, which is 0, from that of their logits.

    ``delta`` is room, and 0; it also stands in for what is not read: row and parameters' gradient.
    """
    width, n_logits = path.shape[1], upstream.shape[1]
    known = pointer(fields), pointer(delta), pointer(fields)
    delta_, change = pointer(delta), shift(pointer(delta), steps.update)
    for i in range(first, last):
        weights, of_weights = shift(pointer(path), i * width), shift(pointer(gradient), i * width)
        memory, of_memory = shift(weights, steps.n_weights), shift(of_weights, steps.n_weights)
        copy(shift(pointer(upstream), i * n_logits), change, n_logits)
        here = i, i, weights, memory, delta_, delta_, of_memory, delta_
        call(steps.backward, (*known, *here))
        copy(shift(delta_, steps.weights), of_weights, steps.n_weights)
