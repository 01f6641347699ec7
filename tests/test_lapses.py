"""Lapses: choices that the weights do not explain, fitted, filtered, and made by twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED, RULE_MAKERS, make_trials, noisy
from numpy.testing import assert_allclose
from scipy.special import expit
from test_engines import weights_and_gradients
from test_process_noise import filter_log_likelihood, particle_filter, simulate

import sklearn_learnrule as lr
from sklearn_learnrule import simulation
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import TWO_CHOICES, Lapses, observe
from sklearn_learnrule.rules.observing import filtered_logit, pack
from sklearn_learnrule.simulation import simulate_learning

pytestmark = BRIEFLY_TRAINED

RATES = (0.05, 0.15)
RATE = 0.05  # of learning
NOISE = {"baseline": None, "process_noise": "learned"}


@pytest.fixture(scope="module")
def cohort():
    rule = lr.rules.ReinforceRule(2, learning_rate=RATE)
    trials = make_learning_cohort(30, 600, rule=rule, lapses=RATES, random_state=0)
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def fitted(cohort):
    return lr.ReinforceRuleEstimator(lapses="learned").fit(*cohort)


@pytest.fixture(scope="module")
def drifting():
    return simulate(40, 600, lapses=RATES)


@pytest.fixture(scope="module")
def fitted_drifting(drifting):
    _, X, y = drifting
    return lr.ReinforceRuleEstimator(lapses="learned", **NOISE).fit(X, y)


def few(drifting):
    """Return X and y of ten animals."""
    _, X, y = drifting
    return X.loc[:9], y.loc[:9]


def within(table, truth, n_errors=2.5):
    return (np.abs(table["estimate"] - np.array(truth)) < n_errors * table["standard_error"]).all()


@pytest.mark.parametrize("which", ["fitted", "fitted_drifting"])
def test_rates_are_recovered(which, request):
    rule = request.getfixturevalue(which)
    rates = rule.summary_.query("parameter == 'lapse_rates'")
    assert rates["side"].tolist() == rule.classes_.tolist()  # lapsed to
    assert rates["weight"].tolist() == ["", ""]
    assert_allclose(rates["estimate"], rule.lapse_rates_)
    assert within(rates, RATES) and (rates["standard_error"] < 0.02).all()


def test_the_rule_is_recovered_beside_lapses(fitted):
    rate = fitted.summary_.query("parameter == 'learning_rate'")
    assert within(rate, RATE)


def test_lapses_that_are_not_modelled_pass_for_slow_learning(cohort, fitted):
    blind = lr.ReinforceRuleEstimator().fit(*cohort)
    assert blind.learning_rate_[0] < 0.75 * fitted.learning_rate_[0]
    rule = lr.rules.ReinforceRule(2, learning_rate=RATE)
    trials = make_learning_cohort(15, 600, rule=rule, lapses=RATES, random_state=1)
    X, y, _ = lr.make_design(trials)
    assert fitted.score(X, y) > blind.score(X, y)


def test_rates_of_animals_that_do_not_lapse_are_at_their_bound():
    X, y, _ = lr.make_design(make_learning_cohort(20, 800, random_state=0))
    rule = lr.ReinforceRuleEstimator(lapses="learned").fit(X, y)
    rates = rule.summary_.query("parameter == 'lapse_rates'")
    assert (rates["note"] == "too close to a bound").all() and (rates["estimate"] < 1e-3).all()


@pytest.mark.parametrize("noise", [{}, NOISE], ids=["still", "noise"])
def test_rates_of_zero_are_no_lapses(drifting, noise):
    X, y = few(drifting)
    none, zero = (
        lr.ReinforceRuleEstimator(lapses=of, max_epochs=2, **noise).fit(X, y) for of in (None, 0.0)
    )
    assert (zero.lapse_rates_ == 0).all() and not hasattr(none, "lapse_rates_")
    assert_allclose(zero.decision_function(X), none.decision_function(X), rtol=1e-9)
    assert_allclose(zero.learning_rate_, none.learning_rate_)


@pytest.mark.parametrize("noise", [{}, NOISE], ids=["still", "noise"])
def test_predictions_stay_between_the_rates(drifting, noise):
    X, y = few(drifting)
    rule = lr.ReinforceRuleEstimator(lapses=(0.1, 0.3), **noise).fit(X, y)
    assert_allclose(rule.lapse_rates_, [0.1, 0.3])  # held
    p = rule.predict_proba(X)[:, 1]
    assert 0.3 < p.min() < 0.32 and 0.88 < p.max() < 0.9


def test_predictions_are_the_policys_but_for_lapses(cohort, fitted):
    X, _ = cohort
    weights = fitted.predict_weights(X)
    policy = expit(weights["stimulus"] * X["stimulus"] + weights["bias"])
    first, second = fitted.lapse_rates_
    assert_allclose(fitted.predict_proba(X)[:, 1], second + (1 - first - second) * policy)


def test_an_ensembles_policies_lapse_at_its_mean_rates(drifting):
    X, y = few(drifting)
    how = {"max_epochs": 5, "lr": 0.05, "n_ensemble": 3, "random_state": 0, "mirror": False}
    network = lr.DNNRuleEstimator(lapses="learned", hidden_sizes=(4,), **how).fit(X, y)
    rates = [net.module_.lapses.rates.detach() for net in network.nets_]
    assert_allclose(network.lapse_rates_, torch.stack(rates).mean(0), rtol=1e-6)
    weights = network.predict_weights(X)
    policy = expit(weights["stimulus"] * X["stimulus"] + weights["bias"])
    first, second = network.lapse_rates_
    expected = second + (1 - first - second) * policy
    assert_allclose(network.predict_proba(X)[:, 1], expected, rtol=1e-6)


def test_weight_decay_leaves_the_rates_alone(drifting):
    X, y = few(drifting)
    how = {"max_epochs": 1, "n_ensemble": 1, "random_state": 0, "mirror": False}
    network = lr.DNNRuleEstimator(lapses="learned", process_noise=0.1, **how).fit(X, y)
    decayed = [group for group in network.net_.optimizer_.param_groups if group["weight_decay"]]
    assert {parameter.ndim for group in decayed for parameter in group["params"]} == {2}  # layers


def test_the_filters_likelihood_is_that_of_many_particles():
    lived, _, _ = simulate(12, 120, lapses=RATES, seed=1)
    found = filter_log_likelihood(lived, RATES)
    expected = particle_filter(lived, 3000, np.random.RandomState(2), RATES)
    assert found.mean() == pytest.approx(expected.mean(), abs=1e-3)
    assert np.abs(found.mean(1) - expected.mean(1)).max() < 5e-3  # of each animal


def test_credible_bands_cover_the_true_weights(fitted_drifting):
    lived, X, y = simulate(30, 400, lapses=RATES, seed=4)
    for weights, std in (
        fitted_drifting.predict_weights(X, return_std=True),
        fitted_drifting.smooth_weights(X, y, return_std=True),
    ):
        covered = np.abs(lived.weights.reshape(-1, 2) - weights) < 1.645 * std
        assert ((covered.mean() > 0.85) & (covered.mean() < 0.95)).all()


def known(n, choice):
    """Return random means (n, 3), covariances, features, a choice for all, and lapses' odds."""
    generator = torch.Generator().manual_seed(0)
    root, mean, features = (
        torch.randn(n, *shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 3), (3,), (3,))
    )
    odds = Lapses(RATES).double().odds.detach()
    return 2 * mean, root @ root.mT, features, torch.full((n,), choice).double(), odds


@pytest.mark.parametrize("choice", [0, 1])
def test_a_choice_changes_what_is_known_by_the_slope_and_bend_of_its_log_likelihood(choice):
    mean, covariance, features, choices, odds = known(50, choice)
    found, left = observe(mean, covariance, features, choices, odds)
    for n in range(len(mean)):

        def log_likelihood(w, n=n):
            logit = TWO_CHOICES.lapsing_logits(
                filtered_logit(w, pack(covariance[n]), features[n]), odds
            )
            return torch.nn.functional.logsigmoid(logit if choice else -logit)

        slope = torch.autograd.functional.jacobian(log_likelihood, mean[n])
        bend = torch.autograd.functional.hessian(log_likelihood, mean[n])
        assert_allclose(found[n], mean[n] + covariance[n] @ slope)
        assert_allclose(left[n], covariance[n] + covariance[n] @ bend @ covariance[n], atol=1e-12)


def test_a_surprise_widens_what_is_known_and_leaves_a_covariance():
    mean, covariance, features, choices, odds = known(200, 1)
    left = observe(mean, covariance, features, choices, odds)[1]
    assert (torch.linalg.eigvalsh(left) > -1e-12).all()
    wider = left.diagonal(0, 1, 2).sum(1) > covariance.diagonal(0, 1, 2).sum(1)
    expected = (mean * features).sum(1)
    assert wider.any() and (expected[wider] < 0).all()


@pytest.mark.parametrize("engine", ["parallel", "fused"])
@pytest.mark.parametrize("rates", [0.0, (0.0, 0.1), (0.3, 0.5)], ids=str)
@pytest.mark.parametrize("name", ["reinforce, free baseline, options", "dnn"])
def test_engines_agree_to_ten_digits_at_rates_given(name, rates, engine):
    torch.manual_seed(0)
    rule = noisy(RULE_MAKERS[name], rates)(2).double()
    rule.lapses.requires_grad_()
    trials, observed = make_trials([1, 7, 70])
    expected, found = (
        weights_and_gradients(of, rule, trials, observed, None) for of in ("loop", engine)
    )
    for truth, value in zip(expected, found, strict=True):
        assert (value - truth).norm() <= 1e-10 * truth.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rates", ["learned", 0.0, (0.0, 0.9), (1e-12, 0.0)], ids=str)
def test_no_gradient_is_lost_however_sure_the_policy(rates, dtype):
    lapses = Lapses(rates).to(dtype).requires_grad_()
    logit = torch.tensor([-1e5, -200.0, -1.0, 0.0, 1.0, 200.0, 1e5], dtype=dtype)
    logit.requires_grad_()
    found = TWO_CHOICES.lapsing_logits(logit, lapses.odds)
    gradients = torch.autograd.grad(found.sum(), [logit, lapses.root_odds])
    assert all(values.isfinite().all() for values in (found, *gradients))
    first, second = lapses.rates.detach()
    p = second + (1 - first - second) * torch.sigmoid(logit.detach())
    assert_allclose(torch.sigmoid(found.detach()), p, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("engine", ["loop", "fused"])
@pytest.mark.parametrize("rates", [0.0, (0.0, 0.1), (1e-12, 0.0)], ids=str)
def test_a_choice_that_could_not_be_leaves_the_filter_finite(rates, engine):
    rule = noisy(RULE_MAKERS["reinforce"], rates)(2).double()
    rule.lapses.requires_grad_()
    trials, observed = make_trials([20])
    trials = replace(trials, features=1000 * trials.features, choice=0 * trials.choice)
    for values in weights_and_gradients(engine, rule, trials, observed, None):
        assert values.isfinite().all()


def test_future_choices_never_change_past_predictions(fitted_drifting, drifting):
    _, X, _ = drifting
    one = X.loc[[0]]
    other = one.copy()
    other.iloc[301:, other.columns.get_loc("previous_choice")] *= -1  # choice 300 and later ones
    before, after = (fitted_drifting.decision_function(rows) for rows in (one, other))
    assert (before[:301] == after[:301]).all() and (before[301:] != after[301:]).all()


class OneSide:
    """The same stimulus always, which is correct with the second choice."""

    def show(self, trial):
        return np.ones((400, 1)), np.ones(400, dtype=bool)

    def reward(self, trial, correct):
        return correct.astype(float)


@pytest.mark.parametrize("weight, expected", [(-100.0, RATES[1]), (100.0, 1 - RATES[0])])
def test_simulated_animals_lapse_to_either_side_as_often_as_told(weight, expected):
    start, opens = np.tile([weight, 0.0], (400, 1)), np.zeros((400, 25), dtype=bool)
    still = lr.rules.ConstantRule(2)
    lived = simulate_learning(
        still, OneSide(), start, opens, np.random.RandomState(0), lapses=RATES
    )
    assert lived.choice.mean() == pytest.approx(expected, abs=0.012)  # 3 standard errors


def test_twins_lapse_as_often_as_the_animals(cohort, fitted):
    X, _ = cohort
    trials = simulation.simulate(fitted, X, random_state=0)
    X_twins, y_twins, _ = lr.make_design(trials, stimulus=["stimulus"])
    twins = lr.ReinforceRuleEstimator(lapses="learned").fit(X_twins, y_twins)
    rates = twins.summary_.query("parameter == 'lapse_rates'")
    assert within(rates, fitted.lapse_rates_) and (rates["standard_error"] < 0.02).all()


def test_without_lapses_seeds_keep_their_animals():
    silent = make_learning_cohort(3, 50, random_state=0)
    assert silent.equals(make_learning_cohort(3, 50, random_state=0, lapses=(0.0, 0.0)))


@pytest.mark.parametrize(
    "lapses, message",
    [
        ("yes", "lapses should be 'learned' or numbers, got 'yes'"),
        (-0.1, "lapses should be at least 0, got -0.1"),
        ((0.5, 0.5), r"lapses should add up to less than 1, got \[0.5, 0.5\]"),
        ((0.1, 0.1, 0.1), r"lapses should be one finite number or \(2,\) of them"),
        (np.nan, r"lapses should be one finite number or \(2,\) of them, got nan"),
    ],
)
def test_wrong_lapses_get_a_clear_sentence(lapses, message):
    with pytest.raises(ValueError, match=message):
        Lapses(lapses)
    if not isinstance(lapses, str):
        with pytest.raises(ValueError, match=message):
            make_learning_cohort(2, 10, lapses=lapses)
