"""The policy weights before the first trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from ._sequences import Sequences

N_EARLY_TRIALS = 100
CLIP = 0.01


def initial_weights(
    kind: str | Any, sequences: Sequences, is_second: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the starting weights, (K,): zeros, a psychometric fit, or the array given."""
    n_weights = sequences.features.shape[-1]
    if isinstance(kind, str):
        psychometric = kind == "psychometric"
        return psychometric_weights(sequences, is_second) if psychometric else np.zeros(n_weights)
    given = np.asarray(kind, dtype=float)
    if given.shape != (n_weights,):
        raise ValueError(
            f"initial_weights should be {n_weights} numbers, one for each of "
            f"{sequences.feature_names}, got an array of shape {given.shape}."
        )
    return given.copy()


def psychometric_weights(sequences: Sequences, is_second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fit a psychometric line to all subjects' first 100 trials (Liu, Geadah & Pillow 2025).

    The logit of the share of second choices at each stimulus value, clipped to [.01, .99],
    is regressed on the features by least squares.
    """
    early = sequences.row_trial < N_EARLY_TRIALS
    features = sequences.rows(sequences.features)[early]  # (n_early, K)
    values, value_of_row = np.unique(features, axis=0, return_inverse=True)
    n_rows = np.bincount(value_of_row.ravel())
    share = np.bincount(value_of_row.ravel(), is_second[early]) / n_rows
    log_odds = logit(np.clip(share, CLIP, 1 - CLIP))
    return np.linalg.lstsq(values, log_odds, rcond=None)[0]
