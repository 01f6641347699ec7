"""What the tests of the displays read from a drawing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import same_color


def curves(ax, *, color=None, style=None, marker=None):
    """The lines that look so, but for those across the whole axes."""
    return [
        line
        for line in ax.lines
        if line.get_transform() is ax.transData
        and (color is None or same_color(line.get_color(), color))
        and (style is None or line.get_linestyle() == style)
        and (marker is None or line.get_marker() == marker)
    ]


def legend(ax):
    """The labels of the legend, in order, and what stands before them."""
    found = ax.get_legend()
    labels = [text.get_text() for text in found.get_texts()]
    return dict(zip(labels, found.legend_handles, strict=True))


def edges(band):
    """The lower and the upper edge of a filled band, by x."""
    x, y = band.get_paths()[0].vertices.T
    return pd.Series(y).groupby(x).agg(["min", "max"])


def finite(line):
    """The points of a line that are drawn, (n, 2)."""
    points = np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float)
    return points[np.isfinite(points).all(1)]
