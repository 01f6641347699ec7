"""The classes of choices: labels of y, their numbers, and whether X tells of the same."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..data.sequences import Sequences
from ..data.tables import as_labels, label_texts, sorted_labels


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
    """Return the labels of the choices, sorted; raise if they are not those that X tells of."""
    check_classification_targets(labels)
    kind = type_of_target(labels, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"y should hold one label a trial, but is {kind}.")
    classes = sorted_labels(labels, "y")
    check_told(sequences, classes)
    return classes


def check_told(sequences: Sequences, classes: NDArray[Any]) -> None:
    """Raise if X's columns tell of other choices than these classes, or of another number."""
    labels = sequences.choice_labels
    numbers = [*range(len(labels))]  # as scikit-learn's cross_val_predict has them
    same = label_texts(classes) == labels or classes.tolist() == numbers
    if not sequences.tells_choices or (same if labels else len(classes) == 2):
        return
    never = [label for label in labels if label not in label_texts(classes)]
    if len(never) + len(classes) == len(labels):
        raise ValueError(
            f"The choice {never[0]!r}, of which X's columns tell, is on none of these trials: fit "
            "to more of them (other folds), or leave it out of the table, or name it as another."
        )
    raise ValueError(
        f"The choices are of the classes {classes.tolist()}, but X's columns tell of "
        f"{labels or 'two'}: make X and y by one make_design."
    )
