"""Subjects and their trials as the compiled kernels read them, and their way over threads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..rules import Trial
from . import threads

Array: TypeAlias = np.ndarray
CACHE_LINE = 64  # bytes
FEWEST_SHARED = 5000  # trials, which take a thread about as long as to be woken takes another
MAX_CHUNKS = 64  # few enough to hold a gradient for each, enough to keep threads busy
FEWEST_IN_CHUNK = 1000  # trials, beside which it counts little what a chunk itself costs


class Cohort(NamedTuple):
    """N subjects' trials, as arrays of one type."""

    trials: tuple[Array, ...]
    """Arrays of shape (N, T, ...): of a rule, Trial's, of which those of subjects are (N, ...)."""
    n_observed: Array
    """How many of each subject's trials are gone through: of a rule, those that teach, (N,)."""
    n_steps: int
    """How many trials the loop would take: the most that any subject has observed."""
    truncation: int
    """0: none."""

    @property
    def n_chunks(self) -> int:
        large_enough = int(self.n_observed.sum()) // FEWEST_IN_CHUNK
        return min(len(self.n_observed), MAX_CHUNKS, max(1, large_enough))


def make_cohort(
    trials: Trial, observed: Tensor, truncation: int | None, dtype: torch.dtype
) -> Cohort:
    """Return the cohort, without a copy where the trials are contiguous and of this type."""
    arrays = tuple(f.detach().to(dtype).contiguous().numpy() for f in vars(trials).values())
    n_observed = np.count_nonzero(observed.numpy(), axis=1)
    n_steps = int(n_observed.max(initial=0))
    last = observed.shape[1] - 1  # what is learnt from the last trial is never used
    return Cohort(arrays, np.minimum(n_observed, last), n_steps, truncation or 0)


def zeros_aligned(dtype: np.dtype, *sizes: int) -> list[Array]:
    """Return flat arrays of zeros that each start a cache line, so that no vector crosses one."""
    per_line = CACHE_LINE // dtype.itemsize
    whole_lines = [-(-size // per_line) * per_line for size in sizes]
    buffer = np.zeros(sum(whole_lines) + per_line, dtype)
    first = -address_of(buffer) % CACHE_LINE // dtype.itemsize
    starts = accumulate(whole_lines, initial=first)
    return [buffer[i : i + size] for i, size in zip(starts, sizes, strict=False)]


def address_of(array: Array) -> int:
    """Return where an array's numbers begin; it has to live on."""
    return array.__array_interface__["data"][0]


def over_subjects(task: Callable[[int, int, int], None], cohort: Cohort) -> None:
    """Call ``task(chunk, first, last)`` for chunks of subjects, by as many threads as are idle.

    The chunks depend on the subjects and their trials alone, so that sums over them do not
    depend on the threads.
    """
    n_subjects, n_chunks = len(cohort.n_observed), cohort.n_chunks
    bounds = [i * n_subjects // n_chunks for i in range(n_chunks + 1)] if n_chunks else [0]

    def work(chunk: int) -> None:
        task(chunk, bounds[chunk], bounds[chunk + 1])

    if n_chunks < 2 or cohort.n_observed.sum() < FEWEST_SHARED:
        for chunk in range(n_chunks):
            work(chunk)
        return
    n_trials = [int(cohort.n_observed[i:j].sum()) for i, j in pairwise(bounds)]
    with threads.job():
        longest_first = sorted(range(n_chunks), key=n_trials.__getitem__, reverse=True)
        threads.share(work, longest_first)


def refuse_second_derivatives() -> None:
    """Raise in a backward pass that is itself to be differentiated: the kernels' is not."""
    if torch.is_grad_enabled():  # by create_graph=True
        raise RuntimeError(
            "engine='fused' gives first derivatives only, so create_graph=True has no"
            " meaning: use engine='loop' instead."
        )
