"""Tables, pictures and twins of animals whose learning begins anew."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name, make_blocks_cohort
from pages import Page
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_learnrule as lr
from sklearn_learnrule import inspection
from sklearn_learnrule.plotting import DecompositionDisplay, WeightTrajectoryDisplay
from sklearn_learnrule.recovery import recovery_study
from sklearn_learnrule.report import _sections, _write, write_report
from sklearn_learnrule.simulation import predictive_check, simulate

pytestmark = BRIEFLY_TRAINED

NAMES = ["subject", "session", "restart", "trial"]


@pytest.fixture(scope="module")
def trials():
    return make_blocks_cohort()


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, restart="block")[:2]


@pytest.fixture(scope="module")
def apart(trials):
    """The same trials, as if each block were learned by an animal of its own."""
    return lr.make_design(trials, subject=["subject", "block"])[:2]


@pytest.fixture(scope="module")
def noisy(design):
    return lr.ReinforceRuleEstimator(process_noise=0.1, max_epochs=2).fit(*design)


# ---------------------------------------------------------------------- what is looked at


def test_tables_count_animals_and_tell_restarts(design):
    X, y = design
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    assert list(inspection.weight_trajectories(rule, X))[1:5] == NAMES
    assert inspection.update_table(rule, X)["n_subjects"].max() <= 5
    importance = inspection.column_importance(rule, X, y)
    assert importance["subject"].tolist() == X.index.unique("subject").tolist()
    assert importance["n_trials"].tolist() == X.groupby("subject").size().tolist()
    by_animal = inspection.log_likelihood_table(rule, X, y, by="subject")
    np.testing.assert_allclose(importance["log_likelihood"], by_animal["log_likelihood"])
    sessions = inspection.session_table(rule, X, y)
    assert set(sessions["subject"]) == set(X.index.unique("subject"))


def test_what_a_rule_does_is_asked_of_stretches(design, apart):
    """Histories end at restarts, and bands are over animals."""
    rule = lr.RNNRuleEstimator(
        memory_size=3, hidden_sizes=(4,), max_epochs=2, n_ensemble=1, mirror=False, random_state=0
    ).fit(*design)
    for look in (inspection.update_table, inspection.history_table):
        one, other = (
            look(rule, d[0]).drop(columns="n_subjects", errors="ignore") for d in (design, apart)
        )
        assert_frame_equal(one, other, rtol=1e-6)
    tables = [inspection.asymmetry_table(rule, d[0], n_states=1000) for d in (design, apart)]
    one, other = (table.query("contrast != 'run'") for table in tables)
    assert_frame_equal(
        one.drop(columns=["lower", "upper"]), other.drop(columns=["lower", "upper"]), rtol=1e-6
    )
    assert ((one["upper"] - one["lower"]) - (other["upper"] - other["lower"])).abs().max() > 1e-6


def test_shares_of_the_rule_are_of_animals(design, noisy):
    table = inspection.variance_explained(noisy, *design, n_draws=3)
    X, _ = design
    assert table["subject"].unique().tolist() == ["all", *X.index.unique("subject")]
    n_trials = table.groupby("subject")["n_trials"].first()
    assert n_trials["all"] == len(X)
    assert n_trials.drop("all").tolist() == X.groupby("subject").size().tolist()
    one = X.index.get_level_values("subject") == "mouse_02"
    alone = inspection.variance_explained(noisy, X[one], design[1][one], n_draws=3)
    assert_series_equal(
        alone.query("subject == 'mouse_02'")["rule"],
        table.query("subject == 'mouse_02'")["rule"],
        check_index=False,
    )
    parts = inspection.weight_decomposition(noisy, *design)
    assert list(parts)[1:5] == NAMES
    first = parts.groupby(["subject", "restart", "weight"]).first()
    np.testing.assert_allclose(first["by_noise"], 0, atol=1e-12)


def test_policy_regressors_do_not_look_back_over_a_restart(design, apart):
    one, other = (lr.PolicyRegressors().fit_transform(d[0]) for d in (design, apart))
    np.testing.assert_array_equal(one, other)


def test_lines_break_where_learning_begins_anew(design, noisy):
    X, y = design
    _, truth = simulate(noisy, X, random_state=0, return_weights=True)
    display = WeightTrajectoryDisplay.from_estimator(noisy, X, truth=truth, weight="bias")
    panel = display.axes_[0]
    lengths = [len(line.get_xdata()) for line in panel.lines if len(line.get_xdata()) > 2]
    stretches = X.loc["mouse_01"].groupby("restart").size().tolist()
    assert lengths == [*stretches, *(n - 1 for n in stretches)]
    dotted = panel.collections[-1]
    assert [segment[0, 0] for segment in dotted.get_segments()] == [17, 40]
    parts = DecompositionDisplay.from_estimator(noisy, X, y)
    for shown in (display, parts):
        keys = [axes.get_legend() for axes in shown.figure_.axes if axes.get_legend()]
        assert "begins anew" in [text.get_text() for text in keys[0].get_texts()]


def test_the_report_counts_restarts(design, tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SECTIONS", {})  # it is said of the data
    path = tmp_path / "report.html"
    rules = {"constant": lr.ConstantRuleEstimator()}
    write_report(rules, *design, path, compare=False, n_simulations=2, verbose=0)
    page = Page(path)
    assert ["animals", "5"] in page.rows
    assert ["restarts of learning", "10"] in page.rows


def test_the_report_draws_learning_along_the_trials_since_it_began_anew(
    design, tmp_path, monkeypatch
):
    wanted = "Learning curves"
    monkeypatch.setattr(_write, "SECTIONS", {wanted: _sections.SECTIONS[wanted]})
    X, y = design
    rules = {"REINFORCE": lr.ReinforceRuleEstimator(baseline=None)}
    write_report(rules, X, y, tmp_path / "report", compare=False, n_simulations=2, verbose=0)
    (drawn,) = (tmp_path / "report").glob("*-sessions-correct*.csv")
    table = pd.read_csv(drawn)
    trial = X.groupby(["subject", "restart"]).cumcount()
    step = trial.max() // 20 + 1
    along = (trial // step * step).rename("trial since learning began anew")
    expected = inspection.session_table(rules["REINFORCE"].fit(X, y), X, y, by=along)
    shown = [along.name, "n_trials", "animal", "model"]
    assert_frame_equal(table[shown], expected[shown])


# -------------------------------------------------------------------------------- twins


def design_again(twins, stimulus="stimulus"):
    return lr.make_design(twins, stimulus=stimulus, restart="restart", answer="answer")[:2]


# Noise moves the twins' weights by what nobody can predict.
STILL = [rule for rule in all_estimators(max_epochs=2) if rule.process_noise is None]


@pytest.mark.parametrize("estimator", STILL, ids=estimator_name)
def test_twins_begin_anew_as_their_animals_did(estimator, trials):
    X, y, _ = lr.make_design(trials, restart="block", answer="answer")
    rule = clone(estimator).fit(X, y)
    counted = trials.assign(restart=X.index.get_level_values("restart"))
    for stimuli in (X, counted):
        twins, weights = simulate(rule, stimuli, 2, random_state=0, return_weights=True)
        X_twins, _ = design_again(twins)
        assert X_twins.index.equals(weights.index)
        assert_frame_equal(rule.predict_weights(X_twins), weights, rtol=1e-5, atol=1e-6)
        starts = weights.groupby(["subject", "restart"]).first()
        assert len(starts) == 5 * 2 * 3
        assert (starts.std() < 1e-12).all()
    assert len(twins) == 2 * len(trials)
    one = twins[twins["subject"] == "mouse_02_2"]
    of_animal = trials[trials["subject"] == "mouse_02"]
    np.testing.assert_array_equal(one["stimulus"], of_animal["stimulus"])
    np.testing.assert_array_equal(one["session"], of_animal["session"])


def test_twins_of_a_pipeline_look_back_no_farther_than_a_restart(design):
    pipeline = make_pipeline(lr.PolicyRegressors(), lr.ReinforceRuleEstimator(baseline=None))
    pipeline.fit(*design)
    twins, weights = simulate(pipeline, design[0], 2, random_state=0, return_weights=True)
    X_twins = lr.make_design(twins, restart="restart")[0]
    predicted = pipeline[-1].predict_weights(pipeline[:-1].transform(X_twins))
    assert_frame_equal(predicted, weights)


def add_history(X, by):
    return X.assign(stay=X.groupby(by)["previous_choice"].shift(fill_value=0.0))


def test_a_transformer_that_looks_back_over_a_restart_is_refused(design):
    for by in ("subject", ["subject", "restart"]):
        look = FunctionTransformer(partial(add_history, by=by))
        rule = lr.ReinforceRuleEstimator(baseline=None, max_epochs=1)
        pipeline = make_pipeline(look, rule).fit(*design)
        run = partial(simulate, pipeline, design[0], random_state=0)
        if by == "subject":
            with pytest.raises(ValueError, match="make something else of a whole X"):
                run()
        else:
            run()


def test_a_check_of_what_twins_do_counts_from_where_learning_begins(trials, design):
    X, y = design
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    check = predictive_check(rule, X, y, by=10, n_simulations=3, window=5, random_state=0)
    outcome = trials.assign(
        correct=trials["choice"] == trials["answer"],
        place=trials.groupby(["subject", "block"]).cumcount(),
    )
    last = ~outcome.duplicated(["subject", "block"], keep="last")
    known = outcome[~last]
    accuracy = known.groupby([known["place"] // 10 + 1, "subject"])["correct"].mean()
    expected = accuracy.groupby("place").mean()
    observed = check.query("statistic == 'accuracy'").set_index("block")["observed"]
    np.testing.assert_allclose(observed, expected)
    by_session = predictive_check(rule, X, y, n_simulations=3, random_state=0)
    accuracy = known.groupby(["session", "subject"])["correct"].mean()
    observed = by_session.query("statistic == 'accuracy'").set_index("block")["observed"]
    np.testing.assert_allclose(observed, accuracy.groupby("session").mean())
    stays = outcome["choice"] == outcome.groupby(["subject", "block"])["choice"].shift()
    won = outcome.groupby(["subject", "block"])["reward"].shift() > 0
    win_stay = stays[won & ~last].groupby(outcome["subject"]).mean().mean()
    assert check.set_index("statistic").loc["win_stay", "observed"] == pytest.approx(win_stay)


def test_rules_are_recovered_from_animals_that_begin_anew(design):
    rules = {"constant": lr.ConstantRuleEstimator(), "REINFORCE": lr.ReinforceRuleEstimator()}
    study = recovery_study(
        design[0], rules, y=design[1], n_repeats=1, cv=2, random_state=0, verbose=0
    )
    assert study.scores["log_likelihood"].notna().all()
    assert study.scores["rmse"].notna().all()
