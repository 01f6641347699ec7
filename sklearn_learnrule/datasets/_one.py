"""Trials of the International Brain Laboratory as ONE loads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_list_like

from ..data.check import N_TOLD
from ..utils.texts import short
from ..utils.warn import warn
from ._ibl import Processing, check_processing, finish, summarize
from ._ibl_release import CODED, GRADED, check_arrays, decode
from ._in_order import Part, join
from ._layout import Gaps, check, check_gaps

MANY = 0.1  # of all trials, that were rewarded without a choice: another coding
NEEDED = (*CODED, "contrastLeft", "contrastRight")


def from_one(
    trials: Any,
    *,
    subject: str | Sequence[str],
    session: Any,
    processing: Processing = None,
    missed: Gaps = "drop",
    verbose: bool = True,
) -> pd.DataFrame:
    """Make a table of trials of what ``one.load_object(eid, "trials")`` returns.

    Nothing of ONE is needed to do so. Trials without a choice, without feedback (these timed out)
    or without a contrast are counted and, by default, left out. Sessions come in the order of their
    names, numbers as numbers and dates year first; a name that tells another order or none is
    refused.

    Parameters
    ----------
    trials : mapping of arrays or DataFrame, or a list of them
        One session's, or many: ``choice`` (-1 right, 0 none, 1 left), ``feedbackType`` (-1 error, 0
        none, 1 reward), ``contrastLeft`` and ``contrastRight`` (from 0 to 1, NaN on the side
        without a stimulus) and, if it is there, ``probabilityLeft``.
    subject : str or list of str
        The animal, of all sessions or of each.
    session : str, number or date, or a list of them
        The name of the session, which tells when it was, such as "2019-03-05/001"; of many
        sessions, of each.
    processing : {"published", "repaired"} or None, default=None
        Of stimuli on the side opposite to the answer, as of :func:`load_ibl_trials`.
    missed : "drop" or "keep", default="drop"
        What becomes of trials without a choice or feedback, as of :func:`load_ibl_trials`.
    verbose : bool, default=True
        Whether to print what was read and what was left out.

    Returns
    -------
    trials : DataFrame
        As of :func:`load_ibl_trials`, without ``lab``: ``choice`` and ``answer`` are 1 for right,
        stimuli on the right are positive.

    Raises
    ------
    TypeError
        If the trials are no mapping of arrays.
    ValueError
        If an array is missing, of another length or coded otherwise, a session comes twice or does
        not tell when it was.

    Warns
    -----
    UserWarning
        If there are stimuli on the side opposite to the answer, and no processing was chosen, many
        trials were rewarded without a choice, two sessions hold the same trials, or names of a
        subject's differ in more than their numbers.

    Examples
    --------
    >>> nan = np.nan
    >>> trials = {"choice": [1, 0, -1], "feedbackType": [1, -1, -1],
    ...           "contrastLeft": [1.0, nan, 0.25], "contrastRight": [nan, 0.5, nan]}
    >>> table = from_one(trials, subject="KS014", session="2019-03-05/001")
    1 session of 1 subject; trials: read 3, misses 1, kept 2
    >>> table[["session", "contrast", "choice", "answer", "reward"]]
              session  contrast  choice  answer  reward
    0  2019-03-05/001     -1.00       0       0     1.0
    1  2019-03-05/001     -0.25       1       0     0.0
    """
    check_processing(processing)
    check_gaps(missed=missed)
    parts, rows = [], []
    for number, (each, *names) in enumerate(_sessions(trials, subject, session)):
        try:
            columns, counts = decode(_arrays(each), missed)
        except (TypeError, ValueError) as error:
            place = f"Session {short(names[1])} of {short(names[0])}"
            raise type(error)(f"{place}: {error}.") from error
        named = dict(zip(("subject", "session"), names, strict=True))
        table = pd.DataFrame({**named, **columns}, index=range(len(columns["choice"])))
        parts.append(Part(f"trials[{number}]", table, [(names[0], names[1])]))
        rows.append({**named, **counts, "problem": ""})
    report = pd.DataFrame(rows).set_index(["subject", "session"])
    n_paid, n_read = report["rewarded_misses"].sum(), report["read"].sum()
    if n_paid >= N_TOLD and n_paid > MANY * n_read:
        warn(
            f"{n_paid / n_read:.0%} of all trials were rewarded though their choice is 0, which is "
            "none: choices should be coded -1 (right), 0 (none) and 1 (left).",
        )
    table, report = finish(join(parts), report, processing, missed)
    check(table, ["stimulus"])
    if verbose:
        print(summarize(report))
    return table


def _sessions(trials: Any, subject: Any, session: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Give each session's trials the names of its subject and of itself."""
    trials = [trials] if isinstance(trials, Mapping | pd.DataFrame) else list(trials)
    subjects = list(subject) if is_list_like(subject) else [subject] * len(trials)
    sessions = list(session) if is_list_like(session) else [session]
    for argument, names in (("subject", subjects), ("session", sessions)):
        if len(names) != len(trials):
            raise ValueError(
                f"{argument} should name each of the {len(trials)} sessions, got {len(names)}."
            )
    if not trials:
        raise ValueError("trials should hold a session at least, got none.")
    return zip(trials, subjects, sessions, strict=True)


def _arrays(trials: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of a session that tell of learning, checked."""
    if not isinstance(trials, Mapping | pd.DataFrame):
        raise TypeError(
            "trials should be a mapping of arrays, as one.load_object(eid, 'trials') returns, got "
            f"{type(trials).__name__}"
        )
    missing = [name for name in NEEDED if name not in trials]
    if missing:
        raise ValueError(f"there is no array {missing[0]!r} among {list(trials)[:12]}")
    names = [name for name in (*CODED, *GRADED) if name in trials]
    arrays = {name: np.asarray(trials[name]) for name in names}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise ValueError(f"{name} must hold one number a trial, but is of shape {array.shape}")
    check_arrays(arrays, "of trials", dict(zip(names, names, strict=True)))
    return arrays
