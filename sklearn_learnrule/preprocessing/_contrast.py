"""Contrasts as a mouse sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data.check_sequences import check_made_alike
from ..data.schema import (
    DESIGN,
    is_design,
)
from ..data.tables import check_kind
from ..utils.arrays import Floats, Ints
from ..utils.documentation import LinksToDocumentation
from ..utils.parameters import ABOVE_0, check_parameters, each
from ..utils.warn import warn
from ._columns import Before, Columns, check_output_keeps_identity, of_own_choices


def tanh_contrast(contrast: ArrayLike, slope: float = 5.0) -> Floats:
    """Return tanh(slope c) / tanh(slope): contrasts as a mouse sees them, still in [-1, 1].

    Examples
    --------
    >>> tanh_contrast([-1.0, 0.0, 0.25]).round(3)
    array([-1.   ,  0.   ,  0.848])
    """
    return np.tanh(slope * np.asarray(contrast, dtype=float)) / np.tanh(slope)


class TanhContrast(LinksToDocumentation, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bend contrasts by tanh(slope c) / tanh(slope), as is usual for the IBL task.

    Put straight before an estimator: a DataFrame stays a DataFrame with its index, and its
    identity, history (``previous_choice`` and so on) and covariates are left alone.

    Parameters
    ----------
    slope : float, default=5.0
        Above 0.
    columns : str, list of str or None, default=None
        The columns to bend; None: all stimuli.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"stimulus": [-0.25, 0.0625], "previous_choice": [0.0, 1.0]})
    >>> TanhContrast().fit_transform(X).round(3)
       stimulus  previous_choice
    0    -0.848              0.0
    1     0.303              1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "slope": [ABOVE_0],
        "columns": [None, str, each(str)],
    }
    n_trials_back: ClassVar[int] = 0

    def __init__(self, slope: float = 5.0, columns: str | Sequence[str] | None = None) -> None:
        self.slope = slope
        self.columns = columns

    def fit(self, X: Any, y: Any = None) -> TanhContrast:
        """Check the columns; nothing is learned from the data."""
        del y
        check_parameters(self)
        check_kind(X)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=True)
            self._check_columns(X)
        elif self.columns is not None:
            raise ValueError("TanhContrast(columns=...) needs a DataFrame with column names.")
        else:
            validate_data(self, X, dtype=np.float64, reset=True)
        return self

    def transform(self, X: Any) -> pd.DataFrame | Floats:
        """Return X with its contrasts bent, a DataFrame if X is one.

        Raises
        ------
        ValueError
            If the output is to be of a library whose tables have no index, such as polars, and X's
            index names the trials.
        """
        check_is_fitted(self)
        check_kind(X)
        if not isinstance(X, pd.DataFrame):
            return tanh_contrast(validate_data(self, X, dtype=np.float64, reset=False), self.slope)
        check_made_alike(X, self)
        validate_data(self, X, skip_check_array=True, reset=False)
        check_output_keeps_identity(self, X)
        names = self._columns()
        if names is None:
            names = DESIGN.stimuli(X.columns)
        bent = X.copy()
        for name in names:
            bent[name] = tanh_contrast(X[name], self.slope)
        return bent

    def transform_columns(self, columns: Columns, sequence: Ints) -> dict[str, NDArray[Any]]:
        """Return columns of X, as arrays, bent: see that of :class:`PolicyRegressors`."""
        del sequence
        named = self._columns()
        names = DESIGN.stimuli(columns) if named is None else named
        return {**columns, **{name: tanh_contrast(columns[name], self.slope) for name in names}}

    def transform_next(self, columns: Columns, before: Before) -> dict[str, NDArray[Any]]:
        """Return columns of one row of each sequence, bent."""
        del before
        return self.transform_columns(columns, np.arange(0))

    def _check_columns(self, X: pd.DataFrame) -> None:
        """Raise if what is to be bent is not there or no contrast; warn if it goes beyond 1."""
        names = self._columns()
        unknown = [] if names is None else [name for name in names if name not in X.columns]
        if unknown:
            raise ValueError(f"TanhContrast: X has no column {unknown[0]!r}.")
        made = of_own_choices(X.columns) if names is None else []
        if made:
            raise ValueError(
                f"TanhContrast would bend {made[0]!r} as well, which is no contrast: put it "
                "before PolicyRegressors, or name the columns to bend."
            )
        bent = DESIGN.stimuli(X.columns) if names is None else names
        if is_design(X) and (beyond := [name for name in bent if X[name].abs().max() > 1]):
            warn(
                f"Column {beyond[0]!r} goes beyond -1 and 1, where TanhContrast tells no contrasts "
                "apart: divide contrasts in percent by 100."
            )

    def _columns(self) -> Sequence[str] | None:
        return [self.columns] if isinstance(self.columns, str) else self.columns
