"""From a parametric rule to the plain numbers that its compiled kernels read."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..rules import PredictMaxRule, ReinforceRule, RewardMaxRule
from ._fused_cohort import Array, Cohort, over_subjects
from ._kernels_policy_gradient import (
    PREDICT_MAX,
    REINFORCE,
    REWARD_MAX,
    unroll_policy_gradient,
    unroll_policy_gradient_back,
)

PolicyGradientRule: TypeAlias = ReinforceRule | RewardMaxRule | PredictMaxRule
KINDS = {ReinforceRule: REINFORCE, RewardMaxRule: REWARD_MAX, PredictMaxRule: PREDICT_MAX}


class PolicyGradientKernels:
    """The kernels of one parametric rule; its parameters are packed as (rate, offset)."""

    def __init__(self, rule: PolicyGradientRule) -> None:
        self.kind = KINDS[type(rule)]

    def pack(self, rule: PolicyGradientRule) -> Tensor:
        """Return the step size's rate and offset, (2, K); see the kernels."""
        rate = rule.learning_rate
        offset = torch.zeros_like(rate)
        if isinstance(rule, ReinforceRule) and rule.baseline_kind == "free":
            offset = rule.rate_times_baseline
        elif isinstance(rule, ReinforceRule):
            offset = rate * rule.baseline
        return torch.stack([rate, offset])

    def unroll(
        self, parameters: Array, cohort: Cohort, trajectory: Array, differentiable: bool
    ) -> Array:
        """Fill the trajectory after its first trial; the way back needs nothing more."""

        def unroll_some(chunk: int, first: int, last: int) -> None:
            unroll_policy_gradient(
                self.kind, *parameters, cohort.trials, cohort.n_observed, first, last, trajectory
            )

        over_subjects(unroll_some, cohort)
        return np.empty(0)

    def unroll_back(
        self, parameters: Array, cohort: Cohort, trajectory: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]:
        """Return the gradients of the parameters and the initial weights."""
        gradients = np.zeros((cohort.n_chunks, *parameters.shape), parameters.dtype)  # (C, 2, K)
        gradient_initial = np.empty_like(trajectory[:, 0])  # (N, K)

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            unroll_policy_gradient_back(
                self.kind, *parameters, cohort.trials, cohort.n_observed, first, last, trajectory,
                cohort.truncation, cohort.n_steps, upstream, *gradients[chunk], gradient_initial,
            )  # fmt: skip

        over_subjects(unroll_some_back, cohort)
        return gradients.sum(0), gradient_initial
