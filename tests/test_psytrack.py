"""Process noise without a rule is PsyTrack's model, fitted by a filter: it finds the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from loaded import read_dict
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit, logsumexp

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import from_psytrack
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import (
    ConstantRule,
    FilteredRule,
    ProcessNoise,
    Trial,
    filtered_logit,
)
from sklearn_learnrule.training.initial_weights import BROAD_STD

N_TRIALS, EVERY = 6000, 200
NAMES = ["s1", "s2", "bias"]
# What PsyTrack 2.0.2 (numpy 2.4) makes of the rat's first 6,000 trials, which it ships:
#
#     D = np.load("psytrack_rat.npz", allow_pickle=True)["D"].item()
#     inputs = {name: D["inputs"][name][:6000, :1] for name in ("s1", "s2")}
#     hyper = {"sigInit": 4, "sigma": 3 * [2**-4], "sigDay": None}
#     found, evidence, weights, _ = psytrack.hyperOpt(
#         {"y": D["y"][:6000], "inputs": inputs}, hyper, {"bias": 1, "s1": 1, "s2": 1}, ["sigma"]
#     )
#     np.savetxt("psytrack_rat_weights.csv", weights.T[::200], "%.5f", ",",
#                header="bias,s1,s2", comments="")
SIG_INIT = 4.0
SIGMA = [0.00511388, 0.00299022, 0.00269864]
EVIDENCE = -3863.14371
WEIGHTS = Path(__file__).with_name("data") / "psytrack_rat_weights.csv"


@pytest.fixture(scope="module")
def rat(ibl_data):
    path = ibl_data / "psytrack_rat.npz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    trials = from_psytrack(read_dict(path), inputs=["s1", "s2"])
    X, y, _ = lr.make_design(trials[:N_TRIALS], stimulus=["s1", "s2"])
    return X, y


@pytest.fixture(scope="module")
def fitted(rat):
    return lr.ConstantRuleEstimator(
        process_noise="learned", session_noise=0.0, initial_std=SIG_INIT,
        train_initial_weights=False,
    ).fit(*rat)  # fmt: skip


def test_the_noise_and_the_evidence_are_psytracks(rat, fitted):
    X, y = rat
    assert_allclose(fitted.process_noise_, SIGMA, rtol=0.1)
    assert fitted.score(X, y) * N_TRIALS == pytest.approx(EVIDENCE, abs=3)


def test_the_smoothed_weights_are_psytracks(rat, fitted):
    theirs = pd.read_csv(WEIGHTS)[NAMES]
    by_default = lr.ConstantRuleEstimator(process_noise="learned", session_noise=0.0).fit(*rat)
    for rule in (fitted, by_default):
        ours = rule.smooth_weights(*rat)[::EVERY]
        for name in NAMES:
            assert np.corrcoef(ours[name], theirs[name])[0, 1] > 0.99
            assert_allclose(ours[name], theirs[name], atol=0.1)


def test_a_broader_start_than_the_default_would_cost_the_filter_more():
    """Against the integral over a grid of what two weights might be, of a policy that stays."""
    rng = np.random.RandomState(0)
    features = np.column_stack([rng.choice([-1, -0.5, 0.5, 1], 300), np.ones(300)])
    choice = rng.random_sample(300) < expit(features @ [2.0, 0.3])
    grid = np.stack(np.meshgrid(np.arange(0, 5, 0.05), np.arange(-2, 3, 0.05)), -1)
    certain = log_expit((grid @ features.T) * np.where(choice, 1, -1)).sum(-1)
    lost = {}
    for std in (1.0, BROAD_STD, 16.0):
        prior = -(grid**2).sum(-1) / 2 / std**2 - np.log(2 * np.pi * std**2)
        evidence = logsumexp(certain + prior) + np.log(0.05**2)
        lost[std] = evidence - filtered_log_likelihood(features, choice, std)
    assert abs(lost[1.0]) < 0.5 and lost[BROAD_STD] < 2 and lost[16.0] > 3


def filtered_log_likelihood(features, choice, initial_std):
    """Return the log-likelihood of one animal's choices, of weights that stay where they start."""
    rule = FilteredRule(ConstantRule(2), ProcessNoise(2, 0.0, 0.0, initial_std)).double()
    n_trials = len(choice)
    fields = (features, choice, choice, choice, np.zeros(n_trials))
    trials = Trial(*(torch.as_tensor(field)[None].double() for field in fields))
    observed = torch.ones(1, n_trials, dtype=torch.bool)
    with torch.no_grad():
        path = unroll(rule, torch.zeros(1, 2, dtype=torch.float64), trials, observed)
        logit = filtered_logit(path[..., :2], path[..., 2:], trials.features)[0].numpy()
    return log_expit(np.where(choice, logit, -logit)).sum()
