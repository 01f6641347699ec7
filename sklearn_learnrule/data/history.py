"""History: what row t of X tells of the trial before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..utils.arrays import Bools, Floats
from ..utils.texts import short
from .schema import (
    MISSES,
    PREVIOUS_ANSWER,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    RESTART,
    REWARD_KNOWN,
    of_labels,
)
from .tables import as_labels, as_numbers, label_texts, place

COUNT_MISSED = (
    " If it says that a trial was missed, make it NaN and count it: make_design(..., "
    "missed='count')."
)
BY_NUMBER = " Text is no number: write both alike."


class History:
    """What the trial before brought, 0 where a subject begins, and begins anew.

    Of a table's trials, which belong to ``subjects``, those that ``happened`` have an ``index``.
    ``labels`` are those of all choices, sorted.
    """

    def __init__(
        self, index: pd.MultiIndex, happened: Bools, subjects: pd.Index, labels: NDArray[Any]
    ) -> None:
        self.happened, self.subjects, self.labels = happened, subjects, labels
        first = index.get_level_values("trial") == 0  # the rows of a subject stand together
        if RESTART in index.names:
            first |= np.diff(index.get_level_values(RESTART), prepend=0) != 0
        self.first = first

    def columns(self, outcome: pd.DataFrame, *, keep: bool, count: bool) -> dict[str, Floats]:
        """Return the columns of X, with ``keep`` whether rewards are known, and counted misses.

        ``outcome`` has the columns of choices, rewards and perhaps answers.
        """
        choice, reward, *answer = (column for _, column in outcome.items())
        known = reward.notna().to_numpy()
        paid = reward
        if keep:
            paid = reward.astype(object).where(known, 0.0)
        columns = self._label_columns(PREVIOUS_CHOICE, choice)
        columns[PREVIOUS_REWARD] = self._before(
            as_numbers(paid, f"Column {reward.name!r}", self.subjects)
        )
        if answer:
            columns |= self._label_columns(PREVIOUS_ANSWER, *answer)
        if keep:
            columns[REWARD_KNOWN] = self._before(known.astype(float))
        if count:
            between = np.diff(np.flatnonzero(self.happened), prepend=0) - 1.0
            columns[MISSES] = np.where(self.first, 0.0, between)
        return columns

    def _before(self, values: NDArray[Any]) -> Floats:
        """Return the values of the trial before."""
        return np.where(self.first, 0.0, np.roll(values[self.happened], 1))

    def _label_columns(self, name: str, column: pd.Series) -> dict[str, Floats]:
        """Return the label of the trial before as -1 and +1; of more than two, a column each."""
        labels, made = self.labels, as_labels(column, f"column {column.name!r}")
        cure = COUNT_MISSED if name == PREVIOUS_CHOICE else ""
        _check_labels(made, labels, column.name, self.subjects, cure)
        if len(labels) == 2:
            return {name: self._before(np.where(made == labels[1], 1.0, -1.0))}
        columns = of_labels(f"{name}_", label_texts(labels))
        return {
            column: self._before(1.0 * (made == label))
            for column, label in zip(columns, labels, strict=True)
        }


def _check_labels(
    values: NDArray[Any], labels: NDArray[Any], name: Any, subjects: pd.Index, cure: str
) -> None:
    """Raise for a label that no choice has; ``cure`` tells what else may be done."""
    if values.dtype == bool and labels.dtype != bool:
        raise ValueError(
            f"Column {name!r} should hold the labels of the choices, {labels.tolist()}, but has "
            "True and False. If they say whether the animal was right, leave answer= out where it "
            "was paid for that, or make a column of what was correct."
        )
    known = np.isin(values, labels)
    if not known.all():
        row = int(np.argmin(known))
        if str(values[row]) in label_texts(labels):
            cure = BY_NUMBER
        raise ValueError(
            f"Column {name!r} should hold the labels of the choices, {labels.tolist()}, but has "
            f"{short(values[row])} ({place(subjects, row)}).{cure}"
        )
