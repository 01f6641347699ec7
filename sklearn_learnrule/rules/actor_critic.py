"""Learning from surprise: REINFORCE whose baseline is a value that is learned as well."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ._textbook import Numbers, TextbookRule, share, share_root, spread
from .policy import Policy
from .trial import Trial


class ActorCriticRule(TextbookRule):
    """Actor-critic: update = alpha delta (y - p) x, delta = r - V (Barto, Sutton & Anderson 1983).

    The value ``V = v . |x|`` is the reward that the critic expects of a stimulus of this size, by
    ``dv = alpha_critic delta |x|``. Of the size, because an easy stimulus promises reward on
    either side, which no linear function of the signed one can say.

    The memory is v. It starts at ``initial_value``, and then stays near the rewards that there
    have been. (Were its start fitted, it could be far below every reward, and with
    alpha_critic = 0 remain there: a baseline for all weights, no value.)

    Parameters
    ----------
    learning_rate : float or array of shape (K,) or (C, K)
        alpha, the actor's.
    critic_learning_rate : float or array of shape (K,)
        alpha_critic, from 0 to below 1: a critic with more overshoots. It is the same for
        both sides, and the critic forgets nothing.
    initial_value : float or array of shape (K,)
        v before the first trial; it is not fitted.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import ActorCriticRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = ActorCriticRule(2, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()
    tensor([[0.0500, 0.0500]])
    """

    textbook_names = (*TextbookRule.textbook_names, "critic_learning_rate")
    shares = (*TextbookRule.shares, "critic_learning_rate")
    parameter_units = {"learning_rate": (-2, -1), "critic_learning_rate": (-2, 0)}
    initial_value: Tensor

    def __init__(
        self,
        n_weights: int,
        *,
        critic_learning_rate: Numbers = 0.01,
        initial_value: Numbers = 0.0,
        n_choices: int = 2,
        **options: Any,
    ) -> None:
        options["n_choices"] = n_choices
        n_features = n_weights // Policy(n_choices).n_sets
        super().__init__(n_weights, memory_size=n_features, **options)
        root = share_root(critic_learning_rate, "critic_learning_rate", self.n_features)
        self.root_critic_learning_rate = nn.Parameter(root)
        start = spread(initial_value, "initial_value", self.n_features)
        self.register_buffer("initial_value", start, persistent=False)  # a setting, not a state

    def standardize_settings(self, feature: Tensor, reward: Tensor) -> None:
        self.initial_value *= feature / reward

    @property
    def critic_learning_rate(self) -> Tensor:
        """alpha_critic, one a feature, (K,)."""
        return share(self.root_critic_learning_rate)

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        return self.initial_value.to(like).expand(n_subjects, -1)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        size = trial.features.abs()  # (N, K)
        surprise = (trial.reward - (memory * size).sum(-1))[:, None]  # (N, 1)
        score = self.policy.score(weights, trial.features, trial.choice)
        step = self.of_side(self.rates, trial.choice) * surprise * score
        return self.forget(weights, step), memory + self.critic_learning_rate * surprise * size
