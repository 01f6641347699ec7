"""from_files: folders of CSV, TSV and Parquet files, told apart by their names."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from loaded import COHORT, COLUMNS, SESSION, assert_is_ranked, assert_is_the_cohort, write
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import from_files
from sklearn_learnrule.plotting import PsychometricDisplay
from sklearn_learnrule.preprocessing import tanh_contrast

NAMED = COHORT[["subject", "session", "stimulus", "choice", "answer", "reward"]]


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
        "{subject}//{session}.csv",
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
        trials = from_files(f"{folder}/{{subject}}/{{session}}.csv", **COLUMNS)
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
    assert from_files(tmp_path / "all.csv", **COLUMNS)["subject"].unique().tolist() == ["007"]


def test_animals_of_one_name_are_told_apart_by_more_of_the_path(tmp_path):
    for lab in "ab":
        write(tmp_path, f"{lab}/mouse1_1.csv")
    pattern = f"{tmp_path}/{{lab}}/{{subject}}_{{session}}.csv"
    trials = from_files(pattern, subject=["lab", "subject"], keep="lab", **COLUMNS)
    assert trials["subject"].tolist() == ["a/mouse1"] * 2 + ["b/mouse1"] * 2
    assert trials["lab"].tolist() == ["a", "a", "b", "b"]
    message = (
        f"Session '1' of 'mouse1' comes twice, from {tmp_path}/a/mouse1_1.csv and "
        f"{tmp_path}/b/mouse1_1.csv; leave one out, or give the two names of their own."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        from_files(pattern, **COLUMNS)


def test_stars_stand_for_anything_and_brackets_for_themselves(tmp_path):
    for place in ("a/x/[raw]/mouse_1.csv", "a/[raw]/mouse_2.csv", "a/[raw]/mouse_3.csv.bak"):
        write(tmp_path, place)
    trials = from_files(f"{tmp_path}/**/[raw]/mous?_{{session}}.*sv", subject=None, **COLUMNS)
    assert trials["session"].unique().tolist() == ["1", "2"]
    assert trials["subject"].unique().tolist() == ["all"]


def test_several_stimuli_keep_their_names_and_further_columns_are_kept(tmp_path):
    write(tmp_path, "A_1.csv", side=[1, 0, 1, 0])
    trials = from_files(
        f"{tmp_path}/{{subject}}_{{session}}.csv",
        **COLUMNS | {"stimulus": ["contrast", "side"]}, trial="onset", keep=["water"],
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
        **COLUMNS | {"stimulus": "bent"},
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
    write(tmp_path, "A_2.csv", port=None, water=1)
    write(tmp_path, "B_1.csv")
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS | {"verbose": True})
    assert capsys.readouterr().out == (
        "2 sessions of 2 subjects, 1 without a choice or a reward left out; trials: read 12, "
        "misses 6, no reward 2, kept 4\n"
    )
    assert trials["choice"].tolist() == ["L", "R", "L", "R"]
    assert trials["reward"].tolist() == [3.0] * 4
    from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **COLUMNS)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("port", "choices", "found"),
    [
        (["L", "R", "none", "R"], ("L", "R"), ["L", "R"]),
        (["right", "left", "", "left"], ("right", "left"), [0, 1]),
        ([1, -1, 0, -1], (1, -1), [0, 1]),
        ([2, 1, 0, 1], [1, 2], [2, 1]),
        (["2", "1", "none", "1"], [1, 2], [2, 1]),
        ([True, False, None, False], (False, True), [True, False]),
        ([0.5, 1.5, 0, 1.5], (0.5, 1.5), [0, 1]),
        (["L", "l", "none", "l"], ("L", "l"), [0, 1]),
    ],
)
def test_of_choices_the_second_is_right_and_others_are_none(tmp_path, port, choices, found):
    """They stay if they can be classes and sort as they are named, and are 0 and 1 if not."""
    write(tmp_path, "A_1.csv", port=port, best=port)
    options = COLUMNS | {"choices": choices, "answer": "best"}
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", **options)
    assert trials["choice"].tolist() == trials["answer"].tolist() == found
    assert {type(label) for label in trials["choice"].tolist()} == {type(found[0])}
    _, y, _ = lr.make_design(trials, answer="answer")
    right = [str(label) == str(choices[1]) for label in port[:2]]
    assert (y == np.unique(y)[1]).tolist() == right


def test_a_third_label_is_a_choice_and_one_that_looks_like_none_is_told(tmp_path):
    path, options = f"{tmp_path}/{{subject}}_{{session}}.csv", COLUMNS | {"reward": "onset"}
    write(tmp_path, "A_1.csv", port=["L", "M", "R", "M"])
    assert from_files(path, **options)["choice"].tolist() == ["L", "M", "R", "M"]
    write(tmp_path, "A_1.csv", port=["L", "none", "R", "L"])
    message = (
        "Column 'choice' has the label 'none' on 1 of 4 trials. If these were missed, make it NaN "
        "and count them, make_design(..., missed='count') (in from_files and from_nwb, name the "
        "choices, choices=...); if it is a choice as any other, name all choices, "
    )
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        from_files(path, **options)
    assert caught[0].filename == __file__


def test_of_more_than_two_choices_that_are_named_labels_stay_and_others_are_none(tmp_path, capsys):
    path = f"{tmp_path}/{{subject}}_{{session}}.csv"
    write(tmp_path, "A_1.csv", port=["3", "1", "none", "2"], best=["3", "2", "1", "1"])
    options = COLUMNS | {"reward": "onset", "choices": (1, 2, 3)}
    trials = from_files(path, **options | {"answer": "best", "verbose": True})
    assert "read 4, misses 1, kept 3" in capsys.readouterr().out
    assert trials["choice"].tolist() == [3, 1, 2]
    assert list(lr.make_design(trials)[0].filter(like="choice")) == [
        f"previous_choice_{label}" for label in (1, 2, 3)
    ]
    write(tmp_path, "A_1.csv", port=["3", "1", "none", "1"])
    with pytest.warns(UserWarning, match="No trial has the choice 2 of choices=.1, 2, 3.; taken"):
        from_files(path, **options)
    write(tmp_path, "A_1.csv", port=["3", "1", "none", "2"], best=["3", "2", "1", "up"])
    with pytest.raises(ValueError, match=r"hold the labels of choices=\(1, 2, 3\), but has 'up'"):
        from_files(path, **options, answer="best")


def test_a_label_that_never_comes_is_told(tmp_path):
    write(tmp_path, "A_1.csv")
    message = "No trial has the choice 'r' of choices=('L', 'r'); taken for none were 'R'."
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", choices=("L", "r"), **COLUMNS)
    assert caught[0].filename == __file__


def test_pictures_are_labelled_by_the_choices_that_are_named_and_by_a_column_that_is_kept(tmp_path):
    table = COHORT.assign(choice=COHORT["choice"].mask(COHORT.index % 50 == 3, "none"))
    table["coherence (%)"] = 100 * table["contrast"]
    path, column = write(tmp_path, "all.csv", table), {"stimulus": "coherence (%)"}
    trials = from_files(path, **column, keep="coherence (%)", choices=("left", "right"))
    X, y, _ = lr.make_design(trials, **column)
    panel = PsychometricDisplay.from_estimator(lr.ConstantRuleEstimator().fit(X, y), X, y).ax_
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("coherence (%)", "P(right)")


def test_an_early_session_may_have_choices_of_one_side(tmp_path):
    write(tmp_path, "A_1.csv", port="L")
    trials = from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", choices=("L", "R"), **COLUMNS)
    assert trials["choice"].tolist() == ["L", "L", "L"]


def test_exchanged_sides_are_told(tmp_path):
    write_cohort(tmp_path)
    message = (
        r"positive where 'left' is correct and negative where 'right' is, but on .* it is the "
        r"other way round\..* \(in from_files and from_nwb, choices=\('left', 'right'\)\)"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        from_files(f"{tmp_path}/{{subject}}/{{session}}.csv", choices=("right", "left"))
    assert caught[0].filename == __file__


def test_sessions_without_a_choice_are_no_sessions_read(tmp_path, capsys):
    for day, port in enumerate((list("LRLR"), None, "none", list("RRLL")), 1):
        write(tmp_path, f"A_{day}.csv", port=port, water=1)
    pattern = f"{tmp_path}/{{subject}}_{{session}}.csv"
    from_files(pattern, choices=("L", "R"), **COLUMNS | {"verbose": True})
    assert capsys.readouterr().out == (
        "2 sessions of 1 subject, 2 without a choice left out; trials: read 16, misses 8, kept 8\n"
    )


def test_a_stimulus_without_a_sign_is_told_and_computed_from_its_side(tmp_path):
    signed = COHORT["stimulus"]
    table = COHORT.assign(stimulus=signed.abs(), side=np.where(signed > 0, "R", "L"))
    path = write(tmp_path, "all.csv", table)
    message = (
        "No stimulus is negative, though 'left' and 'right' are correct in turn: if the side is in "
        "another column, compute a stimulus that is positive on the right and negative on the "
        "left, such as right - left (in from_files and from_nwb, by prepare=)."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        from_files(path, verbose=False)
    assert_is_the_cohort(
        from_files(
            path,
            prepare=lambda table: table.assign(
                stimulus=np.where(table["side"] == "R", 1, -1) * table["stimulus"]
            ),
        )
    )


# ------------------------------------------------------------------ the order of sessions


@pytest.mark.parametrize(
    "sessions",
    [
        ("01_pre", "02_post"),
        ("2023-12-31_rigB", "2024-01-01_rigA"),
        ("2024-03-01_12-10-15_Fri", "2024-03-02_09-10-15_Sat"),
        ("20240331", "20240401"),
        ("20201020", "20201120"),
        ("231031", "231101"),
        ("d041123", "d051123"),
        ("100001", "100002"),
        ("marathon1", "marathon2"),
        ("2019-03-05/0b1e56ad-8b3d-4a56-a1de-9c4a1b2c3d4e", "2019-03-06/001"),
    ],
)
def test_numbers_and_dates_tell_the_order_whatever_follows_them(tmp_path, sessions):
    pattern = f"{tmp_path}/{{subject}}/**/{{number}}.csv"
    for number, session in enumerate(sessions):
        write(tmp_path, f"A/{1 - number}.csv", session=session)
    trials = from_files(pattern, **COLUMNS)
    assert trials["session"].astype(str).unique().tolist() == list(sessions)


def test_an_order_that_no_number_tells_is_told_and_given_by_other_names(tmp_path):
    for subject in "AB":
        for session in ("pre1", "pre2", "post1", "post2"):
            write(tmp_path, f"{subject}_{session}.csv")
    pattern = f"{tmp_path}/{{subject}}_{{session}}.csv"
    message = (
        "Sessions of A (and of 1 more) are taken in the order post1, post2, pre1, pre2: name them "
        "by number or date if that is wrong."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        from_files(pattern, **COLUMNS)
    assert caught[0].filename == __file__
    before = {"pre": "1_pre", "post": "2_post"}
    trials = from_files(
        pattern,
        **COLUMNS,
        prepare=lambda table: table.assign(session=table["session"].replace(before, regex=True)),
    )
    assert trials["session"].unique().tolist() == ["1_pre1", "1_pre2", "2_post1", "2_post2"]


def test_a_copied_file_is_told(tmp_path):
    one, other = (write(tmp_path, f"{name}_1.csv", COHORT[:30], session=1, subject=name)
                  for name in ("A", "B"))  # fmt: skip
    write(tmp_path, "C_1.csv", COHORT[30:60], session=1, subject="C")
    message = f"{one} and {other} hold the same trials: leave one out if it is a copy."
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        from_files(f"{tmp_path}/{{subject}}_{{session}}.csv", verbose=False)
    few = SESSION.assign(port=list("LRLR"), water=1.0)
    shaping = COHORT[:30].assign(stimulus=1.0, choice="left", reward=1.0)
    for name in "ab":
        write(tmp_path / "few", f"{name}.csv", few)
        write(tmp_path / "shaping", f"{name}.csv", shaping.drop(columns=["subject", "session"]))
    from_files(f"{tmp_path}/few/{{subject}}.csv", session=None, **COLUMNS)
    from_files(f"{tmp_path}/shaping/{{subject}}.csv", session=None)


# ------------------------------------------------------------------------ the whole way


def test_from_files_to_a_ranked_comparison(tmp_path):
    write_cohort(tmp_path)
    assert_is_ranked(from_files(f"{tmp_path}/{{subject}}/{{session}}.csv"))


@pytest.mark.parametrize("labels", [(0, 1), ("0", "1"), (False, True)])
def test_a_label_is_the_same_whether_a_file_has_an_omission_or_not(tmp_path, labels):
    """Beside "none", numbers and booleans are read as text."""
    for day, choices in ((1, ["0", "1", "0", "1"]), (2, ["1", "none", "0", "1"])):
        if isinstance(labels[0], bool):
            choices = [{"0": "False", "1": "True"}.get(choice, choice) for choice in choices]
        table = pd.DataFrame({"stimulus": [-1.0, 1.0, -0.5, 0.5], "choice": choices, "reward": 1})
        table.to_csv(tmp_path / f"A_{day}.csv", index=False)
    pattern = tmp_path / "{subject}_{session}.csv"
    trials = from_files(pattern, choices=labels, verbose=False)
    assert trials["choice"].tolist() == [labels[i] for i in (0, 1, 0, 1, 1, 0, 1)]
