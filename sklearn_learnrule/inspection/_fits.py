"""What may be looked at: one fitted estimator, several, or the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..data.sequences import Sequences
from ..estimators.base import BaseRuleEstimator
from ..models.along import updates_along
from ..models.learning import LearningModel
from ..models.members import copy_models, read_trials
from ..rules import LearningRule, Policy, Trial, mover
from ..training.dataset import SequenceDataset
from ..training.individuals import KnownSubjects, follow_subjects
from ..utils.arrays import Ints
from ..utils.wrapping import (
    called,
    chosen,
    final_estimator,
    is_dict_of_models,
    named,
    split_transformers,
)

Rows = TypeVar("Rows", pd.DataFrame, pd.Series)


@dataclass(frozen=True)
class Fit:
    """One fitted classifier, and the rows of X that it has not seen where that is known."""

    name: Any
    estimator: Any
    rows: Ints | None = None

    def __str__(self) -> str:
        return called(self.name)

    @property
    def final(self) -> Any:
        """The estimator itself, also of a pipeline that ends in it."""
        return final_estimator(self.estimator)

    @property
    def n_choices(self) -> int:
        """C."""
        return len(self.final.classes_)

    def held_out(self, table: Rows) -> Rows:
        """Return the rows of X or y that this fit may be judged by."""
        if self.rows is None:
            return table
        if self.rows.max() >= len(table):
            raise ValueError(
                f"Fold {self.name} holds out row {self.rows.max()}, but X has {len(table)} rows: "
                "give the X that cross_validate was given."
            )
        return table.iloc[self.rows]

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """Put the fit's name before the columns of its table."""
        return pd.DataFrame({"fit": [self.name] * len(table)}).join(table.reset_index(drop=True))


@dataclass(frozen=True)
class Visited:
    """The states that a fit's weights went through, on N sequences of animals' experience.

    Of C > 2 choices, weights and updates are (N, T, (C - 1) K).
    """

    weights: torch.Tensor  # (N, T, K) before each choice
    update: torch.Tensor  # (N, T, K) after it
    trials: Trial  # features (N, T, K), the other fields (N, T)
    observed: torch.Tensor  # (N, T) whether a trial is followed by another
    told: torch.Tensor  # (N, T) whether all of its outcome is known, too
    subject: Ints  # (N,) whose each sequence is

    @property
    def largest(self) -> torch.Tensor:
        """The largest size of each policy input: what a unit of its weight does to logits, (K,)."""
        return self.trials.features.abs().amax((0, 1))

    def rows(self) -> tuple[torch.Tensor, torch.Tensor, Trial]:
        """Return weights (n, K), updates (n, K) and trials that are told, one after another."""
        return self.weights[self.told], self.update[self.told], self.trials.rows(self.told)


@dataclass(frozen=True)
class RuleFit(Fit):
    """A fitted rule estimator, alone or at the end of a pipeline."""

    @property
    def weight_names(self) -> list[str]:
        return list(self.final.weight_names_)

    @property
    def n_weights(self) -> int:
        """K or, of C > 2 choices, (C - 1) K."""
        return len(self.weight_names) * (self.n_choices - 1)

    @property
    def weight_columns(self) -> list[Any]:
        """As of ``predict_weights``: names or, of more than two choices, pairs of both."""
        return list(self.final.weight_columns.tolist())

    @property
    def policy(self) -> Policy:
        return Policy(self.n_choices)

    @cached_property
    def models(self) -> list[LearningModel]:
        """Copies of the models, one or an ensemble's, in double precision on the CPU."""
        return copy_models(self.final)

    @property
    def rules(self) -> list[LearningRule]:
        return [model.rule for model in self.models]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return X as the rule estimator sees it."""
        transformers, _ = split_transformers(self.estimator)
        return X if transformers is None else transformers.transform(X)

    def features(self, X: pd.DataFrame) -> torch.Tensor:
        """Return the policy's inputs of any rows, whether or not they are sequences, (n, K)."""
        stimuli = self.transform(X)[self.weight_names[:-1]].to_numpy(dtype=float)
        return torch.nn.functional.pad(torch.tensor(stimuli), (0, 1), value=1.0)

    def read(self, X: pd.DataFrame) -> tuple[Trial, torch.Tensor]:
        """Return X's trials, (N, T, ...), and which are observed; X is checked as in predicting."""
        return read_trials(self.sequences(X))

    def sequences(self, X: pd.DataFrame) -> Sequences:
        """Return X's sequences, checked as in predicting."""
        sequences = self.final.read_sequences(self.transform(X))
        if any(rule.uses_answer for rule in self.rules):
            sequences.check_answer_known(type(self.final).__name__)
        return sequences

    def trials(self, X: pd.DataFrame) -> Trial:
        """Return X's trials whose outcome is known, subject after subject, (n, ...)."""
        trials, observed = self.read(X)
        return trials.rows(observed & (trials.reward_known > 0))

    def know_subjects(self, X: pd.DataFrame, y: ArrayLike) -> list[KnownSubjects]:
        """Return what each member is told of X's animals, whose effects are integrated out."""
        sequences, chosen = self.final.read_choices(self.transform(X), y)
        told: Any = {"choice": chosen, "weight": np.ones(len(chosen))}
        dataset = SequenceDataset(sequences, **told, dtype=torch.float64, device="cpu")
        return [follow_subjects(model, dataset) for model in self.models]

    @torch.no_grad()
    def visit(self, X: pd.DataFrame) -> Visited:
        """Let the rule, an ensemble's on average, go through the experience of X's animals."""
        sequences = self.sequences(X)
        trials, observed = read_trials(sequences)
        paths = [model.path(trials, observed)[0] for model in self.models]
        weights = torch.stack(paths).mean(0)[..., : self.n_weights]  # (N, T, K)
        update = torch.zeros_like(weights)
        update[:, :-1] = weights.diff(dim=1)
        if hasattr(self.final, "process_noise_"):  # then what the choices tell moves them, too
            of_members = [
                updates_along(model.rule, trials, path[..., : self.n_weights], observed)
                for model, path in zip(self.models, paths, strict=True)
            ]
            update[observed] = torch.stack(of_members).mean(0)
        told = observed & (trials.reward_known > 0)
        return Visited(weights, update, trials, observed, told, sequences.sequence_subject)

    def visit_as_rule(self, X: pd.DataFrame) -> Visited:
        """Return the same with the policy's inputs as the rule has them: 0 of unlearned weights."""
        visited = self.visit(X)
        features, (_, places) = visited.trials.features, mover(self.models[0].dynamics.rule)
        seen = torch.zeros_like(features)
        seen[..., places] = features[..., places]
        return replace(visited, trials=replace(visited.trials, features=seen))


def read_fits(estimators: Any) -> list[Fit]:
    """Name the fitted estimators.

    Parameters
    ----------
    estimators : a fitted classifier, a list or dict of some, or a result of ``cross_validate``
        A dict's keys are the names, else 0, 1, ... Of a cross-validation's result, with
        ``return_estimator=True, return_indices=True``, each animal is left to the fit that has
        not seen it.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> [(fit.name, fit.estimator is rule) for fit in read_fits({"mine": rule})]
    [('mine', True)]
    """
    if isinstance(estimators, Mapping) and not is_dict_of_models(estimators):
        return _folds(estimators)
    several = named(estimators)
    if not several:
        raise ValueError("There are no estimators to look at (0 given).")
    return [Fit(name, _checked(estimator)) for name, estimator in several]


def read_rule_fits(estimators: Any) -> list[RuleFit]:
    """Name the fitted rule estimators; all should have the same policy weights."""
    fits = [RuleFit(fit.name, fit.estimator, fit.rows) for fit in read_fits(estimators)]
    for fit in fits:
        if not isinstance(fit.final, BaseRuleEstimator):
            raise TypeError(
                "A learning rule can be read from a fitted rule estimator, or from a pipeline that "
                f"ends in one, but {fit} is a {type(fit.final).__name__}."
            )
        if fit.weight_names != fits[0].weight_names:
            raise ValueError(
                "Estimators in one table should have the same policy weights, but "
                f"{fits[0]} has {fits[0].weight_names} and {fit} {fit.weight_names}: make a "
                "table of each."
            )
        if fit.n_choices != fits[0].n_choices:
            raise ValueError(
                "Estimators in one table should choose among as many, but "
                f"{fits[0]} knows {fits[0].n_choices} choices and {fit} {fit.n_choices}: make a "
                "table of each."
            )
    return fits


def _folds(cv_results: Mapping[str, Any]) -> list[Fit]:
    missing = [name for name in ("estimator", "indices") if name not in cv_results]
    if missing:
        raise ValueError(
            f"The result of cross_validate has no {missing[0]!r}: call it with "
            "return_estimator=True, return_indices=True."
        )
    tests = cv_results["indices"]["test"]
    folds = enumerate(zip(cv_results["estimator"], tests, strict=True))
    return [Fit(number, _checked(estimator), rows) for number, (estimator, rows) in folds]


def _checked(estimator: Any) -> Any:
    """Return a fitted estimator, of a search the best one."""
    check_is_fitted(estimator)
    return chosen(estimator)
