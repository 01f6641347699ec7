"""Weights after the fact: what all choices, earlier and later, tell of drifting weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..engine import AffineRecurrence
from ..rules import Trial, unpack
from .along import memory_along
from .learning import LearningModel


class Filtered(NamedTuple):
    """What the choices so far tell of the weights at each, once those at the next are known.

    They are normal, of mean gain w + offset, w the next trial's weights; where none follows, the
    gain is 0. All this is in standard units, so that weights of any size may be inverted together.
    """

    gain: Tensor  # (N, T, K, K)
    offset: Tensor  # (N, T, K)
    covariance: Tensor  # (N, T, K, K)
    units: Tensor  # (K,) by which weights are divided for the user's


@torch.no_grad()
def look_back(model: LearningModel, path: Tensor, trials: Trial, observed: Tensor) -> Filtered:
    """Prepare a path to be smoothed or drawn.

    Parameters
    ----------
    model : LearningModel with noise
    path : Tensor of shape (N, T, K + S)
        What was known before each choice.
    trials : Trial
        Here each subject's last choice is known, too.
    observed : bool Tensor of shape (N, T)
        Whether a trial is followed by another.
    """
    units, rule, n_weights = model.rule.units, model.rule.rule, model.rule.n_weights
    trials, path = units.standardize(trials), path * model.dynamics.path_units()
    before, spread_before = path[..., :n_weights], unpack(path[..., n_weights:])
    filtered: Any = model.dynamics.rule
    known = before.flatten(0, 1), spread_before.flatten(0, 1)
    mean, covariance = (
        each.unflatten(0, observed.shape)
        for each in filtered.observation.see(*known, trials.all_rows())
    )
    each = trials.rows(observed)
    memory = memory_along(rule, trials, mean, observed)
    transition = torch.zeros_like(covariance)
    transition[observed] = rule.linearize(mean[observed], each, memory)[1]
    transition += torch.eye(n_weights).to(transition)  # F = 1 + df/dw
    # P F' (F P F' + Q)^-1, where a weight without any spread makes that singular
    inverse = torch.linalg.pinv(spread_before[:, 1:], hermitian=True)
    gain = covariance[:, :-1] @ transition[:, :-1].mT @ inverse * observed[:, :-1, None, None]
    mean[:, :-1] -= (gain @ before[:, 1:, :, None])[..., 0]
    covariance[:, :-1] -= gain @ spread_before[:, 1:] @ gain.mT
    of_weights = model.rule.weight_units
    return Filtered(pad(gain, (0, 0, 0, 0, 0, 1)), mean, covariance, of_weights)


def smooth(filtered: Filtered) -> tuple[Tensor, Tensor]:
    """Go backward in time (Rauch, Tung & Striebel 1965).

    Returns
    -------
    Tensor of shape (N, T, K), Tensor of shape (N, T, K, K)
        Mean and covariance of the weights in force at each choice, given all choices.
    """
    gain, offset, covariance, units = filtered
    recurrence = AffineRecurrence(gain.mT)
    means = recurrence.solve(offset, torch.zeros_like(offset[:, 0]), adjoint=True)
    end = torch.zeros_like(covariance[:, 0])
    covariances = recurrence.solve(covariance, end, adjoint=True, both_sides=True)
    return means[:, :-1] / units, covariances[:, :-1] / (units[:, None] * units)


def draw_path(filtered: Filtered, normals: Tensor) -> Tensor:
    """Draw weights, given all choices, backward in time (Frühwirth-Schnatter 1994).

    Parameters
    ----------
    filtered : Filtered
    normals : Tensor of shape (D, N, T, K)
        Standard normal numbers.

    Returns
    -------
    Tensor of shape (D, N, T, K)
    """
    gain, offset, covariance, units = filtered
    variance, axes = torch.linalg.eigh(covariance)
    root = axes * variance.clamp_min(0).sqrt()[..., None, :]
    offsets = offset[..., None] + root @ normals.movedim(0, -1)  # (N, T, K, D)
    end = torch.zeros_like(offsets[:, 0])
    drawn = AffineRecurrence(gain.mT).solve(offsets, end, adjoint=True)[:, :-1]
    return drawn.movedim(-1, 0) / units
