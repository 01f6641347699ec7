"""A rule in standard units, in which stimuli and rewards are of about 1."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ._contract import LearningRule
from ._wrapping import WrappingRule
from .filtered import mover
from .observing import pack
from .trial import Trial


class Units(nn.Module):
    """The units of K features and of reward: a feature of 3 in units of 100 is 300 to the user.

    As logits are what they are in any units, weights change with the inverse of their features'.

    Parameters
    ----------
    feature : Tensor of shape (K,)
        Above 0; 1 for the bias.
    reward : Tensor of shape ()
        Above 0.
    """

    feature: Tensor
    reward: Tensor

    def __init__(self, feature: Tensor, reward: Tensor) -> None:
        super().__init__()
        self.register_buffer("feature", feature)
        self.register_buffer("reward", reward)

    def standardize(self, trial: Trial) -> Trial:
        """Return a trial, or trials, in standard units."""
        features, reward = trial.features / self.feature, trial.reward / self.reward
        return replace(trial, features=features, reward=reward)


class StandardizedRule(WrappingRule):
    """Another rule, told of trials and weights in standard units, as its parameters are.

    With c the units of the features and d that of reward, for a rule f in standard units

        update(w, x, r) = f(c w, x / c, r / d) / c

    Of a rule that shows a covariance in its memory, this is in the user's units, too.

    Parameters
    ----------
    rule : LearningRule
        One that says how its parameters change with the units, ``parameter_units``.
    units : Units
    """

    def __init__(self, rule: LearningRule, units: Units) -> None:
        super().__init__(rule)
        self.shown_memory = rule.shown_memory
        self.units = units
        unknown = set(rule.parameter_units or {}) - set(rule.textbook_parameters())
        if unknown:
            raise ValueError(
                f"parameter_units of {type(rule).__name__} should name some of its "
                f"textbook_names, {sorted(rule.textbook_parameters())}, got {unknown.pop()!r}."
            )

    def textbook_parameters(self) -> dict[str, Tensor]:
        """Return the other rule's, in the user's units."""
        powers = self.rule.parameter_units or {}
        return {
            name: self._in_users_units(value, *powers.get(name, (0, 0)))
            for name, value in self.rule.textbook_parameters().items()
        }

    def _in_users_units(self, value: Tensor, of_feature: int, of_reward: int) -> Tensor:
        unit = self.units.reward**of_reward
        if of_feature:
            unit = unit * self.units.feature[mover(self.rule)[1]] ** of_feature
        return value * unit

    def path_units(self) -> Tensor:
        """Return what divides standard weights and shown covariances, for the user's, (K + S,)."""
        c = self.weight_units
        return torch.cat([c, pack(c[:, None] * c)]) if self.shown_memory else c

    @property
    def weight_units(self) -> Tensor:
        """Those of the features, of each weight."""
        return self.policy.in_all_sets(self.units.feature)

    def _memory_units(self) -> Tensor:
        hidden = self.units.feature.new_ones(self.memory_size - self.shown_memory)
        return torch.cat([self.path_units()[self.n_weights :], hidden])

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        c, of_memory = self.weight_units, self._memory_units()
        trial = self.units.standardize(trial)
        update, memory = self.rule(c * weights, trial, of_memory * memory)
        return update / c, memory / of_memory

    def linearize(
        self, weights: Tensor, trial: Trial, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        c, of_memory = self.weight_units, self._memory_units()
        trial = self.units.standardize(trial)
        update, slope, memory = self.rule.linearize(c * weights, trial, of_memory * memory)
        return update / c, slope * c / c[:, None], memory / of_memory

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        return self.rule.initial_memory(n_subjects, like) / self._memory_units()
