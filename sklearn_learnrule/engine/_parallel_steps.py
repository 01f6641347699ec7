"""A learning rule as a recurrence over states, with its Jacobians: what Newton's method needs.

The state of a subject before trial t is z_t = (weights, memory), D = K + M numbers, and
z_{t+1} = z_t + increment_t(z_t).
"""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..rules import LearningRule, RNNRule, Trial

N_CHECKED = 8  # trials of which a rule of one's own is asked alone


class RecurrentSteps:
    """T steps of N recurrences, all evaluated at once, at any states of D numbers each.

    A subclass says what its increments are; more, Newton's method does not need.
    """

    n_steps: int

    def between(self, start: int, stop: int) -> Self:
        """Return the steps ``start`` to ``stop - 1``."""
        raise NotImplementedError

    def increments(self, states: Tensor) -> Tensor:
        """Return z_{t+1} - z_t at each z_t, (N, T, D) -> (N, T, D), differentiably."""
        raise NotImplementedError

    def linearise(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the increments (N, T, D) and the Jacobians dz_{t+1} / dz_t (N, T, D, D)."""
        with torch.enable_grad():
            states = states.detach().requires_grad_()
            increments = self.increments(states)
        jacobians = row_jacobians(increments, states)
        jacobians.diagonal(0, -2, -1).add_(1)
        return increments.detach(), jacobians


class RuleSteps(RecurrentSteps):
    """The steps of a learning rule, its Jacobians by autodiff.

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

    # Beyond so many states the Jacobians of all trials cost more than a loop over the trials.
    max_states: ClassVar[dict[str, int]] = {"cpu": 16, "cuda": 128}

    def __init__(self, rule: LearningRule, trials: Trial, observed: Tensor) -> None:
        self.rule = rule
        self.trials = trials
        self.observed = observed
        self.n_steps = observed.shape[1]

    def between(self, start: int, stop: int) -> Self:
        part = slice(start, stop)
        trials = self.trials.at(part).map(torch.Tensor.contiguous)
        return type(self)(self.rule, trials, self.observed[:, part])

    def split(self, states: Tensor) -> tuple[Tensor, Trial, Tensor]:
        """Return weights, trials and memory with a row for each state, (N * T, ...)."""
        rows = states.flatten(0, 1)  # (N * T, D)
        n_weights = self.rule.n_weights
        return rows[:, :n_weights], self.trials.all_rows(), rows[:, n_weights:]

    def increments(self, states: Tensor) -> Tensor:
        weights, trials, memory = self.split(states)
        update, new_memory = self.rule(weights, trials, memory)
        increments = torch.cat([update, new_memory - memory], -1).view_as(states)  # (N, T, D)
        return torch.where(self.observed[..., None], increments, 0)

    @torch.no_grad()
    def go_by_rows(self, states: Tensor) -> bool:
        """Whether some of the trials, from states (N, T, D), go alone as they go among all."""
        together = self.increments(states)
        subject, trial = torch.nonzero(self.observed, as_tuple=True)
        for i in torch.linspace(0, len(trial) - 1, min(N_CHECKED, len(trial))).long().tolist():
            n, t = (slice(int(at[i]), int(at[i]) + 1) for at in (subject, trial))
            one = type(self)(self.rule, self.trials.of_subjects(n).at(t), self.observed[n, t])
            alone = one.increments(states[n, t])
            if not torch.allclose(alone, together[n, t], rtol=1e-3, atol=1e-6, equal_nan=True):
                return False
        return True


class GRUSteps(RuleSteps):
    """The steps of an :class:`RNNRule`, whose large Jacobians are written out.

    With the gates r and z, the candidate n and a = W_n h + b_n, the new memory is
    h' = (1 - z) n + z h, and

        dh' = z dh + (h - n) dz + (1 - z) dn
        dz = z (1 - z) (V_z dw + W_z dh)
        dr = r (1 - r) (V_r dw + W_r dh)
        dn = (1 - n^2) (V_n dw + r W_n dh + a dr)
    """

    max_states: ClassVar[dict[str, int]] = {"cpu": 40, "cuda": 256}
    rule: RNNRule

    @torch.no_grad()
    def linearise(self, states: Tensor) -> tuple[Tensor, Tensor]:
        increments = self.increments(states)
        n_weights, n_states = self.rule.n_weights, states.shape[-1]
        jacobians = states.new_empty(states.shape[:2].numel(), n_states, n_states)
        by_weights, by_memory = jacobians[:, :n_weights], jacobians[:, n_weights:]
        self._write_memory_jacobians(by_memory, states)
        new_memory = (states + increments)[..., n_weights:].flatten(0, 1)  # (N * T, M)
        by_weights[:] = torch.bmm(self._readout_jacobians(new_memory), by_memory)
        by_weights.diagonal(0, -2, -1).add_(1)
        return increments, jacobians.view(*states.shape, n_states)

    def _write_memory_jacobians(self, out: Tensor, states: Tensor) -> None:
        """Write dh' / d(w, h), (N * T, M, D)."""
        gru, n_weights = self.rule.gru, self.rule.n_weights
        weights, trials, memory = self.split(states)
        inputs = self.rule.inputs(weights, trials)
        v_r, v_z, v_n = linear(inputs, gru.weight_ih, gru.bias_ih).chunk(3, -1)  # (N * T, M) each
        w_r, w_z, a = linear(memory, gru.weight_hh, gru.bias_hh).chunk(3, -1)
        r, z = torch.sigmoid(v_r + w_r), torch.sigmoid(v_z + w_z)
        n = torch.tanh(v_n + r * a)

        seen = self.observed.flatten()[:, None]  # elsewhere h' = h
        by_z = torch.where(seen, (memory - n) * z * (1 - z), 0)
        by_n = torch.where(seen, (1 - z) * (1 - n * n), 0)
        by_r = by_n * a * r * (1 - r)
        slopes = torch.cat([gru.weight_ih[:, :n_weights], gru.weight_hh], -1)  # (3 M, D): [V, W]
        slopes_r, slopes_z, slopes_n = slopes.chunk(3)
        torch.mul(by_r[..., None], slopes_r, out=out)
        out.addcmul_(by_z[..., None], slopes_z)
        out[..., :n_weights].addcmul_(by_n[..., None], slopes_n[:, :n_weights])
        out[..., n_weights:].addcmul_((by_n * r)[..., None], slopes_n[:, n_weights:])
        out[..., n_weights:].diagonal(0, -2, -1).add_(torch.where(seen, z, 1))

    def _readout_jacobians(self, memory: Tensor) -> Tensor:
        """Return d update / dh', (N * T, M) -> (N * T, K, M)."""
        with torch.enable_grad():
            memory = memory.detach().requires_grad_()
            scale = self.rule.scale_of(self.trials.all_rows())
            update = scale * self.rule.mlp(memory)
            update = torch.where(self.observed.flatten()[:, None], update, 0)
        return row_jacobians(update, memory)


def row_jacobians(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Return d output / d input row by row, (..., P) and (..., Q) -> (..., P, Q).

    One backward sweep for each output, over all rows at once: as rows do not mix, the
    gradient of a sum over rows holds each row's own.
    """
    if not outputs.requires_grad:  # a rule that ignores its state
        return inputs.new_zeros(*outputs.shape, inputs.shape[-1])
    units = torch.eye(outputs.shape[-1], dtype=outputs.dtype, device=outputs.device)
    sweeps: list[Tensor] = []
    for unit in units:
        cotangent = unit.expand_as(outputs)
        sweeps += torch.autograd.grad(
            outputs, inputs, cotangent, retain_graph=True, materialize_grads=True
        )
    return torch.stack(sweeps, -2)
