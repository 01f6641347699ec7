"""Fits at a time: any backend, in order, and timed without what only the first one waits for."""

import re
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import joblib
import pytest
from joblib._parallel_backends import MultiprocessingBackend
from joblib.parallel import BACKENDS
from numba.core.event import end_event, start_event

from sklearn_learnrule.model_selection import _stopwatch
from sklearn_learnrule.utils import tasks
from sklearn_learnrule.utils.cache import Cache
from sklearn_learnrule.utils.tasks import WorkerDiedError, run_tasks


def slower_first(number):
    time.sleep(0.02 * (number == 0))
    return number**2


def broken(number):
    if number == 9:
        raise KeyboardInterrupt
    return number


class LikeRays(MultiprocessingBackend):
    """Ray's backend is one of joblib's for multiprocessing."""


@pytest.mark.parametrize("backend", ["sequential", "threading", "multiprocessing", "like Ray's"])
def test_every_backend_returns_results_in_order(backend, monkeypatch):
    monkeypatch.setitem(BACKENDS, "like Ray's", LikeRays)
    with joblib.parallel_config(backend, n_jobs=2):
        tasks = [(number,) for number in range(4)]
        assert run_tasks(slower_first, tasks, name="square", verbose=0) == [0, 1, 4, 9]


def test_no_tasks_are_no_results():
    assert run_tasks(slower_first, [], name="nothing", verbose=0) == []


@pytest.mark.parametrize("backend", ["sequential", "threading"])
def test_ctrl_c_ends_all(backend, tmp_path):
    keys = [str(number) for number in range(30)]
    tasks = [(number,) for number in range(30)]
    with joblib.parallel_config(backend, n_jobs=2), pytest.raises(KeyboardInterrupt):
        run_tasks(broken, tasks, name="broken", verbose=0, cache=tmp_path, keys=keys)
    assert 0 < len(list(tmp_path.iterdir())) < 30


def test_progress_counts_what_was_kept(tmp_path, capsys):
    options = {"name": "square", "cache": tmp_path, "keys": ["0", "1"]}
    run_tasks(slower_first, [(0,), (1,)], verbose=0, **options)
    assert capsys.readouterr().err == ""
    assert run_tasks(slower_first, [(0,), (1,)], **options) == [0, 1]
    assert "square" in (shown := capsys.readouterr().err) and "2/2" in shown


class LeftBehind(Cache):
    """Arrives on a machine that does not have its folder."""

    def __getstate__(self):
        return {"folder": self.folder / "nowhere"}


def test_what_a_worker_elsewhere_makes_is_kept_here(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "Cache", LeftBehind)
    options = {"name": "square", "verbose": 0, "cache": tmp_path, "keys": ["0", "1"]}
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        assert run_tasks(slower_first, [(0,), (1,)], **options) == [0, 1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.pickle.z", "1.pickle.z"]


class Mortal:
    """Squares, but dies of 1 so many times."""

    def __init__(self, n_deaths):
        self.n_deaths = n_deaths

    def __call__(self, number):
        if number == 1 and self.n_deaths:
            self.n_deaths -= 1
            raise BrokenProcessPool
        return number**2


def test_what_died_with_a_worker_is_done_again_and_told():
    tasks = [(number,) for number in range(4)]
    message = (
        "A worker was lost at its work, most often for want of memory; 3 fit(s) that are not done "
        "yet are begun anew."
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        assert run_tasks(Mortal(n_deaths=1), tasks, name="m", verbose=0) == [0, 1, 4, 9]


def test_what_kills_every_worker_comes_last_and_ends_the_call(tmp_path):
    tasks, keys = [(number,) for number in range(4)], list("0123")
    options = {"name": "m", "verbose": 0, "cache": tmp_path, "keys": keys}
    sentence = (
        "Workers died each time at 1 fit(s), which are not done. Most often they want more memory: "
        "let fewer work at a time (n_jobs), or give each more; "
    )
    for cache in (tmp_path, None):
        options["cache"] = cache
        end = "what is done is kept, and the same" if cache else "with cache=..., what is done"
        with pytest.warns(UserWarning, match="A worker was lost"):
            with pytest.raises(WorkerDiedError, match=re.escape(sentence + end)):
                run_tasks(Mortal(n_deaths=9), tasks, **options)
    assert sorted(file.name[0] for file in tmp_path.iterdir()) == ["0", "2", "3"]


class Clock:
    """Stands still unless it is moved."""

    now = 0.0

    def __call__(self):
        return self.now

    def compile(self, seconds):
        start_event("numba:compiler_lock")
        self.now += seconds
        end_event("numba:compiler_lock")


def test_compiling_is_not_counted_but_for_that_of_other_threads(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_stopwatch, "perf_counter", clock)
    monkeypatch.setattr("numba.core.event.timer", clock)
    with _stopwatch.stopwatch() as watch:
        clock.compile(10)
        clock.now += 2
        clock.compile(20)
    assert watch.seconds == 2
    with _stopwatch.stopwatch() as watch:
        other = threading.Thread(target=clock.compile, args=(10,))
        other.start()
        other.join()
    assert watch.seconds == 10
