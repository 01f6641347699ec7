"""What is known of subjects' own numbers before any of their choices: a mean, and a spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

SPREAD_AT_FIRST = 0.3  # of logarithms of factors, and of shifts in standard units
FAR = 20.0  # standard deviations of the fitted subjects
LOG_LEAST = math.log(0.01)  # of a spread: alike, for all that matters
LOG_STEP = math.log(4 / 3)  # as far as nodes for one spread serve for another
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
    units : sequence of float
        Those of the effects, in the user's; the logarithm of a factor has none, 1.
    covariates : Tensor of shape (N, C)
        The fitted subjects'. Numbers, not indicators of 0 and 1, count from their mean, in units of
        their standard deviation.
    covariate_names : sequence of str
        C of them.
    learns_spread : bool
        Whether the spread is fitted; else it is 1.
    has_center : sequence of bool
        Whether an effect has a mean of its own while it is fitted, which then goes to the typical
        subject (:meth:`take_center`): so subjects' own parameters stay where the choices put them
        while the typical one is sought.
    """

    units: Tensor
    covariate_origin: Tensor
    covariate_scale: Tensor
    centered: Tensor
    log_spread: Tensor
    log_spread_before: Tensor
    """Around which a step of the fit may change the spread by a factor of 4/3: nodes are for it."""

    def __init__(
        self,
        names: Sequence[str],
        units: Sequence[float],
        covariates: Tensor,
        covariate_names: Sequence[str],
        *,
        learns_spread: bool,
        has_center: Sequence[bool],
    ) -> None:
        super().__init__()
        self.names, self.covariate_names = list(names), list(covariate_names)
        self.are_of_one = len(covariates) == 1
        size = len(names)
        self.register_buffer("units", torch.tensor(units))
        origin, scale = _origin_and_scale(covariates)
        self.register_buffer("covariate_origin", origin)
        self.register_buffer("covariate_scale", scale)
        start = math.log(SPREAD_AT_FIRST) if learns_spread else 0.0
        self.log_spread = nn.Parameter(torch.full((size,), start), requires_grad=learns_spread)
        self.register_buffer("log_spread_before", torch.full((size,), start))
        self.center = nn.Parameter(torch.zeros(size), requires_grad=any(has_center))
        self.register_buffer("centered", torch.tensor(has_center, dtype=torch.bool))
        self.of_covariates = nn.Parameter(torch.zeros(len(self.covariate_names), size))

    @property
    def learns_spread(self) -> bool:
        """Whether the spread is fitted."""
        return self.log_spread.requires_grad

    @property
    def spread(self) -> Tensor:
        """The standard deviation of each effect over subjects, (D,)."""
        return self._log_spread.exp()

    @property
    def _log_spread(self) -> Tensor:
        farthest = torch.tanh((self.log_spread - self.log_spread_before) / LOG_STEP)
        return (self.log_spread_before + LOG_STEP * farthest).clamp_min(LOG_LEAST)

    def standardize(self, covariates: Tensor) -> Tensor:
        """Return covariates (N, C) in standard units."""
        return (covariates - self.covariate_origin) / self.covariate_scale

    def expected(self, covariates: Tensor) -> Tensor:
        """Return subjects' effects as expected by their covariates (N, C), (N, D)."""
        standard = self.standardize(covariates)
        of_covariates = standard @ self.of_covariates.to(standard)
        return of_covariates + self.center * self.centered

    def log_density(self, effects: Tensor, covariates: Tensor) -> Tensor:
        """Return how likely effects (..., N, D) are, (..., N), by covariates (N, C)."""
        z = (effects - self.expected(covariates)) / self.spread
        return -(z.square() / 2 + self.spread.log()).sum(-1) - len(self.names) * LOG_NORM

    def published(self) -> dict[str, Tensor]:
        """Return what was fitted, in the user's units: spread (D,), covariates' effects (C, D)."""
        found = {}
        if self.learns_spread:
            found["subject_effects_std"] = self.spread * self.units
        if self.covariate_names:
            of_covariates = self.of_covariates / self.covariate_scale[:, None]
            found["covariate_effects"] = of_covariates * self.units
        return found

    def labels(self) -> dict[str, list[tuple[str, str]]]:
        """Return what each of these numbers is of: a covariate or the spread, and an effect."""
        return {
            "subject_effects_std": [("subject_effects_std", name) for name in self.names],
            "covariate_effects": list(product(self.covariate_names, self.names)),
        }

    def far_covariate(self, covariates: Tensor) -> str | None:
        """Return the name of one of which some of (N, C) are far from all that were fitted."""
        far = self.standardize(covariates).abs() > FAR
        found = far.any(0).nonzero()
        return self.covariate_names[int(found[0])] if len(found) else None

    @torch.no_grad()
    def begin(self) -> None:
        """Let training begin at the spread that its parameter says, whatever was before."""
        self.log_spread_before.copy_(self.log_spread)

    @torch.no_grad()
    def settle(self) -> None:
        """Let the next steps begin where the spread is."""
        if self.learns_spread:
            self.log_spread.copy_(self._log_spread)
            self.log_spread_before.copy_(self.log_spread)

    @torch.no_grad()
    def take_center(self) -> Tensor:
        """Return the effects' mean, which is 0 from now on, (D,)."""
        center = self.center * self.centered
        self.center.zero_()
        return center


def _origin_and_scale(covariates: Tensor) -> tuple[Tensor, Tensor]:
    """Return where each of the covariates (N, C) counts from, and in which unit, (C,) each."""
    is_indicator = ((covariates == 0) | (covariates == 1)).all(0)
    lowest, highest = covariates.amin(0), covariates.amax(0)
    constant = lowest == highest
    origin = torch.where(is_indicator, 0, covariates.mean(0))
    farthest = (covariates - origin).abs().amax(0).clamp_min(torch.finfo(origin.dtype).tiny)
    std = farthest * ((covariates - origin) / farthest).square().mean(0).sqrt()
    scale = torch.where(is_indicator | constant, 1, std)
    return torch.where(constant, lowest, origin), scale
