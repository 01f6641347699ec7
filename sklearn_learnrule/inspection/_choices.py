"""Weights of more than two choices: those of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..rules import Policy
from ._fits import RuleFit

OF_CHOICE = "of_choice"  # whose weights they are, beside the ``choice`` that was made


def of_choices(weights: Tensor, n_choices: int) -> Tensor:
    """Return the weights of each of C > 2 choices, less their mean over choices.

    So they hang on no first choice, as a policy's weights do, which are against it. Of two choices
    that are told apart by one set of weights, these are returned as they are.

    Parameters
    ----------
    weights : Tensor of shape (..., (C - 1) K)
    n_choices : int
        C.

    Returns
    -------
    Tensor of shape (..., C K), a choice's weights after the other's; of two choices (..., K)

    Examples
    --------
    >>> of_choices(torch.tensor([3.0, 1.0, 0.0, 5.0]), 3)
    tensor([-1., -2.,  2., -1., -1.,  3.])
    """
    if n_choices == 2:
        return weights
    sets = Policy(n_choices).sets(weights)  # (..., C - 1, K)
    of_all = torch.nn.functional.pad(sets, (0, 0, 1, 0))  # (..., C, K)
    return (of_all - of_all.mean(-2, keepdim=True)).flatten(-2)


def covariances_of_choices(covariances: Tensor, n_choices: int) -> Tensor:
    """Return the covariances of what :func:`of_choices` makes of weights, (..., C K, C K)."""
    return of_choices(of_choices(covariances, n_choices).mT, n_choices)


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
        each = of_choices(values, fit.n_choices)
        n, by_weight = len(each), each.reshape(-1, len(fit.weight_names)).T.numpy()
        if several:
            columns[column] = np.tile(fit.final.classes_, n)
        names = [f"{kind}_{name}" for name in fit.weight_names]
        columns |= dict(zip(names, by_weight, strict=True))
    return pd.DataFrame(columns, np.arange(n).repeat(fit.n_choices if several else 1))
