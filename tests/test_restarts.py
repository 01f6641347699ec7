"""Learning that begins anew, in a block or a session, while the animal stays one."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name, make_blocks_cohort
from pandas.testing import assert_frame_equal
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule import inspection
from sklearn_learnrule.data.check_sequences import KEEP_RESTARTS
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.model_selection import animal_learning_curve
from sklearn_learnrule.simulation import simulate
from sklearn_learnrule.training import optimization
from sklearn_learnrule.training.dataset import SequenceDataset

pytestmark = BRIEFLY_TRAINED

NAMES = ["subject", "session", "restart", "trial"]


@pytest.fixture(scope="module")
def trials():
    return make_blocks_cohort()


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, restart="block")[:2]


@pytest.fixture(scope="module")
def apart(trials):
    """The same trials, as if each block were learned by an animal of its own."""
    return lr.make_design(trials, subject=["subject", "block"])[:2]


# ------------------------------------------------------------------------- what X tells


def test_a_change_of_the_column_is_counted_in_the_index_and_forgets_history(trials, design):
    X, y = design
    plain, y_plain, _ = lr.make_design(trials)
    assert list(X.index.names) == NAMES
    restart = X.index.get_level_values("restart")
    assert restart.tolist() == pd.factorize(trials["block"])[0].tolist()
    assert_frame_equal(X.droplevel("restart")[["stimulus"]], plain[["stimulus"]])
    anew = pd.Series(restart).groupby(trials["subject"].to_numpy()).diff().fillna(1) > 0
    history = ["previous_choice", "previous_reward"]
    assert anew.sum() == 15
    assert (X.loc[anew.to_numpy(), history] == 0).all(axis=None)
    assert_frame_equal(
        X.droplevel("restart").loc[~anew.to_numpy(), history], plain.loc[~anew.to_numpy(), history]
    )
    assert y.tolist() == y_plain.tolist()


def test_a_return_to_an_earlier_value_is_one_more_restart():
    table = make_learning_cohort(1, 6, length_spread=0, random_state=0)
    table = table.assign(rule=[2.5, 2.5, 7.0, 2.5, 2.5, 7.0])
    X, _, _ = lr.make_design(table, restart=["rule"], answer="answer")
    assert X.index.get_level_values("restart").tolist() == [0, 0, 1, 2, 2, 3]
    assert (X.iloc[[0, 2, 3, 5], 1:] == 0).all(axis=None)


def test_several_columns_restart_where_any_changes():
    """Such as blocks that are numbered anew in each session."""
    table = make_learning_cohort(2, 6, length_spread=0, random_state=0)
    table = table.assign(session=[1, 1, 1, 2, 2, 2] * 2, block=[1, 2, 2, 2, 2, 3] * 2)
    X, _, _ = lr.make_design(table, restart=["session", "block"])
    assert X.index.get_level_values("restart").tolist() == [0, 1, 1, 2, 2, 3] * 2
    by_session, _, _ = lr.make_design(table, restart="session")
    assert by_session.index.get_level_values("restart").tolist() == [0, 0, 0, 1, 1, 1] * 2


def test_sequences_end_at_restarts_and_know_whose_they_are(design):
    X, _ = design
    sequences = read_sequences(X)
    assert sequences.lengths[:3].tolist() == [17, 23, len(X.loc["mouse_01"]) - 40]
    assert sequences.sequence_subject.tolist() == np.repeat(np.arange(5), 3).tolist()
    assert sequences.subjects.tolist() == [f"mouse_0{i}" for i in range(1, 6)]
    assert sequences.n_trials.tolist() == X.groupby("subject").size().tolist()
    assert sequences.padded.observed[0, :17].tolist() == [True] * 16 + [False]
    part, rows = sequences.some(np.array([4, 3, 9]))
    assert part.subjects.tolist() == ["mouse_02", "mouse_04"]
    assert part.sequence_subject.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(
        part.pad(X["stimulus"].to_numpy()[rows])[0, 0], X.loc["mouse_02"].iloc[17, 0]
    )


def test_rows_of_two_animals_may_be_mixed_and_identity_may_be_columns(design):
    X, y = design
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    mixed = X.sort_index(level="trial", sort_remaining=False)
    expected = rule.predict_weights(X).loc[mixed.index]
    assert_frame_equal(rule.predict_weights(mixed), expected)
    in_columns = lr.ReinforceRuleEstimator(baseline=None).fit(X.reset_index(), y.to_numpy())
    np.testing.assert_array_equal(in_columns.predict_proba(X.reset_index()), rule.predict_proba(X))


# ------------------------------------------------------------ learned anew, by one animal


@pytest.mark.parametrize("estimator", all_estimators(max_epochs=2), ids=estimator_name)
def test_a_stretch_is_predicted_as_if_by_another_animal(estimator, design, apart):
    fitted = clone(estimator).fit(*design)
    np.testing.assert_allclose(
        fitted.predict_proba(design[0]), fitted.predict_proba(apart[0]), rtol=1e-12
    )
    assert fitted.score(*design) == pytest.approx(fitted.score(*apart))


def test_the_choice_rnn_begins_anew_too(design, apart):
    rival = lr.ChoiceRNNClassifier(max_epochs=3, n_ensemble=1, mirror=False, random_state=0)
    rival.fit(*design)
    np.testing.assert_allclose(
        rival.predict_proba(design[0]), rival.predict_proba(apart[0]), rtol=1e-12
    )


@pytest.mark.parametrize(
    "estimator",
    [
        lr.ReinforceRuleEstimator(),
        lr.ReinforceRuleEstimator(process_noise=0.1, initial_std="learned"),
        lr.DNNRuleEstimator(
            hidden_sizes=(4,),
            max_epochs=3,
            batch_size=-1,
            n_ensemble=1,
            mirror=False,
            random_state=0,
        ),
    ],
    ids=["REINFORCE", "noise", "DNN"],
)
def test_stretches_are_fitted_as_animals_are(estimator, design, apart):
    one, other = (clone(estimator).fit(*d) for d in (design, apart))
    for a, b in zip(one.net_.module_.parameters(), other.net_.module_.parameters(), strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-6, atol=1e-8)


def test_smoothed_weights_know_nothing_of_other_stretches(design, apart):
    rule = lr.ReinforceRuleEstimator(baseline=None, process_noise=0.1).fit(*design)
    for one, other in zip(
        rule.smooth_weights(*design, return_std=True),
        rule.smooth_weights(*apart, return_std=True),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_parameters_are_found_again_from_animals_that_begin_anew():
    table = make_learning_cohort(60, 200, length_spread=0, random_state=0)
    group = table["subject"].factorize()[0] // 5  # five cohort's animals become stretches of one
    table = table.assign(
        block=table["subject"], subject=group, session=table["subject"].factorize()[0]
    )
    X, y, groups = lr.make_design(table, restart="block")
    assert groups.nunique() == 12
    rule = lr.ReinforceRuleEstimator(initial_weights="zeros", train_initial_weights=False).fit(X, y)
    np.testing.assert_allclose(rule.learning_rate_, 0.02, atol=0.006)
    np.testing.assert_allclose(rule.baseline_, -0.3, atol=0.3)


# ------------------------------------------------------------- the animal stays one


def test_robust_errors_are_of_animals_not_of_stretches(trials):
    """An animal that does all of it twice tells no more of how animals differ."""
    options = {"initial_weights": "zeros", "train_initial_weights": False, "baseline": None}
    once = lr.make_design(trials)[:2]
    table = pd.concat([trials.assign(time=1), trials.assign(time=2)])
    table = table.sort_values(["subject", "time"], kind="stable", ignore_index=True)
    session = table["session"] + 100 * table["time"]
    twice = lr.make_design(table.assign(session=session), restart="time")[:2]
    one, two = (lr.ReinforceRuleEstimator(**options).fit(*d).summary_ for d in (once, twice))
    known = one["note"] == ""
    assert known.any()
    np.testing.assert_allclose(
        two["robust_standard_error"][known], one["robust_standard_error"][known], rtol=1e-3
    )
    np.testing.assert_allclose(
        two["standard_error"][known], one["standard_error"][known] / np.sqrt(2), rtol=1e-3
    )


def dataset_of(design):
    X, y = design
    sequences = read_sequences(X)
    choice = (y == "right").to_numpy()
    options = {"dtype": torch.float64, "device": "cpu"}
    return SequenceDataset(sequences, choice=choice, weight=np.ones(len(X)), **options)


def test_minibatches_and_held_out_parts_are_of_animals(design):
    whole = dataset_of(design)
    assert len(whole) == 15
    assert whole.n_subjects == 5
    assert whole.scored_subjects.tolist() == [0, 1, 2, 3, 4]
    part = whole.subset(np.array([3, 1]))
    assert part.subject.tolist() == [0, 0, 0, 1, 1, 1]
    n_trials = read_sequences(design[0]).n_trials
    assert part.n_scored_trials == n_trials[[3, 1]].sum()
    assert part.lengths.tolist() == whole.lengths[[9, 10, 11, 3, 4, 5]].tolist()
    shares = [target.weight.sum() for target in part.targets_of(whole)]
    expected = n_trials[[3, 1]].sum() / n_trials.sum() * 5 / 2
    assert sum(shares).item() == pytest.approx(expected)
    both = part.with_mirror_images()
    assert both.subject.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert both.subset(np.array([2])).lengths.tolist() == part.lengths[:3].tolist()


def test_early_stopping_holds_whole_animals_out(design, monkeypatch):
    held = []

    def noting(dataset, fraction, seed):
        fitted, held_out = hold_out(dataset, fraction, seed)
        held.append((fitted.n_subjects, len(fitted), held_out.n_subjects, len(held_out)))
        return fitted, held_out

    hold_out = optimization._hold_out
    monkeypatch.setattr(optimization, "_hold_out", noting)
    options = {"max_epochs": 2, "n_ensemble": 1, "mirror": False, "random_state": 0}
    lr.DNNRuleEstimator(early_stopping=True, validation_fraction=0.4, **options).fit(*design)
    assert held == [(3, 9, 2, 6)]


def test_few_animals_are_few_however_often_they_begin_anew(design):
    X, y = design
    few = X.index.get_level_values("subject") < "mouse_04"
    rule = lr.ConstantRuleEstimator(process_noise="learned").fit(X[few], y[few])
    assert rule.first_weights_.shape == (9, 2)
    assert "not fitted to fewer than 5 subjects" in set(rule.summary_["note"])
    smoothed = rule.smooth_weights(X[few], y[few])
    starts = smoothed.groupby(["subject", "restart"]).first()
    np.testing.assert_allclose(np.sort(rule.first_weights_, 0), np.sort(starts, 0))
    more = lr.ConstantRuleEstimator(process_noise="learned").fit(X, y)
    assert not hasattr(more, "first_weights_")


def test_scores_are_of_animals(design):
    X, y = design
    rules = {"constant": lr.ConstantRuleEstimator()}
    for cv in (2, lr.FutureSplit(n_train=30), lr.MaskedTrials(n_splits=1, random_state=0)):
        scores = lr.compare_rules(rules, X, y, cv=cv, verbose=0)
        assert sorted(scores["subject"]) == sorted(X.index.unique("subject"))
    curve = animal_learning_curve(rules, X, y, cv=2, n_subjects=[1, 2], random_state=0, verbose=0)
    assert set(curve["n_subjects"]) == {1, 2}
    assert set(curve["subject"]) == set(X.index.unique("subject"))


def test_bootstraps_draw_whole_animals(design):
    X, y = design
    fits = inspection.bootstrap_fits(
        lr.ConstantRuleEstimator(), X, y, n_bootstraps=3, random_state=0, verbose=0
    )
    draws = np.random.RandomState(0).multinomial(5, np.full(5, 0.2), 3)
    whose = pd.factorize(X.index.get_level_values("subject"))[0]
    for fit, draw in zip(fits, draws, strict=True):
        expected = lr.ConstantRuleEstimator().fit(
            X[draw[whose] > 0], y[draw[whose] > 0], draw[whose][draw[whose] > 0]
        )
        np.testing.assert_allclose(fit.initial_weights_, expected.initial_weights_)


# ------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "restart", "text"),
    [
        (lambda t: t, "blok", "Column 'blok' is not in the table"),
        (lambda t: t, [], "restart should name a column, or several, got []."),
        (
            lambda t: t.assign(block=t["block"].where(t["block"] != "b")),
            "block",
            "Column 'block' is missing (NaN) on",
        ),
        (
            lambda t: t.assign(block=[("a", 1)] * len(t)),
            "block",
            "Column 'block' should hold text or numbers, but has ('a', 1) (row 0)",
        ),
    ],
)
def test_a_column_that_tells_no_restarts_is_refused(trials, change, restart, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        lr.make_design(change(trials), restart=restart)


def test_an_X_that_lost_its_restarts_or_their_order_is_refused(design):
    X, y = design
    rule = lr.ConstantRuleEstimator()
    lost = "previous_choice should be -1 or +1, but is 0 (subject 'mouse_01', trial 17, row 17). "
    with pytest.raises(ValueError, match=re.escape(lost + KEEP_RESTARTS)):
        rule.fit(X.droplevel("restart"), y)
    table = X.reset_index()
    comes_back = table.assign(restart=table["restart"] % 2)
    message = "but 0 comes back after another (subject 'mouse_01', row 40). Keep make_design's ind"
    with pytest.raises(ValueError, match=re.escape(message)):
        rule.fit(comes_back, y.to_numpy())
    leaks = table.assign(previous_reward=table["previous_reward"].where(table.index != 17, 1.0))
    message = "previous_reward should be 0 after a restart, but is 1 (subject 'mouse_01', trial 17"
    with pytest.raises(ValueError, match=re.escape(message)):
        rule.fit(leaks, y.to_numpy())
    missing = table.assign(restart=table["restart"].where(table.index != 3))
    with pytest.raises(ValueError, match=r"'restart' is missing \(NaN\) in X, first at row 3"):
        rule.fit(missing, y.to_numpy())
    with pytest.raises(ValueError, match=re.escape("Trials of a subject should be numbered 0, 1")):
        rule.fit(
            X[X.index.get_level_values("restart") > 0], y[X.index.get_level_values("restart") > 0]
        )


def test_a_stimulus_may_not_be_called_restart(trials):
    with pytest.raises(ValueError, match=r"stimulus should name .*'restart'.*; got \['restart'\]"):
        lr.make_design(trials.assign(restart=1.0), stimulus="restart")


def test_what_is_an_animals_own_holds_in_all_its_blocks():
    effects = {"learning_rate": [-100.0, 0.0, 1.0]}
    cohort = {"n_blocks": 3, "random_state": 0, "return_weights": True}
    trials, weights = make_learning_cohort(3, 90, subject_effects=effects, **cohort)
    farthest = weights["stimulus"].abs().groupby(["subject", "restart"]).max().unstack()
    assert (farthest.loc["mouse_01"] < 1e-12).all()
    assert (farthest.loc["mouse_02":] > 0.01).all(axis=None)
    assert (trials.groupby("subject")["block"].nunique() == 3).all()


def test_a_twins_own_numbers_hold_wherever_it_begins_anew(trials):
    rule = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
    rule.fit(*lr.make_design(trials)[:2])
    rule.net_.module_.effects.log_spread_before.fill_(1.0)  # so that none is like another
    X = lr.make_design(trials, restart="block")[0]
    twins, weights = simulate(rule, X, random_state=0, return_weights=True)
    logit = weights["bias"] + weights["stimulus"] * twins["stimulus"].to_numpy()
    surprise = (twins["choice"] == rule.classes_[1]).to_numpy() - 1 / (1 + np.exp(-logit))
    by = ["subject", "restart"]
    rate = -weights.groupby(by)["bias"].diff(-1)[twins["reward"].to_numpy() > 0] / surprise
    of_stretches = rate.dropna().groupby(by).agg(["min", "max"])
    of_animals = of_stretches.groupby("subject").agg({"min": "min", "max": "max"})
    assert (of_stretches.groupby("subject").size() == 3).all()
    np.testing.assert_allclose(of_animals["min"], of_animals["max"], rtol=1e-6)
    assert of_animals["min"].round(6).is_unique
