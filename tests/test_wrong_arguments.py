"""Wrong parameters: one sentence that names the parameter, before anything is trained."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import RULE_ESTIMATORS
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import BatchScoring, EpochScoring

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators import classifier
from sklearn_learnrule.training import mirror as mirror_images
from sklearn_learnrule.utils.parameters import constraints

# most fits here are of an epoch or two
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [kind() for kind in (*RULE_ESTIMATORS, lr.ChoiceRNNClassifier)]
ALL = [*ESTIMATORS, lr.TanhContrast(), lr.PolicyRegressors()]

# Wrong for every parameter there is.
NONSENSE = [object(), b"cpu", {"a": 1}, {1}, 1j, np.nan, -2j, ["", None], [[[1.0]]], len]
NONSENSE += [np.full((2, 2, 2), 0.5), pd.DataFrame({"a": [1]}), torch.zeros(2, 2), pd.NaT]
COUNT = [
    0,
    -3,
    2.5,
    3.0,
    "3",
    np.inf,
    Fraction(5),
    [3],
]  # wrong for a whole number from 1
SIZE = [-0.5, np.inf, "0.1", Fraction(1, 2)]  # wrong for a number from 0
YES_OR_NO = [0, 1, 1.0, "yes", None, [True]]
SPREAD = [*SIZE, [0.1, -0.1], [0.1, np.nan], [0.1, "0.1"], [0.1, True], [[0.1, 0.1]], "Learned"]
WRONG = {
    "activation": [None, "ReLU", 0],
    "answer_input": YES_OR_NO,
    "around": ["reinforce", lr.RNNRuleEstimator(), lr.ReinforceRuleEstimator, True],
    "average": YES_OR_NO,
    "baseline": ["none", 0, 0.5, False],
    "batch_size": [*COUNT, -2, None],
    "callbacks": ["disable", [len], [("a", "b")], [None], EpochScoring(len), [EpochScoring("f1")]],
    "columns": [0, [0], ["stimulus", None]],
    "device": [None, 0.5, "gpu", "cuda:99", "meta", ["cpu"], True],
    "early_stopping": YES_OR_NO,
    "engine": [None, "numba", 0],
    "forgetting": YES_OR_NO,
    "gradient_clip_value": [0, -0.1, "0.1", None],
    "hidden_sizes": [*COUNT[:-1], (8, 0), (8, 2.5), (8, True), ("8",), [[8]], None],
    "initial_std": [*SPREAD, None],
    "n_init": [*COUNT, None],
    "initial_value": [np.inf, "0.5", [0.1, np.nan], None, [[0.5, 0.5]]],
    "initial_weights": ["ones", 0.0, None, [0.0, np.inf], [[0.0, 0.0]]],
    "lapses": [*SPREAD, 1, 1.5, (0.1, 1.0)],
    "lr": [0, *SIZE],
    "max_epochs": COUNT,
    "memory_size": [*COUNT, None],
    "mirror": [0, 1, "always", None],
    "n_ensemble": [*COUNT, None],
    "n_iter_no_change": [*COUNT, None],
    "optimizer": [None, "sgd", "Adam", torch.optim.Adam],
    "previous_choice": YES_OR_NO,
    "previous_stimulus": YES_OR_NO,
    "prior": ["strong", 0.1, True],
    "process_noise": SPREAD,
    "random_state": [-1, 2**32, 0.5, "0", np.random.default_rng(0), [0]],
    "session_input": YES_OR_NO,
    "session_noise": [*SPREAD, None],
    "side_specific": YES_OR_NO,
    "slope": [0, *SIZE, None],
    "split_sides": YES_OR_NO,
    "tol": [*SIZE, None],
    "train_initial_weights": YES_OR_NO,
    "truncation": COUNT,
    "unlearned": ["bias", 0, [0], ["bias", None], True],
    "validation_fraction": [0, 1, 0.0, 1.0, -0.2, 2, "0.2", None],
    "verbose": [-1, 0.5, "1", None],
    "warm_start": YES_OR_NO,
    "weight_decay": [*SIZE, None],
    "win_stay": YES_OR_NO,
    "window": [-1, 2.5, 3.0, "3", None, [3]],
}
TAKE_BOOLS = {name for name, wrong in WRONG.items() if wrong is YES_OR_NO} | {"mirror", "verbose"}


def name_of(value) -> str:
    return value if isinstance(value, str) else type(value).__name__


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(6, 40, random_state=0))
    return X, y


@pytest.fixture
def untrained(monkeypatch):
    """Let nothing be trained, neither the estimator nor what it compares first."""

    def train(*args, **kwargs):
        raise AssertionError("trained before its parameters were checked")

    monkeypatch.setattr(classifier, "train_members", train)
    monkeypatch.setattr(mirror_images, "train", train)


def refusal(estimator, X, y) -> str:
    """Return the message of a fit that is refused, which has to be one sentence."""
    with pytest.raises(Exception) as caught:
        estimator.fit(X, y)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError), message
    assert message.endswith(".") and "\n" not in message and len(message) < 400
    return message


# ----------------------------------------------------------------------- one parameter


@pytest.mark.parametrize(
    ("estimator", "name"),
    [(estimator, name) for estimator in ALL for name in estimator.get_params()],
    ids=name_of,
)
def test_wrong_values_of_every_parameter_are_refused_by_name(estimator, name, cohort, untrained):
    wrong = [*NONSENSE, *WRONG.get(name, [])] + [True, np.True_] * (name not in TAKE_BOOLS)
    wrong += ["abc"] * (name != "columns")  # there, it may be a name
    for value in wrong:
        message = refusal(clone(estimator).set_params(**{name: value}), *cohort)
        # the few that callbacks say are of their entries
        expected = f"{type(estimator).__name__}: {name} should be |{name} has EpochScoring"
        assert re.match(expected, message), message


@pytest.mark.parametrize("estimator", ALL, ids=name_of)
def test_every_parameter_says_what_it_may_be_and_no_other(estimator):
    assert set(constraints(type(estimator))) == set(estimator.get_params())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"truncation": "abc"},
            "DNNRuleEstimator: truncation should be None or an int in the range [1, inf), got "
            "'abc'.",
        ),
        (
            {"batch_size": 0},
            "DNNRuleEstimator: batch_size should be -1 or an int in the range [1, inf), got 0.",
        ),
        (
            {"hidden_sizes": (8, 0)},
            "DNNRuleEstimator: hidden_sizes should be an int in the range [1, inf) or a sequence "
            "of which each is an int in the range [1, inf), got (8, 0).",
        ),
        (
            {"process_noise": True},
            "DNNRuleEstimator: process_noise should be None, a str among {'learned'}, a float in "
            "the range [0.0, inf) or a sequence of which each is a float in the range [0.0, inf), "
            "got True.",
        ),
        (
            {"device": "cuda:99"},
            "DNNRuleEstimator: device should be 'auto' or a torch device that there is on this "
            "machine, got 'cuda:99'.",
        ),
    ],
    ids=name_of,
)
def test_a_sentence_says_what_was_expected_and_what_came(parameters, message, cohort):
    assert refusal(lr.DNNRuleEstimator(**parameters), *cohort) == message


def test_a_long_value_is_shown_in_part(cohort):
    message = refusal(lr.ReinforceRuleEstimator(initial_weights=np.full(1000, np.nan)), *cohort)
    assert re.search(r"got array\(\[nan, nan, .{0,50}\.\.\.\.$", message)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_where_there_is_none_is_refused(cohort):
    assert "device should be 'auto' or" in refusal(lr.RNNRuleEstimator(device="cuda"), *cohort)


def test_a_users_own_parameter_needs_no_constraint(cohort):
    class Mine(lr.ReinforceRuleEstimator):
        def __init__(self, taste=None, baseline=None):
            super().__init__(baseline=baseline)
            self.taste = taste

    assert Mine(taste=len).fit(*cohort).taste is len
    assert "Mine: baseline should be" in refusal(Mine(baseline=3), *cohort)


# ------------------------------------------------------- parameters that meet each other or X


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"initial_weights": [1.0, 0.0, 0.0]},
            ".*: initial_weights should be 2 numbers",
        ),
        ({"process_noise": [0.1] * 3}, r"process_noise should be one finite number or \(2,\) of"),
        ({"process_noise": 0.1, "session_noise": []}, "session_noise should be one finite number"),
        (
            {"process_noise": 0.1, "initial_std": [0.1] * 4},
            "initial_std should be one finite",
        ),
        ({"lapses": 0.5}, r"lapses should add up to less than 1, got \[0.5, 0.5\]"),
        ({"lapses": [0.1, 0.1, 0.1]}, r"lapses should be one finite number or \(2,\) of them"),
        ({"unlearned": ["stimulos"]}, "unlearned should be a list of weights among"),
        ({"unlearned": ["stimulus", "bias"]}, "unlearned leaves .* no weight to learn"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", [lr.ReinforceRuleEstimator, lr.DNNRuleEstimator])
def test_what_does_not_suit_the_data_is_refused_before_training(
    kind, parameters, message, cohort, untrained
):
    assert re.match(message, refusal(kind(**parameters), *cohort))


def test_a_value_is_one_or_one_for_each_weight(cohort, untrained):
    message = refusal(lr.ActorCriticRuleEstimator(initial_value=[0.1] * 3), *cohort)
    assert message.startswith("initial_value should be one finite number or (2,) of them")


# ------------------------------------------------------------------------ numpy's numbers

BY_NUMPY = {
    "batch_size": (2, np.int64),
    "lr": (0.25, np.float32),
    "max_epochs": (2, np.int64),
    "tol": (0.5, np.float32),
    "validation_fraction": (0.5, np.float64),
    "n_iter_no_change": (1, np.int8),
    "early_stopping": (True, np.bool_),
    "verbose": (0, np.int64),
    "warm_start": (False, np.bool_),
    "random_state": (3, np.int64),
    "train_initial_weights": (True, np.bool_),
    "process_noise": (0.25, np.float32),
    "session_noise": ((0.5, 0.25), np.array),
    "initial_std": ((0.5, 0.25), pd.Series),
    "lapses": ((0.0, 0.125), np.array),
    "subject_effects": (["process_noise"], np.array),
    "initial_weights": ([1, 0], np.array),
    "unlearned": (["stimulus"], np.array),
    "truncation": (20, np.int16),
    "side_specific": (True, np.bool_),
    "forgetting": (True, np.bool_),
    "prior": ("weak", np.str_),
    "n_init": (2, np.int64),
    "baseline": ("free", np.str_),
    "window": (3, np.int64),
    "initial_value": (0.5, np.float32),
    "hidden_sizes": ((3, 2), np.array),
    "memory_size": (3, np.int64),
    "session_input": (True, np.bool_),
    "answer_input": (True, np.bool_),
    "n_ensemble": (2, np.int64),
    "weight_decay": (0.5, np.float32),
    "gradient_clip_value": (0.5, np.float32),
    "average": (True, np.bool_),
    "mirror": (True, np.bool_),
}


def with_every_parameter(estimators):
    """Return some of them, of which each has a parameter that those before it have not."""
    chosen, known = [], set()
    for estimator in sorted(estimators, key=lambda one: -len(one.get_params())):
        if not known >= set(estimator.get_params()):
            chosen.append(estimator)
            known |= set(estimator.get_params())
    assert known <= {*BY_NUMPY, *"activation around callbacks device engine optimizer".split()}
    return chosen


@pytest.mark.parametrize("estimator", with_every_parameter(ESTIMATORS), ids=name_of)
def test_numbers_may_be_numpys_in_every_parameter(estimator):
    X, y, _ = lr.make_design(make_learning_cohort(3, 12, random_state=0))
    names = set(estimator.get_params())
    given = {name: BY_NUMPY[name] for name in BY_NUMPY if name in names}
    plain, numpys = (
        clone(estimator).set_params(optimizer="adam", **values)
        for values in (
            {name: value for name, (value, _) in given.items()},
            {name: kind(value) for name, (value, kind) in given.items()},
        )
    )
    expected, found = (rule.fit(X, y).decision_function(X) for rule in (plain, numpys))
    assert_array_equal(found, expected)
    assert np.isfinite(found).all()
    for name, (value, kind) in given.items():  # and stay as they were given
        assert type(numpys.get_params()[name]) is type(kind(value))


def test_a_grid_may_be_of_numpys_numbers(cohort):
    grid = {"batch_size": np.arange(1, 3), "lr": np.geomspace(0.001, 0.01, 2)}
    network = lr.DNNRuleEstimator(max_epochs=1, n_ensemble=1, mirror=False, random_state=0)
    search = GridSearchCV(network, grid, cv=lr.SubjectKFold(2), error_score="raise").fit(*cohort)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Index, torch.tensor])
def test_a_sequence_may_be_of_any_kind(kind):
    X, y, _ = lr.make_design(make_learning_cohort(3, 12, random_state=0))
    given = {"initial_weights": (0.5, 0.25), "process_noise": (0.25, 0.5)}
    how = {"max_epochs": 1, "n_ensemble": 1, "mirror": False, "random_state": 0}
    plain, other = (
        lr.DNNRuleEstimator(hidden_sizes=of((3, 2)), **how, **{n: of(v) for n, v in given.items()})
        for of in (tuple, kind)
    )
    expected, found = (rule.fit(X, y).decision_function(X) for rule in (plain, other))
    assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series, pd.Index])
def test_names_may_be_of_any_kind(kind, cohort):
    X, y = cohort
    rule = lr.ReinforceRuleEstimator(baseline=None, unlearned=kind(["stimulus"])).fit(X, y)
    assert rule.predict_weights(X)["stimulus"].nunique() == 1
    bent = lr.TanhContrast(columns=kind(["stimulus"])).fit_transform(X)
    pd.testing.assert_frame_equal(bent, lr.TanhContrast().fit_transform(X))


def test_a_device_may_be_torchs(cohort):
    rule = lr.ConstantRuleEstimator(device=torch.device("cpu"))
    assert rule.fit(*cohort).net_.device == "cpu"


def test_one_number_is_one_hidden_layer(cohort):
    X, y = cohort
    how = {"max_epochs": 1, "n_ensemble": 1, "mirror": False, "random_state": 0}
    one, same = (lr.DNNRuleEstimator(hidden_sizes=h, **how).fit(X, y) for h in (8, (8,)))
    assert_array_equal(one.decision_function(X), same.decision_function(X))


# ------------------------------------------------------------------------------ callbacks


def n_animals(net, dataset, y) -> int:
    assert hasattr(net, "module_") and y is None
    return len(dataset)


@pytest.mark.parametrize("batch_size", [-1, 2])
def test_a_scoring_callback_gets_the_net_and_its_animals(batch_size, cohort):
    how = {"max_epochs": 2, "n_ensemble": 1, "mirror": False, "random_state": 0}
    score = EpochScoring(n_animals, on_train=True)
    network = lr.DNNRuleEstimator(batch_size=batch_size, callbacks=[score], **how).fit(*cohort)
    assert network.history_[:, "n_animals"] == [6, 6]

    score = EpochScoring(n_animals, on_train=False)
    network.set_params(callbacks=[("n", score)], early_stopping=True).fit(*cohort)
    assert network.net_.stopping_history[:, "n_animals"] == [2, 2]  # held out


@pytest.mark.parametrize(
    "callback", [EpochScoring("accuracy"), EpochScoring(None), BatchScoring(n_animals)]
)
def test_scores_of_unpadded_targets_are_refused_with_what_to_use(callback, cohort):
    message = refusal(lr.DNNRuleEstimator(callbacks=[("score", callback)]), *cohort)
    assert re.fullmatch(
        r"callbacks has (Epoch|Batch)Scoring\(scoring=.*\), but the y of a net are padded "
        r"sequences: use EpochScoring with a function of \(net, dataset, y\)\.",
        message,
    )


# -------------------------------------------------------------- splitters and transformers


@pytest.mark.parametrize("wrong", [{"n_splits": 0}, {"n_splits": 2.5}, {"shuffle": "no"}])
def test_a_splitter_refuses_what_it_cannot_split_by(wrong):
    with pytest.raises(
        (ValueError, TypeError), match="n_splits=2 or more|folds must be|shuffle must"
    ):
        lr.SubjectKFold(**wrong)


def test_transformers_take_numpys_numbers(cohort):
    X, _ = cohort
    expected = lr.TanhContrast(2.0).fit_transform(X)
    pd.testing.assert_frame_equal(lr.TanhContrast(np.float32(2)).fit_transform(X), expected)
    assert len(lr.PolicyRegressors(win_stay=np.False_).fit_transform(X).columns) == 5
