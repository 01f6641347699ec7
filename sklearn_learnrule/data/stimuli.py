"""Stimuli: what an animal saw before its choice, numbers as they are and labels as 0 and 1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_string_dtype

from ..utils.arrays import Bools, Floats
from ..utils.texts import short
from .schema import DESIGN, labelled, of_labels
from .tables import (
    MOST_LABELS,
    as_labels,
    as_names,
    as_numbers,
    check_labels_differ,
    label_texts,
    missing_as_text,
    weight_names,
)

NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?\s*%?\s*", re.IGNORECASE)


def as_stimuli(columns: Any) -> list[Any]:
    """Return the columns of what was seen; None or an empty list: nothing was."""
    nothing = isinstance(columns, list | tuple) and not columns
    return [] if nothing else as_names(columns, "stimulus")


def check_free(stimuli: list[Any], others: Iterable[Any]) -> None:
    """Raise if a stimulus is called as one of the others is, or what has a meaning in X."""
    forbidden = dict.fromkeys([*others, *DESIGN.names()])
    if [name for name in DESIGN.stimuli(stimuli) if name not in forbidden] != stimuli:
        raise ValueError(
            "stimulus should name columns seen before the choice, and none of "
            f"{', '.join(map(repr, forbidden))}; got {stimuli}."
        )


def are_labels(column: pd.Series) -> bool:
    """Whether a column names what was shown: categories, or text that is no number.

    Text may number all that was shown, "1", "2" and so on. Other text that is a number was one
    before something else in its column made it text.

    Examples
    --------
    >>> are_labels(pd.Series(["cat", "dog"])), are_labels(pd.Series(["0.5", "none"]))
    (True, False)
    >>> are_labels(pd.Series([1, 2])), are_labels(pd.Series([1, 2], dtype="category"))
    (False, True)
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if not is_string_dtype(column):
        return False
    texts = column.unique()
    return all(map(str.isdecimal, texts)) or not any(map(NUMBER.fullmatch, texts))


def are_indicators(stimuli: pd.DataFrame) -> bool:
    """Whether columns say what was there and what was not: several, as of labels, all of 0 and 1.

    Examples
    --------
    >>> are_indicators(pd.DataFrame({"image_cat": [1, 0], "image_dog": [0, 1], "laser": [1, 1]}))
    True
    """
    there = np.isin(stimuli.to_numpy(dtype=float), [0, 1])
    return len(stimuli.columns) > 1 and bool(there.all())


def stimulus_columns(
    trials: pd.DataFrame, stimuli: Iterable[Any], happened: Bools, subjects: pd.Index
) -> dict[str, Floats]:
    """Return X's columns of stimuli, of trials that happened: of labels, one of 0 and 1 each.

    ``subjects`` names the subject of each row of the table.
    """
    made: list[tuple[Any, Floats]] = []
    for name in stimuli:
        if are_labels(trials[name]):
            made += _indicators(trials[name]).items()
        else:
            made.append((name, as_numbers(trials[name], f"Column {name!r}", subjects)))
    names = weight_names(name for name, _ in made)
    check_free(names, ())
    return {name: values[happened] for name, (_, values) in zip(names, made, strict=True)}


def with_indicators(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return a table with those of the columns that it lacks, made of the labels that it has."""
    lacking = [name for name in columns if name not in table]
    for name in sorted(table, key=lambda name: -len(str(name))):  # "image_size" before "image"
        stem = f"{name}_"
        if not (of_name := labelled(stem, lacking)):
            continue
        told = table[name].notna().to_numpy()
        texts = np.full(len(table), None, dtype=object)
        texts[told] = label_texts(as_labels(table[name][told], f"column {name!r}"))
        labels = {column: column.removeprefix(stem) for column in of_name}
        known = np.isin(texts[told], [*labels.values()])
        if not known.any():  # it is called so by chance
            continue
        if not known.all():
            raise ValueError(
                f"Column {name!r} has the label {short(texts[told][~known][0])}, but the estimator "
                f"was fitted to {of_name}."
            )
        made = {column: np.where(told, texts == label, np.nan) for column, label in labels.items()}
        table = table.assign(**made)
        lacking = [column for column in lacking if column not in made]
    return table


def _indicators(column: pd.Series) -> dict[str, Floats]:
    """Return a column for each label, or category, in sorted order."""
    where = f"column {column.name!r}"
    values = as_labels(column, where)
    known = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else values
    labels = np.unique(as_labels(pd.Series(known), where))
    _check_shown(labels, where)
    check_labels_differ(labels, where)
    names = of_labels(f"{column.name}_", label_texts(labels))
    return {name: 1.0 * (values == label) for name, label in zip(names, labels, strict=True)}


def _check_shown(labels: NDArray[Any], where: str) -> None:
    """Raise if labels are one alone, or too many, or one of them is a missing value as text."""
    if lost := missing_as_text(labels):
        raise ValueError(
            f"The stimulus in {where} has the label {lost[0]!r}, which a missing value becomes as "
            "text: make it NaN or, if nothing was shown there, call it 'nothing'."
        )
    if len(labels) == 1:
        raise ValueError(
            f"The stimulus in {where} has the label {short(labels[0])} alone, which tells no more "
            "than the bias does: leave it out or, if other tables have further labels, make it a "
            "Categorical of all."
        )
    if len(labels) > MOST_LABELS:
        raise ValueError(
            f"The stimulus in {where} has {len(labels)} labels, such as {short(labels[0])}, but "
            f"{MOST_LABELS} at most can be told apart: group them or, if they are numbers, give "
            "them as such."
        )
