"""More than two choices: rules, engines and filter take them as they take two."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from numpy.testing import assert_allclose
from three_choices import THREE, K, random_trials

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import (
    DNNRule,
    FilteredRule,
    GivenWeightsRule,
    Lapses,
    PartialRule,
    Policy,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RNNRule,
    StandardizedRule,
    Units,
    filtered_logit,
    observe,
    pack,
    unpack,
)
from sklearn_learnrule.rules.observing import observe_one_of_many
from sklearn_learnrule.testing import check_rule


def alike(rule):
    assert rule.make_symmetric(0)
    return rule


@pytest.mark.parametrize(
    "make",
    [
        lambda: QLearningRule(4, n_choices=3, learning_rate=0.1, side_specific=True),
        lambda: DNNRule(4, hidden_sizes=8, n_choices=3),
        lambda: alike(RNNRule(4, 4, 8, n_choices=3)),
    ],
    ids=["Q-learning", "DNN", "RNN, alike"],
)
def test_all_that_is_checked_of_a_rule_holds(make):
    torch.manual_seed(0)
    assert " of 3 choices passes 19 checks" in str(check_rule(make()))


def test_what_is_done_around_a_rule_knows_how_much_it_remembers_of_each_choice():
    rule = PartialRule(RNNRule(4, 5, n_choices=3), [0, 2], 6)
    noisy = StandardizedRule(
        FilteredRule(rule, ProcessNoise(3, 0.1, 0.0, 0.3)), Units(torch.ones(3), torch.ones(()))
    )
    of_covariance = noisy.memory_size - 5
    assert noisy.make_symmetric(2)
    assert (rule.memory_size, noisy.memory_size) == (15, of_covariance + 15)
    assert noisy.initial_memory(1, torch.zeros(1)).shape == (1, noisy.memory_size)


def test_what_is_remembered_of_three_choices_is_compiled_of_three():
    assert GivenWeightsRule(QLearningRule(4, n_choices=3)).policy.n_choices == 3


# ----------------------------------------------------------------------------- the engines


RULES = {
    "REINFORCE": ReinforceRule(9, "free", learning_rate=0.2, n_choices=4),
    "RNN": RNNRule(9, 4, 8, n_choices=4),
    "DNN, alike": alike(DNNRule(9, (8, 4), "tanh", n_choices=4)),
    "RNN, alike": alike(RNNRule(9, 4, 8, "tanh", n_choices=4)),
}


@pytest.mark.parametrize("lapses", [None, [0.02, 0.1, 0.05, 0.0]])
@pytest.mark.parametrize("name", RULES)
def test_engines_agree_where_a_filter_is_too_large_to_be_one_with_its_rule(name, lapses):
    rule = RULES[name].double()
    rule = PartialRule(rule, [0, 2, 3], 12)  # of the second feature, nothing is learned
    odds = None if lapses is None else Lapses(lapses, 4)
    noise = ProcessNoise(4, [0.1, 0.2, 0.05, 0.1], 0.3, 0.5)
    rule = FilteredRule(rule, noise.requires_grad_(), odds and odds.requires_grad_()).double()
    trials, observed = random_trials(rule.policy, n_features=4, n_trials=12)
    assert_engines_agree(rule, trials, observed)


def assert_engines_agree(rule, trials, observed, tolerance=1e-8, **how):
    found = []
    for engine in ("loop", "fused"):
        start = torch.full((4, rule.n_weights), 0.1).to(trials.reward).requires_grad_()
        path = unroll(rule, start, trials, observed, engine=engine, **how)
        total = (path * torch.linspace(1, 2, path[0].numel()).view_as(path[0])).sum()
        wanted = [start, *rule.parameters()]
        found.append([path, *torch.autograd.grad(total, wanted, allow_unused=True)])
    for loop, fused in zip(*found, strict=True):
        if loop is None:
            assert fused is None
        else:
            assert (fused - loop).norm() <= tolerance * (1 + loop.norm())


@pytest.mark.parametrize(
    ("kind", "noise", "dtype", "tolerance"),
    [
        (DNNRule, True, torch.float64, 1e-8),
        (DNNRule, False, torch.float32, 1e-3),
        (RNNRule, True, torch.float32, 1e-3),
        (RNNRule, False, torch.float64, 1e-8),
    ],
)
def test_engines_agree_on_all_that_a_network_may_be_told_of_choices_alike(
    kind, noise, dtype, tolerance
):
    torch.manual_seed(0)
    rule = kind(6, hidden_sizes=8, activation="tanh", n_effects=2, n_choices=3)
    rule.expect(unknown_rewards=True, misses=True)
    rule, rule.rate_column = alike(rule), 2
    rule.scale.data.fill_(0.1)
    if noise:
        rule = FilteredRule(rule, ProcessNoise(K, *3 * ["learned"]))
    n_trials = 20 if noise else 130  # which are two blocks of trials, and two more
    trials, observed = random_trials(THREE, n_trials=n_trials)
    known, misses = torch.rand(4, n_trials) < 0.8, torch.randint(3, (4, n_trials))
    told = {"context": torch.randn(4, 3) / 2, "reward_known": known, "misses": misses}
    trials = replace(trials, **told, reward=known * trials.reward).map(lambda each: each.to(dtype))
    assert_engines_agree(rule.to(dtype), trials, observed, tolerance, truncation=15)


@pytest.mark.parametrize("kind", [DNNRule, RNNRule])
def test_a_network_that_takes_choices_for_alike_chooses_the_same_by_any_names(kind):
    torch.manual_seed(0)
    rule, names = alike(kind(6, hidden_sizes=8, n_choices=3)).double(), torch.tensor([2, 0, 1])
    rule.scale.data.fill_(3.0)
    trials, observed = random_trials(THREE)
    called = {name: names[getattr(trials, name).long()].double() for name in ("choice", "answer")}
    found = []
    for each in (trials, replace(trials, **called)):
        path = unroll(rule, torch.zeros(4, 6).double(), each, observed)
        found.append(THREE.of_all(THREE.logits(path, each.features)).softmax(-1))
    assert found[0].std() > 0.05
    assert_allclose(found[1][..., names].detach(), found[0].detach(), atol=1e-10)


# ------------------------------------------------------------------------------ the filter


def test_a_choice_tells_what_bayes_rule_does():
    """Mean and covariance after a choice, beside very many weights drawn before it."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([[0.5, -0.2, -0.4, 0.3]], dtype=torch.float64)
    root = 0.3 * torch.randn(4, 4, generator=generator, dtype=torch.float64)
    covariance, x = (root @ root.mT)[None], torch.tensor([[1.0, 0.6]], dtype=torch.float64)
    drawn = mean + torch.randn(400_000, 4, generator=generator, dtype=torch.float64) @ root.mT
    for choice in range(3):
        made = torch.tensor([float(choice)], dtype=torch.float64)
        weight = THREE.log_probability(THREE.logits(drawn, x), made).exp()
        expected = (weight[:, None] * drawn).sum(0) / weight.sum()
        apart = drawn - expected
        spread = (weight[:, None] * apart).mT @ apart / weight.sum()
        found, left = observe(mean, covariance, x, made, policy=THREE)
        moved, expected_move = found[0] - mean[0], expected - mean[0]
        assert (moved - expected_move).norm() < 0.1 * expected_move.norm()
        shrunk, expected_loss = covariance[0] - left[0], covariance[0] - spread
        assert (shrunk - expected_loss).norm() < 0.2 * expected_loss.norm()
        logits = filtered_logit(mean, pack(covariance), x, THREE)
        p = THREE.log_probability(logits, made).exp().item()
        assert p == pytest.approx(weight.mean().item(), abs=0.006)


def test_one_of_many_is_one_of_two_where_there_are_two():
    """The general equation, given an axis that two choices leave out, beside that of two."""
    generator = torch.Generator().manual_seed(0)

    class Axis(Policy):
        def logits(self, weights, features):
            return super().logits(weights, features)[..., None]

        def one_of_all(self, choice):
            return torch.stack([1 - choice, choice], -1)

    mean = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    root = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    choice, odds = torch.tensor([0.0, 1, 1, 0, 1]).double(), torch.tensor([0.1, 0.3]).double()
    for lapses in (None, odds):
        seen = mean, root @ root.mT, x, choice, lapses
        for found, expected in zip(observe_one_of_many(Axis(), *seen), observe(*seen), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_filter_agrees_with_particles():
    """With 60,000 of them, and choices by the policy, it was within .0010 and .0006 of them."""
    n_particles, rate, noise = 4000, 0.2, 0.05
    rule = ReinforceRule(6, None, learning_rate=rate, n_choices=3).double()
    filtered = FilteredRule(rule, ProcessNoise(3, noise, 0.0, 0.3)).double()
    trials, observed = random_trials(THREE, n_trials=50)
    start = torch.zeros(4, 6, dtype=torch.float64)
    with torch.no_grad():
        path = unroll(filtered, start, trials, observed)
        logits = filtered_logit(path[..., :6], path[..., 6:], trials.features, THREE)
        by_filter = THREE.log_probability(logits, trials.choice)
        by_particles = particles(rule, trials, n_particles, noise, 0.3)
    assert by_filter.mean().item() == pytest.approx(by_particles.mean().item(), abs=0.003)


def particles(rule, trials, n_particles, noise, initial_std):
    """Return log P(choice) before each choice, (N, T), by so many weights of each subject."""
    generator = torch.Generator().manual_seed(1)
    n_subjects, n_trials = trials.choice.shape
    spread = unpack(FilteredRule(rule, ProcessNoise(3, 0, 0, 1)).initial_memory(1, torch.zeros(1)))
    root = torch.linalg.cholesky(spread[0].double())

    def drift(std):
        shape = n_subjects, n_particles, rule.n_weights
        return std * torch.randn(shape, generator=generator, dtype=torch.float64) @ root.mT

    weights, found = drift(initial_std), []
    for t in range(n_trials):
        trial = trials.at(t).of_subjects(torch.arange(n_subjects).repeat_interleave(n_particles))
        flat = weights.flatten(0, 1)
        likelihood = THREE.log_probability(THREE.logits(flat, trial.features), trial.choice).exp()
        likelihood = likelihood.view(n_subjects, n_particles)
        found.append(likelihood.mean(1).log())
        drawn = torch.multinomial(likelihood, n_particles, replacement=True, generator=generator)
        weights = weights.gather(1, drawn[..., None].expand_as(weights))
        flat = weights.flatten(0, 1)
        update = rule(flat, trial, flat.new_zeros(len(flat), 0))[0]
        weights = weights + update.view_as(weights) + drift(noise)
    return torch.stack(found, 1)
