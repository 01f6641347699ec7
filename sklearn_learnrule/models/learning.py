"""The model of choices that is fitted: a policy, and what moves its weights."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ..engine import choose_engine, expected_logits, unroll, why_not_compiled, why_unruly
from ..rules import (
    BoundedRule,
    Effect,
    FilteredRule,
    Lapses,
    LearningRule,
    Policy,
    ProcessNoise,
    StandardizedRule,
    Trial,
    Units,
    lapse_odds,
    mover,
)
from .effects import SubjectEffects
from .nodes import Nodes, Normal, place_nodes

MARGIN = 0.1  # by how much of their range others' weights may leave the fitted subjects'


def has_gpu() -> bool:
    """Whether torch is built for a GPU and finds one that keeps numbers."""
    try:
        return torch.cuda.is_available() and torch.zeros(1, device="cuda").item() == 0
    except Exception:  # torch raises all kinds
        return False


class SequenceModel(nn.Module):
    """Maps sequences, padded, and which are observed, to the policy's logits, (N, T) each.

    Of C > 2 choices they are (N, T, C - 1), see :class:`~sklearn_learnrule.rules.Policy`.
    """

    engine: str
    policy: Policy
    """What chooses."""
    is_symmetric: bool = False
    """Whether it learns alike of all choices by itself, without mirror images."""
    has_prior: bool = False
    """Whether :meth:`log_prior` is part of what is maximized."""

    def make_symmetric(self) -> bool:
        """Become symmetric, if the model can, and return whether it can."""
        return False

    def caution(self) -> str | None:
        """Return what speaks against trusting the model, whatever it is fitted to."""
        return None

    @property
    def noise(self) -> ProcessNoise | None:
        """The noise that moves weights, if any."""
        return None

    @property
    def effects(self) -> SubjectEffects | None:
        """The distribution of what is subjects' own, if anything is."""
        return None

    @property
    def n_told(self) -> int:
        """How many numbers of each subject a prior that is not fitted leaves to its choices."""
        if self.noise is None or self.noise.root_initial_std.requires_grad:
            return 0
        return int((self.noise.root_initial_std > 0).sum())

    def log_prior(self) -> Tensor:
        """Return the log of the prior of what is fitted, in nats, but for a constant."""
        raise NotImplementedError

    def chosen_engine(self, n_subjects: int, device: torch.device) -> str:
        """Return the engine that computes, also where the parameter says "auto"."""
        raise NotImplementedError

    @property
    def usual_device(self) -> str:
        """The CPU where its compiled code serves, and for the loop; else a GPU, if there is one."""
        alone = self.chosen_engine(1, torch.device("cpu"))
        return "cuda" if alone == "parallel" and has_gpu() else "cpu"

    def describe_engine(self, n_subjects: int, device: torch.device) -> str:
        """Say which engine computes and, if "auto" could not take the compiled one, why."""
        return f"{self.chosen_engine(n_subjects, device)} engine, {device}"


class LearningModel(SequenceModel):
    """A GLM policy whose weights a learning rule moves; noise and lapses, if any.

    A *path* is what is known of the weights before each choice, (N, T, K + S): themselves or,
    with noise, their mean, and the lower triangle of their covariance. Here K counts all weights,
    of more than two choices those of all sets.

    What is fitted is in standard units: the parameters of ``rule``, ``noise`` and
    ``initial_weights`` as they are given. All that goes in and out is in the user's.
    """

    bounds: Tensor
    """The lowest and the highest weights that predictions may reach, (2, K)."""
    dynamics: StandardizedRule
    """What moves the path: the rule, with noise inside its filter."""

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
        effects: SubjectEffects | None = None,
        own: Sequence[Effect] = (),
    ) -> None:
        super().__init__()
        moves = rule if noise is None else FilteredRule(rule, noise, lapses)
        self.dynamics = StandardizedRule(moves, deepcopy(units))
        self.policy = rule.policy
        self.unfiltered_lapses = lapses if noise is None else None  # each module has one place
        self.initial_weights = nn.Parameter(initial_weights, requires_grad=train_initial_weights)
        unbounded = initial_weights.new_full((2, len(initial_weights)), torch.inf)
        self.register_buffer("bounds", torch.stack([-unbounded[0], unbounded[1]]))
        self.truncation = truncation
        self.engine = engine
        self.own_effects = effects
        self.own = tuple(own)

    def make_symmetric(self) -> bool:
        n_sided = self.dynamics.n_features - 1  # all but the bias
        self.is_symmetric = self.dynamics.make_symmetric(n_sided)
        return self.is_symmetric

    def caution(self) -> str | None:
        if self.effects is not None and self.effects.are_of_one:
            return (
                "has subject_effects of one subject, who cannot tell how far subjects lie apart: "
                "fit several, or leave out subject_effects."
            )
        why = why_unruly(self.dynamics) if self.engine == "auto" else None
        return why and (
            f"goes trial by trial, which is slow, as engine='fused' {why}. That is right only if "
            "no row of weights, trials and memory, which is an animal's, hangs on others: see "
            "sklearn_learnrule.testing.check_rule."
        )

    @property
    def rule(self) -> StandardizedRule:
        """The rule alone, without noise."""
        inner = self.dynamics.rule
        if isinstance(inner, FilteredRule):
            return StandardizedRule(inner.rule, self.dynamics.units)
        return self.dynamics

    @property
    def noise(self) -> ProcessNoise | None:
        """The noise that moves weights beside the rule, if any."""
        inner = self.dynamics.rule
        return inner.noise if isinstance(inner, FilteredRule) else None

    @property
    def effects(self) -> SubjectEffects | None:
        return self.own_effects

    @property
    def lapses(self) -> Lapses | None:
        """The lapses of the policy, if any."""
        inner = self.dynamics.rule
        return inner.lapses if isinstance(inner, FilteredRule) else self.unfiltered_lapses

    @property
    def start(self) -> Tensor:
        """The initial weights in the user's units, of all sets."""
        return self.initial_weights / self.dynamics.weight_units

    def published(self) -> dict[str, Tensor]:
        """Return what was fitted or given, under its textbook names, in the user's units."""
        values = self.rule.textbook_parameters()
        for name in ProcessNoise.names if self.noise else ():
            values[name] = getattr(self.noise, name) / self.dynamics.units.feature
        if self.lapses:
            values["lapse_rates"] = self.lapses.rates
        values |= {} if self.effects is None else self.effects.published()
        return values | {"initial_weights": self.start.view(*self.policy.shape, -1)}

    def log_prior(self) -> Tensor:
        moves: Any = mover(self.dynamics.rule)[0]
        return moves.log_prior()

    def path(self, trials: Trial, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the path, and whose weights would have run away from the bounds, (N,)."""
        return self.unroll(self.dynamics, self.starts(trials.context), trials, observed)

    def starts(self, context: Tensor) -> Tensor:
        """Return the initial weights of subjects, who may have their own, (N, K)."""
        start = self.start.expand(len(context), -1)
        if not context.shape[1]:
            return start
        for column, (parameter, place) in enumerate(self.own):
            if parameter == "initial_weights":
                moved = torch.zeros_like(self.start)
                moved[place] = 1 / self.dynamics.weight_units[place]
                start = start + context[:, column, None] * moved
        return start

    def effects_before(self, covariates: Tensor) -> Normal:
        """Return what covariates (N, C) tell of subjects' effects."""
        assert self.effects is not None
        mean = self.effects.expected(covariates)
        root = self.effects.spread.to(mean).diag().expand(len(mean), -1, -1)
        return Normal(mean.clone(), root.clone())

    def place_nodes(self, known: Normal, *, many: bool) -> Nodes:
        """Return nodes where subjects' effects are known to be: many, or some for every step.

        A network, which shapes what it makes of its own numbers, does with the fewest.
        """
        assert self.effects is not None
        if not self.effects.learns_spread:
            return place_nodes(known, "fewest")
        return place_nodes(known, "many" if many else "few")

    @torch.no_grad()
    def settle_effects(self) -> None:
        """Let what effects have in common be the typical subject's, see :class:`SubjectEffects`."""
        assert self.effects is not None
        self.effects.settle()
        for effect, shift in zip(self.own, self.effects.take_center(), strict=True):
            if effect.parameter == "initial_weights":
                self.initial_weights[effect.place] += shift
            elif effect.parameter in ProcessNoise.names:
                getattr(self.noise, f"root_{effect.parameter}").mul_(torch.exp(shift / 2))
            elif shift:
                moved: Any = mover(self.dynamics.rule)[0]
                held = dict(moved.rule.named_parameters())
                changed = moved.vary(effect.parameter, moved.along(effect, shift), held)
                for name, value in changed.items():
                    held[name].copy_(value)

    def unroll(
        self, rule: LearningRule, start: Tensor, trials: Trial, observed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return where a rule moves weights (N, K), held at the bounds, and whose would run away.

        Of subjects whose weights stay within the bounds, it is what it would be without.
        """
        how: Any = {"truncation": self.truncation, "engine": self.engine}
        path = unroll(rule, start, trials, observed, **how)
        lowest, highest = self.bounds
        if not self.bounds.isfinite().all():
            return path, torch.zeros(len(path), dtype=torch.bool, device=path.device)
        weights, far = path[..., : self.dynamics.n_weights], highest - lowest
        leaves = ~_within(weights, lowest, highest)
        if leaves.any():
            bounded, some = BoundedRule(rule, lowest, highest), trials.of_subjects(leaves)
            held = unroll(bounded, start[leaves], some, observed[leaves])
            path = path.index_put((leaves,), held.to(path))
        return path, ~_within(weights, lowest - far, highest + far)

    @property
    def path_width(self) -> int:
        """K + S."""
        return self.dynamics.n_weights + self.dynamics.shown_memory

    @property
    def bounded_rule(self) -> LearningRule:
        """The rule as predictions have it: it carries no weight beyond the bounds."""
        return BoundedRule(self.rule, *self.bounds) if self.bounds.isfinite().all() else self.rule

    def bound(self, weights: Tensor) -> None:
        """Keep predictions within the range of weights (n, K), and a margin on either side."""
        units = self.dynamics.weight_units
        weights = weights * units
        lowest, highest = weights.amin(0), weights.amax(0)
        margin = (MARGIN * (highest - lowest)).clamp_min(MARGIN)
        self.bounds = torch.stack([lowest - margin, highest + margin]) / units

    def forward(self, trials: Trial, observed: Tensor) -> Tensor:
        """Return the policy's logits on each trial, (N, T) or (N, T, C - 1)."""
        path, _ = self.path(trials, observed)
        return choice_logits([self], path[None], trials.features)

    def chosen_engine(self, n_subjects: int, device: torch.device) -> str:
        if self.engine != "auto":
            return self.engine
        return choose_engine(self.dynamics, n_subjects, device)

    def describe_engine(self, n_subjects: int, device: torch.device) -> str:
        engine = super().describe_engine(n_subjects, device)
        why = why_not_compiled(self.dynamics) if device.type == "cpu" else None
        return engine if self.engine != "auto" or why is None else f"{engine}: fused {why}"


def choice_logits(models: Sequence[LearningModel], paths: Tensor, features: Tensor) -> Tensor:
    """Return the policy's logits where weights meet features, on average over M models.

    Parameters
    ----------
    models : sequence of LearningModel
        One, or an ensemble's. Their policies are averaged, and their rates of lapses.
    paths : Tensor of shape (M, ..., K + S)
    features : Tensor of shape (..., K) or, of C > 2 choices, (..., K / (C - 1))

    Returns
    -------
    Tensor of shape (...,) or, of C > 2 choices, (..., C - 1)
    """
    policy, n_weights = models[0].policy, models[0].dynamics.n_weights
    if models[0].noise is None:
        logits = policy.logits(paths[..., :n_weights], features)  # (M, ...)
    else:
        logits = expected_logits(paths, features, policy, engine=models[0].engine)
    lapses = [model.lapses for model in models if model.lapses is not None]
    if not lapses:
        return logits.mean(0)
    odds = lapses[0].odds.to(logits)
    if len(lapses) > 1:
        odds = lapse_odds(torch.stack([each.rates.to(logits) for each in lapses]).mean(0))
    return policy.lapsing_logits(logits.mean(0), odds)


def _within(weights: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """Tell whose weights (N, T, K) never leave these bounds, (N,); NaN does."""
    return ((lowest <= weights) & (weights <= highest)).all(-1).all(-1)
