"""By what update groups of animals learn, shown: means over animals, with Student's interval."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn import curves, edges, legend
from helpers import BRIEFLY_TRAINED
from pandas.testing import assert_frame_equal
from scipy import stats

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import subject_update_table
from sklearn_learnrule.plotting import SubjectUpdateDisplay

pytestmark = BRIEFLY_TRAINED

TONES = [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]
GROUPS = {"a": "WT", "b": "WT", "c": "WT", "d": "KO"}


def made(tones=TONES, weights=(0.0,)):
    """The updates of four animals, which learn the faster the later their name."""
    rows = [
        {
            "subject": subject,
            "group": group,
            "tone": tone,
            "weight_tone": weight,
            "choice": choice,
            "reward": float(choice == (tone > 0)),
            "correct": choice == (tone > 0),
            "update_tone": (1 + ord(subject) - ord("a")) * (0.1 + 0.01 * tone) * (1 + choice),
        }
        for subject, group in GROUPS.items()
        for weight in weights
        for tone in tones
        for choice in (False, True)
    ]
    groups = pd.Categorical([row["group"] for row in rows], categories=["WT", "KO"])
    return pd.DataFrame(rows).assign(group=groups)


@pytest.fixture(scope="module")
def cohort():
    trials = make_learning_cohort(6, 100, random_state=0)
    trials["genotype"] = np.where(trials["subject"] <= "mouse_03", "KO", "WT")
    return lr.make_design(trials, covariates={"genotype": "WT"})[:2]


@pytest.fixture(scope="module")
def fit(cohort):
    brief = {"hidden_sizes": (3,), "n_ensemble": 1, "max_epochs": 1, "mirror": False}
    return lr.DNNRuleEstimator(subject_effects=2, random_state=0, **brief).fit(*cohort)


def test_lines_are_means_over_animals_with_students_interval():
    table = made()
    ax = SubjectUpdateDisplay(table).plot().ax_
    entries = legend(ax)
    assert list(entries) == ["WT (3 animals)", "KO (1 animal)", "", "after correct", "after error"]
    assert ax.get_legend().get_title().get_text() == "90% intervals"
    wild = entries["WT (3 animals)"].get_color()
    for correct, style in ((True, "-"), (False, "--")):
        here = table[(table["group"] == "WT") & (table["correct"] == correct)]
        drawn = [line.get_xydata() for line in curves(ax, color=wild, style=style)]
        assert [len(points) for points in drawn] == [3, 3]  # none joins one choice's to the other's
        points = dict(np.concatenate(drawn).tolist())
        assert points == pytest.approx(here.groupby("tone")["update_tone"].mean().to_dict())
    left = table.query("group == 'WT' and tone == -3 and correct")["update_tone"]
    interval = stats.t.interval(0.9, 2, left.mean(), stats.sem(left))
    bands = [edges(band).loc[-3.0].tolist() for band in ax.collections if -3.0 in edges(band).index]
    assert any(band == pytest.approx(interval) for band in bands)
    assert len(ax.collections) == 4  # one animal alone has no interval


def test_few_stimuli_are_points_and_each_weight_before_has_its_panel():
    display = SubjectUpdateDisplay(made(tones=[-1.0, 1.0], weights=(0.0, 0.5))).plot()
    assert [panel.get_title() for panel in display.axes_.flat] == ["tone = 0", "tone = 0.5"]
    assert {line.get_marker() for line in curves(display.ax_)} == {"o"}
    assert display.ax_.get_ylabel() == "change of tone weight\nper trial"
    assert display.ax_.get_xlabel() == "tone"


def test_without_groups_all_animals_are_one():
    ax = SubjectUpdateDisplay(made().drop(columns="group")).plot().ax_
    assert next(iter(legend(ax))) == "all (4 animals)"


def test_what_cannot_be_drawn_is_told():
    table = made()
    with pytest.raises(ValueError, match=r"weight should be one of \['tone'\], got 'bias'"):
        SubjectUpdateDisplay(table).plot(weight="bias")
    table.loc[table["correct"] & (table["tone"] > 2), "reward"] = 2.0
    with pytest.raises(
        ValueError, match=r"has \[0.0, 1.0, 2.0\]: name two, such as rewards=\[0.0, 2"
    ):
        SubjectUpdateDisplay(table).plot()


def test_a_networks_groups_are_drawn_as_they_are_tabulated(cohort, fit):
    options = {"groups": "genotype", "stimuli": [-1, 1]}
    _, ax = plt.subplots()
    display = SubjectUpdateDisplay.from_estimator(fit, *cohort, **options, ax=ax)
    assert display.ax_ is ax and list(legend(ax))[:2] == ["WT (3 animals)", "KO (3 animals)"]
    table = display.table
    assert list(table)[:3] == ["subject", "group", "stimulus"]
    assert table.groupby("subject")["group"].first().tolist() == 3 * ["KO"] + 3 * ["WT"]
    without = subject_update_table(fit, *cohort, stimuli=[-1, 1])
    assert_frame_equal(table.drop(columns="group"), without)


def test_groups_that_tell_not_every_animal_are_refused(cohort, fit):
    message = "groups should have a label for each animal, but has none for 'mouse_02'."
    with pytest.raises(ValueError, match=re.escape(message)):
        subject_update_table(fit, *cohort, groups={"mouse_01": "WT"}, stimuli=[1])
