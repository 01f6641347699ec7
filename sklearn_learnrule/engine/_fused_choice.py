"""The fused engine of the recurrent choice network: compiled CPU kernels, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._cohort import (
    Array,
    Cohort,
    over_subjects,
    refuse_second_derivatives,
    zeros_aligned,
)
from ._kernels_choice import ChoiceNetwork, choice_logits, choice_logits_back
from ._kernels_state import BLOCK
from ._network import lay_out, pack_gates, pack_linear, padded


def choice_logits_fused(
    gru: nn.GRU, readout: nn.Linear, inputs: Tensor, lengths: Tensor, truncation: int | None
) -> Tensor:
    """Return the logits by compiled kernels; see :func:`.choice_logits`.

    Gradients, of first order only, reach the parameters. The result is the same bit for bit
    whatever the number of threads, which is torch's.

    Raises
    ------
    ValueError
        If the inputs are not on the CPU, need a gradient, or are too few.
    """
    _check(gru, inputs, lengths)
    n_trials = lengths.numpy().astype(np.int64)
    array = inputs.contiguous().numpy()
    cohort = Cohort((array,), n_trials, int(n_trials.max(initial=0)), truncation or 0)
    weight_ih, weight_hh, bias_ih, bias_hh = gru.all_weights[0]
    blocks = [
        pack_gates(weight_ih, bias_ih),
        pack_gates(weight_hh, bias_hh),
        pack_linear(readout.weight, readout.bias),
    ]
    kernels = ChoiceKernels(gru.input_size, gru.hidden_size, readout.out_features)
    logits = _ChoiceLogits.apply(torch.cat(blocks), kernels, cohort)
    return logits.squeeze(-1) if readout.out_features == 1 else logits


def _check(gru: nn.GRU, inputs: Tensor, lengths: Tensor) -> None:
    """Raise ValueError for what the kernels cannot do, or would read beyond its end."""
    reason = None
    if inputs.device.type != "cpu":
        reason = f"runs on the CPU, not on {inputs.device.type!r}"
    elif inputs.requires_grad:
        reason = "gives no gradient with respect to inputs"
    if reason:
        raise ValueError(f"engine='fused' {reason}: use engine='loop' instead.")
    n_subjects, n_trials = len(lengths), int(lengths.max())
    if len(inputs) != n_subjects or inputs.shape[1] < n_trials or inputs.shape[2] != gru.input_size:
        raise ValueError(
            f"Inputs should be of shape ({n_subjects}, at least {n_trials}, {gru.input_size}), "
            f"got {tuple(inputs.shape)}."
        )


class ChoiceKernels:
    """The kernels of a network of one shape; its parameters are packed flat, layer by layer."""

    def __init__(self, n_inputs: int, memory_size: int, n_logits: int) -> None:
        m = padded(memory_size)
        shapes = [(n_inputs, 3 * m), (memory_size, 3 * m), (memory_size, n_logits)]
        self.n_logits = n_logits
        self.layers, row_size, self.sizes = lay_out(shapes)
        self.network = ChoiceNetwork(n_inputs, m, row_size)

    def logits(
        self, parameters: Array, cohort: Cohort, differentiable: bool
    ) -> tuple[Array, Array]:
        """Return logits (N, T, n_logits) and, for the way back, the memory before each block."""
        (inputs,) = cohort.trials
        n_blocks = -(-cohort.n_steps // BLOCK) if differentiable else 0
        memories = np.empty((len(inputs), n_blocks, self.network.memory_width), inputs.dtype)
        logits = np.empty((*inputs.shape[:2], self.n_logits), inputs.dtype)
        sizes = BLOCK * self.network.row_size, self.network.memory_width

        def fill_some(chunk: int, first: int, last: int) -> None:
            workspace = zeros_aligned(inputs.dtype, *sizes)
            choice_logits(
                self.network, self.layers, parameters, inputs, cohort.n_observed, first, last,
                *workspace, logits, memories,
            )  # fmt: skip

        over_subjects(fill_some, cohort)
        return logits, memories

    def logits_back(
        self, parameters: Array, cohort: Cohort, memories: Array, upstream: Array
    ) -> Array:
        """Return the gradient of the parameters."""
        (inputs,) = cohort.trials
        gradients = zeros_aligned(inputs.dtype, *cohort.n_chunks * [self.sizes.parameters])
        row_size, m = self.network.row_size, self.network.memory_width
        sizes = (*2 * [BLOCK * row_size], m, self.sizes.transposed)

        def add_some(chunk: int, first: int, last: int) -> None:
            workspace = zeros_aligned(inputs.dtype, *sizes)
            choice_logits_back(
                self.network, self.layers, parameters, inputs, cohort.n_observed, first, last,
                *workspace, memories, cohort.truncation, upstream, gradients[chunk],
            )  # fmt: skip

        over_subjects(add_some, cohort)
        return np.sum(gradients, axis=0)


class _ChoiceLogits(torch.autograd.Function):
    """Logits (N, T, n_logits) of packed parameters."""

    @staticmethod
    def forward(ctx: Any, parameters: Tensor, kernels: ChoiceKernels, cohort: Cohort) -> Tensor:
        ctx.kernels, ctx.cohort = kernels, cohort
        ctx.save_for_backward(parameters)
        logits, ctx.memories = kernels.logits(parameters.numpy(), cohort, ctx.needs_input_grad[0])
        return torch.from_numpy(logits)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        (parameters,) = (saved.detach() for saved in ctx.saved_tensors)
        gradient = ctx.kernels.logits_back(
            parameters.numpy(), ctx.cohort, ctx.memories, upstream.contiguous().numpy()
        )
        return torch.from_numpy(gradient), None, None
