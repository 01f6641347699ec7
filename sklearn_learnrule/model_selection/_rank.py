"""The ranked table of a comparison."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.stats import ttest_1samp

from ..data.tables import as_table
from ..metrics import NATS_PER_BIT, chance_of

REFERENCE = "REINFORCE"
NAMES = ("rule", "subject", "fold")
COLUMNS = (*NAMES, "log_likelihood")  # of a table of scores


def rank_rules(scores: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Rank rules by the held-out log-likelihood of :func:`compare_rules`.

    Animals count alike, however many trials each has. A rule that failed on a fold is not ranked
    by what is left: its scores are NaN, and ``n_failed`` says why.

    Parameters
    ----------
    scores : DataFrame from :func:`compare_rules`
    reference : str or None, default=None
        The rule that the others are compared with, in pairs across animals. None: "REINFORCE" if
        it is there, else the first.

    Returns
    -------
    DataFrame, one row a rule, best first
        ``log_likelihood`` (nats per trial), its ``standard_error`` across animals,
        ``bits_above_chance`` (per trial; above that of choosing at random), ``difference`` from the
        reference (nats per trial) and its ``p_value`` (two-sided paired t-test across animals; of
        one animal there is none), ``accuracy``, ``seconds`` (summed over folds), ``n_failed``
        (folds on which it failed).

    Examples
    --------
    >>> from sklearn_learnrule import (
    ...     ConstantRuleEstimator, PredictMaxRuleEstimator, compare_rules, make_design)
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "PredictMax": PredictMaxRuleEstimator()}
    >>> scores = compare_rules(rules, X, y, cv=3, verbose=0)
    >>> rank_rules(scores)[["log_likelihood", "difference", "n_failed"]].round(3)
                log_likelihood  difference  n_failed
    rule
    PredictMax          -0.667       0.007         0
    constant            -0.674       0.000         0
    """
    scores = read_scores(scores, (*COLUMNS, "accuracy", "seconds"))
    by_subject = scores_by_subject(scores)
    mean = by_subject.mean(skipna=False)
    differences = relative_to(scores, reference)
    several = len(differences) > 1
    failed = scores[scores["log_likelihood"].isna()].groupby("rule")["fold"].nunique()
    table = pd.DataFrame(
        {
            "log_likelihood": mean,
            "standard_error": by_subject.sem(skipna=False),
            "bits_above_chance": (mean - chance_of(scores)) / NATS_PER_BIT,
            "difference": differences.mean(skipna=False),
            "p_value": ttest_1samp(differences, 0.0).pvalue if several else np.nan,
            "accuracy": scores_by_subject(scores, "accuracy").mean(skipna=False),
            "seconds": scores.drop_duplicates(["rule", "fold"]).groupby("rule")["seconds"].sum(),
            "n_failed": failed.reindex(mean.index, fill_value=0),
        }
    ).rename_axis("rule")
    return table.sort_values("log_likelihood", ascending=False)


def read_scores(scores: Any, columns: Iterable[str]) -> pd.DataFrame:
    """Return a table of scores, of whatever library, as one of pandas; raise if it is none."""
    table = as_table(scores, "scores")
    if missing := [name for name in columns if name not in table]:
        raise ValueError(
            f"scores should be the table of compare_rules, but has no column {missing[0]!r}."
        )
    for name in columns:
        if name not in NAMES and not is_numeric_dtype(table[name]):
            raise ValueError(f"Column {name!r} of scores should be numeric.")
    return table


def relative_to(scores: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Return each animal's log-likelihood minus the reference's, (n_subjects, n_rules)."""
    scores = read_scores(scores, ("rule", "subject", "log_likelihood"))
    by_subject = scores_by_subject(scores)
    reference = choose_reference(scores["rule"].unique(), reference)
    return by_subject.sub(by_subject[reference], axis=0)


def choose_reference(names: Iterable[str], reference: str | None = None) -> str:
    """Return the rule to compare with: the one asked for, or REINFORCE, or the first.

    Examples
    --------
    >>> choose_reference(["constant", "REINFORCE", "DNN"])
    'REINFORCE'
    """
    names = list(names)
    if reference is None:
        return REFERENCE if REFERENCE in names else names[0]
    if reference not in names:
        raise ValueError(f"reference should be one of {names}, got {reference!r}.")
    return reference


def scores_by_subject(scores: pd.DataFrame, score: str = "log_likelihood") -> pd.DataFrame:
    """Lay a score out as (n_subjects, n_rules), NaN where a fold failed."""
    by_pair = scores.groupby(["subject", "rule"], observed=True)[score]
    return by_pair.agg(lambda folds: folds.mean(skipna=False)).unstack()
