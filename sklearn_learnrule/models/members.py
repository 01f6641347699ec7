"""The members of a fitted ensemble, one or several, in double precision on the CPU, to look at."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..data.sequences import Sequences
from ..rules import Trial
from ..utils.arrays import Ints
from .learning import LearningModel
from .smoothing import Filtered, look_back


def copy_models(estimator: Any) -> list[LearningModel]:
    """Return copies of the models of a fitted rule estimator, one or an ensemble's."""
    return [deepcopy(net.module_).to("cpu", torch.float64) for net in estimator.nets_]


def in_rows(sequences: Sequences, padded: Iterable[Tensor]) -> Tensor:
    """Return what M members have, (N, T, ...) each, in the order of X's rows, (M, n_rows, ...)."""
    return torch.stack([torch.as_tensor(sequences.rows(each.numpy())) for each in padded])


def read_trials(
    sequences: Sequences, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> tuple[Trial, Tensor]:
    """Return the trials, (N, T, ...), and which of them are observed, (N, T)."""
    padded = sequences.padded._asdict()
    observed = torch.as_tensor(padded.pop("observed"), device=device)
    trials = {k: torch.as_tensor(v, dtype=dtype, device=device) for k, v in padded.items()}
    return Trial(**trials), observed


def pool_members(means: Tensor, covariances: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return what an ensemble tells of weights, and how sure it is.

    Parameters
    ----------
    means : Tensor of shape (M, ..., K)
        What each of M members tells, in the user's units.
    covariances : Tensor of shape (M, ..., K, K) or None
        How sure each member is, if it says so.

    Returns
    -------
    Tensor of shape (..., K), Tensor of shape (..., K)
        Means, and standard deviations: those of members, and by how far members lie apart.
    """
    variance = means.var(0) if len(means) > 1 else torch.zeros_like(means[0])
    if covariances is not None:
        variance = variance + covariances.diagonal(0, -2, -1).mean(0)
    return means.mean(0), variance.sqrt()


def look_back_members(
    models: Iterable[LearningModel], sequences: Sequences, chosen: Ints, paths: Tensor
) -> list[Filtered]:
    """Return what each member knew of the weights as the choices came, the last one, too.

    Parameters
    ----------
    models : M models with noise
    sequences : Sequences of n_rows trials
    chosen : int ndarray of shape (n_rows,)
        The choices, of which the sequences tell all but each subject's last.
    paths : Tensor of shape (M, n_rows, K + S)
        What was known before each choice, see ``predict_paths`` of the estimator.

    Returns
    -------
    list of M :class:`~.smoothing.Filtered`
    """
    trials, observed = read_trials(sequences)
    trials = replace(trials, choice=torch.as_tensor(sequences.pad(chosen.astype(float))))
    padded = (torch.as_tensor(sequences.pad(path.numpy())) for path in paths)
    members = zip(models, padded, strict=True)
    return [look_back(model, path, trials, observed) for model, path in members]
