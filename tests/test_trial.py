"""Trials: what is done to one field is done to all, and subjects' context goes with them."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from helpers import make_trials

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import LearningRule, ReinforceRule, StandardizedRule, Trial, Units

LENGTHS = [9, 4, 6]


@pytest.fixture
def trials():
    trials, _ = make_trials(LENGTHS)
    return replace(trials, context=torch.tensor([[0.1, 0.7], [0.2, 0.8], [0.3, 0.9]]).double())


@pytest.fixture
def observed():
    return make_trials(LENGTHS)[1]


class OwnRateRule(LearningRule):
    """REINFORCE by a learning rate that is the subject's own."""

    def __init__(self, n_weights):
        super().__init__(n_weights)
        self.rule = ReinforceRule(n_weights, learning_rate=1.0)

    def forward(self, weights, trial, memory):
        update, memory = self.rule(weights, trial, memory)
        return trial.context[:, :1] * update, memory


def assert_same(one, other):
    for each in fields(Trial):
        assert torch.equal(getattr(one, each.name), getattr(other, each.name)), each.name


def test_there_is_no_context_unless_it_is_given():
    trials, _ = make_trials(LENGTHS)
    assert trials.context.shape == (3, 0)
    assert trials.at(0).context.shape == trials.of_subjects(slice(3)).context.shape == (3, 0)


def test_a_trial_of_sequences_has_its_numbers_and_the_subjects_context(trials):
    for t, trial in enumerate(trials.steps()):
        assert_same(trial, trials.at(t))
        assert torch.equal(trial.reward, trials.reward[:, t])
        assert torch.equal(trial.features, trials.features[:, t])
        assert torch.equal(trial.context, trials.context)
    assert t == max(LENGTHS) - 1


def test_trials_in_rows_have_the_context_of_their_subject(trials, observed):
    rows, everything = trials.rows(observed), trials.all_rows()
    assert torch.equal(rows.choice, trials.choice[observed])
    subject = torch.arange(3).repeat_interleave(torch.tensor(LENGTHS) - 1)
    assert torch.equal(rows.context, trials.context[subject])
    assert_same(everything.of_subjects(observed.flatten()), rows)


def test_subjects_that_are_joined_come_apart_again(trials):
    both = trials.join(trials.of_subjects(torch.tensor([2, 0, 1])))
    assert_same(both.of_subjects(slice(3)), trials)
    assert_same(both.of_subjects(torch.tensor([4, 5, 3])), trials)


@pytest.mark.parametrize("engine", ["loop", "parallel", "fused"])
def test_a_rule_reads_its_subjects_context(engine, trials, observed):
    rule, start = OwnRateRule(2).double(), torch.zeros(3, 2).double()
    together = unroll(rule, start, trials, observed, engine=engine)
    for n, rate in enumerate(trials.context[:, 0].tolist()):
        own = ReinforceRule(2, learning_rate=rate).double()
        one = slice(n, n + 1)
        alone = unroll(own, start[one], trials.of_subjects(one), observed[one], engine="loop")
        torch.testing.assert_close(together[one], alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("engine", ["loop", "parallel", "fused"])
def test_context_has_no_units(engine, trials, observed):
    units = Units(torch.tensor([3.0, 1.0]).double(), torch.tensor(1.0).double())
    rule, start = OwnRateRule(2).double(), torch.zeros(3, 2).double()
    standard = unroll(rule, start, units.standardize(trials), observed, engine=engine)
    found = unroll(StandardizedRule(rule, units), start, trials, observed, engine=engine)
    torch.testing.assert_close(found, standard / units.feature)
