"""From a table of trials to scikit-learn's X, y, groups.

Row t of X holds exactly what was known before choice t, so no estimator can peek.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

IDENTITY = ("subject", "session", "trial")
PREVIOUS_CHOICE, PREVIOUS_REWARD, PREVIOUS_ANSWER = HISTORY = (
    "previous_choice",
    "previous_reward",
    "previous_answer",
)


def make_design(
    trials: pd.DataFrame,
    *,
    stimulus: str | Sequence[str] = "stimulus",
    choice: str = "choice",
    reward: str = "reward",
    subject: str = "subject",
    session: str = "session",
    answer: str | None = None,
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Turn a table of trials into ``X, y, groups`` for any scikit-learn classifier.

    Parameters
    ----------
    trials : DataFrame
        One row a trial; the rows of a subject stand together, in temporal order.
    stimulus : str or list of str
        The numeric column or columns that the animal saw before its choice.
    choice : str
        The column of choices, two labels of any type. The second in sorted order is y = 1.
    reward : str
        The numeric column of rewards.
    subject, session : str
        The columns that name the animal and the session. A change of session within a
        subject is an input of flexible rules.
    answer : str or None
        The column of correct choices, labelled as the choices are. Without it, a rewarded
        choice counts as correct.

    Returns
    -------
    X : DataFrame
        The stimulus columns, then ``previous_choice`` (-1 or +1 for the first or second
        label, 0 on a subject's first trial), ``previous_reward`` (0 there) and, if ``answer``
        was given, ``previous_answer`` (as ``previous_choice``). Its index has the levels
        ``subject``, ``session``, ``trial`` (0, 1, ... within the subject).
    y : Series
        The choices, as given.
    groups : Series
        The subject of each row.

    Raises
    ------
    ValueError
        If a column is unknown, a value is missing or not finite, the choices have not
        exactly two labels, or the order of the trials is lost.

    Examples
    --------
    >>> trials = pd.DataFrame({
    ...     "subject": "Ada", "session": [1, 1, 2], "stimulus": [-0.5, 1.0, 0.2],
    ...     "choice": ["left", "right", "left"], "reward": [1, 1, 0]})
    >>> X, y, groups = make_design(trials)
    >>> X
                           stimulus  previous_choice  previous_reward
    subject session trial
    Ada     1       0          -0.5              0.0              0.0
                    1           1.0             -1.0              1.0
            2       2           0.2              1.0              1.0
    """
    stimuli = list(stimulus) if isinstance(stimulus, Iterable) else [stimulus]
    stimuli = [stimulus] if isinstance(stimulus, str) else stimuli
    used = [*stimuli, choice, reward, subject, session] + ([answer] if answer is not None else [])
    _check_columns(trials, used)
    _check_stimuli(stimuli, used[len(stimuli) :])
    _check_complete(trials, used, subject)
    codes = pd.factorize(trials[subject])[0]
    _check_order(trials, codes, subject, session)

    first = np.diff(codes, prepend=-1) != 0  # subjects are contiguous
    numbers = {name: _as_numbers(trials, name, subject) for name in [*stimuli, reward]}
    columns = {str(name): numbers[name] for name in stimuli}
    labels = two_labels(trials[choice].to_numpy(), f"column {choice!r}")
    signed_choice = _signed(trials, choice, labels, subject)
    columns[PREVIOUS_CHOICE] = _previous(signed_choice, first)
    columns[PREVIOUS_REWARD] = _previous(numbers[reward], first)
    if answer is not None:
        columns[PREVIOUS_ANSWER] = _previous(_signed(trials, answer, labels, subject), first)

    index = pd.MultiIndex.from_arrays(
        [trials[subject], trials[session], count_within(codes)], names=IDENTITY
    )
    y, groups = trials[choice].set_axis(index), trials[subject].set_axis(index)
    return pd.DataFrame(columns, index=index), y, groups.rename("subject")


def show(value: Any) -> str:
    """Write a value for a message, a numpy scalar as the Python number that it is."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def count_within(codes: NDArray[Any]) -> NDArray[Any]:
    """Number each row among the rows of its code: 0, 1, ..."""
    return pd.Series(codes).groupby(codes).cumcount().to_numpy()


def first_return(codes: NDArray[Any]) -> int | None:
    """Return the first row whose code comes back after another code, if there is one."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    returns = starts[pd.Series(codes[starts]).duplicated()]
    return int(returns[0]) if len(returns) else None


def two_labels(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return the two labels of the choices, sorted; raise if they are not two."""
    try:
        labels = np.unique(values)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(
            f"The choices in {where} should be labels of one type, but are {' and '.join(kinds)}."
        ) from None
    if len(labels) != 2:
        shown = ", ".join(repr(label) for label in labels[:4].tolist())
        raise ValueError(
            f"Choices need exactly two classes, but {where} has {len(labels)} "
            f"class{'es' * (len(labels) != 1)}: {shown}{', ...' * (len(labels) > 4)}. "
            "Drop the rows of missed trials, or recode."
        )
    return labels


def _previous(values: NDArray[np.float64], first: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(first, 0.0, np.roll(values, 1))


def _signed(
    trials: pd.DataFrame, name: str, labels: NDArray[Any], subject: str
) -> NDArray[np.float64]:
    """Code the labels as -1 and +1."""
    values = trials[name].to_numpy()
    known = np.isin(values, labels)
    if not known.all():
        row = int(np.argmin(known))
        raise ValueError(
            f"Column {name!r} should hold the labels of the choices, {labels.tolist()}, but has "
            f"{show(values[row])} ({_place(trials, subject, row)})."
        )
    return np.where(values == labels[1], 1.0, -1.0)


def _as_numbers(trials: pd.DataFrame, name: str, subject: str) -> NDArray[np.float64]:
    if not is_numeric_dtype(trials[name]):
        raise ValueError(
            f"Column {name!r} should be numeric, but has the type {trials[name].dtype}."
        )
    numbers = trials[name].to_numpy(dtype=float)
    infinite = ~np.isfinite(numbers)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise ValueError(
            f"Column {name!r} should be finite, but is {numbers[row]} "
            f"({_place(trials, subject, row)})."
        )
    return numbers


def _check_columns(trials: Any, used: list[Any]) -> None:
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(f"trials should be a pandas DataFrame, got {type(trials).__name__}.")
    for name in used:
        n_found = int((trials.columns == name).sum())
        if n_found == 0:
            raise ValueError(_unknown_column(name, list(trials.columns)))
        if n_found > 1:
            raise ValueError(f"The table has {n_found} columns named {name!r}; rename all but one.")
    if len(trials) == 0:
        raise ValueError("The table has no trials (0 rows).")


def _check_stimuli(stimuli: list[Any], others: list[Any]) -> None:
    forbidden = list(dict.fromkeys([*others, *IDENTITY, *HISTORY, "bias"]))
    if not stimuli or len(set(stimuli)) < len(stimuli) or set(stimuli) & set(forbidden):
        raise ValueError(
            "stimulus should name columns seen before the choice, each once, and none of "
            f"{', '.join(map(repr, forbidden))}; got {stimuli}."
        )


def _unknown_column(name: Hashable, columns: list[Any]) -> str:
    shown = ", ".join(repr(column) for column in columns[:12]) + (", ..." * (len(columns) > 12))
    close = difflib.get_close_matches(str(name), [str(column) for column in columns], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"Column {name!r} is not in the table, whose columns are {shown}.{hint}"


def _check_complete(trials: pd.DataFrame, used: list[Any], subject: str) -> None:
    for name in used:
        missing = trials[name].isna().to_numpy()
        if missing.any():
            raise ValueError(
                f"Column {name!r} is missing (NaN) on {missing.sum()} of {len(trials)} trials, "
                f"first at {_place(trials, subject, int(np.argmax(missing)))}. "
                f"Fill it, or drop those trials: trials.dropna(subset=[{name!r}])."
            )


def _check_order(
    trials: pd.DataFrame, codes: NDArray[np.int64], subject: str, session: str
) -> None:
    row = first_return(codes)
    if row is not None:
        raise ValueError(
            f"The trials of a subject should stand together, but {_place(trials, subject, row)} "
            "comes after rows of another subject. If each subject's own trials are in temporal "
            f"order, sort the table: trials.sort_values({subject!r}, kind='stable')."
        )
    row = first_return(trials.groupby([subject, session], observed=True).ngroup().to_numpy())
    if row is not None:
        raise ValueError(
            f"Trials should be in temporal order, but session {show(trials[session].iloc[row])} "
            f"comes back after another session ({_place(trials, subject, row)}). Sort each "
            "subject's trials by time, or give sessions names that are unique within a subject."
        )


def _place(trials: pd.DataFrame, subject: str, row: int) -> str:
    return f"subject {show(trials[subject].iloc[row])}, row {row}"
