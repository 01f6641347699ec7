"""The estimators are scikit-learn's: its own checks, and its tools around grouped sequences."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import subprocess
import sys
from copy import deepcopy
from dataclasses import fields

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io as sio
import torch
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from scipy.special import expit
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

pytestmark = BRIEFLY_TRAINED

SINGLE_PRECISION = (
    "networks are trained in float32, where a weight of 2 and a row given twice are the same "
    "to 1e-6, not to the 1e-7 asked for"
)
NOT_EXCHANGEABLE = "the network remembers the rows before, so their order and company matter"
QUICK = {"lr": 0.2, "max_epochs": 12, "n_ensemble": 1, "mirror": False, "random_state": 0}
CHECKED = [
    lr.ConstantRuleEstimator(),
    lr.ReinforceRuleEstimator(max_epochs=3),
    lr.RNNRuleEstimator(**QUICK),
    lr.ChoiceRNNClassifier(**QUICK),
]
SHELLS = {type(estimator).__bases__[0] for estimator in CHECKED}


def expected_failures(estimator):
    if isinstance(estimator, lr.ChoiceRNNClassifier):
        return {
            "check_sample_weight_equivalence_on_dense_data": NOT_EXCHANGEABLE,
            "check_methods_sample_order_invariance": NOT_EXCHANGEABLE,
            "check_methods_subset_invariance": NOT_EXCHANGEABLE,
        }
    if isinstance(estimator, lr.RNNRuleEstimator):
        return {"check_sample_weight_equivalence_on_dense_data": SINGLE_PRECISION}
    return {}


# scikit-learn's checks bring plain arrays: one sequence without identity, of which we warn
@pytest.mark.filterwarnings("ignore:X has no subject identity")
@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", all_estimators(), ids=estimator_name)
def test_rule_estimators_of_one_shell_differ_in_their_parameters_and_rule_alone(estimator):
    """So that scikit-learn's checks of one are checks of all."""
    kind = type(estimator)
    assert kind.__bases__[0] in SHELLS
    assert set(estimator.get_params()) == {field.name for field in fields(kind)}
    own = {name for name, value in vars(kind).items() if inspect.isfunction(value)}
    assert own - {"__init__", "__replace__"} == {"make_rule"}  # the latter: of Python 3.13


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(6, 200, session_length=50, random_state=0))


@pytest.fixture(scope="module", params=all_estimators(max_epochs=3), ids=estimator_name)
def fitted(request, cohort):
    X, y, _ = cohort
    return clone(request.param).fit(X, y)


def test_the_mean_log_likelihood_is_the_score(fitted, cohort):
    X, y, _ = cohort
    assert fitted.score(X, y) == pytest.approx(-log_loss(y, fitted.predict_proba(X)), abs=1e-9)


def test_probabilities_logits_labels_and_weights_tell_one_story(fitted, cohort):
    X, y, _ = cohort
    logits, probability = fitted.decision_function(X), fitted.predict_proba(X)
    np.testing.assert_allclose(probability[:, 1], 1 / (1 + np.exp(-logits)))
    np.testing.assert_allclose(probability.sum(1), 1)
    assert (fitted.predict(X) == np.where(logits > 0, "right", "left")).all()

    weights = fitted.predict_weights(X)
    assert weights.index.equals(X.index) and list(weights) == ["stimulus", "bias"]
    policy = expit(weights["stimulus"] * X["stimulus"] + weights["bias"])
    lapses = getattr(fitted, "lapse_rates_", np.zeros(2))
    np.testing.assert_allclose(lapses[1] + (1 - lapses.sum()) * policy, probability[:, 1])
    first = weights.groupby("subject").first()
    np.testing.assert_allclose(first, np.tile(fitted.initial_weights_, (6, 1)), rtol=1e-6)


def test_fitted_attributes_are_those_that_are_promised(fitted, cohort):
    X, _, _ = cohort
    assert list(fitted.classes_) == ["left", "right"]
    assert fitted.n_features_in_ == 3 and list(fitted.feature_names_in_) == list(X)
    assert fitted.n_iter_ == len(fitted.history_) == len(fitted.net_.history)
    assert fitted.initial_weights_.shape == (2,)
    is_network = isinstance(fitted, (lr.DNNRuleEstimator, lr.RNNRuleEstimator))
    assert hasattr(fitted, "summary_") is not is_network
    assert not hasattr(clone(fitted), "summary_")
    for name, value in fitted.make_rule(2).textbook_parameters().items():
        assert getattr(fitted, f"{name}_").shape == value.shape


STORED = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": lambda estimator: through_a_file(estimator, joblib.dump, joblib.load),
    "skops": lambda estimator: sio.loads(sio.dumps(estimator), trusted=lr.TRUSTED_TYPES),
    "deepcopy": deepcopy,
}


def through_a_file(estimator, dump, load):
    file = io.BytesIO()
    dump(estimator, file)
    file.seek(0)
    return load(file)


@pytest.mark.parametrize("through", STORED)
def test_a_stored_estimator_predicts_and_tells_the_same(fitted, cohort, through):
    X, _, _ = cohort
    restored = STORED[through](fitted)
    np.testing.assert_array_equal(restored.predict_proba(X), fitted.predict_proba(X))
    pd.testing.assert_frame_equal(restored.predict_weights(X), fitted.predict_weights(X))
    assert vars(restored).keys() == vars(fitted).keys()
    assert restored.net_ is restored.nets_[0] and restored.history_ is restored.net_.history
    assert restored.history_[:, "train_loss"] == fitted.history_[:, "train_loss"]
    assert hasattr(restored, "summary_") is hasattr(fitted, "summary_")
    if hasattr(fitted, "summary_"):
        pd.testing.assert_frame_equal(restored.summary_, fitted.summary_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_pickle_holds_neither_tensors_nor_what_trained(cohort):
    """So that what a GPU fitted is loaded on a CPU, and files are small."""
    X, y, _ = cohort
    how = {"early_stopping": True, "max_epochs": 2, "mirror": False, "random_state": 0}
    rule = lr.DNNRuleEstimator(**how).fit(X, y)
    found = set()

    class Watch(pickle.Unpickler):
        def find_class(self, module, name):
            found.add(module.split(".")[0])
            return super().find_class(module, name)

    restored = Watch(io.BytesIO(pickle.dumps(rule))).load()
    assert found <= {"sklearn_learnrule", "numpy"}
    losses = (fit.net_.stopping_history[:, "valid_loss"] for fit in (restored, rule))
    np.testing.assert_array_equal(*losses)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_stored_fit_is_that_of_the_parameters_it_was_made_with(cohort):
    X, y, _ = cohort
    rule = lr.RNNRuleEstimator(memory_size=3, max_epochs=1, n_ensemble=1, mirror=False).fit(X, y)
    expected = rule.predict_proba(X)
    rule.set_params(memory_size=5, hidden_sizes=4, unlearned=["stimulus"])
    state = torch.random.get_rng_state()
    restored = STORED["skops"](rule)
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(restored.predict_proba(X), expected)
    assert restored.get_params() == rule.get_params()
    # and goes on from there
    rule.set_params(memory_size=3, hidden_sizes=(32, 32), unlearned=(), warm_start=True)
    first = rule.history_[0, "train_loss"]
    assert STORED["skops"](rule).fit(X, y).history_[0, "train_loss"] < first


def test_an_estimator_that_is_not_fitted_is_stored_as_well():
    for estimator in CHECKED:
        assert repr(STORED["skops"](estimator)) == repr(estimator)


@pytest.mark.parametrize(
    "rule",
    [
        lr.ReinforceRuleEstimator(
            unlearned=["choice_back"], process_noise=np.full(5, 0.1), max_epochs=2
        ),
        lr.ActorCriticRuleEstimator(initial_value=0.5, max_epochs=2),
        lr.ChoiceRNNClassifier(max_epochs=1, n_ensemble=1, mirror=False, truncation=np.int64(50)),
    ],
    ids=estimator_name,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_pipeline_is_stored_with_the_same_trust(rule):
    X, y, _ = lr.make_design(make_learning_cohort(2, 40, random_state=0))
    pipeline = make_pipeline(lr.TanhContrast(), lr.PolicyRegressors(), rule).fit(X, y)
    restored = STORED["skops"](pipeline)
    np.testing.assert_array_equal(restored.predict_proba(X), pipeline.predict_proba(X))


def test_what_is_trusted_are_this_packages_own_classes():
    names = {name.rsplit(".", 1)[1] for name in lr.TRUSTED_TYPES}
    assert names == {name for name in lr.__all__ if isinstance(getattr(lr, name), type)}
    assert all(name.startswith("sklearn_learnrule.") for name in lr.TRUSTED_TYPES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_gpu_fitted_is_loaded_where_there_is_none(cohort, tmp_path):
    X, y, _ = cohort
    rule = lr.DNNRuleEstimator(device="cuda", max_epochs=2, random_state=0).fit(X, y)
    joblib.dump(rule, tmp_path / "rule")
    X.to_pickle(tmp_path / "X")
    load = "import joblib, pandas, sys; d = sys.argv[1]; joblib.load(d + '/rule').predict("
    code = load + "pandas.read_pickle(d + '/X'))"
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=hidden, check=True)


@pytest.mark.parametrize("estimator", CHECKED, ids=estimator_name)
def test_string_scorers_and_group_folds_work(estimator, cohort):
    X, y, groups = cohort
    estimator = clone(estimator).set_params(max_epochs=2)
    own = cross_val_score(estimator, X, y, cv=lr.SubjectKFold(2))
    folds = {"groups": groups, "cv": GroupKFold(2)}
    proper = cross_val_score(estimator, X, y, scoring="neg_log_loss", **folds)
    np.testing.assert_allclose(own, proper, rtol=1e-5)  # log_loss clips what is all but certain


def test_rules_vote_and_are_compared(cohort):
    X, y, groups = cohort
    plain = lr.ReinforceRuleEstimator(max_epochs=3)
    members = [("plain", plain), ("drift", clone(plain).set_params(process_noise="learned"))]
    vote = VotingClassifier(members, voting="soft")
    own = lr.compare_rules({"vote": vote}, X, y, cv=2, verbose=0)["log_likelihood"]
    chances = np.mean(
        [
            cross_val_predict(each, X, y, cv=lr.SubjectKFold(2), method="predict_proba")
            for _, each in members
        ],
        axis=0,
    )
    of_choice = np.log(chances[np.arange(len(y)), (y == np.unique(y)[1]).astype(int)])
    by_hand = pd.Series(of_choice, index=X.index).groupby("subject").mean()
    np.testing.assert_allclose(np.sort(own), np.sort(by_hand))


def test_two_jobs_give_what_one_gives(cohort):
    X, y, _ = cohort
    estimator = lr.DNNRuleEstimator(**{**QUICK, "max_epochs": 3, "lr": 0.01})
    with joblib.parallel_config("multiprocessing"):  # forks need no imports
        one, two = (
            cross_val_score(estimator, X, y, cv=lr.SubjectKFold(2), scoring="accuracy", n_jobs=n)
            for n in (1, 2)
        )
    np.testing.assert_array_equal(one, two)


def test_cross_val_predict_scores_as_the_folds_do(cohort):
    X, y, _ = cohort
    rule, cv = lr.ReinforceRuleEstimator(baseline=None, max_epochs=2), lr.SubjectKFold(2)
    predicted = cross_val_predict(rule, X, y, cv=cv)
    accuracy = cross_val_score(rule, X, y, cv=cv, scoring="accuracy")
    sizes = [len(test) for _, test in cv.split(X)]
    assert accuracy_score(y, predicted) == pytest.approx(np.average(accuracy, weights=sizes))


def test_a_row_wise_fold_is_refused_with_a_cure(cohort):
    X, y, _ = cohort
    with pytest.raises(ValueError, match="give all rows of each subject.*SubjectKFold"):
        cross_val_score(
            lr.ConstantRuleEstimator(),
            X,
            y,
            cv=KFold(3, shuffle=True, random_state=0),
            error_score="raise",
        )


def test_a_grid_searches_architectures_and_swaps_rules(cohort):
    X, y, _ = cohort
    pipeline = Pipeline([("contrast", lr.TanhContrast()), ("rule", lr.ConstantRuleEstimator())])
    grid = [
        {"rule": [lr.ConstantRuleEstimator(), lr.ReinforceRuleEstimator(baseline=None)]},
        {
            "rule": [lr.DNNRuleEstimator(max_epochs=3, n_ensemble=1, mirror=False, random_state=0)],
            "rule__hidden_sizes": [(), (4,), (4, 4)],
        },
    ]
    search = GridSearchCV(pipeline, grid, cv=lr.SubjectKFold(2)).fit(X, y)
    assert len(search.cv_results_["params"]) == 5
    scores = search.cv_results_["mean_test_score"]
    assert search.best_score_ == max(scores) > scores[0]  # the best is one that learns
    assert search.best_estimator_.score(X, y) > scores[0]


def test_a_search_nests_in_cross_validation_without_groups(cohort):
    X, y, _ = cohort
    rule = lr.PredictMaxRuleEstimator(max_epochs=2)
    search = GridSearchCV(rule, {"train_initial_weights": [True, False]}, cv=lr.SubjectKFold(2))
    assert cross_val_score(search, X, y, cv=lr.SubjectKFold(2)).shape == (2,)


def test_stimulus_columns_alone_can_be_scaled_as_the_error_says(cohort):
    X, y, _ = cohort
    scale = make_column_transformer(
        (StandardScaler(), ["stimulus"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    scaled = make_pipeline(scale, lr.ConstantRuleEstimator()).fit(X, y)
    plain = lr.ConstantRuleEstimator().fit(X, y)
    assert scaled.score(X, y) == pytest.approx(plain.score(X, y), abs=1e-7)

    everything = make_pipeline(StandardScaler(), lr.ConstantRuleEstimator())
    with pytest.raises(ValueError, match=r"lost its subject index.*set_output"):
        everything.fit(X, y)
    with pytest.raises(ValueError, match=r"previous_choice should be .*scale the stimulus columns"):
        everything.set_output(transform="pandas").fit(X, y)


def test_set_output_pandas_on_a_pipeline_changes_nothing(cohort):
    X, y, _ = cohort
    plain = make_pipeline(lr.TanhContrast(), lr.ConstantRuleEstimator())
    framed = clone(plain).set_output(transform="pandas")
    np.testing.assert_array_equal(
        plain.fit(X, y).predict_proba(X), framed.fit(X, y).predict_proba(X)
    )


def test_an_index_of_rows_is_no_identity():
    X = pd.DataFrame({"s": [-1.0, 1.0, -1.0, 1.0, 1.0, -1.0]})
    with pytest.warns(UserWarning, match="X has no subject identity"):
        rule = lr.ConstantRuleEstimator().fit(X, [0, 1, 0, 1, 0, 1])
    with pytest.warns(UserWarning, match="X has no subject identity"):
        assert list(rule.predict_weights(X)) == ["s", "bias"]
