"""Reading the tables: their models, their stimulus, their weights, their panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.schema import OF_CHOICE
from ..data.stimuli import are_indicators
from ..utils.texts import number, numbers, settings
from ._fit import in_lines
from ._style import COLORS, choice_text, ordered_colors

SOLID = "drawn solid"  # whether an update's line, or point, is solid
PLACE = "stimulus shown"  # its number, of stimuli that differ in several columns
MADE = "choice made"
NOT_STIMULI = {
    *("fit", "trials_back", "length", "run"),
    *("choice", OF_CHOICE, "answer", "reward", "correct", SOLID, "n_trials", "n_subjects"),
}
Panel = tuple[str, pd.DataFrame]


def names_after(prefix: str, table: pd.DataFrame) -> list[str]:
    """Return the rest of the columns that begin so."""
    columns = map(str, table)
    return [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]


def update_column(table: pd.DataFrame, weight: str | None) -> str:
    """Return the column of a weight's update, by default the first's."""
    names = names_after("update_", table)
    weight = names[0] if weight is None else weight
    if weight not in names:
        raise ValueError(f"weight should be one of {names}, got {weight!r}.")
    return f"update_{weight}"


def weight_label(name: str) -> str:
    return name if name == "bias" else f"{name} weight"


def update_label(column: str, of_choice: str = "") -> str:
    return f"change of {weight_label(column.removeprefix('update_'))}{of_choice}\nper trial"


def stimulus_axis(table: pd.DataFrame) -> tuple[pd.DataFrame, str, dict[int, str]]:
    """Return a table, the column for the x axis, and what is written there, if not numbers.

    Labels, and stimuli of more than two choices, may differ in several columns; these are numbered.
    Where nothing was shown, it is the choice that was made.
    """
    stimuli, varying = _stimuli(table)
    if not stimuli and OF_CHOICE not in table and "choice" in table:
        made, labels = pd.factorize(table["choice"], sort=True)
        return table.assign(**{MADE: made}), MADE, dict(enumerate(map(choice_text, labels)))
    if not stimuli:
        return table.assign(**{PLACE: 0}), PLACE, {0: "nothing"}
    one_by_one = OF_CHOICE not in table and not are_indicators(table[stimuli])
    if one_by_one or len(varying) < 2:
        return table, stimulus_column(table), {}
    each = table[varying].drop_duplicates().sort_values(varying, ascending=False)
    ticks = dict(enumerate(map(settings, each.to_dict("records"))))
    places = each.assign(**{PLACE: range(len(each))})
    numbered = table.merge(places, how="left", on=varying)
    return numbered, PLACE, ticks


def name_stimuli(axes: NDArray[Any], ticks: dict[int, str]) -> None:
    """Write the names of stimuli that are numbered."""
    if ticks:
        for panel in axes.flat:
            panel.set_xticks(list(ticks), [in_lines(text) for text in ticks.values()], rotation=90)
            panel.set_xlim(-0.5, len(ticks) - 0.5)


def _stimuli(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the columns of stimuli, and those that vary."""
    weights = names_after("update_", table)
    others = NOT_STIMULI | {f"{kind}_{name}" for name in weights for kind in ("weight", "update")}
    stimuli = [name for name in map(str, table) if name not in others]
    return stimuli, [name for name in stimuli if table[name].nunique() > 1]


def stimulus_column(table: pd.DataFrame) -> str:
    """Return the column of the stimulus that varies."""
    stimuli, varying = _stimuli(table)
    if len(varying) > 1:
        raise ValueError(
            f"One stimulus can be on the x axis, but {varying} vary: hold all but one at a single "
            "value."
        )
    return (varying or stimuli)[0]


def mark_outcomes(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[bool, str]]:
    """Return the rows to draw, marked by ``SOLID``, and what the solid and the others are after.

    A correct choice and an error or, where choices that are alike correct earned two rewards, as by
    chance, the higher reward, of a correct choice if it has one, and the lower, of an error. Where
    nothing was shown, what each earned is said instead.
    """
    if (earned := table.groupby("correct")["reward"].unique()).str.len().eq(1).all():
        texts = {True: "correct", False: "error"}
        if not _stimuli(table)[0]:
            texts = {kind: f"reward {number(earned[kind][0])}" for kind in texts if kind in earned}
        return table.assign(**{SOLID: table["correct"]}), texts
    rewards = sorted(table["reward"].unique().tolist())
    if len(rewards) > 2:
        raise ValueError(
            f"Updates after two rewards can be drawn, but the table has {rewards}: name two, such "
            f"as rewards={rewards[:: len(rewards) - 1]}, or keep the rows of two."
        )
    parts = []
    for reward, solid in zip(rewards, (False, True), strict=True):
        paid = table[table["reward"] == reward].assign(**{SOLID: solid})
        usual = paid[paid["correct"] == solid]
        parts.append(usual if len(usual) else paid)
    texts = {True: f"reward {number(rewards[1])}", False: f"reward {number(rewards[0])}"}
    return pd.concat(parts).sort_index(), texts


def of_one_answer(line: pd.DataFrame, x: str) -> list[pd.DataFrame]:
    """Split a line where, of more than two choices, another is correct, so that it breaks there."""
    if "answer" not in line:
        return [line]
    answers = line.drop_duplicates(x).sort_values(x).set_index(x)["answer"]
    codes = pd.factorize(answers)[0]
    piece = np.cumsum(np.diff(codes, prepend=codes[0]) != 0)
    return [
        rows for _, rows in line.groupby(line[x].map(dict(zip(answers.index, piece, strict=True))))
    ]


def check_one_setting(table: pd.DataFrame, by: list[str]) -> None:
    """Raise where weights of more than two choices have several values before the update."""
    weights = [f"weight_{name}" for name in names_after("update_", table)]
    if (table.groupby(by)[weights].nunique() > 1).any(axis=None):
        raise ValueError(
            "Of more than two choices, weights can be drawn at one value each, but the table "
            "has several: give one of each, weights={(choice, weight): value}."
        )


def choose_subjects(
    table: pd.DataFrame, subjects: Sequence[Any] | None, max_subjects: int
) -> tuple[list[Any], str]:
    """Return the animals to draw, by default the first, and a note if there are others."""
    there = list(table["subject"].unique())
    chosen = there[:max_subjects] if subjects is None else list(subjects)
    if unknown := [subject for subject in chosen if subject not in there]:
        raise ValueError(f"subjects should be some of {there}, got {unknown[0]!r}.")
    return chosen, f"{len(chosen)} of {len(there)} animals" if len(chosen) < len(there) else ""


def split_models(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split a table by the names of its fits, which are models; numbered ones are refits of one."""
    if all(isinstance(name, str) for name in table["fit"]):
        return {str(name): fits for name, fits in table.groupby("fit", sort=False)}
    return {"": table}


def split_choices(table: pd.DataFrame, by: str = "choice") -> dict[Any, pd.DataFrame]:
    """Split a table by its choices, if it has rows for each of more than two."""
    if by not in table:
        return {None: table}
    return dict(iter(table.groupby(by, sort=False)))


def choice_colors(table: pd.DataFrame, by: str = "choice") -> dict[Any, str]:
    """Return a colour for each choice, if a table has rows for each of more than two."""
    choices = list(table[by].unique()) if by in table else []
    few = len(choices) <= len(COLORS)
    return dict(zip(choices, COLORS if few else ordered_colors(len(choices)), strict=False))


def group_colors(table: pd.DataFrame) -> dict[Any, str]:
    """Return a colour for each group of animals."""
    groups = pd.Categorical(table["group"]).categories
    if len(groups) > len(COLORS):
        raise ValueError(
            f"groups should be {len(COLORS)} at most, a colour each, but are {len(groups)}: "
            "put animals into fewer, such as by pandas.cut."
        )
    return dict(zip(groups, COLORS, strict=False))


def panels_of(
    table: pd.DataFrame, by: list[str], title: Callable[..., str]
) -> tuple[list[Panel], tuple[int, int]]:
    """Split a table into titled panels, a row a model, and return how many rows and columns."""
    models = split_models(table)
    cells: list[Panel] = []
    for model, fits in models.items():
        groups: Any = fits.groupby(by) if by else [((), fits)]
        cells += [(f"{model}\n{title(*values)}".strip(), here) for values, here in groups]
    return cells, (len(models), len(cells) // len(models))


def panels_of_weights(
    table: pd.DataFrame, columns: list[str]
) -> tuple[list[Panel], tuple[int, int]]:
    """Split a table into panels, one a value of these weights before the update."""
    texts = {}
    for column in columns:
        values, name = table[column].unique().tolist(), column.removeprefix("weight_")
        texts[column] = {v: f"{name} = {t}" for v, t in zip(values, numbers(values), strict=True)}

    def title(*values: float) -> str:
        return ", ".join(texts[c][v] for c, v in zip(columns, values, strict=True))

    return panels_of(table, columns, title)
