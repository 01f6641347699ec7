"""Learning from a run of choices by the success of late: a window of eligibility."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._textbook import TextbookRule
from .trial import Trial


class EligibilityRule(TextbookRule):
    """Eligibility: update_t = R_t sum_{s=0..S} alpha (y_{t-s} - p_{t-s}) x_{t-s}.

    The present choice and the S choices before it are all strengthened if R_t = 1, which is
    if at least half of the last S trials were rewarded (r > 0), the present trial among them:
    trials t-S+1 to t; else, R_t = 0, nothing is learned. Of an animal's first trials, half
    of as many as there have been is enough. p_{t-s} is what it was on trial t-s, and a
    side-specific alpha is that of y_{t-s}. With S = 0, R_t = 1 always.

    The memory is a shift register, newest first, of the last S trials: alpha (y - p) x of
    each, and its outcome, 1 or -1, or 0 where there has been no trial yet (Liu, Geadah &
    Pillow 2025).

    Parameters
    ----------
    window : int
        S.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import EligibilityRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = EligibilityRule(2, window=3, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach(), memory.shape
    (tensor([[0.0500, 0.0500]]), torch.Size([1, 9]))
    """

    def __init__(self, n_weights: int, window: int = 10, **options: Any) -> None:
        if window != int(window) or window < 0:
            raise ValueError(f"window should be a whole number of at least 0, got {window}.")
        super().__init__(n_weights, memory_size=int(window) * (n_weights + 1), **options)
        self.window = int(window)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        score = self.policy.score(weights, trial.features, trial.choice)  # (N, n_weights)
        step = self.of_side(self.rates, trial.choice) * score
        outcome = torch.where(trial.reward > 0, 1.0, -1.0).to(step)
        newest = torch.cat([step, outcome[:, None]], -1)  # (N, n_weights + 1)
        earlier = memory.reshape(len(memory), self.window, self.n_weights + 1)
        trials = torch.cat([newest[:, None], earlier], 1)  # (N, S + 1, n_weights + 1)
        balance = trials[:, : self.window, -1].sum(1)  # rewarded trials less unrewarded ones
        enough = balance > -0.5  # a whole number, but for an engine's rounding
        update = enough[:, None] * trials[..., :-1].sum(1)
        return self.forget(weights, update), trials[:, : self.window].flatten(1)
