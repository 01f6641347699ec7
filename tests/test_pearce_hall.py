"""Pearce-Hall: its formula, what it is a case of, and that it is found where it is the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from test_rules import ALPHA, BASELINE, FORGETTING, OPTIONS, SIDES, sigmoid, trajectory

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import PearceHallRule, ReinforceRule

ETA, GAIN, DECAY = 0.1, 0.3, 0.05
ASSOCIABILITY = {
    "value_learning_rate": ETA,
    "associability_gain": GAIN,
    "associability_decay": DECAY,
}


def pearce_hall(w0, x, y, r, alpha, b, forgetting):
    w, value, associability = [w0], 0.0, 1.0
    for t in range(len(y)):
        gradient = (y[t] - sigmoid(w[t] @ x[t])) * x[t]
        step = alpha[int(y[t])] * associability * (r[t] - b) * gradient
        w.append(w[t] + step - forgetting * w[t])
        surprise = r[t] - value
        value += ETA * surprise
        associability = (1 - DECAY) * associability + GAIN * abs(surprise)
    return w[:-1]


@pytest.mark.parametrize("baseline", [None, "free", "nonnegative"])
@pytest.mark.parametrize("options", [False, True], ids=["plain", "options"])
def test_it_equals_a_plain_numpy_loop_of_its_formula(baseline, options):
    given = OPTIONS if options else {"learning_rate": ALPHA}
    rule = PearceHallRule(2, baseline, initial_baseline=BASELINE, **ASSOCIABILITY, **given)
    weights, x, y, r, _ = trajectory(rule)
    alpha, forgetting = (SIDES, FORGETTING) if options else ([ALPHA, ALPHA], 0)
    b = 0 if baseline is None else BASELINE
    expected = pearce_hall(weights[0], x, y, r, alpha, b, forgetting)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)


def test_without_gain_and_decay_it_is_reinforce():
    still = {"associability_gain": 0.0, "associability_decay": 0.0}
    rule = PearceHallRule(2, "free", learning_rate=ALPHA, **still)
    expected, *_ = trajectory(ReinforceRule(2, "free", learning_rate=ALPHA))
    np.testing.assert_allclose(trajectory(rule)[0], expected, rtol=1e-6)


def test_what_comes_as_expected_teaches_less_and_less_and_a_surprise_more():
    """Rewards of 1 on 25 trials, then none."""
    rule = PearceHallRule(2, **{**ASSOCIABILITY, "associability_decay": 0.5})
    reward = torch.tensor([1.0] * 25 + [0.0] * 5, dtype=torch.float64)
    nothing = torch.zeros(1, dtype=torch.float64)
    memory = rule.double().initial_memory(1, like=nothing)
    associability = []
    for r in reward:
        trial = lr.rules.Trial(torch.ones(1, 2).double(), nothing, nothing + r, nothing, nothing)
        _, memory = rule(torch.zeros(1, 2).double(), trial, memory)
        associability.append(memory[0, 1].item())
    assert (np.diff(associability[:25]) < 0).all() and associability[24] < 0.1
    assert associability[25] > 2 * associability[24]


@pytest.mark.parametrize("name", ASSOCIABILITY)
def test_wrong_numbers_are_named(name):
    with pytest.raises(ValueError, match=f"{name} should be at least 0, got -0.1"):
        PearceHallRule(2, **{name: -0.1})


TRUTH = {
    "learning_rate": (0.1, 0.1),
    "value_learning_rate": 0.1,
    "associability_gain": 0.3,
    "associability_decay": 0.1,
}
START = (0.0, 0.8)


@pytest.fixture(scope="module")
def cohort():
    rule = PearceHallRule(2, **TRUTH)
    trials = make_learning_cohort(40, 800, rule=rule, initial_weights=START, random_state=1)
    return lr.make_design(trials)[:2]


def test_the_parameters_that_made_the_choices_are_recovered(cohort):
    summary = lr.PearceHallRuleEstimator(baseline=None).fit(*cohort).summary_
    z = (summary["estimate"] - np.hstack([*TRUTH.values(), START])) / summary["standard_error"]
    assert z.abs().max() < 3 and (z**2).sum() < chi2(7).ppf(0.999)
    associability = summary.set_index("parameter").loc["associability_decay"]
    assert 0.05 < associability["estimate"] < 0.2


def test_it_predicts_held_out_animals_that_learn_by_it_better_than_reinforce(cohort):
    rules = {
        "Pearce-Hall": lr.PearceHallRuleEstimator(n_init=1),
        "REINFORCE": lr.ReinforceRuleEstimator(),
    }
    half = cohort[0].index.get_level_values("subject") <= "mouse_20"
    X, y = cohort[0][half], cohort[1][half]
    ranking = lr.rank_rules(lr.compare_rules(rules, X, y, cv=2, verbose=0), "REINFORCE")
    assert ranking.index[0] == "Pearce-Hall"
    assert ranking.loc["Pearce-Hall", "p_value"] < 0.001
