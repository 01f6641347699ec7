"""Tests of whether animals differ by a covariate: by the likelihood, and by shuffling animals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import chi2
from sklearn.base import clone

from ..data.sequences import read_sequences
from ..training.starts import AS_LIKELY
from ..utils.arrays import Floats, Ints
from ..utils.cache import describe_estimator, describe_table, make_key
from ..utils.tasks import run_tasks
from ..utils.texts import FACTORS
from ..utils.warn import warn
from ..utils.wrapping import split_transformers
from ._covariate import Covariate
from ._fits import RuleFit, read_rule_fits
from ._individuals import effect_kinds

TABLE = {
    **{"parameter": "covariate", "weight": "parameter", "estimate": "difference"},
    **{name: name for name in ("standard_error", "lower", "upper", "p", "note")},
}
"""Columns of ``summary_``, and what they are called in a table of groups."""


class LikelihoodTest(NamedTuple):
    """What fits with and without a covariate say: see :class:`GroupComparison`."""

    table: pd.DataFrame
    likelihood_ratio: float
    degrees_of_freedom: int
    p_value: float
    permutation_p_value: float


NO_TEST = LikelihoodTest(pd.DataFrame(columns=[*TABLE.values()]), np.nan, 0, np.nan, np.nan)


@dataclass(frozen=True)
class Question:
    """An estimator, the animals that it is to be fitted to, and how fits are run."""

    estimator: Any
    X: pd.DataFrame
    y: pd.Series
    options: dict[str, Any]  # of ``run_tasks``

    def without(self, columns: list[str]) -> Question:
        return replace(self, X=self.X.drop(columns=columns))

    @property
    def content(self) -> list[Any]:
        """Return what a fit depends on, for the cache."""
        return [describe_estimator(self.estimator), describe_table(self.X), describe_table(self.y)]

    def fit(self) -> RuleFit:
        """Fit, and look at what was fitted."""
        keys = [make_key("fit", *self.content)] if self.options["cache"] is not None else None
        tasks = [(self.estimator, self.X, self.y)]
        return read_rule_fits(run_tasks(_fit, tasks, name="fit", keys=keys, **self.options))[0]

    def log_likelihoods(self, columns: list[str], shuffled: list[Floats]) -> Floats:
        """Return that of a fit to each of the values (N, Q) that animals' columns may have."""
        codes, keys = read_sequences(self.X).row_subject, None
        if self.options["cache"] is not None:
            content = self.content
            keys = [make_key("compare_groups", content, columns, values) for values in shuffled]
        tasks = [(self.estimator, self.X, self.y, columns, codes, values) for values in shuffled]
        return np.array(run_tasks(_refit, tasks, name="shuffles", keys=keys, **self.options))


def without_covariate(
    estimator: Any, X: pd.DataFrame, y: ArrayLike, columns: list[str]
) -> pd.DataFrame:
    """Return X without these covariates, as the rule sees it.

    Raises
    ------
    ValueError
        Unless a pipeline gives its rule the covariates as they are, and can do without.
    """
    transformers, _ = split_transformers(estimator)
    if transformers is None:
        return X.drop(columns=columns)
    advice = "let it pass covariates on, by remainder='passthrough', and name none of them."
    seen = clone(transformers).fit_transform(X, y)
    known = set(columns) <= {*getattr(seen, "columns", ())}
    if not (known and np.array_equal(seen[columns], X[columns])):
        raise ValueError(f"The pipeline does not give its rule {columns} as they are: {advice}")
    try:
        return clone(transformers).fit_transform(X.drop(columns=columns), y)
    except (KeyError, ValueError) as failure:  # of one that knows them by name
        raise ValueError(f"The pipeline cannot do without {columns}: {advice}") from failure


def compare_likelihoods(
    asked: Question, without: RuleFit, tested: Covariate, orders: Sequence[Ints]
) -> LikelihoodTest:
    """Compare a fit ``without`` a covariate to one with, and to those with it shuffled."""
    both = asked.fit()
    base = log_likelihood(without, asked.without(tested.columns).X, asked.y)
    gain = log_likelihood(both, asked.X, asked.y) - base
    if gain < -AS_LIKELY:
        warn(
            f"With the covariate, the choices are less likely by {-gain:.2g} nats than without, so "
            "that one of the fits is not at the maximum of its likelihood, and their ratio tells "
            "nothing. Give fewer parameters to so little data."
        )
    n_animals, n_columns = tested.values.shape
    kinds = np.tile(effect_kinds(both), n_columns)
    n_others = len(read_sequences(asked.X).covariate_names) - n_columns
    ratio = 2 * max(gain, 0.0)
    p_value = chi2.sf(ratio * bartlett_factor(n_animals, n_columns, n_others), len(kinds))
    shuffled_p = np.nan
    if orders:
        found = asked.log_likelihoods(tested.columns, [tested.values[order] for order in orders])
        shuffled_p = share_as_large(gain, found - base)
    summary = both.final.summary_
    of_covariate = summary[summary["parameter"].isin(tested.columns)][[*TABLE]]
    table = of_covariate.rename(columns=TABLE).reset_index(drop=True)
    table.insert(2, "kind", kinds)
    table.insert(4, "factor", np.exp(table["difference"]).where(table["kind"].isin(FACTORS)))
    return LikelihoodTest(table, ratio, len(kinds), float(p_value), shuffled_p)


def bartlett_factor(n_animals: int, n_columns: int, n_others: int) -> float:
    """Return by what a likelihood ratio is too large, where it is of regression over few animals.

    That is what it is once each animal's effects are well known; where they are not, the spread
    between animals matters less, and the test is on the safe side (Bartlett 1938).
    """
    return 1 - (n_others + 2 + n_columns / 2) / n_animals


def log_likelihood(fit: RuleFit, X: pd.DataFrame, y: pd.Series) -> float:
    """Return the log-likelihood of all choices, effects integrated out, in nats."""
    return float(fit.know_subjects(X, y)[0].log_likelihood.sum())


def shuffle_updates(updates: Floats, values: Floats, orders: Sequence[Ints]) -> float:
    """Return the p-value of what share of updates' variance a covariate explains.

    Parameters
    ----------
    updates : ndarray of shape (N, P)
        Each animal's, at P points and weights, which count alike.
    values : ndarray of shape (N, Q)
        The covariate's.
    orders : sequence of int ndarrays of shape (N,)
        Shuffles of animals.
    """
    apart = updates - updates.mean(0)
    size = np.linalg.norm(apart, axis=0)
    differs = size > 1e-9 * np.abs(updates).max(0)
    apart = apart[:, differs] / size[differs]
    directions = np.linalg.svd(values - values.mean(0), full_matrices=False)[0]  # (N, Q)

    def explained(order: Any) -> float:
        return float(np.square(directions[order].T @ apart).sum())

    return share_as_large(explained(slice(None)), np.array([explained(order) for order in orders]))


def share_as_large(observed: float, shuffled: Floats) -> float:
    """Return the share of values that are as large as one of them, in a shuffle or as observed."""
    as_large = shuffled >= observed - 1e-9 * abs(observed)
    return (1 + as_large.sum()) / (1 + len(shuffled))


def _fit(estimator: Any, X: pd.DataFrame, y: pd.Series) -> Any:
    return clone(estimator).fit(X, y)


def _refit(
    estimator: Any,
    X: pd.DataFrame,
    y: pd.Series,
    columns: list[str],
    codes: Ints,
    values: Floats,
) -> float:
    shuffled = X.assign(**dict(zip(columns, values[codes].T, strict=True)))
    return log_likelihood(read_rule_fits(_fit(estimator, shuffled, y))[0], shuffled, y)
