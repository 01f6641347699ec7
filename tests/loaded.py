"""What the tests of loaders share: a cohort to write to files, and the way on from it."""

import io
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pandas as pd

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

COHORT = make_learning_cohort(2, 150, session_length=15, random_state=0)
SESSION = pd.DataFrame(
    {
        "contrast": [-1.0, 0.5, 0.25, -0.5],
        "port": ["L", "R", None, "R"],
        "water": [3.0, 3.0, 0.0, np.nan],
        "onset": [0.5, 3.0, 8.0, 9.0],
    }
)
COLUMNS = {"stimulus": "contrast", "choice": "port", "reward": "water", "verbose": False}
RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(baseline=None),
}


def write(folder, name, table=SESSION, **columns):
    """Write a table as its name says."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table.assign(**columns)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


def assert_is_the_cohort(trials, **options):
    """The design is the cohort's, whatever labels and names of sessions are."""
    X, y, groups = lr.make_design(trials, **options)
    original, choices, animals = lr.make_design(COHORT, answer=options.get("answer"))
    np.testing.assert_array_equal(X, original)
    assert (y == y.max()).tolist() == (choices == "right").tolist()
    assert groups.tolist() == animals.tolist()


def assert_is_ranked(trials, **options):
    """A few lines more, and rules are compared on held-out animals."""
    X, y, _ = lr.make_design(trials, **options)
    table = lr.rank_rules(lr.compare_rules(RULES, X, y, cv=2, verbose=0))
    assert set(table.index) == set(RULES)
    assert table["log_likelihood"].between(-0.9, -0.3).all()


HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"),
    ("_codecs", "encode"),
}  # fmt: skip


class ArraysOnly(pickle.Unpickler):
    """Reads pickled arrays, and calls nothing else that a pickle may name."""

    def find_class(self, module, name):
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"A pickle of arrays should not name {module}.{name}.")
        with suppress(ModuleNotFoundError):  # of numpy 1, whose name for it is the pickle's
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        return super().find_class(module, name)


def read_dict(path):
    """Return the dict D of PsyTrack's sample."""
    file = io.BytesIO(zipfile.ZipFile(path).read("D.npy"))
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return ArraysOnly(file).load().item()
