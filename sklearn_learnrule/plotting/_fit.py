"""Labels that are never cut: in lines that have room, on a figure that has."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.arrays import Floats
from ..utils.texts import visible

NAME = 26  # characters in a line of a name that stands beside the panels
WHOLE = 10_000  # characters: the lines that there are
LINE = 0.13  # inches, of a name of several
ROOM = 1.0  # inches that a line of a label has at least,
NARROW = 0.45  # in a figure that may not grow wider
TITLE = 1.04  # of its panel, with half of the gutters
ATTEMPTS = 10  # a figure that grows lays its panels out anew
GROWTH = 1.2  # of a figure in which labels leave no room for panels
CLOSE = 0.01  # inches that do not matter
MM = 25.4  # in an inch


def in_lines(text: Any, width: int = NAME) -> str:
    """Break a name into lines of so many characters, and let it mean no more than it says.

    Control and bidi characters are shown, and dollars open no formula.
    """
    lines = str(text).split("\n")
    broken = [part for line in lines for part in wrap(visible(line), max(width, 1)) or [""]]
    return "\n".join(broken).replace(r"\$", "$").replace("$", r"\$")


def height_of(names: Sequence[str], row: float) -> float:
    """Return the height of so many rows, a name beside each, in inches."""
    n_lines = max(name.count("\n") + 1 for name in names)
    return len(names) * max(row, LINE * n_lines)


def fit_labels(axes: NDArray[Any], height: float, *, widen: bool = True) -> None:
    """Break titles and labels to the size of their panels, then let the figure grow if need be.

    Parameters
    ----------
    axes : array of matplotlib axes
        Of a figure of our own, all drawn.
    height : float
        That a panel should keep beside its labels, in inches.
    widen : bool, default=True
        Whether the figure may become wider as well as higher.
    """
    figure, grid, broken = axes.flat[0].figure, axes.flat[0].get_gridspec(), False
    room, may_grow = ROOM if widen else NARROW, np.array([float(widen), 1.0])
    labels = [label for panel in figure.axes for label in _labels(panel)]
    for label in labels:
        label.set_text(_unbroken(label))
        label.set_in_layout(widen)  # else their room is what the panels leave
    for _ in range(ATTEMPTS):
        size = figure.get_size_inches()
        if not _lay_out(figure):
            figure.set_size_inches(size * GROWTH**may_grow)
        elif not broken and sum([_break_labels(panel, room) for panel in figure.axes]):
            broken = True
        elif not all(label.get_in_layout() for label in labels):
            for label in labels:
                label.set_in_layout(True)
        else:
            more = _overhang(figure, height) * [grid.ncols, grid.nrows] + _cut(figure)
            if (more * may_grow).max() <= CLOSE:
                return
            figure.set_size_inches(size + more * may_grow)


def fit_width(axes: NDArray[Any], width: float) -> None:
    """Lay a figure out anew so wide, in inches, with its key above if that is narrower.

    Raises
    ------
    ValueError
        If so many panels do not fit beside each other.
    """
    figure = axes.flat[0].figure
    height = min(_size(panel)[1] for panel in axes.flat)
    narrower = width < figure.get_figwidth() - CLOSE
    figure.set_figwidth(width)
    beside = filter(None, (panel.get_legend() for panel in figure.axes if narrower))
    for legend in [*beside, *figure.legends]:
        _put_above(legend, width)
    fit_labels(axes, height, widen=False)
    if not _lay_out(figure) or _cut(figure)[0] > CLOSE:
        n_columns = axes.flat[0].get_gridspec().ncols
        raise ValueError(
            f"{width * MM:g} mm are too narrow for {n_columns} panels and their labels: draw "
            "fewer, or wider."
        )


def _put_above(legend: Any, width: float) -> None:
    """Let a legend stand above all panels, in as many columns as have room."""
    figure, title = legend.figure, legend.get_title()
    texts = [text.get_text() for text in legend.get_texts()]
    style = {"fontsize": legend.get_texts()[0].get_fontsize(), "handlelength": 1.8}
    if title.get_text():
        style |= {"title": title.get_text(), "title_fontsize": title.get_fontsize()}
    above = legend
    for entries, n_columns in _columns(zip(legend.legend_handles, texts, strict=True)):
        above.remove()
        lines, labels = zip(*entries, strict=True)
        above = figure.legend(
            lines, labels, loc="outside upper left", ncols=n_columns, frameon=False, **style
        )
        above.set_alignment("left")
        if _size(above)[0] <= width:
            break


def _columns(entries: Iterable[tuple[Any, str]]) -> Iterator[tuple[list[tuple[Any, str]], int]]:
    """Yield a legend's entries for fewer and fewer columns, and how many these are.

    Those after a gap open another column, but of one.
    """
    from matplotlib.lines import Line2D

    gap = Line2D([], [], linestyle=""), ""
    parts = groupby(entries, lambda entry: bool(entry[1]))
    first, *others = [list(group) for named, group in parts if named]
    for n_rows in range(1, max(map(len, [first, *others])) + 1):
        filled = list(first)
        for group in others:
            filled += [*[gap] * (n_rows - len(filled) % n_rows), *group]
        n_columns = -(-len(filled) // n_rows)
        yield filled + [gap] * (n_columns * n_rows - len(filled)), n_columns
    yield [*first, *(entry for group in others for entry in [gap, *group])], 1


def _unbroken(label: Any) -> str:
    """Return a label's text as it was before it was broken to another size, and note it."""
    text, whole = in_lines(label.get_text(), WHOLE), str(label.get_label())
    if "".join(whole.split()) != "".join(text.split()):
        label.set_label(whole := text)
    return whole


def _labels(panel: Any) -> tuple[Any, Any, Any]:
    return panel.title, panel.xaxis.label, panel.yaxis.label


def _size(artist: Any) -> Floats:
    """Return width and height in inches."""
    return np.array(artist.get_window_extent().size) / artist.figure.dpi


def _lengths(panel: Any) -> Floats:
    """Return how much of the panel each label takes, its width or its height, in inches, (3, 2)."""
    title, x, y = map(_size, _labels(panel))
    return np.array([[title[0] / TITLE, 0.0], [x[0], 0.0], [0.0, y[1]]])


def _break_labels(panel: Any, least: float) -> bool:
    """Break those of a panel's labels that are longer than it is, and return whether any was."""
    room = np.maximum(_size(panel), least)
    times = (_lengths(panel) / room).max(1)
    before = [label.get_text() for label in _labels(panel)]
    for label, text, factor in zip(_labels(panel), before, times, strict=True):
        if factor > 1:
            longest = max(map(len, text.split("\n")))
            label.set_text(in_lines(text, int(longest / factor)))
    return before != [label.get_text() for label in _labels(panel)]


def _overhang(figure: Any, height: float) -> Floats:
    """Return by how much panels are too small at most, (width, height), inches."""
    least = np.array([[0.0, height]])
    lacking = [np.vstack([least, _lengths(panel)]) - _size(panel) for panel in figure.axes]
    return np.vstack([np.zeros(2), *lacking]).max(0)


def _cut(figure: Any) -> Floats:
    """Return how much of what is drawn lies beyond the figure, (width, height), inches."""
    box = figure.get_tightbbox()
    return np.maximum(0.0, -box.min) + np.maximum(0.0, box.max - figure.get_size_inches())


def _lay_out(figure: Any) -> bool:
    """Return whether there is room for panels beside labels and key."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied", UserWarning)
        try:
            figure.get_layout_engine().execute(figure)
        except UserWarning:
            return False
    return True
