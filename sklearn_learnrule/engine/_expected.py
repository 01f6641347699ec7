"""The logits of each trial, where weights are known as a normal distribution: row by row."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..compiler.trace import Untraceable
from ..rules import Policy, filtered_logit
from ._fused import COMPILED_NUMBERS

if TYPE_CHECKING:
    from ._drivers import ExpectationDriver


def expected_logits(
    path: Tensor, features: Tensor, policy: Policy, *, engine: str = "auto"
) -> Tensor:
    """Return the policy's logits where a path's rows meet features.

    They are :func:`~sklearn_learnrule.rules.observing.filtered_logit`'s. Compiled code computes
    them, with gradients of first order in the path, unless another engine is asked for. Torch
    does, too, where there is no such code: on a GPU, of other types of numbers, for a gradient in
    the features, and of more weights or choices than are compiled.

    Parameters
    ----------
    path : Tensor of shape (..., K + S)
        The mean of K weights, then their covariance, packed.
    features : Tensor of shape (..., K) or, of C > 2 choices, (..., K / (C - 1))
        Broadcast against the path's rows: an ensemble's members see the same trials.
    policy : Policy
    engine : "auto" or a key of ``ENGINES``

    Returns
    -------
    Tensor of shape (...,) or, of C > 2 choices, (..., C - 1)
    """
    n_weights = policy.n_sets * features.shape[-1]
    asked = engine in ("auto", "fused") and path.device.type == "cpu"
    compiled = asked and path.dtype in COMPILED_NUMBERS and not features.requires_grad
    driver = _driver(n_weights, policy.n_choices, path.dtype) if compiled else None
    if driver is None:
        return filtered_logit(path[..., :n_weights], path[..., n_weights:], features, policy)
    width = n_weights + n_weights * (n_weights + 1) // 2
    if path.shape[-1] != width:  # compiled code would read beyond a row's end
        raise ValueError(f"A path's rows should be {width} wide, got {path.shape[-1]}.")
    shape = torch.broadcast_shapes(path.shape[:-1], features.shape[:-1])
    both = (each.expand(*shape, -1) for each in (path, features.to(path.dtype)))
    rows, told = (each.reshape(-1, each.shape[-1]).contiguous() for each in both)
    logits = _Expected.apply(rows, told, driver)
    return logits.view(*shape, *policy.shape)


@cache
def _driver(n_weights: int, n_choices: int, dtype: torch.dtype) -> ExpectationDriver | None:
    """Return what computes them, None if these are too many numbers to be compiled."""
    from ._drivers import ExpectationDriver  # imports numba: only where it is used

    try:
        return ExpectationDriver(n_weights, n_choices, dtype)
    except Untraceable:
        return None


class _Expected(torch.autograd.Function):
    """Logits (R, C - 1) of rows (R, K + S) and features (R, K / (C - 1))."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, features: Tensor, driver: ExpectationDriver) -> Tensor:
        ctx.save_for_backward(rows, features)
        ctx.driver = driver
        return torch.from_numpy(driver.logits(rows.numpy(), features.numpy()))

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        from ._cohort import refuse_second_derivatives

        refuse_second_derivatives()
        rows, features = (saved.detach().numpy() for saved in ctx.saved_tensors)
        gradient = ctx.driver.logits_back(rows, features, upstream.contiguous().numpy())
        return torch.from_numpy(gradient), None, None
