"""Rules: each step equals its textbook formula, and each keeps the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RULE_MAKERS, make_rule, make_trials

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import (
    ConstantRule,
    DNNRule,
    PredictMaxRule,
    ReinforceRule,
    RewardMaxRule,
    RNNRule,
    Trial,
    choice_probability,
)

ALPHA, BASELINE = np.array([0.3, 0.2]), np.array([0.4, 0.1])
SIDES, FORGETTING = np.array([[0.3, 0.2], [0.1, 0.4]]), np.array([0.05, 0.01])
OPTIONS = {"learning_rate": SIDES, "initial_forgetting": FORGETTING}
OPTIONS |= {"side_specific": True, "forgetting": True}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def reinforce(w, x, y, r, z, alpha=ALPHA):
    return alpha * r * (y - sigmoid(w @ x)) * x


def reinforce_with_baseline(w, x, y, r, z, alpha=ALPHA):
    return alpha * (r - BASELINE) * (y - sigmoid(w @ x)) * x


def reward_max(w, x, y, r, z, alpha=ALPHA):
    p = sigmoid(w @ x)
    return alpha * (1 if z else -1) * p * (1 - p) * x / 0.5


def predict_max(w, x, y, r, z, alpha=ALPHA):
    p = sigmoid(w @ x)
    epsilon, p_correct = (1, p) if z else (-1, 1 - p)
    return alpha * epsilon * (1 - p_correct) * x


def with_options(formula):
    return lambda w, x, y, r, z: formula(w, x, y, r, z, SIDES[int(y)]) - FORGETTING * w


def trajectory(rule, start=(0.5, -0.2), **changes):
    """Unroll a rule over 30 trials of one subject; return its weights and what it saw."""
    trials, observed = make_trials([30], seed=3)
    trials = replace(trials, **{name: torch.tensor(changes[name])[None] for name in changes})
    weights = unroll(rule.double(), torch.tensor([start]).double(), trials, observed, engine="loop")
    x, y, r, z, *_ = (field[0].numpy() for field in vars(trials).values())
    return weights[0].detach().numpy(), x, y, r, z


BASELINES = {"initial_baseline": BASELINE}
GOLDEN = {
    "constant": (ConstantRule(2), lambda w, x, y, r, z: 0 * x),
    "reinforce": (ReinforceRule(2, learning_rate=ALPHA), reinforce),
    "free": (ReinforceRule(2, "free", learning_rate=ALPHA, **BASELINES), reinforce_with_baseline),
    "nonnegative": (
        ReinforceRule(2, "nonnegative", learning_rate=ALPHA, **BASELINES),
        reinforce_with_baseline,
    ),
    "reward max": (RewardMaxRule(2, learning_rate=ALPHA), reward_max),
    "predict max": (PredictMaxRule(2, learning_rate=ALPHA), predict_max),
    "reinforce, options": (ReinforceRule(2, **OPTIONS), with_options(reinforce)),
    "free, options": (
        ReinforceRule(2, "free", **BASELINES, **OPTIONS),
        with_options(reinforce_with_baseline),
    ),
    "nonnegative, options": (
        ReinforceRule(2, "nonnegative", **BASELINES, **OPTIONS),
        with_options(reinforce_with_baseline),
    ),
    "reward max, options": (RewardMaxRule(2, **OPTIONS), with_options(reward_max)),
    "predict max, options": (PredictMaxRule(2, **OPTIONS), with_options(predict_max)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_parametric_trajectories_equal_a_plain_numpy_loop(name):
    rule, formula = GOLDEN[name]
    weights, x, y, r, z = trajectory(rule)
    w = weights[0]
    for t in range(30):
        # the parameters start in single precision, torch's default
        np.testing.assert_allclose(weights[t], w, rtol=1e-6, atol=1e-7)
        w = w + formula(w, x[t], y[t], r[t], z[t])


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_reinforce_is_reward_times_the_gradient_of_the_log_policy(y):
    weights = torch.tensor([[0.7, -0.3]], dtype=torch.float64, requires_grad=True)
    features = torch.tensor([[-0.8, 1.0]], dtype=torch.float64)
    p = choice_probability(weights, features)
    log_policy = torch.log(p if y else 1 - p)
    (gradient,) = torch.autograd.grad(log_policy.sum(), weights)

    reward = torch.tensor([1.5], dtype=torch.float64)
    trial = Trial(features, torch.tensor([y]), reward, torch.zeros(1), torch.zeros(1))
    update, _ = ReinforceRule(2, learning_rate=0.25).double()(weights, trial, features[:, :0])
    torch.testing.assert_close(update, 0.25 * 1.5 * gradient, rtol=1e-6, atol=0)


def test_predict_max_climbs_the_log_probability_and_reward_max_the_probability_of_the_answer():
    weights = torch.tensor([[0.7, -0.3]], dtype=torch.float64, requires_grad=True)
    features = torch.tensor([[-0.8, 1.0]], dtype=torch.float64)
    p = choice_probability(weights, features)
    (of_log,) = torch.autograd.grad(torch.log(p).sum(), weights, retain_graph=True)
    (of_p,) = torch.autograd.grad(p.sum(), weights)

    one, zero = torch.ones(1), torch.zeros(1)
    trial = Trial(features, zero, zero, one, zero)  # the second choice was correct
    for rule, gradient in ((PredictMaxRule, of_log), (RewardMaxRule, of_p / 0.5)):
        update, _ = rule(2, learning_rate=0.25).double()(weights, trial, features[:, :0])
        torch.testing.assert_close(update, 0.25 * gradient, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", RULE_MAKERS)
def test_every_rule_maps_rows_apart_to_updates_and_memories_of_the_right_shape(name):
    rule = make_rule(name, n_weights=3)
    trials, _ = make_trials([4, 4, 4, 4, 4], n_weights=3)
    trial = trials.at(0)
    weights = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)
    memory = rule.initial_memory(5, like=weights)
    assert memory.shape == (5, rule.memory_size) and memory.dtype == weights.dtype
    assert (memory == memory[0]).all()

    update, after = rule(weights, trial, memory)
    assert update.shape == (5, 3) and after.shape == memory.shape
    alone, _ = rule(weights[2:3], trial.of_subjects(slice(2, 3)), memory[2:3])
    torch.testing.assert_close(update[2:3], alone)


def test_a_nonnegative_baseline_stays_so_and_a_learning_rate_is_positive():
    rule = ReinforceRule(2, "nonnegative")
    with torch.no_grad():
        for parameter in rule.parameters():
            parameter.sub_(5.0)
    assert (rule.baseline >= 0).all() and (rule.learning_rate >= 0).all()


@pytest.mark.parametrize("rule_class", [DNNRule, RNNRule])
def test_the_user_chooses_layers_widths_and_activation(rule_class):
    rule = rule_class(2, hidden_sizes=(5, 7, 3), activation="tanh")
    widths = [layer.out_features for layer in rule.mlp if isinstance(layer, torch.nn.Linear)]
    assert widths == [5, 7, 3, 2]
    assert sum(isinstance(layer, torch.nn.Tanh) for layer in rule.mlp) == 3
    with pytest.raises(ValueError, match="activation must be one of .*'relu'.*, got 'cubic'"):
        rule_class(2, activation="cubic")


@pytest.mark.parametrize("rule_class", [DNNRule, RNNRule])
@pytest.mark.parametrize(
    ("switch", "field"), [("session_input", "session_start"), ("answer_input", "answer")]
)
def test_session_start_and_answer_are_inputs_that_can_be_switched_off(rule_class, switch, field):
    trials, _ = make_trials([2, 2, 2])
    trial = trials.at(0)
    flipped = replace(trial, **{field: 1 - getattr(trial, field)})
    weights = torch.zeros(3, 2, dtype=torch.float64)
    for on in (True, False):
        torch.manual_seed(0)
        rule = rule_class(2, **{switch: on}).double()
        memory = rule.initial_memory(3, like=weights)
        same = torch.equal(rule(weights, trial, memory)[0], rule(weights, flipped, memory)[0])
        assert same is not on


def test_an_unknown_baseline_is_named():
    with pytest.raises(ValueError, match=r"baseline must be one of .*'free'.*, got 'fixed'"):
        ReinforceRule(2, "fixed")
