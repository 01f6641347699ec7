"""What the textbook rules share: learning rates, of each side if wished, and forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ._contract import LearningRule

WEAK_RATE, WEAK_OFFSET = 0.1, 0.03  # of a prior, in standard units: few animals learn so fast
Numbers: TypeAlias = float | Sequence[float] | Sequence[Sequence[float]] | Tensor


def spread(value: Numbers, name: str, *shape: int) -> Tensor:
    """Return finite numbers of this shape, from one for all or from as many as there are."""
    wrong = ValueError(f"{name} should be one finite number or {shape} of them, got {value}.")
    try:
        given = value if isinstance(value, Tensor) else np.array(value, dtype=float)
        values = torch.as_tensor(given, dtype=torch.get_default_dtype()).expand(shape)
    except (RuntimeError, TypeError, ValueError):
        raise wrong from None
    if not values.isfinite().all():
        raise wrong
    return values.clone()


def nonnegative(value: Numbers, name: str, *shape: int) -> Tensor:
    """Return numbers of this shape, of which none may be below 0."""
    values = spread(value, name, *shape)
    if not (values >= 0).all():
        raise ValueError(f"{name} should be at least 0, got {value}.")
    return values


def share_root(value: Numbers, name: str, *shape: int) -> Tensor:
    """Return the root that holds shares, from 0 to below 1; see :func:`share`."""
    values = nonnegative(value, name, *shape)
    if not (values < 1).all():
        raise ValueError(f"{name} should be below 1, got {value}.")
    return (-torch.log1p(-values)).sqrt()


def share(root: Tensor) -> Tensor:
    """Return 1 - exp(-root^2): a share for any root, and close to root^2 where it is small."""
    return -torch.expm1(-root.square())


class TextbookRule(LearningRule):
    """A rule that has a learning rate for each feature's weights, and may forget.

    Parameters
    ----------
    n_weights, memory_size, n_choices : int
        As of :class:`LearningRule`.
    learning_rate : float or array of shape (K,) or, if they are side-specific, (C, K)
        alpha, at least 0.
    side_specific : bool
        Whether each choice has rates of its own, which hold after it.
    forgetting : bool
        Whether the update gets - lambda w, with 0 <= lambda < 1 for each weight.
    initial_forgetting : float or array of shape (K,)
        lambda, from which a fit starts.
    """

    textbook_names: ClassVar[tuple[str, ...]] = ("learning_rate", "forgetting")
    shares: ClassVar[tuple[str, ...]] = ("forgetting",)
    parameter_units: Mapping[str, tuple[int, int]] | None = {"learning_rate": (-2, 0)}

    def __init__(
        self,
        n_weights: int,
        *,
        memory_size: int = 0,
        n_choices: int = 2,
        learning_rate: Numbers = 0.01,
        side_specific: bool = False,
        forgetting: bool = False,
        initial_forgetting: Numbers = 0.001,
    ) -> None:
        super().__init__(n_weights, memory_size=memory_size, n_choices=n_choices)
        self.side_specific = side_specific
        self.forgets = forgetting
        shape = (n_choices, self.n_features) if side_specific else (self.n_features,)
        rate = nonnegative(learning_rate, "learning_rate", *shape)
        self.root_learning_rate = nn.Parameter(rate.sqrt())
        if forgetting:
            root = share_root(initial_forgetting, "initial_forgetting", self.n_features)
            self.root_forgetting = nn.Parameter(root)

    @property
    def learning_rate(self) -> Tensor:
        """alpha, one a feature, (K,), or one a choice and feature, (C, K)."""
        return self.root_learning_rate.square()

    @property
    def rates(self) -> Tensor:
        """alpha after each choice, (C, K)."""
        return self.learning_rate.expand(self.policy.n_choices, -1)

    def log_prior(self) -> Tensor:
        """Return the log of a weak prior of alpha, a normal one, but for a constant."""
        return -(self.rates.mean(0) / WEAK_RATE).square().sum() / 2

    @property
    def forgetting(self) -> Tensor:
        """lambda, one a feature, (K,)."""
        if not self.forgets:
            return self.root_learning_rate.new_zeros(self.n_features)
        return share(self.root_forgetting)

    def of_side(self, values: Tensor, choice: Tensor) -> Tensor:
        """Return for the weights what of ``values`` (C, K) holds after each choice.

        (N, (C - 1) K), or without N where it is the same after all.
        """
        return self.policy.in_all_sets(self.of_features(values, choice))

    def of_features(self, values: Tensor, choice: Tensor) -> Tensor:
        """Return the row of ``values`` (C, K) that holds after each choice, (N, K) or (K,)."""
        if not self.side_specific:
            return values[0]
        if len(values) == 2:
            return torch.where(choice[:, None] > 0.5, values[1], values[0])
        return self.policy.one_of_all(choice) @ values

    def forget(self, weights: Tensor, update: Tensor) -> Tensor:
        """Return the update less lambda w, of its shape."""
        if not self.forgets:
            return update
        return update - self.policy.in_all_sets(self.forgetting) * weights
