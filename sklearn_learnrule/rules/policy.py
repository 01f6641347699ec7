"""The policy: from weights and what is seen to the probability of each choice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, pad

from .trial import Trial


@dataclass(frozen=True)
class Policy:
    """A choice among C by a softmax of linear logits; of two, by the logistic function.

    Classes but the first have weights, those against the first, one set of K after the other,
    (..., (C - 1) K). No class is special: any other first one needs other weights, and the
    probabilities are the same. What is of classes is of all but the first, too: a logit,
    (..., C - 1). Of two choices that axis is left out: weights are (..., K) and logits (...,).

    Parameters
    ----------
    n_choices : int
        C.

    Examples
    --------
    >>> policy = Policy(3)
    >>> weights, stimulus_and_bias = torch.zeros(1, 4), torch.tensor([[0.5, 1.0]])
    >>> policy.probabilities(policy.logits(weights, stimulus_and_bias))
    tensor([[0.3333, 0.3333]])
    >>> policy.score(weights, stimulus_and_bias, torch.tensor([2.0]))
    tensor([[0.0000, 0.0000, 0.2500, 0.5000]])
    """

    n_choices: int = 2

    def logits(self, weights: Tensor, features: Tensor) -> Tensor:
        """Return each class's log odds against the first: w . x."""
        if self.n_choices == 2:
            return (weights * features).sum(-1)
        return (self.sets(weights) * features[..., None, :]).sum(-1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return P(y = c) of the classes but the first."""
        if self.n_choices == 2:
            return torch.sigmoid(logits)
        return self.of_all(logits).softmax(-1)[..., 1:]

    def one_hot(self, choice: Tensor) -> Tensor:
        """Return 1 for the choice made, 0, 1, ... or C - 1, and 0 for others but the first."""
        return choice if self.n_choices == 2 else self.one_of_all(choice)[..., 1:]

    def one_of_all(self, choice: Tensor) -> Tensor:
        """Return the same of all classes, (..., C)."""
        return torch.stack([choice == c for c in range(self.n_choices)], -1).to(choice)

    def log_probability(self, logits: Tensor, choice: Tensor) -> Tensor:
        """Return log P(y) of the choice made, (...,)."""
        if self.n_choices == 2:
            target = choice.expand_as(logits)
            return -binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (self.one_hot(choice) * logits).sum(-1) - self.of_all(logits).logsumexp(-1)

    def chance(self, logits: Tensor, choice: Tensor) -> Tensor:
        """Return P(y) of a choice, (...,)."""
        if self.n_choices == 2:
            p = torch.sigmoid(logits)
            return choice * p + (1 - choice) * (1 - p)
        return (self.one_of_all(choice) * self.of_all(logits).softmax(-1)).sum(-1)

    def mix(self, logits: Tensor, log_shares: Tensor) -> Tensor:
        """Return the logits of several policies' mean, (Q, ...), each with a share, (Q, ...)."""
        if self.n_choices == 2:
            second, first = (
                (log_shares + logsigmoid(sign * logits)).logsumexp(0) for sign in (1, -1)
            )
            return second - first
        log_p = self.of_all(logits).log_softmax(-1) + log_shares[..., None]
        return self.against_first(log_p.logsumexp(0))

    def score(self, weights: Tensor, features: Tensor, choice: Tensor) -> Tensor:
        """Return the gradient of log P(y) as a change of the weights, of their shape.

        Of two choices, (y - p) x. Of more, it is of weights that every class has, (one(y) - p) x,
        the first one, too; a policy's weights are differences of these, and half of it is theirs.
        So what is learned of a choice does not hang on which is the first.
        """
        logits = self.logits(weights, features)
        if self.n_choices == 2:
            return (choice - torch.sigmoid(logits))[..., None] * features
        error = self.one_of_all(choice) - self.of_all(logits).softmax(-1)  # (..., C)
        return self.per_set(self.against_first(error) / 2, features)

    def side(self, choice: Tensor) -> Tensor:
        """Return 1 for the set of the choice made and 0 for others, or -1 for all after the first.

        (..., C - 1), or (...,) of two choices.
        """
        if self.n_choices == 2:
            return 2 * choice - 1
        return self.against_first(self.one_of_all(choice))

    def against_first(self, of_classes: Tensor) -> Tensor:
        """Return values of C > 2 classes less the first's, (..., C) -> (..., C - 1)."""
        return of_classes[..., 1:] - of_classes[..., :1]

    def per_set(self, amounts: Tensor, features: Tensor) -> Tensor:
        """Return features times an amount for each set, as a change of the weights."""
        if self.n_choices == 2:
            return amounts[..., None] * features
        return (amounts[..., None] * features[..., None, :]).flatten(-2)

    def mix_sets(self, amounts: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the weights' sets, each times an amount, (..., K)."""
        if self.n_choices == 2:
            return amounts[..., None] * weights
        return (amounts[..., None] * self.sets(weights)).sum(-2)

    def sets(self, weights: Tensor) -> Tensor:
        """Return weights set by set, (..., (C - 1) K) -> (..., C - 1, K)."""
        return weights.unflatten(-1, (self.n_sets, weights.shape[-1] // self.n_sets))

    def all_sets(self, weights: Tensor) -> Tensor:
        """Return the same with the first class's set, which is 0, (..., C, K)."""
        return pad(self.sets(weights), (0, 0, 1, 0))

    def of_each(self, weights: Tensor) -> Tensor:
        """Return each class's weights less their mean over classes, (..., C K).

        So they hang on no first class. Of two choices, that one set of weights tells apart, it is
        returned as it is, (..., K).

        Examples
        --------
        >>> Policy(3).of_each(torch.tensor([3.0, 1.0, 0.0, 5.0]))
        tensor([-1., -2.,  2., -1., -1.,  3.])
        """
        if self.n_choices == 2:
            return weights
        of_all = self.all_sets(weights)
        return (of_all - of_all.mean(-2, keepdim=True)).flatten(-2)

    def in_all_sets(self, of_features: Tensor) -> Tensor:
        """Return what is of features for the weights, (..., K) -> (..., (C - 1) K)."""
        if self.n_choices == 2:
            return of_features
        return torch.cat(self.n_sets * [of_features], -1)

    @property
    def n_sets(self) -> int:
        """C - 1."""
        return self.n_choices - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a trial's logits: (), or (C - 1,)."""
        return () if self.n_choices == 2 else (self.n_sets,)

    def sample(self, probabilities: Tensor, uniform: Tensor) -> Tensor:
        """Return choices by numbers drawn evenly from [0, 1), (...,)."""
        if self.n_choices == 2:
            return (uniform < probabilities).to(probabilities)
        at_least = probabilities.flip(-1).cumsum(-1)  # P(y >= c), from the last class on
        return (uniform[..., None] < at_least).sum(-1).to(probabilities)

    def mirror(self, trials: Trial, observed: Tensor) -> Trial:
        """Return sequences with left and right swapped: stimuli's signs and the classes' order.

        The bias, the last feature, stays.
        """
        bias, known = trials.features[..., -1:], observed.to(trials.choice)
        return replace(
            trials,
            features=torch.cat([0 - trials.features[..., :-1], bias], -1),  # 0 stays 0, not -0
            choice=self.mirror_choice(trials.choice, known),
            answer=self.mirror_choice(trials.answer, known),
        )

    def mirror_weights(self, weights: Tensor) -> Tensor:
        """Return the weights that choose among mirror images as these do among trials."""
        if self.n_choices == 2:
            return torch.cat([weights[..., :-1], -weights[..., -1:]], -1)
        of_all = self.all_sets(weights).flip(-2)
        turned = torch.cat([-of_all[..., :-1], of_all[..., -1:]], -1)  # stimuli change their signs
        return (turned[..., 1:, :] - turned[..., :1, :]).flatten(-2)

    def mirror_choice(self, choice: Tensor, known: Tensor) -> Tensor:
        """Return the class at the other end; 0 where ``known`` is 0, not 1."""
        return (self.n_choices - 1) * known - choice

    def with_lapses(self, probabilities: Tensor, rates: Tensor) -> Tensor:
        """Return probabilities where class c is chosen at rate g_c, (C,), whatever the weights say.

        P(y = c) = g_c + (1 - g_0 - g_1 - ...) p_c.
        """
        lapses = rates[1] if self.n_choices == 2 else rates[1:]
        return lapses + (1 - rates[0] - rates[1:].sum()) * probabilities

    def lapsing_logits(self, logits: Tensor, odds: Tensor) -> Tensor:
        """Return the same as logits, by the rates' odds against that of no lapse, (C,)."""
        if self.n_choices == 2:
            first, second = log_odds(odds)
            of_first = torch.logaddexp(first, logsigmoid(-logits))
            return torch.logaddexp(second, logsigmoid(logits)) - of_first
        log_p = torch.logaddexp(log_odds(odds), self.of_all(logits).log_softmax(-1))
        return log_p[..., 1:] - log_p[..., :1]

    def of_all(self, logits: Tensor) -> Tensor:
        """Return the logits with the first class's, which is 0, (..., C)."""
        return pad(logits, (1, 0))


TWO_CHOICES = Policy()


def choice_probability(weights: Tensor, features: Tensor) -> Tensor:
    """P(y = 1) = sigmoid(w . x) for weights and features of shape (..., K).

    Examples
    --------
    >>> choice_probability(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0]))
    tensor(0.8808)
    """
    return TWO_CHOICES.probabilities(TWO_CHOICES.logits(weights, features))


def log_odds(odds: Tensor) -> Tensor:
    """Return the logarithm, which is finite at 0 if far below all that matters."""
    return odds.clamp_min(torch.finfo(odds.dtype).tiny).log()
