"""Work that threads share: whole results, no thread too many, and an end where one part fails."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import threads

pytestmark = BRIEFLY_TRAINED

MAIN = threading.main_thread()
LIMIT = 20  # seconds, after which a thread that waits for another has waited in vain


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_work_is_done_side_by_side_and_handed_back_in_order():
    both = threading.Barrier(2)

    def work(item: int) -> int:
        if item < 2:
            both.wait(LIMIT)  # raises if one comes after the other
        return 10 * item

    with threads.job():
        assert threads.share(work, range(5)) == [0, 10, 20, 30, 40]


def test_torch_has_one_thread_in_a_job_and_its_own_number_after():
    def n_threads(_: int) -> int:
        return torch.get_num_threads()

    with threads.job():
        with threads.job():
            assert threads.share(n_threads, range(8)) == [1] * 8
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("how", ["without a job", "one thread"])
def test_without_others_a_thread_works_alone(how):
    def who(_: int) -> int:
        return threading.get_ident()

    if how == "one thread":
        torch.set_num_threads(1)
        with threads.job():
            found = threads.share(who, range(4))
    else:
        found = threads.share(who, range(4))
    assert found == [threading.get_ident()] * 4


class Counter:
    """Counts who is at work at a time."""

    def __init__(self) -> None:
        self.lock, self.n, self.most = threading.Lock(), 0, 0

    def work(self, _: int) -> None:
        with self.lock:
            self.n += 1
            self.most = max(self.most, self.n)
        threading.Event().wait(0.01)
        with self.lock:
            self.n -= 1


def test_shares_within_shares_use_who_waits_and_nobody_more():
    counter, helped = Counter(), []

    def member(number: int) -> None:
        me = threading.get_ident()

        def part(item: int) -> None:
            counter.work(item)
            helped.append((number, threading.get_ident() != me))

        for _ in range(3):  # as training does, step by step
            threads.share(part, range(6))

    with threads.job():
        threads.share(member, range(3))
    assert counter.most == 2
    assert any(by_another for number, by_another in helped if number == 2)  # the others were done
    assert len(helped) == 54


def test_jobs_of_several_threads_leave_each_other_theirs():
    counter, begun = Counter(), threading.Barrier(2)

    def fit(_: int) -> None:
        with threads.job():
            begun.wait(LIMIT)
            threads.share(counter.work, range(10))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fit, range(2)))
    assert counter.most == 2


def test_an_error_ends_the_work_and_is_raised():
    begun, other_works = [], threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            other_works.wait(LIMIT)
            raise ValueError("item 1")
        other_works.set()
        while not threads.called_off():
            threading.Event().wait(0.001)

    with threads.job():
        with pytest.raises(ValueError, match="item 1"):
            threads.share(work, range(10))
        assert sorted(begun) == [0, 1]
    assert not threads.called_off()


def test_shares_may_be_as_deep_as_they_like():
    def deeper(level: int) -> int:
        return sum(threads.share(deeper, [level - 1] * 3)) if level else 1

    def work() -> None:
        with threads.job():
            assert sum(threads.share(deeper, [3] * 3)) == 81

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(LIMIT)
    assert not worker.is_alive()


def test_a_failure_that_is_caught_calls_nobody_else_off():
    failed, seen = threading.Event(), []

    def fail(_: int) -> None:
        raise ValueError

    def work(item: int) -> None:
        if item == 0:
            with pytest.raises(ValueError):
                threads.share(fail, range(2))
            failed.set()
        else:
            failed.wait(LIMIT)
        seen.append(threads.called_off())

    with threads.job():
        threads.share(work, range(2))
    assert seen == [False, False]


def test_a_job_beside_another_leaves_torch_its_number():
    begun, ended = threading.Event(), threading.Event()
    found = []

    def beside() -> None:
        begun.wait(LIMIT)
        with threads.job():
            ended.set()
            done.wait(LIMIT)  # it ends last
        found.append(torch.get_num_threads())

    done = threading.Event()
    other = threading.Thread(target=beside)
    other.start()
    with threads.job():
        begun.set()
        ended.wait(LIMIT)
    done.set()
    other.join(LIMIT)
    assert found == [2]
    assert torch.get_num_threads() == 2


# ------------------------------------------------------------------------ fits


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(4, 2000, random_state=0))
    return X, y


@pytest.mark.parametrize("estimator", [lr.DNNRuleEstimator, lr.ChoiceRNNClassifier])
def test_an_ensemble_is_the_same_on_any_number_of_threads(cohort, estimator):
    found = []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        fitted = estimator(max_epochs=1, mirror=True, random_state=0).fit(*cohort)
        found.append(fitted.decision_function(cohort[0]))
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


class AtWork(Callback):
    """Calls a function from a member that is trained beside another."""

    def __init__(self, function: Callable[[], None], started: list[int]) -> None:
        self.function, self.started = function, started

    def __deepcopy__(self, memo: object) -> AtWork:
        return self  # all members': it counts them

    def on_train_begin(self, net: object, **kwargs: object) -> None:
        self.started.append(threading.get_ident())

    def on_batch_end(self, net: object, **kwargs: object) -> None:
        if len(set(self.started)) == 2 and threading.current_thread() is not MAIN:
            self.function()


def fail() -> None:
    raise RuntimeError


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def heeds_ctrl_c():
    """As Python does, but in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("event", "error"), [(fail, RuntimeError), (press_ctrl_c, KeyboardInterrupt)]
)
def test_what_ends_a_member_ends_the_others(cohort, event, error, heeds_ctrl_c):
    started: list[int] = []
    fit = lr.DNNRuleEstimator(
        max_epochs=500,
        n_ensemble=3,
        mirror=False,
        random_state=0,
        callbacks=[AtWork(event, started)],
    )
    with pytest.raises(error):
        fit.fit(*cohort)
    assert len(started) == 2  # the third was never begun
    assert not hasattr(fit, "nets_")
    assert torch.get_num_threads() == 2
