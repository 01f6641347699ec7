"""What a learning rule is told of a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import repeat
from typing import Any, Self

import torch
from torch import Tensor

NO_CONTEXT, USUAL = torch.zeros(0, 0), torch.zeros(0)
OF_SUBJECTS = {"of_subjects": True}


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial of N subjects, as the learning rule sees it after the choice.

    The same with a time axis, (N, T, K) and (N, T), holds whole sequences; only fields marked
    ``OF_SUBJECTS`` have none. What is done to all fields is done here, by their names.

    Examples
    --------
    >>> seen = torch.tensor([[0.5, 1.0], [-1.0, 1.0]])  # by two animals: a stimulus, and 1
    >>> chosen, paid = torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0])
    >>> trials = Trial(seen, chosen, paid, answer=paid, session_start=torch.zeros(2))
    >>> trials.of_subjects(slice(1)).reward  # of the first alone
    tensor([1.])
    """

    features: Tensor
    """x_t = [s_t, 1], the policy's inputs, (N, K)."""
    choice: Tensor
    """y_t, 0 or 1, of C choices 0, 1, ... or C - 1, (N,)."""
    reward: Tensor
    """r_t, (N,)."""
    answer: Tensor
    """z_t, the correct choice, likewise; -1 where an error of C > 2 does not tell it, (N,)."""
    session_start: Tensor
    """1 where the *next* trial opens a new session, else 0, (N,)."""
    context: Tensor = field(default=NO_CONTEXT, metadata=OF_SUBJECTS)
    """What is known of each subject, of trials or sequences alike, (N, L); L is 0 by default."""
    reward_known: Tensor = USUAL
    """1, or 0 where nobody knows what the animal was paid, (N,): then r is 0; 1 by default."""
    misses: Tensor = USUAL
    """How many trials went by without a choice before the *next* one, (N,); 0 by default."""

    def __post_init__(self) -> None:
        if self.context is NO_CONTEXT:
            object.__setattr__(self, "context", self.features.new_zeros(len(self.features), 0))
        if self.reward_known is USUAL:
            object.__setattr__(self, "reward_known", torch.ones_like(self.choice))
        if self.misses is USUAL:
            object.__setattr__(self, "misses", torch.zeros_like(self.choice))

    def map(self, function: Callable[[Tensor], Any], subjects: Any = None) -> Self:
        """Return what a function makes of each field.

        Of those without a time axis, ``subjects`` does if it is given.
        """
        own = subjects or function
        made = {f.name: own if "of_subjects" in f.metadata else function for f in fields(self)}
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
