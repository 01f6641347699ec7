"""Transformers of the stimulus."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .data.check_sequences import check_made_alike
from .data.schema import (
    CHOICE_WAS,
    DESIGN,
    IDENTITY,
    MISSES,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    is_design,
    labelled,
)
from .data.sequences import sequences_of
from .data.tables import check_kind, weight_names
from .data.time_order import count_within
from .utils.arrays import Floats, Ints
from .utils.documentation import LinksToDocumentation
from .utils.parameters import ABOVE_0, Number, check_parameters, each
from .utils.sklearn_private import get_output_config
from .utils.warn import warn

Columns: TypeAlias = Mapping[Any, NDArray[Any]]

OF_CHOICE = {"choice_back": "choice_trace", "win_stay": "win_stay_trace"}  # each with its trace


def of_own_choices(columns: Iterable[Any]) -> list[Any]:
    """Return those of the columns that :class:`PolicyRegressors` makes of choices.

    Examples
    --------
    >>> of_own_choices(["contrast", "choice_back", "win_stay_trace_left", "previous_choice"])
    ['choice_back', 'win_stay_trace_left']
    """
    stems = (*OF_CHOICE, *OF_CHOICE.values())
    return [name for name in columns if str(name).startswith(stems)]


def of_trials_before(columns: Iterable[Any]) -> list[Any]:
    """Return those of the columns that :class:`PolicyRegressors` makes of the trials before.

    Examples
    --------
    >>> of_trials_before(["tone_left", "tone_right", "win_stay", "tone_back", "way_back"])
    ['win_stay', 'tone_back']
    """
    names = list(columns)
    stimuli = {*names, *(str(name).removesuffix("_left") for name in names)}  # also if split
    made = {f"{stimulus}{ending}" for stimulus in stimuli for ending in ("_back", "_trace")}
    made.update(of_own_choices(names))
    return [name for name in names if name in made]


def tanh_contrast(contrast: ArrayLike, slope: float = 5.0) -> Floats:
    """Return tanh(slope c) / tanh(slope): contrasts as a mouse sees them, still in [-1, 1].

    Examples
    --------
    >>> tanh_contrast([-1.0, 0.0, 0.25]).round(3)
    array([-1.   ,  0.   ,  0.848])
    """
    return np.tanh(slope * np.asarray(contrast, dtype=float)) / np.tanh(slope)


class TanhContrast(LinksToDocumentation, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bend contrasts by tanh(slope c) / tanh(slope), as is usual for the IBL task.

    Put straight before an estimator: a DataFrame stays a DataFrame with its index, and its
    identity, history (``previous_choice`` and so on) and covariates are left alone.

    Parameters
    ----------
    slope : float, default=5.0
        Above 0.
    columns : str, list of str or None, default=None
        The columns to bend; None: all stimuli.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"stimulus": [-0.25, 0.0625], "previous_choice": [0.0, 1.0]})
    >>> TanhContrast().fit_transform(X).round(3)
       stimulus  previous_choice
    0    -0.848              0.0
    1     0.303              1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "slope": [ABOVE_0],
        "columns": [None, str, each(str)],
    }
    n_trials_back: ClassVar[int] = 0

    def __init__(self, slope: float = 5.0, columns: str | Sequence[str] | None = None) -> None:
        self.slope = slope
        self.columns = columns

    def fit(self, X: Any, y: Any = None) -> TanhContrast:
        """Check the columns; nothing is learned from the data."""
        del y
        check_parameters(self)
        check_kind(X)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=True)
            self._check_columns(X)
        elif self.columns is not None:
            raise ValueError("TanhContrast(columns=...) needs a DataFrame with column names.")
        else:
            validate_data(self, X, dtype=np.float64, reset=True)
        return self

    def transform(self, X: Any) -> pd.DataFrame | Floats:
        """Return X with its contrasts bent, a DataFrame if X is one.

        Raises
        ------
        ValueError
            If the output is to be of a library whose tables have no index, such as polars, and X's
            index names the trials.
        """
        check_is_fitted(self)
        check_kind(X)
        if not isinstance(X, pd.DataFrame):
            return tanh_contrast(validate_data(self, X, dtype=np.float64, reset=False), self.slope)
        check_made_alike(X, self)
        validate_data(self, X, skip_check_array=True, reset=False)
        _check_output_keeps_identity(self, X)
        names = self._columns()
        if names is None:
            names = DESIGN.stimuli(X.columns)
        bent = X.copy()
        for name in names:
            bent[name] = tanh_contrast(X[name], self.slope)
        return bent

    def transform_columns(self, columns: Columns, sequence: Ints) -> dict[str, NDArray[Any]]:
        """Return columns of X, as arrays, bent: see that of :class:`PolicyRegressors`."""
        del sequence
        named = self._columns()
        names = DESIGN.stimuli(columns) if named is None else named
        return {**columns, **{name: tanh_contrast(columns[name], self.slope) for name in names}}

    def _check_columns(self, X: pd.DataFrame) -> None:
        """Raise if what is to be bent is not there or no contrast; warn if it goes beyond 1."""
        names = self._columns()
        unknown = [] if names is None else [name for name in names if name not in X.columns]
        if unknown:
            raise ValueError(f"TanhContrast: X has no column {unknown[0]!r}.")
        made = of_own_choices(X.columns) if names is None else []
        if made:
            raise ValueError(
                f"TanhContrast would bend {made[0]!r} as well, which is no contrast: put it "
                "before PolicyRegressors, or name the columns to bend."
            )
        bent = DESIGN.stimuli(X.columns) if names is None else names
        if is_design(X) and (beyond := [name for name in bent if X[name].abs().max() > 1]):
            warn(
                f"Column {beyond[0]!r} goes beyond -1 and 1, where TanhContrast tells no contrasts "
                "apart: divide contrasts in percent by 100."
            )

    def _columns(self) -> Sequence[str] | None:
        return [self.columns] if isinstance(self.columns, str) else self.columns


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
        _check_output_keeps_identity(self, X)
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
            traces = _traces(values, self.trace_decay, misses, sequence)
            made += [(trace, of) for (_, trace, _), of in zip(before, traces.T, strict=True)]
        weight_names(name for name, _ in made)
        return dict(made) | {name: columns[name] for name in columns if name not in names}

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


def _traces(values: Floats, decay: float, misses: Floats, sequence: Ints) -> Floats:
    """Return decaying averages of values (n_rows, J), each row's and those of the rows before.

    Missed trials, (n_rows,) before each row, count as values of 0.
    """
    place, number = count_within(sequence), np.unique(sequence, return_inverse=True)[1]
    rank = np.argsort(np.argsort(-np.bincount(number)))  # of each sequence, 0 of the longest
    order = np.lexsort((rank[number], place))  # so those that go on come first in each place
    kept = decay ** misses[order, None]
    made = kept * (1 - decay) * values[order]
    ends = np.cumsum(np.bincount(place))[:-1]
    rows, shares = np.split(made, ends), np.split(kept * decay, ends)  # views, a place each
    for before, now, share in zip(rows, rows[1:], shares[1:], strict=False):
        now += share * before[: len(now)]
    traces = np.empty_like(made)
    traces[order] = made
    return traces


def _check_output_keeps_identity(transformer: Any, X: pd.DataFrame) -> None:
    """Raise if the table that is asked for would be without the index that names X's trials."""
    output = get_output_config("transform", transformer)["dense"]
    named = [name for name in IDENTITY if name in X.index.names]
    if output not in ("default", "pandas") and named:
        raise ValueError(
            f"{type(transformer).__name__}: set_output(transform={output!r}) would drop X's index, "
            f"which holds {', '.join(named)}: use set_output(transform='pandas')."
        )
