"""Of three choices, the rule as an equation: the true terms, of each choice alike."""

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose
from three_choices import LABELS, STIMULI, make_trials

import sklearn_learnrule as lr
from sklearn_learnrule.inspection import sparse_rule
from sklearn_learnrule.plotting import EquationDisplay

pytestmark = BRIEFLY_TRAINED

NAMES = [*STIMULI, "bias"]


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_trials(), stimulus=STIMULI, answer="answer")
    return X, y


@pytest.fixture(scope="module")
def reinforce(cohort):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*cohort)


def found(equation, name):
    terms = equation.terms[equation.terms["weight"] == name]
    return dict(zip(terms["term"], terms["coefficient"], strict=True))


# A rule's rate is of differences between two choices' weights, twice that of each one's own.
TRUTHS = {
    "REINFORCE": (
        lr.ReinforceRuleEstimator(forgetting=True),
        lambda rule, k, x, w: {
            f"r (y - p){x}": rule.learning_rate_[k] / 2,
            f"(y - p){x}": -rule.learning_rate_[k] * rule.baseline_[k] / 2,
            w: -rule.forgetting_[k],
        },
    ),
    "PredictMax": (
        lr.PredictMaxRuleEstimator(),
        lambda rule, k, x, w: {f"(z - p){x}": rule.learning_rate_[k] / 2},
    ),
    "RewardMax": (
        lr.RewardMaxRuleEstimator(),
        lambda rule, k, x, w: {f"p_z (z - p){x}": rule.learning_rate_[k]},
    ),
    "eligibility": (
        lr.EligibilityRuleEstimator(window=1),
        lambda rule, k, x, w: {
            f"r (y - p){x}": rule.learning_rate_[k] / 2,
            f"r (y_prev - p_prev){x and x + '_prev'}": rule.learning_rate_[k] / 2,
        },
    ),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_the_true_terms_are_found_and_no_others(cohort, name):
    estimator, truth = TRUTHS[name]
    rule = estimator.fit(*cohort)
    equation = sparse_rule(rule, cohort[0])
    for k, weight in enumerate(NAMES):
        x = "" if weight == "bias" else f" x_{weight}"
        expected = {t: c for t, c in truth(rule, k, x, f"w_{weight}").items() if abs(c) > 1e-5}
        terms = found(equation, weight)
        assert set(terms) == set(expected)
        for term, coefficient in expected.items():
            assert terms[term] == pytest.approx(coefficient, rel=1e-3)


def test_which_choice_is_the_first_changes_no_equation(reinforce, cohort):
    named = {"left": "z left", "middle": "middle", "right": "a right"}
    trials = make_trials().replace({"choice": named, "answer": named})
    X, y, _ = lr.make_design(trials, stimulus=STIMULI, answer="answer")
    renamed = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert str(sparse_rule(renamed, X)) == str(sparse_rule(reinforce, cohort[0]))


def test_an_equation_predicts_the_update_of_each_choices_weights(reinforce, cohort):
    X, y = cohort
    table = sparse_rule(reinforce, X).predict(reinforce, X)
    assert_allclose(table["predicted"], table["update"], atol=1e-8)
    weights = reinforce.predict_weights(X)
    of_first = weights.xs("bias", axis=1, level=1)
    each = np.column_stack([np.zeros(len(X)), of_first[LABELS[1]], of_first[LABELS[2]]])
    moved = np.diff(each - each.mean(1, keepdims=True), axis=0)
    known = X.index.get_level_values("subject")[1:] == X.index.get_level_values("subject")[:-1]
    bias = table[table["weight"] == "bias"]
    for label, expected in zip(LABELS, moved[known].T, strict=True):
        assert_allclose(bias.loc[bias["of_choice"] == label, "update"], expected, atol=1e-8)


def test_the_equation_says_whose_weights_it_is_of_and_is_drawn(reinforce, cohort):
    equation = sparse_rule(reinforce, cohort[0])
    told = "of each choice, w and dw less their mean over choices"
    assert str(equation).splitlines()[-1] == told
    assert told in equation.to_latex()
    display = EquationDisplay(equation).plot()
    assert [panel.get_title() for panel in display.axes_[:, 0]] == [
        "s0 weight",
        "s1 weight",
        "bias",
    ]
