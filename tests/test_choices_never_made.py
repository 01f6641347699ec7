"""A choice that there is, and that nobody made on the trials of a fit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from three_choices import LABELS, STIMULI, make_trials

from sklearn_learnrule import (
    ChoiceRNNClassifier,
    ConstantRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RNNRuleEstimator,
    compare_rules,
    make_design,
)
from sklearn_learnrule.metrics import chance_of

TABLE = make_trials()
ALL = [*LABELS, "up"]
EVEN_START = QLearningRuleEstimator(train_initial_weights=False)
STARTS_EVEN = pytest.mark.filterwarnings(
    "ignore:.*worse than a policy that never changes:sklearn.exceptions.ConvergenceWarning"
)


def design(table, **how):
    return make_design(table, stimulus=STIMULI, **how)[:2]


@STARTS_EVEN
@pytest.mark.parametrize("names", [ALL, [1, 2, 3, 7]])
def test_a_choice_that_nobody_made_is_a_class_with_a_probability(names):
    named = dict(zip(ALL, names, strict=True))
    X, y = design(TABLE.assign(choice=TABLE["choice"].map(named)), choices=names)
    rule = clone(EVEN_START).fit(X, y)
    found = rule.predict_proba(X)
    assert rule.classes_.tolist() == names
    assert_allclose(found[0], 0.25)
    assert rule.score(X, y) == pytest.approx(-log_loss(y, found, labels=rule.classes_))
    scores = compare_rules({"rule": EVEN_START}, X, y, cv=2, verbose=0)
    assert chance_of(scores) == -np.log(4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [RNNRuleEstimator, ChoiceRNNClassifier])
def test_a_network_has_a_probability_of_a_choice_that_nobody_made(kind):
    X, y = design(TABLE, choices=ALL)
    how = {"max_epochs": 2, "n_ensemble": 1, "mirror": False, "random_state": 0}
    found = kind(**how).fit(X, y).predict_proba(X)
    assert found.shape == (len(X), 4) and (found > 0).all()


@pytest.mark.parametrize(
    "estimator",
    [ConstantRuleEstimator(), ReinforceRuleEstimator(baseline=None, lapses="learned")],
)
def test_a_fit_tells_that_it_takes_a_choice_that_nobody_made_for_impossible(estimator):
    X, y = design(TABLE, choices=ALL)
    with pytest.warns(ConvergenceWarning, match="takes the class 'up' for as good as impossible"):
        fitted = clone(estimator).fit(X, y)
    assert fitted.predict_proba(X).shape == (len(X), 4)


@STARTS_EVEN
@pytest.mark.parametrize("names", [LABELS, [1, 2, 3]])
def test_a_fold_may_lack_a_choice(names):
    table = TABLE.assign(choice=TABLE["choice"].map(dict(zip(LABELS, names, strict=True))))
    lacks = table["subject"].isin(["animal 0", "animal 1", "animal 2"]).to_numpy()
    table.loc[lacks, "choice"] = table.loc[lacks, "choice"].replace(names[0], names[1])
    X, y = design(table)
    folds = [(np.flatnonzero(train), np.flatnonzero(~train)) for train in (lacks, ~lacks)]
    found = cross_val_predict(EVEN_START, X, y, cv=folds, method="predict_proba")
    rule = clone(EVEN_START).fit(X[lacks], y[lacks])
    assert rule.classes_.tolist() == names
    assert_allclose(found[~lacks], rule.predict_proba(X[~lacks]))


@pytest.mark.parametrize("estimator", [EVEN_START, ChoiceRNNClassifier(max_epochs=1)])
def test_trials_with_one_of_two_choices_are_scored_and_not_fitted(estimator):
    table = TABLE[TABLE["choice"].isin(LABELS[:2])].drop(columns="answer", errors="ignore")
    alone = table[table["choice"] == LABELS[0]]
    (X, y), (X_alone, y_alone) = (design(each, choices=LABELS[:2]) for each in (table, alone))
    message = f"^y has one class alone, {LABELS[0]!r}, and of two choices X does not name"
    with pytest.raises(ValueError, match=message):
        clone(estimator).fit(X_alone, y_alone)
    rule = ConstantRuleEstimator().fit(X, y)
    assert rule.score(X_alone, y_alone) == pytest.approx(
        np.log(rule.predict_proba(X_alone)[:, 0]).mean()
    )
