"""The update as a function of the stimulus and of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..data.schema import DESIGN, OF_CHOICE
from ..inspection import band, read_fits, update_table, weight_trajectories
from ..utils.arrays import evenly
from ..utils.does_not_apply import two_choices_only
from ..utils.texts import number, numbers
from ._display import Display, check_options
from ._fit import in_lines
from ._style import (
    BLACK,
    COARSE,
    FAINT,
    GAP,
    GREY,
    Entry,
    choice_entries,
    choice_text,
    draw_line,
    key,
    label_outer,
    ordered_colors,
    outcome_entries,
    outcome_styles,
    panels,
)
from ._tables import (
    SOLID,
    check_one_setting,
    choice_colors,
    mark_outcomes,
    name_stimuli,
    names_after,
    of_one_answer,
    panels_of,
    panels_of_weights,
    stimulus_axis,
    update_column,
    update_label,
    weight_label,
)

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable

KINDS = ("slices", "heatmap")
HEATMAP = "A heatmap of updates"
N_STIMULI = N_HEATMAP_WEIGHTS = 21
N_BANDS = 3
SLICE_BAND = 0.12  # opacity; there are many


class UpdateDisplay(Display):
    """The weight update by stimulus, weights and outcome: the learning rule in one picture.

    "slices": a line for each value of the weight that varies first, solid after a correct choice,
    dashed after an error; of fewer than six stimuli, points, filled and open; a panel for each
    value of the others, as the bias. "heatmap": the update after a correct choice by stimulus and
    weight. Where choices are paid by chance, solid is after the higher of two rewards, of correct
    choices, dashed after the lower, of errors. Where nothing was shown, points stand above the
    choice that was made.

    Where no animal in X has been, lines are faint and heatmaps hatched: there, the rule is
    extrapolated. Fits in a list give their mean and, as bands, their 2.5% and 97.5%
    percentiles; those in a dict are models of their own, with a row of panels each.

    Of more than two choices, there are slices alone: a panel for the choice that was made, a line
    for the weight of each, less their mean over choices, with weights before at one value each.
    After an error, that of the others is correct which is so most often: where another is, along
    the stimuli, lines break, and one stimulus alone has a point, open after an error.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.update_table`

    Attributes
    ----------
    axes_ : array of matplotlib axes (models, panels), after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> display = UpdateDisplay.from_estimator(rule, X, weights={"bias": [-0.5, 0, 0.5]})
    >>> [panel.get_title() for panel in display.axes_.flat]
    ['bias = −0.5', 'bias = 0', 'bias = 0.5']
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
        kind: str = "slices",
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Tabulate the update and draw it.

        Parameters
        ----------
        {estimators}
        {y}
        weight, kind, ax : see :meth:`plot`
        **options : of :func:`~sklearn_learnrule.inspection.update_table`
            By default, slices have 21 stimuli beside those in X, so that lines are smooth (none if
            X has fewer than six), and of refits three values of the first weight, whose bands can
            be told apart; heatmaps 21.
        """
        del y
        check_options(cls.from_estimator, update_table, options)
        n_choices = read_fits(estimators)[0].n_choices
        if n_choices > 2:
            return cls(update_table(estimators, X, **options)).plot(ax, weight=weight, kind=kind)
        n_weights = N_HEATMAP_WEIGHTS if kind == "heatmap" else _n_slices(estimators)
        if n_weights:
            spread = _spread_weights(estimators, X, n_weights)
            options["weights"] = spread | dict(options.get("weights") or {})
        if kind == "slices" and options.get("stimuli") is None:
            table = _fine_table(estimators, X, **options)
        else:
            table = update_table(estimators, X, **options)
        return cls(table).plot(ax, weight=weight, kind=kind)

    def plot(self, ax: Any = None, *, weight: str | None = None, kind: str = "slices") -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        {weight}
        kind : "slices" or "heatmap"
        """
        if kind not in KINDS:
            raise ValueError(f"kind should be one of {KINDS}, got {kind!r}.")
        table, outcomes = mark_outcomes(self.table)
        if OF_CHOICE in table:
            if kind == "heatmap":
                two_choices_only(table[OF_CHOICE].nunique(), HEATMAP, "kind='slices'")
            return self._plot_choices(ax, table, update_column(table, weight), outcomes)
        (shown, x, ticks), update = stimulus_axis(table), update_column(table, weight)
        main, *others = _varying_weights(table)
        cells, shape = panels_of_weights(shown, others)
        draw = _draw_slices if kind == "slices" else _draw_heatmaps
        with panels(ax, *shape, sharex=True, sharey=True) as axes:
            for panel, (title, _) in zip(axes.flat, cells, strict=True):
                panel.set_title(title)
            draw(axes, [here for _, here in cells], x, main, update, ticks, outcomes)
        return self._drawn_on(axes)

    def _plot_choices(
        self, ax: Any, table: pd.DataFrame, update: str, outcomes: dict[bool, str]
    ) -> Self:
        """Draw the update of each choice's weight, a panel for each choice that was made."""
        colors = choice_colors(table, OF_CHOICE)
        check_one_setting(table, ["fit", OF_CHOICE])
        shown, x, ticks = stimulus_axis(table)
        cells, shape = panels_of(shown, ["choice"], _after)
        styles = outcome_styles(shown[x], ticks)
        with panels(ax, *shape, sharex=True, sharey=True) as axes:
            for panel, (title, here) in zip(axes.flat, cells, strict=True):
                panel.set_title(title)
                panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
                lines: Any = here.groupby([OF_CHOICE, SOLID], sort=False)
                for (choice, solid), line in lines:
                    style = {"color": colors[choice], **styles[solid]}
                    for rows in of_one_answer(line, x):
                        _draw_slice(panel, rows, x, update, **style)
            name_stimuli(axes, ticks)
            label_outer(axes, x, update_label(update))
            title = f"{weight_label(update.removeprefix('update_'))} of"
            key(axes, *choice_entries(colors), *_outcome_entries(styles, outcomes), title=title)
        return self._drawn_on(axes)


def _after(choice: Any) -> str:
    return f"after {choice_text(choice)}"


def _n_slices(estimators: Any) -> int | None:
    """Return how many slices to draw of refits, fewer as each has a band; None: as usual."""
    names = [fit.name for fit in read_fits(estimators)]
    return N_BANDS if len(names) > 1 and not all(isinstance(name, str) for name in names) else None


def _spread_weights(estimators: Any, X: pd.DataFrame, n: int) -> dict[str, Any]:
    """Return evenly spaced values of the first weight, over the range that it visited."""
    visited = weight_trajectories(estimators, X).filter(like="weight_").iloc[:, 0]
    low, high = visited.quantile([0.05, 0.95])
    return {str(visited.name).removeprefix("weight_"): evenly(low, high, n, digits=4)}


def _fine_table(estimators: Any, X: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Tabulate the update at X's values of the first stimulus, if few, and at others between.

    What is correct at a stimulus that is not in X is told by the nearest that is; where that may
    be either choice, the stimulus is left out.
    """
    first = DESIGN.stimuli(X)[:1]  # none, where nothing was shown
    seen = np.unique(X[first])
    if not COARSE <= len(seen) <= N_STIMULI or options.get("all_outcomes"):
        return update_table(estimators, X, **options)
    others, step = np.linspace(seen[0], seen[-1], N_STIMULI, retstep=True)
    between = np.abs(others[:, None] - seen).min(1) > step / 1000  # not seen but for rounding
    options["stimuli"] = np.union1d(seen, others[between])
    table = update_table(estimators, X, **options)
    x = first[0]
    n_answers = table[table["correct"]].groupby(x)["choice"].nunique()
    return table[table[x].isin(list(seen)) | (table[x].map(n_answers) == 1)]


def _varying_weights(table: pd.DataFrame) -> list[str]:
    columns = [f"weight_{name}" for name in names_after("update_", table)]
    return [name for name in columns if table[name].nunique() > 1] or columns[:1]


def _draw_slices(
    axes: NDArray[Any],
    tables: list[pd.DataFrame],
    x: str,
    weight: str,
    update: str,
    ticks: dict[int, str],
    outcomes: dict[bool, str],
) -> None:
    values = sorted(tables[0][weight].unique())
    colors = dict(zip(values, ordered_colors(len(values)), strict=True))
    styles = outcome_styles(pd.concat(tables)[x], ticks)
    for panel, table in zip(axes.flat, tables, strict=True):
        panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        lines: Any = table.groupby([weight, SOLID, "choice"])
        for (value, solid, _), line in lines:
            _draw_slice(panel, line, x, update, color=colors[value], **styles[solid])
    name_stimuli(axes, ticks)
    label_outer(axes, x, update_label(update))
    lines = [{"color": colors[value]} for value in reversed(values)]
    key(
        axes,
        *zip(reversed(numbers(values)), lines, strict=True),
        GAP,
        *_outcome_entries(styles, outcomes),
        title=weight_label(weight.removeprefix("weight_")),
    )


def _outcome_entries(styles: dict[bool, dict[str, Any]], outcomes: dict[bool, str]) -> list[Entry]:
    return [
        *outcome_entries(styles, outcomes),
        ("no animal there", {"color": BLACK, "alpha": FAINT, **styles[True]}),
    ]


def _draw_slice(panel: Any, table: pd.DataFrame, x: str, update: str, **style: Any) -> None:
    """Draw one line, with dots at the stimuli that animals met and faint beyond them."""
    bands = band(table, update, by=x)
    visited = _visited(table, [x]).to_numpy()
    between = np.maximum.accumulate(visited) & np.maximum.accumulate(visited[::-1])[::-1]
    draw_line(panel, bands, x, strong=between, opacity=SLICE_BAND, **style)
    if style["linestyle"] and len(bands) > 1:
        met = bands[visited]
        panel.plot(met[x], met["mean"], "o", markersize=2, color=style["color"])


def _visited(table: pd.DataFrame, by: list[str]) -> pd.Series:
    """Return whether at least half of the fits had an animal near."""
    return (table["n_trials"] > 0).groupby([table[name] for name in by]).mean() >= 0.5


def _draw_heatmaps(
    axes: NDArray[Any],
    tables: list[pd.DataFrame],
    x: str,
    weight: str,
    update: str,
    ticks: dict[int, str],
    outcomes: dict[bool, str],
) -> None:
    from matplotlib.colors import Normalize

    tables = [table[table[SOLID]] for table in tables]
    limit = max(table.groupby([weight, "choice", x])[update].mean().abs().max() for table in tables)
    for panel, table in zip(axes.flat, tables, strict=True):
        mesh = _draw_heatmap(panel, table, x, weight, update, Normalize(-limit, limit))
        if ticks:
            shown = table.groupby(["choice", x]).size().index.get_level_values(x)
            panel.set_xticks(range(len(shown)), [in_lines(ticks[i]) for i in shown], rotation=90)
    choices = " | ".join(map(str, tables[0]["choice"].unique()))
    label_outer(
        axes, f"{x}\n({choices} {outcomes[True]})", weight_label(weight.removeprefix("weight_"))
    )
    label = f"{update_label(update)}\n(hatched: no animal there)"
    axes[0, 0].figure.colorbar(mesh, ax=list(axes.flat), label=label)


def _draw_heatmap(
    panel: Any, table: pd.DataFrame, x: str, weight: str, update: str, norm: Any
) -> ScalarMappable:
    """Draw the stimuli where the first choice is correct, then those of the second."""
    cell = [weight, "choice", x]
    updates = (
        band(table, update, by=cell).set_index(cell)["mean"].unstack([1, 2]).sort_index(axis=1)
    )
    visited = _visited(table, cell).unstack([1, 2]).reindex_like(updates)
    columns = np.arange(updates.shape[1])
    where = columns, updates.index.to_numpy()
    mesh = panel.pcolormesh(*where, updates, cmap="RdBu_r", norm=norm, shading="nearest")
    unseen = np.ma.masked_where(visited, updates)
    faint = {"facecolor": "none", "edgecolor": GREY, "linewidth": 0, "hatch": "//////"}
    panel.pcolor(*where, unseen, shading="nearest", **faint)
    first = updates.columns.get_level_values("choice") == updates.columns[0][0]
    panel.axvline(first.sum() - 0.5, color=BLACK, linewidth=0.6)
    labelled = _some_columns(first.sum(), (~first).sum())
    stimuli = updates.columns.get_level_values(x)
    panel.set_xticks(labelled, [number(float(stimuli[i]), 2) for i in labelled])
    return mesh


def _some_columns(n_first: int, n_second: int) -> list[int]:
    """Return the outermost column of each side, and its middle one if there is room."""
    last = n_first + n_second - 1
    left = [0, n_first // 2] if n_first >= 5 else [0]
    right = [last - n_second // 2, last] if n_second >= 5 else [last]
    return left + right
