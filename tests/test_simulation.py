"""Simulated animals: they choose by their weights, and a known rule moves these."""

import random

import numpy as np
import pytest
import torch
from helpers import RULE_MAKERS, CoinTask, make_rule
from scipy.special import expit
from scipy.stats import chi2

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import PredictMaxRule, ReinforceRule, Trial
from sklearn_learnrule.simulation import simulate_learning

N, T = 4, 60


def simulate(rule, *, start=(0.5, -1.0, 0.25), seed=0, n_subjects=N, n_trials=T, **parameters):
    opens = np.random.RandomState(9).random_sample((n_subjects, n_trials)) < 0.2
    start = np.tile(start, (n_subjects, 1))
    task = CoinTask(opens, np.random.RandomState(seed))
    rng = np.random.RandomState(seed)
    return simulate_learning(rule, task, start, opens, rng, **parameters), opens


def trials_of(simulation, opens):
    """The simulated trials as a rule sees them, each (N, T, ...)."""
    features = np.concatenate([simulation.stimulus, np.ones((*opens.shape, 1))], -1)
    opens_next = np.concatenate([opens[:, 1:], np.zeros_like(opens[:, :1])], 1)
    fields = (features, simulation.choice, simulation.reward, simulation.answer, opens_next)
    return Trial(*(torch.tensor(field, dtype=torch.float64) for field in fields))


@pytest.mark.parametrize("name", RULE_MAKERS)
def test_weights_move_as_the_engine_says_they_do(name):
    """So that a simulated cohort and a fitted one share every convention, memory included."""
    rule = make_rule(name, 3)
    simulation, opens = simulate(rule)
    with torch.no_grad():
        expected = unroll(
            rule,
            torch.from_numpy(simulation.weights[:, 0]),
            trials_of(simulation, opens),
            torch.arange(T).expand(N, T) < T - 1,
            engine="loop",
        )
    np.testing.assert_allclose(simulation.weights, expected, rtol=1e-9, atol=1e-12)
    assert (
        name in ("constant", "observation") or (np.ptp(simulation.weights, axis=1) > 0).all(0).any()
    )


def test_each_step_is_the_textbooks_from_the_start_given():
    rule = ReinforceRule(3, "free", learning_rate=[0.1, 0.2, 0.3], initial_baseline=-0.25)
    simulation, _ = simulate(rule)
    np.testing.assert_array_equal(simulation.weights[:, 0], [[0.5, -1.0, 0.25]] * N)
    x = np.concatenate([simulation.stimulus, np.ones((N, T, 1))], -1)
    p = expit((simulation.weights * x).sum(-1))
    advantage = (simulation.reward + 0.25) * (simulation.choice - p)
    update = np.array([0.1, 0.2, 0.3]) * advantage[:, :, None] * x
    np.testing.assert_allclose(
        np.diff(simulation.weights, axis=1), update[:, :-1], rtol=1e-6, atol=1e-9
    )


def test_a_reward_follows_from_the_choice_that_was_made():
    simulation, _ = simulate(ReinforceRule(3))
    correct = simulation.choice == simulation.answer
    np.testing.assert_array_equal(simulation.reward, np.where(correct, 2.0, -0.5))


def test_choices_are_drawn_with_the_policys_probabilities():
    """In ten bins of predicted probability, and a martingale in every weight."""
    simulation, _ = simulate(ReinforceRule(3, learning_rate=0.05), n_subjects=50, n_trials=400)
    x = np.concatenate([simulation.stimulus, np.ones((50, 400, 1))], -1)
    p = expit((simulation.weights * x).sum(-1)).ravel()
    surprise = simulation.choice.ravel() - p
    bins = np.argsort(np.argsort(p)) * 10 // len(p)
    total, variance = (np.bincount(bins, values) for values in (surprise, p * (1 - p)))
    assert (total**2 / variance).sum() < chi2.ppf(0.999, 10)
    z = surprise @ x.reshape(-1, 3) / np.sqrt((p * (1 - p)) @ x.reshape(-1, 3) ** 2)
    assert np.abs(z).max() < 4


def test_a_function_of_numpy_arrays_is_a_rule_as_good_as_a_module():
    seen = []

    def predict_max(weights, trial):
        seen.append((weights.copy(), trial.map(np.array)))
        p = expit((weights * trial.features).sum(1))
        return 0.1 * (trial.answer - p)[:, None] * trial.features

    by_function, opens = simulate(predict_max)
    by_module, _ = simulate(PredictMaxRule(3, learning_rate=0.1))
    np.testing.assert_array_equal(by_function.choice, by_module.choice)
    np.testing.assert_allclose(by_function.weights, by_module.weights, atol=1e-6)
    expected = trials_of(by_function, opens)
    for t, (weights, trial) in enumerate(seen):
        np.testing.assert_array_equal(weights, by_function.weights[:, t])
        for name, values in vars(expected.at(t)).items():
            np.testing.assert_array_equal(getattr(trial, name), values)


def test_the_task_is_asked_and_told_trial_by_trial():
    """So that it may watch an animal and set the next trial."""
    opens = np.zeros((1, 3), dtype=bool)
    task = CoinTask(opens, np.random.RandomState(0))
    simulate_learning(ReinforceRule(3), task, np.zeros((1, 3)), opens, np.random.RandomState(0))
    assert task.calls == [(call, t) for t in range(3) for call in ("show", "reward")]


def test_the_same_seed_gives_the_same_animals():
    (first, _), (same, _), (other, _) = (simulate(ReinforceRule(3), seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.weights, same.weights)
    np.testing.assert_array_equal(first.choice, same.choice)
    assert (first.choice != other.choice).any()


def test_the_callers_rule_and_the_global_seeds_are_left_alone():
    rule = RULE_MAKERS["rnn, small"](3)
    before = {name: value.clone() for name, value in rule.state_dict().items()}
    states = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
    simulate(rule)
    for name, value in rule.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in rule.parameters())
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    assert random.getstate() == states[2]


def test_a_function_that_writes_into_its_arguments_does_no_harm():
    def clumsy(weights, trial):
        update = 0.1 * trial.reward[:, None] * trial.features
        weights += 100.0
        return update

    def careful(weights, trial):
        return clumsy(weights.copy(), trial)

    np.testing.assert_array_equal(simulate(clumsy)[0].weights, simulate(careful)[0].weights)


def test_process_noise_moves_each_weight_by_its_own_standard_deviation_beside_the_rule():
    sigma = np.array([0.1, 0.0, 0.4])
    rule = ReinforceRule(3, learning_rate=0.05)
    simulation, _ = simulate(rule, n_subjects=50, n_trials=400, process_noise=sigma)
    x = np.concatenate([simulation.stimulus, np.ones((50, 400, 1))], -1)
    p = expit((simulation.weights * x).sum(-1))
    update = 0.05 * (simulation.reward * (simulation.choice - p))[:, :, None] * x
    noise = np.diff(simulation.weights, axis=1) - update[:, :-1]
    np.testing.assert_allclose(noise.mean((0, 1)), 0.0, atol=4 * 0.4 / np.sqrt(50 * 399))
    np.testing.assert_allclose(noise.std((0, 1)), sigma, rtol=0.03, atol=1e-8)


def test_without_process_noise_nothing_more_is_drawn():
    plain, _ = simulate(ReinforceRule(3))
    silent, _ = simulate(ReinforceRule(3), process_noise=np.zeros(3))
    np.testing.assert_array_equal(plain.choice, silent.choice)
