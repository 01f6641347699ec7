"""What a choice tells of drifting weights, compiled: see ``FilteredRule`` for the equations.

A path's row is the mean of K weights, then the lower triangle of their covariance P. The
kernels hold P whole, (K, K). An adjoint of P is symmetric: that of a number of the triangle
is the sum of its two places.
"""

from __future__ import annotations

import math

from numba import njit

from ..rules.filtered import MAX_COVARIANCE, MAX_WEIGHT

HALF_C = math.pi / 16  # half of pi / 8
MAX_ADJOINT = 1e12  # whose products with MAX_COVARIANCE are finite in single precision


@njit
def unpack(row, n_weights, covariance):
    """Fill a covariance from a path's row."""
    place = n_weights
    for i in range(n_weights):
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
def pack(covariance, n_weights, row):
    """Hold a row's mean within its limits, and fill in the covariance within its own."""
    largest = 0.0
    for i in range(n_weights):
        row[i] = limit(row[i], MAX_WEIGHT)
        for j in range(n_weights):
            largest = max(largest, abs(covariance[i, j]))
    place = n_weights
    for i in range(n_weights):
        for j in range(i + 1):
            row[place] = covariance[i, j]
            if largest > MAX_COVARIANCE:
                row[place] = covariance[i, j] / largest * MAX_COVARIANCE  # of the largest: exact
            place += 1


@njit
def unpack_adjoint(row, n_weights, adjoint):
    """Add to a covariance's adjoint what a path's row says of it."""
    place = n_weights
    for i in range(n_weights):
        for j in range(i + 1):
            adjoint[i, j] += row[place] / 2
            adjoint[j, i] += row[place] / 2
            place += 1


@njit
def cut_adjoint(row, n_weights, adjoint, adjoint_covariance):
    """Let no gradient pass by what ``pack`` has held."""
    for i in range(n_weights):
        if abs(row[i]) >= MAX_WEIGHT:
            adjoint[i] = 0.0
    for place in range(n_weights, len(row)):
        if abs(row[place]) >= MAX_COVARIANCE:
            adjoint_covariance[:] = 0


@njit
def bound(adjoints):
    """Keep adjoints finite where the parameters are so wild that they grow from trial to trial.

    A search that strays there turns back for the likelihood, and needs numbers to do so.
    """
    for i, adjoint in enumerate(adjoints.flat):
        adjoints.flat[i] = limit(adjoint, MAX_ADJOINT)


@njit
def pack_adjoint(adjoint, n_weights, row):
    place = n_weights
    for i in range(n_weights):
        for j in range(i + 1):
            row[place] = adjoint[i, j] + (adjoint[j, i] if i != j else 0.0)
            place += 1


@njit
def times(matrix, x, out):
    """out = matrix x, of a symmetric matrix; return x . out."""
    total = 0.0
    for i in range(len(x)):
        out[i] = 0.0
        for j in range(len(x)):
            out[i] += matrix[i, j] * x[j]
        total += x[i] * out[i]
    return total


@njit
def judge(weights, variance, x, choice, odds):
    """Return k, of the choice's sign, the logit of weights alone, q, l, u, and h = q - l (1 - q).

    ``odds`` are those of a lapse to this choice. The step of the mean is k u P x.
    """
    logit = 0.0
    for i in range(len(x)):
        logit += weights[i] * x[i]
    k = (2 * choice - 1) / math.sqrt(1 + 2 * HALF_C * max(variance, 0.0))
    q = 1 / (1 + math.exp(-k * logit))
    if odds == 0:
        return k, logit, q, 0.0, 1 - q, q
    lapse = odds / (q + odds)
    return k, logit, q, lapse, (1 - lapse) * (1 - q), q - lapse * (1 - q)


@njit
def observe(weights, covariance, x, choice, odds, along, mean):
    """Fill P x and the mean after a choice, and change P; return its variance before."""
    variance = times(covariance, x, along)
    if variance < 0:  # then 0 but for rounding
        along[:] = 0
    k, _, _, _, u, h = judge(weights, variance, x, choice, odds)
    step, shrinking = k * u, k * k * u * h
    for i in range(len(x)):
        mean[i] = weights[i] + step * along[i]
        for j in range(len(x)):
            covariance[i, j] -= shrinking * along[i] * along[j]
    return variance


@njit
def observe_back(
    weights, variance, x, choice, odds, along, adjoint, adjoint_covariance, adjoint_along
):
    """Take the adjoints of mean and P back over a choice, given P x and its variance before.

    Return the gradient of the odds.
    """
    k, logit, q, lapse, u, h = judge(weights, variance, x, choice, odds)
    n = len(x)
    step, shrinking = k * u, k * k * u * h
    adjoint_step = 0.0
    adjoint_shrinking = -times(adjoint_covariance, along, adjoint_along)
    for i in range(n):
        adjoint_step += along[i] * adjoint[i]
        adjoint_along[i] = step * adjoint[i] - 2 * shrinking * adjoint_along[i]
    adjoint_u = k * adjoint_step + k * k * h * adjoint_shrinking
    adjoint_h = k * k * u * adjoint_shrinking
    by_logit = (1 - q) * (q + lapse * (q + u))  # of h; of u: -u h
    adjoint_moderated = by_logit * adjoint_h - u * h * adjoint_u  # of k times the logit
    gradient_odds = -u / (q + odds) * (adjoint_u + adjoint_h) if odds > 0 else 0.0
    adjoint_k = u * adjoint_step + 2 * k * u * h * adjoint_shrinking + logit * adjoint_moderated
    adjoint_variance = -HALF_C * k * k * k * adjoint_k
    for i in range(n):
        adjoint[i] += k * adjoint_moderated * x[i]
        adjoint_along[i] += adjoint_variance * x[i]
    if variance < 0:
        return gradient_odds
    for i in range(n):
        for j in range(n):
            both = adjoint_along[i] * x[j] + x[i] * adjoint_along[j]
            adjoint_covariance[i, j] += both / 2
    return gradient_odds


@njit
def spread(transition, covariance, noise, product):
    """P <- F P F' + diag(noise); ``product`` (K, K) is room to work in."""
    n = len(noise)
    for i in range(n):
        for j in range(n):
            product[i, j] = 0.0
            for k in range(n):
                product[i, j] += transition[i, k] * covariance[k, j]
    for i in range(n):
        for j in range(n):
            covariance[i, j] = noise[i] if i == j else 0.0
            for k in range(n):
                covariance[i, j] += product[i, k] * transition[j, k]


@njit
def spread_back(transition, covariance, adjoint_covariance, adjoint_transition, product):
    """Take P's adjoint back over ``spread``, given P before it, and fill that of F."""
    n = len(covariance)
    for i in range(n):  # S F, where S is the adjoint of what came out
        for j in range(n):
            product[i, j] = 0.0
            for k in range(n):
                product[i, j] += adjoint_covariance[i, k] * transition[k, j]
    for i in range(n):
        for j in range(n):
            adjoint_transition[i, j] = 0.0
            for k in range(n):
                adjoint_transition[i, j] += 2 * product[i, k] * covariance[k, j]
        for j in range(i + 1):  # symmetric to the last digit: what is not would grow
            total = 0.0
            for k in range(n):
                total += transition[k, i] * product[k, j]
            adjoint_covariance[i, j] = adjoint_covariance[j, i] = total
