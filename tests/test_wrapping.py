"""What stands inside of pipelines and searches."""

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import weight_trajectories
from sklearn_learnrule.metrics import choice_log_likelihood
from sklearn_learnrule.simulation import Twin
from sklearn_learnrule.utils.weights import weight_parameter
from sklearn_learnrule.utils.wrapping import final_estimator, has_search, split_transformers

pytestmark = BRIEFLY_TRAINED

RULE = lr.ReinforceRuleEstimator(baseline=None, max_epochs=1)
TANH = lr.TanhContrast()


def search(estimator):
    return GridSearchCV(estimator, {}, cv=lr.SubjectKFold(2))


WRAPPED = {
    "itself": RULE,
    "pipeline": make_pipeline(TANH, RULE),
    "search": search(RULE),
    "search of a pipeline": search(make_pipeline(TANH, RULE)),
    "pipeline around a search": make_pipeline(TANH, search(RULE)),
    "pipelines and a search": make_pipeline(TANH, search(make_pipeline(TANH, RULE))),
}


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(4, 60, random_state=0))
    return X, y


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_a_rule_is_found_in_whatever_wraps_it_before_and_after_the_fit(wrapped, cohort):
    assert final_estimator(wrapped) is RULE
    X, y = cohort
    fitted = wrapped.fit(X, y)
    transformers, rule = split_transformers(fitted)
    seen = X if transformers is None else transformers.transform(X)
    np.testing.assert_array_equal(rule.predict_proba(seen), fitted.predict_proba(X))
    np.testing.assert_array_equal(
        choice_log_likelihood(fitted, X, y), choice_log_likelihood(rule, seen, y)
    )
    weights = weight_trajectories(fitted, X)["weight_stimulus"]
    np.testing.assert_array_equal(weights, rule.predict_weights(seen)["stimulus"])
    assert Twin(fitted).estimator is rule


@pytest.mark.parametrize(
    ("wrapped", "name"),
    [
        (RULE, "sample_weight"),
        (search(RULE), "sample_weight"),
        (make_pipeline(TANH, RULE), "reinforceruleestimator__sample_weight"),
        (search(make_pipeline(TANH, RULE)), "reinforceruleestimator__sample_weight"),
        (make_pipeline(TANH, search(LogisticRegression())), "gridsearchcv__sample_weight"),
        (make_pipeline(TANH, KNeighborsClassifier()), None),
    ],
)
def test_weights_of_trials_reach_the_estimator_through_what_wraps_it(wrapped, name):
    assert weight_parameter(wrapped) == name


def test_a_search_is_found_at_the_end_of_a_pipeline():
    assert has_search(WRAPPED["pipelines and a search"])
    assert not has_search(WRAPPED["pipeline"])
