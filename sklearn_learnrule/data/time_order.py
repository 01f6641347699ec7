"""The order of time: of rows within a subject, and what sessions and a clock tell of it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from ..utils.arrays import Bools, Floats, Ints
from ..utils.texts import short
from ..utils.warn import warn
from .tables import place

ISO_DATE = re.compile(  # 2024-03-01, perhaps with a time and its zone, or 20240301
    r"(?<![0-9])(?:[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|(?:19|20)[0-9]{6}(?![0-9]))"
)
LAST_NUMBER = re.compile(r"(.*?)([0-9]+)$", re.DOTALL)  # "s10": "s" and 10
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
ONE_NAME = (
    "if several animals bear one name, name them by more columns, such as "
    "subject=['lab', 'subject']"
)


def count_within(codes: Ints) -> Ints:
    """Number each row among the rows of its code: 0, 1, ..."""
    return np.asarray(pd.Series(codes).groupby(codes).cumcount(), dtype=np.int64)


def first_return(codes: Ints) -> int | None:
    """Return the first row whose code comes back after another code, if there is one."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    returns = starts[pd.Series(codes[starts]).duplicated()]
    return int(returns[0]) if len(returns) else None


def check_together(codes: Ints, subjects: pd.Index, columns: list[Any]) -> None:
    """Raise if a subject's rows, named by these columns, are interleaved with another's."""
    row = first_return(codes)
    if row is not None:
        by = columns[0] if len(columns) == 1 else columns
        raise ValueError(
            f"The trials of a subject should stand together, but {place(subjects, row)} comes "
            f"after rows of another subject. First, {ONE_NAME}; then, if each subject's own trials "
            f"are in temporal order, sort the table: trials.sort_values({by!r}, kind='stable')."
        )


def session_starts(sessions: pd.Index, codes: Ints, trial: Ints, subjects: pd.Index) -> Bools:
    """Whether each row opens a session; raise if a subject's sessions are not in temporal order.

    Parameters
    ----------
    sessions, subjects : Index of n_rows names
    codes : int ndarray of shape (n_rows,)
        A number for each subject.
    trial : int ndarray of shape (n_rows,)
        The order of the rows within a subject.

    Warns
    -----
    UserWarning
        If the numbers at the end of sessions' names run backwards.
    """
    order = np.lexsort((trial, codes))  # a subject's rows together, in temporal order
    session_codes = pd.factorize(sessions)[0]
    in_order = (codes * (session_codes.max() + 1) + session_codes)[order]
    back = first_return(in_order)
    if back is not None:
        row = int(order[back])
        raise ValueError(
            f"Trials should be in temporal order, but session {short(sessions[row])} comes back "
            f"after another session ({place(subjects, row)}). Sort the trials by subject and time, "
            f"or give sessions names that are unique within a subject; {ONE_NAME}."
        )
    opening = order[np.diff(in_order, prepend=-1) != 0]
    _check_forward(sessions, opening, codes[opening], subjects)
    starts = np.zeros(len(codes), dtype=bool)
    starts[opening] = True
    return starts


def check_rises(
    column: pd.Series, starts: Bools, subjects: pd.Index, sessions: pd.Index | None
) -> None:
    """Raise unless a trial's number or time rises from row to row, but where a session starts.

    ``sessions`` has the name of each row's, if they have names.
    """
    moments = as_moments(column)
    if np.isnan(moments).any():
        row = int(np.argmax(np.isnan(moments)))
        raise ValueError(
            f"Column {column.name!r} should hold numbers, dates or durations, but has "
            f"{short(column.iloc[row])} ({place(subjects, row)})."
        )
    stays = ~starts & ~(np.diff(moments, prepend=-np.inf) > 0)
    if stays.any():
        row = int(np.argmax(stays))
        session = "" if sessions is None else f" in session {short(sessions[row])}"
        raise ValueError(
            f"Column {column.name!r} should rise within a session, but {short(column.iloc[row])} "
            f"comes after {short(column.iloc[row - 1])}{session} ({place(subjects, row)}). Sort "
            f"the trials by subject and time (in from_files and from_nwb, by prepare=); {ONE_NAME}."
        )


def as_moments(values: pd.Series | pd.Index) -> Floats:
    """Return numbers, dates (in text: ISO 8601) and durations as floats, NaN where there is none.

    Dates are in seconds since 1970, of whatever time zone; durations are in seconds.
    """
    objects = np.asarray(values, dtype=object)
    kind = infer_dtype(objects)
    if kind in NUMBERS:
        return objects.astype(np.float64)
    if kind.startswith("timedelta"):
        return np.asarray(pd.to_timedelta(objects).total_seconds(), dtype=np.float64)
    dates = objects if kind.startswith("date") else [_iso_date(value) for value in objects]
    times = pd.to_datetime(pd.Series(dates), format="ISO8601", utc=True, errors="coerce")
    return np.asarray((times - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)


def _iso_date(value: Any) -> str | None:
    found = ISO_DATE.search(str(value))
    return found[0] if found else None


def _check_forward(sessions: pd.Index, opening: Ints, codes: Ints, subjects: pd.Index) -> None:
    """Raise if sessions' numbers or dates run backwards; warn if the numbers in their names do.

    Each session is given by the row that opens it and the code of its subject.
    """

    def which(fall: tuple[int, int]) -> str:
        before, after = opening[list(fall)]
        return (
            f"{short(sessions[after])} comes after {short(sessions[before])} "
            f"({place(subjects, int(after))})"
        )

    names = sessions[opening]
    moments = [None if np.isnan(moment) else moment for moment in as_moments(names)]
    if fall := _first_fall(moments, codes):
        raise ValueError(
            f"Sessions should be in temporal order, but {which(fall)}. Sort the trials by subject "
            f"and time, or, if numbers are mere names, make them text; {ONE_NAME}."
        )
    parts = [LAST_NUMBER.match(ISO_DATE.sub("", str(name), count=1)) for name in names]
    numbers = [int(part[2]) if part else None for part in parts]
    stems = [part and part[1] for part in parts]
    if fall := _first_fall(numbers, zip(codes, moments, stems, strict=True)):
        warn(
            f"Sessions' names end in numbers that run backwards: {which(fall)}. Sort the trials by "
            f"subject and time, not by names as text; {ONE_NAME}.",
        )


def _first_fall(
    numbers: Sequence[float | None], groups: Iterable[Hashable]
) -> tuple[int, int] | None:
    """Find the first number below the last known of its group; return the places of both."""
    last: dict[Hashable, tuple[float, int]] = {}
    for here, (number, group) in enumerate(zip(numbers, groups, strict=True)):
        if number is None:
            continue
        highest, before = last.get(group, (number, here))
        if number < highest:
            return before, here
        last[group] = number, here
    return None
