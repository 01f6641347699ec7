"""The textbook rules' estimators: what made the choices is found again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.metrics import log_likelihood
from sklearn_learnrule.rules import PredictMaxRule

OPTIONS = {"side_specific": True, "forgetting": True}
SIDES = {"learning_rate": ((0.02, 0.05), (0.06, 0.01)), "initial_forgetting": (0.005, 0.01)}
RECOVERED = {
    "eligibility": (lr.EligibilityRuleEstimator(window=3), {"learning_rate": (0.01, 0.02)}),
    "actor-critic": (
        lr.ActorCriticRuleEstimator(),
        {"learning_rate": (0.1, 0.1), "critic_learning_rate": (0.05, 0.05)},
    ),
    "q-learning": (
        lr.QLearningRuleEstimator(),
        {"learning_rate": (0.02, 0.03), "inverse_temperature": 4.0},
    ),
    "reinforce, options": (lr.ReinforceRuleEstimator(baseline=None, **OPTIONS), SIDES),
    "predict max, options": (lr.PredictMaxRuleEstimator(**OPTIONS), SIDES),
    "q-learning, options": (
        lr.QLearningRuleEstimator(**OPTIONS),
        {"inverse_temperature": 4.0, **SIDES},
    ),
}


def rule_of(estimator, **parameters):
    """Return the estimator's rule for two weights, with these parameters."""
    if estimator.forgetting:
        parameters |= OPTIONS
    if hasattr(estimator, "window"):
        parameters["window"] = estimator.window
    return type(estimator.make_rule(2))(2, **parameters)


@pytest.mark.parametrize("name", RECOVERED)
def test_the_parameters_that_made_the_choices_are_recovered(name):
    """Each within its standard error, or so, and the weights with them."""
    estimator, parameters = RECOVERED[name]
    truth = rule_of(estimator, **parameters)
    trials, weights = make_learning_cohort(
        40, 400, rule=truth, initial_weights=(0.0, 0.8), random_state=1, return_weights=True
    )
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = clone(estimator).fit(X, y)
    published = (getattr(truth, name) for name in truth.textbook_names)
    values = [np.ravel(value.detach()) for value in published if value.requires_grad]
    deviation = rule.summary_["estimate"] - np.concatenate([*values, (0.0, 0.8)])
    z = deviation / rule.summary_["standard_error"]
    assert z.abs().max() < 3 and z.isna().sum() <= 1  # one may be at its bound

    true_logits = weights["stimulus"] * X["stimulus"] + weights["bias"]
    gain = rule.score(X, y) - log_likelihood(y == "right", true_logits)
    assert 0 <= gain < 0.0006  # the fit is to these very choices
    error = rule.predict_weights(X) - weights
    assert np.sqrt((error**2).mean()).max() < 0.15


def test_options_that_do_not_exist_in_the_data_are_fitted_to_nothing():
    trials = make_learning_cohort(40, 400, random_state=1)
    X, y, _ = lr.make_design(trials)
    plain = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    rule = lr.ReinforceRuleEstimator(baseline=None, **OPTIONS).fit(X, y)
    assert plain.score(X, y) <= rule.score(X, y) < plain.score(X, y) + 0.0005
    assert (plain.forgetting_ == 0).all() and (rule.forgetting_ < 0.002).all()


@pytest.mark.parametrize("seed", [0, 8, 110, 118])
def test_one_person_who_learns_fast_from_points_is_not_taken_for_one_who_never_learns(seed):
    """The likelihood has two maxima: the lower one has a learning rate of 0."""
    rng = np.random.default_rng(seed)
    worth, values, rows = rng.uniform(20, 80, 3), np.full(3, 50.0), []
    for _ in range(300):
        worth = np.clip(0.98 * worth + 1 + rng.normal(0, 4, 3), 2, 98)
        arm = rng.choice(3, p=softmax(0.08 * values))
        points = worth[arm].round()
        values[arm] += 0.5 * (points - values[arm])
        rows.append({"subject": "Ada", "session": 1, "choice": "ABC"[arm], "reward": points})
    X, y, _ = lr.make_design(pd.DataFrame(rows), stimulus=None)
    rule = lr.QLearningRuleEstimator(train_initial_weights=False).fit(X, y)
    assert 0.3 < rule.learning_rate_[0] < 0.7


def test_an_actor_critic_may_expect_a_reward_from_the_start():
    X, y, _ = lr.make_design(make_learning_cohort(3, 60, random_state=0))
    rule = lr.ActorCriticRuleEstimator().fit(X, y)
    expecting = lr.ActorCriticRuleEstimator(initial_value=(0.2, 0.6)).fit(X, y)
    assert expecting.score(X, y) != rule.score(X, y)
    again = rule.set_params(initial_value=(0.2, 0.6), warm_start=True).fit(X, y)
    np.testing.assert_allclose(again.net_.module_.rule.rule.initial_value, (0.2, 0.6))
    with pytest.raises(ValueError, match=r"initial_value should be one finite number or \(2,\)"):
        lr.ActorCriticRuleEstimator(initial_value=(0.1, 0.2, 0.3)).fit(X, y)


def test_the_two_rows_of_a_side_specific_rate_are_the_classes_in_order():
    """Of an animal that learns after choices of the second class only."""
    truth = PredictMaxRule(2, side_specific=True, learning_rate=[[0, 0], [0.1, 0.1]])
    trials = make_learning_cohort(20, 300, rule=truth, random_state=0)
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = lr.PredictMaxRuleEstimator(side_specific=True).fit(X, y)
    assert list(rule.classes_) == ["left", "right"]
    np.testing.assert_allclose(rule.learning_rate_, [[0, 0], [0.1, 0.1]], atol=0.02)
