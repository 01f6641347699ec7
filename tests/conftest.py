"""What every test may lean on: one torch thread, no windows, and the real data if it is there."""

from pathlib import Path

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def ibl_data() -> Path:
    """The folder of shared data, which the package may load but not ship."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the IBL data is not in {folder}")
    return folder
