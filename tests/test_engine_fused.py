"""What is the fused engine's own: its refusals, its threads, its exactness where kernels bend."""

from __future__ import annotations

import pytest
import torch
from helpers import RULE_MAKERS, make_rule, make_trials
from joblib import Parallel, delayed

from sklearn_learnrule.engine import _cohort
from sklearn_learnrule.engine._fused import unroll_fused, why_not_fused
from sklearn_learnrule.engine._loop import unroll_loop
from sklearn_learnrule.rules import DNNRule, LearningRule, ReinforceRule

LEARNING_RULES = [name for name in RULE_MAKERS if name != "constant"]


def gradients(unroll, rule, lengths, truncation=None, dtype=torch.float64):
    """Return the weights, and a random projection's gradients, of a cohort."""
    trials, observed = make_trials(lengths, rule.n_weights, dtype=dtype)
    start = torch.full((len(lengths), rule.n_weights), 0.1, dtype=dtype, requires_grad=True)
    weights = unroll(rule, start, trials, observed, truncation)
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(weights.shape, generator=generator, dtype=torch.float64).to(dtype)
    wanted = [start, *rule.parameters()]
    return weights.detach(), *torch.autograd.grad((weights * direction).sum(), wanted)


def assert_equal_to_loop(rule, lengths, truncation=None):
    expected = gradients(unroll_loop, rule, lengths, truncation)
    found = gradients(unroll_fused, rule, lengths, truncation)
    for truth, value in zip(expected, found, strict=True):
        assert (value - truth).norm() <= 1e-8 * truth.norm()


@pytest.mark.parametrize("name", ["reinforce", "dnn", "rnn, small"])
@pytest.mark.parametrize("truncation", [None, 50, 64])
def test_gradients_pass_exactly_from_block_to_block_of_trials(name, truncation):
    assert_equal_to_loop(make_rule(name, 2), [64, 65, 66, 130, 1], truncation)


@pytest.mark.parametrize("n_weights", [1, 2, 3, 6])  # rows of a trial: less than four, four, more
@pytest.mark.parametrize(
    "name", ["dnn, noise", "rnn, small, noise", "rnn, around predict max, noise"]
)
def test_a_filter_asks_a_network_at_all_its_points_at_once(name, n_weights):
    assert_equal_to_loop(make_rule(name, n_weights), [19, 8, 9, 1], truncation=5)


@pytest.mark.parametrize("name", ["reward max", "rnn, small"])
def test_more_subjects_than_chunks_are_all_counted(name, monkeypatch):
    monkeypatch.setattr(_cohort, "FEWEST_IN_CHUNK", 1)
    assert_equal_to_loop(make_rule(name, 2), [3] * 150)


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu", "gelu", "silu", "softplus"])
def test_every_activation_is_torchs(activation):
    rule = DNNRule(2, (17, 3), activation).double()
    with torch.no_grad():
        rule.mlp[0].weight.mul_(40)  # reaches softplus's linear part and tanh's ends
    assert_equal_to_loop(rule, [30, 12])


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", LEARNING_RULES)
def test_what_is_not_finite_spreads_as_in_the_loop(name, poison):
    rule = make_rule(name, 2)
    trials, observed = make_trials([12, 12])
    for field in (trials.reward, trials.choice, trials.answer):
        field[0, 5] = poison
    start = torch.zeros(2, 2, dtype=torch.float64)
    expected = unroll_loop(rule, start, trials, observed)
    found = unroll_fused(rule, start, trials, observed)
    assert not expected[0, 6:].isfinite().all()
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["reinforce", "dnn", "rnn"])
def test_nan_parameters_give_nan_weights_and_gradients(name):
    rule = make_rule(name, 2)
    with torch.no_grad():
        next(iter(rule.parameters())).fill_(float("nan"))
    weights, start, *parameters = gradients(unroll_fused, rule, [5, 9])
    assert weights[:, 1:].isnan().all() and weights[:, 0].isfinite().all()
    assert start.isnan().all() and all(gradient.isnan().any() for gradient in parameters)


@pytest.mark.parametrize("name", ["reinforce", "rnn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_threads_change_no_bit_of_the_gradients(name, dtype, set_threads, monkeypatch):
    monkeypatch.setattr(_cohort, "FEWEST_IN_CHUNK", 1)
    monkeypatch.setattr(_cohort, "FEWEST_SHARED", 0)
    rule = make_rule(name, 2, dtype=dtype)
    lengths = [5, 90, 31, 70, 2, 44, 8]
    set_threads(1)
    alone = gradients(unroll_fused, rule, lengths, dtype=dtype)
    set_threads(3)
    for _ in range(3):
        together = gradients(unroll_fused, rule, lengths, dtype=dtype)
        assert all(map(torch.equal, alone, together))


@pytest.mark.parametrize("backend", ["multiprocessing", "threading"])
def test_joblib_workers_give_the_same_gradients(backend, set_threads):
    set_threads(2)
    rule = make_rule("rnn, small", 2)
    expected = gradients(unroll_fused, rule, [40, 30])
    tasks = (delayed(gradients)(unroll_fused, rule, [40, 30]) for _ in range(4))
    for found in Parallel(n_jobs=2, backend=backend)(tasks):
        assert all(map(torch.equal, expected, found))


def test_forward_without_gradients_keeps_no_memory_and_gives_the_same_weights():
    rule = make_rule("rnn", 2)
    weights, *_ = gradients(unroll_fused, rule, [80, 20])
    trials, observed = make_trials([80, 20])
    with torch.no_grad():
        start = torch.full((2, 2), 0.1, dtype=torch.float64)
        assert torch.equal(unroll_fused(rule, start, trials, observed), weights)


def test_trials_in_any_layout_give_the_same_weights():
    rule = make_rule("dnn", 2)
    trials, observed = make_trials([20, 10])
    start = torch.zeros(2, 2, dtype=torch.float64)
    strided = trials.map(lambda values: values.transpose(0, 1).contiguous().transpose(0, 1))
    expected = unroll_fused(rule, start, trials, observed)
    assert torch.equal(unroll_fused(rule, start, strided, observed), expected)


def test_second_derivatives_are_refused():
    rule = make_rule("reinforce", 2)
    trials, observed = make_trials([5])
    weights = unroll_fused(rule, torch.zeros(1, 2, dtype=torch.float64), trials, observed)
    with pytest.raises(RuntimeError, match="first derivatives only.*use engine='loop'"):
        torch.autograd.grad(weights.sum(), rule.root_learning_rate, create_graph=True)


class NoisyRule(LearningRule):
    def forward(self, weights, trial, memory):
        return torch.randn_like(weights), memory


class BranchingRule(LearningRule):
    def forward(self, weights, trial, memory):
        return weights * (0.1 if trial.reward[0] > 0 else -0.1), memory


class DetouringRule(LearningRule):
    """Leaves torch, so that no record shows what it does."""

    def forward(self, weights, trial, memory):
        return torch.from_numpy(weights.detach().numpy() * 0.1), memory


class SociableRule(LearningRule):
    """Looks at other subjects, which no rule may."""

    def forward(self, weights, trial, memory):
        return weights - weights.mean(0), memory


class SortingRule(LearningRule):
    def forward(self, weights, trial, memory):
        return weights.sort(-1).values, memory


OTHER = "does something else than what it was seen to do"
REFUSED = {
    "runs on the CPU, not on 'meta'": (ReinforceRule(2), "meta"),
    "does not compile NoisyRule, which draws random numbers": (NoisyRule(2), "cpu"),
    "does not compile BranchingRule, which takes Python's decisions": (BranchingRule(2), "cpu"),
    "does not compile DetouringRule, which takes numbers out of torch": (DetouringRule(2), "cpu"),
    f"does not compile SociableRule, which {OTHER}": (SociableRule(2), "cpu"),
    "does not compile SortingRule, which uses torch's 'sort'": (SortingRule(2), "cpu"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_compiled_is_refused_with_a_way_out(reason):
    rule, device = REFUSED[reason]
    trials, observed = make_trials([3])
    start = torch.zeros(1, 2, device=device)
    assert str(why_not_fused(rule, device)).startswith(reason)
    with pytest.raises(ValueError) as error:
        unroll_fused(rule, start, trials, observed)
    assert str(error.value).startswith(f"engine='fused' {reason}")
    assert str(error.value).endswith(": use engine='parallel' or engine='loop' instead.")


def test_half_precision_is_refused():
    trials, observed = make_trials([3])
    with pytest.raises(ValueError, match="float32 or float64, not in torch.float16"):
        unroll_fused(DNNRule(2), torch.zeros(1, 2, dtype=torch.float16), trials, observed)


def test_gradients_with_respect_to_trials_are_refused():
    trials, observed = make_trials([3])
    trials.reward.requires_grad_()
    with pytest.raises(ValueError, match="gives no gradient with respect to trials"):
        unroll_fused(make_rule("reinforce", 2), torch.zeros(1, 2).double(), trials, observed)


def test_arrays_that_do_not_fit_each_other_are_refused():
    trials, observed = make_trials([3, 4], 3)
    with pytest.raises(ValueError, match=r"should have the shapes \[\(2, 2\), \(2, 4, 2\)"):
        unroll_fused(make_rule("reinforce", 2), torch.zeros(2, 2), trials, observed)


def test_outcomes_that_come_and_go_are_refused():
    trials, observed = make_trials([5])
    observed[0, 1] = False
    with pytest.raises(ValueError, match="a run of True, then False"):
        unroll_fused(make_rule("reinforce", 2), torch.zeros(1, 2).double(), trials, observed)


@pytest.mark.parametrize("name", RULE_MAKERS)
def test_every_built_in_rule_is_supported(name):
    assert why_not_fused(make_rule(name, 2)) is None
