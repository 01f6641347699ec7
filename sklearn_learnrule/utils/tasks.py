"""Fits at a time: in parallel, with progress, and kept on disk as they are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import joblib
from tqdm import tqdm

from .cache import Cache


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    name: str,
    unit: str = "fit",
    n_jobs: int | None = None,
    verbose: int = 1,
    cache: Any = None,
    keys: Sequence[str] | None = None,
    complete: Callable[[Any], bool] | None = None,
    tell: Callable[[int, Any], str] | None = None,
) -> list[Any]:
    """Return the result of each task, in their order; Ctrl-C ends all, and keeps what is done.

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
    keys : sequence of str, only with a cache
        The name that each task's result is kept by.
    complete : callable or None, default=None
        Of a result, whether to keep it; None: every one.
    tell : callable or None, default=None
        Of a task's number and result, what to show beside the bar.

    Returns
    -------
    list of results
    """
    store = None if cache is None else Cache(cache)
    keys = keys or [""] * len(tasks)
    results = [None if store is None else store.read(key) for key in keys]
    todo = [
        joblib.delayed(_run)(number, function, tasks[number], store, keys[number], complete)
        for number, kept in enumerate(results)
        if kept is None
    ]
    bar: Any = tqdm(
        total=len(tasks), initial=len(tasks) - len(todo), desc=name, unit=unit, disable=not verbose
    )
    with bar:
        for number, result in _parallel(n_jobs)(todo):
            results[number] = result
            if tell is not None:
                bar.set_postfix_str(tell(number, result), refresh=False)
            bar.update()
    return results


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
