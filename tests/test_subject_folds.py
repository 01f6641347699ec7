"""Folds of whole animals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

FOLDS = lr.SubjectKFold(3)


def rows_of(lengths, order=None):
    """An X of subjects with these lengths, which may stand in any order."""
    subjects = pd.Index([f"mouse {i}" for i in order or range(len(lengths))]).repeat(lengths)
    index = pd.MultiIndex.from_arrays([subjects, np.arange(sum(lengths))])
    return pd.DataFrame({"stimulus": 0.0}, index=index.set_names(["subject", "trial"]))


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(5, 80, random_state=0))[:2]


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=3, max_size=8),
    n_splits=st.integers(2, 3),
    shuffle=st.booleans(),
)
def test_each_subject_is_held_out_whole_and_once(lengths, n_splits, shuffle):
    X = rows_of(lengths)
    cv = lr.SubjectKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    held_out = []
    for train, test in cv.split(X):
        subjects = set(X.index[test].get_level_values("subject"))
        assert subjects.isdisjoint(X.index[train].get_level_values("subject"))
        assert sorted([*train, *test]) == list(range(len(X)))
        held_out += subjects
    assert len(held_out) == len(lengths)
    assert cv.get_n_splits() == n_splits


@pytest.mark.parametrize(
    "order",
    [
        [0, 1, 2, 3, 4],
        [3, 0, 4, 2, 1],
    ],
    ids=["sorted", "unsorted"],
)
@pytest.mark.parametrize("options", [{}, {"shuffle": True, "random_state": 3}])
def test_folds_are_those_of_group_k_fold_with_groups(order, options):
    X = rows_of([4, 4, 4, 4, 4], order)
    groups = X.index.get_level_values("subject")
    own = lr.SubjectKFold(2, **options).split(X)
    for folds in zip(own, GroupKFold(2, **options).split(X, groups=groups), strict=True):
        np.testing.assert_array_equal(*(test for _, test in folds))


def test_subjects_may_be_a_column_and_groups_are_not_read(cohort):
    X, y = cohort
    expected = [test.tolist() for _, test in FOLDS.split(X)]
    assert [test.tolist() for _, test in FOLDS.split(X.reset_index())] == expected
    others = np.arange(len(X)) % 3
    assert [test.tolist() for _, test in FOLDS.split(X, y, others)] == expected


def test_the_same_seed_shuffles_alike_and_another_otherwise(cohort):
    first, same, other = (
        [
            test.tolist()
            for _, test in lr.SubjectKFold(2, shuffle=True, random_state=s).split(cohort[0])
        ]
        for s in (0, 0, 1)
    )
    assert first == same != other


def test_more_folds_than_subjects_are_refused():
    message = "SubjectKFold cannot split 2 subjects into 3 folds: lower n_splits."
    with pytest.raises(ValueError, match=message):
        lr.SubjectKFold(3).split(rows_of([4, 4]))


@pytest.mark.parametrize("X", [np.zeros((6, 2)), pd.DataFrame({"stimulus": [0.0, 1.0]})])
def test_x_without_subjects_cannot_be_split(X):
    message = "X has no index level or column 'subject' to split by: build it with make_design."
    with pytest.raises(ValueError, match=message):
        lr.SubjectKFold(2).split(X)


FITTED_ON = []


class WatchedRuleEstimator(lr.ConstantRuleEstimator):
    """Notes down whom it was fitted on."""

    def fit(self, X, y):
        FITTED_ON.append(set(X.index.get_level_values("subject")))
        return super().fit(X, y)


def test_a_nested_search_never_sees_the_outer_folds_animals(cohort):
    X, y = cohort
    FITTED_ON.clear()
    starts = {"initial_weights": ["zeros", "psychometric"]}
    search = GridSearchCV(WatchedRuleEstimator(), starts, cv=lr.SubjectKFold(2))
    assert np.isfinite(cross_val_score(search, X, y, cv=FOLDS)).all()
    n_fits = 2 * 2 + 1  # two candidates on two inner folds, then the best on both
    for number, (train, _) in enumerate(FOLDS.split(X)):
        outer = set(X.index[train].get_level_values("subject"))
        *inner, refit = FITTED_ON[number * n_fits : (number + 1) * n_fits]
        assert all(subjects < outer for subjects in inner)
        assert refit == outer
    assert len(FITTED_ON) == 3 * n_fits
