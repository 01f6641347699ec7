"""Compiled unrolling of any rule, whose steps come as functions: see ``_steps``.

The backward pass goes through blocks of trials, last block first. It computes the block's rows
again, from the weights that the forward pass returned and the memory that it kept at each block's
start, and goes back through them. Of a rule that shows all of its memory, the path has it.
"""

from __future__ import annotations

from numba import njit

from ._kernels_state import adjoint_of_held, hold, is_cut, kernel
from ._kernels_vector import call, copy, pointer, shift


@kernel
def unroll(steps, layout, parameters, fields, n_observed, first, last, start, row, path, memories):
    """Fill ``path`` (N, T, K + S), whose first trial is given, of some subjects.

    ``start`` (N, M) is the memory before the first trial; ``memories`` (N, n_blocks, M) takes that
    before each block of trials, where it has room for it.
    """
    n_trials, width = path.shape[1:]
    n_blocks, m = memories.shape[1:]
    known = (pointer(layout), pointer(parameters), pointer(fields))
    row_, path_, start_, memories_ = pointer(row), pointer(path), pointer(start), pointer(memories)
    change, later = shift(row_, steps.update), shift(row_, steps.memory)
    for n in range(first, last):
        memory = shift(start_, n * m)
        for t in range(n_observed[n]):
            at = n * n_trials + t
            if n_blocks and t % steps.block == 0:
                copy(memory, shift(memories_, (n * n_blocks + t // steps.block) * m), m)
            weights = shift(path_, at * width)
            call(steps.step, (*known, n, at, weights, memory, row_))
            for k in range(steps.n_weights):
                weights[width + k] = weights[k] + change[k]
            if m:
                copy(later, memory, m)
                copy(memory, shift(weights, width + steps.n_weights), width - steps.n_weights)
        hold(path, n, n_observed[n])


@njit
def fill_rows(steps, known, n, start, n_rows, weights, width, memory, rows):
    """Compute a block's rows again, from its trials' weights and the memory before them."""
    if steps.fill_rows:
        call(steps.fill_rows, (*known, n, start, n_rows, weights, width, memory, rows))
    else:
        for i in range(n_rows - 1):
            row = shift(rows, i * steps.row_size)
            call(steps.step, (*known, n, start + i, shift(weights, i * width), memory, row))
            memory = shift(row, steps.memory)


@njit
def back_over_trial(steps, known, here, delta, adjoint, adjoint_memory, above, cut, gradient):
    """Take the adjoints of weights and memory over a trial, and add what comes from ``above``.

    That is the upstream gradient of the path's row before the trial; ``cut`` is whether it is all.
    """
    change, back = shift(delta, steps.update), shift(delta, steps.weights)
    for k in range(steps.n_weights):
        change[k] = adjoint[k]
    call(steps.step_back, (*known, *here, delta, pointer(adjoint_memory), gradient))
    for k in range(steps.n_weights):
        passed = 0.0 if cut else adjoint[k] + back[k]
        adjoint[k] = passed + above[k]
    if cut:
        adjoint_memory[:] = 0


@kernel
def unroll_back(
    steps, layout, parameters, fields, n_observed, first, last, path, memories,
    truncation, n_steps, rows, deltas, adjoint_memory, upstream, gradient, gradient_start,
):  # fmt: skip
    """Fill ``gradient_start`` (N, K + M) of some subjects; add their part to ``gradient``."""
    n_trials, width = path.shape[1:]
    n_blocks, m = memories.shape[1:]
    n_weights, block = steps.n_weights, steps.block
    known = (pointer(layout), pointer(parameters), pointer(fields))
    rows_, deltas_, gradient_ = pointer(rows), pointer(deltas), pointer(gradient)
    memory_, memories_ = pointer(adjoint_memory), pointer(memories)
    path_, upstream_ = pointer(path), pointer(upstream)
    for n in range(first, last):
        initial = gradient_start[n]  # of the weights, then the memory
        initial[:] = 0
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, initial[:width])
        adjoint = pointer(initial)
        copy(shift(adjoint, n_weights), memory_, m)
        for start in range((n_observed[n] - 1) // block * block, -1, -block):
            n_rows = min(block, n_observed[n] - start)
            at = n * n_trials + start
            weights = shift(path_, at * width)
            kept = shift(weights, n_weights)
            if n_blocks:
                kept = shift(memories_, (n * n_blocks + start // block) * m)
            if n_blocks or steps.fill_rows:
                fill_rows(steps, known, n, at, n_rows, weights, width, kept, rows_)
            for i in range(n_rows - 1, -1, -1):
                row, delta = shift(rows_, i * steps.row_size), shift(deltas_, i * steps.row_size)
                old = shift(weights, i * width + n_weights)
                if n_blocks:
                    old = shift(rows_, (i - 1) * steps.row_size + steps.memory) if i else kept
                here = (n, at + i, shift(weights, i * width), old, row)
                above, cut = shift(upstream_, (at + i) * width), is_cut(start + i, truncation)
                back_over_trial(
                    steps, known, here, delta, adjoint, adjoint_memory, above, cut, gradient_
                )
                for k in range(n_weights, width):
                    memory_[k - n_weights] += above[k]
            if steps.add_gradients:
                call(steps.add_gradients, (*known, rows_, deltas_, n_rows, gradient_))
        copy(memory_, shift(adjoint, n_weights), m)
