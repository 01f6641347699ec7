"""More than two choices: estimators take them as they take two."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from three_choices import LABELS, STIMULI, K, make_trials

from sklearn_learnrule import (
    ActorCriticRuleEstimator,
    ChoiceRNNClassifier,
    ConstantRuleEstimator,
    DNNRuleEstimator,
    EligibilityRuleEstimator,
    PearceHallRuleEstimator,
    PolicyRegressors,
    PredictMaxRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
    RNNRuleEstimator,
    SubjectKFold,
    make_design,
)
from sklearn_learnrule.inspection import update_table
from sklearn_learnrule.rules import LearningRule, ReinforceRule
from sklearn_learnrule.simulation import simulate


def design(table, **options):
    return make_design(table, stimulus=STIMULI, **options)


TABLE = make_trials()
X, Y, GROUPS = design(TABLE)
OTHERS = {"left": "z", "middle": "a", "right": "m"}  # of which the first in order is another
QUICK = {"max_epochs": 10, "lr": 0.02, "n_ensemble": 1, "random_state": 0, "hidden_sizes": 8}
FIXED = {"session_noise": 0.0, "initial_std": 0.3, "train_initial_weights": False}
ESTIMATORS = {
    "constant": ConstantRuleEstimator(),
    "REINFORCE": ReinforceRuleEstimator(),
    "by side": ReinforceRuleEstimator(baseline=None, side_specific=True, forgetting=True),
    "RewardMax": RewardMaxRuleEstimator(),
    "PredictMax": PredictMaxRuleEstimator(),
    "eligibility": EligibilityRuleEstimator(window=2),
    "actor-critic": ActorCriticRuleEstimator(),
    "Q-learning": QLearningRuleEstimator(),
    "Pearce-Hall": PearceHallRuleEstimator(),
    "noise": ReinforceRuleEstimator(baseline=None, process_noise=0.05, **FIXED),
    "lapses": ReinforceRuleEstimator(baseline=None, lapses="learned"),
    "both": ReinforceRuleEstimator(baseline=None, lapses=0.03, process_noise=0.1, **FIXED),
    "unlearned": ReinforceRuleEstimator(baseline=None, unlearned=["bias"]),
    "psychometric": ReinforceRuleEstimator(baseline=None, initial_weights="psychometric"),
}  # fmt: skip


def with_answer(estimator):
    """Return the design that an estimator needs."""
    needs = isinstance(estimator, RewardMaxRuleEstimator | PredictMaxRuleEstimator)
    return design(TABLE, answer="answer") if needs else (X, Y, GROUPS)


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_and_names_of_labels_change_nothing(name):
    """But for where a search ends, and for a filter's slopes, which are taken by small steps."""
    estimator = ESTIMATORS[name]
    renamed = TABLE.replace({"choice": OTHERS, "answer": OTHERS})
    answer = {"answer": "answer"} if any("answer" in c for c in with_answer(estimator)[0]) else {}
    X_, Y_, _ = design(renamed, **answer)
    before, after = (clone(estimator).fit(*some) for some in (with_answer(estimator)[:2], (X_, Y_)))
    order = [list(after.classes_).index(OTHERS[label]) for label in before.classes_]
    found = after.predict_proba(X_)[:, order]
    assert_allclose(found, before.predict_proba(with_answer(estimator)[0]), atol=2e-3)
    tolerance = 1e-6 if estimator.process_noise is None else 1e-4
    assert after.score(X_, Y_) == pytest.approx(
        before.score(*with_answer(estimator)[:2]), abs=tolerance
    )


@pytest.mark.filterwarnings("ignore:.*worse than a policy:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("noise", "tolerance"), [(None, 1e-5), (0.05, 2e-3)])
@pytest.mark.parametrize("kind", [DNNRuleEstimator, RNNRuleEstimator])
def test_nor_do_they_change_what_a_network_learns_that_takes_choices_for_alike(
    kind, noise, tolerance
):
    """The optimizer's steps of initial weights, which are against the first choice's, would."""
    how = {**QUICK, "train_initial_weights": False, "initial_weights": "zeros"}
    how |= {} if noise is None else FIXED
    how["activation"] = "tanh"  # a filter's slopes are taken by small steps, perhaps over kinks
    rule = kind(mirror=True, process_noise=noise, **how)
    renamed = design(TABLE.replace({"choice": OTHERS, "answer": OTHERS}), answer="answer")[:2]
    told = design(TABLE, answer="answer")[:2]
    before, after = (clone(rule).fit(*some) for some in (told, renamed))
    order = [list(after.classes_).index(OTHERS[label]) for label in before.classes_]
    p = before.predict_proba(told[0])
    assert p.std(0).min() > 0.02
    assert_allclose(after.predict_proba(renamed[0])[:, order], p, atol=tolerance)


def test_a_classifier_of_three_classes_is_scikit_learns():
    rule = ReinforceRuleEstimator(baseline=None).fit(X, Y)
    assert rule.classes_.tolist() == LABELS
    p, logits = rule.predict_proba(X), rule.decision_function(X)
    assert p.shape == logits.shape == (len(X), 3)
    assert_allclose(p.sum(1), 1)
    assert_allclose(np.log(p) - np.log(p).mean(1, keepdims=True), logits, atol=1e-12)
    assert (rule.predict(X) == rule.classes_[p.argmax(1)]).all()
    assert rule.score(X, Y) == pytest.approx(-log_loss(Y, p))
    assert rule.score(X, Y) > -np.log(3) + 0.1  # it learns
    again = pickle.loads(pickle.dumps(rule))
    assert (again.predict_proba(X) == p).all()


@BRIEFLY_TRAINED
def test_folds_searches_and_scorers_work():
    rule, cv = ReinforceRuleEstimator(baseline=None), SubjectKFold(3)
    how = {"scoring": ["neg_log_loss", "accuracy"], "return_estimator": True}
    found = cross_validate(rule, X, Y, cv=cv, **how)
    held_out = [test for _, test in cv.split(X)]
    fits = zip(found["estimator"], held_out, strict=True)
    scores = np.array([fit.score(X.iloc[test], Y.iloc[test]) for fit, test in fits])
    assert_allclose(found["test_neg_log_loss"], scores)
    assert (found["test_accuracy"] > 0.45).all()
    p = cross_val_predict(rule, X, Y, cv=cv, method="predict_proba")  # which numbers the labels
    assert -log_loss(Y, p) == pytest.approx(scores.mean(), abs=0.05)
    grid = {"reinforceruleestimator__forgetting": [False, True]}
    unlearned = [f"choice_back_{label}" for label in LABELS]
    rule = ReinforceRuleEstimator(baseline=None, unlearned=unlearned, max_epochs=1)
    piped = make_pipeline(PolicyRegressors(win_stay=False, previous_stimulus=False), rule)
    search = GridSearchCV(piped, grid, cv=SubjectKFold(2), error_score="raise").fit(X, Y)
    assert search.predict_proba(X).shape == (len(X), 3)


def test_initial_weights_are_given_a_row_a_choice():
    given = np.arange(6.0).reshape(2, 3) / 10
    rule = ReinforceRuleEstimator(initial_weights=given, train_initial_weights=False).fit(X, Y)
    assert_allclose(rule.initial_weights_, given)
    assert_allclose(rule.predict_weights(X).iloc[0], given.ravel())


def test_regressors_of_the_choice_before_leave_the_bias_alone():
    """Else the few first trials would tell it, and nobody would choose there what none did."""
    added = PolicyRegressors().fit_transform(X)
    back, stay = added.filter(like="choice_back"), added.filter(like="win_stay")
    assert back.shape[1] == stay.shape[1] == 3
    assert_allclose(back.sum(axis=1), 0, atol=1e-12)
    assert_allclose(stay.sum(axis=1), 0, atol=1e-12)
    chosen = X.filter(like="previous_choice_").to_numpy()
    assert (back.to_numpy().argmax(1) == chosen.argmax(1))[chosen.any(1)].all()
    assert (back[X.index.get_level_values("trial") == 0] == 0).all(axis=None)


def test_a_trace_of_more_choices_is_of_each_of_them():
    added = PolicyRegressors(trace_decay=0.6).fit_transform(X)
    for kind in ("choice_back", "win_stay"):
        traces = added.filter(like=kind.removesuffix("_back") + "_trace")
        assert traces.shape[1] == 3
        assert_allclose(traces.sum(axis=1), 0, atol=1e-12)
        for label in LABELS:
            of_each = added.groupby("subject")[f"{kind}_{label}"]
            expected = of_each.transform(lambda v: v.ewm(alpha=0.4, adjust=False).mean())
            assert_allclose(traces.filter(like=f"_{label}").squeeze(), expected, atol=1e-12)


@BRIEFLY_TRAINED
def test_an_update_of_a_policy_with_regressors_is_that_of_a_first_trial():
    rule = ReinforceRuleEstimator(baseline=None, max_epochs=1)
    piped = make_pipeline(PolicyRegressors(), rule).fit(X, Y)
    table = update_table(piped, X)
    of_back = table.filter(regex="^update_.*(_back|_stay)")
    assert of_back.shape[1] == 6 + len(STIMULI) and (of_back == 0).all(axis=None)
    assert (table[[f"update_{name}" for name in STIMULI]] != 0).any().all()


def test_weights_are_a_set_for_each_choice_but_the_first():
    rule = ReinforceRuleEstimator(baseline=None).fit(X, Y)
    weights = rule.predict_weights(X)
    assert weights.columns.names == ["choice", "weight"]
    assert weights["right"].columns.tolist() == [*STIMULI, "bias"]
    logits = np.column_stack([
        (weights[label] * np.column_stack([X[STIMULI], np.ones(len(X))])).sum(axis=1)
        for label in LABELS[1:]
    ])  # fmt: skip
    expected = np.log(rule.predict_proba(X))
    assert_allclose(logits, expected[:, 1:] - expected[:, :1], atol=1e-9)
    assert rule.initial_weights_.shape == (2, 3) and rule.learning_rate_.shape == (3,)
    start = rule.summary_.query("parameter == 'initial_weights'")
    assert start["side"].tolist() == 3 * ["middle"] + 3 * ["right"]


@BRIEFLY_TRAINED
@pytest.mark.parametrize("kind", [DNNRuleEstimator, RNNRuleEstimator, ChoiceRNNClassifier])
def test_networks_take_three_choices_with_and_without_answers_and_are_stored(kind):
    """Without answers they read none: an error does not tell which of the others was right."""
    how = {name: value for name, value in QUICK.items() if name in kind().get_params()}
    mirror = "auto"
    for answer in ("answer", None):
        X_, y, _ = design(TABLE, answer=answer)
        global_seeds = torch.get_rng_state()
        network = kind(mirror=mirror, **how).fit(X_, y)
        assert torch.equal(torch.get_rng_state(), global_seeds)
        p = network.predict_proba(X_)
        assert p.shape == (len(X_), 3) and np.isfinite(p).all()
        assert_allclose(pickle.loads(pickle.dumps(network)).predict_proba(X_), p, atol=1e-12)
        has_weights = kind is not ChoiceRNNClassifier
        assert network.mirrored_ is has_weights
        mirror = network.mirrored_  # which does not hang on answers
        if has_weights:
            assert network.net_.module_.rule.uses_answer is (answer is not None)


@pytest.mark.filterwarnings("ignore:.*worse than a policy:sklearn.exceptions.ConvergenceWarning")
def test_a_network_is_told_that_choices_are_alike_where_they_are():
    rule = ReinforceRule(2 * K, None, learning_rate=0.3, side_specific=True, n_choices=3)
    rule.root_learning_rate.data[1:] = 0  # of two choices, nothing is learned
    one_sided = design(make_trials(rule=rule.double()), answer="answer")[:2]
    network = DNNRuleEstimator(n_ensemble=1, max_epochs=1, random_state=0)
    mirrored = [clone(network).fit(*some).mirrored_ for some in (one_sided, (X, Y))]
    assert mirrored == [False, True]


def test_what_an_ensemble_remembers_of_each_choice_is_simulated_and_looked_at():
    how = {"memory_size": 4, "hidden_sizes": 8, "max_epochs": 1, "n_ensemble": 2, "mirror": True}
    how |= {"process_noise": 0.05, **FIXED, "unlearned": ["bias"], "random_state": 0}
    table = make_trials(4, 40)
    X, y, _ = design(table)
    rule = RNNRuleEstimator(**how).fit(X, y)
    again = pickle.loads(pickle.dumps(rule))
    assert_allclose(again.predict_proba(X), rule.predict_proba(X), atol=1e-12)
    updates = update_table(rule, X)
    assert (updates["update_s0"] != 0).any() and (updates["update_bias"] == 0).all()
    assert set(simulate(rule, table, random_state=0)["choice"]) == set(LABELS)


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (ReinforceRuleEstimator(initial_weights=[0.0, 0, 0]), "should be 2 rows, one for each"),
        (ReinforceRuleEstimator(lapses=[0.1, 0.1]), "one finite number or"),
        (PredictMaxRuleEstimator(), "an error does not tell which was right"),
        (ReinforceRuleEstimator(subject_effects=["initial_weights"]), "should name parameters"),
    ],
)
def test_what_three_choices_do_not_allow_is_one_sentence(estimator, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(X, Y)


def test_sides_of_an_array_without_history_are_not_swapped():
    plain, y = np.random.RandomState(0).normal(size=(60, 2)), np.arange(60) % 3
    with (
        pytest.warns(UserWarning, match="no subject identity"),
        pytest.raises(ValueError, match="more than two choices are no sides"),
    ):
        ChoiceRNNClassifier(mirror=True).fit(plain, y)


def test_a_rule_of_two_choices_says_so():
    class TwoChoices(ReinforceRuleEstimator):
        def make_rule(self, n_weights):
            return ReinforceRule(n_weights, None)

    with pytest.raises(TypeError, match=r"make_rule should take \(self, n_weights, n_choices\)"):
        TwoChoices().fit(X, Y)

    class Forgets(ReinforceRuleEstimator):
        def make_rule(self, n_weights, n_choices=2):
            return ReinforceRule(n_weights, None)

    with pytest.raises(TypeError, match=r"super\(\).__init__\(n_weights, n_choices=n_choices\)"):
        Forgets().fit(X, Y)
    with pytest.raises(ValueError, match="a multiple of 2"):
        LearningRule(3, n_choices=3)
