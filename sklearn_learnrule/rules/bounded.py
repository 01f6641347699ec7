"""A rule kept from carrying weights to where it has never been."""

from __future__ import annotations

import torch
from torch import Tensor

from ._contract import LearningRule
from ._wrapping import WrappingRule
from .trial import Trial


class BoundedRule(WrappingRule):
    """Another rule, whose weights are held at the bounds that they would pass.

    Parameters
    ----------
    rule : LearningRule
    lowest, highest : Tensor of the weights' shape, without subjects

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import BoundedRule, ReinforceRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> free, bound = ReinforceRule(2, None, learning_rate=0.1), torch.full((2,), 0.02)
    >>> BoundedRule(free, -bound, bound)(torch.zeros(1, 2), trial, torch.zeros(1, 0))[0].detach()
    tensor([[0.0200, 0.0200]])
    """

    lowest: Tensor
    highest: Tensor

    def __init__(self, rule: LearningRule, lowest: Tensor, highest: Tensor) -> None:
        super().__init__(rule)
        self.shown_memory = rule.shown_memory
        self.register_buffer("lowest", lowest)
        self.register_buffer("highest", highest)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        update, memory = self.rule(weights, trial, memory)
        return torch.clamp(weights + update, self.lowest, self.highest) - weights, memory
