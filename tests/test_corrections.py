"""Experiments that answer errors: twins are given answers to their own."""

import re

import numpy as np
import pytest
from helpers import CoinTask
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.simulation import BiasCorrection, predictive_check, simulate

AS_IT_WAS = BiasCorrection(std=None)
EASY = 0.9


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(6, 300, session_length=60, random_state=0)


@pytest.fixture(scope="module")
def static(trials):
    """A rule that does not learn, of animals with biases of their own."""
    X, y, _ = lr.make_design(trials)
    noise = {"process_noise": 0.0, "session_noise": 0.0, "initial_std": [0.0, 2.0]}
    return lr.ConstantRuleEstimator(**noise).fit(X, y)


def with_before(table):
    """The table's trials that have one before in their session, and what that was."""
    before = table.groupby(["subject", "session"]).shift()
    table = table.assign(
        size=table["stimulus"].abs(),
        before=before["stimulus"],
        size_before=before["stimulus"].abs(),
        erred=before["choice"] != before["answer"],
    )
    return table[before["choice"].notna()]


def test_an_error_at_an_easy_stimulus_brings_one_of_its_size(trials, static):
    twins = simulate(static, trials, 5, correction=BiasCorrection(EASY), random_state=0)
    again = with_before(twins).query("erred and size_before >= @EASY")
    assert len(again) > 1000
    np.testing.assert_allclose(again["size"], again["size_before"])
    others = with_before(twins).query("not (erred and size_before >= @EASY)")
    assert (others["size"] == others["size_before"]).mean() < 0.5
    assert ((twins["answer"] == "right") == (twins["stimulus"] > 0)).all()


def test_it_is_on_the_side_that_was_chosen_less_of_late_in_the_session(trials, static):
    """Without a deviation, always; with one, as often as a normal deviate says."""
    for std in (0.0, 0.5):
        correction = BiasCorrection(window=4, std=std)
        twins = simulate(static, trials, 20, correction=correction, random_state=0)
        right = (twins["choice"] == "right").astype(float)
        recent = right.groupby([twins["subject"], twins["session"]]).rolling(4, min_periods=1)
        twins["share"] = recent.mean().droplevel([0, 1]).groupby(twins["subject"]).shift()
        again = with_before(twins).query("erred")
        of_right = (again["stimulus"] > 0).groupby(again["share"]).mean()
        if not std:
            assert of_right[[0.0, 0.25, 0.75, 1.0]].tolist() == [1.0, 1.0, 0.0, 0.0]
        else:
            expected = [0.841, 0.691, 0.5, 0.309, 0.159]  # of Phi((1/2 - share) / std)
            np.testing.assert_allclose(of_right[[0, 0.25, 0.5, 0.75, 1]], expected, atol=0.03)


def test_or_the_same_stimulus_comes_until_the_choice_is_correct(trials, static):
    twins = simulate(static, trials, 5, correction=AS_IT_WAS, random_state=0)
    again = with_before(twins).query("erred")
    np.testing.assert_array_equal(again["stimulus"], again["before"])


def test_where_no_error_came_before_twins_see_what_animals_saw_without_corrections(trials, static):
    twins = simulate(static, trials, correction=AS_IT_WAS, random_state=0)
    was_correction = trials.index.isin(with_before(trials).query("erred").index)
    own = with_before(twins).query("not erred")
    same = own["stimulus"] == trials.loc[own.index, "stimulus"]
    assert same[~was_correction[own.index]].all()
    replaced = own[was_correction[own.index]]
    fresh = trials[~was_correction].groupby(["subject", "session"])["stimulus"].apply(set)
    for name, stimuli in replaced.groupby(["twin_of", "session"])["stimulus"]:
        assert set(stimuli) <= fresh[name]


def test_of_a_design_and_its_table_corrections_are_one(trials, static):
    X, _, _ = lr.make_design(trials, answer="answer")
    rule = lr.ConstantRuleEstimator().fit(X, trials["choice"])
    told = trials[trials.groupby("subject").cumcount(ascending=False) > 0]
    of_design, of_table = (
        simulate(rule, stimuli, correction=AS_IT_WAS, random_state=0) for stimuli in (X, told)
    )
    assert_frame_equal(of_design, of_table)


def test_a_replay_warns_where_stimuli_seem_to_have_answered_errors(trials, static):
    animals = simulate(static, trials, correction=BiasCorrection(EASY), random_state=1)
    animals = animals.drop(columns="twin_of")
    message = (
        r"Stimuli came again after \d\d% of the animals' errors, but after \d\d% of their other"
    )
    for stimuli in (animals, lr.make_design(animals)[0]):
        with pytest.warns(UserWarning, match=message):
            simulate(static, stimuli, random_state=0)


@pytest.mark.filterwarnings("ignore:Stimuli came again")
def test_replays_overrate_twins_where_the_experiment_corrected_biases_and_corrections_do_not(
    trials, static
):
    """Animals that are twins themselves, so that nothing but the stimuli can differ."""
    correction = BiasCorrection(EASY)
    animals = simulate(static, trials, 5, correction=correction, random_state=1)
    X, y, _ = lr.make_design(animals.drop(columns="twin_of"))
    how = {"by": 1000, "n_simulations": 20, "random_state": 0}
    replay, corrected = (
        predictive_check(static, X, y, correction=given, **how).set_index("statistic")
        for given in (None, correction)
    )
    accuracy = replay.loc["accuracy"]
    assert accuracy["observed"] < accuracy["lower"] - 0.05
    assert corrected.loc["accuracy", "share_below"] == pytest.approx(0.5, abs=0.45)
    assert corrected.loc["slope_stimulus", "share_below"] == pytest.approx(0.5, abs=0.48)


@pytest.mark.parametrize(
    ("change", "correction", "message"),
    [
        (lambda t: t.drop(columns="choice"), AS_IT_WAS, "A correction needs a column 'choice', "),
        (lambda t: CoinTask, AS_IT_WAS, "correction is for tables of stimuli: a task answers"),
        (lambda t: t, BiasCorrection(easy=-1.0), "easy == -1.0, must be >= 0."),
        (lambda t: t, BiasCorrection(window=0), "window == 0, must be >= 1."),
        (lambda t: t, BiasCorrection(std=-0.5), "std == -0.5, must be >= 0."),
    ],
)
def test_what_cannot_be_corrected_is_refused(change, correction, message, trials, static):
    stimuli = change(trials)
    options = {"n_trials": 10} if stimuli is CoinTask else {}
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(static, stimuli, correction=correction, **options)


def test_sides_of_several_stimulus_columns_are_not_changed(trials):
    table = trials.assign(tone=1.0)
    X, y, _ = lr.make_design(table, stimulus=["stimulus", "tone"], answer="answer")
    rule = lr.ConstantRuleEstimator().fit(X, y)
    message = "needs one stimulus column, below 0 on the left and above on the right, and two"
    with pytest.raises(ValueError, match=message):
        simulate(rule, X, correction=BiasCorrection())
    assert len(simulate(rule, X, correction=AS_IT_WAS, random_state=0)) == len(X) - 6
