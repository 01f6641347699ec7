"""Linear recurrences over time in O(log T) batched operations instead of T steps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

SHORT = 8  # a recurrence of fewer than twice as many steps is solved one by one


def n_halvings(n_steps: int) -> int:
    """Return how often T steps can be merged in pairs until few are left."""
    return max(0, (n_steps // SHORT).bit_length() - 1)


class AffineRecurrence:
    """x_{t+1} = A_t x_t + b_t for N sequences, and its adjoint, to be solved for any b.

    Affine maps compose associatively: neighbouring steps are merged into one, the recurrence
    of half the length is solved in the same way, and its states give the skipped ones back
    (odd-even reduction; Blelloch 1990, "Prefix sums and their applications"). The merged
    matrices depend on A alone and cost T products of matrices; each solution costs 2 T
    products of a matrix and a vector, in three operations a halving.

    Parameters
    ----------
    matrices : Tensor of shape (N, T, D, D), T >= 1
    """

    def __init__(self, matrices: Tensor) -> None:
        self.n_steps = matrices.shape[1]
        halvings = n_halvings(self.n_steps)
        self.n_padding = -self.n_steps % 2**halvings
        if self.n_padding:  # with the identity, which is passed unchanged either way
            matrices = pad(matrices, (0, 0, 0, 0, 0, self.n_padding))
            matrices[:, self.n_steps :].diagonal(0, -2, -1).fill_(1)
        self.levels = [matrices.flatten(0, 1)]  # (N * T, D, D), then (N * T / 2, D, D), ...
        for _ in range(halvings):
            pairs = self.levels[-1].unflatten(0, (-1, 2))
            self.levels.append(torch.bmm(pairs[:, 1], pairs[:, 0]))

    def solve(self, offsets: Tensor, start: Tensor, *, adjoint: bool = False) -> Tensor:
        """Return the states x_0 to x_T, (N, T + 1, D).

        Parameters
        ----------
        offsets : Tensor of shape (N, T, D)
            b.
        start : Tensor of shape (N, D)
            x_0, or x_T for the adjoint.
        adjoint : bool
            Solve x_t = A_t' x_{t+1} + b_t, from the last step to the first.
        """
        padded = pad(offsets, (0, 0, 0, self.n_padding)) if self.n_padding else offsets
        entries = self._entries(0, padded.flatten(0, 1)[..., None], start[..., None], adjoint)
        entries = entries.view(padded.shape)[:, : self.n_steps]  # (N, T, D)
        final = 0 if adjoint else self.n_steps - 1
        matrix = self._matrices(0, adjoint).unflatten(0, (len(start), -1))[:, final]  # (N, D, D)
        end = torch.baddbmm(offsets[:, final, :, None], matrix, entries[:, final, :, None]).mT
        return torch.cat([end, entries] if adjoint else [entries, end], 1)

    def _matrices(self, level: int, adjoint: bool) -> Tensor:
        return self.levels[level].mT if adjoint else self.levels[level]

    def _entries(self, level: int, offsets: Tensor, start: Tensor, adjoint: bool) -> Tensor:
        """Return the state in which each step of a level is entered, (N * steps, D, 1)."""
        matrices = self._matrices(level, adjoint)
        if level == len(self.levels) - 1:
            return _entries_one_by_one(matrices, offsets, start, adjoint)
        near, far = (1, 0) if adjoint else (0, 1)  # the steps of a pair in the order of travel
        matrix, offset = matrices.unflatten(0, (-1, 2)), offsets.unflatten(0, (-1, 2))
        merged = torch.baddbmm(offset[:, far], matrix[:, far], offset[:, near])
        pair = [start] * 2
        pair[near] = self._entries(level + 1, merged, start, adjoint)
        pair[far] = torch.baddbmm(offset[:, near], matrix[:, near], pair[near])
        return torch.stack(pair, 1).flatten(0, 1)


def _entries_one_by_one(matrices: Tensor, offsets: Tensor, start: Tensor, adjoint: bool) -> Tensor:
    matrix, offset = (rows.unflatten(0, (len(start), -1)) for rows in (matrices, offsets))
    order = range(offset.shape[1])[:: -1 if adjoint else 1]
    entries = [start]  # (N, D, 1)
    for t in order[:-1]:
        entries.append(torch.baddbmm(offset[:, t], matrix[:, t], entries[-1]))
    return torch.stack(entries[:: order.step], 1).flatten(0, 1)
