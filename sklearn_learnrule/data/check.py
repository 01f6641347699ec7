"""The check of a table of trials: what a loader must return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..utils.arrays import Bools, Floats
from ..utils.texts import short
from ..utils.warn import warn
from .design import make_design
from .schema import DESIGN, TRIALS
from .stimuli import as_stimuli
from .tables import as_labels, as_table

N_TOLD, OPPOSITE = 20, 2 / 3  # so many trials, and more than this share of them, are no accident
TELLS = 0.5  # from this correlation on, a stimulus of one sign tells the side by its size


def check_trials(
    trials: Any, *, stimulus: str | Sequence[str] | None = "stimulus", trial: str | None = None
) -> pd.DataFrame:
    """Check that a table is what a loader must return, and return it.

    It has the columns of :data:`~sklearn_learnrule.data.TRIALS`, ``answer`` if it is known, and any
    others beside them; ``make_design(trials)`` takes it as it is.

    Parameters
    ----------
    trials : DataFrame of pandas, polars or another library, or pyarrow Table
        One row a trial; the rows of a subject stand together, in temporal order.
    stimulus : str, list of str or None, default="stimulus"
        The stimulus column, or all of them if there are several; None: nothing was shown.
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
        If there are two labels of choice, of which the second is right, and a subject's single
        stimulus mostly bears the sign of the side that is wrong: right is positive. Or if no
        stimulus is negative (or none positive), though both sides are correct in turn and its size
        does not tell which. If there are more, and one looks like that of missed trials.

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
    return checked(trials, stimulus, trial)


def checked(
    trials: Any,
    stimulus: str | Sequence[str] | None,
    trial: str | None,
    labels: Sequence[Any] | None = None,
    **gaps: Any,
) -> pd.DataFrame:
    """Do as :func:`check_trials`; its messages name the labels that choices had before.

    ``gaps`` are ``missed`` and ``unknown_reward`` of :func:`make_design`.
    """
    table = as_table(trials)
    stimuli = as_stimuli(stimulus)
    needed = [*TRIALS.identity, *stimuli, "choice", "reward"]
    missing = [name for name in needed if name not in table.columns]
    if missing:
        listed = ", ".join(map(repr, needed[:-1]))
        raise ValueError(
            f"A table of trials should have the columns {listed} and {needed[-1]!r}, but has no "
            f"{missing[0]!r} (sklearn_learnrule.data.TRIALS.describe() says what each is)."
        )
    answer = "answer" if "answer" in table.columns else None
    X, _, subjects = make_design(table, stimulus=stimuli, answer=answer, trial=trial, **gaps)
    if len(DESIGN.stimuli(X)) == 1:
        chosen = table[table["choice"].notna()]
        fault = _fault_of_sign(chosen, X.iloc[:, 0], subjects, labels)
        if fault is not None:
            warn(fault)
    return table


def _fault_of_sign(
    trials: pd.DataFrame, stimulus: pd.Series, subjects: pd.Series, labels: Sequence[Any] | None
) -> str | None:
    """Say whose stimulus is mostly of the sign of the wrong of two sides, or has one sign."""
    shown = stimulus.to_numpy()
    correct, told = as_labels(trials["choice"], "choice"), shown != 0
    codes = np.unique(correct).tolist()
    if len(codes) > 2:
        return None
    first, second = labels if labels is not None and len(labels) == 2 else codes
    if "answer" in trials.columns:
        correct = as_labels(trials["answer"], "answer")
    else:  # what was paid
        reward = trials["reward"].to_numpy(dtype=float, na_value=np.nan)
        told &= reward > np.nanmin(reward)
    right = correct == codes[1]
    if (shown >= 0).all() or (shown <= 0).all():
        return _fault_of_one_sign(shown[told], right[told], (first, second))
    opposite = pd.Series((shown > 0) != right)[told]
    share = opposite.groupby(subjects.to_numpy()[told]).agg(["mean", "size"])
    turned = share[(share["mean"] > OPPOSITE) & (share["size"] >= N_TOLD)]
    if turned.empty:
        return None
    others = f" (and {len(turned) - 1} more)" if len(turned) > 1 else ""
    return (
        f"The stimulus should be positive where {second!r} is correct and negative where {first!r} "
        f"is, but on {turned['mean'].iloc[0]:.0%} of the trials of subject "
        f"{short(turned.index[0])}{others} it is the other way round. Turn its sign, "
        f"trials[{str(stimulus.name)!r}] *= -1, or name the choices the other way round (in "
        f"from_files and from_nwb, choices=({second!r}, {first!r}))."
    )


def _fault_of_one_sign(shown: Floats, right: Bools, labels: tuple[Any, Any]) -> str | None:
    """Say that a stimulus has one sign, if each side is correct and its size does not tell which.

    ``shown`` and ``right`` are those of trials of which the side is known.
    """
    if min(right.sum(), (~right).sum()) < N_TOLD:
        return None
    if np.ptp(shown) > 0 and abs(np.corrcoef(shown, right)[0, 1]) > TELLS:
        return None
    return (
        f"No stimulus is {'negative' if shown[0] > 0 else 'positive'}, though {labels[0]!r} and "
        f"{labels[1]!r} are correct in turn: if the side is in another column, compute a stimulus "
        "that is positive on the right and negative on the left, such as right - left (in "
        "from_files and from_nwb, by prepare=)."
    )
