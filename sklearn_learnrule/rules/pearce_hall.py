"""Learning as fast as rewards have been surprising of late: an associability."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ._textbook import nonnegative, share, share_root
from .policy_gradient import ReinforceRule
from .trial import Trial


class PearceHallRule(ReinforceRule):
    """Pearce-Hall: update = kappa alpha (r - b) (y - p) x, where alpha follows surprise.

    The associability alpha, one for all weights, is an average of the sizes of earlier surprises;
    surprise is that of a reward at the value V, the reward to be expected by those before:

        alpha += gamma (|r - V| - alpha),  V += eta (r - V)          after each trial

    So an animal learns fast while rewards are uncertain, be they better or worse than expected,
    and hardly once it knows what comes. With gamma = 0, alpha stays what it was at first, and this
    is REINFORCE.

    As in Pearce & Hall (1980) the reward teaches by itself, not by what is surprising of it: the
    policy's (y - p) already goes to 0 as a choice becomes certain, for which other models of
    conditioning need a prediction error. There, alpha is the size of the last surprise alone
    (gamma = 1); that it is an average is of the hybrid model of Li, Schiller, Schoenbaum, Phelps &
    Daw (2011). V is of all stimuli, not of each, as trials do not tell rates of several values
    apart that choices know of by the sizes of surprises only.

    The memory is V, 0 at first, and alpha.

    Parameters
    ----------
    learning_rate : float or array of shape (K,) or (2, K)
        kappa.
    baseline, initial_baseline
        b, as of REINFORCE.
    value_learning_rate : float
        eta, from 0 to below 1.
    associability_rate : float
        gamma, from 0 to below 1.
    initial_associability : float
        alpha before the first trial, at least 0.
    """

    textbook_names = (
        *ReinforceRule.textbook_names,
        "value_learning_rate",
        "associability_rate",
        "initial_associability",
    )
    parameter_units = {
        "learning_rate": (-2, -2),
        "baseline": (0, 1),
        "initial_associability": (0, 1),
    }

    def __init__(
        self,
        n_weights: int,
        baseline: str | None = None,
        *,
        value_learning_rate: float = 0.05,
        associability_rate: float = 0.05,
        initial_associability: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(n_weights, baseline, memory_size=2, **options)
        of_value = share_root(value_learning_rate, "value_learning_rate")
        self.root_value_learning_rate = nn.Parameter(of_value)
        rate = share_root(associability_rate, "associability_rate")
        self.root_associability_rate = nn.Parameter(rate)
        start = nonnegative(initial_associability, "initial_associability")
        self.root_initial_associability = nn.Parameter(start.sqrt())

    @property
    def value_learning_rate(self) -> Tensor:
        """eta, a scalar."""
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
        start = torch.stack([0 * self.initial_associability, self.initial_associability])
        return start.to(like).expand(n_subjects, -1)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        value, associability = memory[:, :1], memory[:, 1:]
        surprise = trial.reward[:, None] - value  # (N, 1)
        update = self.forget(weights, associability * self.step(weights, trial))
        associability = associability + self.associability_rate * (surprise.abs() - associability)
        value = value + self.value_learning_rate * surprise
        return update, torch.cat([value, associability], -1)
