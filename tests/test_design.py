"""make_design: from a table of trials to X, y, groups, and a clear sentence where it cannot."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from sklearn_learnrule import ConstantRuleEstimator, make_design

COLUMNS = {
    "animal": ["Bo", "Bo", "Bo", "Ada", "Ada"],
    "day": ["tue", "tue", "wed", "tue", "tue"],
    "left": [0.5, 0.0, 0.25, 1.0, 0.0],
    "right": [0.0, 1.0, 0.0, 0.0, 0.5],
    "side": ["right", "right", "left", "left", "right"],
    "drops": [0, 3, 2, 3, 1],
    "target": ["left", "right", "left", "left", "left"],
}
NAMES = {
    "stimulus": ["left", "right"],
    "choice": "side",
    "reward": "drops",
    "subject": "animal",
    "session": "day",
    "answer": "target",
}
SIGNED = [0.0, 1.0, 1.0, 0.0, -1.0]  # the choice before each row: right is +1, 0 is none


@pytest.fixture
def table():
    """Two animals, named and ordered unlike the defaults, on an index that means nothing."""
    return pd.DataFrame(COLUMNS, index=[30, 10, 20, 10, 0])


@pytest.fixture
def simple():
    """The same trials under the default names, and no answer."""
    table = pd.DataFrame(COLUMNS).rename(
        columns={"animal": "subject", "day": "session", "side": "choice", "drops": "reward"}
    )
    return table.assign(stimulus=table["right"] - table["left"]).drop(columns=["left", "right"])


# ------------------------------------------------------------------ what comes out


def test_a_row_holds_only_what_was_known_before_its_choice(table):
    X, y, groups = make_design(table, **NAMES)
    index = pd.MultiIndex.from_arrays(
        [COLUMNS["animal"], COLUMNS["day"], [0, 1, 2, 0, 1]], names=["subject", "session", "trial"]
    )
    expected = pd.DataFrame(
        {
            "left": COLUMNS["left"],
            "right": COLUMNS["right"],
            "previous_choice": SIGNED,
            "previous_reward": [0.0, 0.0, 3.0, 0.0, 3.0],
            "previous_answer": [0.0, -1.0, 1.0, 0.0, -1.0],
        },
        index=index,
    )
    assert_frame_equal(X, expected)
    assert_series_equal(y, pd.Series(COLUMNS["side"], index=index, name="side"))
    assert_series_equal(groups, pd.Series(COLUMNS["animal"], index=index, name="subject"))


def test_default_names_need_no_arguments_and_no_answer(simple):
    X, y, _ = make_design(simple)
    assert list(X) == ["stimulus", "previous_choice", "previous_reward"]
    assert X["stimulus"].tolist() == [-0.5, 1.0, -0.25, -1.0, 0.5]
    assert y.tolist() == COLUMNS["side"]


def test_the_callers_table_is_left_as_it_was(table):
    before = table.copy(deep=True)
    X, y, groups = make_design(table, **NAMES)
    X.iloc[:] = 7.0
    y.iloc[0] = groups.iloc[0] = "overwritten"
    assert_frame_equal(table, before)


@pytest.mark.parametrize(
    "subjects",
    [
        pd.Series([7, 7, 7, 3, 3]),
        pd.Series([7, 7, 7, 3, 3], dtype="Int64"),
        pd.Series(["b", "b", "b", "a", "a"], dtype="string"),
        pd.Series(["b", "b", "b", 3, 3], dtype=object),
        pd.Series(["b", "b", "b", "a", "a"], dtype=pd.CategoricalDtype(["unused", "b", "a"])),
        pd.Series([True, True, True, False, False]),
        pd.Series([2.5, 2.5, 2.5, -1.0, -1.0]),
    ],
    ids=lambda subjects: str(subjects.dtype),
)
def test_a_subject_may_be_of_any_type(simple, subjects):
    expected, _, _ = make_design(simple)
    X, _, groups = make_design(simple.assign(subject=subjects))
    assert X.index.get_level_values("subject").tolist() == groups.tolist() == subjects.tolist()
    assert X.index.get_level_values("trial").tolist() == [0, 1, 2, 0, 1]
    np.testing.assert_array_equal(X, expected)


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        (0, 1, int),
        (1, 2, "Int64"),
        (False, True, bool),
        (False, True, "boolean"),
        (-1.0, 1.0, float),
        ("left", "right", object),
        ("left", "right", "string"),
        ("left", "right", pd.CategoricalDtype(["right", "missed", "left"])),
    ],
)
def test_any_two_labels_are_learned_alike(simple, first, second, dtype):
    """The second in sorted order is y = 1, whatever a category's own order is."""
    is_right = simple["choice"] == "right"
    labels = pd.Series([second if right else first for right in is_right], dtype=dtype)
    X, y, _ = make_design(simple.assign(choice=labels))
    assert X["previous_choice"].tolist() == SIGNED
    assert y.dtype == labels.dtype
    assert y.tolist() == labels.tolist()

    rule = ConstantRuleEstimator().fit(X, y)
    assert rule.classes_.tolist() == [first, second]
    X_words, y_words, _ = make_design(simple)
    in_words = ConstantRuleEstimator().fit(X_words, y_words)
    np.testing.assert_array_equal(rule.predict_proba(X), in_words.predict_proba(X_words))


def test_one_stimulus_column_may_be_named_alone_or_in_a_list(simple):
    alone, _, _ = make_design(simple, stimulus="stimulus")
    assert_frame_equal(make_design(simple, stimulus=["stimulus"])[0], alone)


@pytest.mark.parametrize("reward", [[False, True, True, True, True], [0.0, 1.0, 1.0, 1.0, 1.0]])
def test_rewards_may_be_booleans_or_numbers(simple, reward):
    X, _, _ = make_design(simple.assign(reward=reward))
    assert X["previous_reward"].tolist() == [0.0, 0.0, 1.0, 0.0, 1.0]
    assert X.dtypes.unique().tolist() == [np.dtype(float)]


def test_sessions_of_two_subjects_may_share_a_name(simple):
    X, _, _ = make_design(simple.assign(session=[1, 1, 2, 1, 2]))
    assert_index_equal(
        X.index.droplevel("trial"),
        pd.MultiIndex.from_tuples(
            [("Bo", 1), ("Bo", 1), ("Bo", 2), ("Ada", 1), ("Ada", 2)], names=["subject", "session"]
        ),
    )


# ---------------------------------------------------------------------- what is refused


def set_cell(column, row, value):
    """A change of one cell, by position."""

    def change(table):
        values = table[column].astype(object).tolist()
        values[row] = value
        return table.assign(**{column: values})

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda t: t.rename(columns={"drops": "dropz"}),
            "Column 'drops' is not in the table, whose columns are 'animal', 'day', 'left', "
            "'right', 'side', 'dropz', 'target'. Did you mean 'dropz'?",
        ),
        (
            lambda t: t.join(pd.DataFrame(columns=range(20))).drop(columns="side"),
            "Column 'side' is not in the table, whose columns are 'animal', 'day', 'left', "
            "'right', 'drops', 'target', 0, 1, 2, 3, 4, 5, ....",
        ),
        (
            lambda t: t.set_index("day"),
            "'target'. It is in the index: give trials.reset_index().",
        ),
        (
            lambda t: t.set_axis([*t.columns[:-2], "side", "target"], axis=1),
            "The table has 2 columns named 'side'; rename all but one.",
        ),
        (
            set_cell("drops", 1, None),
            "Column 'drops' is missing (NaN) on 1 of 5 trials, first at subject 'Bo', row 1. "
            "Fill it, or drop those trials: trials.dropna(subset=['drops']).",
        ),
        (
            lambda t: t.assign(side=["left", "right", "left", None, None]),
            "Column 'side' is missing (NaN) on 2 of 5 trials, first at subject 'Ada', row 3.",
        ),
        (set_cell("animal", 4, None), "Column 'animal' is missing (NaN) on 1 of 5 trials"),
        (set_cell("day", 0, np.nan), "'day' is missing (NaN) on 1 of 5 trials"),
        (set_cell("left", 4, np.nan), "'left' is missing (NaN) on 1 of 5 trials"),
        (set_cell("target", 4, None), "'target' is missing (NaN) on 1 of 5 trials"),
        (
            set_cell("right", 3, -np.inf),
            "Column 'right' should be finite, but is -inf (subject 'Ada', row 3).",
        ),
        (set_cell("drops", 0, np.inf), "'drops' should be finite, but is inf (subject 'Bo', row 0"),
        (
            lambda t: t.assign(left=["low", "0.5", "1", "0", "low"]).astype({"left": object}),
            "Column 'left' should be numeric, but has 'low' (subject 'Bo', row 0); recode it as "
            "numbers, or as a column of 0 and 1 for each label.",
        ),
        (
            lambda t: t.assign(side="left"),
            "Choices need at least two classes, but column 'side' has 1 class: 'left'.",
        ),
        (
            set_cell("target", 2, "up"),
            "Column 'target' should hold the labels of the choices, ['left', 'right'], but has "
            "'up' (subject 'Bo', row 2).",
        ),
        (
            lambda t: t.iloc[[0, 3, 1, 2, 4]],
            "The trials of a subject should stand together, but subject 'Bo', row 2 comes after "
            "rows of another subject. First, if several animals bear one name, name them by more "
            "columns, such as subject=['lab', 'subject']; then, if each subject's own trials are "
            "in temporal order, sort the table: trials.sort_values('animal', kind='stable').",
        ),
        (
            lambda t: t.assign(day=["tue", "wed", "tue", "tue", "tue"]),
            "Trials should be in temporal order, but session 'tue' comes back after another "
            "session (subject 'Bo', row 2). Sort the trials by subject and time, or give sessions "
            "names that are unique within a subject; if several animals bear one name, name them "
            "by more columns, such as subject=['lab', 'subject'].",
        ),
        (lambda t: t.iloc[:0], "The table has no trials (0 rows)."),
    ],
)
def test_a_bad_table_is_refused_in_one_clear_sentence(table, change, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make_design(change(table), **NAMES)


def test_no_column_is_suggested_where_none_is_close(table):
    with pytest.raises(ValueError, match=r"'xyz', 'target'\.$"):
        make_design(table.rename(columns={"drops": "xyz"}), **NAMES)


def test_the_advice_to_sort_interleaved_subjects_works(table):
    interleaved = table.iloc[[0, 3, 1, 2, 4]]
    X, _, _ = make_design(interleaved.sort_values("animal", kind="stable"), **NAMES)
    assert X.index.get_level_values("subject").tolist() == ["Ada", "Ada", "Bo", "Bo", "Bo"]
    assert X.loc["Bo", "previous_choice"].tolist() == SIGNED[:3]


@pytest.mark.parametrize("name", ["previous_choice", "previous_answer", "subject", "trial"])
def test_a_stimulus_may_not_take_a_name_that_means_something_else(simple, name):
    trials = simple.assign(**{name: 1.0})
    with pytest.raises(ValueError, match=rf"stimulus should name columns seen before .*\['{name}"):
        make_design(trials, stimulus=[name], subject="target")


def test_a_table_without_sessions_is_told_how_to_say_so(simple):
    with pytest.raises(ValueError, match=r" Where there are none, say session=None\."):
        make_design(simple.drop(columns="session"))


@pytest.mark.parametrize("nothing", [None, []])
def test_where_nothing_is_shown_x_has_history_alone(simple, nothing):
    X, _, _ = make_design(simple, stimulus=nothing)
    assert_frame_equal(X, make_design(simple)[0].drop(columns="stimulus"))
    with pytest.raises(ValueError, match=r" Where nothing was shown, say stimulus=None\.$"):
        make_design(simple.drop(columns="stimulus"))


@pytest.mark.parametrize("column", ["side", "drops", "target"])
def test_what_the_choice_brought_is_never_a_stimulus(table, column):
    """Or row t would hold what was known only after choice t."""
    table = table.assign(side=[1, 1, 0, 0, 1], target=[0, 1, 0, 0, 0])
    with pytest.raises(ValueError, match=rf"seen before the choice.*; got \['left', '{column}'\]"):
        make_design(table, **{**NAMES, "stimulus": ["left", column]})


@pytest.mark.parametrize(("role", "column"), [("reward", "side"), ("answer", "side")])
def test_the_choice_is_neither_its_reward_nor_the_correct_one(table, role, column):
    message = "choice, reward and answer should each name a column of its own, got 'side', "
    with pytest.raises(ValueError, match=message):
        make_design(table, **{**NAMES, role: column})


def test_a_stimulus_named_twice_is_refused(table):
    with pytest.raises(ValueError, match=r"differ as text, .*; rename the second 'left'\."):
        make_design(table, **{**NAMES, "stimulus": ["left", "left"]})


def test_labels_of_two_kinds_are_refused_in_one_clear_sentence(simple):
    message = "labels in column 'choice' should be all text, .* but are int and str, such as 0"
    with pytest.raises(ValueError, match=message):
        make_design(simple.assign(choice=[0, "right", 0, 0, 0]))


def test_an_error_shows_a_numbered_subject_as_a_plain_number(simple):
    numbered = simple.assign(subject=7, session=1)
    with pytest.raises(ValueError, match=r"is inf \(subject 7, row 2\)"):
        make_design(numbered.assign(reward=[0, 0, np.inf, 0, 0]))
    with pytest.raises(ValueError, match=r"session 1 comes back .* \(subject 7, row 4\)"):
        make_design(numbered.assign(session=[1, 1, 2, 2, 1]))
    with pytest.raises(ValueError, match=r"\[0, 1\], but has 3 \(subject 7, row 4\)"):
        make_design(
            numbered.assign(choice=[0, 1, 0, 1, 1], answer=[0, 1, 0, 0, 3]), answer="answer"
        )


def test_bias_is_the_name_of_a_weight_and_of_no_stimulus(simple):
    with pytest.raises(ValueError, match=r"'bias' is that of the constant; rename the second 'bi"):
        make_design(simple.assign(bias=1.0), stimulus=["bias"])
