"""Rewards that nobody knows: the choice counts, and who learns from rewards learns nothing."""

import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    BRIEFLY_TRAINED,
    BUILT_IN,
    RULE_MAKERS,
    all_estimators,
    estimator_name,
    make_rule,
    make_trials,
)
from pages import Page
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule import inspection
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import ENGINES, unroll
from sklearn_learnrule.inspection._candidates import PREVIOUS_REWARD
from sklearn_learnrule.report import _write, write_report
from sklearn_learnrule.rules import FilteredRule
from sklearn_learnrule.simulation import predictive_check, simulate

pytestmark = BRIEFLY_TRAINED

KNOWN = "previous_reward_known"


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(
        5, 80, session_length=30, unknown_reward_rate=0.25, length_spread=0, random_state=0
    )


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, unknown_reward="keep", answer="answer")[:2]


# ----------------------------------------------------------------------------- what X tells


def test_a_reward_that_is_unknown_is_0_and_said_to_be_so(trials, design):
    X, y = design
    plain, y_plain, _ = lr.make_design(trials.fillna({"reward": 0.0}), answer="answer")
    assert_frame_equal(X.drop(columns=KNOWN), plain)
    assert_series_equal(y, y_plain)
    known = trials["reward"].notna().groupby(trials["subject"]).shift(fill_value=False)
    assert 0.1 < (~known).mean() < 0.4
    assert X[KNOWN].tolist() == known.astype(float).tolist()


@pytest.mark.parametrize("dtype", [object, "Int64", "boolean"])
def test_unknown_rewards_may_be_missing_in_any_way(trials, design, dtype):
    reward = trials["reward"].astype("Int64").astype(dtype)
    assert reward.isna().any()
    table = trials.assign(reward=reward)
    X, _, _ = lr.make_design(table, unknown_reward="keep", answer="answer")
    assert_frame_equal(X, design[0])


def test_where_no_reward_is_missing_all_are_known():
    table = make_learning_cohort(2, 20, random_state=0)
    X, _, _ = lr.make_design(table, unknown_reward="keep")
    later = X.index.get_level_values("trial") > 0
    assert X[KNOWN].tolist() == later.astype(float).tolist()
    assert_frame_equal(X.drop(columns=KNOWN), lr.make_design(table)[0])


def test_what_was_correct_is_unknown_with_the_reward_unless_an_answer_tells_it(trials):
    told = read_sequences(lr.make_design(trials, unknown_reward="keep", answer="answer")[0])
    X, _, _ = lr.make_design(trials, unknown_reward="keep")
    untold = read_sequences(X)
    unknown = untold.fields.observed & (untold.fields.reward_known == 0)
    assert (untold.fields.answer[unknown] == 0.5).all()
    np.testing.assert_array_equal(
        untold.fields.answer[untold.fields.told], told.fields.answer[told.fields.told]
    )
    assert set(told.fields.answer[unknown]) == {0.0, 1.0}
    assert untold.answer_known


# ------------------------------------------------------------------------------- what is learned


def partly_known(n_weights):
    trials, observed = make_trials([30, 12, 25], n_weights)
    coin = torch.rand(trials.choice.shape, generator=torch.Generator().manual_seed(1))
    return replace(trials, reward_known=(coin < 0.7).double()), observed


# An observation is of a choice, whatever it was paid.
TEXTBOOK = [name for name in RULE_MAKERS if "nn" not in name and name != "observation"]


def expecting(name):
    rule = make_rule(name, 3)
    moved = rule.rule if isinstance(rule, FilteredRule) else rule
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        moved.expect(unknown_rewards=True, misses=False)
    return rule.double()


@pytest.mark.parametrize("name", TEXTBOOK)
def test_a_textbook_rule_makes_no_step_and_remembers_what_it_did(name):
    rule, usual = expecting(name), make_rule(name, 3)
    trials, _ = partly_known(3)
    trial = trials.all_rows()
    n_rows, generator = len(trial.choice), torch.Generator().manual_seed(2)
    weights = torch.rand(n_rows, 3, generator=generator).double()
    memory = torch.rand(n_rows, rule.memory_size, generator=generator).double()
    update, later = rule(weights, trial, memory)
    expected_update, expected_later = usual(weights, trial, memory)
    known = trial.reward_known > 0
    assert (update[~known] == 0).all()
    torch.testing.assert_close(later[~known], memory[~known])
    torch.testing.assert_close(update[known], expected_update[known])
    torch.testing.assert_close(later[known], expected_later[known])


@pytest.mark.parametrize("name", ["dnn", "dnn, linear", "rnn", "rnn, small"])
def test_a_network_sees_whether_the_reward_is_known(name):
    rule = expecting(name)
    assert rule.n_inputs == make_rule(name, 3).n_inputs + 1
    trials, _ = make_trials([4], 3)
    weights, memory = torch.zeros(1, 3).double(), rule.initial_memory(1, torch.zeros(1).double())
    one, other = (
        rule(weights, replace(trials.at(0), reward_known=torch.full((1,), known).double()), memory)
        for known in (0, 1)
    )
    assert (one[0] != other[0]).all()


# Options change nothing of this but the rule's own code, above; noise goes by the same filter.
@pytest.mark.parametrize(
    "name",
    [*BUILT_IN, "reinforce, free baseline, options, noise", "dnn, noise", "rnn, small, noise"],
)
def test_engines_agree_where_rewards_are_unknown(name):
    rule = expecting(name)
    trials, observed = partly_known(3)
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


def test_weights_stay_where_nobody_knows_the_reward(design):
    X, y = design
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    moved = rule.predict_weights(X).groupby("subject").diff().abs().sum(axis=1)
    later = X.index.get_level_values("trial") > 0
    assert (moved[later & (X[KNOWN] == 0)] == 0).all()
    assert (moved[later & (X[KNOWN] == 1)] > 0).mean() > 0.9


def test_the_choice_counts_whether_or_not_its_reward_is_known(trials, design):
    """With process noise, weights are learned about from choices alone."""
    X, y = design
    rule = lr.ConstantRuleEstimator(process_noise=0.1, initial_std=0.5).fit(X, y)
    plain = lr.make_design(trials.fillna({"reward": 1.0}), answer="answer")[0]
    same = lr.ConstantRuleEstimator(process_noise=0.1, initial_std=0.5).fit(plain, y)
    np.testing.assert_array_equal(rule.predict_proba(X), same.predict_proba(plain))


def test_learning_rates_are_found_again():
    table = make_learning_cohort(20, 800, unknown_reward_rate=0.3, random_state=1)
    X, y, _ = lr.make_design(table, unknown_reward="keep")
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    rates = rule.summary_.query("parameter == 'learning_rate'")
    assert ((rates["estimate"] - 0.02).abs() < 2.5 * rates["standard_error"]).all()
    assert rates["standard_error"].iloc[0] < 0.002


# ------------------------------------------------------------------- estimators, tables, twins

CHOICE_RNN = lr.ChoiceRNNClassifier(max_epochs=2, n_ensemble=1, mirror=False, random_state=0)
ESTIMATORS = [*all_estimators(max_epochs=2), CHOICE_RNN]


@pytest.fixture(scope="module", params=ESTIMATORS, ids=estimator_name)
def fitted(request, design):
    return clone(request.param).fit(*design)


def test_every_estimator_fits_predicts_and_is_stored(fitted, design):
    X, y = design
    p = fitted.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), p)
    changed = X.copy()
    row = X.index.get_loc(X.index[X[KNOWN] == 0][3])
    changed.iloc[row + 1 :, X.columns.get_loc("stimulus")] *= -1
    np.testing.assert_allclose(fitted.predict_proba(changed)[: row + 1], p[: row + 1])


def assert_twins_learn_of_the_same_rewards(rule, X, stimuli, answer):
    twins, weights = simulate(rule, stimuli, random_state=0, return_weights=True)
    X_twins, _, _ = lr.make_design(twins, unknown_reward="keep", answer=answer)
    assert X_twins[KNOWN].tolist() == X.loc[X_twins.index, KNOWN].tolist()
    if rule.process_noise is None:
        assert_frame_equal(rule.predict_weights(X_twins), weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fitted", ESTIMATORS[:-1], indirect=True, ids=estimator_name)
def test_twins_do_not_learn_of_what_their_animals_did_not(fitted, trials, design):
    for stimuli in (design[0], trials):
        assert_twins_learn_of_the_same_rewards(fitted, design[0], stimuli, "answer")


@pytest.mark.parametrize(
    "kind", [lr.PredictMaxRuleEstimator, lr.DNNRuleEstimator], ids=lambda kind: kind.__name__
)
def test_without_answers_they_learn_no_more(kind, trials):
    X, y, _ = lr.make_design(trials, unknown_reward="keep")
    (estimator,) = (each for each in ESTIMATORS if type(each) is kind)
    rule = clone(estimator).fit(X, y)
    assert_twins_learn_of_the_same_rewards(rule, X, trials, None)


def test_tables_are_of_trials_whose_outcome_is_known(trials, design):
    X, y = design
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    last = ~trials["subject"].duplicated(keep="last")
    n_known = (trials["reward"].notna() & ~last).sum()
    outcome = inspection.asymmetry_table(rule, X).query("contrast == 'outcome'")
    difference = outcome[outcome["group"] == "correct - error"]
    assert set(difference["n_trials"]) == {n_known}
    nearest = inspection.nearest_rules(rule, X)
    best = nearest[nearest["weight"] == "all"].iloc[0]
    assert best["rule"].startswith("REINFORCE")
    assert best["r2"] > 0.999
    equations = inspection.sparse_rule(rule, X)
    of_trials = equations.predict(rule, X).query("weight == 'bias'")
    assert len(of_trials) == n_known
    check = predictive_check(rule, X, y, n_simulations=2, random_state=0)
    known = trials[trials["reward"].notna() & ~last]
    correct = (known["choice"] == known["answer"]).groupby([known["session"], known["subject"]])
    observed = check.query("statistic == 'accuracy'").set_index("block")["observed"]
    np.testing.assert_allclose(observed, correct.mean().groupby("session").mean())


@pytest.fixture
def paid_before(trials):
    """The reward before each trial that is told an outcome: 0 on the first, NaN if unknown."""
    of_animals = trials.groupby("subject")["reward"]
    last = ~trials["subject"].duplicated(keep="last")
    return of_animals.shift(fill_value=0)[trials["reward"].notna() & ~last]


def test_an_equation_predicts_nothing_of_a_reward_before_that_nobody_knows(design, paid_before):
    rule = lr.ReinforceRuleEstimator().fit(*design)
    equations = {"stimulus": {}, "bias": {(PREVIOUS_REWARD,): 0.5}}
    predicted = inspection.SparseRule(None, None, equations).predict(rule, design[0])
    shown = predicted.groupby("weight")["predicted"]
    np.testing.assert_array_equal(shown.get_group("bias"), 0.5 * paid_before)
    assert (shown.get_group("stimulus") == 0).all()


def test_equations_are_sought_where_the_reward_before_is_known(design, paid_before):
    dnn = lr.DNNRuleEstimator(max_epochs=3, n_ensemble=1, random_state=0).fit(*design)
    told = inspection.sparse_rule(dnn, design[0], n_terms=3).predict(dnn, design[0])
    for _, table in told.groupby("weight"):
        known = table[paid_before.notna().to_numpy()]
        left = known["update"] - known["predicted"]
        square = (known["predicted"] ** 2).sum()
        assert abs((left * known["predicted"]).sum()) < 1e-9 * square  # least squares
        assert (left**2).sum() > 1e-6 * square


def test_no_equation_is_sought_where_no_reward_before_is_known(design):
    X, y = design
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    second = X.index.get_level_values("trial") == 2  # tells of the second trial's reward
    alone = X.assign(**{KNOWN: 1.0 * second, "previous_reward": X["previous_reward"] * second})
    with pytest.raises(ValueError, match="^An equation needs trials whose reward is known, and"):
        inspection.sparse_rule(rule, alone)


def test_sessions_are_judged_by_the_answers_that_are_known(trials):
    X, y, _ = lr.make_design(trials, unknown_reward="keep")
    rule = lr.ConstantRuleEstimator().fit(X, y)
    table = inspection.session_table(rule, X, y).set_index(["subject", "session"])
    last = ~trials["subject"].duplicated(keep="last")
    known = trials[trials["reward"].notna() & ~last]
    expected = known.groupby(["subject", "session"])["reward"].mean()
    np.testing.assert_allclose(table["animal"], expected)


def test_the_report_says_how_many_rewards_are_unknown(trials, design, tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SECTIONS", {})  # it is said of the data
    path = tmp_path / "report.html"
    rules = {"constant": lr.ConstantRuleEstimator()}
    write_report(rules, *design, path, compare=False, n_simulations=2, verbose=0)
    facts = dict(row for row in Page(path).rows if len(row) == 2)
    last = ~trials["subject"].duplicated(keep="last")
    assert facts["reward unknown"] == f"{trials['reward'][~last].isna().mean():.1%} of trials"
    share = (trials["reward"][~last].dropna() > 0).mean()
    assert facts["rewards"] == f"1 on {share:.1%} of trials, else 0"


# ------------------------------------------------------------------------ what is refused


def test_a_missing_reward_is_an_error_unless_it_is_kept(trials):
    message = (
        "Column 'reward' is missing (NaN) on 92 of 400 trials, first at subject 'mouse_01', row 2. "
        "Fill it, or drop those trials: trials.dropna(subset=['reward']). Or keep them as unknown: "
        "make_design(..., unknown_reward='keep')."
    )
    count, first = trials["reward"].isna().sum(), int(trials["reward"].isna().to_numpy().argmax())
    message = message.replace("92", str(count)).replace("row 2", f"row {first}")
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(trials)
    with pytest.raises(ValueError, match=r"Column 'reward' is missing \(NaN\) on every trial"):
        lr.make_design(trials.assign(reward=np.nan), unknown_reward="keep")
    with pytest.raises(ValueError, match="unknown_reward should be 'error' or 'keep', got 'drop'"):
        lr.make_design(trials, unknown_reward="drop")


@pytest.mark.parametrize(
    ("row", "value", "text"),
    [
        (3, 0.5, "previous_reward_known should be 0 or 1, but is 0.5 (subject 'mouse_01', trial 3"),
        (0, 1.0, "previous_reward_known should be 0 on a subject's first trial, but is 1"),
    ],
)
def test_a_flag_that_is_none_is_refused(design, row, value, text):
    X, y = design
    changed = X.copy()
    changed.iloc[row, X.columns.get_loc(KNOWN)] = value
    with pytest.raises(ValueError, match=re.escape(text)):
        lr.ConstantRuleEstimator().fit(changed, y)


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_a_share_of_unknown_rewards_is_below_1(rate):
    with pytest.raises(ValueError, match=r"unknown_reward_rate should be from 0 to below 1, got"):
        make_learning_cohort(2, 20, unknown_reward_rate=rate)


def test_a_cohort_learns_nothing_of_what_is_not_known():
    table, weights = make_learning_cohort(
        3, 60, unknown_reward_rate=0.5, random_state=0, return_weights=True
    )
    assert 0.4 < table["reward"].isna().mean() < 0.6
    moved = weights.groupby("subject").diff(-1).abs().sum(axis=1).to_numpy()
    last = ~table["subject"].duplicated(keep="last")
    unknown = (table["reward"].isna() & ~last).to_numpy()
    assert (moved[unknown] == 0).all()
    assert (moved[(table["reward"].notna() & ~last).to_numpy()] > 0).all()
    assert pd.isna(table.loc[unknown, "reward"]).all()
