"""Any number of choices in a table: what X tells of them, and what is read back."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.data import DESIGN
from sklearn_learnrule.data.sequences import read_sequences

LABELS = ["left", "middle", "right"]
CHOICE_WAS = [f"previous_choice_{label}" for label in LABELS]
ANSWER_WAS = [f"previous_answer_{label}" for label in LABELS]


def make_table(labels=LABELS, n_trials=60, **columns):
    """Return trials of two animals that choose at random; a correct choice earns 2."""
    rng = np.random.RandomState(0)
    choice, answer = rng.randint(len(labels), size=(2, 2 * n_trials))
    table = pd.DataFrame(
        {
            "subject": np.repeat(["Ada", "Bo"], n_trials),
            "session": 1,
            "stimulus": rng.randn(2 * n_trials),
            "choice": np.take(labels, choice),
            "answer": np.take(labels, answer),
            "reward": 2.0 * (choice == answer),
        }
    )
    return table.assign(**columns)


def numbers(labels):
    """Return the class of each, 0, 1, ... C - 1."""
    return np.unique(labels, return_inverse=True)[1]


TABLE = make_table()


# ------------------------------------------------------------------------------------ what X tells


def test_each_label_has_a_column_of_0_and_1_in_sorted_order():
    X, y, _ = lr.make_design(TABLE, answer="answer")
    assert list(X) == ["stimulus", *CHOICE_WAS, "previous_reward", *ANSWER_WAS]
    assert y.tolist() == TABLE["choice"].tolist()
    for columns, told in ((CHOICE_WAS, "choice"), (ANSWER_WAS, "answer")):
        before = TABLE.groupby("subject")[told].shift()
        for name, label in zip(columns, LABELS, strict=True):
            assert X[name].tolist() == (before == label).astype(float).tolist()


def test_history_is_no_stimulus_and_the_schema_says_what_it_is():
    X, _, _ = lr.make_design(TABLE, answer="answer")
    assert DESIGN.stimuli(X) == ["stimulus"]
    assert list(DESIGN.known(X, "history")) == list(X)[1:]
    assert {DESIGN.find(name).values for name in CHOICE_WAS + ANSWER_WAS} == {"flag"}


@pytest.mark.parametrize("n_choices", [3, 4, 7])
def test_choices_and_answers_are_read_back_from_the_row_after(n_choices):
    labels = [f"arm {i}" for i in range(n_choices)]
    table = make_table(labels)
    X, _, _ = lr.make_design(table, answer="answer")
    sequences = read_sequences(X)
    told = sequences.fields.observed
    assert told.sum() == len(table) - 2
    assert sequences.fields.choice[told].tolist() == numbers(table["choice"])[told].tolist()
    assert sequences.fields.answer[told].tolist() == numbers(table["answer"])[told].tolist()
    assert (sequences.fields.choice[~told] == 0).all() and (
        sequences.fields.answer[~told] == 0
    ).all()
    assert (sequences.n_choices, sequences.choice_labels) == (n_choices, labels)
    assert sequences.answer_known
    assert sequences.feature_names == ["stimulus", "bias"]
    sequences.check_choices(numbers(table["choice"]))


def test_two_choices_are_told_as_ever_and_a_plain_array_tells_nothing_of_them():
    sequences = read_sequences(lr.make_design(make_table(["left", "right"]), answer="answer")[0])
    assert (sequences.n_choices, sequences.choice_labels) == (2, [])
    with pytest.warns(UserWarning, match="X has no subject identity"):
        sequences = read_sequences(np.ones((3, 2)))
    assert (sequences.n_choices, sequences.choice_labels) == (None, [])


def test_other_names_in_the_same_order_change_nothing_but_the_names():
    X, _, _ = lr.make_design(TABLE, answer="answer")
    for renamed in ([2, 10, 11], [-1.5, 0.25, 3.0], ["a", "b", "c"]):
        new = dict(zip(LABELS, renamed, strict=True))
        other, y, _ = lr.make_design(TABLE.replace(new).infer_objects(), answer="answer")
        assert list(other)[1:4] == [f"previous_choice_{label}" for label in renamed]
        assert (other.to_numpy() == X.to_numpy()).all()
        assert y.tolist() == TABLE["choice"].map(new).tolist()


def test_permuted_names_permute_columns_and_classes():
    new = {"left": "middle", "middle": "right", "right": "left"}
    X, _, _ = lr.make_design(TABLE, answer="answer")
    other, _, _ = lr.make_design(TABLE.replace(new), answer="answer")
    back = {
        f"previous_{of}_{now}": f"previous_{of}_{was}"
        for was, now in new.items()
        for of in ("choice", "answer")
    }
    assert_frame_equal(other.rename(columns=back)[list(X)], X)
    read, changed = read_sequences(X), read_sequences(other)
    for one, of_other in (
        (read.fields.choice, changed.fields.choice),
        (read.fields.answer, changed.fields.answer),
    ):
        told = read.fields.observed
        assert of_other[told].tolist() == np.take([1, 2, 0], one[told].astype(int)).tolist()


def test_some_of_the_sequences_have_as_many_choices():
    sequences = read_sequences(lr.make_design(TABLE)[0])
    part, _ = sequences.some(np.array([1]))
    assert (part.n_choices, part.choice_labels) == (3, LABELS)
