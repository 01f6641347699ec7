"""How large stimuli and rewards usually are: the units in which rules are fitted."""

from __future__ import annotations

import numpy as np
import torch

from ..data.sequences import Sequences
from ..rules import Units
from ..utils.arrays import Floats
from ..utils.texts import short
from ..utils.warn import warn

FAR = 100.0  # units
FAR_FROM_0 = 2.0  # standard deviations
USUAL = 0.9  # quantile of sizes other than 0, so that neither outliers nor empty trials decide


def usual_units(sequences: Sequences, weight: Floats) -> Units:
    """Return the usual sizes of the features and of reward; of the bias, 1.

    ``weight`` (n_rows,) says how much each trial counts.
    """
    sizes = np.array([_usual_size(column, weight) for column in sequences.fields.features.T])
    reward = _usual_size(sequences.fields.reward, weight)
    return Units(torch.as_tensor(sizes), torch.as_tensor(reward))


def warn_of_stimuli(sequences: Sequences, units: Units) -> None:
    """Warn of what in stimuli misleads a fit."""
    _warn_of_outliers(sequences, units)
    _warn_of_no_zero(sequences)


def _warn_of_outliers(sequences: Sequences, units: Units) -> None:
    """Warn of a stimulus that is far larger than usual, from which a rule may learn wildly."""
    sizes = np.abs(sequences.fields.features) / units.feature.numpy()  # (n_rows, K)
    row, k = np.unravel_index(np.argmax(sizes), sizes.shape)
    if sizes[row, k] > FAR:
        warn(
            f"Column {sequences.feature_names[k]!r} is {sequences.fields.features[row, k]:.4g} "
            f"(subject {short(sequences.subjects[sequences.row_subject[row]])}, trial "
            f"{sequences.row_trial[row]}), though nine in ten of its values are of at most "
            f"{units.feature[k]:.4g}: an outlier throws a fit off. Mend, clip or transform it.",
        )


def _warn_of_no_zero(sequences: Sequences) -> None:
    """Warn of a stimulus that lies far from 0, as loudness in decibels does.

    Not of plain arrays, which are one sequence without choices: nothing is learned there.
    """
    if not sequences.tells_choices:
        return
    stimuli = sequences.fields.features[:, :-1]
    for name, values in zip(sequences.feature_names, stimuli.T, strict=False):
        mean, std = values.mean(), values.std()
        one_signed = values.min() > 0 or values.max() < 0
        if one_signed and std and abs(mean) > FAR_FROM_0 * std:
            warn(
                f"Column {name!r} goes from {values.min():.4g} to {values.max():.4g} and is never "
                "near 0: a rule's steps grow with the stimulus, and its weight and the bias hardly "
                "differ. Subtract the value that favours no choice.",
            )


def _usual_size(values: Floats, weight: Floats) -> Floats:
    """Return a size that occurs, so that what is at most 1 and often 1 has the unit 1."""
    counts = (values != 0) & (weight > 0)
    if not counts.any():
        return np.ones(())
    sizes, weight = np.abs(values[counts]), weight[counts]
    order = np.argsort(sizes)
    up_to = np.cumsum(weight[order])
    return sizes[order][np.searchsorted(up_to, USUAL * up_to[-1])]
