"""What simulated animals are shown and paid: a task, or the stimuli of a table once more.

N sequences, one of each animal or, where its learning begins anew, several; T trials (of the
longest), S stimulus columns.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from ..data.time_order import count_within
from ..utils.arrays import Bools, Floats, Ints
from ._corrections import BiasCorrection, CorrectedTask, draw_uncorrected
from ._learning import Choices, Pay, Task

SESSION_LENGTH = 150


@dataclass(frozen=True)
class Experiment:
    """A task, and the animals and trials that it is given to."""

    task: Task
    subjects: pd.Index  # N names, whose each sequence is; an animal's stand together
    session: Ints  # (N, T), places in session_names
    session_names: pd.Index
    opens: Bools  # (N, T), whether a trial opens a session
    happened: Bools  # (N, T), False in the padding
    covariates: pd.DataFrame  # (N, C), as in X
    reward_known: Bools | None = None  # (N, T), if some rewards are unknown
    misses: Ints | None = None  # (N, T) before each trial, if some were missed
    answer_known: Bools | None = None  # (N, T) the correct choice; None: of all trials
    twin_of: pd.Index | None = None  # N names, if the stimuli are those of other animals
    sequence: Ints | None = None  # (N,), whose numbers these sequences bear there

    @property
    def restart(self) -> Ints | None:
        """How often each sequence's animal has begun anew, (N,), if any ever does."""
        return None if self.subjects.is_unique else count_within(pd.factorize(self.subjects)[0])

    def covariate(self, name: str) -> Floats:
        """Return a covariate of each sequence's animal, (N,), or 0 if it has none so called."""
        if name in self.covariates:
            return self.covariates[name].to_numpy()
        return np.zeros(len(self.subjects))


class Stimuli(Protocol):
    """What experiments are made of, one for each cohort."""

    def for_twins(self, n_subjects: int, rng: np.random.RandomState) -> Experiment:
        """Give the task to so many animals or, of a table, to so many twins of each animal."""

    def for_cohort(self, n_subjects: int | None, rng: np.random.RandomState) -> Experiment:
        """Give the task to so many animals, of a table by default to as many as it has."""


@dataclass(frozen=True)
class Curriculum:
    """A task that is made anew for each cohort, in sessions of equal lengths."""

    make_task: Callable[..., Task]
    n_trials: int
    session_length: int

    def for_twins(self, n_subjects: int, rng: np.random.RandomState) -> Experiment:
        session = np.tile(np.arange(self.n_trials) // self.session_length, (n_subjects, 1))
        opens = np.diff(session, axis=1, prepend=-1) > 0
        task = self.make_task(opens, random_state=rng)
        pays = hasattr(task, "reward") or hasattr(task, "reward_of_choice")
        if not (hasattr(task, "show") and pays):
            raise TypeError(
                "The function given as stimuli should make a task with the methods show and "
                f"reward (or reward_of_choice), but made {type(task).__name__}."
            )
        return Experiment(
            task=task,
            subjects=numbered("twin", n_subjects),
            session=session,
            session_names=pd.RangeIndex(1, session.max() + 2),
            opens=opens,
            happened=np.ones_like(opens),
            covariates=pd.DataFrame(index=range(n_subjects)),
        )

    def for_cohort(self, n_subjects: int | None, rng: np.random.RandomState) -> Experiment:
        assert n_subjects is not None  # a task has no animals of its own
        return self.for_twins(n_subjects, rng)


@dataclass(frozen=True)
class Replay:
    """What animals were shown, when, with what correct choices, to be given once more."""

    subjects: pd.Index  # names, of each animal once
    sequence_subject: Ints  # (N,) whose each sequence is
    stimulus: Floats  # (N, T, S)
    answer: Choices  # (N, T)
    session: Ints  # (N, T)
    session_names: pd.Index
    opens: Bools  # (N, T)
    happened: Bools  # (N, T)
    covariates: pd.DataFrame  # (n, C) of n animals, as in X
    reward_known: Bools | None  # (N, T)
    misses: Ints | None  # (N, T)
    answer_known: Bools  # (N, T)
    pay: Pay
    correction: BiasCorrection | None
    corrected: Bools  # (N, T), whether a stimulus answered an error of the animal
    payoffs: Floats | None = None  # (N, T, C, P) to draw from, if choices are paid each its own

    def for_twins(self, n_subjects: int, rng: np.random.RandomState) -> Experiment:
        which = np.repeat(np.arange(len(self.subjects)), n_subjects)
        names = self.subjects
        if n_subjects > 1:
            names = pd.Index([twin for name in names for twin in numbered(name, n_subjects)])
        return self._given_to(names, which, rng)

    def for_cohort(self, n_subjects: int | None, rng: np.random.RandomState) -> Experiment:
        n_own = len(self.subjects)
        if n_subjects is None:
            return self.for_twins(1, rng)
        which = rng.choice(n_own, n_subjects, replace=n_subjects > n_own)
        return self._given_to(numbered("twin", n_subjects), which, rng)

    def _given_to(self, names: pd.Index, which: Ints, rng: np.random.RandomState) -> Experiment:
        """Give all sequences of some animals to others of these names."""
        twin, sequence = np.nonzero(which[:, None] == self.sequence_subject)
        n_trials = int(self.happened[sequence].any(0).sum())  # of the longest drawn
        drawn = np.ix_(sequence, np.arange(n_trials))
        return Experiment(
            task=self._task(drawn, rng),
            subjects=names.take(twin),
            session=self.session[drawn],
            session_names=self.session_names,
            opens=self.opens[drawn],
            happened=self.happened[drawn],
            covariates=self.covariates.iloc[which[twin]],
            reward_known=None if self.reward_known is None else self.reward_known[drawn],
            misses=None if self.misses is None else self.misses[drawn],
            answer_known=self.answer_known[drawn],
            twin_of=self.subjects.take(which[twin]),
            sequence=sequence,
        )

    def _task(self, drawn: tuple[NDArray[Any], ...], rng: np.random.RandomState) -> Task:
        """Make the task of some sequences, (n, 1), and trials, (1, T)."""
        known = self.stimulus[drawn], self.answer[drawn], self.pay, rng
        if self.payoffs is not None:
            return ReplayOfPayoffs(*known, self.payoffs[drawn])
        if self.correction is None:
            return ReplayTask(*known)
        told = zip(self.session[drawn], self.happened[drawn], self.corrected[drawn], strict=True)
        shown = drawn[0], np.array([draw_uncorrected(*of_one, rng) for of_one in told])
        stimulus, answer = self.stimulus[shown], self.answer[shown]
        return CorrectedTask(self.correction, stimulus, answer, self.opens[drawn], self.pay, rng)


@dataclass(frozen=True)
class ReplayTask:
    """Stimuli and correct choices that are known beforehand."""

    stimulus: Floats  # (N, T, S)
    answer: Choices  # (N, T)
    pay: Pay
    rng: np.random.RandomState

    def show(self, trial: int) -> tuple[Floats, Choices]:
        return self.stimulus[:, trial], self.answer[:, trial]

    def reward(self, trial: int, correct: Bools) -> Floats:
        return self.pay(correct, self.answer[:, trial], self.rng)


@dataclass(frozen=True)
class ReplayOfPayoffs(ReplayTask):
    """Stimuli that are known beforehand, and what each choice may earn, correct or not."""

    payoffs: Floats  # (N, T, C, P) to draw from

    def reward_of_choice(self, trial: int, choice: Choices) -> Floats:
        each = self.payoffs[np.arange(len(choice)), trial, choice.astype(int)]  # (N, P)
        return each[np.arange(len(choice)), self.rng.randint(each.shape[1], size=len(choice))]


def make_curriculum(make_task: Any, n_trials: int | None, session_length: int | None) -> Curriculum:
    """Read the function that makes a task, and the trials and sessions it is made for."""
    if not callable(make_task):
        raise TypeError(
            "stimuli should be a table (DataFrame), or a function that makes a task, "
            f"(session_start, random_state=...) -> Task; got {type(make_task).__name__}."
        )
    if n_trials is None:
        raise ValueError("With a task, say how many trials an animal does: n_trials=...")
    length = SESSION_LENGTH if session_length is None else session_length
    return Curriculum(
        make_task,
        check_scalar(n_trials, "n_trials", numbers.Integral, min_val=1),
        check_scalar(length, "session_length", numbers.Integral, min_val=1),
    )


def numbered(name: Any, n: int) -> pd.Index:
    """Return name_1 to name_n, numbers of one width."""
    return pd.Index([f"{name}_{i:0{len(str(n))}d}" for i in range(1, n + 1)])
