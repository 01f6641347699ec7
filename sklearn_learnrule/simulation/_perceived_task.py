"""What an estimator sees of a task: X's rows, behind its pipeline's transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..data.schema import DESIGN, HISTORY, IDENTITY
from ..utils.arrays import Bools, Floats
from ._experiment import Experiment, ReplayTask


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
        self.history = [np.zeros((self.shape[0], len(HISTORY)))]  # T + 1 of (N, 3)
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
        stimuli, history = np.stack(self.shown[-2:], 1), np.stack(self.history[-2:], 1)
        return self._transform(stimuli, history, max(0, trial - 1))[:, -1], self.answer

    def reward(self, trial: int, correct: Bools) -> Floats:
        """Return what the task pays, (N,)."""
        reward = np.asarray(self.experiment.task.reward(trial, correct), dtype=float)
        if reward.shape != correct.shape or not np.isfinite(reward).all():
            raise ValueError(
                "Rewards should be a finite number for each choice, an array of shape "
                f"{correct.shape}, but are of shape {reward.shape}: {reward.ravel()[:4].tolist()}."
            )
        choice = np.where(correct, self.answer, ~self.answer)
        self.history.append(np.column_stack([2 * choice - 1, reward, 2 * self.answer - 1]))
        return reward

    def check_transformers(self, features: Floats) -> None:
        """Raise if the features, (N, T, K - 1), are not those of the X of all that happened."""
        n_trials = int(self.experiment.happened[0].sum())  # of the first subject
        stimulus = np.stack(self.shown[:n_trials], 1)[:1]
        history = np.stack(self.history[:n_trials], 1)[:1]
        whole = self._transform(stimulus, history)[0]  # (T, K - 1)
        same = np.asarray(np.isclose(whole, features[0, :n_trials])).all(-1)
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
        stimulus = task.stimulus  # (N, T, S)
        rng = np.random.RandomState(0)
        one, other = (
            self._transform(stimulus, rng.choice([-1.0, 1.0], (*stimulus.shape[:2], len(HISTORY))))
            for _ in range(2)
        )
        return one if np.array_equal(one, other) else None

    def _transform(self, stimulus: Floats, history: Floats, start: int = 0) -> Floats:
        """Return the features, (N, T, K - 1), of T trials of the first N subjects."""
        n_subjects, n_trials = stimulus.shape[:2]
        X = self.transformers.transform(self._rows(stimulus, history, start))
        return X[DESIGN.stimuli(X)].to_numpy(dtype=float).reshape(n_subjects, n_trials, -1)

    def _rows(self, stimulus: Floats, history: Floats, start: int) -> pd.DataFrame:
        """Return the rows of X that hold these stimuli, (N, T, S), and history, (N, T, 3)."""
        n_subjects, n_trials = stimulus.shape[:2]
        trial = np.arange(start, start + n_trials)
        names: Any = (self.experiment.subjects, self.experiment.session_names, trial)
        places: Any = (
            np.arange(n_subjects).repeat(n_trials),
            self.experiment.session[:n_subjects, trial].ravel(),
            np.tile(trial - start, n_subjects),
        )
        index = pd.MultiIndex(names, places, names=IDENTITY, verify_integrity=False)
        values = np.concatenate([stimulus, history], -1).reshape(n_subjects * n_trials, -1)
        X = pd.DataFrame(values, columns=[*self.stimuli, *HISTORY], index=index)
        for name in set(IDENTITY) & set(self.columns):
            X[name] = index.get_level_values(name)
        for name in DESIGN.covariates(self.columns):
            X[name] = self.experiment.covariate(name)[:n_subjects].repeat(n_trials)
        return X[self.columns]
