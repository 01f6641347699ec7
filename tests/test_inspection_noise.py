"""What of the weights is by the rule and by noise: parts that add up, and shares that are true."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from inspection_rules import BASELINE, ONE_STEP, MoodRuleEstimator
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.signal import lfilter
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule import simulation
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators.base import BaseRuleEstimator
from sklearn_learnrule.inspection import variance_explained, weight_decomposition
from sklearn_learnrule.models.members import copy_models, look_back_members
from sklearn_learnrule.models.smoothing import draw_path, smooth
from sklearn_learnrule.rules import LearningRule, observe, unpack

pytestmark = BRIEFLY_TRAINED

NAMES = ["stimulus", "bias"]
NETWORK = {"hidden_sizes": (4,), "n_ensemble": 1, "mirror": False, "random_state": 0}
NOISE = {"process_noise": 0.03, "session_noise": 0.1, "initial_std": 0.3}
DRIFT = {"process_noise": 0.1, "session_noise": 0.0, "initial_std": 0.3}
TINY = {"process_noise": 1e-5, "session_noise": 0.0, "initial_std": 0.0}


class DecayRule(LearningRule):
    """Forgets a fiftieth of the weights on every trial, and does nothing else."""

    def forward(self, weights, trial, memory):
        del trial
        return -weights / 50, memory


class DecayRuleEstimator(BaseRuleEstimator):
    def make_rule(self, n_weights):
        return DecayRule(n_weights)


def twins_of(estimator, X):
    """Return X, y and the true weights of animals that learn and drift as was fitted."""
    trials, weights = simulation.simulate(estimator, X, random_state=0, return_weights=True)
    return *lr.make_design(trials)[:2], weights


@pytest.fixture(scope="module")
def source():
    """Who the animals are twins of."""
    X, y, _ = lr.make_design(make_learning_cohort(12, 1000, random_state=0))
    return lr.ReinforceRuleEstimator(baseline=None, **NOISE).fit(X, y), X


@pytest.fixture(scope="module")
def cohort(source):
    """Twelve animals that learn by REINFORCE and drift, and their true weights."""
    return twins_of(*source)


@pytest.fixture(scope="module")
def few(cohort):
    X, y, _ = cohort
    few = X.index.get_level_values("subject") <= "mouse_04"
    few &= X.index.get_level_values("trial") < 150
    return X[few], y[few]


@pytest.fixture(scope="module")
def fitted(cohort):
    X, y, _ = cohort
    return lr.ReinforceRuleEstimator(baseline=None, process_noise="learned").fit(X, y)


@pytest.fixture(scope="module")
def decaying(few):
    """A fit that knows rule and noise as they are."""
    return DecayRuleEstimator(**DRIFT, **ONE_STEP).fit(*few)


@pytest.fixture(scope="module")
def forgetful(decaying, cohort):
    """Animals that but forget and drift."""
    return twins_of(decaying, cohort[0])


def wide(table, value):
    """One column of a decomposition as a column a weight, rows as in X."""
    index = ["subject", "session", "trial"]
    return table.pivot(index=index, columns="weight", values=value)[NAMES]


def reinforce_alone(weights, X, y, rate, baseline=0.0):
    """Where REINFORCE, by its formula, brings each animal's first weights on its trials."""
    rate = np.broadcast_to(rate, weights.shape)
    features = np.column_stack([X["stimulus"], np.ones(len(X))])
    choice, reward = (y == "right").to_numpy(dtype=float), X["previous_reward"].to_numpy()
    found = weights.to_numpy().copy()
    for t in np.flatnonzero(X.index.get_level_values("trial") > 0) - 1:
        step = (reward[t + 1] - baseline) * (choice[t] - expit(found[t] @ features[t]))
        found[t + 1] = found[t] + rate[t] * step * features[t]
    return pd.DataFrame(found, X.index, NAMES)


def true_shares(weights, by_rule):
    """Cov(w, R) / Var(w): of all animals, then of each."""
    centred = weights - weights.groupby("subject").transform("mean")
    each = (centred * by_rule).groupby("subject").sum()
    variance = (centred**2).groupby("subject").sum()
    return each.sum() / variance.sum(), each / variance


def shares_of(table):
    table = table.set_index(["subject", "weight"])["rule"].unstack()[NAMES]
    return table.loc["all"], table.drop("all")


# ------------------------------------------------------------------------------ parts


def test_rule_and_noise_add_up_to_the_smoothed_weights(cohort, fitted):
    X, y, _ = cohort
    table = weight_decomposition({"a": fitted}, X, y)
    parts = ["weight", "smoothed", "std", "by_rule", "by_noise"]
    assert list(table) == ["fit", "subject", "session", "trial", *parts]
    assert (table["fit"] == "a").all() and len(table) == 2 * len(X)
    assert_allclose(table["by_rule"] + table["by_noise"], table["smoothed"], atol=1e-12)
    weights, std = fitted.smooth_weights(X, y, return_std=True)
    assert_array_equal(wide(table, "smoothed").loc[X.index], weights)
    assert_array_equal(wide(table, "std").loc[X.index], std)
    first = table[table["trial"] == 0]
    assert_array_equal(first["by_noise"], 0)


def test_the_rules_part_is_where_the_rule_alone_brings_the_first_weights(cohort, fitted):
    X, y, _ = cohort
    table = weight_decomposition(fitted, X, y)
    expected = reinforce_alone(wide(table, "smoothed").loc[X.index], X, y, fitted.learning_rate_)
    assert_allclose(wide(table, "by_rule").loc[X.index], expected, atol=1e-5)  # float32 rates


def test_a_memory_goes_along(few):
    X, y = few
    fit = MoodRuleEstimator(**NOISE, **ONE_STEP).fit(X, y)
    table = weight_decomposition(fit, X, y)
    rewards = X["previous_reward"].groupby("subject")
    mood = rewards.transform(lambda reward: lfilter([0.5], [1, -0.5], reward))  # (m + r) / 2
    rate = fit.net_.module_.rule.rule.learning_rate.item() * mood.to_numpy()[:, None]
    smoothed = wide(table, "smoothed").loc[X.index]
    expected = reinforce_alone(smoothed, X, y, rate, BASELINE)
    assert_allclose(wide(table, "by_rule").loc[X.index], expected, atol=1e-5)


def test_an_ensembles_parts_are_the_means_of_its_members(few):
    X, y = few
    how = {**NETWORK, "max_epochs": 3, "n_ensemble": 2}
    both = lr.DNNRuleEstimator(**NOISE, **how).fit(X, y)
    nets = both.nets_
    tables = []
    for both.nets_ in ([nets[0]], [nets[1]]):
        tables.append(weight_decomposition(both, X, y))
    both.nets_ = nets
    parts = ["smoothed", "by_rule", "by_noise"]
    mean = (tables[0][parts] + tables[1][parts]) / 2
    assert_allclose(weight_decomposition(both, X, y)[parts], mean, atol=1e-12)
    shares = variance_explained(both, X, y, n_draws=4)
    assert np.isfinite(shares["rule"]).all()


def test_where_a_network_would_run_away_it_is_held(few):
    fit = lr.DNNRuleEstimator(max_epochs=1, **NOISE, **NETWORK).fit(*few)
    fit.net_.module_.bounds = torch.tensor([[-1e-3, -1e-3], [1e-3, 1e-3]])
    with pytest.warns(UserWarning, match="were held back"):
        table = weight_decomposition(fit, *few)
    assert table.loc[table["trial"] > 0, "by_rule"].abs().max() <= 1e-3 + 1e-9


@pytest.mark.parametrize("network", [lr.DNNRuleEstimator, lr.RNNRuleEstimator])
def test_networks_have_parts_and_shares_for_each_of_xs_animals(few, network):
    X, y = few
    fit = network(process_noise="learned", max_epochs=3, **NETWORK).fit(X, y)
    table = weight_decomposition(fit, X, y)
    assert_allclose(table["by_rule"] + table["by_noise"], table["smoothed"], atol=1e-12)
    subjects = list(X.index.unique("subject"))
    assert list(table["subject"].unique()) == subjects
    shares = variance_explained(fit, X, y, n_draws=3)
    assert list(shares["subject"].unique()) == ["all", *subjects]
    assert (shares["lower"] <= shares["rule"]).all() and (shares["rule"] <= shares["upper"]).all()


# ----------------------------------------------------------------------------- shares


def test_shares_are_those_of_the_true_weights_and_rule(source, cohort, fitted):
    X, y, truth = cohort
    pooled, each = true_shares(truth, reinforce_alone(truth, X, y, source[0].learning_rate_))
    found, of_animals = shares_of(variance_explained(fitted, X, y))
    # at most .17, and of animals .19 on average, over eight such cohorts
    assert_allclose(found, pooled, atol=0.2)
    assert (of_animals - each).abs().mean().max() < 0.2


def test_noise_that_the_rule_forgets_is_noise(forgetful, decaying):
    X, y, truth = forgetful
    start = truth.groupby("subject").transform("first")
    trial = X.index.get_level_values("trial").to_numpy()
    pooled, true = true_shares(truth, start * (1 - 1 / 50) ** trial[:, None])
    table = variance_explained(decaying, X, y)
    found, _ = shares_of(table)
    assert_allclose(found, pooled, atol=0.1)
    assert (found.abs() < 0.2).all()
    table = table.query("subject != 'all'").set_index(["subject", "weight"])
    true = true.stack().loc[table.index]
    covered = (table["lower"] <= true) & (true <= table["upper"])
    assert covered.mean() > 0.8  # of 24, nominally .95


def test_a_rule_that_would_have_gone_farther_explains_more_than_all(cohort, fitted):
    X, y, _ = cohort
    faster = deepcopy(fitted)
    faster.net_.module_.rule.rule.root_learning_rate.data *= 2
    table = variance_explained(faster, X, y, n_draws=5).set_index(["subject", "weight"])
    assert table.loc[("all", "stimulus"), "rule"] > 1 > 0 > table.loc[("all", "stimulus"), "noise"]


def test_smoothed_weights_are_those_of_rauch_tung_and_striebel(few, decaying):
    X, y = (table.loc[["mouse_01"]] for table in few)
    sequences, is_second = decaying.read_choices(X, y)
    (filtered,) = look_back_members(
        copy_models(decaying), sequences, is_second, decaying.predict_paths(sequences)
    )
    (path,) = decaying.predict_paths(sequences)
    features, choice = map(torch.tensor, (sequences.fields.features, (y == "right").tolist()))
    before, spread = path[:, :2], unpack(path[:, 2:])
    mean, covariance = observe(before, spread, features, choice.double())
    forgetting = 1 - 1 / 50
    for t in range(len(X) - 2, -1, -1):
        gain = forgetting * covariance[t] @ torch.linalg.inv(spread[t + 1])
        mean[t] += gain @ (mean[t + 1] - before[t + 1])
        covariance[t] += gain @ (covariance[t + 1] - spread[t + 1]) @ gain.T
    smoothed = smooth(filtered)
    assert_allclose(smoothed[0][0], mean, atol=1e-8)
    assert_allclose(smoothed[1][0], covariance, atol=1e-8)


def test_an_animal_of_one_trial_is_smoothed_by_its_choice(few, decaying):
    X, y = (table.iloc[:1] for table in few)
    weights = decaying.smooth_weights(X, y)["stimulus"].item()
    seen = (1 if y.item() == "right" else -1) * np.sign(X["stimulus"].item())
    assert np.sign(weights - decaying.predict_weights(X)["stimulus"].item()) == seen


def test_courses_are_drawn_around_the_smoothed_weights_and_as_rough_as_the_animals(
    forgetful, decaying
):
    X, y, _ = forgetful
    sequences, is_second = decaying.read_choices(X, y)
    (filtered,) = look_back_members(
        copy_models(decaying), sequences, is_second, decaying.predict_paths(sequences)
    )
    normals = np.random.RandomState(0).standard_normal((200, *filtered.offset.shape))
    drawn = draw_path(filtered, torch.as_tensor(normals))  # (D, N, T, K)
    mean, covariance = smooth(filtered)
    std = covariance.diagonal(0, -2, -1).sqrt()
    happened = sequences.padded.features[..., -1] > 0
    assert ((drawn.mean(0) - mean) / std)[happened].abs().max() < 6 / np.sqrt(200)
    assert_allclose((drawn.std(0) / std)[happened], 1, atol=0.3)
    noise = drawn[:, :, 1:] - (1 - 1 / 50) * drawn[:, :, :-1]
    within = sequences.padded.observed[:, :-1]
    assert_allclose(noise[:, within].std((0, 1)), DRIFT["process_noise"], rtol=0.05)
    assert (mean.diff(dim=1)[within].std(0) < DRIFT["process_noise"] / 2).all()


def test_a_rule_without_noise_explains_all(few):
    X, y = few
    fit = lr.ReinforceRuleEstimator(baseline=None, **TINY).fit(X, y)
    table = variance_explained(fit, X, y, n_draws=5)
    assert_allclose(table["rule"], 1, atol=0.02)
    assert_allclose(table["rule"] + table["noise"], 1)
    parts = weight_decomposition(fit, X, y)
    assert parts["by_noise"].abs().max() < 1e-2


def test_a_rule_that_does_nothing_explains_nothing(few):
    X, y = few
    fit = lr.ConstantRuleEstimator(**NOISE).fit(X, y)
    table = variance_explained(fit, X, y, n_draws=5)
    assert (table[["rule", "lower", "upper"]] == 0).all(axis=None) and (table["noise"] == 1).all()
    by_rule = weight_decomposition(fit, X, y).groupby(["subject", "weight"])["by_rule"]
    assert (by_rule.nunique() == 1).all()


def test_weights_that_do_not_change_have_no_shares(few):
    fit = lr.ConstantRuleEstimator(process_noise=0, session_noise=0, initial_std=0).fit(*few)
    assert variance_explained(fit, *few, n_draws=2)[["rule", "noise"]].isna().all(axis=None)


def test_neither_order_nor_company_of_animals_matters(few):
    X, y = few
    fit = lr.ReinforceRuleEstimator(baseline=None, **NOISE).fit(X, y)
    whole = weight_decomposition(fit, X, y), variance_explained(fit, X, y, n_draws=3)
    subjects = X.index.unique("subject")[::-1]
    other = X.loc[subjects], y.loc[subjects]
    alone = X.loc[["mouse_02"]], y.loc[["mouse_02"]]
    for rows in (other, alone):
        again = weight_decomposition(fit, *rows), variance_explained(fit, *rows, n_draws=3)
        for one, two in zip(whole, again, strict=True):
            keys = [name for name in ("subject", "trial", "weight") if name in one]
            one, two = (table[table["subject"] != "all"].set_index(keys) for table in (one, two))
            assert_frame_equal(one.loc[two.index], two)
    together, reverse = (
        shares_of(variance_explained(fit, *rows, n_draws=3)) for rows in (few, other)
    )
    assert_allclose(together[0], reverse[0])


def test_the_same_seed_gives_the_same_shares_and_more_draws_take_their_part(few, monkeypatch):
    X, y = few
    fit = lr.ReinforceRuleEstimator(baseline=None, **NOISE).fit(X, y)
    tables = [variance_explained(fit, X, y, n_draws=7, random_state=seed) for seed in (0, 0, 1)]
    assert_frame_equal(tables[0], tables[1])
    assert (tables[0]["rule"] != tables[2]["rule"]).all()
    monkeypatch.setattr("sklearn_learnrule.inspection._decomposition.ROWS", 2000)  # three at a time
    assert_frame_equal(variance_explained(fit, X, y, n_draws=7), tables[0])


# -------------------------------------------------------------------------- conventions


def test_folds_tell_of_the_animals_that_they_have_not_seen(few):
    X, y = few
    rule = lr.ReinforceRuleEstimator(baseline=None, **NOISE)
    keep = {"return_estimator": True, "return_indices": True}
    folds = cross_validate(rule, X, y, cv=lr.SubjectKFold(2), **keep)
    parts, shares = weight_decomposition(folds, X, y), variance_explained(folds, X, y, n_draws=2)
    assert len(parts) == 2 * len(X)
    for number, test in enumerate(folds["indices"]["test"]):
        subjects = set(X.index[test].unique("subject"))
        for table in (parts, shares):
            here = table.loc[table["fit"] == number, "subject"]
            assert set(here) - {"all"} == subjects
        expected = weight_decomposition(folds["estimator"][number], X.iloc[test], y.iloc[test])
        own = parts[parts["fit"] == number].drop(columns="fit").reset_index(drop=True)
        assert_frame_equal(own, expected.drop(columns="fit"))


def test_a_pipeline_and_identity_in_columns_change_nothing():
    trials = make_learning_cohort(2, 60, random_state=0)
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    rule = lr.ReinforceRuleEstimator(baseline=None, **NOISE)
    pipeline = make_pipeline(lr.TanhContrast(), rule).fit(X, y)
    X_seen = lr.TanhContrast().fit_transform(X)
    expected = weight_decomposition(pipeline[-1], X_seen, y)
    assert_frame_equal(weight_decomposition(pipeline, X, y), expected)
    columns = X_seen.reset_index(), y.reset_index(drop=True)
    same = clone(rule).fit(*columns)
    assert_frame_equal(weight_decomposition(same, *columns), expected)
    assert_frame_equal(
        variance_explained(same, *columns, n_draws=2),
        variance_explained(pipeline, X, y, n_draws=2),
    )


def test_what_cannot_be_told_gets_one_clear_sentence(few, decaying):
    X, y = few
    alone = lr.ConstantRuleEstimator().fit(X, y)
    message = (
        "{} is a ConstantRuleEstimator without process noise: fit it with process_noise='learned'"
    )
    for function in (weight_decomposition, variance_explained):
        with pytest.raises(ValueError, match=message.format("but 'alone'")):
            function({"noisy": decaying, "alone": alone}, X, y)
        with pytest.raises(ValueError, match=message.format("but fit 0")):
            function(alone, X, y)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            function(decaying, X, y[:-1])
        with pytest.raises(ValueError, match="previous_choice should be the choice before"):
            function(decaying, X, y.iloc[::-1].set_axis(y.index))
    named = X.rename(index={"mouse_01": "all"}, level="subject")
    with pytest.raises(ValueError, match="Rows of the subject 'all' stand for all animals: rename"):
        variance_explained(decaying, named, y)
    with pytest.raises(ValueError, match="n_draws == 0, must be >= 1"):
        variance_explained(decaying, X, y, n_draws=0)
    with pytest.raises(ValueError, match="level == 2.0, must be <= 1"):
        variance_explained(decaying, X, y, level=2.0)
