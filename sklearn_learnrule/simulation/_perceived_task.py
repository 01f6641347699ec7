"""What an estimator sees of a task: X's rows, behind its pipeline's transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..data.schema import DESIGN, HISTORY, IDENTITY, MISSES, RESTART, REWARD_KNOWN
from ..utils.arrays import Bools, Floats, Ints
from ._experiment import Experiment, ReplayTask

IS_COUNT = np.isin(HISTORY, [REWARD_KNOWN, MISSES])  # which are 0 or more, not of either sign


class PerceivedTask:
    """A task whose stimuli are checked, noted down, and transformed for the rule.

    ``columns`` are those of the X that the estimator was fitted to.
    """

    def __init__(self, experiment: Experiment, columns: list[str], transformers: Any) -> None:
        self.experiment = experiment
        self.columns = columns
        self.stimuli = DESIGN.stimuli(columns)
        self.transformers = transformers
        self.shape = (len(experiment.subjects), len(self.stimuli))  # (N, S)
        self.shown: list[Floats] = []  # T of (N, S)
        self.history = [np.zeros((self.shape[0], len(HISTORY)))]  # T + 1 of (N, H)
        self._seen = self.shown, self.history
        self.animal, self.animals = pd.factorize(experiment.subjects)  # of each sequence: (N,)
        self.first_trial = _counts_before(self.animal, experiment.happened.sum(1))  # (N,)
        self.features = None if transformers is None else self._features_known_beforehand()

    def show(self, trial: int) -> tuple[Floats, Bools]:
        """Return what the rule sees of the stimuli, (N, K - 1), and the correct choices."""
        shown, answer = self.experiment.task.show(trial)
        stimulus, self.answer = np.asarray(shown, dtype=float), np.asarray(answer, dtype=bool)
        if stimulus.shape != self.shape or self.answer.shape != self.shape[:1]:
            raise ValueError(
                f"The task should show the stimuli {self.stimuli} that the estimator was fitted "
                f"with, an array of shape {self.shape}, and correct choices {self.shape[:1]}, but "
                f"showed {stimulus.shape} and {self.answer.shape}."
            )
        self.shown.append(stimulus)
        if self.transformers is None:
            return stimulus, self.answer
        if self.features is not None:
            return self.features[:, trial], self.answer
        latest = np.arange(trial + 1)[-2:]
        rows = np.repeat(np.arange(len(stimulus)), len(latest)), np.tile(latest, len(stimulus))
        both = (np.stack(seen[-2:], 1).reshape(len(rows[0]), -1) for seen in self._seen)
        return self._transform(rows, *both)[len(latest) - 1 :: len(latest)], self.answer

    def reward(self, trial: int, correct: Bools) -> Floats:
        """Return what the task pays, (N,)."""
        told = self.experiment
        reward = np.asarray(told.task.reward(trial, correct), dtype=float)
        if reward.shape != correct.shape or not np.isfinite(reward).all():
            raise ValueError(
                "Rewards should be a finite number for each choice, an array of shape "
                f"{correct.shape}, but are of shape {reward.shape}: {reward.ravel()[:4].tolist()}."
            )
        choice = np.where(correct, self.answer, ~self.answer)
        known = np.ones(len(correct)) if told.reward_known is None else told.reward_known[:, trial]
        after: Any = np.zeros(len(correct))
        if told.misses is not None and trial + 1 < told.misses.shape[1]:
            after = told.misses[:, trial + 1]
        sides = 2 * choice - 1, reward * known, 2 * self.answer - 1
        self.history.append(np.column_stack([*sides, known, after]))
        return reward

    def check_transformers(self, features: Floats) -> None:
        """Raise if the features, (N, T, K - 1), are not those of the X of all that happened."""
        of_first = self.experiment.happened[self.animal == 0]
        rows = np.nonzero(of_first)
        stimulus, history = (np.stack(seen[: of_first.shape[1]], 1) for seen in self._seen)
        whole = self._transform(rows, stimulus[rows], history[rows])
        same = np.asarray(np.isclose(whole, features[rows])).all(-1)
        if not same.all():
            raise ValueError(
                "The pipeline's transformers make something else of a whole X than of its trials "
                f"as they come, two at a time (first on trial {np.argmin(same)}): they cannot "
                "serve a twin. Let them look back one trial at most."
            )

    def _features_known_beforehand(self) -> Floats | None:
        """Return all features, (N, T, K - 1), if stimuli are known and history is not used."""
        task = self.experiment.task
        if not isinstance(task, ReplayTask):
            return None
        rows = np.nonzero(self.experiment.happened)
        drawn = np.random.RandomState(0).choice([-1.0, 1.0], (2, len(rows[0]), len(HISTORY)))
        drawn[..., IS_COUNT] = drawn[..., IS_COUNT] > 0
        one, other = (self._transform(rows, task.stimulus[rows], history) for history in drawn)
        if not np.array_equal(one, other):
            return None
        features = np.zeros((*self.experiment.happened.shape, one.shape[-1]))
        features[rows] = one
        return features

    def _transform(self, rows: tuple[Ints, ...], stimulus: Floats, history: Floats) -> Floats:
        """Return the features, (n_rows, K - 1), of such rows of X: see :meth:`_X`."""
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
            np.column_stack([stimulus, history]), index, columns=[*self.stimuli, *HISTORY]
        )
        for name in DESIGN.covariates(self.columns):
            X[name] = told.covariate(name)[sequence]
        return with_identity(X, self.columns)[self.columns]


def _counts_before(group: Ints, count: Ints) -> Ints:
    """Return of each count the sum of those before it in its group."""
    return np.asarray(pd.Series(count).groupby(group).cumsum()) - count


def with_identity(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Give X the columns of identity that are among these, 0 where its index does not know one."""
    for name in set(IDENTITY) & set(columns):
        X[name] = X.index.get_level_values(name) if name in X.index.names else 0
    return X
