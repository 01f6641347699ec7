"""Which rule predicts best: splits, the comparison on them, and learning curves in animals."""

from ._animal_rules import AnimalRules, animal_rules
from ._compare import AllFitsFailedError, compare_rules
from ._estimators import name_estimators
from ._folds import read_folds
from ._learning_curve import animal_learning_curve
from ._rank import choose_reference, rank_rules, relative_to, scores_by_subject
from ._splits import FutureSplit, MaskedTrials, SubjectKFold

__all__ = [
    "AllFitsFailedError",
    "AnimalRules",
    "FutureSplit",
    "MaskedTrials",
    "SubjectKFold",
    "animal_learning_curve",
    "animal_rules",
    "choose_reference",
    "compare_rules",
    "name_estimators",
    "rank_rules",
    "read_folds",
    "relative_to",
    "scores_by_subject",
]
