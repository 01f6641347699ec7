"""What networks have beyond the rules: ensembles, regularisers, held weights."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose
from sklearn.base import clone
from skorch.callbacks import Callback

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators import fitted_rule
from sklearn_learnrule.training.optimization import pace
from sklearn_learnrule.training.settings import TrainingSettings

pytestmark = BRIEFLY_TRAINED

QUICK = {"hidden_sizes": (8,), "max_epochs": 10, "mirror": False, "random_state": 0}


@pytest.fixture(scope="module")
def cohort():
    trials = make_learning_cohort(4, 120, random_state=3)
    X, y, _ = lr.make_design(trials)
    return trials, X, y


@pytest.fixture(scope="module")
def ensemble(cohort):
    _, X, y = cohort
    return lr.DNNRuleEstimator(n_ensemble=3, **QUICK).fit(X, y)


NETWORKS = [
    lr.DNNRuleEstimator(**QUICK),
    lr.RNNRuleEstimator(memory_size=4, **QUICK),
    lr.ChoiceRNNClassifier(memory_size=4, max_epochs=10, mirror=False, random_state=0),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_an_ensembles_logit_is_the_mean_of_its_members(cohort, network):
    _, X, y = cohort
    together = clone(network).set_params(n_ensemble=3).fit(X, y)
    alone = clone(network).set_params(n_ensemble=1).fit(X, y)
    first, *others = (_only(together, member).decision_function(X) for member in range(3))
    assert_allclose(alone.decision_function(X), first, rtol=1e-6)
    for other in others:
        assert not np.allclose(first, other, rtol=1e-2)
    assert_allclose(together.decision_function(X), np.mean([first, *others], 0), rtol=1e-5)


def _only(ensemble, member: int):
    single = clone(ensemble)
    single.__dict__ |= ensemble.__dict__ | {"nets_": ensemble.nets_[member : member + 1]}
    single.net_ = ensemble.nets_[member]
    return single


def test_the_mean_weights_give_the_ensembles_choice(cohort, ensemble):
    _, X, _ = cohort
    weights = ensemble.predict_weights(X)
    logits = weights["stimulus"] * X["stimulus"] + weights["bias"]
    assert_allclose(ensemble.decision_function(X), logits, rtol=1e-6)


def test_return_std_is_the_spread_of_the_members(cohort, ensemble):
    _, X, _ = cohort
    mean, std = ensemble.predict_weights(X, return_std=True)
    members = np.stack([_only(ensemble, member).predict_weights(X) for member in range(3)])
    assert_allclose(mean, members.mean(0), rtol=1e-6)
    assert_allclose(std, members.std(0, ddof=1), rtol=1e-4, atol=1e-7)
    assert std.columns.tolist() == ["stimulus", "bias"]
    assert std.index.equals(X.index)
    single = lr.DNNRuleEstimator(n_ensemble=1, **QUICK).fit(*cohort[1:])
    with pytest.raises(ValueError, match="return_std tells how an ensemble's members differ"):
        single.predict_weights(X, return_std=True)


def test_each_member_holds_out_other_subjects(cohort):
    _, X, y = cohort
    how = {**QUICK, "n_ensemble": 3, "early_stopping": True, "validation_fraction": 0.5}
    fitted = lr.DNNRuleEstimator(**how).fit(X, y)
    first_losses = {net.stopping_history[0, "valid_loss"] for net in fitted.nets_}
    assert len(first_losses) == 3


def test_a_warm_start_goes_on_with_every_member(cohort):
    _, X, y = cohort
    network = lr.DNNRuleEstimator(n_ensemble=2, warm_start=True, **QUICK).fit(X, y)
    before = [net.history[-1, "train_loss"] for net in network.nets_]
    network.fit(X, y)
    after = [net.history[0, "train_loss"] for net in network.nets_]
    assert_allclose(after, before, atol=2e-3)
    with pytest.raises(ValueError, match="warm_start goes on from the last fit"):
        network.set_params(n_ensemble=3).fit(X, y)


def test_minibatches_count_every_trial_as_the_whole_does(cohort):
    _, X, y = cohort
    subject = pd.factorize(X.index.get_level_values("subject"))[0]
    kept = X.index.get_level_values("trial") < 10 * subject + 5
    X, y, weight = X[kept], y[kept], 1.0 + subject[kept]
    still = {**QUICK, "n_ensemble": 1, "lr": 1e-12, "max_epochs": 1, "average": False}
    whole, batches = (
        lr.DNNRuleEstimator(batch_size=size, **still).fit(X, y, weight) for size in (-1, 2)
    )
    assert batches.history_[0, "train_loss"] == pytest.approx(-whole.score(X, y, weight), abs=1e-5)
    assert whole.history_[0, "train_loss"] == pytest.approx(-whole.score(X, y, weight), abs=1e-5)


@pytest.mark.parametrize(
    ("estimator", "mirror", "rate", "share"),
    [
        (lr.DNNRuleEstimator, False, 0.001, 1),
        (lr.RNNRuleEstimator, True, 0.001, 1 / 2),  # with images
        (lr.DNNRuleEstimator, True, 0.002, 1 / 4),  # symmetric by itself
    ],
)
def test_passes_grow_as_the_root_of_a_subjects_trials(cohort, estimator, mirror, rate, share):
    _, X, y = cohort
    how = {"hidden_sizes": (4,), "n_ensemble": 1, "random_state": 0}
    network = estimator(mirror=mirror, **how).fit(X, y)
    n_trials = len(X) / X.index.unique("subject").size
    assert network.n_iter_ == round(200 * np.sqrt(n_trials / 2000) * share)
    assert network.net_.lr == rate


@pytest.mark.parametrize(("n_trials", "rate"), [(500, 0.001), (6000, 0.003), (30000, 0.005)])
def test_steps_grow_with_a_subjects_trials(n_trials, rate):
    settings = TrainingSettings.of(lr.DNNRuleEstimator())
    lengths = np.array([n_trials // 4, n_trials // 4, n_trials * 3 // 2])  # the first in two parts
    dataset = SimpleNamespace(lengths=lengths, n_subjects=2)
    assert pace(settings, dataset) == (pytest.approx(rate), round(200 * np.sqrt(n_trials / 2000)))
    _, with_noise = pace(settings, dataset, noisy=True)
    assert with_noise == {500: 100, 6000: 67, 30000: 40}[n_trials]
    _, with_images = pace(replace(settings, mirrored=True), dataset)
    assert with_images == {500: 50, 6000: 100, 30000: 100}[n_trials]
    assert pace(replace(settings, lr=0.1, max_epochs=7), dataset) == (0.1, 7)


@pytest.mark.parametrize("clip", [np.inf, 1e-9])
def test_long_gradients_are_shortened(cohort, clip):
    _, X, y = cohort
    sgd = lr.DNNRuleEstimator(gradient_clip_value=clip, **QUICK | {"n_ensemble": 1, "lr": 1e-3})
    losses = sgd.fit(X, y).net_.history[:, "train_loss"]
    gradient = [p.grad.norm() for p in sgd.net_.module_.parameters() if p.grad is not None]
    length = torch.stack(gradient).norm().item()
    assert (length <= 1.01e-9) == (clip < 1)
    assert losses[-1] < losses[0]  # Adam's steps do not depend on the gradients' scale


def test_weight_decay_shrinks_the_layers_alone(cohort):
    _, X, y = cohort

    def parameters(weight_decay: float) -> dict[str, torch.Tensor]:
        network = lr.DNNRuleEstimator(n_ensemble=1, weight_decay=weight_decay, **QUICK)
        return dict(network.fit(X, y).net_.module_.rule.rule.named_parameters())

    free, decayed = parameters(0.0), parameters(100.0)
    for name, value in decayed.items():
        ratio = (value.norm() / free[name].norm()).item()
        if name.endswith("weight"):
            assert ratio < 0.7, name
    groups = lr.DNNRuleEstimator(**QUICK).fit(X, y).net_.optimizer_.param_groups
    of_layers = {parameter.ndim for g in groups if g["weight_decay"] for parameter in g["params"]}
    of_others = {
        parameter.ndim for g in groups if not g["weight_decay"] for parameter in g["params"]
    }
    assert (of_layers, of_others) == ({2}, {1})


# -------------------------------------------------------------------- held weights


def test_weights_are_held_at_the_bounds_and_no_others_change(cohort):
    _, X, y = cohort
    network = lr.DNNRuleEstimator(n_ensemble=1, **QUICK).fit(X, y)
    free = network.predict_weights(X)
    by_subject = free.groupby("subject")["stimulus"].max()
    who = by_subject.idxmax()
    bound = by_subject.drop(who).max() + 1e-3  # which this subject alone passes, not by far
    network.net_.module_.bounds[1, 0] = bound
    held = network.predict_weights(X)
    assert held["stimulus"].max() <= bound * (1 + 1e-6)
    others = X.index.get_level_values("subject") != who
    assert_allclose(held[others], free[others])
    passed = (free.loc[who]["stimulus"] > bound).to_numpy().argmax()
    assert_allclose(held.loc[who].iloc[:passed], free.loc[who].iloc[:passed], rtol=1e-5)
    assert_allclose(held.loc[who]["stimulus"].iloc[passed], bound, rtol=1e-6)


def test_a_diverging_rule_gives_finite_predictions_and_says_so_once(cohort, monkeypatch):
    monkeypatch.setattr(fitted_rule, "ROWS_AT_A_TIME", 1)
    _, X, y = cohort
    network = lr.RNNRuleEstimator(memory_size=4, n_ensemble=1, **QUICK).fit(X, y)
    with torch.no_grad():
        network.net_.module_.rule.rule.scale.fill_(1e6)
    with pytest.warns(UserWarning, match=r"weights of 4 subject\(s\) .* would go far beyond"):
        weights = network.predict_weights(X)
    lowest, highest = network.net_.module_.bounds.numpy()
    assert ((weights >= lowest - 1e-5) & (weights <= highest + 1e-5)).all(axis=None)


def test_the_fitted_animals_and_parametric_rules_are_never_held(cohort, ensemble):
    _, X, y = cohort
    weights = np.stack([_only(ensemble, member).predict_weights(X) for member in range(3)])
    for member, net in zip(weights, ensemble.nets_, strict=True):
        lowest, highest = net.module_.bounds.numpy()
        assert (lowest < member.min(0)).all() and (member.max(0) < highest).all()
    reinforce = lr.ReinforceRuleEstimator().fit(X, y)
    assert not reinforce.net_.module_.bounds.isfinite().any()


class Recorder(Callback):
    """Keeps the scale of the updates before every step."""

    def __init__(self, kept):
        self.kept = kept

    def __deepcopy__(self, memo):
        return self

    def on_grad_computed(self, net, **kwargs):
        self.kept.append(net.module_.rule.rule.scale.detach().clone())


def test_the_fitted_network_is_the_average_over_the_latest_steps(cohort):
    kept = []
    how = {**QUICK, "n_ensemble": 1, "max_epochs": 50, "lr": 0.01}
    X, y = cohort[1:]
    fitted = lr.DNNRuleEstimator(callbacks=[("kept", Recorder(kept))], **how).fit(X, y)
    last = lr.DNNRuleEstimator(average=False, **how).fit(X, y)
    average = kept[1]  # after the first step
    for n, scale in enumerate([*kept[2:], last.net_.module_.rule.rule.scale.detach()], start=1):
        share = max(0.03, 9 / (10 + n))
        average = (1 - share) * average + share * scale
    assert_allclose(fitted.net_.module_.rule.rule.scale.detach(), average, rtol=1e-5)
    assert not np.allclose(average, last.net_.module_.rule.rule.scale.detach(), rtol=1e-3)
