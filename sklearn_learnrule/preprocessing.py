"""Transformers of the stimulus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ._design import HISTORY, IDENTITY


def tanh_contrast(contrast: ArrayLike, slope: float = 5.0) -> NDArray[np.float64]:
    """Return tanh(slope c) / tanh(slope): contrasts as a mouse sees them, still in [-1, 1]."""
    return np.tanh(slope * np.asarray(contrast, dtype=float)) / np.tanh(slope)


class TanhContrast(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bend contrasts by tanh(slope c) / tanh(slope), as is usual for the IBL task.

    Put straight before an estimator: a DataFrame stays a DataFrame with its index, and its
    identity and history columns (``previous_choice`` and so on) are left alone.

    Parameters
    ----------
    slope : float, default=5.0
    columns : str, list of str or None, default=None
        The columns to bend; None: all but identity and history.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"stimulus": [-0.25, 0.0625], "previous_choice": [0.0, 1.0]})
    >>> TanhContrast().fit_transform(X).round(3)
       stimulus  previous_choice
    0    -0.848              0.0
    1     0.303              1.0
    """

    def __init__(self, slope: float = 5.0, columns: str | Sequence[str] | None = None) -> None:
        self.slope = slope
        self.columns = columns

    def fit(self, X: Any, y: Any = None) -> TanhContrast:
        """Check the columns; nothing is learned from the data."""
        del y
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=True)
            unknown = [name for name in self._columns() or [] if name not in X.columns]
            if unknown:
                raise ValueError(f"TanhContrast: X has no column {unknown[0]!r}.")
        elif self.columns is not None:
            raise ValueError("TanhContrast(columns=...) needs a DataFrame with column names.")
        else:
            validate_data(self, X, dtype=np.float64, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Return X with its contrasts bent, a DataFrame if X is one."""
        check_is_fitted(self)
        if not isinstance(X, pd.DataFrame):
            return tanh_contrast(validate_data(self, X, dtype=np.float64, reset=False), self.slope)
        validate_data(self, X, skip_check_array=True, reset=False)
        names = self._columns()
        if names is None:
            names = [name for name in X.columns if name not in (*HISTORY, *IDENTITY)]
        bent = X.copy()
        for name in names:
            bent[name] = tanh_contrast(X[name], self.slope)
        return bent

    def _columns(self) -> Sequence[str] | None:
        return [self.columns] if isinstance(self.columns, str) else self.columns
