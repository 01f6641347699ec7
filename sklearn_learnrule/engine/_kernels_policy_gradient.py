"""Compiled unrolling of the textbook rules that have no memory; see ``_kernels_textbook``.

All of them are update = (rate * signal - offset) * slope * x - forgetting * w; signal and slope
are numbers that the trial and the policy's p = P(y = 1) give, the setting is the kind of rule.
"""

from __future__ import annotations

from numba import njit

from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_textbook import (
    FORGETTING,
    N_COMMON_ROWS,
    RATE,
    choice_probability,
    move,
    move_back,
    side_of,
)

REINFORCE, REWARD_MAX, PREDICT_MAX = range(3)
OFFSET = N_COMMON_ROWS  # + side


@njit
def learn_from(kind, choice, reward, answer, p):
    """Return signal, slope, and the slope's derivative with respect to p."""
    if kind == REINFORCE:
        return reward, choice - p, -1.0
    if kind == PREDICT_MAX:
        return 1.0, answer - p, -1.0
    return 2 * (2 * answer - 1), p * (1 - p), 1 - 2 * p


@kernel
def unroll_policy_gradient(kind, parameters, trials, n_observed, first, last, trajectory, memory):
    x, choice, reward, answer, _ = trials
    for n in range(first, last):
        for t in range(n_observed[n]):
            p = choice_probability(trajectory, x, n, t)
            signal, slope, _ = learn_from(kind, choice[n, t], reward[n, t], answer[n, t], p)
            side = side_of(choice[n, t])
            for k in range(x.shape[2]):
                size = parameters[RATE + side, k] * signal - parameters[OFFSET + side, k]
                move(trajectory, n, t, k, size * slope * x[n, t, k], parameters[FORGETTING, k])
        hold(trajectory, n, n_observed[n])


@kernel
def unroll_policy_gradient_back(
    kind, parameters, trials, n_observed, first, last, trajectory, memory,
    truncation, n_steps, upstream, gradient, gradient_initial,
):  # fmt: skip
    x, choice, reward, answer, _ = trials
    for n in range(first, last):
        adjoint = gradient_initial[n]  # of the weights, (K,)
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint)
        for t in range(n_observed[n] - 1, -1, -1):
            p = choice_probability(trajectory, x, n, t)
            signal, slope, slope_by_p = learn_from(
                kind, choice[n, t], reward[n, t], answer[n, t], p
            )
            side = side_of(choice[n, t])
            adjoint_slope = 0.0
            for k in range(x.shape[2]):
                size = parameters[RATE + side, k] * signal - parameters[OFFSET + side, k]
                moved = adjoint[k] * x[n, t, k]
                gradient[RATE + side, k] += moved * slope * signal
                gradient[OFFSET + side, k] -= moved * slope
                adjoint_slope += moved * size
            adjoint_logit = adjoint_slope * slope_by_p * p * (1 - p)
            cut = is_cut(t, truncation)
            for k in range(x.shape[2]):
                forgetting = parameters[FORGETTING, k]
                kept = move_back(trajectory, n, t, k, adjoint[k], forgetting, gradient)
                passed = 0.0 if cut else kept + adjoint_logit * x[n, t, k]
                adjoint[k] = passed + upstream[n, t, k]
