"""Who each animal is: its own numbers, as all its choices tell."""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ..rules import ProcessNoise, mover
from ._covariate import Groups, groups_of
from ._fits import RuleFit, read_rule_fits

LEVEL = 0.9
HALF = ndtri((1 + LEVEL) / 2)  # standard deviations
ELSEWHERE = {  # than in the rule
    "initial_weights": "shift",
    "learning_rate": "factor",  # of a network's update
    **dict.fromkeys(ProcessNoise.names, "factor"),
}


def subject_effects_table(
    estimators: Any,
    X: pd.DataFrame,
    y: ArrayLike | None = None,
    *,
    groups: Groups | None = None,
) -> pd.DataFrame:
    """Tabulate what is each animal's own.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
        With ``subject_effects``. Of the result of ``cross_validate(..., return_estimator=True,
        return_indices=True)``, each fit tells of the animals that it has not seen.
    X : DataFrame from :func:`~sklearn_learnrule.make_design`
    y : Series from the same or None, default=None
        The choices, of which X tells all but each animal's last.
    groups : str, mapping or Series by subject, or None, default=None
        A covariate of X, as of :func:`compare_groups`, or the label of each animal.

    Returns
    -------
    DataFrame, one row a fit, animal and effect
        ``fit``; ``subject``; ``group``, if there are groups; ``effect``, a name; ``kind``: "factor"
        if the numbers are the logarithm of the factor by which the animal's parameter is above
        the typical animal's, "share" if they are that of -log(1 - s), s being the parameter, such
        as Q-learning's learning rate; "shift" if they are how far it lies above it, "number" if
        they are what a network reads, normal over animals with standard deviation 1. ``mean`` and
        ``std`` of what the choices tell, and the 90% interval from ``lower`` to ``upper``, all as
        if the typical animal were known.

    Raises
    ------
    ValueError
        Without ``subject_effects``; or if an animal has no group.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> factors = {"learning_rate": [-0.7, 0, 0, 0.7]}  # logarithms: half as fast, ..., twice
    >>> X, y, _ = make_design(make_learning_cohort(4, 500, subject_effects=factors, random_state=0))
    >>> own = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    >>> subject_effects_table(own, X, y)[["subject", "effect", "kind", "mean", "std"]].round(1)
        subject         effect    kind  mean  std
    0  mouse_01  learning_rate  factor  -0.6  0.1
    1  mouse_02  learning_rate  factor   0.1  0.2
    2  mouse_03  learning_rate  factor  -0.0  0.1
    3  mouse_04  learning_rate  factor   0.5  0.1
    """
    tables = [_of_fit(fit, X, y) for fit in read_rule_fits(estimators)]
    table = pd.concat(tables, ignore_index=True)
    if groups is not None:
        table.insert(2, "group", groups_of(X, groups, table["subject"]))
    return table


def _of_fit(fit: RuleFit, X: pd.DataFrame, y: ArrayLike | None) -> pd.DataFrame:
    choices = None if y is None else fit.held_out(pd.Series(y)).to_numpy()
    X = fit.transform(fit.held_out(X))
    both = fit.final.predict_subject_effects(X, choices, return_std=True)
    mean, std = (each.melt(ignore_index=False, var_name="effect") for each in both)
    kinds = dict(zip(both[0], effect_kinds(fit), strict=True))
    table = mean.reset_index().rename(columns={"value": "mean"})
    table.insert(2, "kind", table["effect"].map(kinds))
    table["std"] = std["value"].to_numpy()
    table["lower"] = table["mean"] - HALF * table["std"]
    table["upper"] = table["mean"] + HALF * table["std"]
    return fit.named(table)


def effect_kinds(fit: RuleFit) -> list[str]:
    """Return what each effect's numbers mean."""
    model = fit.models[0]
    rule, _ = mover(model.dynamics.rule)
    return [rule.varies_by(name) or ELSEWHERE.get(name, "number") for name, _ in model.own]
