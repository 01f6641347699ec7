"""The parallel engine: what test_engines.py says of every engine, over blocks and odd rules."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from helpers import BUILT_IN, RULE_MAKERS, make_rule, make_trials
from torch import nn

from sklearn_learnrule.engine import _parallel, _parallel_newton
from sklearn_learnrule.engine._loop import unroll_loop
from sklearn_learnrule.engine._parallel import unroll_parallel
from sklearn_learnrule.engine._parallel_steps import GRUSteps, RuleSteps
from sklearn_learnrule.rules import LearningRule

TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-4}
LENGTHS = [70, 7, 45, 1]


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setitem(_parallel_newton.BLOCK_ELEMENTS, "cpu", 0)  # blocks of 16 trials


@pytest.fixture
def failures(monkeypatch):
    """The lengths of the blocks on which Newton's method does not converge."""
    lengths = []
    newton = _parallel_newton.newton

    def spy(steps, guess):
        states = newton(steps, guess)
        if states is None:
            lengths.append(steps.n_steps)
        return states

    monkeypatch.setattr(_parallel_newton, "newton", spy)
    return lengths


class TraceRule(LearningRule):
    """A user's own rule: weights follow a decaying trace of reward, which starts anywhere."""

    def __init__(self, n_weights: int, memory_size: int = 1) -> None:
        super().__init__(n_weights, memory_size=memory_size)
        self.first_trace = nn.Parameter(torch.full((memory_size,), 0.3))
        self.mix = nn.Linear(n_weights + memory_size + 1, n_weights + memory_size)

    def initial_memory(self, n_subjects, like):
        return self.first_trace.to(like).expand(n_subjects, -1)

    def forward(self, weights, trial, memory):
        inputs = torch.cat([weights, memory, trial.reward[:, None]], -1)
        update, drive = self.mix(inputs).tanh().split([self.n_weights, self.memory_size], -1)
        return 0.1 * update * trial.features, 0.9 * memory + drive


class DriftRule(LearningRule):
    """A rule that looks at nothing."""

    def __init__(self, n_weights: int) -> None:
        super().__init__(n_weights)
        self.drift = nn.Parameter(torch.full((n_weights,), 0.01))

    def forward(self, weights, trial, memory):
        return self.drift.expand_as(weights), memory


class StiffRule(LearningRule):
    """Weights that leap across a wall as steep as it takes to lead Newton's method astray."""

    def __init__(self, n_weights: int) -> None:
        super().__init__(n_weights)
        self.leap = nn.Parameter(torch.full((n_weights,), 1.3))

    def forward(self, weights, trial, memory):
        return -self.leap * torch.tanh(100 * weights) + 0.01 * trial.features, memory


def start_of(trials, n_weights):
    n_subjects = len(trials.choice)
    start = torch.linspace(-0.5, 0.5, n_subjects * n_weights, dtype=trials.choice.dtype)
    return start.view(n_subjects, n_weights).requires_grad_()


def weights_and_gradients(unroll, rule, trials, observed, truncation=None):
    start = start_of(trials, rule.n_weights)
    weights = unroll(rule, start, trials, observed, truncation)
    loss = (weights * torch.linspace(-1, 2, weights.numel()).view_as(weights).to(weights)).sum()
    leaves = [start, *rule.parameters()]
    return weights.detach(), *torch.autograd.grad(loss, leaves, materialize_grads=True)


def assert_equals_loop(rule, trials, observed, truncation=None):
    expected = weights_and_gradients(unroll_loop, rule, trials, observed, truncation)
    found = weights_and_gradients(unroll_parallel, rule, trials, observed, truncation)
    tolerance = TOLERANCES[trials.choice.dtype]
    for truth, value in zip(expected, found, strict=True):
        assert value.shape == truth.shape and value.dtype == truth.dtype
        assert (value - truth).norm() <= tolerance * truth.norm()


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", BUILT_IN)
def test_blocks_add_up_to_the_loops_weights_and_gradients(name, dtype):
    rule = make_rule(name, 3, dtype=dtype)
    trials, observed = make_trials(LENGTHS, 3, dtype=dtype)
    for truncation in (None, 6):
        assert_equals_loop(rule, trials, observed, truncation)


@pytest.mark.parametrize("make_own_rule", [TraceRule, DriftRule, lambda k: TraceRule(k, 20)])
def test_a_rule_of_ones_own_gives_the_loops_weights_and_gradients(make_own_rule):
    trials, observed = make_trials(LENGTHS)
    for truncation in (None, 6):
        assert_equals_loop(make_own_rule(2).double(), trials, observed, truncation)


@pytest.mark.parametrize("elements", [0, 2**20], ids=["short blocks", "one block"])
def test_where_newton_does_not_converge_the_numbers_are_right(failures, monkeypatch, elements):
    monkeypatch.setitem(_parallel_newton.BLOCK_ELEMENTS, "cpu", elements)
    trials, observed = make_trials([300, 200])
    assert_equals_loop(StiffRule(2).double(), trials, observed)
    assert failures


def test_a_rule_that_diverges_does_so_as_in_the_loop(failures):
    rule = make_rule("reinforce", 2)
    rule.root_learning_rate.data *= 1e160
    trials, observed = make_trials([40])
    expected = unroll_loop(rule, start_of(trials, 2), trials, observed)
    found = unroll_parallel(rule, start_of(trials, 2), trials, observed)
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert not expected.isfinite().all() and failures


def test_newton_converges_on_every_rule_of_the_package(failures):
    for name in RULE_MAKERS:
        weights_and_gradients(unroll_parallel, make_rule(name, 2), *make_trials([200, 150]))
    assert not failures


@pytest.mark.parametrize("name", ["rnn", "rnn, small"])
def test_jacobians_in_closed_form_equal_those_by_autodiff(name):
    rule = make_rule(name, 3)
    trials, observed = make_trials(LENGTHS, 3)
    n_states = 3 + rule.memory_size
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(*observed.shape, n_states, generator=draw, dtype=torch.float64)
    closed = GRUSteps(rule, trials, observed).linearise(states)
    by_autodiff = RuleSteps(rule, trials, observed).linearise(states)
    torch.testing.assert_close(closed, by_autodiff)


def count_calls(rule, trials, observed):
    """Return how often an unroll evaluates the rule, and the weights."""
    calls = []
    hook = rule.register_forward_hook(lambda *_: calls.append(1))
    weights = unroll_parallel(rule, start_of(trials, 2), trials, observed)
    hook.remove()
    return len(calls), weights.detach()


def test_a_warm_start_takes_fewer_steps_to_the_same_weights():
    rule = make_rule("dnn", 2)
    trials, observed = make_trials([60, 40])
    cold, weights = count_calls(rule, trials, observed)
    warm, same_weights = count_calls(rule, trials, observed)
    assert warm < cold
    torch.testing.assert_close(same_weights, weights, rtol=1e-10, atol=1e-10)
    rule.scale.data *= 1.01  # as after a training step
    assert count_calls(rule, trials, observed)[0] < cold
    assert_equals_loop(rule, trials, observed)


def test_other_trials_of_the_same_shape_start_cold():
    rule = make_rule("dnn", 2)
    other = make_trials([60, 40], seed=1)
    expected, weights = count_calls(rule, *other)
    count_calls(rule, *make_trials([60, 40]))
    found, same_weights = count_calls(rule, *other)
    assert found == expected
    assert torch.equal(same_weights, weights)


def test_predictions_neither_read_nor_write_the_warm_start():
    rule = make_rule("dnn", 2)
    trials, observed = make_trials([60, 40])
    with torch.no_grad():
        first, _ = count_calls(rule, trials, observed)
        assert rule not in _parallel._LAST
        assert count_calls(rule, trials, observed)[0] == first


def test_the_warm_start_is_forgotten_with_its_rule():
    rule = make_rule("reinforce", 2)
    count_calls(rule, *make_trials([20]))
    assert rule in _parallel._LAST
    still_there = weakref.ref(rule)
    del rule
    gc.collect()
    assert still_there() is None


def test_gradients_reach_the_features_by_the_loop():
    rule = make_rule("reinforce", 2)
    trials, _ = sequences = make_trials([20])
    trials.features.requires_grad_()
    gradients = [
        torch.autograd.grad(unroll(rule, start_of(trials, 2), *sequences).sum(), trials.features)
        for unroll in (unroll_loop, unroll_parallel)
    ]
    torch.testing.assert_close(*gradients)


def test_weights_are_predicted_in_inference_mode_too():
    rule = make_rule("rnn", 2)
    trials, observed = make_trials([20])
    expected = unroll_parallel(rule, start_of(trials, 2), trials, observed)
    with torch.inference_mode():
        found = unroll_parallel(rule, start_of(trials, 2), trials, observed)
    torch.testing.assert_close(found, expected.detach())


def test_second_derivatives_are_refused():
    rule = make_rule("reinforce", 2)
    trials, observed = make_trials([20])
    weights = unroll_parallel(rule, start_of(trials, 2), trials, observed)
    (gradient,) = torch.autograd.grad(
        weights.square().sum(), rule.root_learning_rate, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trials, observed = make_trials([20, 9])
        start = torch.zeros(2, 2, dtype=torch.float64)
        unroll_parallel(make_rule("dnn", 2), start, trials, observed).sum().backward()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
