"""from_psytrack and to_psytrack: the dict that PsyTrack fits, both ways."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from loaded import COHORT, assert_is_ranked, assert_is_the_cohort, read_dict
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import from_psytrack, to_psytrack

D = {
    "name": "W053",
    "y": np.array([2.0, 1.0, 2.0, 1.0]),
    "answer": np.array([2, 2, 2, 1]),
    "correct": np.array([1.0, 0.0, 1.0, 1.0]),
    "dayLength": np.array([1, 3]),
    "inputs": {
        "s1": np.array([[0.5, 0.0], [1.2, 0.5], [-0.3, 1.2], [0.1, -0.3]]),
        "s2": np.array([0.1, 0.2, 0.3, 0.4]),
        "c": np.array([[0.0], [1.0], [-1.0], [1.0]]),
    },
}


def without(*names):
    return {name: value for name, value in D.items() if name not in names}


def test_a_dict_becomes_a_table(capsys):
    trials = from_psytrack(D, inputs=["s1", "s2"])
    assert capsys.readouterr().out == "2 sessions of 1 subject; trials: read 4, kept 4\n"
    assert list(trials) == ["subject", "session", "s1", "s2", "choice", "answer", "reward"]
    assert trials["session"].tolist() == [1, 2, 2, 2]
    assert trials["s1"].tolist() == [0.5, 1.2, -0.3, 0.1]
    assert trials["choice"].tolist() == [1, 0, 1, 0]
    assert trials["answer"].tolist() == [1, 1, 1, 0]
    assert trials["reward"].tolist() == [1.0, 0.0, 1.0, 1.0]
    X, _, _ = lr.make_design(trials, stimulus=["s1", "s2"])
    assert X["previous_choice"].tolist() == [0, 1, -1, 1]


def test_one_input_is_the_stimulus_and_either_code_of_choices_will_do():
    trials = from_psytrack(D, inputs="s1", verbose=False)
    from_0 = D | {"y": D["y"] - 1, "answer": D["answer"] - 1}
    assert_frame_equal(from_psytrack(from_0, inputs=["s1"], verbose=False), trials)
    assert trials["stimulus"].tolist() == [0.5, 1.2, -0.3, 0.1]
    lr.make_design(trials, answer="answer")


def test_weights_of_psytrack_say_how_many_columns_and_history_may_be_among_them():
    weights = {"bias": 1, "s1": 2, "s2": 1, "c": 1}
    trials = from_psytrack(D, inputs=weights)
    stimuli = ["s1", "s1_1", "s2", "c"]
    X, _, _ = lr.make_design(trials, stimulus=stimuli)
    assert list(X)[:4] == stimuli
    assert X["s1_1"].tolist()[1:] == X["s1"].tolist()[:-1]
    assert X["c"].tolist()[1:] == X["previous_choice"].tolist()[1:]


@pytest.mark.parametrize(
    ("names", "reward"),
    [
        ({"r": [3.0, 0.0, 2.0, 3.0]}, [3.0, 0.0, 2.0, 3.0]),
        ({}, [1.0, 0.0, 1.0, 1.0]),
        ({"correct": None}, [1.0, 0.0, 1.0, 1.0]),
    ],
)
def test_rewards_are_r_else_correct_else_whether_the_choice_was_the_answer(names, reward):
    told = {name: value for name, value in (D | names).items() if value is not None}
    assert from_psytrack(told, inputs="s1")["reward"].tolist() == reward


def test_trials_without_a_reward_are_dropped_and_said(capsys):
    from_psytrack(D | {"r": [1.0, np.nan, 1.0, 1.0]}, inputs="s1")
    assert capsys.readouterr().out == (
        "2 sessions of 1 subject; trials: read 4, no reward 1, kept 3\n"
    )


def test_booleans_are_choices_of_the_right_and_arrays_of_one_name_are_names():
    told = {"y": D["y"] == 2, "answer": D["answer"] == 2, "name": np.array("W053")}
    as_numbers = from_psytrack(D, inputs="s1", verbose=False)
    assert_frame_equal(from_psytrack(D | told, inputs="s1", verbose=False), as_numbers)


def test_days_without_trials_come_and_go():
    trials = from_psytrack(D | {"dayLength": [1, 0, 3]}, inputs="s1", verbose=False)
    assert trials["session"].tolist() == [1, 3, 3, 3]
    days = pd.Categorical(trials["session"], categories=[1, 2, 3])
    assert to_psytrack(trials.assign(session=days))["dayLength"].tolist() == [1, 3]


def test_without_the_lengths_of_days_there_is_one_session():
    assert from_psytrack(without("dayLength"), inputs="s1")["session"].tolist() == [1] * 4


# ------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("convert", [lambda table: table, pl.from_pandas, pa.Table.from_pandas])
def test_to_psytrack_and_back_is_the_same_cohort(convert):
    of_each = [to_psytrack(convert(table)) for _, table in COHORT.groupby("subject")]
    assert_is_the_cohort(from_psytrack(of_each, inputs="stimulus"), answer="answer")
    first = COHORT[COHORT["subject"] == "mouse_01"]
    made = of_each[0]
    assert made["name"] == "mouse_01" and made["dayLength"].sum() == len(first)
    np.testing.assert_array_equal(made["y"], 1 + (first["choice"] == "right"))
    np.testing.assert_array_equal(made["answer"], 1 + (first["answer"] == "right"))
    np.testing.assert_array_equal(made["correct"], first["choice"] == first["answer"])
    np.testing.assert_array_equal(made["inputs"]["stimulus"][:, 0], first["stimulus"])


def test_a_dict_of_psytrack_comes_back_as_it_was():
    back = to_psytrack(from_psytrack(D, inputs=["s1", "s2"]), stimulus=["s1", "s2"])
    for name in ("y", "answer", "correct", "dayLength"):
        np.testing.assert_array_equal(back[name], D[name])
    np.testing.assert_array_equal(back["inputs"]["s1"], D["inputs"]["s1"][:, :1])
    unanswered = from_psytrack(without("answer"), inputs="s1")
    assert sorted(to_psytrack(unanswered)) == ["dayLength", "inputs", "name", "r", "y"]


def test_several_animals_are_refused():
    message = (
        "PsyTrack fits one animal at a time, but the table has 2: give trials[trials['subject'] == "
        "'mouse_01']."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        to_psytrack(COHORT)


def test_more_than_two_choices_are_refused():
    table = COHORT[COHORT["subject"] == "mouse_01"].drop(columns="answer")
    table["choice"] = np.resize(["left", "middle", "right"], len(table))
    message = (
        "Choices need exactly two classes, but column 'choice' has 3 classes: 'left', 'middle'"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        to_psytrack(table)


# ------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize("name", ["y", "inputs"])
def test_what_is_not_there_is_named(name):
    with pytest.raises(ValueError, match=rf"^D of 'W053': there is no {name!r} among \['name', "):
        from_psytrack(without(name), inputs="s1")
    with pytest.raises(ValueError, match=r"^D \(number 1\): there is no 'name' among \['y', "):
        from_psytrack([D, without("name")], inputs="s1")


@pytest.mark.parametrize(
    ("values", "inputs", "message"),
    [
        ({}, "s3", "there is no input 's3' among ['s1', 's2', 'c']."),
        (
            {},
            {"s1": 3},
            "input 's1' should be of shape (4, 3) or have more columns, but is (4, 2).",
        ),
        (
            {"inputs": {"s1": [1, 2]}},
            "s1",
            "should be of shape (4, 1) or have more columns, but is",
        ),
        ({}, {"bias": 1}, "inputs should name an input, or several, got {'bias': 1}."),
        (
            {"y": np.array([1, 2, 0, 1])},
            "s1",
            "y and answer should hold 1 and 2, or 0 and 1, left and right, but hold 0, 1, 2.",
        ),
        (
            {"y": np.array([1, np.nan, 2, np.nan])},
            "s1",
            "y or answer is missing (NaN) on 2 of 4 trials: drop these from y, answer, inputs and "
            "rewards, and take them off dayLength.",
        ),
        ({"y": np.ones(4), "answer": np.ones(4)}, "s1", "left and right, but hold 1.0."),
        (
            {"y": np.ones((4, 2))},
            "s1",
            "'y' should hold one value a trial, but is of shape (4, 2).",
        ),
        (
            {"correct": np.ones(3)},
            "s1",
            "'correct' should hold one value for 4 trials, but is of shape (3,).",
        ),
        (
            {"dayLength": np.array([2, 3])},
            "s1",
            "dayLength should be a list of whole numbers that sum to 4, the trials, but sums to 5: "
            "[2, 3].",
        ),
        *(
            (
                {"dayLength": days},
                "s1",
                "dayLength should be a list of whole numbers that sum to 4, the trials, but "
                f"{found}.",
            )
            for days, found in (
                ([2.5, 1.5], "sums to 4: [2.5, 1.5]"),
                ([-1, 5], "sums to 4: [-1, 5]"),
                ([np.nan, 4], "sums to nan: [nan, 4.0]"),
                (4, "is 4"),
                (None, "is None"),
                ("4", "is '4'"),
                ([[1, 3]], "is [[1, 3]]"),
            )
        ),
        ({"name": ["A", "B"]}, "s1", "'name' should be that of one animal, got ['A', 'B']."),
        ({"name": None}, "s1", "'name' should be that of one animal, got None."),
        (
            {"inputs": np.ones((4, 2))},
            "s1",
            "'inputs' should be a dict of arrays, such as {'s1': array}, but is of type ndarray.",
        ),
        (
            {"y": np.array([True, False, True, False])},  # and answer 1 and 2
            "s1",
            "y and answer should hold 1 and 2, or 0 and 1, left and right, but hold 0, 1, 2.",
        ),
        (
            {},
            {"s1": 1.5},
            "inputs should say how many columns of each, such as {'s1': 2}, got {'s1': 1.5}.",
        ),
        (
            {"inputs": {"s1": ["a", 1, 1, 1]}},
            "s1",
            "should be numeric, but has 'a' (subject 'W053'",
        ),
    ],
)
def test_what_is_coded_otherwise_is_refused(values, inputs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_psytrack(D | values, inputs=inputs)


def test_rewards_that_nothing_tells_are_refused():
    with pytest.raises(ValueError, match="no rewards: neither 'r' nor 'correct' nor 'answer'"):
        from_psytrack(without("answer", "correct"), inputs="s1")


@pytest.mark.parametrize("nothing", [[], [3], None])
def test_what_is_no_dict_is_refused(nothing):
    message = f"D should be a dict, or a list of an animal's each, got {nothing}."
    with pytest.raises(ValueError, match=re.escape(message)):
        from_psytrack(nothing, inputs="s1")
    with pytest.raises(ValueError, match=r"D is an array that holds the dict, .*: give D\.item"):
        from_psytrack(np.array(D, dtype=object), inputs="s1")


# ------------------------------------------------------------------------ the whole way


def test_from_psytrack_to_a_ranked_comparison():
    of_each = [to_psytrack(table) for _, table in COHORT.groupby("subject")]
    assert_is_ranked(from_psytrack(of_each, inputs="stimulus"))


def test_the_rat_that_psytrack_ships_becomes_a_table(ibl_data):
    path = ibl_data / "psytrack_rat.npz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    told = read_dict(path)
    trials = from_psytrack(told, inputs=["s1", "s2"])
    assert len(trials) == 20_000 and trials["session"].nunique() == 80
    np.testing.assert_array_equal(trials["choice"] + 1, told["y"])
    np.testing.assert_array_equal(trials["s2"], told["inputs"]["s2"][:, 0])
    X, _, _ = lr.make_design(trials, stimulus=["s1", "s2"], answer="answer")
    theirs = told["inputs"]["c"][:, 0]  # PsyTrack's own: 0 where trials before were removed
    followed = (theirs != 0) & (np.arange(len(trials)) > 0)
    assert followed.mean() > 0.85
    np.testing.assert_array_equal(X["previous_choice"][followed], theirs[followed])
    back = to_psytrack(trials, stimulus=["s1", "s2"])
    for name in ("y", "answer", "correct", "dayLength"):
        np.testing.assert_array_equal(back[name], told[name])


@pytest.mark.parametrize("inputs", ["reward", {"s1": 2, "s1_1": 1}])
def test_an_input_never_takes_the_place_of_another_column(inputs):
    columns = {"s1": np.ones((4, 2)), "s1_1": np.ones((4, 1)), "reward": np.ones((4, 1))}
    D = {"name": "A", "y": np.array([1, 2, 1, 2]), "r": np.ones(4), "inputs": columns}
    clash = "reward" if inputs == "reward" else "s1_1"
    with pytest.raises(ValueError, match=f"An input would be a second column '{clash}'"):
        from_psytrack(D, inputs=inputs)
