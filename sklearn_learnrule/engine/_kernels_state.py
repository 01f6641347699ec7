"""What the kernels have in common: their compiling, and the state that trials hand on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from numba import njit, types
from numba.core.ccallback import CFunc

from ..compiler.kept import warn_uncached
from ._kernels_cache import KernelCache

BLOCK = 64  # trials whose rows are held at a time


def kernel(function: Callable) -> Callable:
    """Compile a function that Python calls: free of the GIL, and cached on disk if possible."""
    compiled = njit(nogil=True)(function)
    try:
        compiled._cache = KernelCache(function)
    except RuntimeError:  # numba finds no folder that it may write to
        warn_uncached("on disk")
    return compiled


def callback(function: Callable, arguments: str, number: types.Float) -> CFunc:
    """Compile a function that kernels call by its address, cached as kernels are.

    ``arguments`` has a letter for each: ``i`` for a whole number, ``p`` for a pointer to such,
    ``n`` for a pointer to numbers.
    """
    kinds = {"i": types.int64, "p": types.CPointer(types.int64), "n": types.CPointer(number)}
    signature = tuple(kinds[letter] for letter in arguments), types.void
    compiled = CFunc(function, signature, {}, {"nopython": True})
    with suppress(RuntimeError):
        compiled._cache = KernelCache(function)
    compiled.compile()
    return compiled


@njit
def is_cut(t, truncation):
    """Whether no gradient passes from trial t to the trials before."""
    return truncation > 0 and t > 0 and t % truncation == 0


@njit
def hold(trajectory, n, t):
    """Keep subject n's weights of trial t to the end."""
    for later in range(t + 1, trajectory.shape[1]):
        for k in range(trajectory.shape[2]):  # in one go, numba compiles a message for seconds
            trajectory[n, later, k] = trajectory[n, t, k]


@njit
def adjoint_of_held(gradient_trajectory, n, t, truncation, n_steps, adjoint):
    """Fill the adjoint of the weights that subject n holds from trial t on.

    The adjoint of a state is the loss's gradient with respect to it, by way of all that
    follows; before each ``truncation``-th of the ``n_steps`` trials it is cut.
    """
    adjoint[:] = 0
    for later in range(gradient_trajectory.shape[1] - 1, t - 1, -1):
        if later < n_steps and is_cut(later, truncation):
            adjoint[:] = 0
        for k in range(len(adjoint)):
            adjoint[k] += gradient_trajectory[n, later, k]
