"""What is known of subjects' own numbers before any of their choices: typical ones, and a spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

SPREAD_AT_FIRST = 0.3  # of logarithms of factors, and of shifts in standard units
LEAST_SPREAD = 1e-4
LOG_2 = math.log(2)
LOG_NORM = math.log(2 * math.pi) / 2


class SubjectEffects(nn.Module):
    """The distribution of D effects over subjects: normal, independent, around what covariates say.

        u_i ~ N(B' c_i, diag(spread^2))

    Effects are logarithms of factors, or shifts, by which a subject's parameters differ from the
    typical subject's; a network's own numbers are whatever it makes of them, and of spread 1.

    Parameters
    ----------
    names : sequence of str
        One an effect.
    n_covariates : int
        C.
    learns_spread : bool
        Whether the spread is fitted; else it is 1.
    has_center : sequence of bool
        Whether an effect has a mean of its own while it is fitted, which then goes to the typical
        subject (:meth:`take_center`): so subjects' own parameters stay where the choices put them
        while the typical one is sought.
    """

    center: Tensor
    log_spread: Tensor
    log_spread_before: Tensor
    """Around which a step of the fit may double or halve the spread, no more: nodes are for it."""

    def __init__(
        self, names: Sequence[str], n_covariates: int, learns_spread: bool, has_center: Sequence[bool]
    ) -> None:
        super().__init__()
        self.names = list(names)
        size = len(names)
        start = math.log(SPREAD_AT_FIRST) if learns_spread else 0.0
        self.log_spread = nn.Parameter(torch.full((size,), start), requires_grad=learns_spread)
        self.register_buffer("log_spread_before", torch.full((size,), start))
        self.center = nn.Parameter(torch.zeros(size), requires_grad=any(has_center))
        self.register_buffer("centered", torch.tensor(has_center, dtype=torch.bool))
        self.of_covariates = nn.Parameter(torch.zeros(n_covariates, size))

    @property
    def spread(self) -> Tensor:
        """The standard deviation of each effect over subjects, (D,)."""
        farthest = torch.tanh((self.log_spread - self.log_spread_before) / LOG_2)
        return torch.exp(self.log_spread_before + LOG_2 * farthest)

    def expected(self, covariates: Tensor) -> Tensor:
        """Return subjects' effects as expected by their covariates (N, C), (N, D)."""
        return covariates @ self.of_covariates + self.center * self.centered

    def log_density(self, effects: Tensor, covariates: Tensor) -> Tensor:
        """Return how likely effects (..., N, D) are of subjects with covariates (N, C), (..., N)."""
        z = (effects - self.expected(covariates)) / self.spread
        return -(z.square() / 2 + self.spread.log()).sum(-1) - len(self.names) * LOG_NORM

    @torch.no_grad()
    def settle(self) -> None:
        """Let the next steps begin where the spread is."""
        if self.log_spread.requires_grad:
            self.log_spread.copy_(self.spread.log().clamp_min(math.log(LEAST_SPREAD)))
            self.log_spread_before.copy_(self.log_spread)

    @torch.no_grad()
    def take_center(self) -> Tensor:
        """Return the effects' mean, which is 0 from now on, (D,)."""
        center = self.center * self.centered
        self.center.zero_()
        return center



