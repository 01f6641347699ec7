"""The weight update by which each animal learns, as its own choices tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ..data.sequences import read_sequences
from ..rules import Trial
from ._covariate import Groups, groups_of
from ._experience import Experience, check_not_own, read_experience
from ._fits import RuleFit, read_rule_fits
from ._probes import (
    Grid,
    draw_histories,
    make_probes,
    outcomes_asked,
    probe_trials,
    read_grid,
    stimulus_grid,
    take,
    update_after,
)
from ._updates import show_points, weight_grid


def subject_update_table(
    estimator: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    groups: Groups | None = None,
    stimuli: ArrayLike | Grid | None = None,
    weights: Grid | None = None,
    rewards: Sequence[float] | None = None,
    n_back: int = 20,
    n_histories: int = 64,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Tabulate the weight update of each animal, by stimulus, weights, choice and reward.

    Each is that of the fitted rule with what its choices tell of the animal: its own parameters or,
    of a network, its own numbers, at their posterior mean. :func:`band` over ``"subject"`` makes
    means over animals of it.

    Parameters
    ----------
    estimator : fitted rule estimator with ``subject_effects``, or pipeline that ends in one
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
        Animals, fitted or never seen.
    groups : str, mapping or Series by subject, or None, default=None
        A covariate of X, as of :func:`compare_groups`, or the label of each animal.
    stimuli : array, dict of str to array or None, default=None
        As of :func:`update_table`.
    weights : dict of str to array or None, default=None
        Values of the policy weights, named as by ``predict_weights``; where not named, the median
        of those visited by the typical animal.
    rewards : sequence of float or None, default=None
        As of :func:`update_table`.
    n_back, n_histories : int
        Length and number of the histories, as of :func:`update_table`, all of them in turn lived
        by each animal.
    random_state : int, RandomState or None, default=0
        Draws the histories.

    Returns
    -------
    DataFrame, one row an animal and point of the grid
        ``subject``; ``group``, if there are groups; the stimulus columns; ``weight_<name>`` of
        every weight; ``choice`` (a class); ``reward``; ``correct``; ``update_<name>`` of every
        weight (change per trial). Of more than two choices also ``of_choice`` and ``answer``, as of
        :func:`update_table`.

    Raises
    ------
    ValueError
        If the fit had no ``subject_effects``, several estimators are given, or an animal has no
        group.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    >>> table = subject_update_table(rule, X, y, stimuli=[1.0], weights={"stimulus": 0, "bias": 0})
    >>> table.query("correct")[["subject", "choice", "reward", "update_stimulus"]].head(2).round(3)
        subject choice  reward  update_stimulus
    1  mouse_01  right     1.0            0.009
    3  mouse_02  right     1.0            0.009
    """
    fit = _one_fit(estimator)
    experience, probes = read_probes(X, fit.weight_names, stimuli, rewards)
    visited = fit.visit(X)
    medians = visited.rows()[0].median(0).values.tolist()
    given = read_grid("weights", weights, fit.weight_columns)
    held = {**dict(zip(fit.weight_columns, medians, strict=True)), **given}
    grid = weight_grid(fit, [visited], held)  # (W, n_weights)
    windows = draw_histories([fit], experience, n_histories, n_back, random_state)
    histories = take(visited.rows()[2], windows)  # (H, L)
    probed = probe_trials(fit, X, experience, probes, len(windows))  # (H, P)
    own = [torch.tensor(known.mean) for known in fit.know_subjects(X, y)]  # M of (N, D)
    points = torch.tensor(grid.to_numpy()).repeat_interleave(len(windows), 0).split(len(windows))

    table = grid.merge(probes, how="cross")  # W P rows
    tables = []
    for i, subject in enumerate(read_sequences(X).subjects):
        numbers = [member[i] for member in own]
        updates = [_update(fit, numbers, point, histories, probed) for point in points]
        own_updates = show_points(table, fit, experience.stimulus_names, torch.cat(updates))
        own_updates.insert(0, "subject", subject)
        tables.append(own_updates)
    of_all = pd.concat(tables, ignore_index=True)
    if groups is not None:
        of_all.insert(1, "group", groups_of(X, groups, of_all["subject"]))
    return of_all


def read_probes(
    X: pd.DataFrame,
    weight_names: Sequence[str],
    stimuli: ArrayLike | Grid | None,
    rewards: Sequence[float] | None,
) -> tuple[Experience, pd.DataFrame]:
    """Return what animals met, and the probes of :func:`subject_update_table`, a row each.

    Raises
    ------
    ValueError
        For stimuli or rewards that no rule of these weights can be asked after.
    """
    experience = read_experience(X, weight_names)
    check_not_own(experience.stimulus_names, ["subject", "group"])
    outcomes = outcomes_asked(experience, rewards)
    return experience, make_probes(experience, stimulus_grid(experience, stimuli), outcomes)


def _one_fit(estimator: Any) -> RuleFit:
    fits = read_rule_fits(estimator)
    if len(fits) > 1:
        raise ValueError(
            f"Give one fitted estimator, whose animals have their own numbers, got {len(fits)}."
        )
    if fits[0].models[0].effects is None:
        raise ValueError(
            "By this estimator all animals learn alike: fit with subject_effects=['learning_rate'] "
            "or, of a network, subject_effects=2."
        )
    return fits[0]


def _update(
    fit: RuleFit,
    numbers: list[torch.Tensor],
    weights: torch.Tensor,
    histories: Trial,
    probes: Trial,
) -> torch.Tensor:
    """Return an animal's update at each probe, (P, K), on average over members and histories."""
    of_members = [
        update_after([rule], weights, _lived_by(own, histories), _lived_by(own, probes)).mean(0)
        for rule, own in zip(fit.rules, numbers, strict=True)
    ]
    return torch.stack(of_members).mean(0)


def _lived_by(own: torch.Tensor, trials: Trial) -> Trial:
    """Return trials (H, ...) as those of an animal with its own numbers (D,)."""
    return replace(trials, context=own.expand(len(trials.choice), -1))
