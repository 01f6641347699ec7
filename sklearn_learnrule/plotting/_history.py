"""The update after runs of rewarded and of unrewarded trials."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..data.schema import OF_CHOICE
from ..inspection import band, history_table
from ._display import Display, check_options
from ._style import (
    BLACK,
    BLUE,
    GAP,
    GREY,
    RED,
    Entry,
    draw_line,
    key,
    label_outer,
    outcome_entries,
    outcome_styles,
    panels,
)
from ._tables import (
    SOLID,
    mark_outcomes,
    name_stimuli,
    names_after,
    panels_of,
    split_models,
    stimulus_axis,
    update_column,
    update_label,
)

# Of two widths, so that both are seen where they coincide.
RUNS = {
    "rewarded": {"color": BLUE, "linewidth": 2.4, "markersize": 6},
    "unrewarded": {"color": RED, "linewidth": 1.0, "markersize": 3},
}
ANY_RUN = {"color": BLACK}
NO_MEMORY = "this rule has no memory"
SAME = 1e-9  # of the largest update: how far rounding may part updates that are the same


class HistoryDisplay(Display):
    """The weight update after a run of rewarded trials, and after one of unrewarded trials.

    A panel for each length of the run, or for each number of trials that it is moved back in
    time. The probe's weights are those of the table, 0 by default. Lines are solid for probes
    with a correct choice, dashed for errors or, where such choices are paid by chance, solid for
    the higher reward and dashed for the lower; of fewer than six stimuli, there are points, filled
    and open. A rule without memory is said to have none, in one panel with its update. Of more than
    two choices, the update is that of the weight of the choice made, less the mean over choices.

    Fits in a list give their mean and, as bands, their 2.5% and 97.5% percentiles; those in a
    dict are models of their own, with a row of panels each.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.history_table`

    Attributes
    ----------
    axes_ : array of matplotlib axes (models, panels), after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import RNNRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> how = {"memory_size": 4, "n_ensemble": 1, "random_state": 0, "mirror": False}
    >>> rule = RNNRuleEstimator(max_epochs=20, lr=0.01, **how).fit(X, y)
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
        y: ArrayLike | None = None,
        *,
        weight: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Tabulate the updates after runs and draw them.

        Parameters
        ----------
        {estimators}
        {y}
        weight, ax : see :meth:`plot`
        **options : of :func:`~sklearn_learnrule.inspection.history_table`
        """
        del y
        check_options(cls.from_estimator, history_table, options)
        return cls(history_table(estimators, X, **options)).plot(ax, weight=weight)

    def plot(self, ax: Any = None, *, weight: str | None = None) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        {weight}
        """
        table, outcomes = mark_outcomes(self.table)
        update = update_column(self.table, weight)
        shown, x, ticks = stimulus_axis(_of_choice_made(table))
        moved = shown["trials_back"].max() > 1
        cells, shape = panels_of(shown, ["trials_back", "length"], _trials_back if moved else _run)
        models = split_models(shown)
        remembers = {model: _remembers(table) for model, table in models.items()}
        by_model = dict(zip(models, np.reshape(range(len(cells)), shape), strict=True))
        n_columns = shape[1] if any(remembers.values()) else 1
        styles = outcome_styles(shown[x], ticks)
        with panels(ax, len(models), n_columns, sharex=True, sharey=True) as axes:
            for row, (model, places) in zip(axes, by_model.items(), strict=True):
                here = [cells[place] for place in places]
                if not remembers[model]:
                    here = [(f"{model}\n{NO_MEMORY}".strip(), here[0][1].assign(run=""))]
                for panel, (title, table) in zip(row, here, strict=False):
                    panel.set_title(title)
                    _draw(panel, table, x, update, styles)
                for spare in row[len(here) :]:
                    spare.set_axis_off()
            name_stimuli(axes, ticks)
            made = "\nof the choice made" if OF_CHOICE in shown else ""
            label_outer(axes, x, update_label(update, made))
            rewards = [GAP, *outcome_entries(styles, outcomes)]
            both = rewards if shown[SOLID].nunique() > 1 else []
            key(axes, *_entries(remembers.values()), *both, title="after a run")
        return self._drawn_on(axes)


def _of_choice_made(table: pd.DataFrame) -> pd.DataFrame:
    """Return the updates of the weights of the choice that was made, where each has weights."""
    return table[table["choice"] == table[OF_CHOICE]] if OF_CHOICE in table else table


def _remembers(table: pd.DataFrame) -> bool:
    """Return whether the update of some fit depends on what was before."""
    updates = [f"update_{name}" for name in names_after("update_", table)]
    cell = [name for name in table if name not in ("trials_back", "length", "run", *updates)]
    each = table.groupby(cell)[updates]
    return bool((each.max() - each.min() > SAME * table[updates].abs().max()).any(axis=None))


def _draw(panel: Any, table: pd.DataFrame, x: str, update: str, styles: dict[bool, Any]) -> None:
    panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    lines: Any = table.groupby(["run", SOLID, "choice"])
    for (run, solid, _), line in lines:
        style = {**styles[solid], **RUNS.get(run, ANY_RUN)}
        draw_line(panel, band(line, update, by=x), x, **style)


def _entries(remember: Collection[bool]) -> list[Entry]:
    """Return what the key tells, of models that remember and of others."""
    entries: list[Entry] = list(RUNS.items()) if any(remember) else []
    return entries if all(remember) else [*entries, ("any", ANY_RUN)]


def _run(back: int, length: int) -> str:
    del back
    return f"run of {length}"


def _trials_back(back: int, length: int) -> str:
    last = back + length - 1
    return f"{back} to {last} trials back" if length > 1 else f"{last} trials back"
