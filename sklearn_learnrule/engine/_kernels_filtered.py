"""Compiled unrolling of drifting weights that the policy-gradient rules move.

As ``_kernels_policy_gradient``, inside the filter of ``_kernels_filter``. The last rows of the
parameters tell which weights the rule sees, 1 or 0; the odds of lapses to the first and the second
choice, each as its row's first number; and the variances that every trial and a session's start
add.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..rules import SLOPE_STEP
from ._kernels_filter import (
    bound,
    cut_adjoint,
    observe,
    observe_back,
    pack,
    pack_adjoint,
    spread,
    spread_back,
    unpack,
    unpack_adjoint,
)
from ._kernels_policy_gradient import OFFSET, learn_from
from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_textbook import FORGETTING, RATE, side_of

SEEN, ODDS, NOISE, SESSION_NOISE = -5, -4, -2, -1  # ODDS + side


@njit
def slopes(kind, choice, reward, answer, mean, x, out, by_logit):
    """Fill the rule's slope at the mean, out[0], and one weight's step on; return its signal.

    ``by_logit`` takes the derivatives of each with respect to the logit there.
    """
    logit = 0.0
    for i in range(len(x)):
        logit += mean[i] * x[i]
    signal = 0.0
    for j in range(len(x) + 1):
        moved = logit + (SLOPE_STEP * x[j - 1] if j else 0.0)
        p = 1 / (1 + math.exp(-moved))
        signal, out[j], by_p = learn_from(kind, choice, reward, answer, p)
        by_logit[j] = by_p * p * (1 - p)
    return signal


@njit
def fill_transition(parameters, side, signal, x, slope, steps, transition):
    """Fill each weight's step per slope, (K,), and F."""
    for i in range(len(x)):
        size = parameters[RATE + side, i] * signal - parameters[OFFSET + side, i]
        steps[i] = size * x[i]
        for j in range(len(x)):
            transition[i, j] = steps[i] * (slope[j + 1] - slope[0]) / SLOPE_STEP
        transition[i, i] += 1 - parameters[FORGETTING, i]


@kernel
def unroll_filtered(kind, parameters, trials, n_observed, first, last, path, memory):
    features, choice, reward, answer, session_start = trials
    n_weights = features.shape[2]
    covariance, transition, product = np.empty((3, n_weights, n_weights), path.dtype)
    along, mean, steps, noise, seen = np.empty((5, n_weights), path.dtype)
    slope, by_logit = np.empty((2, n_weights + 1), path.dtype)
    for n in range(first, last):
        for t in range(n_observed[n]):
            x, y, row, later = features[n, t], choice[n, t], path[n, t], path[n, t + 1]
            side = side_of(y)
            unpack(row, n_weights, covariance)
            observe(row[:n_weights], covariance, x, y, parameters[ODDS + side, 0], along, mean)
            for i in range(n_weights):
                seen[i] = parameters[SEEN, i] * x[i]
            signal = slopes(kind, y, reward[n, t], answer[n, t], mean, seen, slope, by_logit)
            fill_transition(parameters, side, signal, x, slope, steps, transition)
            for i in range(n_weights):
                later[i] = mean[i] + steps[i] * slope[0] - parameters[FORGETTING, i] * mean[i]
                further = session_start[n, t] * parameters[SESSION_NOISE, i]
                noise[i] = parameters[NOISE, i] + further
            spread(transition, covariance, noise, product)
            pack(covariance, n_weights, later)
        hold(path, n, n_observed[n])


@kernel
def unroll_filtered_back(
    kind, parameters, trials, n_observed, first, last, path, memory,
    truncation, n_steps, upstream, gradient, gradient_initial,
):  # fmt: skip
    features, choice, reward, answer, session_start = trials
    n_weights = features.shape[2]
    covariance, transition, product, adjoint_covariance, adjoint_transition = np.zeros(
        (5, n_weights, n_weights), path.dtype
    )
    along, mean, steps, seen, adjoint_along, adjoint_steps = np.empty((6, n_weights), path.dtype)
    slope, by_logit, adjoint_slope = np.empty((3, n_weights + 1), path.dtype)
    for n in range(first, last):
        initial = gradient_initial[n]  # of the path's row, (K + S,)
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, initial)
        adjoint = initial[:n_weights]  # of the mean
        adjoint_covariance[:] = 0
        unpack_adjoint(initial, n_weights, adjoint_covariance)
        for t in range(n_observed[n] - 1, -1, -1):
            x, y, row = features[n, t], choice[n, t], path[n, t]
            side = side_of(y)
            odds = parameters[ODDS + side, 0]
            unpack(row, n_weights, covariance)
            variance = observe(row[:n_weights], covariance, x, y, odds, along, mean)
            for i in range(n_weights):
                seen[i] = parameters[SEEN, i] * x[i]
            signal = slopes(kind, y, reward[n, t], answer[n, t], mean, seen, slope, by_logit)
            fill_transition(parameters, side, signal, x, slope, steps, transition)
            cut_adjoint(path[n, t + 1], n_weights, adjoint, adjoint_covariance)
            for i in range(n_weights):
                gradient[NOISE, i] += adjoint_covariance[i, i]
                gradient[SESSION_NOISE, i] += session_start[n, t] * adjoint_covariance[i, i]
            spread_back(transition, covariance, adjoint_covariance, adjoint_transition, product)

            adjoint_slope[:] = 0
            for i in range(n_weights):
                adjoint_steps[i] = adjoint[i] * slope[0]
                adjoint_slope[0] += adjoint[i] * steps[i]
                for j in range(n_weights):
                    change = adjoint_transition[i, j] / SLOPE_STEP
                    adjoint_steps[i] += change * (slope[j + 1] - slope[0])
                    adjoint_slope[j + 1] += change * steps[i]
                    adjoint_slope[0] -= change * steps[i]
                adjoint_size = adjoint_steps[i] * x[i]
                gradient[RATE + side, i] += adjoint_size * signal
                gradient[OFFSET + side, i] -= adjoint_size
                gradient[FORGETTING, i] -= adjoint_transition[i, i] + adjoint[i] * mean[i]
            adjoint_logit = 0.0
            for j in range(n_weights + 1):
                adjoint_logit += adjoint_slope[j] * by_logit[j]
            for i in range(n_weights):
                kept = adjoint[i] * (1 - parameters[FORGETTING, i])
                adjoint[i] = kept + adjoint_logit * seen[i]
            gradient[ODDS + side, 0] += observe_back(
                row[:n_weights], variance, x, y, odds, along, adjoint, adjoint_covariance,
                adjoint_along,
            )  # fmt: skip
            if is_cut(t, truncation):
                adjoint[:] = 0
                adjoint_covariance[:] = 0
            for i in range(n_weights):
                adjoint[i] += upstream[n, t, i]
            unpack_adjoint(upstream[n, t], n_weights, adjoint_covariance)
            bound(adjoint)
            bound(adjoint_covariance)
        pack_adjoint(adjoint_covariance, n_weights, initial)
