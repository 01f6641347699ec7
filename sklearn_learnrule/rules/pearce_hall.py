"""Learning as fast as there has been surprise of late: an associability."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ._textbook import Numbers, TextbookRule, nonnegative, share, share_root
from .trial import Trial


class PearceHallRule(TextbookRule):
    """Pearce-Hall: update = kappa alpha delta (y - p) x, where alpha follows the size of delta.

    The surprise delta = r - V is that of the reward, at the value V = v . |x| that the animal
    expects of a stimulus of this size, on whichever side. The associability alpha, one for all
    weights, is an average of the sizes of earlier surprises; it scales all that a trial teaches,
    policy and value:

        w += kappa alpha delta (y - p) x,          v += kappa_value alpha delta |x|,
        alpha += gamma (|delta| - alpha)

    So an animal learns fast while rewards surprise it, whether better or worse than expected, and
    hardly once it knows what comes. With gamma = 0, alpha stays what it was at first, and this is
    the actor-critic.

    Pearce & Hall (1980) let alpha be the size of the last surprise (gamma = 1), and a reward teach
    by its size, not by what is surprising of it, so that values grow for as long as there is
    surprise. This is the hybrid of Li, Schiller, Schoenbaum, Phelps & Daw (2011), in which delta
    teaches, as in all rules here that have a value; what it teaches the policy is (y - p) x, the
    gradient of log P(y). The surprise is taken of rewards, not of the probability of the choice
    made, which has not the unit of a reward.

    The memory is v, 0 at first, and alpha.

    Parameters
    ----------
    learning_rate : float or array of shape (K,) or (2, K)
        kappa, the policy's.
    value_learning_rate : float or array of shape (K,)
        kappa_value, from 0 to below 1. It is the same for both sides, and v forgets nothing.
    associability_rate : float
        gamma, from 0 to below 1.
    initial_associability : float
        alpha before the first trial, at least 0.
    """

    textbook_names = (
        *TextbookRule.textbook_names,
        "value_learning_rate",
        "associability_rate",
        "initial_associability",
    )
    parameter_units = {
        "learning_rate": (-2, -2),
        "value_learning_rate": (-2, -1),
        "initial_associability": (0, 1),
    }

    def __init__(
        self,
        n_weights: int,
        *,
        value_learning_rate: Numbers = 0.01,
        associability_rate: float = 0.1,
        initial_associability: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(n_weights, n_weights + 1, **options)
        of_value = share_root(value_learning_rate, "value_learning_rate", n_weights)
        self.root_value_learning_rate = nn.Parameter(of_value)
        rate = share_root(associability_rate, "associability_rate")
        self.root_associability_rate = nn.Parameter(rate)
        start = nonnegative(initial_associability, "initial_associability")
        self.root_initial_associability = nn.Parameter(start.sqrt())

    @property
    def value_learning_rate(self) -> Tensor:
        """kappa_value, one a weight of the value, (K,)."""
        return share(self.root_value_learning_rate)

    @property
    def associability_rate(self) -> Tensor:
        """gamma, a scalar."""
        return share(self.root_associability_rate)

    @property
    def initial_associability(self) -> Tensor:
        """alpha before the first trial, a scalar."""
        return self.root_initial_associability.square()

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        value = like.new_zeros(n_subjects, self.n_weights)
        associability = self.initial_associability.to(like).expand(n_subjects, 1)
        return torch.cat([value, associability], -1)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        value, associability = memory[:, :-1], memory[:, -1:]
        size = trial.features.abs()  # (N, K)
        surprise = (trial.reward - (value * size).sum(-1))[:, None]  # delta, (N, 1)
        lesson = associability * surprise
        score = self.policy.score(weights, trial.features, trial.choice)  # (N, K)
        update = self.forget(weights, self.of_side(self.rates, trial.choice) * lesson * score)
        value = value + self.value_learning_rate * lesson * size
        associability = associability + self.associability_rate * (surprise.abs() - associability)
        return update, torch.cat([value, associability], -1)
