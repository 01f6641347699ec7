"""The reference engine: one Python step a trial. What it computes is what is true."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules import LearningRule, Trial


def unroll_loop(
    rule: LearningRule,
    initial_weights: Tensor,
    trials: Trial,
    observed: Tensor,
    truncation: int | None = None,
) -> Tensor:
    """Unroll a rule trial by trial; see :func:`sklearn_learnrule.engine.unroll`."""
    n_trials = observed.shape[1]
    n_steps = int(observed.any(0).sum())  # outcomes are known from the first trial on
    weights = initial_weights  # (N, K)
    memory = rule.initial_memory(len(weights), like=weights)  # (N, M)
    shown = slice(rule.shown_memory)
    trajectory = [torch.cat([weights, memory[:, shown]], -1)]
    for t, (seen, trial) in enumerate(zip(observed.unbind(1), trials.steps(), strict=True)):
        if t == n_steps:
            break
        if truncation and t and t % truncation == 0:
            weights, memory = weights.detach(), memory.detach()
        update, new_memory = rule(weights, trial, memory)
        weights = torch.where(seen[:, None], weights + update, weights)
        memory = torch.where(seen[:, None], new_memory, memory)
        trajectory.append(torch.cat([weights, memory[:, shown]], -1))
    trajectory += [trajectory[-1]] * (n_trials - len(trajectory))
    return torch.stack(trajectory[:n_trials], 1)  # (N, T, K + shown memory)
