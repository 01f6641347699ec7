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
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_MINE = threading.local()  # .job: what this thread works at; .shares: the errors of each of those
_COUNTED = threading.Lock()
_n_busy = _n_jobs = 0
_n_threads = 1  # torch's before the first of the jobs under way


class CalledOffError(Exception):
    """Ends work of which another part has failed, or been interrupted."""


class Job:
    """What one call may use: so many threads, which live as long as it does."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def hire(self, wanted: int, work: Callable[[], None], hired: list[Future[None]]) -> None:
        """Let idle threads work, as many as there are, and no more than are wanted."""
        with _COUNTED:
            for _ in range(min(wanted, self.n_threads - _n_busy)):
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self.n_threads)  # its caller may wait
                hired.append(self._pool.submit(self._help, work))
                _add_busy(1)

    def dismiss(self, helper: Future[None]) -> bool:
        """Return whether a helper that was hired had not begun, and now will not."""
        idle = helper.cancel()
        with _COUNTED:
            _add_busy(-idle)
        return idle

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
    n_threads = _begin()
    torch.set_num_threads(1)
    _MINE.job = mine = Job(n_threads)
    try:
        with _counted(1):
            yield
    finally:
        _MINE.job = None
        try:
            mine.end()
        finally:
            _end()
            torch.set_num_threads(n_threads)


def _begin() -> int:
    """Return how many threads torch has here, but for the jobs under way, which set it to 1."""
    global _n_jobs, _n_threads
    with _COUNTED:
        n_threads = torch.get_num_threads()
        if _n_jobs and n_threads == 1:
            n_threads = _n_threads
        elif not _n_jobs:
            _n_threads = n_threads
        _n_jobs += 1
    return n_threads


def _end() -> None:
    global _n_jobs
    with _COUNTED:
        _n_jobs -= 1


def share(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return a function of each item, on this thread and on those of its job that are idle.

    Items are begun in their order. Where one raises, no further one is begun, the others under way
    are told by :func:`called_off`, and its error is raised.
    """
    waiting = deque(enumerate(items))
    results: dict[int, Result] = {}
    errors: list[BaseException] = []
    mine, shares = _current(), (*_shares(), errors)

    def work() -> None:
        before, _MINE.shares = _shares(), shares
        try:
            while not errors and (taken := _take(waiting)):
                number, item = taken
                results[number] = function(item)
        except BaseException as error:
            errors.append(error)
        finally:
            _MINE.shares = before

    helpers: list[Future[None]] = []
    try:
        if mine is not None:
            mine.hire(len(items) - 1, work, helpers)
        work()
    except BaseException as error:  # Ctrl-C
        errors.append(error)
    if mine is not None:
        helpers = [helper for helper in helpers if not mine.dismiss(helper)]
    with _counted(-1 if helpers else 0):  # while this thread waits, another may work
        _wait_for(helpers, errors)
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(items))]


def _take(waiting: deque[tuple[int, Item]]) -> tuple[int, Item] | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _wait_for(helpers: Sequence[Future[None]], errors: list[BaseException]) -> None:
    while True:
        try:
            wait(helpers)
            return
        except BaseException as error:  # Ctrl-C
            errors.append(error)


def called_off() -> bool:
    """Whether this thread's work is a part of what has failed elsewhere."""
    return any(_shares())


def _shares() -> tuple[list[BaseException], ...]:
    return getattr(_MINE, "shares", ())


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
    global _n_busy, _n_jobs, _COUNTED
    _n_busy, _n_jobs, _COUNTED = 0, 0, threading.Lock()
    _MINE.job, _MINE.shares = None, ()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
