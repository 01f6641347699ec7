"""How long a fit takes, but for what only a process's first fit waits for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch


class Stopwatch:
    """What :func:`stopwatch` has measured; ``seconds`` is set when it has stopped."""

    seconds: float


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure the seconds that are not spent on compiling kernels, or loading them from disk."""
    from numba.core.event import TimingListener, install_listener

    _load_torch()

    class OwnThread(TimingListener):
        def notify(self, event: Any) -> None:
            if threading.get_ident() == thread:
                super().notify(event)

    watch, thread = Stopwatch(), threading.get_ident()
    with install_listener("numba:compiler_lock", OwnThread()) as compiling:
        start = perf_counter()
        yield watch
        watch.seconds = perf_counter() - start
    if compiling.done:
        watch.seconds -= compiling.duration


@functools.cache
def _load_torch() -> None:
    """Let torch import what it puts off until its first optimizer, which takes seconds."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])
