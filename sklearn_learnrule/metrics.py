"""Scores of predicted choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_softmax, softmax
from sklearn.utils import check_consistent_length

from .data.schema import of_labels
from .data.tables import label_texts, number_classes
from .utils.arrays import Bools, Floats, Ints
from .utils.texts import short
from .utils.wrapping import final_estimator

NATS_PER_BIT = float(np.log(2))
CHANCE = -NATS_PER_BIT
"""The log-likelihood per trial of a coin, in nats."""


def chance_of(table: pd.DataFrame) -> float:
    """Return the log-likelihood per trial of choices at random, in nats, as a table's are.

    One of more than two choices has a column ``n_choices``.

    Raises
    ------
    ValueError
        If these differ: then scores have no chance in common.

    Examples
    --------
    >>> chance_of(pd.DataFrame({"log_likelihood": [-0.5]})) == CHANCE
    True
    >>> round(chance_of(pd.DataFrame({"log_likelihood": [-0.5], "n_choices": 3})), 3)
    -1.099
    """
    if "n_choices" not in table:
        return CHANCE
    numbers = table["n_choices"].unique()
    if len(numbers) != 1:
        raise ValueError(
            "n_choices should be the same in all rows, for scores to be compared with chance, but "
            f"is {short(numbers.tolist())}."
        )
    return -float(np.log(numbers[0]))


def with_first(logits: Floats) -> Floats:
    """Return C > 2 classes' logits from those of all but the first, whose logit is 0.

    Examples
    --------
    >>> with_first(np.array([[2.0, -1.0]]))
    array([[ 0.,  2., -1.]])
    """
    return np.insert(logits, 0, 0.0, axis=1)


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
    if logits.ndim > max(1, np.ndim(chosen)):
        log_p = log_softmax(with_first(logits), axis=1)
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
    counts as that much, for any class, and no trial costs more than 36 nats.

    Parameters
    ----------
    estimator : fitted classifier with ``predict_proba``
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
    return read_predictions(estimator, X, y).log_likelihood


def predict_choices(estimator: Any, X: pd.DataFrame, y: ArrayLike) -> pd.DataFrame:
    """Tabulate what was chosen and what was predicted, a row a trial.

    Returns
    -------
    DataFrame of shape (n_rows, 3)
        ``is_second``, whether the second class was chosen; ``second``, the predicted probability
        of that; ``log_likelihood`` of :func:`choice_log_likelihood`. Of C > 2 classes, of shape
        (n_rows, C + 2): ``choice``, the class chosen, ``p_<class>`` of each, and the same.

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
    found = read_predictions(estimator, X, y)
    if len(found.classes) == 2:
        table = {"is_second": found.chosen == 1, "second": found.probability[:, 1]}
    else:
        table = {"choice": found.classes[found.chosen]}
        columns = of_labels("p_", label_texts(found.classes))
        table |= dict(zip(columns, found.probability.T, strict=True))
    return pd.DataFrame({**table, "log_likelihood": found.log_likelihood})


@dataclass(frozen=True)
class Predictions:
    """What was chosen on each of n trials, and what a classifier of C classes predicted."""

    classes: NDArray[Any]  # (C,)
    chosen: Ints  # (n,) the number of the class
    probability: Floats  # (n, C)
    log_likelihood: Floats  # (n,) of the choice made, in nats

    @property
    def likeliest_chosen(self) -> Bools:
        """Whether the likeliest class was chosen, the first of those as likely, (n,)."""
        return self.probability.argmax(1) == self.chosen


def read_predictions(estimator: Any, X: pd.DataFrame, y: ArrayLike) -> Predictions:
    """Return what was chosen and what was predicted; see :func:`choice_log_likelihood`."""
    check_consistent_length(X, y)
    labels, classes = np.asarray(y), np.asarray(estimator.classes_)
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} should have been fitted to at least two classes of "
            f"choices, but was fitted to {classes.tolist()}."
        )
    chosen = number_classes(labels, classes)
    if getattr(final_estimator(estimator), "decision_is_logit", False):
        probability, made = _by_logits(estimator.decision_function(X), chosen)
    else:
        probability = np.asarray(estimator.predict_proba(X))
        of_choice = np.take_along_axis(probability, chosen[:, None], 1)[:, 0]
        made = np.log(of_choice.clip(np.finfo(of_choice.dtype).eps))
    if np.isnan(made).any():
        row = int(np.argmax(np.isnan(made)))
        raise ValueError(
            f"{type(estimator).__name__} should predict a probability for every trial, but "
            f"predicts NaN at row {row} of {len(made)}: look for extreme values in X, or fit again."
        )
    return Predictions(classes, chosen, probability, made)


def _by_logits(logits: Floats, chosen: Ints) -> tuple[Floats, Floats]:
    """Return the classes' probabilities, and log P(choice), from a decision function."""
    if logits.ndim == 1:
        both = np.column_stack([expit(-logits), expit(logits)])
        return both, trial_log_likelihood(chosen, logits)
    return softmax(logits, axis=1), trial_log_likelihood(chosen, logits[:, 1:] - logits[:, :1])


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
