"""Posterior-predictive checks: animals' learning curves beside their twins'."""

import re

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.simulation import _predictive, _statistics, predictive_check, simulate


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(6, 250, session_length=60, random_state=0)


@pytest.fixture(scope="module")
def cohort(trials):
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def reinforce(cohort):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*cohort)


def check(rule, cohort, **options):
    return predictive_check(rule, *cohort, **{"n_simulations": 50, "random_state": 0, **options})


def mean_over_animals(values, trials, *blocks):
    """A mean of each animal's, by block."""
    by_animal = values.astype(float).groupby([trials["subject"], *blocks]).mean()
    return by_animal.groupby(level=-1).mean() if blocks else by_animal.mean()


@pytest.mark.parametrize("by", ["session", 40])
def test_observed_statistics_are_those_of_the_table(by, trials, cohort, reinforce):
    table = check(reinforce, cohort, by=by, n_simulations=2).set_index("statistic")["observed"]
    done = trials[trials.groupby("subject").cumcount(ascending=False) > 0]  # but for the last
    number = done.groupby("subject").cumcount()
    block = done["session"] if by == "session" else number // by + 1
    correct, right = done["choice"] == done["answer"], done["choice"] == "right"
    for name, values in (("accuracy", correct), ("second_choices", right)):
        np.testing.assert_allclose(table[name], mean_over_animals(values, done, block))

    next_choice = done.groupby("subject")["choice"].shift(-1)
    known, won = next_choice.notna(), done["reward"] > 0
    stayed = next_choice == done["choice"]
    for name, values, given in (("win_stay", stayed, won), ("lose_shift", ~stayed, ~won)):
        where = known & given
        assert table[name] == pytest.approx(mean_over_animals(values[where], done[where]))

    n_needed = []
    for _, rows in correct.groupby(done["subject"]):
        reached = np.flatnonzero(rows.astype(float).rolling(100).mean() >= 0.75)
        n_needed.append(reached[0] + 1 if len(reached) else len(rows))
    assert table["trials_to_criterion"] == pytest.approx(np.mean(n_needed))


def test_bias_and_slope_are_those_of_a_logistic_regression_with_the_same_prior(
    trials, cohort, reinforce
):
    table = check(reinforce, cohort, by=40, n_simulations=2, per_subject=True)
    done = trials[trials.groupby("subject").cumcount(ascending=False) > 0]
    unit = done["stimulus"].std(ddof=0)
    number = done.groupby("subject").cumcount() // 40 + 1
    observed = table.set_index(["statistic", "subject", "block"])["observed"]
    for cell, rows in done.groupby(["subject", number]):
        features = np.column_stack([rows["stimulus"] / unit, np.ones(len(rows))])
        model = LogisticRegression(C=_statistics.PRIOR_STD**2, fit_intercept=False, tol=1e-8)
        slope, bias = model.fit(features, rows["choice"] == "right").coef_[0]
        assert observed["bias", *cell] == pytest.approx(bias, abs=1e-3)
        assert observed["slope_stimulus", *cell] == pytest.approx(slope / unit, abs=1e-3)


def test_curves_of_faultless_or_one_sided_choices_are_finite():
    features = np.column_stack([np.tile([-1.0, 1.0], 200), np.ones(400)])
    chosen = np.column_stack([features[:, 0] > 0, np.ones(400, dtype=bool)])
    found = _statistics.logistic_weights(features[:, None], chosen, np.zeros(400, dtype=int))
    slope, bias = found[0].T
    assert slope[0] > 5 and bias[0] == pytest.approx(0)
    assert bias[1] > 5 and slope[1] == pytest.approx(0)
    assert np.abs([slope, bias]).max() < 4 * _statistics.PRIOR_STD


def test_each_animal_is_compared_with_its_own_twins(trials, cohort, reinforce):
    table = check(reinforce, cohort, n_simulations=3, per_subject=True)
    assert list(table) == [
        *("statistic", "subject", "block", "n_trials", "observed", "simulated"),
        *("lower", "upper", "share_below"),
    ]
    done = trials[trials.groupby("subject").cumcount(ascending=False) > 0]
    curves = table[table["statistic"] == "accuracy"].set_index(["subject", "block"])
    correct = (done["choice"] == done["answer"]).groupby([done["subject"], done["session"]])
    np.testing.assert_allclose(curves["observed"], correct.mean())
    np.testing.assert_array_equal(curves["n_trials"], correct.size())
    whole = table[table["statistic"] == "win_stay"].set_index("subject")
    assert whole["n_trials"].to_dict() == done["subject"].value_counts().to_dict()
    means, of_animals = (
        each.fillna({"block": 0}).groupby(["statistic", "block"])[["observed", "simulated"]].mean()
        for each in (check(reinforce, cohort, n_simulations=3), table)
    )
    assert_frame_equal(of_animals, means)


def test_animals_stuck_at_a_choice_are_told():
    correct = np.arange(200) % 2 == 0
    stuck = np.where(np.arange(200) < 3, 0, 1)
    did = np.column_stack([stuck, np.where(np.arange(200) < 10, 0, 1), correct])
    one, trials = np.zeros(200, dtype=int), np.arange(200)
    animals = _statistics.Behaviour(
        one, one, trials, one + 1, did[..., None] * 1.0, did, did, did > 0
    )
    found = _statistics._one_sided(animals, range(2))
    assert found.to_numpy().tolist() == [[1.0, 0.0, 0.0]]


def test_simulated_statistics_are_those_of_twins(cohort, reinforce):
    """One simulation is the cohort that ``simulate`` makes with the same seed."""
    twins = simulate(reinforce, cohort[0], random_state=0)
    table = check(reinforce, cohort, n_simulations=1).set_index("statistic")
    correct = twins["choice"] == twins["answer"]
    by_session = mean_over_animals(correct, twins, twins["session"])
    for column in ("simulated", "lower", "upper"):
        np.testing.assert_allclose(table.loc["accuracy", column], by_session)


def test_a_table_tells_each_block_and_how_many_animals_have_it(cohort, reinforce):
    table = check(reinforce, cohort, by=50, n_simulations=2)
    assert list(table) == [
        *("statistic", "block", "n_subjects", "observed", "simulated"),
        *("lower", "upper", "share_below"),
    ]
    lengths = cohort[0].groupby("subject").size() - 1
    curve = table[table["statistic"] == "accuracy"]
    assert curve["block"].tolist() == list(range(1, len(curve) + 1))
    assert curve["n_subjects"].tolist() == [(lengths > 50 * b).sum() for b in range(len(curve))]
    whole = table[table["block"].isna()]
    assert whole["statistic"].tolist() == ["win_stay", "lose_shift", "trials_to_criterion"]
    assert (whole["n_subjects"] == 6).all()


def test_twins_are_within_the_bands_of_their_like(cohort, reinforce):
    twins = lr.make_design(simulate(reinforce, cohort[0], random_state=7))[:2]
    table = check(reinforce, twins, n_simulations=200)
    inside = (table["observed"] >= table["lower"]) & (table["observed"] <= table["upper"])
    assert inside.mean() > 0.8
    assert table["share_below"].between(0.002, 0.998).all()


def test_a_rule_that_does_not_learn_is_found_out(cohort, reinforce):
    constant = lr.ConstantRuleEstimator().fit(*cohort)
    curves = {
        name: check(rule, cohort, by=80).query("statistic == 'accuracy' and n_subjects == 6")
        for name, rule in (("constant", constant), ("REINFORCE", reinforce))
    }
    too_good, *_, too_bad = curves["constant"]["share_below"]
    assert too_good < 0.01 and too_bad > 0.95
    assert curves["REINFORCE"]["share_below"].between(0.01, 0.99).all()


def test_bands_hold_the_mean_and_widen_with_the_level(cohort, reinforce):
    few = {"n_simulations": 20}
    narrow, wide = (check(reinforce, cohort, level=level, **few) for level in (0.5, 0.95))
    assert (wide["lower"] <= wide["simulated"]).all() and (wide["simulated"] <= wide["upper"]).all()
    assert (wide["lower"] <= narrow["lower"]).all() and (narrow["upper"] <= wide["upper"]).all()
    assert_frame_equal(check(reinforce, cohort, **few), wide)
    assert not check(reinforce, cohort, random_state=1, **few).equals(wide)


def test_cohorts_are_simulated_in_portions_that_fit_the_memory(cohort, reinforce, monkeypatch):
    at_once = check(reinforce, cohort, n_simulations=12)
    monkeypatch.setattr(_predictive, "MAX_TRIALS_AT_ONCE", 4 * 6 * 300)
    in_portions = check(reinforce, cohort, n_simulations=12)
    assert_frame_equal(at_once[["block", "observed"]], in_portions[["block", "observed"]])
    error = (at_once["upper"] - at_once["lower"]) / 2
    assert ((at_once["simulated"] - in_portions["simulated"]).abs() <= error).all()


@pytest.mark.parametrize(("correct", "expected"), [("0011110", 5), ("0000", 4)])
def test_trials_to_criterion_are_counted_to_the_trial_that_reached_it(correct, expected):
    assert trials_to_criterion(correct) == expected


def test_parts_shorter_than_the_window_tell_nothing_of_a_criterion():
    assert trials_to_criterion("0011110", "111", "0000") == (5 + 4) / 2
    assert np.isnan(trials_to_criterion("111", "0"))


def trials_to_criterion(*parts):
    """Return those of an animal that began anew after each part, by a window of 4."""
    did = np.array([[letter == "1"] for letter in "".join(parts)])
    nothing = np.zeros(len(did), dtype=int)
    sequence = np.repeat(np.arange(len(parts)), list(map(len, parts)))
    place = np.concatenate([np.arange(len(part)) for part in parts])
    animals = _statistics.Behaviour(
        nothing, sequence, place, nothing + 1, did[..., None] * 1.0, did, did, did
    )
    return _statistics.trials_to_criterion(animals, 0.75, 4).to_numpy().item()


def test_progress_is_shown_if_wanted(cohort, reinforce, capsys):
    check(reinforce, cohort, n_simulations=2)
    assert capsys.readouterr().err == ""
    check(reinforce, cohort, n_simulations=2, verbose=1)
    assert "2/2" in capsys.readouterr().err


def test_x_without_a_column_of_the_fit_is_refused(cohort, reinforce):
    X, y = cohort
    message = "'previous_choice', 'previous_reward'], but has no 'previous_reward'."
    with pytest.raises(ValueError, match=message):
        predictive_check(reinforce, X.drop(columns="previous_reward"), y)


def contradict(y):
    flipped = np.where(y == "left", "right", "left")
    return np.where(np.arange(len(y)) == 3, flipped, y)


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({}, contradict, "previous_choice should be the choice before, but contradicts y"),
        ({}, lambda y: y.str.upper(), "y should hold the classes ['left', 'right'], but has"),
        ({}, lambda y: y.iloc[:-1], "inconsistent numbers of samples"),
        ({"by": 0}, None, "by == 0, must be >= 1."),
        ({"by": "day"}, None, "by must be an instance of"),
        ({"level": 1.0}, None, "level == 1.0, must be < 1."),
        ({"n_simulations": 0}, None, "n_simulations == 0, must be >= 1."),
        ({"window": 0}, None, "window == 0, must be >= 1."),
    ],
)
def test_wrong_input_is_refused(options, change, message, cohort, reinforce):
    X, y = cohort
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        check(reinforce, (X, y if change is None else change(y)), **options)
