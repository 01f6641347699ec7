"""What can be known to be wrong before a long fit is said before it."""

import re

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import compare_groups
from sklearn_learnrule.plotting import ComparisonDisplay, LearningCurveDisplay
from sklearn_learnrule.preprocessing import PolicyRegressors
from sklearn_learnrule.recovery import group_power

RULE = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"], max_epochs=1)
HABIT = make_pipeline(PolicyRegressors(win_stay=False, previous_stimulus=False), RULE)
pytestmark = BRIEFLY_TRAINED


@pytest.fixture(scope="module")
def design():
    trials = make_learning_cohort(4, 40, random_state=0)
    amounts = trials["reward"] * np.random.default_rng(0).uniform(size=len(trials))
    told = trials.assign(reward=amounts, half=(trials["subject"] > "mouse_02").astype(int))
    return lr.make_design(told, answer="answer", covariates="half")[:2]


class Unfittable(lr.ReinforceRuleEstimator):
    """Fails the test as soon as it is fitted."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("It was fitted before it was asked.")


def unfittable(rule):
    return Unfittable(**rule.get_params())


WRONG = {
    "no rewards": ({}, "outcomes (pairs of reward and correct or not), too many for a table: name"),
    "rewards": ({"rewards": "all"}, "rewards should be some finite numbers, got 'all'."),
    "one reward": ({"rewards": 1.0}, "rewards should be some finite numbers in a list, got 1.0."),
    "stimuli": ({"stimuli": {"tone": 1}}, "stimuli should name some of ['stimulus'], got 'tone'."),
    "a stimulus": ({"stimuli": "all"}, "The grid of 'stimulus' should be finite numbers, got 'all"),
    "weights": ({"weights": {"tone": 1}}, "weights should name some of ['stimulus', 'bias'], got"),
    "a weight": ({"weights": {"bias": []}}, "The grid of 'bias' should be finite numbers, got []."),
    "no dict": ({"weights": 0.0}, "weights should be a dict by name, got 0.0."),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_groups_are_asked_at_what_points_before_they_are_fitted(design, given, message):
    options = {"rewards": [0, 1], **given} if given else {}
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        compare_groups(unfittable(RULE), *design, "half", verbose=0, **options)


def test_a_weight_of_a_pipeline_may_be_named(design):
    options = {"rewards": [0, 1], "weights": {"choice_back": 0.0}, "verbose": 0}
    found = compare_groups(HABIT, *design, "half", **options)
    assert found.updates["weight_choice_back"].eq(0).all()
    with pytest.raises(ValueError, match=re.escape("['stimulus', 'bias'], got 'choice_back'")):
        compare_groups(unfittable(RULE), *design, "half", **options)


def test_what_a_search_may_choose_is_asked_after_it(design):
    both = {"policyregressors__previous_choice": [True, False]}
    folds = lr.SubjectKFold(2)
    search = GridSearchCV(HABIT, both, cv=folds)
    with pytest.raises(ValueError, match="stimuli should name some of"):
        compare_groups(search, *design, "half", rewards=[0, 1], stimuli={"tone": 1}, verbose=0)
    search = GridSearchCV(HABIT, {"policyregressors__previous_choice": [False]}, cv=folds)
    with pytest.raises(ValueError, match=re.escape("['stimulus', 'bias'], got 'choice_back'")):
        options = {"rewards": [0, 1], "weights": {"choice_back": 0.0}, "verbose": 0}
        compare_groups(search, *design, "half", **options)


def test_cohorts_that_are_paid_many_amounts_are_compared(design):
    X, y = design
    X = X.drop(columns="covariate_half")
    rule = clone(RULE).set_params(max_epochs=20).fit(X, y)
    how = {"n_subjects": 3, "n_repeats": 1, "random_state": 0, "verbose": 0}
    power = group_power(rule, X, reward="resample", **how)
    assert power.table["n_cohorts"].tolist() == [1, 1]


@pytest.mark.parametrize("display", [ComparisonDisplay, LearningCurveDisplay])
def test_a_reference_is_looked_for_before_rules_are_fitted(design, display):
    rules = {"REINFORCE": unfittable(RULE)}
    message = re.escape("reference should be one of ['REINFORCE'], got 'Q-learning'.")
    with pytest.raises(ValueError, match=message):
        display.from_estimator(rules, *design, reference="Q-learning", verbose=0)
