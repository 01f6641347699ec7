"""Trials of files in the format of Neurodata Without Borders (NWB)."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_object_dtype

from ._in_order import Part
from ._layout import Gaps, Layout, Names, Prepare, optional

START = "start_time"  # of each trial: every table of trials has it


def from_nwb(
    source: Any,
    *,
    stimulus: Names | None,
    choice: str,
    reward: str,
    answer: str | None = None,
    choices: Sequence[Any] | None = None,
    keep: Names | None = None,
    prepare: Prepare | None = None,
    missed: Gaps = "drop",
    unknown_reward: Gaps = "drop",
    verbose: bool = True,
) -> pd.DataFrame:
    """Make a table of trials of those in NWB files, one or many.

    Subject and session are the files'; sessions come in the order in which they began. Trials
    without a choice or without a reward (NaN) are counted and, by default, left out.

    Parameters
    ----------
    source : path, NWBFile of pynwb, or a list of these
        A file, a pattern such as ``"nwb/*.nwb"``, or a folder: every file in it, or in folders of
        it, whose name ends in ".nwb".
    stimulus, choice, reward, answer, choices, keep, prepare, missed, unknown_reward, verbose
        As of :func:`from_files`: columns of the files' ``trials``. ``prepare`` is given these as a
        DataFrame.

    Returns
    -------
    trials : DataFrame
        As of :func:`from_files`; ``session`` is the date and the file's ``session_id``, or its
        start, and ``start_time`` (of trials, in seconds) is kept.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file cannot be read, has no trials or no subject, a column is missing or not as it
        should be, a session comes twice, or start times do not rise. It names the file.
    ImportError
        If pynwb is not installed.

    Warns
    -----
    UserWarning
        As of :func:`from_files`; also if sessions of a subject began at the same time, so that
        their order is not known.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> from pynwb import NWBFile
    >>> from pynwb.file import Subject
    >>> file = NWBFile("A session of Ada", "ada1", datetime(2024, 3, 1, tzinfo=timezone.utc))
    >>> file.subject = Subject(subject_id="Ada")
    >>> for name in ("coherence", "port", "water"):
    ...     file.add_trial_column(name, name)
    >>> for start, coherence, port in ((0.0, -0.1, "L"), (3.0, 0.3, "R"), (9.0, 0.1, "none")):
    ...     file.add_trial(start, start + 2, coherence=coherence, port=port, water=3.0)
    >>> from_nwb(file, stimulus="coherence", choice="port", reward="water", choices=("L", "R"))
    1 session of 1 subject; trials: read 3, misses 1, kept 2
      subject              session  stimulus choice  reward  start_time
    0     Ada  2024-03-01T00:00:00      -0.1      L     3.0         0.0
    1     Ada  2024-03-01T00:00:00       0.3      R     3.0         3.0
    """
    pynwb = optional("pynwb", "NWB files", "nwb")
    layout = Layout(
        stimulus,
        choice,
        reward,
        answer,
        trial=START,
        choices=choices,
        keep=keep,
        prepare=prepare,
        missed=missed,
        unknown_reward=unknown_reward,
    )
    parts = []
    for each in _files(source, pynwb):
        if isinstance(each, pynwb.NWBFile):
            parts.append(_part(each, f"NWBFile {each.identifier!r}", layout))
            continue
        if not isinstance(each, str | os.PathLike):
            raise TypeError(
                "source should be a path, an NWBFile or a list of these, got "
                f"{type(each).__name__}."
            )
        with _opened(each, pynwb) as file:
            parts.append(_part(file, str(each), layout))
    return layout.join(parts, verbose)


def _files(source: Any, pynwb: Any) -> list[Any]:
    """Return the files that a path, a pattern, a folder or a list stands for."""
    if isinstance(source, pynwb.NWBFile):
        return [source]
    if isinstance(source, str | os.PathLike):
        source = os.path.expanduser(source)
    if isinstance(source, Iterable) and not isinstance(source, str):
        found = [file for each in source for file in _files(each, pynwb)]
    elif not isinstance(source, str | os.PathLike) or os.path.isfile(source):
        return [source]
    elif os.path.isdir(source):
        found = sorted(Path(source).rglob("*.nwb"))
    elif glob.has_magic(os.fspath(source)):
        found = sorted(glob.glob(os.fspath(source), recursive=True))
    else:
        return [source]
    if not found:
        raise FileNotFoundError(f"There is no NWB file (*.nwb) in {source}.")
    return found


@contextmanager
def _opened(path: Any, pynwb: Any) -> Iterator[Any]:
    """Open a file for reading."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(pynwb.NWBHDF5IO(path, "r")).read()
        except (FileNotFoundError, PermissionError):
            raise  # they name the file
        except Exception as error:  # of HDF5, of its layout or of the schema
            raise ValueError(f"{path} cannot be read as an NWB file ({error}).") from error
        yield file


def _part(file: Any, place: str, layout: Layout) -> Part:
    """Read the trials of one file, under the names that it tells."""
    if file.trials is None:
        raise ValueError(f"{place} holds no table of trials.")
    subject = file.subject and file.subject.subject_id
    if not subject:
        raise ValueError(f"{place} tells no subject (subject.subject_id).")
    start = pd.Timestamp(file.session_start_time)
    start = start.tz_localize("UTC") if start.tz is None else start
    session = f"{start:%Y-%m-%dT%H:%M:%S}"
    if file.session_id:
        session = f"{start:%Y-%m-%d}/{file.session_id}"
    table = file.trials.to_dataframe(exclude={"timeseries"})  # references to recordings
    for name in [each for each in table if is_object_dtype(table[each])]:
        table[name] = [_text(value) for value in table[name]]
    return layout.read(table.assign(subject=subject, session=session), place, start)


def _text(value: Any) -> Any:
    """Return a label that was written as bytes, as files of other software have them, as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
