"""Gradients that ``bench_unroll.py`` measures, written so that earlier versions run them as well.

Started as a script, by the package of the checkout that its argument names, it reads a case a line
and writes the seconds of each gradient.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import sklearn_learnrule
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import (
    ActorCriticRule,
    ConstantRule,
    DNNRule,
    EligibilityRule,
    FilteredRule,
    LearningRule,
    PredictMaxRule,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RNNRule,
    Trial,
    choice_probability,
)

READY = "ready\n"
MAX_GRADIENTS, BUSY = 40, 0.5  # gradients a case, and the seconds after which they are enough


class AverageRewardRule(LearningRule):
    """A user's own rule, which is not built in: REINFORCE against the average reward so far.

    update = alpha (r - v) (y - p) x, and v moves by eta (r - v).
    """

    def __init__(self, n_weights: int) -> None:
        super().__init__(n_weights, memory_size=1)
        self.learning_rate = nn.Parameter(torch.full((n_weights,), 0.01))
        self.averaging_rate = nn.Parameter(torch.tensor(0.05))

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        surprise = trial.reward - memory[:, 0]  # (N,)
        error = trial.choice - choice_probability(weights, trial.features)
        update = self.learning_rate * (surprise * error)[:, None] * trial.features
        return update, memory + self.averaging_rate * surprise[:, None]


OWN = "a user's own rule"
TEXTBOOK = {
    "REINFORCE": lambda k: ReinforceRule(k, "free"),
    "REINFORCE, side-specific, forgetting": lambda k: ReinforceRule(
        k, "free", side_specific=True, forgetting=True
    ),
    "PredictMax": PredictMaxRule,
    "eligibility, window 10": lambda k: EligibilityRule(k, 10),
    "actor-critic": ActorCriticRule,
    "Q-learning": QLearningRule,
    OWN: AverageRewardRule,
}
NETWORKS = {"DNN": DNNRule, "RNN": RNNRule}
RULES = {**TEXTBOOK, "no rule": ConstantRule, **NETWORKS}


@dataclass(frozen=True)
class Case:
    """One exact gradient on one thread."""

    rule: str
    n_weights: int
    noise: bool = False
    n_trials: int = 10_000
    n_subjects: int = 12
    engine: str = "fused"
    dtype: str = "float64"


def rule_cases() -> Iterator[Case]:
    """Yield every rule with and without noise, and a user's own by every engine."""
    for noise in (False, True):
        for rule in (*TEXTBOOK, *(["no rule"] if noise else [])):
            for n_weights in range(2, 8):
                yield Case(rule, n_weights, noise, 3_000 if noise and n_weights > 4 else 10_000)
        for rule in NETWORKS:
            yield Case(rule, 3 if noise else 2, noise, dtype="float32")
    for engine in ("parallel", "loop"):
        yield Case(OWN, 2, engine=engine)


def first_call_cases() -> Iterator[Case]:
    """Yield a rule with few and with many weights, on too few trials to take any time."""
    for noise in (False, True):
        for n_weights in (3, 8, 20):
            yield Case("REINFORCE", n_weights, noise, n_trials=20, n_subjects=2)


def random_trials(
    n_subjects: int,
    n_trials: int,
    n_weights: int = 2,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> tuple[Trial, Tensor]:
    """Return coin flips for choices and rewards, on the device, and ``observed``."""
    torch.manual_seed(0)
    coins = (torch.rand(4, n_subjects, n_trials, device=device) < 0.5).to(dtype)
    stimulus = torch.rand(n_subjects, n_trials, n_weights - 1, device=device).to(dtype) * 2 - 1
    features = torch.cat([stimulus, torch.ones_like(coins[0, ..., None])], -1)
    observed = torch.ones(n_subjects, n_trials, dtype=torch.bool, device=device)
    observed[:, -1] = False
    return Trial(features, *coins), observed


def make_rule(case: Case) -> LearningRule:
    torch.manual_seed(0)
    rule = RULES[case.rule](case.n_weights)
    if case.noise:
        rule = FilteredRule(rule, ProcessNoise(case.n_weights, "learned", "learned", "learned"))
    return rule


def take_gradient(
    rule: LearningRule, start: Tensor, trials: Trial, observed: Tensor, engine: str
) -> None:
    """Unroll, and go back from every number of the path to parameters and start."""
    unroll(rule, start, trials, observed, engine=engine).square().sum().backward()


def seconds_of_gradients(case: Case) -> list[float] | None:
    """Return the CPU time of each of some gradients; None if the engine refuses the rule."""
    dtype = getattr(torch, case.dtype)
    rule = make_rule(case).to(dtype)
    trials, observed = random_trials(case.n_subjects, case.n_trials, case.n_weights, dtype)
    start = torch.zeros(case.n_subjects, case.n_weights, dtype=dtype, requires_grad=True)
    seconds: list[float] = []  # the first of which compiles
    while len(seconds) < 3 or (sum(seconds[1:]) < BUSY and len(seconds) < MAX_GRADIENTS):
        began = time.thread_time()
        try:
            take_gradient(rule, start, trials, observed, case.engine)
        except ValueError as error:
            if str(error).startswith(f"engine={case.engine!r}"):
                return None
            raise
        seconds.append(time.thread_time() - began)
    return seconds


def answer_cases(checkout: str) -> None:
    """Answer each case of the standard input on the standard output."""
    found = Path(sklearn_learnrule.__file__).resolve().parents[1]
    if found != Path(checkout).resolve():
        raise SystemExit(f"No package sklearn_learnrule in {checkout}: found that of {found}.")
    torch.set_num_threads(1)
    print(READY, end="", flush=True)
    for line in sys.stdin:
        print(json.dumps(seconds_of_gradients(Case(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    answer_cases(sys.argv[1])
