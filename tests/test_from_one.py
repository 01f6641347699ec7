"""from_one: the dict, ALF object or table of trials that ONE loads, of one session or of many."""

import re

import numpy as np
import pandas as pd
import pytest
from loaded import COHORT, assert_is_ranked, assert_is_the_cohort
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import from_one, load_ibl_trials
from sklearn_learnrule.preprocessing import tanh_contrast

NAN = np.nan
TRIALS = {
    "choice": np.array([-1.0, 1, 1, -1, 0, 1, -1]),
    "feedbackType": np.array([1.0, 1, -1, -1, -1, 0, 1]),
    "contrastLeft": np.array([NAN, 0.5, NAN, NAN, 1.0, 1.0, NAN]),
    "contrastRight": np.array([0.25, NAN, 1.0, 0.0, NAN, NAN, NAN]),
    "probabilityLeft": np.array([0.5, 0.5, 0.8, 0.5, 0.5, 0.5, 0.5]),
    "intervals": np.zeros((7, 2)),  # and whatever else a session has
}
DECODED = pd.DataFrame(
    {
        "subject": "KS014",
        "session": "2019-03-05/001",
        "contrast": [0.25, -0.5, 1.0, 0.0],
        "stimulus": tanh_contrast([0.25, -0.5, 1.0, 0.0]),
        "choice": [1, 0, 0, 1],
        "answer": [1, 0, 1, 0],
        "reward": [1.0, 1.0, 0.0, 0.0],
        "probability_left": [0.5, 0.5, 0.8, 0.5],
    }
)
SESSION = {"subject": "KS014", "session": "2019-03-05/001"}


class AlfBunch(dict):
    """As ONE's: a dict that also has attributes."""


def sessions_of_the_cohort():
    """Return each session as ONE would load it, with its names."""
    tables = COHORT.groupby(["subject", "session"], sort=False)
    names, trials = [], []
    for (subject, session), table in tables:
        side = np.where(table["choice"] == "right", -1, 1)
        contrast = table["contrast"].to_numpy()
        names.append((subject, f"2024-03-{session:02d}/001"))
        trials.append(
            {
                "choice": side,
                "feedbackType": np.where(table["reward"] > 0, 1, -1),
                "contrastLeft": np.where(contrast < 0, -contrast, NAN),
                "contrastRight": np.where(contrast < 0, NAN, contrast),
            }
        )
    subjects, sessions = map(list, zip(*names, strict=True))
    return trials, subjects, sessions


@pytest.mark.parametrize("kind", [dict, AlfBunch, lambda trials: pd.DataFrame(trials)])
def test_a_session_is_decoded_and_what_is_dropped_is_said(kind, capsys):
    trials = kind({name: array for name, array in TRIALS.items() if array.ndim == 1})
    assert_frame_equal(from_one(trials, **SESSION), DECODED)
    assert capsys.readouterr().out == (
        "1 session of 1 subject; trials: read 7, misses 1, no feedback 1, no contrast 1, kept 4\n"
    )
    assert_frame_equal(from_one(TRIALS, **SESSION, verbose=False), DECODED)
    assert capsys.readouterr().out == ""


def test_lists_and_no_block_will_do():
    lists = {name: TRIALS[name].tolist() for name in list(TRIALS)[:4]}
    expected = DECODED.drop(columns="probability_left")
    assert_frame_equal(from_one(lists, **SESSION), expected)
    listed = {name: [value] for name, value in SESSION.items()}
    assert_frame_equal(from_one([lists], **listed), expected)
    assert_frame_equal(from_one(lists, **listed), expected)
    assert from_one(lists, subject=14, session=3)["subject"].unique().tolist() == [14]


def test_sessions_come_in_order_of_time_however_they_were_given():
    """ONE's search gives the newest first."""
    trials, subjects, sessions = sessions_of_the_cohort()
    back = slice(None, None, -1)
    table = from_one(trials[back], subject=subjects[back], session=sessions[back])
    assert_is_the_cohort(table, answer="answer")
    of_one = [number for number, name in enumerate(subjects) if name == "mouse_02"]
    table = from_one(
        [trials[number] for number in of_one],
        subject="mouse_02",
        session=[sessions[number] for number in of_one],
    )
    assert len(table) == (COHORT["subject"] == "mouse_02").sum()


def test_a_session_of_one_side_or_of_misses_only_may_be_read_by_itself(capsys):
    one_side = TRIALS | {"choice": np.ones(7), "feedbackType": np.ones(7)}
    one_side |= {"contrastLeft": np.ones(7), "contrastRight": np.full(7, NAN)}
    assert from_one(one_side, **SESSION)["choice"].tolist() == [0] * 7
    capsys.readouterr()
    assert from_one(TRIALS | {"choice": np.zeros(7)}, **SESSION).empty
    printed = "0 sessions of 1 subject, 1 without a choice left out; trials: read 7, misses 7, "
    assert capsys.readouterr().out.startswith(printed)
    messages = "^Sessions of A are taken in the order after, before: name them by number or date"
    with pytest.warns(UserWarning, match=messages) as caught:
        from_one([TRIALS, TRIALS], subject="A", session=["before", "after"])
    assert caught[0].filename == __file__


def test_the_releases_folders_give_the_same_table(ibl_data):
    place = ibl_data / "ibl_alf_sample/danlab/Subjects/DY_010"
    folders = sorted(folder.parent for folder in place.glob("*/*/alf"))
    names = ("choice", "feedbackType", "contrastLeft", "contrastRight", "probabilityLeft")
    trials = [
        {name: np.load(folder / f"alf/_ibl_trials.{name}.npy") for name in names}
        for folder in folders
    ]
    sessions = ["/".join(folder.parts[-2:]) for folder in folders]
    table = from_one(trials, subject="DY_010", session=sessions)
    assert_frame_equal(table, load_ibl_trials(place).drop(columns="lab"))


def test_a_stimulus_on_the_side_that_is_wrong_is_told_and_can_be_repaired():
    wrong = TRIALS | {"contrastRight": np.array([-0.25, NAN, 1.0, 0.0, NAN, NAN, NAN])}
    message = r"^1 trials \(the first in session 2019-03-05/001 of KS014\) show the stimulus on"
    with pytest.warns(UserWarning, match=message) as caught:
        from_one(wrong, **SESSION)
    assert caught[0].filename == __file__
    assert_frame_equal(from_one(wrong, **SESSION, processing="repaired"), DECODED)
    with pytest.raises(ValueError, match="processing must be 'published', 'repaired' or None"):
        from_one(wrong, **SESSION, processing="raw")


# ------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize("name", ["choice", "feedbackType", "contrastLeft", "contrastRight"])
def test_an_array_that_is_not_there_is_named(name):
    trials = {other: array for other, array in TRIALS.items() if other != name}
    message = f"Session '2019-03-05/001' of 'KS014': there is no array {name!r} among ['"
    with pytest.raises(ValueError, match=re.escape(message)):
        from_one(trials, **SESSION)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"choice": np.full(7, 2)}, "choice must hold -1, 0 or 1, but holds 2 in row 0."),
        (
            {"contrastLeft": np.full(7, 25.0)},
            "contrastLeft must hold NaN or numbers from -1 to 1, but holds 25.0 in row 0.",
        ),
        ({"choice": np.ones(6)}, "the arrays of trials differ in length (choice 6, feedbackType 7"),
        (
            {"choice": np.ones((7, 2))},
            "choice must hold one number a trial, but is of shape (7, 2).",
        ),
    ],
)
def test_arrays_coded_otherwise_are_refused(arrays, message):
    message = f"Session '2019-03-05/001' of 'KS014': {message}"
    with pytest.raises(ValueError, match=re.escape(message)):
        from_one(TRIALS | arrays, **SESSION)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"subject": ["A"], "session": ["1", "2"]},
            "subject should name each of the 2 sessions, got 1.",
        ),
        ({"subject": "A", "session": "1"}, "session should name each of the 2 sessions, got 1."),
        (
            {"subject": "A", "session": ["1", "1"]},
            "Session '1' of 'A' comes twice, from trials[0] and trials[1]; leave one out",
        ),
        (
            {
                "subject": "A",
                "session": [
                    "4ecb5d24-f5cc-402c-be28-9d0f7cb14b3a",
                    "d23a44ef-1402-4ed7-97f5-47e9a7a504d9",
                ],
            },
            "Sessions are put in order by their names, but '4ecb5d24-f5cc-402c-be28-9d0f7cb14b3a' ",
        ),
    ],
)
def test_names_that_do_not_tell_sessions_apart_or_when_they_were_are_refused(names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_one([TRIALS, TRIALS], **names)


def test_what_is_no_session_is_refused():
    with pytest.raises(ValueError, match="trials should hold a session at least, got none"):
        from_one([], subject="A", session=[])
    message = (
        "Session '1' of 'A': trials should be a mapping of arrays, as one.load_object(eid, "
        "'trials') returns, got list."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        from_one([[1, 2, 3]], subject="A", session=["1"])


# ------------------------------------------------------------------------ the whole way


def test_from_one_to_a_ranked_comparison():
    trials, subjects, sessions = sessions_of_the_cohort()
    assert_is_ranked(from_one(trials, subject=subjects, session=sessions), answer="answer")
    with pytest.raises(ValueError, match="at least two classes"):
        lr.make_design(from_one(TRIALS, **SESSION).query("choice == 0"))


def test_choices_of_another_coding_are_told():
    """1 is left and 0 right, so that all that was chosen on the right would be lost."""
    nan = np.nan
    trials = {
        "choice": np.tile([1, 0, 0, 1], 15),
        "feedbackType": np.tile([1, 1, 1, -1], 15),
        "contrastLeft": np.tile([1.0, nan, nan, nan], 15),
        "contrastRight": np.tile([nan, 1.0, 0.5, 0.25], 15),
    }
    with pytest.warns(UserWarning, match="50% of all trials were rewarded though"):
        from_one(trials, subject="A", session="1", verbose=False)
