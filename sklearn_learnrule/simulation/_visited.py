"""Where animals have been, by which it is told whether twins leave that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.spatial import KDTree

from ..data.sequences import subjects_of
from ..utils.arrays import Bools, Floats, Ints
from ._learning import Simulation
from ._twins import Twin

N_STATES = 10_000  # of animals, drawn at random: more would tell little and take long
N_ASKED = 20_000  # of twins
RARE = 0.01  # of an animal's states, the share that is called far from the others'
SAME = 1e-3  # standard deviations that make no difference


@dataclass(frozen=True)
class Cloud:
    """Points of several animals, and how far from the nearest is far.

    That is farther than all but 1% of an animal's points lie from the nearest of another's, by the
    median animal, in standard deviations of each column.
    """

    nearest: KDTree  # of points (n, D), in units of scale
    scale: Floats  # (D,)
    far: float

    @classmethod
    def of_animals(cls, points: Floats, subject: Ints) -> Cloud:
        """Read points (n, D), and whose each is, (n,); there are two animals or more."""
        std, largest = points.std(0), np.abs(points).max(0)
        scale = np.where(std > SAME * largest, std, 1.0)
        points = points / scale
        of_each = [
            np.quantile(_tree(points[subject != one]).query(points[subject == one])[0], 1 - RARE)
            for one in np.unique(subject)
        ]
        return cls(_tree(points), scale, max(float(np.median(of_each)), SAME))

    def is_far(self, points: Floats) -> Bools:
        """Tell which of some points (n, D) are far, (n,)."""
        return self.nearest.query(points / self.scale)[0] > self.far


@dataclass(frozen=True)
class VisitedStates:
    """States that animals visited: weights of the policy together with the stimuli shown then.

    One is outside that is far from these, or whose stimulus is beyond all that were shown.
    """

    states: Cloud
    lowest: Floats  # (S,) of stimuli
    highest: Floats

    @classmethod
    def of_animals(cls, twin: Twin, X: pd.DataFrame) -> VisitedStates:
        """Read the states of X's animals, two or more, as a fit sees them.

        With process noise, nobody knows the weights: they are drawn where choices let expect them.
        """
        subject, animals = pd.factorize(subjects_of(X))
        if len(animals) < 2:
            raise ValueError(
                "X should have two animals or more, whose states tell how far apart they usually "
                f"lie, but has {len(animals)}: without the check of what twins visit, X=None."
            )
        rng = np.random.RandomState(0)
        weights, stimulus = _weights(twin, X, rng), X[twin.stimuli].to_numpy(dtype=float)
        drawn = rng.permutation(len(X))[:N_STATES]
        states = _join(twin, weights[drawn], stimulus[drawn])
        slack = SAME * stimulus.std(0)
        lowest, highest = stimulus.min(0) - slack, stimulus.max(0) + slack
        return cls(Cloud.of_animals(states, subject[drawn]), lowest, highest)

    def share_outside(self, twin: Twin, simulation: Simulation) -> Floats:
        """Return the share of each twin's trials, (N,), of which many are asked at random."""
        n_subjects, n_trials = simulation.choice.shape
        n_each = max(1, N_ASKED // n_subjects)
        asked = np.random.RandomState(0).permutation(n_trials)[:n_each]
        n_rows = n_subjects * len(asked)
        weights = simulation.weights[:, asked].reshape(n_rows, -1)
        stimulus = simulation.stimulus[:, asked].reshape(n_rows, -1)
        beyond = ((stimulus < self.lowest) | (stimulus > self.highest)).any(1)
        outside = beyond | self.states.is_far(_join(twin, weights, stimulus))
        return outside.reshape(n_subjects, -1).mean(1)


def _tree(points: Floats) -> KDTree:
    return KDTree(np.unique(points, axis=0))


def _weights(twin: Twin, X: pd.DataFrame, rng: np.random.RandomState) -> Floats:
    """Return the animals' weights before each choice, (n, (C - 1) K)."""
    seen = twin.transform(X)
    if not hasattr(twin.estimator, "process_noise_"):
        return twin.estimator.predict_weights(seen).to_numpy()
    mean, std = twin.estimator.predict_weights(seen, return_std=True)
    return rng.normal(mean.to_numpy(), std.to_numpy())


def _join(twin: Twin, weights: Floats, stimulus: Floats) -> Floats:
    """Return weights and stimuli as states, (n, D), that hang on no first choice."""
    of_each = twin.rules[0].policy.of_each(torch.tensor(weights))
    return np.column_stack([of_each.numpy(), stimulus])
