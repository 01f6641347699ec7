"""Log-likelihood per trial: higher is better, a coin scores log(1/2)."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.metrics import (
    CHANCE,
    NATS_PER_BIT,
    choice_log_likelihood,
    log_likelihood,
    mean_by_subject,
    predict_choices,
    trial_log_likelihood,
)

LOGITS = np.array([-2.0, 0.0, 0.5, 3.0, -1.0])
IS_SECOND = np.array([False, True, True, False, True])


def test_a_coin_loses_one_bit_a_trial():
    assert trial_log_likelihood(IS_SECOND, np.zeros(5)).tolist() == [CHANCE] * 5
    assert CHANCE == pytest.approx(-0.6931, abs=1e-4)
    assert -CHANCE / NATS_PER_BIT == 1


def test_a_trial_scores_the_log_of_the_probability_of_the_choice_made():
    p = expit(LOGITS)
    np.testing.assert_allclose(
        trial_log_likelihood(IS_SECOND, LOGITS), np.log(np.where(IS_SECOND, p, 1 - p))
    )


@pytest.mark.parametrize("weight", [None, [1, 0, 2, 0.5, 0]])
def test_the_mean_is_scikit_learns_log_loss_negated(weight):
    expected = -log_loss(IS_SECOND, expit(LOGITS), sample_weight=weight)
    assert log_likelihood(IS_SECOND, LOGITS, sample_weight=weight) == pytest.approx(expected)
    # choices coded 0 and 1 are read alike
    as_numbers = log_likelihood(IS_SECOND.astype(int), LOGITS, sample_weight=weight)
    assert as_numbers == pytest.approx(expected)


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_certainty_costs_its_logit_and_never_infinity(logit):
    assert trial_log_likelihood(logit < 0, logit) == -1000
    assert trial_log_likelihood(logit > 0, logit) == 0


# ------------------------------------------------------- of any classifier's choices

RULE = lr.ConstantRuleEstimator()
SWAPPED = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 60, random_state=0))[:2]


@pytest.fixture(scope="module")
def certain(cohort):
    """Stimuli at which a fitted rule is beyond what a probability can tell from 0 and 1."""
    X, y = cohort
    return X.assign(stimulus=5000 * X["stimulus"]), y


def swapped(X, y):
    """The same animals, whose sides have each other's name."""
    signs = {"stimulus": -X["stimulus"], "previous_choice": -X["previous_choice"]}
    return X.assign(**signs), y.map(SWAPPED)


@pytest.mark.parametrize(
    "estimator",
    [
        RULE,
        make_pipeline(lr.PolicyRegressors(previous_choice=False), RULE),
        GridSearchCV(RULE, {"initial_weights": ["zeros"]}, cv=lr.SubjectKFold(2)),
        lr.ReinforceRuleEstimator(baseline=None, lapses=(0.02, 0.05)),
    ],
    ids=["rule", "pipeline", "search", "lapses"],
)
def test_a_certain_mistake_costs_its_logit(cohort, certain, estimator):
    fit = estimator.fit(*cohort)
    scores = choice_log_likelihood(fit, *certain)
    logits = fit.decision_function(certain[0])
    np.testing.assert_array_equal(scores, trial_log_likelihood(certain[1] == "right", logits))
    assert scores.mean() == pytest.approx(fit.score(*certain), rel=1e-12)


@pytest.mark.parametrize("estimator", [RULE, LogisticRegression(tol=1e-10)])
def test_the_sides_names_do_not_change_a_score(cohort, certain, estimator):
    scores = choice_log_likelihood(estimator.fit(*cohort), *certain)
    assert scores.min() < -30
    other = choice_log_likelihood(estimator.fit(*swapped(*cohort)), *swapped(*certain))
    np.testing.assert_allclose(other, scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("dtype", "most"), [(np.float64, 36.04), (np.float32, 15.94)])
def test_a_probability_of_0_costs_as_much_as_one_of_1_can_tell(cohort, dtype, most):
    class Sure(DummyClassifier):
        def predict_proba(self, X):
            return np.tile([0, 1], (len(X), 1)).astype(dtype)

    X, y = cohort
    scores = choice_log_likelihood(Sure().fit(X, y), X, y)
    np.testing.assert_allclose(scores, np.where(y == "left", -most, 0), atol=0.01)


def test_a_strangers_decision_function_is_not_taken_for_a_logit(cohort):
    class Wild(LogisticRegression):
        def decision_function(self, X):
            return 10 * super().decision_function(X)

        def predict_proba(self, X):
            second = expit(super().decision_function(X))
            return np.column_stack([1 - second, second])

    X, y = cohort
    table = predict_choices(Wild().fit(X, y), X, y)
    expected = np.where(table["is_second"], table["second"], 1 - table["second"])
    np.testing.assert_allclose(np.exp(table["log_likelihood"]), expected)


def test_the_probability_of_the_first_class_does_not_round_to_0(cohort, certain):
    rule = RULE.fit(*cohort)
    logits = rule.decision_function(certain[0])
    first = rule.predict_proba(certain[0])[:, 0]
    assert logits.max() > 40 and first.min() > 0
    np.testing.assert_allclose(np.log(first), trial_log_likelihood(False, logits), atol=1e-15)


class NotANumber(DummyClassifier):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


@pytest.mark.parametrize(
    ("estimator", "fitted", "asked", "message"),
    [
        (DummyClassifier(), ["a", "b"], ["a", "c"], r"hold the classes \['a', 'b'\], but has 'c'"),
        (
            DummyClassifier(),
            ["a", "a"],
            ["a", "a"],
            r"DummyClassifier should have been fitted to at least two classes of choices, but was "
            r"fitted to \['a'\]\.",
        ),
        (
            NotANumber(),
            ["a", "b"],
            ["a", "b"],
            "NotANumber should predict a probability for every trial, but predicts NaN at row 0 of "
            "2: look for extreme values in X, or fit again.",
        ),
        (DummyClassifier(), ["a", "b"], ["a"], "inconsistent numbers of samples"),
    ],
)
def test_a_score_that_cannot_be_is_an_error(estimator, fitted, asked, message):
    X = pd.DataFrame({"stimulus": [0.0, 1.0]})
    with pytest.raises(ValueError, match=message):
        choice_log_likelihood(estimator.fit(X, fitted), X, asked)


def test_a_subjects_mean_is_weighted_and_leaves_out_what_does_not_count():
    scores = pd.DataFrame({"subject": list("bbaac"), "score": [1.0, 4.0, 2.0, np.nan, 7.0]})
    found = mean_by_subject(scores, np.array([1.0, 2.0, 1.0, 0.0, 0.0]))
    expected = pd.DataFrame({"subject": ["b", "a"], "n_trials": [2, 1], "score": [3.0, 2.0]})
    pd.testing.assert_frame_equal(found, expected)


def test_a_subject_with_a_score_that_is_unknown_has_none():
    scores = pd.DataFrame({"subject": list("aab"), "score": [1.0, np.nan, 2.0]})
    assert mean_by_subject(scores, np.ones(3))["score"].isna().tolist() == [True, False]
