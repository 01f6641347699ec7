"""Infer how animals learn: learning rules from trial-by-trial choices, the scikit-learn way."""

from ._base import BaseRuleEstimator
from ._design import make_design
from .choice_rnn import ChoiceRNNClassifier
from .estimators import (
    ActorCriticRuleEstimator,
    ConstantRuleEstimator,
    DNNRuleEstimator,
    EligibilityRuleEstimator,
    PredictMaxRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
    RNNRuleEstimator,
)
from .model_selection import (
    FutureSplit,
    MaskedTrials,
    SubjectKFold,
    animal_learning_curve,
    compare_rules,
    rank_rules,
)
from .preprocessing import PolicyRegressors, TanhContrast

__version__ = "0.1.0"

__all__ = [
    "ActorCriticRuleEstimator",
    "BaseRuleEstimator",
    "ChoiceRNNClassifier",
    "ConstantRuleEstimator",
    "DNNRuleEstimator",
    "EligibilityRuleEstimator",
    "FutureSplit",
    "MaskedTrials",
    "PolicyRegressors",
    "PredictMaxRuleEstimator",
    "QLearningRuleEstimator",
    "RNNRuleEstimator",
    "ReinforceRuleEstimator",
    "RewardMaxRuleEstimator",
    "SubjectKFold",
    "TanhContrast",
    "animal_learning_curve",
    "compare_rules",
    "make_design",
    "rank_rules",
]
