"""A fit depends neither on the units of stimuli and rewards nor on the labels of choices."""

from __future__ import annotations

import warnings
from decimal import Decimal
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import all_estimators, estimator_name, make_rule, make_trials
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import (
    FilteredRule,
    PredictMaxRule,
    ProcessNoise,
    StandardizedRule,
    Units,
)

FEATURES = {"stimulus": 1e6, "brightness": 1e-6}
REWARD = 1e12
UNITS = np.array([*FEATURES.values(), 1.0])  # of weights: of the bias, 1
BRIEF = {"max_epochs": 1}  # a fit is the same in any units after each of its steps
NETWORK = {"max_epochs": 3, "n_ensemble": 1, "random_state": 0, "mirror": False}
FURTHER = [
    lr.DNNRuleEstimator(process_noise="learned", hidden_sizes=(4,), **NETWORK),
    lr.ReinforceRuleEstimator(process_noise="learned", unlearned=["brightness"], **BRIEF),
    lr.QLearningRuleEstimator(forgetting=True, side_specific=True, **BRIEF),
    lr.ConstantRuleEstimator(process_noise="learned", lapses="learned", **BRIEF),
    lr.ChoiceRNNClassifier(**NETWORK),
]
ESTIMATORS = [*all_estimators(**BRIEF), *FURTHER]
ALIKE = [ESTIMATORS[0], *FURTHER]  # none of the others does anything else with labels
LABELS = [(False, True), (-1, 1), (Decimal(0), Decimal(1))]


@pytest.fixture(scope="module")
def design():
    trials = make_learning_cohort(6, 150, random_state=0)
    trials["brightness"] = np.random.RandomState(0).normal(size=len(trials))
    X, y, _ = lr.make_design(trials, stimulus=list(FEATURES), answer="answer")
    return X, y


def in_other_units(X: pd.DataFrame) -> pd.DataFrame:
    return X.assign(
        **{name: X[name] * unit for name, unit in FEATURES.items()},
        previous_reward=X["previous_reward"] * REWARD,
    )


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=estimator_name)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_is_the_same_in_any_units(estimator, design):
    X, y = design
    other = in_other_units(X)
    usual, unusual = clone(estimator).fit(X, y), clone(estimator).fit(other, y)
    assert_allclose(unusual.score(other, y), usual.score(X, y), atol=1e-4)
    if hasattr(usual, "predict_weights"):
        weights = unusual.predict_weights(other) * UNITS
        assert_allclose(weights, usual.predict_weights(X), atol=0.02)
    if getattr(usual, "process_noise", None) is not None:
        found = unusual.smooth_weights(other, y, return_std=True)
        for table, expected in zip(found, usual.smooth_weights(X, y, return_std=True), strict=True):
            assert_allclose(table * UNITS, expected, atol=0.02)


@pytest.mark.parametrize(
    ("estimator", "labels"),
    [*product(ALIKE, LABELS[:1]), *product([ESTIMATORS[0], ESTIMATORS[-1]], LABELS[1:])],
    ids=lambda one: type(one[0]).__name__ if isinstance(one, tuple) else estimator_name(one),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_is_the_same_with_labels_of_any_type(estimator, labels, design):
    """Of which the second in order is y = 1."""
    X, y = design
    odd = pd.Series(y.map(dict(zip(("left", "right"), labels, strict=True))), dtype=object)
    estimator = clone(estimator).set_params(max_epochs=1)
    usual, unusual = clone(estimator).fit(X, y), clone(estimator).fit(X, odd)
    assert unusual.score(X, odd) == usual.score(X, y)
    assert np.array_equal(unusual.predict(X) == unusual.classes_[1], usual.predict(X) == "right")
    assert unusual.classes_.tolist() == list(labels)


def test_parameters_are_given_in_the_users_units(design):
    X, y = design
    X = X.drop(columns="brightness")
    other = X.assign(stimulus=100 * X["stimulus"], previous_reward=5 * X["previous_reward"])
    for estimator, names in (
        (lr.ReinforceRuleEstimator(), {"learning_rate": -2, "baseline": 0}),
        (lr.QLearningRuleEstimator(), {"learning_rate": -2}),
        (lr.ActorCriticRuleEstimator(), {"critic_learning_rate": -2}),
        (lr.ReinforceRuleEstimator(process_noise="learned"), {"process_noise": -1}),
    ):
        usual, unusual = clone(estimator).fit(X, y), clone(estimator).fit(other, y)
        for name, power in names.items():
            paid = {"baseline": 5.0}.get(name, 1.0)
            if name == "learning_rate" and isinstance(estimator, lr.ReinforceRuleEstimator):
                paid = 1 / 5
            expected = getattr(usual, f"{name}_") * [100.0**power, 1.0] * paid
            assert_allclose(getattr(unusual, f"{name}_"), expected, rtol=1e-2, atol=1e-7)


VALUE = np.array([0.5, 0.2, 0.1])
FIXED = {"train_initial_weights": False, "lapses": "learned"}
SETTINGS = {
    "initial_weights": (
        lr.ConstantRuleEstimator(initial_weights=[0.5, 0.1, 0.1], **FIXED),
        lr.ConstantRuleEstimator(initial_weights=[0.5, 0.1, 0.1] / UNITS, **FIXED),
    ),
    "process_noise": (
        lr.ConstantRuleEstimator(process_noise=0.02),
        lr.ConstantRuleEstimator(process_noise=0.02 / UNITS),
    ),
    "initial_value": (
        lr.ActorCriticRuleEstimator(initial_value=VALUE),
        lr.ActorCriticRuleEstimator(initial_value=VALUE * REWARD / UNITS),
    ),
}


@pytest.mark.parametrize("usual, unusual", SETTINGS.values(), ids=SETTINGS)
def test_settings_are_taken_in_the_users_units(usual, unusual, design):
    X, y = design
    other = in_other_units(X)
    scores = clone(usual).fit(X, y).score(X, y), clone(unusual).fit(other, y).score(other, y)
    assert_allclose(scores[1], scores[0], atol=1e-4)


def test_an_outlier_is_told_with_its_place(design):
    X, y = design
    X = X.assign(stimulus=X["stimulus"].mask(np.arange(len(X)) == 7, 1e9))
    place = r"'stimulus' is 1e\+09 \(subject 'mouse_01', trial 7\), though nine in ten"
    with (
        pytest.warns(UserWarning, match=place),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        lr.ConstantRuleEstimator().fit(X, y)


@pytest.mark.filterwarnings("ignore:Column 'stimulus' goes from 49 to 51")
def test_an_offset_is_another_model_whose_maximum_is_found(design):
    X, y = design
    X = X.drop(columns="brightness")
    far = X.assign(stimulus=X["stimulus"] + 50)  # 49 to 51
    static = lr.ConstantRuleEstimator().fit(X, y).score(X, y)  # a shift of the bias is no loss
    assert_allclose(lr.ConstantRuleEstimator().fit(far, y).score(far, y), static, atol=1e-6)
    assert lr.ReinforceRuleEstimator().fit(far, y).score(far, y) >= static - 1e-6


@pytest.mark.parametrize("name", ["reinforce, free baseline", "q learning", "dnn", "rnn, small"])
@pytest.mark.parametrize("with_noise", [False, True], ids=["", "noise"])
def test_a_standardized_rule_is_the_same_by_its_forward_and_by_every_engine(name, with_noise):
    rule = make_rule(name, 3)
    if with_noise:
        rule = FilteredRule(rule, ProcessNoise(3, 0.1, 0.2, 0.5).double())
    units = Units(torch.tensor([100.0, 0.01, 1.0]).double(), torch.tensor(5.0).double())
    standardized = StandardizedRule(rule, units)
    trials, observed = make_trials([6, 3], 3)
    start = torch.zeros(2, 3).double()
    weights, memory = start, standardized.initial_memory(2, like=start)
    by_hand = [torch.cat([weights, memory[:, : standardized.shown_memory]], -1)]
    for t in range(2):  # both subjects' outcomes are observed
        trial = trials.at(t)
        update, memory = standardized(weights, trial, memory)
        weights = weights + update
        by_hand.append(torch.cat([weights, memory[:, : standardized.shown_memory]], -1))
    for engine in ("loop", "parallel", "auto"):
        path = unroll(standardized, start, trials, observed, engine=engine)
        assert_allclose(
            path[:, :3].detach(), torch.stack(by_hand, 1).detach(), rtol=1e-6, atol=1e-15
        )


def test_a_slope_is_in_the_users_units():
    rule = make_rule("predict max, forgetting", 2)
    units = Units(torch.tensor([100.0, 1.0]).double(), torch.tensor(1.0).double())
    trials, _ = make_trials([1, 1, 1], 2)
    trial = trials.at(0)
    weights = torch.tensor([[0.5, 0.1]] * 3).double()
    nothing = torch.zeros(3, 0).double()
    slope = StandardizedRule(rule, units).linearize(weights, trial, nothing)[1]
    step = 1e-5 * torch.eye(2).double()
    standardized = StandardizedRule(rule, units)
    by_differences = torch.stack(
        [
            (
                standardized(weights + h, trial, nothing)[0]
                - standardized(weights, trial, nothing)[0]
            )
            / 1e-5
            for h in step
        ],
        -1,
    )
    assert_allclose(slope.detach(), by_differences.detach(), rtol=0.02, atol=1e-6)


def test_units_of_a_parameter_that_the_rule_has_not_are_refused(design):
    class Misspelt(PredictMaxRule):
        parameter_units = {"learning_rat": (-2, 0)}

    class MyEstimator(lr.PredictMaxRuleEstimator):
        def make_rule(self, n_weights):
            return Misspelt(n_weights)

    with pytest.raises(ValueError, match="of Misspelt should name some of .* got 'learning_rat'"):
        MyEstimator().fit(*design)


def test_a_warm_start_goes_on_in_other_units(design):
    X, y = design
    rule = lr.ReinforceRuleEstimator(baseline=None, warm_start=True).fit(X, y)
    score = rule.score(X, y)
    other = in_other_units(X)
    assert rule.fit(other, y).score(other, y) == pytest.approx(score, abs=1e-4)


def test_a_rule_that_does_not_say_how_it_changes_with_units_is_fitted_in_the_users(design):
    class MyRule(PredictMaxRule):
        parameter_units = None

    class MyEstimator(lr.PredictMaxRuleEstimator):
        def make_rule(self, n_weights):
            return MyRule(n_weights)

    X, y = design
    units = MyEstimator().fit(X, y).net_.module_.rule.units
    assert (units.feature == 1).all() and units.reward == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_stimulus_that_is_never_near_0_is_told_of(sign):
    table = make_learning_cohort(3, 60, random_state=0)
    decibels = table.assign(stimulus=sign * (60 + 20 * table["stimulus"]))
    X, y, _ = lr.make_design(decibels)
    for kind in (lr.ReinforceRuleEstimator, lr.DNNRuleEstimator):
        with (
            warnings.catch_warnings(),
            pytest.warns(UserWarning, match="Column 'stimulus' goes from .* and is never near 0"),
        ):
            warnings.simplefilter("ignore", ConvergenceWarning)
            kind(max_epochs=1).fit(X, y)
    one_sided = table.assign(stimulus=sign * (1 + table["stimulus"]))  # some are 0
    constant = table.assign(stimulus=sign * 1.0)  # as of arms of a bandit
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for plain in (one_sided, constant):
            lr.ReinforceRuleEstimator(max_epochs=1).fit(*lr.make_design(plain)[:2])
