"""load_ibl_trials on folders laid out as the release is, whole and broken."""

import os
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.preprocessing import tanh_contrast

ARRAYS = ("choice", "feedbackType", "contrastLeft", "contrastRight", "probabilityLeft")
NAN = np.nan
GOOD = {
    "choice": [-1, 1, 1, -1],
    "feedbackType": [1, 1, -1, -1],
    "contrastLeft": [NAN, 0.5, NAN, NAN],
    "contrastRight": [0.25, NAN, 1.0, 0.0],
    "probabilityLeft": [0.5, 0.5, 0.8, 0.5],
}
DECODED = pd.DataFrame(
    {
        "contrast": [0.25, -0.5, 1.0, 0.0],
        "stimulus": tanh_contrast([0.25, -0.5, 1.0, 0.0]),
        "choice": [1, 0, 0, 1],
        "answer": [1, 0, 1, 0],
        "reward": [1.0, 1.0, 0.0, 0.0],
        "probability_left": [0.5, 0.5, 0.8, 0.5],
    }
)


def write_session(root, place="lab/Subjects/A/2019-03-05/001", **arrays):
    """Write a session as the release lays it out, and return its folder of arrays."""
    alf = root / place / "alf"
    alf.mkdir(parents=True)
    for name, array in {**GOOD, **arrays}.items():
        np.save(alf / f"_ibl_trials.{name}.npy", np.array(array))
    return alf


def load_one(root):
    trials, report = load_ibl_trials(root, return_report=True)
    assert len(report) == 1
    return trials, report.iloc[0]


def test_a_session_is_decoded(tmp_path):
    write_session(tmp_path)
    trials, counts = load_one(tmp_path)
    assert_frame_equal(trials[list(DECODED)], DECODED)
    assert trials["subject"].eq("A").all() and trials["lab"].eq("lab").all()
    assert trials["session"].eq("2019-03-05/001").all()
    assert counts[counts != 0].to_dict() == {"read": 4, "kept": 4, "problem": ""}


def test_trials_without_choice_feedback_or_contrast_are_dropped_and_counted(tmp_path):
    write_session(
        tmp_path,
        choice=[0, 0, 0, 1, 1, 1, -1],
        feedbackType=[-1, 1, 0, 0, 0, 1, 1],
        contrastLeft=[1.0, 0.0, NAN, 1.0, NAN, NAN, NAN],
        contrastRight=[NAN, -0.0, NAN, NAN, NAN, NAN, 0.5],
        probabilityLeft=[0.5] * 7,
    )
    trials, counts = load_one(tmp_path)
    assert trials["contrast"].tolist() == [0.5]
    assert counts[counts != 0].to_dict() == {
        **{"read": 7, "misses": 3, "rewarded_misses": 1, "no_feedback": 2, "no_contrast": 1},
        **{"kept": 1, "problem": ""},
    }


def test_zero_contrast_is_answered_by_the_feedback_wherever_the_zero_stands(tmp_path):
    write_session(
        tmp_path,
        choice=[-1, -1, 1, 1],
        feedbackType=[1, -1, 1, -1],
        contrastLeft=[0.0, NAN, -0.0, 0.0],
        contrastRight=[NAN, -0.0, -0.0, NAN],
    )
    trials, _ = load_one(tmp_path)
    assert trials["answer"].tolist() == [1, 0, 0, 1]
    assert not trials["contrast"].any() and not np.signbit(trials["contrast"]).any()


def test_a_negative_contrast_is_put_on_the_other_side_as_is_usual_or_repaired(tmp_path):
    write_session(tmp_path, contrastRight=[-0.25, NAN, 1.0, 0.0])
    as_published, report = load_ibl_trials(tmp_path, processing="published", return_report=True)
    assert as_published["contrast"].tolist() == [-0.25, -0.5, 1.0, 0.0]
    assert report[["negative_contrasts", "wrong_side", "repaired"]].values.tolist() == [[1, 1, 0]]
    repaired, report = load_ibl_trials(tmp_path, processing="repaired", return_report=True)
    assert_frame_equal(repaired[list(DECODED)], DECODED)
    assert report[["negative_contrasts", "wrong_side", "repaired"]].values.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32", "float64", ">i4"])
def test_any_numbers_and_columns_of_numbers_will_do(tmp_path, dtype):
    coded = {name: np.array(GOOD[name], dtype) for name in ("choice", "feedbackType")}
    write_session(tmp_path, contrastLeft=np.array(GOOD["contrastLeft"])[:, None], **coded)
    assert_frame_equal(load_ibl_trials(tmp_path)[list(DECODED)], DECODED)


ORDER = [
    "labB/Subjects/A/2019-03-05/2",
    "labB/Subjects/A/2019-03-05/10",
    "labB/Subjects/A/2019-11-01/001",
    "labA/Subjects/A/2019-12-01/001",  # the mouse moved to another lab
    "labB/Subjects/B/2018-01-01/001",
]


def test_sessions_come_by_subject_date_and_number_however_they_were_written(tmp_path):
    for i in (3, 1, 4, 0, 2):
        write_session(tmp_path, ORDER[i], probabilityLeft=[i / 10] * 4)
    trials, report = load_ibl_trials(tmp_path, return_report=True)
    np.testing.assert_allclose(trials["probability_left"], np.repeat(np.arange(5) / 10, 4))
    sessions = [tuple(place.split("/")[2:]) for place in ORDER]
    assert report.index.tolist() == [(a, f"{date}/{number}") for a, date, number in sessions]
    assert trials["lab"].tolist() == [*["labB"] * 12, *["labA"] * 4, *["labB"] * 4]


@pytest.mark.parametrize(
    ("start", "n_sessions"),
    [
        (".", 5),
        ("labB", 4),
        ("labB/Subjects", 4),
        ("labB/Subjects/A", 3),
        ("labB/Subjects/A/2019-03-05", 2),
        ("labB/Subjects/A/2019-03-05/10", 1),
        ("labB/Subjects/A/2019-03-05/10/alf", 1),
    ],
)
def test_any_folder_may_be_the_start(tmp_path, monkeypatch, start, n_sessions):
    for place in ORDER:
        write_session(tmp_path, place)
    whole = load_ibl_trials(tmp_path)
    monkeypatch.chdir(tmp_path)
    part = load_ibl_trials(start)
    assert len(part) == 4 * n_sessions
    keys = ["lab", "subject", "session"]
    assert len(part.merge(whole[keys].drop_duplicates())) == len(part)


def test_a_subject_may_lie_outside_a_lab_or_behind_a_link(tmp_path):
    write_session(tmp_path, "elsewhere/A/2019-03-05/001")
    (tmp_path / "mice").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    trials = load_ibl_trials(tmp_path / "elsewhere")
    assert (trials["subject"] == "A").all() and (trials["lab"] == "").all()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "mice").symlink_to(tmp_path / "mice", target_is_directory=True)
    assert_frame_equal(load_ibl_trials(tmp_path / "root"), trials)


@pytest.mark.parametrize("subjects", ["A", ["B"], ["B", "A"], np.array(["C"])])
def test_any_subjects_may_be_chosen_and_only_theirs_are_read(tmp_path, subjects):
    for mouse in "ABC":
        write_session(tmp_path, f"lab/Subjects/{mouse}/2019-03-05/001")
    write_session(tmp_path, "lab/Subjects/D/2019-03-05/001", choice=[7])  # would warn
    trials = load_ibl_trials(tmp_path, subjects=subjects)
    assert trials["subject"].unique().tolist() == sorted(subjects)
    with pytest.raises(ValueError, match="Subject 'E' is not in .*, which has A, B, C, D."):
        load_ibl_trials(tmp_path, subjects=["A", "E"])


def test_max_trials_counts_kept_trials_and_reads_no_session_beyond(tmp_path):
    for day in range(1, 5):
        write_session(tmp_path, f"lab/Subjects/A/2019-03-0{day}/001", choice=[-1, 0, 1, 1])
        write_session(tmp_path, f"lab/Subjects/B/2019-03-0{day}/001")
    write_session(tmp_path, "lab/Subjects/A/2019-03-09/001", choice=[7])  # would warn
    trials, report = load_ibl_trials(tmp_path, max_trials=7, return_report=True)
    whole = load_ibl_trials(tmp_path / "lab/Subjects/B")
    assert trials.groupby("subject").size().to_dict() == {"A": 7, "B": 7}
    assert_frame_equal(trials.iloc[7:].reset_index(drop=True), whole.head(7))
    assert report["read"].tolist() == [4, 4, 4, 4, 4]
    assert report["misses"].tolist() == [1, 1, 1, 0, 0]
    assert report["cut"].tolist() == [0, 0, 2, 0, 1]
    assert report["kept"].tolist() == [3, 3, 1, 4, 3]


# ----------------------------------------------------------- what is missing or broken


def truncate(file):
    file.write_bytes(file.read_bytes()[:-3])


def lies(shape, version=b"\x01\x00"):
    """What writes four numbers with a header of its own."""

    def write(file):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        length = len(header).to_bytes(2, "little")
        file.write_bytes(b"\x93NUMPY" + version + length + header + np.ones(4).tobytes())

    return write


BROKEN = [
    (lambda file: file.unlink(), "{} is missing"),
    (truncate, "{} cannot be read ("),
    (lambda file: file.write_bytes(b""), "{} cannot be read (EOF: reading magic string"),
    (lambda file: file.write_text("1 2 3"), "{} cannot be read ("),
    (
        lambda file: np.save(file, np.array([None, 1])),
        "{} must hold one number a trial, but holds object of shape (2,)",
    ),
    (
        lambda file: np.save(file, np.array(1.0)),
        "{} must hold one number a trial, but holds float64 of shape ()",
    ),
    (lies("(5,)"), "{} cannot be read (its header tells of 40 bytes, but 32 follow)"),
    (lies("(3,)"), "{} cannot be read (its header tells of 24 bytes, but 32 follow)"),
    (lies("(-4,)"), "{} cannot be read (its header tells of -32 bytes, but 32 follow)"),
    (lies("(10**12,)"), "{} cannot be read ("),
    (lies("(1000000000000000,)"), "{} cannot be read (its header tells of 8000000000000000 bytes"),
    (lies(f"({2**62}, 4)"), "{} cannot be read (its header tells of "),
    (lies("(" * 500), "{} cannot be read ("),
    (
        lies("(4,)", version=b"\x03\x00"),
        "{} cannot be read (version (3, 0) of the format is unknown",
    ),
    (
        lambda file: np.save(file, np.ones((2, 2))),
        "{} must hold one number a trial, but holds float64 of shape (2, 2)",
    ),
    (
        lambda file: np.save(file, np.array(list("abcd"))),
        "{} must hold one number a trial, but holds <U1 of shape (4,)",
    ),
]


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(("breaks", "problem"), BROKEN)
def test_a_missing_or_broken_file_is_named_while_the_rest_loads(tmp_path, name, breaks, problem):
    good, bad = (f"lab/Subjects/A/2019-03-0{day}/001" for day in (4, 5))
    write_session(tmp_path, good)
    expected = load_ibl_trials(tmp_path)
    file = write_session(tmp_path, bad) / f"_ibl_trials.{name}.npy"
    breaks(file)
    problem = problem.format(file)
    message = re.escape(f"Session 2019-03-05/001 of A is left out: {problem}")
    with pytest.warns(UserWarning, match=f"^{message}.*\\.$") as caught:
        trials, report = load_ibl_trials(tmp_path, return_report=True)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert_frame_equal(trials, expected)
    assert report["read"].tolist() == report["kept"].tolist() == [4, 0]
    assert report["problem"].iloc[0] == ""
    assert report["problem"].iloc[1].startswith(problem)


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        (
            {"choice": [1, 2, 1, 1]},
            "{}/_ibl_trials.choice.npy must hold -1, 0 or 1, but holds 2 in row 1",
        ),
        (
            {"feedbackType": [1.0, NAN, 1, 1]},
            "{}/_ibl_trials.feedbackType.npy must hold -1, 0 or 1, but holds nan in row 1",
        ),
        (
            {"contrastRight": [25.0, NAN, NAN, NAN]},
            "{}/_ibl_trials.contrastRight.npy must hold NaN or numbers from -1 to 1, "
            "but holds 25.0 in row 0",
        ),
        (
            {"probabilityLeft": [-0.5, 0.5, 0.5, 0.5]},
            "{}/_ibl_trials.probabilityLeft.npy must hold NaN or numbers from 0 to 1, "
            "but holds -0.5 in row 0",
        ),
        (
            {"contrastLeft": [1.0, NAN, NAN]},
            "the arrays in {} differ in length (choice 4, feedbackType 4, contrastLeft 3, "
            "contrastRight 4, probabilityLeft 4)",
        ),
    ],
)
def test_numbers_that_cannot_be_and_unequal_lengths_leave_the_session_out(
    tmp_path, arrays, problem
):
    write_session(tmp_path, "lab/Subjects/A/2019-03-04/001")
    alf = write_session(tmp_path, **arrays)
    message = f"Session 2019-03-05/001 of A is left out: {problem.format(alf)}."
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        trials = load_ibl_trials(tmp_path)
    assert_frame_equal(trials[list(DECODED)], DECODED)


def test_every_session_left_out_is_told(tmp_path):
    for day in (3, 4, 5):
        write_session(tmp_path, f"lab/Subjects/A/2019-03-0{day}/001", choice=[0] * day)
    with pytest.warns(UserWarning) as caught:
        load_ibl_trials(tmp_path)
    told = [str(warning.message).split(" is left out")[0] for warning in caught]
    assert told == ["Session 2019-03-03/001 of A", "Session 2019-03-05/001 of A"]


def test_a_copy_of_a_session_is_not_read_twice(tmp_path):
    write_session(tmp_path, "lab/Subjects/A/2019-03-05/001")
    copy = write_session(tmp_path, "old/Subjects/A/2019-03-05/001").parent
    message = f"Session 2019-03-05/001 of A is left out: it was read already; {copy} holds it again"
    with pytest.warns(UserWarning, match=re.escape(message)):
        trials, report = load_ibl_trials(tmp_path, return_report=True)
    assert_frame_equal(trials[list(DECODED)], DECODED)
    assert report["read"].tolist() == report["kept"].tolist() == [4, 0]
    assert report["cut"].tolist() == [0, 0]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    write_session(tmp_path)
    closed = write_session(tmp_path, "lab/Subjects/B/2019-03-05/001").parents[2]
    scandir = os.scandir

    def refuse(path):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.warns(UserWarning, match=re.escape(f"{closed} is left out: Permission denied.")):
        assert load_ibl_trials(tmp_path)["subject"].unique().tolist() == ["A"]


def test_no_session_at_all_is_an_error(tmp_path):
    message = f"{tmp_path} holds no session of the IBL's release: expected the release's root, a "
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(tmp_path)
    alf = write_session(tmp_path, choice=[1])
    message = f"No session in {tmp_path} can be read; the first: the arrays in {alf} differ in "
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ibl_trials(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_ibl_trials(tmp_path / "nowhere")


def test_a_session_of_misses_only_is_read_and_leaves_nothing(tmp_path):
    write_session(tmp_path, "lab/Subjects/A/2019-03-04/001")
    write_session(tmp_path, choice=[0, 0, 0, 0])
    trials, report = load_ibl_trials(tmp_path, return_report=True)
    assert len(trials) == 4
    assert report["misses"].tolist() == [0, 4]


def test_totals_are_printed_only_if_asked_for(tmp_path, capsys):
    write_session(tmp_path, choice=[-1, 0, 1, -1])
    load_ibl_trials(tmp_path)
    assert capsys.readouterr() == ("", "")
    load_ibl_trials(tmp_path, verbose=True)
    printed = capsys.readouterr()
    assert printed.out == "1 session of 1 subject; trials: read 4, misses 1, " + (
        "rewarded misses 1, kept 3\n"
    )
    assert "1/1" in printed.err


def test_table_and_report_can_be_pickled_and_joined(tmp_path):
    write_session(tmp_path, choice=[-1, 0, 1, 1])
    trials, report = load_ibl_trials(tmp_path, return_report=True)
    for table in (trials, report):
        assert_frame_equal(pickle.loads(pickle.dumps(table)), table)
        assert len(pd.concat([table, table])) == 2 * len(table)
