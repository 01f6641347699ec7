"""Compiled unrolling of the parametric rules: each a step along a gradient of the policy.

All of them are update = (rate * signal - offset) * slope * x, with a rate and an offset for
each weight; signal and slope are numbers that the trial and the policy's p = P(y = 1) give.
"""

from __future__ import annotations

import math

from numba import njit

from ._kernels_state import adjoint_of_held, hold, is_cut, kernel

REINFORCE, REWARD_MAX, PREDICT_MAX = range(3)


@njit
def learn_from(kind, choice, reward, answer, p):
    """Return signal, slope, and the slope's derivative with respect to p."""
    if kind == REINFORCE:
        return reward, choice - p, -1.0
    if kind == PREDICT_MAX:
        return 1.0, answer - p, -1.0
    return 2 * (2 * answer - 1), p * (1 - p), 1 - 2 * p


@njit
def choice_probability(trajectory, features, n, t):
    """p = sigmoid(w . x)."""
    logit = 0.0
    for k in range(features.shape[2]):
        logit += trajectory[n, t, k] * features[n, t, k]
    return 1 / (1 + math.exp(-logit))


@kernel
def unroll_policy_gradient(kind, rate, offset, trials, n_observed, first, last, trajectory):
    """Fill ``trajectory`` (N, T, K), whose first trial is given, of some subjects."""
    x, choice, reward, answer, _ = trials
    for n in range(first, last):
        for t in range(n_observed[n]):
            p = choice_probability(trajectory, x, n, t)
            signal, slope, _ = learn_from(kind, choice[n, t], reward[n, t], answer[n, t], p)
            for k in range(len(rate)):
                update = (rate[k] * signal - offset[k]) * slope * x[n, t, k]
                trajectory[n, t + 1, k] = trajectory[n, t, k] + update
        hold(trajectory, n, n_observed[n])


@kernel
def unroll_policy_gradient_back(
    kind, rate, offset, trials, n_observed, first, last, trajectory, truncation, n_steps,
    gradient_trajectory, gradient_rate, gradient_offset, gradient_initial,
):  # fmt: skip
    """Fill ``gradient_initial`` (N, K) of some subjects; add theirs to rate's and offset's."""
    x, choice, reward, answer, _ = trials
    for n in range(first, last):
        adjoint = gradient_initial[n]  # of the weights, (K,)
        adjoint_of_held(gradient_trajectory, n, n_observed[n], truncation, n_steps, adjoint)
        for t in range(n_observed[n] - 1, -1, -1):
            p = choice_probability(trajectory, x, n, t)
            signal, slope, slope_by_p = learn_from(
                kind, choice[n, t], reward[n, t], answer[n, t], p
            )
            adjoint_slope = 0.0
            for k in range(len(rate)):
                adjoint_size = adjoint[k] * x[n, t, k]  # of this weight's signed step size
                gradient_rate[k] += adjoint_size * slope * signal
                gradient_offset[k] -= adjoint_size * slope
                adjoint_slope += adjoint_size * (rate[k] * signal - offset[k])
            adjoint_logit = adjoint_slope * slope_by_p * p * (1 - p)
            cut = is_cut(t, truncation)
            for k in range(len(rate)):
                passed = 0.0 if cut else adjoint[k] + adjoint_logit * x[n, t, k]
                adjoint[k] = passed + gradient_trajectory[n, t, k]
