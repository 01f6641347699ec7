"""A rule as an equation: its true terms where they are known, and nothing that is not there."""

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from inspection_rules import ONE_STEP
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators import (
    ActorCriticRuleEstimator,
    EligibilityRuleEstimator,
    PearceHallRuleEstimator,
    PredictMaxRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
)
from sklearn_learnrule.inspection import bootstrap_fits, sparse_rule

pytestmark = BRIEFLY_TRAINED


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(8, 400, random_state=0))[:2]


def equation(rule, weight):
    """The terms of a weight, with their coefficients."""
    terms = rule.terms_[rule.terms_["weight"] == weight]
    return dict(zip(terms["term"], terms["coefficient"], strict=True))


def of_input(term, weight):
    """The term times a weight's input, which for the bias is 1."""
    return term if weight == "bias" else f"{term} x_{weight}"


# ------------------------------------------------------------------------ known rules


def reinforce(rule, k):
    rate, baseline = rule.learning_rate_[..., k], rule.baseline_[k]
    return {"r (y - p)": rate, "(y - p)": -rate * baseline}


KNOWN = {}
