"""The parallel engine: all trials at once, by Newton's method over the whole trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from ..compiler.trace import is_trusted
from ..rules import LearningRule, RNNRule, Trial
from ._loop import unroll_loop
from ._parallel_newton import pull_back, solve_trajectory
from ._parallel_steps import GRUSteps, RuleSteps

# The choices that each rule was last trained on, and the states that it went through.
_LAST: WeakKeyDictionary[LearningRule, tuple[Tensor, Tensor]] = WeakKeyDictionary()


class NotByRowsError(ValueError):
    """That a rule does something else on one trial than among others."""


def unroll_parallel(
    rule: LearningRule,
    initial_weights: Tensor,
    trials: Trial,
    observed: Tensor,
    truncation: int | None = None,
) -> Tensor:
    """Unroll a rule over all trials at once; see :func:`sklearn_learnrule.engine.unroll`.

    For any rule; one with so large a memory that the loop is faster is handed to the loop.
    Gradients are of first order and reach the parameters, the initial weights and the
    initial memory. In training, the iteration starts from where the same rule went last on
    the same choices, which saves steps and decides nothing: it ends when it has converged.
    """
    memory = rule.initial_memory(len(initial_weights), like=initial_weights)
    start = torch.cat([initial_weights, memory], -1)  # (N, D)
    kind = (
        GRUSteps if type(rule) is RNNRule and not rule.alike and rule.around is None else RuleSteps
    )
    if _suits_the_loop(kind, start, trials):
        return unroll_loop(rule, initial_weights, trials, observed, truncation)
    n_trials = observed.shape[1]
    n_steps = min(int(observed.any(0).sum()), n_trials - 1)
    steps = kind(rule, trials, observed).between(0, n_steps)
    parameters = [parameter for parameter in rule.parameters() if parameter.requires_grad]
    with _one_thread():
        states = _solve(steps, start, parameters)
        if not is_trusted(rule) and not steps.go_by_rows(states[:, :-1]):
            raise NotByRowsError(
                "engine='parallel' asks a rule for all trials at once, but "
                f"{type(rule).__name__} does something else on one alone than among others: use "
                "engine='loop'."
            )
    weights = _Weights.apply(steps, truncation, states, start, *parameters)
    rest = weights[:, -1:].expand(-1, n_trials - n_steps - 1, -1)
    return torch.cat([weights, rest], 1)  # (N, T, K)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep to one CPU thread: on a busy machine, threads that meet after each of thousands of
    small operations take ten times as long as one that does not wait.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _suits_the_loop(kind: type[RuleSteps], start: Tensor, trials: Trial) -> bool:
    max_states = kind.max_states.get(start.device.type, kind.max_states["cuda"])
    return (
        start.shape[-1] > max_states
        or torch.is_inference_mode_enabled()  # where nothing can be differentiated
        or any(field.requires_grad for field in vars(trials).values())
    )


def _solve(steps: RuleSteps, start: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return the states (N, n_steps + 1, D); in training, start from the last ones."""
    training = torch.is_grad_enabled() and any(x.requires_grad for x in (start, *parameters))
    if not training:  # predictions depend on nothing but the parameters, to the last bit
        return solve_trajectory(steps, start.detach())
    choice = steps.trials.choice
    last_choice, guess = _LAST.get(steps.rule, (None, None))
    if last_choice is None or not _same(choice, last_choice):
        guess = None
    states = solve_trajectory(steps, start.detach(), guess)
    _LAST[steps.rule] = choice, states
    return states


def _same(a: Tensor, b: Tensor) -> bool:
    alike = (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device)
    return alike and torch.equal(a, b)


class _Weights(torch.autograd.Function):
    """The weights of a trajectory that is solved already, with their gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        steps: RuleSteps,
        truncation: int | None,
        states: Tensor,
        start: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        del start  # states[:, 0]; what it depends on gets its gradient
        ctx.steps, ctx.truncation = steps, truncation
        ctx.save_for_backward(states, *parameters)
        return states[..., : steps.rule.n_weights + steps.rule.shown_memory].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, *parameters = ctx.saved_tensors
        gradient = pad(gradient, (0, states.shape[-1] - gradient.shape[-1]))  # (N, T + 1, D)
        with _one_thread():
            start, totals = pull_back(ctx.steps, states, gradient, parameters, ctx.truncation)
        return None, None, None, start, *totals
