"""The update after runs of rewarded and of unrewarded trials."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..inspection import band, history_table
from ._style import BLUE, GREY, LINE_STYLES, RED, draw_line, key, label_outer, panels
from ._tables import (
    check_outcomes,
    panels_of,
    stimulus_column,
    update_column,
    update_label,
)

# Of two widths, so that both are seen where they coincide.
REWARDED = {"color": BLUE, "linewidth": 2.4}
UNREWARDED = {"color": RED, "linewidth": 1.0}


class HistoryDisplay:
    """The weight update after a run of rewarded trials, and after one of unrewarded trials.

    A panel for each length of the run, or for each number of trials that it is moved back in
    time. The probe's weights are those of the table, 0 by default. Lines are solid for probes
    with a correct choice, dashed for errors. Of a rule without memory, the two lines coincide.

    Fits in a list give their mean and, as bands, their 2.5% and 97.5% percentiles; those in a
    dict are models of their own, with a row of panels each.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.history_table`

    Attributes
    ----------
    axes_, figure_ : array of matplotlib axes (models, panels) and the figure, after :meth:`plot`

    Examples
    --------
    >>> from sklearn_learnrule import RNNRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = RNNRuleEstimator(memory_size=4, max_epochs=2, random_state=0).fit(X, y)
    >>> display = HistoryDisplay.from_estimator(rule, X, lengths=[4], trials_back=[1, 7])
    >>> [panel.get_title() for panel in display.axes_.flat]
    ['1 to 4 trials back', '7 to 10 trials back']
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        *,
        weight: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> HistoryDisplay:
        """Tabulate the updates after runs and draw them.

        Parameters
        ----------
        estimators, X, **options : see :func:`~sklearn_learnrule.inspection.history_table`
        weight, ax : see :meth:`plot`
        """
        return cls(history_table(estimators, X, **options)).plot(ax, weight=weight)

    def plot(self, ax: Any = None, *, weight: str | None = None) -> HistoryDisplay:
        """Draw the table.

        Parameters
        ----------
        ax : matplotlib axes, array of as many as there are panels, or None for a new figure
        weight : str or None, default=None
            The weight whose update to draw; None: the first.
        """
        check_outcomes(self.table)
        x, update = stimulus_column(self.table), update_column(self.table, weight)
        moved = self.table["trials_back"].max() > 1
        cells, shape = panels_of(
            self.table, ["trials_back", "length"], _trials_back if moved else _run
        )
        with panels(ax, *shape, sharex=True, sharey=True) as axes:
            for panel, (title, table) in zip(axes.flat, cells, strict=True):
                panel.set_title(title)
                panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
                lines: Any = table.groupby(["run", "correct", "choice"])
                for (run, correct, _), line in lines:
                    style: Any = REWARDED if run == "rewarded" else UNREWARDED
                    dashes = LINE_STYLES[correct]
                    draw_line(panel, band(line, update, by=x), x, linestyle=dashes, **style)
            label_outer(axes, x, update_label(update))
            key(axes, ("rewarded", REWARDED), ("unrewarded", UNREWARDED), title="after a run")
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        return self


def _run(back: int, length: int) -> str:
    del back
    return f"run of {length}"


def _trials_back(back: int, length: int) -> str:
    last = back + length - 1
    return f"{back} to {last} trials back" if length > 1 else f"{last} trials back"
