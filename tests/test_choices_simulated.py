"""Simulated animals that choose among any number of choices: cohorts, twins, and what is found."""

import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from pandas.testing import assert_frame_equal
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.metrics import predict_choices
from sklearn_learnrule.recovery import recovery_study
from sklearn_learnrule.rules import (
    ActorCriticRule,
    ConstantRule,
    Policy,
    QLearningRule,
    ReinforceRule,
)
from sklearn_learnrule.simulation import (
    FunctionRule,
    Twin,
    predictive_check,
    simulate,
    simulate_learning,
)

CHOICES = ["A", "B", "C"]
PLACES = [f"stimulus_{choice}" for choice in CHOICES]
FEATURES = [*PLACES, "bias"]
K, C = len(FEATURES), len(CHOICES)
N_WEIGHTS = (C - 1) * K
THREE = partial(make_learning_cohort, n_choices=C)


def design(trials, **options):
    return lr.make_design(trials, stimulus=PLACES, **{"answer": "answer", **options})[:2]


def true_probabilities(X, weights):
    """Return each choice's probability by the true weights, (n_rows, C)."""
    sets = torch.tensor(weights.to_numpy()).unflatten(1, (C - 1, K))
    seen = torch.tensor(X[PLACES].assign(bias=1.0).to_numpy())
    logits = (sets * seen[:, None]).sum(-1)
    return Policy(C).of_all(logits).softmax(-1).numpy()


@pytest.fixture(scope="module")
def cohort():
    """Trials and true weights of animals that learn by REINFORCE."""
    return THREE(6, 100, session_length=40, random_state=0, return_weights=True)


@pytest.fixture(scope="module")
def reinforce(cohort):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*design(cohort[0]))


# ------------------------------------------------------------------------------------- cohorts


def test_the_contrast_is_shown_at_the_place_that_is_the_correct_choice(cohort):
    trials, _ = cohort
    assert list(trials)[2:] == ["contrast", *PLACES, "choice", "answer", "reward"]
    shown = trials[PLACES].to_numpy()
    at_answer = trials["answer"].to_numpy()[:, None] == CHOICES
    np.testing.assert_array_equal(shown, at_answer * trials[["contrast"]].to_numpy())
    assert set(trials["contrast"]) == {1.0, 0.5}
    assert set(trials["choice"]) == set(trials["answer"]) == set(CHOICES)
    assert (trials["reward"] == (trials["choice"] == trials["answer"])).all()


def test_places_are_shown_equally_often():
    counts = THREE(50, 200, random_state=0)["answer"].value_counts()
    expected = counts.sum() / C
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, C - 1)


def test_animals_of_three_choices_learn_and_move_up():
    trials = THREE(10, 1000, random_state=0)
    correct = trials["reward"].groupby(trials["session"]).mean()
    assert correct[1] < 0.45 and correct.iloc[4] > 0.6
    assert trials["contrast"].min() < 0.5


def test_choices_are_drawn_with_the_policys_probabilities():
    trials, weights = THREE(50, 200, random_state=1, return_weights=True)
    X, y = design(trials)
    p = true_probabilities(X, weights)
    surprise = (y.to_numpy()[:, None] == CHOICES) - p  # (n_rows, C)
    seen = X[PLACES].assign(bias=1.0).to_numpy()
    z = (seen.T @ surprise) / np.sqrt(seen.T**2 @ (p * (1 - p)))  # (K, C)
    assert np.abs(z).max() < 3.5 and p.max() > 0.7


def test_true_weights_are_named_as_predicted_ones_and_start_where_told(cohort, reinforce):
    trials, weights = cohort
    predicted = reinforce.predict_weights(design(trials)[0])
    assert weights.columns.equals(predicted.columns) and weights.index.equals(predicted.index)
    start = np.arange(N_WEIGHTS).reshape(C - 1, K) / 10.0
    _, weights = THREE(2, 20, initial_weights=start, random_state=0, return_weights=True)
    np.testing.assert_array_equal(weights.groupby("subject").first(), [start.ravel()] * 2)


def test_a_function_of_numpy_arrays_moves_all_weights():
    def reinforce(weights, trial):
        policy, tensors = Policy(C), trial.map(torch.as_tensor)
        score = policy.score(torch.as_tensor(weights), tensors.features, tensors.choice)
        return 0.1 * trial.reward[:, None] * score.numpy()

    by_function = THREE(4, 60, rule=reinforce, random_state=0)
    rule = ReinforceRule(N_WEIGHTS, None, learning_rate=0.1, n_choices=C)
    assert_frame_equal(by_function, THREE(4, 60, rule=rule, random_state=0))


def test_misses_unknown_rewards_and_blocks_are_as_of_two_choices():
    how = {"miss_rate": 0.2, "unknown_reward_rate": 0.3, "n_blocks": 3}
    trials, weights = THREE(6, 300, **how, random_state=0, return_weights=True)
    made = trials["choice"].notna()
    assert abs((~made).mean() - 0.2) < 0.03
    assert abs(trials.loc[made, "reward"].isna().mean() - 0.3) < 0.04
    options = {"missed": "count", "unknown_reward": "keep", "restart": "block"}
    X, y = design(trials, **options)
    assert X.index.equals(weights.index)
    assert (weights.groupby(["subject", "restart"]).head(1) == 0).all(axis=None)
    unknown = X["previous_reward_known"] == 0
    moved = (weights.groupby(["subject", "restart"]).diff().fillna(0.0) != 0).any(axis=1)
    assert not moved[unknown].any() and moved[~unknown].any()
    fitted = lr.ReinforceRuleEstimator().fit(X, y)
    assert fitted.score(X, y) > -np.log(C)


def test_animals_may_have_learning_rates_of_their_own():
    alike, own = (
        THREE(2, 2, subject_effects=effects, random_state=1, return_weights=True)
        for effects in (None, {"learning_rate": np.log([1.0, 2.0])})
    )
    last = [weights.groupby("subject").last().to_numpy() for _, weights in (alike, own)]
    np.testing.assert_allclose(last[1], last[0] * [[1.0], [2.0]], rtol=1e-6)
    assert (last[0] != 0).any(1).all()


@pytest.mark.parametrize("n_choices", [4, 7])
def test_there_may_be_any_number_of_choices(n_choices):
    trials = make_learning_cohort(3, 100, n_choices=n_choices, random_state=0)
    stimuli = [name for name in trials if name.startswith("stimulus")]
    X, y, _ = lr.make_design(trials, stimulus=stimuli)
    rule = lr.ReinforceRuleEstimator(baseline=None, train_initial_weights=False).fit(X, y)
    twins = simulate(rule, trials, random_state=0)
    assert rule.classes_.tolist() == sorted(twins["choice"].unique()) == [*"ABCDEFG"[:n_choices]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_choices": 1}, "n_choices == 1, must be >= 2."),
        ({"n_choices": 27}, "n_choices == 27, must be <= 26."),
        (
            {"rule": ReinforceRule(2)},
            "This task needs a rule of 8 weights and 3 choices, ReinforceRule(8, n_choices=3), but "
            "that given is of 2 and 2.",
        ),
    ],
)
def test_what_does_not_suit_the_task_is_told(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_learning_cohort(2, 10, **{"n_choices": 3, **options})


# ----------------------------------------------------------------------- what simulations do


def still(n_subjects, n_trials, **options):
    """Simulate animals that do not learn, from weights of 0."""
    opens = np.arange(n_trials) == np.zeros((n_subjects, 1))
    task = ContrastTask(opens, random_state=0, n_choices=C)
    start = np.zeros((n_subjects, N_WEIGHTS))
    rule = ConstantRule(N_WEIGHTS, n_choices=C)
    return simulate_learning(rule, task, start, opens, np.random.RandomState(0), **options)


def test_noise_moves_the_weights_of_every_choice_alike():
    """So that those against the first vary together by half."""
    std = np.array([0.1, 0.2, 0.3, 0.4])
    moved = np.diff(still(4000, 2, process_noise=std).weights, axis=1)[:, 0]
    expected = np.kron([[1.0, 0.5], [0.5, 1.0]], np.diag(std**2))
    scale = np.outer(np.tile(std, 2), np.tile(std, 2))
    np.testing.assert_allclose(np.cov(moved.T) / scale, expected / scale, atol=0.08)


def test_each_choice_has_its_rate_of_lapses():
    rates = np.array([0.1, 0.0, 0.5])
    choice = still(2000, 2, lapses=rates).choice
    expected = choice.size * (rates + (1 - rates.sum()) / C)
    counts = np.bincount(choice.ravel())
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, C - 1)


@pytest.mark.parametrize(("n_choices", "n_needed"), [(2, 2), (3, 8)])
def test_weights_that_suit_neither_task_nor_rule_are_refused(n_choices, n_needed):
    opens, rng = np.zeros((2, 5), dtype=bool), np.random.RandomState(0)
    task = ContrastTask(opens, random_state=0, n_choices=n_choices)
    rule = FunctionRule(6, lambda weights, trial: 0 * weights, n_choices)
    with pytest.raises(ValueError, match=f"need {n_needed} initial weights an animal, got 6."):
        simulate_learning(rule, task, np.zeros((2, 6)), opens, rng)


# --------------------------------------------------------------------------------------- twins


NETWORK = {"max_epochs": 2, "hidden_sizes": (4,), "mirror": False, "random_state": 0}
TASK = partial(ContrastTask, n_choices=C)


@BRIEFLY_TRAINED
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (lr.ReinforceRuleEstimator(), {}),
        (lr.QLearningRuleEstimator(forgetting=True), {"answer": None}),
        (lr.PredictMaxRuleEstimator(), {}),
        (lr.RNNRuleEstimator(memory_size=3, n_ensemble=2, **NETWORK), {"answer": None}),
    ],
    ids=["REINFORCE", "Q-learning", "PredictMax", "RNN"],
)
def test_predicted_weights_are_the_very_weights_of_the_twins(rule, options, cohort):
    """For the animals' stimuli, from X or from the table, as for a task."""
    X, y = design(cohort[0], **options)
    fitted = clone(rule).fit(X, y)
    shown = [(cohort[0], {}), (TASK, {"n_trials": 60, "session_length": 25})]
    if options == {}:  # of three choices, errors do not tell what was correct
        shown.append((X, {}))
    for stimuli, how in shown:
        table, weights = simulate(fitted, stimuli, 2, random_state=0, return_weights=True, **how)
        predicted = fitted.predict_weights(design(table, **options)[0])
        assert_frame_equal(predicted, weights, rtol=1e-5, atol=1e-6, check_index_type=False)
        assert (weights.groupby("subject").std() > 0).any(axis=1).all()


def test_twins_know_the_choices_before_where_the_policy_leans_on_them(cohort):
    trials = cohort[0].groupby("subject").head(15)
    rule = make_pipeline(lr.PolicyRegressors(), lr.ReinforceRuleEstimator(baseline=None))
    rule.fit(*design(trials))
    for stimuli, how in ((trials, {}), (TASK, {"n_trials": 10})):
        table, weights = simulate(rule, stimuli, 2, random_state=0, return_weights=True, **how)
        predicted = rule[-1].predict_weights(rule[:-1].transform(design(table)[0]))
        assert_frame_equal(predicted, weights, rtol=1e-5, atol=1e-6, check_index_type=False)


def test_whole_numbers_held_as_floats_are_labels_as_any_other(cohort):
    names = {choice: float(number) for number, choice in enumerate(CHOICES, 1)}
    texts = [f"{number:.0f}" for number in names.values()]
    trials = cohort[0].groupby("subject").head(15)
    trials = trials.assign(**{name: trials[name].map(names) for name in ("choice", "answer")})
    X, y = design(trials)
    rule = make_pipeline(lr.PolicyRegressors(), lr.ReinforceRuleEstimator(baseline=None))
    rule.fit(X, y)
    table, weights = simulate(rule, trials, 2, random_state=0, return_weights=True)
    assert set(table["choice"]) == {1.0, 2.0, 3.0}
    predicted = rule[-1].predict_weights(rule[:-1].transform(design(table)[0]))
    assert_frame_equal(predicted, weights, rtol=1e-5, atol=1e-6, check_index_type=False)
    assert list(predict_choices(rule, X, y))[1:4] == [f"p_{text}" for text in texts]
    check = predictive_check(rule, X, y, by=1000, n_simulations=1, random_state=0)
    assert {f"choices_{text}" for text in texts} < set(check["statistic"])
    again = pickle.loads(pickle.dumps(rule))
    assert (again.predict_proba(X) == rule.predict_proba(X)).all()


def test_twins_are_shown_and_paid_what_the_animals_were(cohort, reinforce):
    trials, _ = cohort
    twins = simulate(reinforce, trials, random_state=0)
    columns = ["subject", "session", *PLACES, "answer"]
    assert_frame_equal(twins[columns], trials[columns])
    assert (twins["reward"] == (twins["choice"] == twins["answer"])).all()
    assert not twins["choice"].equals(trials["choice"])


def test_twins_with_noise_and_lapses_miss_and_begin_anew_as_the_animals_did():
    how = {"miss_rate": 0.2, "unknown_reward_rate": 0.1, "n_blocks": 2}
    trials = THREE(6, 50, **how, lapses=0.05, random_state=0)
    options = {"missed": "count", "unknown_reward": "keep", "restart": "block"}
    X, y = design(trials, **options)
    given = {"process_noise": 0.1, "session_noise": 0.0, "initial_std": 0.2}
    rule = lr.ReinforceRuleEstimator(baseline=None, lapses=[0.0, 0.5, 0.3], **given).fit(X, y)
    twins, weights = simulate(rule, X, 20, random_state=0, return_weights=True)
    X_twins, y_twins = design(twins, **options | {"restart": "restart"})
    assert X_twins.index.equals(weights.index)
    replayed = X.groupby(["subject", "restart"]).cumcount(ascending=False) > 0
    misses = X.loc[replayed, "previous_misses"].groupby("subject")
    expected = np.concatenate([np.tile(own, 20) for _, own in misses])
    assert X_twins["previous_misses"].any()
    np.testing.assert_array_equal(X_twins["previous_misses"], expected)
    starts = weights.groupby(["subject", "restart"]).first().to_numpy()
    expected = np.kron([[1.0, 0.5], [0.5, 1.0]], 0.2**2 * np.eye(K))
    np.testing.assert_allclose(np.cov(starts.T), expected, atol=0.02)
    shares = y_twins.value_counts(normalize=True)
    assert shares["A"] < 0.2 and shares["B"] > 0.5


def test_a_predictive_check_tells_how_often_each_choice_is_made(cohort, reinforce):
    X, y = design(cohort[0])
    check = predictive_check(reinforce, X, y, by=1000, n_simulations=20, random_state=0)
    check = check.set_index("statistic")
    shares = [f"choices_{choice}" for choice in CHOICES]
    told = X.groupby("subject").cumcount(ascending=False) > 0
    for name, choice in zip(shares, CHOICES, strict=True):
        of_animals = (y[told] == choice).groupby("subject").mean()
        assert check.loc[name, "observed"] == pytest.approx(of_animals.mean())
    assert check.loc[shares, ["observed", "simulated"]].sum().tolist() == pytest.approx([1, 1])
    assert "second_choices" not in check.index
    correct = (cohort[0]["reward"].set_axis(X.index)[told]).groupby("subject").mean().mean()
    assert check.loc["accuracy", "observed"] == pytest.approx(correct)


def test_a_replay_of_a_design_without_answers_is_refused(cohort):
    X, y = design(cohort[0], answer=None)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    with pytest.raises(ValueError, match=r"A replay of the trials reads.*of 3 choices"):
        simulate(rule, X)


class Told(ContrastTask):
    """A task that numbers its choices from 1."""

    def show(self, trial):
        stimulus, place = super().show(trial)
        return stimulus, place + 1


def test_a_task_whose_answers_are_no_numbers_of_choices_is_refused(reinforce):
    message = "A task should tell the correct choice by its number, from 0 to 2, but told ["
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(reinforce, partial(Told, n_choices=C), 20, n_trials=5)


def test_x_of_twins_tells_of_a_choice_that_none_has_made(cohort, reinforce):
    never = cohort[0][cohort[0]["choice"] != "C"]
    X, _ = Twin(reinforce).design(never)
    assert reinforce.predict_proba(X).shape == (len(never), C)


# ------------------------------------------------------------------------------ what is found


RULES = {
    "REINFORCE": (
        ReinforceRule(N_WEIGHTS, None, learning_rate=0.15, n_choices=C),
        lr.ReinforceRuleEstimator(baseline=None, train_initial_weights=False),
    ),
    "Q-learning": (
        QLearningRule(N_WEIGHTS, learning_rate=0.1, inverse_temperature=4.0, n_choices=C),
        lr.QLearningRuleEstimator(train_initial_weights=False),
    ),
    "actor-critic": (
        ActorCriticRule(N_WEIGHTS, learning_rate=0.15, critic_learning_rate=0.02, n_choices=C),
        lr.ActorCriticRuleEstimator(train_initial_weights=False),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_parameters_are_found_within_their_standard_errors(name):
    rule, estimator = RULES[name]
    X, y = design(THREE(8, 500, rule=rule, random_state=0), answer=None)
    found = clone(estimator).fit(X, y).summary_
    assert (found["note"] == "").all()
    for parameter, rows in found.groupby("parameter"):
        truth = np.broadcast_to(getattr(rule, parameter).detach(), len(rows))
        z = (rows["estimate"] - truth) / rows["standard_error"]
        assert np.abs(z).max() < 3, parameter
        assert parameter.startswith("critic") or (rows["standard_error"] < truth / 3).all()


def test_a_network_predicts_new_animals_nearly_as_the_truth_does():
    rule = ReinforceRule(N_WEIGHTS, None, learning_rate=0.3, n_choices=C)
    X, y = design(THREE(100, 100, rule=rule, random_state=0))
    trials, weights = THREE(100, 100, rule=rule, random_state=1, return_weights=True)
    X_new, y_new = design(trials)
    p = true_probabilities(X_new, weights)
    truth = np.log(p[np.arange(len(p)), y_new.map(CHOICES.index)]).mean()
    quick = {"n_ensemble": 1, "batch_size": 10, "max_epochs": 25, "lr": 0.015, "mirror": False}
    network = lr.DNNRuleEstimator(**quick, random_state=0).fit(X, y)
    assert truth - network.score(X_new, y_new) < 0.005
    assert truth - lr.ConstantRuleEstimator().fit(X, y).score(X_new, y_new) > 0.04


def test_the_true_rule_of_three_choices_is_found(cohort):
    X, y = design(cohort[0])
    rules = {"constant": lr.ConstantRuleEstimator(), "PredictMax": lr.PredictMaxRuleEstimator()}
    study = recovery_study(X, rules, y=y, n_repeats=1, cv=2, random_state=0, verbose=0)
    np.testing.assert_array_equal(study.confusion, np.eye(2))
    assert study.scores["rmse"].notna().all()
