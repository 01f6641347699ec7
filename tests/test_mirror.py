"""Mirror images: animals with their sides swapped, fitted where held-out animals gain by them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED, make_rule, make_trials
from numpy.testing import assert_allclose
from scipy.special import expit
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.inspection import asymmetry_table
from sklearn_learnrule.rules import FilteredRule, LearningRule, ProcessNoise, ReinforceRule
from sklearn_learnrule.training import mirror as mirror_images
from sklearn_learnrule.training.dataset import SequenceDataset

pytestmark = BRIEFLY_TRAINED

QUICK = {"hidden_sizes": (8,), "max_epochs": 10, "n_ensemble": 1, "random_state": 0}


@pytest.fixture(scope="module")
def cohort():
    trials = make_learning_cohort(4, 120, random_state=3)
    X, y, _ = lr.make_design(trials)
    return trials, X, y


def swap_sides(trials: pd.DataFrame) -> pd.DataFrame:
    other = {"left": "right", "right": "left"}
    return trials.assign(
        subject=trials["subject"] + "_swapped",
        stimulus=-trials["stimulus"],
        choice=trials["choice"].map(other),
        answer=trials["answer"].map(other),
    )


@pytest.mark.parametrize(
    ("noise", "tolerance"),
    [(None, 1e-5), ("learned", 3e-3)],  # the filter takes slopes to one side
)
def test_a_dnn_learns_from_a_swapped_animal_the_swapped_weights(cohort, noise, tolerance):
    trials, X, y = cohort
    swapped, _, _ = lr.make_design(swap_sides(trials))
    how = {"train_initial_weights": False, **QUICK}
    fitted = lr.DNNRuleEstimator(process_noise=noise, mirror=True, **how).fit(X, y)
    logits = [fitted.decision_function(some) for some in (swapped, X)]
    assert_allclose(logits[0], -logits[1], atol=tolerance)
    assert np.ptp(fitted.predict_weights(X)["bias"]) > 1e-3  # there is something to swap
    one_sided = clone(fitted).set_params(mirror=False).fit(X, y)
    logits = [one_sided.decision_function(some) for some in (swapped, X)]
    assert not np.allclose(logits[0], -logits[1], atol=1e-3)


def test_what_was_learned_alike_on_both_sides_is_stored_so(cohort):
    _, X, y = cohort
    fitted = lr.DNNRuleEstimator(mirror=True, lr=0.05, **QUICK).fit(X, y)
    stored = pickle.loads(pickle.dumps(fitted))
    assert_allclose(stored.decision_function(X), fitted.decision_function(X), atol=1e-6)


@pytest.mark.parametrize("unlearned", ["bias", "stimulus"])
def test_a_dnn_of_some_weights_swaps_those(cohort, unlearned):
    trials, X, y = cohort
    swapped, _, _ = lr.make_design(swap_sides(trials))
    how = {"train_initial_weights": False, "initial_weights": [0.3, 0.0]}
    fitted = lr.DNNRuleEstimator(unlearned=[unlearned], mirror=True, **how, **QUICK).fit(X, y)
    assert_allclose(fitted.decision_function(swapped), -fitted.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("estimator", [lr.RNNRuleEstimator, lr.ChoiceRNNClassifier])
def test_others_are_fitted_to_the_swapped_animals_too(cohort, estimator):
    trials, X, y = cohort
    both, y_both, _ = lr.make_design(pd.concat([trials, swap_sides(trials)]))
    how = {"memory_size": 4, "max_epochs": 10, "n_ensemble": 1, "random_state": 0}
    plain = estimator(mirror=False, **how).fit(both, y_both)
    mirrored = clone(plain).set_params(mirror=True).fit(X, y)
    assert_allclose(mirrored.history_[:, "train_loss"], plain.history_[:, "train_loss"], rtol=1e-4)
    assert_allclose(mirrored.decision_function(X), plain.decision_function(X), atol=1e-3)


def test_no_mirror_image_of_a_held_out_animal_is_fitted(cohort, monkeypatch):
    _, X, y = cohort
    n_mirrored = []
    original = SequenceDataset.with_mirror_images

    def spy(self: SequenceDataset) -> SequenceDataset:
        n_mirrored.append(len(self))
        return original(self)

    monkeypatch.setattr(SequenceDataset, "with_mirror_images", spy)
    how = {"early_stopping": True, "validation_fraction": 0.5, "n_ensemble": 1, "max_epochs": 3}
    lr.ChoiceRNNClassifier(mirror=True, random_state=0, **how).fit(X, y)
    assert n_mirrored == [2, 4]  # those that the search was left with, then all


@pytest.mark.filterwarnings("ignore:Column 'contrast' goes from")
def test_mirror_wants_stimuli_signed_by_side(cohort):
    _, X, y = cohort
    one_sided = X.assign(contrast=X["stimulus"].abs())
    with pytest.raises(ValueError, match="'contrast' has one sign only: give it as right minus"):
        lr.DNNRuleEstimator(mirror=True, **QUICK).fit(one_sided, y)


# ------------------------------------------------------------------------- "auto"


def one_side_only(weights, trial):
    """Learn from choices of one side only, by REINFORCE."""
    p = expit((weights * trial.features).sum(-1))
    size = 0.2 * trial.reward * (trial.choice > 0)
    return (size * (trial.choice - p))[:, None] * np.asarray(trial.features)


@pytest.mark.parametrize(
    ("estimator", "rule", "alike"),
    [
        (lr.DNNRuleEstimator, None, True),
        (lr.DNNRuleEstimator, one_side_only, False),
        (lr.ChoiceRNNClassifier, None, True),
    ],
)
def test_auto_fits_mirror_images_where_sides_are_learned_alike(estimator, rule, alike):
    X, y, _ = lr.make_design(make_learning_cohort(8, 150, rule=rule, random_state=0))
    network = estimator(max_epochs=1, n_ensemble=1, random_state=0).fit(X, y)
    assert network.mirrored_ is alike


@pytest.mark.parametrize("seed", [1, 10])
def test_auto_tells_sides_apart_in_so_few_trials_that_unbound_rates_run_away(seed):
    rule = ReinforceRule(2, "free", side_specific=True)
    with torch.no_grad():
        rule.root_learning_rate.copy_(torch.tensor([[0.09], [0.03]]).sqrt())
    X, y, _ = lr.make_design(make_learning_cohort(6, 200, rule=rule, random_state=seed))
    assert lr.DNNRuleEstimator(**QUICK).fit(X, y).mirrored_ is False


def test_auto_takes_for_alike_what_is_so_sure_that_nothing_tells_choices_apart():
    stimulus = np.random.default_rng(0).choice([-1.0, 1.0], 400)
    trials = pd.DataFrame({"subject": np.repeat([*"ABCD"], 100), "session": 1, "reward": 1.0})
    X, y, _ = lr.make_design(trials.assign(stimulus=stimulus, choice=stimulus > 0))
    assert lr.DNNRuleEstimator(**QUICK).fit(X, y).mirrored_ is True


@pytest.mark.filterwarnings("ignore:Column 'contrast' goes from")
def test_auto_leaves_alone_what_it_cannot_compare(cohort):
    _, X, y = cohort
    one_sided = X.assign(contrast=X["stimulus"].abs())
    assert lr.DNNRuleEstimator(**QUICK).fit(one_sided, y).mirrored_ is False
    three = X.index.get_level_values("subject") != "mouse_01"
    few = lr.DNNRuleEstimator(**QUICK).fit(X[three], y[three])
    assert (X[three].index.unique("subject").size, few.mirrored_) == (3, False)
    assert lr.ReinforceRuleEstimator().fit(X, y).mirrored_ is False


def test_auto_needs_animals_that_count(cohort):
    _, X, y = cohort
    mice = X.index.get_level_values("subject")
    only_one = (mice == mice[0]).astype(float)
    assert lr.DNNRuleEstimator(**QUICK).fit(X, y, sample_weight=only_one).mirrored_ is False


def test_auto_leaves_alone_what_reinforce_cannot_be_fitted_to(cohort, monkeypatch):
    def diverge(*args, **kwargs):
        raise FloatingPointError

    monkeypatch.setattr(mirror_images, "train", diverge)
    _, X, y = cohort
    assert lr.DNNRuleEstimator(**QUICK).fit(X, y).mirrored_ is False


def test_comparing_sides_warns_of_a_network_that_holds_them_for_alike(cohort):
    _, X, y = cohort
    mirrored = lr.DNNRuleEstimator(mirror=True, **QUICK).fit(X, y)
    with pytest.warns(UserWarning, match="was fitted to learn alike on both sides"):
        asymmetry_table(mirrored, X, n_bootstraps=2)


@pytest.mark.parametrize("with_noise", [False, True])
@pytest.mark.parametrize("n_sided", [2, 3])
def test_engines_agree_on_a_network_that_learns_alike_on_both_sides(with_noise, n_sided):
    rule: LearningRule = make_rule("dnn", 3)
    assert rule.make_symmetric(n_sided)
    if with_noise:
        rule = FilteredRule(rule, ProcessNoise(3, *3 * ["learned"])).double()
    trials, observed = make_trials([90, 40], 3)
    found = {}
    for engine in ("loop", "parallel", "fused"):
        start = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
        path = unroll(rule, start, trials, observed, truncation=30, engine=engine)
        gradients = torch.autograd.grad(path.square().sum(), [start, *rule.parameters()])
        found[engine] = [path.detach(), *gradients]
    for engine in ("parallel", "fused"):
        for value, truth in zip(found[engine], found["loop"], strict=True):
            assert (value - truth).norm() <= 1e-9 * truth.norm(), engine
