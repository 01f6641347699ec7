"""What an estimator sees of a task: X's rows, behind its pipeline's transformers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ..data.schema import (
    ANSWER_WAS,
    CHOICE_WAS,
    DESIGN,
    IDENTITY,
    MISSES,
    PREVIOUS_ANSWER,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    RESTART,
    REWARD_KNOWN,
    of_labels,
)
from ..data.tables import label_texts
from ..preprocessing import Columns
from ..rules import Trial
from ..utils.arrays import Floats, Ints
from ._experiment import Experiment, ReplayTask
from ._learning import Choices, reward_of


class PerceivedTask:
    """A task whose stimuli are checked, noted down, and transformed for the rule.

    ``columns`` are those of the X that the estimator was fitted to, ``classes`` its labels, (C,).
    """

    def __init__(
        self,
        experiment: Experiment,
        columns: list[str],
        classes: NDArray[Any],
        transformers: Any,
    ) -> None:
        self.experiment = experiment
        self.columns = columns
        self.classes = classes
        self.stimuli = DESIGN.stimuli(columns)
        self.transformers = transformers
        self.shape = (len(experiment.subjects), len(self.stimuli))  # (N, S)
        self.shown: list[Floats] = []  # T of (N, S)
        self.answer: Choices = np.zeros(self.shape[0], dtype=bool)  # of the latest trial
        self.history = [np.zeros((self.shape[0], len(self._history_columns)))]  # T + 1 of (N, H)
        self._seen = self.shown, self.history
        self.animal, self.animals = pd.factorize(experiment.subjects)  # of each sequence: (N,)
        self.first_trial = _counts_before(self.animal, experiment.happened.sum(1))  # (N,)
        self.quick_steps = quick_steps(transformers, columns)
        self.made: list[Columns] = []  # of the latest trial, before and after each of these
        self.n_trials_back = count_trials_back(transformers)
        self.features = None if transformers is None else self._features_known_beforehand()

    def show(self, trial: int) -> tuple[Floats, Choices]:
        """Return what the rule sees of the stimuli, (N, K - 1), and the correct choices."""
        shown, told = self.experiment.task.show(trial)
        stimulus, answer = np.asarray(shown, dtype=float), np.asarray(told)
        if stimulus.shape != self.shape or answer.shape != self.shape[:1]:
            raise ValueError(
                f"The task should show the stimuli {self.stimuli} that the estimator was fitted "
                f"with, an array of shape {self.shape}, and correct choices {self.shape[:1]}, but "
                f"showed {stimulus.shape} and {answer.shape}."
            )
        self.shown.append(stimulus)
        self.answer = answer
        if self.transformers is None:
            return stimulus, answer
        if self.features is not None:
            return self.features[:, trial], answer
        if self.quick_steps and all(hasattr(step, "transform_next") for step in self.quick_steps):
            return self._transform_next(), answer
        latest = np.arange(trial + 1)[-1 - self.n_trials_back :]
        rows = np.repeat(np.arange(len(stimulus)), len(latest)), np.tile(latest, len(stimulus))
        both = (np.stack(seen[-len(latest) :], 1).reshape(len(rows[0]), -1) for seen in self._seen)
        return self._transform(rows, *both)[len(latest) - 1 :: len(latest)], answer

    def reward_of_choice(self, trial: int, choice: Choices) -> Floats:
        """Return what the task pays, (N,)."""
        paid = reward_of(self.experiment.task, trial, choice, self.answer)
        reward = np.asarray(paid, dtype=float)
        if reward.shape != choice.shape or not np.isfinite(reward).all():
            raise ValueError(
                "Rewards should be a finite number for each choice, an array of shape "
                f"{choice.shape}, but are of shape {reward.shape}: {reward.ravel()[:4].tolist()}."
            )
        return reward

    def note(self, trial: Trial) -> None:
        """Note a trial down as the next row of X has it."""
        told = (trial.choice, trial.reward, trial.answer, trial.reward_known, trial.misses)
        self.history.append(self._history(*(values.numpy() for values in told)))

    @property
    def _history_columns(self) -> list[str]:
        choice, answer = [PREVIOUS_CHOICE], [PREVIOUS_ANSWER]
        if len(self.classes) > 2:
            texts = label_texts(self.classes)
            choice, answer = (of_labels(stem, texts) for stem in (CHOICE_WAS, ANSWER_WAS))
        return [*choice, PREVIOUS_REWARD, *answer, REWARD_KNOWN, MISSES]

    def _history(
        self, choice: Floats, reward: Floats, answer: Floats, known: Floats, misses: Floats
    ) -> Floats:
        """Return what the next row of X tells of a trial, (n, H)."""
        sides = (2 * values[:, None] - 1 for values in (choice, answer))
        if len(self.classes) > 2:
            classes = np.arange(len(self.classes))
            sides = (values[:, None] == classes for values in (choice, answer))
        was_chosen, was_correct = sides
        return np.column_stack([was_chosen, reward, was_correct, known, misses])

    def check_transformers(self, features: Floats) -> None:
        """Raise if the features, (N, T, K - 1), are not those of the X of all that happened."""
        longest = np.argmax(self.experiment.happened.sum(1))
        rows = np.nonzero(self.experiment.happened & (self.animal == self.animal[longest])[:, None])
        stimulus, history = (np.stack(seen[: features.shape[1]], 1) for seen in self._seen)
        whole = self._transform_X(rows, stimulus[rows], history[rows])
        same = np.asarray(np.isclose(whole, features[rows])).all(-1)
        if not same.all():
            raise ValueError(
                "The pipeline's transformers make something else of a whole X than of its trials "
                f"as they come, {self.n_trials_back + 1} at a time (first on trial "
                f"{np.argmin(same)}): they cannot serve a twin. Let them look back one trial at "
                "most, or have an attribute n_trials_back that says how many."
            )

    def _features_known_beforehand(self) -> Floats | None:
        """Return all features, (N, T, K - 1), if stimuli are known and history is not used."""
        task = self.experiment.task
        if not isinstance(task, ReplayTask):
            return None
        rows = np.nonzero(self.experiment.happened)
        drawn = np.random.RandomState(0).randint(len(self.classes), size=(2, 3, len(rows[0])))
        coins = np.random.RandomState(1).randint(2, size=(2, 2, len(rows[0])))
        histories = (self._history(*told, *coin) for told, coin in zip(drawn, coins, strict=True))
        one, other = (self._transform(rows, task.stimulus[rows], each) for each in histories)
        if not np.array_equal(one, other):
            return None
        features = np.zeros((*self.experiment.happened.shape, one.shape[-1]))
        features[rows] = one
        return features

    def _transform(self, rows: tuple[Ints, ...], stimulus: Floats, history: Floats) -> Floats:
        """Return the features, (n_rows, K - 1), of such rows of X: see :meth:`_X`."""
        if self.quick_steps:
            columns = self._columns(stimulus, history)
            for step in self.quick_steps:
                columns = step.transform_columns(columns, rows[0])
            return _features(columns)
        return self._transform_X(rows, stimulus, history)

    def _transform_next(self) -> Floats:
        """Return the latest trial's features, (N, K - 1), from what was made of the one before."""
        last, self.made = self.made, [self._columns(self.shown[-1], self.history[-1])]
        for place, step in enumerate(self.quick_steps):
            before = last[place : place + 2] or None
            self.made.append(step.transform_next(self.made[-1], before))
        return _features(self.made[-1])

    def _columns(self, stimulus: Floats, history: Floats) -> Columns:
        """Return those of X's columns that steps read, (n_rows,) each."""
        names = [*self.stimuli, *self._history_columns]
        told = dict(zip(names, [*stimulus.T, *history.T], strict=True))
        return {name: told[name] for name in names if name in self.columns}

    def _transform_X(self, rows: tuple[Ints, ...], stimulus: Floats, history: Floats) -> Floats:
        X = self.transformers.transform(self._X(rows, stimulus, history))
        return X[DESIGN.stimuli(X)].to_numpy(dtype=float)

    def _X(self, rows: tuple[Ints, ...], stimulus: Floats, history: Floats) -> pd.DataFrame:
        """Return the rows of X of some trials, given by sequence and place in it, (n_rows,).

        Their stimuli are (n_rows, S), their history is (n_rows, H).
        """
        (sequence, place), told = rows, self.experiment
        trial = self.first_trial[sequence] + place
        levels = {
            "subject": (self.animals, self.animal[sequence]),
            "session": (told.session_names, told.session[sequence, place]),
            "trial": (pd.RangeIndex(trial.max() + 1), trial),
        }
        if told.restart is not None:
            levels[RESTART] = (pd.RangeIndex(told.restart.max() + 1), told.restart[sequence])
        names = [name for name in IDENTITY if name in levels]
        values, codes = zip(*(levels[name] for name in names), strict=True)
        index: Any = pd.MultiIndex(values, codes, names=names, verify_integrity=False)
        X = pd.DataFrame(
            np.column_stack([stimulus, history]),
            index,
            columns=[*self.stimuli, *self._history_columns],
        )
        for name in DESIGN.covariates(self.columns):
            X[name] = told.covariate(name)[sequence]
        return with_identity(X, self.columns)[self.columns]


def _features(columns: Columns) -> Floats:
    """Return the policy's columns as an array, (n_rows, K - 1)."""
    return np.column_stack([columns[name] for name in DESIGN.stimuli(columns)])


def quick_steps(transformers: Any, columns: list[str]) -> list[Any]:
    """Return the steps of a pipeline if all can do without a table: one a trial takes its time.

    None can where identity is among X's columns.
    """
    if set(IDENTITY).intersection(columns):
        return []
    steps = steps_of(transformers)
    return steps if all(hasattr(step, "transform_columns") for step in steps) else []


def steps_of(transformers: Any) -> list[Any]:
    """Return the steps of a pipeline and of those within it, if there are any."""
    if not isinstance(transformers, Pipeline):
        return [] if transformers is None else [transformers]
    return [step for part in transformers for step in steps_of(part)]


def count_trials_back(transformers: Any) -> int:
    """Return how many trials back a pipeline's steps look, each at what the one before it made."""
    total = 0
    for step in steps_of(transformers):
        back = getattr(step, "n_trials_back", 1)
        if not isinstance(back, Integral) or back < 0:
            raise ValueError(
                f"{type(step).__name__}.n_trials_back should be a whole number, 0 or more, got "
                f"{back!r}."
            )
        total += int(back)
    return total


def _counts_before(group: Ints, count: Ints) -> Ints:
    """Return of each count the sum of those before it in its group."""
    return np.asarray(pd.Series(count).groupby(group).cumsum()) - count


def with_identity(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Give X the columns of identity that are among these, 0 where its index does not know one."""
    for name in set(IDENTITY) & set(columns):
        X[name] = X.index.get_level_values(name) if name in X.index.names else 0
    return X
