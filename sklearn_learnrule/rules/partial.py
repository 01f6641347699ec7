"""A rule for some of the policy's weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ._contract import LearningRule, Varies
from ._wrapping import WrappingRule
from .trial import Trial


class PartialRule(WrappingRule):
    """Another rule, of some of the policy's weights; the others it neither sees nor moves.

    What the other rule is told of a trial is the features of its own weights; where it asks for
    P(y = 1), that is what these weights alone would choose.

    Parameters
    ----------
    rule : LearningRule
    learned : sequence of int
        The places of the rule's features among the policy's, ascending.
    n_weights : int
        The number of the policy's weights.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import PartialRule, ReinforceRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule = PartialRule(ReinforceRule(1, None, learning_rate=0.1), [0], 2)  # the bias stays
    >>> rule(torch.zeros(1, 2), trial, torch.zeros(1, 0))[0].detach()
    tensor([[0.0500, 0.0000]])
    """

    learned: Tensor
    places: Tensor
    """Those of the rule's weights among the policy's."""

    def __init__(self, rule: LearningRule, learned: Sequence[int], n_weights: int) -> None:
        super().__init__(rule, n_weights=n_weights)
        if len(learned) != rule.n_features:
            raise ValueError(f"The rule is of {rule.n_features} features, got places {learned}.")
        most = self.n_features - 1
        if sorted({*learned}) != [*learned] or not 0 <= learned[0] <= learned[-1] <= most:
            raise ValueError(f"Places should be ascending, from 0 to {most}, got {learned}.")
        self.parameter_units = rule.parameter_units
        self.register_buffer("learned", torch.tensor(learned), persistent=False)
        in_each = torch.arange(n_weights).view(self.policy.n_sets, -1)[:, learned].flatten()
        self.register_buffer("places", in_each, persistent=False)

    def standardize_settings(self, feature: Tensor, reward: Tensor) -> None:
        self.rule.standardize_settings(feature[self.learned], reward)

    def make_symmetric(self, n_sided: int) -> bool:
        return super().make_symmetric(int((self.learned < n_sided).sum()))

    def varies_by(self, name: str) -> Varies | None:
        return self.rule.varies_by(name)

    def part(self, weights: Tensor, trial: Trial) -> tuple[Tensor, Trial]:
        """Return what the other rule sees of weights and features."""
        seen = trial.features.index_select(-1, self.learned)
        return weights.index_select(-1, self.places), replace(trial, features=seen)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        update, memory = self.rule(*self.part(weights, trial), memory)
        return torch.zeros_like(weights).index_copy(-1, self.places, update), memory
