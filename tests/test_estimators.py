"""Truths about the estimators: causality, invariance, weights, recovery, training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import LRScheduler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import ENGINES
from sklearn_learnrule.estimators.base import BaseRuleEstimator
from sklearn_learnrule.metrics import log_likelihood
from sklearn_learnrule.rules import LearningRule, ReinforceRule

pytestmark = BRIEFLY_TRAINED

OTHER = {"left": "right", "right": "left"}
FITTED: dict[str, lr.ReinforceRuleEstimator] = {}


def fitted(estimator):
    """Fit each estimator once; hypothesis calls many times."""
    name = estimator_name(estimator)
    if name not in FITTED:
        X, y, _ = lr.make_design(make_learning_cohort(3, 50, random_state=0))
        FITTED[name] = clone(estimator).fit(X, y)
    return FITTED[name]


@st.composite
def cohorts(draw, min_subjects=1):
    """Draw a trial table of subjects with few trials, never the same number."""
    lengths = draw(st.lists(st.integers(1, 12), min_size=min_subjects, max_size=4))
    rng = np.random.RandomState(draw(st.integers(0, 10**6)))
    n = sum(lengths)
    return pd.DataFrame(
        {
            "subject": np.repeat(np.arange(len(lengths)), lengths),
            "session": np.concatenate([np.arange(length) // 5 for length in lengths]),
            "stimulus": rng.uniform(-1, 1, n).round(3),
            "choice": np.where(rng.rand(n) < 0.5, "left", "right"),
            "reward": rng.randint(0, 2, n).astype(float),
        }
    ).pipe(_with_both_choices)


def _with_both_choices(trials):
    if trials["choice"].nunique() == 1:
        trials.loc[0, "choice"] = OTHER[trials["choice"][0]]
    return trials


BRIEFLY = all_estimators(max_epochs=5)
estimators = pytest.mark.parametrize("estimator", BRIEFLY, ids=estimator_name)


@estimators
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_future_choices_and_rewards_never_change_past_predictions(estimator, data):
    trials = data.draw(cohorts().filter(lambda table: len(table) > 2))
    row = data.draw(st.integers(0, len(trials) - 1))
    changed = trials.copy()
    changed.loc[row, "choice"] = OTHER[trials["choice"][row]]
    changed.loc[row, "reward"] = 1 - trials["reward"][row]
    if changed["choice"].nunique() < 2:
        return
    before, after = (
        fitted(estimator).decision_function(lr.make_design(table)[0]) for table in (trials, changed)
    )
    later = (trials["subject"] == trials["subject"][row]) & (trials.index > row)
    np.testing.assert_array_equal(before[~later], after[~later])


@pytest.mark.parametrize("estimator", BRIEFLY[1:], ids=estimator_name)
def test_past_choices_and_rewards_do_change_later_predictions(estimator):
    X, _, _ = lr.make_design(make_learning_cohort(1, 20, random_state=1))
    flipped = X.copy()
    flipped.loc[flipped.index[3], "previous_reward"] = 1 - X["previous_reward"].iloc[3]
    before, after = (fitted(estimator).decision_function(table) for table in (X, flipped))
    assert (before[:3] == after[:3]).all() and (before[3:] != after[3:]).any()


@estimators
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_company_order_and_padding_change_no_prediction(estimator, data):
    X, _, _ = lr.make_design(data.draw(cohorts(min_subjects=2)))
    rule = fitted(estimator)
    together = pd.Series(rule.decision_function(X), index=X.index)
    subjects = list(X.index.unique("subject"))
    order = data.draw(st.permutations(subjects))

    alone = [X[X.index.get_level_values("subject") == subject] for subject in order]
    one_by_one = pd.concat([pd.Series(rule.decision_function(x), index=x.index) for x in alone])
    np.testing.assert_allclose(one_by_one[X.index], together, rtol=1e-5, atol=1e-6)
    reordered = pd.concat(alone)
    again = pd.Series(rule.decision_function(reordered), index=reordered.index)
    np.testing.assert_allclose(again[X.index], together, rtol=1e-5, atol=1e-6)
    # rows of the subjects interleaved, trial by trial
    mixed = X.iloc[np.argsort(X.index.get_level_values("trial"), kind="stable")]
    again = pd.Series(rule.decision_function(mixed), index=mixed.index)
    np.testing.assert_allclose(again[X.index], together, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [BRIEFLY[0], *(each for each in BRIEFLY if hasattr(each, "n_ensemble"))],
    ids=estimator_name,
)
def test_the_same_random_state_gives_the_same_fit_and_leaves_global_seeds_alone(estimator):
    X, y, _ = lr.make_design(make_learning_cohort(3, 30, random_state=0))
    rule = clone(estimator).set_params(random_state=7)
    torch.manual_seed(1)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = clone(rule).fit(X, y).decision_function(X)
    assert (np.random.get_state()[1] == numpy_before).all()
    assert torch.equal(torch.get_rng_state(), torch_before)
    torch.manual_seed(2)
    np.testing.assert_array_equal(clone(rule).fit(X, y).decision_function(X), first)


def test_trials_of_weight_zero_are_unrolled_through_and_not_scored():
    X, y, _ = lr.make_design(make_learning_cohort(3, 80, random_state=0))
    trial = X.index.get_level_values("trial")
    late = (trial >= 40).astype(float)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y, sample_weight=late)
    logits = rule.decision_function(X)
    late_score = log_likelihood(y[trial >= 40] == "right", logits[trial >= 40])
    assert rule.score(X, y, sample_weight=late) == pytest.approx(late_score)
    # fitted to the late trials, it describes them better than a fit to all trials does
    to_all = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert late_score > to_all.score(X, y, sample_weight=late)
    doubled = clone(rule).fit(X, y, sample_weight=2 * late)
    np.testing.assert_allclose(doubled.learning_rate_, rule.learning_rate_, rtol=1e-4)


def test_reinforce_recovers_the_rate_and_baseline_that_made_the_choices():
    truth = ReinforceRule(2, "free", learning_rate=(0.02, 0.04), initial_baseline=(-1, 0.4))
    trials = make_learning_cohort(60, 400, rule=truth, initial_weights=(0.0, 0.8), random_state=0)
    X, y, _ = lr.make_design(trials)
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    np.testing.assert_allclose(rule.learning_rate_, (0.02, 0.04), rtol=0.2)
    np.testing.assert_allclose(rule.baseline_, (-1, 0.4), atol=0.3)
    np.testing.assert_allclose(rule.initial_weights_, (0, 0.8), atol=0.1)


@pytest.mark.parametrize(
    "estimator",
    [lr.RewardMaxRuleEstimator(), lr.PredictMaxRuleEstimator()],
    ids=estimator_name,
)
def test_taught_rules_recover_the_rate_that_made_the_choices(estimator):
    truth = type(estimator.make_rule(2))(2, learning_rate=(0.03, 0.02))
    trials = make_learning_cohort(30, 400, rule=truth, initial_weights=(0.0, 0.8), random_state=0)
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = clone(estimator).fit(X, y)
    np.testing.assert_allclose(rule.learning_rate_, (0.03, 0.02), rtol=0.2)


def test_the_true_rule_predicts_as_well_as_the_true_weights():
    trials, weights = make_learning_cohort(20, 300, random_state=0, return_weights=True)
    X, y, _ = lr.make_design(trials)
    true_logits = weights["stimulus"] * X["stimulus"] + weights["bias"]
    truth = log_likelihood(y == "right", true_logits)
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    assert rule.score(X, y) == pytest.approx(truth, abs=0.002)
    assert rule.score(X, y) >= truth  # the fit is to these very choices
    error = rule.predict_weights(X) - weights
    assert np.sqrt((error**2).mean()).max() < 0.15


def test_the_constant_rule_is_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    X, y, _ = lr.make_design(make_learning_cohort(3, 100, random_state=0))
    rule = lr.ConstantRuleEstimator().fit(X, y)
    static = LogisticRegression(C=np.inf, tol=1e-10).fit(X[["stimulus"]], y)
    expected = [static.coef_[0, 0], static.intercept_[0]]
    np.testing.assert_allclose(rule.initial_weights_, expected, rtol=1e-4)


def test_initial_weights_can_be_given_and_held():
    X, y, _ = lr.make_design(make_learning_cohort(3, 40, random_state=0))
    rule = lr.ReinforceRuleEstimator(initial_weights=[1.0, -0.5], train_initial_weights=False)
    np.testing.assert_array_equal(rule.fit(X, y).initial_weights_, [1.0, -0.5])
    rule.set_params(train_initial_weights=True)
    assert (rule.fit(X, y).initial_weights_ != [1.0, -0.5]).all()
    with pytest.raises(ValueError, match=r"initial_weights should be 2 numbers.*'bias'"):
        rule.set_params(initial_weights=[1.0]).fit(X, y)
    constant = lr.ConstantRuleEstimator(train_initial_weights=False)
    with pytest.raises(ValueError, match="nothing to fit"):
        constant.fit(X, y)


def test_several_stimulus_columns_make_as_many_weights():
    trials = make_learning_cohort(6, 100, random_state=0)
    trials["left"] = trials["stimulus"].clip(upper=0).abs()
    trials["right"] = trials["stimulus"].clip(lower=0)
    X, y, _ = lr.make_design(trials, stimulus=["left", "right"])
    for estimator in (lr.ReinforceRuleEstimator(), lr.DNNRuleEstimator(**BRIEF)):
        weights = estimator.fit(X, y).predict_weights(X)
        assert list(weights) == ["left", "right", "bias"]


def test_learning_shows_probabilities_that_sharpen():
    X, y, _ = lr.make_design(make_learning_cohort(6, 400, random_state=0))
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    weight = rule.predict_weights(X)["stimulus"].groupby("trial").mean()
    assert weight.iloc[300] > weight.iloc[0] + 1
    assert (np.abs(expit(weight.iloc[300]) - 0.5) > 0.2).all()


# --------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(6, 100, random_state=0))


def test_an_optimizer_cut_short_warns(cohort):
    X, y, _ = cohort
    with pytest.warns(ConvergenceWarning, match="ReinforceRuleEstimator has not converged after 1"):
        lr.ReinforceRuleEstimator(max_epochs=1).fit(X, y)


def test_lbfgs_ends_where_the_gradient_vanishes(cohort):
    X, y, _ = cohort
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    best = rule.score(X, y)
    for step in (-1e-3, 1e-3):
        with torch.no_grad():
            rule.net_.module_.rule.rule.root_learning_rate.add_(step)
        assert rule.score(X, y) < best
        with torch.no_grad():
            rule.net_.module_.rule.rule.root_learning_rate.sub_(step)


def test_early_stopping_finds_the_epoch_by_held_out_subjects_and_fits_all(cohort):
    X, y, _ = cohort
    how = {"lr": 0.05, "n_ensemble": 1, "mirror": False, "random_state": 0}
    rule = lr.DNNRuleEstimator(early_stopping=True, n_iter_no_change=3, max_epochs=200, **how).fit(
        X, y
    )
    losses = rule.net_.stopping_history[:, "valid_loss"]
    assert len(losses) < 200
    assert rule.n_iter_ == np.argmin(losses) + 1 == len(losses) - 3
    as_long = lr.DNNRuleEstimator(max_epochs=rule.n_iter_, **how).fit(X, y)
    np.testing.assert_array_equal(rule.decision_function(X), as_long.decision_function(X))

    X_one, y_one, _ = lr.make_design(make_learning_cohort(1, 30, random_state=0))
    with pytest.raises(ValueError, match="needs at least 2, got 1"):
        rule.fit(X_one, y_one)


def test_early_stopping_is_no_failure_to_converge(cohort):
    X, y, _ = cohort
    rule = lr.ReinforceRuleEstimator(early_stopping=True, n_iter_no_change=1, tol=0, random_state=0)
    assert rule.fit(X, y).n_iter_ < rule.max_epochs  # warnings are errors


def test_batches_are_of_subjects(cohort):
    X, y, _ = cohort
    rule = lr.DNNRuleEstimator(batch_size=4, max_epochs=2, mirror=False, random_state=0).fit(X, y)
    batches = rule.history_[:, "batches", :, "train_batch_size"]
    assert batches == [[4, 2], [4, 2]]
    with pytest.raises(ValueError, match="lbfgs.* needs all subjects at once"):
        lr.ReinforceRuleEstimator(batch_size=2).fit(X, y)


def test_a_warm_start_goes_on_from_the_last_fit(cohort):
    X, y, _ = cohort
    how = {"max_epochs": 2, "mirror": False, "random_state": 0}
    rule = lr.DNNRuleEstimator(warm_start=True, **how).fit(X, y)
    first = rule.history_[-1, "train_loss"]
    assert rule.fit(X, y).history_[0, "train_loss"] < first
    with pytest.raises(ValueError, match="warm_start goes on from the last fit, which had other"):
        rule.set_params(hidden_sizes=(4,)).fit(X, y)
    assert rule.set_params(warm_start=False).fit(X, y).history_[0, "train_loss"] > first


def test_callbacks_reach_skorch_and_the_papers_schedule_can_be_had(cohort):
    X, y, _ = cohort
    decay = LRScheduler("StepLR", step_size=5, gamma=0.999, event_name="lr")
    rule = lr.DNNRuleEstimator(
        lr=1e-3,
        truncation=20,
        callbacks=[("decay", decay)],
        max_epochs=11,
        mirror=False,
        random_state=0,
    ).fit(X, y)
    np.testing.assert_allclose(rule.history_[:, "lr"][::5], [1e-3, 1e-3 * 0.999, 1e-3 * 0.999**2])


BRIEF = {"max_epochs": 3, "lr": 0.02, "n_ensemble": 1, "mirror": False, "random_state": 0}


@pytest.mark.parametrize(
    "estimator",
    [
        lr.ReinforceRuleEstimator(max_epochs=1),
        lr.DNNRuleEstimator(**BRIEF),
        lr.RNNRuleEstimator(**BRIEF),
    ],
    ids=estimator_name,
)
def test_fits_by_every_engine_agree(cohort, estimator):
    X, y, _ = cohort
    by_engine = {
        engine: clone(estimator).set_params(engine=engine).fit(X, y).predict_proba(X)
        for engine in ENGINES
    }
    for engine in ENGINES:
        np.testing.assert_allclose(by_engine[engine], by_engine["loop"], atol=2e-3)


def test_verbose_shows_progress_and_silence_is_the_default(cohort, capsys):
    X, y, _ = cohort
    how = {"max_epochs": 2, "n_ensemble": 1, "random_state": 0}
    lr.DNNRuleEstimator(mirror=False, **how).fit(X, y)
    assert capsys.readouterr() == ("", "")
    lr.DNNRuleEstimator(mirror=True, device="cpu", verbose=1, **how).fit(X, y)
    shown = capsys.readouterr().err
    assert "DNNRuleEstimator (all choices alike, fused engine, cpu): 100%" in shown
    lr.RNNRuleEstimator(mirror=True, device="cpu", verbose=1, **how).fit(X, y)
    shown = capsys.readouterr().err
    assert "RNNRuleEstimator (with mirror images, fused engine, cpu): 100%" in shown
    lr.DNNRuleEstimator(mirror=False, verbose=2, **how).fit(X, y)
    assert "train_loss" in capsys.readouterr().out


def test_training_that_diverges_says_so(cohort):
    X, y, _ = cohort
    with (
        pytest.warns(ConvergenceWarning, match="member 1 of [0-9]+ is fitted anew"),
        pytest.raises(FloatingPointError, match=r"Training diverged.*Lower lr"),
    ):
        lr.DNNRuleEstimator(lr=1e8, max_epochs=50, mirror=False, random_state=0).fit(X, y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_fits_as_the_cpu_does(cohort):
    X, y, _ = cohort
    on_cpu, on_gpu = (lr.ReinforceRuleEstimator(device=d).fit(X, y) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), atol=1e-5)


def test_the_rule_that_the_readme_adds_is_fitted_and_recovered():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n([^`]*class DecayRule[^`]*)```", readme)
    names = {"torch": torch, "nn": torch.nn, "dataclass": dataclass}
    names |= {"LearningRule": LearningRule, "BaseRuleEstimator": BaseRuleEstimator}
    exec(example, names)
    truth = names["DecayRule"](2)
    trials = make_learning_cohort(30, 200, rule=truth, initial_weights=(3.0, 1.0), random_state=0)
    X, y, _ = lr.make_design(trials)
    rule = names["DecayRuleEstimator"](initial_weights=[2.0, 0.5]).fit(X, y)
    np.testing.assert_allclose(rule.decay_, 0.01, rtol=0.2)


def test_a_fit_is_silent_though_another_package_has_replaced_print(monkeypatch, capsys):
    X, y, _ = lr.make_design(make_learning_cohort(2, 50, random_state=0))
    replaced = partial(print)  # Ray's replaces it everywhere; the log of skorch is what minds
    monkeypatch.setattr("skorch.callbacks.logging.print", replaced, raising=False)
    lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert capsys.readouterr() == ("", "")
