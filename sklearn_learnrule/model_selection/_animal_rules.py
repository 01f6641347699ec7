"""Which rule each animal follows, and how many animals follow each: a mixture of rules."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from scipy.optimize import fixed_point
from scipy.special import (
    digamma,
    expit,
    gammainc,
    gammaincinv,
    gammaln,
    logsumexp,
    ndtr,
    softmax,
)
from scipy.stats import beta

from ..utils.arrays import Floats
from ..utils.parameters import Number
from ..utils.texts import short
from ._rank import COLUMNS, read_scores, scores_by_subject

PRIOR = Number(Real, 1e-6, 1e6, closed="both")  # beyond, intervals are lost to rounding
INTERVAL = (0.025, 0.975)
MAX_STEPS = 1_000_000  # the fewer nats tell rules apart, the more animals the more steps


@dataclass(frozen=True, eq=False)
class AnimalRules:
    """What :func:`animal_rules` found; ``str()`` writes it to two decimals.

    Attributes
    ----------
    posterior : DataFrame of shape (n_subjects, n_rules)
        The probability that an animal follows a rule; each row sums to 1.
    population : DataFrame, one row a rule, that of most animals first
        ``expected_share`` of the population that follows it, with its 95% credible interval
        (``lower``, ``upper``), ``exceedance`` (the probability that more animals follow it than any
        other, if shares differ) and ``protected_exceedance`` (that, unless shares are equal).
    omnibus_risk : float
        The Bayesian omnibus risk: the probability that shares are equal.
    """

    posterior: pd.DataFrame
    population: pd.DataFrame
    omnibus_risk: float

    def __str__(self) -> str:
        return (
            f"Probability that an animal follows a rule:\n{self.posterior.round(2)}\n\n"
            f"Share of the population that follows a rule:\n{self.population.round(2)}\n\n"
            "The probability that all rules are equally frequent (the Bayesian omnibus risk) is "
            f"{self.omnibus_risk:.2f}."
        )


def animal_rules(scores: pd.DataFrame, *, prior: float = 1.0) -> AnimalRules:
    """Tell which rule each animal follows, by random-effects Bayesian model selection.

    :func:`rank_rules` tells which rule predicts best on average, which a few animals can decide.
    Here each animal follows one of the rules, and the share of the population that follows each is
    estimated along with who does.

    An animal's total held-out log-likelihood (the mean per trial times ``n_trials``) stands for its
    log evidence. Evidence penalises parameters for being fitted to the choices they are judged by,
    and needs a prior on each, which networks do not have. Held-out choices were not fitted, and
    need no penalty. What follows:

    - "Follows" means: with the parameters fitted to the others. In a cohort of several kinds
      these suit none: a static animal among learners may pass for a slow learner, as REINFORCE
      fitted to both is slow. Where there are animals of known kind, fit each rule to its own and
      compare the rules as they are, in scikit-learn's ``FrozenEstimator``.
    - Trials add up. A difference of 0.001 nats per trial is 10 nats in 10,000 trials, and odds of
      20,000 to 1. They hold if one of the rules is right: look at :func:`rank_rules` as well.
    - An animal that is scored several times, as by :class:`MaskedTrials`, counts once, with the
      mean of its folds.

    The posterior is variational: where animals tell rules apart by little, intervals and
    ``exceedance`` are too sure. In simulated cohorts of 12 animals, two rules and true shares
    drawn at random, the 95% interval held the true share in 94% of cohorts where animals told
    rules apart by 10 nats on average, in 89% by 5 and in 82% by 1. ``protected_exceedance`` was
    right about as often as it says, in cohorts of which half had equal shares.

    Parameters
    ----------
    scores : table from :func:`compare_rules`
        Of two rules or more, each scored on every animal.
    prior : float from 1e-6 to 1e6, default=1.0
        The Dirichlet prior's concentration, the same for each rule: as if so many animals had been
        seen to follow it before. 1: all shares of the population are alike.

    Returns
    -------
    AnimalRules
        With the tables ``posterior`` and ``population`` and the ``omnibus_risk``.

    Raises
    ------
    TypeError, ValueError
        If this is no such table, there is one rule only, or one that failed or was not scored on
        the same trials as the others.

    See Also
    --------
    sklearn_learnrule.plotting.AnimalRulesDisplay : Draws both tables.

    References
    ----------
    Stephan, Penny, Daunizeau, Moran & Friston (2009), NeuroImage 46(4). Rigoux, Stephan, Friston &
    Daunizeau (2014), NeuroImage 84, for protected exceedance and omnibus risk.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({
    ...     "rule": ["constant"] * 4 + ["REINFORCE"] * 4,
    ...     "subject": ["A", "B", "C", "D"] * 2,
    ...     "fold": 0,
    ...     "n_trials": 1000,
    ...     "log_likelihood": [-0.52, -0.60, -0.55, -0.58, -0.49, -0.57, -0.56, -0.58],
    ... })
    >>> found = animal_rules(scores)
    >>> found.posterior.round(2)
    rule     REINFORCE  constant
    subject
    A             1.00      0.00
    B             1.00      0.00
    C             0.00      1.00
    D             0.62      0.38
    >>> found.population["expected_share"].round(2).to_dict()
    {'REINFORCE': 0.6, 'constant': 0.4}
    """
    if not PRIOR.is_satisfied_by(prior):
        raise ValueError(f"prior should be {PRIOR}, got {short(prior)}.")
    return _infer(_total_log_likelihoods(scores), prior)


def _total_log_likelihoods(scores: pd.DataFrame) -> pd.DataFrame:
    """Return each animal's held-out log-likelihood by each rule, (n_subjects, n_rules), in nats."""
    scores = read_scores(scores, (*COLUMNS, "n_trials"))
    rules = scores["rule"].unique()
    if len(rules) < 2:
        raise ValueError(
            f"scores should be of two rules or more, to tell animals by, got {list(rules)}."
        )
    if scores.duplicated(["rule", "subject", "fold"]).any():
        raise ValueError(
            "scores should have one row a rule, animal and fold, but has several: of a learning "
            "curve take one number of animals and one draw."
        )
    if len(empty := scores[scores["n_trials"] <= 0]):
        raise ValueError(
            "n_trials of scores should be how many trials were scored, but is "
            f"{short(empty['n_trials'].iloc[0])} of {short(empty['subject'].iloc[0])}: leave out "
            "animals without any."
        )
    nats = scores["log_likelihood"] * scores["n_trials"]
    totals = scores_by_subject(scores.assign(nats=nats), "nats")[rules]
    for rule, values in totals.items():
        if len(lost := values.index[~np.isfinite(values)]):
            raise ValueError(
                f"{rule!r} has not been scored in full on {len(lost)} of {len(totals)} animals "
                f"(first {short(lost[0])}), or failed there: leave it out, "
                f"scores[scores['rule'] != {rule!r}]."
            )
    of_fold = scores.groupby(["subject", "fold"], observed=True)["n_trials"]
    alike = (of_fold.nunique() == 1) & (of_fold.size() == len(rules))
    if not alike.all():
        subject, fold = alike.index[~alike][0]
        raise ValueError(
            f"Rules should be scored on the same trials, but are not on those of {short(subject)} "
            f"in fold {fold}: compare them all in one call of compare_rules."
        )
    return totals


def _infer(totals: pd.DataFrame, prior: float) -> AnimalRules:
    nats = totals.to_numpy()  # (n_subjects, n_rules)
    concentration = _fit(nats, prior)
    risk = _omnibus_risk(nats, concentration, prior)
    exceedance = _exceedance(concentration)
    lower, upper = (
        beta.ppf(q, concentration, concentration.sum() - concentration) for q in INTERVAL
    )
    population = pd.DataFrame(
        {
            "expected_share": concentration / concentration.sum(),
            "lower": lower,
            "upper": upper,
            "exceedance": exceedance,
            "protected_exceedance": (1 - risk) * exceedance + risk / len(concentration),
        },
        totals.columns,
    ).sort_values("expected_share", ascending=False, kind="stable")
    posterior = pd.DataFrame(_assign(nats, concentration), totals.index, totals.columns)
    return AnimalRules(posterior[population.index], population, risk)


def _expected_log_shares(concentration: Floats) -> Floats:
    return digamma(concentration) - digamma(concentration.sum())


def _assign(nats: Floats, concentration: Floats) -> Floats:
    """Return each animal's posterior over rules, (n_subjects, n_rules)."""
    return softmax(nats + _expected_log_shares(concentration), axis=1)


def _fit(nats: Floats, prior: float) -> Floats:
    """Return the concentrations of the Dirichlet posterior of shares, (n_rules,)."""

    def count(concentration: Floats) -> Floats:
        return prior + _assign(nats, concentration).sum(0)

    start = np.full(nats.shape[1], float(prior))
    return fixed_point(count, start, xtol=1e-8, maxiter=MAX_STEPS, method="iteration")


def _free_energy(nats: Floats, concentration: Floats, prior: float) -> float:
    """Return the lower bound to log P(choices) that the posterior of shares attains, in nats."""
    log_shares = _expected_log_shares(concentration)
    before = np.full_like(concentration, prior)
    normalizers = _log_beta(before) - _log_beta(concentration)
    divergence = normalizers + (concentration - before) @ log_shares  # of posterior from prior
    return float(logsumexp(nats + log_shares, axis=1).sum() - divergence)


def _log_beta(concentration: Floats) -> float:
    return float(gammaln(concentration).sum() - gammaln(concentration.sum()))


def _omnibus_risk(nats: Floats, concentration: Floats, prior: float) -> float:
    """Return the probability that rules are equally frequent, before a draw as likely as not."""
    n_subjects, n_rules = nats.shape
    equal = logsumexp(nats, axis=1).sum() - n_subjects * np.log(n_rules)
    return float(expit(equal - _free_energy(nats, concentration, prior)))


def _exceedance(concentration: Floats) -> Floats:
    """Return the probability of each share to be the largest, (n_rules,).

    Shares are gamma variables over their sum, and a share is the largest if its variable is. So
    that of all others to lie below is averaged over the quantiles of its own, which are spaced as a
    normal variable's: so the mean is smooth, and exact to 1e-7.
    """
    normal = np.linspace(-9, 9, 1001)
    own = gammaincinv(concentration[:, None], ndtr(normal))  # (n_rules, 1001)
    below = gammainc(concentration[:, None, None], own)  # of another, (n_rules, n_rules, 1001)
    below[np.diag_indices(len(concentration))] = 1.0
    found = below.prod(0) @ np.exp(-(normal**2) / 2)
    return found / found.sum()
