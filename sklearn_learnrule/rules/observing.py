"""What a choice tells of weights that are known as a normal distribution, and foretells by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ._contract import LearningRule
from .lapses import Lapses
from .policy import TWO_CHOICES, Policy, log_odds
from .trial import Trial

PROBIT = math.pi / 8  # sigmoid(w) is about Phi(w PROBIT^(1/2))


class Observation(LearningRule):
    """A choice alone, in the terms of a rule: by it moves the mean, and memory is the covariance.

    Parameters
    ----------
    n_weights, n_choices : int
    lapses : Lapses or None
    """

    parameter_units: Mapping[str, tuple[int, int]] | None = {}
    reads_reward_known = True

    def __init__(self, n_weights: int, n_choices: int = 2, lapses: Lapses | None = None) -> None:
        super().__init__(n_weights, n_weights * (n_weights + 1) // 2, n_choices=n_choices)
        self.lapses = lapses

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        odds = None if self.lapses is None else self.lapses.odds
        seen = trial.features, trial.choice, odds, self.policy
        mean, covariance = observe(weights, unpack(memory), *seen)
        return mean - weights, pack(covariance)


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
    """Do the same of C > 2 choices.

    With m_j the mean logits (0 of the first class) and v_j the variance of y's less j's,

        k_j = (1 + pi / 8 v_j)^(-1/2),  q = P(y) = 1 / sum_j exp(k_j (m_j - m_y))

    whose gradient g in the logits, and the part of its curvature that choices bring, move mean and
    covariance as of two choices, which this is for C = 2 (but for the q of all choices, which add
    up to 1 only nearly). With lapses, l = o / (q + o) as there.
    """
    made = policy.one_of_all(choice)  # (N, C)
    along, logits, apart = _logits(policy, mean, covariance, features)
    k = moderation((made[:, :, None] * apart).sum(1))  # (N, C); 1 for y, whose v is 0
    against = logits - (made * logits).sum(-1, keepdim=True)
    share = (k * against).softmax(-1)  # of each class in the sum; of y, q
    pull = k * share
    gradient = made * pull.sum(-1, keepdim=True) - pull
    surely = (k * pull)[..., None] * torch.eye(policy.n_choices).to(pull)
    curved = k * pull
    of_made = curved.sum(-1)[:, None, None] * made[:, :, None] * made[:, None, :]
    crossed = made[:, :, None] * curved[:, None, :]
    hessian = surely + of_made - crossed - crossed.mT  # sum_j k_j pull_j d_j d_j', d_j = e_y - e_j
    outer = gradient[:, :, None] * gradient[:, None, :]
    if odds is None:
        hessian = hessian - outer
    else:
        q = (made * share).sum(-1, keepdim=True)
        o = (made * odds).sum(-1, keepdim=True)
        real = (q / (q + o))[..., None]  # 1 - l
        hessian = real * (hessian - outer) - real * (1 - real) * outer
        gradient = real[..., 0] * gradient
    gradient, hessian = gradient[:, 1:], hessian[:, 1:, 1:]
    shrunk = along @ hessian @ along.mT
    return mean + (along @ gradient[..., None])[..., 0], covariance - shrunk


def _logits(
    policy: Policy, mean: Tensor, covariance: Tensor, features: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what weights and the logits of C > 2 choices have to do with each other.

    Their covariance, (..., (C - 1) K, C - 1); the logits of all classes, (..., C); and how much
    each varies against each other, (..., C, C).
    """
    along = policy.logits(covariance, features[..., None, :])  # (..., (C - 1) K, C - 1)
    between = policy.logits(along.mT, features[..., None, :])  # (..., C - 1, C - 1)
    between = torch.nn.functional.pad(between, (1, 0, 1, 0))
    own = between.diagonal(0, -2, -1)
    apart = own[..., :, None] + own[..., None, :] - between - between.mT
    return along, policy.of_all(policy.logits(mean, features)), apart


def moderation(variance: Tensor) -> Tensor:
    """Return k, by which a logit of this variance is nearer to 0 when averaged over."""
    return (1 + PROBIT * variance.clamp_min(0)).rsqrt()


def filtered_logit(
    mean: Tensor, packed: Tensor, features: Tensor, policy: Policy = TWO_CHOICES
) -> Tensor:
    """Return the policy's logits on average over weights of this mean and covariance."""
    if policy.n_choices > 2:
        _, logits, apart = _logits(policy, mean, unpack(packed), features)
        against = moderation(apart) * (logits[..., None, :] - logits[..., :, None])
        return policy.against_first(-against.logsumexp(-1))  # of the q of observe_one_of_many
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
