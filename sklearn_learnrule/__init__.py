"""Infer how animals learn: learning rules from trial-by-trial choices, the scikit-learn way."""

from ._design import make_design
from .estimators import (
    ConstantRuleEstimator,
    DNNRuleEstimator,
    PredictMaxRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
    RNNRuleEstimator,
)
from .model_selection import SubjectKFold, compare_rules, rank_rules
from .preprocessing import TanhContrast

__version__ = "0.1.0"

__all__ = [
    "ConstantRuleEstimator",
    "DNNRuleEstimator",
    "PredictMaxRuleEstimator",
    "RNNRuleEstimator",
    "ReinforceRuleEstimator",
    "RewardMaxRuleEstimator",
    "SubjectKFold",
    "TanhContrast",
    "compare_rules",
    "make_design",
    "rank_rules",
]
