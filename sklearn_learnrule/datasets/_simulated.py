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

from ..data.schema import weight_columns
from ..estimators.subject_effects import INITIAL_WEIGHTS, read_effects, with_own_numbers
from ..rules import LearningRule, Policy, ReinforceRule
from ..simulation import FunctionRule, Simulation, UpdateFunction, simulate_learning
from ..utils.arrays import Bools, Floats, Ints
from ._contrast_task import CURRICULUM, ContrastTask


@overload
def make_learning_cohort(
    n_subjects: int = 12,
    n_trials: int = 1000,
    *,
    n_choices: int = 2,
    rule: LearningRule | UpdateFunction | None = None,
    initial_weights: ArrayLike = 0.0,
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
    n_choices: int = 2,
    rule: LearningRule | UpdateFunction | None = None,
    initial_weights: ArrayLike = 0.0,
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
    n_choices: int = 2,
    rule: LearningRule | UpdateFunction | None = None,
    initial_weights: ArrayLike = 0.0,
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

    The task is a :class:`ContrastTask`. Of C > 2 choices, "A", "B", "C" and so on, a stimulus
    column each says what is shown at its place, so that there are K = C + 1 features.

    Parameters
    ----------
    n_subjects, n_trials : int
        Animals, and trials of an animal on average.
    n_choices : int, default=2
        C, 2 to 26.
    rule : LearningRule, function or None, default=None
        Any rule of the package, or a function of numpy arrays ``(weights (N, 2), trial)`` that
        returns the update (N, 2), where ``trial`` is a :class:`~sklearn_learnrule.rules.Trial`.
        Of C > 2 choices weights are (N, (C - 1) K), see :class:`~sklearn_learnrule.rules.Policy`.
        None: REINFORCE with learning rate .02 (of more than two choices .1) and baseline -.3 for
        all weights: slow learners that also learn from errors.
    initial_weights : float or array of shape (2,) or (n_subjects, 2), default=0
        Weights of stimulus and bias before the first trial; of C > 2 choices (C - 1, K) or
        (n_subjects, C - 1, K), a set for each but the first.
    curriculum : sequence of sequences of contrasts
        The contrasts of each stage; by default ``CURRICULUM``.
    criterion : float, default=0.8
        The share of correct choices in a session that earns the next stage.
    session_length : int, default=150
        Trials of a session on average.
    length_spread : float, default=0.2
        Numbers of trials, of subjects and sessions, vary uniformly by this share around their
        average; 0: all alike.
    lapses : float or C floats, default=0
        Rates of lapsing to each choice, "left" and "right": of choices made whatever the weights
        say.
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
        with several blocks ``block``, after the session. Of C > 2 choices the contrast has no
        sign, and in place of ``stimulus`` are ``stimulus_A``, ``stimulus_B`` and so on, 0 but for
        that of the answer.
    weights : DataFrame, only if ``return_weights``
        The weights before each choice, with the index of :func:`~sklearn_learnrule.make_design`'s
        X and columns ``stimulus`` and ``bias`` or, of C > 2 choices, ``(choice, weight)``.

    Raises
    ------
    ValueError
        If a rate is not from 0 to below 1, or the rule is of other choices or weights.

    Examples
    --------
    >>> trials = make_learning_cohort(n_subjects=3, n_trials=100, random_state=0)
    >>> trials.head(3)
        subject  session  contrast  stimulus choice answer  reward
    0  mouse_01        1      -0.5 -0.986704  right   left     0.0
    1  mouse_01        1      -0.5 -0.986704   left   left     1.0
    2  mouse_01        1       1.0  1.000000  right  right     1.0

    Of three choices:

    >>> trials = make_learning_cohort(3, 100, n_choices=3, random_state=0)
    >>> trials.columns[2:].tolist()
    ['contrast', 'stimulus_A', 'stimulus_B', 'stimulus_C', 'choice', 'answer', 'reward']
    """
    rng = check_random_state(random_state)
    _check_rates(miss_rate=miss_rate, unknown_reward_rate=unknown_reward_rate)
    check_scalar(n_blocks, "n_blocks", Integral, min_val=1)
    n_sequences, mean = n_subjects * n_blocks, -(-n_trials // n_blocks)
    lengths = _around(mean, length_spread, n_sequences, rng)
    session = _sessions(n_sequences, lengths.max(), session_length, length_spread, rng)
    opens = np.diff(session, axis=1, prepend=0) > 0
    task = ContrastTask(opens, curriculum, criterion, rng, n_choices)
    features = [*task.stimuli, "bias"]
    rule, own = _individual(_of_task(rule, task), subject_effects or {}, n_subjects, features)
    start = _start(initial_weights, (n_subjects, *Policy(n_choices).shape, len(features)))
    known = _known(opens.shape, unknown_reward_rate, rng)
    context = torch.as_tensor(own.repeat(n_blocks, axis=0))
    told: Any = {"lapses": lapses, "context": context, "reward_known": known}
    simulation = simulate_learning(rule, task, start.repeat(n_blocks, 0), opens, rng, **told)
    happened = np.arange(lengths.max()) < lengths[:, None]  # (N, T)
    trials = _as_table(simulation, known, session, task, happened, n_blocks)
    weights = _weights(trials, simulation.weights[happened], task, n_blocks)
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


def _of_task(
    rule: LearningRule | UpdateFunction | None, task: ContrastTask
) -> LearningRule | UpdateFunction:
    """Return the rule, the default if there is none; raise if it is of another task."""
    n_choices = task.n_choices
    n_weights = Policy(n_choices).n_sets * (len(task.stimuli) + 1)
    if rule is None:
        rate = 0.02 if n_choices == 2 else 0.1  # each weight is moved on fewer trials
        how: Any = {"learning_rate": rate, "initial_baseline": -0.3, "n_choices": n_choices}
        return ReinforceRule(n_weights, "free", **how)
    if not isinstance(rule, LearningRule):
        return rule if n_choices == 2 else FunctionRule(n_weights, rule, n_choices)
    if (rule.n_weights, rule.policy.n_choices) != (n_weights, n_choices):
        raise ValueError(
            f"This task needs a rule of {n_weights} weights and {n_choices} choices, "
            f"{type(rule).__name__}({n_weights}, n_choices={n_choices}), but that given is of "
            f"{rule.n_weights} and {rule.policy.n_choices}."
        )
    return rule


def _start(initial_weights: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Return each animal's weights before the first trial, all sets in a row, (N, (C - 1) K)."""
    return np.broadcast_to(initial_weights, shape).reshape(shape[0], -1).astype(float)


def _individual(
    rule: LearningRule | UpdateFunction,
    effects: Mapping[str, ArrayLike],
    n_subjects: int,
    features: list[str],
) -> tuple[LearningRule | UpdateFunction, Floats]:
    """Return a rule that reads what is animals' own, and what it reads, (N, L)."""
    context = np.zeros((n_subjects, len(effects)))
    if not effects:
        return rule, context
    if isinstance(rule, FunctionRule) or not isinstance(rule, LearningRule):
        raise TypeError("subject_effects are of a LearningRule's parameters; a function has none.")
    own = read_effects(list(effects), rule, None, features, features)
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
    task: ContrastTask,
    happened: Bools,
    n_blocks: int,
) -> pd.DataFrame:
    """Lay the trials that happened, of (N, T), out as rows, animal by animal."""
    labels = np.array(task.choices)
    names = np.array([f"mouse_{i + 1:02d}" for i in range(len(happened) // n_blocks)])
    sequence = np.nonzero(happened)[0]
    last = np.where(happened, session, 0).max(1)
    session = session + _counts_before(last, n_blocks)[:, None]
    table = pd.DataFrame(
        {
            "subject": names[sequence // n_blocks],
            "session": session[happened],
            "contrast": task.contrast[happened],
            **dict(zip(task.stimuli, simulation.stimulus[happened].T, strict=True)),
            "choice": labels[simulation.choice[happened].astype(int)],
            "answer": labels[simulation.answer[happened].astype(int)],
            "reward": simulation.reward[happened],
        }
    )
    if known is not None:
        table["reward"] = table["reward"].where(known[happened])
    if n_blocks > 1:
        table.insert(2, "block", sequence % n_blocks + 1)
    return table


def _weights(
    trials: pd.DataFrame, weights: Floats, task: ContrastTask, n_blocks: int
) -> pd.DataFrame:
    """Return the true weights with the index of the trials' design."""
    levels: dict[str, Any] = {"subject": trials["subject"], "session": trials["session"]}
    if n_blocks > 1:
        levels["restart"] = trials["block"] - 1
    levels["trial"] = trials.groupby("subject").cumcount()
    index = pd.MultiIndex.from_arrays([*levels.values()], names=[*levels])
    columns = weight_columns([*task.stimuli, "bias"], task.choices)
    return pd.DataFrame(weights, columns=columns, index=index)


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
