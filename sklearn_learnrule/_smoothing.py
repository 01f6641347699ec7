"""Weights after the fact: what all choices, earlier and later, tell of drifting weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._along import memory_along
from ._net import LearningModel
from .rules import Trial, observe, unpack


class Filtered(NamedTuple):
    """What the choices so far tell of the weights, and what it would tell to know later ones."""

    before: Tensor  # (N, T, K) mean before each choice
    spread_before: Tensor  # (N, T, K, K) covariance
    mean: Tensor  # (N, T, K) once the choice is seen
    covariance: Tensor  # (N, T, K, K)
    gain: Tensor  # (N, T - 1, K, K) by which a trial's weights follow those of the next


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
    n_weights = model.rule.n_weights
    before, spread_before = path[..., :n_weights], unpack(path[..., n_weights:])
    mean, covariance = (
        known.unflatten(0, observed.shape)
        for known in observe(
            before.flatten(0, 1),
            spread_before.flatten(0, 1),
            trials.features.flatten(0, 1),
            trials.choice.flatten(),
            None if model.lapses is None else model.lapses.odds,
        )
    )
    each = Trial(*(field[observed] for field in trials))
    memory = memory_along(model.rule, trials, mean, observed)
    transition = torch.zeros_like(covariance)
    transition[observed] = model.rule.linearize(mean[observed], each, memory)[1]
    transition += torch.eye(n_weights).to(transition)  # F = 1 + df/dw
    # P F' (F P F' + Q)^-1, where a weight without any spread makes that singular
    inverse = torch.linalg.pinv(spread_before[:, 1:], hermitian=True)
    gain = covariance[:, :-1] @ transition[:, :-1].mT @ inverse
    gain = gain * observed[:, :-1, None, None]
    return Filtered(before, spread_before, mean, covariance, gain)


def smooth(filtered: Filtered) -> tuple[Tensor, Tensor]:
    """Go backward in time (Rauch, Tung & Striebel 1965).

    Returns
    -------
    Tensor of shape (N, T, K), Tensor of shape (N, T, K, K)
        Mean and covariance of the weights in force at each choice, given all choices.
    """
    before, spread_before, mean, covariance, gains = filtered
    mean, covariance = mean.clone(), covariance.clone()
    for t in range(gains.shape[1] - 1, -1, -1):
        gain = gains[:, t]
        mean[:, t] += (gain @ (mean[:, t + 1] - before[:, t + 1])[..., None])[..., 0]
        covariance[:, t] += gain @ (covariance[:, t + 1] - spread_before[:, t + 1]) @ gain.mT
    return mean, covariance


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
    before, spread_before, mean, covariance, gains = filtered
    left = covariance.clone()  # once the next trial's weights are known
    left[:, :-1] -= gains @ spread_before[:, 1:] @ gains.mT
    variance, axes = torch.linalg.eigh(left)
    root = axes * variance.clamp_min(0).sqrt()[..., None, :]
    weights = mean + (root @ normals[..., None])[..., 0]
    for t in range(gains.shape[1] - 1, -1, -1):
        surprise = weights[:, :, t + 1] - before[:, t + 1]  # (D, N, K)
        weights[:, :, t] += (gains[:, t] @ surprise[..., None])[..., 0]
    return weights
