"""Transformers of the stimulus."""

from ._columns import Columns, of_own_choices, of_trials_before
from ._contrast import TanhContrast, tanh_contrast
from ._regressors import PolicyRegressors

__all__ = [
    "Columns",
    "PolicyRegressors",
    "TanhContrast",
    "of_own_choices",
    "of_trials_before",
    "tanh_contrast",
]
