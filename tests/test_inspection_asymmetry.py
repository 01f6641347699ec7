"""Asymmetries in numbers: what they are for rules that are known, and their intervals."""

import re
from copy import deepcopy

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED
from inspection_rules import BASELINE, ONE_STEP, MoodRuleEstimator
from scipy.special import expit

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import asymmetry_table, bootstrap_fits
from sklearn_learnrule.rules import ReinforceRule

pytestmark = BRIEFLY_TRAINED

KEYS = ["contrast", "group", "measure", "weight"]
NAMES = ["stimulus", "bias"]


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(8, 150, random_state=0))[:2]


@pytest.fixture(scope="module")
def reinforce(cohort):
    return lr.ReinforceRuleEstimator().fit(*cohort)


@pytest.fixture(scope="module")
def table(cohort, reinforce):
    return asymmetry_table(reinforce, cohort[0]).set_index(KEYS).sort_index()


def steps(estimator, X, y):
    """Each trial's update, policy gradient and place in the task, in a table."""
    weights = estimator.predict_weights(X)
    before_last = X.groupby("subject").cumcount(ascending=False) > 0
    update = weights.groupby("subject").diff().groupby("subject").shift(-1)[before_last]
    x = np.column_stack([X["stimulus"], np.ones(len(X))])
    chosen = (y == "right") - expit((weights * x).sum(axis=1))
    gradient = (x * chosen.to_numpy()[:, None])[before_last]
    answer = np.where(X["stimulus"] > 0, "right", "left")
    found = update.assign(correct=(y == answer)[before_last], answer=answer[before_last])
    found[["g_stimulus", "g_bias"]] = gradient
    return found


def test_estimates_are_means_and_slopes_over_the_lived_trials(cohort, reinforce, table):
    rows = steps(reinforce, *cohort)
    groups = {
        ("outcome", "correct"): rows["correct"],
        ("outcome", "error"): ~rows["correct"],
        ("side", "left"): rows["answer"] == "left",
        ("side", "right"): rows["answer"] == "right",
    }
    for (contrast, group), which in groups.items():
        for name in NAMES:
            u, g = rows.loc[which, name], rows.loc[which, f"g_{name}"]
            found = table.loc[contrast, group]
            assert found.loc[("update", name), "estimate"] == pytest.approx(u.mean())
            slope = (u * g).sum() / (g * g).sum()
            assert found.loc[("learning_rate", name), "estimate"] == pytest.approx(slope)
            assert found.loc[("update", name), "n_trials"] == which.sum()


def test_reinforces_rates_are_those_of_its_reward_and_its_baseline(reinforce, table):
    rate, product = reinforce.learning_rate_, reinforce.learning_rate_ * reinforce.baseline_
    for group, expected in (
        ("correct", rate - product),
        ("error", -product),
        ("correct - error", rate),
    ):
        found = table.loc["outcome", group, "learning_rate"]
        for column in ("estimate", "lower", "upper"):  # a slope that is the same in every animal
            np.testing.assert_allclose(found.loc[NAMES, column], expected, atol=1e-9)


def test_a_difference_is_that_of_its_groups_and_lies_in_its_interval(table):
    for contrast, (first, second) in {
        "outcome": ("correct", "error"),
        "side": ("left", "right"),
        "run": ("rewarded", "unrewarded"),
    }.items():
        one, other, both = (
            table.loc[contrast, group] for group in (first, second, f"{first} - {second}")
        )
        np.testing.assert_allclose(both["estimate"], one["estimate"] - other["estimate"])
        np.testing.assert_array_equal(both["n_trials"], one["n_trials"] + other["n_trials"])
        updates = both.loc["update"]
        assert (updates["lower"] <= updates["estimate"]).all()
        assert (updates["estimate"] <= updates["upper"]).all()


def test_an_interval_is_that_of_animals_drawn_with_replacement(cohort, reinforce, table):
    rows = steps(reinforce, *cohort)
    errors = {mouse: own["stimulus"] for mouse, own in rows[~rows["correct"]].groupby("subject")}
    rng = np.random.RandomState(5)
    means = [
        np.concatenate([errors[mouse] for mouse in rng.choice(list(errors), len(errors))]).mean()
        for _ in range(1000)
    ]
    found = table.loc["outcome", "error", "update", "stimulus"]
    width = found["upper"] - found["lower"]
    np.testing.assert_allclose(
        [found["lower"], found["upper"]], np.percentile(means, [2.5, 97.5]), atol=0.15 * width
    )


@pytest.mark.parametrize(("baseline", "sign"), [(-0.8, -1), (0.8, 1)])
def test_after_errors_a_negative_baseline_lowers_the_stimulus_weight(baseline, sign):
    rule = ReinforceRule(2, "free", learning_rate=0.1, initial_baseline=baseline)
    X, y, _ = lr.make_design(make_learning_cohort(30, 150, rule=rule, random_state=0))
    fitted = lr.ReinforceRuleEstimator().fit(X, y)
    table = asymmetry_table(fitted, X).set_index(KEYS).sort_index()
    found = table.loc["outcome", "error", "update", "stimulus"]
    assert (np.sign(found[["estimate", "lower", "upper"]]) == sign).all()


def test_without_memory_no_run_makes_a_difference(cohort):
    dnn = lr.DNNRuleEstimator(max_epochs=3, mirror=False, random_state=0).fit(*cohort)
    table = asymmetry_table([dnn], cohort[0]).set_index(KEYS).sort_index()
    run = table.loc["run", "rewarded - unrewarded"]
    assert (run[["estimate", "lower", "upper"]] == 0).all(axis=None)


def test_a_run_raises_the_rates_of_a_rule_that_remembers_rewards(cohort):
    X, y = cohort
    mood = MoodRuleEstimator(**ONE_STEP).fit(X, y)
    table = asymmetry_table(mood, X, run_length=3, n_states=1000).set_index(KEYS).sort_index()
    rows = steps(mood, X, y)
    reward = rows["correct"].astype(float)
    alpha = mood.net_.module_.rule.rule.learning_rate.item()
    for name in NAMES:
        update = alpha * (1 - 0.5**3) * (reward - BASELINE) * rows[f"g_{name}"]
        found = table.loc["run", "rewarded - unrewarded", "update", name]
        np.testing.assert_allclose(found["estimate"], update.mean(), rtol=1e-5)
    rates = table.loc["run", "rewarded - unrewarded", "learning_rate"]
    assert (rates["lower"] > 0).all()


def test_refits_have_a_table_each(cohort):
    X, y = cohort
    fits = bootstrap_fits(
        lr.ReinforceRuleEstimator(), X, y, n_bootstraps=2, random_state=0, verbose=0
    )
    table = asymmetry_table(fits, X, n_bootstraps=10)
    assert table["fit"].value_counts().tolist() == [36, 36]
    errors = table.query("group == 'error' and measure == 'learning_rate' and weight == 'bias'")
    expected = [-fit.learning_rate_[1] * fit.baseline_[1] for fit in fits]
    np.testing.assert_allclose(errors["estimate"], expected, atol=1e-9)


def test_the_seed_decides_the_interval(cohort, reinforce):
    one, same, other = (
        asymmetry_table(deepcopy(reinforce), cohort[0], n_bootstraps=50, random_state=s)["lower"]
        for s in (0, 0, 1)
    )
    assert (one == same).all() and (one != other).any()


def test_runs_need_trials_to_draw_from(reinforce):
    trials = make_learning_cohort(3, 60, random_state=0)
    X, _, _ = lr.make_design(trials[trials["reward"] > 0])
    message = (
        "Every trial earned more than 0, so rewarded and unrewarded ones cannot be compared: give "
        "another bound, rewarded_above."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        asymmetry_table(reinforce, X)
