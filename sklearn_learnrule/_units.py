"""How large stimuli and rewards usually are: the units in which rules are fitted."""

from __future__ import annotations

import numpy as np
import torch

from ._sequences import Floats, Sequences
from .rules import Units

USUAL = 0.9  # quantile of sizes other than 0, so that neither outliers nor empty trials decide


def usual_units(sequences: Sequences, weight: Floats) -> Units:
    """Return the usual sizes of the features and of reward; of the bias, 1.

    ``weight`` (n_rows,) says how much each trial counts.
    """
    features = sequences.rows(sequences.features)  # (n_rows, K)
    sizes = np.array([_usual_size(column, weight) for column in features.T])
    reward = _usual_size(sequences.rows(sequences.reward), weight)
    return Units(torch.as_tensor(sizes), torch.as_tensor(reward))


def _usual_size(values: Floats, weight: Floats) -> Floats:
    """Return a size that occurs, so that what is at most 1 and often 1 has the unit 1."""
    counts = (values != 0) & (weight > 0)
    if not counts.any():
        return np.ones(())
    sizes, weight = np.abs(values[counts]), weight[counts]
    order = np.argsort(sizes)
    up_to = np.cumsum(weight[order])
    return sizes[order][np.searchsorted(up_to, USUAL * up_to[-1])]
