"""Learning as fast as rewards have been surprising of late: an associability."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ._textbook import nonnegative, share, share_root
from .policy_gradient import ReinforceRule
from .trial import Trial


class PearceHallRule(ReinforceRule):
    """Pearce-Hall: update = alpha a (r - b) (y - p) x, where a follows surprise.

    The associability a, one for all weights, is 1 before the first trial. It fades, and grows by
    the size of the surprise of a reward at the value V, the reward to be expected by those before::

        a <- (1 - gamma) a + g |r - V|,  V <- V + eta (r - V)          after each trial

    So an animal learns fast while rewards are uncertain, be they better or worse than expected,
    and slowly once it knows what comes. With gamma = g = 0 this is REINFORCE.

    As in Pearce & Hall (1980) the reward teaches by itself, not by what is surprising of it: the
    policy's (y - p) already goes to 0 as a choice becomes certain, for which other models of
    conditioning need a prediction error. That associability is an average over trials is of the
    hybrid model of Li, Schiller, Schoenbaum, Phelps & Daw (2011). Theirs, with a rate kappa, grows
    by ``gamma |r - V|`` from a fitted start; which is this one with a start of gamma / g and a
    kappa of alpha g / gamma, neither of which trials can tell where gamma is small.

    V is of all stimuli, not of each: choices know of values by the sizes of surprises alone, and
    cannot tell the rates of several apart. The memory is V, 0 at first, and a.

    Parameters
    ----------
    learning_rate : float or array of shape (K,) or (C, K)
        alpha.
    baseline, initial_baseline
        b, as of REINFORCE.
    value_learning_rate : float
        eta, from 0 to below 1.
    associability_gain : float
        g, at least 0.
    associability_decay : float
        gamma, from 0 to below 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import PearceHallRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = PearceHallRule(2, None, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()
    tensor([[0.0500, 0.0500]])
    """

    textbook_names = (
        *ReinforceRule.textbook_names,
        "value_learning_rate",
        "associability_gain",
        "associability_decay",
    )
    shares = (*ReinforceRule.shares, "value_learning_rate", "associability_decay")
    parameter_units = {**ReinforceRule.parameter_units, "associability_gain": (0, -1)}

    def __init__(
        self,
        n_weights: int,
        baseline: str | None = None,
        *,
        value_learning_rate: float = 0.05,
        associability_gain: float = 0.05,
        associability_decay: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(n_weights, baseline, memory_size=2, **options)
        of_value = share_root(value_learning_rate, "value_learning_rate")
        self.root_value_learning_rate = nn.Parameter(of_value)
        gain = nonnegative(associability_gain, "associability_gain")
        self.root_associability_gain = nn.Parameter(gain.sqrt())
        decay = share_root(associability_decay, "associability_decay")
        self.root_associability_decay = nn.Parameter(decay)

    @property
    def value_learning_rate(self) -> Tensor:
        """eta, a scalar."""
        return share(self.root_value_learning_rate)

    @property
    def associability_gain(self) -> Tensor:
        """g, a scalar."""
        return self.root_associability_gain.square()

    @property
    def associability_decay(self) -> Tensor:
        """gamma, a scalar."""
        return share(self.root_associability_decay)

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        return like.new_tensor([0, 1]).expand(n_subjects, -1)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        value, associability = memory[:, :1], memory[:, 1:]
        surprise = trial.reward[:, None] - value  # (N, 1)
        update = self.forget(weights, associability * self.step(weights, trial))
        value = value + self.value_learning_rate * surprise
        associability = (1 - self.associability_decay) * associability
        associability = associability + self.associability_gain * surprise.abs()
        return update, torch.cat([value, associability], -1)
