"""A GRU over an animal's trials, read out as the logit of each choice: no rule, no weights.

Every engine has the signature of :func:`choice_logits_loop`, which is the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def choice_logits_loop(
    gru: nn.GRU, readout: nn.Linear, inputs: Tensor, lengths: Tensor, truncation: int | None
) -> Tensor:
    """Return the logits by torch's own GRU, on a GPU one call a stretch of trials."""
    n_subjects, n_trials = inputs.shape[:2]
    memory = inputs.new_zeros(1, n_subjects, gru.hidden_size)
    memories = []
    for stretch in inputs.split(truncation or n_trials, dim=1):
        some, memory = gru(stretch, memory.detach())  # (N, t, M)
        memories.append(some)
    logits = readout(torch.cat(memories, 1))  # (N, T, n_logits)
    is_trial = torch.arange(n_trials, device=inputs.device) < lengths[:, None]
    logits = logits.where(is_trial[..., None], 0)
    return logits.squeeze(-1) if readout.out_features == 1 else logits


def _choice_logits_fused(*arguments: Any) -> Tensor:
    from ._fused_choice import choice_logits_fused  # imports numba: only where it is used

    return choice_logits_fused(*arguments)


CHOICE_ENGINES: dict[str, Callable[..., Tensor]] = {
    "loop": choice_logits_loop,
    "fused": _choice_logits_fused,
}


def choose_choice_engine(device: torch.device) -> str:
    """Return the engine that is fastest on this device."""
    return "fused" if device.type == "cpu" else "loop"


def choice_logits(
    gru: nn.GRU,
    readout: nn.Linear,
    inputs: Tensor,
    lengths: Tensor,
    *,
    truncation: int | None = None,
    engine: str = "auto",
) -> Tensor:
    """Return the logits on each trial: readout(h_t), h_t = GRU(inputs_t, h_{t-1}).

    The memory h is 0 before the first trial.

    Parameters
    ----------
    gru : nn.GRU
        One layer, ``batch_first=True``.
    readout : nn.Linear
        From memory to one logit, or several.
    inputs : Tensor of shape (N, T, D)
        What is known before each choice.
    lengths : int Tensor of shape (N,)
        How many of the T trials are a subject's own; the logits of the others are 0.
    truncation : int or None
        Gradients stop at every ``truncation``-th trial; None: they are exact.
    engine : "auto" or a key of ``CHOICE_ENGINES``

    Returns
    -------
    Tensor of shape (N, T) or, of several logits, (N, T, n_logits)
    """
    if engine not in ("auto", *CHOICE_ENGINES):
        raise ValueError(
            f"engine must be 'auto' or one of {sorted(CHOICE_ENGINES)}, got {engine!r}."
        )
    if engine == "auto":
        engine = choose_choice_engine(inputs.device)
    return CHOICE_ENGINES[engine](gru, readout, inputs, lengths, truncation)
