"""The policy's weights over trials, animal by animal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, product
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from ..data.schema import weight_columns
from ..inspection import band, weight_trajectories
from ..rules import Policy
from ..utils.texts import short
from ._display import Display
from ._style import (
    BLACK,
    COLORS,
    GREY,
    MODELS,
    Entry,
    choice_entries,
    draw_line,
    grid,
    key,
    label_outer,
    mark_starts,
    panels,
    starts_key,
    stretches,
)
from ._tables import choice_colors, choose_subjects, names_after, split_models, weight_label

MAX_PANELS = 48
STILL = 1e-6  # a weight that moves by less than this share of the one that moves most
STYLES = [{"color": color, "linestyle": dashes} for dashes in MODELS for color in COLORS]
TRUTH = {"color": BLACK, "linewidth": 0.6}


class WeightTrajectoryDisplay(Display):
    """The policy weights before each choice, a panel an animal; ticks at its foot open sessions.

    Of more than two choices, a line for each one's weight, less their mean over choices, and a row
    of panels an animal with one for each weight; several models differ in how lines are dashed.
    Of these there are at most 48 panels, unless ``subjects`` names more animals.

    Where learning begins anew (``restart=`` of make_design), lines break at a dotted one.

    Fits in a list give their mean and, as bands, their 2.5% and 97.5% percentiles; those in a
    dict are models of their own, of which one weight is drawn. Of the folds of a
    cross-validation, each animal has the weights of the fit that has not seen it.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.weight_trajectories`
    truth : DataFrame or None, default=None
        The true weights of simulated animals, with index and columns as of ``predict_weights``;
        of more than two choices, columns of others raise a ValueError.

    Attributes
    ----------
    axes_ : array of matplotlib axes, one an animal, after :meth:`plot`
        Of more than two choices (animals, weights).
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> trials, weights = make_learning_cohort(3, 200, random_state=0, return_weights=True)
    >>> X, y, _ = make_design(trials)
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> display = WeightTrajectoryDisplay.from_estimator(rule, X, truth=weights)
    >>> [panel.get_title() for panel in display.axes_]
    ['mouse_01', 'mouse_02', 'mouse_03']
    """

    def __init__(self, table: pd.DataFrame, truth: pd.DataFrame | None = None) -> None:
        self.table = table
        self.truth = truth

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike | None = None,
        *,
        truth: pd.DataFrame | None = None,
        weight: str | None = None,
        subjects: Sequence[Any] | None = None,
        max_subjects: int = 12,
        ax: Any = None,
    ) -> Self:
        """Tabulate the weights and draw them.

        Parameters
        ----------
        {estimators}
        {y}
        truth : see :class:`WeightTrajectoryDisplay`
        weight, subjects, max_subjects, ax : see :meth:`plot`
        """
        del y
        display = cls(weight_trajectories(estimators, X), truth)
        return display.plot(ax, weight=weight, subjects=subjects, max_subjects=max_subjects)

    def plot(
        self,
        ax: Any = None,
        *,
        weight: str | None = None,
        subjects: Sequence[Any] | None = None,
        max_subjects: int = 12,
    ) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        weight : str or None, default=None
            The weight to draw; None: all, or of several models the first.
        {subjects}
        """
        models, weights = list(split_models(self.table)), self._weights(weight)
        if "choice" in self.table:
            max_subjects = min(max_subjects, max(1, MAX_PANELS // len(weights)))
        chosen, note = choose_subjects(self.table, subjects, max_subjects)
        if "choice" in self.table:
            return self._plot_choices(ax, chosen, weights, note)
        lines = dict(zip(product(models, weights), cycle(STYLES), strict=False))
        label = "policy weight" if len(weights) > 1 else weight_label(weights[0])
        entries: list[Entry] = [
            (model if len(models) > 1 else name, line) for (model, name), line in lines.items()
        ]
        entries += [] if self.truth is None else [("truth", TRUTH)]
        entries += starts_key(self.table)
        with grid(ax, len(chosen), height=1.2, sharex=True, sharey=True) as axes:
            for panel, subject in zip(axes.flat, chosen, strict=False):
                panel.set_title(subject)
                self._draw(panel, subject, lines)
            label_outer(axes, "trial", label)
            key(axes, *entries, title=note)
        return self._drawn_on(axes.flatten()[: len(chosen)])

    def _plot_choices(self, ax: Any, chosen: list[Any], weights: list[str], note: str) -> Self:
        """Draw each choice's weights, a row of panels an animal and one for each weight."""
        colors, models = choice_colors(self.table), list(split_models(self.table))
        lines = {
            (model, choice): {"color": color, "linestyle": style, "linewidth": 0.8}
            for model, style in zip(models, cycle(MODELS), strict=False)
            for choice, color in colors.items()
        }
        truth = None if self.truth is None else _of_each(self.truth, self.table, list(colors))
        entries = choice_entries(colors)
        if len(models) > 1:
            dashes = zip(models, cycle(MODELS), strict=False)
            entries += [(model, {"color": BLACK, "linestyle": style}) for model, style in dashes]
        entries += [] if truth is None else [("truth", TRUTH)]
        size: Any = {"height": 1.2, "sharex": True, "sharey": "col"}
        with panels(ax, len(chosen), len(weights), **size) as axes:
            for row, subject in zip(axes, chosen, strict=True):
                here = self.table[self.table["subject"] == subject]
                for panel, name in zip(row, weights, strict=True):
                    _draw_choices(panel, here, name, lines)
                    if truth is not None:
                        _draw_truth(panel, truth, subject, name)
                row[0].set_ylabel(str(subject))
            _keep_still(axes)
            for panel, name in zip(axes[0], weights, strict=True):
                panel.set_title(weight_label(name))
            for panel in axes[-1]:
                panel.set_xlabel("trial")
            key(axes, *entries, *starts_key(self.table), title=note)
        return self._drawn_on(axes)

    def _weights(self, weight: str | None) -> list[str]:
        names = names_after("weight_", self.table)
        if weight is None:
            return names if len(split_models(self.table)) == 1 else names[:1]
        if weight not in names:
            raise ValueError(f"weight should be one of {names}, got {weight!r}.")
        return [weight]

    def _draw(self, panel: Any, subject: Any, lines: dict[tuple[str, str], Any]) -> None:
        panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        here = self.table[self.table["subject"] == subject]
        models = split_models(here)
        for (model, name), line in reversed(lines.items()):  # the first on top
            for rows in stretches(models[model]):
                bands = band(rows, f"weight_{name}", by="trial")
                draw_line(panel, bands, "trial", linewidth=0.8, **line)
        if self.truth is not None:
            true = self.truth.xs(subject, level="subject").reset_index()
            for rows in stretches(true):
                panel.plot(rows["trial"], rows[list({name for _, name in lines})], **TRUTH)
        mark_starts(panel, here)


def _of_each(truth: pd.DataFrame, table: pd.DataFrame, choices: list[Any]) -> pd.DataFrame:
    """Return each choice's true weights less their mean, as a table of fits has them."""
    names = names_after("weight_", table)
    given, expected = truth.columns.tolist(), weight_columns(names, choices).tolist()
    if sorted(given, key=str) != sorted(expected, key=str):
        raise ValueError(
            f"truth should have the columns of predict_weights, {short(expected)}, but has "
            f"{short(given)}."
        )
    weights = torch.tensor(truth[expected].to_numpy(dtype=float))
    of_each = Policy(len(choices)).of_each(weights).numpy()
    both = pd.MultiIndex.from_product([choices, names], names=["choice", "weight"])
    return pd.DataFrame(of_each, truth.index, both)


def _draw_choices(
    panel: Any, here: pd.DataFrame, name: str, lines: dict[tuple[str, Any], dict[str, Any]]
) -> None:
    """Draw one weight of an animal, a line for each model and choice."""
    panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    models = split_models(here)
    for (model, choice), line in lines.items():
        for rows in stretches(models[model][models[model]["choice"] == choice]):
            draw_line(panel, band(rows, f"weight_{name}", by="trial"), "trial", **line)
    mark_starts(panel, here)


def _keep_still(axes: NDArray[Any]) -> None:
    """Draw weights that do not move but for rounding on the scale of the one that moves most."""
    scales = [column[0].get_ylim() for column in axes.T]
    spans = np.ptp(scales, axis=1)
    for column in axes.T[spans < STILL * spans.max()]:
        for panel in column:
            panel.set_ylim(scales[spans.argmax()])


def _draw_truth(panel: Any, truth: pd.DataFrame, subject: Any, name: str) -> None:
    own: Any = truth.xs(name, axis=1, level="weight").xs(subject, level="subject")
    for rows in stretches(own.reset_index()):
        trials = rows.pop("trial")
        panel.plot(trials, rows.drop(columns=["session", "restart"], errors="ignore"), **TRUTH)
