"""Fits of any classifier in which trials do not count alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from .arrays import Floats
from .sklearn_private import check_sample_weight
from .wrapping import layers


def fit_weighted(estimator: Any, X: pd.DataFrame, y: pd.Series, weight: Floats) -> Any:
    """Fit with a weight for each row; 0: not scored.

    An estimator that takes no ``sample_weight`` is given the rows that are scored.
    """
    if (weight == 1).all():
        return estimator.fit(X, y)
    if name := weight_parameter(estimator):
        with config_context(enable_metadata_routing=False):  # the name says whose they are
            return estimator.fit(X, y, **{name: weight})
    scored = weight > 0
    if len(np.unique(weight[scored])) > 1:
        raise ValueError(
            f"{type(estimator).__name__} takes no sample_weight, so that trials count or do not: "
            "give weights of 0 and 1."
        )
    return estimator.fit(X[scored], y[scored])


def weight_parameter(estimator: Any) -> str | None:
    """Return the name by which ``fit`` takes trials' weights, None if it takes none."""
    *outer, final = layers(estimator)
    steps = [layer.steps[-1][0] for layer in outer if isinstance(layer, Pipeline)]
    takes_weights = has_fit_parameter(final, "sample_weight")
    return "__".join([*steps, "sample_weight"]) if takes_weights else None


def check_weight(sample_weight: ArrayLike | None, n_rows: int) -> Floats:
    """Return the weight of each row, 1 if none is given."""
    weight = check_sample_weight(
        sample_weight, np.empty(n_rows), dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():  # scikit-learn's own error, in its later versions
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def relative_weights(sample_weight: ArrayLike | None, n_rows: int) -> tuple[Floats, float]:
    """Return the rows' weights in a unit in which they are 1 on average but for those of 0; it."""
    weight = check_weight(sample_weight, n_rows)
    relative = weight / weight.max()
    mean = relative[relative > 0].mean()
    return relative / mean, float(weight.max() * mean)
