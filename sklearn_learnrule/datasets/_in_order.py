"""The parts of a table of trials put together, each subject's sessions in order of time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

import pandas as pd

from ..data.check import N_TOLD
from ..utils.texts import short
from ..utils.warn import warn

DIGITS = re.compile(r"(\d+)")
DATE = re.compile(r"(?<!\d)(19|20)\d\d([01]\d[0-3]\d|([-./_ ]\d\d?){2})")  # the year first
NO_ORDER = re.compile(
    r"""
    (?<!\d)\d\d?[-./_\ ]\d\d?[-./_\ ](19|20)\d\d(?!\d)  # a date that ends in its year,
    | (?<!\d)(?<!\d[-./])\d\d?([-./])\d\d?\2\d\d(?![-./]?\d)  # or in two digits of it,
    | (?<!\d)(0[1-9]|[12]\d|3[01])(0[1-9]|[12]\d|3[01])(19|20)\d\d(?!\d)  # or has no points;
    | (?<![a-z])(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?
      |sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?|mon(day)?|tue(s(day)?)?|wed(nesday)?
      |thu(r(s(day)?)?)?|fri(day)?|sat(urday)?|sun(day)?)(?![a-z])  # a month, a day of the week;
    | [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}  # an identifier such as ONE's eid
    """,
    re.IGNORECASE | re.VERBOSE,
)
SIX_DIGITS = re.compile(r"\D*(\d{5,6})(?!\d)")  # or five, of a number that opened with 0
READINGS = ("%y%m%d", "%d%m%y", "%m%d%y")  # of six digits as a date


class Part(NamedTuple):
    """The trials of one source that are kept."""

    place: str  # what a message calls it
    trials: pd.DataFrame
    sessions: list[tuple[Any, Any]]  # subject and session of all trials that were read
    counts: Mapping[str, int] = {}
    no_choices: frozenset[Any] = frozenset()  # labels that stand for none
    start: pd.Timestamp | None = None  # when it was, if the source tells


def join(parts: Sequence[Part]) -> pd.DataFrame:
    """Put the trials of parts together, a subject's sessions in order of time.

    That of their names, numbers as numbers, unless parts tell when they were.

    Raises
    ------
    ValueError
        If two parts tell of one session, or a name does not tell when its session was.

    Warns
    -----
    UserWarning
        If a subject's parts are in an order that no number or date tells, or two hold the same
        trials.
    """
    places: dict[tuple[Any, Any], str] = {}
    for part in parts:
        for subject, session in part.sessions:
            if (subject, str(session)) in places:
                raise ValueError(
                    f"Session {short(session)} of {short(subject)} comes twice, from "
                    f"{places[subject, str(session)]} and {part.place}; leave one out, or give the "
                    "two names of their own."
                )
            places[subject, str(session)] = part.place
    in_order = sorted(_apart(parts), key=_time)
    for doubt in (_doubt_of_order(in_order), _doubt_of_copies(in_order)):
        if doubt:
            warn(doubt)
    tables = [part.trials for part in in_order if len(part.trials)] or [in_order[0].trials]
    trials = pd.concat(tables, ignore_index=True)
    if trials["session"].map(type).nunique() > 1:  # numbers in one file, text in another
        trials["session"] = trials["session"].astype(str)
    rank = {name: n for n, name in enumerate(sorted(trials["subject"].unique(), key=natural))}
    return trials.sort_values(
        "subject", kind="stable", key=lambda names: names.map(rank), ignore_index=True
    )


def _apart(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield a part for each subject and, if the subject is in several, for each of its sessions."""
    n_parts = Counter(subject for part in parts for subject in dict(part.sessions))
    for part in parts:
        for subject in dict(part.sessions):
            own = [session for session in part.sessions if session[0] == subject]
            of_subject = part.trials[part.trials["subject"] == subject]
            for some in [own] if n_parts[subject] == 1 else [[session] for session in own]:
                names = [session for _, session in some]
                trials = of_subject[of_subject["session"].isin(names)]
                yield part._replace(trials=trials, sessions=some)


def natural(name: Any) -> list[str | int]:
    """Return what sorts names as people do, their numbers as numbers: "s9" before "s10"."""
    parts = DIGITS.split(str(name))
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _time(part: Part) -> Any:
    return part.start or natural(part.sessions[0][1])


def _doubt_of_order(in_order: Sequence[Part]) -> str | None:
    """Say in which order a subject's parts were put, if neither number nor time told it.

    Raises
    ------
    ValueError
        If the name of one of several does not tell when it was.
    """
    of_each: dict[Any, list[Part]] = {}
    for part in in_order:
        of_each.setdefault(part.sessions[0][0], []).append(part)
    doubtful = {}
    for subject, parts in of_each.items():
        names = [str(part.sessions[0][1]) for part in parts]
        out_of_order = _are_dates_out_of_order(names)
        for part, name in zip(parts, names, strict=True):
            undated = out_of_order or _is_undated(name)
            if len(parts) > 1 and part.start is None and undated:
                raise ValueError(
                    f"Sessions are put in order by their names, but {short(name)} ({part.place}) "
                    "does not tell when it was. Name sessions by number, or by date, the year "
                    "first and in full: '2024-03-01' (in from_files, rename them by prepare=)."
                )
        if any(_is_told_by_text(*two) for two in pairwise(parts)):
            doubtful[subject] = names if len(names) < 8 else [*names[:3], "...", *names[-3:]]
    if not doubtful:
        return None
    subject, names = next(iter(doubtful.items()))
    others = f" (and of {len(doubtful) - 1} more)" if len(doubtful) > 1 else ""
    cure = "name them by number or date"
    if of_each[subject][0].start is not None:
        cure = "some began at the same time, so give each its session_start_time"
    return (
        f"Sessions of {subject}{others} are taken in the order {', '.join(names)}: {cure} if that "
        "is wrong."
    )


def _is_undated(name: str) -> bool:
    """Whether a name holds what tells no order, and no date before it."""
    fault, date = NO_ORDER.search(name), DATE.search(name)
    return fault is not None and not (date and date.start() < fault.start())


def _are_dates_out_of_order(names: Sequence[str]) -> bool:
    """Whether names in order of their numbers hold dates of six digits, such as 281123, in another.

    Of the ways to read them, the one that sets them closest is taken.
    """
    found = [SIX_DIGITS.match(name) for name in names]
    readings = []
    for reading in READINGS:
        try:
            days = [datetime.strptime(f"{digits[1]:0>6}", reading) for digits in found if digits]
        except ValueError:
            continue  # no such dates
        readings.append(days)
    if not all(found) or not readings:
        return False
    closest = min(readings, key=lambda days: max(days) - min(days))
    return closest != sorted(closest)


def _is_told_by_text(one: Part, other: Part) -> bool:
    """Whether what first tells two parts apart is neither a number nor a time."""
    if one.start is not None:
        return one.start == other.start
    names = zip_longest(*(natural(part.sessions[0][1]) for part in (one, other)))
    return next((place for place, (a, b) in enumerate(names) if a != b), 0) % 2 == 0


def _doubt_of_copies(parts: Sequence[Part]) -> str | None:
    """Say which two parts hold the same trials, if they are too many to be so by chance."""
    places: dict[Any, str] = {}
    for part in parts:
        choices = tuple(map(str, part.trials["choice"]))
        if len(choices) < N_TOLD or len(set(choices)) < 2:
            continue
        numbers = part.trials.drop(columns=["subject", "session"]).select_dtypes("number")
        trials = choices, numbers.to_numpy().tobytes()
        if trials in places:
            return (
                f"{places[trials]} and {part.place} hold the same trials: leave one out if it is a "
                "copy."
            )
        places[trials] = part.place
    return None
