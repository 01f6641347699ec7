"""Animals that learn by a known rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..engine import threads
from ..rules import NO_CONTEXT, LearningRule, Policy, Trial, lapse_rates
from ..utils.arrays import Bools, Floats, Ints

UpdateFunction = Callable[[Floats, Trial], Any]
Choices = NDArray[Any]  # of two, whether the second (bool); of more, 0, 1, ... C - 1 (int)
# What is earned, by whether a choice is correct, and which would be.
Pay = Callable[[Bools, Choices, np.random.RandomState], Floats]


class Shows(Protocol):
    """What shows stimuli, trial by trial."""

    def show(self, trial: int) -> tuple[Floats, Choices]:
        """Return the stimulus (N, S) and the correct choice (N,).

        Of two choices that is whether the second is correct; of C > 2 it is 0, 1, ... or C - 1.
        """


class Task(Shows, Protocol):
    """What an experiment shows and pays; it may watch the animals to set the next trial."""

    def reward(self, trial: int, correct: Bools) -> Floats:
        """Return the rewards (N,) for choices that were or were not correct.

        A task that pays each choice something else, as the arms of a bandit, has a method
        ``reward_of_choice(trial, choice)`` in its place, which is given the choices (N,).
        """


def reward_of(task: Any, trial: int, choice: Choices, answer: Choices) -> Floats:
    """Return the rewards (N,) that a task pays for choices, or for whether they were correct."""
    if hasattr(task, "reward_of_choice"):
        return task.reward_of_choice(trial, choice)
    return task.reward(trial, choice == answer)


@dataclass(frozen=True)
class Simulation:
    """What happened, each (N, T) or, for stimulus and weights, (N, T, S) and (N, T, K).

    Choices and answers are as in a :class:`Task`; of C > 2, weights are (N, T, (C - 1) K).
    """

    stimulus: Floats
    choice: Choices
    reward: Floats
    answer: Choices
    weights: Floats


class FunctionRule(LearningRule):
    """A plain function ``update = function(weights, trial)`` of numpy arrays as a rule.

    Of C choices there are (C - 1) K weights, see :class:`~sklearn_learnrule.rules.Policy`.
    """

    def __init__(self, n_weights: int, function: UpdateFunction, n_choices: int = 2) -> None:
        super().__init__(n_weights, n_choices=n_choices)
        self.function = function

    def forward(
        self, weights: torch.Tensor, trial: Trial, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        copied = trial.map(lambda values: values.numpy().copy())  # the function's to write in
        update = self.function(weights.numpy().copy(), copied)
        return torch.as_tensor(update).to(weights), memory


def simulate_learning(
    rule: LearningRule | UpdateFunction,
    task: Shows,
    initial_weights: Floats,
    session_start: Bools,
    random_state: np.random.RandomState,
    *,
    process_noise: ArrayLike = 0.0,
    session_noise: ArrayLike = 0.0,
    lapses: float | Sequence[float] = 0.0,
    context: torch.Tensor = NO_CONTEXT,
    reward_known: Bools | None = None,
    misses: Ints | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> Simulation:
    """Let N animals do a task while a rule moves their policy's weights.

    Parameters
    ----------
    rule : LearningRule or function of (weights (N, K), Trial) returning the update (N, K)
        A rule of C > 2 choices moves (C - 1) K weights; a function of so many is given as
        ``FunctionRule((C - 1) * K, function, C)``.
    task : Task
    initial_weights : ndarray of shape (N, K) or, of C > 2 choices, (N, (C - 1) K)
    session_start : bool ndarray of shape (N, T)
        Whether a trial opens a session.
    random_state : RandomState
    process_noise : float or array of shape (K,) or (N, K), default=0
        Standard deviation of the Gaussian noise that moves each weight after each trial, beside
        the rule; of C > 2 choices as of :class:`~sklearn_learnrule.rules.ProcessNoise`.
    session_noise : float or array of shape (K,) or (N, K), default=0
        That of a further step where a session opens.
    lapses : float or C floats, default=0
        Rates at which each choice is made whatever the weights say.
    context : Tensor of shape (N, L)
        What a rule is told of each animal, see :class:`~sklearn_learnrule.rules.Trial`.
    reward_known : bool ndarray of shape (N, T) or None, default=None
        Whether anybody knows the reward; where not, it is 0, and what a rule that does not read
        ``reward_known`` learns is nothing. None: of every trial.
    misses : int ndarray of shape (N, T) or None, default=None
        How many trials are missed before each; noise goes on meanwhile. None: none.
    on_trial : function of Trial or None, default=None
        Is given each trial before the rule is.

    Raises
    ------
    ValueError
        If there are not as many initial weights as the task's stimuli and the rule's choices need,
        or the task's answers are no choices.

    Examples
    --------
    >>> from sklearn_learnrule.datasets import ContrastTask
    >>> from sklearn_learnrule.rules import ReinforceRule
    >>> session_start = np.arange(100) % 50 == np.zeros((2, 1))  # (2, 100), two sessions
    >>> task = ContrastTask(session_start, random_state=0)
    >>> rule, rng = ReinforceRule(2, None, learning_rate=0.1), np.random.RandomState(0)
    >>> happened = simulate_learning(rule, task, np.zeros((2, 2)), session_start, rng)
    >>> happened.weights[:, -1].round(1)  # before the last choice
    array([[ 1.8, -0.1],
           [ 1.8, -0.1]])
    """
    weights = torch.tensor(initial_weights, dtype=torch.float64)
    rule = _prepared(rule, weights.shape[1], reward_known)
    policy, memory = rule.policy, rule.initial_memory(len(weights), like=weights)
    rates = lapse_rates(lapses, policy.n_choices)
    known = np.ones(session_start.shape) if reward_known is None else reward_known.astype(float)
    opens_next = _next(session_start)
    missed = _next(np.zeros(known.shape) if misses is None else misses)
    deviation = np.sqrt(_variances(process_noise, session_noise, missed, opens_next))
    seen = []
    with torch.no_grad(), threads.job():  # of few animals, torch's threads wait for each other
        for t in range(known.shape[1]):
            stimulus, features, answer = show_trial(task, t, policy.n_choices)
            choice = _choose(policy, weights, features, rates, random_state)
            reward = reward_of(task, t, choice, answer) * known[:, t]
            seen.append((stimulus, choice, reward, answer, weights.numpy()))
            told = choice, reward, answer, opens_next[:, t], known[:, t], missed[:, t]
            trial = _trial(features, context, *told)
            if on_trial is not None:
                on_trial(trial)
            update, memory = rule(weights, trial, memory)
            weights = weights + update
            if deviation[:, t].any():  # else nothing is drawn, so that seeds keep their animals
                std = np.broadcast_to(deviation[:, t], features.shape)
                weights = weights + torch.as_tensor(draw_noise(policy, std, random_state))
    return Simulation(*(np.stack(values, 1) for values in zip(*seen, strict=True)))


def as_choices(numbers: ArrayLike, n_choices: int) -> Choices:
    """Return choices or answers that are numbered 0, 1, ... C - 1 as a simulation has them."""
    return np.asarray(numbers, dtype=bool if n_choices == 2 else int)


def draw_noise(policy: Policy, std: Floats, random_state: np.random.RandomState) -> Floats:
    """Draw noise of weights, (N, (C - 1) K), that has these standard deviations, (N, K).

    Of more than two choices, each one's weights move, independently, the first one's too.
    """
    if policy.n_choices == 2:
        return random_state.normal(0.0, std)
    shape = len(std), policy.n_choices, std.shape[1]
    of_each = random_state.normal(0.0, np.broadcast_to(std[:, None], shape)) / np.sqrt(2)
    return (of_each[:, 1:] - of_each[:, :1]).reshape(len(std), -1)


def show_trial(task: Shows, trial: int, n_choices: int) -> tuple[Floats, torch.Tensor, Choices]:
    """Return stimuli, features and the correct choices; raise if these are none."""
    stimulus, told = task.show(trial)
    answer = np.asarray(told)
    if answer.dtype != bool and not np.isin(answer, range(n_choices)).all():
        raise ValueError(
            f"A task should tell the correct choice by its number, from 0 to {n_choices - 1}, but "
            f"told {answer[:4].tolist()}."
        )
    features = torch.as_tensor(np.column_stack([stimulus, np.ones(len(answer))]))
    return stimulus, features, as_choices(answer, n_choices)


def _choose(
    policy: Policy,
    weights: torch.Tensor,
    features: torch.Tensor,
    rates: torch.Tensor,
    random_state: np.random.RandomState,
) -> Choices:
    """Draw each animal's choice, (N,); raise if weights are not as many as it needs."""
    _check_fit(weights, features, policy)
    p = policy.with_lapses(policy.probabilities(policy.logits(weights, features)), rates)
    drawn = torch.as_tensor(random_state.random_sample(len(weights)))
    return as_choices(policy.sample(p, drawn).numpy(), policy.n_choices)


def _check_fit(weights: torch.Tensor, features: torch.Tensor, policy: Policy) -> None:
    needed = policy.n_sets * features.shape[1]
    if weights.shape[1] != needed:
        raise ValueError(
            f"A task of {features.shape[1] - 1} stimulus column(s) and a rule of "
            f"{policy.n_choices} choices need {needed} initial weights an animal, got "
            f"{weights.shape[1]}."
        )


def _prepared(
    rule: LearningRule | UpdateFunction, n_weights: int, reward_known: Bools | None
) -> LearningRule:
    """Return a rule of one's own, in double precision, for rewards that may be unknown."""
    if not isinstance(rule, LearningRule):
        rule = FunctionRule(n_weights, rule)
    rule = _in_double_precision(rule)
    reads = any(getattr(part, "reads_reward_known", False) for part in rule.modules())
    rule.skips_unknown_rewards |= reward_known is not None and not reads
    return rule


def _variances(
    process_noise: ArrayLike, session_noise: ArrayLike, missed: Floats, opens_next: Floats
) -> Floats:
    """Return what each trial, and those missed after it, add to variances, (N, T, K or 1)."""
    both = process_noise, session_noise
    every, further = (np.atleast_2d(np.square(std))[:, None] for std in both)  # (1 or N, 1, K or 1)
    return (1 + missed[..., None]) * every + further * opens_next[..., None]


def _trial(features: torch.Tensor, context: torch.Tensor, *told: NDArray[Any]) -> Trial:
    tensors = (torch.as_tensor(values.astype(float)) for values in told)
    choice, reward, answer, opens_next, known, misses = tensors
    return Trial(features, choice, reward, answer, opens_next, context, known, misses)


def _next(values: NDArray[Any]) -> Floats:
    """Return each trial's next one's value (N, T), 0 after the last."""
    return np.pad(values[:, 1:], [(0, 0), (0, 1)]).astype(float)


def _in_double_precision(rule: LearningRule) -> LearningRule:
    """Return a copy of the rule in float64 on the CPU; the caller's stays as it is."""
    return deepcopy(rule).to("cpu", torch.float64)
