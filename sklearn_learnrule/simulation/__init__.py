"""Learners by a known rule, digital twins of fitted animals, and checks by twins."""

from ._corrections import BiasCorrection
from ._curricula import design_curriculum
from ._curriculum_design import CurriculumDesign
from ._experiment import Experiment, Stimuli
from ._learning import FunctionRule, Simulation, Task, UpdateFunction, simulate_learning
from ._predictive import predictive_check
from ._simulate import simulate
from ._twins import Twin, split_twin

__all__ = [
    "BiasCorrection",
    "CurriculumDesign",
    "Experiment",
    "FunctionRule",
    "Simulation",
    "Stimuli",
    "Task",
    "Twin",
    "UpdateFunction",
    "design_curriculum",
    "predictive_check",
    "simulate",
    "simulate_learning",
    "split_twin",
]
