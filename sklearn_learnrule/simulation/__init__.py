"""Learners by a known rule, digital twins of fitted animals, and checks by twins."""

from ._corrections import BiasCorrection
from ._experiment import Experiment, Stimuli
from ._learning import FunctionRule, Simulation, Task, UpdateFunction, simulate_learning
from ._predictive import predictive_check
from ._simulate import simulate
from ._twins import Twin, split_twin

__all__ = [
    "BiasCorrection",
    "Experiment",
    "FunctionRule",
    "Simulation",
    "Stimuli",
    "Task",
    "Twin",
    "UpdateFunction",
    "predictive_check",
    "simulate",
    "simulate_learning",
    "split_twin",
]
