"""From a textbook rule to the plain numbers that its compiled kernels read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..rules import (
    ActorCriticRule,
    ConstantRule,
    EligibilityRule,
    FilteredRule,
    PredictMaxRule,
    QLearningRule,
    ReinforceRule,
    RewardMaxRule,
    TextbookRule,
    mover,
)
from ._fused_cohort import Array, Cohort, over_subjects
from ._kernels_actor_critic import unroll_actor_critic, unroll_actor_critic_back
from ._kernels_eligibility import unroll_eligibility, unroll_eligibility_back
from ._kernels_filtered import unroll_filtered, unroll_filtered_back
from ._kernels_policy_gradient import (
    PREDICT_MAX,
    REINFORCE,
    REWARD_MAX,
    unroll_policy_gradient,
    unroll_policy_gradient_back,
)
from ._kernels_q_learning import unroll_q_learning, unroll_q_learning_back
from ._kernels_textbook import N_COMMON_ROWS


class Family(NamedTuple):
    """The kernels of some rules."""

    unroll: Callable[..., None]
    unroll_back: Callable[..., None]
    setting: Callable[[Any], int]
    """What the kernels need to know of a rule besides its parameters."""
    rows: Callable[[Any], tuple[Tensor, ...]]
    """The rows of its parameters that not every rule has, (K,) or (2, K) each."""
    keeps_memory: bool
    """Whether the way back needs the memory before each trial, (K,)."""


def offsets(rule: TextbookRule) -> Tensor:
    """Return what REINFORCE takes off each side's rate times reward, (2, K)."""
    return rule.offsets if isinstance(rule, ReinforceRule) else torch.zeros_like(rule.rates)


KINDS = {ReinforceRule: REINFORCE, RewardMaxRule: REWARD_MAX, PredictMaxRule: PREDICT_MAX}
POLICY_GRADIENT = Family(
    unroll_policy_gradient,
    unroll_policy_gradient_back,
    setting=lambda rule: KINDS[type(rule)],
    rows=lambda rule: (offsets(rule),),
    keeps_memory=False,
)
FAMILIES: dict[type[TextbookRule], Family] = {
    **dict.fromkeys(KINDS, POLICY_GRADIENT),
    EligibilityRule: Family(
        unroll_eligibility,
        unroll_eligibility_back,
        setting=lambda rule: rule.window,
        rows=lambda rule: (),
        keeps_memory=False,
    ),
    ActorCriticRule: Family(
        unroll_actor_critic,
        unroll_actor_critic_back,
        setting=lambda rule: 0,
        rows=lambda rule: (rule.critic_learning_rate, rule.initial_value),
        keeps_memory=True,
    ),
    QLearningRule: Family(
        unroll_q_learning,
        unroll_q_learning_back,
        setting=lambda rule: 0,
        rows=lambda rule: (rule.temperature.expand(rule.n_weights),),
        keeps_memory=True,
    ),
}


FILTERED = POLICY_GRADIENT._replace(unroll=unroll_filtered, unroll_back=unroll_filtered_back)
N_ROWS = N_COMMON_ROWS + 2  # of a policy-gradient rule


class TextbookKernels:
    """The kernels of one textbook rule; its parameters are packed as rows, (P, K)."""

    def __init__(self, rule: TextbookRule | FilteredRule) -> None:
        inner: Any = mover(rule)[0]
        self.family = FILTERED if isinstance(rule, FilteredRule) else FAMILIES[type(rule)]
        # Without a rule, weights drift alone: any rule of rates 0.
        self.setting = REINFORCE if type(inner) is ConstantRule else self.family.setting(inner)

    def pack(self, rule: TextbookRule | FilteredRule) -> Tensor:
        """Return each side's rates, forgetting, the family's own rows, and the filter's, (P, K)."""
        inner: Any
        inner, learned = mover(rule)
        if type(inner) is ConstantRule:
            rows = [torch.zeros(N_ROWS, inner.n_weights)]
        else:
            rows = [inner.rates, inner.forgetting, *self.family.rows(inner)]
        own = torch.cat([row.reshape(-1, inner.n_weights) for row in rows])
        if not isinstance(rule, FilteredRule):
            return own
        n_weights = rule.n_weights
        odds = torch.zeros(2) if rule.odds is None else rule.odds
        own = torch.cat([own, torch.ones_like(own[:1])])  # 1: the rule sees the weight
        own = own.new_zeros(len(own), n_weights).index_copy(1, learned, own)
        return torch.cat([own, odds[:, None].expand(2, n_weights), rule.noise.variances])

    def unroll(
        self, parameters: Array, cohort: Cohort, trajectory: Array, differentiable: bool
    ) -> Array:
        """Fill the trajectory after its first trial; return the memory before each trial."""
        n_subjects, n_trials = trajectory.shape[:2]
        n_weights = parameters.shape[1]
        n_kept = n_weights if self.family.keeps_memory else 0
        memory = np.empty((n_subjects, n_trials, n_kept), trajectory.dtype)

        def unroll_some(chunk: int, first: int, last: int) -> None:
            self.family.unroll(
                self.setting, parameters, cohort.trials, cohort.n_observed, first, last,
                trajectory, memory,
            )  # fmt: skip

        over_subjects(unroll_some, cohort)
        return memory

    def unroll_back(
        self, parameters: Array, cohort: Cohort, trajectory: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]:
        """Return the gradients of the parameters and the initial weights."""
        gradients = np.zeros((cohort.n_chunks, *parameters.shape), parameters.dtype)  # (C, P, K)
        gradient_initial = np.empty_like(trajectory[:, 0])  # (N, K)

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            self.family.unroll_back(
                self.setting, parameters, cohort.trials, cohort.n_observed, first, last,
                trajectory, kept, cohort.truncation, cohort.n_steps, upstream,
                gradients[chunk], gradient_initial,
            )  # fmt: skip

        over_subjects(unroll_some_back, cohort)
        return gradients.sum(0), gradient_initial
