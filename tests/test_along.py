"""What a rule does at weights that are given to it: at its own, what it did."""

import pytest
import torch
from helpers import RULE_MAKERS, make_rule, make_trials

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.models.along import updates_along

LENGTHS = [14, 1, 9]


@pytest.mark.parametrize("name", RULE_MAKERS)
def test_along_its_own_weights_a_rule_does_what_moved_them(name):
    rule, (trials, observed) = make_rule(name, 2), make_trials(LENGTHS)
    weights = unroll(rule, torch.rand(3, 2).double(), trials, observed, engine="loop")
    moved = weights.diff(dim=1)[observed[:, :-1]]
    torch.testing.assert_close(updates_along(rule, trials, weights, observed), moved)


@pytest.mark.parametrize("name", RULE_MAKERS)
def test_along_others_weights_its_memory_goes_a_trial_at_a_time(name):
    rule, (trials, observed) = make_rule(name, 2), make_trials(LENGTHS)
    weights = torch.randn(*observed.shape, 2, generator=torch.Generator().manual_seed(0)).double()
    expected = []
    for subject, length in enumerate(LENGTHS):
        memory = rule.initial_memory(1, like=weights)
        for t in range(length - 1):
            trial = trials.of_subjects(slice(subject, subject + 1)).at(t)
            update, memory = rule(weights[subject : subject + 1, t], trial, memory)
            expected.append(update)
    found = updates_along(rule, trials, weights, observed)
    torch.testing.assert_close(found, torch.cat(expected))
