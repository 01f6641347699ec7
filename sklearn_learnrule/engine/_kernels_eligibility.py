"""Compiled unrolling of the eligibility rule; see ``_kernels_textbook``.

The setting is the window S. update_t = R_t (e_{t-S} + ... + e_t) - forgetting * w, where
e = rate * (y - p) * x. So e_t moves the weights on the trials t to t + S, and its adjoint is the
sum of R times the weights' adjoint over these: the same sliding sum, backwards.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_textbook import FORGETTING, RATE, choice_probability, move, move_back, side_of


@njit
def enough_reward(reward, n, t, window):
    """Return R: 1 if at least half of the last trials were rewarded, else 0."""
    balance = 0
    for earlier in range(max(0, t + 1 - window), t + 1):
        balance += 1 if reward[n, earlier] > 0 else -1
    return 1.0 if balance >= 0 else 0.0


@njit
def column_sum(recent, k):
    total = 0.0
    for row in range(len(recent)):
        total += recent[row, k]
    return total


@kernel
def unroll_eligibility(window, parameters, trials, n_observed, first, last, trajectory, memory):
    x, choice, reward, _, _ = trials
    eligible = np.empty((window + 1, x.shape[2]), trajectory.dtype)  # e_t in row t % (S + 1)
    for n in range(first, last):
        eligible[:] = 0
        for t in range(n_observed[n]):
            p = choice_probability(trajectory, x, n, t)
            side = side_of(choice[n, t])
            enough = enough_reward(reward, n, t, window)
            for k in range(x.shape[2]):
                e = parameters[RATE + side, k] * (choice[n, t] - p) * x[n, t, k]
                eligible[t % (window + 1), k] = e
                update = enough * column_sum(eligible, k)
                move(trajectory, n, t, k, update, parameters[FORGETTING, k])
        hold(trajectory, n, n_observed[n])


@kernel
def unroll_eligibility_back(
    window, parameters, trials, n_observed, first, last, trajectory, memory,
    truncation, n_steps, upstream, gradient, gradient_initial,
):  # fmt: skip
    x, choice, reward, _, _ = trials
    moved = np.empty((window + 1, x.shape[2]), trajectory.dtype)  # R times the adjoint, likewise
    for n in range(first, last):
        adjoint = gradient_initial[n]  # of the weights, (K,)
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint)
        moved[:] = 0
        for t in range(n_observed[n] - 1, -1, -1):
            p = choice_probability(trajectory, x, n, t)
            slope, side = choice[n, t] - p, side_of(choice[n, t])
            enough = enough_reward(reward, n, t, window)
            adjoint_slope = 0.0
            for k in range(x.shape[2]):
                moved[t % (window + 1), k] = enough * adjoint[k]
                adjoint_e = column_sum(moved, k)
                adjoint_slope += adjoint_e * parameters[RATE + side, k] * x[n, t, k]
                gradient[RATE + side, k] += adjoint_e * slope * x[n, t, k]
            adjoint_logit = -adjoint_slope * p * (1 - p)
            cut = is_cut(t, truncation)
            if cut:
                moved[:] = 0
            for k in range(x.shape[2]):
                forgetting = parameters[FORGETTING, k]
                kept = move_back(trajectory, n, t, k, adjoint[k], forgetting, gradient)
                passed = 0.0 if cut else kept + adjoint_logit * x[n, t, k]
                adjoint[k] = passed + upstream[n, t, k]
