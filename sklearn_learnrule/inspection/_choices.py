"""Weights of more than two choices: those of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ..data.schema import OF_CHOICE
from ..rules import Policy
from ._fits import RuleFit


def covariances_of_choices(covariances: Tensor, n_choices: int) -> Tensor:
    """Return the covariances of what :meth:`Policy.of_each` makes of weights, (..., C K, C K)."""
    policy = Policy(n_choices)
    return policy.of_each(policy.of_each(covariances).mT)


def weight_table(fit: RuleFit, column: str = OF_CHOICE, **of_weights: Tensor) -> pd.DataFrame:
    """Tabulate what is of weights, a column each; of more than two choices, a row each.

    Parameters
    ----------
    fit : RuleFit
    column : str, default="of_choice"
        That of the choices, if they are more than two: each has its own weights.
    **of_weights : Tensors of shape (n, n_weights)
        By what the columns' names begin with, as ``weight`` or ``update``.

    Returns
    -------
    DataFrame of shape (n, K) or, of C > 2 choices, (n C, 1 + K), for each of ``of_weights``
        The index is the number of the row in these, 0 to n - 1.
    """
    columns: dict[str, Any] = {}
    several = fit.n_choices > 2
    for kind, values in of_weights.items():
        each = fit.policy.of_each(values)
        n, by_weight = len(each), each.reshape(-1, len(fit.weight_names)).T.numpy()
        if several:
            columns[column] = np.tile(fit.final.classes_, n)
        names = [f"{kind}_{name}" for name in fit.weight_names]
        columns |= dict(zip(names, by_weight, strict=True))
    return pd.DataFrame(columns, np.arange(n).repeat(fit.n_choices if several else 1))
