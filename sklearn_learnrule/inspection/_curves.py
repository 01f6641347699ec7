"""Weights, psychometric curves and learning curves, of models and of animals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from ..data.schema import DESIGN
from ..data.sequences import identity_of, read_sequences, session_numbers, subjects_of
from ..metrics import predict_choices
from ..utils.arrays import Floats
from ._experience import check_not_own
from ._fits import Fit, read_fits, read_rule_fits
from ._probes import MANY_STIMULI

N_BINS = 10
OWN_COLUMNS = ("fit", "subject", "n_trials", "animal", "model")


def weight_trajectories(estimators: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the policy weights before each choice.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
        Of the result of ``cross_validate(..., return_estimator=True, return_indices=True)``,
        each fit gives the weights of the animals that it has not seen.
    X : DataFrame from :func:`~sklearn_learnrule.make_design`

    Returns
    -------
    DataFrame, one row a fit and trial
        ``fit``; ``subject``, ``session`` and ``trial`` as in X; ``weight_<name>`` of every weight.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> weight_trajectories(rule, X).tail(2).round(2)
         fit   subject  session  trial  weight_stimulus  weight_bias
    860    0  mouse_04        2    225             1.22        -0.02
    861    0  mouse_04        2    226             1.22        -0.02
    """
    tables = []
    for fit in read_rule_fits(estimators):
        rows = fit.held_out(X)
        weights = fit.final.predict_weights(fit.transform(rows)).add_prefix("weight_")
        tables.append(fit.named(identity_of(rows).join(weights.reset_index(drop=True))))
    return pd.concat(tables, ignore_index=True)


def psychometric_table(
    estimators: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    stimulus: str | None = None,
    by: str | pd.Series | None = None,
) -> pd.DataFrame:
    """Tabulate how often the second class is chosen at each stimulus, by model and animal.

    Parameters
    ----------
    estimators : fitted classifier, list, dict or cv results
        Any classifier with ``predict_proba``. Of the result of ``cross_validate(...,
        return_estimator=True, return_indices=True)``, each fit predicts the animals that it
        has not seen.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    stimulus : str or None, default=None
        The stimulus column; None: the first. If it has more than 25 values, they are put into
        ten bins of as many trials, each shown by its mean.
    by : None, "session" or Series with a value for each row of X, default=None
        What to tell apart: nothing, the animals' first, second, ... sessions, or anything
        else, such as stages of training.

    Returns
    -------
    DataFrame, one row a fit, animal, part and stimulus value
        ``fit``; ``subject``; the name of ``by`` if given; the stimulus; ``n_trials``;
        ``animal``, the share of choices of the second class; ``model``, the mean predicted
        probability of it.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> table = psychometric_table(rule, X, y)
    >>> table[["subject", "stimulus", "n_trials", "animal", "model"]].head(2).round(2)
        subject  stimulus  n_trials  animal  model
    0  mouse_01     -1.00        48    0.29   0.35
    1  mouse_01     -0.99        51    0.33   0.34
    """
    stimulus = _stimulus(X, stimulus)
    check_not_own([stimulus], OWN_COLUMNS)
    parts = pd.DataFrame({stimulus: _few_values(X[stimulus].to_numpy())})
    if isinstance(by, pd.Series):
        check_consistent_length(X, by)
        name: Any = by.name or "part"
        check_not_own([name], (*OWN_COLUMNS, stimulus))
        parts.insert(0, name, by.to_numpy())
    elif by == "session":
        parts.insert(0, "session", session_numbers(X))
    elif by is not None:
        raise ValueError(f"by should be None, 'session' or a Series, got {by!r}.")
    tables = []
    for fit in read_fits(estimators):
        trials, here = predict(fit, X, y), fit.held_out(parts).reset_index(drop=True)
        cell = [trials["subject"], *(here[name] for name in here)]
        curve = trials.groupby(cell, observed=True).agg(
            n_trials=("is_second", "size"), animal=("is_second", "mean"), model=("second", "mean")
        )
        tables.append(fit.named(curve.reset_index()))
    return pd.concat(tables, ignore_index=True)


def session_table(estimators: Any, X: pd.DataFrame, y: ArrayLike) -> pd.DataFrame:
    """Tabulate learning curves: correct choices of animal and model, and fit, by session.

    Parameters
    ----------
    estimators : fitted classifier, list, dict or cv results
        As in :func:`psychometric_table`.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`

    Returns
    -------
    DataFrame, one row a fit, animal and session
        ``fit``; ``subject``; ``session``, numbered from 1 within each animal; ``n_trials``;
        ``animal``, the share of correct choices, and ``model``, the mean predicted
        probability of a correct one, of the trials whose outcome X tells (all but an
        animal's last); ``log_likelihood`` (mean, nats per trial).

    Raises
    ------
    ValueError
        If X does not tell which choice was correct.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> table = session_table(rule, X, y)
    >>> table[["subject", "session", "animal", "model"]].head(2).round(2)
        subject  session  animal  model
    0  mouse_01        1    0.69   0.63
    1  mouse_01        2    0.83   0.76
    """
    answer = _answers(X)
    session = pd.Series(session_numbers(X))
    tables = []
    for fit in read_fits(estimators):
        trials = predict(fit, X, y)
        trials["session"] = fit.held_out(session).to_numpy()
        z = fit.held_out(answer).to_numpy()  # 0, 1 or NaN
        trials["animal"] = (trials["is_second"] == z).where(np.isfinite(z)).astype(float)
        trials["model"] = z * trials["second"] + (1 - z) * (1 - trials["second"])
        curve = trials.groupby(["subject", "session"], observed=True).agg(
            n_trials=("is_second", "size"),
            animal=("animal", "mean"),
            model=("model", "mean"),
            log_likelihood=("log_likelihood", "mean"),
        )
        tables.append(fit.named(curve.reset_index()))
    return pd.concat(tables, ignore_index=True)


def predict(fit: Fit, X: pd.DataFrame, y: ArrayLike) -> pd.DataFrame:
    """Return what was chosen and what was predicted, a row each that the fit is judged by."""
    check_consistent_length(X, y)
    rows = fit.held_out(X)
    predicted = predict_choices(fit.estimator, rows, fit.held_out(pd.Series(np.asarray(y))))
    predicted.insert(0, "subject", np.asarray(subjects_of(rows)))
    return predicted


def _stimulus(X: pd.DataFrame, name: str | None) -> str:
    stimuli = list(map(str, DESIGN.stimuli(X)))
    if name is not None and name not in stimuli:
        raise ValueError(f"stimulus should be one of {stimuli}, got {name!r}.")
    return stimuli[0] if name is None else name


def _few_values(values: Floats) -> Floats:
    """Return the values, or if they are many the means of the quantile bins they are in."""
    if len(np.unique(values)) <= MANY_STIMULI:
        return values
    bins = pd.qcut(values, N_BINS, labels=False, duplicates="drop")
    return pd.Series(values).groupby(bins).transform("mean").to_numpy()


def _answers(X: pd.DataFrame) -> pd.Series:
    """Return the correct choice of each row, 0 or 1, NaN where X does not tell."""
    sequences = read_sequences(X)
    sequences.check_answer_known("session_table")
    fields = sequences.fields
    is_known = fields.observed & (fields.answer != 0.5)
    return pd.Series(np.where(is_known, fields.answer, np.nan))
