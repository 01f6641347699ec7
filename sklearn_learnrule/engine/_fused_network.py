"""From a network rule to the flat numbers that its compiled kernels read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..rules import DNNRule, RNNRule
from ._fused_cohort import Array, Cohort, empty_aligned, over_subjects
from ._kernels_network import Network, unroll_network, unroll_network_back
from ._kernels_state import BLOCK
from ._kernels_vector import LANES


class Sizes(NamedTuple):
    """How many numbers all layers' parameters take, as packed, and as transposed."""

    parameters: int
    transposed: int


def padded(size: int) -> int:
    """Return the size that a slot of ``size`` numbers takes."""
    return -(-size // LANES) * LANES


def lay_out(shapes: list[tuple[int, int]]) -> tuple[Array, int, Sizes]:
    """Return the table of layers of (n_in, n_out), a row's size, and the parameters'."""
    layers, row, weights, transposed = [], 0, 0, 0
    for n_in, n_out in shapes:
        width, width_back = padded(n_out), padded(n_in)
        output = row + width_back
        layers.append((n_in, n_out, width, width_back, weights, transposed, row, output))
        row = output + width
        weights += (n_in + 1) * width
        transposed += n_out * width_back
    return np.array(layers, np.int64), row, Sizes(weights, transposed)


def make_network(rule: DNNRule | RNNRule, activation: int) -> tuple[Network, Array, Sizes]:
    """Return a rule's shape, its layers, and the numbers that they take."""
    m = padded(rule.memory_size)
    linears = [layer for layer in rule.mlp if isinstance(layer, nn.Linear)]
    shapes = [(layer.in_features, layer.out_features) for layer in linears]
    if rule.memory_size:
        shapes = [(rule.n_inputs, 3 * m), (rule.memory_size, 3 * m), *shapes]
    layers, row_size, sizes = lay_out(shapes)
    network = Network(
        len(layers), rule.n_weights, m, activation, rule.session_input, rule.answer_input, row_size
    )
    return network, layers, sizes


def pack_linear(weight: Tensor, bias: Tensor) -> Tensor:
    """Return a layer's weights, inputs by outputs, then its bias, flat."""
    block = torch.cat([weight.T, bias[None]])  # (n_in + 1, n_out)
    return pad(block, (0, padded(len(bias)) - len(bias))).flatten()


def pack_gates(weight: Tensor, bias: Tensor) -> Tensor:
    """Return a GRU's layer likewise, each of its three gates padded."""
    gates = torch.cat([weight, bias[:, None]], 1).unflatten(0, (3, -1))  # (3, M, n_in + 1)
    m = gates.shape[1]
    return pad(gates, (0, 0, 0, padded(m) - m)).flatten(0, 1).T.flatten()


class NetworkKernels:
    """The kernels of one network rule; its parameters are packed flat, layer by layer."""

    def __init__(self, rule: DNNRule | RNNRule, activation: int) -> None:
        self.network, self.layers, self.sizes = make_network(rule, activation)

    def pack(self, rule: DNNRule | RNNRule) -> Tensor:
        """Return all layers' parameters, the output's scale taken into the last."""
        blocks = []
        if isinstance(rule, RNNRule):
            blocks.append(pack_gates(rule.gru.weight_ih, rule.gru.bias_ih))
            blocks.append(pack_gates(rule.gru.weight_hh, rule.gru.bias_hh))
        *hidden, last = (layer for layer in rule.mlp if isinstance(layer, nn.Linear))
        blocks += [pack_linear(layer.weight, layer.bias) for layer in hidden]
        blocks.append(pack_linear(rule.scale[:, None] * last.weight, rule.scale * last.bias))
        return torch.cat(blocks)

    def unroll(
        self, parameters: Array, cohort: Cohort, trajectory: Array, differentiable: bool
    ) -> Array:
        """Fill the trajectory after its first trial; return the memory before each block."""
        network = self.network
        n_blocks = -(-cohort.n_steps // BLOCK) if differentiable else 0
        shape = (len(trajectory), n_blocks, network.memory_width)
        memories = np.empty(shape, trajectory.dtype)

        def unroll_some(chunk: int, first: int, last: int) -> None:
            row = empty_aligned(network.row_size, trajectory.dtype)
            unroll_network(
                network, self.layers, parameters, cohort.trials, cohort.n_observed, first, last,
                row, trajectory, memories,
            )  # fmt: skip

        over_subjects(unroll_some, cohort)
        return memories

    def unroll_back(
        self, parameters: Array, cohort: Cohort, trajectory: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]:
        """Return the gradients of the parameters and the initial weights."""
        network = self.network
        gradients = [
            empty_aligned(self.sizes.parameters, trajectory.dtype) for _ in range(cohort.n_chunks)
        ]
        gradient_initial = np.empty_like(trajectory[:, 0])  # (N, K)

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            sizes = (self.sizes.transposed, *2 * [BLOCK * network.row_size], network.memory_width)
            workspace = [empty_aligned(size, trajectory.dtype) for size in sizes]
            for array in (*workspace, gradients[chunk]):
                array[:] = 0
            unroll_network_back(
                network, self.layers, parameters, cohort.trials, cohort.n_observed, first, last,
                trajectory, kept, cohort.truncation, cohort.n_steps, *workspace,
                upstream, gradients[chunk], gradient_initial,
            )  # fmt: skip

        over_subjects(unroll_some_back, cohort)
        return np.sum(gradients, axis=0), gradient_initial
