"""Fits from several places: the likeliest is kept, as a likelihood may have lower maxima."""

import re
from threading import Lock

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_array_equal
from scipy.special import expit
from torch import nn

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import LearningRule
from sklearn_learnrule.training import starts

MANY = [lr.ActorCriticRuleEstimator, lr.QLearningRuleEstimator]


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(8, 300, random_state=0))[:2]


def q_learner(seed, learning_rate, beta, n_trials=400):
    """Return X and y of a subject that learns which of two arms pays more, which changes."""
    rng = np.random.default_rng(seed)
    pays, worth, rows = np.array([0.7, 0.3]), np.zeros(2), []
    for _ in range(n_trials):
        if rng.random() < 1 / 40:
            pays = pays[::-1]
        choice = int(rng.random() < expit(beta * (worth[1] - worth[0])))
        reward = float(rng.random() < pays[choice])
        worth[choice] += learning_rate * (reward - worth[choice])
        rows.append({"subject": "s", "session": 1, "choice": choice, "reward": reward})
    return lr.make_design(pd.DataFrame(rows), stimulus=None)[:2]


def test_actor_critics_leave_lower_maxima_behind():
    gains = []
    for seed, (learning_rate, beta) in enumerate([(0.3, 5), (0.4, 5), (0.5, 4), (0.6, 6)]):
        X, y = q_learner(seed, learning_rate, beta)
        one, several = (lr.ActorCriticRuleEstimator(n_init=n).fit(X, y).score(X, y) for n in (1, 4))
        gains.append((several - one) * len(y))
    assert min(gains) > -0.01
    assert max(gains) > 10, gains


@BRIEFLY_TRAINED
def test_fits_are_judged_by_what_they_come_to_not_by_what_they_passed():
    X, y = q_learner(0, 0.3, 5)
    adam = {"optimizer": "adam", "lr": 0.3, "max_epochs": 20}  # whose steps are too large
    one, several = (lr.ActorCriticRuleEstimator(n_init=n, **adam).fit(X, y) for n in (1, 4))
    assert several.score(X, y) >= one.score(X, y)


HOW = {
    "alone": {},
    "prior": {"prior": "weak"},
    "effects": {"subject_effects": ["learning_rate"]},
    "both": {"prior": "weak", "subject_effects": ["learning_rate"]},
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_at_convergence_a_fits_loss_is_its_last_one_in_nats(how, cohort, monkeypatch):
    losses, loss_of = [], starts.loss_of

    def noted(net, dataset):
        losses.append((loss_of(net, dataset), len(cohort[1]) * net.history[-1, "train_loss"]))
        return losses[-1][0]

    monkeypatch.setattr(starts, "loss_of", noted)
    weight = np.full(len(cohort[1]), 3.0)
    lr.QLearningRuleEstimator(n_init=2, **how).fit(*cohort, sample_weight=weight)
    assert len(losses) == 2
    for found, last in losses:
        assert found == pytest.approx(3 * last, abs=0.05)


@pytest.mark.parametrize("rule", MANY)
def test_where_others_are_no_likelier_the_usual_place_is_kept(rule, cohort):
    usual, best = (rule(n_init=n).fit(*cohort) for n in (1, rule().n_init))
    assert_array_equal(best.predict_proba(cohort[0]), usual.predict_proba(cohort[0]))


def test_rules_of_lower_maxima_begin_at_four_places():
    estimators = lr.ActorCriticRuleEstimator, lr.PearceHallRuleEstimator, lr.QLearningRuleEstimator
    assert {estimator().n_init for estimator in estimators} == {4}
    assert lr.ReinforceRuleEstimator().n_init == 1


@pytest.mark.parametrize("rule", MANY)
def test_a_fit_from_several_places_is_the_same_each_time(rule, cohort):
    once, again = (rule(random_state=seed).fit(*cohort) for seed in (0, 1))
    assert_array_equal(once.predict_proba(cohort[0]), again.predict_proba(cohort[0]))


def test_places_are_the_rules_own_at_most_ten_times_off(cohort):
    how = {"process_noise": "learned", "unlearned": ["stimulus"], "forgetting": True}
    model = lr.QLearningRuleEstimator(**how).fit(*cohort).net_.module_
    usual = dict(model.named_parameters())
    for root in usual.values():
        torch.nn.init.constant_(root, 0.5)
    factors = {}
    for place in range(1, 9):
        for name, there in starts.begin_at(model, place).named_parameters():
            if not torch.equal(there, usual[name]):
                factor = (there / usual[name]).square().mean().item()
                factors.setdefault(name.rpartition(".")[2], []).append(factor)
    assert set(factors) == {"root_learning_rate", "root_temperature", "root_forgetting"}
    for of_one in factors.values():
        assert 0.1 <= min(of_one) < 0.3
        assert 3 < max(of_one) <= 10
    assert starts.begin_at(model, 0) is model


class SquaredBaselineRule(LearningRule):
    """update = .1 (r - root^2) (y - p) x: from a root of 0, no slope leads anywhere."""

    textbook_names = ("baseline",)

    def __init__(self, n_weights, root=0.0):
        super().__init__(n_weights)
        self.root = nn.Parameter(torch.full((n_weights,), root))

    @property
    def baseline(self):
        return self.root.square()

    def forward(self, weights, trial, memory):
        score = self.policy.score(weights, trial.features, trial.choice)
        return 0.1 * (trial.reward[:, None] - self.baseline) * score, memory


class SquaredBaselineRuleEstimator(lr.BaseRuleEstimator):
    """A baseline that begins at 0."""

    n_init: int = 4

    def make_rule(self, n_weights):
        return SquaredBaselineRule(n_weights)


def test_what_begins_at_0_begins_elsewhere_as_well():
    rule = SquaredBaselineRule(2, root=0.7)
    X, y = lr.make_design(make_learning_cohort(8, 300, rule=rule, random_state=0))[:2]
    with pytest.warns(match="not fitted to the maximum"):
        one = SquaredBaselineRuleEstimator(n_init=1).fit(X, y)
    four = SquaredBaselineRuleEstimator().fit(X, y)
    assert (one.baseline_ == 0).all()
    assert (four.score(X, y) - one.score(X, y)) * len(y) > 2  # nats
    assert (four.baseline_ > 0.1).all()
    roots = [starts.begin_at(one.net_.module_, place).rule.rule.root for place in range(1, 9)]
    assert torch.stack(roots).abs().max() < 1


def test_a_place_from_which_training_diverges_is_passed_over(cohort, monkeypatch):
    def diverges(model, *how):
        with one_at_a_time:
            begun.append(model)
            is_lost = len(begun) <= n_lost
        if is_lost:
            raise FloatingPointError("Training diverged.")
        return train(model, *how)

    train, begun, n_lost, one_at_a_time = starts.train, [], 3, Lock()
    monkeypatch.setattr(starts, "train", diverges)
    rule = lr.QLearningRuleEstimator().fit(*cohort)
    assert rule.net_.module_ is begun[3]
    n_lost = 7
    begun.clear()
    with pytest.raises(FloatingPointError, match="Training diverged"):
        lr.QLearningRuleEstimator().fit(*cohort)
    assert len(begun) == 4


@BRIEFLY_TRAINED
def test_each_training_of_a_fit_has_a_progress_bar_of_its_own(cohort, capsys):
    def bars(estimator):
        estimator.set_params(verbose=1, max_epochs=1, device="cpu").fit(*cohort)
        return set(re.findall(r"(\w+Estimator[^(]*) \(", capsys.readouterr().err))

    places = bars(lr.QLearningRuleEstimator(n_init=3))
    assert places == {f"QLearningRuleEstimator, place {k} of 3" for k in (1, 2, 3)}
    members = bars(lr.DNNRuleEstimator(n_ensemble=2, mirror=False, random_state=0))
    assert members == {f"DNNRuleEstimator, member {k} of 2" for k in (1, 2)}
    assert bars(lr.ReinforceRuleEstimator()) == {"ReinforceRuleEstimator"}


def test_a_warm_start_goes_on_from_the_fit_that_was_kept(cohort):
    rule = lr.ActorCriticRuleEstimator(warm_start=True, max_epochs=1)
    with pytest.warns(match="has not converged"):
        first = rule.fit(*cohort).score(*cohort)
    rule.set_params(max_epochs=50).fit(*cohort)
    assert rule.score(*cohort) > first
