"""The contract of every engine: the loop's weights, likelihood and gradients."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from helpers import BUILT_IN, NOISY_RULE_MAKERS, RULE_MAKERS, make_rule, make_trials
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_learnrule.engine import ENGINES
from sklearn_learnrule.rules import TWO_CHOICES, filtered_logit

FAST_ENGINES = sorted(set(ENGINES) - {"loop"})
TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-4}
# Subjects and how far back gradients go: any pairs of them are drawn below.
CASES = (([1, 7, 24], 6), ([18], None), ([2, 2, 5], None))


def log_likelihood(rule, path, trials, observed):
    """Of the choices made: the first, and each that follows an observed outcome."""
    made = torch.cat([torch.ones_like(observed[:, :1]), observed[:, :-1]], 1)
    weights, packed = path[..., : rule.n_weights], path[..., rule.n_weights :]
    logits = (weights * trials.features).sum(-1)
    if rule.shown_memory:
        logits = filtered_logit(weights, packed, trials.features)
        if rule.lapses is not None:
            logits = TWO_CHOICES.lapsing_logits(logits, rule.lapses.odds)
    sign = 2 * trials.choice - 1
    return torch.nn.functional.logsigmoid(sign * logits)[made].sum()


def weights_and_gradients(engine, rule, trials, observed, truncation):
    """Return the weights, their log-likelihood, and its gradient to all that can be fitted."""
    n_weights = rule.n_weights
    start = torch.linspace(-0.5, 0.5, len(observed) * n_weights, dtype=trials.reward.dtype)
    start = start.view(-1, n_weights).requires_grad_()
    weights = ENGINES[engine](rule, start, trials, observed, truncation)
    likelihood = log_likelihood(rule, weights, trials, observed)
    gradients = torch.autograd.grad(
        likelihood, [start, *rule.parameters()], allow_unused=True, materialize_grads=True
    )
    return weights.detach(), likelihood.detach(), *gradients


def assert_every_engine_equals_the_loop(name, rule, trials, observed, truncation):
    case = rule, trials, observed, truncation
    expected = weights_and_gradients("loop", *case)
    tolerance = TOLERANCES[trials.reward.dtype]
    for engine in FAST_ENGINES:
        found = weights_and_gradients(engine, *case)
        for truth, value in zip(expected, found, strict=True):
            assert value.shape == truth.shape and value.dtype == truth.dtype, engine
            assert (value - truth).norm() <= tolerance * truth.norm(), engine


RULES = [*RULE_MAKERS, *NOISY_RULE_MAKERS]
NETWORKS = [name for name in RULES if name.startswith(("dnn", "rnn"))]  # whose kernels are by hand
COMPILED = [*BUILT_IN, *(name for name in RULES if name.endswith("options, noise"))]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*product(RULES, [torch.float64]), *product(sorted({*NETWORKS, *COMPILED}), [torch.float32])],
    ids=str,
)
def test_weights_likelihood_and_gradients_of_every_engine_equal_the_loops(name, dtype):
    rule = make_rule(name, 2, dtype=dtype)
    for lengths, truncation in CASES:
        trials, observed = make_trials(lengths, dtype=dtype)
        assert_every_engine_equals_the_loop(name, rule, trials, observed, truncation)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(list(RULE_MAKERS)),
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=5),
    n_weights=st.integers(2, 4),
    truncation=st.none() | st.integers(1, 8),
    seed=st.integers(0, 2**16),
)
def test_any_cohort_gives_the_loops_gradients(name, lengths, n_weights, truncation, seed):
    rule = make_rule(name, n_weights, seed=seed)
    trials, observed = make_trials(lengths, n_weights, seed=seed)
    assert_every_engine_equals_the_loop(name, rule, trials, observed, truncation)


@pytest.mark.parametrize("name", RULE_MAKERS)
@pytest.mark.parametrize("engine", FAST_ENGINES)
def test_each_subject_is_unrolled_as_if_alone(engine, name):
    rule = make_rule(name, 3)
    trials, observed = make_trials([9, 4, 20], 3)
    start = torch.zeros(3, 3, dtype=torch.float64)
    together = ENGINES[engine](rule, start, trials, observed)
    for i, length in enumerate([9, 4, 20]):
        one = trials.of_subjects(slice(i, i + 1)).at(slice(length))
        alone = ENGINES[engine](rule, start[:1], one, observed[i : i + 1, :length])
        torch.testing.assert_close(together[i, :length], alone[0], rtol=1e-9, atol=1e-12)
