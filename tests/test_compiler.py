"""The compiler: what torch does with one trial, made machine code, exactly or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers import make_trials
from torch import nn
from torch.nn import functional

from sklearn_learnrule.compiler.compiled import _CODES, listing_of
from sklearn_learnrule.compiler.operations import PERFORM, operation_name
from sklearn_learnrule.compiler.trace import MOVING
from sklearn_learnrule.engine import compiled_source, unroll, why_not_compiled
from sklearn_learnrule.rules import (
    ActorCriticRule,
    LearningRule,
    ReinforceRule,
    choice_probability,
)


class FunctionRule(LearningRule):
    """Moves two weights by a function of weights, trial and a parameter of two numbers."""

    def __init__(self, function, memory_size=0):
        super().__init__(2, memory_size=memory_size)
        self.function = function
        self.rate = nn.Parameter(torch.tensor([0.3, 0.2], dtype=torch.float64))

    def forward(self, weights, trial, memory):
        return self.function(weights, trial, self.rate), memory


def assert_compiled_as_in_the_loop(rule, n_trials=12, truncation=None):
    """Unroll a rule by its own torch and by compiled code, and compare weights and gradients."""
    trials, observed = make_trials([n_trials, 5])
    found = {}
    for engine in ("loop", "fused"):
        start = torch.tensor([[0.1, -0.2], [0.3, 0.4]], dtype=torch.float64, requires_grad=True)
        weights = unroll(rule, start, trials, observed, truncation=truncation, engine=engine)
        loss = (weights * torch.arange(weights.numel()).view_as(weights).cos()).sum()
        wanted = [start, *rule.parameters()]
        found[engine] = weights, *torch.autograd.grad(loss, wanted, allow_unused=True)
    for truth, value in zip(*found.values(), strict=True):
        assert (truth is None) == (value is None or not value.any())
        if truth is not None:
            torch.testing.assert_close(value, truth, rtol=1e-9, atol=1e-11)


def pair(x):
    return torch.stack([x, 0.5 * x], -1)


FUNCTIONS = {
    "arithmetic": lambda w, t, a: a * (w - 0.5) / (2 + w * w) - t.features * 0.1,
    "numbers first": lambda w, t, a: (1 - w) / (2.0 / (3 + a)) * 0.1,
    "powers": lambda w, t, a: 0.01 * ((w**2 + 1) ** 0.5 + (w * w + 1) ** -1 + (2 + a) ** 1.7),
    "roots and squares": lambda w, t, a: 0.1 * ((w.square() + 1).sqrt() + (1 + w * w).rsqrt() + a),
    "exponentials": lambda w, t, a: 0.1 * ((-w * w).exp() + torch.expm1(-w * w) - a),
    "logarithms": lambda w, t, a: 0.1 * ((2 + w * w).log() + torch.log1p(w * w * a)),
    "waves": lambda w, t, a: 0.1 * (w.sin() + w.cos() * a + torch.erf(w)),
    "sigmoids": lambda w, t, a: 0.1 * (w.sigmoid() * a + w.tanh() + functional.logsigmoid(w)),
    "activations": lambda w, t, a: 0.1 * (w.relu() + functional.softplus(w * a)),
    "more activations": lambda w, t, a: 0.1 * (functional.silu(w * a) + functional.elu(w)),
    "larger": lambda w, t, a: 0.1 * torch.maximum(w * a, t.features),
    "smaller": lambda w, t, a: 0.1 * torch.minimum(w, a * t.features),
    "bounds": lambda w, t, a: 0.3 * (w.clamp(-0.2, 0.4) + a.clamp_min(0.25) + w.clamp(max=0.3)),
    "sizes and signs": lambda w, t, a: 0.1 * (w.abs() * a - w.sign() * 0.1 + (w * a).neg()),
    "choices": lambda w, t, a: torch.where(t.choice[:, None] > 0.5, a * w, -0.1 * w),
    "conditions": lambda w, t, a: 0.1 * a * ((w > 0) & (t.reward[:, None] >= 0)),
    "other conditions": lambda w, t, a: 0.1 * a * ((w <= 0) | ~(t.answer[:, None] == 1) | (w != w)),
    "masks": lambda w, t, a: (a * w).masked_fill(t.session_start[:, None] < 0.5, 0.01),
    "sums": lambda w, t, a: 0.1 * a * w.sum(-1, keepdim=True) + 0.1 * pair(w.mean(-1)),
    "products of matrices": lambda w, t, a: 0.1 * w @ torch.outer(a, a),
    "layers": lambda w, t, a: 0.1 * functional.linear(w, torch.outer(a, a), a),
    "batches of matrices": lambda w, t, a: 0.1 * (a.diag() @ w[:, :, None]).squeeze(-1),
    "largest": lambda w, t, a: 0.1 * a * (w * 0 + w.detach().abs().amax(-1, keepdim=True)),
    "sums of exponentials": lambda w, t, a: 0.1 * torch.logaddexp(w, a * t.features),
    "sums of many": lambda w, t, a: 0.1 * a * (a * w).logsumexp(-1, keepdim=True),
    "shares": lambda w, t, a: 0.1 * (a * w).softmax(-1) - 0.1 * (a * w).log_softmax(-1),
    "diagonals of squares": lambda w, t, a: 0.1 * (w[:, :, None] * w[:, None]).diagonal(0, -2, -1),
    "parts": lambda w, t, a: 0.1 * torch.cat([w[:, 1:], a[:1].expand(len(w), 1)], -1),
    "splits": lambda w, t, a: 0.1 * torch.cat([-part for part in (a * w).split(1, -1)], -1),
    "unbinding": lambda w, t, a: 0.1 * torch.stack([x * x for x in (a * w).unbind(-1)], -1),
    "turns": lambda w, t, a: 0.1 * (w.flip(-1) * a + w.roll(1, -1)),
    "transposes": lambda w, t, a: 0.1 * (w[:, None] * a[:, None]).mT.sum(-1),
    "places": lambda w, t, a: 0.1 * (a * w)[:, [1, 0, 1]][:, :2],
    "selections": lambda w, t, a: 0.1 * (a * w).index_select(-1, torch.tensor([1, 1])),
    "diagonals": lambda w, t, a: 0.1 * torch.diag_embed(w * a).sum(-1),
    "triangles": lambda w, t, a: 0.1 * (w[:, None] * w[:, :, None]).tril().sum(-1) * a,
    "other triangles": lambda w, t, a: 0.1 * (w[:, None] * w[:, :, None]).triu().sum(-1) * a,
    "orders": lambda w, t, a: 0.1 * (w[:, None] * a[:, None]).permute(0, 2, 1).sum(-1).repeat(1, 1),
    "uneven splits": lambda w, t, a: 0.1 * torch.cat((a * w).split([1, 1], -1)[::-1], -1),
    "matrices and vectors": lambda w, t, a: 0.1 * (w @ a)[:, None] * a,
    "logic": lambda w, t, a: 0.1 * a * torch.logical_or(w > 0, torch.logical_not(w < -0.1)),
    "more logic": lambda w, t, a: 0.1 * a * torch.logical_and(w > 0, w < 1) * w,
    "upper bounds": lambda w, t, a: 0.3 * torch.clamp_max(w * a, 0.05),
    "starting anew": lambda w, t, a: (w * 2).zero_() + 0.1 * a,
    "copies": lambda w, t, a: torch.empty_like(w).copy_(w * a) * 0.1,
    "the score of a part by autograd": lambda w, t, a: a * w * score(w[:, :1], first(t)),
    "padding": lambda w, t, a: functional.pad((a * w)[:, 1:], (0, 1)) * 0.1,
    "new tensors": lambda w, t, a: 0.1 * (torch.zeros_like(w) + torch.ones_like(w) * a),
    "more new tensors": lambda w, t, a: 0.1 * (w.new_ones(2) + w * w.new_full((2,), 0.5) + a),
    "no gradient on the way": lambda w, t, a: a * w.detach() * w * 0.1,
    "writing into one's own": lambda w, t, a: (w * a).mul_(0.1).add_(w * 0.1),
    "the score by autograd": lambda w, t, a: a * score(w, t),
    "other types": lambda w, t, a: 0.1 * a * (w > 0).to(w) + t.choice.bool().to(w)[:, None] / 9,
}  # fmt: skip


def first(trial):
    return replace(trial, features=trial.features[:, :1])


def score(weights, trial):
    with torch.enable_grad():
        weights = weights.detach().requires_grad_()
        p = choice_probability(weights, trial.features)
        made = torch.where(trial.choice > 0.5, p, 1 - p).log().sum()
        return torch.autograd.grad(made, weights)[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_whatever_torch_does_is_done_and_its_gradient(name):
    rule = FunctionRule(FUNCTIONS[name])
    assert why_not_compiled(rule) is None
    assert_compiled_as_in_the_loop(rule)


# Of filters and GRUs, which are tried elsewhere; and ways to say the same of other versions.
UNTRIED = {"bmm", "select_backward", "unsafe_split"}
UNTRIED |= {"alias", "_index_put_impl", "_unsafe_index_put", "clone", "full_like", "gather"}
UNTRIED |= {"index_copy"}


def test_every_operation_that_is_known_is_tried():
    """Each is in the record of a rule above, or of its gradient."""
    trials, _ = make_trials([3])
    met = set()
    for function in FUNCTIONS.values():
        trace = listing_of(FunctionRule(function), trials).trace
        records = [*trace.recorder.operations, *trace.differentiate()[0].operations]
        met |= {operation_name(operation.function) for operation in records}
    untried = sorted((set(PERFORM) | MOVING) - met - UNTRIED)
    assert not untried, untried


def test_rules_of_one_text_and_other_widths_have_code_of_their_own():
    class FirstOfContext(LearningRule):
        def forward(self, weights, trial, memory):
            return 0.1 * weights * trial.context[:, :1], memory

    observed = torch.ones(2, 5, dtype=torch.bool)
    for width in (1, 3):
        trials, _ = make_trials([5, 5])
        trials = replace(trials, context=torch.arange(2.0 * width).double().view(2, width))
        start = torch.ones(2, 2, dtype=torch.float64)
        rule = FirstOfContext(2)
        fused, loop = (
            unroll(rule, start, trials, observed, engine=engine) for engine in ("fused", "loop")
        )
        torch.testing.assert_close(fused, loop, rtol=1e-12, atol=1e-12)


class GRURule(LearningRule):
    """A user's network with a memory."""

    def __init__(self):
        super().__init__(2, memory_size=3)
        self.gru, self.out = nn.GRUCell(3, 3), nn.Linear(3, 2)

    def forward(self, weights, trial, memory):
        memory = self.gru(torch.cat([weights, trial.choice[:, None]], -1), memory)
        return 0.1 * self.out(memory), memory


class LearnedStartRule(LearningRule):
    """Its memory starts where the fit says."""

    def __init__(self):
        super().__init__(2, memory_size=2)
        self.value = nn.Parameter(torch.tensor([0.2, 0.5], dtype=torch.float64))

    def initial_memory(self, n_subjects, like):
        return self.value.expand(n_subjects, -1)

    def forward(self, weights, trial, memory):
        surprise = (trial.reward - (memory * trial.features).sum(-1))[:, None]
        return 0.1 * surprise * trial.features, memory + 0.2 * surprise


class ShowingRule(LearnedStartRule):
    shown_memory = 1


@pytest.mark.parametrize("rule", [GRURule, LearnedStartRule, ShowingRule], ids=lambda r: r.__name__)
@pytest.mark.parametrize("truncation", [None, 4, 64])
def test_memory_goes_along_and_gradients_come_back_to_where_it_started(rule, truncation):
    torch.manual_seed(0)
    assert_compiled_as_in_the_loop(rule().double(), n_trials=150, truncation=truncation)


def test_the_source_names_what_it_computes_with():
    source = compiled_source(ReinforceRule(2, "free"))
    assert "v7 = trial.choice[0] - v6" in source
    assert "rule.pow_root_learning_rate[0] * trial.reward[0]" in source
    assert "gradient_rule.rate_times_baseline[1] = " in source


def test_a_rule_that_is_changed_is_recorded_anew():
    class Scaled(LearningRule):
        factor = 0.1

        def forward(self, weights, trial, memory):
            return self.factor * weights + self.bound, memory

    rule = Scaled(2)
    rule.bound = torch.tensor([0.0, 0.1], dtype=torch.float64)  # no parameter, no buffer
    assert_compiled_as_in_the_loop(rule)
    rule.factor = 0.2
    assert_compiled_as_in_the_loop(rule)
    rule.bound += 1
    assert_compiled_as_in_the_loop(rule)
    rule.bound = torch.zeros(2, dtype=torch.float64)
    assert_compiled_as_in_the_loop(rule)


def test_rules_that_compute_the_same_share_their_code():
    trials, observed = make_trials([4])
    start = torch.zeros(1, 2, dtype=torch.float64)
    unroll(ReinforceRule(2, learning_rate=0.1).double(), start, trials, observed, engine="fused")
    before = len(_CODES)
    unroll(ReinforceRule(2, learning_rate=0.2).double(), start, trials, observed, engine="fused")
    assert len(_CODES) == before


def test_recording_draws_nothing_from_anybodys_generator():
    before = torch.get_rng_state()
    assert why_not_compiled(FunctionRule(lambda w, t, a: a * w)) is None
    assert torch.equal(before, torch.get_rng_state())


def test_a_prediction_compiles_as_a_fit_does():
    with torch.inference_mode():
        assert why_not_compiled(FunctionRule(lambda w, t, a: 0.2 * a * w)) is None


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g.clamp(-10, 10)


def in_parts(w, t, a):
    update = a * w
    update[:, -1] *= t.reward < 3  # which no trial of the check may show
    return update


def hooked(w, t, a):
    update = a * w
    if update.requires_grad:
        update.register_hook(lambda g: g.clamp(-10, 10))
    return update


REFUSED = {
    "writes into a part of a tensor": in_parts,
    "has a gradient of its own": lambda w, t, a: Straight.apply(a * w),
    "changes gradients by a hook": hooked,
    "takes numbers out of torch": lambda w, t, a: a * w * (sum(t.reward.tolist()) > 3),
    "makes whole numbers": lambda w, t, a: a * w * t.reward.long()[:, None],
    "looks things up by numbers": lambda w, t, a: a * w.gather(1, t.choice.bool().long()[:, None]),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_a_record_does_not_show_is_refused(reason):
    assert reason in why_not_compiled(FunctionRule(REFUSED[reason]))


def test_parameters_in_lists_are_refused():
    rule = FunctionRule(lambda w, t, a: rates[0] * w)
    rates = [nn.Parameter(torch.tensor(0.1, dtype=torch.float64))]
    assert "has parameters that are no attributes" in why_not_compiled(rule)


def test_what_a_rule_hangs_on_is_read_anew_each_time():
    settings = {"factor": 0.1}
    rule = FunctionRule(lambda w, t, a: settings["factor"] * a * w)
    assert_compiled_as_in_the_loop(rule)
    settings["factor"] = 0.2  # which nothing of the rule's shows
    assert_compiled_as_in_the_loop(rule)
    handle = rule.register_forward_hook(lambda _, __, result: (2 * result[0], result[1]))
    assert_compiled_as_in_the_loop(rule)
    handle.remove()
    assert_compiled_as_in_the_loop(rule)


def test_what_is_done_to_one_rule_of_the_package_is_not_done_to_others():
    tied = ActorCriticRule(2).double()
    tied.root_critic_learning_rate = tied.root_learning_rate
    hooked = ActorCriticRule(2).double()
    hooked.register_forward_hook(lambda _, __, result: (2 * result[0], result[1]))
    other = ActorCriticRule(2).double()
    other.root_critic_learning_rate.data.mul_(3)
    for rule in (tied, hooked, other):
        assert_compiled_as_in_the_loop(rule)


def test_parameters_may_have_any_names():
    class Named(LearningRule):
        def __init__(self):
            super().__init__(2, memory_size=2)
            for i, name in enumerate(("row", "adjoint", "gradient", "later", "weights", "trial")):
                value = nn.Parameter(torch.tensor(0.1 * (i + 1), dtype=torch.float64))
                setattr(self, name, value)

        def forward(self, weights, trial, memory):
            rate = self.row * self.adjoint + self.gradient * self.later
            memory = memory * self.weights + self.trial * trial.reward[:, None]
            return rate * memory * trial.features, memory

    assert_compiled_as_in_the_loop(Named())


def test_trials_may_not_change_before_the_way_back():
    trials, observed = make_trials([5])
    rule = ReinforceRule(2).double()
    start = torch.zeros(1, 2, dtype=torch.float64)
    loss = unroll(rule, start, trials, observed, engine="fused").sum()
    trials.features.mul_(3)
    with pytest.raises(RuntimeError, match="changed in place between forward and backward"):
        loss.backward()


def test_memory_of_another_type_is_taken_over():
    class InDouble(LearningRule):
        def initial_memory(self, n_subjects, like):
            return torch.ones(n_subjects, 1, dtype=torch.float64)

        def forward(self, weights, trial, memory):
            update = 0.1 * memory * trial.reward[:, None] * trial.features
            return update.to(weights.dtype), 0.9 * memory

    trials, observed = make_trials([6], dtype=torch.float32)
    given = InDouble(2, memory_size=1), torch.zeros(1, 2), trials, observed
    fused, loop = (unroll(*given, engine=engine) for engine in ("fused", "loop"))
    torch.testing.assert_close(fused, loop, check_dtype=False)
