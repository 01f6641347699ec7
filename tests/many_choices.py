"""A task of three choices, and rules that learn it trial by trial, to simulate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from sklearn_learnrule import make_design
from sklearn_learnrule.rules import Policy, ReinforceRule, Trial

LABELS = ["left", "middle", "right"]
CUES = ["first", "second"]


def simulate(rule=None, n_animals=6, n_trials=150, seed=0):
    """Return a table of animals that learn which choice each of two cues wants.

    A third of the trials has no cue, and then nothing is paid.
    """
    rng = np.random.RandomState(seed)
    rule = ReinforceRule(6, None, learning_rate=0.3, n_choices=3) if rule is None else rule
    rule, policy = rule.double(), rule.policy
    weights = torch.zeros(n_animals, rule.n_weights, dtype=torch.float64)
    memory = rule.initial_memory(n_animals, like=weights)
    table = []
    for trial in range(n_trials):
        cue = rng.randint(3, size=n_animals)
        features = torch.as_tensor(np.column_stack([cue == 0, cue == 1, cue < 3]).astype(float))
        p = policy.probabilities(policy.logits(weights, features))
        chosen = policy.sample(p, torch.as_tensor(rng.random_sample(n_animals))).numpy()
        right, reward = np.where(cue == 2, 0, cue + 1), (chosen == cue + 1).astype(float)
        told = [torch.as_tensor(x.astype(float)) for x in (chosen, reward, right, 0 * cue)]
        with torch.no_grad():
            update, memory = rule(weights, Trial(features, *told), memory)
        weights = weights + update
        seen = {name: features[:, k].numpy() for k, name in enumerate(CUES)}
        labels = {"choice": np.array(LABELS)[chosen.astype(int)], "answer": np.array(LABELS)[right]}
        animals = [f"animal {i}" for i in range(n_animals)]
        table.append(
            pd.DataFrame({"subject": animals, "trial": trial, **seen, **labels, "reward": reward})
        )
    return pd.concat(table).sort_values(["subject", "trial"], ignore_index=True)


def design(table, **options):
    """Return X, y and groups of such a table."""
    return make_design(table, stimulus=CUES, session=None, trial="trial", **options)


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


THREE = Policy(3)
