"""Whether a fit may be trusted: one that went wrong must not look like one that went right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from ..metrics import log_likelihood, with_first
from ..utils.arrays import Floats, Ints
from ..utils.texts import short

MAX_LOSS = 0.002  # nats per trial that a fit of many trials may stay below a simpler policy
MAX_LOGIT = 100.0  # of a choice that is certain beyond all sense
RARE = 0.1  # times in all trials, that a choice is expected to be made


def prediction_fault(
    logits: Floats, features: Floats, chosen: Ints, weight: Floats, n_told: int = 0
) -> str | None:
    """Return what is wrong with a fit's predictions of its own trials, and what may help.

    Parameters
    ----------
    logits : ndarray of shape (n_rows,) or, of C > 2 choices, (n_rows, C - 1)
        By the fit.
    features : ndarray of shape (n_rows, K)
        In standard units.
    chosen, weight : ndarray of shape (n_rows,)
        The choices' classes, 0, 1, ..., and how much each counts.
    n_told : int
        Numbers that a prior leaves to the choices to tell, at a price (Schwarz 1978).
    """
    score = log_likelihood(chosen, logits, sample_weight=weight)
    n_trials = np.count_nonzero(weight)
    n_choices = 2 if logits.ndim == 1 else 1 + logits.shape[1]
    chance = -np.log(n_choices)
    by_chance = (n_choices - 1) * features.shape[1] / n_trials  # what as many numbers may gain
    by_prior = n_told * (1 + np.log(n_trials) / 2) / n_trials
    tolerance = MAX_LOSS + by_chance + by_prior
    if not score >= chance - tolerance:
        return (
            f"predicts the choices that it was fitted to worse than chance does ({score:.4g} nats "
            f"per trial, chance {chance:.4g}): the training went astray. Lower lr, or leave it at "
            "its default."
        )
    made = np.isin(np.arange(n_choices), chosen[weight > 0]) | (n_choices == 2)
    of_all = with_first(logits.reshape(len(logits), -1))
    largest = np.ptp(of_all[weight > 0][:, made], axis=1).max()
    if largest > MAX_LOGIT:
        return (
            f"is certain of choices beyond all sense (odds of e^{largest:.0f}): its weights grow "
            "without end, as they do where choices can be predicted without error. Lower "
            "max_epochs or lr, fit more animals, or allow for lapses."
        )
    static = static_log_likelihood(features, chosen, weight, n_choices)
    if score < static - tolerance:
        return (
            f"predicts the choices that it was fitted to worse than a policy that never changes "
            f"({score:.4f} and {static:.4f} nats per trial): the training ended too early, or the "
            "rule is wrong for these animals. Raise max_epochs; fit the initial weights, too; "
            "centre stimulus columns that lie far from 0."
        )
    return None


def never_made_fault(
    logits: Floats, chosen: Ints, weight: Floats, classes: NDArray[Any]
) -> str | None:
    """Return which of more than two choices a fit takes for impossible, as no trial of it has it.

    By logits, choices and weights as of :func:`prediction_fault`.
    """
    if len(classes) == 2:
        return None
    scored = weight > 0
    likeliest = softmax(with_first(logits)[scored], axis=1).max(0)
    never = ~np.isin(np.arange(len(classes)), chosen[scored])
    impossible = never & (likeliest < RARE / np.count_nonzero(scored))
    if not impossible.any():
        return None
    return (
        f"takes the class {short(classes[impossible][0])} for as good as impossible, as it is on "
        "none of the trials that it was fitted to; where it is chosen, it will score badly. Fit "
        "more animals or, if they know nothing at first, a rule with train_initial_weights=False."
    )


def static_log_likelihood(
    features: Floats, chosen: Ints, weight: Floats, n_choices: int = 2
) -> float:
    """Return the most that a policy whose weights never change can reach, in nats per trial."""
    width = features.std(0)
    x = (features - features.mean(0)) / np.where(width > 0, width, 1)  # the same policies
    x[:, -1] = 1.0  # the bias
    share = weight / weight.sum()
    made = chosen[:, None] == np.arange(1, n_choices)

    def loss(policy: Floats) -> tuple[float, Floats]:
        logits = x @ policy.reshape(-1, x.shape[1]).T  # (n_rows, C - 1)
        error = softmax(with_first(logits), axis=1)[:, 1:] - made
        gradient = (share[:, None] * error).T @ x
        return -log_likelihood(chosen, logits, sample_weight=weight), gradient.ravel()

    start = np.zeros((n_choices - 1) * x.shape[1])
    return -float(minimize(loss, start, jac=True, method="L-BFGS-B").fun)
