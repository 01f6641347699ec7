"""Log-likelihood per trial: higher is better, a coin scores log(1/2)."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from sklearn_learnrule.metrics import CHANCE, NATS_PER_BIT, log_likelihood, trial_log_likelihood

LOGITS = np.array([-2.0, 0.0, 0.5, 3.0, -1.0])
IS_SECOND = np.array([False, True, True, False, True])


def test_a_coin_loses_one_bit_a_trial():
    assert trial_log_likelihood(IS_SECOND, np.zeros(5)).tolist() == [CHANCE] * 5
    assert CHANCE == pytest.approx(-0.6931, abs=1e-4)
    assert -CHANCE / NATS_PER_BIT == 1


def test_a_trial_scores_the_log_of_the_probability_of_the_choice_made():
    p = expit(LOGITS)
    np.testing.assert_allclose(
        trial_log_likelihood(IS_SECOND, LOGITS), np.log(np.where(IS_SECOND, p, 1 - p))
    )


@pytest.mark.parametrize("weight", [None, [1, 0, 2, 0.5, 0]])
def test_the_mean_is_scikit_learns_log_loss_negated(weight):
    expected = -log_loss(IS_SECOND, expit(LOGITS), sample_weight=weight)
    assert log_likelihood(IS_SECOND, LOGITS, sample_weight=weight) == pytest.approx(expected)
    # choices coded 0 and 1 are read alike
    as_numbers = log_likelihood(IS_SECOND.astype(int), LOGITS, sample_weight=weight)
    assert as_numbers == pytest.approx(expected)


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_certainty_costs_its_logit_and_never_infinity(logit):
    assert trial_log_likelihood(logit < 0, logit) == -1000
    assert trial_log_likelihood(logit > 0, logit) == 0
