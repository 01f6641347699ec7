"""from_files: what is wrong with files and options is told in a sentence that names the file."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from loaded import COLUMNS, SESSION, write

from sklearn_learnrule.datasets import from_files

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
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS | options)


def test_rows_of_a_message_are_the_files_though_trials_before_were_dropped(tmp_path):
    write(tmp_path, "A_1.csv", port=[None, None, "L", "R"], contrast=[0, 0, 0, "high"], water=1)
    with pytest.raises(ValueError, match=r"has 'high' \(subject 'A', row 3\)"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS)
    write(tmp_path, "A_1.csv", contrast=[0.5, 0.25, "none", 0])  # of a trial without a choice
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS)
    assert trials["stimulus"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choices": ("L",)}, "choices should be two labels or more that differ, got ('L',)."),
        ({"choices": "LR"}, "choices should be two labels or more that differ, got 'LR'."),
        ({"choices": ("L", "R", "L")}, "or more that differ, got ('L', 'R', 'L')."),
        (
            {"stimulus": ["contrast", "reward"]},
            "stimulus should not name column 'reward': the table of trials has another of that "
            "name. Rename it, by prepare=.",
        ),
        ({"stimulus": "port"}, "seen before the choice, and neither that of choices nor that of"),
        ({"stimulus": ["contrast", "water"]}, "nor that of rewards, got 'water'."),
        ({"reward": "port"}, "each name a column of its own, got 'port', 'port'."),
        ({"keep": ["stimulus"]}, "keep or trial should not name column 'stimulus': the table"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, message):
    write(tmp_path, "A_1.csv")
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS | options)


def test_an_answer_that_is_no_choice_is_named(tmp_path):
    write(tmp_path, "A_1.csv", best=["L", "up", "L", "R"])
    message = (
        "Column 'best' should hold the labels of choices=('L', 'R'), but has 'up' (subject 'A', "
        "session '1')."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(
            f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS, choices=("L", "R"), answer="best"
        )


def test_trial_times_that_fall_are_refused(tmp_path):
    write(tmp_path, "A_1.csv", onset=[3, 2, 1, 0])
    with pytest.raises(ValueError, match="Column 'onset' should rise within a session"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", trial="onset", **COLUMNS)


def test_no_trial_left_is_an_error(tmp_path):
    write(tmp_path, "A_1.csv", port=["L", None, None, None], water=np.nan)
    message = "No trial is left of 4: 3 have no choice, 1 no reward."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS)
    message = " Labels that are not among choices=('l', 'r'): 'L'."
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", choices=("l", "r"), **COLUMNS)


def test_an_error_of_the_users_own_function_tells_the_file(tmp_path):
    path = write(tmp_path, "A_1.csv")
    with pytest.raises(KeyError) as caught:
        from_files(
            f"{tmp_path}/{{subject}}_{{session}}.csv", prepare=lambda table: table["no"], **COLUMNS
        )
    assert caught.value.__notes__ == [f"This was {path}."]


def test_a_column_in_the_index_of_a_parquet_file_is_told_to_be_there(tmp_path):
    write(tmp_path, "A_1.parquet", SESSION.set_index("water"))
    with pytest.raises(ValueError, match="It is in the index: give trials.reset_index()"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.parquet", **COLUMNS)
    trials = from_files(
        f"{tmp_path}/{{subject}}_{{session}}.parquet", prepare=pd.DataFrame.reset_index, **COLUMNS
    )
    assert len(trials) == 2


@pytest.mark.parametrize(
    "sessions",
    [
        ("01-03-2024", "28-02-2024"),
        ("1.3.2024", "28.2.2024"),
        ("28.3.24", "1.4.24"),
        ("28-03-24", "01-04-24"),
        ("28032024", "02042024"),
        ("28_03_2024", "02_04_2024"),
        ("281023", "041123"),
        ("102823", "010224"),
        ("d281023_1", "d041123_1"),
        ("28Mar2024", "01Apr2024"),
        ("28-Mar-2024", "01-Apr-2024"),
        ("Mar28", "Apr02"),
        ("2024March28", "2024April2"),
        ("Mon", "Tues"),
        ("week1_friday", "week1_thursday"),
        ("0b1e56ad-8b3d-4a56-a1de-9c4a1b2c3d4e", "f312aaec-3b6f-44b3-86b4-3a0c119c0438"),
    ],
)
def test_names_that_do_not_tell_when_a_session_was_are_refused(tmp_path, sessions):
    paths = [write(tmp_path, f"A/{session}.csv") for session in sessions]
    message = (
        rf"^Sessions are put in order by their names, but '({'|'.join(map(re.escape, sessions))})' "
        rf"\({tmp_path}/A/.*\.csv\) does not tell when it was\. Name sessions by number, or by "
        r"date, the year first and in full: '2024-03-01' \(in from_files, rename them by "
        r"prepare=\)\.$"
    )
    with pytest.raises(ValueError, match=message):
        from_files(f"{tmp_path}/{{subject}}/{{session}}.csv", **COLUMNS)
    paths[1].unlink()
    assert len(from_files(f"{tmp_path}/{{subject}}/{{session}}.csv", **COLUMNS)) == 2


def test_dates_that_were_read_as_numbers_tell_no_order_either(tmp_path):
    for day in (281023, 41123):  # 041123
        write(tmp_path, f"{day}.csv", subject="A", session=day)
    with pytest.raises(ValueError, match=r"but '41123' \(.*\) does not tell when it was"):
        from_files(tmp_path / "*.csv", **COLUMNS)


def test_a_name_that_can_be_read_in_two_ways_is_refused_until_a_form_is_given(tmp_path):
    path = write(tmp_path, "lab_mouse_1.csv")
    message = (
        f"{path} can be read in two ways, as subject 'lab' and session 'mouse_1' or as subject "
        "'lab_mouse' and session '1'. Say which field holds no '_', such as {session:[^_]+}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS)
    trials = from_files(f"{tmp_path}/{{subject}}_{{session:[^_]+}}.csv", **COLUMNS)
    assert trials["subject"].unique().tolist() == ["lab_mouse"]
    message = "as subject 'l' or as subject 'lab_mouse_1'. Say which field holds no 'a', such as"
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}*.csv", **COLUMNS)


def test_a_file_that_contradicts_its_name_is_refused(tmp_path):
    write(tmp_path, "B_1.csv", subject="B")
    path = write(tmp_path, "A_1.csv", subject=["A", "A", "B", "A"])
    message = f"{path}: by its name subject is 'A', but its column 'subject' has 'B' (row 2)."
    message += (
        " If these are two things, name the field of the pattern otherwise, such as {file_subject};"
        " with subject='file_subject' it is the subject nevertheless."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS)
    pattern = f"{tmp_path}/{{file_subject}}_{{session}}.csv"
    trials = from_files(pattern, subject="file_subject", **COLUMNS)
    assert trials["subject"].unique().tolist() == ["A", "B"]


def test_no_file_and_no_table_are_named(tmp_path):
    pattern = f"{tmp_path}/{{subject}}.csv"
    with pytest.raises(FileNotFoundError, match=re.escape(f"a name that fits '{pattern}'.")):
        from_files(pattern)
    with pytest.raises(ValueError, match=f"^{tmp_path} is a folder: say how its files are named"):
        from_files(tmp_path)
    with pytest.raises(ValueError, match=r"A field's form in .* is no regular expression: missing"):
        from_files(f"{tmp_path}/{{subject:(}}.csv")
    message = r"should have no braces: write '\d\d\d' for '\d{3}', or '\d+'."
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{session:\\d{{8}}}}.csv")
    (tmp_path / "A.csv").write_text("")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/A.csv cannot be read as a CSV file \("):
        from_files(pattern)
    (tmp_path / "A.parquet").write_text("no")
    with pytest.raises(ValueError, match="A.parquet cannot be read as a Parquet file"):
        from_files(f"{tmp_path}/{{subject}}.parquet")
    (tmp_path / "A.csv").write_text("contrast,port,water\n")
    with pytest.raises(ValueError, match=r"A.csv: The table has no trials \(0 rows\)"):
        from_files(pattern)


def test_columns_between_semicolons_and_sheets_of_excel_are_told(tmp_path):
    path = tmp_path / "A.csv"
    path.write_text("contrast;port;water\n0,5;L;3\n1;R;3\n")
    message = (
        f"{path} has one column, 'contrast;port;water': if ';' separates its columns, save it with "
        "commas (and numbers with points), or give make_design what "
        "pandas.read_csv(..., sep=';', decimal=',') returns."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_files(path, **COLUMNS)
    path = tmp_path / "A.xlsx"
    path.write_bytes(b"PK")
    message = f"{path}: Excel files are not read; save the sheet as CSV."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_files(path, **COLUMNS)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path, "A_1.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = (
        "Parquet files are read by pyarrow: pip install pyarrow, or sklearn_learnrule[parquet]."
    )
    with pytest.raises(ImportError, match=re.escape(message)):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.parquet", **COLUMNS)


def test_sessions_of_an_animal_are_in_order_whatever_files_they_are_in(tmp_path):
    """Each file has both animals, or several sessions of one."""

    def table(subject, session):
        trials = pd.DataFrame({"stimulus": [-1.0, 1.0], "choice": ["L", "R"], "reward": [1, 0]})
        return trials.assign(subject=subject, session=session)

    def sessions(**files):
        folder = tmp_path / "_".join(files)
        folder.mkdir()
        for name, tables in files.items():
            pd.concat(tables).to_csv(folder / f"{name}.csv", index=False)
        trials = from_files(folder / "*.csv", verbose=False)
        return trials.groupby("subject")["session"].unique().map(list).to_dict()

    first = [table("A", 1), table("A", 3), table("B", 2), table("C", "z"), table("C", "a")]
    found = sessions(one=first, two=[table("B", 1), table("A", 2)])
    assert found == {"A": ["1", "2", "3"], "B": ["1", "2"], "C": ["z", "a"]}
    with pytest.raises(ValueError, match="'03/01/2024' .* does not tell when it was"):
        sessions(
            three=[table("A", "12/05/2023"), table("B", "12/05/2023")],
            four=[table("B", "03/01/2024"), table("A", "03/01/2024")],
        )
