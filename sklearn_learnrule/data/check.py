"""The check of a table of trials: what a loader must return."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..utils.arrays import Floats
from ..utils.texts import short
from .design import make_design
from .schema import TRIALS
from .tables import as_labels, as_names, as_numbers, as_table

N_TOLD, OPPOSITE = 20, 2 / 3  # so many trials, and more than this share of them, are no accident


def check_trials(
    trials: Any, *, stimulus: str | Sequence[str] = "stimulus", trial: str | None = None
) -> pd.DataFrame:
    """Check that a table is what a loader must return, and return it.

    It has the columns of :data:`~sklearn_learnrule.data.TRIALS`, ``answer`` if it is known, and any
    others beside them; ``make_design(trials)`` takes it as it is.

    Parameters
    ----------
    trials : DataFrame of pandas, polars or another library, or pyarrow Table
        One row a trial; the rows of a subject stand together, in temporal order.
    stimulus : str or list of str, default="stimulus"
        The stimulus column, or all of them if there are several.
    trial : str or None, default=None
        A column of trial numbers or times that must rise within a session.

    Returns
    -------
    trials : DataFrame of pandas

    Raises
    ------
    TypeError, ValueError
        If a column is not there, or :func:`~sklearn_learnrule.make_design` refuses the table.

    Warns
    -----
    UserWarning
        If a subject's single stimulus mostly bears the sign of the side that is wrong: right is
        positive, and of two labels of choice the second is right.

    Examples
    --------
    >>> trials = pd.DataFrame({
    ...     "subject": "Ada", "session": 1, "stimulus": [-0.5, 1.0], "choice": ["left", "right"],
    ...     "reward": [1, 1]})
    >>> make_design(check_trials(trials))[1].tolist()
    ['left', 'right']
    >>> check_trials(trials.drop(columns="session"))
    Traceback (most recent call last):
    ValueError: A table of trials should have the columns 'subject', 'session', 'stimulus', 'choice'
    and 'reward', but has no 'session' (sklearn_learnrule.data.TRIALS.describe() says what each is).
    """
    table = as_table(trials)
    stimuli = as_names(stimulus, "stimulus")
    needed = [*TRIALS.identity, *stimuli, "choice", "reward"]
    missing = [name for name in needed if name not in table.columns]
    if missing:
        listed = ", ".join(map(repr, needed[:-1]))
        raise ValueError(
            f"A table of trials should have the columns {listed} and {needed[-1]!r}, but has no "
            f"{missing[0]!r} (sklearn_learnrule.data.TRIALS.describe() says what each is)."
        )
    answer = "answer" if "answer" in table.columns else None
    X, _, subjects = make_design(table, stimulus=stimuli, answer=answer, trial=trial)
    if len(stimuli) == 1 and (fault := _fault_of_sign(table, X.iloc[:, 0].to_numpy(), subjects)):
        warnings.warn(fault, stacklevel=2)
    return table


def _fault_of_sign(trials: pd.DataFrame, shown: Floats, subjects: pd.Series) -> str | None:
    """Say whose stimulus is mostly of the sign of the wrong side, if it has two signs at all."""
    if not (shown < 0).any() or not (shown > 0).any():
        return None
    correct, told = as_labels(trials["choice"], "choice"), shown != 0
    first, second = np.unique(correct).tolist()
    if "answer" in trials.columns:
        correct = as_labels(trials["answer"], "answer")
    else:  # what was paid
        reward = as_numbers(trials["reward"], "reward", pd.Index(subjects))
        told &= reward > reward.min()
    opposite = pd.Series((shown > 0) != (correct == second))[told]
    share = opposite.groupby(subjects.to_numpy()[told]).agg(["mean", "size"])
    turned = share[(share["mean"] > OPPOSITE) & (share["size"] >= N_TOLD)]
    if turned.empty:
        return None
    others = f" (and {len(turned) - 1} more)" if len(turned) > 1 else ""
    return (
        f"The stimulus should be positive where {second!r} is correct and negative where {first!r} "
        f"is, but on {turned['mean'].iloc[0]:.0%} of the trials of subject "
        f"{short(turned.index[0])}{others} it is the other way round. Turn its sign, or recode the "
        f"choices (in a loader: choices=({second!r}, {first!r}))."
    )
