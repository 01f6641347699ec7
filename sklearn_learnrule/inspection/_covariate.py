"""A covariate by the name that the user gave it, and the groups that it makes of animals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ..data.schema import COVARIATE, DESIGN
from ..data.sequences import Sequences
from ..utils.arrays import Floats, Ints
from ..utils.texts import number, short


class Covariate(NamedTuple):
    """What animals are asked about, N of them."""

    columns: list[str]  # in X, Q of them
    values: Floats  # (N, Q)
    groups: pd.Categorical  # (N,)


def find_covariate(sequences: Sequences, name: str) -> Covariate:
    """Return a covariate, named as for :func:`~sklearn_learnrule.make_design` or as X's column.

    Raises
    ------
    ValueError
        If X has none of that name, if it tells no animals apart, or if animals are too few.
    """
    known = sequences.covariate_names
    stem = name if DESIGN.covariates([name]) else f"{COVARIATE}{name}"
    columns = [stem] if stem in known else _labels_of(stem, sequences)
    if not columns:
        raise ValueError(
            f"X has no covariate {short(name)}, but {known or 'none'}: name the column of trials "
            "that tells it, make_design(..., covariates=[...])."
        )
    values = sequences.covariates[:, [known.index(column) for column in columns]]
    for column, of_one in zip(columns, values.T, strict=True):
        if np.ptp(of_one) == 0:
            raise ValueError(
                f"All animals of X have the same {column}, {of_one[0]:g}, so that there is nothing "
                "to compare: give the animals of all groups."
            )
    least = len(known) + 3
    if len(values) < least:
        raise ValueError(
            f"To compare animals by {short(name)} takes at least {least} of them, where X has "
            f"{len(known)} covariate(s); got {len(values)}."
        )
    others = np.delete(sequences.covariates, [known.index(column) for column in columns], axis=1)
    if _rank(np.hstack([others, values])) < _rank(others) + len(columns):
        raise ValueError(
            f"What {short(name)} says of animals, the other covariates of X say as well, so that "
            "choices cannot tell which of them matters: leave some out."
        )
    return Covariate(columns, values, _groups(values, stem, columns))


def _rank(covariates: Floats) -> int:
    """Return how many of these (N, C) say what the others, and a constant, do not."""
    apart = covariates - covariates.mean(0)
    size = np.abs(apart).max(0, initial=0)
    return int(np.linalg.matrix_rank(apart / np.where(size > 0, size, 1)))


def _labels_of(stem: str, sequences: Sequences) -> list[str]:
    """Return the columns of 0 and 1 that stand for a covariate's labels, of which one has one."""
    columns = [
        name
        for name, values in zip(sequences.covariate_names, sequences.covariates.T, strict=True)
        if name.startswith(f"{stem}_") and np.isin(values, [0, 1]).all()
    ]
    places = [sequences.covariate_names.index(column) for column in columns]
    if (sequences.covariates[:, places].sum(1) > 1).any():
        raise ValueError(
            f"X's columns {columns} are of more than one covariate: rename the columns of trials, "
            "or name one of X's columns."
        )
    return columns


def _groups(values: Floats, stem: str, columns: list[str]) -> pd.Categorical:
    if columns != [stem]:
        labels = [column.removeprefix(f"{stem}_") for column in columns]
        first = f"not {labels[0]}" if len(labels) == 1 else "other"
        which = np.where(values.any(1), values.argmax(1) + 1, 0)
        return _categories(which, [first, *labels])
    distinct, which = np.unique(values, return_inverse=True)
    if len(distinct) == 2:
        return _categories(which.ravel(), [number(value) for value in distinct])
    middle = min(np.median(values), distinct[-2])  # so that some are above
    which = (values[:, 0] > middle).astype(int)
    return _categories(which, [f"up to {number(middle)}", f"above {number(middle)}"])


def _categories(which: Ints, names: list[str]) -> pd.Categorical:
    return pd.Categorical([names[i] for i in which], categories=names)
