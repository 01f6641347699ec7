"""Weights, psychometric curves and learning curves, of models and of animals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from ..data.schema import DESIGN
from ..data.sequences import identity_of, read_sequences, session_numbers, subjects_of
from ..data.stimuli import are_indicators
from ..metrics import Predictions, read_predictions
from ..utils.arrays import Floats
from ..utils.does_not_apply import DoesNotApply
from ..utils.texts import settings, short
from ._choices import weight_table
from ._experience import check_not_own
from ._fits import Fit, read_fits, read_rule_fits
from ._probes import MANY_STIMULI

N_BINS = 10
OWN_COLUMNS = ("fit", "subject", "choice", "n_trials", "animal", "model", "n_choices")


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
        Of more than two choices, a row for each: ``choice``, and its weights less their mean over
        choices, so that none is a reference.

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
        weights = fit.final.predict_weights(fit.transform(rows)).to_numpy(copy=True)
        of_choices = weight_table(fit, "choice", weight=torch.tensor(weights))
        tables.append(fit.named(identity_of(rows).reset_index(drop=True).join(of_choices)))
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

    Of more than two choices, how often each is.

    Parameters
    ----------
    estimators : fitted classifier, list, dict or cv results
        Any classifier with ``predict_proba``. Of the result of ``cross_validate(...,
        return_estimator=True, return_indices=True)``, each fit predicts the animals that it
        has not seen.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    stimulus : str or None, default=None
        The stimulus column; None: the first. If it has more than 25 values, they are put into
        ten bins of as many trials, each shown by its mean. Of labels and what else is 0 or 1,
        or more than two choices, None is all stimuli that differ in any of several columns, if
        these are 25 at most: they are called as "left = 1" in a column ``stimulus``.
    by : None, "session" or Series with a value for each row of X, default=None
        What to tell apart: nothing, the animals' first, second, ... sessions, or anything
        else, such as stages of training.

    Returns
    -------
    DataFrame, one row a fit, animal, part and stimulus value
        ``fit``; ``subject``; the name of ``by`` if given; the stimulus; ``n_trials``;
        ``animal``, the share of choices of the second class; ``model``, the mean predicted
        probability of it. Of more than two choices, a row for each: ``choice``, how often this is
        chosen, and ``n_choices``.

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
    fits = read_fits(estimators)
    each = fits[0].n_choices > 2 or are_indicators(X[DESIGN.stimuli(X)])
    shown = _all_stimuli(X) if stimulus is None and each else None
    if shown is None:
        stimulus = _stimulus(X, stimulus)
        check_not_own([stimulus], OWN_COLUMNS)
        shown = pd.Series(_few_values(X[stimulus].to_numpy()), name=stimulus)
    parts = shown.to_frame()
    if isinstance(by, pd.Series):
        check_consistent_length(X, by)
        name: Any = by.name or "part"
        check_not_own([name], (*OWN_COLUMNS, str(shown.name)))
        parts.insert(0, name, by.to_numpy())
    elif by == "session":
        parts.insert(0, "session", session_numbers(X))
    elif by is not None:
        raise ValueError(f"by should be None, 'session' or a Series, got {by!r}.")
    tables = []
    for fit in fits:
        (subject, found), here = predict(fit, X, y), fit.held_out(parts).reset_index(drop=True)
        here.insert(0, "subject", subject)
        if len(found.classes) == 2:
            table = _shares(found, here, 1)
        else:
            of_each = {c: _shares(found, here, number) for number, c in enumerate(found.classes)}
            table = pd.concat(of_each, names=["choice"]).assign(n_choices=len(of_each))
        tables.append(fit.named(table.reset_index()))
    return pd.concat(tables, ignore_index=True)


def _shares(found: Predictions, cells: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return how often a class is chosen, and predicted to be, in each cell that has trials."""
    did = {"chosen": found.chosen == number, "predicted": found.probability[:, number]}
    trials = pd.DataFrame(did).groupby([cells[name] for name in cells], observed=True)
    return trials.agg(
        n_trials=("chosen", "size"), animal=("chosen", "mean"), model=("predicted", "mean")
    )


def session_table(
    estimators: Any, X: pd.DataFrame, y: ArrayLike, *, by: pd.Series | None = None
) -> pd.DataFrame:
    """Tabulate learning curves: correct choices of animal and model, and fit, by session.

    Parameters
    ----------
    estimators : fitted classifier, list, dict or cv results
        As in :func:`psychometric_table`.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    by : Series with a number for each row of X or None, default=None
        Of what, in place of sessions: such as the trial of a block, where learning begins anew in
        each, ``X.groupby(["subject", "restart"]).cumcount().rename("trial of the block")``.

    Returns
    -------
    DataFrame, one row a fit, animal and session
        ``fit``; ``subject``; ``session``, numbered from 1 within each animal, or the name of
        ``by`` ("part" if it has none); ``n_trials``;
        ``animal``, the share of correct choices, and ``model``, the mean predicted
        probability of a correct one, of the trials whose outcome X tells (all but an
        animal's last); ``log_likelihood`` (mean, nats per trial); of more than two choices,
        ``n_choices``. If X does not tell which choices were correct, ``animal`` is the mean reward
        and ``model`` NaN.

    Raises
    ------
    ValueError
        If ``by`` is not a Series of numbers.

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
    outcomes, tells_correct = _outcomes(X)
    part = _parts(X, by)
    tables = []
    for fit in read_fits(estimators):
        subject, found = predict(fit, X, y)
        z, reward = fit.held_out(outcomes).to_numpy().T
        known = np.isfinite(z) & tells_correct
        of_answer = found.probability[np.arange(len(z)), np.where(known, z, 0).astype(int)]
        trials = {
            "animal": np.where(known, found.chosen == z, np.nan) if tells_correct else reward,
            "model": np.where(known, of_answer, np.nan),
            "log_likelihood": found.log_likelihood,
        }
        cell = {"subject": subject, str(part.name): fit.held_out(part).to_numpy()}
        by_part = pd.DataFrame({**cell, **trials}).groupby([*cell], observed=True)
        curve = by_part[[*trials]].mean()
        curve.insert(0, "n_trials", by_part.size())
        if len(found.classes) > 2:
            curve["n_choices"] = len(found.classes)
        tables.append(fit.named(curve.reset_index()))
    return pd.concat(tables, ignore_index=True)


def _parts(X: pd.DataFrame, by: pd.Series | None) -> pd.Series:
    """Return of which session each row is, or part of what is asked for instead."""
    if by is None:
        return pd.Series(session_numbers(X), name="session")
    if not isinstance(by, pd.Series) or not pd.api.types.is_numeric_dtype(by):
        raise ValueError(f"by should be a Series of numbers, one a row of X, got {short(by)}.")
    check_consistent_length(X, by)
    name = str(by.name or "part")
    check_not_own([name], (*OWN_COLUMNS, "log_likelihood"))
    return pd.Series(by.to_numpy(), name=name)


def predict(fit: Fit, X: pd.DataFrame, y: ArrayLike) -> tuple[NDArray[Any], Predictions]:
    """Return the subject, and what was chosen and predicted, of rows that the fit is judged by."""
    check_consistent_length(X, y)
    rows, labels = fit.held_out(X), fit.held_out(pd.Series(np.asarray(y)))
    return np.asarray(subjects_of(rows)), read_predictions(fit.estimator, rows, labels)


def _stimulus(X: pd.DataFrame, name: str | None) -> str:
    stimuli = list(map(str, DESIGN.stimuli(X)))
    if name is not None and name not in stimuli:
        raise ValueError(f"stimulus should be one of {stimuli}, got {name!r}.")
    if not stimuli:
        raise DoesNotApply(
            "A psychometric curve is of what was shown, and nothing was",
            "how often each choice is made, session_table and predictive_check tell",
        )
    return stimuli[0] if name is None else name


def _all_stimuli(X: pd.DataFrame) -> pd.Series | None:
    """Return what was shown on each trial, by several columns, in words; None if it is too much."""
    names = DESIGN.stimuli(X)
    each = X[names]
    met = each.drop_duplicates().sort_values(names, ascending=False)
    if len(names) == 1 or len(met) > MANY_STIMULI:
        return None
    texts, in_order = (list(map(settings, table.to_dict("records"))) for table in (each, met))
    categories = list(dict.fromkeys(in_order))
    return pd.Series(pd.Categorical(texts, categories, ordered=True), name="stimulus")


def _few_values(values: Floats) -> Floats:
    """Return the values, or if they are many the means of the quantile bins they are in."""
    if len(np.unique(values)) <= MANY_STIMULI:
        return values
    bins = pd.qcut(values, N_BINS, labels=False, duplicates="drop")
    return pd.Series(values).groupby(bins).transform("mean").to_numpy()


def _outcomes(X: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Return each row's correct choice, 0, 1, ..., and reward; and whether X tells the first.

    They are NaN where they are not known.
    """
    sequences = read_sequences(X)
    fields = sequences.fields
    has_answer = fields.observed & (fields.answer != 0.5)
    outcomes = {
        "answer": np.where(has_answer, fields.answer, np.nan),
        "reward": np.where(fields.told, fields.reward, np.nan),
    }
    return pd.DataFrame(outcomes), sequences.answer_known
