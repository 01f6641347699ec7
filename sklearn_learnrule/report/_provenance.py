"""What a report was made of and by: the data, the estimators' parameters, versions, seeds."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

from ..data.sequences import Sequences
from ..utils.arrays import Floats
from ._models import Model
from ._parts import Section, Shown, Table, written

PACKAGE = "sklearn_learnrule"
LEANS_ON = ("torch", "scikit-learn", "skorch", "numpy", "pandas", "scipy", "numba", "matplotlib")


def describe_data(sequences: Sequences, y: pd.Series, n_sessions: pd.Series) -> pd.DataFrame:
    """Return the facts of the cohort, a row each."""
    n_trials, trials = sequences.n_trials, sequences.fields
    facts = {
        "animals": len(n_trials),
        "trials": _total(n_trials),
        "sessions": _total(n_sessions.to_numpy()) if n_sessions.max() else "unknown",
        "stimulus columns": ", ".join(sequences.feature_names[:-1]) or "none",
        "choices": " | ".join(map(str, np.unique(y))),
        "rewards": _rewards(trials.reward[trials.told]),
    }
    if sequences.answer_known:
        facts["correct"] = _share((trials.choice == trials.answer)[trials.told])
    if sequences.lacks_rewards:
        facts["reward unknown"] = _share(trials.reward_known[trials.observed] == 0)
    if sequences.counts_misses:
        facts["trials missed between choices"] = f"{trials.misses.sum():,.0f}"
    if n_restarts := len(sequences.lengths) - len(n_trials):
        facts["restarts of learning"] = f"{n_restarts:,}"
    if sequences.covariate_names:
        facts["covariates"] = ", ".join(sequences.covariate_names)
    return pd.DataFrame({"fact": list(facts), "value": list(facts.values())})


def provenance(models: list[Model], settings: dict[str, Any]) -> Section:
    """Return the section by which the report can be made again."""
    parameters = pd.DataFrame(
        {model.name: pd.Series(model.candidate.get_params()).map(repr) for model in models}
    )
    parameters = parameters.fillna("").rename_axis("parameter").reset_index()
    used = pd.DataFrame({"setting": list(settings), "value": list(map(str, settings.values()))})
    found = versions()
    software = pd.DataFrame({"software": list(found), "version": list(found.values())})
    tables = {
        "estimators": ("The parameters of the estimators, as they were given.", parameters),
        "settings": ("The settings of this report.", used),
        "versions": ("The software that made it.", software),
    }
    exhibits = [
        Shown(name, caption, [(None, Table(table, table))])
        for name, (caption, table) in tables.items()
    ]
    return Section("How this was made", exhibits)


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that it leans on."""
    from .. import __version__

    found = {"python": platform.python_version(), PACKAGE: __version__}
    for name in LEANS_ON:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _total(counts: np.ndarray) -> str:
    of_each = f"{counts.min():,}" if counts.min() == counts.max() else ""
    of_each = of_each or f"{counts.min():,} to {counts.max():,}"
    return f"{counts.sum():,} ({of_each} of each animal)"


def _rewards(earned: Floats) -> str:
    if np.isin(earned, [0, 1]).all():
        return f"1 on {_share(earned == 1)}, else 0"
    ends = " to ".join(map(written, np.quantile(earned, [0, 1])))
    return f"{ends}, on average {written(earned.mean(), '.3g')}"


def _share(event: np.ndarray) -> str:
    return f"{event.mean():.1%} of trials"
