"""From X to one padded sequence a subject, checked, and back to rows.

N subjects, T trials (of the longest subject), K weights (stimulus features and bias).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._design import (
    HISTORY,
    IDENTITY,
    PREVIOUS_ANSWER,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    count_within,
    first_return,
    show,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_IDENTITY = (
    "X has no subject identity: it is taken as one sequence without choices and rewards, in which "
    "no rule can learn. Build X with make_design; if a transformer before this estimator dropped "
    "the index, call set_output(transform='pandas') on it or on the pipeline."
)
SCALE_STIMULI = (
    "If X was scaled as a whole, scale the stimulus columns alone: make_column_transformer("
    "(StandardScaler(), ['stimulus']), remainder='passthrough', verbose_feature_names_out=False)"
    ".set_output(transform='pandas')."
)
GIVE_WHOLE = (
    "A rule is unrolled from an animal's first trial, so give all rows of each subject, in order: "
    "split by subject (SubjectKFold, or GroupKFold with groups=); to score some trials only, give "
    "the others sample_weight 0, as compare_rules does for FutureSplit and MaskedTrials."
)


@dataclass(frozen=True)
class Sequences:
    """One sequence a subject, padded to the longest; the outcome fields speak of trial t.

    ``choice``, ``reward``, ``answer`` and ``session_start`` (whether trial t + 1 opens a session)
    are known, ``observed``, for all but a subject's last trial.
    """

    features: Floats  # (N, T, K)
    choice: Floats  # (N, T)
    reward: Floats  # (N, T)
    answer: Floats  # (N, T)
    session_start: Floats  # (N, T)
    observed: NDArray[np.bool_]  # (N, T)
    row_subject: Ints  # (n_rows,) each row's place in the padded arrays
    row_trial: Ints  # (n_rows,)
    subjects: pd.Index  # N names
    feature_names: list[str]  # K names
    answer_known: bool

    def pad(self, rows: NDArray[Any]) -> Floats:
        """Lay one number a row out as (N, T), 0 in the padding."""
        return _pad(rows, self.row_subject, self.row_trial)

    def rows(self, padded: NDArray[Any]) -> NDArray[Any]:
        """Read (N, T, ...) back in the order of X's rows."""
        return padded[self.row_subject, self.row_trial]

    def check_choices(self, signed_choice: Floats) -> None:
        """Raise where ``previous_choice`` contradicts the choices y (given as -1, +1)."""
        contradicts = self.observed & (self.pad(signed_choice) != 2 * self.choice - 1)
        if contradicts.any():
            subject, trial = np.argwhere(contradicts)[0]
            raise ValueError(
                "previous_choice should be the choice before, but contradicts y: subject "
                f"{show(self.subjects[subject])}, y at trial {trial} and X at trial {trial + 1}. "
                "Were X and y put in different orders, or was y relabelled?"
            )


def read_sequences(X: pd.DataFrame | NDArray[Any]) -> Sequences:
    """Read, check and pad the sequences in X; see :func:`sklearn_learnrule.make_design`."""
    if not has_identity(X):
        return _plain_sequence(X)
    if len(X) == 0:
        raise ValueError("X has no trials (0 rows).")
    identity = {name: _find(X, name) for name in IDENTITY}
    _check_identity(X, identity)
    codes, subjects = pd.factorize(subjects_of(X))
    trial = _trial_numbers(codes, subjects, identity["trial"])
    values = {name: _numeric(X, name, subjects[codes]) for name in X if name not in IDENTITY}
    _check_history(values, subjects[codes], trial)

    new_session = _session_starts(identity["session"], codes, subjects, trial)
    stimuli = {name: value for name, value in values.items() if name not in HISTORY}
    if not stimuli:
        raise ValueError("X has no stimulus column beside its identity and history columns.")
    features = np.column_stack([*stimuli.values(), np.ones(len(X))])

    def outcome(rows: NDArray[Any]) -> Floats:
        """What row t + 1 tells of trial t, (N, T)."""
        padded = _pad(rows, codes, trial)
        return np.concatenate([padded[:, 1:], np.zeros_like(padded[:, :1])], 1)

    observed = outcome(np.ones(len(X))) > 0
    reward = outcome(values[PREVIOUS_REWARD])
    choice = outcome(values[PREVIOUS_CHOICE] > 0)
    if PREVIOUS_ANSWER in values:
        answer, answer_known = outcome(values[PREVIOUS_ANSWER] > 0), True
    else:
        answer = np.where(reward > 0, choice, 1 - choice) * observed
        answer_known = _marks_correct(reward[observed])
    return Sequences(
        features=_pad(features, codes, trial),
        choice=choice,
        reward=reward,
        answer=answer,
        session_start=outcome(new_session),
        observed=observed,
        row_subject=codes,
        row_trial=trial,
        subjects=subjects,
        feature_names=[*map(str, stimuli), "bias"],
        answer_known=answer_known,
    )


def has_identity(X: Any) -> TypeGuard[pd.DataFrame]:
    """Whether X is a table that names its subjects, sessions or trials, or their history."""
    return isinstance(X, pd.DataFrame) and any(
        _find(X, name) is not None for name in (*IDENTITY, *HISTORY)
    )


def subjects_of(X: Any) -> pd.Index:
    """Return the subject of each row of X; raise if X does not tell."""
    subjects = _find(X, "subject") if isinstance(X, pd.DataFrame) else None
    if subjects is None:
        raise ValueError(
            "X has no index level or column 'subject' to split by: build it with make_design."
        )
    return subjects


def _plain_sequence(X: Any) -> Sequences:
    """Take a plain array as one sequence of stimuli whose outcomes are unknown."""
    warnings.warn(NO_IDENTITY, stacklevel=2)
    names = list(X.columns) if isinstance(X, pd.DataFrame) else [f"x{i}" for i in range(X.shape[1])]
    stimuli = np.asarray(X, dtype=float)
    n_rows = len(stimuli)
    nothing = np.zeros((1, n_rows))
    return Sequences(
        features=np.column_stack([stimuli, np.ones(n_rows)])[None],
        choice=nothing,
        reward=nothing,
        answer=nothing,
        session_start=nothing,
        observed=nothing > 0,
        row_subject=np.zeros(n_rows, dtype=np.int64),
        row_trial=np.arange(n_rows),
        subjects=pd.Index(["all"]),
        feature_names=[*map(str, names), "bias"],
        answer_known=True,
    )


def _find(X: pd.DataFrame, name: str) -> pd.Index | None:
    """Look a level or column of X up by name."""
    if name in X.index.names:
        return X.index.get_level_values(name)
    return pd.Index(X[name]) if name in X.columns else None


def _pad(rows: NDArray[Any], codes: Ints, trial: Ints) -> Floats:
    padded = np.zeros((codes.max() + 1, trial.max() + 1, *rows.shape[1:]))
    padded[codes, trial] = rows
    return padded


def _check_identity(X: pd.DataFrame, identity: dict[str, pd.Index | None]) -> None:
    present = [name for name in (*IDENTITY, *HISTORY) if _find(X, name) is not None]
    for name in ("subject", PREVIOUS_CHOICE, PREVIOUS_REWARD):
        if name not in present:
            prefixed = [c for c in X.columns if str(c).endswith(f"__{name}")]
            hint = f" ({prefixed[0]!r}? Set verbose_feature_names_out=False)" if prefixed else ""
            raise ValueError(
                f"X has {', '.join(map(repr, present))} but no {name!r}{hint}. Build X with "
                "make_design, and keep its index and its history columns."
            )
    for name, values in identity.items():
        if values is not None and values.hasnans:
            row = int(np.argmax(values.isna()))
            raise ValueError(f"{name!r} is missing (NaN) in X, first at row {row}.")


def _trial_numbers(codes: Ints, subjects: pd.Index, given: pd.Index | None) -> Ints:
    """Return 0, 1, ... within each subject, which is what a given ``trial`` should say."""
    counted = count_within(codes)
    if given is None:
        row = first_return(codes)
        if row is not None:
            raise ValueError(
                f"The rows of subject {show(subjects[codes[row]])} are interleaved with another's "
                f"(row {row}) and X has no 'trial' to tell their order. Keep make_design's index."
            )
        return counted
    wrong = np.asarray(given) != counted
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            "Trials of a subject should be numbered 0, 1, 2, ... in row order, but subject "
            f"{show(subjects[codes[row]])} has trial {show(given[row])} where {counted[row]} was "
            f"expected (row {row}). {GIVE_WHOLE}"
        )
    return counted


def _numeric(X: pd.DataFrame, name: Any, row_subject: pd.Index) -> Floats:
    try:
        values = X[name].to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"Column {name!r} of X should be numeric, but has the type {X[name].dtype}."
        ) from None
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"X should be finite, but column {name!r} is {values[row]} "
            f"(subject {show(row_subject[row])}, row {row}); NaN and inf are not accepted."
        )
    return values


def _check_history(values: dict[Any, Floats], row_subject: pd.Index, trial: Ints) -> None:
    first = trial == 0
    for name in HISTORY:
        if name not in values:
            continue
        wrong = first & (values[name] != 0)
        if name != PREVIOUS_REWARD:
            wrong |= ~first & (np.abs(values[name]) != 1)
        if wrong.any():
            row = int(np.argmax(wrong))
            expected = "-1 or +1" if not first[row] else "0 on a subject's first trial"
            cure = GIVE_WHOLE if first[row] and abs(values[name][row]) == 1 else SCALE_STIMULI
            raise ValueError(
                f"{name} should be {expected}, but is {values[name][row]:.4g} "
                f"(subject {show(row_subject[row])}, trial {trial[row]}, row {row}). {cure}"
            )


def _session_starts(
    session: pd.Index | None, codes: Ints, subjects: pd.Index, trial: Ints
) -> NDArray[np.bool_]:
    """Whether each row opens a session."""
    if session is None:
        return np.zeros(len(codes), dtype=bool)
    order = np.lexsort((trial, codes))  # a subject's rows together, in temporal order
    session_codes = pd.factorize(session)[0]
    in_order = (codes * (session_codes.max() + 1) + session_codes)[order]
    back = first_return(in_order)
    if back is not None:
        row = int(order[back])
        raise ValueError(
            f"Session {show(session[row])} of subject {show(subjects[codes[row]])} comes back "
            f"after another session (trial {trial[row]}, row {row}): trials should be in temporal "
            "order."
        )
    starts = np.empty(len(codes), dtype=bool)
    starts[order] = np.diff(in_order, prepend=-1) != 0
    return starts


def _marks_correct(reward: Floats) -> bool:
    """Whether a positive reward can only mean a correct choice: one value stands for an error."""
    values = np.unique(reward)
    return len(values) < 2 or bool(values[0] <= 0 < values[1])
