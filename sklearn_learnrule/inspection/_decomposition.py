"""How much is learning: what the rule, and what noise, did to the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state, check_scalar
from torch import Tensor

from ..data.sequences import Sequences, identity_of, subjects_of
from ..data.time_order import count_within
from ..models.learning import LearningModel
from ..models.members import in_rows, look_back_members, pool_members, read_trials
from ..models.smoothing import Filtered, draw_path, smooth
from ..rules import Trial
from ..utils.arrays import Floats, Ints
from ._choices import covariances_of_choices
from ._fits import RuleFit, read_rule_fits

ALL = "all"
ROWS = 1_000_000  # trials of drawn weights at a time, so that networks fit into memory beside


def weight_decomposition(estimators: Any, X: pd.DataFrame, y: ArrayLike) -> pd.DataFrame:
    """Tabulate where the rule alone would have brought the weights, and what noise has added.

    The rule alone starts where the smoothed weights do and goes through the animal's own trials,
    choices and rewards, without noise:

        smoothed = by_rule + by_noise

    So what noise did counts as far as the rule has not undone it since, as one that forgets does.
    (Were the steps of each summed, both sums would run away where the rule keeps undoing noise:
    to 60 on either side of a mouse's bias that stays within 2.) And a rule that strengthens
    whatever was chosen follows the choices where noise leads them.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
        With ``process_noise``. Of the result of ``cross_validate(..., return_estimator=True,
        return_indices=True)``, each fit gives the weights of the animals that it has not seen.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`

    Returns
    -------
    DataFrame, one row a fit, trial and weight
        ``fit``; ``subject``, ``session`` and ``trial`` as in X; ``weight``, a name; ``smoothed``
        and ``std``, as of ``smooth_weights``; ``by_rule``; ``by_noise``. Of an ensemble, each is
        the mean of its members'. Networks are held within the weights that they were fitted to,
        as in predicting. Of more than two choices, a row for each: ``choice``, and its weights less
        their mean over choices, so that none is a reference.

    Raises
    ------
    ValueError
        Without process noise: then the rule alone moves the weights.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None, process_noise=0.05).fit(X, y)
    >>> table = weight_decomposition(rule, X, y)
    >>> bool(np.isclose(table["smoothed"], table["by_rule"] + table["by_noise"]).all())
    True
    """
    tables = []
    for fit, rows, sequences, filtered in _read(estimators, X, y):
        trials, observed = read_trials(sequences)
        means, covariances = map(torch.stack, zip(*map(smooth, filtered), strict=True))
        alone = [  # (N, T, n_weights) each
            _by_rule(model, trials, weights[:, 0], observed)
            for model, weights in zip(fit.models, means, strict=True)
        ]
        smoothed, std = pool_members(
            fit.policy.of_each(in_rows(sequences, means)),
            covariances_of_choices(in_rows(sequences, covariances), fit.n_choices),
        )
        by_rule = fit.policy.of_each(
            torch.as_tensor(sequences.rows(torch.stack(alone).mean(0).numpy()))
        )
        table = _identify(rows, fit)
        table["smoothed"], table["std"] = smoothed.numpy().ravel(), std.numpy().ravel()
        table["by_rule"] = by_rule.numpy().ravel()
        table["by_noise"] = table["smoothed"] - table["by_rule"]
        tables.append(fit.named(table))
    return pd.concat(tables, ignore_index=True)


def variance_explained(
    estimators: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    n_draws: int = 100,
    level: float = 0.95,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Tabulate the share of each weight's change that the rule explains, by animal.

    With w the weight and R where the rule alone would have brought it, as in
    :func:`weight_decomposition`,

        rule = Cov(w, R) / Var(w),   noise = 1 - rule,

    over an animal's trials. Above 1, the rule alone would have gone farther than the weight did;
    below 0, the other way.

    The smoothed weights are too smooth to be asked: the choices leave much of the noise unseen,
    which would count for the rule. So whole courses of the weights are drawn, as likely as all
    choices leave them, and the rule starts with each.

    Parameters
    ----------
    estimators, X, y : see :func:`weight_decomposition`
    n_draws : int, default=100
        Courses to draw of each animal's weights, shared among an ensemble's members.
    level : float, default=0.95
        The interval lies between percentiles of the draws. It takes the fitted rule and noise as
        they are, and so is too narrow where few animals tell of them: of eight simulated cohorts
        of 12 animals, it held 81% of the true shares; of 8 animals of 600 trials, 38% to 75% (with
        the noise known, 86%). What another rule and noise, fitted to
        other animals, would say, a list of :func:`bootstrap_fits` tells: take the :func:`band`
        of ``rule`` over its fits.
    random_state : int, RandomState or None, default=0
        The same gives an animal the same draws in any company.

    Returns
    -------
    DataFrame, one row a fit, animal and weight
        ``fit``; ``subject``, or first "all": the covariances and variances of all animals, summed
        over their trials; ``weight``; ``rule``, the median of the draws, ``lower`` and ``upper``;
        ``noise``; ``n_trials``. NaN for a weight that does not change. Of more than two choices, a
        row for each: ``choice``, whose weights are those of :func:`weight_decomposition`.

    Raises
    ------
    ValueError
        Without process noise; or if a subject is called "all".

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(12, 500, random_state=0))
    >>> rule = ReinforceRuleEstimator(process_noise="learned").fit(X, y)
    >>> table = variance_explained(rule, X, y)  # of animals that do not drift
    >>> table.loc[table["subject"] == "all", ["weight", "rule", "noise"]].round(1)
         weight  rule  noise
    0  stimulus   1.0    0.0
    1      bias   1.0    0.0
    """
    check_scalar(n_draws, "n_draws", int, min_val=1)
    check_scalar(level, "level", float, min_val=0, max_val=1)
    if ALL in set(subjects_of(X)):
        raise ValueError(f"Rows of the subject {ALL!r} stand for all animals: rename yours.")
    seed = check_random_state(random_state).randint(2**31)
    tables = []
    for fit, _, sequences, filtered in _read(estimators, X, y):
        shares = _draw_shares(sequences, filtered, fit, n_draws, seed)
        lower, rule, upper = np.quantile(shares, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
        n_trials = sequences.n_trials
        subjects = pd.Index([ALL, *sequences.subjects], name="subject")
        table = _identify(pd.DataFrame(index=subjects), fit)
        table["rule"], table["lower"], table["upper"] = rule.ravel(), lower.ravel(), upper.ravel()
        table["noise"] = 1 - table["rule"]
        table["n_trials"] = np.r_[n_trials.sum(), n_trials].repeat(len(table) // len(subjects))
        tables.append(fit.named(table))
    return pd.concat(tables, ignore_index=True)


@torch.no_grad()
def _by_rule(model: LearningModel, trials: Trial, start: Tensor, observed: Tensor) -> Tensor:
    """Return where the rule alone would bring weights (N, K) on these trials, (N, T, K)."""
    return model.unroll(model.rule, start, trials, observed)[0]


def _read(
    estimators: Any, X: pd.DataFrame, y: ArrayLike
) -> Iterator[tuple[RuleFit, pd.DataFrame, Sequences, list[Filtered]]]:
    """Yield each fit, the rows that it may be asked for, and what its members knew of weights."""
    check_consistent_length(X, y)
    labels = pd.Series(np.asarray(y), X.index)
    fits = read_rule_fits(estimators)
    for fit in fits:
        if not hasattr(fit.final, "process_noise_"):
            raise ValueError(
                f"What the rule did is told from what noise did, but {fit} is a "
                f"{type(fit.final).__name__} without process noise: fit it with "
                "process_noise='learned'."
            )
    for fit in fits:
        rows = fit.held_out(X)
        sequences, chosen = fit.final.read_choices(fit.transform(rows), fit.held_out(labels))
        paths = fit.final.predict_paths(sequences)
        yield fit, rows, sequences, look_back_members(fit.models, sequences, chosen, paths)


def _identify(rows: pd.DataFrame, fit: RuleFit) -> pd.DataFrame:
    """Return the identity of each row, as often as there are weights, and the weights' names.

    Of more than two choices, weights are each one's.
    """
    names = pd.DataFrame({"weight": fit.weight_names})
    if fit.n_choices > 2:
        names = pd.DataFrame({"choice": fit.final.classes_}).merge(names, how="cross")
    return identity_of(rows).merge(names, how="cross")


def _draw_shares(
    sequences: Sequences,
    filtered: list[Filtered],
    fit: RuleFit,
    n_draws: int,
    seed: int,
) -> Floats:
    """Return each draw's shares of the rule: of all animals, then of each, (D, 1 + n, C K)."""
    trials, observed = read_trials(sequences)
    names = _names(sequences)
    at_once = max(1, ROWS // observed.numel())
    moments = []  # of each so many draws, covariance and variance, (2, D, N, K)
    for member, (model, known) in enumerate(zip(fit.models, filtered, strict=True)):
        generators = [np.random.default_rng([seed, member, *name]) for name in names]
        left = -(-n_draws // len(fit.models))
        while left > 0:
            normals = _normals(generators, sequences.lengths, min(left, at_once), known.offset)
            drawn = draw_path(known, normals)
            moments.append(_moments(model, trials, drawn, observed))
            left -= at_once
    found = torch.cat(moments, 1).movedim(2, 0)  # (N, 2, D, K)
    whose = torch.as_tensor(sequences.sequence_subject)
    of_animals = found.new_zeros(len(sequences.subjects), *found.shape[1:])
    covariance, variance = of_animals.index_add(0, whose, found).movedim(0, 2)
    pooled = covariance.sum(1, keepdim=True) / variance.sum(1, keepdim=True)
    return torch.cat([pooled, covariance / variance], 1).numpy()


def _names(sequences: Sequences) -> list[list[int]]:
    """Return numbers by which each sequence is told from others, in whatever company."""
    subjects = pd.util.hash_array(np.asarray(sequences.subjects.map(str), dtype=object))
    whose = sequences.sequence_subject
    after = ([number] if number else [] for number in count_within(whose).tolist())
    return [[int(name), *own] for name, own in zip(subjects[whose], after, strict=True)]


def _normals(
    generators: list[np.random.Generator], lengths: Ints, n_draws: int, like: Tensor
) -> Tensor:
    """Return standard normal numbers, each sequence's its own, 0 in the padding, (D, N, T, K)."""
    normals = like.new_zeros(n_draws, *like.shape)
    for n, (generator, length) in enumerate(zip(generators, lengths, strict=True)):
        drawn = generator.standard_normal((n_draws, length, like.shape[-1]))
        normals[:, n, :length] = torch.as_tensor(drawn)
    return normals


def _moments(model: LearningModel, trials: Trial, weights: Tensor, observed: Tensor) -> Tensor:
    """Return, summed over trials, Cov(w, R) and Var(w) of drawn weights (D, N, T, n_weights)."""
    n_draws = len(weights)
    repeated = trials.of_subjects(torch.arange(len(observed)).repeat(n_draws))
    start = weights[:, :, 0]  # (D, N, K)
    alone = _by_rule(model, repeated, start.flatten(0, 1), observed.repeat(n_draws, 1))
    moved = model.policy.of_each(alone.unflatten(0, start.shape[:2]) - start[:, :, None])
    happened = trials.features[..., -1:]  # 1, and 0 in the padding: (N, T, 1)
    change = (weights - start[:, :, None]) * happened  # 0 to the last digit if there is none
    change = model.policy.of_each(change)  # (D, N, T, C K)
    deviation = (change - change.sum(2, keepdim=True) / happened.sum(1, keepdim=True)) * happened
    return torch.stack([(deviation * moved).sum(2), deviation.square().sum(2)])
