"""Unrolling: from a learning rule and a sequence of trials to the weights before each choice.

Every engine has the signature of :func:`~sklearn_learnrule.engine._loop.unroll_loop`, whose
readable loop is the truth that the others are tested against.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..compiler.trace import Unruly, Untraceable
from ..rules import LearningRule, StandardizedRule, Trial
from ._choice import CHOICE_ENGINES, choice_logits, choose_choice_engine
from ._expected import expected_logits
from ._fused import NotCompiledError, unroll_fused, usual_trials, why_not_fused
from ._loop import unroll_loop
from ._parallel import NotByRowsError, unroll_parallel
from ._scan import AffineRecurrence

ENGINES: dict[str, Callable[..., Tensor]] = {
    "loop": unroll_loop,
    "parallel": unroll_parallel,
    "fused": unroll_fused,
}


# Whether only the loop may unroll a rule, once that was asked or seen.
_FOR_THE_LOOP: WeakKeyDictionary[LearningRule, bool] = WeakKeyDictionary()

# Numbers of state, over all subjects, beyond which a CPU is busy enough with one trial at a
# time, so that the parallel engine's larger work no longer pays (benchmarks/README.md).
MAX_PARALLEL_STATES_ON_CPU = 1000


def choose_engine(
    rule: LearningRule, n_subjects: int, device: torch.device, trials: Trial | None = None
) -> str:
    """Return the engine that is fastest for this rule, number of subjects and device.

    ``trials`` have the fields that the rule is told, if they are not the usual ones.
    """
    rule = rule.rule if isinstance(rule, StandardizedRule) else rule
    why = why_not_fused(rule, device, trials)
    if why is None:
        return "fused"
    if isinstance(why, Unruly):
        _FOR_THE_LOOP[rule] = True
    return _choose_in_torch(rule, n_subjects, device)


def _choose_in_torch(rule: LearningRule, n_subjects: int, device: torch.device) -> str:
    if rule not in _FOR_THE_LOOP:
        _FOR_THE_LOOP[rule] = why_unruly(rule) is not None
    if _FOR_THE_LOOP[rule]:
        return "loop"
    n_states = n_subjects * (rule.n_weights + rule.memory_size)
    too_many = device.type == "cpu" and n_states > MAX_PARALLEL_STATES_ON_CPU
    return "loop" if too_many else "parallel"


def why_not_compiled(
    rule: LearningRule, device: torch.device | str = "cpu", trials: Trial | None = None
) -> str | None:
    """Return why the fused engine does not unroll a rule on a device, None if it does.

    ``trials`` have the fields that the rule is told, if they are not the usual ones.

    Examples
    --------
    >>> from sklearn_learnrule.rules import LearningRule, ReinforceRule
    >>> why_not_compiled(ReinforceRule(2))
    >>> class RandomRule(LearningRule):
    ...     def forward(self, weights, trial, memory):
    ...         return torch.randn_like(weights), memory
    >>> why_not_compiled(RandomRule(2))
    'does not compile RandomRule, which draws random numbers'
    """
    why = _why_not_compiled(rule, device, trials)
    return None if why is None else str(why)


def why_unruly(rule: LearningRule) -> str | None:
    """Return why a rule may do otherwise among others than alone, or the next time; None: it obeys.

    Only the loop unrolls such a rule, and rightly only if subjects do not see each other.
    """
    if any(tensor.device.type != "cpu" for tensor in rule.state_dict().values()):
        rule = deepcopy(rule).cpu()
    why = _why_not_compiled(rule, "cpu", None)
    return str(why) if isinstance(why, Unruly) else None


def _why_not_compiled(
    rule: LearningRule, device: torch.device | str, trials: Trial | None
) -> Untraceable | None:
    return why_not_fused(rule.rule if isinstance(rule, StandardizedRule) else rule, device, trials)


def compiled_source(rule: LearningRule, trials: Trial | None = None) -> str:
    """Return what a rule computes on a trial, forward and backward, a number a line.

    That is what the fused engine compiles, but for the package's own networks, whose layers are
    compiled by hand, and for rules in a filter of more than eight weights, which step by step are.
    ``trials`` have the fields that the rule is told, if they are not the usual ones.

    Examples
    --------
    >>> from sklearn_learnrule.rules import PredictMaxRule
    >>> print(compiled_source(PredictMaxRule(1)).partition("def step_back")[0])
    def step:
        v0 = weights[0] * trial.features[0]
        v1 = neg(v0)
        v2 = exp(v1)
        v3 = 1.0 + v2
        v4 = 1.0 / v3
        v5 = trial.answer[0] - v4
        v6 = v5 * trial.features[0]
        v7 = rule.pow_root_learning_rate[0] * v6
        update[0] = v7
    <BLANKLINE>
    """
    from ..compiler.compiled import listing_of  # imports numba: only where it is used

    rule = rule.rule if isinstance(rule, StandardizedRule) else rule
    return str(listing_of(rule, usual_trials(rule) if trials is None else trials))


def unroll(
    rule: LearningRule,
    initial_weights: Tensor,
    trials: Trial,
    observed: Tensor,
    *,
    truncation: int | None = None,
    engine: str = "auto",
) -> Tensor:
    """Return the policy weights in force before each choice.

    w_0 = initial_weights, w_{t+1} = w_t + update_t where the outcome of trial t was
    observed, else w_{t+1} = w_t, and the memory likewise.

    Parameters
    ----------
    rule : LearningRule
    initial_weights : Tensor of shape (N, K)
    trials : Trial
        Features (N, T, K), the other fields (N, T).
    observed : bool Tensor of shape (N, T)
        Whether choice and reward of a trial are known. Per subject: a run of True, then
        False on the last trial and in the padding.
    truncation : int or None
        Gradients stop at every ``truncation``-th trial; None: they are exact.
    engine : "auto" or a key of ``ENGINES``

    Returns
    -------
    Tensor of shape (N, T, K), with the rule's ``shown_memory`` (N, T, K + S)
    """
    if engine not in ("auto", *ENGINES):
        raise ValueError(f"engine must be 'auto' or one of {sorted(ENGINES)}, got {engine!r}.")
    if isinstance(rule, StandardizedRule):  # engines know the rule itself
        trials, start = rule.units.standardize(trials), rule.weight_units * initial_weights
        how: Any = {"truncation": truncation, "engine": engine}
        return unroll(rule.rule, start, trials, observed, **how) / rule.path_units()
    if engine == "auto":  # without choose_engine, which would record the rule once more
        try:
            return unroll_fused(rule, initial_weights, trials, observed, truncation)
        except NotCompiledError as error:
            if error.unruly:
                _FOR_THE_LOOP[rule] = True
        engine = _choose_in_torch(rule, len(initial_weights), initial_weights.device)
        if engine == "parallel":
            with suppress(NotByRowsError):
                return unroll_parallel(rule, initial_weights, trials, observed, truncation)
            _FOR_THE_LOOP[rule] = True
            engine = "loop"
    return ENGINES[engine](rule, initial_weights, trials, observed, truncation)


__all__ = [
    "AffineRecurrence",
    "CHOICE_ENGINES",
    "ENGINES",
    "choice_logits",
    "choose_choice_engine",
    "choose_engine",
    "compiled_source",
    "expected_logits",
    "unroll",
    "why_not_compiled",
    "why_unruly",
]
