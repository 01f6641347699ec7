"""Warnings that name the line of the user's that led to them."""

import sys
import warnings

INSIDE = {__name__.partition(".")[0], "joblib", "sklearn", "skorch"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, at the line that entered this package, or a library that it works with."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
