"""Fits of more than two choices are looked at choice by choice, or a sentence says why not."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from drawn import legend
from pandas.testing import assert_frame_equal
from three_choices import LABELS, STIMULI, K, design, make_trials, noisy, own, reinforce

import sklearn_learnrule as lr
from sklearn_learnrule import inspection, plotting
from sklearn_learnrule.inspection import (
    asymmetry_table,
    column_importance,
    compare_groups,
    history_table,
    psychometric_table,
    session_table,
    subject_effects_table,
    subject_update_table,
    update_table,
    variance_explained,
    weight_decomposition,
    weight_trajectories,
)
from sklearn_learnrule.inspection._choices import covariances_of_choices

CELL = ["of_choice", "choice", "reward", "correct"]
WEIGHTS = [*STIMULI, "bias"]
UPDATES = [f"update_{name}" for name in WEIGHTS]


def renamed():
    """The same animals, whose choices have other names in another order, and a rule's fit."""
    names = dict(zip(LABELS, ["z", "a", "m"], strict=True))
    trials = make_trials()
    trials = trials.assign(**{name: trials[name].map(names) for name in ("choice", "answer")})
    X, y, _ = lr.make_design(trials, stimulus=STIMULI, answer="answer")
    return X, y, names


def centred(weights):
    """Each choice's weights less their mean, from those against the first, (n, 3, K)."""
    of_all = np.concatenate([np.zeros((len(weights), 1, K)), weights.reshape(-1, 2, K)], 1)
    return of_all - of_all.mean(1, keepdims=True)


# ------------------------------------------------------------------------------------ the weights


def test_trajectories_are_each_choices_weights_less_their_mean():
    X, _ = design()
    table = weight_trajectories(reinforce(), X)
    assert list(table) == [
        *("fit", "subject", "session", "trial", "choice"),
        *(f"weight_{name}" for name in WEIGHTS),
    ]
    assert table["choice"].head(3).tolist() == LABELS
    expected = centred(reinforce().predict_weights(X).to_numpy())
    assert table.filter(like="weight_").to_numpy().reshape(-1, 3, K) == pytest.approx(expected)


def test_names_of_choices_change_no_weight_of_theirs():
    X, y, names = renamed()
    again = weight_trajectories(lr.ReinforceRuleEstimator(baseline=None).fit(X, y), X)
    here = weight_trajectories(reinforce(), design()[0])
    here["choice"] = here["choice"].map(names)
    by = ["subject", "trial", "choice"]
    assert_frame_equal(
        again.sort_values(by, ignore_index=True),
        here.sort_values(by, ignore_index=True),
        check_exact=False,
        atol=1e-3,
    )


def test_what_the_rule_and_noise_did_adds_up_and_sums_to_0_over_choices():
    table = weight_decomposition(noisy(), *design())
    assert np.allclose(table["smoothed"], table["by_rule"] + table["by_noise"])
    over_choices = table.groupby(["subject", "trial", "weight"])[["smoothed", "by_rule"]].sum()
    assert over_choices.to_numpy() == pytest.approx(0, abs=1e-9)
    smoothed, std = noisy().smooth_weights(*design(), return_std=True)
    found = table["smoothed"].to_numpy().reshape(-1, 3, K)
    assert found == pytest.approx(centred(smoothed.to_numpy()))
    assert 0 < table["std"].max() < std.to_numpy().max()


def test_standard_deviations_are_those_of_the_differences_that_they_are_of():
    rng = np.random.RandomState(0)
    draws = rng.randn(5000, 2 * K) @ rng.randn(2 * K, 2 * K)
    covariance = covariances_of_choices(torch.tensor(np.cov(draws.T)), 3)
    expected = np.cov(centred(draws).reshape(-1, 3 * K).T)
    assert covariance.numpy() == pytest.approx(expected)


def test_shares_of_the_rule_are_of_each_choices_weights():
    table = variance_explained(noisy(), *design(), n_draws=5)
    assert list(table)[:4] == ["fit", "subject", "choice", "weight"]
    assert len(table) == 7 * 3 * K
    assert table["n_trials"].unique().tolist() == [720, 120]
    assert (table["lower"] <= table["upper"]).all()


# ------------------------------------------------------------------------------------ the updates


def test_an_update_of_reinforce_is_its_rate_times_the_policys_gradient():
    rule = reinforce()
    X, _ = design()
    nothing = {(label, name): 0.0 for label in LABELS[1:] for name in WEIGHTS}
    table = update_table(rule, X, weights=nothing)
    assert list(table)[1:4] == [*STIMULI, "of_choice"]
    features = table[STIMULI].assign(bias=1.0).to_numpy()
    error = (table["of_choice"] == table["choice"]) - 1 / 3  # each choice is as likely
    rate = table["reward"] * error / 2
    expected = rule.learning_rate_ * rate.to_numpy()[:, None] * features
    assert table[UPDATES].to_numpy() == pytest.approx(expected)


def test_a_trial_of_the_task_is_asked_for_with_the_choice_that_is_correct_there():
    table = update_table(reinforce(), design()[0])
    answers = {(1.0, 0.0): "left", (0.0, 1.0): "middle", (0.0, 0.0): "right"}
    right = [answers[shown] for shown in table[STIMULI].itertuples(index=False, name=None)]
    assert (table["correct"] == (table["choice"] == right)).all()
    assert table["answer"].tolist() == right
    assert len(table) == 3 * 3 * 3  # of stimuli, choices made, and choices whose weights move


def test_without_told_answers_a_reward_alone_says_what_was_correct():
    X, y = design(None)
    table = update_table(lr.ReinforceRuleEstimator(baseline=None).fit(X, y), X)
    told = update_table(reinforce(), design()[0])
    answer = table.pop("answer")
    assert (answer.isna() == ~table["correct"]).all()  # which one an error missed nobody knows
    assert (answer == told.pop("answer"))[table["correct"]].all()
    assert_frame_equal(table, told, check_exact=False, atol=1e-3)


def test_the_trials_near_a_point_are_those_of_its_stimulus_choice_and_outcome():
    X, _ = design()
    weights = {pair: [value] for pair, value in reinforce().predict_weights(X).iloc[50].items()}
    table = update_table(reinforce(), X, weights=weights)
    assert (table.groupby([*STIMULI, *CELL[1:]])["n_trials"].nunique() == 1).all()
    assert 0 < table["n_trials"].sum() / 3 < len(X)


def test_an_animals_update_is_that_of_its_own_learning_rate():
    table = subject_update_table(own(), *design())
    assert list(table)[:4] == ["subject", *STIMULI, "of_choice"]
    effects = subject_effects_table(own(), *design()).set_index("subject")["mean"]
    updates = table.groupby("subject")["update_bias"].agg(lambda each: np.abs(each).max())
    factors = np.exp(effects - effects.iloc[0])
    assert (updates / updates.iloc[0]).to_numpy() == pytest.approx(factors.to_numpy())


def test_groups_are_compared_choice_by_choice():
    trials = make_trials()
    trials["group"] = np.where(trials["subject"] < "animal 3", "a", "b")
    X, y, _ = lr.make_design(trials, stimulus=STIMULI, answer="answer", covariates="group")
    rule = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
    found = compare_groups(rule, X, y, "group", verbose=0)
    bands = found.update_bands("bias")
    assert bands["of_choice"].unique().tolist() == LABELS
    cell = ["group", *STIMULI, *CELL]
    means = found.updates.groupby(cell, observed=True)["update_bias"].mean()
    assert bands.set_index(cell)["mean"].to_dict() == pytest.approx(means.to_dict())


def test_a_memoryless_rule_does_the_same_after_every_run():
    table = history_table(reinforce(), design()[0], lengths=(1, 3), n_draws=1)
    cell = [*STIMULI, *CELL]
    each = table.groupby(cell)[UPDATES]
    assert (each.max() - each.min()).to_numpy() == pytest.approx(0, abs=1e-12)
    assert table["of_choice"].head(3).tolist() == LABELS


def test_runs_of_many_choices_are_shorter():
    message = "lengths should be from 1 to 4 trials of 3 choices, got [5]."
    with pytest.raises(ValueError, match=re.escape(message)):
        history_table(reinforce(), design()[0], lengths=[5])


def test_a_history_needs_each_choice_rewarded_and_not():
    trials = make_trials().query("choice != 'middle' or answer != 'middle'")
    X, y, _ = lr.make_design(trials, stimulus=STIMULI, answer="answer")
    rule = lr.ConstantRuleEstimator().fit(X, y)
    with pytest.raises(ValueError, match="with each choice, but X has no rewarded one with the mi"):
        history_table(rule, X)


def test_learning_rates_after_correct_choices_and_after_each_are_the_rules():
    rates = dict(zip(WEIGHTS, reinforce().learning_rate_, strict=True))
    table = asymmetry_table(reinforce(), design()[0], n_bootstraps=20)
    assert table["contrast"].unique().tolist() == ["outcome", "choice", "run"]
    cell = ["group", "measure", "of_choice", "weight"]
    found = table.set_index(cell)["estimate"]
    for weight, rate in rates.items():
        assert found["correct", "learning_rate", :, weight].to_numpy() == pytest.approx(rate)
        assert found["error", "learning_rate", :, weight].to_numpy() == pytest.approx(0)
    sums = table[table["measure"] == "update"].groupby(["group", "weight"])["estimate"].sum()
    assert sums.to_numpy() == pytest.approx(0, abs=1e-9)
    groups = table.loc[table["contrast"] == "choice", "group"].unique().tolist()
    assert groups == [*LABELS, "left - middle", "left - right", "middle - right"]


# ------------------------------------------------------------------------------------ the choices


def test_psychometric_tables_have_each_choices_share():
    X, y = design()
    table = psychometric_table(reinforce(), X, y)
    assert table["stimulus"].cat.categories.tolist() == ["s0 = 1", "s1 = 1", "all 0"]
    shares = table.groupby(["subject", "stimulus"], observed=True)[["animal", "model"]].sum()
    assert shares.to_numpy() == pytest.approx(1)
    row = table.set_index(["subject", "stimulus", "choice"]).loc[("animal 2", "s1 = 1", "middle")]
    here = (X["s1"] == 1) & (X.index.get_level_values("subject") == "animal 2")
    assert row["n_trials"] == here.sum()
    assert row["animal"] == (y[here] == "middle").mean()
    assert row["model"] == pytest.approx(reinforce().predict_proba(X)[here.to_numpy(), 1].mean())


def test_a_psychometric_table_may_be_of_one_column():
    table = psychometric_table(reinforce(), *design(), stimulus="s1", by="session")
    assert list(table)[:5] == ["fit", "choice", "subject", "session", "s1"]
    assert table["n_trials"].sum() == 3 * 720


def test_sessions_have_the_share_and_the_probability_of_correct_choices():
    X, y = design()
    table = session_table(reinforce(), X, y)
    assert (table["n_choices"] == 3).all()
    answers = make_trials()["answer"].to_numpy()
    place = np.searchsorted(LABELS, answers)
    p = reinforce().predict_proba(X)[np.arange(len(X)), place]
    known = X.groupby("subject").cumcount(ascending=False).to_numpy() > 0
    each = pd.DataFrame({"animal": (y == answers).astype(float), "model": p}, y.index)[known]
    expected = each.groupby(["subject", "session"]).mean().to_numpy()
    assert table[["animal", "model"]].to_numpy() == pytest.approx(expected)


def test_without_told_answers_sessions_have_mean_rewards_and_the_model_says_nothing():
    X, y = design(None)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    table, told = session_table(rule, X, y), session_table(reinforce(), *design())
    assert table["animal"].tolist() == told["animal"].tolist()
    assert table["model"].isna().all()
    display = plotting.SessionCurveDisplay(table).plot()
    assert list(legend(display.ax_)) == ["animals"]


def test_a_column_that_tells_nothing_has_no_importance():
    X, y = design()
    noise = np.random.RandomState(0).standard_normal(len(X))
    X = X.assign(noise=noise)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    means = column_importance(rule, X, y).groupby("column")["importance"].mean()
    assert means["noise"] < 0.03 < means[STIMULI].min()


# ----------------------------------------------------------------------------------- what refuses


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda rule, X: plotting.UpdateDisplay.from_estimator(rule, X, kind="heatmap"),
         "A heatmap of updates is of two choices, and these are 3: use kind='slices'."),
        (lambda rule, X: update_table(rule, X, weights={"s0": 0}),
         "weights should name some of [('middle', 's0'), "),
        (lambda rule, X: plotting.UpdateDisplay.from_estimator(
            rule, X, weights={("middle", "s0"): [0, 1]}),
         "Of more than two choices, weights can be drawn at one value each, but the table has"),
    ],
)  # fmt: skip
def test_what_is_of_two_choices_says_so(look, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        look(reinforce(), design()[0])


def test_an_equation_of_two_choices_predicts_no_updates_of_three():
    trials = make_trials()
    two = trials.replace({"choice": {"middle": "left"}, "answer": {"middle": "left"}})
    X, y, _ = lr.make_design(two, stimulus=STIMULI, answer="answer")
    equation = inspection.sparse_rule(lr.ReinforceRuleEstimator(baseline=None).fit(X, y), X)
    with pytest.raises(ValueError, match="The equations are of 2 choices, but fit 0 has 3."):
        equation.predict(reinforce(), design()[0])


def test_fits_of_different_numbers_of_choices_are_in_no_table_together():
    two = make_trials().replace({"choice": {"middle": "left"}, "answer": {"middle": "left"}})
    X, y, _ = lr.make_design(two, stimulus=STIMULI, answer="answer")
    fits = [reinforce(), lr.ConstantRuleEstimator().fit(X, y)]
    with pytest.raises(
        ValueError, match="choose among as many, but fit 0 knows 3 choices and fit 1 2"
    ):
        weight_trajectories(fits, X)
