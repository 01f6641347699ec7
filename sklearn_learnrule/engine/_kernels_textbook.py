"""What the compiled textbook rules have in common: their parameters' rows, and one step.

A rule's parameters are the rows of an array (P, K): learning rates after a choice of the first
and of the second class, forgetting, and what else the rule has. All kernels of these rules are
called alike:

    unroll(setting, parameters, trials, n_observed, first, last, trajectory, memory)

fills ``trajectory`` (N, T, K), of which the first trial is given, for the subjects from
``first`` to ``last - 1``, and ``memory`` (N, T, M) where the way back needs it;

    unroll_back(setting, parameters, trials, n_observed, first, last, trajectory, memory,
                truncation, n_steps, upstream, gradient, gradient_initial)

fills ``gradient_initial`` (N, K) of these subjects, and adds their part to ``gradient``
(P, K), given the gradient in the trajectory, ``upstream``. An *adjoint* is the gradient of
the loss in what a trial hands on. What ``setting`` says is the rule's affair.
"""

from __future__ import annotations

import math

from numba import njit

RATE, FORGETTING, N_COMMON_ROWS = 0, 2, 3  # RATE + side


@njit
def side_of(choice):
    return 1 if choice > 0.5 else 0


@njit
def dot(a, x, n, t):
    """Return a . x for subject n in trial t."""
    total = 0.0
    for k in range(x.shape[2]):
        total += a[n, t, k] * x[n, t, k]
    return total


@njit
def choice_probability(trajectory, x, n, t):
    """p = sigmoid(w . x)."""
    return 1 / (1 + math.exp(-dot(trajectory, x, n, t)))


@njit
def move(state, n, t, k, update, forgetting):
    """Go from one trial to the next: state += update - forgetting * state."""
    before = state[n, t, k]
    if forgetting != 0:  # so that 0 times infinity is no NaN
        update -= forgetting * before
    state[n, t + 1, k] = before + update


@njit
def move_back(state, n, t, k, adjoint, forgetting, gradient):
    """Return the adjoint before the trial, by way of this state; add to forgetting's gradient."""
    gradient[FORGETTING, k] -= adjoint * state[n, t, k]
    return adjoint - forgetting * adjoint
