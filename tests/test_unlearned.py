"""Weights of the policy that the rule neither sees nor moves."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
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
        lr.RNNRuleEstimator(around=lr.ReinforceRuleEstimator(), **QUICK),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_unlearned_weights_stay_and_tell_the_rule_nothing(rule, cohort):
    X, y = cohort
    rule.set_params(unlearned=LATER).fit(X, y)
    weights = rule.predict_weights(X)
    for kept in (pickle.loads(pickle.dumps(rule)), deepcopy(rule)):
        assert_allclose(kept.predict_weights(X), weights)
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


def habitual_animals(n_subjects=8, n_trials=500, habit=2.0):
    """Return trials of animals that learn by REINFORCE, and repeat choices of the last trials."""
    rng, rows = np.random.default_rng(0), []
    contrasts = np.array([-1, -0.5, -0.25, -0.125, 0.125, 0.25, 0.5, 1])
    for subject in range(n_subjects):
        weights, trace = np.zeros(2), 0.0
        for contrast in rng.choice(contrasts, n_trials):
            x = np.array([contrast, 1.0])
            p = 1 / (1 + np.exp(-(weights @ x + habit * trace)))
            choice = float(rng.uniform() < p)
            reward = float((choice == 1) == (contrast > 0))
            rows.append((f"rat {subject}", 1, contrast, choice, reward))
            weights += 0.05 * reward * (choice - p) * x
            trace = 0.8 * trace + 0.2 * (2 * choice - 1)
    return pd.DataFrame(rows, columns=["subject", "session", "stimulus", "choice", "reward"])


def test_a_fit_does_not_end_where_the_bias_has_the_habits_part():
    X, y, _ = lr.make_design(habitual_animals())
    traces = lr.PolicyRegressors(trace_decay=0.8).fit_transform(X)["choice_trace"]
    habits = X.assign(habit=traces)
    rule = lr.ReinforceRuleEstimator(unlearned=["habit"]).fit(habits, y)
    from_truth = lr.ReinforceRuleEstimator(unlearned=["habit"], initial_weights=[0, 2, 0])
    assert_allclose(rule.score(habits, y), from_truth.fit(habits, y).score(habits, y), atol=1e-4)
    found = rule.summary_.query("weight == 'habit'")[["lower", "upper"]].to_numpy()[0]
    assert found[0] < 2 < found[1]
    assert rule.learning_rate_[0] == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("network", [lr.DNNRuleEstimator, lr.RNNRuleEstimator])
def test_a_network_does_not_take_habits_for_learning(network):
    X, y, _ = lr.make_design(habitual_animals())
    habits = X.assign(habit=lr.PolicyRegressors(trace_decay=0.8).fit_transform(X)["choice_trace"])
    rule = network(**QUICK | {"unlearned": ["habit"]}).fit(habits, y)  # from 0 it had .1
    assert rule.initial_weights_[1] == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize("decay", [None, 0.5])
@pytest.mark.parametrize("n_choices", [2, 3])
def test_habits_are_what_policy_regressors_add(n_choices, decay):
    trials = make_learning_cohort(5, 120, n_choices=n_choices, random_state=0)
    stimuli = [name for name in trials if name.startswith("stimulus")]
    trials["way_back"] = -trials[stimuli[0]]  # is no habit
    X, y, _ = lr.make_design(trials, stimulus=[*stimuli, "way_back"])
    regressors = lr.PolicyRegressors(trace_decay=decay)
    added = regressors.fit_transform(X).columns.difference(X.columns).tolist()
    rule = lr.ReinforceRuleEstimator(max_epochs=2)
    pipeline = make_pipeline(regressors, clone(rule).set_params(unlearned="habits"))
    expected = make_pipeline(regressors, clone(rule).set_params(unlearned=added))
    habits, named = (each.fit(X, y).decision_function(X) for each in (pipeline, expected))
    assert len(added) > 3 and (habits == named).all(axis=None)


def test_one_grid_searches_over_habits_that_last_or_do_not():
    X, y, _ = lr.make_design(make_learning_cohort(4, 60, random_state=0))
    rule = lr.ReinforceRuleEstimator(max_epochs=2, unlearned="habits")
    grid = {"policyregressors__trace_decay": [None, 0.5]}
    pipeline = make_pipeline(lr.PolicyRegressors(), rule)
    search = GridSearchCV(pipeline, grid, cv=lr.SubjectKFold(2), error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_habits_without_policy_regressors_are_refused():
    X, y, _ = lr.make_design(make_learning_cohort(2, 20, random_state=0))
    with pytest.raises(ValueError, match="the columns that PolicyRegressors adds, and the weights"):
        lr.ReinforceRuleEstimator(unlearned="habits").fit(X, y)


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_choices", [2, 3])
def test_weights_may_be_unlearned_where_one_choice_alone_counts(n_choices):
    trials = make_learning_cohort(4, 60, n_choices=n_choices, random_state=0)
    X, y, _ = lr.make_design(
        trials, stimulus=[name for name in trials if name.startswith("stimulus")]
    )
    rule = lr.ReinforceRuleEstimator(unlearned=["bias"], max_epochs=2)
    assert np.isfinite(rule.fit(X, y, sample_weight=(y == y.iloc[0]).astype(float)).score(X, y))


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
