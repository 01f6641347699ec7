"""Linear recurrences in O(log T) batched operations instead of T steps."""

from __future__ import annotations

import torch
from torch import Tensor


def affine_scan(matrices: Tensor, offsets: Tensor, start: Tensor) -> Tensor:
    """Solve x_{t+1} = A_t x_t + b_t for every t at once.

    Affine maps compose associatively, so neighbouring steps are merged in pairs, the half as
    long recurrence is solved in the same way, and its states give the skipped ones back
    (odd-even reduction; Blelloch 1990, "Prefix sums and their applications"). In all about T
    products of matrices, in three or four torch operations a halving.

    Parameters
    ----------
    matrices : Tensor of shape (N, T, D, D)
    offsets : Tensor of shape (N, T, D)
    start : Tensor of shape (N, D)

    Returns
    -------
    Tensor of shape (N, T + 1, D)
        x_0, which is ``start``, to x_T.
    """
    n_states = start.shape[-1]
    # In homogeneous coordinates [x, 1] a step is one matrix, and merging steps one product.
    maps = matrices.new_zeros(*offsets.shape[:2], n_states + 1, n_states + 1)  # (N, T, D+1, D+1)
    maps[..., :-1, :-1] = matrices
    maps[..., :-1, -1] = offsets
    maps[..., -1, -1] = 1
    point = torch.cat([start, torch.ones_like(start[:, :1])], -1)  # (N, D+1)
    return _scan(maps, point[:, None, :, None])[..., :-1, 0]


def _scan(maps: Tensor, start: Tensor) -> Tensor:
    """Return start and its image after each of the maps: (N, T, E, E), (N, 1, E, 1) -> T + 1."""
    n_steps = maps.shape[1]
    if n_steps == 0:
        return start
    n_pairs = n_steps // 2
    points = maps.new_empty(len(maps), n_steps + 1, *start.shape[2:])  # (N, T + 1, E, 1)
    merged = maps[:, 1::2] @ maps[:, 0 : 2 * n_pairs : 2]  # (N, T // 2, E, E)
    even = _scan(merged, start)  # x_0, x_2, ..., (N, T // 2 + 1, E, 1)
    points[:, 0::2] = even
    points[:, 1::2] = maps[:, 0::2] @ even[:, : n_steps - n_pairs]
    return points
