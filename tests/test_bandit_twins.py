"""Twins where nobody knows which choice was correct: a choice is paid what it earned nearby."""

import re

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_array_equal
from scipy.special import softmax
from three_choices import random_table

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.inspection import asymmetry_table, session_table
from sklearn_learnrule.plotting import SessionCurveDisplay
from sklearn_learnrule.simulation import BiasCorrection, predictive_check, simulate
from sklearn_learnrule.simulation._payoffs import payoffs_nearby

pytestmark = BRIEFLY_TRAINED

ARMS = list("ABC")
POINTS = [10.0, 40.0, 80.0]


def play(subject, rng, n_trials=150, n_arms=3, rate=0.3, steepness=0.08):
    """A Q-learner in plain numpy, on arms that pay points and change places every 50 trials."""
    worth, rows = np.zeros(n_arms), []
    for trial in range(n_trials):
        if trial % 50 == 0:
            means = rng.permutation(POINTS[-n_arms:])
        arm = rng.choice(n_arms, p=softmax(steepness * worth))
        earned = np.clip(rng.normal(means[arm], 5), 1, 99)
        worth[arm] += rate * (earned - worth[arm])
        rows.append((subject, trial // 50, ARMS[arm], earned))
    return rows


@pytest.fixture(scope="module", params=[2, 3], ids=["two arms", "three arms"])
def bandit(request):
    rng = np.random.default_rng(0)
    rows = [row for n in range(10) for row in play(f"rat {n}", rng, n_arms=request.param)]
    trials = pd.DataFrame(rows, columns=["subject", "session", "choice", "reward"])
    X, y, _ = lr.make_design(trials, stimulus=None)
    rule = lr.QLearningRuleEstimator(train_initial_weights=False).fit(X, y)
    return rule, X, y, trials


def test_a_choice_may_earn_what_it_earned_on_the_nearest_ten_trials():
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({"subject": np.repeat(["one", "two", "three"], [60, 40, 8])})
    choice = rng.choice(["A", "B"], len(trials))
    trials = trials.assign(choice=np.where(trials["subject"] == "two", "B", choice))
    trials = trials.assign(reward=np.arange(1.0, len(trials) + 1))
    X, _, _ = lr.make_design(trials, stimulus=None, session=None, choices=ARMS)
    payoffs = payoffs_nearby(read_sequences(X).padded, 3)
    assert payoffs.shape == (3, 60, 3, 10)
    one = trials[trials["subject"] == "one"][:-1]  # of the last, X tells nothing
    for trial in (0, 20, 41, 58):
        for number, arm in enumerate("AB"):
            own = one[one["choice"] == arm]
            away = np.abs(own.index.to_numpy() - trial)
            found = own["reward"].isin(payoffs[0, trial, number])
            assert found.sum() == 10 and away[found].max() <= away[~found].min()
    made = one.loc[one["choice"] == "A", "reward"]
    others = trials[(trials["subject"] == "three") & (trials["choice"] == "A")]["reward"]
    assert np.isin(payoffs[1, :, 0], [*made, *others]).all()  # what the second never chose
    few = payoffs[2, :, 0]  # of fewer than ten trials all
    assert set(few.flat) == set(others[others.index < len(trials) - 1])
    assert_array_equal(payoffs[:, :, 2], 0)  # nobody chose it


def test_twins_are_paid_what_their_animal_earned_by_the_choice_nearby(bandit):
    rule, X, _, trials = bandit
    twins = simulate(rule, X, n_subjects=2, reward="resample", random_state=0)
    assert twins["answer"].isna().all()
    trials = trials.assign(trial=trials.groupby("subject").cumcount())
    twins["trial"] = twins.groupby("subject").cumcount()
    for row in twins.sample(60, random_state=0).itertuples():
        same = trials[(trials["subject"] == row.twin_of) & (trials["choice"] == row.choice)]
        away = (same["trial"] - row.trial).abs()
        near = same.loc[away.sort_values().index[:11], "reward"]
        assert len(same) == 0 or row.reward in set(near)


@pytest.mark.parametrize("bound", [np.nan, "much", None])
def test_a_bound_that_is_no_number_is_refused(bandit, bound):
    rule, X, y, _ = bandit
    message = "^rewarded_above should be a finite number, got"
    with pytest.raises(ValueError, match=message):
        predictive_check(rule, X, y, reward="resample", rewarded_above=bound)
    with pytest.raises(ValueError, match=message):
        asymmetry_table(rule, X, rewarded_above=bound)


def test_without_a_word_on_pay_twins_are_refused_with_two_cures(bandit):
    rule, X, y, _ = bandit
    message = (
        "name the column of correct choices, make_design(..., answer=...); or pay each choice what "
        "it earned nearby, reward='resample'."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(rule, X)
    with pytest.raises(ValueError, match="reward, if a word, should be 'resample', got 'resampel'"):
        simulate(rule, X, reward="resampel")
    correction = BiasCorrection(std=None)  # the same stimulus once more
    with pytest.raises(ValueError, match="A correction reads the correct choice"):
        predictive_check(rule, X, y, reward="resample", correction=correction)


def test_that_an_arm_pays_nothing_does_not_make_the_other_right(bandit):
    *_, trials = bandit
    trials = trials.assign(reward=(trials["reward"] > 40) * 1.0)
    X, y, _ = lr.make_design(trials, stimulus=None)
    rule = lr.QLearningRuleEstimator(train_initial_weights=False).fit(X, y)
    with pytest.raises(
        ValueError, match="tell .nothing was shown that could make a choice correct"
    ):
        simulate(rule, X)
    told = trials[trials["subject"].duplicated(keep="last")]
    earned = told.groupby(["subject", "session"])["reward"].mean()
    assert_array_equal(session_table(rule, X, y)["animal"], earned)
    twins = simulate(rule, X, reward="resample", random_state=0)
    assert set(twins["reward"]) == {0.0, 1.0}


def test_what_was_shown_may_change_what_a_choice_earns_so_that_near_trials_do_not_tell():
    trials = random_table().drop(columns="answer")  # three choices, and a stimulus
    X, y, _ = lr.make_design(trials)
    rule = lr.ReinforceRuleEstimator(baseline=None, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=r"make_design\(..., answer=...\)\.$"):
        simulate(rule, X, reward="resample")


def test_twins_of_the_true_rule_do_as_the_animals_and_those_of_a_wrong_one_do_not(bandit):
    rule, X, y, _ = bandit
    how = {"n_simulations": 60, "reward": "resample", "rewarded_above": 45, "random_state": 0}
    check = predictive_check(rule, X, y, **how).set_index(["statistic", "block"])
    names = set(check.index.get_level_values("statistic"))
    assert "reward" in names and not {"accuracy", "trials_to_criterion"} & names
    inside = (check["lower"] <= check["observed"]) & (check["observed"] <= check["upper"])
    assert inside.mean() > 0.75
    wrong = predictive_check(lr.ConstantRuleEstimator().fit(X, y), X, y, **how)
    habits = wrong.set_index("statistic")["share_below"][["win_stay", "lose_shift"]]
    assert habits.tolist() == [1, 0]


def test_mean_rewards_of_animals_and_twins_are_drawn(bandit):
    rule, X, y, _ = bandit
    check = predictive_check(rule, X, y, n_simulations=5, reward="resample", random_state=0)
    display = SessionCurveDisplay.from_estimator(rule, X, y)
    display = SessionCurveDisplay(display.table, check).plot()
    assert display.ax_.get_ylabel() == "mean reward"
    assert display.ax_.get_legend().get_title().get_text() == "no model foretells rewards"
    each = predictive_check(rule, X, y, n_simulations=1, reward="resample", per_subject=True)
    with pytest.raises(ValueError, match="check should be of means over animals"):
        SessionCurveDisplay(display.table, each).plot()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "twins",
        "animals",
    ]


class Arms:
    """Three arms, each of which pays its own points."""

    def __init__(self, session_start, random_state):
        self.n_animals = len(session_start)

    def show(self, trial):
        return np.zeros((self.n_animals, 0)), np.full(self.n_animals, 2)

    def reward_of_choice(self, trial, choice):
        return np.take(POINTS, choice)


def test_a_task_may_pay_each_choice_its_own(bandit):
    rule, *_ = bandit
    if len(rule.classes_) == 2:
        pytest.skip("the task has three arms")
    twins = simulate(rule, Arms, n_subjects=5, n_trials=60, random_state=0)
    assert twins.groupby("choice")["reward"].unique().map(list).to_dict() == {
        arm: [points] for arm, points in zip(ARMS, POINTS, strict=True)
    }
    assert (twins.groupby("subject").tail(20)["choice"] == "C").mean() > 0.8  # and they learn


def test_where_arms_change_places_twins_are_paid_rightly_if_the_best_is_named():
    """What was avoided since it became the worse is paid nearby as when it was the better."""
    rng, rows = np.random.default_rng(0), []
    for n in range(20):
        worth = np.zeros(2)
        for trial in range(160):
            best = "AB"[trial // 20 % 2]
            arm = rng.choice(2, p=softmax(3 * worth))
            reward = float(rng.random() < (0.8 if "AB"[arm] == best else 0.2))
            worth[arm] += 0.4 * (reward - worth[arm])
            rows.append((f"rat {n}", "AB"[arm], reward, best))
    trials = pd.DataFrame(rows, columns=["subject", "choice", "reward", "best"])
    paid = {}
    for answer in (None, "best"):
        X, y, _ = lr.make_design(trials, stimulus=None, session=None, answer=answer)
        rule = lr.QLearningRuleEstimator(train_initial_weights=False).fit(X, y)
        twins = simulate(rule, X, reward="resample", random_state=0)
        best = trials.loc[trials["subject"].duplicated(keep="last"), "best"].to_numpy()
        earned = twins["reward"].groupby(twins["choice"].to_numpy() == best).mean()
        paid[answer] = (earned[False], earned[True])
    assert paid["best"] == pytest.approx((0.2, 0.8), abs=0.04)
    assert paid[None][0] > 0.35
