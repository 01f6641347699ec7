"""Learners by a known rule, digital twins of fitted animals, and checks by twins."""

from ._learning import FunctionRule, Simulation, Task, UpdateFunction, simulate_learning
from ._predictive import predictive_check
from ._twins import simulate

__all__ = [
    "FunctionRule",
    "Simulation",
    "Task",
    "UpdateFunction",
    "predictive_check",
    "simulate",
    "simulate_learning",
]
