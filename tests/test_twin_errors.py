"""Digital twins: what cannot be simulated is refused with a cure."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from helpers import CoinTask
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.simulation import simulate

STIMULI = ["stimulus", "contrast"]
ONE_STIMULUS = partial(ContrastTask, curriculum=[(1.0, 0.5)], criterion=1.0)


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(4, 60, random_state=0)


def design(trials, *, answer="answer", stimulus=STIMULI):
    return lr.make_design(trials, stimulus=stimulus, answer=answer)[:2]


@pytest.fixture(scope="module")
def reinforce(trials):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*design(trials))


def test_an_estimator_without_a_learning_rule_has_no_twin(trials):
    model = LogisticRegression().fit(*design(trials))
    message = "A twin needs an estimator with a learning rule, or a Pipeline that ends in one, got "
    with pytest.raises(TypeError, match=message + "LogisticRegression."):
        simulate(model, trials)


def test_an_estimator_must_be_fitted_to_a_design(trials):
    with pytest.raises(NotFittedError):
        simulate(lr.ConstantRuleEstimator(), trials)
    with pytest.warns(UserWarning, match="no subject identity"):
        rule = lr.ConstantRuleEstimator().fit(
            np.array([[-1.0], [1.0], [0.5], [-0.5]]), [0, 1, 0, 1]
        )
    message = "was fitted to make_design's X, but this ConstantRuleEstimator has seen no column"
    with pytest.raises(ValueError, match=message):
        simulate(rule, trials)


BAD_STIMULI = {
    "no table, no task": (
        lambda t: ([[1.0]], {}),
        "stimuli should be a table (DataFrame), or a function that makes a task, "
        "(session_start, random_state=...) -> Task; got list.",
    ),
    "no column": (
        lambda t: (t.drop(columns="contrast"), {}),
        "fitted with the stimulus columns ['stimulus', 'contrast'], but the table has "
        "no 'contrast', only",
    ),
    "no answer": (
        lambda t: (t.drop(columns="answer"), {}),
        "A table of stimuli needs a column 'answer', the correct choice on each trial",
    ),
    "other answers": (
        lambda t: (t.assign(answer=np.where(t["answer"] == "left", 0, 1)), {}),
        "'answer' should hold the choices that the estimator knows, ['left', 'right'], but has "
        "[0, 1].",
    ),
    "answers not told": (
        lambda t: (design(t.assign(reward=t["reward"] + 1), answer=None)[0], {}),
        "A replay of the trials reads the correct choice, which these rewards do not tell",
    ),
    "one row": (
        lambda t: (design(t)[0].groupby("subject").head(1), {}),
        "X tells the outcome of no trial: each subject has one row only.",
    ),
    "rewards vary": (
        lambda t: (t.assign(reward=t["reward"] * np.arange(len(t))), {}),
        "The rewards of correct choices vary (",
    ),
    "one reward": (
        lambda t: (t, {"reward": [1.0]}),
        "reward should be two numbers, for an error and for a correct choice, 'resample' or a "
        "function (correct, random_state) -> rewards; got [1.0].",
    ),
    "one reward for all": (
        lambda t: (t, {"reward": lambda correct, rng: 1.0}),
        "Rewards should be a finite number for each choice, an array of shape (4,), but are of "
        "shape (): [1.0].",
    ),
    "trials of a table": (
        lambda t: (t, {"n_trials": 10}),
        "n_trials and session_length are for tasks: a table's animals do the trials and sessions "
        "that it has.",
    ),
    "no trials of a task": (
        lambda t: (CoinTask, {}),
        "With a task, say how many trials an animal does: n_trials=...",
    ),
    "reward of a task": (
        lambda t: (CoinTask, {"n_trials": 10, "reward": (0, 1)}),
        "reward is for tables of stimuli: a task pays by itself.",
    ),
    "no task": (
        lambda t: (lambda starts, random_state: None, {"n_trials": 10}),
        "The function given as stimuli should make a task with the methods show and reward (or "
        "reward_of_choice), but made NoneType.",
    ),
    "one stimulus": (
        lambda t: (ONE_STIMULUS, {"n_trials": 10}),
        "The task should show the stimuli ['stimulus', 'contrast'] that the estimator was fitted "
        "with, an array of shape (1, 2), and correct choices (1,), but showed (1, 1) and (1,).",
    ),
    "no subjects": (lambda t: (t, {"n_subjects": 0}), "n_subjects == 0, must be >= 1."),
    "no trials": (lambda t: (CoinTask, {"n_trials": 0}), "n_trials == 0, must be >= 1."),
}


@pytest.mark.parametrize("case", BAD_STIMULI)
def test_stimuli_that_cannot_be_shown_are_refused_with_a_cure(case, trials, reinforce):
    make, message = BAD_STIMULI[case]
    stimuli, options = make(trials)
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        simulate(reinforce, stimuli, random_state=0, **options)


def test_a_stimulus_column_may_not_be_named_as_an_outcome(trials):
    X, y = design(trials.assign(answer=trials["contrast"]), stimulus="answer", answer=None)
    rule = lr.ConstantRuleEstimator().fit(X, y)
    message = "Tables of twins have a column 'answer': rename that stimulus column."
    with pytest.raises(ValueError, match=message):
        simulate(rule, X)


def test_weights_that_run_away_are_told(trials):
    wild = lr.ReinforceRuleEstimator(baseline=None).fit(*design(trials))
    with torch.no_grad():
        wild.net_.module_.rule.rule.root_learning_rate.fill_(1e200)
    message = "The weights of mouse_0. ran away before trial .*: this rule is unstable"
    with pytest.raises(ValueError, match=message):
        simulate(wild, trials, random_state=0)
