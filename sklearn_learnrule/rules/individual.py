"""A rule whose parameters differ from subject to subject, by numbers that a trial brings along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from ._contract import LearningRule, Varies
from ._wrapping import WrappingRule
from .trial import Trial


class Effect(NamedTuple):
    """What differs between subjects: a parameter, for all features alike or for one of them."""

    parameter: str
    place: int | None = None
    """Of the feature among the rule's; None: all."""


class IndividualRule(WrappingRule):
    """Another rule, of whose parameters some are a subject's own.

    ``trial.context`` says by how much, an effect a column: see :meth:`LearningRule.vary` for what
    one does to a parameter. Effects of 0, and trials without context, leave the rule as it is.

    Parameters
    ----------
    rule : LearningRule
    effects : sequence of Effect
    columns : sequence of int or None
        Where the context has them; None: it has these alone, in order.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import Effect, IndividualRule, ReinforceRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0], [1.0, 1.0]])  # by two animals: a stimulus, and 1
    >>> twice_as_fast = torch.tensor([[1.0], [2.0]]).log()  # the second one
    >>> trial = Trial(seen, *torch.ones(3, 2), torch.zeros(2), twice_as_fast)
    >>> rule = IndividualRule(ReinforceRule(2, None, learning_rate=0.1), [Effect("learning_rate")])
    >>> rule(torch.zeros(2, 2), trial, torch.zeros(2, 0))[0].detach()
    tensor([[0.0500, 0.0500],
            [0.1000, 0.1000]])
    """

    def __init__(
        self, rule: LearningRule, effects: Iterable[Effect], columns: Sequence[int] | None = None
    ) -> None:
        super().__init__(rule)
        self.shown_memory = rule.shown_memory
        self.parameter_units = rule.parameter_units
        self.effects = [Effect(*effect) for effect in effects]
        self.columns = list(range(len(self.effects)) if columns is None else columns)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        if not trial.context.shape[-1]:
            return self.rule(weights, trial, memory)
        fields = vars(trial)

        def of_one(weights: Tensor, memory: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
            own = dict(zip(fields, values, strict=True))
            parameters = self.parameters_of(own.pop("context"))
            alone = type(trial)(**{name: value[None] for name, value in own.items()})
            asked = weights[None], alone, memory[None]
            update, memory = functional_call(self.rule, parameters, asked)
            return update[0], memory[0]

        given = weights, memory, *fields.values()
        if len(weights) > 1:
            return vmap(of_one)(*given)
        update, memory = of_one(*(value[0] for value in given))  # as it can be compiled
        return update[None], memory[None]

    def parameters_of(self, context: Tensor) -> dict[str, Tensor]:
        """Return one subject's parameters, by its context (L,)."""
        parameters: dict[str, Tensor] = dict(self.rule.named_parameters())
        for column, effect in zip(self.columns, self.effects, strict=True):
            own = self.along(effect, context[column])
            parameters |= self.rule.vary(effect.parameter, own, parameters)
        return parameters

    def along(self, effect: Effect, size: Tensor) -> Tensor:
        """Return an effect as one number for all features or, of one, a number a feature."""
        if effect.place is None:
            return size
        return size * torch.eye(self.n_features, dtype=size.dtype, device=size.device)[effect.place]

    def vary(
        self, name: str, effect: Tensor, parameters: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return self.rule.vary(name, effect, parameters)

    def varies_by(self, name: str) -> Varies | None:
        return self.rule.varies_by(name)

    def log_prior(self) -> Tensor:
        """Return the other rule's."""
        inner: Any = self.rule
        return inner.log_prior()

    def standardize_settings(self, feature: Tensor, reward: Tensor) -> None:
        self.rule.standardize_settings(feature, reward)
