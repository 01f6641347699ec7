"""Fits with process noise to so few animals that where they start is not fitted but broad."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import sklearn_learnrule as lr
from sklearn_learnrule import simulation
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.training.initial_weights import BROAD_STD, FEW_SUBJECTS
from sklearn_learnrule.training.standard_errors import TOO_FEW

SKILLED = [3.0, -1.0]  # weights of the stimulus and the bias before the first trial


def cohort(n_subjects, *, scale=1.0):
    """Return X and y of animals that know the task, and whose weights drift."""
    rng = np.random.RandomState(0)
    trials = make_learning_cohort(
        n_subjects, 400, rule=lambda weights, trial: rng.normal(0, 0.03, weights.shape),
        initial_weights=SKILLED, length_spread=0, random_state=0,
    )  # fmt: skip
    trials["stimulus"] *= scale
    X, y, _ = lr.make_design(trials)
    return X, y


def noisy(**parameters):
    return lr.ConstantRuleEstimator(process_noise="learned", **parameters)


@pytest.fixture(scope="module")
def one():
    return cohort(1)


@pytest.fixture(scope="module")
def fitted(one):
    return noisy().fit(*one)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_few_animals_start_broadly_in_units_of_their_stimuli(scale):
    rule = noisy().fit(*cohort(FEW_SUBJECTS - 1, scale=scale))
    unit = rule.net_.module_.dynamics.units.feature.numpy()
    assert_allclose(rule.initial_std_, BROAD_STD / unit)
    assert_allclose(unit, [scale, 1], rtol=0.1)
    assert_array_equal(rule.initial_weights_, 0)


def test_animals_of_whom_no_trial_counts_do_not_tell_how_far_they_lie_apart():
    X, y = cohort(FEW_SUBJECTS)
    all_count = noisy().fit(X, y)
    assert (all_count.initial_std_ < 1).all() and (all_count.initial_weights_ != 0).all()
    assert not hasattr(all_count, "first_weights_")
    counts = X.index.get_level_values("subject") != "mouse_01"
    one_less = noisy().fit(X, y, sample_weight=counts.astype(float))
    assert_allclose(one_less.initial_std_[1], BROAD_STD)
    assert one_less.first_weights_.shape == (FEW_SUBJECTS - 1, 2)


def test_what_is_given_stays_so(one):
    rule = noisy(initial_std=[0.5, 0.25]).fit(*one)
    assert_allclose(rule.initial_std_, [0.5, 0.25])
    assert (rule.initial_weights_ != 0).all() and not hasattr(rule, "first_weights_")
    rule = noisy(initial_weights=[1.0, 0.5]).fit(*one)
    assert_allclose(rule.initial_weights_, [1.0, 0.5])


def test_the_summary_says_what_few_animals_left_out(one, fitted):
    left_out = fitted.summary_[fitted.summary_["note"] == TOO_FEW]
    assert left_out["parameter"].tolist() == 2 * ["initial_std"] + 2 * ["initial_weights"]
    assert left_out["weight"].tolist() == 2 * ["stimulus", "bias"]
    assert_array_equal(left_out["estimate"], [*fitted.initial_std_, *fitted.initial_weights_])
    assert left_out[["standard_error", "lower", "upper"]].isna().all(axis=None)
    assert not {"initial_std", "initial_weights"} & set(fitted.summary_["parameter"][:4])
    held = noisy(train_initial_weights=False).fit(*one).summary_
    assert "initial_weights" not in set(held["parameter"])


def test_bands_of_one_animal_hold_its_weights_and_do_not_collapse(one, fitted):
    weights, std = fitted.smooth_weights(*one, return_std=True)
    assert ((weights - SKILLED).abs() < 3 * std).mean().min() > 0.95
    assert (std.median() > 0.1).all()


@pytest.mark.parametrize("estimator", [
    noisy(), lr.DNNRuleEstimator(
        process_noise="learned", max_epochs=20, n_ensemble=2, hidden_sizes=(8,), random_state=0
    ),
], ids=["constant", "DNN"])  # fmt: skip
def test_twins_of_few_animals_start_where_those_did(estimator):
    X, y = cohort(2)
    rule = estimator.fit(X, y)
    first = rule.smooth_weights(X, y).groupby("subject").first()
    assert_allclose(rule.first_weights_, first, rtol=1e-6)
    _, weights = simulation.simulate(rule, X, 20, random_state=0, return_weights=True)
    starts = weights.groupby("subject").first().drop_duplicates()
    assert_allclose(starts.sort_values("bias"), first.sort_values("bias"), rtol=1e-6)
    check = simulation.predictive_check(rule, X, y, by=100, n_simulations=20, random_state=0)
    begun = check.query("statistic == 'accuracy' and block == 1").iloc[0]
    assert begun["simulated"] == pytest.approx(begun["observed"], abs=0.1)


def test_a_fit_to_more_animals_forgets_where_few_began(one):
    rule = noisy().fit(*one)
    assert hasattr(rule, "first_weights_")
    rule.fit(*cohort(FEW_SUBJECTS))
    assert not hasattr(rule, "first_weights_")


def test_one_animal_with_all_noise_given_leaves_nothing_to_fit(one):
    rule = lr.ConstantRuleEstimator(process_noise=0.1, session_noise=0.1)
    with pytest.raises(ValueError, match="fewer than 5 subjects with process noise, initial_std"):
        rule.fit(*one)
    assert rule.set_params(initial_std=1.0).fit(*one).initial_std_[0] == pytest.approx(1)


def test_a_fit_of_many_is_stored_as_one_of_many():
    held = noisy(session_noise=0.0).set_params(process_noise=0.1)
    X, y = cohort(FEW_SUBJECTS)
    fitted = held.fit(X, y)
    stored = pickle.loads(pickle.dumps(fitted))
    assert_allclose(stored.predict_proba(X), fitted.predict_proba(X))
    assert stored.net_.module_.n_told == fitted.net_.module_.n_told == 0
