"""scikit-learn's callbacks (1.9 and later) are told of each member's training and of its epochs."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

sklearn_callback = pytest.importorskip("sklearn.callback")
pytestmark = BRIEFLY_TRAINED

QUICK = {"hidden_sizes": (4,), "lr": 0.01, "mirror": False, "random_state": 0}
PAIR = lr.DNNRuleEstimator(n_ensemble=2, max_epochs=3, **QUICK)
ALONE = lr.DNNRuleEstimator(n_ensemble=1, max_epochs=4, **QUICK)
GRU = lr.ChoiceRNNClassifier(
    memory_size=3, n_ensemble=1, max_epochs=3, mirror=False, random_state=0
)
REINFORCE = lr.ReinforceRuleEstimator()


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 100, random_state=0))[:2]


class Recorder:
    """Notes what it is told, and ends or spoils the fit at one task's end."""

    def __init__(self, at=None, action=None):
        self.at, self.action = at, action
        self.told = []
        self.lock = threading.Lock()

    def note(self, event, context, **kwargs):
        path = []
        while context is not None:
            path.insert(0, (context.task_name, context.task_id))
            context = context.parent
        with self.lock:
            self.told.append((event, tuple(path), kwargs))
        return path

    def setup(self, estimator, context):
        self.note("setup", context)

    def teardown(self, estimator, context):
        self.note("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        if context.parent is None:
            self.n_announced = context.max_subtasks
        self.note("begin", context, X=X, y=y, metadata=metadata)

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        path = self.note("end", context, fitted=fitted_estimator)
        return self.action() if path[-1] == self.at else False

    def paths(self, event, name):
        return [path for told, path, _ in self.told if told == event and path[-1][0] == name]

    def fitted(self, name):
        return [
            kwargs["fitted"]
            for event, path, kwargs in self.told
            if event == "end" and path[-1][0] == name
        ]


class Spreading(Recorder):
    """A recorder that is handed on to what an estimator wraps."""

    max_propagation_depth = None


def watched(estimator, recorder):
    return clone(estimator).set_callbacks(recorder)


def test_every_epoch_of_every_member_is_told_when_it_begins_and_ends(cohort):
    recorder = Recorder()
    watched(PAIR, recorder).fit(*cohort)
    root = ("fit", 0)
    for event in ("begin", "end"):
        assert recorder.paths(event, "fit") == [(root,)]
        trainings = recorder.paths(event, "training")
        assert sorted(trainings) == [(root, ("training", m)) for m in (0, 1)]
        for training in trainings:  # which may be side by side
            epochs = [path for path in recorder.paths(event, "epoch") if path[:2] == training]
            assert [path[-1] for path in epochs] == [("epoch", k) for k in range(3)]
    events = [event for event, *_ in recorder.told]
    assert (events[0], events[-1]) == ("setup", "teardown") and events.count("teardown") == 1


def test_trainings_are_as_many_as_were_announced(cohort):
    recorder, announced = Recorder(), []
    monitored = watched(lr.QLearningRuleEstimator(n_init=3, warm_start=True), recorder)
    for _ in range(2):  # the second time from where the first one ended
        recorder.told.clear()
        monitored.fit(*cohort)
        announced.append((recorder.n_announced, len(recorder.paths("begin", "training"))))
    assert announced == [(3, 3), (1, 1)]


def test_whoever_looks_on_changes_nothing(cohort):
    X, y = cohort
    for estimator in (PAIR, REINFORCE):
        alone = clone(estimator).fit(X, y)
        np.testing.assert_array_equal(
            watched(estimator, Recorder()).fit(X, y).predict_proba(X), alone.predict_proba(X)
        )


def test_callbacks_are_given_what_fit_was_given(cohort):
    X, y = cohort
    recorder, weight = Recorder(), np.ones(len(y))
    watched(REINFORCE, recorder).fit(X, y, sample_weight=weight)
    given = [kwargs for event, _, kwargs in recorder.told if event == "begin"]
    assert len(given) > 3
    assert all(kwargs["X"] is X and kwargs["y"] is y for kwargs in given)
    assert all(kwargs["metadata"]["sample_weight"] is weight for kwargs in given)


@pytest.mark.parametrize(
    "estimator",
    [REINFORCE, ALONE, clone(ALONE).set_params(average=False), GRU],
    ids=["REINFORCE", "DNN", "DNN, last step", "GRU"],
)
def test_an_epochs_estimator_is_what_a_fit_of_so_many_epochs_is(cohort, estimator):
    X, y = cohort
    recorder = Recorder()
    fit = watched(estimator, recorder).fit(X, y)
    epochs = recorder.fitted("epoch")
    assert len(epochs) == fit.n_iter_
    for k, so_far in enumerate(epochs, 1):
        shorter = clone(estimator).set_params(max_epochs=k).fit(X, y)
        np.testing.assert_array_equal(so_far.predict_proba(X), shorter.predict_proba(X))
        assert so_far.n_iter_ == k
    for whole in (*recorder.fitted("training"), *recorder.fitted("fit")):
        np.testing.assert_array_equal(whole.predict_proba(X), fit.predict_proba(X))


def test_a_members_estimator_is_that_member_alone(cohort):
    X, y = cohort
    recorder = Recorder()
    fit = watched(PAIR, recorder).fit(X, y)
    logits = [member.decision_function(X) for member in recorder.fitted("training")]
    np.testing.assert_allclose(np.mean(logits, 0), fit.decision_function(X), atol=1e-6)


def test_a_callback_may_end_a_training(cohort):
    stops = Recorder(("epoch", 1), lambda: True)
    assert watched(ALONE, stops).fit(*cohort).n_iter_ == 2


def test_early_stopping_is_told_as_a_search_before_the_training(cohort):
    recorder = Recorder()
    watched(clone(ALONE).set_params(early_stopping=True), recorder).fit(*cohort)
    stages = [path[-1] for event, path, _ in recorder.told if event == "begin" and len(path) == 2]
    assert stages == [("search", 0), ("training", 1)]
    assert len(recorder.paths("end", "epoch")) > 4


def test_a_callback_that_fails_leaves_the_estimator_as_it_was(cohort):
    def fail():
        raise RuntimeError("I am tired")

    recorder = Recorder(("epoch", 1), fail)
    fit = watched(PAIR, recorder)
    before = dict(vars(fit))
    with pytest.raises(RuntimeError, match="I am tired"):
        fit.fit(*cohort)
    assert vars(fit) == before
    assert [event for event, *_ in recorder.told].count("teardown") == 1


class Spoil(Callback):
    """Loses the first network in its second epoch."""

    def __init__(self, lost=()):
        self.lost = lost

    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2 and not self.lost:
            self.lost = [True]
            net.module_.rule.rule.scale.data.fill_(torch.nan)


def test_a_network_that_is_trained_anew_is_told_of_each_epoch_once(cohort):
    recorder = Recorder()
    lost_once = watched(ALONE, recorder).set_params(max_epochs=6, callbacks=[Spoil()])
    with pytest.warns(ConvergenceWarning, match="is fitted anew from another start"):
        lost_once.fit(*cohort)
    for event in ("begin", "end"):
        assert [path[-1][1] for path in recorder.paths(event, "epoch")] == [*range(6)]


def test_a_fit_keeps_nothing_of_what_was_told(cohort):
    fit = watched(ALONE, Recorder()).fit(*cohort)
    assert "teller" not in dict(fit.net_.callbacks_)
    assert not [name for name in vars(fit) if "context" in name or "ctx" in name]
    restored = pickle.loads(pickle.dumps(fit.set_callbacks()))
    np.testing.assert_array_equal(restored.predict_proba(cohort[0]), fit.predict_proba(cohort[0]))


# --------------------------------------------------------------------- inside of other estimators


def test_what_is_set_on_a_pipeline_hears_of_the_rules_epochs(cohort):
    recorder = Spreading()
    pipeline = make_pipeline(lr.TanhContrast(), clone(ALONE)).set_callbacks(recorder)
    with pytest.warns(UserWarning, match="TanhContrast does not support callbacks"):
        pipeline.fit(*cohort)
    epochs = recorder.paths("end", "epoch")
    assert len(epochs) == 4 and all(len(path) == 4 for path in epochs)


def test_what_is_set_on_a_search_hears_of_every_fold(cohort):
    recorder = Spreading()
    grid = {"hidden_sizes": [(), (3,)]}
    GridSearchCV(ALONE, grid, cv=lr.SubjectKFold(2)).set_callbacks(recorder).fit(*cohort)
    assert len(recorder.paths("end", "epoch")) == 4 * (2 * 2 + 1)  # and the best, on all


def test_the_progress_bar_of_scikit_learn_shows_members_and_epochs(cohort, capsys):
    pytest.importorskip("rich")
    watched(PAIR, sklearn_callback.ProgressBar()).fit(*cohort)
    shown = capsys.readouterr().out
    assert "DNNRuleEstimator - fit" in shown and "100%" in shown
    assert all(f"DNNRuleEstimator - training #{member}" in shown for member in (0, 1))


def test_a_callback_of_scikit_learns_is_no_parameter_and_where_it_goes_is_told(cohort):
    with pytest.raises(ValueError, match="set_callbacks takes scikit-learn's"):
        clone(ALONE).set_params(callbacks=[sklearn_callback.ProgressBar()]).fit(*cohort)


def test_scikit_learns_monitor_has_the_score_after_every_epoch(cohort):
    X, y = cohort
    monitor = sklearn_callback.ScoringMonitor(scoring="neg_log_loss")
    fit = watched(REINFORCE, monitor).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    scores = log.loc[log["task_name"] == "epoch", "neg_log_loss"].to_numpy()
    assert len(scores) == fit.n_iter_ and (np.diff(scores) > -1e-6).all()
    assert scores[-1] == pytest.approx(fit.score(X, y), abs=1e-9)
