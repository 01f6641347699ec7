"""From tables of trials to sequences: what columns mean, checks, the design. Knows no torch."""

from .check import check_trials
from .design import make_design
from .schema import DESIGN, TRIALS, Column, Schema

__all__ = ["DESIGN", "TRIALS", "Column", "Schema", "check_trials", "make_design"]
