"""On a cluster, as on one core: the same numbers, and a worker that dies costs one fit."""

import os
import secrets
import signal
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib.parallel import get_active_backend
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import bootstrap_fits
from sklearn_learnrule.recovery import recovery_study
from sklearn_learnrule.utils.tasks import WorkerDiedError, run_tasks

RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(baseline=None),  # which so few trials tell
}
N_FOLDS = 2


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 60, random_state=0))[:2]


@pytest.fixture(scope="module")
def client(forked_workers):
    """Two worker processes, as on any of Dask's clusters."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with distributed.LocalCluster(**options, dashboard_address=":0") as cluster:
        with distributed.Client(cluster) as client:
            yield client


@pytest.fixture
def dask(client):
    with joblib.parallel_config("dask"):
        yield client


def compare(cohort, rules=RULES, **options):
    return lr.compare_rules(rules, *cohort, cv=N_FOLDS, **{"verbose": 0, **options})


def without_seconds(scores):
    return scores.drop(columns="seconds")


# ------------------------------------------------------------------------ the same numbers


def compared(X, y):
    return without_seconds(compare((X, y)))


def bootstrapped(X, y):
    fits = bootstrap_fits(RULES["REINFORCE"], X, y, n_bootstraps=3, random_state=0, verbose=0)
    return [fit.decision_function(X) for fit in fits]


def recovered(X, y):
    study = recovery_study(X, RULES, y=y, n_repeats=1, cv=2, random_state=0, verbose=0)
    return study.scores.drop(columns=["true_rule", "rule"])


def searched(X, y):
    grid = {"side_specific": [False, True]}
    search = GridSearchCV(RULES["REINFORCE"], grid, cv=lr.SubjectKFold(2)).fit(X, y)
    return search.cv_results_["split1_test_score"]


def cross_validated(X, y):
    return cross_val_score(RULES["REINFORCE"], X, y, cv=lr.SubjectKFold(2))


TASKS = [compared, bootstrapped, recovered, searched, cross_validated]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_numbers_on_dask_are_those_of_one_core(cohort, client, task):
    alone = task(*cohort)
    with joblib.parallel_config("dask"):
        spread = task(*cohort)
    assert_array_equal(np.asarray(spread), np.asarray(alone))


def test_numbers_on_ray_are_those_of_one_core(cohort):
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False)
    try:
        register_ray()
        with joblib.parallel_config("ray", n_jobs=2):
            spread = compared(*cohort)
    finally:
        ray.shutdown()
    assert_frame_equal(spread, compared(*cohort))


# ----------------------------------------------------------- progress, what is sent and kept


def test_progress_is_shown_and_what_is_kept_is_found_again(cohort, dask, tmp_path, capsys):
    first = compare(cohort, cache=tmp_path, verbose=1)
    assert "4/4" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 4
    with joblib.parallel_config("sequential"):
        again = compare(cohort, cache=tmp_path)
    assert_frame_equal(again, first)  # the seconds, too


class Sent:
    """Counts how often it is sent from here."""

    n_times = 0

    def __sizeof__(self):
        return 10**6

    def __reduce__(self):
        Sent.n_times += 1
        return (Sent, ())


def number_of(sent, number):
    return number


def test_what_tasks_share_is_sent_once(dask):
    sent = Sent()
    assert run_tasks(number_of, [(sent, number) for number in range(9)], name="n", verbose=0) == [
        *range(9)
    ]
    assert Sent.n_times == 1


def test_joblibs_backend_is_left_as_it_was(dask):
    backend, _ = get_active_backend()
    run_tasks(number_of, [(0, 1)], name="n", verbose=0)
    assert not {"submit", "apply_async", "effective_n_jobs"} & vars(backend).keys()


class Fussy(lr.ConstantRuleEstimator):
    """Will not be fitted to twins."""

    def fit(self, X, y, sample_weight=None):
        if "twin" in X.index[0][0]:
            raise RuntimeError("no twins")
        return super().fit(X, y, sample_weight)


def test_a_fit_that_fails_in_a_workers_thread_is_told_and_tried_again(cohort, dask, tmp_path):
    X, y = cohort
    rules = {"constant": lr.ConstantRuleEstimator().fit(X, y), "fussy": Fussy().fit(X, y)}
    options = {"n_repeats": 1, "n_subjects": 5, "cv": 2, "random_state": 0, "verbose": 0}
    with pytest.warns(FitFailedWarning) as warned:
        study = recovery_study(X, rules, cache=tmp_path, **options)
    messages = {str(warning.message) for warning in warned}
    assert "constant, repeat 0: fussy failed, as is said where it ran" in messages
    assert "fussy, repeat 0: fussy failed on the whole cohort: RuntimeError: no twins" in messages
    assert study.scores.query("rule == 'constant'").notna().all(axis=None)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ workers that die


class Deadly(lr.ConstantRuleEstimator):
    """Kills the process that fits it without the first mouse, as often as its folder says."""

    folder: str = ""

    def fit(self, X, y, sample_weight=None):
        folder = Path(self.folder)
        (folder / f"fit{secrets.token_hex(8)}").touch()
        if "mouse_01" not in X.index.unique("subject"):
            deaths = sorted(folder.glob("death*"))
            if deaths:
                deaths[0].unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)


@pytest.fixture
def deadly(tmp_path):
    """Return two rules, one of which kills its worker so many times."""

    def make(n_deaths):
        folder = tmp_path / "deadly"
        folder.mkdir()
        for number in range(n_deaths):
            (folder / f"death{number}").touch()
        return {"deadly": Deadly(folder=str(folder)), "constant": lr.ConstantRuleEstimator()}

    return make


def n_fits(tmp_path):
    return len(list((tmp_path / "deadly").glob("fit*")))


@pytest.mark.filterwarnings("ignore:A worker was lost")  # with the only copy of the data, perhaps
def test_a_worker_that_dies_costs_one_fit(cohort, dask, deadly, tmp_path):
    rules = deadly(1)
    scores = compare(cohort, rules, cache=tmp_path / "fits")
    assert N_FOLDS < n_fits(tmp_path) <= N_FOLDS + 2
    with joblib.parallel_config("sequential"):
        assert_frame_equal(without_seconds(scores), without_seconds(compare(cohort, rules)))


@pytest.mark.parametrize("backend", ["dask", "loky"])
def test_a_fit_that_kills_every_worker_is_told_and_a_second_call_finishes(
    cohort, backend, forked_workers, deadly, tmp_path, request, monkeypatch
):
    if backend == "dask":  # which would let four workers die before it tells
        cluster = request.getfixturevalue("client").cluster
        monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    rules, fits = deadly(99), tmp_path / "fits"
    sentence = r"at 1 fit\(s\), which are not done\. .* what is done is kept, and the same call"
    with joblib.parallel_config(backend, n_jobs=2):
        with pytest.warns(UserWarning, match="A worker was lost at its work, .* are begun anew"):
            with pytest.raises(WorkerDiedError, match=sentence):
                compare(cohort, rules, cache=fits)
    n_kept = len(list(fits.glob("[!.]*")))  # one that is torn by a death is hidden
    assert n_kept == 2 * N_FOLDS - 1
    for death in (tmp_path / "deadly").glob("death*"):
        death.unlink()
    before = n_fits(tmp_path)
    scores = compare(cohort, rules, cache=fits)
    assert n_fits(tmp_path) - before <= 2 * N_FOLDS - n_kept
    assert_frame_equal(without_seconds(scores), without_seconds(compare(cohort, rules)))
