"""Importance is what predictions lose where one column of the present trial tells nothing."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import column_importance
from sklearn_learnrule.metrics import trial_log_likelihood

COLUMNS = [
    "fit",
    "subject",
    "column",
    "n_trials",
    "log_likelihood",
    "permuted",
    "importance",
]


@pytest.fixture(scope="module")
def cohort():
    """Animals that choose by the stimulus, beside which X has a column of noise."""
    X, y, _ = lr.make_design(make_learning_cohort(8, 400, random_state=0))
    noise = np.random.RandomState(1).standard_normal(len(X))
    return X.assign(noise=noise), y


@pytest.fixture(scope="module")
def rule(cohort):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*cohort)


def by_subject(values, X):
    return pd.Series(values, X.index).groupby("subject", sort=False).mean()


def test_noise_has_no_importance_and_the_stimulus_has(cohort):
    X, y = cohort
    keep = {"return_estimator": True, "return_indices": True}
    rule = lr.ReinforceRuleEstimator(baseline=None)
    folds = cross_validate(rule, X, y, cv=lr.SubjectKFold(2), **keep)
    table = column_importance(folds, X, y)
    assert list(table) == COLUMNS
    importance = table.pivot_table("importance", "subject", "column")
    error = importance.sem()
    assert abs(importance["noise"].mean()) < 3 * error["noise"] < 0.02
    assert importance["stimulus"].min() > 0.1
    assert sorted(table["subject"].unique()) == sorted(X.index.unique("subject"))
    for number, (fit, rows) in enumerate(
        zip(folds["estimator"], folds["indices"]["test"], strict=True)
    ):
        alone = column_importance({number: fit}, X.iloc[rows], y.iloc[rows])
        assert_frame_equal(table[table["fit"] == number].reset_index(drop=True), alone)


@pytest.mark.parametrize(
    "options",
    [{}, {"process_noise": 0.1}, {"lapses": 0.1}, {"process_noise": 0.1, "lapses": (0.1, 0.05)}],
    ids=str,
)
def test_the_likelihood_is_the_predictions_and_is_lost_by_the_present_column_alone(cohort, options):
    X, y = cohort
    rule = lr.ReinforceRuleEstimator(baseline=None, max_epochs=3, tol=1, **options).fit(X, y)
    table = column_importance(rule, X, y, n_repeats=2 if options else 200).set_index(
        ["column", "subject"]
    )
    expected = by_subject(trial_log_likelihood(y == "right", rule.decision_function(X)), X)
    for column in ("stimulus", "noise"):
        rows = table.loc[column]
        np.testing.assert_allclose(rows["log_likelihood"], expected[rows.index])
        np.testing.assert_array_equal(rows["n_trials"], X.groupby("subject").size()[rows.index])
        np.testing.assert_allclose(rows["importance"], rows["log_likelihood"] - rows["permuted"])
    if not options:  # the mean over all other trials, in closed form
        mouse = X.index.get_level_values("subject") == "mouse_03"
        weights, x = rule.predict_weights(X[mouse]), X.loc[mouse, "stimulus"].to_numpy()
        rest = (weights["noise"] * X.loc[mouse, "noise"] + weights["bias"]).to_numpy()[:, None]
        logits = weights["stimulus"].to_numpy()[:, None] * x + rest  # (T, T)
        is_right = (y[mouse] == "right").to_numpy()[:, None]
        mean = trial_log_likelihood(is_right, logits).mean()
        assert table.loc[("stimulus", "mouse_03"), "permuted"] == pytest.approx(mean, abs=0.003)


def test_an_animal_is_judged_alike_in_any_company_by_the_seed(cohort, rule):
    X, y = cohort
    table = column_importance(rule, X, y, n_repeats=2)
    some = X.index.get_level_values("subject").isin(["mouse_02", "mouse_07"])
    alone = column_importance(rule, X[some], y[some], n_repeats=2)
    kept = table[table["subject"].isin(["mouse_02", "mouse_07"])].reset_index(drop=True)
    assert_frame_equal(kept, alone)
    other = column_importance(rule, X, y, n_repeats=2, random_state=1)
    assert (other["permuted"] != table["permuted"]).all()
    assert_frame_equal(other.drop(columns=COLUMNS[-2:]), table.drop(columns=COLUMNS[-2:]))


def test_the_columns_of_a_pipeline_are_those_that_its_rule_sees(cohort):
    X, y = cohort
    rule = lr.ReinforceRuleEstimator(baseline=None)
    seen = lr.PolicyRegressors().fit_transform(X)
    pipeline = make_pipeline(lr.PolicyRegressors(), rule).fit(X, y)
    table = column_importance({"all": pipeline}, X, y, n_repeats=1)
    names = [name for name in seen if name not in ("previous_choice", "previous_reward")]
    assert table["column"].unique().tolist() == names
    assert (table["fit"] == "all").all()
    alone = column_importance({"all": rule.fit(seen, y)}, seen, y, n_repeats=1)
    assert_frame_equal(table, alone)


def test_fits_are_told_apart_and_networks_are_judged_as_ensembles(cohort):
    X, y = cohort
    how = {"max_epochs": 8, "n_ensemble": 2, "mirror": False, "random_state": 0}
    network = lr.DNNRuleEstimator(**how).fit(X, y)
    table = column_importance([network, network], X, y, n_repeats=1)
    assert table.groupby("fit").size().tolist() == [16, 16]
    expected = by_subject(trial_log_likelihood(y == "right", network.decision_function(X)), X)
    of_noise = table[(table["column"] == "noise") & (table["fit"] == 1)].set_index("subject")
    np.testing.assert_allclose(of_noise["log_likelihood"], expected[of_noise.index])


def test_wrong_input_is_told(cohort, rule):
    X, y = cohort
    with pytest.raises(ValueError, match="n_repeats == 0, must be >= 1"):
        column_importance(rule, X, y, n_repeats=0)
    with pytest.raises(ValueError, match=re.escape("y should hold the classes ['left', 'right']")):
        column_importance(rule, X, y.replace("left", "up"))
    with pytest.raises(ValueError, match="previous_choice should be the choice before"):
        column_importance(rule, X, y[::-1])
    logistic = LogisticRegression().fit(X, y)
    with pytest.raises(TypeError, match="A learning rule can be read from a fitted rule estimator"):
        column_importance(logistic, X, y)
