"""Learning what each choice is worth, and choosing by the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ._contract import Varies
from ._textbook import Numbers, TextbookRule, share, share_root, spread
from .policy import Policy
from .trial import Trial


class QLearningRule(TextbookRule):
    """Q-learning of linear action values (Watkins & Dayan 1992, without a next state).

    Q_a = q_a . x is what choice a is worth, P(y = 1) = sigmoid(beta (Q_1 - Q_0)), and of the
    choice made q_y += alpha (r - Q_y) x. One that forgets lets both q_a fade.

    Here the policy's weights are w = beta (q_1 - q_0), and the memory is u = beta (q_0 + q_1),
    0 at first. So Q_y = tau (u + e w) . x / 2 with tau = 1 / beta and e = 2y - 1, and

        dw = e alpha beta (r - Q_y) x,  du = alpha beta (r - Q_y) x.

    Of C choices there are weights w_c = beta (q_c - q_0) for each but the first, w_0 = 0, u is the
    sum of all beta q_c, and Q_y = tau (u + C w_y - sum_c w_c) . x / C; the sets' changes are those
    of q_c - q_0.

    What is held is tau, and eta in alpha = 1 - exp(-eta tau): so alpha stays below 1, beyond
    which values overshoot, and where beta is large and alpha small, the likelihood stays well
    conditioned, alpha beta being eta.

    Parameters
    ----------
    learning_rate : float or array of shape (K,) or (C, K)
        alpha, from 0 to below 1.
    inverse_temperature : float
        beta, above 0.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import QLearningRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = QLearningRule(2, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()
    tensor([[0.3000, 0.3000]])
    """

    textbook_names = (*TextbookRule.textbook_names, "inverse_temperature")
    shares = (*TextbookRule.shares, "learning_rate")
    parameter_units = {"learning_rate": (-2, 0), "inverse_temperature": (0, -1)}

    def __init__(
        self,
        n_weights: int,
        *,
        learning_rate: Numbers = 0.01,
        inverse_temperature: float = 3.0,
        side_specific: bool = False,
        n_choices: int = 2,
        **options: Any,
    ) -> None:
        root_beta = spread(inverse_temperature, "inverse_temperature").sqrt()
        if not root_beta > 0:
            raise ValueError(f"inverse_temperature should be above 0, got {inverse_temperature}.")
        n_features = n_weights // Policy(n_choices).n_sets
        shape = (n_choices, n_features) if side_specific else (n_features,)
        eta = (share_root(learning_rate, "learning_rate", *shape) * root_beta).square()
        options |= {"learning_rate": eta, "side_specific": side_specific, "n_choices": n_choices}
        super().__init__(n_weights, memory_size=n_features, **options)
        self.root_temperature = nn.Parameter(1 / root_beta)

    @property
    def temperature(self) -> Tensor:
        """tau, a scalar."""
        return self.root_temperature.square()

    @property
    def inverse_temperature(self) -> Tensor:
        """beta, a scalar."""
        return 1 / self.temperature

    @property
    def learning_rate(self) -> Tensor:
        """alpha, one a feature, (K,), or one a choice and feature, (C, K)."""
        return share(self.root_learning_rate * self.root_temperature)

    @property
    def rates(self) -> Tensor:
        """alpha beta after each choice, (C, K)."""
        return super().rates / self.temperature

    def varies_by(self, name: str) -> Varies | None:
        return "factor" if name == "inverse_temperature" else super().varies_by(name)

    def vary(
        self, name: str, effect: Tensor, parameters: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        if name != "inverse_temperature":
            return super().vary(name, effect, parameters)
        factor = torch.exp(effect / 2)  # alpha, which hangs on both roots' product, stays
        return {
            "root_temperature": parameters["root_temperature"] / factor,
            "root_learning_rate": parameters["root_learning_rate"] * factor,
        }

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        policy, x = self.policy, trial.features
        side = policy.side(trial.choice)
        above_mean = policy.mix_sets(policy.n_choices * policy.one_hot(trial.choice) - 1, weights)
        worth = ((memory + above_mean) * x).sum(-1) / policy.n_choices  # beta Q_y, (N,)
        surprise = (trial.reward - self.temperature * worth)[:, None]
        step = self.of_features(self.rates, trial.choice) * surprise * x  # (N, K)
        later = step - self.forgetting * memory if self.forgets else step
        return self.forget(weights, policy.per_set(side, step)), memory + later
