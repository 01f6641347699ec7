"""Simulated animals that choose one of three, and trials at random."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import torch

import sklearn_learnrule as lr
from sklearn_learnrule.rules import Policy, ReinforceRule, Trial

LABELS = ["left", "middle", "right"]
STIMULI = ["s0", "s1"]
THREE, K = Policy(3), len(STIMULI) + 1
RATE = 0.3


def make_trials(n_subjects=6, n_trials=120, seed=0, rule=None):
    """Return trials of animals that learn, by REINFORCE, which choice is right at each stimulus."""
    rng = np.random.RandomState(seed)
    rule = rule or ReinforceRule(2 * K, None, learning_rate=RATE, n_choices=3).double()
    shown = rng.randint(3, size=(n_trials, n_subjects))  # the first, the second or no stimulus
    features = torch.tensor(np.eye(K)[shown]).double()
    features[..., -1] = 1.0
    weights, tables = torch.zeros(n_subjects, 2 * K).double(), []
    for t in range(n_trials):
        chances = THREE.probabilities(THREE.logits(weights, features[t]))
        choice = THREE.sample(chances, torch.tensor(rng.random_sample(n_subjects)))
        answer = torch.tensor(shown[t]).double()
        reward = (choice == answer).double()
        trial = Trial(features[t], choice, reward, answer, torch.zeros_like(reward))
        weights = (weights + rule(weights, trial, weights[:, :0])[0]).detach()
        told = {"choice": choice, "answer": answer, "reward": reward}
        tables.append(pd.DataFrame(told).assign(trial=t, subject=range(n_subjects)))
    table = pd.concat(tables, ignore_index=True)
    table[STIMULI] = features[..., :-1].flatten(0, 1).numpy()
    table["session"] = 1 + (table["trial"] >= n_trials // 2)
    for name in ("choice", "answer"):
        table[name] = np.take(LABELS, table[name].astype(int))
    table["subject"] = "animal " + table["subject"].astype(str)
    return table.sort_values(["subject", "trial"], ignore_index=True).drop(columns="trial")


def random_table(labels=LABELS, n_trials=60, **columns):
    """Return trials of two animals that choose at random; a correct choice earns 2."""
    rng = np.random.RandomState(0)
    choice, answer = rng.randint(len(labels), size=(2, 2 * n_trials))
    table = pd.DataFrame(
        {
            "subject": np.repeat(["Ada", "Bo"], n_trials),
            "session": 1,
            "stimulus": rng.randn(2 * n_trials),
            "choice": np.take(labels, choice),
            "answer": np.take(labels, answer),
            "reward": 2.0 * (choice == answer),
        }
    )
    return table.assign(**columns)


@cache
def design(answer="answer"):
    """Return X and y, to look at."""
    X, y, _ = lr.make_design(make_trials(), stimulus=STIMULI, answer=answer)
    return X, y


@cache
def fitted(kind=lr.ReinforceRuleEstimator, **how):
    """Return an estimator fitted to the design."""
    return kind(**how).fit(*design())


def reinforce(**how):
    return fitted(baseline=None, **how)


def random_trials(policy, n_features=3, n_subjects=4, n_trials=60, seed=0):
    """Return trials at random, of which all but each last one are observed."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.rand(n_subjects, n_trials, *shape, generator=generator, dtype=torch.float64)

    features = 2 * drawn(n_features) - 1
    features[..., -1] = 1
    choice, answer = ((policy.n_choices * drawn()).floor() for _ in range(2))
    reward, opens = ((drawn() < p).double() for p in (0.5, 0.1))
    observed = (torch.arange(n_trials) < n_trials - 1).expand(n_subjects, -1)
    return Trial(features, choice, reward, answer, opens), observed


def noisy():
    return reinforce(process_noise=0.05)


def own():
    return reinforce(subject_effects=("learning_rate",))
