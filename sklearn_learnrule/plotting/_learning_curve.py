"""Held-out log-likelihood by the number of animals that rules were fitted to."""

from __future__ import annotations

from itertools import cycle
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..inspection import band
from ..metrics import chance_of
from ..model_selection import animal_learning_curve, choose_reference
from ._display import Display, check_options, to_compare
from ._style import BAND, COLORS, GREY, Entry, draw_line, key, label_outer, panels

CELL = ["rule", "n_subjects"]


class LearningCurveDisplay(Display):
    """How well rules predict held-out animals, by the number of animals fitted.

    Lines are means over held-out animals, each of them averaged over draws of the animals fitted;
    bands are the means' 95% confidence intervals. Animals differ by more than rules do: so
    several rules have bands only where they are drawn relative to one of them. A rule that could
    not be fitted to every draw of some number of animals has no point there.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.model_selection.animal_learning_curve`

    Attributes
    ----------
    axes_ : array of the only matplotlib axes, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ConstantRuleEstimator, PredictMaxRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(8, 200, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "PredictMax": PredictMaxRuleEstimator()}
    >>> display = LearningCurveDisplay.from_estimator(
    ...     rules, X, y, cv=2, random_state=0, verbose=0
    ... )
    >>> display.ax_.get_xlabel(), [int(tick) for tick in display.ax_.get_xticks()]
    ('animals fitted', [2, 4])
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
        reference: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Fit the estimators to more and more animals, and draw.

        Parameters
        ----------
        {unfitted}
        reference, ax : see :meth:`plot`
        **options : of :func:`~sklearn_learnrule.model_selection.animal_learning_curve`
        """
        check_options(cls.from_estimator, animal_learning_curve, options)
        rules = to_compare(estimators, reference)
        table = animal_learning_curve(rules, X, y, **options)
        return cls(table).plot(ax, reference=reference)

    def plot(self, ax: Any = None, *, reference: str | None = None) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        reference : str or None, default=None
            The rule to draw the others relative to, animal by animal and draw by draw; None: draw
            log-likelihoods as they are.
        """
        table = self.table if reference is None else _relative(self.table, reference)
        failed = table[table["log_likelihood"].isna()].set_index(CELL).index
        table = table[~table.set_index(CELL).index.isin(failed)]
        most = 0 if reference is None else np.inf
        how: Any = {"by": CELL, "over": "subject", "interval": "t", "bounds": (-np.inf, most)}
        means = band(table, "log_likelihood", **how)
        rules = self.table["rule"].unique()
        opacity = BAND if reference is not None or len(rules) == 1 else 0
        entries: list[Entry] = []
        with panels(ax, height=1.8) as axes:
            panel = axes[0, 0]
            floor = chance_of(self.table) if reference is None else 0
            panel.axhline(floor, color=GREY, linewidth=0.6, zorder=0)
            for color, rule in zip(cycle(COLORS), rules, strict=False):
                line = {"color": color, "marker": "o", "markersize": 2.5}
                own = means[means["rule"] == rule].sort_values("n_subjects")
                draw_line(panel, own, "n_subjects", opacity=opacity, **line)
                entries.append((rule, line))
            sizes = sorted(self.table["n_subjects"].unique())
            panel.set_xscale("log", base=2)
            panel.set_xticks(sizes, [str(size) for size in sizes])
            panel.minorticks_off()
            relative = "" if reference is None else f"− {reference} "
            quantity = f"held-out log-likelihood\n{relative}(nats / trial)"
            label_outer(axes, "animals fitted", quantity)
            key(axes, *entries)
        return self._drawn_on(axes)


def _relative(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return each score minus the reference's on the same animal, after the same animals."""
    reference = choose_reference(table["rule"].unique(), reference)
    same = ["n_subjects", "repeat", "fold", "subject"]
    other = table[table["rule"] == reference].set_index(same)["log_likelihood"]
    values = table.set_index(same)["log_likelihood"] - other.reindex(table.set_index(same).index)
    return table.assign(log_likelihood=values.to_numpy())
