"""From a file, or many, to X and y."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from ..data.design import make_design
from ..datasets import IBL_COLUMNS, from_files, load_ibl_trials
from ._options import COLUMNS


def read_design(arguments: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Return X and y, each animal's first trials only if so asked."""
    trials, names = read_trials(arguments)
    gaps: Any = {
        "missed": "error" if arguments.missed == "drop" else "count",
        "unknown_reward": "error" if arguments.unknown_reward == "drop" else "keep",
    }
    restart, covariates = arguments.restart, arguments.covariates
    X, y, _ = make_design(trials, **names, restart=restart, covariates=covariates, **gaps)
    if arguments.max_trials is None:
        return X, y
    early = X.index.get_level_values("trial") < arguments.max_trials
    return X[early], y[early]


def read_trials(arguments: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table of trials, and which of its columns make_design is to be told."""
    names = {name: getattr(arguments, name) for name in ("subject", "stimulus", "answer", *COLUMNS)}
    path, choices = arguments.table, arguments.choices
    if choices is None and is_of_ibl(path):
        return load_ibl_trials(path, verbose=True), names
    further = dict.fromkeys([*(arguments.restart or ()), *(arguments.covariates or ())])
    if names["session"] == "session":  # it is kept as such
        further.pop("session", None)
    trials = from_files(
        path,
        **names,
        choices=choices,
        keep=list(further) or None,
        prepare=None if choices is None else partial(as_typed, [names["choice"], names["answer"]]),
        missed="drop" if arguments.missed == "drop" else "keep",
        unknown_reward=arguments.unknown_reward,
    )
    one, answered = len(names["stimulus"]) == 1, names["answer"] is not None
    return trials, {
        "stimulus": "stimulus" if one else names["stimulus"],
        "answer": "answer" if answered else None,
    }


def is_of_ibl(path: str) -> bool:
    try:
        return set(IBL_COLUMNS) <= set(pd.read_csv(path, nrows=0))
    except Exception:  # no CSV file, or many: from_files tells what is wrong
        return False


def as_typed(names: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    """Return some columns' labels as one types them, as text: 1 and 1.0 are "1"."""

    def typed(label: Any) -> str:
        return f"{label:g}" if isinstance(label, float) else str(label)

    there = [name for name in names if name in table]
    return table.assign(**{name: table[name].map(typed, na_action="ignore") for name in there})
