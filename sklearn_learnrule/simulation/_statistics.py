"""What animals and twins did, in numbers: learning curves, psychometric curves, habits.

M trials, C cohorts; K counts what a psychometric curve is made of, stimuli and a bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from ..utils.arrays import Bools, Floats, Ints
from ._learning import Simulation

OF_ALL = 0  # stands for the block of a statistic of all trials
ONE_SIDED = 0.97  # share of choices of one class that are as good as all
PRIOR_STD = 5.0  # of a psychometric curve's weights, in units of their stimuli's deviation
STEPS, LONGEST_STEP, TOLERANCE = 30, 2.0, 1e-6  # of Newton's method


@dataclass(frozen=True)
class Behaviour:
    """What C cohorts did on the same M trials, those of each sequence in a row."""

    animal: Ints  # (M,)
    sequence: Ints  # (M,) whose first trial is the animal's, or one after a restart
    place: Ints  # (M,) in the sequence
    block: Ints  # (M,), from 1
    stimulus: Floats  # (M, C, K - 1)
    choice: Ints  # (M, C), the class, 0, 1, ...
    correct: Bools  # (M, C)
    reward: Floats  # (M, C)

    def as_twins_did(self, simulation: Simulation, sequence: Ints, happened: Bools) -> Behaviour:
        """Return what twins did in place of animals, each of whom has C twins.

        ``sequence`` says which of the animals' N sequences each of the simulation's was given.
        """
        twins = np.argsort(sequence, kind="stable").reshape(len(happened), -1)  # (N, C)

        def trials(values: NDArray[Any]) -> NDArray[Any]:
            return values[twins].swapaxes(1, 2)[happened]  # (M, C, ...)

        return replace(
            self,
            stimulus=trials(simulation.stimulus),
            choice=trials(simulation.choice.astype(int)),
            correct=trials(simulation.choice == simulation.answer),
            reward=trials(simulation.reward),
        )


@dataclass(frozen=True)
class Statistics:
    """What is told of behaviour: see :func:`~.predictive_check`."""

    shares: dict[str, int]  # the classes whose share is told, by the statistic's name
    units: dict[str, float]  # of each stimulus, by its slope's name; none of more than two classes
    criterion: float
    window: int
    rewarded_above: float = 0.0
    tells_correct: bool = True  # whether anybody knows what was correct

    def of(self, did: Behaviour) -> pd.DataFrame:
        """Return them, (n_rows, C), by ``statistic``, ``subject`` and ``block``."""
        always = np.ones_like(did.correct)
        goes_on = (np.diff(did.sequence) == 0) & (np.diff(did.place) == 1)
        stayed = did.choice[1:] == did.choice[:-1]
        won = did.reward[:-1] > self.rewarded_above
        blocks, animals = (did.animal, did.block), (did.animal[1:], np.full(len(won), OF_ALL))
        tables = {"accuracy": _share(did.correct, always, *blocks)}
        if not self.tells_correct:
            tables = {"reward": _share(did.reward, always, *blocks)}
        for name, number in self.shares.items():
            tables[name] = _share(did.choice == number, always, *blocks)
        if self.units:
            tables |= _psychometric(did, self.units)
        tables["one_sided"] = _one_sided(did, range(did.choice.max() + 1))
        tables["win_stay"] = _share(stayed, won & goes_on[:, None], *animals)
        tables["lose_shift"] = _share(~stayed, ~won & goes_on[:, None], *animals)
        if self.tells_correct:
            tables["trials_to_criterion"] = trials_to_criterion(did, self.criterion, self.window)
        return pd.concat(tables, names=["statistic", "subject", "block"])


def _share(event: Bools | Floats, given: Bools, animal: Ints, block: Ints) -> pd.DataFrame:
    """Return the share of the event, or mean, where it could be, of each animal by block."""
    total, n_given = (
        pd.DataFrame(values.astype(float)).groupby([animal, block]).sum()
        for values in (event * given, given)
    )
    return total / n_given


def _one_sided(did: Behaviour, classes: range) -> pd.DataFrame:
    """Return whether nearly all choices of a block were of one class, 0 or 1."""
    always = np.ones_like(did.correct)
    shares = [_share(did.choice == number, always, did.animal, did.block) for number in classes]
    largest = np.max([share.to_numpy() for share in shares], axis=0)
    return pd.DataFrame((largest >= ONE_SIDED).astype(float), shares[0].index)


def _psychometric(did: Behaviour, units: dict[str, float]) -> dict[str, pd.DataFrame]:
    """Return the bias and slopes of each animal's psychometric curve in each block."""
    unit = np.array([*units.values()])
    bias = np.ones((*did.choice.shape, 1))
    features = np.concatenate([did.stimulus / unit, bias], -1)  # (M, C, K)
    cells = pd.MultiIndex.from_arrays([did.animal, did.block])
    cell, names = pd.factorize(cells, sort=True)
    weights = logistic_weights(features, did.choice == 1, cell)  # (n_cells, C, K)
    weights[..., :-1] /= unit
    columns = dict(zip([*units, "bias"], np.moveaxis(weights, -1, 0), strict=True))
    return {name: pd.DataFrame(columns[name], names) for name in ("bias", *units)}


def logistic_weights(features: Floats, chosen: Bools, cell: Ints) -> Floats:
    """Return the weights of logistic regressions, one of each cell's choices in each cohort.

    They maximize the likelihood times a normal prior, of mean 0 and standard deviation
    ``PRIOR_STD``, without which a weight would be infinite where choices are all correct or all
    of one side. Tens of thousands of small regressions are solved at once, by Newton's method.

    Parameters
    ----------
    features : ndarray of shape (M, C, K)
    chosen : bool ndarray of shape (M, C)
    cell : int ndarray of shape (M,), 0, 1, ..., each of which occurs

    Returns
    -------
    ndarray of shape (n_cells, C, K)

    Examples
    --------
    >>> stimulus = np.tile([-1.0, 1.0], 50)
    >>> features = np.column_stack([stimulus, np.ones(100)])[:, None]
    >>> chosen = stimulus[:, None] > 0
    >>> chosen[:20] ^= True  # a fifth is wrong
    >>> logistic_weights(features, chosen, np.zeros(100, dtype=int)).round(1)
    array([[[1.4, 0. ]]])
    """
    order = np.argsort(cell, kind="stable")
    features, chosen, cell = features[order], chosen[order], cell[order]
    first = np.flatnonzero(np.diff(cell, prepend=-1))

    def total(values: Floats) -> Floats:
        return np.add.reduceat(values, first, axis=0)  # (n_cells, ...)

    n_weights = features.shape[-1]
    weights = np.zeros((len(first), chosen.shape[1], n_weights))
    prior = np.eye(n_weights) / PRIOR_STD**2
    bend = np.empty((*weights.shape, n_weights))
    for _ in range(STEPS):
        p = expit((features * weights[cell]).sum(-1))  # (M, C)
        gradient = total(features * (chosen - p)[..., None]) - weights @ prior
        weighted = features * (p * (1 - p))[..., None]
        for i in range(n_weights):
            bend[..., i, :] = total(weighted * features[..., i, None])
        step = np.linalg.solve(bend + prior, gradient[..., None])[..., 0]
        weights += step.clip(-LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max() < TOLERANCE:
            break
    return weights


def trials_to_criterion(did: Behaviour, criterion: float, window: int) -> pd.DataFrame:
    """Return the mean over an animal's sequences of the trials that it needed, (n_animals, C).

    A sequence shorter than the window tells nothing of it, and one that never reaches it, all its
    trials; NaN of an animal that has only such as tell nothing.
    """
    sequences, start, length = np.unique(did.sequence, return_index=True, return_counts=True)
    counts = [
        reach_criterion(did.correct[did.sequence == sequence].T, criterion, window)[0]
        for sequence in sequences
    ]
    told = np.where(length[:, None] < window, np.nan, counts)
    animal = did.animal[start]
    return pd.DataFrame(told).groupby([animal, np.full_like(animal, OF_ALL)]).mean()


def reach_criterion(right: Floats | Bools, criterion: float, window: int) -> tuple[Ints, Bools]:
    """Return after how many trials the mean of the last ``window`` reaches the criterion, (N,).

    Of how right a choice is, or its chance, (N, T); all T where it never does; and whether it does.
    """
    total = np.pad(right, [(0, 0), (1, 0)]).cumsum(1)
    enough = total[:, window:] - total[:, :-window] >= criterion * window
    reached = enough.any(1)
    first = np.pad(enough, [(0, 0), (0, 1)]).argmax(1)  # of none, if T is below the window
    return np.where(reached, first + window, right.shape[1]), reached
