"""The terms that an update may be made of: what a trial is and was, and products of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement
from typing import Any, TypeAlias

import numpy as np
import torch

from ..data.tables import BIAS
from ..utils.arrays import Floats
from ._choices import ByChoice


@dataclass(frozen=True, order=True)
class Factor:
    """A number of each trial; the factors of a term stand in the order of their places."""

    place: int
    text: str
    latex: str


Term: TypeAlias = tuple[Factor, ...]  # their product; of none, 1

REWARD = Factor(0, "r", "r")
PREVIOUS_REWARD = Factor(1, "r_prev", "r_{t-1}")
CHOICE = Factor(2, "c", "c")  # -1 or 1 or, of C > 2 choices, y - 1 / C
PREVIOUS_CHOICE = Factor(3, "c_prev", "c_{t-1}")
REWARD_SLOPE = Factor(4, "(2z - 1) p (1 - p)", r"(2z - 1)\,p\,(1 - p)")
REWARD_SLOPE_OF_EACH = Factor(4, "p_z (z - p)", r"p_z\,(z - p)")  # the same, of C > 2 choices
ERROR = Factor(5, "(y - p)", "(y - p)")
ANSWER_ERROR = Factor(6, "(z - p)", "(z - p)")
LOGIT = Factor(7, "(w . x)", r"(w \cdot x)")
SIGNS = (CHOICE, PREVIOUS_CHOICE)

OUTCOMES: tuple[Term, ...] = (
    *((), (REWARD,), (CHOICE,), (REWARD, CHOICE)),
    *((PREVIOUS_REWARD,), (REWARD, PREVIOUS_REWARD), (PREVIOUS_CHOICE,), SIGNS),
)
OUTCOMES_BEFORE: tuple[Term, ...] = ((), (REWARD,), (PREVIOUS_REWARD,), (REWARD, PREVIOUS_REWARD))


def weight(name: str) -> Factor:
    return Factor(9, f"w_{name}", f"w_{{{_upright(name)}}}")


def policy_input(name: str) -> Factor:
    return Factor(8, f"x_{name}", f"x_{{{_upright(name)}}}")


def gradient_before(name: str) -> Factor:
    text, latex = "(y_prev - p_prev)", "(y_{t-1} - p_{t-1})"
    if name == BIAS:
        return Factor(10, text, latex)
    return Factor(10, f"{text} x_{name}_prev", rf"{latex}\,x_{{{_upright(name)}, t-1}}")


def _upright(name: str) -> str:
    return r"\mathrm{" + re.sub(r"([_%&#$ ])", r"\\\1", re.sub(r"[\\^~{}]", "-", name)) + "}"


def as_text(term: Term) -> str:
    return _written([factor.text for factor in term], " ")


def as_latex(term: Term) -> str:
    return _written([factor.latex for factor in term], r"\,")


def _written(factors: list[str], between: str) -> str:
    """Write a product, as a square what is in it twice."""
    powers = dict.fromkeys(factors)
    return between.join(f"{f}^2" if factors.count(f) == 2 else f for f in powers) or "1"


def product(*terms: Term) -> Term:
    """Return their product, in which the square of a sign is 1."""
    factors = sorted(factor for term in terms for factor in term)
    return tuple(f for f in dict.fromkeys(factors) for _ in range(_power(f, factors.count(f))))


def _power(factor: Factor, times: int) -> int:
    return times % 2 if factor in SIGNS else times


def make_candidates(names: Sequence[str], n_choices: int = 2, *, answer_known: bool) -> list[Term]:
    """Return all terms for a rule with these weights.

    Textbook forms come first: of terms that are the same in some data, the first is taken.
    """
    slope = REWARD_SLOPE if n_choices == 2 else REWARD_SLOPE_OF_EACH
    slopes = (ANSWER_ERROR, slope) if answer_known else ()
    textbook = [term for name in names for term in _textbook_terms(name, slopes)]
    single: list[Term] = [
        *((weight(name),) for name in names),
        *((policy_input(name),) for name in names if name != BIAS),
        *((ERROR,), (REWARD,), (CHOICE,), (PREVIOUS_REWARD,), (PREVIOUS_CHOICE,), SIGNS),
    ]
    pairs = [product(*pair) for pair in combinations_with_replacement(single, 2)]
    return list(dict.fromkeys([*textbook, *single, (), *pairs]))


def _textbook_terms(name: str, slopes: Sequence[Factor]) -> Iterator[Term]:
    """Yield what textbook rules move a weight by: multiples of its input, now or before."""
    x: Term = () if name == BIAS else (policy_input(name),)
    yield from (product(outcome, (ERROR,), x) for outcome in OUTCOMES)
    for slope in slopes:
        yield from (product(side, (slope,), x) for side in ((), (CHOICE,)))
    yield from (product(outcome, (CHOICE,), x) for outcome in ((), (REWARD,)))
    yield product((LOGIT,), x)
    yield from (product(outcome, (gradient_before(name),)) for outcome in OUTCOMES_BEFORE)


def textbook_subsets(name: str) -> list[list[Term]]:
    """Return the terms of whole textbook rules for a weight, each with forgetting and without."""
    x: Term = () if name == BIAS else (policy_input(name),)
    plain, paid = product((ERROR,), x), product((REWARD,), (ERROR,), x)
    sided = [product((CHOICE,), term) for term in (plain, paid)]
    rules = [[paid], [paid, plain], [paid, plain, *sided], [product((ANSWER_ERROR,), x)]]
    forgets: list[Term] = [(weight(name),)]
    return [[*rule, *more] for rule in rules for more in ([], forgets)]


def factor_values(seen: ByChoice, names: Sequence[str]) -> dict[Factor, Floats]:
    """Return each factor on each trial, (N, T) or (N C, T); what was before is 0 on a first trial.

    The reward before is NaN where nobody knows it.
    """
    trials, weights = seen.visited.trials, seen.visited.weights
    error, answer_error = trials.choice - seen.p, trials.answer - seen.p
    slope = seen.p_answer * answer_error
    is_side = seen.n_choices == 2
    values = {
        REWARD: trials.reward,
        CHOICE: 2 * trials.choice - 1 if is_side else trials.choice - 1 / seen.n_choices,
        REWARD_SLOPE if is_side else REWARD_SLOPE_OF_EACH: slope,
        ERROR: error,
        ANSWER_ERROR: answer_error,
        LOGIT: (weights * trials.features).sum(-1),
    }
    values |= {
        PREVIOUS_REWARD: trials.reward.where(trials.reward_known > 0, torch.nan).roll(1, 1),
        PREVIOUS_CHOICE: values[CHOICE].roll(1, 1),
    }
    for k, name in enumerate(names):
        x = trials.features[..., k]
        values |= {policy_input(name): x, weight(name): weights[..., k]}
        values[gradient_before(name)] = (error * x).roll(1, 1)
    for factor in (PREVIOUS_REWARD, PREVIOUS_CHOICE, *map(gradient_before, names)):
        values[factor][:, 0] = 0
    return {factor: value.numpy() for factor, value in values.items()}


def term_columns(values: Mapping[Factor, Floats], terms: Sequence[Term], where: Any) -> Floats:
    """Return the terms on the trials that are chosen, (n, M), or with ``...`` on all, (N, T, M)."""
    here = {factor: value[where] for factor, value in values.items()}
    one = np.ones_like(here[ERROR])
    made = [reduce(np.multiply, (here[f] for f in term), one) for term in terms]
    return np.stack(made, -1) if made else np.zeros((*one.shape, 0))
