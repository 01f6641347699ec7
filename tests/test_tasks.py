"""Fits at a time: any backend, in order, and timed without what only the first one waits for."""

import threading
import time

import joblib
import pytest
from joblib._parallel_backends import MultiprocessingBackend
from joblib.parallel import BACKENDS
from numba.core.event import end_event, start_event

from sklearn_learnrule.model_selection import _stopwatch
from sklearn_learnrule.utils.tasks import run_tasks


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
