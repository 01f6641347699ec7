"""A learning rule as a recurrence over states, with its Jacobians: what Newton's method needs.

The state of a subject before trial t is z_t = (weights, memory), D = K + M numbers, and
z_{t+1} = z_t + increment_t(z_t).
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from ..rules import LearningRule, RNNRule, Trial


class Steps:
    """The steps of a rule over the trials of N subjects, all evaluated at once.

    The rule sees the N * T states as so many subjects, which the contract allows: a rule
    acts on each row by itself.

    Parameters
    ----------
    rule : LearningRule
    trials : Trial
        Features (N, T, K), the other fields (N, T).
    observed : bool Tensor of shape (N, T)
        Where it is False the state stays as it is.
    """

    def __init__(self, rule: LearningRule, trials: Trial, observed: Tensor) -> None:
        self.rule = rule
        self.trials = trials
        self.observed = observed
        self.rows = Trial(*(field.flatten(0, 1) for field in trials))  # (N * T, ...)

    def between(self, start: int, stop: int) -> Self:
        """Return the steps of trials ``start`` to ``stop - 1``."""
        part = slice(start, stop)
        trials = Trial(*(field[:, part] for field in self.trials))
        return type(self)(self.rule, trials, self.observed[:, part])

    def increments(self, states: Tensor) -> Tensor:
        """Return z_{t+1} - z_t at each state, (N, T, D) -> (N, T, D), differentiably."""
        rows = states.flatten(0, 1)  # (N * T, D)
        n_weights = self.rule.n_weights
        weights, memory = rows[:, :n_weights], rows[:, n_weights:]
        update, new_memory = self.rule(weights, self.rows, memory)
        increments = torch.cat([update, new_memory - memory], -1).view_as(states)  # (N, T, D)
        return torch.where(self.observed[..., None], increments, 0)

    def linearise(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the increments (N, T, D) and the matrices dz_{t+1} / dz_t (N, T, D, D).

        One backward sweep for each of the D outputs, over all trials at once: as rows do
        not mix, the gradient of a sum over rows holds each row's own.
        """
        n_states = states.shape[-1]
        identity = torch.eye(n_states, dtype=states.dtype, device=states.device)
        with torch.enable_grad():
            states = states.detach().requires_grad_()
            increments = self.increments(states)
        if not increments.requires_grad:  # a rule that ignores the state
            return increments, identity.expand(*states.shape, n_states)
        sweeps = (
            torch.autograd.grad(
                increments, states, unit.expand_as(increments), retain_graph=True, allow_unused=True
            )[0]
            for unit in identity
        )
        rows = [torch.zeros_like(increments) if row is None else row for row in sweeps]
        return increments.detach(), torch.stack(rows, -2) + identity  # (N, T, D, D)


class GRUSteps(Steps):
    """The steps of RNNRule, whose many memory units have their Jacobian in closed form."""

    @torch.no_grad()
    def linearise(self, states: Tensor) -> tuple[Tensor, Tensor]:
        rule, observed = self.rule, self.observed.flatten()[:, None]
        n_weights = rule.n_weights
        rows = states.flatten(0, 1)
        weights, memory = rows[:, :n_weights], rows[:, n_weights:]
        new_memory, memory_jacobian = gru_jacobian(
            rule.gru, rule.inputs(weights, self.rows), memory, n_weights, observed)
        update, update_by_memory = self._readout(new_memory, observed)
        jac = torch.cat([update_by_memory @ memory_jacobian, memory_jacobian], -2)
        jac[:, range(n_weights), range(n_weights)] += 1
        inc = torch.cat([update, new_memory-memory], -1)
        return torch.where(observed, inc, 0).view_as(states), jac.view(*states.shape, -1)

    def _readout(self, memory, observed):
        with torch.enable_grad():
            memory = memory.detach().requires_grad_()
            update = torch.where(observed, self.rule.scale * self.rule.mlp(memory), 0)
        K = self.rule.n_weights
        eye = torch.eye(K, dtype=memory.dtype, device=memory.device)
        rows = [torch.autograd.grad(update, memory, u.expand_as(update), retain_graph=True)[0] for u in eye]
        return update.detach(), torch.stack(rows, -2)

def gru_jacobian(gru, inputs, memory, n_weights, observed):
    H = gru.hidden_size
    gi = torch.nn.functional.linear(inputs, gru.weight_ih, gru.bias_ih)
    gh = torch.nn.functional.linear(memory, gru.weight_hh, gru.bias_hh)
    ir, iz, inn = gi.chunk(3, -1)
    hr, hz, hn = gh.chunk(3, -1)
    r = torch.sigmoid(ir + hr)
    z = torch.sigmoid(iz + hz)
    n = torch.tanh(inn + r * hn)
    new = n + z * (memory - n)
    az = (memory - n) * z * (1 - z)
    an = (1 - z) * (1 - n * n)
    ar = an * hn * r * (1 - r)
    ahn = an * r
    a = torch.stack([ar, az, an, ahn], -1)
    a = torch.where(observed[..., None], a, 0)  # (R,H,4)
    keep = torch.where(observed, z, 1)
    wr, wz, wn = gru.weight_ih[:, :n_weights].chunk(3)
    ur, uz, un = gru.weight_hh.chunk(3)
    V = torch.stack([torch.cat([wr, ur], -1), torch.cat([wz, uz], -1),
        torch.cat([wn, torch.zeros_like(un)], -1), torch.cat([torch.zeros_like(wn), un], -1)], 1)  # (H,4,D)
    jac = torch.einsum('rhg,hgd->rhd', a, V).contiguous()
    jac[:, :, n_weights:].diagonal(0, -2, -1).add_(keep)
    return new, jac
