"""Textbook rules: each moves the weights along a gradient of the policy.

Throughout, x = [s, 1] are the policy's inputs, y the choice, z the correct choice, r the
reward, p = P(y = 1), and a learning rate alpha scales the step of each feature's weights. Of more
than two choices (y - p) x stands for :meth:`Policy.score`. All of them may forget, and learn at
another rate after each choice; see :class:`TextbookRule`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ._contract import LearningRule, Varies
from ._textbook import WEAK_OFFSET, Numbers, TextbookRule, nonnegative, spread
from .trial import Trial

BASELINES = (None, "free", "nonnegative")


class ConstantRule(LearningRule):
    """No learning: the update is 0 and the policy a static GLM.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import ConstantRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = ConstantRule(2), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()
    tensor([[0., 0.]])
    """

    parameter_units: Mapping[str, tuple[int, int]] | None = {}

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        del trial
        return torch.zeros_like(weights), memory


class ReinforceRule(TextbookRule):
    """REINFORCE: update = alpha (r - b) (y - p) x (Williams 1992).

    (y - p) x is the gradient of log P(y). The baseline b, one a weight and the same for both
    sides, is absent (``None``), any number (``"free"``) or at least 0 (``"nonnegative"``). A
    free one is held as the product alpha b (alpha's mean, if there is one for each side), so that
    the likelihood stays well conditioned where b is large and alpha small; a nonnegative one as
    its root.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import ReinforceRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = ReinforceRule(2, None, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()  # .1 (1 - 0) (1 - .5) x
    tensor([[0.0500, 0.0500]])
    """

    textbook_names: ClassVar[tuple[str, ...]] = ("learning_rate", "baseline", "forgetting")
    parameter_units = {"learning_rate": (-2, -1), "baseline": (0, 1)}

    def __init__(
        self,
        n_weights: int,
        baseline: str | None = None,
        *,
        initial_baseline: Numbers = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(n_weights, **options)
        if baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {BASELINES}, got {baseline!r}.")
        self.baseline_kind = baseline
        if baseline == "free":
            start = spread(initial_baseline, "initial_baseline", self.n_features)
            self.rate_times_baseline = nn.Parameter(self.mean_rate.detach() * start)
        elif baseline == "nonnegative":
            start = nonnegative(initial_baseline, "initial_baseline", self.n_features)
            self.root_baseline = nn.Parameter(start.sqrt())

    @property
    def mean_rate(self) -> Tensor:
        """alpha, averaged over all sides, (K,)."""
        return self.rates.mean(0) if self.side_specific else self.learning_rate

    @property
    def baseline(self) -> Tensor:
        """b, one a feature, (K,)."""
        if self.baseline_kind == "free":
            return self.rate_times_baseline / self.mean_rate
        if self.baseline_kind == "nonnegative":
            return self.root_baseline.square()
        return self.root_learning_rate.new_zeros(self.n_features)

    def varies_by(self, name: str) -> Varies | None:
        is_free = name == "baseline" and self.baseline_kind == "free"
        return "shift" if is_free else super().varies_by(name)

    def vary(
        self, name: str, effect: Tensor, parameters: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return what changes; see :meth:`LearningRule.vary`.

        A subject whose learning rate alone is its own has the typical baseline. The shift of a free
        baseline is that of alpha b, in units of the typical alpha: choices tell alpha b, and b only
        as far as they tell alpha.
        """
        if self.baseline_kind != "free" or name not in ("learning_rate", "baseline"):
            return super().vary(name, effect, parameters)
        held, typical = parameters["rate_times_baseline"], self.rate_times_baseline
        if name == "baseline":
            return {"rate_times_baseline": held + effect * self.mean_rate}
        changed = super().vary(name, effect, parameters)
        return changed | {"rate_times_baseline": held + typical * torch.expm1(effect)}

    @property
    def offsets(self) -> Tensor:
        """alpha b after each choice, (C, K)."""
        if self.baseline_kind != "free":
            return self.rates * self.baseline
        if not self.side_specific:
            return self.rate_times_baseline.expand(self.policy.n_choices, -1)
        tiny = torch.finfo(self.rates.dtype).tiny  # 0 / 0 is to be 0
        return self.rates / self.mean_rate.clamp_min(tiny) * self.rate_times_baseline

    def log_prior(self) -> Tensor:
        """Return the log of a weak prior of alpha and alpha b, normal ones, but for a constant."""
        return super().log_prior() - (self.offsets.mean(0) / WEAK_OFFSET).square().sum() / 2

    def step(self, weights: Tensor, trial: Trial) -> Tensor:
        """Return alpha (r - b) (y - p) x, of the weights' shape."""
        score = self.policy.score(weights, trial.features, trial.choice)
        rate, offset = (self.of_side(a, trial.choice) for a in (self.rates, self.offsets))
        return (rate * trial.reward[:, None] - offset) * score

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self.forget(weights, self.step(weights, trial)), memory


class RewardMaxRule(TextbookRule):
    """RewardMax: update = alpha (2z - 1) p (1 - p) x / 0.5 (Ashwood et al., NeurIPS 2020).

    The gradient of the expected reward, P(z), over its largest value at p = 1/2 per unit input:
    P(z) (z - p) x / 0.5, which of two choices is the above.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import RewardMaxRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = RewardMaxRule(2, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()
    tensor([[0.0500, 0.0500]])
    """

    uses_answer = True

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        expected = self.policy.chance(self.policy.logits(weights, trial.features), trial.answer)
        slope = expected[:, None] * self.policy.score(weights, trial.features, trial.answer) / 0.5
        step = self.of_side(self.rates, trial.choice) * slope
        return self.forget(weights, step), memory


class PredictMaxRule(TextbookRule):
    """PredictMax, or maximum likelihood: update = alpha (z - p) x.

    The gradient of the log probability of the correct choice.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import PredictMaxRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = PredictMaxRule(2, learning_rate=0.1), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.detach()
    tensor([[0.0500, 0.0500]])
    """

    uses_answer = True

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        score = self.policy.score(weights, trial.features, trial.answer)
        step = self.of_side(self.rates, trial.choice) * score
        return self.forget(weights, step), memory
