"""What several test files share: every rule, and small ragged cohorts of random trials."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sklearn_learnrule as lr
from sklearn_learnrule.rules import (
    LEARNED,
    ActorCriticRule,
    ConstantRule,
    DNNRule,
    EligibilityRule,
    FilteredRule,
    Lapses,
    LearningRule,
    PartialRule,
    PredictMaxRule,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RewardMaxRule,
    RNNRule,
    Trial,
)

# Of test files that train for moments on purpose, or on data that can be told without error.
BRIEFLY_TRAINED = pytest.mark.filterwarnings(
    "ignore:.*(worse than|not fitted to the maximum|certain of choices)"
    ":sklearn.exceptions.ConvergenceWarning"
)
OPTIONS = {"forgetting": True, "side_specific": True}
RULE_MAKERS = {
    "constant": ConstantRule,
    "reinforce": ReinforceRule,
    "reinforce, free baseline": lambda k: ReinforceRule(k, "free"),
    "reinforce, nonnegative baseline": lambda k: ReinforceRule(k, "nonnegative"),
    "reward max": RewardMaxRule,
    "predict max": PredictMaxRule,
    "eligibility": EligibilityRule,
    "eligibility, no window": lambda k: EligibilityRule(k, window=0),
    "actor-critic": ActorCriticRule,
    "q-learning": QLearningRule,
    "reinforce, free baseline, options": lambda k: ReinforceRule(k, "free", **OPTIONS),
    "reward max, options": lambda k: RewardMaxRule(k, **OPTIONS),
    "predict max, forgetting": lambda k: PredictMaxRule(k, forgetting=True),
    "predict max, side-specific": lambda k: PredictMaxRule(k, side_specific=True),
    "eligibility, options": lambda k: EligibilityRule(k, window=3, **OPTIONS),
    "actor-critic, options": lambda k: ActorCriticRule(k, **OPTIONS),
    "q-learning, options": lambda k: QLearningRule(k, **OPTIONS),
    "dnn": DNNRule,
    "dnn, linear": lambda k: DNNRule(k, hidden_sizes=()),
    "dnn, tanh, no extra inputs": lambda k: DNNRule(
        k, (8, 4, 6), "tanh", session_input=False, answer_input=False
    ),
    "rnn": RNNRule,
    "rnn, small": lambda k: RNNRule(k, 5, (7,), "elu", session_input=False),
    "reinforce, of one weight": lambda k: PartialRule(ReinforceRule(1, "free"), [k - 1], k),
    "rnn, of all but one weight": lambda k: PartialRule(RNNRule(k - 1, 5), [*range(1, k)], k),
}


def noisy(make_rule, rates=None):
    """Return what makes such a rule with process noise, perhaps lapses, by ``n_weights``."""

    def make(k):
        lapses = None if rates is None else Lapses(rates)
        return FilteredRule(make_rule(k), ProcessNoise(k, LEARNED, LEARNED, LEARNED), lapses)

    return make


NOISY_RULE_MAKERS = {
    f"{name}, noise": noisy(RULE_MAKERS[name])
    for name in (
        "constant",
        "reinforce, free baseline, options",
        "reward max",
        "predict max, forgetting",
        "eligibility, options",
        "dnn",
        "dnn, linear",
        "rnn, small",
        "reinforce, of one weight",
        "rnn, of all but one weight",
    )
}
NOISY_RULE_MAKERS |= {
    f"{name}, noise, lapses": noisy(RULE_MAKERS[name], LEARNED)
    for name in ("constant", "reinforce, free baseline, options", "dnn, linear", "rnn, small")
}


def make_rule(name: str, n_weights: int, *, seed: int = 0, dtype=torch.float64) -> LearningRule:
    """Return a rule whose every parameter is random, so that no gradient is 0 by chance."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rule = (RULE_MAKERS | NOISY_RULE_MAKERS)[name](n_weights)
        for parameter in rule.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return rule.to(dtype)


def make_trials(
    lengths: list[int], n_weights: int = 2, *, seed: int = 0, dtype=torch.float64
) -> tuple[Trial, torch.Tensor]:
    """Return random trials of subjects with these lengths, padded, and ``observed``."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    padding = torch.arange(shape[1]) >= torch.tensor(lengths)[:, None]  # (N, T)

    def coin(p: float) -> torch.Tensor:
        return (torch.rand(shape, generator=generator) < p).to(dtype)

    stimulus = torch.rand(*shape, n_weights - 1, generator=generator).to(dtype) * 2 - 1
    features = torch.cat([stimulus, torch.ones(*shape, 1, dtype=dtype)], -1)
    fields = (features, coin(0.5), coin(0.6), coin(0.5), coin(0.05))
    for field in fields:
        field[padding] = 0
    trials = Trial(*fields)
    observed = torch.arange(shape[1]) < torch.tensor(lengths)[:, None] - 1
    return trials, observed


class CoinTask:
    """A task of two stimuli in which a fair coin says what is correct; it notes what it is asked.

    Stimuli are drawn from a normal distribution, rewards are 2 and -1/2.
    """

    def __init__(self, session_start, random_state):
        self.n_subjects = len(session_start)
        self.random_state = random_state
        self.calls = []

    def show(self, trial):
        self.calls.append(("show", trial))
        stimulus = self.random_state.standard_normal((self.n_subjects, 2))
        return stimulus, self.random_state.random_sample(self.n_subjects) < 0.5

    def reward(self, trial, correct):
        self.calls.append(("reward", trial))
        return np.where(correct, 2.0, -0.5)


def all_estimators(**parameters) -> list:
    """Return one of every public estimator; networks are small and quick."""
    quick = {"max_epochs": 15, "hidden_sizes": (8,), "n_ensemble": 2, "mirror": False}
    network = {**quick, "random_state": 0, **parameters}
    return [
        lr.ConstantRuleEstimator(**parameters),
        lr.ReinforceRuleEstimator(**parameters),
        lr.ReinforceRuleEstimator(baseline=None, **parameters),
        lr.ReinforceRuleEstimator(baseline="nonnegative", **parameters),
        lr.RewardMaxRuleEstimator(**parameters),
        lr.PredictMaxRuleEstimator(**parameters),
        lr.DNNRuleEstimator(**network),
        lr.RNNRuleEstimator(memory_size=6, **network),
        lr.EligibilityRuleEstimator(window=3, **parameters),
        lr.ActorCriticRuleEstimator(**parameters),
        lr.QLearningRuleEstimator(**parameters),
        lr.ReinforceRuleEstimator(**OPTIONS, **parameters),
        lr.ReinforceRuleEstimator(baseline=None, process_noise="learned", **parameters),
        lr.ReinforceRuleEstimator(baseline=None, lapses=(0.02, 0.05), **parameters),
    ]


def estimator_name(estimator) -> str:
    """Name an estimator in the id of a test."""
    name = type(estimator).__name__.removesuffix("RuleEstimator")
    if getattr(estimator, "side_specific", False):
        name += "-options"
    if getattr(estimator, "process_noise", None) is not None:
        name += "-noise"
    if getattr(estimator, "lapses", None) is not None:
        name += "-lapses"
    return f"{name}-{estimator.baseline}" if hasattr(estimator, "baseline") else name
