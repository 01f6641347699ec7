"""Finished work on disk: a file a result, named by a hash of all that the result depends on."""

from __future__ import annotations

import functools
import pickle
import sys
import zlib
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.base import clone

from .files import replacing
from .warn import warn

ROOT = Path(__file__).parents[1]  # of the package
SILENT = ("verbose", "n_jobs")  # parameters that change no result


class Cache:
    """A folder of results.

    A file is written beside and then renamed, and holds a checksum: whatever happens to it, it is
    read whole or not at all. Results are pickles: read only what you have written.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()  # for workers elsewhere
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise ValueError(
                f"cache should be a folder to keep finished work in, got {str(folder)!r} "
                f"({failure.strerror})."
            ) from failure

    def __contains__(self, key: str) -> bool:
        return self._file(key).exists()

    def read(self, key: str) -> Any:
        """Return the result, or None if there is none that can be read."""
        try:
            return pickle.loads(zlib.decompress(self._file(key).read_bytes()))
        except Exception:  # torn, or of a class that is no more: one lost fit
            return None

    def write(self, key: str, result: Any) -> None:
        """Keep the result, or warn that it could not be kept."""
        try:
            content = zlib.compress(pickle.dumps(result), level=1)
            with replacing(self._file(key)) as file:
                file.write_bytes(content)
        except Exception as failure:  # the result itself is not lost
            warn(
                f"A result could not be kept in {self.folder}, and the work goes on: "
                f"{type(failure).__name__}: {failure}",
            )

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.pickle.z"


def make_key(*parts: Any) -> str:
    """Return a hash of what a result is made from, and of this package's code."""
    try:
        return str(joblib.hash([_own_code(), *parts]))
    except Exception as failure:
        raise TypeError(
            "With cache, all that a fit is made from is told by its content, but something here "
            f"cannot be pickled ({failure}): define its functions and classes at the top of a "
            "module, or set cache=None."
        ) from failure


def describe_estimator(estimator: Any) -> list[Any]:
    """Return what tells an estimator that is to be fitted: its parameters, its classes' code."""
    silent = clone(estimator)
    names = [name for name in silent.get_params() if name.rpartition("__")[2] in SILENT]
    silent.set_params(**dict.fromkeys(names, 0))
    values = [silent, *silent.get_params().values()]
    modules = {type(value).__module__ for value in values if hasattr(value, "get_params")}
    return [silent, [_code(module) for module in sorted(modules)]]


def describe_table(X: pd.DataFrame | pd.Series) -> list[Any]:
    """Return what tells a table from others: its names and types, and a hash of each row."""
    table = X.to_frame() if isinstance(X, pd.Series) else X
    names = [str(name) for name in (*table.columns, *table.index.names)]
    return [names, table.dtypes.astype(str).tolist(), hash_rows(table)]


def hash_rows(X: pd.DataFrame | pd.Series) -> Any:
    """Return a hash of each row, with its index, (n_rows,)."""
    return pd.util.hash_pandas_object(X).to_numpy()


@functools.cache
def _own_code() -> str:
    return str(joblib.hash([path.read_bytes() for path in sorted(ROOT.rglob("*.py"))]))


def _code(module: str) -> bytes:
    """Return the source of a module, in which an estimator's rule often stands as well."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).exists():
        raise TypeError(
            f"With cache, an estimator is told by the code of its module, but {module!r} has no "
            "file, as in a notebook: put its class into a module, or set cache=None."
        )
    return Path(file).read_bytes()
