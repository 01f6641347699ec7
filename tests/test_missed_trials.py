"""Trials without a choice: no rows of X, but not forgotten."""

import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    BRIEFLY_TRAINED,
    NOISY_RULE_MAKERS,
    RULE_MAKERS,
    all_estimators,
    estimator_name,
    make_rule,
    make_trials,
)
from pages import Page
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.engine import ENGINES, unroll
from sklearn_learnrule.report import _write, write_report
from sklearn_learnrule.rules import ConstantRule, FilteredRule
from sklearn_learnrule.simulation import simulate, simulate_learning

pytestmark = BRIEFLY_TRAINED

MISSES = "previous_misses"


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(
        5, 80, session_length=30, miss_rate=0.25, length_spread=0, random_state=0
    )


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, missed="count", answer="answer")[:2]


# ----------------------------------------------------------------------------- what X tells


def test_missed_trials_are_no_rows_and_are_counted(trials, design):
    X, y = design
    made = trials[trials["choice"].notna()]
    plain, y_plain, _ = lr.make_design(made, answer="answer")
    assert_frame_equal(X.drop(columns=MISSES), plain)
    assert y.tolist() == y_plain.tolist()
    expected = []
    for _, table in trials.groupby("subject"):
        rows = np.flatnonzero(table["choice"].notna())
        expected += [0, *(np.diff(rows) - 1)]
    assert X[MISSES].tolist() == expected
    assert X[MISSES].max() > 1


def test_nothing_but_identity_is_needed_of_a_missed_trial(trials, design):
    """Not even at the start or the end of an animal's trials."""
    missed = trials["choice"].isna()
    table = trials.astype({"stimulus": float})
    table.loc[missed, ["stimulus", "reward", "answer"]] = np.nan
    X, _, _ = lr.make_design(table, missed="count", answer="answer")
    assert_frame_equal(X, design[0])
    led = table.copy()
    led.loc[0, ["choice", "stimulus", "reward", "answer"]] = np.nan
    X, _, _ = lr.make_design(led, missed="count", answer="answer")
    assert X[MISSES].iloc[0] == 0
    assert (
        X.loc["mouse_01", "stimulus"].tolist() == design[0].loc["mouse_01", "stimulus"].tolist()[1:]
    )


def test_an_error_names_the_row_of_the_table(trials):
    rows = np.flatnonzero(trials["choice"].notna())
    table = trials.copy()
    table.loc[rows[50], "stimulus"] = np.inf
    message = f"'stimulus' should be finite, but is inf (subject 'mouse_01', row {rows[50]})"
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(table, missed="count")


def test_a_block_of_missed_trials_alone_is_a_restart_all_the_same():
    table = make_learning_cohort(1, 6, length_spread=0, random_state=0)
    table = table.assign(block=["a", "a", "b", "b", "a", "a"])
    table["choice"] = table["choice"].where(table["block"] == "a")
    X, _, _ = lr.make_design(table, missed="count", restart="block")
    assert X.index.get_level_values("restart").tolist() == [0, 0, 2, 2]
    assert X[MISSES].tolist() == [0, 0, 0, 0]
    assert X["previous_choice"].iloc[2] == 0


def test_a_missing_choice_is_an_error_unless_it_is_counted(trials):
    with pytest.raises(
        ValueError, match=re.escape("Or count them as missed trials: make_design(.")
    ):
        lr.make_design(trials)
    with pytest.raises(ValueError, match=r"Column 'choice' is missing \(NaN\) on every trial"):
        lr.make_design(trials.assign(choice=None), missed="count")
    named = trials.assign(choice=trials["choice"].fillna("M"), reward=trials["reward"].fillna(0))
    with pytest.raises(ValueError, match="has 'M' .* make it NaN and count it: make_design"):
        lr.make_design(named, choices=["left", "right"])
    with pytest.raises(ValueError, match="missed should be 'error' or 'count', got 'drop'"):
        lr.make_design(trials, missed="drop")
    with pytest.raises(ValueError, match=r"Column 'session' is missing \(NaN\) on"):
        lr.make_design(
            trials.assign(session=trials["session"].where(trials["choice"].notna())), missed="count"
        )


def test_a_count_that_is_none_is_refused(design):
    X, y = design
    changed = X.assign(**{MISSES: X[MISSES] / 3})
    with pytest.raises(ValueError, match="previous_misses should be a whole number, but is 0.6667"):
        lr.ConstantRuleEstimator().fit(changed, y)


# ---------------------------------------------------------------------------- what they mean


def with_misses(n_weights):
    trials, observed = make_trials([30, 12, 25], n_weights)
    drawn = torch.randint(4, trials.choice.shape, generator=torch.Generator().manual_seed(1))
    return replace(trials, misses=drawn.double()), observed


def expecting(name):
    rule = make_rule(name, 3)
    moved = rule
    if isinstance(rule, FilteredRule):
        rule.noise.counts_misses = True
        moved = rule.rule
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        moved.expect(unknown_rewards=False, misses=True)
    return rule.double()


@pytest.mark.parametrize("name", ["dnn", "rnn", "rnn, small", *NOISY_RULE_MAKERS])
def test_engines_agree_where_trials_were_missed(name):
    rule = expecting(name)
    trials, observed = with_misses(3)
    found = []
    for engine in ENGINES:
        rule.zero_grad()
        start = torch.full((3, 3), 0.1).double().requires_grad_()
        path = unroll(rule, start, trials, observed, engine=engine)
        path.square().sum().backward()
        gradients = [start.grad, *(p.grad for p in rule.parameters() if p.grad is not None)]
        found.append((path.detach(), torch.cat([g.flatten() for g in gradients])))
    for path, gradient in found[1:]:
        torch.testing.assert_close(path, found[0][0], rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-6, atol=1e-8)
    usual = unroll(rule, start, replace(trials, misses=0 * trials.misses), observed)
    assert not torch.allclose(usual, found[0][0])


@pytest.mark.parametrize("name", [name for name in RULE_MAKERS if "nn" not in name])
def test_a_rule_that_does_not_read_misses_is_as_it_was(name):
    trials, observed = with_misses(3)
    start = torch.full((3, 3), 0.1).double()
    rule, usual = expecting(name), make_rule(name, 3)
    none = replace(trials, misses=0 * trials.misses)
    torch.testing.assert_close(
        unroll(rule, start, trials, observed), unroll(usual, start, none, observed)
    )


def test_noise_goes_on_for_as_many_steps_as_were_missed(design):
    X, y = design
    options = {"process_noise": 0.3, "initial_std": 0.5}
    rule = lr.ConstantRuleEstimator(**options).fit(X, y)
    _, std = rule.predict_weights(X, return_std=True)
    _, less = rule.predict_weights(X.assign(**{MISSES: 0.0}), return_std=True)
    first = int(np.flatnonzero(X[MISSES] > 1)[0])  # the first of all but one
    once = X[MISSES].copy()
    once.iloc[:first] = once.iloc[first + 1 :] = 0.0
    _, after_one = rule.predict_weights(X.assign(**{MISSES: once}), return_std=True)
    widened = (after_one**2 - less**2).iloc[first]
    np.testing.assert_allclose(widened, once.iloc[first] * 0.3**2, rtol=1e-5)
    assert (after_one.iloc[:first] == less.iloc[:first]).all(axis=None)
    assert (std.iloc[1:] >= less.iloc[1:] - 1e-12).all(axis=None)


def test_each_animals_own_noise_goes_on_while_it_misses_trials():
    opens = np.arange(400) % 100 == np.zeros((3, 1))
    std = np.array([[0.0, 0.0], [0.1, 0.2], [0.1, 0.2]])
    misses = np.zeros(opens.shape, dtype=int)
    misses[2] = 8
    happened = simulate_learning(
        ConstantRule(2), ContrastTask(opens, random_state=0), np.zeros((3, 2)), opens,
        np.random.RandomState(0), process_noise=std, misses=misses,
    )  # fmt: skip
    steps = np.diff(happened.weights, axis=1).std(1)
    np.testing.assert_allclose(steps, std * [[1], [1], [3]], rtol=0.1)


def test_noise_and_learning_rate_are_found_again_and_dropping_biases_the_noise():
    true = lr.ReinforceRuleEstimator(
        baseline=None, process_noise=[0.1, 0.1], session_noise=0.0, initial_std=0.3
    )
    shown = make_learning_cohort(16, 800, miss_rate=0.5, random_state=0)
    true.fit(*lr.make_design(shown, missed="count")[:2])
    twins = simulate(true, shown, random_state=1)
    learns = clone(true).set_params(process_noise="learned")
    counted = clone(learns).fit(*lr.make_design(twins, missed="count")[:2])
    dropped = clone(learns).fit(*lr.make_design(twins.dropna(subset=["choice"]))[:2])
    np.testing.assert_allclose(counted.process_noise_, 0.1, atol=0.025)
    rates = counted.summary_.query("parameter == 'learning_rate'")
    far = (rates["estimate"] - true.learning_rate_).abs()
    assert (far < 2.5 * rates["standard_error"]).all()
    np.testing.assert_allclose(
        dropped.process_noise_, np.sqrt(2) * counted.process_noise_, rtol=0.12
    )


def test_what_leans_on_the_trial_before_is_0_after_a_missed_one(design):
    X, _ = design
    more = lr.PolicyRegressors().fit_transform(X)
    plain = lr.PolicyRegressors().fit_transform(X.drop(columns=MISSES))
    later = ["choice_back", "win_stay", "stimulus_back"]
    missed = X[MISSES] > 0
    assert (more.loc[missed, later] == 0).all(axis=None)
    assert_frame_equal(more.loc[~missed, later], plain.loc[~missed, later])
    assert (plain.loc[missed, later] != 0).any(axis=None)
    assert MISSES in more


@pytest.mark.parametrize("decay", [None, 0.9])
def test_row_by_row_habits_are_those_of_the_whole(design, decay):
    X, _ = design
    regressors = lr.PolicyRegressors(split_sides=True, trace_decay=decay)
    whole = regressors.fit_transform(X)
    turn = X.groupby("subject").cumcount()
    assert X[MISSES].max() > 1
    before = None
    for place in range(turn.groupby("subject").max().min() + 1):
        columns = {name: values.to_numpy() for name, values in X[turn == place].items()}
        made = regressors.transform_next(columns, before)
        assert_frame_equal(pd.DataFrame(made, X.index[turn == place]), whole[turn == place])
        before = columns, made


def test_a_trace_decays_over_missed_trials_as_over_any(design):
    X, _ = design
    plain = lr.PolicyRegressors(trace_decay=0.5).fit_transform(X.drop(columns=MISSES))
    counted = lr.PolicyRegressors(trace_decay=0.5).fit_transform(X)
    assert X[MISSES].max() > 1
    for _, rows in X.groupby("subject"):
        trace = 0.0
        for row, (missed, before) in rows[[MISSES, "previous_choice"]].iterrows():
            trace = 0.5**missed * 0.5 * (trace + before)
            assert counted.loc[row, "choice_trace"] == pytest.approx(trace, abs=1e-15)
    missed = X[MISSES].groupby("subject").cumsum() > 0
    before_any = ["choice_trace", "win_stay_trace", "stimulus_trace"]
    assert_frame_equal(counted.loc[~missed, before_any], plain.loc[~missed, before_any])


# ------------------------------------------------------------------- estimators and twins

CHOICE_RNN = lr.ChoiceRNNClassifier(max_epochs=2, n_ensemble=1, mirror=False, random_state=0)


ESTIMATORS = [*all_estimators(max_epochs=2), CHOICE_RNN]


@pytest.fixture(scope="module", params=ESTIMATORS, ids=estimator_name)
def fitted(request, design):
    return clone(request.param).fit(*design)


def test_every_estimator_fits_predicts_and_is_stored(fitted, design):
    X, y = design
    p = fitted.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), p)
    row = int(np.flatnonzero(X[MISSES] > 0)[3])  # of the first animal
    never = X.copy()
    never.iloc[row, X.columns.get_loc(MISSES)] = 0.0
    unlike = fitted.predict_proba(never) != p
    reads = any(word in estimator_name(fitted) for word in ("NN", "noise"))
    assert not unlike[:row].any()
    assert unlike.any() == reads


@pytest.mark.parametrize("fitted", ESTIMATORS[:-1], indirect=True, ids=estimator_name)
def test_twins_miss_what_their_animals_missed(fitted, trials, design):
    X, _ = design
    for stimuli in (X, trials):
        twins, weights = simulate(fitted, stimuli, random_state=0, return_weights=True)
        X_twins, _, _ = lr.make_design(twins, missed="count", answer="answer")
        assert X_twins[MISSES].tolist() == X.loc[X_twins.index, MISSES].tolist()
        assert twins["choice"].isna().sum() == X_twins[MISSES].sum()
        if fitted.process_noise is None:
            predicted = fitted.predict_weights(X_twins)
            assert_frame_equal(predicted, weights, rtol=1e-5, atol=1e-6)


def test_twins_of_a_pipeline_know_of_misses(design):
    pipeline = make_pipeline(lr.PolicyRegressors(), lr.ReinforceRuleEstimator(baseline=None))
    X, y = design
    pipeline.fit(X, y)
    twins, weights = simulate(pipeline, X, random_state=0, return_weights=True)
    X_twins, _, _ = lr.make_design(twins, missed="count", answer="answer")
    predicted = pipeline[-1].predict_weights(pipeline[:-1].transform(X_twins))
    assert_frame_equal(predicted, weights)


def test_the_report_counts_missed_trials(trials, design, tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SECTIONS", {})  # it is said of the data
    path = tmp_path / "report.html"
    rules = {"constant": lr.ConstantRuleEstimator()}
    write_report(rules, *design, path, compare=False, n_simulations=2, verbose=0)
    assert ["trials missed between choices", f"{int(design[0][MISSES].sum())}"] in Page(path).rows


# ------------------------------------------------------------------------------- cohorts


def test_a_missed_trial_is_shown_again_until_there_is_a_choice(trials):
    missed = trials["choice"].isna()
    assert missed.mean() == pytest.approx(0.25, abs=0.06)
    assert trials.loc[missed, "reward"].isna().all()
    again = trials.shift(-1)
    for name in ("subject", "session", "stimulus", "answer"):
        assert (trials.loc[missed, name] == again.loc[missed, name]).all()
    assert trials.groupby("subject")["choice"].count().tolist() == [80] * 5


def test_blocks_are_learned_from_the_beginning():
    trials, weights = make_learning_cohort(
        3, 90, n_blocks=3, length_spread=0, session_length=20, random_state=0, return_weights=True
    )
    assert list(trials)[:3] == ["subject", "session", "block"]
    assert trials.groupby(["subject", "block"]).size().tolist() == [30] * 9
    X, y, _ = lr.make_design(trials, restart="block")
    assert X.index.equals(weights.index)
    assert (weights.groupby(["subject", "restart"]).first() == 0).all(axis=None)
    sessions = trials.groupby("subject")["session"]
    assert (sessions.diff().dropna() >= 0).all()
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    assert rule.predict_weights(X).index.equals(weights.index)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"miss_rate": 1.0}, "miss_rate should be from 0 to below 1, got 1.0"),
        ({"n_blocks": 0}, "n_blocks == 0, must be >= 1"),
    ],
)
def test_what_makes_no_cohort_is_refused(options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make_learning_cohort(2, 20, **options)


def test_an_animal_that_missed_all_its_trials_is_told_of(trials):
    lost = trials["subject"].iloc[0]
    table = trials.assign(choice=trials["choice"].where(trials["subject"] != lost))
    with pytest.warns(UserWarning, match=f"1 subject.s. missed all trials .*{lost}.* are not in X"):
        _, _, groups = lr.make_design(table, missed="count", answer="answer")
    assert lost not in set(groups)
