"""Scores of predicted choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NATS_PER_BIT = float(np.log(2))
CHANCE = -NATS_PER_BIT
"""The log-likelihood per trial of a coin, in nats."""


def trial_log_likelihood(is_second: ArrayLike, logits: ArrayLike) -> NDArray[np.float64]:
    """Return log P(choice) of each trial in nats, from the logit of the second class."""
    sign = np.where(is_second, 1.0, -1.0)
    return -np.logaddexp(0.0, -sign * np.asarray(logits))


def log_likelihood(is_second: ArrayLike, logits: ArrayLike, *, sample_weight: Any = None) -> float:
    """Return the mean log-likelihood in nats per trial, weighted by ``sample_weight``."""
    return float(np.average(trial_log_likelihood(is_second, logits), weights=sample_weight))
