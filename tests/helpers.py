"""What several test files share: every rule, and small ragged cohorts of random trials."""

from __future__ import annotations

import inspect
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import sklearn_learnrule as lr
from sklearn_learnrule import rules
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import (
    LEARNED,
    DNNRule,
    EligibilityRule,
    FilteredRule,
    Lapses,
    LearningRule,
    NetworkRule,
    PartialRule,
    PredictMaxRule,
    ProcessNoise,
    ReinforceRule,
    RNNRule,
    TextbookRule,
    Trial,
)
from sklearn_learnrule.simulation import CurriculumDesign

# Of test files that train for moments on purpose, or on data that can be told without error.
BRIEFLY_TRAINED = pytest.mark.filterwarnings(
    "ignore:.*(worse than|has not converged|not fitted to the maximum|certain of choices)"
    ":sklearn.exceptions.ConvergenceWarning"
)
OPTIONS = {"forgetting": True, "side_specific": True}


def is_built_in(kind) -> bool:
    """Whether this is a learning rule, made by the number of its weights: no base, no wrapper."""
    if not (isinstance(kind, type) and issubclass(kind, LearningRule)) or kind is NetworkRule:
        return False
    takes_weights = next(iter(inspect.signature(kind).parameters)) == "n_weights"
    return takes_weights and kind.forward is not LearningRule.forward


def in_words(kind: type) -> str:
    """Return "actor critic" for ActorCriticRule."""
    name = kind.__name__.removesuffix("Rule")
    return re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower()


BUILT_IN = {in_words(kind): kind for kind in vars(rules).values() if is_built_in(kind)}
TEXTBOOK = {name: kind for name, kind in BUILT_IN.items() if issubclass(kind, TextbookRule)}
RULE_MAKERS = {
    **BUILT_IN,
    **{f"{name}, options": partial(kind, **OPTIONS) for name, kind in TEXTBOOK.items()},
    "reinforce, free baseline": lambda k: ReinforceRule(k, "free"),
    "reinforce, nonnegative baseline": lambda k: ReinforceRule(k, "nonnegative"),
    "reinforce, free baseline, options": lambda k: ReinforceRule(k, "free", **OPTIONS),
    "predict max, forgetting": lambda k: PredictMaxRule(k, forgetting=True),
    "predict max, side-specific": lambda k: PredictMaxRule(k, side_specific=True),
    "eligibility, no window": lambda k: EligibilityRule(k, window=0),
    "eligibility, options": lambda k: EligibilityRule(k, window=3, **OPTIONS),
    "dnn, linear": lambda k: DNNRule(k, hidden_sizes=()),
    "dnn, tanh, no extra inputs": lambda k: DNNRule(
        k, (8, 4, 6), "tanh", session_input=False, answer_input=False
    ),
    "dnn, around reinforce": lambda k: DNNRule(k, (8,), around=ReinforceRule(k, "free")),
    "rnn, around predict max": lambda k: RNNRule(k, 5, (7,), around=PredictMaxRule(k)),
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
        *(f"{name}, options" for name in TEXTBOOK),
        "constant",
        "reinforce, free baseline, options",
        "dnn",
        "dnn, linear",
        "dnn, around reinforce",
        "rnn, around predict max",
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


def curriculum_design(trials, reached=True, outside=np.nan, options="za") -> CurriculumDesign:
    """Return a design of the trials that twins took, (O, F, N), of 1000, and made-up skills."""
    shape = np.shape(trials)
    index = pd.MultiIndex.from_product([list(options)[: shape[0]], *map(range, shape[1:])])
    twins = index.set_names(["option", "fit", "twin"]).to_frame(index=False)
    told = {"trials": trials, "reached": reached, "share_outside": outside}
    twins = twins.assign(**{k: np.broadcast_to(v, shape).ravel() for k, v in told.items()})
    twins["reached"] = twins["reached"].astype(bool)
    skill = [twins.assign(session=n, skill=1 - 1 / (n + twins["twin"] + 1)) for n in (1, 2)]
    sessions = pd.concat(skill)[["option", "fit", "twin", "session", "skill"]]
    return CurriculumDesign(twins, sessions, 0.75, 1000)


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


def make_blocks_cohort():
    """Five animals, each with three blocks of unlike lengths, which sessions do not mind."""
    table = make_learning_cohort(5, 60, session_length=25, random_state=0)
    number = table.groupby("subject").cumcount()
    return table.assign(block=np.select([number < 17, number < 40], ["a", "b"], "c"))


RULE_ESTIMATORS = [lr.ConstantRuleEstimator]  # the one that does not learn comes first
RULE_ESTIMATORS += [
    kind
    for kind in vars(lr).values()
    if isinstance(kind, type)
    and issubclass(kind, lr.BaseRuleEstimator)
    and kind not in (lr.BaseRuleEstimator, lr.ConstantRuleEstimator)
]
QUICK = {"max_epochs": 15, "hidden_sizes": (8,), "memory_size": 6, "n_ensemble": 2, "mirror": False}


def all_estimators(**parameters) -> list:
    """Return one of every public estimator, and some others; networks are small and quick."""
    estimators = []
    for kind in RULE_ESTIMATORS:
        known = inspect.signature(kind).parameters
        quick = (
            {**QUICK, "random_state": 0} if "n_ensemble" in known else {"window": 3, "n_init": 1}
        )
        quick = {name: value for name, value in quick.items() if name in known}
        estimators.append(kind(**{**quick, **parameters}))
    return [
        *estimators,
        lr.ReinforceRuleEstimator(baseline=None, **parameters),
        lr.ReinforceRuleEstimator(baseline="nonnegative", **parameters),
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
