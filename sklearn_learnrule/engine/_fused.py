"""The fused engine: compiled CPU code for any rule, forward and backward.

A rule comes as compiled steps (``_steps``): a network's are written by hand (``_network``), every
other rule's are made from its equation (``_traced``). What drives them over trials is written
once, without a filter and with one (``_kernels_unroll``, ``_kernels_filtered``). numba is imported,
and kernels compiled or read from its disk cache, at the first call.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..compiler.trace import Unruly, Untraceable, is_trusted
from ..rules import (
    ConstantRule,
    DNNRule,
    FilteredRule,
    LearningRule,
    NetworkRule,
    PartialRule,
    RNNRule,
    Trial,
    mover,
)

if TYPE_CHECKING:
    from ._cohort import Cohort
    from ._drivers import Driver
    from ._traced import TracedSteps

NETWORKS = (DNNRule, RNNRule)
MAX_WEIGHTS_IN_ONE = 8
COMPILED_NUMBERS = torch.float32, torch.float64
# By torch's description, settings included; the place is the kernels' code.
ACTIVATIONS = tuple(
    map(repr, (nn.ReLU(), nn.Tanh(), nn.ELU(), nn.SiLU(), nn.Softplus(), nn.GELU()))
)


class NotCompiledError(ValueError):
    """That the fused engine does not unroll this, while another may: only the loop, if unruly."""

    def __init__(self, why: Untraceable) -> None:
        self.unruly = isinstance(why, Unruly)
        super().__init__(f"engine='fused' {why}: use engine='parallel' or engine='loop' instead.")


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
    NotCompiledError
        If the rule, the device, the type of numbers or a gradient asked for is not compiled.
    ValueError
        If shapes do not fit, the context's among them; or if a subject's ``observed`` is not a run
        of True, then False.
    """
    _check_shapes(rule, initial_weights, trials, observed)
    if type(rule) is ConstantRule:
        return _unroll_constant(initial_weights, observed, truncation)
    if type(rule) is PartialRule:
        path = unroll_fused(rule.rule, *rule.part(initial_weights, trials), observed, truncation)
        rest = _unroll_constant(initial_weights, observed, truncation)
        return rest.index_copy(-1, rule.places, path[..., : len(rule.places)])
    from ._cohort import make_cohort  # imports numba: only where it is used

    dtype = initial_weights.dtype
    trials = _with_own_numbers(rule, trials)
    try:
        _refuse(initial_weights.device, dtype, trials)
        driver = driver_of(rule, trials, dtype)
    except Untraceable as error:
        raise NotCompiledError(error) from None
    cohort = make_cohort(trials, observed, truncation, dtype)
    parameters = driver.pack(rule).to(dtype)
    memory = rule.initial_memory(len(observed), like=initial_weights).to(dtype)
    start = driver.start(initial_weights, memory)
    return _Unroll.apply(parameters, start, driver, cohort, [*vars(trials).values()])


def why_not_fused(
    rule: LearningRule, device: torch.device | str = "cpu", trials: Trial | None = None
) -> Untraceable | None:
    """Return why this engine does not unroll a rule on a device, None if it does.

    ``trials`` have the fields that the rule is told, if they are not the usual ones.
    """
    moved, places = mover(rule)
    trials = usual_trials(rule) if trials is None else trials
    try:
        _refuse(torch.device(device), torch.float64, trials)
        if type(moved) is ConstantRule:
            return None
        if is_known_network(moved):
            _steps_around(moved, _told(trials, len(places)), torch.float64)
            return None
        if type(rule) is PartialRule:
            rule, trials = moved, _told(trials, len(places))
        driver_of(rule, trials, torch.float64)
    except Untraceable as error:
        return error
    return None


def usual_trials(rule: LearningRule) -> Trial:
    """Return a trial of a subject as sequences, with the fields that rules are usually told."""
    return Trial(torch.zeros(1, 1, rule.n_features), *4 * [torch.zeros(1, 1)])


def _refuse(device: torch.device, dtype: torch.dtype, trials: Trial) -> None:
    """Raise Untraceable for what no rule is compiled for."""
    if device.type != "cpu":
        raise Untraceable(f"runs on the CPU, not on {device.type!r}")
    if dtype not in COMPILED_NUMBERS:
        raise Untraceable(f"computes in float32 or float64, not in {dtype}")
    if any(field.requires_grad for field in vars(trials).values()):
        raise Untraceable("gives no gradient with respect to trials")


def _with_own_numbers(rule: LearningRule, trials: Trial) -> Trial:
    """Return trials with the context that a network reads: where there is none, 0."""
    moved, context = mover(rule)[0], trials.context
    if not isinstance(moved, NetworkRule):
        return trials
    of_noise = rule.noise.columns.values() if isinstance(rule, FilteredRule) else ()
    width = max(moved.n_effects, 1 + max([moved.rate_column, *of_noise]))
    if not context.shape[1]:
        return replace(trials, context=context.new_zeros(len(context), width))
    if context.shape[1] < width:
        raise ValueError(
            f"The context should hold {width} numbers of each subject, as the rule reads them, got "
            f"{context.shape[1]}."
        )
    return trials


def driver_of(rule: LearningRule, trials: Trial, dtype: torch.dtype) -> Driver:
    """Return what drives a rule's compiled steps; those of a network are written by hand.

    A rule in a filter is compiled with it, as one, which is faster as long as both are small.

    Raises
    ------
    Untraceable
        If a rule is not compiled.
    """
    from ._drivers import Driver, FilteredDriver
    from ._network import NetworkSteps
    from ._traced import TracedSteps

    moved: Any
    moved, places = mover(rule)
    in_filter = isinstance(rule, FilteredRule)
    if is_known_network(moved if in_filter else rule):
        around = _steps_around(moved, _told(trials, len(places)), dtype)
        steps: Any = NetworkSteps(moved, trials.context.shape[-1], dtype, in_filter, around)
        if not isinstance(rule, FilteredRule):
            return Driver(steps, rule)
        return FilteredDriver(steps, rule, TracedSteps(rule.observation, trials, dtype))
    if not isinstance(rule, FilteredRule):
        return Driver(TracedSteps(rule, trials, dtype), rule)
    if rule.n_weights <= MAX_WEIGHTS_IN_ONE:
        with suppress(Untraceable):
            return Driver(TracedSteps(rule, trials, dtype), rule)
    if type(moved).linearize is not LearningRule.linearize:
        raise Untraceable(
            f"takes slopes by steps, but {type(moved).__name__} has a linearize of its own"
        )
    steps = TracedSteps(moved, _told(trials, len(places)), dtype, in_filter=True)
    return FilteredDriver(steps, rule, TracedSteps(rule.observation, trials, dtype))


def _steps_around(network: Any, trials: Trial, dtype: torch.dtype) -> TracedSteps | None:
    """Return the steps of the rule that a network goes around, if any, which may be anyone's."""
    if network.around is None:
        return None
    from ._traced import TracedSteps  # imports numba: only where it is used

    return TracedSteps(network.around, trials, dtype, in_filter=True)


def _told(trials: Trial, n_weights: int) -> Trial:
    """Return trials with as many features as a partial rule is told; which does not matter."""
    return replace(trials, features=trials.features[..., :n_weights])


def is_known_network(rule: Any) -> bool:
    """Whether a rule is the very network that has kernels, and nobody has changed what it does."""
    if type(rule) not in NETWORKS or type(rule.mlp) is not nn.Sequential:
        return False
    layers = list(rule.mlp)
    linears = [type(layer) is nn.Linear and layer.bias is not None for layer in layers[::2]]
    gru = type(rule) is not RNNRule or (type(rule.gru) is nn.GRUCell and rule.gru.bias)
    known = all(repr(activation) in ACTIVATIONS for activation in layers[1::2])
    return all(linears) and gru and known and is_trusted(rule, apart_from=rule.around)


def _check_shapes(
    rule: LearningRule, initial_weights: Tensor, trials: Trial, observed: Tensor
) -> None:
    """Raise ValueError for what compiled code would read beyond its end."""
    expected, shapes = [(len(observed), rule.n_weights)], [tuple(initial_weights.shape)]
    for field in fields(trials):
        shape = tuple(getattr(trials, field.name).shape)
        whole = tuple(observed.shape)[: 1 if "of_subjects" in field.metadata else 2]
        told = (rule.n_features,) if field.name == "features" and rule.n_weights else None
        expected.append((*whole, *(told or shape[len(whole) :])))
        shapes.append(shape)
    if shapes != expected:
        raise ValueError(
            f"Initial weights and trials should have the shapes {expected}, got {shapes}."
        )
    seen = observed.cpu().numpy()
    if (seen[:, 1:] > seen[:, :-1]).any():
        raise ValueError("Each subject's `observed` should be a run of True, then False.")


def _unroll_constant(weights: Tensor, observed: Tensor, truncation: int | None) -> Tensor:
    n_subjects, n_trials = observed.shape
    n_attached = n_trials
    if truncation and truncation < observed.any(0).sum():
        n_attached = truncation + 1  # the weights are detached after being recorded
    trajectory = weights[:, None].expand(-1, n_trials, -1)
    return torch.cat([trajectory[:, :n_attached], trajectory[:, n_attached:].detach()], 1)


class _Unroll(torch.autograd.Function):
    """Path (N, T, K + S) of packed parameters and the start, weights and memory (N, K + M)."""

    @staticmethod
    def forward(
        ctx: Any,
        parameters: Tensor,
        start: Tensor,
        driver: Driver,
        cohort: Cohort,
        fields: Sequence[Tensor],
    ) -> Tensor:
        n_trials = cohort.trials[0].shape[1]
        path = start[:, None, : driver.width].expand(-1, n_trials, -1).contiguous()
        ctx.driver, ctx.cohort = driver, cohort
        differentiable = any(ctx.needs_input_grad)
        ctx.kept = driver.unroll(
            parameters.numpy(), cohort, start.numpy(), path.numpy(), differentiable
        )
        ctx.save_for_backward(parameters, path)
        ctx.trials = [(field, field._version) for field in fields] if differentiable else []
        return path

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        from ._cohort import refuse_second_derivatives

        refuse_second_derivatives()
        if any(field._version != version for field, version in ctx.trials):
            raise RuntimeError("Trials were changed in place between forward and backward.")
        parameters, path = (saved.detach().numpy() for saved in ctx.saved_tensors)
        gradient, of_start = ctx.driver.unroll_back(
            parameters, ctx.cohort, path, ctx.kept, upstream.contiguous().numpy()
        )
        return torch.from_numpy(gradient), torch.from_numpy(of_start), None, None, None
