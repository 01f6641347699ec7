"""The picture of several trainings shows the tables of the design, and what to mistrust."""

import numpy as np
import pytest
from drawn import curves, edges, legend
from helpers import curriculum_design

from sklearn_learnrule.plotting import CurriculumDisplay

TRIALS = [[[10, 20, 30], [20, 30, 1000]], [[100, 200, 300], [300, 400, 500]]]
REACHED = np.array(TRIALS) < 1000


@pytest.fixture
def design():
    return curriculum_design(TRIALS, REACHED, [[[0.0] * 3] * 2, [[0.9] * 3] * 2])


@pytest.fixture
def panels(design):
    yield CurriculumDisplay.from_design(design).axes_


def test_dots_are_means_with_their_interval_and_thin_lines_hold_twins(panels, design):
    means, twins = design.table, design.twins.groupby("option")["trials"]
    for row, dot in enumerate(curves(panels[0], marker="o")):
        assert dot.get_xdata()[0] == means["trials"][row] and dot.get_ydata()[0] == row
        thin, thick = panels[0].collections[2 * row : 2 * row + 2]
        (first, last), (lower, upper) = (each.get_segments()[0][:, 0] for each in (thin, thick))
        assert [lower, upper] == means.loc[row, ["lower", "upper"]].tolist()
        own = twins.get_group(means["option"][row])
        np.testing.assert_allclose([first, last], own.quantile([0.025, 0.975]))
        assert thin.get_linewidth() < thick.get_linewidth()


def test_names_tell_how_many_get_there_unless_all_do(panels):
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == ["z\n(83% get there)", "a"]


def test_curves_are_the_mean_skill_with_its_interval(panels, design):
    told = design.curves
    for option, line, band in zip("za", curves(panels[1]), panels[1].collections, strict=True):
        own = told[told["option"] == option]
        np.testing.assert_allclose(line.get_ydata(), own["mean"])
        np.testing.assert_allclose(edges(band), own[["lower", "upper"]])
    criterion = [line for line in panels[1].lines if line not in curves(panels[1])]
    assert criterion[0].get_ydata()[0] == 0.75


def test_what_leaves_the_states_visited_is_open_and_broken(panels):
    known, left = curves(panels[0], marker="o")
    assert known.get_markerfacecolor() == known.get_color()
    assert left.get_markerfacecolor() == "white"
    assert [line.get_linestyle() for line in curves(panels[1])] == ["-", "--"]
    assert "outside of states visited" in legend(panels[-1])
    without = CurriculumDisplay.from_design(curriculum_design(TRIALS)).axes_[-1]
    assert list(legend(without)) == ["mean, 95% interval", "95% of twins"]
