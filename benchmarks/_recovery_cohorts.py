"""The simulated cohorts of Liu, Geadah & Pillow (2025), and how far an inferred rule is off.

Stimuli are uniform on [-2, 2] in steps of .25 without 0. The weight of the stimulus learns, from
``start``; the bias is -1, 0 or 1, by animal, and does not learn. A network of ours sees the same:
the animal's bias is a constant stimulus column, ``own_bias``, whose weight is held at 1.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

import sklearn_learnrule as lr
from sklearn_learnrule.rules import (
    EligibilityRule,
    LearningRule,
    PredictMaxRule,
    ReinforceRule,
    RewardMaxRule,
    Trial,
)
from sklearn_learnrule.simulation import Simulation, simulate_learning

BIASES = (-1.0, 0.0, 1.0)
WEIGHTS = np.linspace(-2, 2, 17)
STIMULI = WEIGHTS[WEIGHTS != 0]
RULES: dict[str, Callable[..., LearningRule]] = {
    "REINFORCE": ReinforceRule,
    "RewardMax": RewardMaxRule,
    "maximum likelihood": PredictMaxRule,
    "eligibility": EligibilityRule,
}


@dataclass(frozen=True)
class Cohort:
    """N simulated animals; of several ``rules``, each is that of as many animals.

    ``noise`` is the standard deviation of the stimulus weight's noise, in learning rates.
    Distractors are normal variates that the network sees, and that do not matter.
    """

    n_animals: int = 1000
    n_trials: int = 500
    learning_rate: float = 2**-4
    start: float = -2.0
    rules: tuple[str, ...] = ("REINFORCE",)
    noise: float = 0.0
    n_distractors: int = 0

    @property
    def stimuli(self) -> list[str]:
        """The stimulus columns, as many as the policy has weights beside the bias."""
        return ["stimulus", "own_bias", *(f"distractor_{d}" for d in range(self.n_distractors))]

    def true_rule(self, name: str) -> LearningRule:
        """Return a rule of the weights of stimulus and bias, of which the first learns."""
        return RULES[name](2, learning_rate=[self.learning_rate, 0.0])


@dataclass(frozen=True)
class UniformTask:
    """Any stimulus, right of 0 as often as left; a correct choice is paid 1."""

    n_animals: int
    rng: np.random.RandomState

    def show(self, trial: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del trial
        stimulus = self.rng.choice(STIMULI, self.n_animals)
        return stimulus[:, None], stimulus > 0

    def reward(self, trial: int, correct: NDArray[np.bool_]) -> NDArray[np.float64]:
        del trial
        return correct.astype(float)


def simulate(cohort: Cohort, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return the cohort's X and y."""
    rng = np.random.RandomState(seed)
    lived = [learn(cohort, name, rng) for name in cohort.rules]
    bias, stimulus, choice, reward = (
        np.concatenate([getattr(simulation, field) for simulation in lived])
        for field in ("weights", "stimulus", "choice", "reward")
    )  # (N, T, 2), (N, T, 1), (N, T), (N, T)
    trials = {
        "subject": np.arange(len(choice)).repeat(cohort.n_trials),
        "session": 1,
        "stimulus": stimulus.ravel(),
        "own_bias": bias[..., 1].ravel(),
        "choice": choice.ravel().astype(int),
        "reward": reward.ravel(),
    }
    for name in cohort.stimuli[2:]:
        trials[name] = rng.standard_normal(choice.size)
    X, y, _ = lr.make_design(pd.DataFrame(trials), stimulus=cohort.stimuli)
    return X, y


def learn(cohort: Cohort, rule: str, rng: np.random.RandomState) -> Simulation:
    """Let as many of the animals as have this rule learn by it."""
    n_animals = cohort.n_animals // len(cohort.rules)
    start = np.column_stack([np.full(n_animals, cohort.start), np.resize(BIASES, n_animals)])
    return simulate_learning(
        cohort.true_rule(rule),
        UniformTask(n_animals, rng),
        start,
        np.arange(cohort.n_trials) == np.zeros((n_animals, 1)),  # one session
        rng,
        process_noise=[cohort.noise * cohort.learning_rate, 0.0],
    )


class HoldAllButFirst(Callback):
    """Lets a network, and noise, move the first weight alone: the scale of others stays 0."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        net.module_.rule.rule.scale.data[1:] = 0
        if net.module_.noise is not None:
            net.module_.noise.root_process_noise.data[1:] = 0  # where its gradient is 0, too

    def on_grad_computed(self, net: NeuralNet, **kwargs: Any) -> None:
        for parameter in (net.module_.rule.rule.scale, net.module_.initial_weights):
            if parameter.grad is not None:
                parameter.grad[1:] = 0


@dataclass(frozen=True)
class Grid:
    """Every stimulus, choice, weight and bias of the published grid, each (G,)."""

    stimulus: Tensor
    choice: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def published(cls) -> Grid:
        points = list(product(STIMULI, (0, 1), WEIGHTS, BIASES))
        return cls(*torch.tensor(points, dtype=torch.float64).T)

    def true_update(self, rule: LearningRule) -> Tensor:
        """Return the change of the stimulus weight, (G,)."""
        weights = torch.stack([self.weight, self.bias], -1)
        features = torch.stack([self.stimulus, torch.ones_like(self.bias)], -1)
        return _update(rule, weights, features, self)

    def inferred_update(self, estimator: Any, n_distractors: int) -> Tensor:
        """Return the same of a fitted network, whatever the distractors are, (G,)."""
        one, zero = torch.ones_like(self.bias), torch.zeros_like(self.bias)
        noise = np.random.RandomState(0).standard_normal((n_distractors, len(one)))
        weights = torch.stack([self.weight, one, *[zero] * n_distractors, zero], -1)  # (G, K)
        features = torch.stack([self.stimulus, self.bias, *torch.tensor(noise), one], -1)
        return _update(estimator.net_.module_.rule, weights, features, self)


@torch.no_grad()
def _update(rule: LearningRule, weights: Tensor, features: Tensor, grid: Grid) -> Tensor:
    answer = (grid.stimulus > 0).double()
    reward = (grid.choice == answer).double()
    trial = Trial(features, grid.choice, reward, answer, torch.zeros_like(reward))
    memory = rule.initial_memory(len(weights), like=weights)
    return deepcopy(rule).double()(weights, trial, memory)[0][:, 0]
