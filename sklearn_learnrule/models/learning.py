"""The model of choices that is fitted: a policy, and what moves its weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from ..engine import choose_engine, unroll
from ..rules import (
    TWO_CHOICES,
    BoundedRule,
    FilteredRule,
    Lapses,
    LearningRule,
    ProcessNoise,
    StandardizedRule,
    Trial,
    Units,
    filtered_logit,
)

MARGIN = 0.1  # by how much of their range others' weights may leave the fitted subjects'


class SequenceModel(nn.Module):
    """Maps sequences, padded, and which are observed, to the logit of P(y = 1), (N, T) each."""

    engine: str
    noise: ProcessNoise | None

    def chosen_engine(self, n_subjects: int, device: torch.device) -> str:
        """Return the engine that computes, also where the parameter says "auto"."""
        raise NotImplementedError


class LearningModel(SequenceModel):
    """A Bernoulli GLM policy whose weights a learning rule moves; noise and lapses, if any.

    A *path* is what is known of the weights before each choice, (N, T, K + S): themselves or,
    with noise, their mean, and the lower triangle of their covariance.

    What is fitted is in standard units: the parameters of ``rule``, ``noise`` and
    ``initial_weights`` as they are given. All that goes in and out is in the user's.
    """

    bounds: Tensor
    """The lowest and the highest weights that predictions may reach, (2, K)."""

    def __init__(
        self,
        rule: LearningRule,
        initial_weights: Tensor,
        units: Units,
        *,
        train_initial_weights: bool,
        truncation: int | None,
        engine: str,
        noise: ProcessNoise | None = None,
        lapses: Lapses | None = None,
    ) -> None:
        super().__init__()
        units = deepcopy(units)
        self.rule = StandardizedRule(rule, units)
        self.noise = noise
        self.lapses = lapses
        filtered = noise and StandardizedRule(FilteredRule(rule, noise, lapses), units)
        # In a tuple, so that it is no second home of the parameters: an engine knows it again.
        self._dynamics: tuple[StandardizedRule] = (filtered or self.rule,)
        self.initial_weights = nn.Parameter(initial_weights, requires_grad=train_initial_weights)
        unbounded = initial_weights.new_full((2, len(initial_weights)), torch.inf)
        unbounded[0].neg_()
        self.register_buffer("bounds", unbounded, persistent=False)
        self.truncation = truncation
        self.engine = engine

    @property
    def dynamics(self) -> StandardizedRule:
        """What moves the path: the rule, with noise inside its filter."""
        return self._dynamics[0]

    @property
    def start(self) -> Tensor:
        """The initial weights in the user's units, (K,)."""
        return self.initial_weights / self.rule.units.feature

    def published(self) -> dict[str, Tensor]:
        """Return what was fitted or given, under its textbook names, in the user's units."""
        values = self.rule.textbook_parameters()
        for name in ProcessNoise.names if self.noise else ():
            values[name] = getattr(self.noise, name) / self.rule.units.feature
        if self.lapses:
            values["lapse_rates"] = self.lapses.rates
        return values | {"initial_weights": self.start}

    def path(self, trials: Trial, observed: Tensor) -> Tensor:
        """Return the path, (N, T, K + S)."""
        return unroll(
            self.dynamics,
            self.start.expand(len(observed), -1),
            trials,
            observed,
            truncation=self.truncation,
            engine=self.engine,
        )

    def bounded_path(self, trials: Trial, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return a path that is held at the bounds, and whose would have run away, (N,)."""
        path = self.path(trials, observed)
        lowest, highest = self.bounds
        if not self.bounds.isfinite().all():
            return path, torch.zeros(len(path), dtype=torch.bool, device=path.device)
        weights = path[..., : self.rule.n_weights]
        far = highest - lowest
        ran_away = ~((lowest - far <= weights) & (weights <= highest + far)).all(-1).all(-1)
        start = self.start.expand(len(path), -1)
        self.hold(path, self.dynamics, start, trials, observed)
        return path, ran_away

    def hold(
        self, path: Tensor, rule: LearningRule, start: Tensor, trials: Trial, observed: Tensor
    ) -> None:
        """Change those of a rule's paths (N, T, K + S) that leave the bounds: hold them there."""
        lowest, highest = self.bounds
        weights = path[..., : self.rule.n_weights]
        held = ~((lowest <= weights) & (weights <= highest)).all(-1).all(-1)  # NaN is held
        if held.any():
            path[held] = unroll(
                BoundedRule(rule, lowest, highest),
                start[held],
                trials.of_subjects(held),
                observed[held],
                engine="loop",
            )

    @property
    def bounded_rule(self) -> LearningRule:
        """The rule as predictions have it: it carries no weight beyond the bounds."""
        return BoundedRule(self.rule, *self.bounds) if self.bounds.isfinite().all() else self.rule

    def bound(self, weights: Tensor) -> None:
        """Keep predictions within the range of weights (n, K), and a margin on either side."""
        weights = weights * self.rule.units.feature
        lowest, highest = weights.amin(0), weights.amax(0)
        margin = (MARGIN * (highest - lowest)).clamp_min(MARGIN)
        self.bounds = torch.stack([lowest - margin, highest + margin]) / self.rule.units.feature

    def forward(self, trials: Trial, observed: Tensor) -> Tensor:
        """Return the logit of P(y = 1) on each trial, (N, T)."""
        logits = self.policy_logits(self.path(trials, observed), trials.features)
        return (
            logits if self.lapses is None else TWO_CHOICES.lapsing_logits(logits, self.lapses.odds)
        )

    def policy_logits(self, path: Tensor, features: Tensor) -> Tensor:
        """Return the same for a path, but for lapses."""
        weights, packed = path.split([features.shape[-1], path.shape[-1] - features.shape[-1]], -1)
        if self.noise is None:
            return (weights * features).sum(-1)
        return filtered_logit(weights, packed, features)

    def chosen_engine(self, n_subjects: int, device: torch.device) -> str:
        if self.engine != "auto":
            return self.engine
        return choose_engine(self.dynamics, n_subjects, device)
