"""A decomposition shows the numbers of its table: the weights, and what moved them."""

import numpy as np
import pandas as pd
import pytest
from drawn import curves, edges, legend

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import weight_decomposition
from sklearn_learnrule.plotting import DecompositionDisplay

LABELS = {"smoothed": "weight, 90% band", "by_rule": "by the rule", "by_noise": "by noise"}


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(5, 120, session_length=40, random_state=0))[:2]


@pytest.fixture(scope="module")
def fit(cohort):
    return lr.ReinforceRuleEstimator(baseline=None, process_noise=0.05).fit(*cohort)


@pytest.fixture(scope="module")
def table(cohort, fit):
    return weight_decomposition(fit, *cohort)


def of(table, subject, weight):
    return table[(table["subject"] == subject) & (table["weight"] == weight)]


def drawn(panel, entries, part):
    (line,) = curves(panel, color=entries[LABELS[part]].get_color())
    return np.array(line.get_data())


def test_lines_and_bands_are_those_of_the_table_a_row_an_animal_a_column_a_weight(
    cohort, fit, table
):
    display = DecompositionDisplay.from_estimator(fit, *cohort)
    pd.testing.assert_frame_equal(display.table, table)
    entries = legend(display.axes_[0, -1])
    assert list(entries) == [*LABELS.values(), "session starts"]
    assert [panel.get_title() for panel in display.axes_[0]] == ["stimulus", "bias"]
    for row, subject in zip(display.axes_, ["mouse_01", "mouse_02", "mouse_03"], strict=False):
        assert row[0].get_ylabel() == subject
        for panel, weight in zip(row, ["stimulus", "bias"], strict=True):
            here = of(table, subject, weight)
            for part in LABELS:
                np.testing.assert_allclose(drawn(panel, entries, part), here[["trial", part]].T)


def test_the_band_holds_nine_tenths_and_ticks_open_the_sessions(table):
    display = DecompositionDisplay(table).plot(weight="bias", max_subjects=1)
    (panel,) = display.axes_.flat
    here = of(table, "mouse_01", "bias").set_index("trial")
    ticks, band = panel.collections
    limits = edges(band)
    np.testing.assert_allclose(limits["max"] - here["smoothed"], 1.645 * here["std"])
    np.testing.assert_allclose(limits["min"] - here["smoothed"], -1.645 * here["std"])
    starts = [segment[0, 0] for segment in ticks.get_segments()]
    assert starts == here.reset_index().groupby("session")["trial"].min().tolist()


def test_only_so_many_animals_are_drawn_and_the_key_says_of_how_many(table):
    display = DecompositionDisplay(table).plot(max_subjects=2)
    assert display.axes_.shape == (2, 2)
    assert display.axes_[0, 1].get_legend().get_title().get_text() == "2 of 5 animals"
    chosen = display.plot(subjects=["mouse_04"])
    assert chosen.axes_[0, 0].get_ylabel() == "mouse_04"
    with pytest.raises(ValueError, match=r"some of \['mouse_01', .*\], got 'Ada'"):
        display.plot(subjects=["Ada"])
    with pytest.raises(ValueError, match=r"one of \['stimulus', 'bias'\], got 'left'"):
        display.plot(weight="left")


def test_several_fits_are_averaged_and_models_have_rows_of_their_own(table):
    other = table.assign(by_rule=table["by_rule"] + 1)
    refits = pd.concat([table.assign(fit=0), other.assign(fit=1)])
    panel = DecompositionDisplay(refits).plot(weight="bias", max_subjects=1).axes_[0, 0]
    found = drawn(panel, legend(panel), "by_rule")[1]
    np.testing.assert_allclose(found, of(table, "mouse_01", "bias")["by_rule"] + 0.5)

    models = pd.concat([table.assign(fit="a"), other.assign(fit="b")])
    axes = DecompositionDisplay(models).plot(weight="bias", max_subjects=1).axes_[:, 0]
    assert [panel.get_ylabel() for panel in axes] == ["a\nmouse_01", "b\nmouse_01"]
    entries = legend(axes[0])
    first, second = (drawn(panel, entries, "by_rule")[1] for panel in axes)
    np.testing.assert_allclose(second, first + 1)
