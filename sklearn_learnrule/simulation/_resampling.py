"""What is known of means over twins of several fits."""

from __future__ import annotations

import numpy as np

from ..utils.arrays import Floats

N_DRAWS = 2000


def draw_means(values: Floats) -> Floats:
    """Return means over twins drawn anew from one fit, another one in turn, (N_DRAWS, M).

    Parameters
    ----------
    values : ndarray of shape (F, N, M)
        M quantities of N twins of each of F fits.
    """
    n_fits, n_twins, _ = values.shape
    rng, n_each = np.random.RandomState(0), -(-N_DRAWS // n_fits)
    even = np.full(n_twins, 1 / n_twins)
    drawn = [rng.multinomial(n_twins, even, n_each) @ of_fit for of_fit in values]
    return np.concatenate(drawn) / n_twins


def split_spread(values: Floats) -> tuple[Floats, Floats]:
    """Return standard deviations between fits, of one NaN, and between the twins of one, (M,).

    That between fits is of twins without number: what comes of few is taken off.
    """
    n_fits, n_twins, n_values = values.shape
    of_twins = values.var(1, ddof=1).mean(0)
    if n_fits == 1:
        return np.full(n_values, np.nan), np.sqrt(of_twins)
    of_fits = values.mean(1).var(0, ddof=1) - of_twins / n_twins
    return np.sqrt(np.maximum(of_fits, 0.0)), np.sqrt(of_twins)
