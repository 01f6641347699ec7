"""What a choice tells of drifting weights, compiled: see ``FilteredRule`` for the equations.

A path's row is the mean of K weights, then the lower triangle of their covariance P. The
kernels hold P whole, (K, K). An adjoint of P is symmetric: that of a number of the triangle
is the sum of its two places. A *record* is what a choice told: the numbers named below, P x, and
the mean after it.
"""

from __future__ import annotations

import math

from numba import njit

from ..rules.filtered import MAX_COVARIANCE, MAX_WEIGHT, PROBIT
from ._kernels_vector import shift

HALF_C = PROBIT / 2
MAX_ADJOINT = 1e12  # whose products with MAX_COVARIANCE are finite in single precision
# k, of the choice's sign; the logit of weights alone; x'Px; and as FilteredRule has them, the
# odds of a lapse to this choice, q, l, u and h = q - l (1 - q). The mean's step is k u P x.
MODERATION, LOGIT, VARIANCE, ODDS, CHANCE, LAPSE, SURPRISE, SHRINKING, ALONG = range(9)


@njit
def record_size(n_weights):
    return ALONG + 2 * n_weights


@njit
def mean_of(record, n_weights):
    return shift(record, ALONG + n_weights)


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
def times(matrix, x, out):
    """out = matrix x, of a symmetric matrix; return x . out."""
    total = 0.0
    for i in range(len(matrix)):
        product = 0.0
        for j in range(len(matrix)):
            product += matrix[i, j] * x[j]
        out[i] = product
        total += x[i] * product
    return total


@njit
def observe(weights, covariance, x, choice, odds, record):
    """Fill the record of a choice, by the covariance before it."""
    n = len(covariance)
    along, mean = shift(record, ALONG), mean_of(record, n)
    variance = times(covariance, x, along)
    logit = 0.0
    for i in range(n):
        logit += weights[i] * x[i]
        if variance < 0:  # then 0 but for rounding
            along[i] = 0.0
    k = (2 * choice - 1) / math.sqrt(1 + 2 * HALF_C * max(variance, 0.0))
    q = 1 / (1 + math.exp(-k * logit))
    lapse, u, h = 0.0, 1 - q, q
    if odds > 0:
        lapse = odds / (q + odds)
        u, h = (1 - lapse) * (1 - q), q - lapse * (1 - q)
    for i in range(n):
        mean[i] = weights[i] + k * u * along[i]
    record[MODERATION], record[LOGIT], record[VARIANCE], record[ODDS] = k, logit, variance, odds
    record[CHANCE], record[LAPSE], record[SURPRISE], record[SHRINKING] = q, lapse, u, h


@njit
def shrink(record, covariance):
    """P <- P - k^2 u h (P x) (P x)'."""
    n = len(covariance)
    along = shift(record, ALONG)
    k = record[MODERATION]
    factor = k * k * record[SURPRISE] * record[SHRINKING]
    for i in range(n):
        scaled = factor * along[i]
        for j in range(i + 1):
            covariance[i, j] -= scaled * along[j]
            covariance[j, i] = covariance[i, j]


@njit
def observe_back(record, x, adjoint, adjoint_covariance, adjoint_along):
    """Take the adjoints of mean and P back over a choice; return the gradient of the odds."""
    n = len(adjoint_covariance)
    along = shift(record, ALONG)
    k, logit, variance = record[MODERATION], record[LOGIT], record[VARIANCE]
    q, lapse, u, h, odds = (
        record[CHANCE], record[LAPSE], record[SURPRISE], record[SHRINKING], record[ODDS],
    )  # fmt: skip
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
    adjoint_k = u * adjoint_step + 2 * k * u * h * adjoint_shrinking + logit * adjoint_moderated
    adjoint_variance = -HALF_C * k * k * k * adjoint_k
    for i in range(n):
        adjoint[i] += k * adjoint_moderated * x[i]
        adjoint_along[i] += adjoint_variance * x[i]
    if variance >= 0:
        for i in range(n):
            for j in range(i + 1):
                both = (adjoint_along[i] * x[j] + x[i] * adjoint_along[j]) / 2
                adjoint_covariance[i, j] += both
                if i != j:
                    adjoint_covariance[j, i] += both
    return -u / (q + odds) * (adjoint_u + adjoint_h) if odds > 0 else 0.0


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
