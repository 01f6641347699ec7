"""The doors for tables: any library's table as one of pandas, values of any type as plain ones."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_hashable
from scipy.sparse import issparse
from sklearn.utils.validation import column_or_1d

from ..utils.arrays import Floats, Ints
from ..utils.texts import short

BIAS = "bias"
MISSING = {"", "nan", "<na>", "nat"}  # what missing values are as text
MOST_LABELS = 100  # more are those of another column
NONE_OF_THESE: dict[Any, str] = {
    "session": " Where there are none, say session=None.",
    "stimulus": " Where nothing was shown, say stimulus=None.",
}
PLAIN = "biufU"  # numpy's kinds of labels that need no second look: booleans, numbers, text
TO_PANDAS = ("to_dataframe", "collect", "compute", "to_pandas")  # of NWB, lazy and other tables


def place(subjects: pd.Index, row: int) -> str:
    """Say for a message where a row is; ``subjects`` names the subject of each row."""
    return f"subject {short(subjects[row])}, row {row}"


# ---------------------------------------------------------------------------- kinds of tables


def as_table(trials: Any, name: str = "trials") -> pd.DataFrame:
    """Return a table in memory, of whatever library, as a DataFrame of pandas."""
    if not isinstance(trials, pd.DataFrame):
        table = nw.from_native(trials, pass_through=True)
        if not isinstance(table, nw.DataFrame):
            raise TypeError(
                f"{name} should be a table in memory, of pandas, polars or pyarrow, got "
                f"{_kind(trials)}{_cure(trials, name)}."
            )
        trials = table.to_pandas()
    _check_flat(trials, name)
    if len(trials) == 0:
        raise ValueError("The table has no trials (0 rows).")
    return trials


def check_kind(X: Any) -> None:
    """Raise if X is a table, but not one of pandas with a name of its own for each column."""
    if isinstance(X, pd.DataFrame):
        _check_flat(X, "X")
        twice = X.columns[X.columns.duplicated()]
        if len(twice):
            raise ValueError(f"X has columns of one name, {twice[0]!r}; rename all but one.")
    elif cure := _cure(X, "X"):
        raise TypeError(
            f"X should be a pandas DataFrame from make_design, or an array, got {_kind(X)}{cure}."
        )


def _kind(table: Any) -> str:
    library = type(table).__module__.partition(".")[0]
    return f"{library}.{type(table).__name__}".removeprefix("builtins.")


def _cure(table: Any, name: str) -> str:
    """Say how what is no table of pandas, but is like one, becomes one."""
    if isinstance(table, Mapping) and not issparse(table):  # one kind of these is a dict
        return f": give pd.DataFrame({name})"
    method = next((method for method in TO_PANDAS if hasattr(table, method)), None)
    return f": give {name}.{method}()" if method else ""


def _check_flat(table: pd.DataFrame, name: str) -> None:
    if table.columns.nlevels > 1:
        raise ValueError(
            f"The columns of {name} should have one name each, but have {table.columns.nlevels} "
            f"levels; join them: {name}.columns = {name}.columns.map('_'.join)."
        )


# ----------------------------------------------------------------------------------- columns


def as_names(columns: Any, argument: str) -> list[Any]:
    """Return the columns that an argument names: one, several, or with None none."""
    if columns is None:
        return []
    several = isinstance(columns, Iterable) and not isinstance(columns, str)
    names = list(columns) if several else [columns]
    if not names:
        raise ValueError(f"{argument} should name a column, or several, got {columns!r}.")
    return names


def check_columns(trials: pd.DataFrame, used: list[Any]) -> None:
    """Raise unless each name that is used is that of one column."""
    columns: list[Any] = list(trials.columns)
    for name in used:
        if not is_hashable(name):
            raise ValueError(f"A name of one column was expected, got {short(name)}.")
        n_found = columns.count(name)
        if n_found == 0:
            raise ValueError(_unknown_column(name, trials))
        if n_found > 1:
            raise ValueError(f"The table has {n_found} columns named {name!r}; rename all but one.")


def _unknown_column(name: Hashable, trials: pd.DataFrame) -> str:
    columns = list(trials.columns)
    shown = ", ".join(repr(column) for column in columns[:12]) + (", ..." * (len(columns) > 12))
    close = difflib.get_close_matches(str(name), [str(column) for column in columns], n=1)
    hint = NONE_OF_THESE.get(name, "")
    if close:
        hint = f" Did you mean {close[0]!r}?"
    if name in trials.index.names:
        hint = " It is in the index: give trials.reset_index()."
    return f"Column {name!r} is not in the table, whose columns are {shown}.{hint}"


def weight_names(columns: Iterable[Any]) -> list[str]:
    """Return the columns' names as text; raise unless each can name a weight of its own."""
    names = [BIAS]
    for name in map(str, columns):
        if name in names:
            raise ValueError(
                "Columns name the policy's weights, so their names should differ as text, and "
                f"'bias' is that of the constant; rename the second {name!r}."
            )
        names.append(name)
    return names[1:]


def check_outcome(columns: Sequence[Any]) -> None:
    """Raise if choice, reward and answer, if there is one, are not columns of their own."""
    if len(set(columns)) < len(columns):
        raise ValueError(
            "choice, reward and answer should each name a column of its own, got "
            f"{', '.join(map(repr, columns))}."
        )


def check_complete(
    trials: pd.DataFrame,
    columns: Iterable[Any],
    subjects: pd.Index | None = None,
    cures: Mapping[Any, str] | None = None,
) -> None:
    """Raise if a value is missing in one of the columns; ``cures`` are further ones, by column."""
    for name in columns:
        missing = trials[name].isna().to_numpy()
        if missing.all():
            raise ValueError(
                f"Column {name!r} is missing (NaN) on every trial. Name another; where there is "
                "none, subject, session, answer and trial can be None."
            )
        if missing.any():
            row = int(np.argmax(missing))
            where = f"row {row}" if subjects is None else place(subjects, row)
            raise ValueError(
                f"Column {name!r} is missing (NaN) on {missing.sum()} of {len(trials)} trials, "
                f"first at {where}. "
                f"Fill it, or drop those trials: trials.dropna(subset=[{name!r}]). "
                f"{(cures or {}).get(name, '')}".rstrip()
            )


# ------------------------------------------------------------------------------------ values


def as_numbers(column: pd.Series, where: str, subjects: pd.Index) -> Floats:
    """Return the column's numbers or booleans, of whatever type, as finite floats."""
    if column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype):
        numbers = column.to_numpy(dtype=float)
    else:
        values, missing = np.asarray(column, dtype=object), column.isna().to_numpy()
        known = [isinstance(value, (Real, Decimal, np.bool_)) for value in values] | missing
        if not known.all():
            row = int(np.argmin(known))
            raise ValueError(
                f"{where} should be numeric, but has {short(values[row])} "
                f"({place(subjects, row)}); recode it as numbers, or as a column of 0 and 1 for "
                "each label."
            )
        numbers = np.where(missing, np.nan, values).astype(float)
    infinite = ~np.isfinite(numbers)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise ValueError(
            f"{where} should be finite, but is {numbers[row]} ({place(subjects, row)})."
        )
    return numbers


def as_labels(values: Any, where: str) -> NDArray[Any]:
    """Return labels of choices as booleans, integers, floats or text, whatever type holds them.

    Parameters
    ----------
    values : Series or array-like of shape (n_rows,)
    where : str
        What a message calls them.

    Returns
    -------
    labels : ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If a label is missing, or they are neither all text, all numbers nor all booleans.
    """
    if not isinstance(values, pd.Series):
        values = column_or_1d(values, warn=True)
    missing = np.asarray(pd.isna(values))
    if missing.any():
        raise ValueError(
            f"The labels in {where} contain NaN or None: they are missing on {missing.sum()} of "
            f"{len(missing)} rows, first at row {np.argmax(missing)}."
        )
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in PLAIN:
        return np.asarray(values)
    objects = np.asarray(values, dtype=object)
    kinds = set(map(type, objects))
    for kind, dtype in (((bool, np.bool_), bool), (Integral, int), ((Real, Decimal), float)):
        if all(issubclass(each, kind) for each in kinds):
            return objects.astype(dtype)
    if all(issubclass(kind, str) for kind in kinds):
        return objects
    raise ValueError(
        f"The labels in {where} should be all text, all numbers or all booleans, but are "
        f"{' and '.join(sorted(kind.__name__ for kind in kinds))}, such as {short(objects[0])}."
    )


def sorted_labels(values: Any, where: str) -> NDArray[Any]:
    """Return the labels of the choices, sorted.

    Raises
    ------
    ValueError
        If they are fewer than two, or what a measure has rather than choices, or two of them are
        the same as text, by which columns are named, or but for case and spaces.
    """
    labels = np.unique(as_labels(values, where))
    if len(labels) < 2:
        raise ValueError(
            f"Choices need at least two classes, but {where} has {len(labels)} class"
            f"{'es' * (len(labels) != 1)}: {_listed(labels)}."
        )
    fractions = labels.dtype.kind == "f" and bool((labels % 1).any())
    if len(labels) > MOST_LABELS or (len(labels) > 2 and fractions):
        raise ValueError(
            f"Choices should have labels, {MOST_LABELS} at most and no fractions, but {where} has "
            f"{len(labels)} classes: {_listed(labels)}; is it the column of choices?"
        )
    check_labels_differ(labels, where)
    return labels


def check_labels_differ(labels: NDArray[Any], where: str) -> None:
    """Raise if two labels are the same as text, by which columns are named, but for case, spaces.

    Parameters
    ----------
    labels : ndarray, each once
    where : str
        What a message calls the column.
    """
    texts = pd.Index(label_texts(labels))
    if not texts.is_unique:
        twin = texts[texts.duplicated()][0]
        raise ValueError(f"The labels in {where} should differ as text, but two are {twin!r}.")
    bare = texts.str.strip().str.casefold()
    if not bare.is_unique:
        twins = texts[bare == bare[bare.duplicated()][0]]
        raise ValueError(
            f"The labels in {where} should differ by more than case and spaces, but two are "
            f"{twins[0]!r} and {twins[1]!r}."
        )


def missing_as_text(labels: NDArray[Any]) -> list[Any]:
    """Return those of the labels that a missing value becomes as text.

    Examples
    --------
    >>> missing_as_text(np.array(["ko", "NaN", " "]))
    ['NaN', ' ']
    """
    return [label for label in labels.tolist() if str(label).strip().lower() in MISSING]


def two_labels(values: Any, where: str) -> NDArray[Any]:
    """Return the two labels of the choices, sorted; raise if they are not two."""
    labels = sorted_labels(values, where)
    if len(labels) > 2:
        raise ValueError(
            f"Choices need exactly two classes, but {where} has {len(labels)} classes: "
            f"{_listed(labels)}. Drop the rows of missed trials, or recode."
        )
    return labels


def label_texts(labels: NDArray[Any]) -> list[str]:
    """Return labels as text, whole numbers alike whether NaN among them made them floats or not."""
    return [
        str(int(label) if isinstance(label, float) and label.is_integer() else label)
        for label in labels.tolist()
    ]


def number_classes(labels: NDArray[Any], classes: NDArray[Any]) -> Ints:
    """Return the class of each label of y, 0, 1, ... C - 1, (n_rows,); raise for any other."""
    unknown = ~np.isin(labels, classes)
    if unknown.any():
        raise ValueError(
            f"y should hold the classes {classes.tolist()}, but has {short(labels[unknown][0])}."
        )
    order = np.argsort(classes)
    return order[np.searchsorted(classes, labels, sorter=order)]


def _listed(labels: NDArray[Any]) -> str:
    return ", ".join(map(repr, labels[:4].tolist())) + ", ..." * (len(labels) > 4)


# --------------------------------------------------------------------------- names of subjects


def subject_names(trials: pd.DataFrame, columns: list[Any]) -> pd.Index:
    """Return the subject of each row: a column, several joined by "/", or one for all."""
    check_complete(trials, columns)
    for name in columns:
        check_names(trials[name], f"Column {name!r}")
    if not columns:
        return pd.Index(["all"] * len(trials))
    if len(columns) == 1:
        return pd.Index(trials[columns[0]])
    codes, parts = pd.MultiIndex.from_frame(trials[columns]).factorize()
    names = pd.Index(["/".join(map(str, part)) for part in parts])
    if not names.is_unique:
        twin = int(np.argmax(names.duplicated()))
        first = list(names).index(names[twin])
        raise ValueError(
            f"Subjects {parts[first]} and {parts[twin]} would both be called {names[twin]!r}; "
            f"rename one, so that the names in {columns} differ when joined by '/'."
        )
    return names[codes]


def check_names(values: pd.Series | pd.Index, where: str) -> None:
    """Raise if a value cannot name a subject or a session."""
    if values.dtype != object:
        return
    for row, value in enumerate(values):
        if isinstance(value, tuple) or not is_hashable(value):
            raise ValueError(
                f"{where} should hold text or numbers, but has {short(value)} (row {row}); join "
                "its parts, or give each a column: subject=['lab', 'subject']."
            )
