"""The trials that animals lived through, and histories drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .._sequences import Ints, read_sequences

RESERVED = ("fit", "choice", "reward", "correct", "answer")
SLIP = 0.1


@dataclass(frozen=True)
class Lived:
    """The trials of X whose outcome is known, subject after subject; n of them."""

    stimuli: pd.DataFrame  # (n, S) in X's units
    subject: Ints  # (n,)
    trial: Ints  # (n,) number within the subject
    choice: NDArray[np.bool_]  # (n,)
    reward: NDArray[np.float64]  # (n,)
    answer: NDArray[np.bool_]  # (n,) the correct choice

    @property
    def stimulus_names(self) -> list[str]:
        return [str(name) for name in self.stimuli]

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.choice == self.answer

    @property
    def rewarded(self) -> NDArray[np.bool_]:
        return self.reward > 0

    def correct_sides(self, stimuli: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which choices are ever correct on the lived stimuli nearest to these, (P, 2).

        An answer that less than a tenth of the trials with a stimulus have counts as a slip.
        """
        width = self.stimuli.to_numpy().std(0)
        width[width == 0] = 1
        known, which = np.unique(self.stimuli.to_numpy() / width, axis=0, return_inverse=True)
        second = np.bincount(which.ravel(), self.answer) / np.bincount(which.ravel())
        share = second[KDTree(known).query(stimuli.to_numpy() / width)[1]]
        return np.column_stack([share < 1 - SLIP, share > SLIP])


def read_lived(X: pd.DataFrame) -> Lived:
    """Read the trials of X whose outcome is known."""
    sequences = read_sequences(X)
    seen = sequences.observed
    if not seen.any():
        raise ValueError("X holds no trial whose outcome is known: give at least two of a subject.")
    names = sequences.feature_names[:-1]
    if clash := [name for name in names if name in RESERVED or name not in X.columns]:
        raise ValueError(
            f"Stimulus columns should have names (str) other than {', '.join(RESERVED)}, which the "
            f"tables have themselves, got {clash[0]!r}: rename it."
        )
    subject, trial = np.nonzero(seen)
    return Lived(
        stimuli=pd.DataFrame(sequences.features[seen][:, :-1], columns=pd.Index(names)),
        subject=subject,
        trial=trial,
        choice=sequences.choice[seen] > 0,
        reward=sequences.reward[seen],
        answer=sequences.answer[seen] > 0,
    )


def draw_windows(lived: Lived, n_windows: int, n_trials: int, rng: np.random.RandomState) -> Ints:
    """Return the rows of stretches of trials as they were lived, (H, L)."""
    n_trials = min(n_trials, lived.trial.max() + 1)
    last = rng.choice(np.flatnonzero(lived.trial >= n_trials - 1), n_windows)
    return last[:, None] + np.arange(1 - n_trials, 1)


def draw_sequences(
    lived: Lived, n_trials: int, n_draws: int, rng: np.random.RandomState
) -> tuple[Ints, NDArray[np.bool_]]:
    """Draw a trial for each place in every sequence of choices and outcomes, ``n_draws`` times.

    Returns
    -------
    rows : ndarray of shape (H, n_trials)
        Rows of ``lived``; H = n_draws * 4**n_trials, one draw of all sequences after another.
    rewarded : bool ndarray of shape (H, n_trials)
    """
    kind = np.tile(list(product(range(4), repeat=n_trials)), (n_draws, 1))  # (H, n_trials)
    rows = np.empty_like(kind)
    for number, (choice, rewarded) in enumerate(product([False, True], repeat=2)):
        pool = np.flatnonzero((lived.choice == choice) & (lived.rewarded == rewarded))
        if not len(pool):
            raise ValueError(
                "Histories are made of rewarded and unrewarded trials with either choice, but X "
                f"has no {'' if rewarded else 'un'}rewarded one with the "
                f"{'second' if choice else 'first'} choice."
            )
        here = kind == number
        rows[here] = rng.choice(pool, here.sum())
    return rows, kind % 2 == 1


def draw_fillers(
    lived: Lived, n_trials: int, n_draws: int, n_repeats: int, rng: np.random.RandomState
) -> Ints:
    """Return rows drawn from all trials, each draw for ``n_repeats`` histories in a row."""
    return rng.randint(len(lived.choice), size=(n_draws, n_trials)).repeat(n_repeats, axis=0)
