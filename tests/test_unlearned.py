"""Weights of the policy that the rule neither sees nor moves."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import nearest_rules, sparse_rule

pytestmark = BRIEFLY_TRAINED

LATER = ["choice_back", "win_stay", "stimulus_back"]
QUICK = {"max_epochs": 20, "lr": 0.01, "n_ensemble": 1, "mirror": False, "random_state": 0}
QUICK |= {"hidden_sizes": (8,)}


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(5, 120, random_state=0))
    return lr.PolicyRegressors().fit_transform(X), y


def test_a_column_of_zeros_that_the_rule_does_not_see_changes_nothing(cohort):
    X, y = cohort
    plain = X.drop(columns=LATER)
    wide = plain.assign(zeros=0.0)
    expected = lr.ReinforceRuleEstimator(forgetting=True).fit(plain, y)
    found = lr.ReinforceRuleEstimator(forgetting=True, unlearned=["zeros"]).fit(wide, y)
    assert_allclose(found.decision_function(wide), expected.decision_function(plain), atol=1e-4)
    assert_allclose(found.learning_rate_, expected.learning_rate_, rtol=1e-3)


@pytest.mark.parametrize("process_noise", [0.0, 0.02])
def test_an_equation_and_the_nearest_rule_are_in_the_choices_that_the_rule_knows_of(
    cohort, process_noise
):
    X, y = cohort
    how = {"baseline": None, "unlearned": LATER, "process_noise": process_noise}
    fitted = lr.ReinforceRuleEstimator(**how).fit(X, y)
    terms = sparse_rule(fitted, X).terms
    assert set(terms["term"]) == {"r (y - p) x_stimulus", "r (y - p)"}
    nearest = nearest_rules(fitted, X).set_index(["rule", "weight"]).loc["REINFORCE, no baseline"]
    assert_allclose(nearest.loc["all", "r2"], 1, atol=1e-6)
    assert nearest.loc[LATER].drop(columns="fit").isna().all(axis=None)


@pytest.mark.parametrize(
    "rule",
    [
        lr.ReinforceRuleEstimator(),
        lr.QLearningRuleEstimator(),
        lr.ActorCriticRuleEstimator(),
        lr.DNNRuleEstimator(**QUICK),
        lr.RNNRuleEstimator(**QUICK),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_unlearned_weights_stay_and_tell_the_rule_nothing(rule, cohort):
    X, y = cohort
    rule.set_params(unlearned=LATER).fit(X, y)
    weights = rule.predict_weights(X)
    assert (weights[LATER].nunique() == 1).all() and (weights[LATER] != 0).all(axis=None)
    assert weights["stimulus"].nunique() > 1
    others = X.assign(**{name: np.random.RandomState(0).permutation(X[name]) for name in LATER})
    assert_allclose(rule.predict_weights(others), weights)
    assert np.ptp(rule.decision_function(others) - rule.decision_function(X)) > 0.01


@pytest.mark.parametrize("rule", [lr.ReinforceRuleEstimator(), lr.RNNRuleEstimator(**QUICK)])
def test_unlearned_weights_drift_with_noise(rule, cohort):
    X, y = cohort
    rule.set_params(unlearned=LATER, process_noise=0.05, max_epochs=2).fit(X, y)
    assert (rule.predict_weights(X)[LATER].nunique() > 100).all()
    assert rule.smooth_weights(X, y).shape == (len(X), 5)


@pytest.mark.parametrize("effects", [2, ["learning_rate"]])
def test_what_a_network_makes_of_animals_does_not_hang_on_unlearned_weights(effects, cohort):
    X, y = cohort
    how = {**QUICK, "subject_effects": effects, "max_epochs": 2}
    plain, wide = X.drop(columns=LATER), X.drop(columns=LATER).assign(zeros=0.0)
    expected = lr.DNNRuleEstimator(**how).fit(plain, y)
    found = lr.DNNRuleEstimator(**how, unlearned=["zeros"]).fit(wide, y)
    assert_allclose(found.predict_proba(wide), expected.predict_proba(plain), atol=1e-4)
    assert_allclose(found.subject_effects_, expected.subject_effects_, atol=1e-3)


def test_none_are_unlearned_by_default_and_by_none(cohort):
    X, y = cohort
    default, none, empty = (
        lr.ReinforceRuleEstimator(max_epochs=1, **given).fit(X, y).decision_function(X)
        for given in ({}, {"unlearned": None}, {"unlearned": np.array([])})
    )
    assert (default == none).all() and (default == empty).all()


def test_only_learned_weights_have_parameters_of_the_rule(cohort):
    X, y = cohort
    rule = lr.ReinforceRuleEstimator(side_specific=True, unlearned=LATER).fit(X, y)
    assert rule.learning_rate_.shape == (2, 2) and rule.initial_weights_.shape == (5,)
    of_rate = rule.summary_.query("parameter == 'learning_rate'")
    assert of_rate[["side", "weight"]].to_numpy().tolist() == [
        ["left", "stimulus"], ["left", "bias"], ["right", "stimulus"], ["right", "bias"]
    ]  # fmt: skip
    of_start = rule.summary_.query("parameter == 'initial_weights'")
    assert of_start["weight"].tolist() == ["stimulus", *LATER, "bias"]


def test_regressors_come_and_stay_unlearned_in_a_pipeline(cohort):
    X, y = cohort
    rule = lr.ReinforceRuleEstimator(unlearned=LATER)
    pipeline = make_pipeline(lr.PolicyRegressors(), rule).fit(X.drop(columns=LATER), y)
    assert_allclose(pipeline.predict_proba(X.drop(columns=LATER)), rule.fit(X, y).predict_proba(X))


@pytest.mark.parametrize(
    ("unlearned", "message"),
    [
        (["stimulos"], r"unlearned should be a list of weights among \['stimulus', .*'stimulos'"),
        (["stimulus", *LATER, "bias"], "leaves ReinforceRuleEstimator no weight to learn"),
    ],
)
def test_wrong_names_get_a_clear_sentence(unlearned, message, cohort):
    X, y = cohort
    with pytest.raises(ValueError, match=message):
        lr.ReinforceRuleEstimator(unlearned=unlearned).fit(X, y)
