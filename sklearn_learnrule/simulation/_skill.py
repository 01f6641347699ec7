"""How good an animal is at a task, by its policy's weights, whatever it is shown in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..rules import lapse_odds, lapse_rates
from ..utils.arrays import Floats
from ._experiment import make_curriculum
from ._learning import Task, show_trial
from ._perceived_task import PerceivedTask
from ._twins import Twin

N_SHOWN = 1000  # first trials of the task that is the test


@dataclass(frozen=True)
class SkillTest:
    """Stimuli and correct choices by which animals' skill is measured, U different ones."""

    features: torch.Tensor  # (U, K) as the rule sees them on a first trial
    answer: torch.Tensor  # (U,)
    share: Floats  # (U,) of each among those shown

    @classmethod
    def of_task(cls, twin: Twin, make_task: Callable[..., Task], seed: int) -> SkillTest:
        """Draw them as the first trials of a task."""
        rng = np.random.RandomState(seed)
        experiment = make_curriculum(make_task, 1, 1).for_twins(N_SHOWN, rng)
        perceived = PerceivedTask(experiment, twin.columns, twin.classes, twin.transformers)
        _, features, answer = show_trial(perceived, 0, len(twin.classes))
        shown = np.column_stack([features.numpy(), answer])
        different, counts = np.unique(shown, axis=0, return_counts=True)
        told = torch.as_tensor(different)
        return cls(told[:, :-1], told[:, -1], counts / N_SHOWN)

    def skill(self, twin: Twin, weights: Floats) -> Floats:
        """Return the chance of a correct choice, lapses included, by weights (N, T, (C - 1) K).

        (N, T), on average over the test.
        """
        policy, known = twin.rules[0].policy, torch.as_tensor(weights)
        odds = lapse_odds(
            lapse_rates(getattr(twin.estimator, "lapse_rates_", 0.0), policy.n_choices)
        ).double()
        total = torch.zeros(known.shape[:-1], dtype=torch.float64)
        for features, answer, share in zip(self.features, self.answer, self.share, strict=True):
            logits = policy.lapsing_logits(policy.logits(known, features), odds)
            total += share * policy.chance(logits, answer)
        return total.numpy()
