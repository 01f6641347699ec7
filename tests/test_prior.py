"""The weak prior of textbook rules: it tells where trials are few, and is silent where many are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules._textbook import WEAK_OFFSET, WEAK_RATE
from sklearn_learnrule.training.dataset import SequenceDataset
from sklearn_learnrule.training.standard_errors import LogLikelihood, derivatives

CHANCE = np.log(0.5)


def cohort(n_subjects, n_trials):
    X, y, _ = lr.make_design(
        make_learning_cohort(n_subjects, n_trials, length_spread=0, random_state=0)
    )
    return X, y


@pytest.fixture(scope="module")
def few():
    """Return two animals of 124 trials, and eight others."""
    X, y = cohort(10, 124)
    fitted = X.index.get_level_values("subject").isin(["mouse_01", "mouse_02"])
    return (X[fitted], y[fitted]), (X[~fitted], y[~fitted])


@pytest.mark.parametrize("baseline", ["free", "nonnegative"])
def test_few_trials_run_away_without_it_and_not_with_it(few, baseline):
    two, others = few
    with pytest.warns(ConvergenceWarning):
        alone = lr.ReinforceRuleEstimator(baseline=baseline, max_epochs=20).fit(*two)
    weak = lr.ReinforceRuleEstimator(baseline=baseline, prior="weak").fit(*two)
    assert alone.score(*two) > weak.score(*two)
    assert alone.score(*others) < -5
    assert weak.score(*others) > CHANCE - 0.01
    steps = weak.learning_rate_ * weak.baseline_
    assert np.abs(steps).max() < 3 * WEAK_OFFSET


def test_it_is_silent_beside_many_trials():
    X, y = cohort(12, 2000)
    alone = lr.ReinforceRuleEstimator().fit(X, y).summary_
    weak = lr.ReinforceRuleEstimator(prior="weak").fit(X, y).summary_
    moved = (weak["estimate"] - alone["estimate"]) / alone["standard_error"]
    assert moved.abs().max() < 0.05
    ratio = weak["standard_error"] / alone["standard_error"]
    assert ratio.between(0.95, 1).all()


def test_twice_the_weight_is_twice_the_animals(few):
    (X, y), _ = few
    rule = lr.ReinforceRuleEstimator(prior="weak")
    doubled = rule.fit(X, y, sample_weight=np.full(len(y), 2.0)).learning_rate_
    twins = X.rename(index=lambda name: f"{name}_twin", level="subject")
    both = pd.concat([X, twins]), pd.concat([y, y.set_axis(twins.index)])
    np.testing.assert_allclose(doubled, rule.fit(*both).learning_rate_, rtol=1e-2, atol=1e-5)


def test_standard_errors_count_it_in(few):
    (X, y), _ = few
    rule = lr.PredictMaxRuleEstimator(prior="weak", train_initial_weights=False).fit(X, y)
    dataset = SequenceDataset(
        read_sequences(X), choice=(y == "right").to_numpy(), weight=np.ones(len(y)),
        dtype=torch.float64, device="cpu",
    )  # fmt: skip
    likelihood = LogLikelihood(rule.net_.module_, dataset)
    scores, counted = derivatives(likelihood)
    assert np.abs(scores.sum(0)).max() < 1e-2  # the fit is where both together are highest
    likelihood.model.has_prior = False
    _, alone = derivatives(likelihood)
    rate = rule.net_.module_.rule.rule.learning_rate.detach().numpy()
    of_prior = 6 * rate / WEAK_RATE**2  # second derivative of root^4 / 2 WEAK_RATE^2
    np.testing.assert_allclose(counted - alone, np.diag(of_prior), atol=1e-2 * alone.max())


@pytest.mark.parametrize(
    "options", [{"unlearned": ["bias"]}, {"process_noise": 0.05, "initial_std": 0.5}], ids=str
)
def test_it_reaches_rules_of_some_weights_and_rules_in_a_filter(few, options):
    two, _ = few
    alone = lr.ReinforceRuleEstimator(**options).fit(*two)
    weak = lr.ReinforceRuleEstimator(prior="weak", **options).fit(*two)
    assert -weak.net_.module_.log_prior() < -0.5 * alone.net_.module_.log_prior()
