"""The estimators: a learning rule fitted to animals' choices, the scikit-learn way."""

from .base import BaseRuleEstimator
from .choice_rnn import ChoiceRNNClassifier
from .network_estimators import DNNRuleEstimator, RNNRuleEstimator
from .rule_estimators import (
    ActorCriticRuleEstimator,
    ConstantRuleEstimator,
    EligibilityRuleEstimator,
    PearceHallRuleEstimator,
    PredictMaxRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
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
