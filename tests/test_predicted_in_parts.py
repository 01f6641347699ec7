"""Some animals at a time are predicted as all of them at once, in less room."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators import fitted_rule

ESTIMATORS = {
    "noise": lr.ConstantRuleEstimator(process_noise=0.05),
    "ensemble": lr.DNNRuleEstimator(
        max_epochs=2, hidden_sizes=4, n_ensemble=2, mirror=False, random_state=0
    ),
    "individual": lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]),
    "three choices": lr.ReinforceRuleEstimator(baseline=None, max_epochs=2),
}
STIMULI = {2: "stimulus", 3: ["stimulus_A", "stimulus_B", "stimulus_C"]}


def design(n_choices=2):
    """Return five animals that begin anew after half of their trials, a row of each in turn."""
    how = {"n_blocks": 2, "n_choices": n_choices, "random_state": 0}
    trials = make_learning_cohort(5, 40, length_spread=0.3, **how)
    X, y, _ = lr.make_design(trials, stimulus=STIMULI[n_choices], restart="block")
    order = np.argsort(X.index.get_level_values("trial"), kind="stable")
    return X.iloc[order], y.iloc[order]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_predictions_and_weights_are_those_of_all_at_once(name, monkeypatch):
    X, y = design(3 if name == "three choices" else 2)
    rule = ESTIMATORS[name].fit(X, y)
    p, weights = rule.predict_proba(X), rule.predict_weights(X)
    monkeypatch.setattr(fitted_rule, "ROWS_AT_A_TIME", 60)
    assert len(list(read_sequences(X).parts(60))) > 1
    assert_allclose(rule.predict_proba(X), p, atol=1e-12)
    assert_allclose(rule.predict_weights(X), weights, atol=1e-12)
