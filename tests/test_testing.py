"""Checks of a rule: what is a rule passes, what is not is told in one sentence what it lacks."""

from __future__ import annotations

import re
from copy import deepcopy

import pytest
import torch
from helpers import BUILT_IN, RULE_MAKERS, TEXTBOOK
from torch import nn

from sklearn_learnrule.rules import (
    ActorCriticRule,
    LearningRule,
    PredictMaxRule,
    ReinforceRule,
)
from sklearn_learnrule.testing import _report, check_rule
from sklearn_learnrule.testing._case import Case
from sklearn_learnrule.testing._checks import BOUND, CHECKS, with_lapses, with_noise


class DecayRule(LearningRule):
    """The README's, from which those below differ by one fault."""

    textbook_names = ("decay",)
    parameter_units = {}

    def __init__(self, n_weights, memory_size=0):
        super().__init__(n_weights, memory_size=memory_size)
        self.decay = nn.Parameter(torch.full((n_weights,), 0.05))

    def forward(self, weights, trial, memory):
        return -self.decay * weights, memory


# Of textbook rules with their options, which take in what those without them do.
CHECKED = [f"{name}, options" if name in TEXTBOOK else name for name in BUILT_IN]


@pytest.mark.parametrize("name", CHECKED)
def test_every_built_in_rule_passes(name, monkeypatch):
    monkeypatch.setattr(_report, "LENGTHS_TIMED", (9, 9))  # how fast is asked of one rule, below
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rule = RULE_MAKERS[name](3)
    before = deepcopy(rule.state_dict())
    report = check_rule(rule)
    assert report.checks == tuple(CHECKS) and set(report.speed) == {"parallel", "fused"}
    after = rule.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_the_report_is_a_few_lines_and_remarks_are_told():
    told = str(check_rule(DecayRule(2))).split("\n")
    assert told[0].startswith("DecayRule passes 19 checks: names, shapes, ")
    assert re.fullmatch(r"Faster than the loop: parallel \d+ times, fused \d+ times.", told[1])
    assert len(told) == 2


class SortingRule(DecayRule):
    parameter_units = None

    def forward(self, weights, trial, memory):
        return -self.decay * weights.sort(-1).values, memory


class UnitlessRule(DecayRule):
    parameter_units = None


class RightHandedRule(DecayRule):
    def forward(self, weights, trial, memory):
        return self.decay * trial.choice[:, None] * weights, memory


class NamelessRule(DecayRule):
    textbook_names = ()


REMARKS = {
    "engine='fused' does not compile SortingRule, which uses torch's 'sort'": SortingRule,
    "parameter_units is None, so that fits depend on the units": UnitlessRule,
    "it treats the two sides differently": RightHandedRule,
    "parameter_units was not checked, as textbook_names do not tell all": NamelessRule,
}


@pytest.mark.parametrize("remark", REMARKS)
def test_what_is_no_failure_is_remarked(remark):
    report = check_rule(REMARKS[remark](2))
    assert any(told.startswith(remark) for told in report.remarks)
    assert f"\nNote: {remark}" in str(report)
    assert ("fused" in report.speed) is ("compile" not in remark)


# -------------------------------------------------------------------------- broken rules


class MisnamedRule(DecayRule):
    textbook_names = ("decay", "decai")


class MisdeclaredRule(DecayRule):
    parameter_units = {"rate": (1, 0)}


class FlatRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay * weights.mean(0), memory


class SilentRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay * weights


class SingleRule(DecayRule):
    def forward(self, weights, trial, memory):
        return (-self.decay * weights).float(), memory


class ForgetfulRule(DecayRule):
    def __init__(self, n_weights):
        super().__init__(n_weights, memory_size=2)

    def forward(self, weights, trial, memory):
        return -self.decay * weights, memory[:, :1]


class DividingRule(DecayRule):
    def forward(self, weights, trial, memory):
        return self.decay / (weights - weights), memory


class FailingRule(DecayRule):
    def forward(self, weights, trial, memory):
        return self.decay @ torch.ones(7), memory


class OverwritingRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay * weights, memory.add_(trial.reward[:, None])

    def __init__(self, n_weights):
        super().__init__(n_weights, memory_size=1)


class MirroringRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay * trial.features.neg_(), memory


class CountingRule(DecayRule):
    n_trials = 0

    def forward(self, weights, trial, memory):
        self.n_trials += 1
        return -self.decay * weights / self.n_trials, memory


class RandomRule(DecayRule):
    def forward(self, weights, trial, memory):
        return self.decay * torch.randn_like(weights), memory


class SociableRule(DecayRule):
    def forward(self, weights, trial, memory):
        return self.decay * (weights.mean(0) - weights), memory


class StoppingRule(DecayRule):
    """Forgets for a hundred trials, then no more: by the first row of all."""

    def __init__(self, n_weights):
        super().__init__(n_weights, memory_size=1)

    def forward(self, weights, trial, memory):
        if memory[0, 0] >= 100:
            return torch.zeros_like(weights), memory + 1
        return -self.decay * weights, memory + 1


class RankingRule(DecayRule):
    """Subjects start with a number of their own."""

    def initial_memory(self, n_subjects, like):
        return torch.arange(n_subjects)[:, None].to(like)

    def __init__(self, n_weights):
        super().__init__(n_weights, memory_size=1)


class AnswerRule(PredictMaxRule):
    uses_answer = False


class PeekingRule(DecayRule):
    """Looks behind the trial that it is given, at all of them."""

    def forward(self, weights, trial, memory):
        whole = trial.reward._base
        coming = 0 if whole is None or whole.ndim < 2 else whole[:, -3:].sum(1, keepdim=True)
        return self.decay * weights * (1 + coming), memory


class DetachedRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay * weights.detach(), memory


class FixedRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay.data * weights + 0 * self.decay, memory


class SlantedRule(DecayRule):
    def linearize(self, weights, trial, memory):
        update, slope, memory = super().linearize(weights, trial, memory)
        return update, 2 * slope, memory


class CrowdedRule(DecayRule):
    """Minds crowds, such as all trials at a time."""

    def forward(self, weights, trial, memory):
        return -self.decay * weights * (2 if 20 < len(weights) < 100 else 1), memory


class RoundRule(DecayRule):
    """Loses digits, of which single precision has few."""

    def forward(self, weights, trial, memory):
        return -10 * self.decay * ((weights + 3e4) - 3e4), memory


class DoubleRule(DecayRule):
    def forward(self, weights, trial, memory):
        return -self.decay.double() * weights.double(), memory


class NarrowRule(DecayRule):
    """Knows weights up to a bound, which those that choices move pass."""

    highest = 0.55

    def forward(self, weights, trial, memory):
        return -self.decay * weights * (self.highest - weights.abs()).sqrt(), memory


class BiasRule(DecayRule):
    """Takes for granted that the last feature is the bias."""

    def forward(self, weights, trial, memory):
        return -self.decay * weights * (trial.features[:, -1:] - 1 + 1e-30).log() / 69, memory


class BoundlessRule(DecayRule):
    """Throws weights about, and knows none that bounds hold."""

    def forward(self, weights, trial, memory):
        held = (weights.abs() - BOUND).abs() < 1e-6
        return torch.where(held, torch.nan, -weights - 2 * weights.sign()), memory


class MisscaledRule(ReinforceRule):
    parameter_units = {"learning_rate": (-2, 0)}


class UnscaledRule(ActorCriticRule):
    def __init__(self, n_weights):
        super().__init__(n_weights, initial_value=0.5)

    def standardize_settings(self, feature, reward):
        """Leave the initial value as it is."""


class LambdaRule(DecayRule):
    def __init__(self, n_weights):
        super().__init__(n_weights)
        self.scale = lambda values: -values

    def forward(self, weights, trial, memory):
        return self.scale(self.decay * weights), memory


class LosingRule(DecayRule):
    """Loses a number on its way."""

    def __init__(self, n_weights):
        super().__init__(n_weights)
        self.scale = 2.0

    def __getstate__(self):
        return {**self.__dict__, "scale": 1.0}

    def __deepcopy__(self, memo):
        other = type(self)(self.n_weights)
        return other.to(self.decay.dtype)

    def forward(self, weights, trial, memory):
        return -self.scale * self.decay * weights, memory


BROKEN = {
    MisnamedRule: "names: expected textbook_names of tensors that the rule has, got 'decai'",
    MisdeclaredRule: r"names: expected parameter_units of some of \['decay'\], got \['rate'\]",
    FlatRule: r"shapes: expected an update of shape \(4, 2\) .* got \(2,\) in .*: return a row a",
    SilentRule: "shapes: expected forward to return update and memory, got Tensor",
    SingleRule: r"shapes: expected an update of shape \(4, 2\) in torch.float64, got \(4, 2\) in",
    ForgetfulRule: r"shapes: expected a memory of shape \(4, 2\) .* got \(4, 1\)",
    DividingRule: r"shapes: expected an update of finite numbers, got \[inf\]: divide",
    FailingRule: "shapes: expected numbers, but it raises RuntimeError",
    OverwritingRule: "inputs: expected memory to be left as given, got it written into",
    MirroringRule: "inputs: expected features to be left as given",
    CountingRule: "state: expected the same answer whenever the same is asked, got another",
    RandomRule: "state: expected the same answer .* draw no random numbers",
    SociableRule: r"subjects: expected of subjects \[0\] what they do in company of others",
    RankingRule: "subjects: ",
    StoppingRule: "company: .* decide for each by torch.where, not by if",
    AnswerRule: "answer: expected uses_answer = True of a rule that reads trial.answer",
    PeekingRule: "causality: expected weights before choice .* that know of earlier trials alone",
    DetachedRule: "gradients: expected autograd to give the slope along the initial weights",
    FixedRule: "gradients: expected autograd to give the slope along decay, .* got 0:",
    SlantedRule: "slopes: expected linearize to give what forward does and the slope",
    CrowdedRule: r"engines: .* raises NotByRowsError \(engine='parallel' asks a rule for all",
    RoundRule: "float32: expected in float32 about the weights of float64, got others",
    DoubleRule: "float32: expected weights of shape .* in torch.float32, got .* torch.float64",
    NarrowRule: r"process noise: expected weights of finite numbers, got \[nan\]",
    BiasRule: "unlearned: expected weights of finite numbers",
    BoundlessRule: "bounds: expected weights of finite numbers",
    MisscaledRule: "units: expected the same weights with stimuli in units of 1.5 and rewards",
    UnscaledRule: "units: .* take settings over in standardize_settings",
    LambdaRule: "copies: expected a rule that can be pickled, got .*: define its class at the top",
    LosingRule: "copies: expected a pickled copy to do the same, got something else",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_each_fault_is_told_in_one_sentence(kind):
    with pytest.raises(AssertionError) as caught:
        check_rule(kind(2))
    message = str(caught.value)
    assert re.match(f"{kind.__name__}, {BROKEN[kind]}", message), message
    assert message.endswith(".") and "\n" not in message and ": " in message


class PickyRule(DecayRule):
    """Knows all weights but one."""

    unknown = torch.inf

    def forward(self, weights, trial, memory):
        return torch.where((weights - self.unknown).abs() < 1e-5, torch.nan, 0 * self.decay), memory


def test_a_fault_that_only_lapses_lead_to_is_told():
    def met(make):
        """Return all weights that the rule is asked at."""
        rule, weights = PickyRule(2), []
        rule.register_forward_pre_hook(lambda rule, given: weights.append(given[0].flatten()))
        Case(make(rule).double()).path()
        return torch.cat(weights)

    lapsing, others = met(with_lapses), torch.cat([met(PickyRule.double), met(with_noise)])
    distance = (lapsing[:, None] - others).abs().amin(1)
    rule = PickyRule(2)
    rule.unknown = lapsing[distance.argmax()].item()
    with pytest.raises(AssertionError, match="PickyRule, lapses: expected weights of finite"):
        check_rule(rule)


def test_every_check_has_a_rule_that_fails_it_but_the_mirror_image_which_is_a_remark():
    failed = {sentence.split(":")[0] for sentence in BROKEN.values()}
    assert set(CHECKS) - failed == {"mirror image", "lapses"}  # of which just above


def test_a_class_is_no_rule():
    with pytest.raises(TypeError, match=r"takes an instance of LearningRule, such as MyRule\(2\)"):
        check_rule(DecayRule)
