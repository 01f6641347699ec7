"""Trial tables: a simulated cohort with a known rule, and the IBL's training data."""

from ._ibl import IBL_COLUMNS, load_ibl_trials
from ._simulated import CURRICULUM, ContrastTask, make_learning_cohort

__all__ = ["CURRICULUM", "IBL_COLUMNS", "ContrastTask", "load_ibl_trials", "make_learning_cohort"]
