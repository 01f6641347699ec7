"""Compiled unrolling of Q-learning; see ``_kernels_textbook``.

With the memory u, the side e = 2 y - 1, and rate = alpha beta, of the choice made:

    worth = (u + e w) . x / 2,  step = rate * (r - worth / beta) * x
    update = e * step - forgetting * w,  u += step - forgetting * u
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_textbook import FORGETTING, N_COMMON_ROWS, RATE, dot, move, move_back, side_of

TEMPERATURE = N_COMMON_ROWS  # 1 / beta, in the row's first place


@njit
def worth_of_choice(memory, trajectory, x, e, n, t):
    """beta Q of the choice made."""
    return (dot(memory, x, n, t) + e * dot(trajectory, x, n, t)) / 2


@kernel
def unroll_q_learning(setting, parameters, trials, n_observed, first, last, trajectory, memory):
    x, choice, reward, _, _ = trials
    temperature = parameters[TEMPERATURE, 0]
    for n in range(first, last):
        memory[n, 0] = 0
        for t in range(n_observed[n]):
            side, e = side_of(choice[n, t]), 2 * choice[n, t] - 1
            worth = worth_of_choice(memory, trajectory, x, e, n, t)
            surprise = reward[n, t] - temperature * worth
            for k in range(x.shape[2]):
                step = parameters[RATE + side, k] * surprise * x[n, t, k]
                move(trajectory, n, t, k, e * step, parameters[FORGETTING, k])
                move(memory, n, t, k, step, parameters[FORGETTING, k])
        hold(trajectory, n, n_observed[n])


@kernel
def unroll_q_learning_back(
    setting, parameters, trials, n_observed, first, last, trajectory, memory,
    truncation, n_steps, upstream, gradient, gradient_initial,
):  # fmt: skip
    x, choice, reward, _, _ = trials
    temperature = parameters[TEMPERATURE, 0]
    adjoint_u = np.empty(x.shape[2], trajectory.dtype)
    for n in range(first, last):
        adjoint = gradient_initial[n]  # of the weights, (K,)
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint)
        adjoint_u[:] = 0
        for t in range(n_observed[n] - 1, -1, -1):
            side, e = side_of(choice[n, t]), 2 * choice[n, t] - 1
            worth = worth_of_choice(memory, trajectory, x, e, n, t)
            surprise = reward[n, t] - temperature * worth
            adjoint_surprise = 0.0
            for k in range(x.shape[2]):
                moved = (e * adjoint[k] + adjoint_u[k]) * x[n, t, k]
                gradient[RATE + side, k] += moved * surprise
                adjoint_surprise += moved * parameters[RATE + side, k]
            gradient[TEMPERATURE, 0] -= adjoint_surprise * worth
            adjoint_worth = -adjoint_surprise * temperature
            cut = is_cut(t, truncation)
            for k in range(x.shape[2]):
                forgetting, by_worth = parameters[FORGETTING, k], adjoint_worth * x[n, t, k] / 2
                kept = move_back(trajectory, n, t, k, adjoint[k], forgetting, gradient)
                kept_u = move_back(memory, n, t, k, adjoint_u[k], forgetting, gradient)
                adjoint[k] = (0.0 if cut else kept + e * by_worth) + upstream[n, t, k]
                adjoint_u[k] = 0.0 if cut else kept_u + by_worth
