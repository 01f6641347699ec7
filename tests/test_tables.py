"""The doors for tables: any library's table, labels and numbers of any type, one name an animal."""

import datetime
import enum
import re
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal
from sklearn.linear_model import LogisticRegression

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.data.tables import as_labels, two_labels
from sklearn_learnrule.datasets import make_learning_cohort


class Side(enum.IntEnum):
    LEFT = 0
    RIGHT = 1


class Word(enum.StrEnum):
    LEFT = "left"
    RIGHT = "right"


def held(values, dtype=object):
    """A column of these values; by default as objects, as tables are after a dropna."""
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return pd.Series(objects).astype(dtype)


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(2, 30, session_length=8, random_state=0)


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, answer="answer")


# --------------------------------------------------------------------------- other libraries


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_a_table_of_another_library_gives_the_same_design(trials, design, convert):
    X, y, groups = lr.make_design(convert(trials), answer="answer")
    assert_frame_equal(X, design[0])
    assert_series_equal(y, design[1])
    assert_series_equal(groups, design[2])


class ContainerOfTrials:
    """Like a table of an NWB file."""

    def to_dataframe(self):
        raise NotImplementedError


NO_TABLES = [
    (lambda table: pl.from_pandas(table).lazy(), "polars.LazyFrame: give {}.collect()"),
    (lambda table: dict(table), "dict: give pd.DataFrame({})"),
    (lambda _: ContainerOfTrials(), "test_tables.ContainerOfTrials: give {}.to_dataframe()"),
]


@pytest.mark.parametrize(("convert", "text"), NO_TABLES)
def test_what_is_like_a_table_is_told_how_to_become_one(trials, convert, text):
    message = "trials should be a table in memory, of pandas, polars or pyarrow, got "
    with pytest.raises(TypeError, match=re.escape(message + text.format("trials")) + r"\.$"):
        lr.make_design(convert(trials))


@pytest.mark.parametrize("nothing", [np.zeros((3, 4)), None, [1, 2], pd.Series([1, 2])])
def test_what_is_no_table_is_refused(nothing):
    with pytest.raises(
        TypeError, match=rf"should be a table .*got (\w+\.)?{type(nothing).__name__}"
    ):
        lr.make_design(nothing)


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        *NO_TABLES,
        (pl.from_pandas, "polars.DataFrame: give {}.to_pandas()"),
        (pa.Table.from_pandas, "pyarrow.Table: give {}.to_pandas()"),
    ],
)
def test_x_of_another_library_is_refused_by_every_door(design, convert, text):
    X, y, _ = design
    fitted = lr.ConstantRuleEstimator().fit(X, y)
    other = convert(X.reset_index())
    message = "X should be a pandas DataFrame from make_design, or an array, got "
    for door in (
        lambda: fitted.fit(other, y.to_numpy()),
        lambda: fitted.predict_proba(other),
        lambda: next(lr.SubjectKFold(2).split(other)),
        lambda: lr.PolicyRegressors().fit(other),
        lambda: lr.TanhContrast().fit(other),
    ):
        with pytest.raises(TypeError, match=re.escape(message + text.format("X"))):
            door()


def test_columns_of_two_levels_are_told_to_be_joined(trials, design):
    for table, name, door in (
        (trials, "trials", lr.make_design),
        (design[0], "X", lambda X: lr.ConstantRuleEstimator().fit(X, [0, 1])),
    ):
        deep = table.set_axis(pd.MultiIndex.from_product([["a"], table.columns]), axis=1)
        message = (
            f"The columns of {name} should have one name each, but have 2 levels; join them: "
            f"{name}.columns = {name}.columns.map('_'.join)."
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            door(deep)


# ------------------------------------------------------------------------------------ labels

TWO_LABELS = [
    (False, True, object, bool),
    (-1, 1, object, int),
    (-1.0, 1.0, object, float),
    (False, 1, object, int),
    (np.int8(0), np.int8(1), object, int),
    (Decimal(0), Decimal(1), object, float),
    (Side.LEFT, Side.RIGHT, object, int),
    (Word.LEFT, Word.RIGHT, object, object),
    (1, 2, "Int64", int),
    (False, True, "boolean", bool),
    (False, True, "category", bool),
    ("left", "right", "string", object),
    ("left", "right", "category", object),
    (1, 2, "int64[pyarrow]", int),
    (False, True, "bool[pyarrow]", bool),
    ("left", "right", pd.ArrowDtype(pa.string()), object),
]


@pytest.mark.parametrize(("first", "second", "dtype", "plain"), TWO_LABELS)
def test_choices_and_answers_of_any_type_work_with_any_classifier(
    trials, design, first, second, dtype, plain
):
    columns = {
        name: held([second if side == "right" else first for side in trials[name]], dtype)
        for name in ("choice", "answer")
    }
    X, y, _ = lr.make_design(trials.assign(**columns), answer="answer")
    assert_frame_equal(X, design[0])
    assert y.tolist() == columns["choice"].tolist()
    LogisticRegression().fit(X, y)
    rule = lr.ConstantRuleEstimator().fit(X, y)
    assert rule.score(X, y) == lr.ConstantRuleEstimator().fit(X, design[1]).score(X, design[1])
    labels = as_labels(columns["choice"], "y")
    assert labels.dtype == plain and labels.tolist() == columns["choice"].tolist()
    assert two_labels(columns["choice"], "y").tolist() == [first, second]


def test_where_two_choices_are_needed_more_are_refused():
    message = "Choices need exactly two classes, but y has 5 classes: 0, 1, 2, 3, .... Drop the"
    with pytest.raises(ValueError, match=re.escape(message)):
        two_labels(range(5), "y")


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([(0, 1), (1, 0)], "tuple, such as (0, 1)"),
        ([["left"], ["right"]], "list, such as ['left']"),
        ([{}, {"side": 1}], "dict, such as {}"),
        ([b"left", b"right"], "bytes, such as b'left'"),
        ([1j, 2j], "complex, such as 1j"),
        ([0, "right"], "int and str, such as 0"),
        ([pd.Timestamp(0), pd.Timestamp(1)], "Timestamp, such as Timestamp('1970-01-01 00:00:00')"),
    ],
)
def test_labels_that_are_no_text_numbers_or_booleans_are_refused(trials, labels, shown):
    choice = held([labels[side == "right"] for side in trials["choice"]])
    choice[0] = labels[0]
    end = f"should be all text, all numbers or all booleans, but are {shown}."
    with pytest.raises(ValueError, match=re.escape(f"The labels in column 'choice' {end}")):
        lr.make_design(trials.assign(choice=choice))
    with pytest.raises(ValueError, match=re.escape(f"The labels in y {end}")):
        as_labels(choice, "y")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_named(missing):
    message = "The labels in y contain NaN or None: they are missing on 1 of 3 rows, first at row 1"
    with pytest.raises(ValueError, match=message):
        as_labels(held(["left", missing, "right"]), "y")


@pytest.mark.parametrize("values", [[0, 1, 1], ["a", "b", "a"], (True, False), np.array([0.5, 2])])
def test_labels_may_be_given_as_a_list_or_an_array(values):
    assert as_labels(values, "y").tolist() == list(values)


# ----------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "category", "bool[pyarrow]", "Sparse[int]"])
def test_rewards_may_be_held_in_any_way(trials, design, dtype):
    X, _, _ = lr.make_design(trials.assign(reward=trials["reward"].astype(dtype)), answer="answer")
    assert_frame_equal(X, design[0])


@pytest.mark.parametrize(
    "hold",
    [
        lambda numbers: numbers.astype(object),
        lambda numbers: numbers.astype("Float64"),
        lambda numbers: numbers.astype("double[pyarrow]"),
        lambda numbers: held([Decimal(number) for number in numbers]),
    ],
)
def test_stimuli_may_be_held_in_any_way_in_the_table_and_in_x(trials, design, hold):
    X, _, _ = lr.make_design(trials.assign(stimulus=hold(trials["stimulus"])), answer="answer")
    assert_frame_equal(X, design[0])
    stimulus = hold(trials["stimulus"]).set_axis(X.index)
    read = read_sequences(X.assign(stimulus=stimulus))
    np.testing.assert_array_equal(read.fields.features, read_sequences(X).fields.features)


@pytest.mark.parametrize("value", ["0.5", 1j, pd.Timestamp(0), [0.5]])
def test_what_is_no_number_is_refused_in_the_table_and_in_x(trials, design, value):
    """Text that looks like a number, too."""
    column = held([value] * len(trials))
    with pytest.raises(ValueError, match=r"Column 'stimulus' should be numeric, but has .*row 0\)"):
        lr.make_design(trials.assign(stimulus=column))
    X, y, _ = design
    X = X.assign(stimulus=column.set_axis(X.index))
    with pytest.raises(ValueError, match=r"Column 'stimulus' of X should be numeric, but has .*ro"):
        lr.ConstantRuleEstimator().fit(X, y)


def test_a_missing_number_in_x_is_named(design):
    X, y, _ = design
    stimulus = X["stimulus"].astype("Float64")
    stimulus.iloc[3] = pd.NA
    with pytest.raises(ValueError, match=r"'stimulus' of X should be finite, but is nan .*row 3\)"):
        lr.ConstantRuleEstimator().fit(X.assign(stimulus=stimulus), y)


# ------------------------------------------------------------------------- names of columns


@pytest.mark.filterwarnings("ignore:X has no subject identity")
def test_names_of_weights_differ_as_text_at_every_door(trials, design):
    X, y, _ = design
    twice = "names should differ as text, and 'bias' is that of the constant; rename the second '1'"
    with pytest.raises(ValueError, match=twice):
        lr.make_design(trials.assign(**{"1": 0.5}).assign(x=1.0).rename(columns={"x": 1}),
                       stimulus=[1, "1"])  # fmt: skip
    doubled = X.set_axis([*X.columns[:-1], "stimulus"], axis=1)
    with pytest.raises(ValueError, match="X has columns of one name, 'stimulus'; rename all but"):
        lr.ConstantRuleEstimator().fit(doubled, y)
    for biased in (X.assign(bias=1.0), pd.DataFrame({"bias": X["stimulus"].to_numpy()})):
        with pytest.raises(ValueError, match="'bias' is that of the constant; rename the second"):
            lr.ConstantRuleEstimator().fit(biased, y.to_numpy())


def test_x_may_not_name_its_sessions_twice(design):
    X, y, _ = design
    message = "X has 'session' 2 times, as columns or index levels; drop one."
    with pytest.raises(ValueError, match=message):
        lr.ConstantRuleEstimator().fit(X.assign(session=1.0), y)


@pytest.mark.parametrize("column", ["choice", "reward", "session", "answer", "trial"])
def test_where_one_column_is_meant_no_list_is_taken(trials, column):
    with pytest.raises(ValueError, match=r"A name of one column was expected, got \['a', 'b'\]\."):
        lr.make_design(trials, **{column: ["a", "b"]})


# ------------------------------------------------------------------------- names of subjects


@pytest.fixture
def two_sites():
    """Two animals of one name, and one of another, at two labs."""
    lengths = [4, 3, 3]
    return pd.DataFrame(
        {
            "lab": np.repeat(["A", "B", "B"], lengths),
            "mouse": np.repeat([1, 1, 2], lengths),
            "session": 1,
            "stimulus": 0.5,
            "choice": [0, 1] * 5,
            "reward": 1.0,
        }
    )


def test_several_columns_name_a_subject_together(two_sites):
    X, y, groups = lr.make_design(two_sites, subject=["lab", "mouse"])
    names = ["A/1"] * 4 + ["B/1"] * 3 + ["B/2"] * 3
    assert X.index.get_level_values("subject").tolist() == groups.tolist() == names
    assert X.index.names == ["subject", "session", "trial"]
    assert_index_equal(X.index, y.index)
    assert groups.name == "subject"
    assert X["previous_choice"].eq(0).sum() == 3
    alone, _, _ = lr.make_design(two_sites, subject=["lab"])
    assert_frame_equal(alone, lr.make_design(two_sites, subject="lab")[0])


def test_joined_names_are_never_those_of_two_subjects(two_sites):
    lab = ["a/b"] * 4 + ["a"] * 6
    mouse = ["c"] * 4 + ["b/c"] * 6
    message = (
        "Subjects ('a/b', 'c') and ('a', 'b/c') would both be called 'a/b/c'; rename one, so that "
        "the names in ['lab', 'mouse'] differ when joined by '/'."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(two_sites.assign(lab=lab, mouse=mouse), subject=["lab", "mouse"])


def test_no_subject_and_no_session_are_one(two_sites):
    X, _, groups = lr.make_design(two_sites, subject=None, session=None)
    assert X.index.tolist() == [("all", 1, trial) for trial in range(10)]
    assert groups.eq("all").all()
    assert not read_sequences(X).fields.session_start.any()
    with pytest.raises(ValueError, match=r"subject should name a column, or several, got \[\]\."):
        lr.make_design(two_sites, subject=[])


@pytest.mark.parametrize("column", ["session", "lab"])
def test_a_column_without_any_value_is_not_to_be_dropped(two_sites, column):
    message = (
        f"Column '{column}' is missing (NaN) on every trial. Name another; where there is none, "
        "subject, session, answer and trial can be None."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(two_sites.assign(**{column: np.nan}), subject="lab")


@pytest.mark.parametrize("column", ["mouse", "session"])
@pytest.mark.parametrize("value", [["A", 1], ("A", 1), {"lab": "A"}])
def test_a_name_that_is_a_list_is_refused_in_the_table_and_in_x(two_sites, column, value):
    text = f"should hold text or numbers, but has {value} (row 0); join its parts, or give each a "
    listed = two_sites.assign(**{column: held([value] * 10)})
    with pytest.raises(ValueError, match=re.escape(f"Column '{column}' {text}")):
        lr.make_design(listed, subject="mouse")
    level = {"mouse": "subject", "session": "session"}[column]
    X, y, _ = lr.make_design(two_sites, subject=["lab", "mouse"])
    X = X.droplevel(level).assign(**{level: held([value] * 10).to_numpy()})
    with pytest.raises(ValueError, match=re.escape(f"'{level}' in X {text}")):
        lr.ConstantRuleEstimator().fit(X, y.to_numpy())


@pytest.mark.parametrize(
    "name", [uuid.UUID(int=1), Decimal(1), datetime.date(2024, 3, 1), Side.LEFT]
)
def test_any_other_value_names_a_subject(two_sites, name):
    _, _, groups = lr.make_design(two_sites.assign(mouse=held([name] * 10)), subject="mouse")
    assert groups.tolist() == [name] * 10


def test_a_long_value_is_cut_short_in_a_message(two_sites):
    with pytest.raises(ValueError, match=r"but has \[0, 0, .{50}\.\.\. \(row 0\)"):
        lr.make_design(two_sites.assign(mouse=held([[0] * 999] * 10)), subject="mouse")
