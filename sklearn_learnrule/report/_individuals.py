"""The exhibits of individuals: who each animal is, how far animals differ, and groups of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..data.covariates import covariate_name, read_label
from ..data.schema import DESIGN
from ..inspection import GroupComparison, compare_groups
from ..models.effects import LOG_LEAST
from ..plotting import SubjectEffectsDisplay, SubjectUpdateDisplay
from ..utils.texts import FACTORS, number, what_varies
from ._models import Model, tell
from ._parts import (
    Exhibit,
    Headline,
    Note,
    Part,
    Question,
    Table,
    as_written,
    of_two_rewards,
    picture,
    written,
)

VALUES = ["mean", "lower", "upper"]
RELATIVE = dict.fromkeys(FACTORS, "{} (× typical)") | {"shift": "{} (− typical)", "number": "{}"}
N_SHUFFLES = 199  # of animals, where nothing is fitted again


def _who(model: Model, question: Question) -> Iterator[Part]:
    display = SubjectEffectsDisplay.from_estimator(model.fits, question.X, question.y)
    spreads = _spreads(model, display.table.groupby("effect", sort=False)["kind"].first())
    yield from map(Headline, spreads[:1])
    yield from map(Note, spreads)
    yield picture(display.figure_, "Parameters of each animal, relative to the typical animal")
    yield Table(_in_words(display.table), display.table)


def _spreads(model: Model, kinds: pd.Series) -> list[str]:
    """Say how far animals lie apart, effect by effect, where that was fitted."""
    if not all(hasattr(fit.final, "subject_effects_std_") for fit in model.all):
        return []
    spreads = np.mean([fit.final.subject_effects_std_ for fit in model.all], 0)
    informed = bool(DESIGN.covariates(model.X))
    return [
        f"{model.name}: {_spread(str(effect), kind, float(spread), informed=informed)}"
        for (effect, kind), spread in zip(kinds.items(), spreads, strict=True)
    ]


def _spread(effect: str, kind: str, spread: float, *, informed: bool) -> str:
    """Say what a standard deviation over animals means: one in six lies more than that above."""
    typical = "typical of its covariates" if informed else "typical"
    if kind == "shift":
        return (
            f"the {effect} of one animal in six lies more than {number(spread)} above what is "
            f"{typical}, of one in six as far below."
        )
    more, less = (written(np.exp(sign * spread), ".2f") for sign in (1, -1))
    if spread < 1.1 * np.exp(LOG_LEAST):
        alike = " of the same covariates" if informed else ""
        return f"animals{alike} do not differ in {effect}, as far as these choices tell."
    if effect == "learning_rate" and kind == "factor":
        return (
            f"one animal in six learns more than {more} times as fast as is {typical}, one in six "
            f"less than {less} times."
        )
    return (
        f"the {what_varies(effect, kind)} of one animal in six is more than {more} times what is "
        f"{typical}, of one in six less than {less} times."
    )


def _in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Write each animal's effects with their intervals, a column an effect."""
    own = table.groupby(["subject", "effect", "kind"], sort=False)[VALUES].mean()  # of fits
    is_factor = own.index.get_level_values("kind").isin(FACTORS)
    own[is_factor] = np.exp(own[is_factor])
    texts = ["{} [{},\u00a0{}]".format(*map(number, row)) for row in own.to_numpy()]
    shown = pd.Series(texts, own.index).unstack(["effect", "kind"], sort=False)
    shown.columns = shown.columns.map(
        lambda column: RELATIVE[column[1]].format(what_varies(*column))
    )
    return as_written(shown.rename_axis(index="animal").reset_index())


def _groups(model: Model, question: Question) -> Iterator[Part]:
    names = dict.fromkeys(map(covariate_name, DESIGN.covariates(question.X)))
    if not names:
        yield Note("X has no covariates to tell groups by: make_design(..., covariates=[...]).")
        return
    compared: dict[str, GroupComparison] = {}
    for name in names:
        try:
            compared[name] = found = _compare(model, question, name)
        except ValueError as failure:  # one that cannot be compared must not lose the others
            yield Note(f"{name}: {tell(failure)}")
            continue
        yield from (part(f"{model.name}, {name}: {_outcome(found)}") for part in (Headline, Note))
    tables = [found.table for found in compared.values() if len(found.table)]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        yield Table(as_written(table, {"p": ".2g"}), table)
    if compared:
        yield from of_two_rewards(question)
    for name, found in compared.items():
        figure = SubjectUpdateDisplay(found.updates).plot().figure_
        yield picture(figure, f"Update of a weight by stimulus and {name}", found.updates, name)


def _compare(model: Model, question: Question, name: str) -> GroupComparison:
    return compare_groups(
        model.candidate,
        question.X,
        question.y,
        name,
        rewards=question.rewards,
        n_permutations=0 if hasattr(model.first.final, "summary_") else N_SHUFFLES,
        random_state=question.random_state,
        verbose=question.verbose,
    )


def _outcome(found: GroupComparison) -> str:
    """Say whether animals differ, and by how much in what varies first."""
    if found.table.empty:
        p = written(found.updates_p_value, ".2g")
        return f"by their updates, groups of shuffled animals differ as much with p = {p}."
    p = written(found.p_value, ".2g")
    parameter = found.table["parameter"].iloc[0]
    rows = found.table[found.table["parameter"] == parameter]
    each = ", ".join(_difference(row) for _, row in rows.iterrows())
    what = what_varies(parameter, rows["kind"].iloc[0])
    return f"the {what} {each}; likelihood ratio: p = {p}."


def _difference(row: pd.Series) -> str:
    """Say by how much the animals of a label differ, or those of a unit more."""
    limits, is_factor = row[["lower", "upper"]].to_numpy(dtype=float), not np.isnan(row["factor"])
    size = number(row["factor" if is_factor else "difference"])
    between = " to ".join(map(number, np.exp(limits) if is_factor else limits))
    label = read_label(row["covariate"])
    if label is None:
        told = f"is {size} {'times as large' if is_factor else 'higher'} with each unit"
    else:
        than = f"{'times' if is_factor else 'above'} that of {label.reference}"
        told = f"of {label.label} is {size} {than}"
    return f"{told} (95% interval {between})"


INDIVIDUALS = Exhibit(
    "individuals",
    "What is each animal's own, as all its choices tell, with 90% intervals: how many times the "
    "typical animal's its parameter is, or by how much it lies above it. Where choices tell "
    "little, an animal is drawn to what is typical.",
    _who,
    "individuals",
)
GROUPS = Exhibit(
    "groups",
    "By what parameters differ with each covariate, others being equal: from the animals of the "
    "label named last, or by a unit of a number; of what is at least 0 in logarithms, and as a "
    "factor. Lower and upper are 95% intervals and p is Wald's, of one number at a time; the "
    "likelihood ratio asks of all that vary at once, by fits with and without the covariate. "
    "Pictures show by what update of the first weight each group learns, on average over animals "
    "with 90% intervals, by a fit that does not know the groups: solid or filled after a correct "
    "choice, dashed or open after an error (if these are paid by chance, after the higher reward "
    "and the lower, as the key says).",
    _groups,
    "individuals",
    joined=True,
)
