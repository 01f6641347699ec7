"""Who each animal is: its own numbers, beside those of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..inspection import subject_effects_table
from ..utils.texts import FACTORS, number, what_varies
from ._display import Display
from ._fit import height_of, in_lines
from ._style import COLORS, GREY, key, panels
from ._tables import group_colors, split_models

ROW = 0.13  # inches, of a named animal
CLOSE_ROW = 0.04  # of one among so many that none is named
MAX_HEIGHT = 6.5  # of names
LEAST = 1.0  # inches of a panel; and factors of 2 that it shows on either side
N_TICKS = 5  # of an axis of factors, at most
VALUES = ["mean", "lower", "upper"]
MARK: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 1.0}
TYPICAL: dict[str, Any] = {"color": GREY, "linewidth": 0.8}
LABELS = dict.fromkeys(FACTORS, "{}\n(× typical)") | {"shift": "{}\n(− typical)", "number": "{}"}


class SubjectEffectsDisplay(Display):
    """What is each animal's own, with 90% intervals: a panel an effect, a row an animal.

    Rows are sorted by the first effect, or another one, the largest on top; an animal has the same
    row in all panels. Parameters that are at least 0 are shown by the factor by which an animal's
    is above the typical animal's, on a logarithmic axis that shows half and twice at least; others
    by how far they lie above it. Where covariates tell what to expect of an animal, the typical one
    is that of the labels with which others are compared, and of mean numbers.

    Fits in a list are refits of one model, over which is averaged; those in a dict are models of
    their own, a row of panels each. Of the folds of a cross-validation, each animal is told of by
    the fit that has not seen it.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.subject_effects_table`

    Attributes
    ----------
    axes_ : array of matplotlib axes, one a model and effect, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    >>> sex = {"mouse_01": "m", "mouse_02": "f", "mouse_03": "f", "mouse_04": "m"}
    >>> display = SubjectEffectsDisplay.from_estimator(rule, X, y, groups=sex)
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['f', 'm', 'typical animal']
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike | None = None,
        *,
        groups: str | Mapping[Any, Any] | pd.Series | None = None,
        sort_by: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Tabulate who the animals are and draw it.

        Parameters
        ----------
        {estimators}
        y : Series or None, default=None
            The choices, of which X tells all but each animal's last.
        groups : str, mapping or Series by subject, or None, default=None
            A covariate of X, or the label of each animal, for the colour.
        sort_by, ax : see :meth:`plot`
        """
        table = subject_effects_table(estimators, X, y, groups=groups)
        return cls(table).plot(ax, sort_by=sort_by)

    def plot(self, ax: Any = None, *, sort_by: str | None = None) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        sort_by : str or None, default=None
            The effect to sort animals by; None: the first.
        """
        effects = list(self.table["effect"].unique())
        if sort_by is not None and sort_by not in effects:
            raise ValueError(f"sort_by should be one of {effects}, got {sort_by!r}.")
        models = split_models(self.table)
        animals = [in_lines(name) for name in self.table["subject"].unique()]
        wanted = height_of(animals, ROW)
        height = wanted if wanted <= MAX_HEIGHT else min(CLOSE_ROW * len(animals), MAX_HEIGHT)
        size: Any = {"height": max(height, LEAST), "keep": LEAST, "sharey": "row"}
        with panels(ax, len(models), len(effects), **size) as axes:
            given = axes[0, 0].get_window_extent().height / axes[0, 0].figure.dpi
            is_named = wanted <= (MAX_HEIGHT if ax is None else given)
            for row, (model, table) in zip(axes, models.items(), strict=True):
                own = [_of_effect(table, effect) for effect in effects]
                order = own[effects.index(sort_by) if sort_by else 0].sort_values("mean").index
                _name_rows(row[0], model, order, is_named)
                for panel, effect, values in zip(row, effects, own, strict=True):
                    self._draw(panel, effect, values.reindex(order))
            entries = [(str(group), {**MARK, "color": c}) for group, c in self._colors.items()]
            is_alone = len(effects) == 1
            key(axes, *entries, ("typical animal", TYPICAL), title="90% intervals", above=is_alone)
        return self._drawn_on(axes)

    @property
    def _colors(self) -> dict[Any, str]:
        """The colour of each group."""
        if "group" not in self.table:
            return {"an animal": COLORS[0]}
        return group_colors(self.table)

    def _draw(self, ax: Any, effect: str, own: pd.DataFrame) -> None:
        """Draw one effect, animals from below."""
        if own["mean"].isna().all():  # another model's
            ax.set_axis_off()
            return
        own = own.assign(row=np.arange(len(own)))
        kind = own["kind"].dropna().iloc[0]
        ax.axvline(1.0 if kind in FACTORS else 0.0, zorder=0, **TYPICAL)
        if kind in FACTORS:
            ax.set_xscale("log", base=2)
            own[VALUES] = np.exp(own[VALUES])
        for group, color in self._colors.items():
            some = own[own["group"] == group] if "group" in own else own
            ax.hlines(some["row"], some["lower"], some["upper"], color, linewidth=1.0)
            ax.plot(some["mean"], some["row"], **{**MARK, "color": color, "linestyle": ""})
        _scale(ax, kind, own)
        ax.set_xlabel(in_lines(LABELS[kind].format(what_varies(effect, kind))))


def _of_effect(table: pd.DataFrame, effect: str) -> pd.DataFrame:
    """Return one effect, a row an animal, averaged over fits."""
    animals = table["subject"].unique()
    table = table[table["effect"] == effect]
    by_animal = table.groupby("subject", sort=False)
    if (table["kind"] == "number").any() and (by_animal.size() > 1).any():
        raise ValueError(
            "Each fit makes something else of the numbers that a network reads, and no mean of "
            "several means anything: draw one fit, or several by name, in a dict."
        )
    kept = [name for name in ("kind", "group") if name in table]
    return by_animal[VALUES].mean().join(by_animal[kept].first()).reindex(animals)


def _name_rows(ax: Any, model: str, animals: pd.Index, is_named: bool) -> None:
    ax.set_ylim(-0.8, len(animals) - 0.2)
    names = [in_lines(name) for name in animals] if is_named else []
    ax.set_yticks(range(len(names)), names)
    what = "animal" if is_named else f"{len(animals)} animals"
    ax.set_ylabel(in_lines(f"{model}\n{what}".strip()))


def _scale(ax: Any, kind: str, own: pd.DataFrame) -> None:
    """Let animals that are all but alike look so, and write few numbers."""
    if kind not in FACTORS:
        ax.locator_params("x", nbins=4)
        return
    lowest, highest = np.log2(own["lower"].min()), np.log2(own["upper"].max())
    lowest, highest = min(lowest, -LEAST), max(highest, LEAST)
    margin = 0.05 * (highest - lowest)
    ax.set_xlim(2 ** (lowest - margin), 2 ** (highest + margin))
    step = 1
    while highest // step - -(-lowest // step) >= N_TICKS:
        step += 1
    ticks = 2.0 ** np.arange(step * np.ceil(lowest / step), highest + margin / 2, step)
    ax.set_xticks(ticks, [number(tick) for tick in ticks])
    ax.minorticks_off()
