"""Which textbook rule is an inferred rule nearest to?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..models.along import updates_along
from ..rules import (
    LearningRule,
    PredictMaxRule,
    ReinforceRule,
    RewardMaxRule,
    StandardizedRule,
    Units,
)
from ._fits import RuleFit, Visited, read_rule_fits

RuleMaker = Callable[[int], LearningRule]

TEXTBOOK_RULES: dict[str, RuleMaker] = {
    "REINFORCE": partial(ReinforceRule, baseline="free"),
    "REINFORCE, no baseline": ReinforceRule,
    "PredictMax": PredictMaxRule,
    "RewardMax": RewardMaxRule,
    # A learning rate of 0 stays there, for it is a square: what is left is forgetting.
    "forgetting": partial(ReinforceRule, learning_rate=0.0, forgetting=True),
}
"""What :func:`nearest_rules` compares with: for each name, what makes a rule of K weights."""

ALL = "all"
MAX_ITERATIONS = 200


def nearest_rules(
    estimators: Any,
    X: pd.DataFrame,
    *,
    rules: Mapping[str, RuleMaker] | None = None,
) -> pd.DataFrame:
    """Project the inferred rule onto textbook rules over the states that animals visited.

    The inferred rule goes through the trials of X. The parameters of each textbook rule are those
    whose updates at the same weights and trials come nearest to its updates, in least squares
    over all weights, each by what it does to the logit of the largest stimulus: so the units of X
    do not matter, nor, of more than two choices, which is the first. A textbook rule with a memory
    goes through these weights and trials with it; over thousands of trials that takes minutes.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
    X : DataFrame from :func:`~sklearn_learnrule.make_design`
    rules : dict of str to rule class or function, or None, default=None
        What makes each rule for K weights, e.g. ``{"eligibility": EligibilityRule}``, of C > 2
        choices asked with ``n_choices=C``; None: ``TEXTBOOK_RULES``, but for those that read the
        correct choice where X does not tell it. One that contains another is never farther.

    Returns
    -------
    DataFrame, one row a fit, rule and weight, the nearest rule first
        ``fit``; ``rule``; ``weight``, a name or "all"; ``r2``, the share of the variance of the
        inferred updates (about their mean; of more than two choices, of all that each choice has)
        that the rule explains, below 0 where it does worse than their mean, NaN of a weight that
        stays; then the rule's parameters of this weight under their textbook names, NaN where it
        has none.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(20, 500, random_state=0))
    >>> table = nearest_rules(ReinforceRuleEstimator().fit(X, y), X)
    >>> table.loc[table["weight"] == "all", ["rule", "r2"]].round(1)
                          rule   r2
    0                REINFORCE  1.0
    3   REINFORCE, no baseline  0.7
    6                RewardMax  0.0
    9               PredictMax  0.0
    12              forgetting -0.2
    """
    if rules is not None and not rules:
        raise ValueError("rules should have one rule or more, got none.")
    fits = read_rule_fits(estimators)
    if ALL in fits[0].weight_names:
        raise ValueError(
            f"Rows of the weight {ALL!r} stand for all weights: rename the stimulus of that name."
        )
    tables = []
    for fit in fits:
        visited = fit.visit_as_rule(X)
        rows = [
            {"fit": fit.name, "rule": name, **row}
            for name, rule in _rules_to_compare(rules, fit, X, visited).items()
            for row in _compare(rule, visited, fit)
        ]
        table = pd.DataFrame(rows)
        of_all = table["r2"].where(table["weight"] == ALL).groupby(table["rule"]).transform("max")
        tables.append(table.loc[(-of_all).sort_values(kind="stable").index])
    return pd.concat(tables, ignore_index=True)


def _rules_to_compare(
    given: Mapping[str, RuleMaker] | None, fit: RuleFit, X: pd.DataFrame, visited: Visited
) -> dict[str, LearningRule]:
    """Return the rules, by default all of the textbook's that X tells what they read."""
    several: Any = {"n_choices": fit.n_choices} if fit.n_choices > 2 else {}
    makers = TEXTBOOK_RULES if given is None else given
    rules = {name: make(fit.n_weights, **several) for name, make in makers.items()}
    sequences = fit.sequences(X)
    for name, rule in list(rules.items()):
        if rule.uses_answer and given is None and not sequences.answer_known:
            del rules[name]
        elif rule.uses_answer:
            sequences.check_answer_known(name)
    return {name: _standard(rule, visited) for name, rule in rules.items()}


def _standard(rule: LearningRule, visited: Visited) -> LearningRule:
    """Return the rule, which is sought in standard units where it is the same rule in any."""
    largest, reward = visited.largest, visited.trials.reward.abs().max()
    if rule.parameter_units is None:
        return rule
    units = Units(*(torch.where(size > 0, size, 1) for size in (largest, reward)))
    rule.standardize_settings(units.feature, units.reward)
    return StandardizedRule(rule, units)


def _compare(rule: LearningRule, visited: Visited, fit: RuleFit) -> Iterator[dict[str, Any]]:
    """Yield what is explained of all weights' updates and of each, with its parameters."""
    rule = rule.to("cpu", torch.float64)
    rule.expect(unknown_rewards=bool((visited.told != visited.observed).any()), misses=False)
    target = visited.rows()[1]  # (n, K) or (n, (C - 1) K)

    def squares(updates: Tensor) -> Tensor:
        """Return the sum over trials and choices, in units of logits, (K,)."""
        of_each = fit.policy.of_each(updates).unflatten(-1, (-1, len(visited.largest)))
        return (visited.largest * of_each).square().sum((0, 1))

    unexplained = squares(target - _project(rule, visited, squares))
    total = squares(target - target.mean(0))
    yield {"weight": ALL, "r2": _share(unexplained.sum(), total.sum())}
    sides = ["first", "second"] if fit.n_choices == 2 else list(fit.final.classes_)
    for k, name in enumerate(fit.weight_names):
        r2 = _share(unexplained[k], total[k])
        parameters = _parameters(rule, k, sides)
        if np.isnan(r2):  # a weight that stays tells nothing of them
            parameters = dict.fromkeys(parameters, np.nan)
        yield {"weight": name, "r2": r2, **parameters}


def _share(unexplained: Tensor, total: Tensor) -> float:
    return (1 - unexplained / total).item() if total > 0 else float("nan")


def _parameters(rule: LearningRule, k: int, sides: list[Any]) -> dict[str, float]:
    """Return the rule's parameters of weight k, under their textbook names."""
    found: dict[str, float] = {}
    for name, value in rule.textbook_parameters().items():
        value = value.detach()
        if value.ndim == 2:  # a row for each class of choice
            of_sides = zip(sides, value[:, k].tolist(), strict=True)
            found |= {f"{name}_{side}": of_side for side, of_side in of_sides}
        else:
            found[name] = value[k].item() if value.ndim else value.item()
    return found


def _project(rule: LearningRule, visited: Visited, squares: Callable[[Tensor], Tensor]) -> Tensor:
    """Fit the rule's parameters by least ``squares`` of the updates, and return its own."""
    target = visited.rows()[1]

    def updates() -> Tensor:
        of_all = updates_along(rule, visited.trials, visited.weights, visited.observed)
        return of_all[visited.told[visited.observed]]

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = squares(updates() - target).sum() / scale
        loss.backward()
        return loss

    scale = squares(target).sum().clamp_min(torch.finfo(target.dtype).tiny)
    parameters = [parameter for parameter in rule.parameters() if parameter.requires_grad]
    if parameters:
        optimizer = torch.optim.LBFGS(
            parameters,
            max_iter=MAX_ITERATIONS,
            tolerance_grad=1e-9,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )
        optimizer.step(closure)
    with torch.no_grad():
        return updates()
