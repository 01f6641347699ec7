"""The policy weights before the first trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit

from ..data.sequences import Sequences
from ..utils.arrays import Bools, Floats

FEW_SUBJECTS = 5  # of fewer, the likelihood's optimum is that all start at the same weights
BROAD_STD = 4.0  # in standard units, so that an easy stimulus alone may give odds of e^8
N_EARLY_TRIALS = 100
CLIP = 0.01


def initial_weights(
    kind: str | Any, sequences: Sequences, is_second: Bools, weight: Floats
) -> Floats:
    """Return the starting weights, (K,): zeros, a psychometric fit, or the array given."""
    n_weights = len(sequences.feature_names)
    if isinstance(kind, str):
        if kind == "zeros":
            return np.zeros(n_weights)
        return psychometric_weights(sequences, is_second, weight)
    given = np.asarray(kind, dtype=float)
    if given.shape != (n_weights,):
        raise ValueError(
            f"initial_weights should be {n_weights} numbers, one for each of "
            f"{sequences.feature_names}, got an array of shape {given.shape}."
        )
    return given.copy()


def psychometric_weights(sequences: Sequences, is_second: Bools, weight: Floats) -> Floats:
    """Fit a psychometric line to the first 100 trials of each sequence (Liu et al. 2025).

    The logit of the share of second choices at each stimulus value, clipped to [.01, .99],
    is regressed on the features by least squares. Choices of weight 0 are not looked at.
    """
    early = (sequences.row_place < N_EARLY_TRIALS) & (weight > 0)
    features = sequences.fields.features[early]  # (n_early, K)
    values, value_of_row = np.unique(features, axis=0, return_inverse=True)
    n_rows = np.bincount(value_of_row.ravel())
    share = np.bincount(value_of_row.ravel(), is_second[early]) / n_rows
    log_odds = logit(np.clip(share, CLIP, 1 - CLIP))
    return np.linalg.lstsq(values, log_odds, rcond=None)[0]
