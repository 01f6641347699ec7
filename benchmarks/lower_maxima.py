"""How often does a fit from one place, or from several, end in a lower maximum?

    python benchmarks/lower_maxima.py

Of simulated two-armed bandits whose better arm changes, one subject or five by one rule, half of
them Q-learners and half actor-critics with parameters of their own, and of single animals that see
a stimulus: the nats by which the likeliest of 16 fits is ahead.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

N_TRIALS, N_ALL = 400, 16
CLEAR = 0.51  # nats: half a nat may be left to a fit from the usual place
RULES = [
    lr.ActorCriticRuleEstimator,
    lr.QLearningRuleEstimator,
    lr.PearceHallRuleEstimator,
    lr.ReinforceRuleEstimator,
]


def bandit(seed: int, learns: str, subject: str = "a") -> pd.DataFrame:
    """Return the trials of a subject that learns values, or the policy and a value beside it."""
    rng = np.random.default_rng(seed)
    rate, critic_rate, beta = rng.uniform(0.05, 0.6), rng.uniform(0.02, 0.5), rng.uniform(1, 6)
    pays, values, value, logit, rows = np.array([0.7, 0.3]), np.zeros(2), 0.0, 0.0, []
    for _ in range(N_TRIALS):
        if rng.random() < 1 / 40:
            pays = pays[::-1]
        p = expit(logit)
        choice = int(rng.random() < p)
        reward = float(rng.random() < pays[choice])
        if learns == "values":
            values[choice] += rate * (reward - values[choice])
            logit = beta * (values[1] - values[0])
        else:
            logit += beta * rate * (reward - value) * (choice - p)
            value += critic_rate * (reward - value)
        rows.append({"subject": subject, "session": 1, "choice": choice, "reward": reward})
    return pd.DataFrame(rows)


def tables() -> dict[str, list[Any]]:
    """Return the X and y of each kind."""
    kinds = [(seed, learns) for learns in ("values", "policy") for seed in range(18)]
    several = [
        pd.concat([bandit(10 * seed + i, learns, f"a{i}") for i in range(5)])
        for seed, learns in kinds[::4]
    ]
    return {
        "bandit": [lr.make_design(bandit(*kind), stimulus=None)[:2] for kind in kinds],
        "five bandits": [lr.make_design(trials, stimulus=None)[:2] for trials in several],
        "one animal": [
            lr.make_design(make_learning_cohort(1, N_TRIALS, random_state=seed))[:2]
            for seed in range(12)
        ],
    }


def main() -> None:
    warnings.simplefilter("ignore")  # a fit from afar may end anywhere
    print("| rule | fitted to | n | lower, from one place | at most by | from four | at most by |")
    print("|---|---|---|---|---|---|---|")
    for rule in RULES:
        for name, designs in tables().items():
            behind = np.array([_behind(rule, *design) for design in designs])  # (n, 2)
            n_lower, worst = (behind > CLEAR).sum(0), behind.max(0)
            cells = [f"{n} | {nats:.1f}" for n, nats in zip(n_lower, worst, strict=True)]
            title = rule.__name__.removesuffix("RuleEstimator")
            print(f"| {title} | {name} | {len(designs)} | {' | '.join(cells)} |", flush=True)


def _behind(rule: Any, X: pd.DataFrame, y: pd.Series) -> list[float]:
    """Return how many nats fits from one place and from four are behind."""
    scores = [len(y) * rule(n_init=n).fit(X, y).score(X, y) for n in (1, 4, N_ALL)]
    return [max(scores) - score for score in scores[:2]]


if __name__ == "__main__":
    main()
