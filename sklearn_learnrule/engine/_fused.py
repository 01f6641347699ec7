"""The fused engine: compiled CPU kernels for the built-in rules, forward and backward.

The kernels (``_kernels_*.py``) know arrays only. A rule's parameters are packed for them by
torch operations (``_fused_*.py``), so that autograd carries the gradients on to each
parameter. numba is imported, and kernels compiled or read from its disk cache, at the
first call.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..rules import (
    ActorCriticRule,
    ConstantRule,
    DNNRule,
    EligibilityRule,
    FilteredRule,
    LearningRule,
    PartialRule,
    PredictMaxRule,
    QLearningRule,
    ReinforceRule,
    RewardMaxRule,
    RNNRule,
    Trial,
    mover,
)
from ._fused_cohort import Array, Cohort, fields_read, make_cohort, refuse_second_derivatives

POLICY_GRADIENT = (ReinforceRule, RewardMaxRule, PredictMaxRule)
TEXTBOOK = (
    *POLICY_GRADIENT,
    EligibilityRule,
    ActorCriticRule,
    QLearningRule,
)
NETWORKS = (DNNRule, RNNRule)
# By torch's description, settings included; the place is the kernels' code.
ACTIVATIONS = tuple(
    map(repr, (nn.ReLU(), nn.Tanh(), nn.ELU(), nn.SiLU(), nn.Softplus(), nn.GELU()))
)


def unroll_fused(
    rule: LearningRule,
    initial_weights: Tensor,
    trials: Trial,
    observed: Tensor,
    truncation: int | None = None,
) -> Tensor:
    """Unroll a built-in rule by compiled kernels; see :func:`sklearn_learnrule.engine.unroll`.

    Gradients, of first order only, reach the rule's parameters and ``initial_weights``.
    Trials after a subject's last observed one cost nothing. The result is the same bit for
    bit whatever the number of threads, which is torch's.

    Raises
    ------
    ValueError
        If the rule, the device, the type of numbers or a gradient asked for has no kernel;
        if shapes do not fit; or if a subject's ``observed`` is not a run of True, then False.
    """
    _check(rule, initial_weights, trials, observed)
    if type(rule) is ConstantRule:
        return _unroll_constant(initial_weights, observed, truncation)
    if type(rule) is PartialRule:
        path = unroll_fused(rule.rule, *rule.part(initial_weights, trials), observed, truncation)
        rest = _unroll_constant(initial_weights, observed, truncation)
        return rest.index_copy(-1, rule.learned, path)
    kernels = _kernels_for(rule)
    cohort = make_cohort(trials, observed, truncation, initial_weights.dtype)
    parameters = kernels.pack(rule).to(initial_weights.dtype)
    shown = rule.initial_memory(len(observed), like=initial_weights)[:, : rule.shown_memory]
    start = torch.cat([initial_weights, shown], -1)  # (N, K + S)
    return _Unroll.apply(parameters, start, kernels, cohort)


def supports_fused(rule: LearningRule, device: torch.device | str = "cpu") -> bool:
    """Whether the fused engine can unroll this rule on this device."""
    return _why_unsupported(rule, torch.device(device)) is None


def _why_unsupported(rule: LearningRule, device: torch.device) -> str | None:
    if device.type != "cpu":
        return f"runs on the CPU, not on {device.type!r}"
    # A subclass may override anything, so only the very classes are known.
    known: tuple[type, ...] = (ConstantRule, *TEXTBOOK, *NETWORKS)
    noise = ""
    if type(rule) is FilteredRule:
        noise, known = "process noise and ", (ConstantRule, *POLICY_GRADIENT, *NETWORKS)
    rule, _ = mover(rule)
    if type(rule) not in known:
        return f"has no kernel for {noise}{type(rule).__name__}"
    if isinstance(rule, NETWORKS):
        for module in list(rule.mlp)[1::2]:
            if repr(module) not in ACTIVATIONS:
                return f"has no kernel for the activation {module}"
    return None


def _check(rule: LearningRule, initial_weights: Tensor, trials: Trial, observed: Tensor) -> None:
    """Raise ValueError for what the kernels cannot do, or would read beyond its end."""
    reason = _why_unsupported(rule, initial_weights.device)
    if initial_weights.dtype not in (torch.float32, torch.float64):
        reason = f"computes in float32 or float64, not in {initial_weights.dtype}"
    if any(field.requires_grad for field in vars(trials).values()):
        reason = "gives no gradient with respect to trials"
    if reason:
        raise ValueError(
            f"engine='fused' {reason}: use engine='parallel' or engine='loop' instead."
        )
    n_subjects, n_trials = observed.shape
    sequences = (n_subjects, n_trials)
    expected = [(n_subjects, rule.n_weights), (*sequences, rule.n_weights), *4 * [sequences]]
    shapes = [tuple(array.shape) for array in (initial_weights, *fields_read(trials))]
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


class _Kernels(Protocol):
    """One rule's kernels, and how its parameters are packed for them."""

    def pack(self, rule: Any) -> Tensor: ...

    def unroll(
        self, parameters: Array, cohort: Cohort, trajectory: Array, differentiable: bool
    ) -> Array: ...

    def unroll_back(
        self, parameters: Array, cohort: Cohort, trajectory: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]: ...


def _kernels_for(rule: Any) -> _Kernels:
    inner, _ = mover(rule)
    if not isinstance(inner, NETWORKS):
        from ._fused_textbook import TextbookKernels

        return TextbookKernels(rule)
    activation = ACTIVATIONS.index(repr(inner.mlp[1])) if len(inner.mlp) > 1 else 0
    if type(rule) is FilteredRule:
        from ._fused_filtered import FilteredNetworkKernels

        return FilteredNetworkKernels(rule, activation)
    from ._fused_network import NetworkKernels

    return NetworkKernels(rule, activation)


class _Unroll(torch.autograd.Function):
    """Path (N, T, K + S) of packed parameters and its first row (N, K + S)."""

    @staticmethod
    def forward(
        ctx: Any, parameters: Tensor, start: Tensor, kernels: _Kernels, cohort: Cohort
    ) -> Tensor:
        n_trials = cohort.trials[0].shape[1]
        trajectory = start[:, None].expand(-1, n_trials, -1).contiguous()
        ctx.kernels, ctx.cohort = kernels, cohort
        ctx.kept = kernels.unroll(
            parameters.numpy(), cohort, trajectory.numpy(), any(ctx.needs_input_grad)
        )
        ctx.save_for_backward(parameters, trajectory)
        return trajectory

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        parameters, trajectory = (saved.detach().numpy() for saved in ctx.saved_tensors)
        gradients = ctx.kernels.unroll_back(
            parameters, ctx.cohort, trajectory, ctx.kept, upstream.contiguous().numpy()
        )
        return *map(torch.from_numpy, gradients), None, None
