"""Training data of the International Brain Laboratory (IBL) as a trial table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from ..preprocessing import tanh_contrast
from ..utils.warn import warn
from ._files import FilePath, read_table
from ._ibl_release import LOWEST, code_fault, find_sessions, range_fault, read_sessions
from ._layout import Gaps, check_gaps, summary

Subjects = str | Sequence[str] | None
Processing = Literal["published", "repaired"] | None

IBL_COLUMNS = (
    "subject",
    "date",
    "session",
    "contrastLeft",
    "contrastRight",
    "choice",
    "feedbackType",
    "answer",
)
"""The columns that a CSV file of IBL trials must have."""

NAMES = ("subject", "date", "session")
BINARY = ("choice", "feedbackType", "answer")
EXTRA_COLUMNS = {"probabilityLeft": "probability_left", "lab": "lab"}
MANY = 0.25  # negative contrasts, which are another coding
COUNTS = (
    "read",
    "misses",
    "rewarded_misses",
    "no_feedback",
    "no_contrast",
    "cut",
    "kept",
    "negative_contrasts",
    "wrong_side",
    "repaired",
)


@overload
def load_ibl_trials(
    path: FilePath,
    *,
    subjects: Subjects = None,
    max_trials: int | None = None,
    processing: Processing = None,
    missed: Gaps = "drop",
    return_report: Literal[False] = False,
    verbose: bool = False,
) -> pd.DataFrame: ...


@overload
def load_ibl_trials(
    path: FilePath,
    *,
    subjects: Subjects = None,
    max_trials: int | None = None,
    processing: Processing = None,
    missed: Gaps = "drop",
    return_report: Literal[True],
    verbose: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]: ...


def load_ibl_trials(
    path: FilePath,
    *,
    subjects: Subjects = None,
    max_trials: int | None = None,
    processing: Processing = None,
    missed: Gaps = "drop",
    return_report: bool = False,
    verbose: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Load training data of the International Brain Laboratory.

    Parameters
    ----------
    path : path of a folder or of a CSV file
        A folder of the behavioural data release: its root, a lab, a subject or a session. Its
        sessions, ``<lab>/Subjects/<subject>/<date>/<number>/alf``, come in order of subject, date
        and number. Trials without a choice, without feedback (these timed out) or without a
        contrast are dropped, unless ``missed`` says otherwise. A session with a missing or broken
        file, with arrays of unequal length, or that has been read from another folder, is left out
        with a warning.

        A CSV file, plain or compressed: one row a trial, in temporal order, with the columns
        ``IBL_COLUMNS``: contrasts of each side from 0 to 1 (0 or NaN where nothing was shown),
        choice, feedbackType and answer coded 0 or 1 (1: right, rewarded).
    subjects : str, list of str or None, default=None
        Keep these subjects only.
    max_trials : int or None, default=None
        Keep each subject's first trials only, of those that are not dropped.
    processing : {"published", "repaired"} or None, default=None
        In one session of the release (CSHL_002, 2019-03-05) stimuli on the right bear a negative
        contrast on 81 trials, and the field's usual processing puts these on the left, though the
        feedback says that right was correct. "published" keeps the usual processing, bit for bit;
        "repaired" turns any stimulus that is opposite to the answer to the answer's side, and
        changes nothing else. None: as published, with a warning if there are such trials; of a CSV
        file, negative contrasts are refused.
    missed : "drop" or "keep", default="drop"
        What becomes of trials without a choice or without feedback, which a CSV file does not have.
        "keep": they stay, choice, answer and reward NaN, for ``make_design(..., missed="count")``;
        choice and answer of the others are then 1.0 and 0.0.
    return_report : bool, default=False
        Whether to return the report too.
    verbose : bool, default=False
        Whether to show progress and print the report's totals.

    Returns
    -------
    trials : DataFrame with the columns of :func:`make_learning_cohort`'s
        ``session`` is "date/number"; ``contrast`` is right minus left; ``stimulus`` is
        tanh(5 c) / tanh(5), right minus left; ``choice`` and ``answer`` are 1 for right, else 0.
        ``answer`` follows from choice and feedback, so that it is known at zero contrast too.
        Then, where the source has them, ``probability_left`` (that the stimulus is on the left;
        biased blocks have .2 and .8) and ``lab``.
    report : DataFrame, only if ``return_report``
        One row a session, index ``subject`` and ``session``. Trials ``read`` are the sum of
        ``misses`` (no choice; of these ``rewarded_misses`` were rewarded all the same, so that
        the record of the choice is lost), ``no_feedback``, ``no_contrast``, ``cut`` (by
        ``max_trials``, beyond which no session is read) and ``kept``; with ``missed="keep"``,
        misses and no_feedback are among kept and cut. So are ``negative_contrasts``;
        ``wrong_side`` (as published, answer and stimulus disagree) and ``repaired`` are among kept.
        ``problem`` says why a session was left out.

    Raises
    ------
    ValueError
        If a column or a subject is not there, a CSV file cannot be read or a column of it is coded
        otherwise (contrasts in percent or with a sign, too), a folder holds no session, or none of
        its sessions can be read.

    Notes
    -----
    The data: International Brain Laboratory, figshare 11636748, December 2019.
    """
    check_processing(processing)
    check_gaps(missed=missed)
    if max_trials is not None:
        check_scalar(max_trials, "max_trials", Integral, min_val=1)
    if os.path.isdir(path):
        table, report = _read_release(path, subjects, max_trials, verbose, missed)
    else:
        table, report = _read_csv(path, subjects, signed=processing is not None)
    if max_trials is not None:
        table = table.groupby("subject", sort=False).head(max_trials)
    trials, report = finish(table, report, processing, missed)
    if verbose:
        print(summarize(report))
    return (trials, report) if return_report else trials


def check_processing(processing: Processing) -> None:
    """Raise if no such processing is known."""
    if processing not in (None, "published", "repaired"):
        raise ValueError(f"processing must be 'published', 'repaired' or None, got {processing!r}.")


def finish(
    table: pd.DataFrame, report: pd.DataFrame, processing: Processing, missed: Gaps
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the table of trials of one in the field's usual columns, and complete the report."""
    wrong_side = _wrong_side(table)
    if processing is None and wrong_side.any():
        _warn_of_wrong_side(table[wrong_side])
    if processing == "repaired":
        table = _turn(table, wrong_side)
    dropped = ["no_contrast"] if missed == "keep" else ["misses", "no_feedback", "no_contrast"]
    report = _complete(report, table, wrong_side, dropped, repaired=processing == "repaired")
    return _as_trial_table(table), report


def _read_release(
    path: FilePath, subjects: Subjects, max_trials: int | None, verbose: bool, missed: Gaps
) -> tuple[pd.DataFrame, pd.DataFrame]:
    sessions = find_sessions(path)
    wanted = _choose(subjects, (session.subject for session in sessions), path)
    sessions = [session for session in sessions if session.subject in wanted]
    tables, report = read_sessions(sessions, max_trials, verbose, missed)
    if not tables:
        raise ValueError(
            f"No session in {path} can be read; the first: {report['problem'].iloc[0]}."
        )
    for row in report[report["problem"] != ""].reset_index().itertuples():
        message = f"Session {row.session} of {row.subject} is left out: {row.problem}."
        warn(message)
    return pd.concat(tables, ignore_index=True), report


def _read_csv(
    path: FilePath, subjects: Subjects, signed: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a table of trials; of ``signed`` contrasts, the negative are of the other side."""
    raw = read_table(path, NAMES)
    missing = [name for name in IBL_COLUMNS if name not in raw]
    if missing:
        raise ValueError(
            f"{path} is not a table of IBL trials: it has no column {missing[0]!r}, only "
            f"{', '.join(map(repr, raw.columns))}."
        )
    for name in (*IBL_COLUMNS, *LOWEST):
        if name in raw and (fault := _fault(name, raw[name], signed)):
            raise ValueError(f"Column {name!r} of {path} {fault}.")
    raw = raw.astype(
        dict.fromkeys(BINARY, "int64") | {"contrastLeft": float, "contrastRight": float}
    )
    table = raw.assign(session=raw["date"] + "/" + raw["session"])
    table = table.fillna({"contrastLeft": 0.0, "contrastRight": 0.0})
    table = table[table["subject"].isin(_choose(subjects, table["subject"], path))]
    left, right = table["contrastLeft"], table["contrastRight"]
    report = _by_session(table).size().to_frame("read").assign(problem="")
    report["negative_contrasts"] = _by_session(table[(left < 0) | (right < 0)]).size()
    sides = {
        "contrastLeft": left.clip(lower=0) - right.clip(upper=0),
        "contrastRight": right.clip(lower=0) - left.clip(upper=0),
    }
    return table.assign(**sides), report


def _fault(name: str, column: pd.Series, signed: bool) -> str | None:
    """Say what is wrong with a column of a CSV file, if something is.

    ``signed``: a few contrasts may be negative, as in a session of the release, and not all of a
    side.
    """
    if name in NAMES:
        return f"is empty in row {np.argmax(column.isna())}" if column.isna().any() else None
    if name in BINARY:
        fault, meaning = code_fault(column, (0, 1)), "1 is right, rewarded"
    else:
        negative = pd.to_numeric(column, errors="coerce") < 0
        lowest = LOWEST[name] if signed and negative.mean() < MANY else 0
        fault = range_fault(column, lowest)
        meaning = "no percentage" if lowest else "no percentage, no sign"
    return fault and f"{fault} ({meaning})"


def _choose(subjects: Subjects, there: Iterable[str], path: FilePath) -> set[str]:
    """Return the subjects asked for, all by default."""
    known = set(there)
    if subjects is None:
        return known
    wanted = {subjects} if isinstance(subjects, str) else set(subjects)
    unknown = sorted(wanted - known)
    if unknown:
        some = ", ".join(sorted(known)[:12]) + (f" … ({len(known)} in all)" * (len(known) > 12))
        raise ValueError(f"Subject {unknown[0]!r} is not in {path}, which has {some}.")
    if not wanted:
        raise ValueError("subjects must name one subject at least, got none; None takes all.")
    return wanted


def _wrong_side(table: pd.DataFrame) -> pd.Series:
    """Whether the stimulus is on the side opposite to the answer."""
    signed = table["contrastRight"] - table["contrastLeft"]
    opposite = (signed > 0) != (table["answer"] == 1)
    return (signed != 0) & opposite & table["answer"].notna()


def _turn(table: pd.DataFrame, trials: pd.Series) -> pd.DataFrame:
    """Exchange the contrasts of left and right on some trials."""
    left, right = table["contrastLeft"], table["contrastRight"]
    return table.assign(
        contrastLeft=left.mask(trials, right), contrastRight=right.mask(trials, left)
    )


def _as_trial_table(table: pd.DataFrame) -> pd.DataFrame:
    left, right = table["contrastLeft"], table["contrastRight"]
    extra = {new: table[old] for old, new in EXTRA_COLUMNS.items() if old in table}
    return pd.DataFrame(
        {
            "subject": table["subject"],
            "session": table["session"],
            "contrast": right - left,
            "stimulus": tanh_contrast(right) - tanh_contrast(left),
            "choice": table["choice"],
            "answer": table["answer"],
            "reward": table["feedbackType"].astype(float),
            **extra,
        }
    ).reset_index(drop=True)


def _by_session(table: pd.DataFrame) -> Any:
    return table.groupby(["subject", "session"], sort=False)


def _complete(
    report: pd.DataFrame,
    table: pd.DataFrame,
    wrong_side: pd.Series,
    dropped: list[str],
    repaired: bool,
) -> pd.DataFrame:
    """Add what became of the trials that were read, and put the columns in order."""
    report = report.reindex(columns=[*COUNTS, "problem"])
    report["kept"] = _by_session(table).size()
    report["wrong_side"] = _by_session(table[wrong_side]).size()
    report["repaired"] = report["wrong_side"] * repaired
    report.loc[report["problem"] != "", list(COUNTS)] = 0  # also where a twin was read
    report = report.fillna(0).astype(dict.fromkeys(COUNTS, "int64"))
    report["cut"] = report["read"] - report[[*dropped, "kept"]].sum(axis=1)
    return report


def summarize(report: pd.DataFrame) -> str:
    """Say in a line what a report tells."""
    left_out = report["problem"] != ""
    counts = {name: int(report[name].sum()) for name in COUNTS}
    n_subjects = report.index.unique("subject").size
    empty = (report["kept"] == 0) & ~left_out
    n_left_out, n_empty = int(left_out.sum()), int(empty.sum())
    n_sessions = len(report) - n_left_out - n_empty
    return summary(n_sessions, n_subjects, counts, n_left_out, n_empty)


def _warn_of_wrong_side(trials: pd.DataFrame) -> None:
    subject, session = trials["subject"].iloc[0], trials["session"].iloc[0]
    warn(
        f"{len(trials)} trials (the first in session {session} of {subject}) show the stimulus on "
        "the side opposite to the answer, as published; processing='repaired' turns them, "
        "processing='published' keeps them without this warning.",
    )
