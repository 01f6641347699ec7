"""The estimators: each a learning rule and its parameters, in the shell of ``_base``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from ._base import BaseRuleEstimator
from .rules import (
    ConstantRule,
    DNNRule,
    LearningRule,
    PredictMaxRule,
    ReinforceRule,
    RewardMaxRule,
    RNNRule,
)


@dataclass(kw_only=True, repr=False, eq=False)
class ConstantRuleEstimator(BaseRuleEstimator):
    """No learning: a static GLM of the stimulus, against which learning is measured.

    Parameters
    ----------
    {shared}
    """

    def make_rule(self, n_weights: int) -> LearningRule:
        return ConstantRule(n_weights)


@dataclass(kw_only=True, repr=False, eq=False)
class ReinforceRuleEstimator(BaseRuleEstimator):
    """REINFORCE: after each trial, update = alpha (r - b) (y - p) x.

    With x = [stimulus, 1], y the choice (0 or 1), p = P(y = 1), r the reward; alpha, a learning
    rate, and b, a baseline, for each weight.

    Parameters
    ----------
    baseline : None, "free" or "nonnegative", default="free"
        No baseline; any baseline; a baseline of at least 0.
    {shared}

    Attributes
    ----------
    learning_rate_, baseline_ : ndarray of shape (K,)
        Where a learning rate goes to 0, alpha b is still determined, but b is huge.

    References
    ----------
    Williams (1992), Machine Learning 8. Ashwood, Roy, Bak & Pillow (2020), NeurIPS 33.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(20, 400, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> rule.learning_rate_.round(3)
    array([0.019, 0.008])
    """

    baseline: str | None = "free"

    def make_rule(self, n_weights: int) -> LearningRule:
        return ReinforceRule(n_weights, self.baseline)


@dataclass(kw_only=True, repr=False, eq=False)
class RewardMaxRuleEstimator(BaseRuleEstimator):
    """RewardMax: after each trial, update = alpha (2z - 1) p (1 - p) x / 0.5.

    The gradient of the expected reward, where z is the correct choice (0 or 1), told by
    ``previous_answer`` or else by choice and reward.

    Parameters
    ----------
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,)

    References
    ----------
    Ashwood, Roy, Bak & Pillow (2020), NeurIPS 33.
    """

    def make_rule(self, n_weights: int) -> LearningRule:
        return RewardMaxRule(n_weights)


@dataclass(kw_only=True, repr=False, eq=False)
class PredictMaxRuleEstimator(BaseRuleEstimator):
    """PredictMax (maximum likelihood): after each trial, update = alpha (z - p) x.

    The animal learns to predict z, the correct choice (0 or 1), told by ``previous_answer`` or
    else by choice and reward.

    Parameters
    ----------
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,)
    """

    def make_rule(self, n_weights: int) -> LearningRule:
        return PredictMaxRule(n_weights)


@dataclass(kw_only=True, repr=False, eq=False)
class _NetworkRuleEstimator(BaseRuleEstimator):
    """What the network rules share: Adam, single precision, and their inputs.

    The defaults are chosen on simulated cohorts and on training animals of the IBL data: with
    gradients cut every 500 trials, as in the paper, 10,000 trials are learned in 200 epochs at
    lr=.003; exact gradients through so many trials are steep and took five times as many.
    """

    optimizer: str = "adam"
    max_epochs: int = 300
    truncation: int | None = 500
    hidden_sizes: Sequence[int] = (32, 32)
    activation: str = "relu"
    session_input: bool = True
    answer_input: bool = True

    _dtype: ClassVar[torch.dtype] = torch.float32


@dataclass(kw_only=True, repr=False, eq=False)
class DNNRuleEstimator(_NetworkRuleEstimator):
    """DNNGLM: a feedforward network maps weights, stimulus, choice and reward to the update.

    update = scale * MLP(w, x, y, r, session start, correct choice).

    Parameters
    ----------
    hidden_sizes : sequence of int, default=(32, 32)
        Widths of the hidden layers.
    activation : "relu", "tanh", "elu", "gelu", "silu" or "softplus", default="relu"
    session_input, answer_input : bool, default=True
        Whether the network sees that the next trial opens a session, and the correct choice.
    {shared}

    References
    ----------
    Liu, Geadah & Pillow (2025), arXiv 2509.04661.
    """

    def make_rule(self, n_weights: int) -> LearningRule:
        return DNNRule(
            n_weights, self.hidden_sizes, self.activation, self.session_input, self.answer_input
        )


@dataclass(kw_only=True, repr=False, eq=False)
class RNNRuleEstimator(_NetworkRuleEstimator):
    """RNNGLM: as the DNN, with a recurrent memory of earlier trials.

    h' = GRU(w, x, y, r, session start, correct choice; h), update = scale * MLP(h').

    Parameters
    ----------
    memory_size : int, default=32
        Units of the GRU.
    hidden_sizes : sequence of int, default=(32, 32)
        Widths of the MLP's hidden layers.
    activation : "relu", "tanh", "elu", "gelu", "silu" or "softplus", default="relu"
    session_input, answer_input : bool, default=True
        Whether the network sees that the next trial opens a session, and the correct choice.
    {shared}

    References
    ----------
    Liu, Geadah & Pillow (2025), arXiv 2509.04661.
    """

    memory_size: int = 32

    def make_rule(self, n_weights: int) -> LearningRule:
        return RNNRule(
            n_weights,
            self.memory_size,
            self.hidden_sizes,
            self.activation,
            self.session_input,
            self.answer_input,
        )
