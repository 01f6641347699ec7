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

    Classes but the first have weights, those against the first, (..., C - 1, K), so that no class
    is special: any other first one needs other weights, and the probabilities are the same. What
    is of classes is of all but the first, too: a logit, (..., C - 1). Of two choices the axis of
    classes is left out: weights are (..., K) and logits (...,).

    Parameters
    ----------
    n_choices : int
        C.

    Examples
    --------
    >>> policy = Policy(3)
    >>> weights, stimulus_and_bias = torch.zeros(1, 2, 2), torch.tensor([[0.5, 1.0]])
    >>> policy.probabilities(policy.logits(weights, stimulus_and_bias))
    tensor([[0.3333, 0.3333]])
    >>> policy.score(weights, stimulus_and_bias, torch.tensor([2.0]))
    tensor([[[-0.1667, -0.3333],
             [ 0.3333,  0.6667]]])
    """

    n_choices: int = 2

    def logits(self, weights: Tensor, features: Tensor) -> Tensor:
        """Return each class's log odds against the first: w . x."""
        return (weights * self._of_classes(features)).sum(-1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return P(y = c) of the classes but the first."""
        if self.n_choices == 2:
            return torch.sigmoid(logits)
        return self._of_all(logits).softmax(-1)[..., 1:]

    def one_hot(self, choice: Tensor) -> Tensor:
        """Return 1 for the choice made, 0, 1, ... or C - 1, and 0 for others."""
        if self.n_choices == 2:
            return choice
        return torch.stack([choice == c for c in range(1, self.n_choices)], -1).to(choice)

    def log_probability(self, logits: Tensor, choice: Tensor) -> Tensor:
        """Return log P(y) of the choice made, (...,)."""
        if self.n_choices == 2:
            return -binary_cross_entropy_with_logits(logits, choice, reduction="none")
        return (self.one_hot(choice) * logits).sum(-1) - self._of_all(logits).logsumexp(-1)

    def score(self, weights: Tensor, features: Tensor, choice: Tensor) -> Tensor:
        """Return the gradient of log P(y) by the weights, (one_hot(y) - p) x, of their shape."""
        p = self.probabilities(self.logits(weights, features))
        return (self.one_hot(choice) - p)[..., None] * self._of_classes(features)

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
        log_p = torch.logaddexp(log_odds(odds), self._of_all(logits).log_softmax(-1))
        return log_p[..., 1:] - log_p[..., :1]

    def _of_classes(self, values: Tensor) -> Tensor:
        """Return values of trials, (...,) or features, with an axis that classes are on, if any."""
        return values if self.n_choices == 2 else values[..., None, :]

    def _of_all(self, logits: Tensor) -> Tensor:
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
