"""Fitted models and the trials of X, in double precision on the CPU, to look at and live again."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ..data.sequences import Sequences
from ..rules import Trial
from .learning import LearningModel


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
