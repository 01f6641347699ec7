"""Weights that drift: the filter against particles, against no noise, and against the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import make_trials
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit

import sklearn_learnrule as lr
from sklearn_learnrule import simulation
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.models.members import copy_models
from sklearn_learnrule.rules import (
    TWO_CHOICES,
    DNNRule,
    FilteredRule,
    Lapses,
    ProcessNoise,
    ReinforceRule,
    Trial,
    filtered_logit,
    observe,
    unpack,
)
from sklearn_learnrule.rules.filtered import MAX_COVARIANCE, MAX_WEIGHT
from sklearn_learnrule.simulation._learning import simulate_learning

RATE, NOISE, SESSION_NOISE, INITIAL_STD = 0.04, 0.05, 0.4, 0.5
SESSION = 100


class SideTask:
    """Stimuli on either side, as often; correct choices are paid 1."""

    def __init__(self, n_subjects, rng):
        self.n_subjects, self.rng = n_subjects, rng

    def show(self, trial):
        stimulus = self.rng.choice([-1, -0.5, -0.25, 0.25, 0.5, 1], self.n_subjects)
        return stimulus[:, None], stimulus > 0

    def reward(self, trial, correct):
        return correct.astype(float)


def simulate(
    n_subjects, n_trials, *, rate=RATE, noise=NOISE, session_noise=SESSION_NOISE, lapses=0.0, seed=0
):
    """Return what drifting animals that learn by REINFORCE did, and X and y."""
    rng = np.random.RandomState(seed)
    start = rng.normal(0, INITIAL_STD, (n_subjects, 2))
    opens = np.arange(n_trials) % SESSION == np.zeros((n_subjects, 1))
    lived = simulate_learning(
        ReinforceRule(2, learning_rate=rate), SideTask(n_subjects, rng), start, opens, rng,
        process_noise=noise, session_noise=session_noise, lapses=lapses,
    )  # fmt: skip
    subject, trial = np.indices(lived.choice.shape)
    table = {
        "subject": subject.ravel(),
        "session": (trial // SESSION).ravel(),
        "stimulus": lived.stimulus.ravel(),
        "choice": lived.choice.ravel().astype(int),
        "reward": lived.reward.ravel(),
    }
    X, y, _ = lr.make_design(pd.DataFrame(table))
    return lived, X, y


@pytest.fixture(scope="module")
def cohort():
    return simulate(40, 600)


@pytest.fixture(scope="module")
def fitted(cohort):
    _, X, y = cohort
    return lr.ReinforceRuleEstimator(baseline=None, process_noise="learned").fit(X, y)


def particle_filter(lived, n_particles, rng, lapses=(0.0, 0.0)):
    """Return each choice's log-likelihood, averaged over particles of weights, (N, T)."""
    n_subjects, n_trials = lived.choice.shape
    weights = rng.normal(0, INITIAL_STD, (n_subjects, n_particles, 2))
    log_likelihood = np.empty((n_subjects, n_trials))
    for t in range(n_trials):
        x = np.column_stack([lived.stimulus[:, t], np.ones(n_subjects)])[:, None]  # (N, 1, 2)
        y = lived.choice[:, t, None].astype(float)
        p = expit((weights * x).sum(-1))  # (N, P)
        likelihood = np.where(y > 0, lapses[1], lapses[0])
        likelihood = likelihood + (1 - sum(lapses)) * np.where(y > 0, p, 1 - p)
        log_likelihood[:, t] = np.log(likelihood.mean(1))
        places = (np.arange(n_particles) + rng.rand(n_subjects, 1)) / n_particles
        shares = (likelihood / likelihood.sum(1, keepdims=True)).cumsum(1)
        for n in range(n_subjects):  # systematic resampling
            chosen = np.searchsorted(shares[n], places[n]).clip(0, n_particles - 1)
            weights[n], p[n] = weights[n, chosen], p[n, chosen]
        weights += RATE * lived.reward[:, t, None, None] * (y - p)[..., None] * x
        weights += rng.normal(0, NOISE, weights.shape)
        if (t + 1) % SESSION == 0:
            weights += rng.normal(0, SESSION_NOISE, weights.shape)
    return log_likelihood


def true_filter(lapses):
    rule = ReinforceRule(2, learning_rate=RATE)
    noise = ProcessNoise(2, NOISE, SESSION_NOISE, INITIAL_STD)
    return FilteredRule(rule, noise, Lapses(lapses)).double()


def filter_log_likelihood(lived, lapses=0.0):
    n_subjects, n_trials = lived.choice.shape
    features = np.concatenate([lived.stimulus, np.ones((n_subjects, n_trials, 1))], -1)
    opens_next = np.tile((np.arange(n_trials) + 1) % SESSION == 0, (n_subjects, 1))
    fields = (features, lived.choice, lived.reward, lived.answer, opens_next)
    trials = Trial(*(torch.as_tensor(field).double() for field in fields))
    observed = torch.ones(n_subjects, n_trials, dtype=torch.bool)
    start = torch.zeros(n_subjects, 2, dtype=torch.float64)
    with torch.no_grad():
        rule = true_filter(lapses)
        path = unroll(rule, start, trials, observed)
        logit = filtered_logit(path[..., :2], path[..., 2:], trials.features)
        logit = TWO_CHOICES.lapsing_logits(logit, rule.lapses.odds).numpy()
    return log_expit(np.where(lived.choice, logit, -logit))


def test_the_filters_likelihood_is_that_of_many_particles():
    lived, _, _ = simulate(6, 250, seed=1)
    found = filter_log_likelihood(lived)
    expected = particle_filter(lived, 3000, np.random.RandomState(2))
    assert found.mean() == pytest.approx(expected.mean(), abs=1e-3)
    assert np.abs(found.mean(1) - expected.mean(1)).max() < 5e-3  # of each animal


def test_noise_too_small_to_matter_leaves_the_rule_alone(cohort):
    X, y = (table.loc[:9] for table in cohort[1:])
    alone = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    still = lr.ReinforceRuleEstimator(
        baseline=None, process_noise=0.0, session_noise=0.0, initial_std=0.0
    ).fit(X, y)
    assert_allclose(still.decision_function(X), alone.decision_function(X), atol=1e-4)
    assert_allclose(still.learning_rate_, alone.learning_rate_, rtol=1e-3)


def test_noise_and_rule_are_recovered(fitted):
    assert_allclose(fitted.process_noise_, NOISE, rtol=0.15)
    assert_allclose(fitted.session_noise_, SESSION_NOISE, rtol=0.15)
    assert_allclose(fitted.initial_std_, INITIAL_STD, rtol=0.35)  # 40 animals
    rate = fitted.summary_.query("parameter == 'learning_rate'")
    assert (np.abs(rate["estimate"] - RATE) < 2.5 * rate["standard_error"]).all()
    assert (rate["standard_error"] < RATE / 3).all()


def test_the_summary_has_the_noise(fitted):
    noise = fitted.summary_.query("parameter == 'process_noise'")
    assert noise["weight"].tolist() == ["stimulus", "bias"]
    assert_allclose(noise["estimate"], fitted.process_noise_)
    assert (noise["standard_error"] > 0).all()


def test_noise_predicts_drifting_animals_better_than_the_rule_alone(cohort, fitted):
    _, X, y = simulate(20, 600, seed=3)
    alone = lr.ReinforceRuleEstimator(baseline=None).fit(*cohort[1:])
    assert fitted.score(X, y) > alone.score(X, y) + 0.005


def test_drift_poses_as_a_negative_baseline_where_it_is_not_modelled(cohort):
    _, X, y = cohort  # of animals whose rule has no baseline
    baseline = lr.ReinforceRuleEstimator().fit(X, y).summary_.query("parameter == 'baseline'")
    assert (baseline["upper"] < 0).all()


@pytest.mark.parametrize("smoothed", [False, True])
def test_credible_bands_cover_the_true_weights(fitted, smoothed):
    lived, X, y = simulate(30, 400, seed=4)
    weights, std = (
        fitted.smooth_weights(X, y, return_std=True)
        if smoothed
        else fitted.predict_weights(X, return_std=True)
    )
    error = lived.weights.reshape(-1, 2) - weights.to_numpy()
    covered = np.abs(error) < 1.645 * std.to_numpy()
    assert ((covered.mean(0) > 0.85) & (covered.mean(0) < 0.95)).all()


def test_looking_back_is_nearer_to_the_truth(fitted):
    lived, X, y = simulate(30, 400, seed=5)
    true = lived.weights.reshape(-1, 2)
    before, after = fitted.predict_weights(X), fitted.smooth_weights(X, y)
    errors = [((weights.to_numpy() - true) ** 2).mean() for weights in (before, after)]
    assert errors[1] < 0.8 * errors[0]


def test_the_last_choice_changes_the_last_smoothed_weights_and_no_prediction(fitted, cohort):
    _, X, y = cohort
    one = X.loc[[0]]
    other = y.loc[[0]].copy()
    other.iloc[-1] = 1 - other.iloc[-1]
    first, second = fitted.smooth_weights(one, y.loc[[0]]), fitted.smooth_weights(one, other)
    assert (first.iloc[-1] != second.iloc[-1]).any()
    assert_allclose(fitted.smooth_weights(one, y.loc[[0]]), fitted.smooth_weights(X, y).loc[[0]])


@pytest.mark.parametrize("network", [lr.DNNRuleEstimator, lr.RNNRuleEstimator])
def test_networks_take_noise(network):
    _, X, y = simulate(6, 120, seed=6)
    how = {"max_epochs": 15, "lr": 0.02, "n_ensemble": 1, "random_state": 0}
    how |= {"hidden_sizes": (8,), "mirror": False}
    fitted = network(process_noise="learned", **how).fit(X, y)
    assert fitted.score(X, y) > network(**how).fit(X, y).score(X, y)
    decayed = [group for group in fitted.net_.optimizer_.param_groups if group["weight_decay"]]
    assert {parameter.ndim for group in decayed for parameter in group["params"]} == {2}  # layers
    weights, std = fitted.smooth_weights(X, y, return_std=True)
    assert weights.shape == std.shape == (len(X), 2) and (std > 0).all(axis=None)


def test_twins_drift_as_much_as_the_animals(fitted, cohort):
    _, X, _ = cohort
    _, weights = simulation.simulate(fitted, X, random_state=0, return_weights=True)
    steps = weights.groupby("subject").diff().reset_index()
    opens = steps["session"].ne(steps.groupby("subject")["session"].shift())
    drift = steps[["stimulus", "bias"]]
    assert_allclose(drift[~opens].std(), fitted.process_noise_, rtol=0.1)
    assert_allclose(drift[opens].std(), fitted.session_noise_, rtol=0.2)


def test_wrong_noise_gets_a_clear_sentence(cohort):
    _, X, y = cohort
    with pytest.raises(ValueError, match="process_noise should be 'learned' or numbers, got 'yes'"):
        ProcessNoise(2, "yes", 0.1, 0.1)
    with pytest.raises(ValueError, match="session_noise should be at least 0, got -1"):
        ProcessNoise(2, 0.1, -1, 0.1)
    with pytest.raises(ValueError, match="process_noise is None: fit with process_noise='learned'"):
        lr.ReinforceRuleEstimator().fit(X, y).smooth_weights(X, y)


def test_a_copied_model_filters_by_its_own_parameters(fitted):
    (model,) = copy_models(fitted)
    filtered = model.dynamics.rule
    assert filtered.rule is model.rule.rule and filtered.noise is model.noise
    assert model.dynamics is model.dynamics  # by which the parallel engine knows it again
    assert model.rule is not fitted.net_.module_.rule


class RunawayRule(lr.rules.LearningRule):
    """Drives weights, and what is not known of them, away by a fixed share on every trial."""

    def __init__(self, n_weights, share=0.9):
        super().__init__(n_weights)
        self.share = torch.nn.Parameter(torch.tensor(share))

    def forward(self, weights, trial, memory):
        return self.share * weights, memory


def runaway_network(n_weights, share=0.9):
    """Return the same rule as a network without a hidden layer, for which there are kernels."""
    network = DNNRule(n_weights, hidden_sizes=())
    with torch.no_grad():
        network.scale.fill_(1)
        network.mlp[0].bias.zero_()
        network.mlp[0].weight.zero_().fill_diagonal_(share)
    return network


def runaway_path(make_rule, engine, dtype, *, n_trials=150, truncation=100, **rule):
    trials, observed = make_trials([n_trials, 50], 3, dtype=dtype)
    noise = ProcessNoise(3, "learned", "learned", "learned")
    rule = FilteredRule(make_rule(3, **rule), noise).to(dtype)
    start = torch.full((2, 3), 0.1, dtype=dtype, requires_grad=True)
    path = unroll(rule, start, trials, observed, truncation=truncation, engine=engine)
    logits = filtered_logit(path[..., :3], path[..., 3:], trials.features)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, trials.choice)
    return path.detach(), torch.autograd.grad(loss, [start, *rule.noise.parameters()])


@pytest.mark.parametrize(
    ("make_rule", "engine", "dtype"),
    [
        (RunawayRule, "loop", torch.float64),
        (RunawayRule, "parallel", torch.float32),  # whose filter is the loop's
        (runaway_network, "fused", torch.float32),
        (runaway_network, "fused", torch.float64),
    ],
)
def test_a_rule_that_runs_away_leaves_numbers_finite_and_covariances_what_they_are(
    make_rule, engine, dtype
):
    path, gradients = runaway_path(make_rule, engine, dtype)
    assert path.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)
    assert path[0, -1, :3].abs().amax() == MAX_WEIGHT  # 1.9^150 would be 1e41
    covariance = unpack(path[..., 3:]).double()
    largest = covariance.diagonal(0, -2, -1).amax(-1)
    assert largest[0, -1] == pytest.approx(MAX_COVARIANCE)
    assert (torch.linalg.eigvalsh(covariance)[..., 0] >= -1e-6 * largest).all()


@pytest.mark.parametrize(
    "case",
    [{}, {"share": 0.05, "n_trials": 300, "truncation": None}],  # held; kept in check by choices
    ids=["held", "checked"],
)
def test_a_rule_that_runs_away_has_the_same_gradients_in_the_loop_and_the_kernels(case):
    expected, truths = runaway_path(runaway_network, "loop", torch.float64, **case)
    found, gradients = runaway_path(runaway_network, "fused", torch.float64, **case)
    assert_allclose(found, expected, rtol=1e-6)
    for gradient, truth in zip(gradients, truths, strict=True):
        assert_allclose(gradient, truth, rtol=1e-6)


def test_a_logit_that_rounding_gives_a_negative_variance_tells_nothing():
    x = torch.tensor([[1.0, 1.0]])
    covariance = torch.tensor([[[1e4, -1.0001e4], [-1.0001e4, 1e4]]])  # x'Px = -2
    mean, after = observe(torch.zeros(1, 2), covariance, x, torch.ones(1))
    assert (mean == 0).all() and (after == covariance).all()


def test_a_covariance_is_packed_by_its_lower_triangle():
    expected = torch.tensor([[1.0, 2, 4], [2, 3, 5], [4, 5, 6]])
    assert (unpack(torch.tensor([1.0, 2, 3, 4, 5, 6])) == expected).all()
