"""Few columns that explain a target best, by their second moments alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..utils.arrays import Floats

TOLD_APART = 0.02  # of a column's mean square, what those chosen have to leave (a VIF below 50)
EXACT = 1e-11  # of the target's mean square, what does not matter


Scaled: TypeAlias = list[tuple[Floats, Floats]]  # of each fit, (M, M) and (M,)


class Moments(NamedTuple):
    """Sums over trials, those of each group of animals or of all; of one target or K."""

    gram: Floats  # (G, M, M) or (M, M), products of columns
    target: Floats  # (G, M), (G, M, K) or (M,), products with the target
    square: Floats  # (G,), (G, K) or (), the target's square

    @property
    def n_groups(self) -> int:
        return len(self.gram)

    def of_target(self, k: int) -> Moments:
        return Moments(self.gram, self.target[..., k], self.square[..., k])

    def group(self, g: int) -> Moments:
        return Moments(*(each[g] for each in self))

    def sum(self) -> Moments:
        """Return those of all groups."""
        return Moments(*(each.sum(0) for each in self))

    def without(self, g: int) -> Moments:
        return Moments(*(each.sum(0) - each[g] for each in self))

    def coefficients(self, chosen: list[int]) -> Floats:
        """Return the least-squares coefficients of some columns, (k,)."""
        scale = np.sqrt(self.gram[chosen, chosen])
        scale[scale == 0] = 1
        gram = self.gram[np.ix_(chosen, chosen)] / np.outer(scale, scale)
        return np.linalg.lstsq(gram, self.target[chosen] / scale, rcond=None)[0] / scale

    def unexplained(self, chosen: list[int], coefficients: Floats) -> float:
        """Return the sum of squared errors that these coefficients leave."""
        explained = 2 * self.target[chosen] - self.gram[np.ix_(chosen, chosen)] @ coefficients
        return float(self.square - coefficients @ explained)


def best_subsets(
    of_fits: Sequence[Moments], most: int, whole: Sequence[list[int]] = ()
) -> list[list[int]]:
    """Return the columns that explain the targets best, of each number from 0 to ``most``.

    Each step adds the column that lowers the squared error most, as orthogonal matching pursuit
    does, and then exchanges columns for as long as that lowers it (sequential replacement). For
    one that stands for two true ones is taken before them and would stay: where half of the
    choices are paid, (z - p) x passes for (r - 1/2) (y - p) x.

    Where a subset that is given ``whole`` explains more than that, it is taken in its place.

    The list ends early where all is explained. Fits share the columns, not the coefficients.
    """
    total = sum(float(moments.square) for moments in of_fits) or 1.0
    scaled = []
    for moments in of_fits:
        scale = np.sqrt(np.diagonal(moments.gram))
        scale = np.where(scale > 0, scale, 1)
        gram = moments.gram / np.outer(scale, scale)
        scaled.append((gram, moments.target / scale / np.sqrt(total)))
    subsets: list[list[int]] = [[]]
    while len(subsets) <= most:
        gains = _gains(scaled, subsets[-1])
        if gains.max() <= EXACT:
            break
        found = _replace(scaled, [*subsets[-1], _first_best(gains)])
        rivals = [subset for subset in whole if len(subset) == len(found)]
        best = max([found, *rivals], key=lambda chosen: _explained(scaled, chosen))
        subsets.append(best)
    return subsets


def _explained(scaled: Scaled, chosen: list[int]) -> float:
    """Return the share of the targets' square that columns explain, to what matters."""
    shares = [
        target[chosen]
        @ np.linalg.lstsq(gram[np.ix_(chosen, chosen)], target[chosen], rcond=None)[0]
        for gram, target in scaled
    ]
    return float(np.round(sum(shares) / EXACT))


def _replace(scaled: Scaled, chosen: list[int]) -> list[int]:
    """Exchange one column after another for better ones, until none is."""
    improved = len(chosen) > 1
    while improved:
        improved = False
        for place, present in enumerate(chosen):
            rest = chosen[:place] + chosen[place + 1 :]
            gains = _gains(scaled, rest, present)
            best = _first_best(gains)
            if gains[best] > gains[present] + EXACT:
                chosen = [*rest[:place], best, *rest[place:]]
                improved = True
    return chosen


def _first_best(gains: Floats) -> int:
    return int(np.argmax(gains >= gains.max() - EXACT))


def _gains(scaled: Scaled, chosen: list[int], present: int | None = None) -> Floats:
    """Return by how much each column, added to those chosen, would lower the squared error, (M,).

    By nothing where it can hardly be told from them, unless it is the one present.
    """
    gains = np.zeros(len(scaled[0][1]))
    for gram, target in scaled:
        inside, beside = gram[np.ix_(chosen, chosen)], gram[chosen]  # (k, k), (k, M)
        both = np.column_stack([beside, target[chosen]])
        solved = np.linalg.lstsq(inside, both, rcond=None)[0]
        left = np.diagonal(gram) - (beside * solved[:, :-1]).sum(0)
        own = left > TOLD_APART
        if present is not None:
            own[present] = left[present] > EXACT
        covariance = target - beside.T @ solved[:, -1]
        gains += np.where(own, covariance**2 / np.where(own, left, 1), 0.0)
    return gains
