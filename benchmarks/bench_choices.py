"""What a third choice costs: CPU time of a gradient, or of a whole fit, two and three in turn.

python benchmarks/bench_choices.py
python benchmarks/bench_choices.py --fits
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import (
    DNNRule,
    FilteredRule,
    LearningRule,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RNNRule,
    Trial,
)

N_FEATURES = 2
N_FEW = 100  # trials
MAKERS: dict[str, Callable[[int, int], LearningRule]] = {
    "REINFORCE": lambda k, c: ReinforceRule(k, "free", n_choices=c).double(),
    "Q-learning": lambda k, c: QLearningRule(k, n_choices=c).double(),
    "DNN": lambda k, c: DNNRule(k, n_choices=c).float(),
    "DNN, choices alike": lambda k, c: alike(DNNRule(k, n_choices=c)).float(),
    "RNN": lambda k, c: RNNRule(k, n_choices=c).float(),
    "RNN, choices alike": lambda k, c: alike(RNNRule(k, n_choices=c)).float(),
}
NOISY = ("REINFORCE", "DNN", "DNN, choices alike")
FITS: dict[str, Any] = {
    "REINFORCE": lr.ReinforceRuleEstimator(),
    "Q-learning": lr.QLearningRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(random_state=0),
    "RNN": lr.RNNRuleEstimator(random_state=0),
    "REINFORCE, noise": lr.ReinforceRuleEstimator(process_noise="learned"),
    "DNN, noise": lr.DNNRuleEstimator(process_noise="learned", random_state=0),
}


def alike(rule: LearningRule) -> LearningRule:
    """Return a rule that learns alike of all choices; of two, an RNN stays as it is."""
    rule.make_symmetric(N_FEATURES - 1)
    return rule


def make_rule(name: str, n_choices: int, *, noise: bool) -> LearningRule:
    torch.manual_seed(0)
    rule = MAKERS[name](N_FEATURES * (n_choices - 1), n_choices)
    if not noise:
        return rule
    dtype = next(rule.parameters()).dtype
    return FilteredRule(rule, ProcessNoise(N_FEATURES, "learned", "learned", "learned")).to(dtype)


def make_trials(n_choices: int, shape: tuple[int, int], dtype: torch.dtype) -> Trial:
    generator = torch.Generator().manual_seed(0)

    def below(end: float) -> torch.Tensor:
        return (end * torch.rand(shape, generator=generator)).floor().to(dtype)

    features = torch.randn(*shape, N_FEATURES, generator=generator, dtype=dtype)
    features[..., -1] = 1
    opens = (torch.rand(shape, generator=generator) < 0.01).to(dtype)
    return Trial(features, below(n_choices), below(2), below(n_choices), opens)


def milliseconds(rule: LearningRule, shape: tuple[int, int]) -> float:
    """Return the CPU time of a gradient."""
    dtype = next(rule.parameters()).dtype
    trials = make_trials(rule.policy.n_choices, shape, dtype)
    observed = (torch.arange(shape[1]) < shape[1] - 1).expand(shape)
    start = torch.zeros(shape[0], rule.n_weights, dtype=dtype, requires_grad=True)
    before = cpu_seconds()
    unroll(rule, start, trials, observed, engine="fused").square().mean().backward()
    return 1000 * (cpu_seconds() - before)


def make_table(n_choices: int, n_animals: int, n_trials: int) -> tuple[Any, Any]:
    """Return X and y of animals that learn by REINFORCE which of two stimuli calls for which."""
    rng = np.random.default_rng(0)
    right = rng.normal(size=(n_choices, N_FEATURES))
    tables = []
    for animal in range(n_animals):
        x = np.hstack([rng.normal(size=(n_trials, N_FEATURES)), np.ones((n_trials, 1))])
        weights = np.zeros((n_choices, N_FEATURES + 1))  # the last of which is a bias
        choice, reward = np.empty(n_trials, int), np.empty(n_trials)
        for t in range(n_trials):
            p = softmax(weights @ x[t])
            choice[t] = rng.choice(n_choices, p=p)
            reward[t] = choice[t] == np.argmax(right @ x[t, :N_FEATURES])
            weights += 0.01 * reward[t] * np.outer(np.eye(n_choices)[choice[t]] - p, x[t])
        told = {"subject": animal, "session": 1, "choice": choice, "reward": reward}
        tables.append(pd.DataFrame({**told, "first": x[:, 0], "second": x[:, 1]}))
    return lr.make_design(pd.concat(tables), stimulus=["first", "second"])[:2]


def fit_seconds(name: str, X: Any, y: Any) -> float:
    """Return the CPU time of a fit by default settings."""
    before = cpu_seconds()
    clone(FITS[name]).fit(X, y)
    return cpu_seconds() - before


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", nargs="+", choices=MAKERS, default=[*MAKERS], metavar="RULE")
    parser.add_argument("--animals", type=int, default=12)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=6, help="the least of which counts")
    parser.add_argument("--fits", action="store_true", help="whole fits, in seconds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = of_fits(options) if options.fits else of_gradients(options)
    print(pd.DataFrame(rows, columns=["rule", "C = 2", "C = 3", "times"]).to_markdown(index=False))


def of_gradients(options: argparse.Namespace) -> list[list[Any]]:
    """Return the milliseconds of a gradient by each rule."""
    rows = []
    named = [(name, False) for name in options.rules]
    for name, noise in named + [(name, True) for name, _ in named if name in NOISY]:
        rules = {c: make_rule(name, c, noise=noise) for c in (2, 3)}
        taken = pd.DataFrame([
            {c: milliseconds(rule, (options.animals, options.trials)) for c, rule in rules.items()}
            for _ in range(options.rounds)
        ]).min()  # fmt: skip
        label = f"{name}, noise" if noise else name
        rows.append([label, *taken.round(1), round(taken[3] / taken[2], 2)])
    return rows


def of_fits(options: argparse.Namespace) -> list[list[Any]]:
    """Return the seconds of a fit by each estimator, once its code is compiled."""
    tables = {c: make_table(c, options.animals, options.trials) for c in (2, 3)}
    rows = []
    for name in FITS:
        for X, y in tables.values():
            fit_seconds(name, X[:N_FEW], y[:N_FEW])
        two, three = (fit_seconds(name, *table) for table in tables.values())
        rows.append([name, round(two, 1), round(three, 1), round(three / two, 2)])
    return rows


if __name__ == "__main__":
    main()
