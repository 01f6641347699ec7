"""A covariate by the name that the user gave it, and the groups that it makes of animals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..data.covariates import columns_of, covariate_name, read_label
from ..data.sequences import Sequences, read_sequences
from ..utils.arrays import Floats, Ints
from ..utils.texts import number, short

Groups = str | Mapping[Any, Any] | pd.Series  # a covariate, or the label of each animal


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
    columns = columns_of(name, known)
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
    return Covariate(columns, values, _groups(values, columns, known))


def groups_of(X: pd.DataFrame, groups: Groups, subjects: pd.Series) -> Any:
    """Return the label of the group of each of these subjects, as a column of a table.

    Raises
    ------
    ValueError
        If X has no covariate of that name, or one of the animals no label.
    """
    if isinstance(groups, str):
        sequences = read_sequences(X)
        groups = pd.Series(find_covariate(sequences, groups).groups, sequences.subjects)
    found = pd.Series(groups).reindex(subjects)
    lost = found.index[found.isna()]
    if len(lost):
        raise ValueError(
            f"groups should have a label for each animal, but has none for {short(lost[0])}."
        )
    return found.array


def _rank(covariates: Floats) -> int:
    """Return how many of these (N, C) say what the others, and a constant, do not."""
    if not covariates.shape[1]:
        return 0  # which numpy before 2 does not know
    apart = covariates - covariates.mean(0)
    size = np.abs(apart).max(0)
    return int(np.linalg.matrix_rank(apart / np.where(size > 0, size, 1)))


def _groups(values: Floats, columns: list[str], known: list[str]) -> pd.Categorical:
    """Return each animal's group: its label or, of numbers, which of two it has, or which half."""
    name = covariate_name(columns[0])
    labels = [label for label in map(read_label, columns) if label is not None]
    if labels:
        references = {label.reference for label in labels}
        if len(references) > 1 or (values.sum(1) > 1).any():
            raise ValueError(
                f"X's columns {columns} are of more than one covariate: rename the columns of "
                "trials, or name one of X's columns."
            )
        texts = [label.label for label in labels]
        is_whole = columns_of(name, known) == columns
        others = references.pop() if is_whole else f"not {texts[0]}"
        return _categories(np.where(values.any(1), values.argmax(1) + 1, 0), [others, *texts])
    distinct, which = np.unique(values, return_inverse=True)
    if len(distinct) == 2:
        return _categories(which.ravel(), [f"{name} = {number(value)}" for value in distinct])
    middle = min(np.median(values), distinct[-2])  # so that some are above
    which = (values[:, 0] > middle).astype(int)
    sides = [f"{name} up to {number(middle)}", f"{name} above {number(middle)}"]
    return _categories(which, sides)


def _categories(which: Ints, names: list[str]) -> pd.Categorical:
    return pd.Categorical([names[i] for i in which], categories=names)
