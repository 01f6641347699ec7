"""Covariates: what an animal is, the same on all of its trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..utils.arrays import Bools, Floats, Ints
from ..utils.texts import short
from .schema import COVARIATE, DESIGN
from .tables import as_labels, as_numbers, place


def covariate_columns(
    trials: pd.DataFrame, names: Iterable[Any], happened: Bools, subjects: pd.Index
) -> dict[str, Floats]:
    """Return X's columns of these covariates, of trials that happened.

    Numbers and booleans are a column; text and categories one of 0 and 1 for each label but the
    first. ``subjects`` names the subject of each row of the table.
    """
    codes = pd.factorize(subjects)[0]
    columns: dict[str, Floats] = {}
    stems: dict[str, str] = {}  # of labels' columns
    for name in names:
        where = f"Column {name!r}"
        values = as_labels(trials[name], f"column {name!r}")
        _check_constant(values, where, codes, subjects)
        stem = str(name) if DESIGN.covariates([name]) else f"{COVARIATE}{name}"
        if values.dtype.kind in "OU" or isinstance(trials[name].dtype, pd.CategoricalDtype):
            made = _indicators(values, where, stem)
            stems |= dict.fromkeys(made, stem)
        else:
            made = {stem: as_numbers(trials[name], where, subjects)}
        if clash := [column for column in made if column in columns]:
            raise ValueError(f"Two covariates would be called {clash[0]!r} in X; rename one.")
        columns |= made
    _check_not_taken_for_labels(columns, stems)
    return {column: values[happened] for column, values in columns.items()}


def _check_not_taken_for_labels(columns: dict[str, Floats], stems: dict[str, str]) -> None:
    """Raise if a column of 0 and 1 reads like a label of another covariate, ``stem_label``."""
    for stem, column in product(dict.fromkeys(stems.values()), columns):
        is_of_another = column.startswith(f"{stem}_") and stems.get(column) != stem
        if is_of_another and np.isin(columns[column], [0, 1]).all():
            raise ValueError(
                f"{column!r} in X would be taken for a label of the covariate "
                f"{stem.removeprefix(COVARIATE)!r}, but is of another; rename one."
            )


def covariates_of_subjects(
    values: Mapping[str, Floats], codes: Ints, subjects: pd.Index
) -> tuple[Floats, list[str]]:
    """Return the covariates among X's columns, one row a subject, and their names.

    Parameters
    ----------
    values : dict of X's columns, (n_rows,) each
    codes : int ndarray of shape (n_rows,)
        A number for each subject, in order of appearance.
    subjects : Index of n_rows names

    Returns
    -------
    covariates : ndarray of shape (N, C)
    names : list of C names, as in X
    """
    names = DESIGN.covariates(values)
    for name in names:
        _check_constant(values[name], f"Column {name!r} of X", codes, subjects)
    _, first = np.unique(codes, return_index=True)
    rows = [values[name][first] for name in names]
    return np.reshape(rows, (len(names), len(first))).T, names


def _check_constant(values: NDArray[Any], where: str, codes: Ints, subjects: pd.Index) -> None:
    """Raise unless each subject has one value."""
    _, first = np.unique(codes, return_index=True)
    expected = values[first][codes]
    changes = values != expected
    if changes.any():
        row = int(np.argmax(changes))
        raise ValueError(
            f"{where} should be the same on all trials of an animal, as a covariate is, but is "
            f"{short(expected[row])} and later {short(values[row])} ({place(subjects, row)})."
        )


def _indicators(values: NDArray[Any], where: str, stem: str) -> dict[str, Floats]:
    """Return a column of 0 and 1 for each label but the first in sorted order."""
    labels = np.unique(values)
    if len(labels) == 1:
        raise ValueError(
            f"{where} has the label {short(labels[0])} alone, but a covariate should tell animals "
            "apart: make the design of all animals at once, or code the labels as numbers."
        )
    return {f"{stem}_{label}": (values == label).astype(float) for label in labels[1:]}
