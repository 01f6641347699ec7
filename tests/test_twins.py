"""Digital twins: fitted estimators that choose, are paid and learn of their own accord."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED, CoinTask, all_estimators, estimator_name
from pandas.testing import assert_frame_equal, assert_index_equal
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.simulation import simulate

pytestmark = BRIEFLY_TRAINED

STIMULI = ["stimulus", "tone"]
EASY = partial(ContrastTask, curriculum=[(1.0, 0.5), (0.25, 0.125)], criterion=0.55)


@pytest.fixture(scope="module")
def trials():
    """Animals that hear a meaningless tone beside the contrast."""
    table = make_learning_cohort(4, 60, session_length=20, random_state=0)
    return table.assign(tone=np.random.RandomState(1).standard_normal(len(table)))


def design(trials, *, answer="answer", stimulus=STIMULI):
    return lr.make_design(trials, stimulus=stimulus, answer=answer)[:2]


@pytest.fixture(scope="module")
def reinforce(trials):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*design(trials))


@pytest.fixture(scope="module")
def contrast_alone():
    """X and y of the same animals without tone or answers."""
    return lr.make_design(make_learning_cohort(4, 60, session_length=20, random_state=0))[:2]


# ------------------------------------------------------ what twins do, and what rules say of it


BRIEFLY = all_estimators(max_epochs=3)
TOLD = [each for each in BRIEFLY if isinstance(each, (lr.DNNRuleEstimator, lr.RNNRuleEstimator))]


@pytest.mark.parametrize(
    ("estimator", "answer"),
    [*((each, "answer") for each in BRIEFLY), *((each, None) for each in [*TOLD, BRIEFLY[1]])],
    ids=lambda one: estimator_name(one) if hasattr(one, "fit") else str(one),
)
def test_predicted_weights_are_the_very_weights_of_the_twins(estimator, answer, trials):
    """For the animals' stimuli as for a task, and whether or not answers are told."""
    if estimator.get_params().get("process_noise") is not None:
        pytest.skip("noise moves the twins' weights by what nobody can predict")
    rule = clone(estimator).fit(*design(trials, answer=answer))
    for stimuli, options in ((trials, {}), (CoinTask, {"n_trials": 50, "session_length": 15})):
        table, weights = simulate(rule, stimuli, 2, random_state=0, return_weights=True, **options)
        X, _ = design(table, answer=answer)
        predicted = rule.predict_weights(X)
        assert_frame_equal(predicted, weights, rtol=1e-5, atol=1e-6, check_index_type=False)
    assert "Constant" in type(rule).__name__ or (weights.groupby("subject").std() > 0).all(
        axis=None
    )


def test_a_lone_network_is_its_own_twin_as_an_ensemble_is(trials):
    rule = lr.RNNRuleEstimator(
        n_ensemble=1, memory_size=6, hidden_sizes=(8,), max_epochs=15, mirror=False, random_state=0
    ).fit(*design(trials))
    table, weights = simulate(rule, trials, random_state=0, return_weights=True)
    assert_frame_equal(rule.predict_weights(design(table)[0]), weights, rtol=1e-5, atol=1e-6)


def test_choices_are_drawn_with_the_predicted_probabilities(trials, reinforce):
    """In ten bins of predicted probability."""
    X, y = design(simulate(reinforce, trials, 100, random_state=0))
    p = reinforce.predict_proba(X)[:, 1]
    surprise = (y == "right").to_numpy() - p
    bins = np.argsort(np.argsort(p)) * 10 // len(p)
    total, variance = (np.bincount(bins, values) for values in (surprise, p * (1 - p)))
    assert (total**2 / variance).sum() < chi2.ppf(0.999, 10)


def test_a_twin_fitted_anew_has_the_parameters_that_it_was_simulated_with():
    X, y, _ = lr.make_design(make_learning_cohort(10, 400, random_state=0))
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    again, _, _ = lr.make_design(twins := simulate(rule, X, 5, random_state=0))
    refit = clone(rule).fit(again, twins["choice"].set_axis(again.index))
    np.testing.assert_allclose(refit.learning_rate_, rule.learning_rate_, rtol=0.2)
    np.testing.assert_allclose(refit.initial_weights_, rule.initial_weights_, atol=0.1)


def test_a_design_is_shown_once_more_but_for_last_trials_whose_outcome_it_does_not_tell(
    trials, reinforce
):
    X, _ = design(trials)
    table, weights = simulate(reinforce, X, random_state=0, return_weights=True)
    told = trials[trials.groupby("subject").cumcount(ascending=False) > 0].reset_index(drop=True)
    columns = ["subject", "session", *STIMULI, "answer"]
    assert_frame_equal(table[columns], told[columns])
    assert list(table) == ["subject", "twin_of", *columns[1:-1], "choice", "answer", "reward"]
    assert (table["reward"] == (table["choice"] == table["answer"])).all()
    assert not table["choice"].equals(told["choice"])
    last = X.groupby("subject").cumcount(ascending=False) == 0
    assert_index_equal(weights.index, X.index[~last])


def test_a_table_is_shown_in_full_and_needs_no_choices(trials, reinforce):
    planned = trials.drop(columns=["choice", "reward", "contrast"])
    table = simulate(reinforce, planned, random_state=0)
    assert_frame_equal(table[list(planned)], planned)
    assert set(table["reward"]) == {0.0, 1.0}
    assert_frame_equal(simulate(reinforce, trials, random_state=0), table)


def test_the_last_outcome_aside_a_design_and_its_table_are_one(trials, reinforce):
    of_design, of_table = (
        simulate(reinforce, s, 2, random_state=0) for s in (design(trials)[0], trials)
    )
    first = of_table.groupby("subject").head(40).reset_index(drop=True)
    assert_frame_equal(of_design.groupby("subject").head(40).reset_index(drop=True), first)


def test_each_animal_gets_as_many_twins_as_asked_for(trials, reinforce):
    table = simulate(reinforce, trials, 10, random_state=0)
    names = table.drop_duplicates("subject").set_index("subject")["twin_of"]
    assert names.index[:2].tolist() == ["mouse_01_01", "mouse_01_02"]
    assert names.value_counts().to_dict() == {f"mouse_0{i}": 10 for i in range(1, 5)}
    shown = [rows[STIMULI].to_numpy() for _, rows in table.groupby("subject")]
    np.testing.assert_array_equal(shown[0], shown[9])
    assert table.groupby("subject")["choice"].apply(tuple).nunique() == 40


def test_a_task_is_made_for_its_animals_and_watches_them(contrast_alone):
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(*contrast_alone)
    table = simulate(rule, EASY, 3, n_trials=90, session_length=40, random_state=0)
    assert list(table) == ["subject", "session", "stimulus", "choice", "answer", "reward"]
    assert table["subject"].unique().tolist() == ["twin_1", "twin_2", "twin_3"]
    assert table.groupby(["subject", "session"]).size().tolist() == [40, 40, 10] * 3
    by_session = table.groupby(["subject", "session"])
    earned = by_session["reward"].mean().unstack().to_numpy() >= 0.55
    is_hard = by_session["stimulus"].max().unstack().to_numpy() < 0.9
    np.testing.assert_array_equal(is_hard[:, 1:], np.maximum.accumulate(earned, 1)[:, :-1])
    assert is_hard.any() and not is_hard[:, 0].any()


def test_subjects_and_sessions_keep_their_types(trials, reinforce):
    numbered = trials.assign(subject=pd.factorize(trials["subject"])[0] + 7)
    table = simulate(reinforce, design(numbered)[0], random_state=0)
    assert table["subject"].dtype == numbered["subject"].dtype
    assert table["session"].dtype == numbered["session"].dtype


def test_x_may_lack_sessions_and_hold_animals_of_one_trial(trials, reinforce):
    X, _ = design(trials)
    short = pd.concat([X.xs("mouse_01", drop_level=False).iloc[:1], X.loc[["mouse_02"]]])
    table = simulate(reinforce, short.droplevel("session"), random_state=0)
    assert table["subject"].unique().tolist() == ["mouse_02"]
    assert (table["session"] == 1).all()


def test_the_same_seed_gives_the_same_twins_and_nothing_else_is_touched(trials, reinforce):
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    before = {k: v.clone() for k, v in reinforce.net_.module_.state_dict().items()}
    first, same, other = (simulate(reinforce, trials, random_state=s) for s in (0, 0, 1))
    assert_frame_equal(first, same)
    assert not first.equals(other)
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    for name, value in reinforce.net_.module_.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in reinforce.net_.module_.parameters())


def test_the_best_of_a_search_has_twins(contrast_alone):
    starts = {"train_initial_weights": [True]}
    search = GridSearchCV(lr.PredictMaxRuleEstimator(), starts, cv=lr.SubjectKFold(2))
    X, y = contrast_alone
    search.fit(X, y)
    best = simulate(search.best_estimator_, X, random_state=0)
    assert_frame_equal(simulate(search, X, random_state=0), best)


# ------------------------------------------------------------------------------------- rewards


def test_twins_are_paid_as_their_animals_were_unless_told_otherwise(trials, reinforce):
    rich = trials.assign(reward=np.where(trials["reward"] > 0, 3.0, -1.0))
    for stimuli in (rich, design(rich)[0]):
        as_paid, told = (
            simulate(reinforce, stimuli, reward=reward, random_state=0) for reward in (None, (0, 2))
        )
        for table, (error, correct) in ((as_paid, (-1.0, 3.0)), (told, (0.0, 2.0))):
            was_correct = table["choice"] == table["answer"]
            assert (table["reward"] == np.where(was_correct, correct, error)).all()


def test_a_reward_may_toss_coins(trials, reinforce):
    def sometimes(correct, random_state):
        return random_state.random_sample(len(correct)) < np.where(correct, 0.8, 0.3)

    table, weights = simulate(
        reinforce, trials, 20, reward=sometimes, random_state=0, return_weights=True
    )
    correct = table["choice"] == table["answer"]
    share = table["reward"].groupby(correct).mean()
    np.testing.assert_allclose(share, [0.3, 0.8], atol=0.05)
    assert_frame_equal(reinforce.predict_weights(design(table)[0]), weights)
