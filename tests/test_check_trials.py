"""check_trials: what a loader must return, and one sentence for each fault."""

import re

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.data import TRIALS, check_trials
from sklearn_learnrule.datasets import make_learning_cohort

COHORT = make_learning_cohort(3, 60, random_state=0)


@pytest.mark.parametrize("convert", [lambda table: table, pl.from_pandas, pa.Table.from_pandas])
def test_a_good_table_of_any_library_comes_back_as_one_of_pandas(convert):
    assert_frame_equal(check_trials(convert(COHORT)), COHORT)
    assert_frame_equal(check_trials(convert(COHORT), stimulus=["stimulus", "contrast"]), COHORT)


@pytest.mark.parametrize("name", ["subject", "session", "stimulus", "choice", "reward"])
def test_a_column_of_the_schema_that_is_not_there_is_named(name):
    assert name in TRIALS.names()
    message = (
        "A table of trials should have the columns 'subject', 'session', 'stimulus', 'choice' and "
        f"'reward', but has no {name!r} (sklearn_learnrule.data.TRIALS.describe() says what each "
        "is)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_trials(COHORT.drop(columns=name))


def test_the_answer_may_be_absent_and_is_checked_where_it_is_there():
    check_trials(COHORT.drop(columns="answer"))
    with pytest.raises(ValueError, match="Column 'answer' should hold the labels of the choices"):
        check_trials(COHORT.assign(answer="up"))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda t: t.assign(reward=np.nan), "Column 'reward' is missing (NaN) on every trial"),
        (lambda t: t.assign(stimulus="50%"), "Column 'stimulus' should be numeric, but has '50%'"),
        (lambda t: t.iloc[::2].assign(choice="left"), "Choices need at least two classes"),
        (lambda t: t.iloc[::-1], "Sessions should be in temporal order"),
        (lambda t: t.sort_values("stimulus"), "The trials of a subject should stand together"),
    ],
)
def test_what_make_design_refuses_is_refused(broken, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_trials(broken(make_learning_cohort(2, 60, session_length=20, random_state=0)))


def test_trial_times_should_rise():
    onset = COHORT.groupby(["subject", "session"]).cumcount()
    check_trials(COHORT.assign(onset=onset), trial="onset")
    with pytest.raises(ValueError, match="Column 'onset' should rise within a session"):
        check_trials(COHORT.assign(onset=-onset), trial="onset")


# -------------------------------------------------------------------------------------- signs


def fault(share, others=""):
    return (
        r"^The stimulus should be positive where 'right' is correct and negative where 'left' is, "
        rf"but on {share} of the trials of subject 'mouse_0.'{others} it is the other way round\. "
        r"Turn its sign, trials\['stimulus'\] \*= -1, or name the choices the other way round \(in "
        r"from_files and from_nwb, choices=\('right', 'left'\)\)\.$"
    )


@pytest.mark.parametrize("columns", [[], ["answer"]])
def test_a_stimulus_of_the_wrong_sign_is_told(columns):
    turned = COHORT.assign(stimulus=-COHORT["stimulus"]).drop(columns=columns)
    with pytest.warns(UserWarning, match=fault("100%", r" \(and 2 more\)")) as caught:
        check_trials(turned)
    assert caught[0].filename == __file__


def test_one_animal_of_the_wrong_sign_is_enough():
    of_one = COHORT["subject"] == "mouse_02"
    turned = COHORT.assign(stimulus=COHORT["stimulus"].mask(of_one, -COHORT["stimulus"]))
    with pytest.warns(UserWarning, match=fault("100%")):
        check_trials(turned)


@pytest.mark.parametrize(
    "columns",
    [
        {"stimulus": COHORT["stimulus"].clip(lower=0), "answer": "right"},  # one side is correct
        {"stimulus": 1 + COHORT["stimulus"]},  # of one sign, but its size tells the side
        {"stimulus": 0.0},
        {"stimulus": np.random.RandomState(0).randn(len(COHORT))},  # that tells nothing
        {"choice": 1 * (COHORT["choice"] == "right"), "answer": 1 * (COHORT["answer"] == "right")},
    ],
)
def test_a_stimulus_without_sides_and_labels_of_any_kind_are_no_fault(columns):
    check_trials(COHORT.assign(**columns))
    lr.make_design(COHORT.assign(**columns).drop(columns="answer"))


@pytest.mark.parametrize("columns", [[], ["answer"]])
@pytest.mark.parametrize(("turn", "sign"), [(1, "negative"), (-1, "positive")])
def test_a_stimulus_of_one_sign_is_told_where_both_sides_are_correct(turn, sign, columns):
    message = f"^No stimulus is {sign}, though 'left' and 'right' are correct in turn: if the side"
    for size in (COHORT["stimulus"].abs(), 1.0):
        with pytest.warns(UserWarning, match=message) as caught:
            check_trials(COHORT.assign(stimulus=turn * size).drop(columns=columns))
        assert caught[0].filename == __file__


def test_several_stimuli_may_have_any_sign():
    sides = {"left": COHORT["stimulus"].clip(upper=0), "right": -COHORT["stimulus"].clip(lower=0)}
    check_trials(COHORT.assign(**sides), stimulus=list(sides))
