"""The pages are doctested; what builds the site, and what is built, is not."""

import os
import sys
from importlib.util import find_spec

import pytest

# Before numpy is imported: of as many workers as cores, threads would but wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

FORKS = {"distributed.worker.multiprocessing-method": "forkserver"}
IMPORTED_ONCE = ["distributed", "pytest", "sklearn_learnrule", "torch._dynamo"]
BUILD = ("conf.py", "_build", "_extensions", "_templates", "reference", "stories")
collect_ignore = [f"docs/{name}" for name in BUILD]
if find_spec("sklearn.callback") is None:  # before scikit-learn 1.9
    collect_ignore.append("docs/training.md")


@pytest.fixture(scope="module")
def forked_workers():
    """Let workers of joblib and Dask be forked of one process that has imported what they need."""
    distributed = pytest.importorskip("distributed")
    from joblib.externals.loky.backend import context

    with pytest.MonkeyPatch.context() as patch, pytest.importorskip("dask").config.set(FORKS):
        patch.setattr(context, "_DEFAULT_START_METHOD", "forkserver", raising=False)  # of loky
        distributed.utils.get_mp_context().set_forkserver_preload(IMPORTED_ONCE)
        yield


@pytest.fixture(autouse=True)
def closed_figures():
    """Close the figures that a test or a page drew: matplotlib warns of more than twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def workers_of_a_page(request):
    """See above."""
    if request.node.name == "clusters.md":
        request.getfixturevalue("forked_workers")
