"""Would I see it? Which rule is found in cohorts that learn by a known one, and how well."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from ..recovery import RecoveryStudy
from ._display import Display
from ._fit import height_of, in_lines
from ._style import BLACK, BLUE, GREY, RED, key, panels

DOT = {"marker": "o", "linestyle": "", "markersize": 3}
MARKS = {
    "true rule selected": {**DOT, "color": BLUE},
    "another selected": {**DOT, "color": RED, "markerfacecolor": "none"},
    "not learning": {"marker": "|", "linestyle": "", "color": GREY, "markersize": 14},
}


class RecoveryDisplay(Display):
    """Selected against true rule, and how far the selected rule's updates are from the truth.

    Left, the numbers of cohorts and their shares of all with the same true rule. Right, a point
    a cohort: the root mean square error of the selected rule's update over the cohort's true
    states, with a bar at that of not learning at all, the mean over cohorts.

    Parameters
    ----------
    confusion : DataFrame, ``RecoveryStudy.confusion``
    selected : DataFrame, ``RecoveryStudy.selected``

    Attributes
    ----------
    axes_ : array of the two matplotlib axes, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import *
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> from sklearn_learnrule.recovery import recovery_study
    >>> X, y, _ = make_design(make_learning_cohort(4, 100, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "PredictMax": PredictMaxRuleEstimator()}
    >>> study = recovery_study(X, rules, y=y, n_repeats=1, random_state=0, cv=2, verbose=0)
    >>> display = RecoveryDisplay.from_study(study)
    >>> [label.get_text() for label in display.axes_[0].get_yticklabels()]
    ['constant', 'PredictMax']
    """

    def __init__(self, confusion: pd.DataFrame, selected: pd.DataFrame) -> None:
        self.confusion = confusion
        self.selected = selected

    @classmethod
    def from_study(cls, study: RecoveryStudy, *, ax: Any = None) -> Self:
        """Draw what :func:`~sklearn_learnrule.recovery.recovery_study` found."""
        return cls(study.confusion, study.selected).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the selections and the errors.

        Parameters
        ----------
        {ax}
        """
        height = height_of(list(map(in_lines, self.confusion.index)), 0.35)
        size: Any = {"figsize": (5.0, 1.0 + height), "height": height, "keep": 1.0}
        with panels(ax, 1, 2, sharey=True, **size) as axes:
            matrix, errors = axes[0]
            self._draw_matrix(matrix)
            self._draw_errors(errors)
            key(axes, *((name, {**mark, "markersize": 4}) for name, mark in MARKS.items()))
        return self._drawn_on(axes[0])

    def _draw_matrix(self, ax: Any) -> None:
        n_cohorts = self.selected.groupby("true_rule").size().reindex(self.confusion.index)
        shares = self.confusion.div(n_cohorts, axis=0).to_numpy()
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            count: Any = self.confusion.iat[row, column]
            text = f"{count}\n{share:.0%}" if count else "0"
            style = {"ha": "center", "va": "center", "fontsize": "small"}
            ax.text(column, row, text, color="white" if share > 0.5 else BLACK, **style)
        ticks = np.arange(len(self.confusion))
        names = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(ticks, list(map(in_lines, self.confusion.columns)), **names)
        ax.set_yticks(ticks, list(map(in_lines, self.confusion.index)))
        ax.set_xlabel("selected rule")
        ax.set_ylabel("true rule")

    def _draw_errors(self, ax: Any) -> None:
        for row, rule in enumerate(self.confusion.index):
            cohorts = self.selected[self.selected["true_rule"] == rule]
            found = cohorts["selected_rule"] == rule
            spread = np.linspace(-0.25, 0.25, len(cohorts)) if len(cohorts) > 1 else np.zeros(1)
            for name, which in (("true rule selected", found), ("another selected", ~found)):
                ax.plot(cohorts["rmse"][which], row + spread[which], **MARKS[name])
            ax.plot(cohorts["true_rms"].mean(), row, clip_on=False, **MARKS["not learning"])
        ax.set_xlim(left=0)
        ax.set_xlabel("RMSE of the update\n(weight per trial)")
