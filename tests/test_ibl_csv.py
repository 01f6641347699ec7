"""load_ibl_trials on CSV files: the columns, the coding, the repair."""

import gzip
import re
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import IBL_COLUMNS, load_ibl_trials
from sklearn_learnrule.preprocessing import tanh_contrast

IBL_CSV = """\
lab,subject,date,session,contrastLeft,contrastRight,probabilityLeft,choice,feedbackType,answer
x,007,2019-02-25,001,1.0,0.0,0.5,1,0,0
x,007,2019-02-25,001,,0.25,0.5,1,1,1
x,007,2019-02-26,002,0.5,,0.8,0,1,0
x,8,2019-02-25,001,0.0,0.0,0.5,0,0,1
x,8,2019-02-25,001,0.0,0.125,0.5,1,1,1
"""
EXPECTED = pd.DataFrame(
    {
        "subject": ["007", "007", "007", "8", "8"],
        "session": [f"2019-02-2{end}" for end in ("5/001", "5/001", "6/002", "5/001", "5/001")],
        "contrast": [-1.0, 0.25, -0.5, 0.0, 0.125],
        "stimulus": tanh_contrast([-1.0, 0.25, -0.5, 0.0, 0.125]),
        "choice": [1, 1, 0, 0, 1],
        "answer": [0, 1, 0, 1, 1],
        "reward": [0.0, 1.0, 1.0, 0.0, 1.0],
        "probability_left": [0.5, 0.5, 0.8, 0.5, 0.5],
        "lab": ["x"] * 5,
    }
)


@pytest.fixture
def ibl_csv(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text(IBL_CSV)
    return path


def write_csv(path, **columns):
    pd.read_csv(StringIO(IBL_CSV), dtype={"subject": str}).assign(**columns).to_csv(path)
    return path


def test_ibl_trials_become_a_trial_table(ibl_csv):
    assert_frame_equal(load_ibl_trials(ibl_csv), EXPECTED)
    assert_frame_equal(load_ibl_trials(str(ibl_csv)), EXPECTED)
    X, _, _ = lr.make_design(load_ibl_trials(ibl_csv), answer="answer")
    assert X["previous_answer"].tolist() == [0.0, -1.0, 1.0, 0.0, 1.0]


def test_a_compressed_file_reads_the_same(tmp_path):
    path = tmp_path / "trials.csv.gz"
    path.write_bytes(gzip.compress(IBL_CSV.encode()))
    assert_frame_equal(load_ibl_trials(path), EXPECTED)


def test_a_table_without_lab_and_block_is_enough(ibl_csv):
    pd.read_csv(ibl_csv, dtype=str)[list(IBL_COLUMNS)].to_csv(ibl_csv)
    extra = ["probability_left", "lab"]
    assert_frame_equal(load_ibl_trials(ibl_csv), EXPECTED.drop(columns=extra))


SUBSETS = [
    ({"subjects": ["8"]}, [3, 4]),
    ({"subjects": ["8", "007"]}, [0, 1, 2, 3, 4]),
    ({"subjects": "007"}, [0, 1, 2]),
    ({"max_trials": 2}, [0, 1, 3, 4]),
    ({"max_trials": 1, "subjects": ["007"]}, [0]),
]


@pytest.mark.parametrize(("options", "rows"), SUBSETS)
def test_some_subjects_or_their_first_trials_can_be_kept(ibl_csv, options, rows):
    expected = EXPECTED.iloc[rows].reset_index(drop=True)
    trials, report = load_ibl_trials(ibl_csv, return_report=True, **options)
    assert_frame_equal(trials, expected)
    assert report["kept"].sum() == len(rows)
    assert (report["read"] == report["kept"] + report["cut"]).all()


@pytest.mark.parametrize("column", IBL_COLUMNS)
def test_a_column_that_is_not_there_is_named(tmp_path, column):
    path = tmp_path / "mice.csv"
    pd.read_csv(StringIO(IBL_CSV)).drop(columns=column).to_csv(path, index=False)
    message = f"{path} is not a table of IBL trials: it has no column '{column}', only 'lab', "
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(path)


@pytest.mark.parametrize("column", ["choice", "feedbackType", "answer"])
@pytest.mark.parametrize("value", [-1, np.nan, "left"])
def test_a_column_coded_otherwise_is_refused(tmp_path, column, value):
    path = write_csv(tmp_path / "mice.csv", **{column: [0, 1, value, 0, 1]})
    message = f"Column '{column}' of {path} must hold 0 or 1, but holds {value}"
    end = r"(\.0)? in row 2 \(1 is right, rewarded\)\."
    with pytest.raises(ValueError, match=re.escape(message) + end):
        load_ibl_trials(path)


@pytest.mark.parametrize("column", ["contrastLeft", "contrastRight", "probabilityLeft"])
@pytest.mark.parametrize("value", [25.0, -0.25, np.inf, "25%"])
def test_percentages_signs_and_infinity_are_refused_as_in_folders(tmp_path, column, value):
    path = write_csv(tmp_path / "mice.csv", **{column: [0.5, 0, value, np.nan, 0]})
    message = (
        f"Column '{column}' of {path} must hold NaN or numbers from 0 to 1, but holds {value} in "
        "row 2 (no percentage, no sign)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(path)


@pytest.mark.parametrize("column", ["subject", "date", "session"])
def test_a_trial_without_a_name_is_refused(tmp_path, column):
    path = write_csv(tmp_path / "mice.csv", **{column: ["1", "1", None, "1", "1"]})
    with pytest.raises(ValueError, match=re.escape(f"'{column}' of {path} is empty in row 2.")):
        load_ibl_trials(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.csv.gz", gzip.compress(IBL_CSV.encode())[:-20]),
        ("garbage.csv.gz", IBL_CSV.encode()),
        ("broken.csv.zip", b"PK" + IBL_CSV.encode()),
        ("broken.csv.xz", IBL_CSV.encode()),
        ("utf16.csv", IBL_CSV.encode("utf-16")),
        ("latin.csv", IBL_CSV.replace("007", "Zo\u00eb").encode("latin-1")),
        ("empty.csv", b""),
        ("ragged.csv", IBL_CSV.encode() + b"1,2,3,4,5,6,7,8,9,10,11,12,13\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # gzip's bytes tell the time
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    message = f"^{re.escape(str(path))} cannot be read as a CSV file \\(.+\\)\\.$"
    with pytest.raises(ValueError, match=message):
        load_ibl_trials(path)


def test_a_subject_that_is_not_there_is_named(ibl_csv):
    message = f"Subject 'C' is not in {ibl_csv}, which has 007, 8."
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(ibl_csv, subjects=["8", "C"])


def test_of_many_subjects_only_some_are_listed(tmp_path):
    rows = [f"{i},2019-02-25,1,0,1,1,1,1" for i in range(10, 30)]
    path = tmp_path / "mice.csv"
    path.write_text("\n".join([",".join(IBL_COLUMNS), *rows]))
    message = ", ".join(map(str, range(10, 22))) + " … (20 in all)."
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(path, subjects="C")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": []}, "subjects must name one subject at least, got none; None takes all."),
        ({"processing": "raw"}, "must be 'published', 'repaired' or None, got 'raw'."),
        ({"max_trials": 0}, "max_trials == 0, must be >= 1"),
    ],
)
def test_options_out_of_range_are_refused(ibl_csv, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(ibl_csv, **options)


# --------------------------------------------------------------------------- the repair

WRONG = """\
subject,date,session,contrastLeft,contrastRight,choice,feedbackType,answer
A,2019-03-05,1,0.5,0,1,1,1
A,2019-03-05,1,0,0.25,0,1,0
A,2019-03-05,1,0.5,0,0,1,0
A,2019-03-05,1,0,0,1,1,1
B,2019-03-06,1,0,1,1,1,1
"""


def test_repair_turns_what_contradicts_the_answer_and_nothing_else(ibl_csv):
    ibl_csv.write_text(WRONG)
    as_published = load_ibl_trials(ibl_csv, processing="published")
    repaired, report = load_ibl_trials(ibl_csv, processing="repaired", return_report=True)
    assert as_published["contrast"].tolist() == [-0.5, 0.25, -0.5, 0.0, 1.0]
    assert repaired["contrast"].tolist() == [0.5, -0.25, -0.5, 0.0, 1.0]
    np.testing.assert_array_equal(repaired["stimulus"], tanh_contrast(repaired["contrast"]))
    bent = ["contrast", "stimulus"]
    assert_frame_equal(repaired.drop(columns=bent), as_published.drop(columns=bent))
    assert report["wrong_side"].tolist() == report["repaired"].tolist() == [2, 0]


def test_a_contradiction_is_told_unless_a_processing_was_chosen(ibl_csv):
    ibl_csv.write_text(WRONG)
    message = (
        r"^2 trials \(the first in session 2019-03-05/1 of A\) show the stimulus on the side "
        r"opposite to the answer, as published; processing='repaired' turns them, "
        r"processing='published' keeps them without this warning\.$"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        trials = load_ibl_trials(ibl_csv)
    assert caught[0].filename == __file__
    assert_frame_equal(trials, load_ibl_trials(ibl_csv, processing="published"))
    load_ibl_trials(ibl_csv, subjects="B")  # has none, so nothing is told


def test_a_negative_contrast_is_of_the_other_side_where_processing_is_chosen(tmp_path):
    path = write_csv(tmp_path / "mice.csv", contrastRight=[0.5, 0, -0.25, np.nan, 0])
    usual = load_ibl_trials(write_csv(tmp_path / "usual.csv", contrastRight=[0.5, 0, 0, np.nan, 0]))
    trials, report = load_ibl_trials(path, processing="published", return_report=True)
    expected = usual["contrast"].copy()
    expected[2] -= 0.25
    np.testing.assert_allclose(trials["contrast"], expected)
    assert report["negative_contrasts"].sum() == 1
    with pytest.raises(ValueError, match="from -1 to 1, but holds 25.0 in row 2 .no percentage."):
        write_csv(path, contrastRight=[0.5, 0, 25.0, np.nan, 0])
        load_ibl_trials(path, processing="published")
    write_csv(path, contrastLeft=[-1.0, 0, -0.5, 0, 0])  # which are meant for the left
    with pytest.raises(ValueError, match="'contrastLeft' of .* must hold NaN or numbers from 0 to"):
        load_ibl_trials(path, processing="published")


def test_mice_are_the_same_in_the_file_of_twelve_and_in_the_releases(ibl_data):
    mice = {"subjects": ["CSHL_002", "CSHL_015"], "processing": "published"}
    files = (ibl_data / f"ibl_{name}_trials.csv.gz" for name in ("cshl12", "release"))
    twelve, release = (load_ibl_trials(file, **mice) for file in files)
    assert_frame_equal(release, twelve)
