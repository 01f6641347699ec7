"""What a rule is given on each fold, so that it is unrolled from every animal's first trial."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import check_cv

from ..data.sequences import subjects_of
from ..data.time_order import count_within
from ..utils.arrays import Bools, Floats
from ..utils.texts import short
from ..utils.weights import check_weight
from ._splits import Rows, SubjectKFold

N_FOLDS = 5


class Fold(NamedTuple):
    """Rows to fit and rows to predict from, each in full from the animals' first trials on."""

    fitted: Rows
    fitted_weight: Floats  # of these rows; 0: unrolled through
    given: Rows
    scored_weight: Floats  # of these rows; 0: unrolled through


def read_folds(
    cv: Any, X: pd.DataFrame, y: pd.Series, sample_weight: ArrayLike | None = None
) -> list[Fold]:
    """Return the folds of any splitter.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) or None
        As of :func:`compare_rules`.
    X : DataFrame of n_rows, from make_design
    y : Series of shape (n_rows,)
    sample_weight : array-like of shape (n_rows,) or None

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        If a fold trains on rows that it tests, on other rows of the same animal (but by
        :class:`FutureSplit` and :class:`MaskedTrials`), or has nothing to train or test on.
    TypeError
        If ``cv`` is a class.
    """
    subjects, names = pd.factorize(subjects_of(X))
    trial = count_within(subjects)
    weight = check_weight(sample_weight, len(X))
    may_share = getattr(cv, "unrolls_through", False)

    def through(chosen: Bools) -> tuple[Rows, Floats]:
        last = pd.Series(np.where(chosen, trial, -1)).groupby(subjects).transform("max")
        rows = np.flatnonzero(trial <= last)
        return rows, (weight * chosen)[rows]

    folds = []
    for number, fold in enumerate(_split(cv, X, y, len(names))):
        train, test = (_mask(rows, len(X), number) for rows in _pair(fold))
        if (train & test).any():
            raise ValueError(
                f"Row {int(np.argmax(train & test))} of X is in both parts of fold {number}: cv "
                "should test on other rows than it trains on."
            )
        shared = np.intersect1d(subjects[train], subjects[test])
        if len(shared) and not may_share:
            raise ValueError(
                f"Fold {number} of cv trains and tests on the same animal, "
                f"{short(names[shared[0]])}, whose neighbouring trials are too alike: split by "
                "animal (SubjectKFold, GroupKFold) or, within animals, use FutureSplit or "
                "MaskedTrials."
            )
        for part, rows in (("train", train), ("test", test)):
            if not (rows & (weight > 0)).any():
                raise ValueError(
                    f"Fold {number} of cv has no trial of weight above 0 to {part} on."
                )
        folds.append(Fold(*through(train), *through(test)))
    if not folds:
        raise ValueError("cv should yield at least one fold (train, test), but yields none.")
    return folds


def _split(cv: Any, X: pd.DataFrame, y: pd.Series, n_subjects: int) -> Any:
    if isinstance(cv, type):
        raise TypeError(
            f"cv should be a splitter, but is the class {cv.__name__}: write {cv.__name__}(...)."
        )
    if isinstance(cv, Iterable) and not isinstance(cv, str):
        return list(cv)
    if cv is None:
        cv = SubjectKFold(max(2, min(N_FOLDS, n_subjects)))
    elif isinstance(cv, numbers.Integral):
        cv = SubjectKFold(int(cv))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The groups parameter is ignored")  # where none is read
        return list(check_cv(cv).split(X, y, groups=np.asarray(subjects_of(X))))


def _pair(fold: Any) -> tuple[Any, Any]:
    try:
        train, test = fold
    except (TypeError, ValueError):
        raise ValueError(f"cv should yield pairs (train, test), got {short(fold)}.") from None
    return train, test


def _mask(rows: Any, n_rows: int, number: int) -> Bools:
    """Return whether each row of X is among these, which may be numbers or booleans."""
    mask = np.zeros(n_rows, dtype=bool)
    try:
        if np.size(rows):
            mask[np.asarray(rows)] = True
    except IndexError:
        raise ValueError(
            f"Fold {number} of cv should hold rows of X by number, 0 to {n_rows - 1}, but goes "
            "beyond: was it made for another X?"
        ) from None
    return mask
