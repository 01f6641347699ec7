"""A rule in standard units, in which stimuli and rewards are of about 1."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ._contract import LearningRule
from ._wrapping import WrappingRule
from .filtered import mover
from .observing import pack
from .trial import Trial

N_SUBJECTS, N_TRIALS = 8, 6  # random ones
SAME = 1e-6


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


def follows_units(rule: LearningRule, units: Units) -> bool | None:
    """Whether a rule does the same in standard units, where it has the parameters that it says.

    On random trials, in double precision. None: ``textbook_names`` do not settle its parameters.
    """
    rule = deepcopy(rule).double()
    standard = deepcopy(rule)
    standard.standardize_settings(units.feature, units.reward)
    other = StandardizedRule(standard, deepcopy(units).double())
    if not _give_parameters(other, rule):
        return None
    paths = [_random_path(each, units) for each in (rule, other)]
    return not bool((paths[0] - paths[1]).norm() > SAME * paths[0].norm())


def _random_path(rule: LearningRule, units: Units) -> Tensor:
    """Return weights over a few random trials of the user's units."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    n_choices, weights = rule.policy.n_choices, random(N_SUBJECTS, rule.n_weights) - 0.5
    weights = weights / rule.policy.in_all_sets(units.feature)
    memory, path = rule.initial_memory(N_SUBJECTS, like=weights), [weights]
    for _ in range(N_TRIALS):
        features = (2 * random(N_SUBJECTS, rule.n_features) - 1) * units.feature
        features[:, -1] = 1
        choice, answer = ((n_choices * random(N_SUBJECTS)).floor() for _ in "ya")
        reward = ((4 * random(N_SUBJECTS)).floor() / 2 - 0.5) * units.reward
        opens = (random(N_SUBJECTS) < 0.2).double()
        update, memory = rule(path[-1], Trial(features, choice, reward, answer, opens), memory)
        path.append(path[-1] + update)
    return torch.stack(path).detach() * rule.policy.in_all_sets(units.feature)


def _give_parameters(rule: LearningRule, other: LearningRule) -> bool:
    """Give a rule the textbook parameters of another; return whether that settles all it has."""
    raw = [p for p in rule.parameters() if p.requires_grad]

    def flat(values: Mapping[str, Tensor]) -> Tensor:
        fitted = [value.flatten() for value in values.values() if value.requires_grad]
        return torch.cat([torch.zeros(0, dtype=torch.float64), *fitted])

    wanted = flat(other.textbook_parameters()).detach()
    if len(wanted) < sum(p.numel() for p in raw):
        return False
    for _ in range(50):  # Newton's method
        values = flat(rule.textbook_parameters())
        if torch.allclose(values, wanted, rtol=1e-13, atol=1e-16):
            return True
        how: Any = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(v, raw, **how)]) for v in values
        ]
        if not rows:
            return True
        step = torch.linalg.lstsq(torch.stack(rows), wanted - values.detach(), driver="gelsd")
        moved = torch.nn.utils.parameters_to_vector(raw).detach() + step.solution
        torch.nn.utils.vector_to_parameters(moved, raw)
    return torch.allclose(flat(rule.textbook_parameters()), wanted, rtol=1e-9, atol=1e-12)
