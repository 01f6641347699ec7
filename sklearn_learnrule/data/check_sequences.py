"""What X tells of each row's subject, sequence and history, and whether it can be so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..utils.arrays import Bools, Floats, Ints
from ..utils.texts import short
from .schema import (
    ANSWER_WAS,
    CHOICE_WAS,
    DESIGN,
    MISSES,
    PREVIOUS_ANSWER,
    PREVIOUS_CHOICE,
    RESTART,
    REWARD_KNOWN,
    is_design,
    labelled,
)
from .tables import check_names, place
from .time_order import count_within, first_return

SCALE_STIMULI = (
    "If X was scaled as a whole, scale the stimulus columns alone: make_column_transformer("
    "(StandardScaler(), ['stimulus']), remainder='passthrough', verbose_feature_names_out=False)"
    ".set_output(transform='pandas')."
)
KEEP_RESTARTS = (
    "Where learning begins anew, by make_design(..., restart=...), keep the level 'restart' of X's "
    "index."
)
GIVE_WHOLE = (
    "A rule is unrolled from an animal's first trial, so give all rows of each subject, in order: "
    "split by subject (SubjectKFold, or GroupKFold with groups=); to score some trials only, give "
    "the others sample_weight 0, as compare_rules does for FutureSplit and MaskedTrials."
)
MAY_BE: dict[str, tuple[str, Callable[[Floats], Bools]]] = {
    "side": ("-1 or +1", lambda values: np.abs(values) == 1),
    "flag": ("0 or 1", lambda values: (values == 0) | (values == 1)),
    "whole number": ("a whole number", lambda values: (values >= 0) & (values % 1 == 0)),
}

MADE_BY = {  # what make_design was told where X has these
    PREVIOUS_ANSWER: "answer=...",
    REWARD_KNOWN: "unknown_reward='keep'",
    MISSES: "missed='count'",
}


def check_made_alike(X: Any, fitted: Any) -> None:
    """Raise if X and that which something was fitted to were made by other options."""
    before = list(getattr(fitted, "feature_names_in_", ()))
    if not isinstance(X, pd.DataFrame) or not is_design(X) or not is_design(before):
        return
    for name, option in MADE_BY.items():
        now, then = bool(labelled(name, X)), bool(labelled(name, before))
        if now != then:
            raise ValueError(
                f"X {'has' if now else 'lacks'} the column {name!r}, which the X of the fit "
                f"{'had' if then else 'lacked'}: make both designs alike, make_design(...) "
                f"{'with' if then else 'without'} {option}."
            )


def find(X: pd.DataFrame, name: str) -> pd.Index | None:
    """Look a level or column of X up by name."""
    n_found = [*X.index.names, *X.columns].count(name)
    if n_found > 1:
        raise ValueError(f"X has {name!r} {n_found} times, as columns or index levels; drop one.")
    if name in X.index.names:
        return X.index.get_level_values(name)
    return pd.Index(X[name]) if n_found else None


def check_identity(X: pd.DataFrame, identity: dict[str, pd.Index | None]) -> None:
    """Raise if X lacks what every design has, or does not name a subject, session or trial."""
    known = dict.fromkeys([*DESIGN.names(), *DESIGN.known(X)])
    present = [name for name in known if find(X, name) is not None]
    told = [*present, PREVIOUS_CHOICE] if labelled(CHOICE_WAS, present) else present
    for name in (column.name for column in DESIGN.columns if not column.optional):
        if name not in told:
            prefixed = [c for c in X.columns if f"__{name}" in str(c)]
            hint = f" ({prefixed[0]!r}? Set verbose_feature_names_out=False)" if prefixed else ""
            raise ValueError(
                f"X has {', '.join(map(repr, present))} but no {name!r}{hint}. Build X with "
                "make_design, and keep its index and its history columns."
            )
    for name, values in identity.items():
        if values is not None and values.hasnans:
            row = int(np.argmax(values.isna()))
            raise ValueError(f"{name!r} is missing (NaN) in X, first at row {row}.")
        if values is not None:
            check_names(values, f"{name!r} in X")


def choice_labels(names: Iterable[str]) -> list[str]:
    """Return the labels of more than two choices that X's columns tell, in order; of two none.

    Raises
    ------
    ValueError
        If the columns are not those of one kind, and of one set of labels.
    """
    names = list(names)
    labels = [name.removeprefix(CHOICE_WAS) for name in labelled(CHOICE_WAS, names)]
    of_answer = [name.removeprefix(ANSWER_WAS) for name in labelled(ANSWER_WAS, names)]
    mixed = labels and {PREVIOUS_CHOICE, PREVIOUS_ANSWER}.intersection(names)
    if mixed or len(labels) in (1, 2) or of_answer not in ([], labels):
        told = [name for name in names if name.startswith((PREVIOUS_CHOICE, PREVIOUS_ANSWER))]
        raise ValueError(
            "X should have previous_choice (and perhaps previous_answer) or, of more than two "
            f"choices, a column of each label in their place, but has {', '.join(told)}. "
            "Keep all history columns of make_design, and their order."
        )
    return labels


def trial_numbers(codes: Ints, subjects: pd.Index, given: pd.Index | None) -> Ints:
    """Return 0, 1, ... within each subject, which is what a given ``trial`` should say."""
    counted = count_within(codes)
    if given is None:
        row = first_return(codes)
        if row is not None:
            raise ValueError(
                f"The rows of subject {short(subjects[codes[row]])} are interleaved with another's "
                f"(row {row}) and X has no 'trial' to tell their order. Keep make_design's index."
            )
        return counted
    wrong = np.asarray(given) != counted
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            "Trials of a subject should be numbered 0, 1, 2, ... in row order, but subject "
            f"{short(subjects[codes[row]])} has trial {short(given[row])} where {counted[row]} was "
            f"expected (row {row}). {GIVE_WHOLE}"
        )
    return counted


def number_sequences(
    codes: Ints, restart: pd.Index | None, row_subject: pd.Index
) -> tuple[Ints, Ints]:
    """Return each row's sequence, numbered subject by subject, and whose each sequence is, (N,)."""
    if restart is None:
        return codes, np.arange(codes.max(initial=-1) + 1)
    numbers = pd.factorize(restart)[0]
    order = np.argsort(codes, kind="stable")
    both = (codes * (numbers.max() + 1) + numbers)[order]
    if (back := first_return(both)) is not None:
        row = int(order[back])
        raise ValueError(
            f"{RESTART!r} should count how often learning has begun anew, but {short(restart[row])}"
            f" comes back after another ({place(row_subject, row)}). Keep make_design's index."
        )
    opens = np.diff(both, prepend=-1) != 0
    sequence = np.empty_like(codes)
    sequence[order] = np.cumsum(opens) - 1
    return sequence, codes[order][opens]


def check_history(
    values: dict[str, Floats], row_subject: pd.Index, trial: Ints, row_place: Ints
) -> None:
    """Raise where a history column has values that it cannot have."""
    first = row_place == 0

    def where(row: int) -> str:
        return f"(subject {short(row_subject[row])}, trial {trial[row]}, row {row})"

    for name, column in DESIGN.known(values, "history").items():
        found = values[name]
        may_be, is_right = MAY_BE.get(column.values, ("a number", np.isfinite))
        wrong = np.where(first, found != 0, ~is_right(found))
        if wrong.any():
            row = int(np.argmax(wrong))
            value, expected, cure = found[row], may_be, SCALE_STIMULI
            if first[row]:
                expected = "0 after a restart" if trial[row] else "0 on a subject's first trial"
                cure = GIVE_WHOLE if abs(value) == 1 else SCALE_STIMULI
            elif value == 0:
                cure = KEEP_RESTARTS
            raise ValueError(
                f"{name} should be {expected}, but is {value:.4g} {where(row)}. {cure}"
            )
    for names in filter(None, (labelled(CHOICE_WAS, values), labelled(ANSWER_WAS, values))):
        n_true = np.sum([values[name] for name in names], axis=0)
        wrong = ~first & (n_true != 1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"One of {', '.join(names[:4])}{', ...' * (len(names) > 4)} should be 1, but "
                f"{n_true[row]:.0f} are {where(row)}. Keep all history columns of make_design. "
                f"{KEEP_RESTARTS}"
            )
