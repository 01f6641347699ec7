"""Pictures, reports and the command of more than two choices have a line or a panel for each."""

import numpy as np
import pandas as pd
import pytest
from drawn import curves, legend
from matplotlib.colors import to_hex
from three_choices import LABELS, STIMULI, K, design, fitted, make_trials, noisy, own, reinforce

import sklearn_learnrule as lr
from sklearn_learnrule import plotting
from sklearn_learnrule.command_line import main
from sklearn_learnrule.inspection import (
    subject_effects_table,
    subject_update_table,
    update_table,
    weight_trajectories,
)
from sklearn_learnrule.report import _parts, _sections, _write, write_report

WEIGHTS = [*STIMULI, "bias"]


# ----------------------------------------------------------------------------------- the pictures


def models():
    return {"REINFORCE": reinforce(), "constant": fitted(lr.ConstantRuleEstimator)}


def test_psychometric_pictures_have_a_colour_a_choice_and_a_mark_a_model():
    display = plotting.PsychometricDisplay.from_estimator(models(), *design(), by="session")
    assert list(legend(display.axes_[1])) == [*LABELS, "", "animals", "REINFORCE", "constant"]
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["s0 = 1", "s1 = 1", "all 0"]
    assert display.ax_.get_ylabel() == "P(choice)"


def test_trajectories_have_a_panel_a_weight_and_a_line_a_choice():
    X, _ = design()
    truth = reinforce().predict_weights(X)
    show = plotting.WeightTrajectoryDisplay.from_estimator
    display = show(reinforce(), X, truth=truth, max_subjects=2)
    assert display.axes_.shape == (2, 3)
    assert [panel.get_title() for panel in display.axes_[0]] == ["s0 weight", "s1 weight", "bias"]
    assert list(legend(display.axes_[0, -1]))[:3] == LABELS
    drawn = [line for line in display.ax_.lines if len(line.get_xdata()) == 120]
    assert len(drawn) == 6
    for model, true in zip(drawn[:3], drawn[3:], strict=True):
        assert model.get_ydata() == pytest.approx(np.asarray(true.get_ydata()))
    several = show(models(), X, max_subjects=2)
    assert several.axes_.shape == (2, 1)
    assert [line.get_linestyle() for line in several.ax_.lines[1:7]] == 3 * ["-"] + 3 * ["--"]


def test_trajectories_of_many_weights_are_of_fewer_animals_unless_these_are_named(monkeypatch):
    monkeypatch.setattr("sklearn_learnrule.plotting._trajectories.MAX_PANELS", 5)
    table = weight_trajectories(reinforce(), design()[0])
    assert plotting.WeightTrajectoryDisplay(table).plot().axes_.shape == (1, 3)
    named = plotting.WeightTrajectoryDisplay(table).plot(subjects=table["subject"].unique()[:2])
    assert named.axes_.shape == (2, 3)


def test_a_weight_that_moves_by_rounding_alone_is_drawn_on_the_scale_of_the_others():
    table = weight_trajectories(reinforce(), design()[0])
    table["weight_bias"] *= 1e-12
    *_, most, bias = plotting.WeightTrajectoryDisplay(table).plot(max_subjects=2).axes_[1]
    assert np.ptp(bias.get_ylim()) >= np.ptp(most.get_ylim())


def test_a_truth_of_other_choices_is_in_no_picture():
    X, _ = design()
    table, weights = weight_trajectories(reinforce(), X), reinforce().predict_weights(X)
    for truth in (weights.rename(columns={"right": "up"}), weights[["right"]]):
        with pytest.raises(ValueError, match="truth should have the columns of predict_weights, "):
            plotting.WeightTrajectoryDisplay(table, truth).plot()
    truths = weights, weights[weights.columns[::-1]]
    displays = [plotting.WeightTrajectoryDisplay(table, truth) for truth in truths]
    panels = [display.plot(max_subjects=1).ax_ for display in displays]
    drawn = [[line.get_ydata() for line in panel.lines] for panel in panels]
    assert all(map(np.array_equal, *drawn))


def test_a_table_of_many_choices_has_no_heatmap():
    display = plotting.UpdateDisplay(update_table(reinforce(), design()[0]))
    with pytest.raises(ValueError, match="A heatmap of updates is of two choices, and these are 3"):
        display.plot(kind="heatmap")


def test_where_learning_begins_anew_lines_of_choices_break():
    trials = make_trials().rename(columns={"session": "block"})
    how = {"stimulus": STIMULI, "answer": "answer", "session": "block", "restart": "block"}
    X, y, _ = lr.make_design(trials, **how)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    display = plotting.WeightTrajectoryDisplay.from_estimator(rule, X, weight="bias")
    lengths = [len(line.get_xdata()) for line in display.ax_.lines]
    assert lengths.count(60) == 6


def test_updates_have_a_panel_for_the_choice_made_and_a_colour_for_whose_weight_it_is():
    display = plotting.UpdateDisplay.from_estimator(models(), design()[0], weight="bias")
    titles = [panel.get_title() for panel in display.axes_[0]]
    assert titles == [f"REINFORCE\nafter {label}" for label in LABELS]
    assert list(legend(display.axes_[0, -1]))[:4] == [*LABELS, ""]
    assert display.axes_[0, -1].get_legend().get_title().get_text() == "bias of"


def test_a_stimulus_of_many_values_has_lines():
    trials = make_trials()
    trials["light"] = np.random.RandomState(0).choice(np.linspace(-1, 1, 7), len(trials))
    X, y, _ = lr.make_design(trials, stimulus=["light"], answer="answer")
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    display = plotting.UpdateDisplay.from_estimator(rule, X)
    assert display.ax_.get_xlabel() == "light"
    assert {"-", "--"} <= {line.get_linestyle() for line in display.ax_.lines}


def test_lines_after_errors_break_where_another_choice_is_correct():
    trials = make_trials()
    rng = np.random.RandomState(0)
    trials["light"] = rng.choice(np.linspace(-1, 1, 9), len(trials))
    trials["answer"] = np.array(LABELS)[(trials["light"] > -0.6) * 1 + (trials["light"] > 0.2)]
    trials["reward"] = (trials["choice"] == trials["answer"]) * 1.0
    X, y, _ = lr.make_design(trials, stimulus=["light"], answer="answer")
    rule = lr.PredictMaxRuleEstimator().fit(X, y)
    display = plotting.UpdateDisplay.from_estimator(rule, X)
    for made, panel in zip(LABELS, display.axes_.flat, strict=True):
        drawn = [tuple(line.get_xdata()) for line in curves(panel, style="--")]
        table = display.table.query("choice == @made and not correct")
        regions = table.groupby("answer")["light"].agg(lambda x: tuple(np.unique(x)))
        assert len(regions) == 2 and made not in regions.index
        assert set(drawn) == set(regions)


@pytest.mark.parametrize("display", [plotting.UpdateDisplay, plotting.SubjectUpdateDisplay])
def test_a_stimulus_whose_neighbours_have_other_answers_is_a_point(display):
    how = {"stimuli": {"s0": np.linspace(0, 1, 7)}}
    fit, (X, y) = own(), design()
    is_grouped = display is plotting.SubjectUpdateDisplay
    table = subject_update_table(fit, X, y, **how) if is_grouped else update_table(fit, X, **how)
    table["answer"] = np.where(np.round(table["s0"] * 6) % 2, "left", "right")
    panel = display(table).plot().axes_.flat[0]  # after left, which is an error at 0 alone
    points = [line for line in panel.lines if line.get_marker() == "o"]
    places = {round(x * 6): set() for line in points for x in line.get_xdata()}
    for line in points:
        (x,) = line.get_xdata()
        places[round(x * 6)].add(line.get_markerfacecolor() == "none")
    assert places == {0: {True}, **dict.fromkeys(range(1, 7), {False})}


def test_lines_of_groups_break_where_another_choice_is_correct():
    table = subject_update_table(own(), *design(), stimuli={"s0": np.linspace(0, 1, 7)})
    table["answer"] = np.where(table["s0"] < 0.4, "left", "right")
    display = plotting.SubjectUpdateDisplay(table).plot()
    lengths = {
        len(line.get_xdata()) for panel in display.axes_.flat for line in curves(panel, style="--")
    }
    assert lengths and max(lengths) <= 4


def test_histories_are_drawn_of_the_weight_of_the_choice_made():
    display = plotting.HistoryDisplay.from_estimator(reinforce(), design()[0], n_draws=1)
    assert "of the choice made" in display.ax_.get_ylabel()
    points = [line for line in display.ax_.lines if line.get_marker() == "o"]
    assert sorted(y for line in points for y in line.get_ydata())[:2] == [0, 0]
    assert sum(len(line.get_ydata()) for line in points) == 3  # a correct choice a stimulus


def test_what_rule_and_noise_did_has_a_row_a_choice():
    display = plotting.DecompositionDisplay.from_estimator(noisy(), *design(), max_subjects=2)
    assert display.axes_.shape == (6, 3)
    assert [row[0].get_ylabel() for row in display.axes_[:3]] == [
        f"animal 0\n{label}" for label in LABELS
    ]


@pytest.mark.parametrize(("quantity", "chance"), [("correct", 1 / 3), ("log_likelihood", -1.0986)])
def test_sessions_show_the_chance_of_one_in_three(quantity, chance):
    show = plotting.SessionCurveDisplay.from_estimator
    panel = show(models(), *design(), quantity=quantity).ax_
    floors = [line.get_ydata()[0] for line in panel.lines]
    assert any(floor == pytest.approx(chance, abs=1e-4) for floor in floors)


def test_where_nobody_knows_what_was_correct_sessions_show_rewards_and_no_chance():
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(*design(None))
    display = plotting.SessionCurveDisplay.from_estimator(rule, *design(None))
    assert display.ax_.get_ylabel() == "mean reward"
    assert list(legend(display.ax_)) == ["animals"]
    assert not any(len(set(line.get_ydata())) == 1 for line in display.ax_.lines)


def test_whole_numbers_are_drawn_as_such_though_held_as_floats():
    table = update_table(reinforce(), design()[0])
    numbers = dict(zip(LABELS, (1.0, 2.0, 3.0), strict=True))
    coded = table.assign(**{name: table[name].map(numbers) for name in ("choice", "of_choice")})
    display = plotting.UpdateDisplay(coded).plot()
    assert [panel.get_title() for panel in display.axes_[0]] == ["after 1", "after 2", "after 3"]
    assert list(legend(display.axes_[0, -1]))[:3] == ["1", "2", "3"]


def test_subject_effects_are_drawn_as_of_two():
    X, y = design()
    panel = plotting.SubjectEffectsDisplay.from_estimator(own(), X, y).ax_
    drawn = next(line for line in panel.lines if line.get_marker() == "o")
    effects = subject_effects_table(own(), X, y)["mean"]
    assert drawn.get_xdata() == pytest.approx(np.exp(np.sort(effects)))
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        f"animal {i}" for i in np.argsort(effects)
    ]


def test_animals_updates_have_a_panel_for_the_choice_made_and_each_choices_weight():
    table = subject_update_table(own(), *design())
    display = plotting.SubjectUpdateDisplay(table).plot(weight="bias")
    titles = [panel.get_title() for panel in display.axes_.flat]
    assert titles == [f"after {made}:\nweight of {of}" for made in LABELS for of in LABELS]
    ticks = [label.get_text() for label in display.axes_[2, 0].get_xticklabels()]
    assert ticks == ["s0 = 1", "s1 = 1", "all 0"]
    for made, row in zip(LABELS, display.axes_, strict=True):
        for of, panel in zip(LABELS, row, strict=True):
            here = table[(table["choice"] == made) & (table["of_choice"] == of)]
            drawn = np.concatenate([line.get_ydata() for line in panel.lines[1:]])
            each = here.groupby([*STIMULI, "correct"])["update_bias"].mean()
            assert np.sort(drawn) == pytest.approx(np.sort(each))
    several = subject_update_table(own(), *design(), weights={("middle", "s0"): [0, 1]})
    with pytest.raises(ValueError, match="weights can be drawn at one value each, but the table"):
        plotting.SubjectUpdateDisplay(several).plot()


def test_many_choices_still_have_a_colour_each():
    many = [f"port {i}" for i in range(9)]
    table = weight_trajectories(reinforce(), design()[0])
    parts = [table[table["choice"] == "left"].assign(choice=name) for name in many]
    table = pd.concat(parts)
    display = plotting.WeightTrajectoryDisplay(table).plot(weight="bias", max_subjects=1)
    handles = legend(display.ax_)
    assert len({to_hex(handles[name].get_color()) for name in many}) == 9


def test_refits_have_bands_of_each_choice():
    fits = [reinforce(), reinforce(forgetting=True)]
    display = plotting.WeightTrajectoryDisplay.from_estimator(fits, design()[0], max_subjects=1)
    assert [len(panel.collections) for panel in display.axes_[0]] == 3 * [len(LABELS) + 1]


# -------------------------------------------------------------------------------- report, command


def test_the_start_that_few_animals_do_not_tell_is_in_the_summary_choice_by_choice():
    X, y = (table.loc[["animal 0", "animal 1"]] for table in design())
    summary = lr.ReinforceRuleEstimator(baseline=None, process_noise=0.05).fit(X, y).summary_
    start = summary[summary["parameter"] == "initial_weights"]
    assert start["side"].tolist() == K * ["middle"] + K * ["right"]
    assert start["weight"].tolist() == 2 * WEIGHTS


def test_a_report_shows_each_choice_and_says_what_is_of_two(tmp_path, monkeypatch):
    monkeypatch.setattr(_parts, "DPI", 40)
    X, y = (table.loc[["animal 0", "animal 1"]] for table in design())
    rules = {"noisy": noisy(), "own": own()}
    scores = pd.DataFrame(
        {
            "rule": np.repeat(list(rules), 2),
            "subject": np.tile(["animal 0", "animal 1"], 2),
            **{"fold": 0, "n_trials": 120, "n_choices": 3, "log_likelihood": -1.0},
            **{"accuracy": 0.5, "seconds": 1.0},
        }
    )
    path = write_report(rules, X, y, tmp_path, compare=scores, n_simulations=1, verbose=0)
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "one of 3 at random: −1.099" in page
    assert page.count("A heatmap of updates is of two choices, and these are 3.") == 1
    assert "of each choice, w and dw less their mean over choices" in page
    assert "could not be made" not in page
    made = {file.name for file in path.iterdir()}
    assert {
        "06-learning_and_noise-noisy.csv",
        "07-psychometric.png",
        "08-sessions-correct.png",
    } <= made
    assert {"03-asymmetry-own.csv", "11-individuals-own.png", "07-importance.csv"} <= made


def test_the_command_ranks_rules_on_three_choices(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_write, "SECTIONS", {"Parameters": _sections.SECTIONS["Parameters"]})
    make_trials().to_csv("three.csv", index=False)
    table = ["three.csv", "--stimulus", *STIMULI, "--answer", "answer", "--max-trials", "60"]
    work = ["--rules", "constant", "--reference", "constant", "--folds", "2", "--jobs", "1"]
    main(["compare", *table, *work])
    assert "bits_above_chance" in capsys.readouterr().out
    assert (tmp_path / "compare_rules.png").exists()
    main(["report", *table, *work])
    assert "one of 3 at random" in (tmp_path / "report.html").read_text(encoding="utf-8")
