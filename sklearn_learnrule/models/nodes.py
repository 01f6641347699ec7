"""Nodes: the places at which a likelihood is asked for, to integrate it over subjects' effects.

D effects, N subjects, Q nodes. What is known of a subject's effects is about normal once it has
made some choices, so nodes of a normal distribution with its mean and covariance, weighted by how
far it is from that, integrate it well however little is left open (Naylor & Smith 1982).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from ..utils.arrays import Floats

N_DRAWN = 64
NARROWEST = 0.35  # by which knowledge may shrink at a time: between nodes there is nothing to see


class Normal(NamedTuple):
    """What is known of N subjects' effects."""

    mean: Tensor  # (N, D)
    root: Tensor  # (N, D, D), of the covariance: lower triangles

    @property
    def std(self) -> Tensor:
        """Standard deviations, (N, D)."""
        return self.root.square().sum(-1).sqrt()

    def of_subjects(self, index: Tensor) -> Normal:
        return Normal(self.mean[index], self.root[index])


class Nodes(NamedTuple):
    """Where to ask, and how much each answer counts."""

    places: Tensor  # (Q, N, D)
    log_weights: Tensor  # (Q, N): of the integral of what is there, not of an average

    def of_subjects(self, index: Tensor) -> Nodes:
        return Nodes(self.places[:, index], self.log_weights[:, index])

    def join(self, other: Nodes) -> Nodes:
        """Return these subjects' and, after them, others'."""
        return Nodes(*(torch.cat(both, 1) for both in zip(self, other, strict=True)))


@cache
def standard_nodes(n_effects: int, few: bool) -> tuple[Floats, Floats]:
    """Return nodes (Q, D) and weights (Q,) of the standard normal distribution.

    For one and two effects those of Gauss and Hermite, five along each; for three and four a fully
    symmetric rule of degree 5 (Stroud 1971); for more, quasi-random draws. A ``few`` for two are a
    point and a hexagon, of degree 5, too.
    """
    if n_effects == 2 and few:
        angles = np.arange(6) * math.pi / 3
        hexagon = 2 * np.stack([np.cos(angles), np.sin(angles)], 1)
        return np.concatenate([np.zeros((1, 2)), hexagon]), np.array([1 / 2] + 6 * [1 / 12])
    if n_effects <= 2:
        along, weights = np.polynomial.hermite_e.hermegauss(5)
        shares = list(product(weights / weights.sum(), repeat=n_effects))
        return np.array(list(product(along, repeat=n_effects))), np.prod(shares, 1)
    if n_effects > 4:
        draws = qmc.Sobol(n_effects, rng=0).random(N_DRAWN)
        return ndtri(draws), np.full(N_DRAWN, 1 / N_DRAWN)
    return _symmetric_nodes(n_effects)


def _symmetric_nodes(n_effects: int) -> tuple[Floats, Floats]:
    """Return a center, points on the axes, and points halfway between each two."""
    radius, size = math.sqrt(n_effects + 2), n_effects + 2
    axes = [sign * radius * row for row in np.eye(n_effects) for sign in (1, -1)]
    pairs = [
        radius / math.sqrt(2) * (a * first + b * second)
        for first, second in combinations(np.eye(n_effects), 2)
        for a, b in product((1, -1), repeat=2)
    ]
    axis, pair = (4 - n_effects) / (2 * size**2), 1 / size**2
    weights = np.array([2 / size] + len(axes) * [axis] + len(pairs) * [pair])
    kept = weights > 0
    return np.stack([np.zeros(n_effects), *axes, *pairs])[kept], weights[kept]


def place_nodes(known: Normal, few: bool) -> Nodes:
    """Return nodes where effects are known to be."""
    both = standard_nodes(known.mean.shape[1], few)
    standard, weights = (torch.as_tensor(x).to(known.mean) for x in both)
    offsets = torch.einsum("nde,qe->qnd", known.root, standard)
    log_det = known.root.diagonal(0, -2, -1).log().sum(-1)
    log_density = -standard.square().sum(-1) / 2 - known.mean.shape[1] * math.log(2 * math.pi) / 2
    log_weights = (weights.log() - log_density)[:, None] + log_det
    return Nodes(known.mean + offsets, log_weights)


def moments(places: Tensor, log_weights: Tensor, before: Normal) -> tuple[Normal, Tensor]:
    """Return what weighted nodes tell, and of whom it may be told again, (N,).

    That is where a distribution is narrower, along some direction, than nodes that were placed by
    what was known ``before`` can show; it is then as narrow as they can.
    """
    weights = log_weights.softmax(0)[..., None]
    mean = (weights * places).sum(0)
    # In units of what was known before: by how much is it narrower?
    z = torch.linalg.solve_triangular(before.root, (places - mean).movedim(0, -1), upper=False)
    covariance = (z * weights.movedim(0, -1)) @ z.mT  # (N, D, D)
    variance, axes = torch.linalg.eigh(covariance)
    again = (variance < NARROWEST**2).any(-1)
    held = (axes * variance.clamp_min(NARROWEST**2)[..., None, :]) @ axes.mT
    root = torch.linalg.cholesky(held)
    return Normal(mean, before.root @ root), again
