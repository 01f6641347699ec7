"""A network around a textbook rule: what it learns is what that rule leaves."""

import io
import warnings
from copy import deepcopy
from dataclasses import replace
from typing import ClassVar

import joblib
import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED, make_trials
from sklearn.model_selection import GridSearchCV
from three_choices import random_trials

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import unroll, why_not_compiled
from sklearn_learnrule.rules import (
    LEARNED,
    DNNRule,
    FilteredRule,
    LearningRule,
    PartialRule,
    PredictMaxRule,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RNNRule,
    Trial,
)

pytestmark = BRIEFLY_TRAINED


def make_around(kind, n_choices=2, *, alike=False, own_pace=False, unknown=False):
    """Return a network with random parameters around REINFORCE, in double precision."""
    torch.manual_seed(0)
    k = 2 * (n_choices - 1)
    rule = kind(k, hidden_sizes=(6,), n_choices=n_choices, around=reinforce(k, n_choices))
    rule.expect(unknown_rewards=unknown, misses=False)
    if alike:
        rule.make_symmetric(1)
    if own_pace:
        rule.rate_column = 0
    for parameter in rule.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return rule.double()


def reinforce(k, n_choices=2):
    return ReinforceRule(k, "free", n_choices=n_choices)


def path_and_gradients(rule, trials, observed, engine):
    start = torch.zeros(len(observed), rule.n_weights, dtype=torch.float64, requires_grad=True)
    path = unroll(rule, start, trials, observed, engine=engine)
    weights = torch.arange(path.numel(), dtype=torch.float64).view_as(path).sin()
    own = [start, *(p for p in rule.parameters() if p.requires_grad)]
    gradients = torch.autograd.grad((path * weights).sum(), own, materialize_grads=True)
    return [path.detach(), *gradients]


@pytest.mark.parametrize("noise", [False, True], ids=["", "noise"])
@pytest.mark.parametrize("kind", [DNNRule, RNNRule])
@pytest.mark.parametrize(
    "form",
    [{}, {"alike": True}, {"own_pace": True}, {"unknown": True}]
    + [{"n_choices": 3}, {"n_choices": 3, "alike": True, "own_pace": True}],
    ids=str,
)
def test_engines_agree(kind, form, noise):
    rule = make_around(kind, **form)
    if "n_choices" in form:
        trials, observed = random_trials(rule.policy, 2, 2, 70)
    else:
        trials, observed = make_trials([70, 7])
    if "own_pace" in form:
        trials = replace(trials, context=torch.tensor([[0.3], [-0.2]], dtype=torch.float64))
    if "unknown" in form:
        known = (torch.arange(70) % 3 > 0).double().expand(2, 70).contiguous()
        trials = replace(trials, reward_known=known)
    if noise:
        rule = FilteredRule(rule, ProcessNoise(rule.n_features, LEARNED, LEARNED, LEARNED)).double()
    found = [path_and_gradients(rule, trials, observed, e) for e in ("loop", "fused", "parallel")]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_a_network_that_says_nothing_leaves_the_textbooks_update():
    trials, observed = make_trials([9])
    textbook = PredictMaxRule(2, learning_rate=0.3).double()
    rule = RNNRule(2, 4, (5,), around=textbook).double()
    rule.scale.data.zero_()
    start = torch.zeros(1, 2, dtype=torch.float64)
    alone = unroll(textbook, start, trials, observed)
    assert alone.abs().max() > 0.1
    torch.testing.assert_close(unroll(rule, start, trials, observed), alone)


def test_what_reads_the_answer_or_tells_sides_apart_is_asked_first():
    assert not DNNRule(2, answer_input=False, around=reinforce(2)).uses_answer
    rule = DNNRule(2, answer_input=False, around=PredictMaxRule(2))
    rule.expect(unknown_rewards=False, misses=False, answers=False)
    assert rule.uses_answer
    apart = ReinforceRule(2, side_specific=True)
    assert DNNRule(2, around=reinforce(2)).make_symmetric(1)
    assert not DNNRule(2, around=apart).make_symmetric(1)
    of_three = ReinforceRule(4, side_specific=True, n_choices=3)
    assert not RNNRule(4, n_choices=3, around=of_three).make_symmetric(1)


def test_of_three_choices_it_is_nearer_to_the_truth():
    how = {"n_choices": 3, "return_weights": True}
    trials, _ = make_learning_cohort(6, 500, random_state=0, **how)
    new, weights = make_learning_cohort(6, 500, random_state=1, **how)
    stimuli = [name for name in trials if name.startswith("stimulus")]
    X, y, _ = lr.make_design(trials, stimulus=stimuli)
    X_new, y_new, _ = lr.make_design(new, stimulus=stimuli)
    quick = {"n_ensemble": 1, "mirror": True, "random_state": 0}
    alone = lr.DNNRuleEstimator(**quick).fit(X, y).score(X_new, y_new)
    textbook = lr.ReinforceRuleEstimator()
    around = lr.DNNRuleEstimator(**quick, around=textbook).fit(X, y).score(X_new, y_new)
    truth = true_score(X_new[stimuli], y_new, weights)
    assert truth - around < 0.5 * (truth - alone)


def true_score(stimuli, y, weights):
    seen = stimuli.assign(bias=1.0)
    logits = np.stack([np.zeros(len(y))] + [(weights[c] * seen).sum(axis=1) for c in "BC"], 1)
    chances = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return chances[np.arange(len(y)), y.map("ABC".index)].mean()


def test_a_search_chooses_the_rule_to_go_around_and_a_fit_is_stored():
    X, y, _ = lr.make_design(make_learning_cohort(4, 60, random_state=0))
    quick = {"hidden_sizes": 4, "n_ensemble": 1, "max_epochs": 2, "random_state": 0}
    network = lr.DNNRuleEstimator(**quick, around=lr.ReinforceRuleEstimator(baseline=None))
    settings = [{"around": [None]}, {"around__side_specific": [False, True]}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(network, settings, cv=lr.SubjectKFold(2), error_score="raise")
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len({*scores.round(9)}) == 3
    stored = io.BytesIO()
    joblib.dump(network.fit(X, y), stored)
    stored.seek(0)
    again = joblib.load(stored)
    np.testing.assert_array_equal(again.predict_proba(X), network.predict_proba(X))
    assert not hasattr(network.around, "net_")  # which is told what to be, and is not fitted


def test_what_is_stored_is_the_fit_whatever_was_set_since():
    X, y, _ = lr.make_design(make_learning_cohort(4, 60, random_state=0))
    quick = {"hidden_sizes": 4, "n_ensemble": 1, "max_epochs": 2, "random_state": 0}
    network = lr.DNNRuleEstimator(**quick, around=lr.ReinforceRuleEstimator()).fit(X, y)
    told = network.predict_proba(X)
    for later in ({"baseline": None}, {"forgetting": True}):
        network.around.set_params(**later)  # the very estimator that the fit was given
        np.testing.assert_array_equal(deepcopy(network).predict_proba(X), told)


@pytest.mark.parametrize("idle", [{"process_noise": "learned"}, {"prior": "weak"}, {"lr": 0.1}])
def test_how_the_rule_would_be_fitted_is_not_ignored(idle):
    X, y, _ = lr.make_design(make_learning_cohort(3, 12, random_state=0))
    network = lr.RNNRuleEstimator(around=lr.PredictMaxRuleEstimator(**idle))
    with pytest.raises(ValueError, match=f"leave out its {next(iter(idle))}, or give it to the n"):
        network.fit(X, y)


def test_a_rule_that_remembers_is_not_gone_around():
    with pytest.raises(ValueError, match=r"the estimator of a textbook rule, got ConstantRuleE"):
        lr.DNNRuleEstimator(around=lr.ConstantRuleEstimator()).fit([[0.0]], [0])
    with pytest.raises(ValueError, match="QLearningRule remembers: choose REINFORCE"):
        DNNRule(2, around=QLearningRule(2))


class ThanksRule(LearningRule):
    """Someone's own: where it was thanked, it learns, and half as well without."""

    def __init__(self, n_weights, least=0.5, n_choices=2):
        super().__init__(n_weights, n_choices=n_choices)
        self.rate = torch.nn.Parameter(torch.full((n_weights,), 0.1))
        self.least = least  # of a reward that is one

    def forward(self, weights, trial, memory):
        score = self.policy.score(weights, trial.features, trial.choice)
        return torch.where(trial.reward[:, None] >= self.least, 1, 0.5) * self.rate * score, memory


class ThanksWithUnits(ThanksRule):
    parameter_units: ClassVar = {}

    def standardize_settings(self, feature, reward):
        self.least = self.least / reward


class RandomRule(ThanksRule):
    def forward(self, weights, trial, memory):
        return torch.randn_like(weights), memory


def test_around_a_rule_of_ones_own_the_network_is_still_compiled_by_hand():
    rule = DNNRule(2, (64, 64), around=ThanksRule(2)).double()
    assert why_not_compiled(rule) is None  # traced as a whole it would be too large
    trials, observed = make_trials([12, 7])
    loop, fused = (path_and_gradients(rule, trials, observed, e) for e in ("loop", "fused"))
    for a, b in zip(loop, fused, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_what_cannot_be_compiled_of_the_two_is_named():
    why = "does not compile RandomRule, which draws random numbers"
    for rule in (DNNRule(2, around=RandomRule(2)), RNNRule(2, around=RandomRule(2))):
        assert why_not_compiled(rule) == why
        assert why_not_compiled(PartialRule(rule, [0, 1], 3)) == why


def test_a_rule_of_ones_own_learns_alike_on_both_sides_only_if_it_says_so():
    apart, alike = ThanksRule(2), ThanksRule(2)
    alike.side_specific = False
    assert not DNNRule(2, around=apart).make_symmetric(1)
    rule = DNNRule(2, around=alike)
    rule.standardize_settings(torch.ones(2), torch.tensor(1.0))
    assert rule.make_symmetric(1)


@pytest.mark.parametrize("own", [ThanksRule, ThanksWithUnits])
def test_a_rule_of_ones_own_is_told_of_the_users_units(own):
    feature, reward = torch.tensor([100.0, 1.0]), torch.tensor(5.0)
    rule = DNNRule(2, around=own(2, least=3.0))
    rule.standardize_settings(feature, reward)
    seen, reward = torch.tensor([[0.8, 1.0]]), torch.tensor([0.5])  # of 5, which is less than 3
    trial = Trial(seen, torch.ones(1), reward, *torch.ones(2, 1))
    rule.scale.data.zero_()
    weights = torch.tensor([[0.5, -0.2]])
    update, _ = rule(weights, trial, weights[:, :0])
    score = rule.policy.score(weights, trial.features, trial.choice)
    in_standard = 1 if own is ThanksWithUnits else feature.square()
    torch.testing.assert_close(update, 0.5 * 0.1 * score * in_standard)
