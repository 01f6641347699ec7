"""The policy: two choices are the logistic function's, more a softmax that favours no class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import make_trials
from scipy.special import softmax

from sklearn_learnrule.rules import TWO_CHOICES, Policy, choice_probability

THREE = Policy(3)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def draw(n_choices, n=40, k=4):
    """Return random weights, features and choices."""
    weights = normal(n, (n_choices - 1) * k)
    choice = torch.arange(n).remainder(n_choices).double()
    return weights, normal(n, k, seed=1), choice


def all_probabilities(policy, logits):
    """Return the probability of every class, (..., C)."""
    others = policy.probabilities(logits)
    others = others[..., None] if policy.n_choices == 2 else others
    return torch.cat([1 - others.sum(-1, keepdim=True), others], -1)


def permuted(weights, order):
    """Return the weights of three classes in another order."""
    of_all = torch.cat([torch.zeros_like(weights[:, :4]), weights], 1).unflatten(-1, (3, 4))
    of_all = of_all[:, order]
    return (of_all[:, 1:] - of_all[:, :1]).flatten(1)


def test_two_choices_are_todays_sigmoid_to_the_last_digit():
    weights, features, choice = draw(2)
    p = torch.sigmoid((weights * features).sum(-1))
    logits = TWO_CHOICES.logits(weights, features)
    assert torch.equal(TWO_CHOICES.probabilities(logits), p)
    assert torch.equal(choice_probability(weights, features), p)
    expected = (choice - p)[:, None] * features
    assert torch.equal(TWO_CHOICES.score(weights, features, choice), expected)


def test_three_choices_are_a_plain_softmax_whose_first_logit_is_0():
    weights, features, choice = draw(3)
    plain = np.einsum("nck,nk->nc", weights.unflatten(-1, (2, -1)).numpy(), features.numpy())
    expected = softmax(np.column_stack([np.zeros(len(plain)), plain]), axis=1)
    logits = THREE.logits(weights, features)
    np.testing.assert_allclose(all_probabilities(THREE, logits), expected, atol=1e-14)
    log_p = np.log(expected[np.arange(len(choice)), choice.numpy().astype(int)])
    np.testing.assert_allclose(THREE.log_probability(logits, choice), log_p, atol=1e-14)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_no_class_is_special_the_first_one_neither(order):
    weights, features, choice = draw(3)
    before, after = (
        all_probabilities(THREE, THREE.logits(w, features))
        for w in (weights, permuted(weights, order))
    )
    torch.testing.assert_close(after, before[:, order])
    moved = permuted(weights + THREE.score(weights, features, choice), order)
    renamed = torch.argsort(torch.tensor(order))[choice.long()].double()
    score = THREE.score(permuted(weights, order), features, renamed)
    torch.testing.assert_close(permuted(weights, order) + score, moved)


def test_two_of_many_choices_are_two_choices():
    weights, features, choice = draw(2)
    rest = torch.cat([weights, torch.zeros_like(weights)], 1)
    rest[:, -1], features[:, -1] = -1e3, 1.0  # the third is never made
    logits, two = THREE.logits(rest, features), TWO_CHOICES.logits(weights, features)
    torch.testing.assert_close(THREE.probabilities(logits)[:, 0], TWO_CHOICES.probabilities(two))
    score = THREE.score(rest, features, choice)[:, : weights.shape[1]]
    torch.testing.assert_close(score, TWO_CHOICES.score(weights, features, choice))


@pytest.mark.parametrize("n_choices", [3, 5])
def test_the_score_is_half_the_gradient_by_weights_of_all_classes(n_choices):
    policy, (weights, features, choice) = Policy(n_choices), draw(n_choices)
    of_all = torch.cat([torch.zeros_like(features), weights], 1)  # the first class's, too
    of_all = of_all.unflatten(-1, (n_choices, -1)).requires_grad_()
    against_first = (of_all[:, 1:] - of_all[:, :1]).flatten(1)
    log_p = policy.log_probability(policy.logits(against_first, features), choice)
    (gradient,) = torch.autograd.grad(log_p.sum(), of_all)
    expected = (gradient[:, 1:] - gradient[:, :1]).flatten(1) / 2
    torch.testing.assert_close(policy.score(weights, features, choice), expected)


def test_the_score_of_two_choices_is_the_gradient_of_the_log_probability():
    weights, features, choice = draw(2)
    weights.requires_grad_()
    log_p = TWO_CHOICES.log_probability(TWO_CHOICES.logits(weights, features), choice)
    (gradient,) = torch.autograd.grad(log_p.sum(), weights)
    torch.testing.assert_close(TWO_CHOICES.score(weights, features, choice), gradient)


@pytest.mark.parametrize("n_choices", [2, 4])
def test_choices_are_sampled_as_often_as_they_are_probable(n_choices):
    policy, n_draws = Policy(n_choices), 40_000
    logits = normal() if n_choices == 2 else normal(n_choices - 1)
    uniform = torch.as_tensor(np.random.RandomState(0).random_sample(n_draws))
    p = policy.probabilities(logits)
    drawn = policy.sample(p.expand(n_draws, *p.shape), uniform).numpy().astype(int)
    expected = all_probabilities(policy, logits).numpy()
    share = np.bincount(drawn, minlength=n_choices) / n_draws
    assert (np.abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n_draws)).all()


@pytest.mark.parametrize("n_choices", [2, 3])
def test_lapses_mix_each_class_with_its_rate(n_choices):
    policy, (weights, features, _) = Policy(n_choices), draw(n_choices)
    rates = torch.arange(1, n_choices + 1).double() / 20
    logits = policy.logits(weights, features)
    by_rate = policy.with_lapses(policy.probabilities(logits), rates)
    plain = rates + (1 - rates.sum()) * all_probabilities(policy, logits)
    torch.testing.assert_close(by_rate, plain[:, 1] if n_choices == 2 else plain[:, 1:])
    lapsing = policy.lapsing_logits(logits, rates / (1 - rates.sum()))
    torch.testing.assert_close(policy.probabilities(lapsing), by_rate)


@pytest.mark.parametrize("n_choices", [2, 3])
def test_a_mirror_image_is_as_probable_under_the_mirror_images_weights(n_choices):
    policy = Policy(n_choices)
    trials, observed = make_trials([12, 7])
    every = torch.arange(12).remainder(n_choices) * observed
    trials = replace(trials, choice=every.double(), answer=trials.answer * observed)
    image = policy.mirror(trials, observed)
    weights = normal(2 * (n_choices - 1))
    mirrored = policy.mirror_weights(weights)
    found, expected = (
        policy.log_probability(policy.logits(w, each.features), each.choice)[observed]
        for w, each in ((mirrored, image), (weights, trials))
    )
    torch.testing.assert_close(found, expected)
    for name, values in vars(policy.mirror(image, observed)).items():
        assert torch.equal(values, getattr(trials, name)), name
    padding = trials.features[..., -1] == 0
    assert not any(field[padding].any() for field in (image.features, image.choice, image.answer))
