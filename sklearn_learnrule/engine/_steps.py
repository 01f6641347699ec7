"""What the drivers of ``_kernels_unroll`` and ``_kernels_filtered`` know of a rule: its steps.

A rule comes to them as C functions. ``parameters`` is a flat array of its own kind, ``fields``
holds the addresses of the trials' arrays, in the order of :class:`~sklearn_learnrule.rules.Trial`,
``trial`` counts the trials of all subjects, and ``row`` is room for what one trial computes. An
*adjoint* is the gradient of the loss in what a trial hands on, by way of all that follows.

    advance(layout, parameters, fields, subject, trial, weights, memory, row, later, memory_later)

fills in the next trial's weights and memory;

    retreat(layout, parameters, fields, subject, trial, weights, memory, row, delta, adjoint, above,
            gradient)

takes the adjoint of weights and memory back over the trial, adds the gradient from ``above`` in the
weights before it, and adds to the parameters' ``gradient``. Inside the filter,

    step(layout, parameters, fields, subject, trial, weights, memory, row)

fills a row, of which the update and the new memory have their places, and

    step_back(layout, parameters, fields, subject, trial, weights, memory, row, delta, adjoint,
              gradient)

is given the update's adjoint in ``delta``, and the new memory's in ``adjoint``, and leaves the
weights' in ``delta``, the old memory's in ``adjoint``.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ._cohort import Array


class Steps(NamedTuple):
    """The addresses of a rule's functions, and where in a row, and in its delta, to find what."""

    forward: int
    """Of ``advance`` or, in a filter, of ``step``; 0: it goes by blocks, or by points."""
    backward: int
    """Of ``retreat`` or, in a filter, of ``step_back``, or of all points at once."""
    advance_block: int
    """Of a function that goes over a block faster than trial by trial; 0: none."""
    fill_rows: int
    """Of one that fills rows faster than one by one, a block's or, in a filter, a trial's; 0: none.

    Those of a trial are of several weights, its points: see ``_kernels_points``.
    """
    add_gradients: int
    """Of one that adds a block's gradients, where going back does not; 0: none."""
    block: int
    """How many trials' rows are held at a time, going back."""
    n_weights: int
    memory_size: int
    row_size: int
    update: int
    memory: int
    weights: int


class CompiledRule(Protocol):
    """A rule's steps, and its parameters as they read them."""

    steps: Steps
    layout: Array
    """Whole numbers that its functions want to know."""
    n_memories: int
    """How many memories of one size its memory is, each of which is padded."""

    def pack(self, rule: Any) -> Tensor:
        """Return the parameters, flat, from where gradients go back to the rule's own."""

    def ready(self, parameters: Array, back: bool) -> Array:
        """Return the parameters as its functions read them, on the way back too."""
