"""Uncertainty: refits on animals drawn anew, and bands over fits or animals."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from ..data.sequences import subjects_of
from ..utils.arrays import Floats
from ..utils.cache import describe_estimator, describe_table, make_key
from ..utils.tasks import run_tasks
from ..utils.weights import check_weight, weight_parameter
from ._experience import check_not_own

Estimator = TypeVar("Estimator")
INTERVALS = ("percentile", "t")
BAND = ("mean", "lower", "upper", "n")


def bootstrap_fits(
    estimator: Estimator,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    n_bootstraps: int = 20,
    sample_weight: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> list[Estimator]:
    """Refit on animals drawn with replacement.

    How often an animal was drawn is the weight of its trials in the likelihood; one that was
    not drawn is left out. So nobody is in two places at once, in training and in an early
    stopping's validation. What is not the likelihood, such as a transformer of a pipeline,
    takes each drawn animal once.

    Parameters
    ----------
    estimator : classifier that takes ``sample_weight``, or pipeline that ends in one
        Its ``random_state``, if an int, is the same in every refit, whose spread is then of
        the animals alone.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    n_bootstraps : int, default=20
    sample_weight : array-like of shape (n_rows,) or None, default=None
        What each trial counts beside, e.g. 0 to unroll through without scoring.
    random_state : int, RandomState or None, default=None
        Draws the animals.
    cache : str, Path or None, default=None
        A folder in which finished refits are kept, as of :func:`~sklearn_learnrule.compare_rules`.
        They are found again if ``random_state`` is an int, so that it draws the same animals. They
        are pickles: read only those that you have written.
    n_jobs : int or None, default=None
        Fits at a time.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    list of fitted clones

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(10, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None)
    >>> fits = bootstrap_fits(rule, X, y, n_bootstraps=5, random_state=0, verbose=0)
    >>> [fit.learning_rate_[0].round(3).item() for fit in fits]
    [0.019, 0.019, 0.022, 0.018, 0.021]
    """
    check_scalar(n_bootstraps, "n_bootstraps", numbers.Integral, min_val=1)
    check_consistent_length(X, y)
    codes, subjects = pd.factorize(subjects_of(X))
    n_subjects = len(subjects)
    rng = check_random_state(random_state)
    draws = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), n_bootstraps)
    weight = check_weight(sample_weight, len(X))
    labels = pd.Series(np.asarray(y), X.index)
    name = weight_parameter(estimator)
    if name is None:
        raise TypeError(
            "bootstrap_fits draws animals by sample_weight, which this "
            f"{type(estimator).__name__} does not take."
        )
    tasks = [(estimator, X, labels, weight * draw[codes], name) for draw in draws]
    keys = None if cache is None else _keys(tasks)
    options: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "cache": cache, "keys": keys}
    return run_tasks(_refit, tasks, name="bootstrap", **options)


def _keys(tasks: list[tuple[Any, ...]]) -> list[str]:
    """Name each refit by the content of all that it depends on."""
    estimator, X, y, *_ = tasks[0]
    same = [describe_estimator(estimator), describe_table(X), describe_table(y)]
    return [make_key("bootstrap_fits", same, weight) for _, _, _, weight, _ in tasks]


def _refit(estimator: Any, X: pd.DataFrame, y: pd.Series, weight: Floats, name: str) -> Any:
    by_subject = pd.Series(weight).groupby(np.asarray(subjects_of(X)))
    drawn = by_subject.transform("max").to_numpy() > 0
    return clone(estimator).fit(X[drawn], y[drawn], **{name: weight[drawn]})


def band(
    table: pd.DataFrame,
    value: str,
    *,
    by: str | Sequence[str],
    over: str = "fit",
    interval: str = "percentile",
    level: float = 0.95,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> pd.DataFrame:
    """Reduce a table to means with an interval over fits, or over animals.

    Parameters
    ----------
    table : DataFrame from this module
    value : str
        The column to reduce, e.g. "update_stimulus".
    by : str or list of str
        The columns to tell apart; over the others, the mean is taken within each fit or
        animal first.
    over : str, default="fit"
        The column of what varies: "fit", or "subject" where the table has one.
    interval : "percentile" or "t", default="percentile"
        Between percentiles, for refits of :func:`bootstrap_fits`, whose spread *is* the
        uncertainty; or Student's confidence interval of the mean, for independent animals.
    level : float, default=0.95
    bounds : tuple of float, default=(-inf, inf)
        What the value can be, such as (0, 1) of a share: Student's interval ends there at most.

    Returns
    -------
    DataFrame, one row a combination of ``by``
        Those columns, ``mean``, ``lower``, ``upper`` and ``n``, how many there were.

    Examples
    --------
    >>> columns = {"fit": [0, 1, 0, 1], "trial": [1, 1, 2, 2], "weight": [0.0, 0.2, 1.0, 1.4]}
    >>> band(pd.DataFrame(columns), "weight", by="trial").round(2)
       trial  mean  lower  upper  n
    0      1   0.1   0.01   0.20  2
    1      2   1.2   1.01   1.39  2
    """
    by = [by] if isinstance(by, str) else list(by)
    check_not_own(by, BAND)
    missing = [name for name in (value, over, *by) if name not in table]
    if missing:
        raise ValueError(f"The table has no column {missing[0]!r}, but {list(table)}.")
    if interval not in INTERVALS:
        raise ValueError(f"interval should be one of {INTERVALS}, got {interval!r}.")
    each = table.groupby([*by, over], observed=True, sort=False)[value].mean()
    groups = each.groupby(level=by, observed=True, sort=False)
    mean, n = groups.mean(), groups.count()
    if interval == "percentile":
        tail = (1 - level) / 2
        lower, upper = groups.quantile(tail), groups.quantile(1 - tail)
    else:
        half = groups.sem() * student_t.ppf((1 + level) / 2, n - 1)
        lower, upper = (mean - half).clip(*bounds), (mean + half).clip(*bounds)
    bands = pd.concat([mean, lower, upper, n], axis=1, keys=BAND)
    return bands.reset_index()
