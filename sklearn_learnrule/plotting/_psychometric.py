"""Choices by stimulus, of animals and of models."""

from __future__ import annotations

from itertools import cycle
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.types import is_numeric_dtype
from scipy.stats import binomtest

from ..inspection import band, psychometric_table, read_fits
from ..metrics import chance_of
from ._display import Display
from ._style import (
    BLACK,
    COLORS,
    GREY,
    MODELS,
    choice_entries,
    choice_text,
    draw_line,
    grid,
    key,
    label_outer,
)
from ._tables import choice_colors, name_stimuli, split_choices, split_models

DASHES = {"linestyle": "", "marker": "_", "markersize": 9}  # there is nothing between two stimuli
MARKERS: tuple[dict[str, Any], ...] = (  # of several models, where colours are of choices
    {"marker": "_"},
    *({"marker": marker, "markersize": 5} for marker in "x+|^v"),
)
POINT: dict[str, Any] = {"color": BLACK, "marker": "o", "markersize": 2.5, "linestyle": ""}
MEASURES = ("fit", "subject", "choice", "n_trials", "animal", "model", "n_choices")


class PsychometricDisplay(Display):
    """How often the second class is chosen at each stimulus: animals' points, model's line.

    Of more than two choices, how often each is, a colour each; several models then differ in how
    their lines are dashed.

    Points are the shares of the animals' choices, all their trials alike, with their 95%
    binomial interval (Wilson's); lines, or dashes where there are but two stimuli, the mean
    predicted probability on the same trials. A stimulus that only some animals met is of these
    alone.

    Fits in a list give their mean and, as bands, their 2.5% and 97.5% percentiles; those in a
    dict are models of their own. Of the folds of a cross-validation, each animal has the
    prediction of the fit that has not seen it.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.psychometric_table`
    choice : str, default="second class"
        What the second class is called.

    Attributes
    ----------
    axes_ : array of matplotlib axes, one a panel, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> display = PsychometricDisplay.from_estimator(rule, X, y, by="session")
    >>> display.axes_[0].get_title(), display.axes_[0].get_ylabel()
    ('session 1', 'P(right)')
    """

    def __init__(self, table: pd.DataFrame, choice: str = "second class") -> None:
        self.table = table
        self.choice = choice

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        stimulus: str | None = None,
        by: str | pd.Series | None = None,
        by_subject: bool = False,
        max_panels: int = 8,
        ax: Any = None,
    ) -> Self:
        """Tabulate the choices and draw them.

        Parameters
        ----------
        {estimators}
        y : array-like of shape (n_rows,)
        stimulus, by : see :func:`~sklearn_learnrule.inspection.psychometric_table`
        by_subject, max_panels, ax : see :meth:`plot`
        """
        table = psychometric_table(estimators, X, y, stimulus=stimulus, by=by)
        second = read_fits(estimators)[0].estimator.classes_[1]
        text = choice_text(second)
        display = cls(table, text if isinstance(second, str) else f"choice = {text}")
        return display.plot(ax, by_subject=by_subject, max_panels=max_panels)

    def plot(self, ax: Any = None, *, by_subject: bool = False, max_panels: int = 8) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        by_subject : bool, default=False
            Whether each animal has a panel, of all its trials; else each part of the trials that
            the table tells apart, such as sessions, over all animals.
        max_panels : int, default=8
            If there are more, so many of them are drawn, evenly from first to last.
        """
        *parts, x = [name for name in map(str, self.table) if name not in MEASURES]
        panel_by = ["subject"] if by_subject else parts
        table, ticks = _numbered(self.table, x)
        curves = _choose(table, panel_by, max_panels)
        colors, models = self._styles(x)
        with grid(ax, len(curves), sharex=True, sharey=True) as axes:
            for panel, (title, curve) in zip(axes.flat, curves, strict=False):
                panel.set_title(title)
                panel.axhline(np.exp(chance_of(table)), color=GREY, linewidth=0.6, zorder=0)
                for choice, rows in split_choices(curve).items():
                    color = colors.get(choice)
                    _draw_animals(panel, rows, x, color or BLACK)
                    for model, fits in split_models(rows).items():
                        line = models[model] | ({"color": color} if color else {})
                        draw_line(panel, _model_bands(fits, x), x, **line)
                panel.set_ylim(-0.03, 1.03)
            name_stimuli(axes, ticks)
            label_outer(axes, x, "P(choice)" if colors else f"P({self.choice})")
            lines = ((model or "model", style) for model, style in models.items())
            key(axes, *choice_entries(colors), ("animals", POINT), *lines)
        return self._drawn_on(axes.flatten()[: len(curves)])

    def _styles(self, x: str) -> tuple[dict[Any, str], dict[str, dict[str, Any]]]:
        """Return the colour of each of more than two choices, and the line of each model."""
        colors = choice_colors(self.table)
        styles: list[dict[str, Any]]
        between = self.table[x].nunique() > 2 and is_numeric_dtype(self.table[x])
        if not colors:
            styles = [{"color": color, **({} if between else DASHES)} for color in COLORS]
        elif between:
            styles = [{"color": BLACK, "linestyle": line} for line in MODELS]
        else:
            styles = [{"color": BLACK, **DASHES, **marker} for marker in MARKERS]
        return colors, dict(zip(split_models(self.table), cycle(styles), strict=False))


def _numbered(table: pd.DataFrame, x: str) -> tuple[pd.DataFrame, dict[int, str]]:
    """Number the stimuli that are told in words, and return what each number is."""
    if is_numeric_dtype(table[x]):
        return table, {}
    stimuli = table[x].astype("category").cat
    return table.assign(**{x: stimuli.codes}), dict(enumerate(stimuli.categories))


def _choose(table: pd.DataFrame, by: list[str], max_panels: int) -> list[tuple[str, pd.DataFrame]]:
    """Return the titles and rows of the panels, evenly chosen if they are too many."""
    if not by:
        return [("", table)]
    (name,) = by
    values = table[name].drop_duplicates().sort_values().to_list()
    n_panels = min(len(values), max_panels)
    chosen = np.linspace(0, len(values) - 1, n_panels).round().astype(int)
    prefix = "" if name == "subject" else f"{name} "
    return [(f"{prefix}{values[i]}", table[table[name] == values[i]]) for i in chosen]


def _draw_animals(panel: Any, curve: pd.DataFrame, x: str, color: str) -> None:
    animals = curve[_fit_numbers(curve) == 0]  # once, whatever the number of fits
    n_chosen = (animals["animal"] * animals["n_trials"]).groupby(animals[x]).sum().round()
    n_trials = animals.groupby(x)["n_trials"].sum()
    tests = [binomtest(int(k), n) for k, n in zip(n_chosen, n_trials, strict=True)]
    limits = np.array([test.proportion_ci(method="wilson") for test in tests]).T  # (2, n)
    share = n_chosen / n_trials
    style = {"fmt": "o", "color": color, "markersize": 2.5, "elinewidth": 0.8}
    panel.errorbar(share.index, share, np.abs(limits - share.to_numpy()), **style)


def _model_bands(fits: pd.DataFrame, x: str) -> pd.DataFrame:
    """Return the mean predictions over all trials alike, with bands over refits."""
    fits = fits.assign(fit=_fit_numbers(fits), model=fits["model"] * fits["n_trials"])
    total = fits.groupby(["fit", x])[["model", "n_trials"]].sum()
    pooled = (total["model"] / total["n_trials"]).rename("model")
    return band(pooled.reset_index(), "model", by=x)


def _fit_numbers(curve: pd.DataFrame) -> pd.Series:
    """Number the fits of each animal: folds are one fit of all animals, refits are several."""
    cell = [name for name in curve if name not in ("fit", "n_trials", "animal", "model")]
    return curve.groupby(cell, observed=True).cumcount()
