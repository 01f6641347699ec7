"""From a network rule to the flat numbers that its compiled steps read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import types
from torch import Tensor, nn
from torch.nn.functional import pad

from ..compiler.machine import FUNCTIONS
from ..rules import DNNRule, RNNRule
from . import _kernels_network as kernels
from . import _kernels_points as points
from ._cohort import Array, zeros_aligned
from ._fused import ACTIVATIONS
from ._kernels_network import N_NUMBERS, Network, transpose_layers
from ._kernels_state import BLOCK, callback
from ._kernels_vector import LANES
from ._steps import Steps
from ._traced import TracedSteps

BLOCK_IN_FILTER = 8  # trials of several rows each, which stay in the processor's cache
WHOLE = {"layout": "p", "fields": "p", "subject": "i", "trial": "i"}  # other arguments: numbers
ARGUMENTS = {  # see ``callback``
    kernels.retreat: "".join(WHOLE.get(argument, "n") for argument in FUNCTIONS["retreat"]),
    points.fill_points: "pnpiiininn",
    points.points_back: "pnpiiininnnn",
    kernels.advance_block: "pnpiiininn",
    kernels.fill_rows: "pnpiiininn",
    kernels.add_gradients: "pnpnnin",
}


@cache
def address(function: Callable[..., None], dtype: torch.dtype) -> int:
    """Return the address of one of a network's functions, for numbers of this type."""
    number = types.float32 if dtype == torch.float32 else types.float64
    compiled: Any = callback(function, ARGUMENTS[function], number)
    return compiled.address


def addresses(dtype: torch.dtype, in_filter: bool) -> list[int]:
    """Return those of the functions that drivers call, 0 for those that they do without."""
    functions: Sequence[Any] = (None, kernels.retreat, kernels.advance_block, kernels.fill_rows)
    if in_filter:  # which goes trial by trial
        functions = (None, points.points_back, None, points.fill_points)
    return [
        address(function, dtype) if function else 0
        for function in (*functions, kernels.add_gradients)
    ]


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


def pack_linear(weight: Tensor, bias: Tensor) -> Tensor:
    """Return a layer's weights, inputs by outputs, then its bias, flat."""
    block = torch.cat([weight.T, bias[None]])  # (n_in + 1, n_out)
    return pad(block, (0, padded(len(bias)) - len(bias))).flatten()


def pack_gates(weight: Tensor, bias: Tensor) -> Tensor:
    """Return a GRU's layer likewise, each of its three gates padded."""
    gates = torch.cat([weight, bias[:, None]], 1).unflatten(0, (3, -1))  # (3, M, n_in + 1)
    m = gates.shape[1]
    return pad(gates, (0, 0, 0, padded(m) - m)).flatten(0, 1).T.flatten()


def linears(rule: DNNRule | RNNRule) -> list[nn.Linear]:
    return [layer for layer in rule.mlp if isinstance(layer, nn.Linear)]


class NetworkSteps:
    """The steps of one network rule; its parameters are packed flat, layer by layer.

    Those of the rule that it goes ``around``, if any, come after them.
    """

    def __init__(
        self,
        rule: DNNRule | RNNRule,
        context_width: int,
        dtype: torch.dtype,
        in_filter: bool = False,
        around: TracedSteps | None = None,
    ) -> None:
        self.around, n_around = around, 0
        n_views = rule.policy.n_sets + rule.sees_made if rule.alike else 1
        size = rule.memory_size // n_views  # of a memory
        m = padded(size)
        shapes = [(layer.in_features, layer.out_features) for layer in linears(rule)]
        if m:
            shapes = [(rule.n_inputs, 3 * m), (size, 3 * m), *shapes]
        layers, row_size, self.sizes = lay_out(shapes)
        activation = ACTIVATIONS.index(repr(rule.mlp[1])) if len(rule.mlp) > 1 else 0
        handed_on = row_size
        if in_filter or rule.alike:
            row_size += padded(rule.n_weights + in_filter * n_views * m)
        functions_around, around_row = (0, 0), row_size
        if around is not None and rule.around is not None:
            functions_around = around.steps.forward, around.steps.backward
            n_around = len(around.pack(rule.around))
            row_size += padded(around.steps.row_size)
        network = Network(
            len(layers), rule.n_weights, m, activation, rule.session_input, rule.answer_input,
            row_size, self.sizes.parameters + n_around, rule.n_sided, handed_on, rule.n_effects,
            rule.rate_column, context_width, rule.known_input, rule.misses_input,
            rule.policy.n_sets, n_views, rule.alike, rule.n_features,
            *functions_around, self.sizes.parameters, around_row, 1 + in_filter * rule.n_weights,
        )  # fmt: skip
        self.layout = np.array([*network, *layers.ravel()], np.int64)
        assert len(network) == N_NUMBERS
        block = BLOCK_IN_FILTER if in_filter else BLOCK
        sizes = block, rule.n_weights, n_views * m, n_views * row_size
        self.n_memories = n_views
        places = handed_on, handed_on + rule.n_weights, handed_on if rule.alike else 0
        self.steps = Steps._make((*addresses(dtype, in_filter), *sizes, *places))

    def pack(self, rule: DNNRule | RNNRule) -> Tensor:
        """Return all layers' parameters, the output's scale taken into the last."""
        blocks = []
        if isinstance(rule, RNNRule):
            blocks.append(pack_gates(rule.gru.weight_ih, rule.gru.bias_ih))
            blocks.append(pack_gates(rule.gru.weight_hh, rule.gru.bias_hh))
        *hidden, last = linears(rule)
        blocks += [pack_linear(layer.weight, layer.bias) for layer in hidden]
        blocks.append(pack_linear(rule.scale[:, None] * last.weight, rule.scale * last.bias))
        if self.around is not None and rule.around is not None:
            blocks.append(self.around.pack(rule.around).to(rule.scale))
        return torch.cat(blocks)

    def ready(self, parameters: Array, back: bool) -> Array:
        """Return the parameters aligned and, for the way back, followed by the transposed."""
        n_transposed = self.sizes.transposed if back else 0
        (aligned,) = zeros_aligned(parameters.dtype, len(parameters) + n_transposed)
        aligned[: len(parameters)] = parameters
        if back:
            transpose_layers(self.layout, aligned)
        return aligned
