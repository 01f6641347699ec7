"""Any number of choices in a table: what is refused, and in which words."""

import re

import numpy as np
import pandas as pd
import pytest
from three_choices import LABELS, random_table

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences

CHOICE_WAS = [f"previous_choice_{label}" for label in LABELS]
ANSWER_WAS = [f"previous_answer_{label}" for label in LABELS]
TABLE = random_table()


def test_two_labels_that_are_one_text_are_refused():
    class Shout(str):
        def __str__(self):
            return self.upper()

    choice = pd.Series([Shout("a"), Shout("A"), Shout("b")] * 40, dtype=object)
    with pytest.raises(ValueError, match="column 'choice' should differ as text, but two are 'A'"):
        lr.make_design(random_table(choice=choice))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (np.tile([0.0, 0.5, 1.0], 40), "3 classes: 0.0, 0.5, 1.0; is it the column of choices?"),
        (np.arange(120), "120 classes: 0, 1, 2, 3, ...; is it the column of choices?"),
    ],
)
def test_a_measure_is_not_taken_for_choices(choice, message):
    labels = "Choices should have labels, 100 at most and no fractions, but column 'choice' has "
    with pytest.raises(ValueError, match=re.escape(labels + message)):
        lr.make_design(random_table(choice=choice))


def test_labels_that_differ_by_case_or_spaces_alone_are_one_too_many():
    for odd in ("Left", "left "):
        choice = random_table(LABELS[:2])["choice"].to_numpy(copy=True)
        choice[7] = odd
        labels = re.escape(", ".join(map(repr, sorted(("left", odd)))).replace(", ", " and "))
        with pytest.raises(ValueError, match=rf"differ by more than case and spaces, .* {labels}"):
            lr.make_design(random_table(LABELS[:2], choice=choice))


@pytest.mark.parametrize("choices", [[0, 1], [0, 1, 2]])
def test_text_beside_choices_named_as_numbers_is_not_taken_for_misses(choices):
    table = random_table(["0", "1"])
    with pytest.raises(
        ValueError, match=r"has '[01]' \(.*\)\. Text is no number: write both alike"
    ):
        lr.make_design(table, choices=choices)


def test_an_answer_that_nobody_chose_is_named():
    message = (
        "Column 'answer' should hold the labels of the choices, ['left', 'middle', 'right'], but "
        "has 'up' (subject 'Ada', row 0)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(random_table(answer="up"), answer="answer")


@pytest.mark.parametrize("name", ["previous_choice_time", "previous_answer_x"])
@pytest.mark.parametrize("labels", [LABELS, LABELS[:2]])
def test_a_stimulus_that_is_called_as_history_is_refused(name, labels):
    table = random_table(labels).assign(**{name: 1.0})
    with pytest.raises(
        ValueError, match="stimulus should name columns seen before the choice"
    ) as e:
        lr.make_design(table, stimulus=["stimulus", name])
    assert "'previous_choice_*', 'previous_answer_*'" in str(e.value)


MIXED = (
    "X should have previous_choice (and perhaps previous_answer) or, of more than two choices, a "
    "column of each label in their place, but has "
)
NOT_ONE = "One of previous_choice_left, previous_choice_middle, previous_choice_right should be 1, "


def with_cells(columns, row, value):
    def change(X):
        values = X.loc[:, columns].copy()
        values.iloc[row] = value
        return X.assign(**values)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda X: X.assign(previous_choice=0.0), MIXED + "previous_choice_left, previous_choice_"),
        (lambda X: X.assign(previous_answer=0.0), MIXED + "previous_choice_left, previous_choice_"),
        (lambda X: X.drop(columns=CHOICE_WAS[0]), MIXED + "previous_choice_middle, previous_"),
        (lambda X: X.drop(columns=ANSWER_WAS[0]), MIXED + "previous_choice_left, previous_choice_"),
        (
            lambda X: X.drop(columns=CHOICE_WAS).assign(previous_choice=0.0),
            MIXED + "previous_answer_left, previous_answer_middle, previous_answer_right, "
            "previous_choice.",
        ),
        (
            lambda X: X[[*X.columns[:4], "previous_reward", *ANSWER_WAS[::-1]]],
            "Keep all history columns of make_design, and their order.",
        ),
        (
            lambda X: X.drop(columns=CHOICE_WAS),
            "but no 'previous_choice'. Build X with make_design",
        ),
        (
            lambda X: X.drop(columns=CHOICE_WAS + ANSWER_WAS).assign(scaled__previous_choice_a=0.0),
            "('scaled__previous_choice_a'? Set verbose_feature_names_out=False)",
        ),
        (
            with_cells([CHOICE_WAS[1]], 5, 0.5),
            "previous_choice_middle should be 0 or 1, but is 0.5 (subject 'Ada', trial 5, row 5).",
        ),
        (
            with_cells([CHOICE_WAS[1]], 60, 1.0),
            "previous_choice_middle should be 0 on a subject's first trial, but is 1 (subject 'Bo'",
        ),
        (with_cells(CHOICE_WAS, 5, 1.0), NOT_ONE + "but 3 are (subject 'Ada', trial 5, row 5)."),
        (
            with_cells(CHOICE_WAS, 5, 0.0),
            NOT_ONE + "but 0 are (subject 'Ada', trial 5, row 5). Keep all history columns of "
            "make_design. Where learning begins anew, by make_design(..., restart=...), keep the "
            "level 'restart' of X's index.",
        ),
        (
            with_cells(ANSWER_WAS, 5, 1.0),
            "One of previous_answer_left, previous_answer_middle, previous_answer_right should be "
            "1, but 3 are",
        ),
    ],
)
def test_damage_to_history_gets_a_sentence(change, text):
    X, _, _ = lr.make_design(TABLE, answer="answer")
    with pytest.raises(ValueError, match=re.escape(text)):
        read_sequences(change(X))


def test_a_restart_that_was_dropped_is_told():
    X, _, _ = lr.make_design(random_table(block=np.arange(120) // 20), restart="block")
    with pytest.raises(ValueError, match="but 0 are .subject 'Ada', trial 20, row 20.*'restart'"):
        read_sequences(X.droplevel("restart"))


@pytest.mark.parametrize("order", [[1, 2, 0], [0, 2, 1]])
def test_choices_that_contradict_history_are_named(order):
    sequences = read_sequences(lr.make_design(TABLE)[0])
    with pytest.raises(ValueError, match="contradicts y: subject 'Ada', y at trial"):
        sequences.check_choices(np.take(order, np.unique(TABLE["choice"], return_inverse=True)[1]))
