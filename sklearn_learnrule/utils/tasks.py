"""Fits at a time: in parallel, with progress, and kept on disk as they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib
from joblib.parallel import get_active_backend
from tqdm import tqdm

from .cache import Cache
from .warn import warn

DEATHS = {"BrokenExecutor", "KilledWorker", "CancelledError", "RayActorError", "WorkerCrashedError"}
"""Errors that tell of a dead worker: loky's, Dask's (cancelled: the data died with it), Ray's."""


class WorkerDiedError(RuntimeError):
    """Workers died, and what they were at could not be done by others."""


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

    What a worker was at when it died is begun anew, with a warning.

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
        Where results are kept and looked for first: by the process that makes them and, where
        that is on a machine which does not have the folder, by this one.
    keys : sequence of str, only with a cache
        The name that each task's result is kept by.
    complete : callable or None, default=None
        Of a result, whether to keep it; None: every one.
    tell : callable or None, default=None
        Of a task's number and result, what to show beside the bar.

    Returns
    -------
    list of results

    Raises
    ------
    WorkerDiedError
        If a task, made by itself in the end, killed its worker each time.
    """
    store = None if cache is None else Cache(cache)
    keys = keys or [""] * len(tasks)
    results = [None if store is None else store.read(key) for key in keys]
    todo = {
        number: joblib.delayed(_run)(number, function, store, keys[number], complete, *task)
        for number, task in enumerate(tasks)
        if results[number] is None
    }
    bar: Any = tqdm(
        total=len(tasks), initial=len(tasks) - len(todo), desc=name, unit=unit, disable=not verbose
    )
    with bar:
        for number, result in _work(todo, unit, n_jobs, verbose, store is not None):
            results[number] = result
            _keep(store, keys[number], result, complete)
            if tell is not None:
                bar.set_postfix_str(tell(number, result), refresh=False)
            bar.update()
    return results


def _run(
    number: int,
    function: Callable[..., Any],
    store: Cache | None,
    key: str,
    complete: Callable[[Any], bool] | None,
    *task: Any,  # one by one, so that Dask sends only once what several tasks share
) -> tuple[int, Any]:
    result = None if store is None else store.read(key)  # of a worker that has died since
    if result is None:
        result = function(*task)
        if store is not None and store.folder.is_dir() and (complete is None or complete(result)):
            store.write(key, result)  # also where a torn file is
    return number, result


def _keep(
    store: Cache | None, key: str, result: Any, complete: Callable[[Any], bool] | None
) -> None:
    if store is None or key in store:
        return
    if complete is None or complete(result):
        store.write(key, result)


def _work(
    calls: dict[int, Any], unit: str, n_jobs: int | None, verbose: int, kept: bool
) -> Iterator[tuple[int, Any]]:
    """Yield each call's number and result as they come; go on where a worker dies.

    Where one dies twice with nothing done in between, each call is made by itself: so one that
    kills its workers harms no other.
    """
    n_left = None  # when a worker died last
    while calls:
        alone = len(calls) == n_left
        n_left = len(calls)
        death: Exception | None = None
        for numbers in [[number] for number in calls] if alone else [list(calls)]:
            try:
                with _parallel(n_jobs, verbose) as parallel:
                    for number, result in parallel([calls[number] for number in numbers]):
                        del calls[number]
                        yield number, result
            except Exception as error:
                if DEATHS.isdisjoint(kind.__name__ for kind in type(error).__mro__):
                    raise
                death = error
        if calls and alone:
            raise WorkerDiedError(_obituary(len(calls), unit, kept)) from death
        if calls:
            warn(
                f"A worker was lost at its work, most often for want of memory; {len(calls)} "
                f"{unit}(s) that are not done yet are begun anew.",
            )
            calls = dict(reversed(calls.items()))  # what it died of comes last


def _obituary(n_undone: int, unit: str, kept: bool) -> str:
    then = "what is done is kept, and the same call goes on from there"
    return (
        f"Workers died each time at {n_undone} {unit}(s), which are not done. Most often they want "
        "more memory: let fewer work at a time (n_jobs), or give each more; "
        f"{then if kept else 'with cache=..., what is done would be kept'}."
    )


@contextmanager
def _parallel(n_jobs: int | None, verbose: int) -> Iterator[joblib.Parallel]:
    backend, _ = get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        with _mended(backend):  # all is sent, so that a cluster that grows with its work does
            yield joblib.Parallel(n_jobs, return_as="generator_unordered", pre_dispatch="all")
    elif getattr(backend, "supports_return_generator", False):
        yield joblib.Parallel(n_jobs, return_as="generator_unordered")
    else:  # joblib's "multiprocessing", and Ray's, hand over all results in the end
        yield joblib.Parallel(n_jobs, verbose=10 * bool(verbose))


@contextmanager
def _mended(backend: Any) -> Iterator[None]:
    """Let joblib's backend for Dask tell of a task that killed its workers, and never work here.

    Joblib is called back with results alone, and would wait for such a task forever; of a cluster
    that has one core left it takes the calling process instead, which the task would kill.
    """
    name = "submit" if hasattr(backend, "submit") else "apply_async"  # of older joblib
    submit = getattr(type(backend), name)

    def submit_and_hear(batch: Any, callback: Callable[[Any], None]) -> Any:
        def hear(done: Any) -> None:
            if (death := done.exception()) is not None:
                callback(death)

        future = submit(backend, batch, callback)
        future.add_done_callback(hear)
        return future

    def count_cores(n_jobs: int) -> int:
        del n_jobs
        return max(2, sum(backend.client.ncores().values()))

    mends = {name: submit_and_hear, "effective_n_jobs": count_cores}
    vars(backend).update(mends)
    try:
        yield
    finally:
        for mend in mends:
            delattr(backend, mend)
