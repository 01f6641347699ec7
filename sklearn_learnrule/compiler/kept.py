"""Where compiled code is kept between processes: made fit to be lost, and to be shared."""

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

PACKAGE = Path(__file__).parents[1]
ROOMS = ("rules", "compiler", "engine")  # whose code goes into compiled code


def cache_folder() -> str | None:
    """Return the folder that numba would keep this room's code in, None if there is none."""
    try:
        return FunctionCache(cache_folder).cache_path
    except RuntimeError:  # it finds none that it may write to
        return None


def kept_code(made_of: tuple[Any, ...], compile_anew: Callable[[], bytes]) -> bytes:
    """Return machine code from the disk, where it is kept by what it was made of, or compile it."""
    folder = cache_folder()
    if folder is None:
        warn_uncached("on disk")
        return compile_anew()
    name = hashlib.sha256("\n".join(map(str, made_of)).encode()).hexdigest()
    path = Path(folder, f"rule-{name}.o")
    with suppress(OSError):
        digest, code = (kept := path.read_bytes())[:32], kept[32:]
        if hashlib.sha256(code).digest() == digest:  # else it is torn
            return code
    code = compile_anew()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix="writing-") as room:
            whole = Path(room, path.name)
            with whole.open("wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(whole, path)  # all or nothing, whoever else writes it
    except OSError as error:
        warn_uncached(f"in {folder} ({error.strerror})")
    return code


@cache
def sources_stamp() -> str:
    """Return what changes with any line that may be compiled into a kernel."""
    sources = [path for room in ROOMS for path in (PACKAGE / room).glob("*.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()


def warn_uncached(where: str) -> None:
    warn_once(
        f"Compiled code cannot be kept {where}: every process compiles it anew, which takes "
        "seconds. Make room there, or set NUMBA_CACHE_DIR to a folder that can be written to."
    )


@cache
def warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
