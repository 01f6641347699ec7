"""Where compiled kernels are kept between processes: numba's disk cache, made fit to be lost."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numba.core.caching import FunctionCache

ENGINE = Path(__file__).parent
SOURCES = [*ENGINE.glob("*.py"), *(ENGINE.parent / "rules").glob("*.py")]


class KernelCache(FunctionCache):
    """The disk cache of one kernel, of which no fault is worse than compiling once more.

    numba's own raises where a file is torn or the disk is full; it may hand out what another
    process has just written under the same name, for other types; and it watches the file of the
    kernel alone, though what that calls is compiled in.
    """

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, sources_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for these types of arguments, or None."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # whatever unpickling makes of a torn file
            warn_once(f"Compiled code in {self.cache_path} cannot be read: compiling anew.")
            with suppress(OSError):
                self.flush()
            return None
        wanted = tuple(getattr(sig, "args", sig))  # of a callback, the whole signature
        for_these = found is not None and found.signature.args == wanted
        return found if for_these else None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if there is room."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            warn_uncached(f"in {self.cache_path} ({reason})")


def kept_code(folder: str | None, made_of: tuple[Any, ...], compile: Callable[[], bytes]) -> bytes:
    """Return machine code from a folder, where it is kept by what it was made of, or compile it."""
    if folder is None:
        return compile()
    name = hashlib.sha256("\n".join(map(str, made_of)).encode()).hexdigest()
    path = Path(folder, f"rule-{name}.o")
    with suppress(OSError):
        digest, code = (kept := path.read_bytes())[:32], kept[32:]
        if hashlib.sha256(code).digest() == digest:  # else it is torn
            return code
    code = compile()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix="writing-") as room:
            Path(room, path.name).write_bytes(hashlib.sha256(code).digest() + code)
            os.replace(Path(room, path.name), path)  # whole or not at all, whoever else writes it
    except OSError as error:
        warn_uncached(f"in {folder} ({error.strerror})")
    return code


@cache
def sources_stamp() -> str:
    """Return what changes with any line that may be compiled into a kernel."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES))).hexdigest()


def warn_uncached(where: str) -> None:
    warn_once(
        f"Compiled code cannot be kept {where}: every process compiles it anew, which takes "
        "seconds. Make room there, or set NUMBA_CACHE_DIR to a folder that can be written to."
    )


@cache
def warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
