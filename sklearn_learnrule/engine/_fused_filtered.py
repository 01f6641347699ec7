"""From a rule with process noise to the flat numbers that its compiled kernels read."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..rules import DNNRule, FilteredRule, RNNRule, mover
from ._fused_cohort import Array, Cohort, empty_aligned, over_subjects
from ._fused_network import NetworkKernels
from ._kernels_filtered_network import unroll_filtered_network, unroll_filtered_network_back
from ._kernels_state import BLOCK


def _network(rule: FilteredRule) -> DNNRule | RNNRule:
    network, _ = mover(rule)
    assert isinstance(network, (DNNRule, RNNRule))
    return network


class FilteredNetworkKernels:
    """The kernels of a network rule with noise; odds and variances come after its parameters."""

    def __init__(self, rule: FilteredRule, activation: int) -> None:
        self.of_network = NetworkKernels(_network(rule), activation)
        self.n_weights = rule.n_weights
        self.places = mover(rule)[1].numpy()

    def pack(self, rule: FilteredRule) -> Tensor:
        """Return the network's parameters, the odds of lapses and the variances, flat."""
        network = self.of_network.pack(_network(rule))
        odds = torch.zeros(2) if rule.odds is None else rule.odds
        return torch.cat([network, odds, rule.noise.variances.flatten()])

    def _split(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Return the network's parameters, the odds of lapses, (2,), and the variances, (2, K)."""
        n_parameters = self.of_network.sizes.parameters
        network, odds, variances = np.split(parameters, [n_parameters, n_parameters + 2])
        aligned = empty_aligned(len(network), network.dtype)
        aligned[:] = network
        return aligned, odds, variances.reshape(2, -1)

    def _seen(self, cohort: Cohort) -> tuple[Array, tuple[Array, ...]]:
        """Return the policy's features, and trials with those that the network sees."""
        features, *outcome = cohort.trials
        seen = features if len(self.places) == self.n_weights else features[..., self.places]
        return features, (np.ascontiguousarray(seen), *outcome)

    def unroll(self, parameters: Array, cohort: Cohort, path: Array, differentiable: bool) -> Array:
        """Fill the path after its first trial; return the memory before each block."""
        network, layers = self.of_network.network, self.of_network.layers
        n_blocks = -(-cohort.n_steps // BLOCK) if differentiable else 0
        memories = np.empty((len(path), n_blocks, network.memory_width), path.dtype)
        flat, odds, variances = self._split(parameters)
        features, trials = self._seen(cohort)

        def unroll_some(chunk: int, first: int, last: int) -> None:
            rows = empty_aligned((1 + len(self.places)) * network.row_size, path.dtype)
            unroll_filtered_network(
                network, layers, flat, odds, variances, self.places, features, trials,
                cohort.n_observed, first, last, rows, path, memories,
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
        flat, odds, _ = self._split(parameters)
        features, trials = self._seen(cohort)
        gradients = [empty_aligned(sizes.parameters, path.dtype) for _ in range(cohort.n_chunks)]
        of_odds = np.zeros((cohort.n_chunks, 2), path.dtype)
        of_variances = np.zeros((cohort.n_chunks, 2, self.n_weights), path.dtype)
        gradient_initial = np.empty_like(path[:, 0])  # (N, K + S)
        n_numbers = BLOCK * (1 + len(self.places)) * network.row_size

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            m = network.memory_width
            workspace = [
                empty_aligned(size, path.dtype)
                for size in (sizes.transposed, n_numbers, n_numbers, m, m)
            ]
            for array in (*workspace, gradients[chunk]):
                array[:] = 0
            unroll_filtered_network_back(
                network, layers, flat, odds, self.places, features, trials, cohort.n_observed,
                first, last, path, kept, cohort.truncation, cohort.n_steps, *workspace,
                upstream, gradients[chunk], of_odds[chunk], of_variances[chunk], gradient_initial,
            )  # fmt: skip

        over_subjects(unroll_some_back, cohort)
        of_noise = of_variances.sum(0).ravel()
        total = np.concatenate([np.sum(gradients, axis=0), of_odds.sum(0), of_noise])
        return total, gradient_initial
