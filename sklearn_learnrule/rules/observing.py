"""What a choice tells of weights that are known as a normal distribution, and foretells by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from ._contract import LearningRule
from .lapses import Lapses
from .policy import TWO_CHOICES, Policy, log_odds
from .trial import Trial

PROBIT = math.pi / 8  # sigmoid(w) is about Phi(w PROBIT^(1/2))
NEVER = -1e30  # a logit


class NormalRule(LearningRule):
    """A step in the terms of a rule, whose weights are the mean, and memory the covariance, packed.

    Parameters
    ----------
    n_weights, n_choices : int
    """

    parameter_units: Mapping[str, tuple[int, int]] | None = {}
    reads_reward_known = True  # a choice tells as much without one

    def __init__(self, n_weights: int, n_choices: int = 2) -> None:
        size = n_weights * (n_weights + 1) // 2
        super().__init__(n_weights, memory_size=size, n_choices=n_choices)


class Observation(NormalRule):
    """What is known once a choice is seen.

    Parameters
    ----------
    n_weights, n_choices : int
    lapses : Lapses or None
    """

    def __init__(self, n_weights: int, n_choices: int = 2, lapses: Lapses | None = None) -> None:
        super().__init__(n_weights, n_choices)
        self.lapses = lapses

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        mean, covariance = self.see(weights, unpack(memory), trial)
        return mean - weights, pack(covariance)

    def see(self, mean: Tensor, covariance: Tensor, trial: Trial) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of the weights once the choice is seen."""
        odds = None if self.lapses is None else self.lapses.odds
        return observe(mean, covariance, trial.features, trial.choice, odds, self.policy)


class Expectation(NormalRule):
    """What is expected of a choice: the first C - 1 numbers of the update are its logits."""

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        logits = filtered_logit(weights, memory, trial.features, self.policy)
        logits = logits.view(len(weights), self.policy.n_sets)
        return pad(logits, (0, self.n_weights - self.policy.n_sets)), torch.zeros_like(memory)


def observe(
    mean: Tensor,
    covariance: Tensor,
    features: Tensor,
    choice: Tensor,
    odds: Tensor | None = None,
    policy: Policy = TWO_CHOICES,
) -> tuple[Tensor, Tensor]:
    """Return the mean and the covariance of the weights after a choice is seen, of their shapes.

    ``odds`` are those of lapses to each choice, (C,), if there are any.
    """
    if policy.n_choices > 2:
        return observe_one_of_many(policy, mean, covariance, features, choice, odds)
    along = (covariance @ features[..., None])[..., 0]  # P x, (N, K)
    variance = (along * features).sum(-1)
    along = torch.where(variance[:, None] < 0, 0, along)  # then 0 but for rounding
    k = (2 * choice - 1) * moderation(variance)
    logit = k * TWO_CHOICES.logits(mean, features)  # of the choice made, but for lapses
    expected, surprise = torch.sigmoid(logit), torch.sigmoid(-logit)
    if odds is not None:
        first, second = log_odds(odds)
        of_lapse = torch.where(choice > 0.5, second, first) - logsigmoid(logit)
        expected = expected - surprise * torch.sigmoid(of_lapse)
        surprise = surprise * torch.sigmoid(-of_lapse)
    shrunk = (k * k * surprise * expected)[:, None, None] * along[:, :, None] * along[:, None, :]
    return mean + (k * surprise)[:, None] * along, covariance - shrunk


def observe_one_of_many(
    policy: Policy,
    mean: Tensor,
    covariance: Tensor,
    features: Tensor,
    choice: Tensor,
    odds: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Do the same of C > 2 choices, by the one made against the others: see :class:`Against`.

    With d the direction, g = k (1 - q) d is the gradient of log q in the logits, and
    k^2 q (1 - q) d d' + k (1 - q) c (diag(s) - s s') what it bends by, s the others' shares. By
    these, which are those of two choices for C = 2, a choice moves mean and covariance. With lapses
    l = o / (q + o) as there.
    """
    made = policy.one_of_all(choice)  # (N, C)
    along, logits, between = _logits(policy, mean, covariance, features)
    k, c, share, direction, logit = Against.of(made, logits, between)
    expected, surprise = torch.sigmoid(logit), torch.sigmoid(-logit)
    gradient = (k * surprise)[:, None] * direction
    outer = direction[:, :, None] * direction[:, None, :]
    among = torch.diag_embed(share) - share[:, :, None] * share[:, None, :]
    bend = (k * k * expected * surprise)[:, None, None] * outer
    bend = bend + (k * surprise * c)[:, None, None] * among
    if odds is not None:
        of_choice = (made * odds).sum(-1)
        real = (expected / (expected + of_choice))[:, None]  # 1 - l
        outer = gradient[:, :, None] * gradient[:, None, :]
        bend = real[..., None] * (bend - (1 - real[..., None]) * outer)
        gradient = real * gradient
    shrunk = along @ bend[:, 1:, 1:] @ along.mT  # the first class has no weights
    return mean + (along @ gradient[:, 1:, None])[..., 0], covariance - shrunk


class Against(NamedTuple):
    """A choice against the others, among logits that are normal; each (..., C) or (...,).

    The others count as one, whose logit is that of their sum: of mean log(sum_j exp(c m_j)) / c, c
    being the moderation by how they vary against each other, and with shares s_j = P(j) among them.
    So P(y) is q = sigmoid(k (m_y - that)), k the moderation by how d z = z_y - sum_j s_j z_j
    varies. It is that of two choices for C = 2, and no class is special; the q of all classes add
    up to 1 but nearly. For C = 3 and logits of a standard deviation of 1 it is within 1e-4 nats.
    """

    k: Tensor
    c: Tensor
    share: Tensor
    """s; 0 of the choice itself."""
    direction: Tensor
    """d."""
    logit: Tensor
    """That of q."""

    @classmethod
    def of(cls, made: Tensor, logits: Tensor, between: Tensor) -> Against:
        """Return it of choices, 1 of C each, by the mean of all logits, and their covariance.

        That is (..., C - 1, C - 1), without the first, which is 0.
        """
        n_others = made.shape[-1] - 1
        others, own = 1 - made[..., 1:], between.diagonal(0, -2, -1)
        twice = 2 * (n_others * (others * own).sum(-1) - _variance_along(others, between))
        varies = twice / max(1, n_others * (n_others - 1))  # of two others' difference
        c = moderation(varies)[..., None]
        of_others = torch.where(made > 0.5, NEVER, c * logits)
        total, share = of_others.logsumexp(-1, keepdim=True), of_others.softmax(-1)
        direction = made - share
        k = moderation(_variance_along(direction[..., 1:], between))
        mean = (made * logits).sum(-1) - (total / c)[..., 0]
        return cls(k, c[..., 0], share, direction, k * mean)


def _logits(
    policy: Policy, mean: Tensor, covariance: Tensor, features: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what weights have to do with the logits of C > 2 choices.

    Their covariance, (..., (C - 1) K, C - 1); the logits of all classes, (..., C), and the
    covariance of these but the first, which is 0, (..., C - 1, C - 1).
    """
    x = features[..., None, :]
    along = policy.logits(covariance, x)  # (..., (C - 1) K, C - 1)
    between = policy.logits(along.mT, x)  # (..., C - 1, C - 1)
    return along, policy.of_all(policy.logits(mean, features)), between


def _variance_along(direction: Tensor, covariance: Tensor) -> Tensor:
    return (direction[..., None] * covariance * direction[..., None, :]).sum((-2, -1))


def moderation(variance: Tensor) -> Tensor:
    """Return k, by which a logit of this variance is nearer to 0 when averaged over."""
    return (1 + PROBIT * variance.clamp_min(0)).rsqrt()


def filtered_logit(
    mean: Tensor, packed: Tensor, features: Tensor, policy: Policy = TWO_CHOICES
) -> Tensor:
    """Return the policy's logits on average over weights of this mean and covariance."""
    if policy.n_choices > 2:
        _, logits, between = _logits(policy, mean, unpack(packed), features)
        each = torch.eye(policy.n_choices).to(logits)
        chances = logsigmoid(Against.of(each, logits[..., None, :], between[..., None, :, :]).logit)
        return policy.against_first(chances)
    along = (unpack(packed) @ features[..., None])[..., 0]
    return moderation((along * features).sum(-1)) * TWO_CHOICES.logits(mean, features)


def pack(covariance: Tensor) -> Tensor:
    """Return the lower triangle, row by row, (..., K, K) -> (..., K (K + 1) / 2)."""
    rows, columns = _triangle(covariance.shape[-1])
    return covariance[..., rows, columns]


def unpack(packed: Tensor) -> Tensor:
    """Return the symmetric matrix again."""
    size = (math.isqrt(8 * packed.shape[-1] + 1) - 1) // 2
    place = {pair: i for i, pair in enumerate(zip(*_triangle(size), strict=True))}
    index = [place[max(i, j), min(i, j)] for i in range(size) for j in range(size)]
    return packed[..., index].unflatten(-1, (size, size))


def _triangle(size: int) -> tuple[Sequence[int], Sequence[int]]:
    pairs = [(i, j) for i in range(size) for j in range(i + 1)]
    return [i for i, _ in pairs], [j for _, j in pairs]
