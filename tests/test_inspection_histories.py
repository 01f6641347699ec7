"""The history table: runs of rewarded and unrewarded trials, and who tells them apart."""

import re
from itertools import product

import numpy as np
import pytest
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from inspection_rules import BASELINE, ONE_STEP, MemoRuleEstimator, MoodRule, MoodRuleEstimator

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import history_table

pytestmark = BRIEFLY_TRAINED

START = [-2.0, 0.0]
CONTRASTS = ((1.0, 0.25, 0.125, 0.0625, 0.03),)
UPDATES = ["update_stimulus", "update_bias"]


def moody_cohort(n_subjects, n_trials):
    trials = make_learning_cohort(
        n_subjects,
        n_trials,
        rule=MoodRule(2),
        initial_weights=START,
        curriculum=CONTRASTS,
        random_state=0,
    )
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def cohort():
    return moody_cohort(6, 120)


@pytest.fixture(scope="module")
def mood(cohort):
    return MoodRuleEstimator(**ONE_STEP).fit(*cohort)


def gaps(table):
    """Updates after a rewarded run minus those after an unrewarded one, toward the choice."""
    keys = ["trials_back", "length", "stimulus", "choice"]
    by_run = table.pivot_table("update_bias", keys, "run")
    toward = np.where(by_run.index.get_level_values("choice") == "right", 1, -1)
    return (by_run["rewarded"] - by_run["unrewarded"]) * toward


# ------------------------------------------------------------------ rules that are known


def test_a_run_is_averaged_over_all_sequences_before_it(cohort, mood):
    X, _ = cohort
    table = history_table(mood, X, stimuli=[-1.0, 0.5], weights={"stimulus": 1.0, "bias": 0.5})
    rule = mood.net_.module_.rule.rule
    moods = dict.fromkeys(product([0, 1], repeat=4), 0.0)
    for outcomes in moods:
        for reward in outcomes:
            moods[outcomes] = (moods[outcomes] + reward) / 2
    for row in table.itertuples():
        run = (int(row.run == "rewarded"),) * row.length
        mean = np.mean([mood for outcomes, mood in moods.items() if outcomes[-row.length :] == run])
        x = np.array([row.stimulus, 1.0])
        p = 1 / (1 + np.exp(-(x @ [1.0, 0.5])))
        step = rule.learning_rate.item() * mean * (1 - BASELINE) * ((row.choice == "right") - p)
        np.testing.assert_allclose([row.update_stimulus, row.update_bias], step * x, rtol=1e-6)
    assert len(table) == 4 * 2 * 2
    assert table["correct"].all() and (table["reward"] == 1).all()


def test_a_run_farther_back_has_faded_as_the_memory_does(cohort, mood):
    X, _ = cohort
    back = [1, 2, 7]
    found = gaps(history_table(mood, X, trials_back=back, n_draws=2)).unstack("trials_back")
    for steps in back:
        np.testing.assert_allclose(found[steps], found[1] * 0.5 ** (steps - 1), rtol=1e-6)
    assert (found > 0).all(axis=None)


def test_what_was_before_the_run_adds_to_both_alike(cohort, mood):
    X, _ = cohort
    cold, warm = (history_table(mood, X, n_warm_up=n, lengths=[4], n_draws=2) for n in (0, 5))
    np.testing.assert_allclose(gaps(cold), gaps(warm))
    assert (cold["update_bias"] != warm["update_bias"]).all()


def test_the_weights_are_held_at_the_probes_through_the_whole_history(cohort):
    memo = MemoRuleEstimator(**ONE_STEP).fit(*cohort)
    held = {"trials_back": [3], "n_warm_up": 4, "n_draws": 1, "weights": {"bias": 1.5}}
    table = history_table(memo, cohort[0], lengths=[2], **held)
    np.testing.assert_allclose(table["update_stimulus"], (4 + 2 + 2) / 1000)
    np.testing.assert_allclose(table["update_bias"], 1.5 / 1000)


def test_the_probe_may_be_an_error(cohort, mood):
    table = history_table(mood, cohort[0], stimuli=[1.0], after_correct=False, n_draws=1)
    assert set(table["choice"]) == {"left"} and not table["correct"].any()


MEMORYLESS = [rule for rule in all_estimators() if not rule.make_rule(2).memory_size]


@pytest.mark.parametrize("estimator", MEMORYLESS, ids=estimator_name)
def test_after_every_history_a_rule_without_memory_does_the_same(cohort, estimator):
    X, y = cohort
    table = history_table(
        estimator.set_params(**ONE_STEP).fit(X, y), X, trials_back=(1, 7), n_draws=1
    )
    lines = table.groupby(["stimulus", "choice"])[UPDATES]
    np.testing.assert_allclose(lines.max(), lines.min(), rtol=1e-12)


# ------------------------------------------------------------------- rules that are inferred


@pytest.fixture(scope="module")
def inferred():
    """Networks trained on animals that learn faster when rewards have been frequent."""
    X, y = moody_cohort(400, 100)
    training = {"batch_size": 25, "lr": 0.01, "mirror": False}
    network = {"hidden_sizes": (16,), "initial_weights": START, "random_state": 0, "n_ensemble": 1}
    rnn = lr.RNNRuleEstimator(memory_size=8, max_epochs=10, **network, **training).fit(X, y)
    dnn = lr.DNNRuleEstimator(max_epochs=1, **network, **training).fit(X, y)
    table = history_table({"rnn": rnn, "dnn": dnn}, X, stimuli=[-1.0, -0.5, 0.5, 1.0])
    return dict(list(table.groupby("fit")))


def test_the_rnn_tells_rewarded_from_unrewarded_runs_and_longer_ones_better(inferred):
    table = inferred["rnn"]
    after = table.pivot_table("update_stimulus", ["stimulus", "length"], "run")
    gap = (after["rewarded"] - after["unrewarded"]).unstack("length")
    assert (gap > 0).all(axis=None)
    assert (gap.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    assert (gap[4] > after["rewarded"].unstack("length")[4] / 4).all()


def test_the_dnn_cannot_tell_runs_apart(inferred):
    by_run = inferred["dnn"].pivot_table("update_stimulus", ["stimulus", "length"], "run")
    np.testing.assert_allclose(by_run["rewarded"], by_run["unrewarded"], rtol=1e-12)


# ---------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": [0, 1]}, "lengths should be from 1 to 6 trials, got [0, 1]."),
        ({"lengths": [7]}, "lengths should be from 1 to 6 trials, got [7]."),
        ({"trials_back": [0]}, "trials_back should be 1 or more, got [0]."),
        ({"weights": {"w": 0}}, "weights should name some of ['stimulus', 'bias'], got 'w'."),
    ],
)
def test_wrong_options_are_told(cohort, mood, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        history_table(mood, cohort[0], **options)


@pytest.mark.parametrize("name", ["lengths", "trials_back"])
@pytest.mark.parametrize("given", [2, [1.5], "12"])
def test_lists_of_whole_numbers_are_asked_for(cohort, mood, name, given):
    message = f"{name} should be a list of whole numbers, got {given!r}."
    with pytest.raises(TypeError, match=re.escape(message)):
        history_table(mood, cohort[0], **{name: given})
    assert len(history_table(mood, cohort[0], **{name: np.array([1, 2])}, n_draws=1))


def test_histories_need_every_outcome_with_either_choice(mood):
    trials = make_learning_cohort(4, 60, random_state=0)
    X, y, _ = lr.make_design(trials[(trials["choice"] == "left") | (trials["reward"] > 0)])
    message = (
        "Histories are made of rewarded and unrewarded trials with either choice, but X has no "
        "unrewarded one with the second choice."
    )
    with pytest.raises(ValueError, match=message):
        history_table(mood, X)
