"""Learning what each choice is worth, and choosing by the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ._textbook import Numbers, TextbookRule, share, share_root, spread
from .trial import Trial


class QLearningRule(TextbookRule):
    """Q-learning of linear action values (Watkins & Dayan 1992, without a next state).

    Q_a = q_a . x is what choice a is worth, P(y = 1) = sigmoid(beta (Q_1 - Q_0)), and of the
    choice made q_y += alpha (r - Q_y) x. One that forgets lets both q_a fade.

    Here the policy's weights are w = beta (q_1 - q_0), and the memory is u = beta (q_0 + q_1),
    0 at first. So Q_y = tau (u + e w) . x / 2 with tau = 1 / beta and e = 2y - 1, and

        dw = e alpha beta (r - Q_y) x,  du = alpha beta (r - Q_y) x.

    What is held is tau, and eta in alpha = 1 - exp(-eta tau): so alpha stays below 1, beyond
    which values overshoot, and where beta is large and alpha small, the likelihood stays well
    conditioned, alpha beta being eta.

    Parameters
    ----------
    learning_rate : float or array of shape (K,) or (2, K)
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
    parameter_units = {"learning_rate": (-2, 0), "inverse_temperature": (0, -1)}

    def __init__(
        self,
        n_weights: int,
        *,
        learning_rate: Numbers = 0.01,
        inverse_temperature: float = 3.0,
        side_specific: bool = False,
        **options: Any,
    ) -> None:
        root_beta = spread(inverse_temperature, "inverse_temperature").sqrt()
        if not root_beta > 0:
            raise ValueError(f"inverse_temperature should be above 0, got {inverse_temperature}.")
        shape = (2, n_weights) if side_specific else (n_weights,)
        eta = (share_root(learning_rate, "learning_rate", *shape) * root_beta).square()
        options |= {"learning_rate": eta, "side_specific": side_specific}
        super().__init__(n_weights, n_weights, **options)
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
        """alpha, one a weight, (K,), or one a side and weight, (2, K)."""
        return share(self.root_learning_rate * self.root_temperature)

    @property
    def rates(self) -> Tensor:
        """alpha beta after a choice of the first and of the second class, (2, K)."""
        return super().rates / self.temperature

    def varies_by(self, name: str) -> Literal["factor", "shift"] | None:
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
        side = (2 * trial.choice - 1)[:, None]  # (N, 1)
        worth = ((memory + side * weights) * trial.features).sum(-1) / 2  # beta Q_y, (N,)
        surprise = (trial.reward - self.temperature * worth)[:, None]
        step = self.of_side(self.rates, trial.choice) * surprise * trial.features  # (N, K)
        update, memory_update = self.forget(weights, side * step), self.forget(memory, step)
        return update, memory + memory_update
