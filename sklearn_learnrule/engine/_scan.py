"""Linear recurrences over time in O(log T) batched operations instead of T steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

Step: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]  # matrix, state, offset -> next state
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

    def solve(
        self, offsets: Tensor, start: Tensor, *, adjoint: bool = False, both_sides: bool = False
    ) -> Tensor:
        """Return the states x_0 to x_T, (N, T + 1, D) or (N, T + 1, D, C).

        Parameters
        ----------
        offsets : Tensor of shape (N, T, D) or (N, T, D, C)
            b; the C columns are recurrences side by side.
        start : Tensor of shape (N, D) or (N, D, C)
            x_0, or x_T for the adjoint.
        adjoint : bool
            Solve x_t = A_t' x_{t+1} + b_t, from the last step to the first.
        both_sides : bool
            Multiply from both sides, A_t x_t A_t' + b_t, as a covariance moves; C = D.
        """
        if offsets.ndim == 3:
            return self.solve(offsets[..., None], start[..., None], adjoint=adjoint)[..., 0]
        padded = pad(offsets, (0, 0, 0, 0, 0, self.n_padding)) if self.n_padding else offsets
        step = _congruent_step if both_sides else _step
        entries = self._entries(0, padded.flatten(0, 1), start, adjoint, step)
        entries = entries.view(padded.shape)[:, : self.n_steps]  # (N, T, D, C)
        final = 0 if adjoint else self.n_steps - 1
        matrix = self._matrices(0, adjoint).unflatten(0, (len(start), -1))[:, final]  # (N, D, D)
        end = step(matrix, entries[:, final], offsets[:, final])[:, None]
        return torch.cat([end, entries] if adjoint else [entries, end], 1)

    def _matrices(self, level: int, adjoint: bool) -> Tensor:
        return self.levels[level].mT if adjoint else self.levels[level]

    def _entries(
        self, level: int, offsets: Tensor, start: Tensor, adjoint: bool, step: Step
    ) -> Tensor:
        """Return the state in which each step of a level is entered, (N * steps, D, C)."""
        matrices = self._matrices(level, adjoint)
        if level == len(self.levels) - 1:
            return _entries_one_by_one(matrices, offsets, start, adjoint, step)
        near, far = (1, 0) if adjoint else (0, 1)  # the steps of a pair in the order of travel
        matrix, offset = matrices.unflatten(0, (-1, 2)), offsets.unflatten(0, (-1, 2))
        merged = step(matrix[:, far], offset[:, near], offset[:, far])
        pair = [start] * 2
        pair[near] = self._entries(level + 1, merged, start, adjoint, step)
        pair[far] = step(matrix[:, near], pair[near], offset[:, near])
        return torch.stack(pair, 1).flatten(0, 1)


def _step(matrix: Tensor, state: Tensor, offset: Tensor) -> Tensor:
    return torch.baddbmm(offset, matrix, state)


def _congruent_step(matrix: Tensor, state: Tensor, offset: Tensor) -> Tensor:
    return torch.baddbmm(offset, torch.bmm(matrix, state), matrix.mT)


def _entries_one_by_one(
    matrices: Tensor, offsets: Tensor, start: Tensor, adjoint: bool, step: Step
) -> Tensor:
    matrix, offset = (rows.unflatten(0, (len(start), -1)) for rows in (matrices, offsets))
    order = range(offset.shape[1])[:: -1 if adjoint else 1]
    entries = [start]  # (N, D, C)
    for t in order[:-1]:
        entries.append(step(matrix[:, t], entries[-1], offset[:, t]))
    return torch.stack(entries[:: order.step], 1).flatten(0, 1)
