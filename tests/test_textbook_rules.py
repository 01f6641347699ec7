"""Textbook rules with a memory, and the options that all textbook rules have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import TEXTBOOK
from test_rules import ALPHA, FORGETTING, OPTIONS, SIDES, sigmoid, trajectory

from sklearn_learnrule.engine import ENGINES
from sklearn_learnrule.rules import (
    ActorCriticRule,
    EligibilityRule,
    PredictMaxRule,
    QLearningRule,
    ReinforceRule,
    RewardMaxRule,
    Trial,
)

CRITIC, BETA = np.array([0.2, 0.1]), 2.5


def eligibility(window):
    """Every sum of the formula, written out over the trials so far."""

    def weights_of(w0, x, y, r, alpha, forgetting):
        w, p = [w0], []
        for t in range(len(y)):
            p.append(sigmoid(w[t] @ x[t]))
            lately = r[max(0, t - window + 1) : t + 1]
            enough = (lately > 0).sum() >= len(lately) / 2
            eligible = range(max(0, t - window), t + 1)
            step = sum(alpha[int(y[s])] * (y[s] - p[s]) * x[s] for s in eligible)
            w.append(w[t] + enough * step - forgetting * w[t])
        return w

    return weights_of


def actor_critic(w0, x, y, r, alpha, forgetting):
    w, v = [w0], np.array([0.3, 0.1])
    for t in range(len(y)):
        delta = r[t] - v @ abs(x[t])
        gradient = (y[t] - sigmoid(w[t] @ x[t])) * x[t]
        w.append(w[t] + alpha[int(y[t])] * delta * gradient - forgetting * w[t])
        v = v + CRITIC * delta * abs(x[t])
    return w


def q_learning(w0, x, y, r, alpha, forgetting):
    """Two action values, and weights only where a choice is read from them."""
    q, w = np.array([-w0, w0]) / (2 * BETA), [w0]
    for t in range(len(y)):
        chosen = int(y[t])
        surprise = r[t] - q[chosen] @ x[t]
        faded = q - forgetting * q
        faded[chosen] += alpha[chosen] * surprise * x[t]
        q = faded
        w.append(BETA * (q[1] - q[0]))
    return w


CRITIC_OPTIONS = {"critic_learning_rate": CRITIC, "initial_value": (0.3, 0.1)}
GOLDEN = {
    "eligibility": (lambda **o: EligibilityRule(2, **o), eligibility(10)),
    "eligibility, window 4": (lambda **o: EligibilityRule(2, 4, **o), eligibility(4)),
    "eligibility, window 1": (lambda **o: EligibilityRule(2, 1, **o), eligibility(1)),
    "eligibility, window 0": (lambda **o: EligibilityRule(2, 0, **o), eligibility(0)),
    "actor-critic": (lambda **o: ActorCriticRule(2, **CRITIC_OPTIONS, **o), actor_critic),
    "q-learning": (lambda **o: QLearningRule(2, inverse_temperature=BETA, **o), q_learning),
}


@pytest.mark.parametrize("options", [False, True], ids=["plain", "options"])
@pytest.mark.parametrize("name", GOLDEN)
def test_rules_with_a_memory_equal_a_plain_numpy_loop(name, options):
    make, formula = GOLDEN[name]
    rule = make(**OPTIONS) if options else make(learning_rate=ALPHA)
    weights, x, y, r, _ = trajectory(rule)
    alpha, forgetting = (SIDES, FORGETTING) if options else ([ALPHA, ALPHA], 0)
    expected = formula(weights[0], x, y, r, alpha, forgetting)
    np.testing.assert_allclose(weights, expected[:30], rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ eligibility


def test_eligibility_without_a_window_strengthens_every_choice_made():
    weights, _, y, *_ = trajectory(EligibilityRule(2, 0))
    as_if_correct, *_ = trajectory(PredictMaxRule(2), answer=y)
    np.testing.assert_allclose(weights, as_if_correct)


def test_eligible_choices_wait_for_half_of_the_last_trials_to_be_rewarded():
    reward = np.zeros(30)
    reward[[0, 6, 7]] = 1
    weights, *_ = trajectory(EligibilityRule(2, 4), reward=reward)
    learned = np.flatnonzero(np.diff(weights, axis=0).any(1))
    # 0: one of one; 1: one of two; 7 to 9: two of the last four
    assert learned.tolist() == [0, 1, 7, 8, 9]


# ----------------------------------------------------------------- actor-critic


def test_a_critic_that_does_not_learn_is_a_baseline_of_reinforce():
    critic = ActorCriticRule(2, critic_learning_rate=0.0, initial_value=(0.0, 0.4))
    reinforce = ReinforceRule(2, "free", initial_baseline=0.4)
    np.testing.assert_allclose(trajectory(critic)[0], trajectory(reinforce)[0], rtol=1e-6)


def test_the_critic_comes_to_expect_the_average_reward_whatever_the_side():
    """The reward is .5 + .4 |s| on average; so is the value, on average over 200 animals."""
    rule = ActorCriticRule(2, critic_learning_rate=0.05).double()
    rng = np.random.RandomState(0)
    zero = torch.zeros(200, dtype=torch.float64)
    memory = weights = torch.zeros(200, 2, dtype=torch.float64)
    for _ in range(500):
        s = torch.from_numpy(rng.choice([-1.0, -0.2, 0.2, 1.0], 200))
        reward = torch.from_numpy(rng.random_sample(200)) < 0.5 + 0.4 * s.abs()
        features = torch.stack([s, zero + 1], -1)
        _, memory = rule(weights, Trial(features, zero, zero + reward, zero, zero), memory)
    np.testing.assert_allclose(memory.mean(0).detach(), [0.4, 0.5], atol=0.03)


@pytest.mark.parametrize("engine", ENGINES)
def test_predictions_start_from_the_initial_value_by_every_engine(engine):
    rule = ActorCriticRule(2, initial_value=(0.0, 0.7)).double()
    trial = Trial(*(torch.ones(1, 2, *shape).double() for shape in [(2,), (), (), (), ()]))
    observed = torch.tensor([[True, False]])
    weights = ENGINES[engine](rule, torch.zeros(1, 2).double(), trial, observed)
    # alpha (r - V) (y - p) x
    np.testing.assert_allclose(weights[0, 1].detach(), 0.01 * (1 - 0.7) * 0.5, rtol=1e-6)


# ------------------------------------------------------------------- q-learning


def test_a_huge_inverse_temperature_learns_from_reward_alone():
    rule = QLearningRule(2, learning_rate=0.03e-9, inverse_temperature=1e9)
    weights, x, y, r, _ = trajectory(rule)
    expected = weights[0] + np.cumsum(0.03 * (2 * y - 1)[:, None] * r[:, None] * x, 0)
    np.testing.assert_allclose(weights[1:], expected[:29], rtol=1e-5)


def test_a_learning_rate_of_q_learning_stays_below_one():
    rule = QLearningRule(2, side_specific=True)
    with torch.no_grad():
        for parameter in rule.parameters():
            parameter.add_(5.0)
    assert (rule.learning_rate <= 1).all() and (rule.learning_rate > 0.5).any()


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize("rule_class", TEXTBOOK.values())
def test_parameters_are_those_that_were_given(rule_class):
    rule = rule_class(2, **OPTIONS)
    np.testing.assert_allclose(rule.learning_rate.detach(), SIDES, rtol=1e-5)
    np.testing.assert_allclose(rule.forgetting.detach(), FORGETTING, rtol=1e-5)


@pytest.mark.parametrize("rule_class", TEXTBOOK.values())
def test_sides_that_are_alike_and_forgetting_of_nothing_change_nothing(rule_class):
    plain = rule_class(2, learning_rate=ALPHA)
    same = rule_class(2, **{**OPTIONS, "learning_rate": ALPHA, "initial_forgetting": 0.0})
    np.testing.assert_allclose(trajectory(same)[0], trajectory(plain)[0], rtol=1e-6)


@pytest.mark.parametrize("rule_class", [ReinforceRule, RewardMaxRule, PredictMaxRule])
def test_an_animal_can_learn_on_one_side_only(rule_class):
    rule = rule_class(2, side_specific=True, learning_rate=[[0.0, 0.0], [0.1, 0.1]])
    weights, _, y, r, _ = trajectory(rule, reward=np.ones(30))
    learned = np.abs(np.diff(weights, axis=0)).max(1) > 1e-7
    np.testing.assert_array_equal(learned, y[:29] == 1)


def test_what_is_forgotten_and_never_learned_again_decays_geometrically():
    rule = ReinforceRule(2, learning_rate=0.0, forgetting=True, initial_forgetting=0.1)
    weights, *_ = trajectory(rule)
    np.testing.assert_allclose(weights, weights[:1] * 0.9 ** np.arange(30)[:, None], rtol=1e-5)


@pytest.mark.parametrize("rule_class", TEXTBOOK.values())
def test_shares_and_rates_stay_in_their_range_whatever_the_optimizer_does(rule_class):
    rule = rule_class(2, side_specific=True, forgetting=True)
    for step in (-0.3, 7.0, -20.0):
        with torch.no_grad():
            for parameter in rule.parameters():
                parameter.add_(step)
        assert (rule.learning_rate >= 0).all()
        assert (rule.forgetting >= 0).all() and (rule.forgetting <= 1).all()


# ----------------------------------------------------------------------- errors

WRONG = [
    (RewardMaxRule, {"learning_rate": (0.1, -0.2)}, r"learning_rate .* at least 0, got \(0.1, -0."),
    (RewardMaxRule, {"learning_rate": (0.1, 0.1, 0.1)}, r"one finite number or \(2,\) of them"),
    (PredictMaxRule, {"learning_rate": float("nan")}, "learning_rate .* one finite number .* nan"),
    (ReinforceRule, {"baseline": "nonnegative", "initial_baseline": -1}, "initial_baseline .* -1"),
    (EligibilityRule, {"forgetting": True, "initial_forgetting": 1}, "should be below 1, got 1"),
    (EligibilityRule, {"window": -1}, "window should be a whole number of at least 0, got -1"),
    (EligibilityRule, {"window": 2.5}, "window should be a whole number of at least 0, got 2.5"),
    (ActorCriticRule, {"critic_learning_rate": 1}, "critic_learning_rate should be below 1, got 1"),
    (ActorCriticRule, {"initial_value": (0, 0, 1)}, r"initial_value .* \(2,\) of them, got \(0, 0"),
    (QLearningRule, {"learning_rate": 1.5}, "learning_rate should be below 1, got 1.5"),
    (QLearningRule, {"inverse_temperature": 0}, "inverse_temperature should be above 0, got 0"),
    (QLearningRule, {"inverse_temperature": -2}, "inverse_temperature should be above 0, got -2"),
]


@pytest.mark.parametrize(("rule_class", "parameters", "message"), WRONG)
def test_what_makes_no_sense_is_named(rule_class, parameters, message):
    with pytest.raises(ValueError, match=message):
        rule_class(2, **parameters)
