"""How sure a fit is of its parameters: standard errors from the curvature of the likelihood.

N subjects, K policy weights, P numbers that were fitted, Q that are published. The engines give
first derivatives only, so the second ones are differences of exact gradients, which yield each
subject's own first derivatives, its score, at no further cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..models.effects import LOG_LEAST
from ..models.following import integrate
from ..models.learning import LearningModel
from ..utils.arrays import Bools, Floats
from .dataset import Block, SequenceDataset, to_numpy
from .individuals import place_subjects, with_own_nodes
from .initial_weights import FEW_SUBJECTS
from .net import at_nodes

# Steps of the differences, in standard errors (of a parameter, were the others known): so small
# that the log-likelihood is a parabola, so large that rounding does not show.
MIN_STEP, GOOD_STEP, MAX_STEP = 1e-7, 1e-5, 1e-4
MAX_TRIES = 5
SINGULAR = 1e-4  # the least eigenvalue of the information, scaled to a diagonal of 1
MAX_ERROR = 1e3  # a parameter's standard error, over its size, from which on it is not identified
SHARE_UNKNOWN = 1e-4  # of a value's gradient along directions that are not identified
MAX_BEND = 5.0  # how often a value's change within one standard error may be what its slope says
LEAST_OF_SPREAD = 0.1  # information on a spread's logarithm, below which it may as well be 0
LEAST_OF_ROOT = 1 / (2 * (MAX_BEND - 1))  # in standard errors: below, its square bends by more
MAX_SLOPE = 0.1  # of the log-likelihood at the fit, in nats a standard error
MAX_SLOPE_AT_NODES = 0.5  # the same where effects are integrated out, by nodes that move

NOT_MAXIMAL = "not at the maximum of the likelihood"
NOT_IDENTIFIED = "not identified by these trials"
AT_BOUND = "too close to a bound"
TOO_FEW = f"not fitted to fewer than {FEW_SUBJECTS} subjects"
COVARIATES, SPREAD = "covariate_effects", "subject_effects_std"


def is_parametric(model: LearningModel) -> bool:
    """Whether what is fitted has names: textbook parameters, or initial weights alone."""
    return bool(model.rule.textbook_parameters()) or not any(True for _ in model.rule.parameters())


def summarize(
    model: LearningModel,
    dataset: SequenceDataset,
    weight_names: Sequence[str],
    learned_names: Sequence[str],
    left_out: Sequence[str],
    sides: NDArray[Any],
) -> pd.DataFrame:
    """Return a fit's parameters and their standard errors, one row a number.

    Columns ``parameter``, ``side`` (the choice after which it holds, if it depends on that, or
    of a lapse rate the choice lapsed to, of more than two choices also that whose initial weight,
    against the first choice's, it is) and ``weight`` say what it is, ``estimate`` how much.

    ``standard_error`` is the observed information's: of the curvature of the log-likelihood, and of
    a prior, at its maximum. It holds if the rule is true and all subjects share its parameters.
    ``robust_standard_error``, by the sandwich of subjects' scores with the factor N / (N - 1),
    does without both; it tends to be too small for few subjects, and is NaN for one. ``lower``
    and ``upper`` are the 95% interval, estimate -+ 1.96 ``standard_error``; that of the spread of
    subjects' effects is made of its logarithm, and so above 0.

    Where there are covariates, ``p`` is that of their effects, by Wald's two-sided test, NaN for
    all else. It and their intervals go by Student's t with N - 1 degrees of freedom, less one a
    covariate (NaN where none is left), as the spread they are judged by is that of N subjects.

    Where there is no standard error it is NaN, and ``note`` says why: too close to a bound (a
    learning rate of 0, and the baseline that it multiplies), not identified by these trials, or
    not at the maximum of the likelihood (too few epochs, early stopping, truncated gradients).
    Where a parameter is at its bound, errors of the others are those of a fit without it.
    Parameters that were ``left_out``, as so few subjects do not tell them, come last.

    It takes a gradient a parameter, or 2 where the first step does not suit, and one at the fit.
    """
    likelihood = LogLikelihood(model, dataset)
    estimate = likelihood.values(likelihood.fitted)
    error, robust, note = standard_errors(likelihood)
    error /= np.sqrt(dataset.weight_unit)
    values = model.published()
    given = {name: values[name] for name in left_out}
    none = np.full(sum(value.numel() for value in given.values()), np.nan)
    estimate = np.concatenate([estimate, *(to_numpy(value).ravel() for value in given.values())])
    error, robust = np.append(error, none), np.append(robust, none)
    note += [TOO_FEW] * len(none)
    special = {} if model.effects is None else model.effects.labels()
    named = likelihood.published() | given
    lower, upper, p_values = _wald(named, estimate, error, likelihood.n_subjects)
    labels = _labels(named, list(weight_names), list(learned_names), sides.tolist(), special)
    table = pd.DataFrame(labels, columns=["parameter", "side", "weight"]).assign(
        estimate=estimate,
        standard_error=error,
        robust_standard_error=robust,
        lower=lower,
        upper=upper,
        **{} if p_values is None else {"p": p_values},
        note=note,
    )
    return table if (table["side"] != "").any() else table.drop(columns="side")


def _wald(
    values: dict[str, Tensor], estimate: Floats, error: Floats, n_subjects: int
) -> tuple[Floats, Floats, Floats | None]:
    """Return the ends of 95% intervals, (Q,), and p-values, if there are covariates."""
    half = ndtri(0.975) * error
    lower, upper, p_values = estimate - half, estimate + half, np.full(len(error), np.nan)
    names = np.repeat([*values], [value.numel() for value in values.values()])
    spreads, effects = names == SPREAD, names == COVARIATES
    factor = np.exp(half[spreads] / estimate[spreads])
    lower[spreads], upper[spreads] = estimate[spreads] / factor, estimate[spreads] * factor
    if not effects.any():
        return lower, upper, None
    left = n_subjects - 1 - len(values[COVARIATES])
    freedom = left if left > 0 else np.nan
    half = stdtrit(freedom, 0.975) * error[effects]
    lower[effects], upper[effects] = estimate[effects] - half, estimate[effects] + half
    p_values[effects] = 2 * stdtr(freedom, -np.abs(estimate[effects] / error[effects]))
    return lower, upper, p_values


def _labels(
    values: dict[str, Tensor],
    weight_names: list[str],
    learned_names: list[str],
    sides: list[Any],
    special: dict[str, list[tuple[str, str]]],
) -> list[tuple[str, Any, str]]:
    """Name each number: its parameter, and the side and the policy weight that it belongs to.

    ``special`` names those of some parameters: what the table is to call it, and what it is of.
    """
    places: dict[tuple[int, ...], list[tuple[Any, str]]] = {
        (): [("", "")],
        (len(weight_names),): [("", weight) for weight in weight_names],
        (len(learned_names),): [("", weight) for weight in learned_names],
        (len(sides), len(learned_names)): list(product(sides, learned_names)),
    }
    labels: list[tuple[str, Any, str]] = []
    for name, value in values.items():
        if name in special:
            labels += [(what, "", of) for what, of in special[name]]
        elif name == "lapse_rates":
            labels += [(name, side, "") for side in sides]
        elif name == "initial_weights" and value.ndim > 1:  # a set for each choice but the first
            labels += [(name, *place) for place in product(sides[1:], weight_names)]
        else:
            numbered = [("", str(i)) for i in range(value.numel())]
            labels += [(name, *place) for place in places.get(value.shape, numbered)]
    return labels


class LogLikelihood:
    """The log-likelihood, and prior, of scored trials as a function of what was fitted, (P,)."""

    def __init__(self, model: LearningModel, dataset: SequenceDataset) -> None:
        self.model = deepcopy(model)
        self.model.truncation = None  # gradients are to be exact
        self.dataset = dataset
        if model.effects is not None:
            self.dataset = with_own_nodes(dataset)
            place_subjects(self.model, self.dataset)
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        self.parameters = [p for _, p in named]
        spreads = [np.full(p.numel(), name.endswith("log_spread")) for name, p in named]
        self.are_spreads = np.concatenate(spreads)  # (P,), whether it is of subjects' effects
        self.fitted = parameters_to_vector(self.parameters).detach()

    @property
    def n_subjects(self) -> int:
        """N, of subjects of which a trial is scored."""
        return len(self.dataset.scored_subjects)

    def at(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return each subject's log-likelihood (N,) and the gradient of their sum (P,)."""
        vector_to_parameters(parameters, self.parameters)
        subjects = self.dataset.by_subject(map(self._of_block, self.dataset.blocks))
        if self.model.has_prior:  # of which each subject bears its share
            unit = len(subjects) * self.dataset.weight_unit
            subjects = subjects + self.model.log_prior() / unit
        return subjects.detach(), self._gradient(subjects.sum())

    def _of_block(self, block: Block) -> Tensor:
        """Return subjects' log-likelihood, (N,)."""
        assert block.target is not None
        choice, weight = block.target.choice, block.target.weight
        logits = at_nodes(self.model, block)  # (n, T, ...), or (Q, n, T, ...)
        each = self.model.policy.log_probability(logits, choice)
        found = (each * weight).sum(-1)
        if block.nodes is None:
            return block.by_subject(found)
        of_block = block.nodes, block.covariates, block.parts
        return integrate(self.model, *of_block, found, self.dataset.weight_unit)

    def published(self) -> dict[str, Tensor]:
        """Return the values that were fitted, under their textbook names."""
        values = self.model.published()
        return {name: value for name, value in values.items() if value.requires_grad}

    def values(self, parameters: Tensor) -> Floats:
        """Return the published values, (Q,)."""
        return to_numpy(self._values(parameters))

    def jacobian(self) -> Floats:
        """Return the derivatives of the published values at the fit, (Q, P)."""
        return np.stack([to_numpy(self._gradient(v)) for v in self._values(self.fitted)])

    def _values(self, parameters: Tensor) -> Tensor:
        vector_to_parameters(parameters, self.parameters)
        return torch.cat([value.flatten() for value in self.published().values()])

    def _gradient(self, value: Tensor) -> Tensor:
        gradients = torch.autograd.grad(
            value, self.parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([gradient.flatten() for gradient in gradients])


def derivatives(likelihood: LogLikelihood) -> tuple[Floats, Floats]:
    """Return the subjects' scores (N, P) and the observed information (P, P) at the fit."""
    at_fit = likelihood.at(likelihood.fitted)
    along = [_derivatives_along(likelihood, *at_fit, p) for p in range(len(likelihood.fitted))]
    found, columns = zip(*along, strict=True)
    return np.stack(found, 1), np.stack(columns, 1)


def _derivatives_along(
    likelihood: LogLikelihood, subjects: Tensor, gradient: Tensor, p: int
) -> tuple[Floats, Floats]:
    """Return scores (N,) and a column of the information (P,), by a step of a good length.

    ``subjects`` (N,) and ``gradient`` (P,) are the log-likelihood's at the fit.
    """
    size = abs(likelihood.fitted[p].item())
    step, longest = 1e-8 + 1e-6 * size, MAX_ERROR * GOOD_STEP * max(1.0, size)
    for _ in range(MAX_TRIES):
        moved = likelihood.fitted.clone()
        moved[p] += step
        subjects_moved, gradient_moved = likelihood.at(moved)
        score, column = (subjects_moved - subjects) / step, (gradient - gradient_moved) / step
        precision = column[p].abs().sqrt().item()  # 1 / the standard error
        good = MIN_STEP < step * precision < MAX_STEP
        if good or step == longest or not np.isfinite(precision):
            break
        step = min(GOOD_STEP / max(precision, 1e-300), longest)
    return to_numpy(score), to_numpy(column)


def _vanishing(likelihood: LogLikelihood, information: Floats) -> Bools:
    """Tell which parameters may as well be at their bound, (P,); ``information`` is on each alone.

    These are spreads, and roots: what is published, their square, is the same of either sign.
    """
    fitted = to_numpy(likelihood.fitted)
    at_0 = information > _least_precision(fitted) ** 2
    at_0[at_0] = np.abs(fitted[at_0]) * np.sqrt(information[at_0]) < LEAST_OF_ROOT
    for p in np.flatnonzero(at_0):
        turned = likelihood.fitted.repeat(2, 1)
        turned[:, p] = torch.tensor([-1, 1]) * (abs(fitted[p]) or 1.0)
        one, other = map(likelihood.values, turned)
        at_0[p] = np.array_equal(one, other)
    at_least = (fitted <= LOG_LEAST) | (information < LEAST_OF_SPREAD)
    return np.where(likelihood.are_spreads, at_least, at_0)


def _least_precision(fitted: Floats) -> Floats:
    """Return that from which on a parameter is identified, 1 / its standard error, (P,)."""
    return 1 / (MAX_ERROR * np.sqrt(SINGULAR) * np.abs(fitted).clip(1))


def standard_errors(likelihood: LogLikelihood) -> tuple[Floats, Floats, list[str]]:
    """Return the published values' standard errors, robust ones, and notes, each (Q,)."""
    jacobian = likelihood.jacobian()  # (Q, P)
    scores, information = derivatives(likelihood)
    vanishing = _vanishing(likelihood, information.diagonal())
    scores[:, vanishing] = information[vanishing] = information[:, vanishing] = 0
    slope = MAX_SLOPE if likelihood.model.effects is None else MAX_SLOPE_AT_NODES
    at_fit = scores.sum(0), to_numpy(likelihood.fitted)
    directions, curvature = _diagonalize(information, *at_fit, slope)
    known = curvature > 0
    root = directions[:, known] / np.sqrt(curvature[known])  # of the covariance, (P, R)
    changes = jacobian @ root  # (Q, R): one standard error along each direction
    error = np.linalg.norm(changes, axis=1)
    robust = np.linalg.norm(changes @ (scores @ root).T, axis=1)
    n_subjects = likelihood.n_subjects
    robust *= np.sqrt(n_subjects / (n_subjects - 1)) if n_subjects > 1 else np.nan

    length = np.linalg.norm(jacobian @ directions, axis=1)
    unknown = np.linalg.norm(jacobian @ directions[:, curvature == 0], axis=1)
    moves = root @ changes.T / np.where(error > 0, error, 1)  # (P, Q)
    reasons = {
        NOT_MAXIMAL: np.full(len(error), (curvature < 0).any()),
        AT_BOUND: np.abs(jacobian[:, vanishing]).sum(1) > 0,
        NOT_IDENTIFIED: unknown > SHARE_UNKNOWN * length,
    }
    note = np.select(list(reasons.values()), list(reasons), "").astype(object)
    note[(note == "") & _is_bent(likelihood, moves, error)] = AT_BOUND
    error[note != ""] = robust[note != ""] = np.nan
    return error, robust, note.tolist()


def _diagonalize(
    information: Floats, score: Floats, fitted: Floats, max_slope: float
) -> tuple[Floats, Floats]:
    """Return directions (P, P), as columns, along each of which alone the information bends.

    And the curvature along each, (P,): 0 where it cannot be told from 0, negative where there
    is no maximum. Lengths are such that it is about 1 where parameters are independent.
    """
    precision = np.sqrt(np.abs(information.diagonal())).clip(_least_precision(fitted))
    if not (np.isfinite(information).all() and np.linalg.norm(score / precision) < max_slope):
        return np.eye(len(fitted)), np.full(len(fitted), -1.0)
    scaled = information / (precision * precision[:, None])
    # Differences have their error, which asymmetry tells; and a ridge that is level but curved
    # bends along itself by as much as it still rises across.
    asymmetry, slope = np.abs(scaled - scaled.T).max(), np.linalg.norm(score / precision)
    tolerance = max(SINGULAR, 10 * asymmetry, slope)
    curvature, directions = np.linalg.eigh((scaled + scaled.T) / 2)
    return directions / precision[:, None], np.where(np.abs(curvature) > tolerance, curvature, 0)


def _is_bent(likelihood: LogLikelihood, moves: Floats, error: Floats) -> Bools:
    """Tell where the slope at the fit says nothing of how a value changes around it, (Q,).

    Each of ``moves`` (P, Q) is one standard error of a value. Where a root goes to 0, its square
    changes by far more than its slope says, and what is divided by the square by far less.
    """
    here = likelihood.values(likelihood.fitted)
    change = np.zeros(len(here))  # to expect by the slope: 1
    for q in np.flatnonzero(error > 0):
        move = torch.as_tensor(moves[:, q]).to(likelihood.fitted)
        for part in (-1, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1):
            there = likelihood.values(likelihood.fitted + part * move)
            change[q] = np.fmax(change[q], abs((there - here)[q] / part) / error[q])
    return ~((change > 1 / MAX_BEND) & (change < MAX_BEND))
