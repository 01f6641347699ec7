"""The classes of choices: labels of y, their numbers, and whether X tells of the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..data.sequences import Sequences
from ..data.tables import as_labels, label_texts, number_classes, sorted_labels
from ..utils.texts import short

WHOLE = re.compile("-?[0-9]+")


def read_labels(y: Any, name: str) -> NDArray[Any]:
    """Return the labels of y, whatever holds them, for the estimator of this name."""
    if y is None:
        raise ValueError(
            f"This {name} estimator requires y to be passed, but the target y is None."
        )
    labels = as_labels(y, "y")
    assert_all_finite(labels, input_name="y")
    return labels


def read_classes(labels: NDArray[Any], sequences: Sequences) -> NDArray[Any]:
    """Return the labels of the choices, sorted: of more than two all that X tells of.

    Raises
    ------
    ValueError
        If they are not those that X tells of.
    """
    check_classification_targets(labels)
    kind = type_of_target(labels, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"y should hold one label a trial, but is {kind}.")
    may_be = [
        told for told in _told(sequences.choice_labels, labels.dtype) if np.isin(labels, told).all()
    ]
    for told in may_be:
        if len(may_be) == 1 or not sequences.contradicts(number_classes(labels, told)).any():
            return told
    of_two = sequences.tells_choices and not sequences.choice_labels
    if of_two and (labels == labels[0]).all():
        raise ValueError(
            f"y has one class alone, {short(labels[0])}, and of two choices X does not name the "
            "other: fit to trials on which both were made."
        )
    classes = sorted_labels(labels, "y")
    check_told(sequences, classes)
    return classes


def _told(texts: list[str], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the labels of more than two choices whose texts X tells, as y may have them."""
    if texts and dtype.kind in "OU":
        yield np.array(texts, dtype=object if dtype.kind == "O" else None)
    elif texts and dtype.kind in "iuf":
        if all(map(WHOLE.fullmatch, texts)):
            yield np.array([*map(int, texts)]).astype(dtype)
        yield np.arange(len(texts)).astype(dtype)  # as scikit-learn's cross_val_predict has them


def check_told(sequences: Sequences, classes: NDArray[Any]) -> None:
    """Raise if X's columns tell of other choices than these classes, or of another number."""
    labels = sequences.choice_labels
    numbers = [*range(len(labels))]  # as scikit-learn's cross_val_predict has them
    same = label_texts(classes) == labels or classes.tolist() == numbers
    if not sequences.tells_choices or (same if labels else len(classes) == 2):
        return
    raise ValueError(
        f"The choices are of the classes {classes.tolist()}, but X's columns tell of "
        f"{labels or 'two'}: make X and y by one make_design, or name all choices that there are, "
        "make_design(..., choices=[...])."
    )
