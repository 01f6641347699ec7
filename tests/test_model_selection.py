"""The comparison of rules on animals never seen, and their ranking."""

import re
from threading import Lock

import joblib
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import sem, ttest_rel
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
)
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.model_selection import relative_to
from sklearn_learnrule.plotting import ComparisonDisplay

RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(baseline=None),
    "logistic": LogisticRegression(),
    "coin": DummyClassifier(strategy="prior"),
}
FOLDS = lr.SubjectKFold(3)


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(5, 80, random_state=0))[:2]


@pytest.fixture(scope="module")
def scores(cohort):
    return lr.compare_rules(RULES, *cohort, cv=FOLDS, verbose=0)


@pytest.fixture(scope="module")
def by_subject(scores):
    return {name: rows.set_index("subject") for name, rows in scores.groupby("rule")}


# -------------------------------------------------------------------- compare_rules


def test_scores_are_a_row_a_rule_and_held_out_animal(scores, cohort):
    X, _ = cohort
    assert list(scores) == [
        *("rule", "subject", "fold", "n_trials", "log_likelihood", "accuracy", "seconds")
    ]
    assert scores["rule"].tolist() == np.repeat(list(RULES), 5).tolist()
    sizes = X.groupby("subject").size()
    for _, rows in scores.groupby("rule"):
        assert sorted(rows["subject"]) == list(sizes.index)
        assert rows["n_trials"].tolist() == sizes[rows["subject"]].tolist()
        assert rows["fold"].tolist() == sorted(rows["fold"])
        assert rows.groupby("fold")["seconds"].nunique().eq(1).all()
    assert scores["seconds"].gt(0).all()
    held_out = {
        subject: number
        for number, (_, test) in enumerate(FOLDS.split(X))
        for subject in X.index[test].unique("subject")
    }
    assert scores["fold"].tolist() == scores["subject"].map(held_out).tolist()


@pytest.mark.parametrize("name", ["constant", "REINFORCE"])
def test_an_animals_log_likelihood_is_the_score_of_its_held_out_trials(cohort, by_subject, name):
    X, y = cohort
    for train, test in FOLDS.split(X):
        rule = RULES[name].fit(X.iloc[train], y.iloc[train])
        for subject in X.index[test].unique("subject"):
            own = X.index.get_level_values("subject") == subject
            found = by_subject[name].loc[subject]
            assert found["log_likelihood"] == pytest.approx(rule.score(X[own], y[own]), abs=1e-9)
            assert found["accuracy"] == np.mean(rule.predict(X[own]) == y[own])


def test_any_classifier_of_scikit_learns_is_a_rival(cohort, by_subject):
    X, y = cohort
    train, test = next(FOLDS.split(X))
    rival = LogisticRegression().fit(X.iloc[train], y.iloc[train])
    right = rival.predict_proba(X.iloc[test])[:, 1]
    made = pd.Series(np.where(y.iloc[test] == "right", right, 1 - right), X.index[test])
    expected = np.log(made).groupby("subject").mean()
    found = by_subject["logistic"].loc[expected.index, "log_likelihood"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])  # forks need no imports
def test_two_jobs_compare_as_one_does(scores, cohort, backend):
    with joblib.parallel_config(backend):
        two = lr.compare_rules(RULES, *cohort, cv=FOLDS, verbose=0, n_jobs=2)
    assert_frame_equal(two.drop(columns="seconds"), scores.drop(columns="seconds"))


@pytest.mark.parametrize("cv", [3, list(GroupKFold(3).split(np.zeros(6), groups=list("abcdef")))])
def test_folds_may_be_a_number_or_a_list(cv):
    X, y, _ = lr.make_design(make_learning_cohort(6, 1, length_spread=0, random_state=4))
    coin = {"coin": DummyClassifier(strategy="constant", constant="left")}
    found = lr.compare_rules(coin, X, y, cv=cv, verbose=0)
    assert_frame_equal(
        found.drop(columns="seconds"),
        lr.compare_rules(coin, X, y, cv=FOLDS, verbose=0).drop(columns="seconds"),
    )


def of_animals(cohort, n_subjects):
    X, y = cohort
    some = X.index.get_level_values("subject").isin(X.index.unique("subject")[:n_subjects])
    return X[some], y[some]


@pytest.mark.parametrize(("n_subjects", "n_folds"), [(7, 5), (5, 5), (3, 3), (2, 2)])
def test_five_folds_are_the_default_or_as_many_as_there_are_animals(n_subjects, n_folds):
    X, y, _ = lr.make_design(make_learning_cohort(n_subjects, 20, random_state=0))
    coin = [DummyClassifier(strategy="prior")]
    folds = lr.compare_rules(coin, X, y, verbose=0)["fold"]
    assert sorted(folds.unique()) == list(range(n_folds))


@pytest.mark.parametrize("cv", [None, 2, lr.SubjectKFold(2)])
def test_one_animal_is_told_what_can_be_done(cohort, cv):
    message = (
        "There is one animal, and none to hold out: score its later trials, "
        "cv=FutureSplit(n_train=...), or some at random, cv=MaskedTrials()."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.compare_rules([RULES["coin"]], *of_animals(cohort, 1), cv=cv, verbose=0)


def test_one_animals_rules_are_ranked_without_a_test(cohort):
    cv = lr.MaskedTrials(random_state=0)
    rules = {name: RULES[name] for name in ("coin", "logistic")}
    scores = lr.compare_rules(rules, *of_animals(cohort, 1), cv=cv, verbose=0)
    ranking = lr.rank_rules(scores)
    assert ranking["log_likelihood"].notna().all()
    assert ranking[["standard_error", "p_value"]].isna().all(axis=None)


def test_estimators_of_a_list_are_named_by_their_classes(cohort):
    coin, rule = DummyClassifier(), lr.ConstantRuleEstimator()
    search = GridSearchCV(rule, {"initial_weights": ["zeros"]}, cv=lr.SubjectKFold(2))
    given = [coin, rule, make_pipeline(lr.TanhContrast(), search)]
    named = lr.compare_rules(given, *cohort, cv=2, verbose=0)["rule"].unique().tolist()
    constant = "ConstantRuleEstimator"
    assert named == ["DummyClassifier", f"{constant} 1", f"{constant} 2"]


def test_the_names_of_sides_change_no_score(cohort):
    X, y = cohort
    names = {"left": "right", "right": "left"}
    signs = {"stimulus": -X["stimulus"], "previous_choice": -X["previous_choice"]}
    rules = [LogisticRegression(C=1e8, tol=1e-10), RULES["constant"]]
    certain = X.assign(stimulus=X["stimulus"].where(np.arange(len(X)) % 2 == 0, 500))
    mirrored = certain.assign(**{name: -certain[name] for name in signs})
    scores, swapped = (
        lr.compare_rules(rules, X, y, cv=3, verbose=0)
        for X, y in ((certain, y), (mirrored, y.map(names)))
    )
    np.testing.assert_allclose(swapped["log_likelihood"], scores["log_likelihood"], rtol=1e-3)


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ({}, ValueError, "estimators should hold at least one classifier, as in"),
        ([], ValueError, "ReinforceRuleEstimator()}, got []."),
        (
            RULES["REINFORCE"],
            TypeError,
            "estimators should be a list of classifiers, or a dict by name, got "
            "ReinforceRuleEstimator: write [ReinforceRuleEstimator(...)].",
        ),
        (3, TypeError, "or a dict by name, got int."),
        ({1: RULES["coin"]}, TypeError, "The names of estimators should be str, got 1."),
        (
            {"DNN": lr.DNNRuleEstimator},
            TypeError,
            "'DNN' should be a classifier, but is the class DNNRuleEstimator: write "
            "DNNRuleEstimator().",
        ),
        ([RidgeClassifier()], TypeError, "with predict_proba, whose probabilities are scored, got"),
        ({"a": "b"}, TypeError, "'a' should be a classifier with predict_proba, whose"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(cohort, estimators, error, message):
    with pytest.raises(error, match=re.escape(message)):
        lr.compare_rules(estimators, *cohort, verbose=0)


@pytest.mark.parametrize(
    ("cv", "error", "message"),
    [
        ([], ValueError, "cv should yield at least one fold (train, test), but yields none."),
        (lr.SubjectKFold, TypeError, "is the class SubjectKFold: write SubjectKFold(...)."),
        ([([0, 1], [1, 2])], ValueError, "Row 1 of X is in both parts of fold 0"),
        ([1, 2], ValueError, "cv should yield pairs (train, test), got 1."),
        ([([0], [9999])], ValueError, "rows of X by number, 0 to"),
        ([([], [0])], ValueError, "Fold 0 of cv has no trial of weight above 0 to train on."),
        ([([0], [])], ValueError, "Fold 0 of cv has no trial of weight above 0 to test on."),
    ],
)
def test_folds_that_make_no_sense_are_told_in_a_sentence(cohort, cv, error, message):
    with pytest.raises(error, match=re.escape(message)):
        lr.compare_rules([RULES["coin"]], *cohort, cv=cv, verbose=0)


def test_a_certain_mistake_scores_low_but_finite(cohort):
    X, y = cohort
    sure = {"sure": DummyClassifier(strategy="constant", constant="left")}
    scores = lr.compare_rules(sure, X, y, cv=2, verbose=0)
    assert np.isfinite(scores["log_likelihood"]).all()
    share = (y == "right").groupby("subject").mean()[scores["subject"]]
    expected = share.to_numpy() * np.log(np.finfo(float).eps)
    np.testing.assert_allclose(scores["log_likelihood"], expected)


class FussyRuleEstimator(lr.ConstantRuleEstimator):
    """Fails wherever it has to learn from one animal."""

    def fit(self, X, y):
        if "mouse_01" in X.index.get_level_values("subject"):
            raise RuntimeError("mouse_01 bites")
        return super().fit(X, y)


def test_a_rule_that_fails_is_told_and_the_rest_survive(cohort, scores):
    rules = {"fussy": FussyRuleEstimator(), "constant": RULES["constant"]}
    with pytest.warns(FitFailedWarning) as warned:
        found = lr.compare_rules(rules, *cohort, cv=FOLDS, verbose=0)
    assert [str(warning.message) for warning in warned] == [
        f"fussy failed on fold {number}: RuntimeError: mouse_01 bites" for number in (0, 2)
    ]
    fussy = found[found["rule"] == "fussy"].set_index("fold")
    assert fussy.loc[1, ["log_likelihood", "accuracy"]].notna().all(axis=None)
    assert fussy.loc[[0, 2], ["log_likelihood", "accuracy"]].isna().all(axis=None)
    survivor, expected = (
        table.loc[table["rule"] == "constant"].drop(columns="seconds").reset_index(drop=True)
        for table in (found, scores)
    )
    assert_frame_equal(survivor, expected)

    ranking = lr.rank_rules(found, "constant")
    assert ranking.index.tolist() == ["constant", "fussy"]
    assert ranking.loc["fussy", ["log_likelihood", "difference", "p_value"]].isna().all()
    assert ranking["n_failed"].to_dict() == {"constant": 0, "fussy": 2}


class Torn(Exception):
    """Cannot be brought home from another process."""

    def __init__(self, where, why):
        super().__init__(f"{why} at {where}")
        self.seam = Lock()  # torn whatever others teach pickle of exceptions, as Dask does


class TornRuleEstimator(lr.ConstantRuleEstimator):
    def fit(self, X, y):
        raise Torn("the seam", "worn")


@pytest.mark.parametrize(
    ("rule", "cause", "message"),
    [
        (FussyRuleEstimator(), RuntimeError, "RuntimeError: mouse_01 bites"),
        (TornRuleEstimator(), RuntimeError, "RuntimeError: Torn: worn at the seam"),
    ],
)
def test_if_every_fit_fails_the_first_error_is_raised(cohort, rule, cause, message):
    cv = [fold for number, fold in enumerate(FOLDS.split(cohort[0])) if number != 1]
    expected = f"All 2 fits failed, the first, of bad on fold 0, by {message}"
    with pytest.raises(ValueError, match=expected) as raised:
        lr.compare_rules({"bad": rule}, *cohort, cv=cv, verbose=0)
    assert isinstance(raised.value.__cause__, cause)


def test_progress_is_shown_unless_it_is_not_wanted(cohort, capsys):
    coin = {"coin": DummyClassifier(strategy="prior")}
    lr.compare_rules(coin, *cohort, cv=2, verbose=0)
    assert capsys.readouterr().err == ""
    lr.compare_rules(coin, *cohort, cv=2)
    shown = capsys.readouterr().err
    assert "2/2" in shown and "coin -0." in shown


# ----------------------------------------------------------------------- rank_rules


def test_a_ranking_is_what_the_textbook_makes_of_the_scores(scores, by_subject):
    ranking = lr.rank_rules(scores)
    assert list(ranking) == [
        *("log_likelihood", "standard_error", "bits_above_chance"),
        *("difference", "p_value", "accuracy", "seconds", "n_failed"),
    ]
    assert ranking.index.name == "rule"
    assert sorted(ranking.index) == sorted(RULES)
    assert ranking["log_likelihood"].is_monotonic_decreasing
    reference = by_subject["REINFORCE"]["log_likelihood"].sort_index()
    for name, row in ranking.iterrows():
        own = by_subject[name]["log_likelihood"].sort_index()
        assert row["log_likelihood"] == pytest.approx(own.mean())
        assert row["standard_error"] == pytest.approx(sem(own))
        assert row["bits_above_chance"] == pytest.approx(own.mean() / np.log(2) + 1)
        assert row["difference"] == pytest.approx((own - reference).mean())
        assert row["accuracy"] == pytest.approx(by_subject[name]["accuracy"].mean())
        assert row["seconds"] == pytest.approx(by_subject[name]["seconds"].unique().sum())
        if name != "REINFORCE":
            assert row["p_value"] == pytest.approx(ttest_rel(own, reference).pvalue)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [(["coin", "REINFORCE"], "REINFORCE"), (["logistic", "coin"], "logistic")],
)
def test_the_reference_is_reinforce_or_else_the_first(scores, rules, expected):
    some = pd.concat([scores[scores["rule"] == rule] for rule in rules])
    assert_frame_equal(lr.rank_rules(some), lr.rank_rules(some, expected))
    assert_frame_equal(relative_to(some), relative_to(some, expected))
    assert ComparisonDisplay.from_scores(some).reference == expected


@pytest.mark.parametrize("reference", ["REINFORCE", "coin"])
def test_the_reference_differs_from_itself_by_nothing(scores, reference):
    row = lr.rank_rules(scores, reference).loc[reference]
    assert row["difference"] == 0
    assert np.isnan(row["p_value"])


def test_an_unknown_reference_is_told_the_rules_there_are(scores):
    message = "reference should be one of ['constant', 'REINFORCE', 'logistic', 'coin'], got 'DNN'."
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.rank_rules(scores, "DNN")


# ----------------------------------------------- folds and scores of every kind


def test_a_number_of_folds_may_be_numpys(cohort):
    coin = {"coin": DummyClassifier(strategy="prior")}
    one, other = (lr.compare_rules(coin, *cohort, cv=n, verbose=0) for n in (2, np.int64(2)))
    assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"))


def test_scikit_learns_group_folds_work_as_well(cohort):
    coin = {"coin": DummyClassifier(strategy="prior")}
    assert len(lr.compare_rules(coin, *cohort, cv=GroupKFold(2), verbose=0)) == 5


def test_animals_held_out_twice_are_ranked_by_their_means(cohort):
    X, y = cohort
    groups = X.index.get_level_values("subject")
    cv = list(GroupShuffleSplit(4, test_size=2, random_state=0).split(X, groups=groups))
    rules = {name: RULES[name] for name in ("coin", "logistic")}
    scores = lr.compare_rules(rules, X, y, cv=cv, verbose=0)
    assert scores.duplicated(["rule", "subject"]).any()
    by_animal = scores.groupby(["rule", "subject"])["log_likelihood"].mean()
    ranking = lr.rank_rules(scores, "coin")
    for name in rules:
        assert ranking.loc[name, "log_likelihood"] == pytest.approx(by_animal[name].mean())


def test_one_failure_of_two_on_an_animal_is_not_averaged_away():
    """Or a rule would gain by failing where it is worst."""
    scores = pd.DataFrame(
        {
            "rule": ["coin"] * 4 + ["fussy"] * 4,
            "subject": ["a", "a", "b", "b"] * 2,
            "fold": [0, 1] * 4,
            "log_likelihood": [-0.7, -0.7, -0.6, -0.7, -0.5, np.nan, -0.6, -0.5],
            "accuracy": [0.5] * 5 + [np.nan] + [0.5] * 2,
            "seconds": 0.0,
        }
    )
    ranking = lr.rank_rules(scores, "coin")
    assert ranking.loc["coin", "log_likelihood"] == pytest.approx(-0.675)
    assert ranking.loc["coin", "accuracy"] == 0.5
    assert ranking.loc["fussy", ["log_likelihood", "accuracy"]].isna().all()


def test_a_tie_is_predicted_as_the_first_class(cohort):
    X, y = cohort
    even = {"even": DummyClassifier(strategy="uniform")}
    scores = lr.compare_rules(even, X, y, cv=2, verbose=0).set_index("subject")
    share = (y == "left").groupby("subject").mean()
    np.testing.assert_allclose(scores["accuracy"], share[scores.index])
