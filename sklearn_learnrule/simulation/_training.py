"""Twins of one fit in one training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..utils.arrays import Floats, Ints
from ._experiment import Curriculum
from ._learning import Simulation
from ._skill import SkillTest
from ._statistics import reach_criterion
from ._twins import Twin
from ._visited import VisitedStates


@dataclass(frozen=True)
class Training:
    """An option, a fit whose twins are trained in it, and the test that they are to pass."""

    option: str
    fit: Any
    twin: Twin
    curriculum: Curriculum
    exam: SkillTest
    seeds: Ints  # (2,), of the twins and of the task, so that neither shifts the other's numbers

    def run(
        self, X: pd.DataFrame | None, n_twins: int, criterion: float, window: int
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return a table of twins, and one of their sessions: see :class:`CurriculumDesign`."""
        opens, simulation = self._simulate(n_twins)
        skill = self.exam.skill(self.twin, simulation.weights)
        trials, reached = reach_criterion(skill, criterion, window)
        outside: Floats | float = np.nan
        if X is not None:
            visited = VisitedStates.of_animals(self.twin, X)
            outside = visited.share_outside(self.twin, simulation)
        twin = np.arange(1, n_twins + 1)
        told = {"trials": trials, "reached": reached, "share_outside": outside}
        starts = np.flatnonzero(opens)
        means = np.add.reduceat(skill, starts, axis=1) / np.diff(starts, append=skill.shape[1])
        session = np.tile(np.arange(1, len(starts) + 1), n_twins)
        of_sessions = {"session": session, "skill": means.ravel()}
        who = {"option": self.option, "fit": self.fit}
        return (
            pd.DataFrame({**who, "twin": twin, **told}),
            pd.DataFrame({**who, "twin": twin.repeat(len(starts)), **of_sessions}),
        )

    def _simulate(self, n_twins: int) -> tuple[Any, Simulation]:
        """Return which trials open a session, (T,), and what happened."""
        for_twins, for_task = map(np.random.RandomState, self.seeds)
        experiment = self.curriculum.for_twins(n_twins, for_task)
        try:
            return experiment.opens[0], self.twin.run(experiment, for_twins)
        except ValueError as error:
            told = f"In {self.option!r}, by fit {self.fit!r}: {error}"
            raise ValueError(told) from error
