"""The displays draw the numbers they are given, and touch nobody's style."""

import inspect

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import sklearn_learnrule as lr
from sklearn_learnrule import plotting
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.model_selection import relative_to
from sklearn_learnrule.plotting import ComparisonDisplay

RULES = ["constant", "REINFORCE", "DNN"]
LOG_LIKELIHOOD = [-0.70, -0.66, -0.69, -0.60, -0.55, -0.62, -0.61, -0.51, -0.58]  # worst to best


@pytest.fixture
def scores():
    """Three rules, scored on three animals each."""
    return pd.DataFrame(
        {
            "rule": np.repeat(RULES, 3),
            "subject": ["a", "b", "c"] * 3,
            "log_likelihood": LOG_LIKELIHOOD,
        }
    )


def bars(display):
    """Each bar's mean and standard error, by the label on its axis."""
    ax = display.ax_
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    names = {tick: label.get_text() for tick, label in ticks}
    (whiskers,) = ax.collections
    return {
        names[round(bar.get_y() + bar.get_height() / 2, 6)]: (
            bar.get_width(),
            np.ptp(whisker[:, 0]) / 2,
        )
        for bar, whisker in zip(ax.patches, whiskers.get_segments(), strict=True)
    }


def test_bars_are_mean_differences_with_their_standard_error(scores):
    drawn = bars(ComparisonDisplay.from_scores(scores))
    differences = relative_to(scores, "REINFORCE")
    assert sorted(drawn) == sorted(RULES)
    for rule, (mean, error) in drawn.items():
        assert mean == pytest.approx(differences[rule].mean())
        assert error == pytest.approx(differences[rule].std() / np.sqrt(3))
    assert drawn["REINFORCE"] == (0, 0)
    assert drawn["constant"][0] == pytest.approx(-0.28 / 3)


def test_every_animal_is_a_point_in_its_rules_row(scores):
    ax = ComparisonDisplay.from_scores(scores, reference="constant").ax_
    differences = relative_to(scores, "constant")
    points = [line for line in ax.lines if line.get_marker() == "o"]
    rows = {label.get_text(): y for y, label in enumerate(ax.get_yticklabels())}
    del rows["constant"]  # the reference, at 0 by definition
    for (rule, row), line in zip(rows.items(), points, strict=True):
        np.testing.assert_allclose(line.get_xdata(), differences[rule])
        assert np.abs(line.get_ydata() - row).max() < 0.3


def test_the_best_rule_is_on_top_and_the_axis_says_what_is_drawn(scores):
    ax = ComparisonDisplay.from_scores(scores, reference="constant").ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == RULES
    assert ax.get_yticks().tolist() == [0, 1, 2]
    assert ax.get_xlabel() == "held-out log-likelihood − constant\n(nats / trial)"
    zero = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert [list(line.get_xdata()) for line in zero] == [[0, 0]]


def test_a_rule_without_a_score_is_at_the_bottom_and_keeps_its_place(scores):
    scores = scores.assign(
        log_likelihood=scores["log_likelihood"].mask(scores["rule"] == RULES[-1])
    )
    ax = ComparisonDisplay.from_scores(scores, reference="constant").ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == [RULES[-1], *RULES[:-1]]
    assert ax.get_ylim() == (-0.5, 2.5)


def test_a_display_draws_where_it_is_told_to_or_on_a_figure_of_its_own(scores):
    figure, (left, right) = plt.subplots(1, 2)
    told = ComparisonDisplay.from_scores(scores, ax=right)
    assert told.ax_ is right and told.figure_ is figure
    assert not left.patches
    own = ComparisonDisplay(relative_to(scores, "DNN"), "DNN")
    assert not hasattr(own, "ax_")
    assert own.plot() is own
    assert own.ax_.figure is own.figure_ is not figure
    assert len(plt.get_fignums()) == 2


def test_no_global_style_is_touched(scores):
    with mpl.rc_context():
        mpl.rcdefaults()
        before = dict(mpl.rcParams)
        ComparisonDisplay.from_scores(scores).figure_.canvas.draw()
        assert dict(mpl.rcParams) == before


def test_one_animal_alone_can_be_drawn(scores):
    alone = scores[scores["subject"] == "a"]
    points = [p for p in ComparisonDisplay.from_scores(alone).ax_.lines if p.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in points] == [1, 1]


def test_an_unknown_reference_is_told_the_rules_there_are(scores):
    with pytest.raises(ValueError, match=r"one of \['constant', 'REINFORCE', 'DNN'\], got 'RNN'"):
        ComparisonDisplay.from_scores(scores, reference="RNN")


def test_estimators_are_compared_and_drawn_in_one_go():
    X, y, _ = lr.make_design(make_learning_cohort(3, 30, random_state=0))
    estimators = {"left": DummyClassifier(strategy="prior"), "rule": lr.ConstantRuleEstimator()}
    _, ax = plt.subplots()
    display = ComparisonDisplay.from_estimator(estimators, X, y, reference="left", cv=3, ax=ax)
    expected = relative_to(lr.compare_rules(estimators, X, y, cv=3, verbose=0), "left")
    pd.testing.assert_frame_equal(display.differences, expected)
    assert display.ax_ is ax
    assert bars(display)["rule"][0] == pytest.approx(expected["rule"].mean())


def test_a_rule_that_failed_on_an_animal_has_no_bar_as_it_has_no_rank(scores):
    scores.loc[0, "log_likelihood"] = np.nan
    ax = ComparisonDisplay.from_scores(scores).ax_
    widths = {
        label.get_text(): bar.get_width()
        for label, bar in zip(ax.get_yticklabels(), ax.patches, strict=True)
    }
    assert np.isnan(widths.pop("constant"))
    assert np.isfinite(list(widths.values())).all()


# --------------------------------------------------------------- what from_estimator takes


@pytest.fixture(scope="module")
def design():
    X, y, _ = lr.make_design(make_learning_cohort(4, 100, random_state=0))
    return X, y


@pytest.fixture(scope="module")
def rule(design):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*design)


def test_every_display_of_estimators_takes_X_and_y():
    displays = [getattr(plotting, name) for name in plotting.__all__]
    takes = [inspect.signature(d.from_estimator) for d in displays if hasattr(d, "from_estimator")]
    assert len(takes) == 11
    assert {tuple(each.parameters)[:3] for each in takes} == {("estimators", "X", "y")}


@pytest.mark.parametrize("name", ["Equation", "History", "Update", "WeightTrajectory"])
def test_y_is_ignored_where_it_is_not_needed(name, rule, design):
    show = getattr(plotting, f"{name}Display").from_estimator
    with_y, without = show(rule, *design), show(rule, design[0])
    drawn = [
        [line.get_xydata() for panel in d.axes_.flat for line in panel.lines]
        for d in (with_y, without)
    ]
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Comparison", "reference, ax, cv, "),
        ("History", "weight, ax, lengths, "),
        ("LearningCurve", "reference, ax, n_subjects, "),
        ("SubjectUpdate", "groups, weight, ax, stimuli, weights, "),
        ("Update", "weight, kind, ax, stimuli, weights, "),
    ],
)
def test_an_option_that_a_display_does_not_take_is_told_with_those_it_does(
    name, known, rule, design
):
    message = f"^{name}Display.from_estimator takes no 'stimulus', but {known}"
    with pytest.raises(TypeError, match=message):
        getattr(plotting, f"{name}Display").from_estimator(rule, *design, stimulus="contrast")
