"""Newton's method over whole trajectories of a recurrence, and their exact adjoint.

The trajectory of z_{t+1} = z_t + increment_t(z_t) is the root of all T equations together.
Each iteration linearises every step at the current guess and solves the linear recurrence
that results for the correction, which a scan does in O(log T) operations (Lim et al. 2024,
"Parallelizing non-linear sequential models over the sequence length"; Gonzalez et al. 2024,
"Towards scalable and stable parallelization of nonlinear RNNs").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._parallel_steps import RecurrentSteps
from ._scan import AffineRecurrence, n_halvings

MAX_ITERATIONS = 16
GOOD_CONTRACTION = 0.1  # of corrections; while it lasts, the old Jacobians will do
N_PARTS = 8  # into which a block is split on which the iteration did not converge
SHORTEST_BLOCK = 16

# Elements of a block's Jacobians and of so many hidden units a state. On a CPU a block should
# stay in the cache; on a GPU it should fill the device, and take a few GB at most.
BLOCK_ELEMENTS = {"cpu": 2**20, "cuda": 3 * 2**26}
HIDDEN_UNITS = 64


def split_steps(n_steps: int, start: Tensor) -> list[tuple[int, int]]:
    """Return the ranges of steps that are solved together, for states like ``start`` (N, D)."""
    elements = BLOCK_ELEMENTS.get(start.device.type, BLOCK_ELEMENTS["cuda"])
    n_sequences, n_states = start.shape
    length = max(SHORTEST_BLOCK, elements // (n_sequences * (n_states**2 + HIDDEN_UNITS)))
    unit = 2 ** n_halvings(length)  # the scan need not pad a multiple of it
    return _ranges(0, n_steps, length // unit * unit)


def _ranges(first: int, stop: int, length: int) -> list[tuple[int, int]]:
    return [(begin, min(begin + length, stop)) for begin in range(first, stop, length)]


@torch.no_grad()
def solve_trajectory(steps: RecurrentSteps, start: Tensor, guess: Tensor | None = None) -> Tensor:
    """Return z_0 = ``start`` (N, D) to z_T, (N, T + 1, D).

    Block after block, each from the last state of the one before. A block on which Newton's
    method fails is split; a short one is unrolled step by step. So every state returned was
    converged to or stepped to.

    Parameters
    ----------
    steps : RecurrentSteps
    start : Tensor of shape (N, D)
    guess : Tensor of shape (N, T + 1, D) or None
        Where the iteration starts; None: at the first state of each block.
    """
    pending = split_steps(steps.n_steps, start)[::-1]
    solved = [start[:, None]]
    while pending:
        first, stop = pending.pop()
        block, before = steps.between(first, stop), solved[-1][:, -1:]  # (N, 1, D)
        if guess is None:
            states = newton(block, before.expand(-1, stop - first + 1, -1))
        else:
            states = newton(block, torch.cat([before, guess[:, first + 1 : stop + 1]], 1))
        if states is not None:
            solved.append(states[:, 1:])
        elif stop - first > SHORTEST_BLOCK:
            guess = None  # which may be what led astray
            pending += _ranges(first, stop, 1 + (stop - first - 1) // N_PARTS)[::-1]
        else:
            solved.append(step_by_step(block, before))
    return torch.cat(solved, 1)


def newton(steps: RecurrentSteps, guess: Tensor) -> Tensor | None:
    """Return the trajectory (N, T + 1, D) that starts like ``guess``; None: not converged.

    While the corrections shrink fast, an iteration keeps the Jacobians of the last one. It
    ends when what is left to correct, estimated as the last correction times the rate at
    which corrections shrink (Hairer & Wanner 1996, "Solving ordinary differential equations
    II", IV.8), is below the tolerance, relative to the state.
    """
    tolerance = torch.finfo(guess.dtype).eps ** 0.75  # 6e-6 in single, 2e-12 in double precision
    states, fixed = guess, torch.zeros_like(guess[:, 0])
    error, renew = 1.0, True
    for iteration in range(MAX_ITERATIONS):
        if renew:
            increments, jacobians = steps.linearise(states[:, :-1])
            recurrence = AffineRecurrence(jacobians)
        else:
            increments = steps.increments(states[:, :-1])
        # The difference of neighbours is nearly free of rounding; z + increment would not be.
        correction = recurrence.solve(increments - states.diff(dim=1), fixed)
        states = states + correction
        last, error = error, (correction.abs() / (1 + states.abs())).max().item()
        contraction = error / last if iteration else 1.0
        if error < tolerance**0.5 and error * contraction < tolerance:
            return states
        if not error < torch.inf:
            return None
        renew = error > GOOD_CONTRACTION * last
    return None


def step_by_step(steps: RecurrentSteps, state: Tensor) -> Tensor:
    """Return the states after each step, (N, T, D), from the one before, (N, 1, D)."""
    states = []
    for t in range(steps.n_steps):
        state = state + steps.between(t, t + 1).increments(state)
        states.append(state)
    return torch.cat(states, 1)


def pull_back(
    steps: RecurrentSteps,
    states: Tensor,
    gradient: Tensor,
    parameters: Sequence[Tensor],
    truncation: int | None,
) -> tuple[Tensor, list[Tensor]]:
    """Return the gradients in the first state (N, D) and in the parameters of the steps.

    The adjoint a_t = gradient_t + (dz_{t+1} / dz_t)' a_{t+1} is linear, so that one reverse
    scan of the Jacobians at the trajectory gives it exactly; one backward sweep over all
    steps with the cotangents a_{t+1} then gives the gradients in the parameters.

    Parameters
    ----------
    steps : RecurrentSteps
    states, gradient : Tensor of shape (N, T + 1, D)
        The trajectory, and the gradient of a loss in it.
    parameters : sequence of Tensor
    truncation : int or None
        From every so-many-th step on, the first apart, no gradient passes to earlier ones.
    """
    adjoint = gradient[:, -1]
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for first, stop in reversed(split_steps(steps.n_steps, adjoint)):
        block, before = steps.between(first, stop), states[:, first:stop]
        jacobians = block.linearise(before)[1]
        if truncation:
            t = torch.arange(first, stop, device=states.device)
            cut = (t > 0) & (t % truncation == 0)
            jacobians = jacobians.masked_fill(cut[:, None, None], 0)
        recurrence = AffineRecurrence(jacobians)
        adjoints = recurrence.solve(gradient[:, first:stop], adjoint, adjoint=True)
        adjoint = adjoints[:, 0]
        _add_gradients(totals, block, before, adjoints[:, 1:], parameters)
    return adjoint, totals


def _add_gradients(
    totals: list[Tensor],
    steps: RecurrentSteps,
    states: Tensor,
    cotangents: Tensor,
    parameters: Sequence[Tensor],
) -> None:
    """Add to the totals what the steps give back for the cotangents of their increments."""
    with torch.enable_grad():
        increments = steps.increments(states)
    if not (parameters and increments.requires_grad):
        return
    gradients = torch.autograd.grad(increments, parameters, cotangents, materialize_grads=True)
    for total, gradient in zip(totals, gradients, strict=True):
        total += gradient
