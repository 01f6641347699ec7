"""Displays, by scikit-learn's conventions; matplotlib is imported only when they draw."""

from ._animal_rules import AnimalRulesDisplay
from ._comparison import ComparisonDisplay
from ._curriculum import CurriculumDisplay
from ._decomposition import DecompositionDisplay
from ._equation import EquationDisplay
from ._history import HistoryDisplay
from ._individuals import SubjectEffectsDisplay
from ._learning_curve import LearningCurveDisplay
from ._psychometric import PsychometricDisplay
from ._recovery import RecoveryDisplay
from ._sessions import SessionCurveDisplay
from ._subject_updates import SubjectUpdateDisplay
from ._trajectories import WeightTrajectoryDisplay
from ._update import UpdateDisplay

__all__ = [
    "AnimalRulesDisplay",
    "ComparisonDisplay",
    "CurriculumDisplay",
    "DecompositionDisplay",
    "EquationDisplay",
    "HistoryDisplay",
    "LearningCurveDisplay",
    "PsychometricDisplay",
    "RecoveryDisplay",
    "SessionCurveDisplay",
    "SubjectEffectsDisplay",
    "SubjectUpdateDisplay",
    "UpdateDisplay",
    "WeightTrajectoryDisplay",
]
