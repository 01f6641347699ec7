"""What subjects have in common: found at once, of what is known of each."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from individuals import design
from sklearn.exceptions import ConvergenceWarning

import sklearn_learnrule as lr
from sklearn_learnrule.models.effects import SubjectEffects
from sklearn_learnrule.models.nodes import Normal
from sklearn_learnrule.models.population import estimate_population


def told(mean, precision):
    """Return subjects' effects as known by a prior of mean 0 and spread .3, and by choices."""
    both = torch.full((len(mean), 1, 1), precision + 0.3**-2, dtype=torch.float64)
    return Normal(torch.as_tensor(mean)[:, None] * precision / both[:, 0], both.rsqrt())


def of_population(covariates):
    options = {"learns_spread": True, "has_center": [True]}
    names = [f"c{i}" for i in range(covariates.shape[1])]
    return SubjectEffects(["rate"], [1.0], covariates, names, **options)


def test_a_population_is_what_normal_knowledge_of_subjects_says():
    """In closed form: the variance of what choices tell, less what they leave open."""
    mean = np.array([-0.4, 0.1, 0.2, 0.9])
    nobody = torch.zeros(4, 0, dtype=torch.float64)
    effects = of_population(nobody)
    assert estimate_population(effects, told(mean, 25.0), nobody) > 0
    assert effects.center.item() == pytest.approx(mean.mean(), abs=1e-4)
    assert effects.spread.item() == pytest.approx(np.sqrt(mean.var() - 1 / 25), abs=1e-4)


def test_a_population_of_which_all_are_alike_has_the_least_spread():
    nobody = torch.zeros(4, 0, dtype=torch.float64)
    effects = of_population(nobody)
    assert estimate_population(effects, told(np.zeros(4), 25.0), nobody) > 0
    assert effects.spread.item() == pytest.approx(0.01)
    assert effects.center.item() == pytest.approx(0, abs=1e-6)


def test_covariates_effects_are_what_normal_knowledge_of_groups_says():
    mean = np.array([0.0, 0.2, 0.6, 0.8])
    group = torch.tensor([[0.0], [0.0], [1.0], [1.0]], dtype=torch.float64)
    effects = of_population(group)
    estimate_population(effects, told(mean, 400.0), group)
    assert effects.of_covariates.item() == pytest.approx(0.6, abs=1e-4)
    assert effects.center.item() == pytest.approx(0.1, abs=1e-4)
    assert effects.spread.item() == pytest.approx(np.sqrt(0.01 - 1 / 400), abs=1e-4)


def test_a_spread_of_0_is_found_in_a_few_passes():
    X, y, _ = design(12, 600, spread=0.0, seed=2)
    estimator = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
    estimator.fit(X, y)
    assert estimator.n_iter_ < 10
    summary = estimator.summary_.set_index("parameter").loc["subject_effects_std"]
    assert summary["estimate"] == pytest.approx(0.01)
    assert summary["note"] == "too close to a bound"


def test_the_interval_of_a_spread_is_that_of_its_logarithm():
    X, y, _ = design(6, 300, spread=0.5, seed=0)
    rule = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    summary = rule.summary_.set_index("parameter").loc["subject_effects_std"]
    half = 1.96 * summary["standard_error"]
    assert summary["estimate"] < half  # so that estimate -+ half would lie below 0
    logs = np.log(summary[["lower", "upper"]].to_numpy(dtype=float) / summary["estimate"])
    assert logs == pytest.approx(np.array([-1, 1]) * half / summary["estimate"], rel=1e-4)


def test_a_fit_that_went_astray_at_last_is_the_best_that_it_was():
    X, y, _ = design(5, 150, spread=1.0, seed=2)
    estimator = lr.ReinforceRuleEstimator(subject_effects=["learning_rate", "baseline"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is not a maximum
        estimator.fit(X, y)
    best = min(estimator.history_[:, "train_loss"])
    assert -estimator.score(X, y) == pytest.approx(best, abs=0.01)
    assert estimator.net_.module_.effects.center.tolist() == [0, 0]  # the typical animal has it
