"""Threads: work is shared with those that are idle, and never are more at work than there may be.

Torch's own operations are short here, so that several threads wait for each other more than they
work: within a :func:`job` they stay on one. What is shared are whole pieces of work, an ensemble's
members or a step's subjects. How many threads there may be is torch's number where the job begins,
over all jobs of a process.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_MINE = threading.local()  # .job: what this thread works at, if anything
_COUNTED = threading.Lock()
_n_busy = 0


class CalledOffError(Exception):
    """Ends work of which another part has failed, or been interrupted."""


class Job:
    """What one call may use: so many threads, which live as long as it does."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.n_failed = 0  # of the shares under way
        self._pool: ThreadPoolExecutor | None = None

    def hire(self, wanted: int, work: Callable[[], None]) -> list[Future[None]]:
        """Let idle threads work, as many as there are, and no more than are wanted."""
        with _COUNTED:
            hired = max(0, min(wanted, self.n_threads - _n_busy))
            _add_busy(hired)
            if hired and self._pool is None:
                self._pool = ThreadPoolExecutor(self.n_threads)  # its caller may wait
        return [self._pool.submit(self._help, work) for _ in range(hired) if self._pool]

    def _help(self, work: Callable[[], None]) -> None:
        _MINE.job = self
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        try:
            work()
        finally:
            with _COUNTED:
                _add_busy(-1)

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


@contextmanager
def job() -> Iterator[None]:
    """Keep torch's operations on one thread, and let what :func:`share` is given find others.

    A job within another is a part of it.
    """
    if _current() is not None:
        yield
        return
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    _MINE.job = mine = Job(n_threads)
    try:
        with _counted(1):
            yield
    finally:
        _MINE.job = None
        mine.end()
        torch.set_num_threads(n_threads)


def share(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return a function of each item, on this thread and on those of its job that are idle.

    Items are begun in their order. Where one raises, no further one is begun, the others under way
    are told by :func:`called_off`, and its error is raised.
    """
    waiting = deque(enumerate(items))
    results: dict[int, Result] = {}
    errors: list[BaseException] = []
    mine = _current()

    def work() -> None:
        while not errors:
            try:
                number, item = waiting.popleft()
            except IndexError:
                return
            try:
                results[number] = function(item)
            except BaseException as error:
                fail(error)

    def fail(error: BaseException) -> None:
        with _COUNTED:
            if mine is not None and not errors:
                mine.n_failed += 1
            errors.append(error)

    helpers = [] if mine is None else mine.hire(len(items) - 1, work)
    work()
    with _counted(-1 if helpers else 0):  # while this thread waits, another may work
        _wait_for(helpers, fail)
    if errors:
        with _COUNTED:
            if mine is not None:
                mine.n_failed -= 1
        raise errors[0]
    return [results[number] for number in range(len(items))]


def _wait_for(helpers: Sequence[Future[None]], fail: Callable[[BaseException], None]) -> None:
    while helpers:
        try:
            for helper in helpers:
                helper.result()
            return
        except BaseException as error:  # Ctrl-C
            fail(error)


def called_off() -> bool:
    """Whether this thread's work is a part of what has failed elsewhere."""
    mine = _current()
    return mine is not None and mine.n_failed > 0


def _current() -> Job | None:
    return getattr(_MINE, "job", None)


def _add_busy(change: int) -> None:
    global _n_busy
    _n_busy += change


@contextmanager
def _counted(change: int) -> Iterator[None]:
    """Count so many threads more as busy."""
    with _COUNTED:
        _add_busy(change)
    try:
        yield
    finally:
        with _COUNTED:
            _add_busy(-change)


def _forget() -> None:
    """Forget other threads, which a fork leaves behind."""
    global _n_busy, _COUNTED
    _n_busy, _COUNTED, _MINE.job = 0, threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
