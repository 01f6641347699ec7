"""What a report is made of: sections of exhibits, each a row of pictures and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..data.schema import count_choices
from ..data.sequences import identity_of, read_sequences
from ..utils.arrays import Floats
from ..utils.does_not_apply import DoesNotApply
from ..utils.texts import number
from ._many_choices import CAPTIONS
from ._models import Model, tell, together

DPI = 150
TAILS = (0.05, 0.95)


@dataclass(frozen=True)
class Question:
    """What the models are looked at with."""

    X: pd.DataFrame
    y: pd.Series
    n_sessions: int  # of the animal that has most; 0: unknown
    n_simulations: int
    random_state: Any
    verbose: int

    @property
    def n_choices(self) -> int:
        return count_choices(self.X)

    @property
    def one_session(self) -> str:
        """Why there is no learning curve by session, if so."""
        if self.n_sessions == 1:
            return "all trials of each animal are of one session"
        return "" if self.n_sessions else "the data do not tell which session a trial is of"

    @cached_property
    def rewards(self) -> list[float] | None:
        """The least reward and the largest, to draw updates after, if more than two were paid.

        Of many, the 5% and 95% percentiles of the amounts: the ends may be far from all others.
        """
        paid = np.unique(self._earned)
        return np.quantile(paid, TAILS, method="nearest").tolist() if len(paid) > 2 else None

    @cached_property
    def rewarded_above(self) -> float:
        """What a rewarded trial earned more than: 0 or, where all did or none, the mean."""
        some = self._earned > 0
        return 0.0 if some.any() and not some.all() else float(self._earned.mean())

    @cached_property
    def any_correct(self) -> bool:
        """Whether any choice was correct: of a bandit that takes points away, none was."""
        trials = read_sequences(self.X).padded
        return bool((trials.choice == trials.answer)[trials.told].any())

    @cached_property
    def _earned(self) -> Floats:
        trials = read_sequences(self.X).padded
        return trials.reward[trials.told]

    @property
    def since_restart(self) -> pd.Series | None:
        """The trial since learning began anew, in up to 20 steps; None where it never does."""
        identity = identity_of(self.X)
        if "restart" not in identity:
            return None
        trial = identity.groupby(["subject", "restart"], observed=True).cumcount()
        step = trial.max() // 20 + 1
        return (trial // step * step).rename("trial since learning began anew")


@dataclass(frozen=True)
class Picture:
    """A drawn figure, as PNG, and the table that it draws unless another picture has it."""

    png: bytes
    width: float  # inches
    alt: str
    table: pd.DataFrame | None = None
    kind: str = ""  # tells pictures of one exhibit apart, in names of files


@dataclass(frozen=True)
class Table:
    """A table as it is shown, and in full."""

    shown: pd.DataFrame
    table: pd.DataFrame


@dataclass(frozen=True)
class Note:
    """A sentence in place of what could not be made, or beside what could."""

    text: str


class Failure(Note):
    """What went wrong, where a picture or a table should be."""


@dataclass(frozen=True)
class Headline:
    """A sentence for the top of the report."""

    text: str


Part: TypeAlias = Picture | Table | Note | Headline
Maker: TypeAlias = Callable[[Model, Question], Iterator[Part]]


@dataclass(frozen=True)
class Exhibit:
    """One kind of picture or table; ``caption`` says how to read it, ``make`` makes it."""

    name: str  # of its files
    caption: str
    make: Maker
    needs: str = (
        ""  # "rule", "noise", "individuals", "learning" or "memory": what a model is to have
    )
    together: bool = False  # whether one picture shows all models, if each is one fit
    joined: bool = False  # whether the models' tables are put into one


@dataclass
class Shown:
    """An exhibit as made: its parts, each with the model that it is of (None: all)."""

    name: str
    caption: str
    parts: list[tuple[Model | None, Part]] = field(default_factory=list)


@dataclass
class Section:
    title: str
    exhibits: list[Shown] = field(default_factory=list)


def exhibit_models(exhibit: Exhibit, models: list[Model], question: Question) -> Shown:
    """Make an exhibit of every model; where that cannot be, a sentence says why."""
    shown = Shown(exhibit.name, exhibit.caption)
    if question.n_choices > 2:
        shown.caption = CAPTIONS.get(exhibit.name, exhibit.caption)
    if exhibit.together and all(len(model.all) == 1 for model in models):
        with suppress(Exception):  # one bad model must not lose the others: each by itself
            parts = exhibit.make(together(models), question)
            shown.parts = [(None, part) for part in parts]
            return shown
    for model in models:
        try:
            if reason := _lacks(model, exhibit.needs):
                parts = iter([Note(f"{model.name} {reason}.")])
            else:
                parts = exhibit.make(model, question)
            for part in parts:
                shown.parts.append((model, part))
        except DoesNotApply as why:
            return Shown(exhibit.name, "", [(None, Note(f"{why.reason}."))])
        except Exception as failure:  # one bad picture must not lose the others
            text = f"{exhibit.name} of {model.name} could not be made: {tell(failure)}"
            shown.parts.append((model, Failure(text)))
    if exhibit.joined and len(models) > 1:
        shown.parts = _joined(shown.parts)
    return shown


def _joined(parts: list[tuple[Model | None, Part]]) -> list[tuple[Model | None, Part]]:
    """Put the tables of all models into one."""
    tables = {model.name: part for model, part in parts if model and isinstance(part, Table)}
    others: list[tuple[Model | None, Part]] = [
        (model, part) for model, part in parts if not isinstance(part, Table)
    ]
    if not tables:
        return others

    def join(which: str) -> pd.DataFrame:
        by_model = {name: getattr(table, which) for name, table in tables.items()}
        return pd.concat(by_model, names=["model"]).reset_index("model")

    return [(None, Table(join("shown").fillna(""), join("table"))), *others]


def _lacks(model: Model, needs: str) -> str:
    if not needs:
        return ""
    if not model.rules:
        return "has no learning rule to look at"
    if needs == "noise":
        return "" if model.drifts else "has no process noise: its rule alone moves the weights"
    if needs == "individuals":
        return "" if model.varies else "has no subject effects: its animals share one rule"
    if needs != "rule" and not model.learns:
        return "does not learn: no trial changes its weights"
    if needs == "memory" and not model.remembers:
        return "has no memory of earlier trials: what came before shows in its weights alone"
    return ""


def of_two_rewards(question: Question) -> Iterator[Note]:
    """Say after which rewards updates are drawn, if after two of more."""
    if question.rewards:
        low, high = map(written, question.rewards)
        yield Note(
            f"Of all rewards that were earned, updates are drawn after two, {low} and {high}."
        )


def of_runs(question: Question) -> Iterator[Note]:
    """Say which trials count as rewarded, if not those above 0."""
    if bound := question.rewarded_above:
        yield Note(
            f"A trial counts as rewarded here if it earned more than the mean, {written(bound)}."
        )


def picture(figure: Any, alt: str, table: pd.DataFrame | None = None, kind: str = "") -> Picture:
    """Save and close a figure."""
    import matplotlib.pyplot as plt

    png = BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return Picture(png.getvalue(), figure.get_figwidth(), alt, table, kind)


def written(value: Any, spec: str = "") -> str:
    """Write a value for a reader: with few digits and a true minus, nothing where missing."""
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return ""
        return f"{value + 0.0:{spec}}".replace("-", "−") if spec else number(float(value))
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def as_written(table: pd.DataFrame, specs: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Write a table for a reader, some columns by formats of their own."""
    specs = specs or {}
    columns = {
        str(name): [written(value, specs.get(str(name), "")) for value in table[name]]
        for name in table
    }
    return pd.DataFrame(columns).rename(columns=lambda name: name.replace("_", " "))
