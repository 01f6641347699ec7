"""What else a choice may lean on: the trials before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data.check_sequences import check_made_alike
from ..data.schema import (
    CHOICE_WAS,
    DESIGN,
    MISSES,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    is_design,
    labelled,
)
from ..data.sequences import sequences_of
from ..data.tables import check_kind, weight_names
from ..data.time_order import count_within
from ..utils.arrays import Floats, Ints
from ..utils.documentation import LinksToDocumentation
from ..utils.parameters import Number, check_parameters
from ._columns import OF_CHOICE, Before, Columns, check_output_keeps_identity


class PolicyRegressors(LinksToDocumentation, TransformerMixin, BaseEstimator):
    """Add what else a choice may lean on: the choice, outcome and stimulus of the trials before.

    Each becomes a column of X, and so a weight of the policy. A trial that was missed
    (``missed="count"`` of make_design) counts as one of 0. Identity, history and covariates stay
    as they are; put it after :class:`TanhContrast`.

    Parameters
    ----------
    previous_choice : bool, default=True
        ``choice_back``, -1 or 1: to repeat oneself. Of C > 2 choices one for each,
        ``choice_back_<label>``, 1 - 1 / C for the one before and - 1 / C for others.
    win_stay : bool, default=True
        ``win_stay``, the reward before times that choice: to repeat what was paid. Of more than
        two, ``win_stay_<label>``.
    previous_stimulus : bool, default=True
        ``<stimulus>_back`` of every stimulus column.
    split_sides : bool, default=False
        Whether a stimulus column becomes two, ``<stimulus>_left`` and ``<stimulus>_right``, of its
        size where it is below and above 0.
    trace_decay : float or None, default=None
        Between 0 and 1: also what lasts of each of these, ``choice_trace``, ``win_stay_trace`` and
        ``<stimulus>_trace``. They are averages over all trials before, in which a trial counts
        ``trace_decay`` times as much as the next, and 0 to begin with (of choices, the choice
        kernel of Wilson and Collins, eLife 2019). ``GridSearchCV`` chooses it.

    Examples
    --------
    >>> from sklearn_learnrule import make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(2, 50, random_state=0))
    >>> PolicyRegressors(split_sides=True).fit_transform(X).columns.tolist()[:3]
    ['stimulus_left', 'stimulus_right', 'choice_back']
    >>> PolicyRegressors(trace_decay=0.5).fit_transform(X)["choice_trace"].head(4).tolist()
    [0.0, -0.5, -0.75, -0.875]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "previous_choice": ["boolean"],
        "win_stay": ["boolean"],
        "previous_stimulus": ["boolean"],
        "split_sides": ["boolean"],
        "trace_decay": [None, Number(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        previous_choice: bool = True,
        win_stay: bool = True,
        previous_stimulus: bool = True,
        split_sides: bool = False,
        trace_decay: float | None = None,
    ) -> None:
        self.previous_choice = previous_choice
        self.win_stay = win_stay
        self.previous_stimulus = previous_stimulus
        self.split_sides = split_sides
        self.trace_decay = trace_decay

    def fit(self, X: pd.DataFrame, y: Any = None) -> PolicyRegressors:
        """Check that X is a design; nothing is learned from the data."""
        del y
        check_parameters(self)
        self._check(X)
        if self.trace_decay is not None and not (
            self.previous_choice or self.win_stay or self.previous_stimulus
        ):
            raise ValueError(
                f"trace_decay={self.trace_decay} is of previous_choice, win_stay and "
                "previous_stimulus, and all three are False."
            )
        validate_data(self, X, skip_check_array=True, reset=True)
        self.names_out_ = np.array(self._extend(X).columns, dtype=object)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return X with the further columns; raises as :meth:`TanhContrast.transform` does."""
        check_is_fitted(self)
        self._check(X)
        check_made_alike(X, self)
        validate_data(self, X, skip_check_array=True, reset=False)
        check_output_keeps_identity(self, X)
        return self._extend(X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns that :meth:`transform` returns."""
        del input_features
        check_is_fitted(self)
        return self.names_out_

    def _extend(self, X: pd.DataFrame) -> pd.DataFrame:
        columns = {name: X[name].to_numpy() for name in X}
        return pd.DataFrame(self.transform_columns(columns, sequences_of(X)), X.index)

    def transform_columns(self, columns: Columns, sequence: Ints) -> dict[str, NDArray[Any]]:
        """Return columns of X with the further ones, as arrays, for twins, who come trial by trial.

        Parameters
        ----------
        columns : dict of ndarrays of shape (n_rows,)
        sequence : int ndarray of shape (n_rows,)
            Whose each row is; those of one are in their order.
        """
        return self._made_of(columns, sequence)

    def _made_of(
        self, columns: Columns, sequence: Ints, made_of_first: Columns | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return columns with the further ones; perhaps it is known what sequences' first have."""
        names = DESIGN.stimuli(columns)
        made: list[tuple[Any, NDArray[Any]]] = []
        for name in names:
            if self.split_sides:
                made.append((f"{name}_left", np.maximum(-columns[name], 0)))
                made.append((f"{name}_right", np.maximum(columns[name], 0)))
            else:
                made.append((name, columns[name]))
        misses = columns.get(MISSES, np.zeros(len(sequence)))
        before = self._of_trial_before(columns, names, sequence)
        made += [(back, np.where(misses, 0.0, values)) for back, _, values in before]
        if self.trace_decay is not None and before:
            values = np.column_stack([values for *_, values in before])
            names_of = [trace for _, trace, _ in before]
            first = [made_of_first[trace] for trace in names_of] if made_of_first else None
            traces = _traces(values, self.trace_decay, misses, sequence, first)
            made += zip(names_of, traces.T, strict=True)
        weight_names(name for name, _ in made)
        return dict(made) | {name: columns[name] for name in columns if name not in names}

    def transform_next(self, columns: Columns, before: Before) -> dict[str, NDArray[Any]]:
        """Return what is made of one more row of each sequence, as arrays.

        Parameters
        ----------
        columns : dict of ndarrays of shape (n_sequences,)
        before : two such dicts, or None where the row is the first
            The row before, and what this method made of it.
        """
        sequence = np.arange(len(next(iter(columns.values()))))
        if before is None:
            return self.transform_columns(columns, sequence)
        last, made = before
        pairs = {name: np.concatenate([last[name], columns[name]]) for name in columns}
        rows = self._made_of(pairs, np.tile(sequence, 2), made)
        return {name: values[len(sequence) :] for name, values in rows.items()}

    @property
    def n_trials_back(self) -> int:
        """How many trials back a row's columns look; of a trace, until 1e-12 is left."""
        return 1 if self.trace_decay is None else math.ceil(math.log(1e-12, self.trace_decay))

    def _of_trial_before(
        self, columns: Columns, names: Sequence[Any], sequence: Ints
    ) -> list[tuple[str, str, NDArray[Any]]]:
        """Return what the trial before was like, (n_rows,) each, with its and its trace's name."""
        sides, past = _sides(columns), {}
        if self.previous_choice:
            past["choice_back"] = sides
        if self.win_stay:
            paid = columns[PREVIOUS_REWARD]
            past["win_stay"] = {of: side * paid for of, side in sides.items()}
        made = [
            (back + of, OF_CHOICE[back] + of, values)
            for back, choices in past.items()
            for of, values in choices.items()
        ]
        if self.previous_stimulus:
            for name in names:
                made.append((f"{name}_back", f"{name}_trace", _back(columns[name], sequence)))
        return made

    def _check(self, X: Any) -> None:
        check_kind(X)
        if not (isinstance(X, pd.DataFrame) and is_design(X)):
            raise ValueError(
                "PolicyRegressors needs the X of make_design, with its history columns."
            )


def _sides(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the choice before and, of more than two, how each one's name goes on.

    As -1 or 1, 0 where there is none; of C > 2 as 1 less 1 / C for it and - 1 / C for others. So
    they add up to 0 on all trials, and take nothing from the bias.
    """
    choices = _previous_choices(columns)
    if len(choices) == 1:
        return {of: columns[name] for name, of in choices.items()}
    before = np.sum([columns[name] for name in choices], 0) / len(choices)  # 0 where there is none
    return {of: columns[name] - before for name, of in choices.items()}


def _previous_choices(columns: Iterable[str]) -> dict[str, str]:
    """Return X's columns of the choice before and, of more than two, how each's name goes on."""
    names = [name for name in columns if name == PREVIOUS_CHOICE] or labelled(CHOICE_WAS, columns)
    return {name: name.removeprefix(PREVIOUS_CHOICE) for name in names}


def _back(values: NDArray[Any], sequence: Ints) -> NDArray[Any]:
    """Return each row's value of the row before in its sequence, 0 in the first."""
    order = np.argsort(sequence, kind="stable")
    is_first = np.diff(sequence[order], prepend=-1) != 0
    back = np.empty(len(values))
    back[order] = np.where(is_first, 0.0, np.roll(values[order], 1))
    return back


def _traces(
    values: Floats,
    decay: float,
    misses: Floats,
    sequence: Ints,
    of_first: Sequence[Floats] | None,
) -> Floats:
    """Return decaying averages of values (n_rows, J), each row's and those of the rows before.

    Missed trials, (n_rows,) before each row, count as values of 0. ``of_first`` are those of the
    sequences' first rows, J of (n_sequences,), where they are known.
    """
    place, number = count_within(sequence), np.unique(sequence, return_inverse=True)[1]
    rank = np.argsort(np.argsort(-np.bincount(number)))  # of each sequence, 0 of the longest
    order = np.lexsort((rank[number], place))  # so those that go on come first in each place
    kept = decay ** misses[order, None]
    made = kept * (1 - decay) * values[order]
    ends = np.cumsum(np.bincount(place))[:-1]
    rows, shares = np.split(made, ends), np.split(kept * decay, ends)  # views, a place each
    if of_first is not None:
        rows[0][:] = np.column_stack(of_first)[number[order[: len(rows[0])]]]
    for before, now, share in zip(rows, rows[1:], shares[1:], strict=False):
        now += share * before[: len(now)]
    traces = np.empty_like(made)
    traces[order] = made
    return traces
