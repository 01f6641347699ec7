"""scikit-learn's metadata routing: weights and groups reach whom they are meant for."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

RULE = lr.ConstantRuleEstimator()
FOLDS = GroupKFold(3)
TANH = lr.TanhContrast()
OF_PIPELINES = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="pipelines of earlier versions hand no weights on to scores",
)


@pytest.fixture(autouse=True)
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(6, 120, session_length=40, random_state=0))


@pytest.fixture(scope="module")
def weight(cohort):
    """Only the late trials count, when the animals know the task."""
    return (cohort[0].index.get_level_values("trial") >= 60).astype(float)


@pytest.fixture(scope="module")
def expected(cohort, weight):
    """The score on each fold of what was fitted with weights, by hand."""
    X, y, groups = cohort
    bent = TANH.fit_transform(X)
    scores = []
    for train, test in FOLDS.split(X, y, groups):
        fit = clone(RULE).fit(bent.iloc[train], y.iloc[train], weight[train])
        scores.append(fit.score(bent.iloc[test], y.iloc[test], weight[test]))
    return scores


def weighted():
    return clone(RULE).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)


def test_weights_and_groups_reach_folds_fits_and_scores(cohort, weight, expected):
    X, y, groups = cohort
    params = {"sample_weight": weight, "groups": groups}
    scores = cross_val_score(weighted(), TANH.fit_transform(X), y, cv=FOLDS, params=params)
    np.testing.assert_allclose(scores, expected)


@OF_PIPELINES
def test_they_reach_those_of_a_pipeline(cohort, weight, expected):
    X, y, groups = cohort
    pipeline = make_pipeline(TANH, weighted())
    params = {"sample_weight": weight, "groups": groups}
    scores = cross_validate(pipeline, X, y, cv=FOLDS, params=params)["test_score"]
    np.testing.assert_allclose(scores, expected)
    plain = cross_val_score(make_pipeline(TANH, RULE), X, y, cv=FOLDS, params={"groups": groups})
    assert (np.abs(plain - expected) > 1e-3).all()  # the weights matter


@OF_PIPELINES
def test_they_reach_those_of_a_search(cohort, weight, expected):
    X, y, groups = cohort
    grid = {"constantruleestimator__initial_weights": ["zeros"]}
    search = GridSearchCV(make_pipeline(TANH, weighted()), grid, cv=FOLDS)
    search.fit(X, y, sample_weight=weight, groups=groups)
    assert search.best_score_ == pytest.approx(np.mean(expected))
    late = clone(RULE).fit(TANH.fit_transform(X), y, weight)
    assert search.score(X, y, sample_weight=weight) == pytest.approx(
        late.score(TANH.fit_transform(X), y, weight)
    )


def test_weights_that_nobody_asked_for_are_an_error(cohort, weight):
    X, y, _ = cohort
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        cross_val_score(RULE, X, y, cv=lr.SubjectKFold(2), params={"sample_weight": weight})


def test_folds_by_subject_need_no_groups_and_ignore_them(cohort):
    X, y, groups = cohort
    cv = lr.SubjectKFold(3)
    scores = cross_val_score(RULE, X, y, cv=cv)
    np.testing.assert_array_equal(
        cross_val_score(RULE, X, y, cv=cv, params={"groups": groups[::-1]}), scores
    )


def test_a_comparison_scores_as_it_does_without_routing(cohort, weight):
    X, y, _ = cohort
    rules = {"rule": RULE, "pipeline": make_pipeline(TANH, RULE), "search": make_search()}
    how = {"cv": lr.FutureSplit(n_train=80, n_test=10), "sample_weight": weight, "verbose": 0}
    routed = lr.compare_rules(rules, X, y, **how)
    with config_context(enable_metadata_routing=False):
        plain = lr.compare_rules(rules, X, y, **how)
    assert routed["log_likelihood"].notna().all()
    assert routed.drop(columns="seconds").equals(plain.drop(columns="seconds"))


def make_search():
    return GridSearchCV(RULE, {"initial_weights": ["zeros", [0.5, 0.0]]}, cv=lr.SubjectKFold(2))
