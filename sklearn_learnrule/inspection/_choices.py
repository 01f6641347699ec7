"""Weights of more than two choices: those of each, and what it sees of a trial."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from ..data.schema import OF_CHOICE
from ..rules import Policy
from ._fits import RuleFit, Visited


class ByChoice(NamedTuple):
    """The states that animals went through, as each choice sees them: N C sequences of T trials.

    Of two choices, that one set of weights tells apart, N sequences as the second choice sees them.
    """

    visited: Visited  # the choice's weights, less their mean over choices; y and z are 0 or 1
    p: Tensor  # (N C, T) the choice's probability
    p_answer: Tensor  # (N C, T) that of the correct choice
    n_choices: int  # C


def see_by_choice(fit: RuleFit, X: pd.DataFrame) -> ByChoice:
    """Return what a fit visits as each choice sees it, all of a sequence's choices in turn.

    Probabilities are those that the rule learns by: unlearned weights have no part in them.
    """
    visited, policy = fit.visit_as_rule(X), fit.policy
    trials = visited.trials
    logits, C = policy.logits(visited.weights, trials.features), fit.n_choices
    p_answer = policy.chance(logits, trials.answer)
    if C == 2:
        return ByChoice(visited, policy.probabilities(logits), p_answer, C)

    def in_turn(of_each: Tensor) -> Tensor:
        """Lay (N, T, C, ...) out as (N C, T, ...)."""
        return of_each.movedim(2, 1).flatten(0, 1)

    def repeat(values: Tensor) -> Tensor:
        return values.repeat_interleave(C, 0)

    weights, update = (
        in_turn(policy.of_each(each).unflatten(-1, (C, -1)))
        for each in (visited.weights, visited.update)
    )
    made, correct = (in_turn(policy.one_of_all(each)) for each in (trials.choice, trials.answer))
    seen = replace(trials.map(repeat), choice=made, answer=correct)
    masks = repeat(visited.observed), repeat(visited.told)
    whose = visited.subject.repeat(C)
    p = in_turn(policy.of_all(logits).softmax(-1))
    return ByChoice(Visited(weights, update, seen, *masks, whose), p, repeat(p_answer), C)


def covariances_of_choices(covariances: Tensor, n_choices: int) -> Tensor:
    """Return the covariances of what :meth:`Policy.of_each` makes of weights, (..., C K, C K)."""
    policy = Policy(n_choices)
    return policy.of_each(policy.of_each(covariances).mT)


def weight_table(fit: RuleFit, column: str = OF_CHOICE, **of_weights: Tensor) -> pd.DataFrame:
    """Tabulate what is of weights, a column each; of more than two choices, a row each.

    Parameters
    ----------
    fit : RuleFit
    column : str, default="of_choice"
        That of the choices, if they are more than two: each has its own weights.
    **of_weights : Tensors of shape (n, n_weights)
        By what the columns' names begin with, as ``weight`` or ``update``.

    Returns
    -------
    DataFrame of shape (n, K) or, of C > 2 choices, (n C, 1 + K), for each of ``of_weights``
        The index is the number of the row in these, 0 to n - 1.
    """
    columns: dict[str, Any] = {}
    several = fit.n_choices > 2
    for kind, values in of_weights.items():
        each = fit.policy.of_each(values)
        n, by_weight = len(each), each.reshape(-1, len(fit.weight_names)).T.numpy()
        if several:
            columns[column] = np.tile(fit.final.classes_, n)
        names = [f"{kind}_{name}" for name in fit.weight_names]
        columns |= dict(zip(names, by_weight, strict=True))
    return pd.DataFrame(columns, np.arange(n).repeat(fit.n_choices if several else 1))
