"""Tools of scikit-learn that would change an animal's past are refused, and say what to use."""

from __future__ import annotations

import timeit

import joblib
import numpy as np
import pytest
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators.misuse import refuse_changed_columns

# the networks here are hardly trained
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IMPORTANCE = (
    "scikit-learn's permutation_importance changes past stimuli, too, from which .* has learned, "
    r"and so answers another question: use sklearn_learnrule.inspection.column_importance\.$"
)
DEPENDENCE = (
    "scikit-learn's partial_dependence changes past stimuli, too, from which .* has learned, "
    r"and so answers another question: use sklearn_learnrule.inspection.psychometric_table\.$"
)
CONSTANT = lr.ConstantRuleEstimator()


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(4, 30, random_state=0))
    return X, y


@pytest.fixture(
    scope="module",
    params=[
        CONSTANT,
        lr.ChoiceRNNClassifier(max_epochs=1, n_ensemble=1, mirror=False, random_state=0),
        make_pipeline(lr.TanhContrast(), CONSTANT),
        GridSearchCV(CONSTANT, {"tol": [1e-6]}, cv=lr.SubjectKFold(2)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def fitted(request, cohort):
    return request.param.fit(*cohort)


@pytest.mark.parametrize("scoring", [None, "accuracy", ["neg_log_loss", "accuracy"]])
def test_permutation_importance_is_refused(fitted, scoring, cohort):
    with pytest.raises(ValueError, match=IMPORTANCE):
        permutation_importance(fitted, *cohort, scoring=scoring, n_repeats=1)


@pytest.mark.parametrize("how", [{}, {"response_method": "decision_function"}, {"kind": "both"}])
def test_partial_dependence_is_refused(fitted, how, cohort):
    with pytest.raises(ValueError, match=DEPENDENCE):
        partial_dependence(fitted, cohort[0], ["stimulus"], grid_resolution=3, **how)


def test_they_are_refused_in_workers_as_well(cohort):
    X, y = cohort
    rule = CONSTANT.fit(X, y)
    # a worker of any kind knows its own callers alone, and threads need no imports
    with joblib.parallel_config("threading", n_jobs=2):
        with pytest.raises(ValueError, match=DEPENDENCE):
            PartialDependenceDisplay.from_estimator(rule, X, ["stimulus"])
        with pytest.raises(ValueError, match=IMPORTANCE):
            permutation_importance(rule, X, y, scoring=LaterRefusal(), n_repeats=1)


class LaterRefusal:
    """A scorer that asks for no prediction of the rows as they were, in the calling process."""

    def __init__(self):
        self.is_first = True

    def __call__(self, estimator, X, y):
        first, self.is_first = self.is_first, False
        return 0.0 if first else estimator.score(X, y)


def test_other_estimators_and_other_uses_are_left_alone(cohort):
    X, y = cohort
    logistic = LogisticRegression().fit(X, y)
    assert np.isfinite(permutation_importance(logistic, X, y, n_repeats=1).importances).all()
    rule = CONSTANT.fit(X, y)
    assert np.isfinite(rule.score(X, y)) and rule.predict(X).shape == y.shape


def test_no_other_of_these_tools_is_overlooked(cohort):
    X = cohort[0].reset_index(drop=True)[["stimulus", "previous_reward"]]
    with pytest.warns(UserWarning, match="X has no subject identity"):
        rule = CONSTANT.fit(X.to_numpy(), cohort[1].to_numpy())
    with pytest.raises(ValueError, match="scikit-learn's decision_boundary changes past stimuli"):
        DecisionBoundaryDisplay.from_estimator(rule, X.to_numpy(), grid_resolution=5)


def test_looking_at_the_callers_takes_microseconds():
    assert min(timeit.repeat(lambda: refuse_changed_columns(""), number=100, repeat=5)) < 0.02
