"""What the animals met, the trials whose outcome is known, and histories drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from ..data.sequences import read_sequences
from ..data.time_order import count_within
from ..utils.arrays import Bools, Floats, Ints

OWN_COLUMNS = (
    *("fit", "trials_back", "length", "run"),
    *("choice", "reward", "correct", "answer", "n_trials", "n_subjects"),
)
SLIP = 0.1


@dataclass(frozen=True)
class Experience:
    """The trials of X whose outcome is known, sequence after sequence; n of them."""

    stimuli: pd.DataFrame  # (n, S) in X's units
    subject: Ints  # (n,)
    place: Ints  # (n,) number within its sequence, which ends with the subject or at a restart
    choice: Bools  # (n,)
    reward: Floats  # (n,)
    answer: Bools  # (n,) the correct choice

    @property
    def stimulus_names(self) -> list[str]:
        return [str(name) for name in self.stimuli]

    @property
    def correct(self) -> Bools:
        return self.choice == self.answer

    @property
    def rewarded(self) -> Bools:
        return self.reward > 0

    def correct_sides(self, stimuli: pd.DataFrame) -> Bools:
        """Return which choices are ever correct on the stimuli met nearest to these, (P, 2).

        Nearest of those with the same signs, so that 0, where either choice may be correct, says
        nothing of what is beside it. For signs that no stimulus met has, the nearest of each of
        the most similar signs count together: a 0 between two sides may be either. An answer that
        at most a tenth of the trials with a stimulus have counts as a slip.
        """
        width = self.stimuli.to_numpy().std(0)
        width[width == 0] = 1
        known, which = np.unique(self.stimuli.to_numpy() / width, axis=0, return_inverse=True)
        second = np.bincount(which.ravel(), self.answer) / np.bincount(which.ravel())  # (U,)
        known_sides = np.column_stack([second < 1 - SLIP, second > SLIP])  # (U, 2)
        asked = stimuli.to_numpy() / width  # (P, S)
        signs, group = np.unique(np.sign(known), axis=0, return_inverse=True)  # (G, S), (U,)
        differ = np.abs(np.sign(asked)[:, None] - signs).sum(-1)  # (P, G)
        similar = differ == differ.min(1, keepdims=True)
        sides = np.zeros((len(asked), 2), dtype=bool)
        for g in np.flatnonzero(similar.any(0)):
            alike, asks = group.ravel() == g, similar[:, g]
            nearest = KDTree(known[alike]).query(asked[asks])[1]
            sides[asks] |= known_sides[alike][nearest]
        return sides


def read_experience(X: pd.DataFrame, weight_names: Sequence[str]) -> Experience:
    """Read the trials of X whose outcome is known, for tables with columns of these weights."""
    sequences = read_sequences(X)
    trials = sequences.padded
    seen = trials.told
    if not seen.any():
        raise ValueError("X holds no trial whose outcome is known: give at least two of a subject.")
    names = sequences.feature_names[:-1]
    if clash := [name for name in names if name not in X.columns]:
        raise ValueError(
            f"Stimulus columns should be named by a str, not by {clash[0]}: rename it."
        )
    columns = [f"{kind}_{name}" for name in weight_names for kind in ("weight", "update")]
    check_not_own(names, (*OWN_COLUMNS, *columns))
    sequence, _ = np.nonzero(seen)
    return Experience(
        stimuli=pd.DataFrame(trials.features[seen][:, :-1], columns=pd.Index(names)),
        subject=sequences.sequence_subject[sequence],
        place=count_within(sequence),
        choice=trials.choice[seen] > 0,
        reward=trials.reward[seen],
        answer=trials.answer[seen] > 0,
    )


def check_not_own(names: Sequence[Any], own: Sequence[str]) -> None:
    """Raise for a column of the user's that is called as one of the table's own."""
    if clash := [name for name in names if name in own]:
        raise ValueError(f"The table has a column {clash[0]!r} of its own: rename yours.")


def draw_windows(
    experience: Experience, n_windows: int, n_trials: int, rng: np.random.RandomState
) -> Ints:
    """Return the rows of stretches of trials as they happened, (H, L)."""
    n_trials = min(n_trials, experience.place.max() + 1)
    last = rng.choice(np.flatnonzero(experience.place >= n_trials - 1), n_windows)
    return last[:, None] + np.arange(1 - n_trials, 1)


def draw_sequences(
    experience: Experience, n_trials: int, n_draws: int, rng: np.random.RandomState
) -> tuple[Ints, Bools]:
    """Draw a trial for each place in every sequence of choices and outcomes, ``n_draws`` times.

    Returns
    -------
    rows : ndarray of shape (H, n_trials)
        Rows of ``experience``; H = n_draws * 4**n_trials, one draw of all sequences after another.
    rewarded : bool ndarray of shape (H, n_trials)
    """
    kind = np.tile(list(product(range(4), repeat=n_trials)), (n_draws, 1))  # (H, n_trials)
    rows = np.empty_like(kind)
    for number, (choice, rewarded) in enumerate(product([False, True], repeat=2)):
        pool = np.flatnonzero((experience.choice == choice) & (experience.rewarded == rewarded))
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
    experience: Experience, n_trials: int, n_draws: int, n_repeats: int, rng: np.random.RandomState
) -> Ints:
    """Return rows drawn from all trials, each draw for ``n_repeats`` histories in a row."""
    return rng.randint(len(experience.choice), size=(n_draws, n_trials)).repeat(n_repeats, axis=0)
