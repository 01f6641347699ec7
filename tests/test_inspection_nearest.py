"""Which textbook rule is nearest: exact where it is known, and right for what was inferred."""

from functools import partial

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from inspection_rules import ONE_STEP, MoodRule, MoodRuleEstimator
from scipy.special import expit
from three_choices import LABELS, STIMULI, make_trials

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import TEXTBOOK_RULES, nearest_rules
from sklearn_learnrule.rules import (
    ActorCriticRule,
    EligibilityRule,
    PredictMaxRule,
    QLearningRule,
    ReinforceRule,
)

pytestmark = BRIEFLY_TRAINED

NAMES = ["stimulus", "bias"]


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(6, 150, random_state=0))[:2]


@pytest.fixture(scope="module")
def dnn(cohort):
    how = {"max_epochs": 30, "mirror": False, "n_ensemble": 1, "random_state": 0}
    return lr.DNNRuleEstimator(**how).fit(*cohort)


def of_weight(table, rule, weight="all"):
    return table[(table["rule"] == rule) & (table["weight"] == weight)].squeeze()


# ------------------------------------------------------------------------ known rules

OWN_NAME = {
    "Reinforce-None": "REINFORCE, no baseline",
    "Reinforce-free": "REINFORCE",
    "RewardMax": "RewardMax",
    "PredictMax": "PredictMax",
}
OF_TEXTBOOK = [rule for rule in all_estimators() if estimator_name(rule) in OWN_NAME]


@pytest.mark.parametrize("estimator", OF_TEXTBOOK, ids=estimator_name)
def test_a_textbook_rule_is_nearest_to_itself_and_explained_in_full(cohort, estimator):
    estimator = estimator.fit(*cohort)
    table = nearest_rules(estimator, cohort[0])
    own = OWN_NAME[estimator_name(estimator)]
    assert of_weight(table, own)["r2"] == pytest.approx(1, abs=1e-6)
    if own != "REINFORCE, no baseline":  # which the free baseline contains
        assert table["rule"].iloc[0] == own
    for k, name in enumerate(NAMES):
        found = of_weight(table, own, name)
        rate = estimator.learning_rate_[k]
        assert found["learning_rate"] == pytest.approx(rate, rel=1e-2, abs=1e-4)


def test_the_parameters_are_those_of_least_squares(cohort, dnn):
    X, y = cohort
    weights = dnn.predict_weights(X).to_numpy(dtype=float)
    known = (X.groupby("subject").cumcount(ascending=False) > 0).to_numpy()
    update = np.roll(weights, -1, axis=0)[known] - weights[known]
    x = np.column_stack([X["stimulus"], np.ones(len(X))])
    p = expit((weights * x).sum(1))[known]
    chosen = (y == "right").to_numpy()[known]
    correct = chosen == (X["stimulus"] > 0).to_numpy()[known]
    table = nearest_rules(dnn, X)
    unexplained, variance = [], []
    for k, name in enumerate(NAMES):
        gradient = (chosen - p) * x[known, k]
        columns = np.column_stack([correct * gradient, -gradient])
        (rate, product), (error,), *_ = np.linalg.lstsq(columns, update[:, k], rcond=None)
        found = of_weight(table, "REINFORCE", name)
        assert rate > 0  # else the closed form is not what is asked for
        assert found["learning_rate"] == pytest.approx(rate, rel=1e-2)
        assert found["learning_rate"] * found["baseline"] == pytest.approx(
            product, rel=1e-2, abs=1e-6
        )
        unexplained.append(error)
        variance.append(update[:, k].var() * len(update))
        assert found["r2"] == pytest.approx(1 - error / variance[-1], abs=1e-3)
    assert of_weight(table, "REINFORCE")["r2"] == pytest.approx(
        1 - sum(unexplained) / sum(variance), abs=1e-3
    )


def test_rules_are_ranked_and_one_that_contains_another_is_never_farther(cohort, dnn):
    table = nearest_rules(dnn, cohort[0])
    ranked = table[table["weight"] == "all"]
    assert set(ranked["rule"]) == set(TEXTBOOK_RULES)
    assert ranked["r2"].is_monotonic_decreasing
    assert len(table) == len(TEXTBOOK_RULES) * 3
    order = ranked["rule"].tolist()
    assert order.index("REINFORCE") < order.index("REINFORCE, no baseline")


def test_forgetting_is_a_decay_and_nothing_else(cohort, dnn):
    table = nearest_rules(dnn, cohort[0])
    found = table[(table["rule"] == "forgetting") & (table["weight"] != "all")]
    assert (found["learning_rate"] == 0).all() and (found["forgetting"] >= 0).all()


def test_of_a_weight_that_stays_there_is_nothing_to_explain(cohort):
    rule = lr.ReinforceRuleEstimator(unlearned=["bias"]).fit(*cohort)
    table = nearest_rules(rule, cohort[0])
    assert table.loc[table["weight"] == "bias", "r2"].isna().all()
    of_all, of_stimulus = (
        of_weight(table, "REINFORCE", name)["r2"] for name in ("all", "stimulus")
    )
    assert of_all == pytest.approx(of_stimulus) and of_all > 0.9


def test_no_rule_to_compare_with_is_refused(cohort, dnn):
    with pytest.raises(ValueError, match="rules should have one rule or more, got none"):
        nearest_rules(dnn, cohort[0], rules={})


def test_each_fit_has_its_ranking(cohort, dnn):
    other = lr.PredictMaxRuleEstimator().fit(*cohort)
    table = nearest_rules({"dnn": dnn, "textbook": other}, cohort[0])
    assert table.groupby("fit").size().tolist() == [len(TEXTBOOK_RULES) * 3] * 2
    assert table[table["fit"] == "textbook"]["rule"].iloc[0] == "PredictMax"


# ---------------------------------------------------------------- rules of one's own


@pytest.mark.parametrize(
    ("estimator", "make"),
    [
        (lr.estimators.EligibilityRuleEstimator(window=4), partial(EligibilityRule, window=4)),
        (lr.estimators.ActorCriticRuleEstimator(), ActorCriticRule),
        (lr.estimators.QLearningRuleEstimator(), QLearningRule),
        (MoodRuleEstimator(), MoodRule),
    ],
    ids=["eligibility", "actor-critic", "q-learning", "a rule of one's own"],
)
def test_a_rule_that_remembers_goes_along_with_the_weights(estimator, make):
    X, y, _ = lr.make_design(make_learning_cohort(4, 80, random_state=0))
    fitted = estimator.set_params(**ONE_STEP).fit(X, y)
    rules = {"own": partial(make, learning_rate=0.1), "REINFORCE": ReinforceRule}
    table = nearest_rules(fitted, X, rules=rules)
    assert table["rule"].iloc[0] == "own"
    assert of_weight(table, "own")["r2"] > 0.999 > of_weight(table, "REINFORCE")["r2"]


def test_side_specific_rates_are_told_of_each_class(cohort):
    make = partial(ReinforceRule, side_specific=True)
    fitted = lr.ReinforceRuleEstimator(baseline=None, side_specific=True).fit(*cohort)
    table = nearest_rules(fitted, cohort[0], rules={"sides": make})
    for k, name in enumerate(NAMES):
        found = of_weight(table, "sides", name)
        for side, rates in zip(("first", "second"), fitted.learning_rate_, strict=True):
            assert found[f"learning_rate_{side}"] == pytest.approx(rates[k], rel=1e-2, abs=1e-4)


# ------------------------------------------------------------------------- more choices


@pytest.fixture(scope="module")
def three():
    X, y, _ = lr.make_design(make_trials(), stimulus=STIMULI, answer="answer")
    return X, y


OF_THREE = {
    "REINFORCE": lr.ReinforceRuleEstimator(baseline="free"),
    "PredictMax": lr.PredictMaxRuleEstimator(),
    "RewardMax": lr.RewardMaxRuleEstimator(),
}


@pytest.mark.parametrize("own", OF_THREE)
def test_of_three_choices_a_textbook_rule_is_nearest_to_itself(three, own):
    estimator = OF_THREE[own].fit(*three)
    table = nearest_rules(estimator, three[0])
    assert table["rule"].iloc[0] == own
    assert of_weight(table, own)["r2"] == pytest.approx(1, abs=1e-6)
    for name, rate in zip([*STIMULI, "bias"], estimator.learning_rate_, strict=True):
        assert of_weight(table, own, name)["learning_rate"] == pytest.approx(rate, rel=1e-2)


def test_which_choice_is_the_first_changes_nothing(three):
    trials, named = make_trials(), {"left": "z left", "middle": "middle", "right": "a right"}
    renamed = trials.replace({"choice": named, "answer": named})
    tables = []
    for table in (trials, renamed):
        X, y, _ = lr.make_design(table, stimulus=STIMULI, answer="answer")
        rule = lr.ReinforceRuleEstimator(baseline=None, side_specific=True, **ONE_STEP)
        tables.append(nearest_rules(rule.fit(X, y), X))
    np.testing.assert_allclose(tables[0]["r2"], tables[1]["r2"], atol=1e-5)


def test_rates_of_sides_are_told_of_each_choice(three):
    rule = lr.ReinforceRuleEstimator(baseline=None, side_specific=True).fit(*three)
    make = partial(ReinforceRule, side_specific=True)
    found = nearest_rules(rule, three[0], rules={"sides": make}).query("weight == 'bias'")
    rates = found[[f"learning_rate_{label}" for label in LABELS]].to_numpy()[0]
    np.testing.assert_allclose(rates, rule.learning_rate_[:, -1], rtol=1e-2)


@pytest.mark.parametrize("reward", [None, 1.0], ids=["three choices", "points"])
def test_rules_that_read_answers_are_left_out_where_nobody_knows_them(reward):
    trials = make_trials() if reward is None else make_learning_cohort(4, 80, random_state=0)
    stimuli = STIMULI if reward is None else "stimulus"
    X, y, _ = lr.make_design(
        trials.assign(reward=trials["reward"] + (reward or 0)), stimulus=stimuli
    )
    rule = lr.ReinforceRuleEstimator(baseline=None, **ONE_STEP).fit(X, y)
    left = {"REINFORCE", "REINFORCE, no baseline", "forgetting"}
    assert set(nearest_rules(rule, X)["rule"]) == left
    with pytest.raises(ValueError, match="^mine reads the correct choice, which these rewards do"):
        nearest_rules(rule, X, rules={"mine": PredictMaxRule})


# --------------------------------------------------------------------- what is inferred


def inferred(rule, max_epochs):
    """The ranking of a DNN fitted to animals that start on the wrong side and learn by ``rule``."""
    start, contrasts = [-3.0, 0.0], ((1.0, 0.25, 0.125, 0.0625, 0.03),)
    X, y, _ = lr.make_design(
        make_learning_cohort(
            300, 80, rule=rule, initial_weights=start, curriculum=contrasts, random_state=0
        )
    )
    dnn = lr.DNNRuleEstimator(
        initial_weights=start,
        session_input=False,
        batch_size=25,
        lr=0.02,
        max_epochs=max_epochs,
        early_stopping=False,
        n_ensemble=1,
        mirror=False,
        random_state=0,
    )
    return nearest_rules(dnn.fit(X, y), X)


def test_reinforce_is_nearest_to_a_dnn_fitted_to_reinforce_and_explains_nine_tenths():
    table = inferred(ReinforceRule(2, "free", learning_rate=0.3, initial_baseline=-0.3), 10)
    assert table["rule"].iloc[0] == "REINFORCE"
    assert table["r2"].iloc[0] > 0.9
    assert of_weight(table, "PredictMax")["r2"] < 0.5


def test_predict_max_is_nearest_to_a_dnn_fitted_to_predict_max():
    table = inferred(PredictMaxRule(2, learning_rate=0.5), 20)
    ranked = table[table["weight"] == "all"].set_index("rule")["r2"]
    assert ranked.index[0] == "PredictMax"
    assert ranked["PredictMax"] > ranked["RewardMax"] + 0.1
