"""The simulated cohort: a known rule, seeded."""

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from scipy.special import expit

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import CURRICULUM, make_learning_cohort
from sklearn_learnrule.preprocessing import tanh_contrast
from sklearn_learnrule.rules import DNNRule


def test_a_cohort_is_a_trial_table_ready_for_a_design():
    trials = make_learning_cohort(3, 200, random_state=0)
    assert list(trials) == [
        *("subject", "session", "contrast", "stimulus", "choice", "answer", "reward")
    ]
    assert set(trials["choice"]) == set(trials["answer"]) == {"left", "right"}
    assert (trials["reward"] == (trials["choice"] == trials["answer"])).all()
    shown = trials["contrast"] != 0
    assert ((trials["contrast"] > 0) == (trials["answer"] == "right"))[shown].all()
    np.testing.assert_allclose(trials["stimulus"], tanh_contrast(trials["contrast"]))
    X, _, groups = lr.make_design(trials, answer="answer")
    assert groups.unique().tolist() == ["mouse_01", "mouse_02", "mouse_03"]
    assert len(X) == len(trials)


@pytest.mark.parametrize(("spread", "low", "high"), [(0.2, 80, 120), (0.0, 100, 100)])
def test_lengths_are_as_ragged_as_asked_for(spread, low, high):
    trials = make_learning_cohort(60, 100, length_spread=spread, random_state=0)
    lengths = trials.groupby("subject").size()
    assert len(lengths) == 60
    assert lengths.min() >= low and lengths.max() <= high
    assert lengths.nunique() > 15 or spread == 0
    assert abs(lengths.mean() - 100) < 5


@pytest.mark.parametrize(("spread", "low", "high"), [(0.2, 16, 24), (0.0, 20, 20)])
def test_sessions_are_as_long_as_asked_for(spread, low, high):
    trials = make_learning_cohort(8, 300, session_length=20, length_spread=spread, random_state=0)
    lengths = trials.groupby(["subject", "session"]).size()
    whole = lengths.groupby("subject", group_keys=False).apply(lambda n: n.iloc[:-1])
    assert whole.min() >= low and whole.max() <= high
    for _, sessions in lengths.groupby("subject"):
        numbers = sessions.index.get_level_values("session").tolist()
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_same_seed_gives_the_same_cohort_and_global_seeds_are_left_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, same, other = (make_learning_cohort(2, 60, random_state=s) for s in (0, 0, 1))
    assert_frame_equal(first, same)
    assert not first.equals(other)
    assert_frame_equal(make_learning_cohort(2, 60, random_state=np.random.RandomState(0)), first)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_true_weights_move_by_reinforce_unless_told_otherwise():
    trials, weights = make_learning_cohort(
        4, 100, initial_weights=(1.0, -0.5), random_state=0, return_weights=True
    )
    assert_frame_equal(
        trials, make_learning_cohort(4, 100, initial_weights=(1.0, -0.5), random_state=0)
    )
    X, y, _ = lr.make_design(trials)
    assert weights.index.equals(X.index) and list(weights) == ["stimulus", "bias"]
    np.testing.assert_array_equal(weights.groupby("subject").first(), [[1.0, -0.5]] * 4)

    x = np.column_stack([X["stimulus"], np.ones(len(X))])
    p = expit((weights.to_numpy() * x).sum(1))
    advantage = (trials["reward"] + 0.3) * ((y == "right").to_numpy() - p)
    update = pd.DataFrame(0.02 * advantage.to_numpy()[:, None] * x, index=X.index)
    moved = weights.groupby("subject").diff().groupby("subject").shift(-1)
    inner = moved.notna().all(axis=1)
    assert inner.sum() == len(X) - 4
    np.testing.assert_allclose(moved[inner], update[inner], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "rule", [DNNRule(2), lambda weights, trial: 0.1 * (trial.reward - 0.5)[:, None] * [[1.0, 0.0]]]
)
def test_any_rule_or_function_can_move_the_weights(rule):
    _, weights = make_learning_cohort(2, 50, rule=rule, random_state=0, return_weights=True)
    moved = weights.groupby("subject").diff().dropna()
    assert (moved["stimulus"] != 0).all()
    if not isinstance(rule, DNNRule):
        assert (moved["bias"] == 0).all()
        np.testing.assert_allclose(moved["stimulus"].abs(), 0.05)


def test_each_subject_may_start_from_its_own_weights():
    start = [[1.0, 0.0], [-2.0, 0.5]]
    _, weights = make_learning_cohort(
        2, 10, initial_weights=start, random_state=0, return_weights=True
    )
    np.testing.assert_array_equal(weights.groupby("subject").first(), start)


def expert_cohort(criterion, n_trials=1500):
    return make_learning_cohort(
        10,
        n_trials,
        initial_weights=(4.0, 0.0),
        rule=lambda weights, trial: 0 * weights,
        criterion=criterion,
        session_length=100,
        random_state=0,
    )


def test_an_animal_moves_up_a_stage_only_at_the_start_of_a_session_and_if_it_did_well():
    stages_seen = set()
    for _, trials in expert_cohort(0.9).groupby("subject"):
        stage = 0
        for _, session in trials.groupby("session"):
            shown = set(session["contrast"].abs())
            assert shown <= set(CURRICULUM[stage])
            if len(session) > 60:  # so many draws show each of at most six contrasts
                assert shown == set(CURRICULUM[stage])
            stages_seen.add(stage)
            if session["reward"].mean() >= 0.9:
                stage = min(stage + 1, len(CURRICULUM) - 1)
    assert len(stages_seen) > 3


@pytest.mark.parametrize(("criterion", "last"), [(1.01, 0), (0.5, len(CURRICULUM) - 1)])
def test_a_criterion_may_be_out_of_reach_or_easy(criterion, last):
    trials = expert_cohort(criterion)
    final = trials.groupby("subject").tail(150)["contrast"].abs()
    assert set(final) == set(CURRICULUM[last])


def test_both_sides_and_all_contrasts_come_up_alike():
    trials = make_learning_cohort(40, 400, curriculum=[(1.0, 0.0)], random_state=0)
    share = trials.groupby(["contrast", "answer"]).size() / len(trials)
    assert share.index.tolist() == [(-1, "left"), (0, "left"), (0, "right"), (1, "right")]
    np.testing.assert_allclose(share, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / len(trials)))
