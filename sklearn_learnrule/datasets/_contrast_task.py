"""Contrast discrimination, a task of two choices or more."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from string import ascii_uppercase
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state, check_scalar

from ..preprocessing import tanh_contrast
from ..utils.arrays import Bools, Floats

CURRICULUM = (
    (1.0, 0.5),
    (1.0, 0.5, 0.25),
    (1.0, 0.5, 0.25, 0.125),
    (1.0, 0.5, 0.25, 0.125, 0.0625),
    (1.0, 0.5, 0.25, 0.125, 0.0625, 0.0),
    (1.0, 0.25, 0.125, 0.0625, 0.0),
)
"""Contrasts by training stage, easy first, as in the International Brain Laboratory's task."""


class ContrastTask:
    """Contrast discrimination: an animal that does well moves up a stage, and may be debiased.

    Of two choices, one is the side of the contrast, whose sign tells which, "left" or "right". Of
    more, "A", "B", "C" and so on, each has a place of its own, as in the five-choice serial
    reaction time task: the contrast is shown at one of them, which is the correct choice.

    Parameters
    ----------
    session_start : bool ndarray of shape (N, T)
    curriculum : sequence of sequences of contrasts, default=CURRICULUM
    criterion : float, default=0.8
        The share of correct choices that earns the next stage.
    random_state : int, RandomState or None, default=None
    n_choices : int, default=2
        C, from 2 to 26. The stimulus has a column or, of more than two, one for each place.
    window : int or None, default=None
        None: what counts are the choices of a session, at whose end the stage may change. Else the
        last so many choices at each contrast of the stage but 0, and the stage changes at once.
    repeat_errors : float or None, default=None
        After an error at a contrast of this or more, the same stimulus is shown again: a correction
        trial, of which an animal that favours one side has more on the other. It counts for no
        stage, and there is none across sessions or stages. None: never.

    Attributes
    ----------
    choices, stimuli : list of str
        The choices, in order, and the columns of the stimulus.

    Examples
    --------
    >>> session_start = np.arange(100) % 50 == np.zeros((2, 1))  # (2, 100), two sessions
    >>> task = ContrastTask(session_start, random_state=0)
    >>> stimulus, right_is_correct = task.show(0)
    >>> stimulus.shape, task.reward(0, right_is_correct).shape
    ((2, 1), (2,))
    """

    def __init__(
        self,
        session_start: Bools,
        curriculum: Sequence[Sequence[float]] = CURRICULUM,
        criterion: float = 0.8,
        random_state: int | np.random.RandomState | None = None,
        n_choices: int = 2,
        window: int | None = None,
        repeat_errors: float | None = None,
    ) -> None:
        most = len(ascii_uppercase)
        check_scalar(n_choices, "n_choices", Integral, min_val=2, max_val=most)
        if window is not None:
            check_scalar(window, "window", Integral, min_val=1)
        if repeat_errors is not None:
            check_scalar(repeat_errors, "repeat_errors", Real, min_val=0)
        self.n_choices = n_choices
        self.choices, self.stimuli = ["left", "right"], ["stimulus"]
        if n_choices > 2:
            self.choices = list(ascii_uppercase[:n_choices])
            self.stimuli = [f"stimulus_{choice}" for choice in self.choices]
        self.session_start = session_start
        self.criterion = criterion
        self.random_state = check_random_state(random_state)
        self.n_contrasts = np.array([len(stage) for stage in curriculum])
        self.contrasts = np.zeros((len(curriculum), self.n_contrasts.max()))
        for row, stage in zip(self.contrasts, curriculum, strict=True):
            row[: len(stage)] = stage
        self.window = window
        self.repeat_errors = np.inf if repeat_errors is None else repeat_errors
        n_subjects, n_trials = session_start.shape
        self.contrast = np.zeros((n_subjects, n_trials))  # as shown; of two choices signed
        self.stage = np.zeros(n_subjects, dtype=int)
        self.draw = np.zeros((2, n_subjects))  # of the side and of the contrast
        self.which = np.zeros(n_subjects, dtype=int)  # of the stage's contrasts
        self.repeats = np.zeros(n_subjects, dtype=bool)  # whether a trial is a correction trial
        self.n_correct = np.zeros(n_subjects)
        self.n_seen = np.zeros(n_subjects)
        self.recent = np.full((n_subjects, self.contrasts.shape[1], window or 0), np.nan)

    def show(self, trial: int) -> tuple[Floats, NDArray[Any]]:
        """Draw a contrast of the animal's stage and where it is."""
        opens = self.session_start[:, trial]
        self.repeats &= ~(opens | self._promote(opens))
        drawn = self.random_state.random_sample((2, len(self.stage)))
        self.draw = np.where(self.repeats, self.draw, drawn)
        self.which = (self.draw[1] * self.n_contrasts[self.stage]).astype(int)
        contrast = self.contrasts[self.stage, self.which]
        if self.n_choices == 2:
            right = self.draw[0] < 0.5
            self.contrast[:, trial] = contrast * np.where(right, 1, -1)
            return tanh_contrast(self.contrast[:, trial])[:, None], right
        place = (self.draw[0] * self.n_choices).astype(int)
        self.contrast[:, trial] = contrast
        return contrast[:, None] * np.eye(self.n_choices)[place], place

    def reward(self, trial: int, correct: Bools) -> Floats:
        """Pay 1 for a correct choice, else 0."""
        counts = ~self.repeats
        self.n_correct += correct & counts
        self.n_seen += counts
        if self.window is not None:
            of = np.flatnonzero(counts), self.which[counts]
            self.recent[of] = np.column_stack([self.recent[of][:, 1:], correct[counts]])
        self.repeats = ~correct & (np.abs(self.contrast[:, trial]) >= self.repeat_errors)
        return correct.astype(float)

    def _promote(self, opens: Bools) -> Bools:
        """Move animals up a stage that have earned it, and tell which did."""
        earned = self._earned(opens) & (self.stage < len(self.n_contrasts) - 1)
        self.stage = self.stage + earned
        self.recent[earned] = np.nan
        self.n_correct[opens] = 0
        self.n_seen[opens] = 0
        return earned

    def _earned(self, opens: Bools) -> Bools:
        if self.window is None:
            return opens & (self.n_correct >= self.criterion * np.maximum(self.n_seen, 1))
        counts = self.contrasts[self.stage] > 0  # nobody can be good at 0
        reached = self.recent.mean(-1) >= self.criterion  # not while some are missing
        return (reached | ~counts).all(1) & counts.any(1)
