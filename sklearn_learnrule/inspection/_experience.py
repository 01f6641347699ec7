"""What the animals met, the trials whose outcome is known, and histories drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from ..data.schema import OF_CHOICE
from ..data.sequences import NOBODY_KNOWS, read_sequences
from ..data.time_order import count_within
from ..utils.arrays import Bools, Floats, Ints
from ..utils.does_not_apply import DoesNotApply
from ..utils.parameters import check_finite

OWN_COLUMNS = (
    *("fit", "trials_back", "length", "run"),
    *("choice", OF_CHOICE, "reward", "correct", "answer", "n_trials", "n_subjects"),
)
SLIP = 0.1  # an answer that so few of the trials with a stimulus have


@dataclass(frozen=True)
class Experience:
    """The trials of X whose outcome is known, sequence after sequence; n of them."""

    stimuli: pd.DataFrame  # (n, S) in X's units
    subject: Ints  # (n,)
    place: Ints  # (n,) number within its sequence, which ends with the subject or at a restart
    choice: Ints  # (n,) 0, 1, ... C - 1
    reward: Floats  # (n,)
    answer: Ints  # (n,) the correct choice; of C > 2 choices -1 where nobody knows it
    labels: Sequence[str] = ("first", "second")  # of the C choices

    @property
    def n_choices(self) -> int:
        return len(self.labels)

    @property
    def stimulus_names(self) -> list[str]:
        return [str(name) for name in self.stimuli]

    @property
    def correct(self) -> Bools:
        return self.choice == self.answer

    def rewarded(self, above: float) -> Bools:
        """Return which trials earned more than that, (n,).

        Raises
        ------
        DoesNotApply
            If all did, or none.
        """
        check_finite(above, "rewarded_above")
        rewarded = self.reward > above
        if rewarded.all() or not rewarded.any():
            raise DoesNotApply(
                f"{'Every' if rewarded.all() else 'No'} trial earned more than {above:g}, so "
                "rewarded and unrewarded ones cannot be compared",
                "give another bound, rewarded_above",
            )
        return rewarded

    def answer_shares(self, stimuli: pd.DataFrame) -> Floats:
        """Return how often each choice is correct on the stimuli met nearest to these, (P, C).

        Nearest of those with the same signs, so that 0, where either choice may be correct, says
        nothing of what is beside it. For signs that no stimulus met has, the nearest of each of
        the most similar signs count together, by the stimulus at which a choice is correct most
        often: a 0 between two sides may be either. Where no answer is known, each may be correct.
        Where nothing is shown, all trials are of one stimulus.
        """
        met, to_ask = (
            table.to_numpy() if self.stimulus_names else np.zeros((len(table), 1))
            for table in (self.stimuli, stimuli)
        )
        width = met.std(0)
        width[width == 0] = 1
        known, which = np.unique(met / width, axis=0, return_inverse=True)
        counts = np.zeros((len(known), self.n_choices))
        told = self.answer > NOBODY_KNOWS
        np.add.at(counts, (which.ravel()[told], self.answer[told].astype(int)), 1)
        total = counts.sum(1, keepdims=True)
        known_shares = np.where(total > 0, counts / np.maximum(total, 1), 1.0)  # (U, C)
        asked = to_ask / width  # (P, S)
        signs, group = np.unique(np.sign(known), axis=0, return_inverse=True)  # (G, S), (U,)
        differ = np.abs(np.sign(asked)[:, None] - signs).sum(-1)  # (P, G)
        similar = differ == differ.min(1, keepdims=True)
        shares = np.zeros((len(asked), self.n_choices))
        for g in np.flatnonzero(similar.any(0)):
            alike, asks = group.ravel() == g, similar[:, g]
            nearest = KDTree(known[alike]).query(asked[asks])[1]
            shares[asks] = np.maximum(shares[asks], known_shares[alike][nearest])
        return shares


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
        choice=trials.choice[seen].astype(int),
        reward=trials.reward[seen],
        answer=trials.answer[seen].astype(int),
        **({"labels": sequences.choice_labels} if sequences.choice_labels else {}),
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
    experience: Experience,
    rewarded_above: float,
    n_trials: int,
    n_draws: int,
    rng: np.random.RandomState,
) -> tuple[Ints, Bools]:
    """Draw a trial for each place in every sequence of choices and outcomes, ``n_draws`` times.

    Outcomes are two, rewarded or not.

    Returns
    -------
    rows : ndarray of shape (H, n_trials)
        Rows of ``experience``; H = n_draws * (2 C)**n_trials, one draw of all sequences after
        another.
    rewarded : bool ndarray of shape (H, n_trials)
    """
    rewarded = experience.rewarded(rewarded_above)
    kinds = list(product(range(experience.n_choices), [False, True]))
    kind = np.tile(list(product(range(len(kinds)), repeat=n_trials)), (n_draws, 1))
    rows = np.empty_like(kind)
    for number, (choice, won) in enumerate(kinds):
        pool = np.flatnonzero((experience.choice == choice) & (rewarded == won))
        if not len(pool):
            raise ValueError(
                "Histories are made of rewarded and unrewarded trials with "
                f"{'either' if experience.n_choices == 2 else 'each'} choice, but X has no "
                f"{'' if won else 'un'}rewarded one with the {experience.labels[choice]} "
                "choice."
            )
        here = kind == number
        rows[here] = rng.choice(pool, here.sum())
    return rows, kind % 2 == 1


def draw_fillers(
    experience: Experience, n_trials: int, n_draws: int, n_repeats: int, rng: np.random.RandomState
) -> Ints:
    """Return rows drawn from all trials, each draw for ``n_repeats`` histories in a row."""
    return rng.randint(len(experience.choice), size=(n_draws, n_trials)).repeat(n_repeats, axis=0)
