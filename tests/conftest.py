"""What every test may lean on: one torch thread, no windows, and the real data if it is there."""

import gc
from pathlib import Path

import matplotlib
import pytest
import torch
from helpers import make_rule, make_trials
from torch import nn

from sklearn_learnrule.engine import choice_logits, unroll

matplotlib.use("Agg")
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_sessionstart(session):
    """Let two workers compile other kernels each: what one has compiled, both find on disk.

    By their type of numbers, for those of one type have functions in common.
    """
    worker = getattr(session.config, "workerinput", {"workerid": "none"})["workerid"]
    dtype = {"gw0": torch.float32, "gw1": torch.float64}.get(worker)
    if dtype is not None:
        for name in ("dnn", "dnn, noise", "choice"):
            compile_kernels(name, dtype)


def pytest_collection(session):
    """Spare the garbage collector what lives as long as the tests: a twentieth of their time."""
    gc.disable()


def pytest_collection_finish(session):
    """See above."""
    gc.collect()
    gc.freeze()
    gc.enable()


def compile_kernels(name, dtype):
    """Compile what unrolls such a rule, or the network of choices, both ways."""
    trials, observed = make_trials([3], dtype=dtype)
    if name == "choice":
        gru, readout = nn.GRU(2, 1, batch_first=True, dtype=dtype), nn.Linear(1, 1, dtype=dtype)
        result = choice_logits(gru, readout, trials.features, torch.tensor([3]), engine="fused")
    else:
        rule, start = make_rule(name, 2, dtype=dtype), torch.zeros(1, 2, dtype=dtype)
        result = unroll(rule, start, trials, observed, engine="fused")
    result.sum().backward()


@pytest.fixture
def set_threads():
    """Set torch's number of threads, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ibl_data() -> Path:
    """The folder of shared data, which the package may load but not ship."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the IBL data is not in {folder}")
    return folder
