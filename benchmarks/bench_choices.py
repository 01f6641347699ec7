"""What a third choice costs: CPU time of a gradient, two and three choices in turn.

python benchmarks/bench_choices.py
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable

import pandas as pd
import torch

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
MAKERS: dict[str, Callable[[int, int], LearningRule]] = {
    "REINFORCE": lambda k, c: ReinforceRule(k, "free", n_choices=c).double(),
    "Q-learning": lambda k, c: QLearningRule(k, n_choices=c).double(),
    "DNN": lambda k, c: DNNRule(k, n_choices=c).float(),
    "DNN, choices alike": lambda k, c: alike(DNNRule(k, n_choices=c)).float(),
    "RNN": lambda k, c: RNNRule(k, n_choices=c).float(),
    "RNN, choices alike": lambda k, c: alike(RNNRule(k, n_choices=c)).float(),
}
NOISY = ("REINFORCE", "DNN", "DNN, choices alike")


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


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", nargs="+", choices=MAKERS, default=[*MAKERS], metavar="RULE")
    parser.add_argument("--animals", type=int, default=12)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=6, help="the least of which counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
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
    print(pd.DataFrame(rows, columns=["rule", "C = 2", "C = 3", "times"]).to_markdown(index=False))


if __name__ == "__main__":
    main()
