"""The estimators: a learning rule fitted to animals' choices, the scikit-learn way."""

from .base import BaseRuleEstimator
from .choice_rnn import ChoiceRNNClassifier
from .rule_estimators import (
    ActorCriticRuleEstimator,
    ConstantRuleEstimator,
    DNNRuleEstimator,
    EligibilityRuleEstimator,
    PearceHallRuleEstimator,
    PredictMaxRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
    RNNRuleEstimator,
)

__all__ = [
    "ActorCriticRuleEstimator",
    "BaseRuleEstimator",
    "ChoiceRNNClassifier",
    "ConstantRuleEstimator",
    "DNNRuleEstimator",
    "EligibilityRuleEstimator",
    "PearceHallRuleEstimator",
    "PredictMaxRuleEstimator",
    "QLearningRuleEstimator",
    "RNNRuleEstimator",
    "ReinforceRuleEstimator",
    "RewardMaxRuleEstimator",
]
