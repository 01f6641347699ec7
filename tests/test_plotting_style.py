"""What holds for every display: a journal's sizes, keys beside the data, nobody's style touched."""

import inspect
import re
from copy import copy

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import curriculum_design
from matplotlib.text import Text

import sklearn_learnrule as lr
from sklearn_learnrule import inspection, plotting
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.recovery import RecoveryStudy

RULES = ["REINFORCE", "DNN"]
SCORE = {"n_trials": 9, "log_likelihood": -0.5, "accuracy": 0.8, "seconds": 1.0}
CURVE = pd.DataFrame(
    [
        {"rule": rule, "n_subjects": n, "repeat": 0, "fold": 0, "subject": subject, **SCORE}
        for rule in RULES
        for n in (1, 3)
        for subject in "AB"
    ]
)
POPULATION = pd.DataFrame({"expected_share": [0.6, 0.4], "lower": 0.1, "upper": 0.9}, RULES)
OWN = {"mean": 0.1, "std": 0.4, "lower": -0.56, "upper": 0.76}
EFFECTS = pd.DataFrame(
    {"fit": 0, "subject": subject, "group": subject, "effect": effect, "kind": kind, **OWN}
    for subject in "AB"
    for effect, kind in (("learning_rate", "factor"), ("baseline", "shift"))
)
UPDATES = pd.DataFrame(
    {"subject": subject, "group": subject, "tone": tone, "weight_tone": 0.5, "choice": tone > 0}
    for subject in "AB"
    for tone in (-1.0, 1.0)
).assign(reward=1.0, correct=True, update_tone=0.1)
POSTERIOR = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], ["A", "B"], RULES)


@pytest.fixture(scope="module")
def displays():
    """A display of each kind."""
    X, y, _ = lr.make_design(make_learning_cohort(5, 120, session_length=40, random_state=0))
    fit = lr.ReinforceRuleEstimator().fit(X, y)
    noisy = lr.ReinforceRuleEstimator(process_noise=0.05).fit(X, y)
    differences = pd.DataFrame({"a": [0.0, 0.0], "b": [-0.1, 0.2]})
    made = [
        plotting.AnimalRulesDisplay(POSTERIOR, POPULATION),
        plotting.SubjectEffectsDisplay(EFFECTS),
        plotting.SubjectUpdateDisplay(UPDATES),
        plotting.ComparisonDisplay(differences, "a"),
        plotting.UpdateDisplay.from_estimator(fit, X),
        plotting.EquationDisplay({"a rule": inspection.sparse_rule(fit, X)}),
        plotting.HistoryDisplay(inspection.history_table({"a rule": fit}, X, n_draws=1)),
        plotting.WeightTrajectoryDisplay(inspection.weight_trajectories(fit, X)),
        plotting.DecompositionDisplay(inspection.weight_decomposition(noisy, X, y)),
        plotting.PsychometricDisplay.from_estimator(fit, X, y, by="session"),
        plotting.SessionCurveDisplay(inspection.session_table(fit, X, y)),
        plotting.RecoveryDisplay.from_study(make_study()),
        plotting.LearningCurveDisplay(CURVE),
        plotting.CurriculumDisplay(curriculum_design([[[9, 99, 999]]], [[[1, 1, 0]]])),
    ]
    plt.close("all")
    return {type(display).__name__: display for display in made}


def make_study():
    """A study of two rules and three cohorts each, one of which is taken for the other's."""
    rows = [
        {
            "true_rule": true,
            "repeat": repeat,
            "rule": rule,
            "log_likelihood": -0.5 - 0.01 * ((rule != true) != ((true, repeat) == ("DNN", 2))),
            "rmse": 0.001 * (repeat + 1) + 0.01 * (rule != true),
            "true_rms": 0.02,
        }
        for true in RULES
        for repeat in range(3)
        for rule in RULES
    ]
    return RecoveryStudy(pd.DataFrame(rows))


NAMES = plotting.__all__
OF_RESULTS = {"AnimalRulesDisplay", "CurriculumDisplay", "RecoveryDisplay"}  # not of estimators
ONE_PANEL = {"ComparisonDisplay", "LearningCurveDisplay", "SessionCurveDisplay"}


@pytest.fixture(scope="module")
def plotted(displays):
    """Each display on a figure of its own, what plot returned, global style before and after."""
    made = {}
    for name, display in displays.items():
        with mpl.rc_context():
            mpl.rcdefaults()
            before, display = dict(mpl.rcParams), copy(display)
            told = display.plot()
            told.figure_.draw_without_rendering()  # but laid out
            made[name] = display, told, before, dict(mpl.rcParams)
    plt.close("all")
    return made


@pytest.fixture(scope="module")
def drawn(plotted):
    return {name: display for name, (display, *_) in plotted.items()}


def test_every_display_is_here(displays):
    assert sorted(displays) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_fits_a_journals_columns_and_can_be_read(drawn, name):
    figure = drawn[name].figure_
    assert 85 <= round(figure.get_figwidth() * 25.4, 6) <= 180
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert all(6.5 <= text.get_fontsize() <= 9 for text in texts)
    assert_nothing_is_cut_off(figure)


def assert_nothing_is_cut_off(figure):
    figure.draw_without_rendering()  # but laid out
    box = figure.get_tightbbox()  # inches
    assert box.x0 >= 0 and box.x1 <= figure.get_figwidth()
    assert box.y0 >= 0 and box.y1 <= figure.get_figheight()


def test_a_heatmap_of_one_panel_has_room_for_its_labels(displays):
    table = displays["UpdateDisplay"].table
    one = plotting.UpdateDisplay(table[table["weight_bias"] == table["weight_bias"].min()])
    assert_nothing_is_cut_off(one.plot(kind="heatmap").figure_)


def assert_no_texts_overlap(figure):
    for panel in figure.axes:
        for ticks in (panel.get_xticklabels(), panel.get_yticklabels()):
            assert_apart([label for label in ticks if label.get_rotation() == 0])
    panels = [panel for panel in figure.axes if panel.axison]
    named = ((panel.title, panel.xaxis.label, panel.yaxis.label) for panel in panels)
    keys = [*figure.legends, *filter(None, (panel.get_legend() for panel in panels))]
    assert_apart([*(label for labels in named for label in labels if label.get_text()), *keys])


def assert_apart(artists):
    boxes = [artist.get_window_extent() for artist in artists]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_can_be_laid_out_for_a_column_of_any_width_and_again(displays, name):
    display = copy(displays[name]).plot()
    figure = display.figure_
    for width in (85, 180):
        display.fit_width(width)
        assert figure.get_figwidth() * 25.4 == pytest.approx(width)
        assert_nothing_is_cut_off(figure)
        assert_no_texts_overlap(figure)
        heights = [panel.get_window_extent().height for panel in display.axes_.flat]
        assert min(heights) > 0.5 * figure.dpi
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        assert all(6.5 <= text.get_fontsize() <= 9 for text in texts)


def test_a_label_is_broken_anew_at_each_width(displays):
    display = copy(displays["UpdateDisplay"]).plot().fit_width(180)
    before = display.ax_.get_ylabel()
    assert display.fit_width(75).fit_width(180).ax_.get_ylabel() == before


@pytest.mark.parametrize("width", [75, 120])
def test_above_the_panels_each_group_of_a_key_has_columns_of_its_own(displays, width):
    display = copy(displays["UpdateDisplay"]).plot()
    beside = [text.get_text() for text in display.axes_[0, -1].get_legend().get_texts()]
    for _ in range(2):  # laid out again, it stays
        (key,) = display.fit_width(width).figure_.legends
        display.figure_.draw_without_rendering()
        texts = [text for text in key.get_texts() if text.get_text()]
        assert [text.get_text() for text in texts] == [text for text in beside if text]
        columns = [text.get_window_extent().x0 for text in texts]
        values, outcomes = columns[: beside.index("")], columns[beside.index("") :]
        assert max(values) < min(outcomes)


def test_a_width_that_cannot_be_is_told(displays):
    display = copy(displays["HistoryDisplay"])
    if hasattr(display, "figure_"):
        del display.figure_
    with pytest.raises(ValueError, match=r"HistoryDisplay is not drawn yet: call plot\(\) first"):
        display.fit_width(85)
    with pytest.raises(ValueError, match="20 mm are too narrow for . panels and their labels"):
        display.plot().fit_width(20)
    with pytest.raises(ValueError, match=r"^8\.5 mm are too narrow"):
        display.plot().fit_width(8.5)
    _, axes = plt.subplots(1, display.axes_.size)
    with pytest.raises(ValueError, match="was drawn on axes that lay out no labels"):
        display.plot(axes).fit_width(85)


@pytest.mark.parametrize("name", NAMES)
def test_every_outer_axis_has_a_label(drawn, name):
    display = drawn[name]
    axes = display.axes_.flat
    assert axes[0].get_ylabel() or name == "ComparisonDisplay"  # its ticks are names
    assert axes[-1].get_xlabel()


@pytest.mark.parametrize("name", NAMES)
def test_a_key_covers_no_data(drawn, name):
    figure = drawn[name].figure_
    for panel in figure.axes:
        if panel.get_legend():
            key = panel.get_legend().get_window_extent()
            assert not any(key.overlaps(other.get_window_extent()) for other in figure.axes)


@pytest.mark.parametrize("name", NAMES)
def test_a_display_draws_on_the_axes_it_is_given(displays, drawn, name):
    n_axes = drawn[name].axes_.size
    figure, axes = plt.subplots(1, n_axes, squeeze=False)
    n_figures = len(plt.get_fignums())
    told = displays[name].plot(axes if n_axes > 1 else axes[0, 0])
    assert told.figure_ is figure
    assert all(panel.has_data() for panel in axes.flat)
    assert len(plt.get_fignums()) == n_figures
    figure.draw_without_rendering()
    for key in filter(None, (panel.get_legend() for panel in axes.flat)):
        assert {text.get_fontsize() for text in key.get_texts()} == {10.0}  # theirs, not ours
        assert figure.bbox.contains(*key.get_window_extent().max)  # no layout makes room beside


@pytest.mark.parametrize("name", sorted(set(NAMES) - ONE_PANEL))
def test_too_few_axes_are_told_how_many_there_should_be(displays, drawn, name):
    n_axes = drawn[name].axes_.size
    _, axes = plt.subplots(1, n_axes + 1)
    with pytest.raises(
        ValueError, match=rf"There are {n_axes} panels to draw: .* got {n_axes + 1}"
    ):
        displays[name].plot(axes)


@pytest.mark.parametrize("name", NAMES)
def test_plotting_touches_no_global_style_and_returns_the_display(plotted, name):
    display, told, before, after = plotted[name]
    assert told is display
    assert after == before


@pytest.mark.parametrize("name", NAMES)
def test_axes_are_the_first_that_a_display_takes_and_keeps(drawn, name):
    display = drawn[name]
    assert next(iter(inspect.signature(display.plot).parameters)) == "ax"
    assert isinstance(display.axes_, np.ndarray)
    assert display.ax_ is display.axes_.flat[0]
    assert {panel.figure for panel in display.axes_.flat} == {display.figure_}


@pytest.mark.parametrize("name", sorted(set(NAMES) - OF_RESULTS))
def test_every_display_is_made_of_one_estimator_or_several_in_one_way(name):
    parameters = inspect.signature(getattr(plotting, name).from_estimator).parameters
    by_place = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert by_place in (["estimators", "X"], ["estimators", "X", "y"])
    assert parameters["ax"].default is None
    [*_, ax] = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert ax == "ax"


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_tell_each_parameter_that_there_is(name):
    kind = getattr(plotting, name)
    for member in (kind, kind.plot, getattr(kind, "from_estimator", kind.plot)):
        section = member.__doc__.split("----------\n")[1].split("\n\n")[0]
        told = re.findall(r"^ *([\w*][\w*, ]*) : ", section, re.MULTILINE)
        names = [each.strip("*") for names in told for each in names.split(", ")]
        assert sorted(names) == sorted(set(inspect.signature(member).parameters) - {"self"})


def test_one_estimator_can_be_compared_and_has_a_learning_curve():
    X, y, _ = lr.make_design(make_learning_cohort(3, 30, random_state=0))
    rule, how = lr.ConstantRuleEstimator(), {"cv": 3, "verbose": 0}
    compared = plotting.ComparisonDisplay.from_estimator(rule, X, y, **how)
    assert list(compared.differences) == ["ConstantRuleEstimator"]
    curve = plotting.LearningCurveDisplay.from_estimator(rule, X, y, n_subjects=[1, 2], **how)
    assert set(curve.table["n_subjects"]) == {1, 2}


def test_recovery_shows_counts_shares_and_errors():
    study = make_study()
    matrix, errors = plotting.RecoveryDisplay.from_study(study).axes_
    texts = [text.get_text() for text in matrix.texts]
    assert texts == ["3\n100%", "0", "1\n33%", "2\n67%"]
    np.testing.assert_allclose(matrix.images[0].get_array(), study.confusion / 3)
    assert [label.get_text() for label in matrix.get_yticklabels()] == RULES
    assert [label.get_text() for label in matrix.get_xticklabels()] == RULES
    right, wrong, bar, *others = errors.lines
    np.testing.assert_allclose(right.get_xdata(), [0.001, 0.002, 0.003])
    assert len(wrong.get_xdata()) == 0 and bar.get_xdata()[0] == pytest.approx(0.02)
    np.testing.assert_allclose(others[0].get_xdata(), [0.001, 0.002])
    np.testing.assert_allclose(others[1].get_xdata(), [0.013])
    assert others[0].get_color() != others[1].get_color()
    assert errors.get_xlabel() == "RMSE of the update\n(weight per trial)"
