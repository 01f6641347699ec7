"""load_ibl_trials on real animals: both layouts tell the same story, and so do the files."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.datasets._files import EXACT


@pytest.fixture
def sample(ibl_data):
    return ibl_data / "ibl_alf_sample"


@pytest.fixture
def twelve(ibl_data):
    return ibl_data / "ibl_cshl12_trials.csv.gz"


def test_the_twelve_mice_are_read_as_the_paper_counts_them(twelve):
    trials, report = load_ibl_trials(twelve, processing="published", return_report=True)
    numbers = [*range(1, 9), 10, 12, 14, 15]
    lengths = trials.groupby("subject").size()
    assert lengths.to_dict() == {f"CSHL_{number:03d}": 10_001 for number in numbers}
    assert (trials["reward"] == (trials["choice"] == trials["answer"])).all()
    wrong = report[report["wrong_side"] > 0]
    assert wrong.index.tolist() == [("CSHL_002", "2019-03-05/001")]
    assert wrong["wrong_side"].tolist() == [81]
    X, _, groups = lr.make_design(trials, answer="answer")
    assert len(X) == 120_012 and groups.nunique() == 12


def test_folders_give_the_published_table_bit_for_bit(sample, twelve):
    ours = load_ibl_trials(sample, subjects="CSHL_002", processing="published")
    raw = pd.read_csv(twelve, dtype={"session": str}, **EXACT)
    raw = raw[(raw["subject"] == "CSHL_002") & raw["date"].isin(ours["session"].str[:10])]
    assert len(ours) == len(raw) == 966
    rebuilt = pd.DataFrame(
        {
            "lab": ours["lab"],
            "subject": ours["subject"],
            "date": ours["session"].str.partition("/")[0],
            "session": ours["session"].str.partition("/")[2],
            "contrastLeft": (-ours["contrast"]).clip(lower=0.0),
            "contrastRight": ours["contrast"].clip(lower=0.0),
            "probabilityLeft": ours["probability_left"],
            "choice": ours["choice"],
            "feedbackType": ours["reward"].astype(int),
            "answer": ours["answer"],
        }
    )
    assert_frame_equal(rebuilt, raw.reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize("processing", ["published", "repaired"])
def test_both_layouts_give_the_same_trials_either_way(sample, twelve, processing):
    ours = load_ibl_trials(sample, subjects=["CSHL_002"], processing=processing)
    theirs = load_ibl_trials(twelve, subjects=["CSHL_002"], processing=processing)
    theirs = theirs[theirs["session"].isin(ours["session"])].reset_index(drop=True)
    assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.parametrize("layout", ["sample", "twelve"])
def test_repair_touches_81_trials_and_answer_and_side_agree_after_it(layout, request):
    path = request.getfixturevalue(layout)
    before = load_ibl_trials(path, processing="published")
    after, report = load_ibl_trials(path, processing="repaired", return_report=True)
    assert (before != after).any(axis=1).sum() == report["repaired"].sum() == 81
    bent = ["contrast", "stimulus"]
    assert_frame_equal(before.drop(columns=bent), after.drop(columns=bent))
    changed = before["contrast"] != after["contrast"]
    assert (before.loc[changed, "contrast"] == -after.loc[changed, "contrast"]).all()
    shown = after["contrast"] != 0
    assert ((after["contrast"] > 0) == (after["answer"] == 1))[shown].all()


def test_the_repaired_stimuli_are_those_with_a_negative_contrast_on_the_right(sample):
    """On that day a stimulus on the right bears a minus where it follows one on the left."""
    day = sample / "churchlandlab/Subjects/CSHL_002/2019-03-05"
    right, choice, feedback = (
        np.load(day / f"001/alf/_ibl_trials.{name}.npy")
        for name in ("contrastRight", "choice", "feedbackType")
    )
    follows_left = np.isnan(np.insert(right, 0, 0.0)[:-1])
    np.testing.assert_array_equal((right < 0)[1:], (~np.isnan(right) & follows_left)[1:])
    made = choice != 0
    right_was_correct = choice * feedback == -1
    assert right_was_correct[made & (right < 0)].all()

    after = load_ibl_trials(day, processing="repaired")["contrast"]
    before = load_ibl_trials(day, processing="published")["contrast"]
    np.testing.assert_array_equal(before != after, right[made] < 0)
    on_right = ~np.isnan(right[made])
    np.testing.assert_array_equal(after[on_right], np.abs(right[made][on_right]))


def test_the_report_counts_what_lies_in_the_files(sample):
    trials, report = load_ibl_trials(sample, processing="published", return_report=True)
    assert trials["subject"].unique().tolist() == ["CSHL_002", "DY_010", "ZM_1084"]
    folders = sorted(sample.glob("*/Subjects/*/*/*/alf"))
    assert len(report) == len(folders) == 10
    for alf in folders:
        subject, date, number = alf.parts[-4:-1]
        row = report.loc[(subject, f"{date}/{number}")]
        choice, feedback = (
            np.load(alf / f"_ibl_trials.{n}.npy").tolist() for n in ("choice", "feedbackType")
        )
        pairs = Counter(zip(choice, feedback, strict=True))
        made = {pair: n for pair, n in pairs.items() if pair[0] != 0 and pair[1] != 0}
        assert row["read"] == len(choice)
        assert row["misses"] == choice.count(0)
        assert row["rewarded_misses"] == pairs[0, 1]
        assert row["no_feedback"] == pairs[1, 0] + pairs[-1, 0]
        assert row["kept"] == sum(made.values())
    total = report.sum(numeric_only=True)
    assert total[["read", "misses", "rewarded_misses", "no_feedback"]].tolist() == [
        4636,
        195,
        64,
        3,
    ]
    assert total[["kept", "negative_contrasts", "wrong_side"]].tolist() == [4438, 81, 81]


def test_trials_without_feedback_timed_out(sample):
    """So their choices were not made, and they are dropped as misses are."""
    alf = sample / "mainenlab/Subjects/ZM_1084/2019-02-04/001/alf"
    feedback, response, stimulus = (
        np.load(alf / f"_ibl_trials.{name}.npy")
        for name in ("feedbackType", "response_times", "stimOn_times")
    )
    seconds = (response - stimulus)[feedback == 0]
    assert len(seconds) == 5
    np.testing.assert_allclose(seconds, 60, atol=0.1)


def test_the_first_minute_with_real_mice(sample):
    trials, report = load_ibl_trials(sample, processing="repaired", return_report=True)
    X, y, groups = lr.make_design(trials, answer="answer")
    rule = lr.ConstantRuleEstimator().fit(X, y)
    assert rule.score(X, y) > -0.6
    assert report.groupby("subject")["kept"].sum().equals(y.groupby(groups.array).size())
