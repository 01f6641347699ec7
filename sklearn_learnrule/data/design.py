"""From a table of trials to scikit-learn's X, y, groups.

Row t of X holds exactly what was known before choice t, so no estimator can peek.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..utils.arrays import Bools, Ints
from ..utils.texts import short
from ..utils.warn import warn
from .covariates import covariate_columns
from .history import History
from .pay import tell_of_no_choice, tell_of_pay
from .schema import RESTART
from .stimuli import as_stimuli, check_free, stimulus_columns
from .tables import (
    as_labels,
    as_names,
    as_table,
    check_columns,
    check_complete,
    check_names,
    check_outcome,
    sorted_labels,
    subject_names,
)
from .time_order import check_rises, check_together, count_within, session_starts

COUNT_MISSED = "Or count them as missed trials: make_design(..., missed='count')."
KEEP_UNKNOWN = "Or keep them as unknown: make_design(..., unknown_reward='keep')."
LARGEST = 2**53  # whole numbers beyond are not told apart as floats


def make_design(
    trials: Any,
    *,
    stimulus: str | Sequence[str] | None = "stimulus",
    choice: str = "choice",
    reward: str = "reward",
    subject: str | Sequence[str] | None = "subject",
    session: str | None = "session",
    answer: str | None = None,
    choices: Sequence[Any] | None = None,
    trial: str | None = None,
    covariates: str | Sequence[str] | Mapping[str, Any] | None = None,
    restart: str | Sequence[str] | None = None,
    missed: Literal["error", "count"] = "error",
    unknown_reward: Literal["error", "keep"] = "error",
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Turn a table of trials into ``X, y, groups`` for any scikit-learn classifier.

    Parameters
    ----------
    trials : DataFrame of pandas, polars or another library, or pyarrow Table
        One row a trial; the rows of a subject stand together, in temporal order.
    stimulus : str, list of str or None
        The column or columns that the animal saw before its choice. Numbers and booleans stay a
        column. Text and categories become one of 0 and 1 for each label, all of them, as
        ``image_cat`` and ``image_dog``; of categories also for those that this table lacks, so make
        text a Categorical where tables are read apart. A number that only names what was shown,
        such as picture 3 of 6, would count as half of picture 6: make it a Categorical, too. None:
        nothing was shown, as in a bandit task, and the policy has a bias alone.
    choice : str
        The column of choices: two labels or more, as text, numbers or booleans. Of two, the second
        in sorted order is y = 1.
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
        choice counts as correct, unless rewards have more than ten sizes: then nobody knows.
    choices : list of labels or None
        The labels of all choices that there are, in any order, should nobody have made one of them
        in this table. None: those that were made. (Of two, X does not name them: what is made of
        trials with one alone can be predicted and scored, and not fitted to.)
    trial : str or None
        A column of trial numbers or times, which is checked and not used otherwise: from row to
        row it must rise. It may start anew with each session.
    covariates : str, list of str, dict or None
        Columns that say what an animal is, the same on all of its trials, such as
        ``["genotype", "age"]``. Numbers and booleans become a column, ``covariate_age``; text and
        categories one of 0 and 1 for each label but a reference, with which the others are
        compared: ``covariate_genotype_KO_vs_WT``. It is the first label, sorted or as categories
        are ordered, or the one that a dict names, of numbers as well: ``{"genotype": "WT",
        "age": None}``. (A name that begins with ``covariate_`` stays.) Make the design of all
        animals at once. No rule takes covariates for stimuli.
    restart : str, list of str or None
        Learning begins anew where this column changes within an animal, or one of these, such as
        ``"block"`` or ``["session", "block"]``: the weights before the next trial are the initial
        ones again, what was remembered is forgotten, and so is what process noise did. The animal
        stays one to splits, scores and standard errors.
    missed : "error" or "count", default="error"
        What a missing choice (NaN) means. "count": a trial that was missed, which is no row of X;
        but the next one knows how many were, as ``previous_misses``, for which process noise goes
        on, and which networks read. To a missed trial's stimulus and reward nobody looks.
    unknown_reward : "error" or "keep", default="error"
        What a missing reward (NaN) means. "keep": one that nobody knows. ``previous_reward`` is 0
        after it, and ``previous_reward_known`` 0, else 1: textbook rules make no step, networks
        read it, and the choice counts as any other.

    Returns
    -------
    X : DataFrame
        The stimulus columns, then ``previous_choice`` (-1 or +1 for the first or second
        label, 0 on a subject's first trial and after a restart), ``previous_reward`` (0 there)
        and, if ``answer`` was given, ``previous_answer`` (as ``previous_choice``); with
        ``unknown_reward="keep"`` ``previous_reward_known``, with ``missed="count"``
        ``previous_misses`` (0 there, both); then the covariates. Of more than two labels, a column
        of 0 and 1 each, in sorted order, stands in place of ``previous_choice``, such as
        ``previous_choice_left``, and of ``previous_answer``. Its index has the levels
        ``subject``, ``session``, with ``restart`` the level ``restart`` (0, 1, ... counts the
        subject's), and ``trial`` (0, 1, ... within the subject).
    y : Series
        The choices, as given; numbers or booleans held as objects become plain, and whole
        numbers integers where missed trials (NaN) among them had made them floats.
    groups : Series
        The subject of each row.

    Raises
    ------
    TypeError
        If the trials are no table in memory.
    ValueError
        If a column is unknown, a value is missing or not finite, choices or the labels of a
        stimulus are one alone, the order of the trials is lost, or a covariate varies within an
        animal.

    Warns
    -----
    UserWarning
        If the numbers that end sessions' names ("s10", "s9") run backwards, one of more than two
        labels of choice looks like that of missed trials ("none", or a rare -1 or 0), a choice
        earned more where ``answer`` calls it an error or, without ``answer``, one of two choices
        never earned anything, or rewards go with the choices of the rows before or after.

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
    stimuli, animals = as_stimuli(stimulus), as_names(subject, "subject")
    of_animals, anew = as_names(covariates, "covariates"), as_names(restart, "restart")
    names = _Names(stimuli, choice, reward, animals, session, answer, trial, of_animals, anew)
    check_columns(trials, [*animals, *names.always, *stimuli, *names.outcome])
    check_free(stimuli, [*names.outcome, *animals, *_named(session), *of_animals])
    subjects = subject_names(trials, animals)
    check_complete(trials, names.always, subjects)
    happened = _happened(trials[choice], missed)
    keep = _keeps_unknown(trials[reward], unknown_reward)
    _tell_lost(subjects, happened)
    told = _without_missed(trials, happened)
    _check_told(told, names, subjects, keep)
    index = _identify(trials, subjects, names, happened)
    history = History(index, happened, subjects, _all_labels(told[choice], choices))
    before = history.columns(told[names.outcome], keep=keep, count=missed == "count")
    seen = stimulus_columns(told, stimuli, happened, subjects)
    tell_of_pay(told.loc[happened, names.outcome], [*seen.values()], subjects[happened])
    known = covariate_columns(trials, covariates, happened, subjects)
    X = pd.DataFrame({**seen, **before, **known}, index=index)
    groups = pd.Series(subjects[happened], index=index, name="subject", copy=True)
    y = _choices(trials[choice], happened, index)
    tell_of_no_choice(y, told.loc[happened, reward], choices)
    return X, y, groups


class _Names(NamedTuple):
    """The names of a table's columns."""

    stimuli: list[Any]
    choice: str
    reward: str
    animals: list[Any]
    session: str | None
    answer: str | None
    trial: str | None
    covariates: list[Any]
    restart: list[Any]

    @property
    def always(self) -> list[Any]:
        """What a missed trial has, too."""
        return [*self.covariates, *self.restart, *_named(self.session), *_named(self.trial)]

    @property
    def outcome(self) -> list[Any]:
        return [self.choice, self.reward, *_named(self.answer)]


def _named(column: str | None) -> list[Any]:
    return [] if column is None else [column]


def _happened(choice: pd.Series, missed: str) -> Bools:
    """Whether each trial has a choice, if those without one are counted."""
    if missed not in ("error", "count"):
        raise ValueError(f"missed should be 'error' or 'count', got {missed!r}.")
    made = choice.notna().to_numpy()
    return made if missed == "count" and made.any() else np.ones(len(choice), dtype=bool)


def _tell_lost(subjects: pd.Index, happened: Bools) -> None:
    """Warn of animals that are not in X, as they missed all their trials."""
    lost = subjects.unique().difference(subjects[happened].unique())
    if len(lost):
        warn(
            f"{len(lost)} subject(s) missed all trials ({short(lost[0])}) and are not in X.",
            UserWarning,
        )


def _without_missed(trials: pd.DataFrame, happened: Bools) -> pd.DataFrame:
    """Return as many rows, with those of another trial where one was missed: nobody looks there."""
    if happened.all():
        return trials
    return trials.iloc[np.where(happened, np.arange(len(trials)), np.argmax(happened))]


def _keeps_unknown(reward: pd.Series, unknown_reward: str) -> bool:
    """Whether rewards may be missing: some, not all."""
    if unknown_reward not in ("error", "keep"):
        raise ValueError(f"unknown_reward should be 'error' or 'keep', got {unknown_reward!r}.")
    return unknown_reward == "keep" and bool(reward.notna().any())


def _check_told(told: pd.DataFrame, names: _Names, subjects: pd.Index, keep: bool) -> None:
    """Raise where something of a trial that happened is missing, rewards that are kept aside."""
    check_outcome(names.outcome)
    needed = [*names.stimuli, *names.outcome]
    if keep:
        needed.remove(names.reward)
    cures = {names.choice: COUNT_MISSED, names.reward: KEEP_UNKNOWN}
    check_complete(told, needed, subjects, cures)


def _identify(
    trials: pd.DataFrame, subjects: pd.Index, names: _Names, happened: Bools
) -> pd.MultiIndex:
    """Return the subject, session and so on of trials that happened; raise if order is lost."""
    codes = pd.factorize(subjects)[0]
    check_together(codes, subjects, names.animals)
    sessions = pd.Index([1] * len(trials) if names.session is None else trials[names.session])
    check_names(sessions, f"Column {names.session!r}")
    starts = session_starts(sessions, codes, count_within(codes), subjects)
    if names.trial is not None:
        named = None if names.session is None else sessions
        check_rises(trials[names.trial], starts, subjects, named)
    levels: dict[str, Any] = {"subject": subjects[happened], "session": sessions[happened]}
    if names.restart:
        levels[RESTART] = _count_restarts(trials[names.restart], codes)[happened]
    levels["trial"] = count_within(codes[happened])
    return pd.MultiIndex.from_arrays([*levels.values()], names=[*levels])


def _count_restarts(columns: pd.DataFrame, codes: Ints) -> Ints:
    """Count up to each row at how many rows of its subject a column has changed."""
    changes = np.zeros(len(codes), dtype=bool)
    for name in columns:
        check_names(columns[name], f"Column {name!r}")
        changes |= np.diff(pd.factorize(columns[name])[0], prepend=0) != 0
    opens = np.diff(codes, prepend=-1) != 0
    so_far = np.cumsum(changes)
    return so_far - so_far[opens][codes]


def _all_labels(choice: pd.Series, named: Sequence[Any] | None) -> NDArray[Any]:
    """Return the labels of all choices, sorted: those that are named, else those made."""
    if named is None:
        return sorted_labels(choice, f"column {choice.name!r}")
    if isinstance(named, str) or not isinstance(named, Iterable) or len(labels := [*named]) < 2:
        raise ValueError(f"choices should be a list of the labels of all choices, got {named!r}.")
    return sorted_labels(pd.Series(labels, dtype=object), "choices")


def _choices(column: pd.Series, happened: Bools, index: pd.MultiIndex) -> pd.Series:
    """Return y: the choices as they are, but plain, and whole where NaN had made them floats."""
    choice = column[happened]
    if choice.dtype.kind == "f" and not happened.all():
        whole = (choice % 1 == 0) & (choice.abs() < LARGEST)
        choice = choice.astype(int) if whole.all() else choice
    if choice.dtype != object:  # in which scikit-learn takes text alone
        return choice.set_axis(index)
    made = as_labels(choice, f"column {choice.name!r}")
    return pd.Series(made, index=index, dtype=made.dtype, name=choice.name, copy=True)
