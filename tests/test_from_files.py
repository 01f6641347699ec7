"""from_files: folders of CSV, TSV and Parquet files, told apart by their names."""

import re
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from loaded import COHORT, assert_is_ranked, assert_is_the_cohort
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import from_files
from sklearn_learnrule.preprocessing import tanh_contrast

NAMED = COHORT[["subject", "session", "stimulus", "choice", "answer", "reward"]]
TRIALS = pd.DataFrame(
    {
        "contrast": [-1.0, 0.5, 0.25, -0.5],
        "port": ["L", "R", None, "R"],
        "water": [3.0, 3.0, 0.0, np.nan],
        "onset": [0.5, 3.0, 8.0, 9.0],
    }
)
NAMES = {"stimulus": "contrast", "choice": "port", "reward": "water", "verbose": False}


def write(folder, name, table=TRIALS, **columns):
    """Write a table as its name says."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table.assign(**columns)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


def write_cohort(folder, name="{subject}/{session}.csv"):
    name = name.replace(":[^_]+", "")
    for (subject, session), table in COHORT.groupby(["subject", "session"]):
        own = table.drop(columns=["subject", "session"])
        write(folder, name.format(subject=subject, session=session), own)


# ------------------------------------------------------------------------ what is read


@pytest.mark.parametrize(
    "name",
    [
        "{subject}_{session:[^_]+}.csv",
        "{subject}/{session}.csv.gz",
        "{subject}/{subject}_s{session}.tsv",
        "{subject}/day {session}/trials.parquet",
    ],
)
def test_a_file_a_session_becomes_the_table_whatever_the_layout(tmp_path, name):
    """Of more than nine sessions: the tenth comes after the second."""
    write_cohort(tmp_path, name)
    trials = from_files(f"{tmp_path}/{name}", answer="answer", verbose=False)
    assert trials["session"].nunique() > 9
    assert_frame_equal(trials, NAMED.assign(session=COHORT["session"].astype(str)))
    assert_is_the_cohort(trials, answer="answer")


def test_sessions_come_in_the_order_of_their_numbers_and_dates(tmp_path):
    names = ["s1", "s2", "s10"], ["2023-12-31", "2024-03-01", "2024-03-02"]
    for sessions in names:
        folder = tmp_path / sessions[0]
        for number in (2, 0, 1):
            write(folder, f"Bo/{sessions[number]}.csv", water=float(number))
            write(folder, f"Ada/{sessions[number]}.csv", water=float(number))
        trials = from_files(f"{folder}/{{subject}}/{{session}}.csv", **NAMES)
        assert trials["subject"].unique().tolist() == ["Ada", "Bo"]
        assert trials["session"].unique().tolist() == sessions
        assert trials["reward"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2] * 2


def test_a_file_may_hold_many_sessions_or_many_animals(tmp_path):
    expected = NAMED.drop(columns="answer")
    for subject, table in COHORT.groupby("subject"):
        write(tmp_path, f"{subject}.csv", table.drop(columns="subject"))
    assert_frame_equal(from_files(f"{tmp_path}/{{subject}}.csv", verbose=False), expected)
    for session, table in COHORT.groupby("session"):
        write(tmp_path / "days", f"{session}.parquet", table.drop(columns="session"))
    trials = from_files(f"{tmp_path}/days/{{session}}.parquet", verbose=False)
    assert_frame_equal(trials.astype({"session": "int64"}), expected)
    path = write(tmp_path, "all.csv", COHORT)
    assert_frame_equal(from_files(path, verbose=False), expected)


def test_names_with_zeros_in_front_stay_as_they_are(tmp_path):
    write(tmp_path, "all.csv", subject="007", session=1)
    assert from_files(tmp_path / "all.csv", **NAMES)["subject"].unique().tolist() == ["007"]


def test_animals_of_one_name_are_told_apart_by_more_of_the_path(tmp_path):
    for lab in "ab":
        write(tmp_path, f"{lab}/mouse1_1.csv")
    pattern = f"{tmp_path}/{{lab}}/{{subject}}_{{session}}.csv"
    trials = from_files(pattern, subject=["lab", "subject"], keep="lab", **NAMES)
    assert trials["subject"].tolist() == ["a/mouse1"] * 2 + ["b/mouse1"] * 2
    assert trials["lab"].tolist() == ["a", "a", "b", "b"]
    message = (
        f"Session '1' of 'mouse1' comes twice, from {tmp_path}/a/mouse1_1.csv and "
        f"{tmp_path}/b/mouse1_1.csv; leave one out, or give the two names of their own."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(pattern, **NAMES)


def test_stars_stand_for_anything_and_brackets_for_themselves(tmp_path):
    for place in ("a/x/[raw]/mouse_1.csv", "a/[raw]/mouse_2.csv", "a/[raw]/mouse_3.csv.bak"):
        write(tmp_path, place)
    trials = from_files(f"{tmp_path}/**/[raw]/mous?_{{session}}.*sv", subject=None, **NAMES)
    assert trials["session"].unique().tolist() == ["1", "2"]
    assert trials["subject"].unique().tolist() == ["all"]


def test_several_stimuli_keep_their_names_and_further_columns_are_kept(tmp_path):
    write(tmp_path, "A_1.csv", side=[1, 0, 1, 0])
    trials = from_files(
        f"{tmp_path}/{{subject}}_{{session}}.csv",
        **NAMES | {"stimulus": ["contrast", "side"]}, trial="onset", keep=["water"],
    )  # fmt: skip
    assert list(trials) == [
        *("subject", "session", "contrast", "side", "choice", "reward", "onset", "water"),
    ]
    X, _, _ = lr.make_design(trials, stimulus=["contrast", "side"], trial="onset")
    assert X["side"].tolist() == [1.0, 0.0]


def test_a_stimulus_may_be_computed_and_trials_left_out_by_a_function_of_the_users(tmp_path):
    write(tmp_path, "A_1.csv", practice=[True, False, False, False])
    trials = from_files(
        f"{tmp_path}/{{subject}}_{{session}}.csv",
        **NAMES | {"stimulus": "bent"},
        prepare=lambda table: table.assign(
            bent=tanh_contrast(table["contrast"]), session="day" + table["session"]
        )[~table["practice"]],
    )
    assert trials["stimulus"].tolist() == tanh_contrast([0.5]).tolist()
    assert trials["session"].tolist() == ["day1"]


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_tables_of_other_libraries_will_do_on_the_way_and_after(tmp_path, convert):
    write_cohort(tmp_path)
    pattern = f"{tmp_path}/{{subject}}/{{session}}.csv"
    trials = from_files(pattern, answer="answer", prepare=convert)
    assert_is_the_cohort(trials, answer="answer")
    assert_is_the_cohort(convert(trials), answer="answer")


# ------------------------------------------------------------------- choices and drops


def test_trials_without_choice_or_reward_are_dropped_and_said(tmp_path, capsys):
    write(tmp_path, "A_1.csv")
    write(tmp_path, "A_2.csv", port=None)
    write(tmp_path, "B_1.csv")
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES | {"verbose": True})
    printed = "3 sessions of 2 subjects; trials: read 12, misses 6, no reward 2, kept 4\n"
    assert capsys.readouterr().out == printed
    assert trials["choice"].tolist() == ["L", "R", "L", "R"]
    assert trials["reward"].tolist() == [3.0] * 4
    from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("port", "choices", "coded"),
    [
        (["L", "R", "none", "R"], ("L", "R"), [0, 1]),
        (["right", "left", "", "left"], ("right", "left"), [0, 1]),
        ([1, -1, 0, -1], (1, -1), [0, 1]),
        ([2, 1, 0, 1], [1, 2], [1, 0]),
        ([True, False, None, False], (False, True), [1, 0]),
    ],
)
def test_of_choices_the_second_is_right_and_others_are_none(tmp_path, port, choices, coded):
    write(tmp_path, "A_1.csv", port=port, best=port)
    options = NAMES | {"choices": choices, "answer": "best"}
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **options)
    assert trials["choice"].tolist() == trials["answer"].tolist() == coded
    assert trials["choice"].dtype == np.int64


def test_a_third_label_is_never_guessed_to_be_none(tmp_path):
    write(tmp_path, "A_1.csv", port=[1, -1, 0, -1])
    message = (
        "Column 'port' has 3 labels, -1, 0, 1: name the two that are choices, that of the right or "
        "of y = 1 second, by choices=(first, second); trials with another are dropped, and counted."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES | {"reward": "onset"})


def test_a_label_that_never_comes_is_told(tmp_path):
    write(tmp_path, "A_1.csv")
    message = "No trial has the choice 'r' of choices=('L', 'r'); taken for none were 'R'."
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", choices=("L", "r"), **NAMES)
    assert caught[0].filename == __file__


def test_an_early_session_may_have_choices_of_one_side(tmp_path):
    write(tmp_path, "A_1.csv", port="L")
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", choices=("L", "R"), **NAMES)
    assert trials["choice"].tolist() == [0, 0, 0]


def test_exchanged_sides_are_told(tmp_path):
    write_cohort(tmp_path)
    with pytest.warns(UserWarning, match="positive where 1 is correct .* it is the other way"):
        from_files(f"{tmp_path}/{{subject}}/{{session}}.csv", choices=("right", "left"))


# ------------------------------------------------------------------------ what is wrong

WRONG_COLUMNS = [
    ({"stimulus": "contarst"}, {}, "Column 'contarst' is not in the table, whose columns are"),
    ({"reward": "waters"}, {}, "Did you mean 'water'?"),
    ({"trial": "start"}, {}, "Column 'start' is not in the table"),
    ({"session": "day"}, {}, "Column 'day' is not in the table"),
    (
        {},
        {"contrast": ["50%", "20%", 0, 0]},
        "should be numeric, but has '50%' (subject 'A', row 0",
    ),
    ({}, {"contrast": [0, np.nan, 0, 0]}, "should be finite, but is nan (subject 'A', row 1)"),
    ({}, {"water": [0, 1, 1, "some"]}, "should be numeric, but has 'some' (subject 'A', row 3)"),
]


@pytest.mark.parametrize(("options", "columns", "message"), WRONG_COLUMNS)
def test_a_wrong_column_is_named_with_its_file_and_row(tmp_path, options, columns, message):
    write(tmp_path, "A_1.csv")
    path = write(tmp_path, "A_2.csv", **columns)
    if options:
        path = tmp_path / "A_1.csv"
    with pytest.raises(ValueError, match=f"^{path}: .*{re.escape(message)}"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES | options)


def test_rows_of_a_message_are_the_files_though_trials_before_were_dropped(tmp_path):
    write(tmp_path, "A_1.csv", port=[None, None, "L", "R"], contrast=[0, 0, 0, "high"], water=1)
    with pytest.raises(ValueError, match=r"has 'high' \(subject 'A', row 3\)"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)
    write(tmp_path, "A_1.csv", contrast=[0.5, 0.25, "none", 0])  # of a trial without a choice
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)
    assert trials["stimulus"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choices": ("L",)}, "choices should be two labels, got ('L',)."),
        ({"choices": "LR"}, "choices should be two labels, got 'LR'."),
        ({"stimulus": []}, "stimulus should name a column, or several, got []."),
        (
            {"stimulus": ["contrast", "reward"]},
            "stimulus should not name column 'reward': the table of trials has another of that "
            "name. Rename it, by prepare=.",
        ),
        ({"keep": ["stimulus"]}, "keep or trial should not name column 'stimulus': the table"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, message):
    write(tmp_path, "A_1.csv")
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES | options)


def test_an_answer_that_is_no_choice_is_named(tmp_path):
    write(tmp_path, "A_1.csv", best=["L", "up", "L", "R"])
    message = (
        "Column 'best' should hold the labels of choices=('L', 'R'), but has 'up' (subject 'A', "
        "session '1')."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(
            f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES, choices=("L", "R"), answer="best"
        )


def test_trial_times_that_fall_are_refused(tmp_path):
    write(tmp_path, "A_1.csv", onset=[3, 2, 1, 0])
    with pytest.raises(ValueError, match="Column 'onset' should rise within a session"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", trial="onset", **NAMES)


def test_no_trial_left_is_an_error(tmp_path):
    write(tmp_path, "A_1.csv", port=["L", None, None, None], water=np.nan)
    message = "No trial is left of 4: 3 have no choice, 1 no reward."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)
    message = " Labels that are not among choices=('l', 'r'): 'L'."
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", choices=("l", "r"), **NAMES)


def test_an_error_of_the_users_own_function_tells_the_file(tmp_path):
    path = write(tmp_path, "A_1.csv")
    with pytest.raises(KeyError) as caught:
        from_files(
            f"{tmp_path}/{{subject}}_{{session}}.csv", prepare=lambda table: table["no"], **NAMES
        )
    assert caught.value.__notes__ == [f"This was {path}."]


def test_a_column_in_the_index_of_a_parquet_file_is_told_to_be_there(tmp_path):
    write(tmp_path, "A_1.parquet", TRIALS.set_index("water"))
    with pytest.raises(ValueError, match="It is in the index: give trials.reset_index()"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.parquet", **NAMES)
    trials = from_files(
        f"{tmp_path}/{{subject}}_{{session}}.parquet", prepare=pd.DataFrame.reset_index, **NAMES
    )
    assert len(trials) == 2


@pytest.mark.parametrize(
    "sessions",
    [
        ("01-03-2024", "28-02-2024"),
        ("1.3.2024", "28.2.2024"),
        ("0b1e56ad-8b3d-4a56-a1de-9c4a1b2c3d4e", "f312aaec-3b6f-44b3-86b4-3a0c119c0438"),
    ],
)
def test_names_that_do_not_tell_when_a_session_was_are_refused(tmp_path, sessions):
    paths = [write(tmp_path, f"A_{session}.csv") for session in sessions]
    message = (
        f"Sessions are put in order by their names, but '{sessions[0]}' ({paths[0]}) does not tell "
        "when it was. Name sessions by number, or by date, the year first: '2024-03-01'."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)
    paths[1].unlink()
    assert len(from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)) == 2


def test_a_name_that_can_be_read_in_two_ways_is_refused_until_a_form_is_given(tmp_path):
    path = write(tmp_path, "lab_mouse_1.csv")
    message = (
        f"{path} can be read in two ways, as subject 'lab' and session 'mouse_1' or as subject "
        "'lab_mouse' and session '1'. Say which field holds no '_', such as {session:[^_]+}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)
    trials = from_files(f"{tmp_path}/{{subject}}_{{session:[^_]+}}.csv", **NAMES)
    assert trials["subject"].unique().tolist() == ["lab_mouse"]
    message = "as subject 'l' or as subject 'lab_mouse_1'. Say which field holds no 'a', such as"
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}*.csv", **NAMES)


def test_a_file_that_contradicts_its_name_is_refused(tmp_path):
    write(tmp_path, "B_1.csv", subject="B")
    path = write(tmp_path, "A_1.csv", subject=["A", "A", "B", "A"])
    message = f"{path}: by its name subject is 'A', but its column 'subject' has 'B' (row 2)."
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **NAMES)


def test_no_file_and_no_table_are_named(tmp_path):
    pattern = f"{tmp_path}/{{subject}}.csv"
    with pytest.raises(FileNotFoundError, match=re.escape(f"a name that fits '{pattern}'.")):
        from_files(pattern)
    (tmp_path / "A.csv").write_text("")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/A.csv cannot be read as a CSV file \("):
        from_files(pattern)
    (tmp_path / "A.parquet").write_text("no")
    with pytest.raises(ValueError, match="A.parquet cannot be read as a Parquet file"):
        from_files(f"{tmp_path}/{{subject}}.parquet")
    (tmp_path / "A.csv").write_text("contrast,port,water\n")
    with pytest.raises(ValueError, match=r"A.csv: The table has no trials \(0 rows\)"):
        from_files(pattern)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path, "A_1.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = (
        "Parquet files are read by pyarrow: pip install pyarrow, or sklearn_learnrule[parquet]."
    )
    with pytest.raises(ImportError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.parquet", **NAMES)


# ------------------------------------------------------------------------ the whole way


def test_from_files_to_a_ranked_comparison(tmp_path):
    write_cohort(tmp_path)
    assert_is_ranked(from_files(f"{tmp_path}/{{subject}}/{{session}}.csv"))
