"""What is shown of a rule does not depend on the units of the stimulus."""

import numpy as np
import pandas as pd
import pytest
from drawn import curves, finite, legend

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import nearest_rules, update_table
from sklearn_learnrule.plotting import UpdateDisplay

SCALES = {"stimulus": 0.01, "weight_stimulus": 100.0, "update_stimulus": 100.0}  # back to ours


@pytest.fixture(scope="module")
def cohort():
    contrasts = [(1.0, 0.2, 0.1, 0.05)]
    trials = make_learning_cohort(6, 200, curriculum=contrasts, random_state=0)
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def rules(cohort):
    """REINFORCE, and the same where the stimulus is in percent."""
    X, y = cohort
    return lr.ReinforceRuleEstimator().fit(X, y), lr.ReinforceRuleEstimator().fit(percent(X), y)


def percent(X):
    return X.assign(stimulus=100 * X["stimulus"])


def in_our_units(table):
    return table.assign(**{name: table[name] * scale for name, scale in SCALES.items()})


def test_the_rules_are_the_same_but_for_units(cohort, rules):
    X, y = cohort
    rule, in_percent = rules
    assert in_percent.score(percent(X), y) == pytest.approx(rule.score(X, y), abs=1e-12)


@pytest.mark.parametrize(
    "weights", [None, {"bias": 0.0}, {"stimulus": 0.5, "bias": 0.0}], ids=["both", "one", "none"]
)
def test_an_update_table_has_the_same_support_and_updates_up_to_units(cohort, rules, weights):
    X, _ = cohort
    rule, in_percent = rules
    asked = weights and {**weights, **({"stimulus": 0.005} if "stimulus" in weights else {})}
    table = update_table(rule, X, weights=weights)
    found = in_our_units(update_table(in_percent, percent(X), weights=asked))
    pd.testing.assert_frame_equal(found, table, check_exact=False, atol=1e-12)
    assert table["n_trials"].sum() > 0
    assert table["weight_bias"].nunique() == (3 if weights is None else 1)
    assert table["update_stimulus"].abs().min() > 0


@pytest.mark.parametrize("kind", ["slices", "heatmap"])
def test_a_display_shows_the_same_up_to_units(cohort, rules, kind):
    X, _ = cohort
    rule, in_percent = rules
    ours = UpdateDisplay.from_estimator(rule, X, kind=kind)
    theirs = UpdateDisplay.from_estimator(in_percent, percent(X), kind=kind)
    pd.testing.assert_frame_equal(
        in_our_units(theirs.table), ours.table, check_exact=False, atol=1e-12
    )
    assert [p.get_title() for p in theirs.axes_.flat] == [p.get_title() for p in ours.axes_.flat]
    if kind == "slices":
        for one, other in zip(ours.axes_.flat, theirs.axes_.flat, strict=True):
            for line, scaled in zip(curves(one), curves(other), strict=True):
                np.testing.assert_allclose(finite(scaled) * [0.01, 100], finite(line), atol=1e-12)
        values = [
            [float(label.replace("−", "-")) for label in list(legend(display.axes_[0, -1]))[:5]]
            for display in (ours, theirs)
        ]
        np.testing.assert_allclose(100 * np.array(values[1]), values[0], rtol=0.01)


def test_the_nearest_rules_are_the_same_up_to_units(cohort, rules):
    X, _ = cohort
    rule, in_percent = rules
    ours, theirs = nearest_rules(rule, X), nearest_rules(in_percent, percent(X))
    columns = ["rule", "weight", "r2"]
    pd.testing.assert_frame_equal(theirs[columns], ours[columns], check_exact=False, atol=1e-5)
    of_stimulus = ours["weight"] == "stimulus"
    rates = [table.loc[of_stimulus, "learning_rate"].to_numpy() for table in (ours, theirs)]
    np.testing.assert_allclose(1e4 * rates[1], rates[0], rtol=1e-3, atol=1e-8)


def test_a_weight_that_does_not_move_is_shown_as_it_is(cohort):
    X, y = cohort
    rule = lr.ConstantRuleEstimator().fit(percent(X), y)
    table = update_table(rule, percent(X))
    assert table["weight_stimulus"].unique() == pytest.approx(rule.initial_weights_[0], abs=1e-15)
    assert (table.groupby(["weight_bias", "choice"])["n_trials"].sum() > 0).all()
