"""Sessions in the folders of the International Brain Laboratory's release.

A session is a folder ``<lab>/Subjects/<subject>/<date>/<number>``; its trials are the arrays
``alf/_ibl_trials.<name>.npy``, of equal length. There choice is -1 (right), 0 (none) or 1 (left),
feedbackType is -1 (error), 0 (none) or 1 (reward), and contrasts are NaN on the side without a
stimulus.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from ..utils.warn import warn
from ._layout import Gaps

CODED = ("choice", "feedbackType")
CODES = (-1, 0, 1)
LOWEST = {"contrastLeft": -1, "contrastRight": -1, "probabilityLeft": 0}
GRADED = tuple(LOWEST)
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
DATE_AND_NUMBER = re.compile(r"\d{4}-\d\d-\d\d/\d+")


class Session(NamedTuple):
    """Where a session lies. Sessions sort by subject, then as they happened."""

    subject: str
    date: str
    number: int
    lab: str
    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Session:
        """Read a session's names from its place; a subject outside a lab has lab ""."""
        date, subject, subjects = folder.parent, folder.parents[1], folder.parents[2]
        lab = subjects.parent.name if subjects.name == "Subjects" else ""
        return cls(subject.name, date.name, int(folder.name), lab, folder)

    @property
    def label(self) -> str:
        return f"{self.date}/{self.folder.name}"


def find_sessions(path: str | os.PathLike[str]) -> list[Session]:
    """Find the sessions at or below a folder, in order."""
    top = Path(os.path.abspath(path))  # the names of a session's parents tell whose it is
    top = top.parent if top.name == "alf" else top
    sessions = []
    for name, subfolders, _ in os.walk(top, onerror=_warn_of_folder, followlinks=True):
        folder = Path(name)
        if DATE_AND_NUMBER.fullmatch(f"{folder.parent.name}/{folder.name}"):
            sessions.append(Session.at(folder))
            subfolders.clear()  # a session holds no other
    if not sessions:
        raise ValueError(
            f"{path} holds no session of the IBL's release: expected the release's root, a lab, "
            "a subject or a session, in folders <lab>/Subjects/<subject>/<date>/<number>/alf."
        )
    return sorted(sessions)


def _warn_of_folder(error: OSError) -> None:
    warn(f"{error.filename} is left out: {error.strerror}.")


def read_sessions(
    sessions: Sequence[Session],
    max_trials: int | None = None,
    verbose: bool = False,
    missed: Gaps = "drop",
) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Read sessions in order, of each subject until it has ``max_trials``.

    Returns
    -------
    tables : list of DataFrame
        The trials of each session that can be read, in the field's usual columns.
    report : DataFrame
        How many trials were read and dropped, one row a session; ``problem`` says why a session
        was left out.
    """
    tables, rows = [], []
    n_kept: Counter[str] = Counter()
    read: set[tuple[Any, ...]] = set()
    for session in tqdm(sessions, unit=" sessions", disable=not verbose):
        if max_trials is not None and n_kept[session.subject] >= max_trials:
            continue
        names = {"subject": session.subject, "session": session.label}
        try:
            if session[:3] in read:
                raise ValueError(f"it was read already; {session.folder} holds it again")
            arrays = _read_arrays(session.folder / "alf")
        except ValueError as error:
            rows.append({**names, "problem": str(error)})
            continue
        read.add(session[:3])
        columns, counts = decode(arrays, missed)
        rows.append({**names, **counts, "problem": ""})
        tables.append(pd.DataFrame({"lab": session.lab, **names, **columns}))
        n_kept[session.subject] += len(tables[-1])
    report = pd.DataFrame(rows).set_index(["subject", "session"])
    return tables, report


def _read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    files = {name: folder / f"_ibl_trials.{name}.npy" for name in (*CODED, *GRADED)}
    arrays = {name: _read(file) for name, file in files.items()}
    check_arrays(arrays, f"in {folder}", files)
    return arrays


def check_arrays(
    arrays: Mapping[str, NDArray[Any]], where: str, places: Mapping[str, str | Path]
) -> None:
    """Raise unless the arrays of a session's trials are of one length and hold what they should.

    Parameters
    ----------
    arrays : dict of arrays
        By their names in the field; ``probabilityLeft`` may be absent.
    where : str
        What a message calls the place of all arrays.
    places : dict
        What it calls each.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"the arrays {where} differ in length ({listed})")
    for name, array in arrays.items():
        fault = range_fault(array, LOWEST[name]) if name in GRADED else code_fault(array, CODES)
        if fault:
            raise ValueError(f"{places[name]} {fault}")


def code_fault(values: ArrayLike, codes: tuple[int, ...]) -> str | None:
    """Say of the first value that is no code what was expected."""
    column = pd.Series(values)
    expected = f"{', '.join(map(str, codes[:-1]))} or {codes[-1]}"
    return _fault(column, pd.to_numeric(column, errors="coerce").isin(codes), expected)


def range_fault(values: ArrayLike, low: int) -> str | None:
    """Say of the first value that is known, but no number from ``low`` to 1, what was expected."""
    column = pd.Series(values)
    good = column.isna() | pd.to_numeric(column, errors="coerce").between(low, 1)
    return _fault(column, good, f"NaN or numbers from {low} to 1")


def _fault(column: pd.Series, good: pd.Series, expected: str) -> str | None:
    if good.all():
        return None
    row = int(np.argmin(good))
    return f"must hold {expected}, but holds {column[row]} in row {row}"


def _read(file: Path) -> NDArray[Any]:
    """Read one number a trial, (T,)."""
    try:
        with file.open("rb") as stream:
            shape, dtype = _read_header(stream)
            if dtype.kind in "iuf" and shape and shape[1:] in ((), (1,)):
                stream.seek(0)
                array = np.lib.format.read_array(stream, allow_pickle=False)
                return array.reshape(-1).astype(dtype.newbyteorder("="))
    except FileNotFoundError:
        raise ValueError(f"{file} is missing") from None
    except Exception as error:  # numpy's reader of broken headers raises any kind
        raise ValueError(f"{file} cannot be read ({error})") from error
    raise ValueError(f"{file} must hold one number a trial, but holds {dtype} of shape {shape}")


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type, so far as what follows is as long as they say."""
    version = np.lib.format.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format is unknown")
    shape, _, dtype = HEADERS[version](stream)
    claimed = math.prod(shape) * dtype.itemsize
    there = os.fstat(stream.fileno()).st_size - stream.tell()
    if claimed != there and not dtype.hasobject:
        raise ValueError(f"its header tells of {claimed} bytes, but {there} follow")
    return shape, dtype


def decode(
    raw: Mapping[str, NDArray[Any]], missed: Gaps = "drop"
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Drop the trials without a choice, an outcome or a stimulus, and code the rest as is usual.

    A trial without feedback timed out: the choice beside it was not made. Trials that were missed
    so may be kept: what the animal did is NaN there, and so is a contrast that is not known.
    """
    unchosen = raw["choice"] == 0
    no_feedback = ~unchosen & (raw["feedbackType"] == 0)
    unseen = np.isnan(raw["contrastLeft"]) & np.isnan(raw["contrastRight"])
    undone = unchosen | no_feedback
    no_contrast = unseen & ~undone
    kept = ~no_contrast if missed == "keep" else ~(undone | no_contrast)
    counts = {
        "read": len(kept),
        "misses": int(unchosen.sum()),
        "rewarded_misses": int((unchosen & (raw["feedbackType"] == 1)).sum()),
        "no_feedback": int(no_feedback.sum()),
        "no_contrast": int(no_contrast.sum()),
    }
    choice, feedback = raw["choice"][kept], raw["feedbackType"][kept]
    left, right = np.nan_to_num([raw[f"contrast{side}"][kept] for side in ("Left", "Right")])
    counts["negative_contrasts"] = int(((left < 0) | (right < 0)).sum())
    signed = right - left  # as is usual: so a negative contrast lands on the other side
    other = np.where(unseen[kept], np.nan, 0.0)
    did = {
        "choice": (choice == -1).astype(np.int64),
        "feedbackType": (feedback == 1).astype(np.int64),
        "answer": (feedback * choice == -1).astype(np.int64),
    }
    if (gaps := undone[kept]).any():
        did = {name: np.where(gaps, np.nan, codes) for name, codes in did.items()}
    columns = {
        "contrastLeft": np.where(signed < 0, -signed, other),
        "contrastRight": np.where(signed > 0, signed, other),
        **{name: raw[name][kept] for name in ("probabilityLeft",) if name in raw},
        **did,
    }
    return columns, counts
