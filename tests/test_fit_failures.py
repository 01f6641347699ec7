"""A fit that went wrong never looks like one that went right."""

from __future__ import annotations

import signal
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

NETWORK = {"max_epochs": 30, "n_ensemble": 1, "random_state": 0, "hidden_sizes": (4,)}
NETWORK |= {"mirror": False, "lr": 0.01}
DNN = lr.DNNRuleEstimator(**NETWORK)


@pytest.fixture(scope="module")
def design():
    X, y, _ = lr.make_design(make_learning_cohort(4, 150, random_state=0))
    return X, y


class AtEpoch(Callback):
    """Does something in a training's epoch, counted over all trainings."""

    def __init__(self, epochs, action):
        self.epochs, self.action, self.n_epochs_ = epochs, action, 0

    def __deepcopy__(self, memo):
        return self  # the estimator copies its callbacks for each training

    def on_epoch_begin(self, net, **kwargs):
        self.n_epochs_ += 1
        if self.n_epochs_ in self.epochs:
            self.action(net)


def raise_ctrl_c(net):
    signal.raise_signal(signal.SIGINT)


def spoil(net):
    net.module_.rule.rule.scale.data.fill_(torch.nan)


def with_callback(estimator, epochs, action):
    return clone(estimator).set_params(callbacks=[AtEpoch(epochs, action)])


# ------------------------------------------------------------------------ fits that fail say so


def test_a_training_that_goes_astray_is_worse_than_a_coin_and_says_so(design):
    wild = lr.RNNRuleEstimator(memory_size=4, **NETWORK | {"lr": 10.0, "gradient_clip_value": 1e9})
    with pytest.warns(ConvergenceWarning, match="worse than chance does .* Lower lr"):
        wild.fit(*design)


def test_a_warning_names_the_line_that_asked_for_the_fit(design):
    early = clone(DNN).set_params(max_epochs=1, lr=1e-9)
    with pytest.warns(ConvergenceWarning) as caught:
        clone(early).fit(*design)
        cross_validate(make_pipeline(early), *design, cv=lr.SubjectKFold(2))
    assert [warning.filename for warning in caught] == 3 * [__file__]


def test_a_training_that_ends_too_early_is_worse_than_no_learning_and_says_so(design):
    early = clone(DNN).set_params(max_epochs=1, lr=1e-9)
    with pytest.warns(ConvergenceWarning, match="worse than a policy that never changes .* Raise"):
        early.fit(*design)


def test_weights_that_grow_without_end_are_told(design):
    X, _ = design
    y = np.where(X["stimulus"] > 0, "right", "left")  # which the stimulus predicts without error
    X = X.assign(previous_choice=0.0)
    trial = X.index.get_level_values("trial")
    X.loc[trial > 0, "previous_choice"] = np.where(y == "right", 1.0, -1.0)[:-1][trial[1:] > 0]
    wild = clone(DNN).set_params(lr=0.02, max_epochs=140)
    with pytest.warns(ConvergenceWarning, match="certain of choices beyond all sense"):
        wild.fit(X, y)


def test_a_weight_of_nan_is_never_turned_into_a_choice(design):
    X, y = design
    fitted = lr.QLearningRuleEstimator().fit(X, y)
    with torch.no_grad():
        fitted.net_.module_.rule.rule.root_learning_rate.fill_(torch.nan)
    for method in (fitted.predict, fitted.predict_proba, fitted.decision_function):
        with pytest.raises(FloatingPointError, match="cannot predict subject 'mouse_01' from tri"):
            method(X)


# -------------------------------------------------------------- steps and networks that are lost


def test_a_step_that_is_not_finite_is_not_taken(design):
    losses = []

    def poison(net):  # the gradient of one epoch
        handle = net.module_.rule.rule.scale.register_hook(lambda gradient: gradient * torch.nan)
        losses.append(handle)

    fitted = with_callback(DNN.set_params(batch_size=-1), [3], poison)
    fitted.callbacks[0].on_epoch_end = lambda net, **kwargs: [h.remove() for h in losses]
    fitted.fit(*design)
    assert fitted.n_iter_ == 30 and np.isfinite(fitted.score(*design))


def test_a_training_that_ends_in_nan_is_no_fit(design):
    short = clone(DNN).set_params(lr=1e8, max_epochs=3)
    with (
        pytest.warns(ConvergenceWarning, match="fitted anew"),
        pytest.raises(FloatingPointError, match="the loss is nan at epoch 3"),
    ):
        short.fit(*design)
    with pytest.raises(FloatingPointError, match="the loss is nan at epoch 3"):
        with_callback(clone(DNN).set_params(max_epochs=3, warm_start=True), [1], spoil).fit(*design)


def test_a_network_that_is_lost_is_fitted_anew_from_another_start(design):
    lost_once = with_callback(DNN, [3], spoil)
    with pytest.warns(ConvergenceWarning, match="^DNNRuleEstimator is fitted anew .* loss"):
        lost_once.fit(*design)
    assert np.isfinite(lost_once.score(*design))
    always_lost = with_callback(DNN, range(100), spoil)
    with (
        pytest.warns(ConvergenceWarning, match="fitted anew"),
        pytest.raises(FloatingPointError, match="Training diverged: the loss is nan at epoch 4"),
    ):
        always_lost.fit(*design)


# ------------------------------------------------------------------------- all or nothing


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(design):
    X, y = design
    fitted = clone(DNN).fit(X, y)
    before, score = dict(vars(fitted)), fitted.score(X, y)
    swapped = y.map({"left": "b", "right": "a"})
    with pytest.raises(ValueError, match="previous_choice should be the choice before"):
        fitted.fit(X, swapped)
    assert vars(fitted) == before and fitted.score(X, y) == score
    unfitted = clone(DNN)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        unfitted.fit(X, y, sample_weight=np.zeros(len(y)))
    assert not [name for name in vars(unfitted) if name.endswith("_")]


@pytest.fixture
def handler():
    """Python's own way with Ctrl-C, which a runner of tests may have changed."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_a_fitted_estimator_predicts_by_what_was_fitted_whatever_is_set_afterwards(design):
    X, y = design
    fitted = lr.ConstantRuleEstimator(lapses=0.1, process_noise=0.05).fit(X, y)
    before = fitted.decision_function(X), fitted.predict_weights(X, return_std=True)[1]
    fitted.set_params(lapses=None, process_noise=None)
    assert_array_equal(fitted.decision_function(X), before[0])
    assert_array_equal(fitted.predict_weights(X, return_std=True)[1], before[1])
    plain = fitted.fit(X, y)
    assert not hasattr(plain, "lapse_rates_") and not hasattr(plain, "process_noise_")
    assert_array_equal(plain.set_params(lapses=0.1).predict(X), plain.predict(X))


def test_a_warm_start_keeps_what_is_given_now(design):
    X, y = design
    warm = lr.ReinforceRuleEstimator(baseline=None, lapses=0.01, warm_start=True).fit(X, y)
    warm.set_params(lapses=0.2).fit(X, y)
    assert_allclose(warm.lapse_rates_, 0.2, rtol=1e-6)
    assert warm.score(X, y) == pytest.approx(clone(warm).fit(X, y).score(X, y), abs=1e-5)


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_ctrl_c_ends_a_fit_and_all_that_fits(design, n_jobs, handler):
    X, y = design
    interrupted = with_callback(DNN, [3], raise_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X, y)
    assert not hasattr(interrupted, "net_") and signal.getsignal(signal.SIGINT) is handler
    rules = {"DNN": with_callback(DNN, [3], raise_ctrl_c)}
    with pytest.raises(KeyboardInterrupt):
        lr.compare_rules(rules, X, y, cv=2, n_jobs=n_jobs, verbose=0)


def test_a_handler_that_takes_ctrl_c_for_itself_keeps_the_fit(design, handler):
    taken = []
    signal.signal(signal.SIGINT, lambda number, frame: taken.append(number))
    fitted = with_callback(DNN, [3], raise_ctrl_c).fit(*design)
    assert taken == [signal.SIGINT] and fitted.n_iter_ == 30


def test_a_callback_may_still_end_a_training_early(design):
    def end(net):
        raise KeyboardInterrupt  # as skorch's own early stopping does

    stopped = with_callback(DNN, [20], end).fit(*design)
    assert stopped.n_iter_ == 20


# ----------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_the_same_seed_gives_the_same_fit_on_every_backend(design, backend):
    X, y = design
    estimators = [clone(DNN).set_params(max_epochs=3, random_state=seed) for seed in (0, 1, 0, 1)]
    expected = [estimator.fit(X, y).score(X, y) for estimator in estimators[:2]]
    before = torch.get_rng_state()
    with joblib.parallel_config(backend=backend):
        fits = joblib.Parallel(2)(joblib.delayed(clone(e).fit)(X, y) for e in estimators)
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal([fit.score(X, y) for fit in fits], expected * 2)


def test_fits_in_threads_leave_the_filters_of_warnings_as_they_were(design):
    before = list(warnings.filters)
    constant = lr.ConstantRuleEstimator()
    joblib.Parallel(4, backend="threading")(
        joblib.delayed(clone(constant).fit)(*design) for _ in range(16)
    )
    assert warnings.filters == before


def test_fits_in_threads_neither_change_nor_read_the_callers_generator(design):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    alone = clone(DNN).fit(*design).score(*design)
    threads = [threading.Thread(target=clone(DNN).fit, args=design) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.rand(3), expected)
    assert clone(DNN).fit(*design).score(*design) == alone


# ----------------------------------------------------------------------------- weights


@pytest.mark.parametrize("unit", [1e-300, 1e-12, 7.0, 1e308])
@pytest.mark.parametrize("estimator", [lr.ReinforceRuleEstimator(), DNN], ids=["REINFORCE", "DNN"])
def test_only_the_ratios_of_weights_matter(design, estimator, unit):
    X, y = design
    weight = np.where(X.index.get_level_values("trial") > 20, 1.0, 0.5)
    usual = clone(estimator).fit(X, y, weight)
    unusual = clone(estimator).fit(X, y, weight * unit)
    assert_allclose(unusual.decision_function(X), usual.decision_function(X), atol=1e-5)
    assert_allclose(usual.score(X, y, weight * unit), usual.score(X, y, weight), rtol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.nan, "sample_weight contains NaN"),
        (-1.0, "Negative values in data passed to `sample_weight`"),
        (0.0, "at least one non-zero number"),
    ],
)
def test_wrong_weights_are_refused_in_fitting_and_in_scoring(design, wrong, message):
    X, y = design
    fitted = lr.ConstantRuleEstimator().fit(X, y)
    for method in (clone(fitted).fit, fitted.score):
        with pytest.raises(ValueError, match=message):
            method(X, y, sample_weight=np.full(len(y), wrong))


# ------------------------------------------------------------------ held out for early stopping


@BRIEFLY_TRAINED
def test_early_stopping_holds_out_animals_that_are_scored(design):
    X, y = design
    subject = X.index.get_level_values("subject")
    scored = subject.isin(["mouse_02", "mouse_03"])
    searching = clone(DNN).set_params(early_stopping=True, n_iter_no_change=5)
    for seed in range(4):
        fitted = searching.set_params(random_state=seed).fit(X, y, scored.astype(float))
        assert (np.array(fitted.net_.stopping_history[:, "valid_loss"]) > 0.1).all()
    with pytest.raises(ValueError, match="holds scored subjects out and needs at least 2, got 1"):
        searching.fit(X, y, (subject == "mouse_02").astype(float))


# ----------------------------------------------------------------------------- memory


def test_padding_grows_with_rows_whatever_the_lengths():
    """One animal of 2,000 trials among forty of 20 pads none of these to 2,000."""
    long = make_learning_cohort(1, 2000, length_spread=0, random_state=0)
    short = make_learning_cohort(40, 20, length_spread=0, random_state=1)
    X, y, _ = lr.make_design(pd.concat([short.assign(subject="short_" + short["subject"]), long]))
    fitted = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    dataset = fitted._dataset(fitted.read_sequences(X))
    assert sum(block.trials.choice.numel() for block in dataset.blocks) <= 2 * len(y)

    subject = X.index.get_level_values("subject")
    alone = [fitted.predict_proba(X[subject == name]) for name in subject.unique()]
    assert_array_equal(fitted.predict_proba(X), np.concatenate(alone))
    order = np.argsort(X.index.get_level_values("trial"), kind="stable")  # subjects interleaved
    assert_array_equal(fitted.predict_proba(X.iloc[order]), fitted.predict_proba(X)[order])
