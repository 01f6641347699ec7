"""Simulated animals that choose one of three, for the tests of what is shown of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import torch

import sklearn_learnrule as lr
from sklearn_learnrule.rules import Policy, ReinforceRule, Trial

LABELS = ["left", "middle", "right"]
STIMULI = ["s0", "s1"]
POLICY, K = Policy(3), len(STIMULI) + 1
RATE = 0.3


def make_trials(n_subjects=6, n_trials=120, seed=0):
    """Return trials of animals that learn, by REINFORCE, which choice is right at each stimulus."""
    rng = np.random.RandomState(seed)
    rule = ReinforceRule(2 * K, None, learning_rate=RATE, n_choices=3).double()
    shown = rng.randint(3, size=(n_trials, n_subjects))  # the first, the second or no stimulus
    features = torch.tensor(np.eye(K)[shown]).double()
    features[..., -1] = 1.0
    weights, tables = torch.zeros(n_subjects, 2 * K).double(), []
    for t in range(n_trials):
        chances = POLICY.probabilities(POLICY.logits(weights, features[t]))
        choice = POLICY.sample(chances, torch.tensor(rng.random_sample(n_subjects)))
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
