"""Weights after the fact: what all choices, earlier and later, tell of drifting weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ._along import memory_along
from ._net import LearningModel
from .rules import Trial, observe, unpack


@torch.no_grad()
def smooth(
    model: LearningModel, path: Tensor, trials: Trial, observed: Tensor
) -> tuple[Tensor, Tensor]:
    """Smooth a path backward in time (Rauch, Tung & Striebel 1965).

    Parameters
    ----------
    model : LearningModel with noise
    path : Tensor of shape (N, T, K + S)
        What was known before each choice.
    trials : Trial
        Here each subject's last choice is known, too.
    observed : bool Tensor of shape (N, T)
        Whether a trial is followed by another.

    Returns
    -------
    Tensor of shape (N, T, K), Tensor of shape (N, T, K, K)
        Mean and covariance of the weights in force at each choice, given all choices.
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
        )
    )
    each = Trial(*(field[observed] for field in trials))
    memory = memory_along(model.rule, trials, mean, observed)
    transition = torch.zeros_like(covariance)
    transition[observed] = model.rule.linearize(mean[observed], each, memory)[1]
    transition += torch.eye(n_weights).to(transition)  # F = 1 + df/dw
    for t in range(observed.shape[1] - 2, -1, -1):
        # P F' (F P F' + Q)^-1, where a weight without any spread makes that singular
        inverse = torch.linalg.pinv(spread_before[:, t + 1], hermitian=True)
        gain = covariance[:, t] @ transition[:, t].mT @ inverse * observed[:, t, None, None]
        mean[:, t] += (gain @ (mean[:, t + 1] - before[:, t + 1])[..., None])[..., 0]
        covariance[:, t] += gain @ (covariance[:, t + 1] - spread_before[:, t + 1]) @ gain.mT
    return mean, covariance
