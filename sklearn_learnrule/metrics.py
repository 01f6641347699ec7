"""Scores of predicted choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, log_softmax
from sklearn.utils import check_consistent_length

from .utils.arrays import Floats
from .utils.texts import short
from .utils.wrapping import final_estimator

NATS_PER_BIT = float(np.log(2))
CHANCE = -NATS_PER_BIT
"""The log-likelihood per trial of a coin, in nats."""


def trial_log_likelihood(chosen: ArrayLike, logits: ArrayLike) -> Floats:
    """Return log P(choice) of each trial in nats, from the logit of the second class.

    Of C > 2 classes, from the logits of each but the first, (n_rows, C - 1); ``chosen`` is the
    number of the class, 0, 1, ... C - 1.

    Examples
    --------
    >>> trial_log_likelihood([True, False], [2.0, 2.0]).round(3)
    array([-0.127, -2.127])
    """
    logits = np.asarray(logits)
    if logits.ndim > np.ndim(chosen):
        log_p = log_softmax(np.insert(logits, 0, 0.0, axis=1), axis=1)
        return np.take_along_axis(log_p, np.asarray(chosen, int)[:, None], 1)[:, 0]
    sign = np.where(chosen, 1.0, -1.0)
    return -np.logaddexp(0.0, -sign * logits)


def log_likelihood(chosen: ArrayLike, logits: ArrayLike, *, sample_weight: Any = None) -> float:
    """Return the mean log-likelihood in nats per trial, weighted by ``sample_weight``.

    Examples
    --------
    >>> round(log_likelihood([True, False], [2.0, 2.0]), 3)
    -1.127
    >>> log_likelihood([True, False], [0.0, 0.0]) == CHANCE  # a coin
    True
    """
    return float(np.average(trial_log_likelihood(chosen, logits), weights=sample_weight))


def choice_log_likelihood(estimator: Any, X: pd.DataFrame, y: ArrayLike) -> Floats:
    """Return log P(choice) of each trial, in nats, as any fitted classifier predicted it.

    This package's estimators, also at the end of a pipeline or within a search, tell the logit of
    the second class, which is exact however sure they are. Of other classifiers there is the
    probability of the choice made, and 1 - p has no digits below 2e-16: so less than that
    counts as that much, for either class, and no trial costs more than 36 nats.

    Parameters
    ----------
    estimator : fitted classifier of two classes with ``predict_proba``
    X : DataFrame of shape (n_rows, n_columns)
    y : array-like of shape (n_rows,)

    Returns
    -------
    array of shape (n_rows,)

    Raises
    ------
    ValueError
        If y holds another class than the estimator was fitted to, or a prediction is NaN.

    See Also
    --------
    sklearn_learnrule.inspection.log_likelihood_table : Of several fits, by trial or animal.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> choice_log_likelihood(rule, X, y).mean().item() == rule.score(X, y)
    True
    """
    return predict_choices(estimator, X, y)["log_likelihood"].to_numpy()


def predict_choices(estimator: Any, X: pd.DataFrame, y: ArrayLike) -> pd.DataFrame:
    """Tabulate what was chosen and what was predicted, a row a trial.

    Returns
    -------
    DataFrame of shape (n_rows, 3)
        ``is_second``, whether the second class was chosen; ``second``, the predicted probability
        of that; ``log_likelihood`` of :func:`choice_log_likelihood`.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> predict_choices(rule, X, y).head(2).round(3)
       is_second  second  log_likelihood
    0       True   0.484          -0.725
    1       True   0.504          -0.685
    """
    check_consistent_length(X, y)
    labels, classes = np.asarray(y), estimator.classes_
    if len(classes) != 2:
        raise ValueError(
            f"{type(estimator).__name__} should have been fitted to two classes of choices, but "
            f"was fitted to {classes.tolist()}."
        )
    unknown = ~np.isin(labels, classes)
    if unknown.any():
        raise ValueError(
            f"y should hold the classes {classes.tolist()}, but has {short(labels[unknown][0])}."
        )
    is_second = labels == classes[1]
    if getattr(final_estimator(estimator), "decision_is_logit", False):
        logits = estimator.decision_function(X)
        second, made = expit(logits), trial_log_likelihood(is_second, logits)
    else:
        probability = np.asarray(estimator.predict_proba(X))
        second = probability[:, 1]
        of_choice = np.where(is_second, second, probability[:, 0])
        made = np.log(of_choice.clip(np.finfo(of_choice.dtype).eps))
    if np.isnan(made).any():
        row = int(np.argmax(np.isnan(made)))
        raise ValueError(
            f"{type(estimator).__name__} should predict a probability for every trial, but "
            f"predicts NaN at row {row} of {len(made)}: look for extreme values in X, or fit again."
        )
    return pd.DataFrame({"is_second": is_second, "second": second, "log_likelihood": made})


def mean_by_subject(scores: pd.DataFrame, sample_weight: Floats) -> pd.DataFrame:
    """Average the trials' scores of each subject; those of weight 0 are not scored.

    Parameters
    ----------
    scores : DataFrame of shape (n_rows, 1 + n_scores)
        ``subject``, and the scores.
    sample_weight : array of shape (n_rows,)

    Returns
    -------
    DataFrame, one row a subject that is scored, in the order of their rows
        ``subject``; ``n_trials`` that are scored; the means of the scores, NaN if one is NaN.
    """
    names = [name for name in scores if name != "subject"]
    weighted = scores.assign(weight=sample_weight, **scores[names].mul(sample_weight, axis=0))
    scored = weighted[sample_weight > 0]
    subjects: Any = scored.groupby("subject", sort=False, observed=True)
    total = subjects[["weight", *names]].agg(lambda values: values.sum(skipna=False))
    means = total[names].div(total["weight"], axis=0)
    means.insert(0, "n_trials", subjects.size())
    return means.reset_index()
