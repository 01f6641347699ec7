"""From what files hold to a table of trials: names, drops and signs, alike in all loaders.

A source is one file, or one session in memory; a part is what was made of it.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from ..data import TRIALS
from ..data.check import checked
from ..data.stimuli import are_labels, as_stimuli
from ..data.tables import (
    as_labels,
    as_names,
    as_numbers,
    as_table,
    check_columns,
    check_outcome,
    sorted_labels,
    subject_names,
)
from ..utils.arrays import Floats
from ..utils.texts import plural, short
from ..utils.warn import warn
from ._in_order import Part, join

Names = str | Sequence[str]
Prepare = Callable[[pd.DataFrame], Any]
Gaps = Literal["drop", "keep"]


@dataclass(frozen=True)
class Layout:
    """Which columns of a source hold what, in the words of :func:`from_files`."""

    stimulus: Names | None
    choice: str
    reward: str
    answer: str | None = None
    subject: Names | None = "subject"
    session: Names | None = "session"
    trial: str | None = None
    choices: Sequence[Any] | None = None
    keep: Names | None = None
    prepare: Prepare | None = None
    missed: Gaps = "drop"
    unknown_reward: Gaps = "drop"

    def __post_init__(self) -> None:
        check_gaps(missed=self.missed, unknown_reward=self.unknown_reward)
        if self.choices is not None and (
            isinstance(self.choices, str) or len(set(self.choices)) < max(2, len(self.choices))
        ):
            raise ValueError(
                f"choices should be two labels or more that differ, got {short(self.choices)}."
            )
        check_outcome(self.outcome)
        leaks = {self.choice, self.reward}.intersection(self.stimuli)
        if leaks:
            raise ValueError(
                "stimulus should name columns seen before the choice, and neither that of choices "
                f"nor that of rewards, got {min(leaks)!r}."
            )
        taken = {*TRIALS.identity, *TRIALS.names("outcome")}
        stimuli = self.stimuli.values()
        for argument, clash in (
            ("stimulus", taken.intersection(stimuli)),
            ("keep or trial", taken.union(stimuli).intersection(self.others)),
        ):
            if clash:
                raise ValueError(
                    f"{argument} should not name column {min(clash)!r}: the table of trials has "
                    "another of that name. Rename it, by prepare=."
                )

    @property
    def stimuli(self) -> dict[str, str]:
        """The name in the table of trials of each stimulus column."""
        names = as_stimuli(self.stimulus)
        return {names[0]: "stimulus"} if len(names) == 1 else {name: name for name in names}

    @property
    def outcome(self) -> list[str]:
        """The columns of what was chosen, correct and earned."""
        return [name for name in (self.choice, self.answer, self.reward) if name is not None]

    @property
    def others(self) -> list[str]:
        """The columns that are kept as they are."""
        clock = [] if self.trial is None else [self.trial]
        return list(dict.fromkeys([*clock, *as_names(self.keep, "keep")]))

    def read(self, table: pd.DataFrame, place: str, start: pd.Timestamp | None = None) -> Part:
        """Name the columns of one source as all do; drop trials without choice or reward, or not.

        Raises
        ------
        ValueError
            Whose message begins with the place.
        """
        try:
            if self.prepare is not None:
                table = self.prepare(table)
            return self._part(as_table(table), place, start)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        except Exception as error:  # of the user's function
            error.add_note(f"This was {place}.")
            raise

    def _part(self, table: pd.DataFrame, place: str, start: pd.Timestamp | None) -> Part:
        animals, sessions = as_names(self.subject, "subject"), as_names(self.session, "session")
        check_columns(table, [*animals, *sessions, *self.stimuli, *self.outcome, *self.others])
        table = table.reset_index(drop=True)
        subjects = subject_names(table, animals)
        missed = table[self.choice].isna()
        if self.choices is not None:
            chosen = {plain(label): label for label in self.choices}  # 1 is "1" beside a "none"
            for name in filter(None, (self.choice, self.answer)):
                table[name] = [chosen.get(plain(label), label) for label in table[name]]
            missed |= ~table[self.choice].isin(self.choices)
        unpaid = table[self.reward].isna() & ~missed
        told = ~(missed | unpaid)
        keep_missed, keep_unpaid = (gap == "keep" for gap in (self.missed, self.unknown_reward))
        kept = told | (missed & keep_missed) | (unpaid & keep_unpaid)
        choice = table[self.choice]
        columns = {
            "subject": subjects,
            "session": subject_names(table, sessions) if sessions else 1,
            **{
                new: _stimulus(table[old], kept & ~missed, subjects)
                for old, new in self.stimuli.items()
            },
            "choice": choice.astype(object).where(~missed) if keep_missed else choice,
            **({} if self.answer is None else {"answer": table[self.answer]}),
            "reward": np.where(told, _numbers(table[self.reward], told, subjects), np.nan),
            **{name: table[name] for name in self.others},
        }
        trials = pd.DataFrame(columns, table.index)
        named = trials[["subject", "session"]].drop_duplicates()
        return Part(
            place,
            trials[kept],
            list(named.itertuples(index=False, name=None)),
            {"read": len(table), "misses": int(missed.sum()), "no_reward": int(unpaid.sum())},
            frozenset(choice[missed].dropna()),
            start,
        )

    def join(self, parts: Sequence[Part], verbose: bool) -> pd.DataFrame:
        """Return the table of trials of all parts, checked, and say what was left out."""
        trials = join(parts)
        counts = Counter[str]()
        for part in parts:
            counts.update(part.counts)
        no_choices = frozenset[Any]().union(*(part.no_choices for part in parts))
        if not trials[["choice", "reward"]].notna().all(axis=1).any():
            found = f" Labels that are not among choices={self.choices}: {_listed(no_choices)}."
            raise ValueError(
                f"No trial is left of {counts['read']}: {counts['misses']} have no choice, "
                f"{counts['no_reward']} no reward.{found if no_choices else ''}"
            )
        trials = self._code(trials, no_choices)
        check(trials, list(self.stimuli.values()), self.trial, self.choices)
        if verbose:
            n_read = sum(len(part.sessions) for part in parts)
            n_kept = len(trials[["subject", "session"]].drop_duplicates())
            n_subjects = trials["subject"].nunique()
            counts["kept"] = len(trials)
            print(summary(n_kept, n_subjects, counts, n_empty=n_read - n_kept))
        return trials

    def _code(self, trials: pd.DataFrame, no_choices: frozenset[Any]) -> pd.DataFrame:
        """Code choices and answers as 0 and 1, if their labels cannot stay."""
        found = set(as_labels(trials["choice"].dropna(), f"column {self.choice!r}").tolist())
        if self.choices is None:
            return trials
        lost = [label for label in self.choices if label not in found]
        if lost and no_choices:
            warn(
                f"No trial has the choice {short(lost[0])} of choices={tuple(self.choices)}; taken "
                f"for none were {_listed(no_choices)}.",
            )
        named = ["choice"] if self.answer is None else ["choice", "answer"]
        unknown = trials["choice"].notna() & ~trials[named[-1]].isin(self.choices)
        if unknown.any():
            wrong = trials[unknown].iloc[0]
            raise ValueError(
                f"Column {self.answer!r} should hold the labels of choices={tuple(self.choices)}, "
                f"but has {short(wrong['answer'])} (subject {short(wrong['subject'])}, session "
                f"{short(wrong['session'])})."
            )
        stay = len(self.choices) > 2 or _may_stay(self.choices)
        code = dict(zip(self.choices, self.choices if stay else (0, 1), strict=True))
        return trials.assign(**{name: trials[name].map(code) for name in named})


def _may_stay(labels: Sequence[Any]) -> bool:
    """Return whether two labels can be classes, and sort as they are named."""
    try:
        classes = sorted_labels(np.array(labels, dtype=object), "choices")
    except ValueError:  # text beside numbers, or labels that differ by case alone
        return False
    return classes.tolist() == list(labels) and type_of_target(classes) == "binary"


def _stimulus(column: pd.Series, needed: pd.Series, subjects: pd.Index) -> pd.Series | Floats:
    """Return a column's numbers or, if it has such, its labels."""
    if needed.any() and are_labels(column[needed]):
        return column.where(needed)
    return _numbers(column, needed, subjects)


def _numbers(column: pd.Series, needed: pd.Series, subjects: pd.Index) -> Floats:
    """Return a column's numbers; what is none is NaN where none is needed, else an error.

    A column of text may hold numbers: one word in a CSV file makes all else text.
    """
    values = np.asarray(column, dtype=object)
    parsed = pd.to_numeric(pd.Series(values), errors="coerce")
    numbers = pd.Series(np.where(needed, np.where(parsed.isna(), values, parsed), 0))
    sound = as_numbers(numbers, f"Column {column.name!r}", subjects)
    return np.where(needed, sound, parsed).astype(float)


def _listed(labels: Iterable[Any]) -> str:
    return ", ".join(sorted(map(short, labels))[:6])


def plain(label: Any) -> str:
    """Return a label as text, a number in one way whether it was read as such or as text."""
    try:
        return str(label) if isinstance(label, bool | np.bool_) else f"{float(label):g}"
    except (TypeError, ValueError):
        return str(label)


def check(
    trials: pd.DataFrame,
    stimuli: list[str],
    trial: str | None = None,
    labels: Sequence[Any] | None = None,
) -> None:
    """Check a loader's table, unless its animals chose one side only, as in an early session."""
    if trials["choice"].nunique() > 1:
        checked(trials, stimuli, trial, labels, missed="count", unknown_reward="keep")


def check_gaps(**options: Gaps) -> None:
    """Raise unless it is said whether trials that lack something are dropped or kept."""
    for name, option in options.items():
        if option not in ("drop", "keep"):
            raise ValueError(f"{name} should be 'drop' or 'keep', got {option!r}.")


def summary(
    n_sessions: int,
    n_subjects: int,
    counts: Mapping[str, int],
    n_left_out: int = 0,
    n_empty: int = 0,
) -> str:
    """Say in a line what was read, and what became of it."""
    unpaid = " or a reward" if counts.get("no_reward") or counts.get("no_feedback") else ""
    empty = f", {n_empty} without a choice{unpaid} left out" if n_empty else ""
    left_out = f", {n_left_out} left out" if n_left_out else ""
    told = [f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if count]
    sessions, subjects = plural(n_sessions, "session"), plural(n_subjects, "subject")
    return f"{sessions} of {subjects}{empty}{left_out}; trials: {', '.join(told)}"


def optional(package: str, reads: str, extra: str) -> Any:
    """Import a package that only some files need.

    Raises
    ------
    ImportError
        If it is not there, with what to install.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{reads} are read by {package}: pip install {package}, or sklearn_learnrule[{extra}]."
        ) from error
