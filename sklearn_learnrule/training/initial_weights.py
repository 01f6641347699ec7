"""The policy weights before the first trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from ..data.sequences import Sequences
from ..utils.arrays import Floats, Ints

FEW_SUBJECTS = 5  # of fewer, the likelihood's optimum is that all start at the same weights
BROAD_STD = 4.0  # in standard units, so that an easy stimulus alone may give odds of e^8
N_EARLY_TRIALS = 100
CLIP = 0.01


def initial_weights(
    kind: str | Any, sequences: Sequences, chosen: Ints, weight: Floats, reader: str
) -> Floats:
    """Return the starting weights, ((C - 1) K,): zeros, a psychometric fit, or the array given.

    ``reader`` is who asks for them.
    """
    n_choices = sequences.n_choices
    n_features, n_sets = len(sequences.feature_names), n_choices - 1
    if isinstance(kind, str):
        if kind == "zeros":
            return np.zeros(n_sets * n_features)
        return psychometric_weights(sequences, chosen, weight, n_choices)
    given = np.asarray(kind, dtype=float)
    expected = (n_features,) if n_sets == 1 else (n_sets, n_features)
    if given.shape != expected:
        rows = "" if n_sets == 1 else f"{n_sets} rows, one for each choice but the first, of "
        raise ValueError(
            f"{reader}: initial_weights should be {rows}{n_features} numbers, one for each of "
            f"{sequences.feature_names}, got an array of shape {given.shape}."
        )
    return given.flatten()


def static_weights(sequences: Sequences, chosen: Ints, weight: Floats) -> Floats:
    """Return the weights, ((C - 1) K,), of a policy that never changes, nearly the likeliest."""
    features, made = sequences.fields.features[weight > 0], chosen[weight > 0]
    of_class = np.zeros((sequences.n_choices, features.shape[1]))
    if len(np.unique(made)) > 1:  # else no weight is likelier than a larger one
        size = np.abs(features).max(0).clip(1e-12)
        policy = LogisticRegression(fit_intercept=False, tol=1e-3, max_iter=1000)
        policy.fit(features / size, made, sample_weight=weight[weight > 0])
        of_class[policy.classes_[-len(policy.coef_) :]] = policy.coef_ / size
    return (of_class[1:] - of_class[0]).ravel()


def psychometric_weights(
    sequences: Sequences, chosen: Ints, weight: Floats, n_choices: int = 2
) -> Floats:
    """Fit a psychometric line to the first 100 trials of each sequence (Liu et al. 2025).

    The log odds of second choices against first ones at each stimulus value, of shares clipped to
    [.01, .99], are regressed on the features by least squares; those of further choices likewise.
    Choices of weight 0 are not looked at.
    """
    early = (sequences.row_place < N_EARLY_TRIALS) & (weight > 0)
    features = sequences.fields.features[early]  # (n_early, K)
    values, value_of_row = np.unique(features, axis=0, return_inverse=True)
    n_rows = np.bincount(value_of_row.ravel())
    made = chosen[early][:, None] == np.arange(n_choices)
    counts = [np.bincount(value_of_row.ravel(), of_class) for of_class in made.T]
    logs = np.log(np.clip(np.stack(counts, 1) / n_rows[:, None], CLIP, 1 - CLIP))
    return np.linalg.lstsq(values, logs[:, 1:] - logs[:, :1], rcond=None)[0].T.ravel()
