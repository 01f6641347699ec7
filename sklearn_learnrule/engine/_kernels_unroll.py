"""Compiled unrolling of any rule, whose steps come as functions: see ``_steps``.

The backward pass goes through blocks of trials, last block first. Where it needs the memory before
each, or a network's rows, it computes them again, from the weights that the forward pass returned
and the memory that it kept at each block's start. Of a rule that shows all of its memory, the path
has it; of one that has little, it is kept of every trial, a block.
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
    k, block = steps.n_weights, steps.block
    for n in range(first, last):
        memory = memory_later = shift(start_, n * m)
        for t in range(0, n_observed[n], block if steps.advance_block else 1):
            at = n * n_trials + t
            weights, later = shift(path_, at * width), shift(path_, (at + 1) * width)
            if width - k == m:  # the path has all of it
                memory, memory_later = shift(weights, k), shift(later, k)
            elif n_blocks and t % block == 0:
                copy(memory, shift(memories_, (n * n_blocks + t // block) * m), m)
            if steps.advance_block:
                n_rows = min(block, n_observed[n] - t)
                call(steps.advance_block, (*known, n, at, n_rows, weights, width, memory, row_))
                continue
            call(steps.forward, (*known, n, at, weights, memory, row_, later, memory_later))
            if width - k != m:
                copy(memory_later, shift(later, k), width - k)
        hold(path, n, n_observed[n])


@njit
def fill_rows(steps, known, n, start, n_rows, weights, width, memory, rows):
    """Compute a block's rows again, from its trials' weights and the memory before them.

    Without a function for it, of what a row holds, only the new memory: where later trials read it.
    """
    if steps.fill_rows:
        call(steps.fill_rows, (*known, n, start, n_rows, weights, width, memory, rows))
    else:
        for i in range(n_rows - 1):
            row = shift(rows, i * steps.row_size)
            later, here = shift(row, steps.memory), shift(weights, i * width)
            # only the memory is wanted: the weights go to the row's beginning, and nowhere
            call(steps.forward, (*known, n, start + i, here, memory, row, row, later))
            memory = later


@kernel
def unroll_back(
    steps, layout, parameters, fields, n_observed, first, last, path, memories,
    truncation, n_steps, rows, deltas, upstream, gradient, gradient_start,
):  # fmt: skip
    """Fill ``gradient_start`` (N, K + M) of some subjects; add their part to ``gradient``."""
    n_trials, width = path.shape[1:]
    n_blocks, m = memories.shape[1:]
    n_weights, block = steps.n_weights, steps.block
    known = (pointer(layout), pointer(parameters), pointer(fields))
    rows_, deltas_, gradient_ = pointer(rows), pointer(deltas), pointer(gradient)
    memories_, path_, upstream_ = pointer(memories), pointer(path), pointer(upstream)
    for n in range(first, last):
        adjoint = gradient_start[n]  # of the weights, then the memory
        adjoint[:] = 0
        adjoint_of_held(upstream, n, n_observed[n], truncation, n_steps, adjoint[:width])
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
                here = (n, at + i, shift(weights, i * width), old, row, delta)
                above = shift(upstream_, (at + i) * width)
                call(steps.backward, (*known, *here, pointer(adjoint), above, gradient_))
                if is_cut(start + i, truncation):
                    adjoint[:] = 0
                    copy(above, pointer(adjoint), n_weights)
                for k in range(n_weights, width):
                    adjoint[k] += above[k]
            if steps.add_gradients:
                call(steps.add_gradients, (*known, rows_, deltas_, n_rows, gradient_))
