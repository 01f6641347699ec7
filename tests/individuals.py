"""Cohorts of animals that learn by REINFORCE, each at a rate of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sklearn_learnrule import make_design

CONTRASTS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
TYPICAL_RATE = 0.03


def simulate(n_subjects=16, n_trials=1000, spread=0.5, seed=0, slope=0.0, stimulus_unit=1.0):
    """Return a table of trials and each animal's log learning rate, (N,).

    Half of the animals, the mutants, learn exp(slope) times as fast.
    """
    rng = np.random.default_rng(seed)
    mutant = np.arange(n_subjects) % 2
    log_rate = np.log(TYPICAL_RATE) + rng.normal(0, spread, n_subjects) + slope * mutant
    weights = np.zeros((n_subjects, 2))
    trials = []
    for t in range(n_trials):
        x = np.stack([rng.choice(CONTRASTS, n_subjects), np.ones(n_subjects)], 1)
        p = 1 / (1 + np.exp(-(weights * x).sum(1)))
        y = (rng.random(n_subjects) < p).astype(float)
        r = (y == (x[:, 0] > 0)).astype(float)
        weights += (np.exp(log_rate) * r * (y - p))[:, None] * x
        trials.append(np.stack([np.arange(n_subjects), np.full(n_subjects, t), x[:, 0], y, r], 1))
    columns = ["subject", "trial", "stimulus", "choice", "reward"]
    table = pd.DataFrame(np.concatenate(trials), columns=columns)
    table = table.sort_values(["subject", "trial"], ignore_index=True)
    table["genotype"] = np.where(mutant[table["subject"].astype(int)], "mutant", "control")
    table["subject"] = table["subject"].map("m{:02.0f}".format)
    table["stimulus"] *= stimulus_unit
    return table, log_rate


def design(*args, covariates=None, **kwargs):
    """Return X, y and each animal's log learning rate."""
    table, log_rate = simulate(*args, **kwargs)
    X, y, _ = make_design(table, session=None, covariates=covariates)
    return X, y, log_rate
