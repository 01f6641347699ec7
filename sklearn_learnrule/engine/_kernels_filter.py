"""What a choice tells of drifting weights, compiled: see ``FilteredRule`` for the equations.

A path's row is the mean of K weights, then the lower triangle of their covariance P. The
kernels hold P whole, (K, K). An adjoint of P is symmetric: that of a number of the triangle
is the sum of its two places.

numba's disk cache watches the file of a cached kernel only: after a change here, touch the
files that import it.
"""

from __future__ import annotations

import math

from numba import njit

from ..rules.filtered import MAX_COVARIANCE

HALF_C = math.pi / 16  # half of pi / 8
MAX_ADJOINT = 1e12


@njit
def unpack(row, n_weights, covariance):
    """Fill a covariance from a path's row."""
    place = n_weights
    for i in range(n_weights):
        for j in range(i + 1):
            covariance[i, j] = covariance[j, i] = row[place]
            place += 1


@njit
def pack(covariance, n_weights, row):
    place = n_weights
    for i in range(n_weights):
        for j in range(i + 1):
            row[place] = min(max(covariance[i, j], -MAX_COVARIANCE), MAX_COVARIANCE)
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
def cut_adjoint(row, n_weights, adjoint):
    """Let no gradient pass by what ``pack`` has cut."""
    place = n_weights
    for i in range(n_weights):
        for j in range(i + 1):
            if abs(row[place]) >= MAX_COVARIANCE:
                adjoint[i, j] = adjoint[j, i] = 0.0
            place += 1


@njit
def bound(adjoints):
    """Keep adjoints finite where the parameters are so wild that they grow from trial to trial.

    A search that strays there turns back for the likelihood, and needs numbers to do so.
    """
    for i, adjoint in enumerate(adjoints.flat):
        adjoints.flat[i] = min(max(adjoint, -MAX_ADJOINT), MAX_ADJOINT)


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
def judge(weights, variance, x, choice):
    """Return k, p, the logit of weights alone, and the factors of the mean's and P's steps."""
    logit = 0.0
    for i in range(len(x)):
        logit += weights[i] * x[i]
    k = 1 / math.sqrt(1 + 2 * HALF_C * max(variance, 0.0))
    p = 1 / (1 + math.exp(-k * logit))
    return k, p, logit, k * (choice - p), k * k * p * (1 - p)


@njit
def observe(weights, covariance, x, choice, along, mean):
    """Fill P x and the mean after a choice, and change P."""
    variance = times(covariance, x, along)
    _, _, _, step, shrinking = judge(weights, variance, x, choice)
    for i in range(len(x)):
        mean[i] = weights[i] + step * along[i]
        for j in range(len(x)):
            covariance[i, j] -= shrinking * along[i] * along[j]


@njit
def observe_back(weights, variance, x, choice, along, adjoint, adjoint_covariance, adjoint_along):
    """Take the adjoints of mean and P back over a choice, given P x and its variance before."""
    k, p, logit, step, shrinking = judge(weights, variance, x, choice)
    n = len(x)
    adjoint_step = 0.0
    adjoint_shrinking = -times(adjoint_covariance, along, adjoint_along)
    for i in range(n):
        adjoint_step += along[i] * adjoint[i]
        adjoint_along[i] = step * adjoint[i] - 2 * shrinking * adjoint_along[i]
    adjoint_k = 2 * k * p * (1 - p) * adjoint_shrinking + (choice - p) * adjoint_step
    adjoint_p = k * k * (1 - 2 * p) * adjoint_shrinking - k * adjoint_step
    adjoint_moderated = p * (1 - p) * adjoint_p  # of k times the logit
    adjoint_k += logit * adjoint_moderated
    adjoint_variance = -HALF_C * k * k * k * adjoint_k if variance > 0 else 0.0
    for i in range(n):
        adjoint[i] += k * adjoint_moderated * x[i]
        adjoint_along[i] += adjoint_variance * x[i]
    for i in range(n):
        for j in range(n):
            both = adjoint_along[i] * x[j] + x[i] * adjoint_along[j]
            adjoint_covariance[i, j] += both / 2


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
            adjoint_transition[i, j] = adjoint_covariance[i, j] = 0.0
            for k in range(n):
                adjoint_transition[i, j] += 2 * product[i, k] * covariance[k, j]
                adjoint_covariance[i, j] += transition[k, i] * product[k, j]
