"""The log-likelihood of every trial's choice, of every animal, and relative to a reference."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import log_likelihood_table, relative_log_likelihood
from sklearn_learnrule.metrics import choice_log_likelihood

FOLDS = lr.SubjectKFold(3)
WHOLE = {"cv": FOLDS, "return_estimator": True, "return_indices": True}
RULE = lr.ReinforceRuleEstimator(baseline=None)
TRIAL = ["subject", "session", "trial"]


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(6, 150, session_length=40, random_state=0))[:2]


@pytest.fixture(scope="module")
def folds(cohort):
    return cross_validate(RULE, *cohort, **WHOLE)


@pytest.fixture(scope="module")
def weight(cohort):
    trial = cohort[0].index.get_level_values("trial")
    return np.where(trial < 50, 0.0, 1.0 + trial % 2)


# ------------------------------------------------------------------- by trial, and by animal


@pytest.mark.parametrize(
    "estimator",
    [RULE, make_pipeline(lr.TanhContrast(), RULE), LogisticRegression()],
    ids=["rule", "pipeline", "rival"],
)
def test_a_trial_has_the_log_probability_of_its_choice(cohort, estimator):
    X, y = cohort
    fit = estimator.fit(X, y)
    table = log_likelihood_table({"a": fit}, X, y)
    assert list(table) == ["fit", *TRIAL, "log_likelihood"] and (table["fit"] == "a").all()
    assert pd.MultiIndex.from_frame(table[TRIAL]).equals(X.index)
    chosen = (y == "right").to_numpy().astype(int)
    probability = fit.predict_proba(X)[np.arange(len(X)), chosen]
    np.testing.assert_allclose(table["log_likelihood"], np.log(probability))


def test_an_animal_has_the_score_of_its_trials(cohort, weight):
    X, y = cohort
    fit = RULE.fit(X, y)
    table = log_likelihood_table(fit, X, y, by="subject", sample_weight=weight)
    assert list(table) == ["fit", "subject", "n_trials", "log_likelihood"]
    assert table["subject"].tolist() == X.index.unique("subject").tolist()
    for row in table.itertuples():
        own = X.index.get_level_values("subject") == row.subject
        score = fit.score(X[own], y[own], weight[own])
        assert row.log_likelihood == pytest.approx(score, abs=1e-12)
        assert row.n_trials == (weight[own] > 0).sum()


@pytest.mark.parametrize("by", ["trial", "subject"])
def test_weights_of_zero_alone_leave_nothing_to_tabulate(cohort, by):
    X, y = cohort
    with pytest.raises(ValueError, match="at least one non-zero number"):
        log_likelihood_table(RULE.fit(X, y), X, y, by=by, sample_weight=np.zeros(len(X)))


def test_trials_that_do_not_count_are_left_out(cohort, weight):
    X, y = cohort
    fit = RULE.fit(X, y)
    table = log_likelihood_table(fit, X, y, sample_weight=weight)
    assert (table["trial"] >= 50).all() and len(table) == (weight > 0).sum()
    expected = choice_log_likelihood(fit, X, y)[weight > 0]
    np.testing.assert_array_equal(table["log_likelihood"], expected)


def test_of_folds_each_animal_is_scored_by_the_fit_that_has_not_seen_it(cohort, folds):
    X, y = cohort
    trials = log_likelihood_table(folds, X, y)
    held_out = cross_val_predict(RULE, X, y, cv=FOLDS, method="predict_proba")
    assert trials["log_likelihood"].mean() == pytest.approx(-log_loss(y, held_out))
    animals = log_likelihood_table(folds, X, y, by="subject")
    scores = lr.compare_rules([RULE], X, y, cv=FOLDS, verbose=0)
    np.testing.assert_allclose(animals["log_likelihood"], scores["log_likelihood"])
    assert animals["subject"].tolist() == scores["subject"].tolist()


def test_what_is_tabulated_is_a_trial_or_an_animal(cohort, folds):
    with pytest.raises(ValueError, match=re.escape("by should be 'trial' or 'subject', got 'day'")):
        log_likelihood_table(folds, *cohort, by="day")


# ------------------------------------------------------------------ relative likelihood


def test_an_animals_gain_is_its_held_out_likelihood_less_the_references(cohort, folds):
    X, y = cohort
    constant = lr.ConstantRuleEstimator()
    table = relative_log_likelihood(folds, cross_validate(constant, X, y, **WHOLE), X, y)
    scores = lr.compare_rules({"rule": RULE, "constant": constant}, X, y, cv=FOLDS, verbose=0)
    by_rule = scores.pivot_table("log_likelihood", "subject", "rule").loc[table["subject"]]
    np.testing.assert_allclose(table["log_likelihood"], by_rule["rule"])
    np.testing.assert_allclose(table["reference"], by_rule["constant"])
    np.testing.assert_allclose(table["difference"], by_rule["rule"] - by_rule["constant"])
    assert table["n_trials"].sum() == len(X)


def test_one_reference_serves_several_fits(cohort):
    X, y = cohort
    reference = lr.ConstantRuleEstimator().fit(X, y)
    table = relative_log_likelihood({"same": reference, "rule": RULE.fit(X, y)}, reference, X, y)
    assert (table.loc[table["fit"] == "same", "difference"] == 0).all()
    assert (table.loc[table["fit"] == "rule", "difference"] > 0).all()


def test_a_reference_that_has_seen_the_animals_is_refused(cohort, folds):
    X, y = cohort
    message = (
        "The reference of fit 0 was not held out on the same rows: give the result of "
        "cross_validate on the same folds."
    )
    with pytest.raises(ValueError, match=message):
        relative_log_likelihood(folds, RULE.fit(X, y), X, y)
    with pytest.raises(ValueError, match="one fit or as many as estimators, 3, got 2."):
        relative_log_likelihood(folds, folds["estimator"][:2], X, y)


def test_a_gain_is_that_of_the_trials_that_count(cohort, weight):
    X, y = cohort
    fit, constant = RULE.fit(X, y), lr.ConstantRuleEstimator().fit(X, y)
    table = relative_log_likelihood(fit, constant, X, y, sample_weight=weight)
    score = log_likelihood_table(fit, X, y, by="subject", sample_weight=weight)
    less = log_likelihood_table(constant, X, y, by="subject", sample_weight=weight)
    gain = score["log_likelihood"] - less["log_likelihood"]
    np.testing.assert_allclose(table["difference"], gain)
    assert table["n_trials"].equals(score["n_trials"])
