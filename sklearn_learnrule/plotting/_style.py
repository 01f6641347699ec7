"""What the displays share: colours, sizes, panels, keys, lines with bands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.tables import label_texts
from ._fit import MM, fit_labels, in_lines

# Okabe and Ito's colours, told apart by the colour-blind; their yellow is too light for lines.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, RED, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
COLORS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)  # of weights and models, in this order
GREY = "#999999"
LINES: dict[bool, dict[str, Any]] = {  # after correct choices, after errors
    True: {"linestyle": "-"},
    False: {"linestyle": "--"},
}
POINTS: dict[bool, dict[str, Any]] = {
    True: {"linestyle": "", "marker": "o", "markersize": 3.5},
    False: {"linestyle": "", "marker": "o", "markersize": 3.5, "markerfacecolor": "none"},
}
COARSE = 6  # of fewer stimuli, none lies between others: they are points, and no line joins them
FAINT = 0.3  # opacity where there is no data
BAND = 0.2  # opacity of a band

COLUMN, PAGE = 85 / MM, 180 / MM  # inches: one and two columns of a journal
PANEL = 1.45  # inches, of several beside each other
STYLE: dict[Any, float] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "figure.dpi": 200,
}

# Lines of several models, where colours are of choices.
MODELS = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 4)))

Entry = tuple[str, dict[str, Any]]  # of a legend: a label and the properties of its line
GAP: Entry = ("", {"linestyle": ""})  # between groups of entries
RESTARTS: Entry = ("begins anew", {"color": GREY, "linestyle": ":", "linewidth": 0.8})
SESSION_STARTS: Entry = ("session starts", {"color": GREY, "marker": "|", "linestyle": ""})


@contextmanager
def panels(
    ax: Any,
    n_rows: int = 1,
    n_columns: int = 1,
    *,
    height: float = 1.6,
    keep: float = 0.5,
    **options: Any,
) -> Iterator[NDArray[Any]]:
    """Yield axes (n_rows, n_columns): of a new figure in our style, or those given, in theirs.

    Once they are drawn on, a new figure gives its labels the room that they need.

    Parameters
    ----------
    ax : None, matplotlib axes or array of as many as there are panels
    height : float
        Of a panel of a new figure, in inches.
    keep : float
        The share of it that is left to the panel at least, however long the labels.
    **options : of ``plt.subplots``
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE if ax is None else None):
        if ax is None:
            width = COLUMN if n_columns == 1 else min(max(COLUMN, 1 + PANEL * n_columns), PAGE)
            size = (width, 0.7 + height * n_rows)
            options = {"figsize": size, "layout": "constrained", "squeeze": False, **options}
            _, axes = plt.subplots(n_rows, n_columns, **options)
            for panel in axes.flat:  # its ticks are made when drawn, out of this style
                panel.tick_params(labelsize=STYLE["xtick.labelsize"])
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object))
            if axes.size != n_rows * n_columns:
                raise ValueError(
                    f"There are {n_rows * n_columns} panels to draw: ax should be an array of as "
                    f"many axes, or None for a new figure, got {axes.size}."
                )
            axes = axes.reshape(n_rows, n_columns)
        for panel in axes.flat:
            panel.spines[["top", "right"]].set_visible(False)
        yield axes
        if ax is None:
            fit_labels(axes, keep * height)


@contextmanager
def grid(ax: Any, n_panels: int, **options: Any) -> Iterator[NDArray[Any]]:
    """Yield axes for so many panels, in rows of up to four if the figure is ours."""
    n_columns = n_panels if ax is not None else 3 if n_panels in (5, 6, 9) else min(n_panels, 4)
    n_rows = -(-n_panels // n_columns)
    with panels(ax, n_rows, n_columns, **options) as axes:
        for spare in axes.flat[n_panels:]:
            spare.remove()
        yield axes


def label_outer(axes: NDArray[Any], x: str, y: str) -> None:
    """Label the x axis of each column's lowest panel and the y axis of each row's first."""
    for column in axes.T:
        *_, lowest = (panel for panel in column if panel.figure and panel.axison)
        lowest.set_xlabel(x)
        lowest.tick_params("x", labelbottom=True)
    for panel in axes[:, 0]:
        panel.set_ylabel(y)


def key(axes: NDArray[Any], *entries: Entry, title: str = "", above: bool = False) -> None:
    """Put a legend right of the panels, or above; within the last where no layout makes room."""
    from matplotlib.lines import Line2D

    place: dict[str, Any] = {"loc": "best"}
    if axes[0, -1].figure.get_layout_engine() is not None:
        corner = {"loc": "lower left", "bbox_to_anchor": (0, 1.02)} if above else {}
        place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0, **corner}
    handles = [Line2D([], [], label=in_lines(label), **line) for label, line in entries]
    style = {"alignment": "left", "frameon": False, "handlelength": 1.8}
    axes[0, -1].legend(handles=handles, title=in_lines(title), **style, **place)


def draw_line(
    ax: Any,
    bands: pd.DataFrame,
    x: str,
    *,
    strong: Any = True,
    opacity: float = BAND,
    **line: Any,
) -> None:
    """Draw the means of :func:`~.inspection.band` and their band, faint where not ``strong``.

    Points without a line between them have bars for bands. So has one alone: no line is seen.
    """
    if len(bands) == 1 and not line.get("marker"):
        line |= POINTS[line.get("linestyle") != "--"]
    points = line.get("linestyle") == ""
    if (bands["n"] > 1).any() and points:
        bar = {"color": line["color"], "alpha": 0.5, "linewidth": 0.8}
        ax.vlines(bands[x], bands["lower"], bands["upper"], **bar)
    elif (bands["n"] > 1).any():
        fill = {"color": line["color"], "alpha": opacity, "linewidth": 0}
        ax.fill_between(bands[x], bands["lower"], bands["upper"], **fill)
    strong = np.broadcast_to(strong, len(bands))
    if not strong.all():
        marker = line["marker"] if points else ""
        ax.plot(bands[x], bands["mean"], **{**line, "alpha": FAINT, "marker": marker})
    ax.plot(bands[x], bands["mean"].where(strong), **line)


def outcome_styles(stimuli: pd.Series, ticks: dict[int, str]) -> dict[bool, dict[str, Any]]:
    """Return how solid updates, and the others, are drawn at these stimuli.

    Nothing lies between few of them, or those that are numbered and have names as ticks.
    """
    return LINES if stimuli.nunique() >= COARSE and not ticks else POINTS


def outcome_entries(styles: dict[bool, dict[str, Any]], outcomes: dict[bool, str]) -> list[Entry]:
    """Return what the key tells of updates after either outcome."""
    return [(f"after {text}", {"color": BLACK, **styles[kind]}) for kind, text in outcomes.items()]


def choice_text(choice: Any) -> str:
    """Write a label of choice, a whole number alike whether it is held as a float or not."""
    return label_texts(np.array([choice], dtype=object))[0]


def choice_entries(colors: dict[Any, str]) -> list[Entry]:
    """Return what the key tells of each choice's colour, if choices have colours."""
    entries: list[Entry] = [(choice_text(c), {"color": color}) for c, color in colors.items()]
    return [*entries, GAP] if entries else []


def stretches(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Split an animal's rows where its learning begins anew, if it does, so that lines break."""
    if "restart" not in table:
        return [table]
    return [rows for _, rows in table.groupby("restart", sort=False)]


def mark_starts(ax: Any, table: pd.DataFrame) -> None:
    """Draw ticks at the foot where an animal's sessions open, and lines where it begins anew."""
    trials = table.drop_duplicates("trial")
    line: dict[str, Any] = {"linewidth": 0.6, "transform": ax.get_xaxis_transform()}
    opens = trials.loc[trials["session"] != trials["session"].shift(), "trial"]
    ax.vlines(opens, 0, 0.05, GREY, **line)
    if anew := [part["trial"].iloc[0] for part in stretches(trials)[1:]]:
        ax.vlines(anew, 0, 1, GREY, linestyle=":", **line)


def starts_key(table: pd.DataFrame) -> list[Entry]:
    """Return what the marks of :func:`mark_starts` are called."""
    return [SESSION_STARTS, RESTARTS] if "restart" in table else [SESSION_STARTS]


def ordered_colors(n: int) -> list[Any]:
    """Return colours of n ordered values, dark to light, none too light for paper."""
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0, 0.88, n)))
