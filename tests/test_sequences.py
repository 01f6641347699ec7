"""Reading sequences out of X: what each trial brought."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import make_learning_cohort


def random_trials(lengths, seed):
    """Trials of subjects with these lengths, a few sessions each, and both choices."""
    rng = np.random.RandomState(seed)
    n_rows = sum(lengths)
    choice = rng.randint(2, size=n_rows)
    choice[:2] = 0, 1
    return pd.DataFrame(
        {
            "subject": np.repeat(np.arange(len(lengths)), lengths),
            "session": np.cumsum(rng.random_sample(n_rows) < 0.2),
            "low": rng.standard_normal(n_rows),
            "high": rng.standard_normal(n_rows),
            "choice": choice,
            "reward": rng.randint(3, size=n_rows),
            "answer": rng.randint(2, size=n_rows),
        }
    )


def interleaved(X, seed=0):
    """The rows of X with subjects mixed and each subject's own trials still in order."""
    subject = X.index.get_level_values("subject").to_numpy()
    mixed = np.random.RandomState(seed).permutation(subject)
    rows = np.empty(len(X), dtype=int)
    for name in np.unique(subject):
        rows[mixed == name] = np.flatnonzero(subject == name)
    return rows


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(3, 60, session_length=20, random_state=0))
    return X, y


@pytest.fixture(scope="module")
def fitted(cohort):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*cohort)


ragged = given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5).filter(lambda n: sum(n) > 1),
    seed=st.integers(0, 10**6),
)
quickly = settings(max_examples=50, deadline=None)

# ------------------------------------------------------------------- what is read


@quickly
@ragged
def test_padding_and_reading_back_is_the_identity(lengths, seed):
    trials = random_trials(lengths, seed)
    X = lr.make_design(trials, stimulus=["low", "high"])[0]
    X = X.iloc[interleaved(X, seed)]
    sequences = read_sequences(X)
    assert sequences.feature_names == ["low", "high", "bias"]
    assert sequences.padded.features.shape == (len(lengths), max(lengths), 3)
    np.testing.assert_array_equal(
        sequences.rows(sequences.padded.features),
        np.column_stack([X[["low", "high"]], np.ones(len(X))]),
    )
    numbers = np.random.RandomState(seed).standard_normal(len(X))
    padded = sequences.pad(numbers)
    np.testing.assert_array_equal(sequences.rows(padded), numbers)
    assert np.count_nonzero(padded) == len(X)


@quickly
@ragged
def test_a_trial_is_given_the_choice_reward_and_answer_that_followed_it(lengths, seed):
    trials = random_trials(lengths, seed)
    X, y, _ = lr.make_design(trials, stimulus=["low", "high"], answer="answer")
    sequences = read_sequences(X)
    for field, happened in {
        "choice": y == 1,
        "reward": trials["reward"],
        "answer": trials["answer"] == 1,
    }.items():
        expected = sequences.pad(np.asarray(happened, dtype=float)) * sequences.padded.observed
        np.testing.assert_array_equal(getattr(sequences.padded, field), expected, err_msg=field)


@quickly
@ragged
def test_all_but_the_last_trial_of_a_subject_is_observed(lengths, seed):
    sequences = read_sequences(lr.make_design(random_trials(lengths, seed), stimulus="low")[0])
    for row, length in zip(sequences.padded.observed, lengths, strict=True):
        assert row.tolist() == [True] * (length - 1) + [False] * (max(lengths) - length + 1)


@quickly
@ragged
def test_session_start_marks_exactly_the_trial_before_a_change_of_session(lengths, seed):
    trials = random_trials(lengths, seed)
    X = lr.make_design(trials, stimulus="low")[0]
    X = X.iloc[interleaved(X, seed)]
    sequences = read_sequences(X)
    for number, (_, session) in enumerate(
        X.reset_index("session").groupby("subject", sort=False)["session"]
    ):
        changes = np.append(session.to_numpy()[1:] != session.to_numpy()[:-1], False)
        padded = np.zeros(max(lengths))
        padded[: len(changes)] = changes
        np.testing.assert_array_equal(sequences.padded.session_start[number], padded)


@pytest.mark.parametrize("left_out", [[], ["session"], ["trial"], ["session", "trial"]])
def test_identity_may_be_columns_instead_of_levels(cohort, fitted, left_out):
    X, y = cohort
    levels = X.droplevel(left_out)
    columns = levels.reset_index()
    read, expected = read_sequences(columns), read_sequences(levels)
    for field in ("features", "choice", "reward", "answer", "session_start", "observed"):
        np.testing.assert_array_equal(getattr(read.fields, field), getattr(expected.fields, field))
    assert read.feature_names == expected.feature_names == ["stimulus", "bias"]
    assert read.subjects.tolist() == expected.subjects.tolist()

    by_columns = lr.ReinforceRuleEstimator(baseline=None).fit(columns, y.to_numpy())
    np.testing.assert_array_equal(by_columns.predict_proba(columns), fitted.predict_proba(X))


def test_without_sessions_none_is_taken_to_start(cohort):
    X, _ = cohort
    assert read_sequences(X).fields.session_start.sum() > 3
    assert not read_sequences(X.droplevel("session")).fields.session_start.any()


def test_interleaved_subjects_get_the_same_predictions_row_for_row(cohort, fitted):
    X, y = cohort
    rows = interleaved(X)
    assert X.index[rows].get_level_values("subject")[:20].nunique() > 1
    np.testing.assert_allclose(
        fitted.predict_proba(X.iloc[rows]), fitted.predict_proba(X)[rows], rtol=1e-12
    )
    assert fitted.score(X.iloc[rows], y.iloc[rows]) == pytest.approx(fitted.score(X, y))


# -------------------------------------------------------------- the correct choice


def design_with_rewards(rewards):
    """Both choices meet every reward, and one more trial lets the last be seen."""
    reward = [*np.repeat(rewards, 2), 0]
    choice = ["left", "right"] * len(rewards) + ["left"]
    trials = pd.DataFrame({"choice": choice, "reward": reward})
    return lr.make_design(trials.assign(subject="Bo", session=1, stimulus=0.5))[:2]


@pytest.mark.parametrize(
    ("rewards", "known"),
    [
        ([0, 1], True),
        ([-1, 1], True),
        ([0, 1.5, 3], True),
        ([0], True),
        ([2], True),
        ([1, 3], False),
        ([-1, 0], False),
        ([-2, -1], False),
        ([-1, 0, 1], False),
    ],
)
def test_a_reward_tells_the_answer_if_one_value_stands_for_an_error(rewards, known):
    sequences = read_sequences(design_with_rewards(rewards)[0])
    assert sequences.answer_known is known
    if known:
        rewarded = np.repeat(rewards, 2) > 0
        is_right = np.tile([False, True], len(rewards))
        assert sequences.padded.answer[0].tolist() == [*(rewarded == is_right), 0]


def test_a_rule_that_reads_the_answer_refuses_rewards_that_do_not_tell_it():
    X, y = design_with_rewards([1, 3])
    message = (
        "RewardMaxRuleEstimator reads the correct choice, which these rewards do not tell (more "
        "than one value stands for an error, or none, or they have many sizes): name the column "
        "of correct choices, make_design(..., answer=...)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.RewardMaxRuleEstimator().fit(X, y)
    knows = lr.RewardMaxRuleEstimator().fit(*design_with_rewards([0, 1]))
    with pytest.raises(ValueError, match="these rewards do not tell"):
        knows.predict(X)


def test_an_answer_that_is_named_is_believed_whatever_the_rewards():
    X, _ = design_with_rewards([1, 3])
    sequences = read_sequences(X.assign(previous_answer=[0.0, 1.0, 1.0, -1.0, 1.0]))
    assert sequences.answer_known
    assert sequences.padded.answer[0, :-1].tolist() == [1, 1, 0, 1]


# ------------------------------------------------------------------- a plain array


def test_a_plain_array_is_a_static_policy_of_all_its_columns(cohort):
    X, y = cohort
    warns = pytest.warns(UserWarning, match="X has no subject identity: it is taken as one")
    with warns:
        rule = lr.ReinforceRuleEstimator(baseline=None).fit(X.to_numpy(), y.to_numpy())
    with warns:
        weights = rule.predict_weights(X.to_numpy())
    assert list(weights) == ["x0", "x1", "x2", "bias"]
    np.testing.assert_array_equal(weights, np.tile(rule.initial_weights_, (len(X), 1)))
    assert (rule.initial_weights_ != 0).all()


def test_of_rewards_in_many_sizes_one_of_0_is_no_error():
    trials = make_learning_cohort(2, 60, random_state=0)
    rng = np.random.default_rng(0)
    sizes = trials.assign(reward=trials["reward"] * rng.integers(1, 4, len(trials)))
    nectar = trials.assign(reward=rng.uniform(0.1, 2, len(trials)).round(2))
    nectar.loc[::40, "reward"] = 0
    known = [read_sequences(lr.make_design(each)[0]).answer_known for each in (sizes, nectar)]
    assert known == [True, False]
    X, y, _ = lr.make_design(nectar)
    with pytest.raises(ValueError, match="these rewards do not tell .* they have many sizes"):
        lr.PredictMaxRuleEstimator().fit(X, y)
