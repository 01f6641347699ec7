"""The fused engine: compiled CPU code for any rule, forward and backward.

A rule comes as compiled steps (``_steps``): a network's are written by hand (``_network``), every
other rule's are made from its equation (``_compiled``). What drives them over trials is written
once, without a filter and with one (``_kernels_unroll``, ``_kernels_filtered``). numba is imported,
and kernels compiled or read from its disk cache, at the first call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..rules import (
    ConstantRule,
    DNNRule,
    FilteredRule,
    LearningRule,
    PartialRule,
    RNNRule,
    Trial,
    mover,
)
from ._cohort import Array, Cohort, empty_aligned, make_cohort, over_subjects, refuse_second_derivatives
from ._kernels_filter import record_size
from ._kernels_filtered import unroll_filtered, unroll_filtered_back
from ._kernels_state import BLOCK
from ._kernels_unroll import unroll, unroll_back
from ._steps import CompiledRule, Untraceable

NETWORKS = (DNNRule, RNNRule)


def unroll_fused(
    rule: LearningRule,
    initial_weights: Tensor,
    trials: Trial,
    observed: Tensor,
    truncation: int | None = None,
) -> Tensor:
    """Unroll a rule by compiled code; see :func:`sklearn_learnrule.engine.unroll`.

    Gradients, of first order only, reach the rule's parameters, its initial memory and
    ``initial_weights``. Trials after a subject's last observed one cost nothing. The result is the
    same bit for bit whatever the number of threads, which is torch's.

    Raises
    ------
    ValueError
        If the rule, the device, the type of numbers or a gradient asked for is not compiled; if
        shapes do not fit; or if a subject's ``observed`` is not a run of True, then False.
    """
    _check(rule, initial_weights, trials, observed)
    if type(rule) is ConstantRule:
        return _unroll_constant(initial_weights, observed, truncation)
    if type(rule) is PartialRule:
        path = unroll_fused(rule.rule, *rule.part(initial_weights, trials), observed, truncation)
        rest = _unroll_constant(initial_weights, observed, truncation)
        return rest.index_copy(-1, rule.learned, path)
    dtype = initial_weights.dtype
    driver = (_Filtered if type(rule) is FilteredRule else _Plain)(rule, dtype)
    cohort = make_cohort(trials, observed, truncation, dtype)
    parameters = driver.pack(rule).to(dtype)
    memory = rule.initial_memory(len(observed), like=initial_weights)
    start = torch.cat([initial_weights, memory], -1)  # (N, K + M)
    return _Unroll.apply(parameters, start, driver, cohort)


def why_not_fused(rule: LearningRule, device: torch.device | str = "cpu") -> str | None:
    """Return why this engine does not unroll a rule on a device, None if it does."""
    if torch.device(device).type != "cpu":
        return f"runs on the CPU, not on {torch.device(device).type!r}"
    moved, _ = mover(rule)
    if isinstance(rule, FilteredRule) and type(moved).linearize is not LearningRule.linearize:
        return f"takes slopes by steps, but {type(moved).__name__} has a linearize of its own"
    try:
        compiled_steps(moved, torch.float64)
    except Untraceable as error:
        return f"does not compile {type(moved).__name__}, which {error}"
    return None


def compiled_steps(rule: LearningRule, dtype: torch.dtype) -> CompiledRule:
    """Return a rule's compiled steps, by hand for the very networks that these are."""
    from ._compiled import TracedSteps
    from ._network import NetworkSteps, has_activation

    if type(rule) in NETWORKS and has_activation(rule):
        return NetworkSteps(rule, dtype)
    return TracedSteps(rule, dtype)


def _check(rule: LearningRule, initial_weights: Tensor, trials: Trial, observed: Tensor) -> None:
    """Raise ValueError for what compiled code cannot do, or would read beyond its end."""
    reason = why_not_fused(rule, initial_weights.device)
    if initial_weights.dtype not in (torch.float32, torch.float64):
        reason = f"computes in float32 or float64, not in {initial_weights.dtype}"
    if any(field.requires_grad for field in trials):
        reason = "gives no gradient with respect to trials"
    if reason:
        raise ValueError(
            f"engine='fused' {reason}: use engine='parallel' or engine='loop' instead."
        )
    n_subjects, n_trials = observed.shape
    sequences = (n_subjects, n_trials)
    expected = [(n_subjects, rule.n_weights), (*sequences, rule.n_weights), *4 * [sequences]]
    shapes = [tuple(array.shape) for array in (initial_weights, *trials)]
    if shapes != expected:
        raise ValueError(
            f"Initial weights and trials should have the shapes {expected}, got {shapes}."
        )
    seen = observed.numpy()
    if (seen[:, 1:] > seen[:, :-1]).any():
        raise ValueError("Each subject's `observed` should be a run of True, then False.")


def _unroll_constant(weights: Tensor, observed: Tensor, truncation: int | None) -> Tensor:
    n_subjects, n_trials = observed.shape
    n_attached = n_trials
    if truncation and truncation < observed.any(0).sum():
        n_attached = truncation + 1  # the weights are detached after being recorded
    trajectory = weights[:, None].expand(-1, n_trials, -1)
    return torch.cat([trajectory[:, :n_attached], trajectory[:, n_attached:].detach()], 1)


class _Plain:
    """Drives a rule's steps over trials."""

    def __init__(self, rule: LearningRule, dtype: torch.dtype) -> None:
        self.n_weights = rule.n_weights
        self.shown = rule.shown_memory
        self.compiled = compiled_steps(mover(rule)[0], dtype)
        self.steps = self.compiled.steps

    @property
    def n_rows(self) -> int:
        """How many rows a trial has."""
        return 1

    def pack(self, rule: Any) -> Tensor:
        """Return all parameters, flat."""
        return self.compiled.pack(rule)

    def memory(self, start: Array) -> Array:
        """Return the rule's own memory, (N, M), padded as its steps want it."""
        own = start[:, self.n_weights :]
        return self._padded(own)

    def _padded(self, own: Array) -> Array:
        memory = np.zeros((len(own), self.steps.memory_size), own.dtype)
        memory[:, : own.shape[1]] = own
        return memory

    def _rows(self, n_trials: int, dtype: np.dtype) -> Array:
        rows = empty_aligned(n_trials * self.n_rows * self.steps.row_size, dtype)
        rows[:] = 0
        return rows

    def unroll(
        self, parameters: Array, cohort: Cohort, start: Array, path: Array, differentiable: bool
    ) -> Array:
        """Fill the path after its first trial; return the memory before each block."""
        ...
