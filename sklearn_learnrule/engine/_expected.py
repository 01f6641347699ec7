"""The logits of each trial, where weights are known as a normal distribution: row by row."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..rules import Policy, filtered_logit
from ._fused import COMPILED_NUMBERS

if TYPE_CHECKING:
    from ._drivers import ExpectationDriver


def expected_logits(
    path: Tensor, features: Tensor, policy: Policy, *, engine: str = "auto"
) -> Tensor:
    """Return the policy's logits where a path's rows meet features.

    Compiled, with gradients of first order in the path, unless another engine unrolls it, or
    cannot be asked: see :func:`~sklearn_learnrule.rules.observing.filtered_logit`.

    Parameters
    ----------
    path : Tensor of shape (..., K + S)
        The mean of K weights, then their covariance, packed.
    features : Tensor of shape (..., K) or, of C > 2 choices, (..., K / (C - 1))
    policy : Policy
    engine : "auto" or a key of ``ENGINES``

    Returns
    -------
    Tensor of shape (...,) or, of C > 2 choices, (..., C - 1)
    """
    n_weights = policy.n_sets * features.shape[-1]
    compiled = engine in ("auto", "fused") and path.device.type == "cpu"
    if not compiled or path.dtype not in COMPILED_NUMBERS or features.requires_grad:
        return filtered_logit(path[..., :n_weights], path[..., n_weights:], features, policy)
    told = features.to(path.dtype).expand(*path.shape[:-1], -1)
    rows, told = (each.reshape(-1, each.shape[-1]).contiguous() for each in (path, told))
    driver = _driver(n_weights, policy.n_choices, path.dtype)
    logits = _Expected.apply(rows, told, driver)
    return logits.view(*path.shape[:-1], *policy.shape)


@cache
def _driver(n_weights: int, n_choices: int, dtype: torch.dtype) -> ExpectationDriver:
    from ._drivers import ExpectationDriver  # imports numba: only where it is used

    return ExpectationDriver(n_weights, n_choices, dtype)


class _Expected(torch.autograd.Function):
    """Logits (R, C - 1) of rows (R, K + S) and features (R, K)."""

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
