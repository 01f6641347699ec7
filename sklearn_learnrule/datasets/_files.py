"""A folder of CSV or Parquet files, whose names tell whose and which session each holds."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..data.tables import as_names
from ..utils.texts import short
from ._layout import Gaps, Layout, Names, Prepare, optional

FilePath = str | os.PathLike[str]

TOKEN = re.compile(r"(\{[a-zA-Z]\w*(?::[^{}]+)?\}|\*\*/|\*|\?)")  # a field, perhaps with its form
WILD = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
SLASHES = re.compile(r"(?<=[^:/])//+")
BRACED = re.compile(r"\{[a-zA-Z]\w*:[^}]*\{")  # a form that has a brace
COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")
# Before 3.1, pandas may miss a number's last digit unless asked not to.
OLD_PANDAS = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if OLD_PANDAS else {}
ANY, AS_LITTLE = "[^/]+", "[^/]+?"


def from_files(
    pattern: FilePath,
    *,
    stimulus: Names | None = "stimulus",
    choice: str = "choice",
    reward: str = "reward",
    answer: str | None = None,
    subject: Names | None = "subject",
    session: Names | None = "session",
    trial: str | None = None,
    choices: Sequence[Any] | None = None,
    keep: Names | None = None,
    prepare: Prepare | None = None,
    missed: Gaps = "drop",
    unknown_reward: Gaps = "drop",
    verbose: bool = True,
) -> pd.DataFrame:
    """Read CSV, TSV or Parquet files, one or many, as one table of trials.

    Trials without a choice or without a reward (an empty cell, NaN) are counted and, by default,
    left out. Sessions come in the order of their names, numbers as numbers and dates year first;
    where names tell another order or none, rename them by ``prepare``.

    Parameters
    ----------
    pattern : str or path
        Of the files' names, such as ``"data/*/{subject}_{session}.csv"``: ``*``, ``**`` and ``?``
        stand for anything, and what stands in the place of a field, such as ``{subject}``,
        becomes a column of that name. A field may say its form, as a regular expression without
        braces: ``{session:[^_]+}`` holds no "_".
    stimulus : str, list of str or None, default="stimulus"
        The column, or columns, of what was seen before the choice, numbers or labels. One becomes
        "stimulus", several keep their names. None: nothing was shown.
    choice, reward : str
    answer : str or None, default=None
        The columns of choices, of rewards and, if there is one, of correct choices.
    subject, session : str, list of str or None
        The columns, in the files or made of their names, that name the animal and the session;
        several are joined, "labA/mouse1". None: one animal, one session.
    trial : str or None, default=None
        A column of trial numbers or times that must rise within a session. It is kept.
    choices : labels or None, default=None
        The labels of choice; any other counts as no choice. Of two, the second is right, where
        positive stimuli are on the right, and y = 1: so two that are not named in sorted order,
        which is that of ``classes_``, become 0 and 1, as do fractions, which are no classes, and
        labels that differ by case alone. None: all labels are choices, in that order.
    keep : str or list of str or None, default=None
        Further columns to keep, such as those that ``restart`` and ``covariates`` of
        :func:`~sklearn_learnrule.make_design` name.
    prepare : callable or None, default=None
        Of the table of each file, with the columns of its name, to the table that is read: where a
        stimulus is to be computed, a session is to be renamed (by a number or date), or trials of
        another task are to be left out.
    missed : "drop" or "keep", default="drop"
        What becomes of trials without a choice. "keep": they stay, choice and reward NaN, for
        ``make_design(..., missed="count")``.
    unknown_reward : "drop" or "keep", default="drop"
        What becomes of trials with a choice and without a reward. "keep": they stay, reward NaN,
        for ``make_design(..., unknown_reward="keep")``.
    verbose : bool, default=True
        Whether to print what was read and what was left out.

    Returns
    -------
    trials : DataFrame
        ``subject``, ``session``, ``stimulus`` (or the several), ``choice``, ``answer`` if there is
        one, ``reward``, and what was to be kept: what :func:`~sklearn_learnrule.make_design` takes.

    Raises
    ------
    FileNotFoundError
        If the name of no file fits.
    ValueError
        If a file cannot be read, a column is missing or not as it should be, a name can be read in
        two ways, a session comes twice, or the order of sessions or trials is lost. It names the
        file.
    ImportError
        If a Parquet file is to be read without pyarrow.

    Warns
    -----
    UserWarning
        If a label of ``choices`` never comes, the stimulus mostly bears the sign of the wrong side
        or has but one, two files hold the same trials, or a subject's sessions differ in more than
        their numbers ("pre1", "post1"), so that their order is not known.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_learnrule import make_design
    >>> with TemporaryDirectory() as folder:
    ...     for day, side in (("day1", "LRR-"), ("day2", "RLRL")):
    ...         table = pd.DataFrame({"coherence": [-0.1, 0.3, 0.1, 0.5], "port": list(side)})
    ...         table.assign(water=[3, 3, 0, 3]).to_csv(f"{folder}/Ada_{day}.csv", index=False)
    ...     trials = from_files(folder + "/{subject}_{session}.csv", stimulus="coherence",
    ...                         choice="port", reward="water", choices=("L", "R"))
    2 sessions of 1 subject; trials: read 8, misses 1, kept 7
    >>> trials.head(2)
      subject session  stimulus choice  reward
    0     Ada    day1      -0.1      L     3.0
    1     Ada    day1       0.3      R     3.0
    >>> X, y, groups = make_design(trials)
    """
    layout = Layout(
        stimulus,
        choice,
        reward,
        answer,
        subject,
        session,
        trial,
        choices,
        keep,
        prepare,
        missed,
        unknown_reward,
    )
    animals = as_names(subject, "subject")
    parts = [
        layout.read(_with_names(read_table(path, [*names, *animals]), names, path), path)
        for path, names in find_files(os.path.expanduser(pattern))
    ]
    return layout.join(parts, verbose)


def find_files(pattern: str) -> list[tuple[str, dict[str, str]]]:
    """Find the files whose names fit, and what stands in the fields of each.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If a name fits in two ways, or the pattern is none.
    """
    pattern = SLASHES.sub("/", pattern)
    if os.path.isdir(pattern):
        raise ValueError(
            f"{pattern} is a folder: say how its files are named, such as "
            f"'{pattern}/{{subject}}/{{session}}.csv'."
        )
    if BRACED.search(pattern):
        raise ValueError(
            f"The form of a field, in {pattern!r}, should have no braces: write '\\d\\d\\d' for "
            "'\\d{3}', or '\\d+'."
        )
    try:
        most, least = (re.compile(_expression(pattern, each)) for each in (ANY, AS_LITTLE))
    except re.error as error:
        raise ValueError(
            f"A field's form in {pattern!r} is no regular expression: {error}."
        ) from error
    found = []
    for path in sorted(glob.glob(_wildcards(pattern), recursive=True)):
        fit = most.fullmatch(path.replace(os.sep, "/"))
        if fit is None or not os.path.isfile(path):
            continue
        names, others = fit.groupdict(), least.fullmatch(path.replace(os.sep, "/"))
        if others is not None and others.groupdict() != names:
            raise ValueError(_two_ways(path, names, others.groupdict()))
        found.append((path, names))
    if not found:
        raise FileNotFoundError(f"No file has a name that fits {pattern!r}.")
    return found


def _two_ways(path: str, names: Mapping[str, str], others: Mapping[str, str]) -> str:
    """Say how a file's name can be read in two ways, and how to say in which it should be."""
    unlike = [field for field in names if names[field] != others[field]]
    ways = [" and ".join(f"{field} {way[field]!r}" for field in unlike) for way in (others, names)]
    between = names[unlike[0]].removeprefix(others[unlike[0]])[:1]
    return (
        f"{path} can be read in two ways, as {ways[0]} or as {ways[1]}. Say which field holds no "
        f"{between!r}, such as {{{unlike[-1]}:[^{between}]+}}."
    )


def _wildcards(pattern: str) -> str:
    """Return the pattern as ``glob`` reads it, its fields any text."""
    parts = TOKEN.split(pattern)  # every second is a token
    parts[::2] = map(glob.escape, parts[::2])
    return "".join("*" if part.startswith("{") else part for part in parts)


def _expression(pattern: str, anything: str) -> str:
    """Return the pattern as a regular expression, its fields groups of their names."""
    parts = TOKEN.split(pattern.replace(os.sep, "/"))
    parts[::2] = map(re.escape, parts[::2])
    seen: set[str] = set()
    for place in range(1, len(parts), 2):
        field, _, form = parts[place].strip("{}").partition(":")
        if field in WILD:
            parts[place] = WILD[field]
        else:
            parts[place] = f"(?P={field})" if field in seen else f"(?P<{field}>{form or anything})"
            seen.add(field)
    return "".join(parts)


def read_table(path: FilePath, texts: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file; some columns, if they are there, as text.

    Raises
    ------
    ValueError
        If it is no such file or cannot be read.
    """
    kind = _kind(path)
    if kind in (".xlsx", ".xls", ".ods"):
        raise ValueError(f"{path}: Excel files are not read; save the sheet as CSV.")
    try:
        if kind in (".parquet", ".pq"):
            optional("pyarrow", "Parquet files", "parquet")
            return pd.read_parquet(path, engine="pyarrow")
        separator = "\t" if kind == ".tsv" else ","
        header = pd.read_csv(path, sep=separator, nrows=0).columns
        if not (len(header) == 1 and ";" in header[0]):
            return pd.read_csv(path, sep=separator, dtype=dict.fromkeys(texts, str), **EXACT)
    except (FileNotFoundError, PermissionError, ImportError):
        raise  # they say what is wrong
    except Exception as error:  # each way of compressing breaks in its own
        named = "Parquet" if kind in (".parquet", ".pq") else "CSV"
        message = f"{path} cannot be read as a {named} file ({str(error).strip()})."
        raise ValueError(message) from error
    raise ValueError(
        f"{path} has one column, {short(header[0])}: if ';' separates its columns, save it with "
        "commas (and numbers with points), or give make_design what "
        "pandas.read_csv(..., sep=';', decimal=',') returns."
    )


def _kind(path: FilePath) -> str:
    """Return how a file's name ends, without what it is compressed by: ".csv" of "a.csv.gz"."""
    *before, last = ["", *(suffix.lower() for suffix in Path(path).suffixes)]
    return before[-1] if last in COMPRESSED and before else last


def _with_names(table: pd.DataFrame, names: dict[str, str], path: str) -> pd.DataFrame:
    """Add what the file's name tells as columns; raise if the file tells otherwise."""
    for field, name in names.items():
        if field in table and len(other := table[field][table[field].astype(str) != name]):
            raise ValueError(
                f"{path}: by its name {field} is {name!r}, but its column {field!r} has "
                f"{short(other.iloc[0])} (row {other.index[0]}). If these are two things, name the "
                f"field of the pattern otherwise, such as {{file_{field}}}; with {field}="
                f"'file_{field}' it is the {field} nevertheless."
            )
    return table.assign(**names)
