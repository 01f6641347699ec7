"""From a rule with process noise to the flat numbers that its compiled kernels read."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..rules import DNNRule, FilteredRule, RNNRule
from ._fused_cohort import Array, Cohort, empty_aligned, over_subjects
from ._fused_network import NetworkKernels
from ._kernels_filtered_network import unroll_filtered_network, unroll_filtered_network_back
from ._kernels_state import BLOCK


def _network(rule: FilteredRule) -> DNNRule | RNNRule:
    """Return the rule inside the filter."""
    assert isinstance(rule.rule, (DNNRule, RNNRule))
    return rule.rule


class FilteredNetworkKernels:
    """The kernels of a network rule with noise; variances come after the network's parameters."""

    def __init__(self, rule: FilteredRule, activation: int) -> None:
        self.of_network = NetworkKernels(_network(rule), activation)
        self.n_weights = rule.n_weights

    def pack(self, rule: FilteredRule) -> Tensor:
        """Return the network's parameters and the two rows of variances, flat."""
        network = self.of_network.pack(_network(rule))
        return torch.cat([network, rule.noise.variances.flatten()])

    def _split(self, parameters: Array) -> tuple[Array, Array]:
        """Return the network's parameters and the variances, (2, K)."""
        network, variances = np.split(parameters, [self.of_network.sizes.parameters])
        aligned = empty_aligned(len(network), network.dtype)
        aligned[:] = network
        return aligned, variances.reshape(2, -1)

    def unroll(self, parameters: Array, cohort: Cohort, path: Array, differentiable: bool) -> Array:
        """Fill the path after its first trial; return the memory before each block."""
        network, layers = self.of_network.network, self.of_network.layers
        n_blocks = -(-cohort.n_steps // BLOCK) if differentiable else 0
        memories = np.empty((len(path), n_blocks, network.memory_width), path.dtype)
        flat, variances = self._split(parameters)

        def unroll_some(chunk: int, first: int, last: int) -> None:
            rows = empty_aligned((1 + self.n_weights) * network.row_size, path.dtype)
            unroll_filtered_network(
                network, layers, flat, variances, cohort.trials, cohort.n_observed, first, last,
                rows, path, memories,
            )  # fmt: skip

        over_subjects(unroll_some, cohort)
        return memories

    def unroll_back(
        self, parameters: Array, cohort: Cohort, path: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]:
        """Return the gradients of the parameters and of the path's first row."""
        network, layers, sizes = (
            self.of_network.network, self.of_network.layers, self.of_network.sizes,
        )  # fmt: skip
        flat, _ = self._split(parameters)
        gradients = [empty_aligned(sizes.parameters, path.dtype) for _ in range(cohort.n_chunks)]
        of_variances = np.zeros((cohort.n_chunks, 2, self.n_weights), path.dtype)
        gradient_initial = np.empty_like(path[:, 0])  # (N, K + S)
        n_numbers = BLOCK * (1 + self.n_weights) * network.row_size

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            m = network.memory_width
            workspace = [
                empty_aligned(size, path.dtype)
                for size in (sizes.transposed, n_numbers, n_numbers, m, m)
            ]
            for array in (*workspace, gradients[chunk]):
                array[:] = 0
            unroll_filtered_network_back(
                network, layers, flat, cohort.trials, cohort.n_observed, first, last,
                path, kept, cohort.truncation, cohort.n_steps, *workspace,
                upstream, gradients[chunk], of_variances[chunk], gradient_initial,
            )  # fmt: skip

        over_subjects(unroll_some_back, cohort)
        total = np.concatenate([np.sum(gradients, axis=0), of_variances.sum(0).ravel()])
        return total, gradient_initial
