"""A simulated cohort of animals that learn by a known rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from numbers import Integral
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, check_scalar

from ..estimators.subject_effects import INITIAL_WEIGHTS, read_effects, with_own_numbers
from ..preprocessing import tanh_contrast
from ..rules import LearningRule, ReinforceRule
from ..simulation import Simulation, UpdateFunction, simulate_learning
from ..utils.arrays import Bools, Floats, Ints

WEIGHTS = ["stimulus", "bias"]
CURRICULUM = (
    (1.0, 0.5),
    (1.0, 0.5, 0.25),
    (1.0, 0.5, 0.25, 0.125),
    (1.0, 0.5, 0.25, 0.125, 0.0625),
    (1.0, 0.5, 0.25, 0.125, 0.0625, 0.0),
    (1.0, 0.25, 0.125, 0.0625, 0.0),
)
"""Contrasts by training stage, easy first, as in the International Brain Laboratory's task."""


class ContrastTask:
    """Two-choice contrast discrimination: an animal that does well moves up a stage at a
    session's start.

    Parameters
    ----------
    session_start : bool ndarray of shape (N, T)
    curriculum : sequence of sequences of contrasts, default=CURRICULUM
    criterion : float, default=0.8
        The share of correct choices in a session that earns the next stage.
    random_state : int, RandomState or None, default=None

    Examples
    --------
    >>> session_start = np.arange(100) % 50 == np.zeros((2, 1))  # (2, 100), two sessions
    >>> task = ContrastTask(session_start, random_state=0)
    >>> stimulus, right_is_correct = task.show(0)
    >>> stimulus.shape, task.reward(0, right_is_correct).shape
    ((2, 1), (2,))
    """

    def __init__(
        self,
        session_start: Bools,
        curriculum: Sequence[Sequence[float]] = CURRICULUM,
        criterion: float = 0.8,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.session_start = session_start
        self.criterion = criterion
        self.random_state = check_random_state(random_state)
        self.n_contrasts = np.array([len(stage) for stage in curriculum])
        self.contrasts = np.zeros((len(curriculum), self.n_contrasts.max()))
        for row, stage in zip(self.contrasts, curriculum, strict=True):
            row[: len(stage)] = stage
        n_subjects, n_trials = session_start.shape
        self.contrast = np.zeros((n_subjects, n_trials))  # signed, as shown
        self.stage = np.zeros(n_subjects, dtype=int)
        self.n_correct = np.zeros(n_subjects)
        self.n_seen = np.zeros(n_subjects)

    def show(self, trial: int) -> tuple[Floats, Bools]:
        """Draw a contrast of the animal's stage and a side."""
        self._promote(self.session_start[:, trial])
        draw = self.random_state.random_sample((2, len(self.stage)))
        right = draw[0] < 0.5
        which = (draw[1] * self.n_contrasts[self.stage]).astype(int)
        self.contrast[:, trial] = self.contrasts[self.stage, which] * np.where(right, 1, -1)
        return tanh_contrast(self.contrast[:, trial])[:, None], right

    def reward(self, trial: int, correct: Bools) -> Floats:
        """Pay 1 for a correct choice, else 0."""
        del trial
        self.n_correct += correct
        self.n_seen += 1
        return correct.astype(float)

    def _promote(self, opens: Bools) -> None:
        earned = opens & (self.n_correct >= self.criterion * np.maximum(self.n_seen, 1))
        self.stage = np.minimum(self.stage + earned, len(self.n_contrasts) - 1)
        self.n_correct[opens] = 0
        self.n_seen[opens] = 0


@overload
def make_learning_cohort(
    n_subjects: int = 12,
    n_trials: int = 1000,
    *,
    rule: LearningRule | UpdateFunction | None = None,
    initial_weights: ArrayLike = (0.0, 0.0),
    curriculum: Sequence[Sequence[float]] = CURRICULUM,
    criterion: float = 0.8,
    session_length: int = 150,
    length_spread: float = 0.2,
    lapses: float | Sequence[float] = 0.0,
    subject_effects: Mapping[str, ArrayLike] | None = None,
    miss_rate: float = 0.0,
    unknown_reward_rate: float = 0.0,
    n_blocks: int = 1,
    random_state: int | np.random.RandomState | None = None,
    return_weights: Literal[False] = False,
) -> pd.DataFrame: ...


@overload
def make_learning_cohort(
    n_subjects: int = 12,
    n_trials: int = 1000,
    *,
    rule: LearningRule | UpdateFunction | None = None,
    initial_weights: ArrayLike = (0.0, 0.0),
    curriculum: Sequence[Sequence[float]] = CURRICULUM,
    criterion: float = 0.8,
    session_length: int = 150,
    length_spread: float = 0.2,
    lapses: float | Sequence[float] = 0.0,
    subject_effects: Mapping[str, ArrayLike] | None = None,
    miss_rate: float = 0.0,
    unknown_reward_rate: float = 0.0,
    n_blocks: int = 1,
    random_state: int | np.random.RandomState | None = None,
    return_weights: Literal[True],
) -> tuple[pd.DataFrame, pd.DataFrame]: ...


def make_learning_cohort(
    n_subjects: int = 12,
    n_trials: int = 1000,
    *,
    rule: LearningRule | UpdateFunction | None = None,
    initial_weights: ArrayLike = (0.0, 0.0),
    curriculum: Sequence[Sequence[float]] = CURRICULUM,
    criterion: float = 0.8,
    session_length: int = 150,
    length_spread: float = 0.2,
    lapses: float | Sequence[float] = 0.0,
    subject_effects: Mapping[str, ArrayLike] | None = None,
    miss_rate: float = 0.0,
    unknown_reward_rate: float = 0.0,
    n_blocks: int = 1,
    random_state: int | np.random.RandomState | None = None,
    return_weights: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate animals that learn contrast discrimination by a known rule.

    Parameters
    ----------
    n_subjects, n_trials : int
        Animals, and trials of an animal on average.
    rule : LearningRule, function or None, default=None
        Any rule of the package, or a function of numpy arrays ``(weights (N, 2), trial)`` that
        returns the update (N, 2), where ``trial`` is a :class:`~sklearn_learnrule.rules.Trial`.
        None: REINFORCE with learning rate .02 and baseline -.3 for both weights: slow learners
        that also learn from errors.
    initial_weights : array of shape (2,) or (n_subjects, 2), default=(0, 0)
        Weights of stimulus and bias before the first trial.
    curriculum : sequence of sequences of contrasts
        The contrasts of each stage; by default ``CURRICULUM``.
    criterion : float, default=0.8
        The share of correct choices in a session that earns the next stage.
    session_length : int, default=150
        Trials of a session on average.
    length_spread : float, default=0.2
        Numbers of trials, of subjects and sessions, vary uniformly by this share around their
        average; 0: all alike.
    lapses : float or pair of floats, default=0
        Rates of lapsing to "left" and to "right": of choices made whatever the weights say.
    subject_effects : mapping of str to array of shape (n_subjects,), or None, default=None
        What is each animal's own, by parameter of a LearningRule, such as "learning_rate" or
        "learning_rate[bias]": the logarithm of the factor by which the animal's is above the
        rule's or, of parameters that may be negative, how far it lies above it.
    miss_rate : float, default=0
        Share of trials that are missed: rows without choice and reward, after which the same
        stimulus is shown again. Numbers of trials are those of choices.
    unknown_reward_rate : float, default=0
        Share of choices whose reward nobody knows, and from which nothing is learned.
    n_blocks : int, default=1
        Blocks of an animal, in each of which it learns from the beginning, and which share its
        trials evenly.
    random_state : int, RandomState or None, default=None
    return_weights : bool, default=False
        Whether to return the true weights too.

    Returns
    -------
    trials : DataFrame
        ``subject``, ``session``, ``contrast`` (signed, right is positive), ``stimulus`` (the
        contrast through ``tanh``), ``choice`` and ``answer`` ("left" or "right"), ``reward``;
        with several blocks ``block``, after the session.
    weights : DataFrame, only if ``return_weights``
        The weights before each choice, columns ``stimulus`` and ``bias``, with the index of
        :func:`~sklearn_learnrule.make_design`'s X.

    Examples
    --------
    >>> trials = make_learning_cohort(n_subjects=3, n_trials=100, random_state=0)
    >>> trials.head(3)
        subject  session  contrast  stimulus choice answer  reward
    0  mouse_01        1      -0.5 -0.986704  right   left     0.0
    1  mouse_01        1      -0.5 -0.986704   left   left     1.0
    2  mouse_01        1       1.0  1.000000  right  right     1.0
    """
    rng = check_random_state(random_state)
    _check_rates(miss_rate=miss_rate, unknown_reward_rate=unknown_reward_rate)
    check_scalar(n_blocks, "n_blocks", Integral, min_val=1)
    n_sequences, mean = n_subjects * n_blocks, -(-n_trials // n_blocks)
    lengths = _around(mean, length_spread, n_sequences, rng)
    session = _sessions(n_sequences, lengths.max(), session_length, length_spread, rng)
    opens = np.diff(session, axis=1, prepend=0) > 0
    task = ContrastTask(opens, curriculum, criterion, rng)
    if rule is None:
        rule = ReinforceRule(2, "free", learning_rate=0.02, initial_baseline=-0.3)
    rule, own = _individual(rule, subject_effects or {}, n_subjects)
    start = np.broadcast_to(initial_weights, (n_subjects, 2)).repeat(n_blocks, axis=0)
    known = _known(opens.shape, unknown_reward_rate, rng)
    context = torch.as_tensor(own.repeat(n_blocks, axis=0))
    told: Any = {"lapses": lapses, "context": context, "reward_known": known}
    simulation = simulate_learning(rule, task, start, opens, rng, **told)
    happened = np.arange(lengths.max()) < lengths[:, None]  # (N, T)
    trials = _as_table(simulation, known, session, task.contrast, happened, n_blocks)
    weights = _weights(trials, simulation.weights[happened], n_blocks)
    if miss_rate:
        trials = _with_missed(trials, rng.geometric(1 - miss_rate, len(trials)))
    return (trials, weights) if return_weights else trials


def _known(shape: Any, unknown_rate: float, rng: np.random.RandomState) -> Bools | None:
    """Draw whose reward is known; nothing if all are, so that seeds keep their animals."""
    return rng.random_sample(shape) >= unknown_rate if unknown_rate else None


def _check_rates(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"{name} should be from 0 to below 1, got {rate}.")


def _individual(
    rule: LearningRule | UpdateFunction, effects: Mapping[str, ArrayLike], n_subjects: int
) -> tuple[LearningRule | UpdateFunction, Floats]:
    """Return a rule that reads what is animals' own, and what it reads, (N, L)."""
    context = np.zeros((n_subjects, len(effects)))
    if not effects:
        return rule, context
    if not isinstance(rule, LearningRule):
        raise TypeError("subject_effects are of a LearningRule's parameters; a function has none.")
    own = read_effects(list(effects), rule, None, WEIGHTS, WEIGHTS)
    if any(effect.parameter == INITIAL_WEIGHTS for effect in own.effects):
        raise ValueError("Animals' own initial weights are given as initial_weights, (N, 2).")
    for column, (name, values) in zip(context.T, effects.items(), strict=True):
        if np.shape(values) != (n_subjects,):
            raise ValueError(
                f"subject_effects[{name!r}] should have a number for each of {n_subjects} animals, "
                f"got shape {np.shape(values)}."
            )
        column[:] = values
    return with_own_numbers(deepcopy(rule), own, None), context


def _as_table(
    simulation: Simulation,
    known: Bools | None,
    session: Ints,
    contrast: Floats,
    happened: Bools,
    n_blocks: int,
) -> pd.DataFrame:
    """Lay the trials that happened, of (N, T), out as rows, animal by animal."""
    sides = np.array(["left", "right"])
    names = np.array([f"mouse_{i + 1:02d}" for i in range(len(happened) // n_blocks)])
    sequence = np.nonzero(happened)[0]
    last = np.where(happened, session, 0).max(1)
    session = session + _counts_before(last, n_blocks)[:, None]
    table = pd.DataFrame(
        {
            "subject": names[sequence // n_blocks],
            "session": session[happened],
            "contrast": contrast[happened],
            "stimulus": simulation.stimulus[happened][:, 0],
            "choice": sides[simulation.choice[happened].astype(int)],
            "answer": sides[simulation.answer[happened].astype(int)],
            "reward": simulation.reward[happened],
        }
    )
    if known is not None:
        table["reward"] = table["reward"].where(known[happened])
    if n_blocks > 1:
        table.insert(2, "block", sequence % n_blocks + 1)
    return table


def _weights(trials: pd.DataFrame, weights: Floats, n_blocks: int) -> pd.DataFrame:
    """Return the true weights with the index of the trials' design."""
    levels: dict[str, Any] = {"subject": trials["subject"], "session": trials["session"]}
    if n_blocks > 1:
        levels["restart"] = trials["block"] - 1
    levels["trial"] = trials.groupby("subject").cumcount()
    index = pd.MultiIndex.from_arrays([*levels.values()], names=[*levels])
    return pd.DataFrame(weights, columns=WEIGHTS, index=index)


def _with_missed(trials: pd.DataFrame, times_shown: Ints) -> pd.DataFrame:
    """Show each trial so many times, of which all but the last are missed."""
    rows = np.repeat(np.arange(len(trials)), times_shown)
    made = np.append(rows[1:] != rows[:-1], True)
    table = trials.iloc[rows].reset_index(drop=True)
    for name in ("choice", "reward"):
        table[name] = table[name].where(made)
    return table


def _counts_before(counts: Ints, n_blocks: int) -> Ints:
    """Return of each block the sum of the counts of the animal's blocks before."""
    by_animal = counts.reshape(-1, n_blocks)
    return (by_animal.cumsum(1) - by_animal).ravel()


def _around(mean: int, spread: float, size: Any, rng: np.random.RandomState) -> Ints:
    low, high = round(mean * (1 - spread)), round(mean * (1 + spread))
    return rng.randint(max(low, 1), max(high, 1) + 1, size)


def _sessions(
    n_subjects: int, n_trials: int, length: int, spread: float, rng: np.random.RandomState
) -> Ints:
    """Number each trial's session 1, 2, ..., (N, T)."""
    session = np.ones((n_subjects, n_trials), dtype=np.int64)
    for row in session:
        ends = np.cumsum(_around(length, spread, 2 + 2 * n_trials // max(length, 1), rng))
        row += np.searchsorted(ends, np.arange(n_trials), side="right")
    return session
