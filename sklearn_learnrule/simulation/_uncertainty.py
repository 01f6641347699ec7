"""What is known of means over twins of several fits."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student_t

from ..utils.arrays import Floats

N_DRAWS = 2000


def interval(values: Floats, level: float) -> dict[str, Floats]:
    """Return where the means of one more fit's twins would lie, of one fit those of more twins.

    Student's interval, which few fits make wide.

    Parameters
    ----------
    values : ndarray of shape (F, N, M)
        M quantities of N twins of each of F fits.
    level : float

    Returns
    -------
    dict of ``lower`` and ``upper``, each of shape (M,)
    """
    n_fits, n_twins, _ = values.shape
    if n_fits == 1:
        error, freedom = values[0].std(0, ddof=1) / np.sqrt(n_twins), n_twins - 1
    else:
        error, freedom = values.mean(1).std(0, ddof=1) * np.sqrt(1 + 1 / n_fits), n_fits - 1
    mean, half = values.mean((0, 1)), error * student_t.ppf((1 + level) / 2, freedom)
    return {"lower": mean - half, "upper": mean + half}


def share_of_best(values: Floats) -> Floats:
    """Return how often each of M options has the least mean, over fits and twins drawn anew, (M,).

    Options that are alike share. ``values`` are as of :func:`interval`.
    """
    n_fits, n_twins, _ = values.shape
    rng, n_each = np.random.RandomState(0), -(-N_DRAWS // n_fits)
    even = np.full(n_twins, 1 / n_twins)
    drawn = [rng.multinomial(n_twins, even, n_each) @ of_fit for of_fit in values]
    totals = np.concatenate(drawn)
    is_best = totals == totals.min(1, keepdims=True)
    return (is_best / is_best.sum(1, keepdims=True)).mean(0)


def split_spread(values: Floats) -> dict[str, Floats]:
    """Return standard deviations between fits, of one NaN, and between the twins of one, (M,).

    That between fits is of twins without number: what comes of few is taken off. ``values`` are as
    of :func:`interval`.
    """
    n_fits, n_twins, n_values = values.shape
    of_twins = values.var(1, ddof=1).mean(0)
    of_fits = np.full(n_values, np.nan)
    if n_fits > 1:
        apart = values.mean(1).var(0, ddof=1) - of_twins / n_twins
        of_fits = np.sqrt(np.maximum(apart, 0.0))
    return {"std_fits": of_fits, "std_twins": np.sqrt(of_twins)}
