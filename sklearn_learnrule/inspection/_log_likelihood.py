"""How well choices are predicted: of every trial, of every animal, and relative to a reference."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..data.sequences import identity_of
from ..metrics import mean_by_subject
from ..utils.weights import check_weight
from ._curves import predict
from ._fits import Fit, read_fits

BY = ("trial", "subject")


def log_likelihood_table(
    estimators: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    by: Literal["trial", "subject"] = "trial",
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Tabulate the log-likelihood of each trial's choice, or each animal's mean.

    Parameters
    ----------
    estimators : fitted classifier, list, dict or cv results
        As in :func:`psychometric_table`: any classifier with ``predict_proba``.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    by : "trial" or "subject", default="trial"
    sample_weight : array-like of shape (n_rows,) or None, default=None
        How much each trial counts in an animal's mean; those of weight 0 are left out.

    Returns
    -------
    DataFrame, one row a fit and trial, or a fit and animal
        ``fit``; of trials ``subject``, ``session`` and ``trial`` as in X, of animals ``subject``
        and ``n_trials``; ``log_likelihood`` (nats, of an animal per trial), see
        :func:`~sklearn_learnrule.metrics.choice_log_likelihood`.

    See Also
    --------
    sklearn_learnrule.compare_rules : Fits and scores rules on held-out animals.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(3, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> log_likelihood_table(rule, X, y).tail(2).round(2)
         fit   subject  session  trial  log_likelihood
    633    0  mouse_03        2    222           -0.47
    634    0  mouse_03        2    223           -0.32
    >>> log_likelihood_table(rule, X, y, by="subject").round(2)
       fit   subject  n_trials  log_likelihood
    0    0  mouse_01       204           -0.68
    1    0  mouse_02       207           -0.65
    2    0  mouse_03       224           -0.68
    """
    if by not in BY:
        raise ValueError(f"by should be 'trial' or 'subject', got {by!r}.")
    weight, tables = _weights(sample_weight, X), []
    for fit in read_fits(estimators):
        if by == "subject":
            tables.append(fit.named(_by_subject(fit, X, y, weight)))
        else:
            trials = identity_of(fit.held_out(X)).reset_index(drop=True)
            _, found = predict(fit, X, y)
            trials["log_likelihood"] = found.log_likelihood
            tables.append(fit.named(trials[fit.held_out(weight).to_numpy() > 0]))
    return pd.concat(tables, ignore_index=True)


def relative_log_likelihood(
    estimators: Any,
    reference: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Tabulate each animal's log-likelihood relative to that of a reference.

    Parameters
    ----------
    estimators : fitted classifier, list, dict or cv results
        As in :func:`psychometric_table`.
    reference : fitted classifier, or as many as there are ``estimators``
        Of cv results, those on the same folds.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    sample_weight : array-like of shape (n_rows,) or None, default=None
        As in :func:`log_likelihood_table`.

    Returns
    -------
    DataFrame, one row a fit and animal
        ``fit``; ``subject``; ``n_trials``; ``log_likelihood``, ``reference`` and their
        ``difference`` (means, nats per trial).

    See Also
    --------
    sklearn_learnrule.compare_rules : Fits and scores rules on held-out animals.

    Examples
    --------
    >>> from sklearn_learnrule import (
    ...     ConstantRuleEstimator, ReinforceRuleEstimator, make_design)
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> constant = ConstantRuleEstimator().fit(X, y)
    >>> relative_log_likelihood(rule, constant, X, y)[["subject", "difference"]].head(2).round(3)
        subject  difference
    0  mouse_01       0.017
    1  mouse_02      -0.001
    """
    fits, references = read_fits(estimators), read_fits(reference)
    if len(references) == 1:
        references = references * len(fits)
    if len(references) != len(fits):
        raise ValueError(
            f"reference should be one fit or as many as estimators, {len(fits)}, got "
            f"{len(references)}."
        )
    weight, tables = _weights(sample_weight, X), []
    for fit, other in zip(fits, references, strict=True):
        if not np.array_equal(fit.held_out(_row_numbers(X)), other.held_out(_row_numbers(X))):
            raise ValueError(
                f"The reference of {fit} was not held out on the same rows: give the "
                "result of cross_validate on the same folds."
            )
        score = _by_subject(fit, X, y, weight)
        score["reference"] = _by_subject(other, X, y, weight)["log_likelihood"]
        score["difference"] = score["log_likelihood"] - score["reference"]
        tables.append(fit.named(score))
    return pd.concat(tables, ignore_index=True)


def _weights(sample_weight: ArrayLike | None, X: pd.DataFrame) -> pd.Series:
    return pd.Series(check_weight(sample_weight, len(X)))


def _by_subject(fit: Fit, X: pd.DataFrame, y: ArrayLike, weight: pd.Series) -> pd.DataFrame:
    subject, found = predict(fit, X, y)
    scores = pd.DataFrame({"subject": subject, "log_likelihood": found.log_likelihood})
    return mean_by_subject(scores, fit.held_out(weight).to_numpy())


def _row_numbers(X: pd.DataFrame) -> pd.Series:
    return pd.Series(np.arange(len(X)))
