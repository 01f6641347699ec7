"""The weight update as a function of stimulus, weights, choice and reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ..data.schema import OF_CHOICE
from ..data.sequences import NOBODY_KNOWS
from ..utils.arrays import Floats, evenly
from ._choices import weight_table
from ._experience import Experience, read_experience
from ._fits import RuleFit, Visited, read_rule_fits
from ._probes import (
    Grid,
    draw_histories,
    make_grid,
    make_probes,
    outcomes_asked,
    probe_trials,
    read_grid,
    stimulus_grid,
    take,
    update_after,
)

N_STIMULUS_WEIGHTS, N_BIASES = 5, 3
REACH = 0.5  # of a weight that is held at one value, by what it changes of the logit
STILL = 1e-3  # what a weight changes of the logit, in all trials, if it does not move
OUTCOME = ["choice", "reward", "correct"]
COUNTS = ["n_trials", "n_subjects"]


def update_table(
    estimators: Any,
    X: pd.DataFrame,
    *,
    stimuli: ArrayLike | Grid | None = None,
    weights: Grid | None = None,
    rewards: Sequence[float] | None = None,
    all_outcomes: bool = False,
    n_back: int = 20,
    n_histories: int = 64,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Tabulate the weight update by stimulus, weights, choice and reward.

    The update of a rule that remembers is averaged over ``n_histories`` histories of
    ``n_back`` trials as animals in X lived them, drawn at random, through which the weights are
    held at the values asked for. The memory before them is that before an animal's first trial.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
        Several fits, as from folds or :func:`bootstrap_fits`, are told apart by ``fit``.
    X : DataFrame from :func:`~sklearn_learnrule.make_design`
        Gives the default grid, the histories and the support of the data.
    stimuli : array, dict of str to array or None, default=None
        Values of the stimulus columns in X's units, 0 where not named; an array is of the
        first column. None: the values that the first column has in X, or 21 evenly spaced
        ones if these are more than 25; of labels and what else is 0 or 1, or more than two choices,
        all stimuli in X that differ in any column, if these are 25 at most.
    weights : dict of str to array or None, default=None
        Values of the policy weights, named as by ``predict_weights``. Where not named: of the
        first weight 5 and of the bias 3 values, evenly between the 5% and 95% quantiles of
        those visited, and the median of each other weight, or of these if they stay as they are;
        of more than two choices, where names are pairs ``(choice, weight)``, the median of each.
    rewards : sequence of float or None, default=None
        None: those that were earned in X, up to 8. A given one is of such choices as earned it in X
        or, if none did, anything; if these are of both kinds, of correct ones where it is above 0.
    all_outcomes : bool, default=False
        Whether to keep outcomes that never went with a stimulus in X: reward on the wrong side.
    n_back, n_histories : int
        Length and number of the histories.
    random_state : int, RandomState or None, default=0
        Draws the histories.

    Returns
    -------
    DataFrame, one row a fit and point of the grid
        ``fit``; the stimulus columns; ``weight_<name>`` of every weight; ``choice`` (a class);
        ``reward``; ``correct``; ``update_<name>`` of every weight (change per trial);
        ``n_trials`` and ``n_subjects``: the trials and animals in X with this choice and outcome
        (of named rewards, the nearest) whose stimulus and weights, as the fit has them, are nearest
        to this point and within half a step of the grid. A stimulus held at one value is not asked;
        a weight held at one value is near if it changes no choice's logit by more than .5, whatever
        the units. Where ``n_trials`` is 0, the rule is extrapolated.
        Of more than two choices, there is a row for each one's weights, which ``of_choice`` names:
        these, and their updates, are less the mean over choices, so that none is a reference; and
        ``answer``, the correct choice, after an error that of the others which is correct there
        most often (missing: nobody knows).

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(20, 500, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> table = update_table(rule, X, stimuli=[1.0], weights={"stimulus": [0.0, 1.0], "bias": 0.0})
    >>> table[["weight_stimulus", "choice", "correct", "update_stimulus", "n_trials"]].round(3)
       weight_stimulus choice  correct  update_stimulus  n_trials
    0              0.0   left    False           -0.005       408
    1              0.0  right     True            0.016       506
    2              1.0   left    False           -0.008       649
    3              1.0  right     True            0.008      1911
    """
    fits = read_rule_fits(estimators)
    first = fits[0]
    experience = read_experience(X, first.weight_names)
    outcomes = outcomes_asked(experience, rewards)
    probes = make_probes(
        experience, stimulus_grid(experience, stimuli), outcomes, all_outcomes=all_outcomes
    )
    visits = [fit.visit(X) for fit in fits]
    grid = weight_grid(first, visits, weights)  # (W, n_weights)
    windows = draw_histories(fits, experience, n_histories, n_back, random_state)
    tables = []
    for fit, visited in zip(fits, visits, strict=True):
        histories = take(visited.rows()[2], windows)  # (H, L)
        probed = probe_trials(fit, X, experience, probes, len(windows))  # (H, P)
        updates = [
            update_after(fit.rules, held.expand(len(windows), -1), histories, probed).mean(0)
            for held in torch.tensor(grid.to_numpy())
        ]  # W of (P, K)
        table = grid.merge(probes, how="cross")  # W P rows
        counts = table.merge(_support(table, fit, visited, experience), how="left")[COUNTS]
        found = show_points(table, fit, experience.stimulus_names, torch.cat(updates))
        counted = counts.fillna(0).astype(int).iloc[found.index].reset_index(drop=True)
        tables.append(fit.named(found.reset_index(drop=True).join(counted)))
    return pd.concat(tables, ignore_index=True)


def weight_grid(fit: RuleFit, visits: list[Visited], weights: Grid | None) -> pd.DataFrame:
    """Return every combination of the weights' values, (W, n_weights), by default some visited.

    Columns are the weights' numbers. Of more than two choices, by default one row: the medians.
    """
    names = fit.weight_columns
    given = read_grid("weights", weights, names)
    visited = np.concatenate([visit.rows()[0].numpy() for visit in visits])
    low, middle, high = np.quantile(visited, [0.05, 0.5, 0.95], axis=0)  # (n_weights,)
    axes: dict[Any, Any] = dict(zip(names, middle, strict=True))
    moved = (high - low) * fit.policy.in_all_sets(visits[0].largest).numpy()
    varied = ((0, N_STIMULUS_WEIGHTS), (-1, N_BIASES)) if fit.n_choices == 2 else ()
    for k, n_values in varied:
        if moved[k] > STILL:
            axes[names[k]] = evenly(low[k], high[k], n_values)
    return make_grid({**axes, **given}).set_axis(range(fit.n_weights), axis=1)


def show_points(
    points: pd.DataFrame, fit: RuleFit, stimuli: list[str], updates: torch.Tensor
) -> pd.DataFrame:
    """Put points (n rows), of weights by number, and the updates there (n, n_weights) into a table.

    Of C > 2 choices it has a row for each one's weights, and tells which choice is correct. Its
    index is the number of the point.
    """
    held = torch.tensor(points[list(range(fit.n_weights))].to_numpy(copy=True))
    columns = weight_table(fit, weight=held, update=updates)
    outcome = points[OUTCOME].assign(choice=fit.final.classes_[points["choice"]])
    table = points[stimuli].join(outcome).join(columns)
    weights, changes = (
        [f"{kind}_{name}" for name in fit.weight_names] for kind in ("weight", "update")
    )
    if fit.n_choices == 2:
        return table[[*stimuli, *weights, *OUTCOME, *changes]]
    known = (points["answer"] != NOBODY_KNOWS)[table.index]
    table["answer"] = pd.Series(fit.final.classes_[points["answer"]])[table.index].where(
        known, None
    )
    return table[[*stimuli, OF_CHOICE, *weights, "answer", *OUTCOME, *changes]]


def _support(
    table: pd.DataFrame, fit: RuleFit, visited: Visited, experience: Experience
) -> pd.DataFrame:
    """Return the numbers of trials and animals that came near the rows of the table."""
    reach: Any = dict(enumerate((REACH / fit.policy.in_all_sets(visited.largest)).tolist()))
    states = experience.stimuli.join(pd.DataFrame(visited.rows()[0].numpy()))
    for name in states:
        axis = np.unique(table[name])
        if name in experience.stimulus_names and len(axis) == 1:
            states[name] = axis[0]
        else:
            states[name] = _nearest(axis, states[name].to_numpy(), reach.get(name, 0.0))
    cell = [*states, *OUTCOME]
    rewards = np.unique(table["reward"])
    earned = rewards[np.abs(experience.reward[:, None] - rewards).argmin(1)]
    states[OUTCOME] = np.column_stack([experience.choice, earned, experience.correct])
    states = states.assign(subject=experience.subject, correct=experience.correct).dropna()
    by_cell = states.groupby(cell)["subject"]
    return by_cell.agg(n_trials="size", n_subjects="nunique").reset_index()


def _nearest(axis: Floats, values: Floats, reach: float) -> Floats:
    """Return the axis value nearest to each value, NaN where it is over half a step away.

    Of an axis of one value, over ``reach`` away.
    """
    half = np.diff(axis) / 2 if len(axis) > 1 else np.array([reach])
    edges = np.r_[axis[0] - half[0], (axis[1:] + axis[:-1]) / 2, axis[-1] + half[-1]]
    place = np.searchsorted(edges, values, side="right") - 1
    inside = (values >= edges[0]) & (values <= edges[-1])
    return np.where(inside, axis[place.clip(0, len(axis) - 1)], np.nan)
