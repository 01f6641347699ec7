"""Which columns the choices hang on: what is lost if one of them tells nothing."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from ..data.sequences import Sequences
from ..metrics import trial_log_likelihood
from ..utils.arrays import Floats, Ints
from ._fits import RuleFit, read_rule_fits


def column_importance(
    estimators: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    n_repeats: int = 10,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Tabulate how much worse choices are predicted if a column tells nothing of the trial.

    On each trial, one column's value is exchanged for that of another trial of the same animal,
    drawn at random, while the animal's past, and so its weights, stay as they were. (Scikit-learn's
    ``permutation_importance`` exchanges the values of all trials of X at once. So the rule learns
    from a past that never was, at animals that never met such stimuli, and the loss is of both
    together.)

    A column has no importance if the animal does not use it: whether it will learn to is not asked.
    Of two columns that say the same, either may have little.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
        Of the result of ``cross_validate(..., return_estimator=True, return_indices=True)``,
        each animal is judged by the fit that has not seen it, as importance should be: fits that
        have seen the choices may hang on columns that tell nothing of others.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    n_repeats : int, default=10
        How often values are exchanged; the table has the mean.
    random_state : int, RandomState or None, default=0
        The same gives an animal the same exchanges in any company.

    Returns
    -------
    DataFrame, one row a fit, animal and column
        ``fit``; ``subject``; ``column``, a policy weight's name but for the bias, that is a column
        as the rule estimator sees X; ``n_trials``; ``log_likelihood``, as predicted, ``permuted``,
        with the column's values exchanged, and ``importance``, the first less the second (means,
        nats per trial).

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(10, 500, random_state=0))
    >>> X["noise"] = np.random.RandomState(0).standard_normal(len(X))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> table = column_importance(rule, X, y)
    >>> table.groupby("column", sort=False)["importance"].mean().round(2)
    column
    stimulus    0.27
    noise       0.00
    Name: importance, dtype: float64
    """
    check_scalar(n_repeats, "n_repeats", numbers.Integral, min_val=1)
    check_consistent_length(X, y)
    labels = pd.Series(np.asarray(y), X.index)
    seed = check_random_state(random_state).randint(2**31)
    tables = []
    for fit in read_rule_fits(estimators):
        table = _of_fit(fit, fit.held_out(X), fit.held_out(labels), n_repeats, seed)
        tables.append(fit.named(table))
    return pd.concat(tables, ignore_index=True)


def _of_fit(fit: RuleFit, X: pd.DataFrame, y: pd.Series, n_repeats: int, seed: int) -> pd.DataFrame:
    final = fit.final
    sequences, chosen = final.read_choices(fit.transform(X), y)
    paths = final.predict_paths(sequences)

    def by_subject(features: Floats) -> Floats:
        """Return the mean log-likelihood where the weights meet these features, (N,)."""
        logits = final.policy_logits(paths, features)
        totals = np.bincount(sequences.row_subject, trial_log_likelihood(chosen, logits))
        return totals / n_trials

    n_trials, seen = sequences.n_trials, sequences.fields.features
    names = fit.weight_names[:-1]
    permuted = np.zeros((len(n_trials), len(names)))
    for repeat in range(n_repeats):
        taken = _exchange(sequences, seed, repeat)
        for k in range(len(names)):
            features = seen.copy()  # (n_rows, K)
            features[:, k] = seen[taken, k]
            permuted[:, k] += by_subject(features) / n_repeats
    table = pd.DataFrame({"subject": sequences.subjects.repeat(len(names))})
    table["column"] = np.tile(names, len(n_trials))
    table["n_trials"] = n_trials.repeat(len(names))
    table["log_likelihood"] = by_subject(seen).repeat(len(names))
    table["permuted"] = permuted.ravel()
    return table.assign(importance=table["log_likelihood"] - table["permuted"])


def _exchange(sequences: Sequences, seed: int, repeat: int) -> Ints:
    """Return from which row each row takes its value, one of the same animal's, at random."""
    taken = np.arange(len(sequences.row_subject))
    names = pd.util.hash_array(np.asarray(sequences.subjects.map(str), dtype=object))
    for subject, name in enumerate(names):
        rows = np.flatnonzero(sequences.row_subject == subject)
        taken[rows] = np.random.default_rng([seed, repeat, int(name)]).permutation(rows)
    return taken
