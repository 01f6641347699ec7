"""The comparison of rules on trials that they were not fitted to."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_consistent_length

from ..data.schema import count_choices
from ..data.sequences import subjects_of
from ..metrics import mean_by_subject, read_predictions
from ..utils.cache import describe_estimator, describe_table, make_key
from ..utils.tasks import run_tasks
from ..utils.warn import warn
from ..utils.weights import fit_weighted
from ..utils.wrapping import has_search
from ._estimators import name_estimators
from ._folds import Fold, read_folds
from ._stopwatch import stopwatch

SCORES = ["log_likelihood", "accuracy"]
Scored = tuple[pd.DataFrame, Exception | None]


class AllFitsFailedError(ValueError):
    """No rule could be fitted and scored on any fold."""


def compare_rules(
    estimators: Mapping[str, Any] | Sequence[Any],
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    cv: Any = None,
    sample_weight: ArrayLike | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit every estimator on every training fold and score it on held-out animals or trials.

    Parameters
    ----------
    estimators : dict of str to classifier, or list of classifiers
        Any scikit-learn classifier with ``predict_proba``: on the same X it is a fair rival.
        Those of a list are named by their classes, and numbered where these are alike.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    cv : int, splitter, iterable of (train, test) or None, default=None
        None: five folds of whole animals, or as many as there are animals; an int: that many.
        Of one animal, or of the same animals that are fitted, :class:`FutureSplit` scores later
        trials and :class:`MaskedTrials` some at random. Any other ``cv`` that trains and tests
        on one animal, such as a row-wise ``KFold``, is refused. A splitter of your own that
        means to do so says it with an attribute ``unrolls_through = True``.

        Whatever the folds, an estimator is given each animal's rows in full, from the first to
        the last that it is fitted to or scored on: those of other folds among them have
        ``sample_weight`` 0 in fitting, and are not scored in testing. A pipeline hands these
        weights to its last step; an estimator that takes none is given the fitted rows alone.
    sample_weight : array-like of shape (n_rows,) or None, default=None
        How much each trial counts, in fitting and scoring; one of weight 0 is unrolled through.
    cache : str, Path or None, default=None
        A folder in which finished fits' scores are kept: after a crash or Ctrl-C, the same call
        goes on where it was. A result is found again by the content of everything that it was
        made from: the estimator's parameters, but for ``verbose`` and ``n_jobs``, the
        code of its class's module and of this package, and the fold's rows of X, y and weights.
        So a changed one is fitted anew. Not watched are other modules that your own code
        imports, and the versions of other packages: after a change there, take another folder. An
        estimator whose ``random_state`` is None keeps the draw that was kept. A damaged
        file is one lost fit; a fit that failed is tried again.
    n_jobs : int or None, default=None
        Fits at a time, with any of joblib's backends, such as Dask's or Ray's on a cluster.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    DataFrame, one row an estimator, fold and held-out subject
        ``rule``, ``subject``, ``fold``, ``n_trials`` (scored), ``log_likelihood`` (mean, nats per
        trial, see :func:`~sklearn_learnrule.metrics.choice_log_likelihood`), ``accuracy`` (how
        often the likeliest choice was made), ``seconds`` (of the fold's fit and prediction, without
        the compiling and loading that a process's first fit waits for); of more than two choices,
        ``n_choices``. An estimator that fails on a fold gets a ``FitFailedWarning`` and NaN there;
        the others go on.

    Raises
    ------
    ValueError
        If every fit fails, from the first one's error.
    RuntimeError
        If worker processes die again and again; finished fits are in the ``cache``.

    See Also
    --------
    rank_rules : The ranked table of these scores.
    animal_learning_curve : The same by the number of animals fitted.

    Examples
    --------
    >>> from sklearn_learnrule import ConstantRuleEstimator, ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 400, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "REINFORCE": ReinforceRuleEstimator()}
    >>> scores = compare_rules(rules, X, y, cv=3, verbose=0)
    >>> scores.groupby("rule")["log_likelihood"].mean().round(2)
    rule
    REINFORCE   -0.62
    constant    -0.63
    Name: log_likelihood, dtype: float64
    """
    named = name_estimators(estimators)
    check_consistent_length(X, y)
    labels = pd.Series(np.asarray(y), X.index, name="choice")
    folds = read_folds(cv, X, labels, sample_weight)
    if cache is not None and hasattr(cv, "split"):
        _check_repeatable(folds, read_folds(cv, X, labels, sample_weight))
    _check_searches(named, folds)
    cells = [(name, number) for name in named for number in range(len(folds))]
    scored = run_tasks(
        _score_fold,
        [(named[name], X, labels, folds[number]) for name, number in cells],
        name="compare",
        n_jobs=n_jobs,
        verbose=verbose,
        cache=cache,
        keys=None if cache is None else _keys(named, X, labels, folds),
        complete=_succeeded,
        tell=lambda task, scored: f"{cells[task][0]} {scored[0]['log_likelihood'].mean():.4f} nats",
    )
    _tell_failures([(*cell, failure) for cell, (_, failure) in zip(cells, scored, strict=True)])
    tables = []
    for (name, number), (table, _) in zip(cells, scored, strict=True):
        table.insert(0, "rule", name)
        table.insert(2, "fold", number)
        tables.append(table)
    scores, n_choices = pd.concat(tables, ignore_index=True), count_choices(X)
    if n_choices > 2:
        scores.insert(scores.columns.get_loc("n_trials") + 1, "n_choices", n_choices)
    return scores


def _check_repeatable(folds: list[Fold], again: list[Fold]) -> None:
    """Raise for folds that are drawn anew at each call, whose results would never be found."""
    pairs = zip(folds, again, strict=True)
    if not all(np.array_equal(a, b) for pair in pairs for a, b in zip(*pair, strict=True)):
        raise ValueError(
            "With cache, cv should split alike at each call, but draws other folds: set its "
            "random_state."
        )


def _check_searches(named: Mapping[str, Any], folds: list[Fold]) -> None:
    """Raise for a search that would choose its parameters by choices that are to be scored."""
    masked = any(np.isin(fold.fitted, fold.given[fold.scored_weight > 0]).any() for fold in folds)
    searches = [name for name, estimator in named.items() if has_search(estimator)]
    if masked and searches:
        raise ValueError(
            f"{searches[0]!r} is a search, which would choose parameters by the masked choices, "
            "too: choose them beforehand, or use FutureSplit or SubjectKFold."
        )


def _tell_failures(cells: list[tuple[str, int, Exception | None]]) -> None:
    """Warn of the fits that failed, or raise if all did."""
    failed = [(name, number, failure) for name, number, failure in cells if failure is not None]
    if len(failed) == len(cells):
        name, number, first = failed[0]
        raise AllFitsFailedError(
            f"All {len(cells)} fits failed, the first, of {name} on fold {number}, by "
            f"{type(first).__name__}: {first}"
        ) from first
    for name, number, failure in failed:
        message = f"{name} failed on fold {number}: {type(failure).__name__}: {failure}"
        warn(message, FitFailedWarning)


def _keys(named: Mapping[str, Any], X: pd.DataFrame, y: pd.Series, folds: list[Fold]) -> list[str]:
    """Name each estimator's fit on each fold by the content of all that its scores depend on."""
    *types, rows = describe_table(X)
    *type_of_choice, choices = describe_table(y)
    data = [
        [[hashes[fold.fitted], hashes[fold.given]] for hashes in (rows, choices)]
        + [fold.fitted_weight, fold.scored_weight]
        for fold in folds
    ]
    estimators = [describe_estimator(estimator) for estimator in named.values()]
    call = ["compare_rules", types, type_of_choice]
    return [make_key(call, estimator, fold) for estimator in estimators for fold in data]


def _score_fold(estimator: Any, X: pd.DataFrame, y: pd.Series, fold: Fold) -> Scored:
    """Score one estimator on one fold, a row a subject, with the error if it failed."""
    failure = None
    trials = pd.DataFrame({"subject": subjects_of(X)[fold.given], **dict.fromkeys(SCORES, np.nan)})
    with stopwatch() as watch:
        try:
            fitted = clone(estimator)
            fit_weighted(fitted, X.iloc[fold.fitted], y.iloc[fold.fitted], fold.fitted_weight)
            predicted = read_predictions(fitted, X.iloc[fold.given], y.iloc[fold.given])
            trials["log_likelihood"] = predicted.log_likelihood
            trials["accuracy"] = predicted.likeliest_chosen.astype(float)
        except Exception as error:  # one bad rule must not lose the others' hours
            failure = _portable(error)
    return mean_by_subject(trials, fold.scored_weight).assign(seconds=watch.seconds), failure


def _succeeded(scored: Scored) -> bool:
    return scored[1] is None


def _portable(error: Exception) -> Exception:
    """Return the error, or its text if it could not come home from another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
