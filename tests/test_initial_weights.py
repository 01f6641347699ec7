"""Where the policy starts: zeros, a psychometric fit to early trials, or what the user says."""

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.training.initial_weights import initial_weights, psychometric_weights

pytestmark = BRIEFLY_TRAINED


def static_animals(n_subjects, n_trials, weights, seed=0):
    """Animals that never learn, as (X, whether each choice was the second)."""
    rng = np.random.RandomState(seed)
    stimulus = rng.choice(np.linspace(-1, 1, 9), n_subjects * n_trials)
    p = 1 / (1 + np.exp(-(weights[0] * stimulus + weights[1])))
    is_second = rng.random_sample(len(p)) < p
    trials = pd.DataFrame({"subject": np.repeat(np.arange(n_subjects), n_trials), "session": 1})
    trials = trials.assign(stimulus=stimulus, choice=is_second, reward=0)
    return lr.make_design(trials)[0], is_second


def test_a_psychometric_fit_recovers_the_weights_that_made_many_early_choices():
    X, is_second = static_animals(300, 100, (2.0, -0.5))
    sequences = read_sequences(X)
    found = psychometric_weights(sequences, is_second, np.ones(len(X)))
    np.testing.assert_allclose(found, [2.0, -0.5], atol=0.06)


def test_a_psychometric_fit_is_the_line_through_the_log_odds():
    """Right on 3 of 4 trials at 1 and on 1 of 5 at -1, so log odds of log 3 and -log 4."""
    trials = pd.DataFrame({"subject": 1, "session": 1, "stimulus": [1.0] * 4 + [-1.0] * 5})
    is_second = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    X, _, _ = lr.make_design(trials.assign(choice=is_second, reward=0))
    slope, bias = (np.log(3) + np.log(4)) / 2, (np.log(3) - np.log(4)) / 2
    found = psychometric_weights(read_sequences(X), is_second, np.ones(len(X)))
    np.testing.assert_allclose(found, [slope, bias])


def test_shares_of_none_and_all_are_taken_as_a_hundredth_and_its_rest():
    trials = pd.DataFrame({"subject": 1, "session": 1, "stimulus": [1.0, -1.0] * 3})
    is_second = trials["stimulus"].to_numpy() > 0
    X, _, _ = lr.make_design(trials.assign(choice=is_second, reward=1))
    found = psychometric_weights(read_sequences(X), is_second, np.ones(len(X)))
    np.testing.assert_allclose(found, [np.log(99), 0], atol=1e-12)


def test_only_the_first_hundred_trials_of_each_subject_count():
    X, is_second = static_animals(3, 130, (1.0, 0.0))
    sequences = read_sequences(X)
    expected = psychometric_weights(sequences, is_second, np.ones(len(X)))
    late = sequences.row_trial >= 100
    np.testing.assert_array_equal(
        psychometric_weights(sequences, is_second ^ late, np.ones(len(X))), expected
    )
    last_early = (sequences.row_trial == 99) & (sequences.row_subject == 2)
    assert (
        psychometric_weights(sequences, is_second ^ last_early, np.ones(len(X))) != expected
    ).any()


def test_choices_of_weight_zero_are_not_looked_at():
    X, is_second = static_animals(3, 90, (1.0, 0.0))
    sequences, masked = read_sequences(X), np.arange(len(X)) % 5 == 0
    expected = psychometric_weights(sequences, is_second, 1.0 - masked)
    np.testing.assert_array_equal(
        psychometric_weights(sequences, is_second ^ masked, 1.0 - masked), expected
    )


def test_zeros_and_an_array_mean_themselves():
    X, is_second = static_animals(1, 10, (1.0, 0.0))
    sequences = read_sequences(X)
    given = np.array([0.5, -1.0])
    assert initial_weights("zeros", sequences, is_second, np.ones(len(X)), "Rule").tolist() == [
        0.0,
        0.0,
    ]
    started = initial_weights(given, sequences, is_second, np.ones(len(X)), "Rule")
    started += 1.0
    assert started.tolist() == [1.5, 0.0]
    assert given.tolist() == [0.5, -1.0]


@pytest.mark.parametrize("kind", ["zeros", "psychometric", (1.5, -0.25)])
def test_an_estimator_starts_where_it_is_told_to(kind):
    X, is_second = static_animals(2, 40, (1.0, 0.0))
    rule = lr.ReinforceRuleEstimator(
        baseline=None, initial_weights=kind, train_initial_weights=False
    ).fit(X, is_second)
    expected = initial_weights(kind, read_sequences(X), is_second, np.ones(len(X)), "Rule")
    np.testing.assert_allclose(rule.initial_weights_, expected)
    first = rule.predict_weights(X).groupby("subject").first()
    np.testing.assert_allclose(first, [expected] * 2)


def test_initial_weights_are_one_for_each_weight():
    X, is_second = static_animals(1, 10, (1.0, 0.0))
    text = (
        r"initial_weights should be 2 numbers, one for each of \['stimulus', 'bias'\], got an "
        r"array of shape \(1,\)\."
    )
    with pytest.raises(ValueError, match=text):
        initial_weights([1.0], read_sequences(X), is_second, np.ones(len(X)), "Rule")
