"""Learning rules: one equation, one class. ``RULES`` is the list that the tests run over."""

from ._contract import LearningRule, Trial, choice_probability
from .networks import DNNRule, RNNRule
from .policy_gradient import ConstantRule, PredictMaxRule, ReinforceRule, RewardMaxRule

RULES = (ConstantRule, ReinforceRule, RewardMaxRule, PredictMaxRule, DNNRule, RNNRule)

__all__ = [
    "RULES",
    "ConstantRule",
    "DNNRule",
    "LearningRule",
    "PredictMaxRule",
    "RNNRule",
    "ReinforceRule",
    "RewardMaxRule",
    "Trial",
    "choice_probability",
]
