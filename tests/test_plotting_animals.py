"""Pictures of animals beside models show the tables' numbers: weights, choices, sessions."""

import numpy as np
import pandas as pd
import pytest
from drawn import curves, edges, finite, legend
from scipy.stats import t as student_t
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import psychometric_table, session_table
from sklearn_learnrule.plotting import (
    PsychometricDisplay,
    SessionCurveDisplay,
    WeightTrajectoryDisplay,
)
from sklearn_learnrule.simulation import predictive_check


@pytest.fixture(scope="module")
def cohort():
    trials, weights = make_learning_cohort(
        5, 120, session_length=40, random_state=0, return_weights=True
    )
    X, y, _ = lr.make_design(trials)
    return X, y, weights


@pytest.fixture(scope="module")
def fit(cohort):
    X, y, _ = cohort
    return lr.ReinforceRuleEstimator().fit(X, y)


@pytest.fixture(scope="module")
def other(cohort):
    X, y, _ = cohort
    return lr.PredictMaxRuleEstimator().fit(X, y)


@pytest.fixture(scope="module")
def folds(cohort):
    X, y, _ = cohort
    quick = lr.ReinforceRuleEstimator()
    keep = {"return_estimator": True, "return_indices": True}
    return cross_validate(quick, X, y, cv=lr.SubjectKFold(2), **keep)


def of(table, subject):
    return table[table.index.get_level_values("subject") == subject]


def test_trajectories_are_the_weights_that_the_estimator_predicts(cohort, fit):
    X, _, truth = cohort
    display = WeightTrajectoryDisplay.from_estimator(fit, X, truth=truth)
    weights = fit.predict_weights(X)
    entries = legend(display.axes_[2])  # the last of the first row
    assert list(entries) == ["stimulus", "bias", "truth", "session starts"]
    for panel, subject in zip(display.axes_, X.index.unique("subject"), strict=True):
        assert panel.get_title() == subject
        for name in ("stimulus", "bias"):
            (line,) = curves(panel, color=entries[name].get_color())
            np.testing.assert_array_equal(line.get_ydata(), of(weights, subject)[name])
            np.testing.assert_array_equal(line.get_xdata(), np.arange(len(of(weights, subject))))
        true = curves(panel, color=entries["truth"].get_color())
        drawn = {tuple(line.get_ydata()) for line in true}
        assert drawn == {tuple(of(truth, subject)[name]) for name in ("stimulus", "bias")}


def test_no_two_of_many_weights_are_drawn_alike(cohort):
    X, y, _ = cohort
    regressors = lr.PolicyRegressors(trace_decay=0.5)
    pipeline = make_pipeline(regressors, lr.ConstantRuleEstimator()).fit(X, y)
    entries = legend(WeightTrajectoryDisplay.from_estimator(pipeline, X).axes_[2])
    styles = {(line.get_color(), line.get_linestyle()) for line in entries.values()}
    assert len(entries) == 8 + 1  # weights, and where sessions start
    assert len(styles) == len(entries)


def test_ticks_open_the_sessions(cohort, fit):
    X, _, _ = cohort
    display = WeightTrajectoryDisplay.from_estimator(fit, X)
    for panel, subject in zip(display.axes_, X.index.unique("subject"), strict=True):
        session = of(X, subject).index.get_level_values("session")
        (ticks,) = panel.collections
        starts = [segment[0, 0] for segment in ticks.get_segments()]
        assert starts == [np.argmax(session == name) for name in session.unique()]


def test_only_so_many_animals_are_drawn_and_the_key_says_of_how_many(cohort, fit):
    X, _, _ = cohort
    display = WeightTrajectoryDisplay.from_estimator(fit, X, max_subjects=2)
    assert [panel.get_title() for panel in display.axes_] == ["mouse_01", "mouse_02"]
    assert display.axes_[1].get_legend().get_title().get_text() == "2 of 5 animals"
    chosen = display.plot(subjects=["mouse_04"])
    assert [panel.get_title() for panel in chosen.axes_] == ["mouse_04"]
    with pytest.raises(ValueError, match=r"some of \['mouse_01', .*\], got 'Ada'"):
        display.plot(subjects=["Ada"])
    with pytest.raises(ValueError, match=r"one of \['stimulus', 'bias'\], got 'left'"):
        display.plot(weight="left")


def test_of_several_models_one_weight_is_drawn_in_a_colour_each(cohort, fit, other):
    X, _, _ = cohort
    models = {"REINFORCE": fit, "PredictMax": other}
    display = WeightTrajectoryDisplay.from_estimator(models, X, weight="bias", max_subjects=1)
    (panel,) = display.axes_
    assert panel.get_ylabel() == "bias"
    for name, model in models.items():
        (line,) = curves(panel, color=legend(panel)[name].get_color())
        bias = of(model.predict_weights(X), "mouse_01")["bias"]
        np.testing.assert_array_equal(line.get_ydata(), bias)
    assert display.plot(max_subjects=1).axes_[0].get_ylabel() == "stimulus weight"


def test_refits_give_a_band_and_folds_do_not(cohort, fit, other, folds):
    X, _, _ = cohort
    display = WeightTrajectoryDisplay.from_estimator([fit, other], X, weight="bias")
    panel = display.axes_[0]
    band = panel.collections[0]
    both = np.stack([of(model.predict_weights(X), "mouse_01")["bias"] for model in (fit, other)])
    np.testing.assert_allclose(edges(band), np.quantile(both, [0.025, 0.975], axis=0).T)
    held_out = WeightTrajectoryDisplay.from_estimator(folds, X)
    assert [len(panel.collections) for panel in held_out.axes_] == [1] * 5  # sessions' ticks


def make_choices(fits=(0,), parts=(1,)):
    """Two animals, one with 10 and one with 30 trials at each stimulus."""
    axes = {"fit": list(fits), "subject": ["Ada", "Bo"], "session": list(parts)}
    axes["stimulus"] = [-1.0, 0.0, 1.0]
    table = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    table["n_trials"] = np.where(table["subject"] == "Ada", 10, 30)
    table["animal"] = np.where(table["subject"] == "Ada", 0.3, 0.5) + table["stimulus"] / 5
    number = table["fit"].map({fit: i for i, fit in enumerate(fits)})
    table["model"] = table["animal"] + 0.1 * number
    return table


def test_points_are_shares_of_all_trials_with_their_binomial_error():
    (panel,) = PsychometricDisplay(make_choices()).plot().axes_
    (points,) = curves(panel, marker="o")
    share = (10 * 0.3 + 30 * 0.5) / 40 + np.array([-0.2, 0, 0.2])
    np.testing.assert_allclose(finite(points)[:, 1], share)
    (bars,) = panel.collections
    drawn = np.array([segment[:, 1] for segment in bars.get_segments()])
    n, z = 40, 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)  # Wilson (1927)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    np.testing.assert_allclose(drawn, np.column_stack([centre - half, centre + half]), atol=1e-6)


def test_the_models_line_weighs_trials_as_the_points_do():
    (panel,) = PsychometricDisplay(make_choices()).plot().axes_
    (line,) = curves(panel, style="-", marker="None")
    np.testing.assert_allclose(finite(line), [[-1, 0.25], [0, 0.45], [1, 0.65]])
    assert len(panel.collections) == 1  # no band


def test_between_two_stimuli_there_is_no_line():
    two = make_choices()
    two = two[two["stimulus"] != 0]
    (panel,) = PsychometricDisplay(two).plot().axes_
    (model,) = curves(panel, marker="_")
    assert model.get_linestyle() == "None" and len(finite(model)) == 2
    assert list(legend(panel)) == ["animals", "model"]


def test_refits_are_a_band_folds_one_line_and_models_a_line_each(cohort, fit, other, folds):
    (panel,) = PsychometricDisplay(make_choices(fits=range(3))).plot().axes_
    band = panel.collections[-1]
    np.testing.assert_allclose(edges(band)["max"], np.array([0.25, 0.45, 0.65]) + 0.195)
    (points,) = curves(panel, marker="o")
    np.testing.assert_allclose(finite(points)[:, 1], [0.25, 0.45, 0.65])
    (once,) = PsychometricDisplay(make_choices()).plot().axes_  # no refit makes choices surer
    for bar, alone in zip(*(ax.collections[0].get_segments() for ax in (panel, once)), strict=True):
        np.testing.assert_array_equal(bar, alone)

    X, y, _ = cohort
    display = PsychometricDisplay.from_estimator(folds, X, y)
    (line,) = curves(display.axes_[0], style="-", marker="None")
    probability = np.empty(len(X))
    for rows, model in zip(folds["indices"]["test"], folds["estimator"], strict=True):
        probability[rows] = model.predict_proba(X.iloc[rows])[:, 1]
    expected = pd.Series(probability).groupby(X["stimulus"].to_numpy()).mean()
    np.testing.assert_allclose(line.get_ydata(), expected)

    models = {"REINFORCE": fit, "PredictMax": other}
    display = PsychometricDisplay.from_estimator(models, X, y)
    assert list(legend(display.axes_[0])) == ["animals", "REINFORCE", "PredictMax"]
    assert len(curves(display.axes_[0], style="-", marker="None")) == 2


def test_choices_are_named_as_the_estimators_classes(cohort, fit):
    X, y, _ = cohort
    assert PsychometricDisplay.from_estimator(fit, X, y).axes_[0].get_ylabel() == "P(right)"
    coded = (y == "right").astype(int)
    constant = lr.ConstantRuleEstimator().fit(X, coded)
    display = PsychometricDisplay.from_estimator(constant, X, coded)
    assert display.axes_[0].get_ylabel() == "P(choice = 1)"
    pd.testing.assert_frame_equal(display.table, psychometric_table(constant, X, coded))


def test_sessions_are_panels_evenly_chosen_and_animals_are_if_asked():
    table = make_choices(parts=range(1, 12))
    titles = [p.get_title() for p in PsychometricDisplay(table).plot(max_panels=3).axes_]
    assert titles == ["session 1", "session 6", "session 11"]
    display = PsychometricDisplay(table).plot(by_subject=True)
    assert [panel.get_title() for panel in display.axes_] == ["Ada", "Bo"]
    (points,) = curves(display.axes_[0], marker="o")
    np.testing.assert_allclose(finite(points)[:, 1], [0.1, 0.3, 0.5])


def make_sessions(fits=(0,)):
    """Three animals; the first has three sessions, the others two."""
    rows = [
        {"fit": fit, "subject": subject, "session": session, "n_trials": 9}
        for fit in fits
        for subject, n_sessions in (("Ada", 3), ("Bo", 2), ("Cy", 2))
        for session in range(1, n_sessions + 1)
    ]
    table = pd.DataFrame(rows)
    skill = table["subject"].map({"Ada": 0.5, "Bo": 0.6, "Cy": 0.8})
    number = table["fit"].map({fit: i for i, fit in enumerate(fits)})
    table["animal"] = skill + 0.05 * table["session"]
    table["model"] = table["animal"] - 0.01 * number
    table["log_likelihood"] = -0.6 + 0.1 * table["session"] + 0.05 * number
    return table


def test_learning_curves_are_means_over_animals_with_students_interval():
    panel = SessionCurveDisplay(make_sessions()).plot().ax_
    _, animals = curves(panel, color=legend(panel)["animals"].get_color())
    first = np.array([0.55, 0.65, 0.85])
    np.testing.assert_allclose(finite(animals)[0], [1, first.mean()])
    band = edges(panel.collections[0])
    half = student_t.ppf(0.975, 2) * first.std(ddof=1) / np.sqrt(3)
    assert first.mean() + half > 1  # more than a probability can be
    np.testing.assert_allclose(band.loc[1], [first.mean() - half, 1])
    assert panel.get_ylabel() == "P(correct)" and panel.get_xlabel() == "session"


@pytest.mark.parametrize(
    ("quantity", "least", "most"), [("correct", 0, 1), ("log_likelihood", -np.inf, 0)]
)
def test_bands_of_two_animals_end_where_the_quantity_does(quantity, least, most):
    two = make_sessions().query("subject != 'Cy' and session < 3")
    two = two.assign(
        log_likelihood=two["log_likelihood"] + two["subject"].map({"Ada": 0, "Bo": 0.1})
    )
    panel = SessionCurveDisplay(two).plot(quantity=quantity).ax_
    assert panel.collections
    for drawn in map(edges, panel.collections):
        assert drawn["min"].min() >= least and drawn["max"].max() == most


def test_of_mean_rewards_no_bound_is_known():
    rewards = make_sessions().assign(model=np.nan)
    rewards["animal"] *= 4
    panel = SessionCurveDisplay(rewards).plot().ax_
    assert edges(panel.collections[0])["max"].max() > 3


def test_sessions_that_few_animals_have_are_faint_and_have_no_band():
    panel = SessionCurveDisplay(make_sessions()).plot().ax_
    faint, strong = curves(panel, color=legend(panel)["animals"].get_color())
    assert faint.get_alpha() < 0.5
    np.testing.assert_allclose(finite(faint)[-1], [3, 0.65])
    assert finite(strong)[:, 0].tolist() == [1, 2]
    assert [edges(band).index.max() for band in panel.collections] == [2, 2]


def test_several_models_are_lines_without_bands():
    panel = SessionCurveDisplay(make_sessions(fits=["a", "b"])).plot().ax_
    entries = legend(panel)
    assert list(entries) == ["animals", "a", "b"]
    for name, less in (("a", 0), ("b", 0.01)):
        _, line = curves(panel, color=entries[name].get_color())
        np.testing.assert_allclose(finite(line)[:, 1], [41 / 60 - less, 44 / 60 - less])
    assert [band.get_alpha() for band in panel.collections if band.get_alpha()] == [0.2]


def test_log_likelihoods_are_drawn_above_chance():
    display = SessionCurveDisplay(make_sessions(fits=["a", "b"])).plot(quantity="log_likelihood")
    panel = display.ax_
    assert panel.get_ylabel() == "log-likelihood\n(nats / trial)"
    assert list(legend(panel)) == ["a", "b"]
    _, line = curves(panel, color=legend(panel)["b"].get_color())
    np.testing.assert_allclose(finite(line)[:, 1], [-0.45, -0.35])
    (chance,) = [line for line in panel.lines if line.get_transform() is not panel.transData]
    assert chance.get_ydata()[0] == -np.log(2)
    with pytest.raises(ValueError, match="'correct', 'log_likelihood'.*got 'accuracy'"):
        display.plot(quantity="accuracy")


def test_a_learning_curve_may_run_along_any_part_of_the_trials(cohort, fit):
    X, y, _ = cohort
    tens = (X.groupby("subject").cumcount() // 10).rename("tens of trials")
    display = SessionCurveDisplay.from_estimator(fit, X, y, by=tens)
    table = session_table(fit, X, y, by=tens)
    pd.testing.assert_frame_equal(display.table, table)
    animals, *_ = curves(display.ax_, color=legend(display.ax_)["animals"].get_color())
    means = table.groupby("tens of trials")["animal"].mean()
    np.testing.assert_allclose(finite(animals), means.reset_index())
    assert display.ax_.get_xlabel() == "tens of trials"
    with pytest.raises(ValueError, match="Twins are drawn by session: n_simulations goes without"):
        SessionCurveDisplay.from_estimator(fit, X, y, by=tens, n_simulations=5)


def test_one_session_is_no_curve(cohort, fit):
    X, y, _ = cohort
    first = X.index.get_level_values("session") == 1
    with pytest.raises(ValueError, match="one session, which is no curve: give by= a number"):
        SessionCurveDisplay.from_estimator(fit, X[first], y[first])


def test_twins_are_drawn_with_the_band_of_their_cohorts(cohort, fit):
    X, y, _ = cohort
    panel = SessionCurveDisplay.from_estimator(fit, X, y, n_simulations=5, random_state=0).ax_
    check = predictive_check(fit, X, y, n_simulations=5, random_state=0)
    accuracy = check[check["statistic"] == "accuracy"]
    drawn = curves(panel, color=legend(panel)["twins"].get_color())
    many = accuracy[accuracy["n_subjects"] >= 2.5]
    np.testing.assert_allclose(finite(drawn[-1]), many[["block", "simulated"]].astype(float))
    band = edges(panel.collections[0])
    np.testing.assert_allclose(band, many[["lower", "upper"]])
    table = SessionCurveDisplay.from_estimator(fit, X, y).table
    pd.testing.assert_frame_equal(table, session_table(fit, X, y))
