"""How many animals a rule needs: held-out likelihood by the number of animals fitted."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from ..data.sequences import subjects_of
from ..utils.arrays import Ints
from ._compare import compare_rules
from ._folds import Fold, read_folds
from ._splits import Rows


def animal_learning_curve(
    estimators: Mapping[str, Any] | Sequence[Any],
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    n_subjects: Sequence[int] | None = None,
    cv: Any = None,
    n_repeats: int = 1,
    random_state: int | np.random.RandomState | None = None,
    sample_weight: ArrayLike | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit every estimator to more and more animals, and score it on the same held-out ones.

    It tells whether more animals would help, and which rules need many: a network may lose to a
    textbook rule in a few animals and win in more.

    Parameters
    ----------
    estimators, X, y : see :func:`compare_rules`
    n_subjects : sequence of int or None, default=None
        Numbers of animals to fit. None: 2, 4, 8, ... and all that the folds leave to fit.
    cv : int, splitter by animal, iterable of (train, test) or None, default=None
        Who is held out, see :func:`compare_rules`.
    n_repeats : int, default=1
        Times that the fitted animals of each fold are drawn anew. Those of a smaller number are
        among those of a larger one; if all of a fold are taken, there is but one draw.
    random_state : int, RandomState or None, default=None
        Draws the animals. With a ``cache``, give an int to find kept fits again.
    sample_weight, cache, n_jobs, verbose : see :func:`compare_rules`

    Returns
    -------
    DataFrame, one row an estimator, number of animals fitted, draw and held-out animal
        The columns of :func:`compare_rules`, and after ``rule``: ``n_subjects`` and ``repeat``.

    See Also
    --------
    sklearn_learnrule.plotting.LearningCurveDisplay : Draws the table.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(8, 300, random_state=0))
    >>> rules = {"REINFORCE": ReinforceRuleEstimator(baseline=None)}
    >>> curve = animal_learning_curve(
    ...     rules, X, y, n_subjects=[1, 4], cv=2, n_repeats=2, random_state=0, verbose=0
    ... )
    >>> curve.groupby(["n_subjects", "repeat"]).size().to_dict()
    {(1, 0): 8, (1, 1): 8, (4, 0): 8}
    """
    check_consistent_length(X, y)
    check_scalar(n_repeats, "n_repeats", numbers.Integral, min_val=1)
    subjects = np.asarray(subjects_of(X))
    labels = pd.Series(np.asarray(y), X.index)
    read = read_folds(cv, X, labels, sample_weight)
    draws, folds = _draw(read, subjects, n_subjects, n_repeats, check_random_state(random_state))
    options: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "cache": cache}
    scores = compare_rules(estimators, X, labels, cv=folds, sample_weight=sample_weight, **options)
    return _named(scores, draws)


def _draw(
    read: list[Fold],
    subjects: NDArray[Any],
    n_subjects: Sequence[int] | None,
    n_repeats: int,
    rng: np.random.RandomState,
) -> tuple[Ints, list[tuple[Rows, Rows]]]:
    """Return what each draw of animals is of, fold, repeat and number, and its (train, test)."""
    draws, folds = [], []
    pools = [pd.unique(subjects[fold.fitted]) for fold in read]
    sizes = _sizes(n_subjects, min(map(len, pools)))
    for number, (fold, pool) in enumerate(zip(read, pools, strict=True)):
        scored = fold.given[fold.scored_weight > 0]
        if np.isin(pool, subjects[scored]).any():
            raise ValueError("A learning curve in animals holds animals out: give a cv by animal.")
        for repeat in range(n_repeats):
            order = rng.permutation(pool)
            for size in sizes:
                if repeat and size == len(pool):
                    continue  # all of them once more
                drawn = np.isin(subjects[fold.fitted], order[:size])
                folds.append((fold.fitted[drawn], scored))
                draws.append((number, repeat, size))
    return np.array(draws), folds


def _sizes(n_subjects: Sequence[int] | None, most: int) -> list[int]:
    if n_subjects is None:
        return [*(2**k for k in range(1, most.bit_length()) if 2**k < most), most]
    sizes = sorted({int(size) for size in n_subjects})
    if not sizes or sizes[0] < 1 or sizes[-1] > most:
        raise ValueError(
            f"n_subjects should be numbers of animals to fit, from 1 to the {most} that every fold "
            f"leaves, got {list(n_subjects)}."
        )
    return sizes


def _named(scores: pd.DataFrame, draws: Ints) -> pd.DataFrame:
    """Say of each row which draw it is of."""
    fold, repeat, size = draws[scores["fold"]].T
    scores = scores.assign(fold=fold)
    scores.insert(1, "n_subjects", size)
    scores.insert(2, "repeat", repeat)
    order = scores["rule"].map({rule: i for i, rule in enumerate(scores["rule"].unique())})
    by = [scores["fold"], scores["repeat"], scores["n_subjects"], order]
    return scores.iloc[np.lexsort(by)].reset_index(drop=True)
