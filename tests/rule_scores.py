"""Scores of animals by rule, as compare_rules gives them."""

import numpy as np
import pandas as pd

N_TRIALS = 100


def scores_of(nats, fold=0):
    """The table of compare_rules of such totals, (n_subjects, n_rules); rules are a, b, ..."""
    return pd.DataFrame(
        {
            "rule": rule,
            "subject": f"mouse_{i:02d}",
            "fold": fold,
            "n_trials": N_TRIALS,
            "log_likelihood": value / N_TRIALS,
        }
        for rule, column in zip("abcdef", np.transpose(nats), strict=False)
        for i, value in enumerate(column)
    )


def cohort(rng, follows, margin, noise=1.0, n_rules=2):
    """Nats of animals, each of which is predicted best by the rule that it follows."""
    nats = rng.normal(0, noise, (len(follows), n_rules))
    nats[np.arange(len(follows)), follows] += margin
    return nats
