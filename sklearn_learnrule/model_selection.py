"""Splits by animal, and the comparison of rules on held-out animals."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ttest_1samp
from sklearn.base import ClassifierMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GroupKFold, check_cv
from tqdm import tqdm

from ._sequences import subjects_of
from .metrics import CHANCE, NATS_PER_BIT


class SubjectKFold(GroupKFold):
    """K folds of whole subjects, which are read from X: no ``groups`` to pass.

    Works wherever scikit-learn takes a ``cv``, nested search included.

    Parameters
    ----------
    n_splits : int, default=5
    shuffle : bool, default=False
    random_state : int, RandomState or None, default=None

    Examples
    --------
    >>> from sklearn_learnrule import make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 50, random_state=0))
    >>> for train, test in SubjectKFold(n_splits=2).split(X):
    ...     print(sorted(X.index[test].unique("subject")))
    ['mouse_02', 'mouse_03']
    ['mouse_01', 'mouse_04']
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None
    ) -> None:
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the rows of the training and the held-out subjects; ``groups`` is not used."""
        del groups
        subjects = subjects_of(X)
        n_subjects = subjects.nunique()
        if n_subjects < self.n_splits:
            raise ValueError(
                f"SubjectKFold cannot split {n_subjects} subjects into {self.n_splits} folds: "
                "lower n_splits."
            )
        return super().split(X, y, groups=pd.factorize(subjects, sort=True)[0])


def compare_rules(
    estimators: Mapping[str, Any],
    X: pd.DataFrame,
    y: pd.Series,
    *,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit every estimator on every training fold and score it on the held-out animals.

    Parameters
    ----------
    estimators : dict of str to classifier
        Any scikit-learn classifier with ``predict_proba``: on the same X it is a fair rival.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    cv : int, splitter, iterable of (train, test) or None, default=None
        None: ``SubjectKFold()``; an int: that many folds of subjects.
    n_jobs : int or None, default=None
        Fits at a time.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    DataFrame, one row an estimator and held-out subject
        ``rule``, ``subject``, ``fold``, ``n_trials``, ``log_likelihood`` (mean, nats per
        trial), ``accuracy``, ``seconds`` (of the fold's fit and prediction). An estimator
        that fails on a fold gets a ``FitFailedWarning`` and NaN there; the others go on.

    See Also
    --------
    rank_rules : The ranked table of these scores.
    """
    y = pd.Series(y, index=X.index) if not isinstance(y, pd.Series) else y
    folds = list(_splitter(cv).split(X, y, groups=np.asarray(subjects_of(X))))
    tasks = [
        joblib.delayed(_score_fold)(name, estimator, X, y, number, *fold)
        for name, estimator in estimators.items()
        for number, fold in enumerate(folds)
    ]
    scores = []
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    with tqdm(total=len(tasks), desc="compare", unit="fit", disable=not verbose) as bar:
        for score, error in parallel(tasks):
            rule, fold = score["rule"].iloc[0], score["fold"].iloc[0]
            if error:
                warnings.warn(f"{rule} failed on fold {fold}: {error}", FitFailedWarning, 2)
            scores.append(score)
            bar.set_postfix_str(f"{rule} {score['log_likelihood'].mean():.4f} nats")
            bar.update()
    table = pd.concat(scores)
    order = {name: i for i, name in enumerate(estimators)}
    return table.sort_values(
        ["rule", "fold"], key=lambda c: c.map(order) if c.name == "rule" else c, kind="stable"
    ).reset_index(drop=True)


def rank_rules(scores: pd.DataFrame, reference: str = "REINFORCE") -> pd.DataFrame:
    """Rank rules by the held-out log-likelihood of :func:`compare_rules`.

    Animals count alike, however many trials each has.

    Parameters
    ----------
    scores : DataFrame from :func:`compare_rules`
    reference : str, default="REINFORCE"
        The rule that the others are compared with, in pairs across animals.

    Returns
    -------
    DataFrame, one row a rule, best first
        ``log_likelihood`` (nats per trial), its ``standard_error`` across animals,
        ``bits_above_chance`` (per trial), ``difference`` from the reference (nats per trial) and
        its ``p_value`` (two-sided paired t-test across animals), ``accuracy``, ``seconds``
        (summed over folds).
    """
    by_subject = _by_subject(scores)
    mean = by_subject.mean(skipna=False)
    differences = relative_to(scores, reference)
    table = pd.DataFrame(
        {
            "log_likelihood": mean,
            "standard_error": by_subject.sem(skipna=False),
            "bits_above_chance": (mean - CHANCE) / NATS_PER_BIT,
            "difference": differences.mean(skipna=False),
            "p_value": ttest_1samp(differences, 0.0).pvalue,
            "accuracy": _by_subject(scores, "accuracy").mean(skipna=False),
            "seconds": scores.drop_duplicates(["rule", "fold"]).groupby("rule")["seconds"].sum(),
        }
    ).rename_axis("rule")
    return table.sort_values("log_likelihood", ascending=False)


def relative_to(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return each animal's log-likelihood minus the reference's, (n_subjects, n_rules)."""
    by_subject = _by_subject(scores)
    if reference not in by_subject:
        raise ValueError(f"reference should be one of {list(by_subject)}, got {reference!r}.")
    return by_subject.sub(by_subject[reference], axis=0)


def _by_subject(scores: pd.DataFrame, score: str = "log_likelihood") -> pd.DataFrame:
    """Lay a score out as (n_subjects, n_rules), NaN where a fold failed."""
    by_pair = scores.groupby(["subject", "rule"], observed=True)[score]
    return by_pair.agg(lambda folds: folds.mean(skipna=False)).unstack()


def _splitter(cv: Any) -> Any:
    if cv is None or isinstance(cv, int | np.integer):
        return SubjectKFold(5 if cv is None else int(cv))
    return check_cv(cv)


def _score_fold(
    name: str,
    estimator: ClassifierMixin,
    X: pd.DataFrame,
    y: pd.Series,
    fold: int,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> tuple[pd.DataFrame, str | None]:
    """Score one estimator on one fold, a row a subject, with the error if it failed."""
    start, error = time.perf_counter(), None
    made = correct = np.full(len(test), np.nan)
    try:
        fitted: Any = clone(estimator).fit(X.iloc[train], y.iloc[train])
        probability = fitted.predict_proba(X.iloc[test])
        chosen = np.searchsorted(fitted.classes_, y.iloc[test])
        made = np.clip(probability[np.arange(len(test)), chosen], np.finfo(float).tiny, None)
        correct = (probability.argmax(1) == chosen).astype(float)
    except Exception as failure:  # one bad rule must not lose the others' hours
        error = f"{type(failure).__name__}: {failure}"
    trials = pd.DataFrame(
        {"subject": subjects_of(X)[test], "log_likelihood": np.log(made), "accuracy": correct}
    )
    by_subject = trials.groupby("subject", sort=False, observed=True)
    score = by_subject.mean().reset_index()
    score.insert(0, "rule", name)
    score.insert(2, "fold", fold)
    score.insert(3, "n_trials", by_subject.size().to_numpy())
    return score.assign(seconds=time.perf_counter() - start), error
