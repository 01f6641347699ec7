"""from_nwb: the trials of NWB files, whose subject and session the files tell."""

import re
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from loaded import COHORT, assert_is_ranked, assert_is_the_cohort

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import from_nwb

pynwb = pytest.importorskip("pynwb")

DAY = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
TRIALS = {
    "contrast": [-1.0, 0.5, 0.25, -0.5],
    "port": ["L", "R", "none", "R"],
    "water": [3.0, 3.0, 0.0, np.nan],
}
NAMES = {"stimulus": "contrast", "choice": "port", "reward": "water", "choices": ("L", "R")}


def session(subject="Ada", start=DAY, session_id=None, times=None, **columns):
    """Return a session as a file in memory."""
    file = pynwb.NWBFile("A session", f"{subject} {start}", start, session_id=session_id)
    if subject:
        file.subject = pynwb.file.Subject(subject_id=subject)
    columns = TRIALS | columns
    for name in columns:
        file.add_trial_column(name, f"The {name}")
    for number, values in enumerate(zip(*columns.values(), strict=True)):
        onset = 3.0 * number if times is None else times[number]
        file.add_trial(onset, onset + 1, **dict(zip(columns, values, strict=True)))
    return file


def write(path, *args, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(session(*args, **kwargs))
    return path


def write_cohort(folder):
    """Write each session to a file, whose name tells nothing of when it was."""
    tables = COHORT.groupby(["subject", "session"], sort=False)
    for number, ((subject, day), table) in enumerate(tables):
        columns = {
            "contrast": table["stimulus"], "port": table["choice"], "water": table["reward"],
            "best": table["answer"],
        }  # fmt: skip
        write(folder / f"{97 - number}.nwb", subject, DAY + timedelta(days=int(day)), **columns)


def test_the_trials_of_a_file_become_a_table(tmp_path, capsys):
    path = write(tmp_path / "a.nwb")
    for source in (
        *(session(), path, str(path), [path], tmp_path.glob("*"), tmp_path),
        *(f"{tmp_path}/*.nwb", [tmp_path]),
    ):
        trials = from_nwb(source, **NAMES)
        assert list(trials) == ["subject", "session", "stimulus", "choice", "reward", "start_time"]
        assert trials["subject"].tolist() == ["Ada", "Ada"]
        assert trials["session"].tolist() == ["2024-03-01T14:30:00"] * 2
        assert trials["stimulus"].tolist() == [-1.0, 0.5]
        assert trials["choice"].tolist() == ["L", "R"]
        assert trials["start_time"].tolist() == [0.0, 3.0]
        assert capsys.readouterr().out == (
            "1 session of 1 subject; trials: read 4, misses 1, no reward 1, kept 2\n"
        )
    from_nwb(session(), **NAMES, verbose=False)
    assert capsys.readouterr().out == ""


def test_sessions_come_as_they_began_whatever_their_names(tmp_path):
    later = DAY + timedelta(hours=20)
    files = [
        session("Bo", DAY, "z"), session("Ada", later, "a"), session("Ada", DAY, "b"),
    ]  # fmt: skip
    trials = from_nwb(files, **NAMES)
    named = trials[["subject", "session"]].drop_duplicates().to_numpy().tolist()
    assert named == [["Ada", "2024-03-01/b"], ["Ada", "2024-03-02/a"], ["Bo", "2024-03-01/z"]]
    eid = "4ecb5d24-f5cc-402c-be28-9d0f7cb14b3a"
    both = from_nwb([session(session_id=eid), session("Ada", later, eid)], **NAMES)
    assert both["session"].unique().tolist() == [f"2024-03-01/{eid}", f"2024-03-02/{eid}"]


def test_a_cohort_of_files_is_read_as_it_was_written(tmp_path):
    write_cohort(tmp_path / "sub" / "files")
    named = {"stimulus": "contrast", "choice": "port", "reward": "water", "answer": "best"}
    trials = from_nwb(tmp_path, **named)
    assert_is_the_cohort(trials, answer="answer")
    assert_is_ranked(trials, trial="start_time")


def test_any_number_of_ports_are_choices():
    file, named = session(port=["L", "M", "R", "R"]), NAMES | {"verbose": False}
    trials = from_nwb(file, **named | {"choices": None})
    assert trials["choice"].tolist() == ["L", "M", "R"]
    X, _, _ = lr.make_design(trials)
    assert list(X.filter(like="previous_choice_")) == [f"previous_choice_{port}" for port in "LMR"]
    assert from_nwb(file, **named | {"choices": ("L", "R")})["choice"].tolist() == ["L", "R"]


def test_labels_that_were_written_as_bytes_are_text(tmp_path):
    write(tmp_path / "a.nwb", port=[b"L", b"R", b"none", b"R"])
    write(tmp_path / "b.nwb", start=DAY + timedelta(days=1))
    trials = from_nwb(tmp_path, **NAMES)
    assert trials["choice"].tolist() == ["L", "R", "L", "R"]


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "nwb" / "a.nwb")
    for source in ("~/nwb", "~/nwb/a.nwb", "~/nwb/*.nwb"):
        assert len(from_nwb(source, **NAMES)) == 2


def test_a_stimulus_may_be_computed_and_further_columns_kept():
    file = session(left=[1.0, 0, 0, 0.5], right=[0, 0.5, 0.25, 0])
    trials = from_nwb(file, **NAMES | {"stimulus": ["left", "right"]}, keep="stop_time")
    X, _, _ = lr.make_design(trials, stimulus=["left", "right"])
    assert X["right"].tolist() == trials["right"].tolist() == [0.0, 0.5]
    assert trials["stop_time"].tolist() == [1.0, 4.0]
    signed = from_nwb(
        file, **NAMES | {"stimulus": "signed"},
        prepare=lambda table: table.assign(signed=table["right"] - table["left"]),
    )  # fmt: skip
    assert signed["stimulus"].tolist() == [-1.0, 0.5]


# ------------------------------------------------------------------------ what is wrong


def test_a_file_without_subject_or_trials_is_named(tmp_path):
    path = write(tmp_path / "a.nwb", subject="")
    with pytest.raises(ValueError, match=f"^{path} tells no subject \\(subject.subject_id\\)"):
        from_nwb(path, **NAMES)
    file = pynwb.NWBFile("A session", "empty", DAY)
    with pytest.raises(ValueError, match="^NWBFile 'empty' holds no table of trials"):
        from_nwb(file, **NAMES)


def test_a_column_that_is_not_there_is_named_with_its_file(tmp_path):
    path = write(tmp_path / "a.nwb")
    message = f"{path}: Column 'contarst' is not in the table, whose columns are 'start_time', "
    with pytest.raises(ValueError, match=re.escape(message)):
        from_nwb([session("Bo", contarst=[1, 2, 3, 4]), path], **NAMES | {"stimulus": "contarst"})


def test_trials_that_start_before_those_before_are_refused():
    mixed = session(times=[5.0, 4.0, 6.0, 7.0])
    message = (
        "Column 'start_time' should rise within a session, but 4.0 comes after 5.0 in session "
        "'2024-03-01T14:30:00' (subject 'Ada', row 1). Sort the trials by subject and time (in "
        "from_files and from_nwb, by prepare=); if several"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_nwb(mixed, **NAMES)
    table = from_nwb(mixed, **NAMES, prepare=lambda trials: trials.sort_values("start_time"))
    assert table["start_time"].tolist() == [4.0, 5.0]


def test_a_session_that_comes_twice_is_refused(tmp_path):
    paths = write(tmp_path / "a.nwb"), write(tmp_path / "b.nwb")
    message = f"Session '2024-03-01T14:30:00' of 'Ada' comes twice, from {paths[0]} and {paths[1]};"
    with pytest.raises(ValueError, match=re.escape(message)):
        from_nwb(tmp_path, **NAMES)


def test_sessions_that_began_at_the_same_time_are_told():
    files = [session(session_id=name) for name in ("second", "first")]
    message = (
        "Sessions of Ada are taken in the order 2024-03-01/second, 2024-03-01/first: some began at "
        "the same time, so give each its session_start_time if that is wrong."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        from_nwb(files, **NAMES)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_nwb(tmp_path / "nowhere.nwb", **NAMES)
    with pytest.raises(FileNotFoundError, match=f"There is no NWB file .* in {tmp_path}."):
        from_nwb(tmp_path, **NAMES)
    with pytest.raises(FileNotFoundError, match=r"There is no NWB file .* in .*/\*\.nwb\."):
        from_nwb(tmp_path / "*.nwb", **NAMES)
    with pytest.raises(FileNotFoundError, match=r"There is no NWB file \(\*\.nwb\) in \[\]\."):
        from_nwb([], **NAMES)
    (tmp_path / "a.nwb").write_text("no")
    with pytest.raises(ValueError, match=f"{tmp_path}/a.nwb cannot be read as an NWB file \\(.+"):
        from_nwb(tmp_path, **NAMES)
    with pytest.raises(
        TypeError, match="^source should be a path, an NWBFile or a list of these, got int"
    ):
        from_nwb(3, **NAMES)


def test_without_pynwb_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    message = "NWB files are read by pynwb: pip install pynwb, or sklearn_learnrule[nwb]."
    with pytest.raises(ImportError, match=re.escape(message)):
        from_nwb("a.nwb", **NAMES)
