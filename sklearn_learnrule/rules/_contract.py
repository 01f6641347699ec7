"""What every learning rule is: a map from one trial to one weight change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import repeat
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

SLOPE_STEP = 0.01  # of weights of standard stimuli: far below what an update changes with
NO_CONTEXT = torch.zeros(0, 0)
OF_SUBJECTS = {"of_subjects": True}


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial of N subjects, as the learning rule sees it after the choice.

    The same with a time axis, (N, T, K) and (N, T), holds whole sequences; fields ``OF_SUBJECTS``
    have none. What is done to all fields is done here, by their names.
    """

    features: Tensor
    """x_t = [s_t, 1], the policy's inputs, (N, K)."""
    choice: Tensor
    """y_t, 0 or 1, (N,)."""
    reward: Tensor
    """r_t, (N,)."""
    answer: Tensor
    """z_t, the correct choice, 0 or 1, (N,)."""
    session_start: Tensor
    """1 where the *next* trial opens a new session, else 0, (N,)."""
    context: Tensor = field(default=NO_CONTEXT, metadata=OF_SUBJECTS)
    """What is known of each subject, of trials or sequences alike, (N, L); L is 0 by default."""

    def __post_init__(self) -> None:
        if self.context is NO_CONTEXT:
            object.__setattr__(self, "context", self.features.new_zeros(len(self.features), 0))

    def map(self, function: Callable[[Tensor], Any], subjects: Any = None) -> Self:
        """Return what a function makes of each field.

        Of those without a time axis, ``subjects`` does if it is given.
        """
        own = subjects or function
        made = {f.name: own if f.metadata else function for f in fields(self)}
        return replace(self, **{name: make(getattr(self, name)) for name, make in made.items()})

    def of_subjects(self, index: Tensor | slice) -> Self:
        """Return some subjects' trials or sequences, or one's more than once."""
        return self.map(lambda values: values[index])

    def join(self, other: Trial) -> Self:
        """Return these subjects and, after them, others."""
        joined = {f.name: [getattr(self, f.name), getattr(other, f.name)] for f in fields(self)}
        return replace(self, **{name: torch.cat(both) for name, both in joined.items()})

    def at(self, trial: int | slice) -> Self:
        """Return one trial of sequences, or a stretch of them."""
        return self.map(lambda values: values[:, trial], subjects=lambda values: values)

    def steps(self) -> Iterator[Self]:
        """Yield the trials of sequences one by one."""
        in_order = vars(self.map(lambda values: values.unbind(1), subjects=repeat))
        for values in zip(*in_order.values(), strict=False):  # subjects' have no end
            yield type(self)(**dict(zip(in_order, values, strict=True)))

    def rows(self, chosen: Tensor) -> Self:
        """Return those trials of sequences that are chosen, (N, T), as if each had a subject."""
        subject, _ = torch.nonzero(chosen, as_tuple=True)
        return self.map(lambda values: values[chosen], subjects=lambda values: values[subject])

    def all_rows(self) -> Self:
        """Return all trials of sequences as if each had a subject, (N * T, ...)."""
        n_trials = self.choice.shape[1]
        return self.map(
            lambda values: values.flatten(0, 1),
            subjects=lambda values: values.repeat_interleave(n_trials, 0),
        )


class LearningRule(nn.Module):
    """A learning rule: ``rule(weights, trial, memory) -> (update, memory)``.

    Subclasses implement :meth:`forward` for N subjects at once and keep no state
    of their own between trials: what a rule remembers travels in ``memory``.

    Parameters
    ----------
    n_weights : int
        K, the number of policy weights: one a stimulus feature, then the bias.

    Attributes
    ----------
    memory_size : int
        M, the numbers that the rule carries from trial to trial (0: none).
    uses_answer : bool
        Whether the rule reads ``trial.answer``.
    shown_memory : int
        How many of the memory's first numbers engines return beside the weights.
    """

    uses_answer: bool = False
    shown_memory: int = 0
    textbook_names: ClassVar[tuple[str, ...]] = ()
    """Attributes that hold the rule's fitted parameters, under their textbook names."""
    parameter_units: Mapping[str, tuple[int, int]] | None = None
    """How parameters change with the units of stimulus and reward: the powers of each, by name.

    A parameter in 1 / (stimulus^2 reward) has (-2, -1); those without units need no entry. So a
    fit does not depend on units: it is done where stimuli and rewards are of about 1. None: in
    other units this would be another rule; it is fitted in the user's.
    """

    def __init__(self, n_weights: int, memory_size: int = 0) -> None:
        super().__init__()
        self.n_weights = n_weights
        self.memory_size = memory_size

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight change (N, K) and the new memory (N, M)."""
        raise NotImplementedError

    def linearize(
        self, weights: Tensor, trial: Trial, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weight change, its slope with respect to the weights, and the new memory.

        The slope, (N, K, K), is that between weights ``SLOPE_STEP`` apart, so that every rule
        has one, a network of kinks too. Rows are subjects to a rule: all are asked at once.
        """
        n, k = weights.shape
        moves = SLOPE_STEP * torch.eye(k, dtype=weights.dtype, device=weights.device)
        moved = weights[:, None] + torch.cat([torch.zeros_like(moves[:1]), moves])  # (N, 1 + K, K)
        repeated = trial.map(lambda values: values.repeat_interleave(k + 1, 0))
        update, new_memory = self(moved.flatten(0, 1), repeated, memory.repeat_interleave(k + 1, 0))
        update = update.view(n, k + 1, k)
        slope = (update[:, 1:] - update[:, :1]).mT / SLOPE_STEP  # [i, j] = df_i / dw_j
        return update[:, 0], slope, new_memory.unflatten(0, (n, k + 1))[:, 0]

    def standardize_settings(self, feature: Tensor, reward: Tensor) -> None:
        """Take what is no parameter, but has units, from the user's units over to standard ones.

        ``feature``, (K,), and ``reward``, (), are the units in the user's.
        """

    def textbook_parameters(self) -> dict[str, Tensor]:
        """Return the parameters under their textbook names."""
        return {name: getattr(self, name) for name in self.textbook_names}

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        """Return the memory before the first trial, (N, M), of ``like``'s type and device."""
        return like.new_zeros(n_subjects, self.memory_size)


def choice_probability(weights: Tensor, features: Tensor) -> Tensor:
    """P(y = 1) = sigmoid(w . x) for weights and features of shape (..., K)."""
    return torch.sigmoid((weights * features).sum(-1))
