"""Trial tables: of files as people have them, of the IBL's training data, of a simulated cohort."""

from ._contrast_task import CURRICULUM, ContrastTask
from ._files import from_files
from ._ibl import IBL_COLUMNS, load_ibl_trials
from ._nwb import from_nwb
from ._one import from_one
from ._psytrack import from_psytrack, to_psytrack
from ._simulated import make_learning_cohort

__all__ = [
    "CURRICULUM",
    "IBL_COLUMNS",
    "ContrastTask",
    "from_files",
    "from_nwb",
    "from_one",
    "from_psytrack",
    "load_ibl_trials",
    "make_learning_cohort",
    "to_psytrack",
]
