"""What each choice would have earned on every trial, as far as the animals' own choices tell."""

from __future__ import annotations

import numpy as np

from ..data.sequences import Fields
from ..utils.arrays import Floats, Ints

N_NEAR = 10  # one alone would pay the same time and again to who stays with it


def payoffs_nearby(trials: Fields, n_choices: int) -> Floats:
    """Return what each choice earned on the nearest trials on which it was made, (N, T, C, 10).

    Those are of the same sequence, so that arms may pay differently there, and drift. What an
    animal never chose earns there what it earned others about that trial, and what nobody chose, 0.

    Parameters
    ----------
    trials : Fields of shape (N, T)
    n_choices : int
        C.
    """
    told = trials.told
    payoffs = np.zeros((*told.shape, n_choices, N_NEAR))
    for choice in range(n_choices):
        chosen = told & (trials.choice == choice)
        sequence, place = np.nonzero(chosen)
        order = np.argsort(place, kind="stable")
        by_all = place[order], trials.reward[sequence, place][order]
        for n, own in enumerate(chosen):
            places, earned = np.flatnonzero(own), trials.reward[n, own]
            if not len(places):
                places, earned = by_all
            if len(places):
                payoffs[n, :, choice] = _nearest(places, earned, told.shape[1])
    return payoffs


def _nearest(places: Ints, values: Floats, length: int) -> Floats:
    """Return the values at the ten places, in order, nearest to 0, 1, ... length - 1.

    (length, 10); of fewer places some more than once.
    """
    n = min(N_NEAR, len(places))
    # Of n + 1 places in a row, the first is farther from t than the last if their sum is below 2 t.
    first = np.searchsorted(places[:-n] + places[n:], 2 * np.arange(length))
    return values[first[:, None] + np.resize(np.arange(n), N_NEAR)]
