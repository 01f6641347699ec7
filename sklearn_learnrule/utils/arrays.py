"""The kinds of arrays that functions say they take and return, and one of even steps."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

SAME = 1e-9  # of a value: how far rounding may move one that stays as it is


def evenly(low: float, high: float, n: int, digits: int = 3) -> Floats:
    """Return n values from low to high, rounded to so many digits of the way between.

    If there is no way between but for rounding, they are the value itself.

    Examples
    --------
    >>> evenly(0, 1 / 3, 4)
    array([0.   , 0.111, 0.222, 0.333])
    """
    way = high - low
    if way <= SAME * max(abs(low), abs(high)):
        return np.full(n, low)
    return np.linspace(low, high, n).round(digits - 1 - int(np.floor(np.log10(way))))
