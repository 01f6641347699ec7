"""Files that are there as a whole or not at all, and tables that a spreadsheet does not run."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

FORMULA = re.compile(r"[=+@\t\r\n]|-(?!(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$)", re.IGNORECASE)
"""How a text begins that a spreadsheet takes for a formula; a number as a whole is none."""


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a file to write beside ``path``, which takes its place once it is whole.

    If writing fails, whatever the reason, the old file is as it was and the new one is gone. A
    symbolic link goes on pointing to the file that is replaced, whose permissions stay. What is
    no file, such as a pipe, is written to as it is.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    PermissionError
        If the old file may not be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(folder + "/note.txt") as file:
    ...         _ = file.write_text("whole")
    ...     Path(folder, "note.txt").read_text()
    'whole'
    """
    if Path(path).exists() and not Path(path).is_file():
        yield Path(path)
        return
    place = Path(path).resolve()
    if not place.parent.is_dir():
        raise FileNotFoundError(f"{str(path)!r} should be in a folder that exists: make it first.")
    old = place.stat().st_mode if place.exists() else None
    if old is not None and not os.access(place, os.W_OK):
        raise PermissionError(f"{str(path)!r} may not be written: it is read-only.")
    beside = place.with_name(f".{secrets.token_hex(8)}{place.suffix}")
    try:
        beside.touch(exist_ok=False)  # with the permissions of any new file
        if old is not None:
            beside.chmod(old)
        yield beside
        with beside.open("rb+") as written:
            os.fsync(written.fileno())  # a full disk may tell only now
        beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_csv(table: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a table, without its index, so that no text in it is a formula to a spreadsheet.

    Before texts and names of columns that begin as one does (=, +, @, a minus that is no number's,
    a tab, a new line) stands an apostrophe; numbers stay numbers.

    Parameters
    ----------
    table : DataFrame
    path : str or path
        See :func:`replacing`.
    """
    safe = table.set_axis([_no_formula(name) for name in table], axis=1)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            texts = table.iloc[:, place].astype(object).map(_no_formula)
            safe.isetitem(place, texts.to_numpy())
    with replacing(path) as file:
        safe.to_csv(file, index=False, errors="backslashreplace")  # of halves of a character


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
