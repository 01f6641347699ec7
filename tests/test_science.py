"""The claim: flexible rules predict held-out animals as the true rule does, and rivals do not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials, make_learning_cohort
from sklearn_learnrule.metrics import log_likelihood, trial_log_likelihood


@pytest.mark.filterwarnings("ignore:.*were held there")  # one network's, of one animal
def test_the_dnn_comes_close_to_the_true_rule_and_beats_classifiers_on_the_same_table():
    trials, weights = make_learning_cohort(15, 800, random_state=3, return_weights=True)
    X, y, _ = lr.make_design(trials)
    logits = weights["stimulus"] * X["stimulus"] + weights["bias"]
    folds = [
        (train, test, log_likelihood(y.iloc[test] == "right", logits.iloc[test]))
        for train, test in lr.SubjectKFold(3).split(X)
    ]
    truth = np.array([fold[2] for fold in folds])
    dnn, linear, boosting = (
        cross_val_score(estimator, X, y, cv=lr.SubjectKFold(3), scoring="neg_log_loss")
        for estimator in (
            lr.DNNRuleEstimator(n_ensemble=1, mirror=True, lr=0.01, max_epochs=40, random_state=0),
            LogisticRegression(),
            HistGradientBoostingClassifier(random_state=0),
        )
    )
    assert (truth - dnn).mean() < 0.003
    assert (dnn > linear + 0.01).all() and (dnn > boosting + 0.01).all()


def test_twelve_real_mice_learn_by_the_published_likelihood(ibl_data):
    """REINFORCE with free baselines, five folds: -60,576 over four seeds in the paper."""
    file = ibl_data / "ibl_cshl12_trials.csv.gz"
    X, y, groups = lr.make_design(load_ibl_trials(file, processing="published"))
    mice = np.array(sorted(groups.unique()))
    shuffled = np.random.RandomState(99).permutation(12)
    scored = X.index.get_level_values("trial") > 0
    rule = lr.ReinforceRuleEstimator(train_initial_weights=False)
    total = 0.0
    for held_out in np.array_split(shuffled, 5):
        test = groups.isin(mice[held_out]).to_numpy()
        rule.fit(X[~test], y[~test], sample_weight=scored[~test])
        likelihood = trial_log_likelihood(y[test] == 1, rule.decision_function(X[test]))
        total += likelihood[scored[test]].sum()
    assert total == pytest.approx(-60_553, abs=3)
