"""Truths about how many animals it takes: power where there is a difference, chance where not."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.inspection import compare_groups
from sklearn_learnrule.recovery import GroupPower, group_power
from sklearn_learnrule.simulation import Twin

TASK = partial(ContrastTask, curriculum=[(1.0, 0.5)], criterion=1.0)
SMALL = {"n_trials": 50, "n_subjects": 3, "n_repeats": 1, "random_state": 0, "verbose": 0}


@pytest.fixture(scope="module")
def pilot():
    fast, slow = (
        make_learning_cohort(
            3, 150, rule=lr.rules.ReinforceRule(2, None, learning_rate=rate), random_state=seed
        ).assign(batch=seed)
        for seed, rate in enumerate([0.15, 0.03])
    )
    return lr.make_design(pd.concat([fast, slow]), subject=["batch", "subject"])[:2]


@pytest.fixture(scope="module")
def rule(pilot):
    return lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(*pilot)


# ----------------------------------------------------------------------------- the table


def test_shares_come_with_wilsons_interval():
    p_values = [0.01, 0.2, np.nan, 0.04, 0.3, 0.6, 0.7, 0.8]
    truth = {"n_subjects": 8, "true_difference": [1.0] * 4 + [0.0] * 4, "repeat": [*range(4)] * 2}
    tests = pd.DataFrame({**truth, "difference": 0.5, "p": p_values})
    table = GroupPower(tests).table.set_index("true_difference")
    assert table["n_cohorts"].to_dict() == {0.0: 4, 1.0: 3}
    assert table["share_found"].to_dict() == {0.0: 0.0, 1.0: 2 / 3}
    wilson = binomtest(2, 3).proportion_ci(method="wilson")
    assert table.loc[1.0, ["lower", "upper"]].tolist() == [wilson.low, wilson.high]
    assert GroupPower(tests, level=0.02).table["share_found"].tolist() == [0.0, 1 / 3]


# --------------------------------------------------------------------------- the cohorts


def test_a_difference_is_added_to_what_animals_have_of_their_own(rule):
    twin = Twin(rule)
    experiment = twin.read(TASK, 40, None, None).for_cohort(2000, np.random.RandomState(0))
    group = np.arange(2000) % 2
    with_difference, without = (
        twin.own_effects(experiment, np.random.RandomState(0), further).numpy()[:, 0]
        for further in ({"learning_rate": -0.7 * group}, {})
    )
    np.testing.assert_allclose(with_difference - without, -0.7 * group)
    assert without.mean() == pytest.approx(0, abs=0.1)
    assert without.std() == pytest.approx(rule.subject_effects_std_[0], rel=0.05)


def test_twins_learn_each_at_its_own_rate(rule):
    """Of animals whose rate is some e^5 times lower, weights stay where they start."""
    twin, rng = Twin(rule), np.random.RandomState(0)
    experiment = twin.read(TASK, 60, None, None).for_cohort(20, rng)
    slow = np.arange(20) % 2 == 1
    weights = twin.run(experiment, rng, {"learning_rate": -8.0 * slow}).weights[..., 0]
    moved = np.ptp(weights, axis=1)
    assert moved[slow].max() < 0.05 < 0.3 < moved[~slow].min()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_animals_expected_to_be_slow_by_their_covariates_are(pilot):
    X, y = pilot
    number = X.index.get_level_values("subject").str.startswith("1").astype(float)
    X = X.assign(covariate_batch=number)
    rule = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    twin = Twin(rule)
    experiment = twin.read(X, None, None, None).for_twins(200, np.random.RandomState(0))
    own = twin.own_effects(experiment, np.random.RandomState(0)).numpy()[:, 0]
    slow = experiment.covariate("covariate_batch") == 1
    expected = rule.covariate_effects_[0, 0]
    assert own[slow].mean() - own[~slow].mean() == pytest.approx(expected, abs=0.15)


# ------------------------------------------------------------------------------ the study


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_size_and_difference_has_its_cohorts(pilot, rule, tmp_path):
    rule = clone(rule).set_params(max_epochs=1).fit(*pilot)
    study = group_power(rule, TASK, **SMALL | {"n_subjects": [3, 4]}, cache=tmp_path)
    assert study.tests["n_subjects"].tolist() == [3, 3, 4, 4]
    assert study.tests["true_difference"].tolist() == [0, np.log(2)] * 2
    assert study.table["n_cohorts"].tolist() == study.tests["p"].notna().astype(int).tolist()
    again = group_power(rule, TASK, **SMALL | {"n_subjects": [3, 4]}, cache=tmp_path)
    pd.testing.assert_frame_equal(again.tests, study.tests)
    assert str(study).splitlines()[0].split()[:2] == ["n_subjects", "true_difference"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_large_difference_is_found(rule):
    options = {**SMALL, "n_subjects": 4, "n_trials": 120, "difference": -5.0}
    found = group_power(rule, TASK, **options).tests.set_index("true_difference")
    assert found.loc[-5.0, "p"] < 0.05 < found.loc[0.0, "p"]
    assert found.loc[-5.0, "difference"] < -1


def test_a_cohort_that_fails_is_told_and_the_others_go_on(rule, monkeypatch):
    def fail(estimator, X, *args, **kwargs):
        if X.index.get_level_values("subject").nunique() == 6:
            raise FloatingPointError("no fit today")
        return compare_groups(estimator, X, *args, **kwargs)

    monkeypatch.setattr("sklearn_learnrule.recovery._groups.compare_groups", fail)
    with pytest.warns(FitFailedWarning, match="3 animals a group, .*: FloatingPointError: no fit"):
        study = group_power(rule, TASK, **SMALL)
    assert study.tests["p"].isna().all()
    assert study.table["n_cohorts"].tolist() == [0, 0]


# ---------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_subjects": 1}, "n_subjects == 1, must be >= 2"),
        ({"n_repeats": 0}, "n_repeats == 0, must be >= 1"),
        ({"level": 1}, "level == 1, must be < 1"),
        ({"difference": 0.0}, "difference should be a number other than 0, got 0.0: cohorts"),
        ({"effect": "baseline"}, "effect should be one of the fit's subject effects, ['learning_"),
    ],
)
def test_wrong_options_are_told(rule, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        group_power(rule, TASK, **SMALL | options)


def test_the_rule_must_tell_how_much_animals_vary(pilot):
    alike = lr.ReinforceRuleEstimator(baseline=None).fit(*pilot)
    with pytest.raises(ValueError, match="By this ReinforceRuleEstimator all animals learn alike"):
        group_power(alike, TASK, **SMALL)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_a_networks_numbers_mean_is_not_asked_for(pilot):
    network = lr.DNNRuleEstimator(
        hidden_sizes=(3,), max_epochs=1, n_ensemble=1, mirror=False, subject_effects=1
    )
    with pytest.raises(ValueError, match="a DNNRuleEstimator mean what the network makes of them"):
        group_power(network.fit(*pilot), TASK, **SMALL)
