"""From X to sequences, checked, padded where arrays are asked for, and back to rows.

A sequence is what is unrolled from initial weights: a subject's trials or, where it begins anew at
restarts, those between two of them. N sequences, T trials (of the longest), K weights (stimulus
features and bias).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..utils.arrays import Bools, Floats, Ints
from ..utils.does_not_apply import DoesNotApply
from ..utils.texts import short
from ..utils.warn import warn
from .check_sequences import (
    check_history,
    check_identity,
    choice_labels,
    find,
    number_sequences,
    trial_numbers,
)
from .covariates import covariates_of_subjects
from .schema import (
    ANSWER_WAS,
    CHOICE_WAS,
    DESIGN,
    IDENTITY,
    MISSES,
    PREVIOUS_ANSWER,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    RESTART,
    REWARD_KNOWN,
    labelled,
)
from .tables import BIAS, as_numbers, check_kind, weight_names
from .time_order import count_within, session_starts

NOBODY_KNOWS = -1  # which of more than two choices would have been correct
MANY_SIZES = 10  # of rewards, beyond which one of 0 does not tell an error
NO_IDENTITY = (
    "X has no subject identity: it is taken as one sequence without choices and rewards, in which "
    "no rule can learn. Build X with make_design; if a transformer before this estimator dropped "
    "the index, call set_output(transform='pandas') on it or on the pipeline."
)


class Fields(NamedTuple):
    """What is known of trials, (n_rows, ...) or padded (N, T, ...); the outcome is of trial t.

    ``choice``, ``reward``, ``answer``, ``session_start`` (whether trial t + 1 opens a session) and
    ``misses`` (before it) are known, ``observed``, for all but a sequence's last trial. But where
    ``reward_known`` is 0 the reward is 0 and the answer, if nothing else tells it, 1/2. Choices and
    answers are classes, 0, 1, ... or C - 1; of more than two, an answer that nobody knows is -1.
    """

    features: Floats  # (..., K)
    choice: Floats
    reward: Floats
    answer: Floats
    session_start: Floats
    reward_known: Floats
    misses: Floats
    observed: Bools

    @property
    def told(self) -> Bools:
        """Where all of the outcome is known."""
        return self.observed & (self.reward_known > 0)


@dataclass(frozen=True)
class Sequences:
    """One sequence a subject, or several with restarts, and X's rows in their order."""

    fields: Fields  # (n_rows, ...)
    row_sequence: Ints  # (n_rows,) each row's place in padded arrays
    row_place: Ints  # (n_rows,)
    row_trial: Ints  # (n_rows,) its number within the subject
    sequence_subject: Ints  # (N,) whose each sequence is, of the subjects
    subjects: pd.Index  # names, of each subject once
    feature_names: list[str]  # K names
    n_choices: int  # C
    tells_choices: bool  # whether X does, and so how many there are
    choice_labels: list[str]  # of more than two, as in X's columns
    answer_known: bool
    lacks_rewards: bool  # whether X says which rewards are known
    counts_misses: bool
    covariates: Floats  # (n_subjects, C)
    covariate_names: list[str]  # C names, as in X

    @property
    def further_history(self) -> list[str]:
        """The history columns of X that not every design has, and models have to know of."""
        told = {REWARD_KNOWN: self.lacks_rewards, MISSES: self.counts_misses}
        return [name for name in told if told[name]]

    @property
    def row_subject(self) -> Ints:
        """Whose each row is, of the subjects, (n_rows,)."""
        return self.sequence_subject[self.row_sequence]

    @property
    def lengths(self) -> Ints:
        """Each sequence's number of trials, (N,)."""
        return np.bincount(self.row_sequence)

    @property
    def n_trials(self) -> Ints:
        """Each subject's number of trials, (n_subjects,)."""
        return np.bincount(self.row_subject)

    def whose(self, sequences: Bools) -> pd.Index:
        """Return the names of the subjects of whom any of these sequences (N,) is."""
        return self.subjects[np.unique(self.sequence_subject[sequences])]

    @property
    def padded(self) -> Fields:
        """The fields as (N, T, ...), padded to the longest sequence, 0 in the padding."""
        return Fields._make(map(self.pad, self.fields))

    def pad(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Lay rows (n_rows, ...) out as (N, T, ...), 0 in the padding."""
        shape = (len(self.sequence_subject), self.row_place.max() + 1, *rows.shape[1:])
        padded = np.zeros(shape, rows.dtype)
        padded[self.row_sequence, self.row_place] = rows
        return padded

    def some(self, sequences: Ints) -> tuple[Sequences, Ints]:
        """Return some of the sequences, numbered anew, and which rows these are."""
        number = np.full(len(self.sequence_subject), -1)
        number[sequences] = np.arange(len(sequences))
        rows = np.flatnonzero(number[self.row_sequence] >= 0)
        sequence_subject, subjects = pd.factorize(self.sequence_subject[sequences])
        part = replace(
            self,
            fields=Fields._make(field[rows] for field in self.fields),
            row_sequence=number[self.row_sequence[rows]],
            row_place=self.row_place[rows],
            row_trial=self.row_trial[rows],
            sequence_subject=sequence_subject,
            subjects=self.subjects[subjects],
            covariates=self.covariates[subjects],
        )
        return part, rows

    def parts(self, n_rows: int) -> Iterator[tuple[Sequences, Ints]]:
        """Yield whole subjects, about so many rows of them at a time, and which rows these are."""
        number = np.cumsum(self.n_trials) // n_rows
        if number[0] == number[-1]:
            yield self, np.arange(len(self.row_sequence))
            return
        for part in np.unique(number):
            yield self.some(np.flatnonzero(number[self.sequence_subject] == part))

    def rows(self, padded: NDArray[Any]) -> NDArray[Any]:
        """Read (N, T, ...) back in the order of X's rows."""
        return padded[self.row_sequence, self.row_place]

    def contradicts(self, chosen: Ints) -> Bools:
        """Return where choices (0, 1, ... C - 1) are other than the next row tells, (n_rows,)."""
        return self.fields.observed & (chosen != self.fields.choice)

    def check_choices(self, chosen: Ints) -> None:
        """Raise where ``previous_choice`` contradicts the choices y (given as 0, 1, ... C - 1)."""
        contradicts = self.contradicts(chosen)
        if contradicts.any():
            row = np.argmax(contradicts)
            subject, trial = self.row_subject[row], self.row_trial[row]
            raise ValueError(
                "previous_choice should be the choice before, but contradicts y: subject "
                f"{short(self.subjects[subject])}, y at trial {trial} and X at trial {trial + 1}. "
                "Were X and y put in different orders, or was y relabelled?"
            )

    @property
    def shows_stimuli(self) -> bool:
        """Whether there is anything to see but the choices."""
        return self.feature_names != [BIAS]

    def check_answer_known(self, reader: str, or_else: str = "") -> None:
        """Raise if nothing tells the correct choices, which some ``reader`` needs, ``or_else``."""
        if not self.answer_known:
            why = "more than one value stands for an error, or none, or they have many sizes"
            if not self.shows_stimuli:
                why = "nothing was shown that could make a choice correct"
            elif self.n_choices > 2:
                why = f"of {self.n_choices} choices, an error does not tell which was right"
            raise DoesNotApply(
                f"{reader} reads the correct choice, which these rewards do not tell ({why})",
                f"name the column of correct choices, make_design(..., answer=...){or_else}",
            )


def read_sequences(X: pd.DataFrame | NDArray[Any]) -> Sequences:
    """Read and check the sequences in X; see :func:`sklearn_learnrule.make_design`."""
    if not has_identity(X):
        return _plain_sequence(X)
    if len(X) == 0:
        raise ValueError("X has no trials (0 rows).")
    identity = {name: find(X, name) for name in IDENTITY}
    check_identity(X, identity)
    row_subject: Any = identity["subject"]
    codes, subjects = pd.factorize(row_subject)
    trial = trial_numbers(codes, subjects, identity["trial"])
    values = _numbers(X, row_subject)
    labels = choice_labels(values)
    sequence, sequence_subject = number_sequences(codes, identity[RESTART], row_subject)
    row_place = count_within(sequence)
    check_history(values, row_subject, trial, row_place)
    new_session, session = np.zeros(len(X), dtype=bool), identity["session"]
    if session is not None:
        new_session = session_starts(session, codes, trial, row_subject)
    stimuli = {name: values[name] for name in DESIGN.stimuli(values)}
    fields = _fields(stimuli, values, new_session, sequence, row_place)
    covariates, covariate_names = covariates_of_subjects(values, codes, row_subject)
    return Sequences(
        fields=fields,
        row_sequence=sequence,
        row_place=row_place,
        row_trial=trial,
        sequence_subject=sequence_subject,
        subjects=subjects,
        feature_names=[*stimuli, BIAS],
        n_choices=len(labels) or 2,
        tells_choices=True,
        choice_labels=labels,
        answer_known=_knows_answers(values, fields),
        lacks_rewards=REWARD_KNOWN in values,
        counts_misses=MISSES in values,
        covariates=covariates,
        covariate_names=covariate_names,
    )


def _numbers(X: pd.DataFrame, row_subject: pd.Index) -> dict[str, Floats]:
    """Return X's columns but those of identity, (n_rows,) each, under their names as text."""
    return {
        name: as_numbers(X[column], f"Column {name!r} of X", row_subject)
        for column, name in zip(X, weight_names(X), strict=True)
        if name not in IDENTITY
    }


def _fields(
    stimuli: dict[str, Floats],
    values: dict[str, Floats],
    new_session: Bools,
    sequence: Ints,
    row_place: Ints,
) -> Fields:
    """Return what is known of each trial: of its outcome, what the sequence's next row tells."""
    order = np.lexsort((row_place, sequence))  # a sequence's rows together, in temporal order
    observed = np.zeros(len(sequence), dtype=bool)
    observed[order[:-1]] = np.diff(sequence[order]) == 0

    def outcome(rows: NDArray[Any]) -> Floats:
        told = np.zeros(len(sequence))
        told[order[:-1]] = rows[order[1:]]
        return told * observed

    one = np.ones(len(sequence))
    features = np.column_stack([*stimuli.values(), one])
    reward, known = outcome(values[PREVIOUS_REWARD]), outcome(values.get(REWARD_KNOWN, one))
    choice = outcome(_classes(values, PREVIOUS_CHOICE, CHOICE_WAS))
    if _tells_answers(values):
        answer = outcome(_classes(values, PREVIOUS_ANSWER, ANSWER_WAS))
    elif PREVIOUS_CHOICE in values:
        answer = np.where(known == 0, 0.5, np.where(reward > 0, choice, 1 - choice)) * observed
    else:
        answer = np.where(observed & (reward <= 0), NOBODY_KNOWS, choice)
    misses = outcome(values.get(MISSES, 0 * one))
    return Fields(features, choice, reward, answer, outcome(new_session), known, misses, observed)


def _classes(values: dict[str, Floats], side: str, stem: str) -> NDArray[Any]:
    """Return the class that a side or, of more than two, each label's column tells, (n_rows,)."""
    if side in values:
        return values[side] > 0
    return np.argmax([values[name] for name in labelled(stem, values)], axis=0)


def _tells_answers(values: dict[str, Floats]) -> bool:
    return PREVIOUS_ANSWER in values or bool(labelled(ANSWER_WAS, values))


def _knows_answers(values: dict[str, Floats], fields: Fields) -> bool:
    """Whether each trial's answer is known: it is told, or one of two that rewards tell.

    Where nothing was shown, they do not: that an arm paid nothing does not make the other right.
    """
    if _tells_answers(values):
        return True
    was_shown = fields.features.shape[-1] > 1
    rewards = fields.reward[fields.told]
    return PREVIOUS_CHOICE in values and was_shown and _marks_correct(rewards)


def has_identity(X: Any) -> TypeGuard[pd.DataFrame]:
    """Whether X is a table that tells its trials' identity, or history, or covariates.

    Raises if X is a table, but not one of pandas with a name of its own for each column.
    """
    check_kind(X)
    return isinstance(X, pd.DataFrame) and bool(DESIGN.known([*X.index.names, *X.columns]))


def check_identity_kept(X: Any, y: Any) -> None:
    """Raise if y still names its subjects and X, after some transformer, does not."""
    if not has_identity(X) and isinstance(y, pd.Series) and "subject" in y.index.names:
        raise ValueError(
            "X lost its subject index on the way here, though y still has it: call "
            "set_output(transform='pandas') on the pipeline or on its transformers."
        )


def identity_of(X: pd.DataFrame) -> pd.DataFrame:
    """Return as columns what X tells of each row's subject, session and trial, (n_rows, 1 to 3)."""
    table = X.reset_index()  # they may be in the index or in columns
    return table[[name for name in IDENTITY if name in table]]


def subjects_of(X: Any) -> pd.Index:
    """Return the subject of each row of X; raise if X does not tell."""
    check_kind(X)
    subjects = find(X, "subject") if isinstance(X, pd.DataFrame) else None
    if subjects is None:
        raise ValueError(
            "X has no index level or column 'subject' to split by: build it with make_design."
        )
    return subjects


def sequences_of(X: pd.DataFrame) -> Ints:
    """Number each row's sequence: its subject or, with restarts, its part between two of them."""
    numbers, _ = number_sequences(pd.factorize(subjects_of(X))[0], find(X, RESTART), subjects_of(X))
    return numbers


def session_numbers(X: pd.DataFrame) -> Ints:
    """Number each subject's sessions 1, 2, ... in the order of its rows; raise if X has none."""
    identity = identity_of(X)
    if "session" not in identity:
        raise ValueError("X has no index level or column 'session': build it with make_design.")
    sessions = identity.groupby("subject", observed=True)["session"]
    return sessions.transform(lambda session: pd.factorize(session)[0]).to_numpy() + 1


def _plain_sequence(X: Any) -> Sequences:
    """Take a plain array as one sequence of stimuli whose outcomes are unknown."""
    warn(NO_IDENTITY)
    names = weight_names(X) if isinstance(X, pd.DataFrame) else [f"x{i}" for i in range(X.shape[1])]
    stimuli = np.asarray(X, dtype=float)
    n_rows = len(stimuli)
    features, nothing = np.column_stack([stimuli, np.ones(n_rows)]), np.zeros(n_rows)
    return Sequences(
        fields=Fields._make([features, *6 * [nothing], nothing > 0]),
        row_sequence=np.zeros(n_rows, dtype=np.int64),
        row_place=np.arange(n_rows),
        row_trial=np.arange(n_rows),
        sequence_subject=np.zeros(1, dtype=np.int64),
        subjects=pd.Index(["all"]),
        feature_names=[*names, BIAS],
        n_choices=2,
        tells_choices=False,
        choice_labels=[],
        answer_known=True,
        lacks_rewards=False,
        counts_misses=False,
        covariates=np.zeros((1, 0)),
        covariate_names=[],
    )


def _marks_correct(reward: Floats) -> bool:
    """Whether a positive reward can only mean a correct choice: one value stands for an error.

    Of rewards in very many sizes, one of 0 is more likely a poor one than an error.
    """
    values = np.unique(reward)
    return len(values) < 2 or (bool(values[0] <= 0 < values[1]) and len(values) <= MANY_SIZES)
