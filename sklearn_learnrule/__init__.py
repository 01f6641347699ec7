"""Infer how animals learn: learning rules from trial-by-trial choices, the scikit-learn way."""

from .data.design import make_design
from .estimators import (
    ActorCriticRuleEstimator,
    BaseRuleEstimator,
    ChoiceRNNClassifier,
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
from .model_selection import (
    FutureSplit,
    MaskedTrials,
    SubjectKFold,
    animal_learning_curve,
    animal_rules,
    compare_rules,
    rank_rules,
)
from .preprocessing import PolicyRegressors, TanhContrast

TRUSTED_TYPES = [
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in list(globals().values())
    if isinstance(kind, type)
]
"""The names of this package's classes, for ``skops.io.load(file, trusted=TRUSTED_TYPES)``.

A file of skops runs no code of strangers, as a pickle may. That of a fitted estimator, or of a
pipeline, holds arrays, text and numbers beside these classes and scikit-learn's; one with a rule of
your own needs the name of its estimator as well.
"""

__version__ = "0.1.0"

__all__ = [
    "TRUSTED_TYPES",
    "ActorCriticRuleEstimator",
    "BaseRuleEstimator",
    "ChoiceRNNClassifier",
    "ConstantRuleEstimator",
    "DNNRuleEstimator",
    "EligibilityRuleEstimator",
    "FutureSplit",
    "MaskedTrials",
    "PearceHallRuleEstimator",
    "PolicyRegressors",
    "PredictMaxRuleEstimator",
    "QLearningRuleEstimator",
    "RNNRuleEstimator",
    "ReinforceRuleEstimator",
    "RewardMaxRuleEstimator",
    "SubjectKFold",
    "TanhContrast",
    "animal_learning_curve",
    "animal_rules",
    "compare_rules",
    "make_design",
    "rank_rules",
]
