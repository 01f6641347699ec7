"""Loaders that keep trials without a choice or a reward, and what make_design makes of these."""

import re

import numpy as np
import pandas as pd
import pytest
from loaded import write
from pandas.testing import assert_frame_equal, assert_series_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import (
    from_files,
    from_nwb,
    from_one,
    load_ibl_trials,
    make_learning_cohort,
)

NAN = np.nan
KEEP = {"missed": "keep", "unknown_reward": "keep", "verbose": False}
COUNT = {"missed": "count", "unknown_reward": "keep"}
ONE = {
    "choice": np.array([-1.0, 0, 1, -1, 0, 0, 1, -1]),
    "feedbackType": np.array([1.0, -1, -1, 0, 1, -1, 1, 1]),
    "contrastLeft": np.array([NAN, 0.5, NAN, NAN, 1.0, NAN, 1.0, NAN]),
    "contrastRight": np.array([0.25, NAN, 1.0, 0.5, NAN, NAN, NAN, NAN]),
    "probabilityLeft": np.full(8, 0.5),
}  # chosen, missed, chosen, timed out, missed, missed, chosen, of no contrast
DATES = {"subject": "KS014", "session": "2019-03-05/001"}


@pytest.fixture(scope="module")
def cohort():
    gaps = {"miss_rate": 0.2, "unknown_reward_rate": 0.2, "n_blocks": 2}
    trials = make_learning_cohort(2, 60, session_length=30, **gaps, random_state=0)
    return trials.assign(genotype=trials["subject"].map({"mouse_01": "ko", "mouse_02": "wild"}))


@pytest.fixture
def files(cohort, tmp_path):
    """A file a session, and the pattern of their names."""
    for (subject, session), table in cohort.groupby(["subject", "session"]):
        write(tmp_path, f"{subject}_{session}.csv", table.drop(columns=["subject", "session"]))
    return f"{tmp_path}/{{subject}}_{{session:[^_]+}}.csv"


# ------------------------------------------------------------------------------ from files


def test_what_is_kept_makes_the_design_that_the_table_makes(cohort, files):
    further = {"restart": "block", "covariates": "genotype"}
    trials = from_files(files, keep=["block", "genotype"], **KEEP)
    assert trials[["choice", "reward"]].isna().sum().tolist() == [
        cohort["choice"].isna().sum(),
        cohort[["choice", "reward"]].isna().any(axis=1).sum(),
    ]
    for made, expected in zip(
        lr.make_design(trials, **COUNT, **further),
        lr.make_design(cohort.astype({"session": str}), **COUNT, **further),
        strict=True,
    ):
        np.testing.assert_array_equal(made, expected)
        assert made.index.equals(expected.index)


def test_named_choices_and_answers_stay_and_other_labels_are_missed(cohort, files):
    def told(table):
        return table.fillna({"choice": "none", "answer": "none"})

    options = {"choices": ("left", "right"), "answer": "answer", "prepare": told}
    trials = from_files(files, **options, **KEEP)
    assert trials["choice"].isna().equals(cohort["choice"].isna())
    X, y, _ = lr.make_design(trials, answer="answer", **COUNT)
    expected, choices, _ = lr.make_design(cohort, answer="answer", **COUNT)
    assert y.tolist() == choices.tolist()
    np.testing.assert_array_equal(X, expected)


def test_of_more_than_two_choices_labels_stay(tmp_path):
    ports = {"choice": ["3", "1", "none", "2"], "stimulus": 0.5, "reward": 1}
    write(tmp_path, "A_1.csv", pd.DataFrame(ports))
    trials = from_files(tmp_path / "A_1.csv", choices=(1, 2, 3), subject=None, session=None, **KEEP)
    assert lr.make_design(trials, **COUNT)[1].tolist() == [3, 1, 2]


@pytest.mark.parametrize("kept", [{}, {"missed": "keep"}, {"unknown_reward": "keep"}])
def test_either_kind_is_kept_alone_and_what_is_missing_is_counted_as_ever(
    cohort, files, kept, capsys
):
    missed = cohort["choice"].isna()
    unknown = cohort["reward"].isna() & ~missed
    dropped = (missed & ("missed" not in kept)) | (unknown & ("unknown_reward" not in kept))
    trials = from_files(files, **kept)
    assert trials["stimulus"].tolist() == cohort["stimulus"][~dropped].tolist()
    assert capsys.readouterr().out.endswith(
        f"trials: read {len(cohort)}, misses {missed.sum()}, no reward {unknown.sum()}, kept "
        f"{(~dropped).sum()}\n"
    )


def test_of_a_missed_trial_no_stimulus_need_be_known_and_no_reward_is(tmp_path):
    shown = ["-0.5", "off", "", "0.25"]
    table = {"choice": ["L", None, None, "R"], "stimulus": shown, "reward": [1, 1, None, 0]}
    write(tmp_path, "A_1.csv", pd.DataFrame(table))
    trials = from_files(tmp_path / "A_1.csv", subject=None, session=None, **KEEP)
    assert_series_equal(trials["stimulus"], pd.Series([-0.5, NAN, NAN, 0.25], name="stimulus"))
    assert_series_equal(trials["reward"], pd.Series([1, NAN, NAN, 0], name="reward"))
    assert lr.make_design(trials, **COUNT)[0]["previous_misses"].tolist() == [0, 2]
    write(tmp_path, "A_1.csv", pd.DataFrame(table | {"choice": ["L", "R", None, "R"]}))
    with pytest.raises(ValueError, match=re.escape("should be numeric, but has 'off' (subject")):
        from_files(tmp_path / "A_1.csv", subject=None, session=None, **KEEP)


@pytest.mark.parametrize(("choice", "reward"), [(None, 1), ("L", None)])
def test_where_nothing_else_is_there_no_trial_is_left(tmp_path, choice, reward):
    table = pd.DataFrame({"choice": [choice] * 3, "stimulus": 0.5, "reward": reward})
    write(tmp_path, "A_1.csv", table)
    with pytest.raises(ValueError, match=r"^No trial is left of 3: . have no choice, . no reward"):
        from_files(tmp_path / "A_1.csv", subject=None, session=None, **KEEP)


def test_signs_and_order_are_checked_all_the_same(cohort, files):
    def turned(table):
        return table.assign(stimulus=-table["stimulus"])

    def late(table):
        number = np.arange(len(table))
        return table.assign(number=np.where(table["choice"].isna(), 99, number))

    with pytest.warns(UserWarning, match="The stimulus should be positive where 'right' is"):
        from_files(files, prepare=turned, **KEEP)
    dropped = from_files(files, prepare=late, trial="number", verbose=False)
    assert dropped["number"].max() < 99
    with pytest.raises(ValueError, match="Column 'number' should rise within a session, but"):
        from_files(files, prepare=late, trial="number", **KEEP)


# ----------------------------------------------------------------------------- other files


def test_nwb_files_keep_theirs_alike(cohort):
    datetime, pynwb = pytest.importorskip("datetime"), pytest.importorskip("pynwb")
    start = datetime.datetime(2024, 3, 1, tzinfo=datetime.timezone.utc)
    file = pynwb.NWBFile("Contrasts", "one", start)
    file.subject = pynwb.file.Subject(subject_id="mouse_01")
    one = cohort[cohort["subject"] == "mouse_01"].fillna({"choice": "none"})
    columns = ["stimulus", "choice", "reward"]
    for name in columns:
        file.add_trial_column(name, name)
    for second, row in enumerate(one[columns].to_dict("records")):
        file.add_trial(float(second), second + 0.5, **row)
    named = dict(zip(columns, columns, strict=True))
    trials = from_nwb(file, **named, choices=("left", "right"), **KEEP)
    expected = lr.make_design(cohort[cohort["subject"] == "mouse_01"], session=None, **COUNT)
    np.testing.assert_array_equal(lr.make_design(trials, **COUNT)[0], expected[0])


def test_a_trial_that_timed_out_in_one_was_missed(capsys):
    trials = from_one(ONE, **DATES, missed="keep")
    assert "read 8, misses 3, rewarded misses 1, no feedback 1, no contrast 1, kept 7" in (
        capsys.readouterr().out
    )
    expected = pd.DataFrame(
        {
            "contrast": [0.25, -0.5, 1.0, 0.5, -1.0, NAN, -1.0],
            "choice": [1.0, NAN, 0, NAN, NAN, NAN, 0],
            "answer": [1.0, NAN, 1, NAN, NAN, NAN, 0],
            "reward": [1.0, NAN, 0, NAN, NAN, NAN, 1],
        }
    )
    assert_frame_equal(trials[list(expected)], expected)
    X, y, _ = lr.make_design(trials, answer="answer", missed="count")
    plain, y_plain, _ = lr.make_design(from_one(ONE, **DATES), answer="answer")
    assert X["previous_misses"].tolist() == [0, 1, 3]
    assert_frame_equal(X.drop(columns="previous_misses"), plain)
    assert y.tolist() == y_plain.tolist()


def test_the_release_keeps_its_misses_and_its_report_adds_up(tmp_path):
    for number in (1, 2):
        alf = tmp_path / f"lab/Subjects/KS014/2019-03-05/00{number}/alf"
        alf.mkdir(parents=True)
        for name, array in ONE.items():
            np.save(alf / f"_ibl_trials.{name}.npy", array)
    trials, report = load_ibl_trials(tmp_path, missed="keep", max_trials=10, return_report=True)
    assert_frame_equal(
        trials.head(7).drop(columns="lab"), from_one(ONE, **DATES, missed="keep", verbose=False)
    )
    told = report[["read", "misses", "no_feedback", "no_contrast", "cut", "kept", "wrong_side"]]
    assert told.values.tolist() == [[8, 3, 1, 1, 0, 7, 0], [8, 3, 1, 1, 4, 3, 0]]


@pytest.mark.parametrize("name", ["missed", "unknown_reward"])
def test_what_else_might_become_of_trials_is_refused(files, tmp_path, name):
    options = {name: "count"}
    message = f"^{name} should be 'drop' or 'keep', got 'count'.$"
    named = {"stimulus": "stimulus", "choice": "choice", "reward": "reward"}
    with pytest.raises(ValueError, match=message):
        from_files(files, **options)
    with pytest.raises(ValueError, match=message):
        from_nwb(tmp_path, **named, **options)
    if name == "missed":
        with pytest.raises(ValueError, match=message):
            from_one(ONE, **DATES, **options)
        with pytest.raises(ValueError, match=message):
            load_ibl_trials(tmp_path, **options)
