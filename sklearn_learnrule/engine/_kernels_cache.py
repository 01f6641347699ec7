"""Where compiled kernels are kept between processes: numba's disk cache, made fit to be lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba.core.caching import FunctionCache

from ..compiler.kept import sources_stamp, warn_once, warn_uncached


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
