"""Splits of trials into what is fitted and what is scored: by animal, or within animals."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold
from sklearn.utils import check_random_state, check_scalar

from ..data.sequences import subjects_of
from ..data.time_order import count_within
from ..utils.arrays import Ints
from ..utils.documentation import LinksToDocumentation
from ..utils.texts import short
from ..utils.warn import warn

Rows = Ints
ONE_ANIMAL = (
    "There is one animal, and none to hold out: score its later trials, "
    "cv=FutureSplit(n_train=...), or some at random, cv=MaskedTrials()."
)


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

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield the rows of the training and the held-out subjects; ``groups`` is not used."""
        del groups
        subjects = subjects_of(X)
        n_subjects = subjects.nunique()
        if n_subjects == 1:
            raise ValueError(ONE_ANIMAL)
        if n_subjects < self.n_splits:
            raise ValueError(
                f"SubjectKFold cannot split {n_subjects} subjects into {self.n_splits} folds: "
                "lower n_splits."
            )
        return super().split(X, y, groups=pd.factorize(subjects, sort=True)[0])


class FutureSplit(LinksToDocumentation, BaseEstimator):
    """One split in time: each animal's first trials are fitted, its next ones scored.

    For :func:`compare_rules`, which knows that a rule has to be unrolled from an animal's first
    trial: rules are fitted to the first ``n_train`` trials of every animal, then go through
    these once more and on through the next ``n_test``, of which alone they are scored, one step
    ahead. No choice among the scored trials is known to the fit; at trial t the choices
    before t are known, as always. Animals are not held out: the question is how well a rule
    that was fitted to these animals foretells them.

    In ``cross_val_score`` the scored rows would start late, which rule estimators refuse: an
    error, or NaN with a warning that says so, as ``error_score`` has it.

    Parameters
    ----------
    n_train : int
        Trials of each animal to fit. One that has no more is fitted, and not scored; a warning
        tells of animals that have fewer than ``n_test`` trials to score.
    n_test : int or None, default=None
        Trials to score after them; None: all that the animal has.

    Examples
    --------
    >>> from sklearn_learnrule import ConstantRuleEstimator, compare_rules, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(2, 300, random_state=0))
    >>> cv = FutureSplit(n_train=200, n_test=50)
    >>> scores = compare_rules([ConstantRuleEstimator()], X, y, cv=cv, verbose=0)
    >>> scores[["subject", "n_trials"]]
        subject  n_trials
    0  mouse_01        50
    1  mouse_02        50
    """

    unrolls_through: ClassVar[bool] = True

    def __init__(self, n_train: int, n_test: int | None = None) -> None:
        self.n_train = n_train
        self.n_test = n_test

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield the rows of the first trials and of the next; ``y``, ``groups`` are not used."""
        del y, groups
        check_scalar(self.n_train, "n_train", numbers.Integral, min_val=1)
        if self.n_test is not None:
            check_scalar(self.n_test, "n_test", numbers.Integral, min_val=1)
        trial = count_within(pd.factorize(subjects_of(X))[0])
        fitted = trial < self.n_train
        scored = ~fitted & (trial < self.n_train + (self.n_test or len(trial)))
        if not scored.any():
            raise ValueError(
                f"FutureSplit scores trials after the first {self.n_train} of an animal, but the "
                f"longest has {trial.max() + 1}: lower n_train."
            )
        n_scored = pd.Series(scored).groupby(np.asarray(subjects_of(X)), sort=False).sum()
        few = n_scored[n_scored < (self.n_test or 1)]
        if len(few):
            warn(
                f"FutureSplit: {len(few)} of {len(n_scored)} animals (first "
                f"{short(few.index[0])}: {few.iloc[0]}) have fewer than {self.n_test or 1} "
                f"trials to score after the first {self.n_train}.",
            )
        yield np.flatnonzero(fitted), np.flatnonzero(scored)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1."""
        del X, y, groups
        return 1


class MaskedTrials(LinksToDocumentation, BaseEstimator):
    """Trials at random, of every animal, that are not fitted and alone are scored.

    For :func:`compare_rules`, which gives rules every trial, fits them to the choices of those
    that are not masked, and scores the masked ones. A masked choice is not in the likelihood
    that is fitted. But it happened, and the animal learned from it: so the trial after it knows
    it, in fitting as in testing, from ``previous_choice`` and ``previous_reward``. Thus the
    scores are of one step ahead among trials that are otherwise known, and neighbours are
    alike: they are higher than on animals never seen, and tell how well a rule describes these
    animals, not how well it generalises. What does not read ``sample_weight`` sees masked choices,
    such as a transformer that is fitted to y. A search (such as
    ``GridSearchCV``), which would choose by them, is refused.

    In ``cross_val_score`` the rows would have holes, which rule estimators refuse.

    Parameters
    ----------
    share : float, default=0.1
        Of each animal's trials, at least one of an animal with two or more.
    n_splits : int, default=5
        Times that trials are drawn anew; an animal's score is the mean over these.
    random_state : int, RandomState or None, default=None
        Draws the trials.

    Examples
    --------
    >>> from sklearn_learnrule import ConstantRuleEstimator, compare_rules, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(1, 300, random_state=0))
    >>> cv = MaskedTrials(share=0.1, n_splits=2, random_state=0)
    >>> scores = compare_rules([ConstantRuleEstimator()], X, y, cv=cv, verbose=0)
    >>> scores[["subject", "fold", "n_trials"]]
        subject  fold  n_trials
    0  mouse_01     0        28
    1  mouse_01     1        28
    """

    unrolls_through: ClassVar[bool] = True

    def __init__(self, share: float = 0.1, n_splits: int = 5, random_state: Any = None) -> None:
        self.share = share
        self.n_splits = n_splits
        self.random_state = random_state

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield the rows that are fitted and the masked ones; ``y``, ``groups`` are not used."""
        del y, groups
        check_scalar(
            self.share, "share", numbers.Real, min_val=0, max_val=1, include_boundaries="neither"
        )
        check_scalar(self.n_splits, "n_splits", numbers.Integral, min_val=1)
        codes = pd.factorize(subjects_of(X))[0]
        n_trials = np.bincount(codes)[codes]
        n_masked = np.clip(np.rint(self.share * n_trials), 1, n_trials - 1)
        if not n_masked.any():
            raise ValueError("MaskedTrials needs an animal of at least 2 trials, but each has 1.")
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            drawn = pd.Series(rng.permutation(len(codes)))
            masked = drawn.groupby(codes).rank().to_numpy() <= n_masked
            yield np.flatnonzero(~masked), np.flatnonzero(masked)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return ``n_splits``."""
        del X, y, groups
        return self.n_splits
