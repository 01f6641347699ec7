"""Where the rule alone would have brought the weights, and what noise has added, by animal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Self

import pandas as pd
from numpy.typing import ArrayLike

from ..inspection import weight_decomposition
from ._display import Display
from ._style import (
    BAND,
    BLACK,
    BLUE,
    GREY,
    PAGE,
    RED,
    Entry,
    choice_text,
    key,
    mark_starts,
    panels,
    starts_key,
    stretches,
)
from ._tables import choose_subjects, split_choices, split_models

LINES: dict[str, dict[str, Any]] = {  # of two widths, so that both are seen where they coincide
    "smoothed": {"color": BLACK, "linewidth": 1.2},
    "by_noise": {"color": RED, "linewidth": 0.5},
    "by_rule": {"color": BLUE, "linewidth": 1.0},
}
NINETY = 1.645  # standard deviations on either side of the mean
PANEL, HEIGHT = 2.2, 1.1  # inches


class DecompositionDisplay(Display):
    """The smoothed weights, and what of them is by the rule and by noise, by animal and weight.

    Black is the weight in force, with its 90% credible band; blue where the rule alone would have
    brought it from its start; red what noise has added, the difference. Ticks at the foot open
    sessions. Several fits of an animal are averaged; those in a dict are models of their own,
    with rows of their own, as each of more than two choices has.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.weight_decomposition`

    Attributes
    ----------
    axes_ : array of matplotlib axes (animals, weights), after :meth:`plot`
        Of more than two choices, a row each of an animal's.
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(3, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None, process_noise=0.05).fit(X, y)
    >>> display = DecompositionDisplay.from_estimator(rule, X, y)
    >>> display.axes_.shape
    (3, 2)
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        weight: str | None = None,
        subjects: Sequence[Any] | None = None,
        max_subjects: int = 4,
        ax: Any = None,
    ) -> Self:
        """Tabulate the weights' parts and draw them.

        Parameters
        ----------
        {estimators}
        y : array-like of shape (n_rows,)
        weight, subjects, max_subjects, ax : see :meth:`plot`
        """
        display = cls(weight_decomposition(estimators, X, y))
        return display.plot(ax, weight=weight, subjects=subjects, max_subjects=max_subjects)

    def plot(
        self,
        ax: Any = None,
        *,
        weight: str | None = None,
        subjects: Sequence[Any] | None = None,
        max_subjects: int = 4,
    ) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        weight : str or None, default=None
            The weight to draw; None: all, a column each.
        {subjects}
        """
        chosen, note = choose_subjects(self.table, subjects, max_subjects)
        weights = self._weights(weight)
        models = split_models(self.table)
        rows = list(product(models, chosen, split_choices(self.table)))
        size = (min(1.4 + PANEL * len(weights), PAGE), 0.7 + HEIGHT * len(rows))
        options: Any = {"figsize": size, "sharex": True, "sharey": "col"}
        with panels(ax, len(rows), len(weights), **options) as axes:
            for line, (model, subject, choice) in zip(axes, rows, strict=True):
                of_animal = models[model][models[model]["subject"] == subject]
                here = split_choices(of_animal)[choice]
                for panel, name in zip(line, weights, strict=True):
                    _draw(panel, here[here["weight"] == name])
                of_choice = "" if choice is None else f"\n{choice_text(choice)}"
                line[0].set_ylabel(f"{model}\n{subject}{of_choice}".strip())
            for panel, name in zip(axes[0], weights, strict=True):
                panel.set_title(name)
            for panel in axes[-1]:
                panel.set_xlabel("trial")
            key(axes, *_entries(self.table), title=note)
        return self._drawn_on(axes)

    def _weights(self, weight: str | None) -> list[str]:
        names = list(self.table["weight"].unique())
        if weight is not None and weight not in names:
            raise ValueError(f"weight should be one of {names}, got {weight!r}.")
        return names if weight is None else [weight]


def _draw(panel: Any, table: pd.DataFrame) -> None:
    """Draw one weight of an animal, averaged over its fits."""
    panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    mark_starts(panel, table)
    for rows in stretches(table):
        mean = rows.groupby("trial")[["std", *LINES]].mean()
        half = NINETY * mean["std"]
        edges = mean["smoothed"] - half, mean["smoothed"] + half
        panel.fill_between(mean.index, *edges, color=BLACK, alpha=BAND, linewidth=0)
        for name, line in LINES.items():
            panel.plot(mean.index, mean[name], **line)


def _entries(table: pd.DataFrame) -> list[Entry]:
    names = {"smoothed": "weight, 90% band", "by_rule": "by the rule", "by_noise": "by noise"}
    return [*((label, LINES[name]) for name, label in names.items()), *starts_key(table)]
