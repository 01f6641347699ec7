"""Pictures of the learning rule show the tables' numbers, and where no animal has been."""

import numpy as np
import pandas as pd
import pytest
from drawn import curves, edges, finite, legend
from helpers import BRIEFLY_TRAINED
from matplotlib.collections import QuadMesh
from matplotlib.colors import same_color
from scipy.special import expit
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import history_table, update_table
from sklearn_learnrule.plotting import HistoryDisplay, UpdateDisplay

pytestmark = BRIEFLY_TRAINED

STIMULI = [-1.0, -0.5, -0.2, 0.2, 0.5, 1.0]
WEIGHTS = [0.0, 2.0]


@pytest.fixture(scope="module")
def design():
    contrasts = [(1.0, 0.2, 0.1, 0.05)]
    trials = make_learning_cohort(4, 150, session_length=40, curriculum=contrasts, random_state=0)
    X, y, _ = lr.make_design(trials)
    return X, y


@pytest.fixture(scope="module")
def reinforce(design):
    return lr.ReinforceRuleEstimator().fit(*design)


@pytest.fixture(scope="module")
def rnn(design):
    quick = {"memory_size": 3, "hidden_sizes": (4,), "max_epochs": 2, "lr": 0.05, "mirror": False}
    return lr.RNNRuleEstimator(random_state=0, **quick).fit(*design)


def make_updates(fits=(0,), biases=(0.0,)):
    """A table as of update_table, whose updates tell where they stand in it."""
    axes = {
        "fit": list(fits),
        "stimulus": STIMULI,
        "weight_stimulus": WEIGHTS,
        "weight_bias": list(biases),
        "correct": [False, True],
    }
    table = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    is_right = (table["stimulus"] > 0) == table["correct"]
    table["choice"] = np.where(is_right, "right", "left")
    table["reward"] = table["correct"].astype(float)
    number = table["fit"].map({fit: i for i, fit in enumerate(fits)})
    table["update_stimulus"] = (
        100 * number + 10 * table["weight_stimulus"] + table["stimulus"] + 2 * table["reward"] - 1
    )
    table["update_bias"] = -table["update_stimulus"]
    return table.assign(n_trials=5, n_subjects=2)


def slice_of(table, weight, correct, side):
    rows = table[(table["weight_stimulus"] == weight) & (table["correct"] == correct)]
    return rows.loc[np.sign(rows["stimulus"]) == side, ["stimulus", "update_stimulus"]].to_numpy()


def drawn_slices(panel, weight, correct):
    """The lines of a weight and outcome, left and right."""
    color = legend(panel)[f"{weight:g}"].get_color()
    found = curves(panel, color=color, style="-" if correct else "--")
    return sorted(found, key=lambda line: line.get_xdata()[0])


def test_slices_are_solid_after_correct_choices_and_dashed_after_errors():
    table = make_updates()
    (panel,) = UpdateDisplay(table).plot().axes_.flat
    for weight in WEIGHTS:
        for correct in (True, False):
            left, right = drawn_slices(panel, weight, correct)
            np.testing.assert_array_equal(finite(left), slice_of(table, weight, correct, -1))
            np.testing.assert_array_equal(finite(right), slice_of(table, weight, correct, 1))


def test_a_panel_for_each_bias_and_labels_that_say_what_is_drawn():
    axes = UpdateDisplay(make_updates(biases=(-0.5, -0.0, 0.5))).plot(weight="bias").axes_
    assert axes.shape == (1, 3)
    assert [panel.get_title() for panel in axes.flat] == ["bias = −0.5", "bias = 0", "bias = 0.5"]
    assert {panel.get_xlabel() for panel in axes.flat} == {"stimulus"}
    assert axes[0, 0].get_ylabel() == "change of bias\nper trial"
    labels = list(legend(axes[0, -1]))
    assert labels == ["2", "0", "", "after correct", "after error", "no animal there"]
    assert axes[0, -1].get_legend().get_title().get_text() == "stimulus weight"


def test_a_rule_is_faint_beyond_the_stimuli_that_animals_met():
    table = make_updates()
    met = (table["weight_stimulus"] == 0) & table["correct"] & (table["stimulus"] < 1)
    table["n_trials"] = met * 3
    (panel,) = UpdateDisplay(table).plot().axes_.flat
    drawn = drawn_slices(panel, 0.0, True)
    faint = [line for line in drawn if line.get_alpha() is not None]
    strong = [line for line in drawn if line.get_alpha() is None]
    assert all(line.get_alpha() < 0.5 for line in faint)
    (right,) = faint
    np.testing.assert_array_equal(finite(right), slice_of(table, 0.0, True, 1))
    assert [finite(line)[:, 0].tolist() for line in strong] == [[-1, -0.5, -0.2], [0.2, 0.5]]
    dots = np.vstack([finite(line) for line in curves(panel, marker="o")])
    assert dots[:, 0].tolist() == [-1, -0.5, -0.2, 0.2, 0.5]
    np.testing.assert_array_equal(finite(drawn_slices(panel, 2.0, True)[0])[:, 0], [-1, -0.5, -0.2])
    assert not any(len(finite(x)) for x in drawn_slices(panel, 2.0, True) if not x.get_alpha())


def test_refits_are_a_mean_with_a_band_and_models_are_rows():
    refits = make_updates(fits=range(5))
    (panel,) = UpdateDisplay(refits).plot().axes_.flat
    left, _ = drawn_slices(panel, 0.0, True)
    by_stimulus = refits[(refits["weight_stimulus"] == 0) & refits["correct"]].groupby("stimulus")
    means = by_stimulus["update_stimulus"].mean()
    np.testing.assert_allclose(left.get_ydata(), means[left.get_xdata()])
    limits = by_stimulus["update_stimulus"].quantile([0.025, 0.975]).unstack()
    (band,) = [
        band for band in panel.collections if np.allclose(edges(band), limits.loc[[-1, -0.5, -0.2]])
    ]
    assert band.get_alpha() < 0.5

    models = UpdateDisplay(make_updates(fits=["a", "b"], biases=[0, 1])).plot()
    titles = [[panel.get_title() for panel in row] for row in models.axes_]
    assert titles == [["a\nbias = 0", "a\nbias = 1"], ["b\nbias = 0", "b\nbias = 1"]]
    assert not models.axes_[0, 0].collections


def test_a_heatmap_is_the_update_after_correct_choices_hatched_where_no_animal_was():
    table = make_updates(biases=(0.0, 1.0))
    table.loc[table["stimulus"].eq(1) & table["weight_stimulus"].eq(2), "n_trials"] = 0
    display = UpdateDisplay(table).plot(kind="heatmap")
    for panel, (_, here) in zip(display.axes_.flat, table.groupby("weight_bias"), strict=True):
        mesh, hatched = panel.collections
        assert isinstance(mesh, QuadMesh)
        correct = here[here["correct"]].pivot(
            index="weight_stimulus", columns="stimulus", values="update_stimulus"
        )
        np.testing.assert_allclose(mesh.get_array(), correct)
        assert mesh.norm.vmin == -mesh.norm.vmax == -22
        (cell,) = hatched.get_paths()
        assert hatched.get_hatch()
        assert cell.vertices.min(0).tolist() == [4.5, 1] and cell.vertices.max(0).tolist() == [
            5.5,
            3,
        ]
        (divider,) = [line for line in panel.lines if line.get_xdata()[0] == 2.5]
        assert panel.get_xlabel() == "stimulus\n(left | right correct)"
    (_, _, bar) = display.figure_.axes
    assert bar.get_ylabel() == "change of stimulus weight\nper trial\n(hatched: no animal there)"


def test_the_lines_of_reinforce_are_its_formula(design, reinforce):
    weights = {"stimulus": [0.0, 1.0], "bias": 0.5}
    display = UpdateDisplay.from_estimator(reinforce, design[0], weights=weights)
    rate, baseline = reinforce.learning_rate_[0], reinforce.baseline_[0]
    for weight in weights["stimulus"]:
        for correct in (True, False):
            for line in drawn_slices(display.axes_[0, 0], weight, correct):
                x, update = line.get_xdata(), line.get_ydata()
                p = expit(weight * x + 0.5)
                y = (x > 0) == correct  # there are no stimuli of 0 in this cohort
                drawn = np.isfinite(update)
                expected = rate * (correct - baseline) * (y - p) * x
                np.testing.assert_allclose(update[drawn], expected[drawn], atol=1e-7)


def test_one_call_draws_smooth_lines_and_a_fine_heatmap(design, reinforce, monkeypatch):
    X, _ = design
    monkeypatch.setattr(UpdateDisplay, "plot", lambda display, *_, **__: display)  # the table alone

    def table(fits=reinforce, **options):
        return UpdateDisplay.from_estimator(fits, X, **options).table

    assert set(X["stimulus"]) <= set(table()["stimulus"])
    assert table()["stimulus"].nunique() > 20
    assert table()["weight_stimulus"].nunique() == 5
    assert table({"a": reinforce, "b": reinforce})["weight_stimulus"].nunique() == 5
    assert table([reinforce] * 2)["weight_stimulus"].nunique() == 3  # each has a band
    assert table(kind="heatmap")["weight_stimulus"].nunique() == 21
    own = {"stimuli": [-1, 1], "weights": {"stimulus": [0, 1]}}
    pd.testing.assert_frame_equal(table(kind="heatmap", **own), update_table(reinforce, X, **own))


def test_no_side_is_guessed_between_a_stimulus_with_two_answers_and_its_neighbour():
    trials = make_learning_cohort(4, 200, curriculum=[(1.0, 0.5, 0.0)], random_state=0)
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    rule = make_pipeline(lr.TanhContrast(), lr.ReinforceRuleEstimator()).fit(X, y)
    table = UpdateDisplay.from_estimator(rule, X, weights={"contrast": 0, "bias": 0}).table
    correct = table[table["correct"]]
    assert set(correct.loc[correct["choice"] == "left", "contrast"]).isdisjoint([0.1, 0.2])
    assert (correct.loc[correct["contrast"] > 0, "choice"] == "right").all()
    assert set(correct.loc[correct["contrast"] == 0, "choice"]) == {"left", "right"}
    everything = UpdateDisplay.from_estimator(rule, X, weights={"bias": 0}, all_outcomes=True)
    assert everything.table["contrast"].nunique() == 5


def make_histories(lengths=(1, 2), trials_back=(1,), fits=(0,), correct=True):
    axes = {
        "fit": list(fits),
        "trials_back": list(trials_back),
        "length": list(lengths),
        "run": ["rewarded", "unrewarded"],
        "stimulus": STIMULI,
    }
    table = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    table["choice"] = np.where((table["stimulus"] > 0) == correct, 1, 0)
    table = table.assign(reward=float(correct), correct=correct)
    table["update_stimulus"] = table["length"] * np.where(table["run"] == "rewarded", 1, -1)
    return table.assign(update_bias=0.0)


def test_a_history_has_a_line_after_rewarded_and_one_after_unrewarded_runs():
    display = HistoryDisplay(make_histories()).plot()
    assert [panel.get_title() for panel in display.axes_.flat] == ["run of 1", "run of 2"]
    for length, panel in enumerate(display.axes_.flat, start=1):
        entries = legend(display.axes_[0, -1])
        for run, update in (("rewarded", length), ("unrewarded", -length)):
            left, right = curves(panel, color=entries[run].get_color(), style="-")
            assert [*left.get_xdata(), *right.get_xdata()] == STIMULI
            assert {*left.get_ydata(), *right.get_ydata()} == {update}
    assert display.axes_[0, 0].get_ylabel() == "change of stimulus weight\nper trial"
    assert display.axes_[0, 0].get_xlabel() == "stimulus"


def test_runs_that_are_moved_back_say_how_far():
    table = make_histories(lengths=[4], trials_back=[1, 7])
    titles = [panel.get_title() for panel in HistoryDisplay(table).plot().axes_.flat]
    assert titles == ["1 to 4 trials back", "7 to 10 trials back"]
    titles = [p.get_title() for p in HistoryDisplay(make_histories([1], [5])).plot().axes_.flat]
    assert titles == ["5 trials back"]


def test_a_probe_of_errors_is_dashed():
    (panel,) = HistoryDisplay(make_histories([1], correct=False)).plot().axes_.flat
    assert {line.get_linestyle() for line in curves(panel)} == {"--"}


def test_a_rule_without_memory_is_said_to_have_none_beside_one_that_remembers(
    design, reinforce, rnn
):
    X, _ = design
    fits = {"REINFORCE": reinforce, "RNN": rnn}
    display = HistoryDisplay.from_estimator(fits, X, lengths=[2, 3], n_draws=2)
    (memoryless, empty), (remembers, _) = display.axes_
    assert memoryless.get_title().split() == ["REINFORCE", *"this rule has no memory".split()]
    assert remembers.get_title() == "RNN\nrun of 2"
    assert not empty.axison and empty.get_title() == ""
    entries = legend(display.axes_[0, -1])
    assert list(entries) == ["rewarded", "unrewarded", "any"]
    expected = history_table(fits, X, lengths=[2, 3], n_draws=2)
    pd.testing.assert_frame_equal(display.table, expected)
    for line in curves(memoryless):
        assert same_color(line.get_color(), entries["any"].get_color())
        points = finite(line)
        update = expected[expected["fit"] == "REINFORCE"].set_index("stimulus")["update_stimulus"]
        np.testing.assert_allclose(points[:, 1], update.groupby(level=0).first()[points[:, 0]])
    widths = {line.get_linewidth() for line in curves(remembers)}
    assert len(widths) == 2  # both lines are seen where they coincide


def test_a_rule_without_memory_has_one_panel_in_which_that_is_said(design, reinforce):
    X, _ = design
    for fits in (reinforce, [reinforce, reinforce]):
        display = HistoryDisplay.from_estimator(fits, X, n_draws=1)
        (panel,) = display.axes_.flat
        assert panel.get_title() == "this rule has no memory"
        assert panel.get_xlabel() == "stimulus" and list(legend(panel)) == ["any"]
    forgets = make_histories(trials_back=[1, 7]).assign(update_stimulus=0.5)
    assert HistoryDisplay(forgets).plot().axes_.shape == (1, 1)


def test_where_there_are_few_stimuli_updates_are_points_and_no_line_joins_them(design):
    trials = make_learning_cohort(4, 150, curriculum=[(1.0,)], session_length=40, random_state=0)
    X, y, _ = lr.make_design(trials)
    assert set(X["stimulus"]) == {-1, 1}
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    display = UpdateDisplay.from_estimator(rule, X, weights={"bias": 0})
    assert set(display.table["stimulus"]) == {-1, 1}  # nothing is asked where there is nothing
    (panel,) = display.axes_.flat
    entries = legend(panel)
    assert [entries[f"after {name}"].get_markerfacecolor() for name in ("correct", "error")] == [
        "#000000",
        "none",
    ]
    drawn = curves(panel)
    assert {(line.get_linestyle(), line.get_marker()) for line in drawn} == {("None", "o")}
    shown = {tuple(point) for line in drawn for point in finite(line)}
    assert shown == set(display.table[["stimulus", "update_stimulus"]].itertuples(index=False))

    histories = make_histories()
    three = histories[histories["stimulus"] != 0.5]
    (panel, _) = HistoryDisplay(three).plot().axes_.flat
    assert {line.get_linestyle() for line in curves(panel)} == {"None"}
    refits = make_histories(fits=range(3))
    refits = refits[refits["stimulus"].abs() == 1]
    refits["update_stimulus"] += refits["fit"]
    (panel, _) = HistoryDisplay(refits).plot().axes_.flat
    heights = {
        np.ptp(bar[:, 1]).round(6) for bars in panel.collections for bar in bars.get_segments()
    }
    assert heights == {1.9}  # from 2.5% to 97.5% of 0, 1, 2


def test_values_that_few_digits_do_not_tell_apart_have_more():
    table = make_updates(biases=(5.0, 5.001))
    table["weight_stimulus"] = 1000 + table["weight_stimulus"] / 1000
    axes = UpdateDisplay(table).plot().axes_
    assert [panel.get_title() for panel in axes.flat] == ["bias = 5", "bias = 5.001"]
    assert list(legend(axes[0, -1]))[:2] == ["1000.002", "1000"]


def test_weights_and_kinds_that_are_not_there_are_told_which_are():
    display = UpdateDisplay(make_updates())
    with pytest.raises(ValueError, match=r"one of \['stimulus', 'bias'\], got 'left'"):
        display.plot(weight="left")
    with pytest.raises(ValueError, match=r"one of \('slices', 'heatmap'\), got 'map'"):
        display.plot(kind="map")
    with pytest.raises(ValueError, match=r"one of \['stimulus', 'bias'\], got 'left'"):
        HistoryDisplay(make_histories()).plot(weight="left")


def test_what_one_picture_cannot_show_is_said():
    table = make_updates()
    twice = pd.concat([table, table.assign(reward=2.0)])
    with pytest.raises(ValueError, match=r"has \[0.0, 1.0, 2.0\]: name two.* rewards=\[0.0, 2.0\]"):
        UpdateDisplay(twice).plot()
    table.insert(2, "tone", np.arange(len(table)))
    with pytest.raises(ValueError, match=r"\['stimulus', 'tone'\] vary: hold all but one"):
        UpdateDisplay(table).plot()
    UpdateDisplay(table.assign(tone=3.0)).plot()
