"""Which rule predicts best: splits, the comparison on them, and learning curves in animals."""

from ._compare import AllFitsFailedError, compare_rules
from ._learning_curve import animal_learning_curve
from ._rank import choose_reference, rank_rules, relative_to, scores_by_subject
from ._splits import FutureSplit, MaskedTrials, SubjectKFold

__all__ = [
    "AllFitsFailedError",
    "FutureSplit",
    "MaskedTrials",
    "SubjectKFold",
    "animal_learning_curve",
    "choose_reference",
    "compare_rules",
    "rank_rules",
    "relative_to",
    "scores_by_subject",
]
