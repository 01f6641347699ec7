"""From a table of trials to scikit-learn's X, y, groups.

Row t of X holds exactly what was known before choice t, so no estimator can peek.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..utils.arrays import Floats, Ints
from ..utils.texts import short
from .covariates import covariate_columns
from .schema import DESIGN, IDENTITY, PREVIOUS_ANSWER, PREVIOUS_CHOICE, PREVIOUS_REWARD, RESTART
from .tables import (
    as_labels,
    as_names,
    as_numbers,
    as_table,
    check_columns,
    check_complete,
    check_names,
    place,
    subject_names,
    two_labels,
    weight_names,
)
from .time_order import check_rises, check_together, count_within, session_starts


def make_design(
    trials: Any,
    *,
    stimulus: str | Sequence[str] = "stimulus",
    choice: str = "choice",
    reward: str = "reward",
    subject: str | Sequence[str] | None = "subject",
    session: str | None = "session",
    answer: str | None = None,
    trial: str | None = None,
    covariates: str | Sequence[str] | None = None,
    restart: str | Sequence[str] | None = None,
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Turn a table of trials into ``X, y, groups`` for any scikit-learn classifier.

    Parameters
    ----------
    trials : DataFrame of pandas, polars or another library, or pyarrow Table
        One row a trial; the rows of a subject stand together, in temporal order.
    stimulus : str or list of str
        The numeric column or columns that the animal saw before its choice.
    choice : str
        The column of choices: two labels, as text, numbers or booleans. The second in sorted
        order is y = 1.
    reward : str
        The numeric column of rewards.
    subject : str, list of str or None
        The column that names the animal, or the columns that do so together, such as
        ``["lab", "subject"]``: their names are joined, "labA/mouse1". None: one animal, "all".
    session : str or None
        The column that names the session; None: one session a subject. A change of session within
        a subject is an input of flexible rules. Sessions that are numbers or dates (in text: ISO
        8601) may not run backwards.
    answer : str or None
        The column of correct choices, labelled as the choices are. Without it, a rewarded
        choice counts as correct.
    trial : str or None
        A column of trial numbers or times, which is checked and not used otherwise: from row to
        row it must rise. It may start anew with each session.
    covariates : str, list of str or None
        Columns that say what an animal is, the same on all of its trials, such as
        ``["genotype", "age"]``. Numbers and booleans become a column, ``covariate_age``; text and
        categories one of 0 and 1 for each label but the first in sorted order, as
        ``covariate_genotype_ko`` beside "control". (A name that begins with ``covariate_`` stays.)
        Make the design of all animals at once, for they are compared with that first label. No
        rule takes covariates for stimuli.
    restart : str, list of str or None
        Learning begins anew where this column changes within an animal, or one of these, such as
        ``"block"`` or ``["session", "block"]``: the weights before the next trial are the initial
        ones again, what was remembered is forgotten, and so is what process noise did. The animal
        stays one to splits, scores and standard errors.

    Returns
    -------
    X : DataFrame
        The stimulus columns, then ``previous_choice`` (-1 or +1 for the first or second
        label, 0 on a subject's first trial and after a restart), ``previous_reward`` (0 there)
        and, if ``answer`` was given, ``previous_answer`` (as ``previous_choice``); then the
        covariates. Its index has the levels ``subject``, ``session``, with ``restart`` the level
        ``restart`` (0, 1, ... counts the subject's), and ``trial`` (0, 1, ... within the subject).
    y : Series
        The choices, as given; numbers or booleans held as objects become plain.
    groups : Series
        The subject of each row.

    Raises
    ------
    TypeError
        If the trials are no table in memory.
    ValueError
        If a column is unknown, a value is missing or not finite, the choices have not
        exactly two labels, the order of the trials is lost, or a covariate varies within an
        animal.

    Warns
    -----
    UserWarning
        If the numbers that end sessions' names ("s10", "s9") run backwards.

    Examples
    --------
    >>> trials = pd.DataFrame({
    ...     "subject": "Ada", "session": [1, 1, 2], "stimulus": [-0.5, 1.0, 0.2],
    ...     "choice": ["left", "right", "left"], "reward": [1, 1, 0]})
    >>> X, y, groups = make_design(trials)
    >>> X
                           stimulus  previous_choice  previous_reward
    subject session trial
    Ada     1       0          -0.5              0.0              0.0
                    1           1.0             -1.0              1.0
            2       2           0.2              1.0              1.0
    """
    trials = as_table(trials)
    stimuli, animals = as_names(stimulus, "stimulus"), as_names(subject, "subject")
    others = [choice, reward, *(name for name in (session, answer) if name is not None)]
    of_animals = as_names(covariates, "covariates")
    anew = as_names(restart, "restart")
    beside = [*of_animals, *anew, *([] if trial is None else [trial])]
    check_columns(trials, [*stimuli, *animals, *others, *beside])
    _check_stimuli(stimuli, [*others, *animals])
    subjects = subject_names(trials, animals)
    check_complete(trials, [*stimuli, *others, *beside], subjects)

    index = _identify(trials, subjects, animals, session, anew, trial)
    columns = {
        **_stimulus_columns(trials, stimuli, subjects),
        **_history_columns(trials, choice, reward, answer, index),
        **covariate_columns(trials, of_animals, subjects),
    }
    groups = pd.Series(subjects, index=index, name="subject", copy=True)
    return pd.DataFrame(columns, index=index), _choices(trials[choice], index), groups


def _identify(
    trials: pd.DataFrame,
    subjects: pd.Index,
    animals: list[Any],
    session: str | None,
    restart: list[Any],
    trial: str | None,
) -> pd.MultiIndex:
    """Return each trial's subject, session, number and so on; raise if their order is lost."""
    codes = pd.factorize(subjects)[0]
    check_together(codes, subjects, animals)
    sessions = pd.Index([1] * len(trials) if session is None else trials[session])
    check_names(sessions, f"Column {session!r}")
    number = count_within(codes)
    starts = session_starts(sessions, codes, number, subjects)
    if trial is not None:
        check_rises(trials[trial], starts, subjects)
    levels: dict[str, Any] = {"subject": subjects, "session": sessions, "trial": number}
    if restart:
        levels[RESTART] = _count_restarts(trials[restart], codes)
    names = [name for name in IDENTITY if name in levels]
    return pd.MultiIndex.from_arrays([levels[name] for name in names], names=names)


def _count_restarts(columns: pd.DataFrame, codes: Ints) -> Ints:
    """Count up to each row at how many rows of its subject a column has changed."""
    changes = np.zeros(len(codes), dtype=bool)
    for name in columns:
        check_names(columns[name], f"Column {name!r}")
        changes |= np.diff(pd.factorize(columns[name])[0], prepend=0) != 0
    opens = np.diff(codes, prepend=-1) != 0
    so_far = np.cumsum(changes)
    return so_far - so_far[opens][codes]


def _stimulus_columns(
    trials: pd.DataFrame, stimuli: list[Any], subjects: pd.Index
) -> dict[str, Floats]:
    names = zip(weight_names(stimuli), stimuli, strict=True)
    return {
        name: as_numbers(trials[stimulus], f"Column {stimulus!r}", subjects)
        for name, stimulus in names
    }


def _history_columns(
    trials: pd.DataFrame, choice: str, reward: str, answer: str | None, index: pd.MultiIndex
) -> dict[str, Floats]:
    """Return what the trial before brought, 0 where a subject begins, and begins anew."""
    subjects = index.get_level_values("subject")
    first = index.get_level_values("trial") == 0  # the rows of a subject stand together
    if RESTART in index.names:
        first |= np.diff(index.get_level_values(RESTART), prepend=0) != 0

    def previous(values: Floats) -> Floats:
        return np.where(first, 0.0, np.roll(values, 1))

    def sides(name: str) -> Floats:
        labels = as_labels(trials[name], f"column {name!r}")
        return previous(_signed(labels, both, name, subjects))

    both = two_labels(trials[choice], f"column {choice!r}")
    paid = as_numbers(trials[reward], f"Column {reward!r}", subjects)
    columns = {PREVIOUS_CHOICE: sides(choice), PREVIOUS_REWARD: previous(paid)}
    return columns if answer is None else {**columns, PREVIOUS_ANSWER: sides(answer)}


def _choices(choice: pd.Series, index: pd.MultiIndex) -> pd.Series:
    """Return y: the choices as they are, but plain where they are numbers held as objects."""
    if choice.dtype != object:  # in which scikit-learn takes text alone
        return choice.set_axis(index)
    made = as_labels(choice, f"column {choice.name!r}")
    return pd.Series(made, index=index, dtype=made.dtype, name=choice.name, copy=True)


def _signed(values: NDArray[Any], labels: NDArray[Any], name: str, subjects: pd.Index) -> Floats:
    """Code the labels as -1 and +1."""
    known = np.isin(values, labels)
    if not known.all():
        row = int(np.argmin(known))
        raise ValueError(
            f"Column {name!r} should hold the labels of the choices, {labels.tolist()}, but has "
            f"{short(values[row])} ({place(subjects, row)})."
        )
    return np.where(values == labels[1], 1.0, -1.0)


def _check_stimuli(stimuli: list[Any], others: list[Any]) -> None:
    free = [name for name in DESIGN.stimuli(stimuli) if name not in others]
    if not stimuli or free != stimuli:
        forbidden = dict.fromkeys([*others, *DESIGN.names()])
        raise ValueError(
            "stimulus should name columns seen before the choice, and none of "
            f"{', '.join(map(repr, forbidden))}; got {stimuli}."
        )
