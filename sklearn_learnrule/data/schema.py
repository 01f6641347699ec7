"""The columns that have a meaning by their names: of a table of trials, and of the design X."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd
from numpy.typing import NDArray

COVARIATE = "covariate_"  # so begin the names of X's covariates
CHOICE_WAS, ANSWER_WAS = "previous_choice_", "previous_answer_"  # of more than two, a label each
OF_CHOICE = "of_choice"  # whose weights a table's row tells, beside the ``choice`` made
ANY = "*"  # ends a name that stands for all that begin so

Role: TypeAlias = Literal["identity", "stimulus", "outcome", "history", "covariate"]
Values: TypeAlias = Literal[
    "name", "whole number", "number", "label", "number or label", "side", "flag"
]


@dataclass(frozen=True)
class Column:
    """One column, or a level of X's index."""

    name: str
    role: Role
    values: Values  # a side is -1 for the first class of choice, +1 for the second; a flag 0 or 1
    meaning: str
    optional: bool = False

    def is_called(self, name: Any) -> bool:
        """Whether this is such a column's name; a last ``*`` stands for anything."""
        if self.name.endswith(ANY):
            return str(name).startswith(self.name.removesuffix(ANY))
        return bool(name == self.name)


@dataclass(frozen=True)
class Schema:
    """The columns of a table, by which code finds them and people read what they mean.

    Attributes
    ----------
    columns : tuple of Column

    Examples
    --------
    >>> DESIGN.identity
    ('subject', 'session', 'restart', 'trial')
    >>> DESIGN.stimuli(["contrast", "previous_choice", "previous_reward"])
    ['contrast']
    >>> DESIGN.describe()[["role", "values", "optional"]]
                                role        values  optional
    name
    subject                 identity          name     False
    session                 identity          name      True
    restart                 identity  whole number      True
    trial                   identity  whole number      True
    previous_choice          history          side     False
    previous_reward          history        number     False
    previous_answer          history          side      True
    previous_reward_known    history          flag      True
    previous_misses          history  whole number      True
    previous_choice_*        history          flag      True
    previous_answer_*        history          flag      True
    covariate_*            covariate        number      True
    """

    columns: tuple[Column, ...]

    def names(self, *roles: Role) -> tuple[str, ...]:
        """Return the names of the columns that have one of these roles, in order; without, all."""
        return tuple(column.name for column in self.columns if column.role in roles or not roles)

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells whose and which a trial is."""
        return self.names("identity")

    @property
    def history(self) -> tuple[str, ...]:
        """What tells how the trial before went, but for columns of one label each."""
        return tuple(name for name in self.names("history") if not name.endswith(ANY))

    def find(self, name: Any) -> Column | None:
        """Return the column that is so called, if any."""
        return next((column for column in self.columns if column.is_called(name)), None)

    def known(self, names: Iterable[Any], *roles: Role) -> dict[Any, Column]:
        """Return what those of the names mean that have one of these roles; without, any."""
        found = {name: self.find(name) for name in names}
        return {name: c for name, c in found.items() if c and (not roles or c.role in roles)}

    def covariates(self, columns: Iterable[Any]) -> list[Any]:
        """Return those of the columns that say what an animal is."""
        return list(self.known(columns, "covariate"))

    def stimuli(self, columns: Iterable[Any]) -> list[Any]:
        """Return the policy's columns: those that are no identity, history or covariates."""
        return [name for name in columns if self.find(name) is None]

    def describe(self) -> pd.DataFrame:
        """Return ``role``, ``values``, ``meaning`` and ``optional`` of each column, a row each."""
        return pd.DataFrame(self.columns).set_index("name")


def labelled(stem: str, columns: Iterable[Any]) -> list[Any]:
    """Return those of the columns whose names begin so."""
    return [name for name in columns if str(name).startswith(stem)]


def of_labels(stem: str, texts: Iterable[str]) -> list[str]:
    """Return the names of columns of one label each, whose texts are given.

    Examples
    --------
    >>> of_labels(CHOICE_WAS, ["left", "middle", "right"])
    ['previous_choice_left', 'previous_choice_middle', 'previous_choice_right']
    """
    return [f"{stem}{text}" for text in texts]


def count_choices(columns: Iterable[Any]) -> int:
    """Return how many choices X's columns tell, perhaps of one that nobody made.

    Examples
    --------
    >>> count_choices(["previous_choice"])
    2
    >>> count_choices(["previous_choice_left", "previous_choice_middle", "previous_choice_right"])
    3
    """
    return len(labelled(CHOICE_WAS, columns)) or 2


def weight_columns(names: Iterable[str], classes: Sequence[Any] | NDArray[Any]) -> pd.Index:
    """Return the columns of weights: their names or, of more than two classes, pairs.

    Examples
    --------
    >>> weight_columns(["light", "bias"], ["left", "right"]).tolist()
    ['light', 'bias']
    >>> weight_columns(["light", "bias"], [1, 2, 3]).tolist()
    [(2, 'light'), (2, 'bias'), (3, 'light'), (3, 'bias')]
    """
    if len(classes) == 2:
        return pd.Index(list(names))
    return pd.MultiIndex.from_product([classes[1:], list(names)], names=["choice", "weight"])


def is_design(columns: Iterable[Any]) -> bool:
    """Whether these are columns of make_design's X, which tell how the trial before went."""
    names = list(columns)
    told = PREVIOUS_CHOICE in names or bool(labelled(CHOICE_WAS, names))
    return told and PREVIOUS_REWARD in names


SUBJECT = Column("subject", "identity", "name", "The animal; its rows stand together.")
SESSION = Column("session", "identity", "name", "The session, in temporal order.", optional=True)

TRIALS = Schema(
    (
        SUBJECT,
        SESSION,
        Column("stimulus", "stimulus", "number or label", "What was seen; several, or none."),
        Column("choice", "outcome", "label", "What was chosen; the second of two is y = 1."),
        Column("answer", "outcome", "label", "What was correct, labelled alike.", optional=True),
        Column("reward", "outcome", "number", "What was paid, in any unit."),
    )
)
"""A table of trials, one row each, under the names that it has unless others are given.

What a loader returns, and :func:`~sklearn_learnrule.data.check_trials` checks.
"""

DESIGN = Schema(
    (
        SUBJECT,
        SESSION,
        Column(
            "restart",
            "identity",
            "whole number",
            "How often learning has begun anew in the animal: 0, 1, ...",
            optional=True,
        ),
        Column("trial", "identity", "whole number", "0, 1, ... within the animal.", optional=True),
        Column("previous_choice", "history", "side", "The choice before; 0 where there is none."),
        Column("previous_reward", "history", "number", "The reward before; 0 where there is none."),
        Column(
            "previous_answer",
            "history",
            "side",
            "The correct choice before; 0 where there is none. Without it, what was rewarded.",
            optional=True,
        ),
        Column(
            "previous_reward_known",
            "history",
            "flag",
            "Whether that reward is known; 0 where there is none.",
            optional=True,
        ),
        Column(
            "previous_misses",
            "history",
            "whole number",
            "How many trials without a choice came between; 0 where there is none before.",
            optional=True,
        ),
        Column(
            f"{CHOICE_WAS}{ANY}",
            "history",
            "flag",
            "In place of previous_choice, of more than two labels: whether it was this one.",
            optional=True,
        ),
        Column(
            f"{ANSWER_WAS}{ANY}",
            "history",
            "flag",
            "In place of previous_answer, of more than two labels: whether it was this one.",
            optional=True,
        ),
        Column(
            f"{COVARIATE}{ANY}",
            "covariate",
            "number",
            "What the animal is, alike on all its trials; all columns whose names begin so.",
            optional=True,
        ),
    )
)
"""X of :func:`~sklearn_learnrule.make_design`: every other column is a stimulus.

Identity is in the index, or in columns of the same names.
"""

RESTART = "restart"
IDENTITY, HISTORY = DESIGN.identity, DESIGN.history
PREVIOUS_CHOICE, PREVIOUS_REWARD, PREVIOUS_ANSWER, REWARD_KNOWN, MISSES = HISTORY
