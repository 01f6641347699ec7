"""Compiled unrolling of the actor-critic rule; see ``_kernels_textbook``.

With the memory v and delta = r - v . |x|: update = rate * delta * (y - p) * x - forgetting * w,
and v += critic * delta * |x|.
"""

from __future__ import annotations

import numpy as np
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

CRITIC, START = N_COMMON_ROWS, N_COMMON_ROWS + 1


@njit
def surprise(memory, x, reward, n, t):
    """delta = r - v . |x|."""
    expected = 0.0
    for k in range(x.shape[2]):
        expected += memory[n, t, k] * abs(x[n, t, k])
    return reward[n, t] - expected


@kernel
def unroll_actor_critic(setting, parameters, trials, n_observed, first, last, trajectory, memory):
    x, choice, reward, _, _ = trials
    for n in range(first, last):
        memory[n, 0] = parameters[START]
        for t in range(n_observed[n]):
            slope = choice[n, t] - choice_probability(trajectory, x, n, t)
            delta, side = surprise(memory, x, reward, n, t), side_of(choice[n, t])
            for k in range(x.shape[2]):
                update = parameters[RATE + side, k] * delta * slope * x[n, t, k]
                move(trajectory, n, t, k, update, parameters[FORGETTING, k])
                move(memory, n, t, k, parameters[CRITIC, k] * delta * abs(x[n, t, k]), 0.0)
        hold(trajectory, n, n_observed[n])


@kernel
def unroll_actor_critic_back(
    setting, parameters, trials, n_observed, first, last, trajectory, memory,
    truncation, n_steps, upstream, gradient, gradient_initial,
):  # fmt: skip
    x, choice, reward, _, _ = trials
    adjoint_v = np.empty(x.shape[2], trajectory.dtype)
    for n in range(first, last):
        adjoint = gradient_initial[n]  # of the weights, (K,)
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint)
        adjoint_v[:] = 0
        for t in range(n_observed[n] - 1, -1, -1):
            p = choice_probability(trajectory, x, n, t)
            slope, side = choice[n, t] - p, side_of(choice[n, t])
            delta = surprise(memory, x, reward, n, t)
            adjoint_delta = adjoint_slope = 0.0
            for k in range(x.shape[2]):
                rate, size = parameters[RATE + side, k], abs(x[n, t, k])
                moved = adjoint[k] * x[n, t, k]
                gradient[RATE + side, k] += moved * slope * delta
                gradient[CRITIC, k] += adjoint_v[k] * size * delta
                adjoint_delta += moved * slope * rate + adjoint_v[k] * size * parameters[CRITIC, k]
                adjoint_slope += moved * delta * rate
            adjoint_logit = -adjoint_slope * p * (1 - p)
            cut = is_cut(t, truncation)
            for k in range(x.shape[2]):
                forgetting = parameters[FORGETTING, k]
                kept = move_back(trajectory, n, t, k, adjoint[k], forgetting, gradient)
                passed = 0.0 if cut else kept + adjoint_logit * x[n, t, k]
                adjoint[k] = passed + upstream[n, t, k]
                adjoint_v[k] = 0.0 if cut else adjoint_v[k] - adjoint_delta * abs(x[n, t, k])
        gradient[START] += adjoint_v
