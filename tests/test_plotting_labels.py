"""No label is cut, however long the names, and each says no more and no less than the name."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn import legend
from helpers import curriculum_design
from matplotlib.text import Text

import sklearn_learnrule as lr
from sklearn_learnrule import plotting
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.plotting._fit import in_lines
from sklearn_learnrule.recovery import RecoveryStudy

STIMULUS = "luminance of the left grating minus that of the right one (candela per m²)"
RULE = "REINFORCE with a baseline, forgetting, and a learning rate of either side"
OTHER = "a_rule_whose_name_was_made_by_a_machine_and_has_no_place_at_which_it_breaks"


SCORE = {"n_trials": 9, "log_likelihood": -0.5, "accuracy": 0.8, "seconds": 1.0}
CURVE = pd.DataFrame(
    [
        {"rule": rule, "n_subjects": n, "repeat": 0, "fold": 0, "subject": subject, **SCORE}
        for rule in (RULE, OTHER)
        for n in (1, 3)
        for subject in "AB"
    ]
)
POPULATION = pd.DataFrame({"expected_share": [0.6, 0.4], "lower": 0.1, "upper": 0.9}, [RULE, OTHER])
ANIMALS = [f"mouse_{i} of the second cohort, lab 12" for i in range(3)]
POSTERIOR = pd.DataFrame([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ANIMALS, [RULE, OTHER])
OWN = {"mean": 0.1, "std": 0.4, "lower": -0.56, "upper": 0.76}
EFFECTS = pd.DataFrame(
    {"fit": model, "subject": animal, "group": animal, "effect": effect, "kind": kind, **OWN}
    for model in (RULE, OTHER)
    for animal in ANIMALS
    for effect, kind in ((f"learning_rate[{STIMULUS}]", "factor"), ("baseline", "shift"))
)
UPDATES = pd.DataFrame(
    {"subject": animal, "group": animal, STIMULUS: tone, f"weight_{STIMULUS}": weight}
    for animal in ANIMALS
    for tone in (-1.0, 1.0)
    for weight in (0.1, 0.2)
)
UPDATES = UPDATES.assign(choice=UPDATES[STIMULUS] > 0, reward=1.0, correct=True)
UPDATES[f"update_{STIMULUS}"] = 0.1


@pytest.fixture(scope="module")
def displays():
    trials = make_learning_cohort(3, 100, session_length=40, random_state=0)
    trials = trials.rename(columns={"stimulus": STIMULUS})
    trials["subject"] = trials["subject"].map(lambda name: f"{name} of the second cohort, lab 12")
    X, y, _ = lr.make_design(trials, stimulus=STIMULUS)
    fit = lr.ReinforceRuleEstimator().fit(X, y)
    noisy = lr.ReinforceRuleEstimator(process_noise=0.05).fit(X, y)
    fits = {RULE: fit, OTHER: fit}
    differences = pd.DataFrame({RULE: [0.0, 0.0, 0.0], OTHER: [-0.1, 0.2, 0.4]})
    rows = [
        {"true_rule": true, "repeat": 0, "rule": rule, "log_likelihood": -float(rule != true)}
        for true in fits
        for rule in fits
    ]
    study = RecoveryStudy(pd.DataFrame(rows).assign(rmse=0.1, true_rms=0.2))
    made = [
        plotting.AnimalRulesDisplay(POSTERIOR, POPULATION),
        plotting.SubjectEffectsDisplay(EFFECTS),
        plotting.SubjectUpdateDisplay(UPDATES),
        plotting.ComparisonDisplay(differences, RULE),
        plotting.UpdateDisplay.from_estimator(fits, X),
        plotting.EquationDisplay.from_estimator(fits, X, n_terms=3),
        plotting.HistoryDisplay.from_estimator(fits, X, n_draws=1),
        plotting.WeightTrajectoryDisplay.from_estimator(fits, X),
        plotting.DecompositionDisplay.from_estimator({OTHER: noisy}, X, y),
        plotting.PsychometricDisplay.from_estimator(fits, X, y, by="session"),
        plotting.SessionCurveDisplay.from_estimator(fits, X, y),
        plotting.RecoveryDisplay.from_study(study),
        plotting.LearningCurveDisplay(CURVE),
        plotting.CurriculumDisplay(curriculum_design([[[9, 99]]] * 2, False, 1.0, [RULE, OTHER])),
    ]
    plt.close("all")
    return {type(display).__name__: display for display in made}


def assert_nothing_is_cut_off(figure):
    figure.draw_without_rendering()  # but laid out
    box = figure.get_tightbbox()  # inches
    assert min(box.x0, box.y0) >= -1e-6
    assert (box.max <= figure.get_size_inches() + 1e-6).all()
    panels = [panel for panel in figure.axes if panel.axison and panel.get_label() != "<colorbar>"]
    assert all(panel.get_window_extent().width > 0.5 * figure.dpi for panel in panels)


@pytest.mark.parametrize("name", plotting.__all__)
def test_no_label_is_cut_with_long_names(displays, name):
    display = displays[name]
    figure = (display if hasattr(display, "figure_") else display.plot()).figure_
    assert_nothing_is_cut_off(figure)
    panels = [panel for panel in figure.axes if panel.axison]
    titles = [panel.title.get_window_extent() for panel in panels if panel.get_title()]
    assert not any(one.overlaps(other) for i, one in enumerate(titles) for other in titles[:i])


def test_no_label_of_a_heatmap_is_cut_with_long_names(displays):
    assert_nothing_is_cut_off(displays["UpdateDisplay"].plot(kind="heatmap").figure_)


def test_many_models_have_a_key_that_is_not_cut():
    names = [f"model {i}" for i in range(40)]
    table = pd.DataFrame({"fit": names, "subject": "a", "session": 1, "n_trials": 9})
    table = table.assign(animal=0.5, model=0.5, log_likelihood=-0.6)
    assert_nothing_is_cut_off(plotting.SessionCurveDisplay(table).plot().figure_)


def test_the_comparison_says_what_its_dots_and_whiskers_are(displays):
    ax = displays["ComparisonDisplay"].plot().ax_
    assert list(legend(ax)) == ["an animal", "mean ± standard error"]
    label = " ".join(ax.get_xlabel().split())
    assert label == f"held-out log-likelihood − {RULE} (nats / trial)"


def test_a_name_is_broken_but_otherwise_shown_as_it_is():
    assert in_lines("a b " * 10, 20) == "a b a b a b a b a b\na b a b a b a b a b"
    assert in_lines("x" * 30, 20) == "x" * 20 + "\n" + "x" * 10
    assert in_lines("first\nsecond") == "first\nsecond"
    assert in_lines(7) == "7" and in_lines("") == ""
    assert in_lines("mouse\u202e1\x1b") == r"mouse\u202e1\x1b"


@pytest.mark.parametrize("name", ["$x$", "$\\nothing$", "5$ and 6$", r"\$"])
def test_dollars_in_a_name_open_no_formula(name):
    differences = pd.DataFrame({name: [0.0, 0.0], "b": [-0.1, 0.2]})
    display = plotting.ComparisonDisplay(differences, name).plot()
    shown = [text for text in display.figure_.findobj(Text) if "$" in text.get_text()]
    assert len(shown) >= 2  # the tick, and in the axis's label
    table = pd.DataFrame({"fit": 0, "subject": name, "session": 1, "trial": [0, 1]})
    table = table.assign(**{f"weight_{name}": 0.5})
    trajectory = plotting.WeightTrajectoryDisplay(table).plot()
    titles = [text for text in trajectory.figure_.findobj(Text) if "$" in text.get_text()]
    assert len(titles) >= 3  # of the panel, its axis, and the key
    shown += titles
    assert not any(text._preprocess_math(text.get_text())[1] for text in shown)
    assert np.isfinite(display.figure_.get_tightbbox().extents).all()
