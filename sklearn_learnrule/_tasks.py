"""Fits at a time: in parallel, with progress, and kept on disk as they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
from tqdm import tqdm

from ._cache import Cache


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    name: str,
    unit: str = "fit",
    n_jobs: int | None = None,
    verbose: int = 1,
    cache: Any = None,
    key: Callable[..., str] | None = None,
    complete: Callable[[Any], bool] | None = None,
    tell: Callable[[int, Any], str] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Yield the number and the result of each task, as they are done.

    Parameters
    ----------
    function : callable
    tasks : sequence of tuples
        The arguments of each call.
    name, unit : str
        Of the progress bar.
    n_jobs : int or None, default=None
        Calls at a time.
    verbose : int, default=1
        Whether to show progress.
    cache : folder or None, default=None
        Where results are kept, by the process that makes them, and looked for first.
    key : callable
        Of a task's arguments, the name that its result is kept by.
    complete : callable or None, default=None
        Of a result, whether to keep it; None: every one.
    tell : callable or None, default=None
        Of a task's number and result, what to show beside the bar.
    """
    store = None if cache is None else Cache(cache)
    keys = [key(*task) if store and key else "" for task in tasks]
    with tqdm(total=len(tasks), desc=name, unit=unit, disable=not verbose) as bar:
        todo = []
        for number, task in enumerate(tasks):
            kept = store.read(keys[number]) if store else None
            if kept is None:
                todo.append(
                    joblib.delayed(_run)(number, function, task, store, keys[number], complete)
                )
            else:
                bar.update()
                yield number, kept
        for number, result in _parallel(n_jobs)(todo):
            if tell is not None:
                bar.set_postfix_str(tell(number, result), refresh=False)
            bar.update()
            yield number, result


def _run(
    number: int,
    function: Callable[..., Any],
    task: tuple[Any, ...],
    store: Cache | None,
    key: str,
    complete: Callable[[Any], bool] | None,
) -> tuple[int, Any]:
    result = function(*task)
    if store is not None and (complete is None or complete(result)):
        store.write(key, result)
    return number, result


def _parallel(n_jobs: int | None) -> joblib.Parallel:
    try:
        return joblib.Parallel(n_jobs, return_as="generator_unordered")
    except ValueError:  # joblib's "multiprocessing", and Ray's, hand over all results in the end
        return joblib.Parallel(n_jobs)
