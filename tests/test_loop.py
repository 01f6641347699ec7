"""The reference loop: masks, truncation, and devices."""

from __future__ import annotations

import pytest
import torch
from helpers import RULE_MAKERS, make_rule, make_trials

from sklearn_learnrule.engine import choose_engine, unroll
from sklearn_learnrule.rules import DNNRule, LearningRule


def unroll_loop(rule, trials, observed, start=None, **options):
    if start is None:
        start = torch.zeros(len(observed), trials.features.shape[-1], dtype=torch.float64)
    return unroll(rule, start, trials, observed, engine="loop", **options)


def test_weights_stand_still_where_no_outcome_is_known():
    trials, observed = make_trials([3, 8])
    weights = unroll_loop(make_rule("rnn", 2), trials, observed)
    assert (weights[0, 2:] == weights[0, 2]).all()
    assert (weights[:, 0] == 0).all() and (weights[1].diff(dim=0) != 0).all()


def test_nothing_observed_means_nothing_learned():
    trials, observed = make_trials([5, 5])
    start = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    weights = unroll_loop(make_rule("dnn", 2), trials, observed & False, start)
    assert torch.equal(weights, start[:, None].expand(2, 5, 2))


@pytest.mark.parametrize("name", RULE_MAKERS)
def test_gradients_equal_finite_differences(name):
    rule = make_rule(name, 2)
    trials, observed = make_trials([6, 4])
    start = torch.tensor([[0.3, -0.1], [0.1, 0.2]], dtype=torch.float64, requires_grad=True)

    def summary(start):
        return unroll_loop(rule, trials, observed, start).square().sum()

    assert torch.autograd.gradcheck(summary, start)
    for parameter in rule.parameters():
        exact = torch.autograd.grad(summary(start), parameter)[0].flatten()[0]
        step = torch.zeros_like(parameter).flatten()
        step[0] = 1e-6
        with torch.no_grad():
            parameter.add_(step.view_as(parameter))
            above = summary(start)
            parameter.sub_(2 * step.view_as(parameter))
            below = summary(start)
            parameter.add_(step.view_as(parameter))
        torch.testing.assert_close(exact, (above - below) / 2e-6, rtol=1e-5, atol=1e-8)


def test_truncation_keeps_the_weights_and_stops_gradients_at_every_block():
    rule = make_rule("reinforce", 2)
    trials, observed = make_trials([10])
    start = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    exact = unroll_loop(rule, trials, observed, start)
    cut = unroll_loop(rule, trials, observed, start, truncation=4)
    assert torch.equal(exact, cut)

    def reaches_start(weights, t):
        return bool(torch.autograd.grad(weights[0, t].sum(), start, retain_graph=True)[0].any())

    assert all(reaches_start(exact, t) for t in range(10))
    # the block's last update leads to trial 4; from there on the start is out of reach
    assert [reaches_start(cut, t) for t in range(10)] == [True] * 5 + [False] * 5


def test_an_unknown_engine_is_named():
    trials, observed = make_trials([3])
    with pytest.raises(ValueError, match="engine must be 'auto' or one of .*'loop'.*, got 'warp'"):
        unroll(make_rule("constant", 2), torch.zeros(1, 2), trials, observed, engine="warp")


class RandomRule(LearningRule):
    def forward(self, weights, trial, memory):
        return torch.randn_like(weights), memory


def test_auto_compiles_and_weighs_size_for_what_cannot_be():
    class OwnRule(DNNRule):
        pass

    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    for small in (DNNRule(2), OwnRule(2, 8)):
        assert {choose_engine(small, n, cpu) for n in (12, 10_000)} == {"fused"}
        assert {choose_engine(small, n, gpu) for n in (12, 10_000)} == {"parallel"}
    assert choose_engine(RandomRule(2), 12, gpu) == "loop"  # trials all at once would be others
    large = OwnRule(2, (40, 40))  # too many numbers for code that has a line for each
    assert choose_engine(large, 12, cpu) == "parallel"
    assert choose_engine(large, 10_000, cpu) == "loop"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", RULE_MAKERS)
def test_a_gpu_gives_the_cpus_weights(name):
    rule = make_rule(name, 2)
    trials, observed = make_trials([9, 5])
    start = torch.zeros(2, 2, dtype=torch.float64)
    here = unroll(rule, start, trials, observed, engine="loop")
    there = unroll(rule.cuda(), start.cuda(), trials.map(torch.Tensor.cuda), observed.cuda())
    torch.testing.assert_close(there.cpu(), here)
