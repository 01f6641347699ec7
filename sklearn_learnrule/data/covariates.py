"""Covariates: what an animal is, the same on all of its trials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..utils.arrays import Bools, Floats, Ints
from ..utils.texts import short
from .schema import COVARIATE, DESIGN
from .tables import (
    as_labels,
    as_names,
    as_numbers,
    check_labels_differ,
    label_texts,
    missing_as_text,
    place,
)

TEXT = "(?:[^_]|__)+"  # a label in a name, where its own "_" is doubled
OF_LABEL = re.compile(f"{COVARIATE}(.+?)_({TEXT})_vs_({TEXT})")


class Label(NamedTuple):
    """What a column of 0 and 1 says: whether an animal has this label, beside a reference.

    Examples
    --------
    >>> Label("genotype", "KO", "WT").column
    'covariate_genotype_KO_vs_WT'
    """

    covariate: str
    label: str
    reference: str

    @property
    def column(self) -> str:
        label, reference = (text.replace("_", "__") for text in (self.label, self.reference))
        return f"{COVARIATE}{self.covariate}_{label}_vs_{reference}"


def read_label(column: Any) -> Label | None:
    """Return what a column of X says, None if it is not of a label.

    Examples
    --------
    >>> read_label("covariate_line_Cre__pos_vs_WT")
    Label(covariate='line', label='Cre_pos', reference='WT')
    >>> read_label("covariate_age")
    """
    match = OF_LABEL.fullmatch(str(column))
    if match is None:
        return None
    return Label(match[1], *(text.replace("__", "_") for text in match.group(2, 3)))


def covariate_name(column: Any) -> str:
    """Return the name of the covariate that a column of X is of."""
    label = read_label(column)
    return str(column).removeprefix(COVARIATE) if label is None else label.covariate


def columns_of(name: Any, columns: Iterable[Any]) -> list[Any]:
    """Return those of X's columns that a covariate has, named as it is or as one of them."""
    known, bare = DESIGN.covariates(columns), str(name).removeprefix(COVARIATE)
    if (whole := f"{COVARIATE}{bare}") in known:
        return [whole]
    return [column for column in known if covariate_name(column) == bare]


def covariate_columns(
    trials: pd.DataFrame, covariates: Any, happened: Bools, subjects: pd.Index
) -> dict[str, Floats]:
    """Return X's columns of these covariates, of trials that happened.

    Numbers and booleans are a column; text and categories, and what has a reference, one of 0 and 1
    for each other label. ``subjects`` names the subject of each row of the table.
    """
    references = covariates if isinstance(covariates, Mapping) else {}
    codes = pd.factorize(subjects)[0]
    columns: dict[str, Floats] = {}
    of_each: list[tuple[str, list[str]]] = []
    for name in as_names(covariates, "covariates"):
        where, reference = f"Column {name!r}", references.get(name)
        values = as_labels(trials[name], f"column {name!r}")
        _check_constant(values, where, codes, subjects)
        bare = str(name).removeprefix(COVARIATE)
        is_category = isinstance(trials[name].dtype, pd.CategoricalDtype)
        if values.dtype.kind in "OU" or is_category or reference is not None:
            labels = _labels(trials[name], values, codes, subjects)
            made = _indicators(values, labels, bare, reference, where)
        else:
            made = {f"{COVARIATE}{bare}": as_numbers(trials[name], where, subjects)}
        if clash := [column for column in made if column in columns]:
            raise ValueError(f"Two covariates would be called {clash[0]!r} in X; rename one.")
        columns |= made
        of_each.append((bare, list(made)))
    _check_read_back(columns, of_each, subjects)
    return {column: values[happened] for column, values in columns.items()}


def _check_read_back(
    columns: Mapping[str, Floats], of_each: list[tuple[str, list[str]]], subjects: pd.Index
) -> None:
    """Raise if a covariate's name would find others' columns, or a column says what it is not."""
    for column, values in columns.items():
        _check_label(column, values, f"Column {column!r} of X", subjects)
    for name, made in of_each:
        if columns_of(name, columns) != made:
            raise ValueError(
                f"Of X's columns {list(columns)}, those of {name!r} would be taken for those of "
                "another covariate; rename one."
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
        where = f"Column {name!r} of X"
        _check_constant(values[name], where, codes, subjects)
        _check_label(name, values[name], where, subjects)
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


def _check_label(name: Any, values: Floats, where: str, subjects: pd.Index) -> None:
    """Raise if a column is of a label by its name, but not of 0 and 1."""
    wrong = ~np.isin(values, [0, 1])
    if read_label(name) is not None and wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{where} is of a label by its name, so it should be 0 or 1, but is "
            f"{short(values[row])} ({place(subjects, row)}): let no transformer change covariates, "
            "and name no column of numbers like that."
        )


def _labels(
    column: pd.Series, values: NDArray[Any], codes: Ints, subjects: pd.Index
) -> NDArray[Any]:
    """Return a covariate's labels: those of ordered categories as ordered, others sorted.

    Raises
    ------
    ValueError
        If one is a missing value as text, or two are all but alike; if there is one alone, or one
        for each animal.
    """
    where, labels = f"Column {column.name!r}", np.unique(values)
    if lost := missing_as_text(labels):
        is_lost = np.isin(values, lost)
        raise ValueError(
            f"{where} is {lost[0]!r}, which a missing value becomes as text, on {is_lost.sum()} of "
            f"{len(values)} trials, first at {place(subjects, int(np.argmax(is_lost)))}. Fill it, "
            "or drop those trials."
        )
    if len(labels) == 1:
        raise ValueError(
            f"{where} has the label {short(labels[0])} alone, but a covariate should tell animals "
            "apart: make the design of all animals at once, or code the labels as numbers."
        )
    if len(labels) == codes.max() + 1 > 2:
        raise ValueError(
            f"{where} has a label of its own for each of {len(labels)} animals, so that it tells "
            "no groups: name another column, or give numbers."
        )
    check_labels_differ(labels, f"column {column.name!r}")
    if isinstance(column.dtype, pd.CategoricalDtype) and column.dtype.ordered:
        ordered = as_labels(pd.Series(column.dtype.categories), where)
        return ordered[np.isin(ordered, labels)]
    return labels


def _indicators(
    values: NDArray[Any], labels: NDArray[Any], name: str, reference: Any, where: str
) -> dict[str, Floats]:
    """Return a column of 0 and 1 for each label but the reference, by default the first."""
    texts = label_texts(labels)
    asked = [
        text
        for text, label in zip(texts, labels.tolist(), strict=True)
        if reference is None or label == reference or text == str(reference)
    ]
    if not asked:
        raise ValueError(
            f"{where} has the labels {texts}: covariates should name one of them, with which the "
            f"others are compared, got {short(reference)}."
        )
    return {
        Label(name, text, asked[0]).column: (values == label).astype(float)
        for text, label in zip(texts, labels, strict=True)
        if text != asked[0]
    }
