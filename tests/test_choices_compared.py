"""Rules are compared on more than two choices as on two."""

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from three_choices import LABELS, STIMULI, design, make_trials, reinforce

import sklearn_learnrule as lr
from sklearn_learnrule.inspection import log_likelihood_table, relative_log_likelihood
from sklearn_learnrule.metrics import CHANCE, chance_of, choice_log_likelihood, predict_choices
from sklearn_learnrule.model_selection import animal_learning_curve
from sklearn_learnrule.plotting import AnimalRulesDisplay, ComparisonDisplay, LearningCurveDisplay

RULES = {
    "REINFORCE": lr.ReinforceRuleEstimator(baseline=None),
    "constant": lr.ConstantRuleEstimator(),
    "logistic": LogisticRegression(),
    "uniform": DummyClassifier(strategy="uniform", random_state=0),
}
FOLDS = lr.SubjectKFold(3)


@pytest.fixture(scope="module")
def scores():
    return lr.compare_rules(RULES, *design(), cv=FOLDS, verbose=0)


@pytest.mark.parametrize("name", list(RULES))
def test_a_score_is_the_logarithm_of_the_probability_of_the_choice_made(name):
    X, y = design()
    rule = RULES[name].fit(X, y)
    chosen = np.searchsorted(LABELS, y)
    p = rule.predict_proba(X)
    expected = np.log(p[np.arange(len(X)), chosen])
    assert choice_log_likelihood(rule, X, y) == pytest.approx(expected)
    table = predict_choices(rule, X, y)
    assert list(table) == ["choice", "p_left", "p_middle", "p_right", "log_likelihood"]
    assert table["choice"].tolist() == y.tolist()
    assert table.filter(like="p_").to_numpy() == pytest.approx(p)


@BRIEFLY_TRAINED
def test_the_rival_without_a_rule_tells_every_class():
    X, y = design()
    rival = lr.ChoiceRNNClassifier(max_epochs=2, n_ensemble=1, random_state=0).fit(X, y)
    assert choice_log_likelihood(rival, X, y).mean() == pytest.approx(rival.score(X, y))


def test_the_package_s_own_score_is_the_mean_of_these():
    X, y = design()
    rule = reinforce()
    assert choice_log_likelihood(rule, X, y).mean() == pytest.approx(rule.score(X, y))
    table = log_likelihood_table(rule, X, y, by="subject")
    assert np.average(table["log_likelihood"], weights=table["n_trials"]) == pytest.approx(
        rule.score(X, y)
    )
    relative = relative_log_likelihood(rule, rule, X, y)
    assert (relative["difference"] == 0).all() and len(relative) == 6


def test_a_comparison_says_of_how_many_choices_it_is_and_ranks_the_truth_first(scores):
    assert list(scores) == [
        *("rule", "subject", "fold", "n_trials", "n_choices"),
        *("log_likelihood", "accuracy", "seconds"),
    ]
    assert (scores["n_choices"] == 3).all()
    ranked = lr.rank_rules(scores)
    assert ranked.index[0] == "REINFORCE"
    uniform = ranked.loc["uniform"]
    assert uniform["log_likelihood"] == pytest.approx(-np.log(3))
    assert uniform["bits_above_chance"] == pytest.approx(0)


def test_accuracy_is_how_often_the_likeliest_choice_was_made(scores):
    X, y = design()
    expected = []
    for train, test in FOLDS.split(X):
        rule = RULES["REINFORCE"].fit(X.iloc[train], y.iloc[train])
        predicted = pd.Series(rule.predict(X.iloc[test]), X.index[test])
        correct = predicted == y.iloc[test]
        expected.append(correct.groupby("subject", sort=False).mean())
    found = scores[scores["rule"] == "REINFORCE"].set_index("subject")["accuracy"]
    pd.testing.assert_series_equal(found, pd.concat(expected)[found.index], check_names=False)


def test_scores_of_different_numbers_of_choices_have_no_chance_in_common(scores):
    mixed = pd.concat([scores, scores.assign(n_choices=4)])
    with pytest.raises(ValueError, match=r"n_choices should be the same .* but is \[3, 4\]\."):
        lr.rank_rules(mixed)
    assert chance_of(scores) == -np.log(3)
    assert chance_of(scores.drop(columns="n_choices")) == CHANCE


def test_animals_follow_the_rule_that_they_learn_by(scores):
    assert (lr.animal_rules(scores).posterior["REINFORCE"] > 0.5).all()


def test_scores_of_scikit_learn_are_those_of_its_metrics():
    X, y = design()
    rule, names = RULES["REINFORCE"], ["neg_log_loss", "accuracy"]
    found = cross_validate(rule, X, y, cv=FOLDS, scoring=names, return_estimator=True)
    found["test_own"] = cross_val_score(rule, X, y, cv=FOLDS)
    expected = {"neg_log_loss": [], "accuracy": [], "own": []}
    for fitted, (_, test) in zip(found["estimator"], FOLDS.split(X), strict=True):
        X_, y_ = X.iloc[test], y.iloc[test]
        expected["neg_log_loss"].append(-log_loss(y_, fitted.predict_proba(X_)))
        expected["accuracy"].append(accuracy_score(y_, fitted.predict(X_)))
        expected["own"].append(fitted.score(X_, y_))
    for name, scores in expected.items():
        assert found[f"test_{name}"] == pytest.approx(scores), name


@BRIEFLY_TRAINED
def test_searches_and_pipelines_take_any_number_of_choices():
    X, y = design()
    scaler = StandardScaler().set_output(transform="pandas")
    search = GridSearchCV(RULES["REINFORCE"], {"forgetting": [False, True]}, cv=FOLDS).fit(X, y)
    assert search.best_estimator_.classes_.tolist() == LABELS
    brief = clone(search).set_params(estimator__max_epochs=2, cv=lr.SubjectKFold(2))
    scores = lr.compare_rules({"search": brief}, X, y, cv=2, verbose=0)
    assert (scores["log_likelihood"] > -np.log(3)).all()
    history = [name for name in X if name not in STIMULI]
    pipeline = make_pipeline(_of_stimuli(scaler, history), RULES["REINFORCE"]).fit(X, y)
    assert choice_log_likelihood(pipeline, X, y).mean() == pytest.approx(pipeline.score(X, y))


def _of_stimuli(scaler, history):
    columns = make_column_transformer(
        (scaler, STIMULI), ("passthrough", history), verbose_feature_names_out=False
    )
    return columns.set_output(transform="pandas")


def test_the_order_of_labels_changes_no_comparison(scores):
    names = dict(zip(LABELS, ["z", "a", "m"], strict=True))
    trials = make_trials()
    renamed = trials.assign(**{name: trials[name].map(names) for name in ("choice", "answer")})
    X, y, _ = lr.make_design(renamed, stimulus=STIMULI, answer="answer")
    rules = {"REINFORCE": RULES["REINFORCE"]}
    again = lr.compare_rules(rules, X, y, cv=FOLDS, verbose=0)
    here = scores[scores["rule"] == "REINFORCE"]
    for name in ("log_likelihood", "accuracy"):
        assert again[name].to_numpy() == pytest.approx(here[name].to_numpy(), abs=1e-5)


def test_a_fold_whose_fitted_animals_never_made_some_choice_fails_by_itself():
    X, y = design()
    rare = y.where(y != "right", "left")
    rare.loc["animal 0"] = y.loc["animal 0"].to_numpy()
    with pytest.warns(match="logistic failed on fold 2: ValueError: y should hold the classes"):
        table = lr.compare_rules({"logistic": LogisticRegression()}, X, rare, cv=FOLDS, verbose=0)
    failed = table["log_likelihood"].isna()
    assert failed.any() and not failed.all()


def test_pictures_of_a_comparison_know_its_chance(scores):
    assert ComparisonDisplay.from_scores(scores).reference == "REINFORCE"
    assert AnimalRulesDisplay.from_scores(scores).posterior.shape == (6, 4)
    rules = {"constant": lr.ConstantRuleEstimator()}
    curve = animal_learning_curve(rules, *design(), n_subjects=[2], cv=2, verbose=0)
    panel = LearningCurveDisplay(curve).plot().ax_
    assert -np.log(3) in [line.get_ydata()[0] for line in panel.lines]
