"""What subjects' effects have in common, by what is known of each of them: nothing is unrolled.

What its choices tell of a subject's D effects is about normal in them. Then the spread, the mean
and the covariates' effects by which N subjects' choices are likeliest are found in no time, however
far they are from those in force.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ..utils.arrays import Floats
from .effects import LOG_LEAST, SubjectEffects
from .nodes import Normal

# Farther out nobody has looked: by how much, at once, a spread may grow, and a mean may move.
MOST_WIDENED, MOST_MOVED = 2.0, 1.0


def estimate_population(effects: SubjectEffects, known: Normal, covariates: Tensor) -> float:
    """Move effects' distribution to where it makes likeliest what is ``known`` of subjects by it.

    In place. Returns by how much likelier that is, in nats, as if what choices tell were normal.

    Parameters
    ----------
    effects : SubjectEffects
    known : Normal
        Of N subjects, by their choices and ``effects`` as they are.
    covariates : Tensor of shape (N, C)
    """
    precision, pull = _told_by_choices(effects, known, covariates)
    standard = effects.standardize(covariates)
    design = torch.cat([standard.new_ones(len(standard), 1), standard], 1)
    eye = torch.eye(len(effects.names)).to(design)

    def loss(given: Floats) -> tuple[float, Floats]:
        numbers = torch.tensor(given, requires_grad=True)
        log_spread, center, *of_covariates = numbers.view(-1, len(eye)).to(design)
        spread = log_spread.exp()
        mean = design @ torch.stack([center * effects.centered, *of_covariates])
        bent = (precision @ mean[..., None])[..., 0]
        root = torch.linalg.cholesky(eye + spread[:, None] * precision * spread)
        away = (spread * (pull - bent))[..., None]
        z = torch.linalg.solve_triangular(root, away, upper=False)
        unlikely = root.diagonal(0, -2, -1).log().sum() - z.square().sum() / 2
        value = unlikely + ((bent / 2 - pull) * mean).sum()
        value.backward()
        assert numbers.grad is not None
        return value.item(), numbers.grad.numpy()

    held = [effects.log_spread[None], effects.center[None], effects.of_covariates]
    start = torch.cat(held).detach().cpu().double().numpy()
    bounds = np.stack([start - MOST_MOVED, start + MOST_MOVED], -1)
    bounds[0, :, 0], bounds[0, :, 1] = LOG_LEAST, start[0] + math.log(MOST_WIDENED)
    how = {"jac": True, "method": "L-BFGS-B", "bounds": bounds.reshape(-1, 2)}
    found = minimize(loss, start.flatten(), **how)
    with torch.no_grad():
        parts = np.split(found.x.reshape(start.shape), [1, 2])
        for parameter, values in zip(held, parts, strict=True):
            parameter.copy_(torch.as_tensor(values))
    effects.begin()
    return loss(start)[0] - found.fun


def _told_by_choices(
    effects: SubjectEffects, known: Normal, covariates: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what choices alone tell of subjects: a precision (N, D, D), and it times a mean."""
    with torch.no_grad():
        prior = effects.spread.to(known.mean) ** -2
        expected = effects.expected(covariates)
    both = torch.cholesky_inverse(known.root)
    size, axes = torch.linalg.eigh(both - prior.diag())
    precision = (axes * size.clamp_min(0)[..., None, :]) @ axes.mT
    moved = both @ (known.mean - expected)[..., None] + precision @ expected[..., None]
    return precision, moved[..., 0]
