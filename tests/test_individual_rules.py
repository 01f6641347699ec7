"""Rules read what is a subject's own, and every engine does what the loop does."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from sklearn_learnrule.engine import ENGINES, unroll, why_not_compiled
from sklearn_learnrule.rules import (
    ActorCriticRule,
    DNNRule,
    Effect,
    EligibilityRule,
    FilteredRule,
    IndividualRule,
    PartialRule,
    PearceHallRule,
    PredictMaxRule,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RNNRule,
    Trial,
)


def random_trials(n_effects, n_subjects=4, n_trials=40):
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(n_subjects, n_trials, 2, generator=rng, dtype=torch.float64)
    features[..., -1] = 1
    outcomes = torch.randint(2, (4, n_subjects, n_trials), generator=rng).double()
    context = torch.randn(n_subjects, n_effects, generator=rng, dtype=torch.float64) / 2
    observed = torch.ones(n_subjects, n_trials, dtype=torch.bool)
    observed[:, -1] = False
    return Trial(features, *outcomes, context), observed


def with_noise(rule, **columns):
    filtered = FilteredRule(rule, ProcessNoise(2, "learned", "learned", 0.5))
    filtered.noise.columns = columns
    return filtered


def network(kind, *args, n_effects=2, rate_column=-1, symmetric=False):
    torch.manual_seed(0)
    rule = kind(2, *args, n_effects=n_effects)
    rule.rate_column = rate_column
    torch.nn.init.constant_(rule.scale, 0.1)
    if symmetric:
        assert rule.make_symmetric(1)
    return rule


INDIVIDUAL = {
    "reinforce": (IndividualRule(ReinforceRule(2, "free"), [Effect("learning_rate")]), 1),
    "reinforce, of one weight": (IndividualRule(ReinforceRule(2), [Effect("learning_rate", 0)]), 1),
    "reinforce, baseline": (
        IndividualRule(
            ReinforceRule(2, "free", side_specific=True, forgetting=True),
            [Effect("learning_rate"), Effect("baseline"), Effect("forgetting", 1)],
        ),
        3,
    ),
    "predict max": (IndividualRule(PredictMaxRule(2), [Effect("learning_rate")]), 1),
    "q-learning": (
        IndividualRule(QLearningRule(2), [Effect("learning_rate"), Effect("inverse_temperature")]),
        2,
    ),
    "eligibility": (IndividualRule(EligibilityRule(2, 3), [Effect("learning_rate")]), 1),
    "actor-critic": (IndividualRule(ActorCriticRule(2), [Effect("critic_learning_rate")]), 1),
    "pearce-hall": (IndividualRule(PearceHallRule(2), [Effect("associability_gain")]), 1),
    "partial": (
        PartialRule(IndividualRule(ReinforceRule(1), [Effect("learning_rate")]), [0], 2),
        1,
    ),
    "noise": (
        with_noise(
            IndividualRule(ReinforceRule(2), [Effect("learning_rate")], [1]), process_noise=0
        ),
        2,
    ),
    "dnn": (network(DNNRule, (8,)), 2),
    "dnn, symmetric, own rate": (network(DNNRule, (8,), rate_column=2, symmetric=True), 3),
    "dnn, noise": (with_noise(network(DNNRule, (8,)), session_noise=1), 2),
    "rnn": (network(RNNRule, 4, (8,)), 2),
    "rnn, own rate alone": (network(RNNRule, 4, (8,), n_effects=0, rate_column=1), 2),
    "rnn, noise, own rate": (
        with_noise(network(RNNRule, 4, (8,), rate_column=2), process_noise=0),
        3,
    ),
}


@pytest.mark.parametrize("name", INDIVIDUAL)
def test_engines_agree_on_individuals(name):
    rule, n_effects = INDIVIDUAL[name]
    rule = rule.double()
    trials, observed = random_trials(n_effects)
    assert why_not_compiled(rule, "cpu", trials) is None
    found = []
    for engine in ENGINES:
        rule.zero_grad()
        path = unroll(rule, torch.zeros(4, 2).double(), trials, observed, engine=engine)
        path.sin().sum().backward()
        gradients = [p.grad.flatten() for p in rule.parameters() if p.grad is not None]
        found.append((path.detach(), torch.cat(gradients)))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["reinforce", "partial", "noise"])
def test_engines_agree_where_individuals_miss_trials_and_rewards_are_unknown(name):
    rule, n_effects = INDIVIDUAL[name]
    rule = deepcopy(rule).double()
    moved = rule.rule if isinstance(rule, FilteredRule) else rule
    moved.expect(unknown_rewards=True, misses=True)
    if isinstance(rule, FilteredRule):
        rule.noise.counts_misses = True
    usual, observed = random_trials(n_effects)
    drawn = torch.randint(3, (2, 4, 40), generator=torch.Generator().manual_seed(1)).double()
    known = drawn[0].clamp(max=1)
    trials = replace(usual, reward=usual.reward * known, reward_known=known, misses=drawn[1])
    start = torch.zeros(4, 2).double()
    with torch.no_grad():
        paths = [unroll(rule, start, trials, observed, engine=engine) for engine in ENGINES]
    for other in paths[1:]:
        torch.testing.assert_close(other, paths[0], rtol=1e-8, atol=1e-8)
    if name != "noise":
        steps = paths[0].diff(dim=1)
        assert (steps[known[:, :-1] == 0] == 0).all()
        assert (steps[known[:, :-1] == 1] != 0).any()


@pytest.mark.parametrize("name", INDIVIDUAL)
def test_without_effects_a_subject_is_the_typical_one(name):
    rule, n_effects = INDIVIDUAL[name]
    rule = rule.double()
    trials, observed = random_trials(n_effects)
    start = torch.zeros(4, 2).double()
    zero = replace(trials, context=torch.zeros(4, n_effects).double())
    none = replace(trials, context=torch.zeros(4, 0).double())
    paths = [unroll(rule, start, each, observed) for each in (zero, none)]
    torch.testing.assert_close(*paths, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [DNNRule, RNNRule])
def test_a_network_is_told_all_that_it_reads_of_a_subject(kind):
    rule = network(kind, rate_column=2).double()
    trials, observed = random_trials(2)
    with pytest.raises(ValueError, match="3 numbers of each subject, .* got 2"):
        unroll(rule, torch.zeros(4, 2).double(), trials, observed, engine="fused")


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (ReinforceRule(2, "free"), "learning_rate"),
        (ReinforceRule(2, "free"), "baseline"),
        (ReinforceRule(2, "free", side_specific=True), "baseline"),
        (ReinforceRule(2, "nonnegative"), "baseline"),
        (ReinforceRule(2, forgetting=True), "forgetting"),
        (QLearningRule(2), "inverse_temperature"),
        (PearceHallRule(2, "free"), "learning_rate"),
        (PearceHallRule(2), "associability_gain"),
    ],
    ids=str,
)
def test_an_effect_changes_its_parameter_alone(rule, name):
    """A factor or a shift of it; what else has a textbook name stays."""
    effect = torch.tensor(0.4)
    changed = IndividualRule(rule, [Effect(name)]).parameters_of(effect[None])
    before = {k: v.detach().clone() for k, v in rule.textbook_parameters().items()}
    with torch.no_grad():
        for held, value in changed.items():
            dict(rule.named_parameters())[held].copy_(value)
    for key, value in rule.textbook_parameters().items():
        expected = before[key]
        if key == name and rule.varies_by(name) == "shift":
            expected = expected + effect
        elif key == name:
            expected = expected * effect.exp()
        torch.testing.assert_close(value.detach(), expected, rtol=2e-3, atol=1e-6)


def test_an_effect_on_a_share_is_a_factor_of_the_logarithm_of_what_it_leaves():
    """A share of .47 times .4 is no share of .19: it may not exceed 1, whatever the effect."""
    rule, shares = QLearningRule(1, learning_rate=0.47), []
    for factor in (1.0, 0.4, 10.0):
        effect = torch.tensor([[factor]]).log()
        held = IndividualRule(rule, [Effect("learning_rate")]).parameters_of(effect[0])
        changed = deepcopy(rule)
        with torch.no_grad():
            for name, value in held.items():
                dict(changed.named_parameters())[name].copy_(value)
        shares.append(changed.learning_rate.item())
    assert shares == pytest.approx([0.47, 1 - 0.53**0.4, 1 - 0.53**10], abs=1e-5)
