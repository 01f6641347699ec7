"""The models of a report: what was given under a name, fitted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from ..estimators.base import BaseRuleEstimator
from ..inspection import Fit, RuleFit, read_fits, read_rule_fits
from ..utils.wrapping import final_estimator

NOTHING = "There are no estimators to report on (0 given)."


@dataclass(frozen=True, eq=False)
class Model:
    """One model: a fitted estimator, refits of it, or folds, as ``inspection`` takes them."""

    name: str
    slug: str  # for names of files
    given: Any  # as the user gave it
    fits: Any
    X: pd.DataFrame  # that it is looked at with

    @cached_property
    def all(self) -> list[Fit]:
        return read_fits(self.fits)

    @property
    def first(self) -> Fit:
        return self.all[0]

    @property
    def candidate(self) -> Any:
        """What is cloned and fitted to training folds."""
        return _estimators(self.given)[0]

    @cached_property
    def rules(self) -> list[RuleFit]:
        """The fits, if they have a learning rule to read."""
        if not all(isinstance(fit.final, BaseRuleEstimator) for fit in self.all):
            return []
        return read_rule_fits(self.fits)

    @property
    def remembers(self) -> bool:
        return any(rule.memory_size for fit in self.rules for rule in fit.rules)

    @property
    def drifts(self) -> bool:
        """Whether noise moves the weights beside the rule."""
        return all(hasattr(fit.final, "process_noise_") for fit in self.rules)

    @property
    def varies(self) -> bool:
        """Whether animals have parameters of their own."""
        return all(hasattr(fit.final, "subject_effects_") for fit in self.rules)

    @cached_property
    def learns(self) -> bool:
        """Whether any trial changes the weights."""
        return any(bool(fit.visit(self.X).update.any()) for fit in self.rules)


def name_models(estimators: Any) -> dict[str, Any]:
    """Return what was given by name: only a dict whose keys are str holds several models."""
    several = isinstance(estimators, Mapping) and not _is_cv_result(estimators)
    if several and all(isinstance(name, str) for name in estimators):
        named = dict(estimators)
    elif several:  # numbered refits
        named = {"": list(estimators.values())}
    else:
        named = {"": estimators}
    if not named:
        raise ValueError(NOTHING)
    for name, given in named.items():
        if _is_cv_result(given):
            read_fits(given)  # raises if it holds no fits and folds
        elif not _estimators(given):
            raise ValueError(NOTHING)
        for estimator in _estimators(given):
            if isinstance(estimator, type) or not hasattr(estimator, "predict_proba"):
                what = f"the class {estimator.__name__}" if isinstance(estimator, type) else ""
                raise TypeError(
                    "estimators should be a classifier, such as ReinforceRuleEstimator(), a list "
                    "or a result of cross_validate of some, or a dict of these by name; got "
                    f"{what or type(estimator).__name__}{f' as {name!r}' if name else ''}."
                )
    return {name or _class_name(given): given for name, given in named.items()}


def fit_models(
    named: Mapping[str, Any], X: pd.DataFrame, y: pd.Series, *, verbose: int
) -> tuple[list[Model], list[str]]:
    """Fit what is not fitted to all of X, as clones, and return what failed as well."""
    models, failures = [], []
    slugs = _unique_slugs(named)
    progress = tqdm(named.items(), "fit", unit="model", disable=not verbose)
    for name, given in progress:
        progress.set_postfix_str(name)
        try:
            models.append(Model(name, slugs[name], given, _fitted(given, X, y), X))
        except Exception as failure:  # one bad model must not lose the others' hours
            failures.append(f"{name} could not be fitted, and is left out: {tell(failure)}")
    if not models:
        raise ValueError(f"There is nothing to report on. {failures[0]}")
    return models, failures


def together(models: list[Model]) -> Model:
    """Return models of one fit each as one, whose fits have their names."""
    if len(models) == 1:
        return models[0]
    fits = {model.name: model.first.estimator for model in models}
    return Model("", "", fits, fits, models[0].X)


def tell(failure: Exception) -> str:
    """Return what went wrong; messages of other than wrong values need their type beside."""
    plain = isinstance(failure, ValueError | TypeError) and str(failure)
    return str(failure) if plain else f"{type(failure).__name__}: {failure}"


def _fitted(given: Any, X: pd.DataFrame, y: pd.Series) -> Any:
    if _is_cv_result(given):
        return given
    if _is_list(given):
        return [_fitted(estimator, X, y) for estimator in given]
    try:
        check_is_fitted(given)
    except NotFittedError:
        return clone(given).fit(X, y)
    return given


def _estimators(given: Any) -> list[Any]:
    if _is_cv_result(given):
        return list(given["estimator"])
    return list(given) if _is_list(given) else [given]


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, Pipeline | str)


def _is_cv_result(given: Any) -> bool:
    return isinstance(given, Mapping) and "fit_time" in given


def _class_name(given: Any) -> str:
    return type(final_estimator(_estimators(given)[0])).__name__


def _unique_slugs(names: Mapping[str, Any]) -> dict[str, str]:
    def slugs() -> Iterator[tuple[str, str]]:
        taken: set[str] = set()
        for number, name in enumerate(names):
            slug = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:40] or "model"
            if slug.casefold() in taken:
                slug += f"_{number}"
            taken.add(slug.casefold())
            yield name, slug

    return dict(slugs())
