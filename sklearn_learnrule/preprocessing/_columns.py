"""The columns that transformers make, and what the table that holds them has to keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd
from numpy.typing import NDArray

from ..data.schema import IDENTITY
from ..utils.sklearn_private import get_output_config

Columns: TypeAlias = Mapping[Any, NDArray[Any]]
Before: TypeAlias = Sequence[Columns] | None  # a row's columns and what was made of it, two of them

OF_CHOICE = {"choice_back": "choice_trace", "win_stay": "win_stay_trace"}  # each with its trace


def of_own_choices(columns: Iterable[Any]) -> list[Any]:
    """Return those of the columns that :class:`PolicyRegressors` makes of choices.

    Examples
    --------
    >>> of_own_choices(["contrast", "choice_back", "win_stay_trace_left", "previous_choice"])
    ['choice_back', 'win_stay_trace_left']
    """
    stems = (*OF_CHOICE, *OF_CHOICE.values())
    return [name for name in columns if str(name).startswith(stems)]


def of_trials_before(columns: Iterable[Any]) -> list[Any]:
    """Return those of the columns that :class:`PolicyRegressors` makes of the trials before.

    Examples
    --------
    >>> of_trials_before(["tone_left", "tone_right", "win_stay", "tone_back", "way_back"])
    ['win_stay', 'tone_back']
    """
    names = list(columns)
    stimuli = {*names, *(str(name).removesuffix("_left") for name in names)}  # also if split
    made = {f"{stimulus}{ending}" for stimulus in stimuli for ending in ("_back", "_trace")}
    made.update(of_own_choices(names))
    return [name for name in names if name in made]


def check_output_keeps_identity(transformer: Any, X: pd.DataFrame) -> None:
    """Raise if the table that is asked for would be without the index that names X's trials."""
    output = get_output_config("transform", transformer)["dense"]
    named = [name for name in IDENTITY if name in X.index.names]
    if output not in ("default", "pandas") and named:
        raise ValueError(
            f"{type(transformer).__name__}: set_output(transform={output!r}) would drop X's index, "
            f"which holds {', '.join(named)}: use set_output(transform='pandas')."
        )
