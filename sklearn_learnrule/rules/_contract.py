"""What every learning rule is: a map from one trial to one weight change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from .policy import Policy
from .trial import Trial

Varies: TypeAlias = Literal["factor", "share", "shift"]
SLOPE_STEP = 0.01  # of weights of standard stimuli: far below what an update changes with


class LearningRule(nn.Module):
    """A learning rule: ``rule(weights, trial, memory) -> (update, memory)``.

    Subclasses implement :meth:`forward` for N subjects at once and keep no state
    of their own between trials: what a rule remembers travels in ``memory``.

    Parameters
    ----------
    n_weights : int
        The number of policy weights, K of two choices: one a stimulus feature, then the bias. Of C
        choices (C - 1) K, as many for each but the first, one set after the other: see
        :class:`Policy`.
    memory_size : int or None
        M, the numbers that the rule carries from trial to trial, 0 before the first. None: the
        class's own ``memory_size``, 0 if it says nothing.
    n_choices : int
        C.

    Attributes
    ----------
    policy : Policy
        What chooses by the weights.
    n_features : int
        K.
    uses_answer : bool
        Whether the rule reads ``trial.answer``.
    shown_memory : int
        How many of the memory's first numbers engines return beside the weights.
    reads_reward_known : bool
        Whether the rule reads ``trial.reward_known``. One that does not makes no step where a
        reward is unknown: weights and memory stay as they are.

    Examples
    --------
    >>> import torch
    >>> class DecayRule(LearningRule):
    ...     def forward(self, weights, trial, memory):
    ...         return -0.01 * weights, memory
    >>> DecayRule(n_weights=2).memory_size
    0
    """

    memory_size: int = 0
    uses_answer: bool = False
    shown_memory: int = 0
    reads_reward_known: bool = False
    skips_unknown_rewards: bool = False
    textbook_names: ClassVar[tuple[str, ...]] = ()
    """Attributes that hold the rule's fitted parameters, under their textbook names."""
    shares: ClassVar[tuple[str, ...]] = ()
    """Those of them that are from 0 to below 1: s = 1 - exp(-root^2), held as ``root_...``."""
    parameter_units: Mapping[str, tuple[int, int]] | None = None
    """How parameters change with the units of stimulus and reward: the powers of each, by name.

    A parameter in 1 / (stimulus^2 reward) has (-2, -1); those without units need no entry. So a
    fit does not depend on units: it is done where stimuli and rewards are of about 1. None: in
    other units this would be another rule; it is fitted in the user's.
    """

    def __init__(
        self, n_weights: int, *, memory_size: int | None = None, n_choices: int = 2
    ) -> None:
        super().__init__()
        self.policy = Policy(n_choices)
        if n_weights % self.policy.n_sets:
            raise ValueError(
                f"n_weights should be a multiple of {self.policy.n_sets}, as many for each of "
                f"{n_choices} choices but the first, got {n_weights}."
            )
        self.n_weights = n_weights
        self.n_features = n_weights // self.policy.n_sets
        self.memory_size = type(self).memory_size if memory_size is None else memory_size

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight change, of the weights' shape, and the new memory (N, M)."""
        raise NotImplementedError

    def __call__(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        stepped = super().__call__(weights, trial, memory)
        if not self.skips_unknown_rewards:
            return stepped
        update, later = stepped
        known = trial.reward_known[:, None] > 0.5
        return torch.where(known, update, 0), torch.where(known, later, memory)

    def expect(self, *, unknown_rewards: bool, misses: bool, answers: bool = True) -> None:
        """Get ready for trials of unknown reward, for missed ones, or for unknown answers."""
        del misses, answers
        self.skips_unknown_rewards = unknown_rewards and not self.reads_reward_known

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

    def make_symmetric(self, n_sided: int) -> bool:
        """Learn alike of all choices from now on, if the rule can, and return whether it can.

        Parameters may be other ones then. Two choices are sides that change places: of its first
        ``n_sided`` weights the stimuli change their signs; the others, if any, are the bias, whose
        weight does. A rule that cannot is fitted to mirror images.
        """
        del n_sided
        return False

    def standardize_settings(self, feature: Tensor, reward: Tensor) -> None:
        """Take what is no parameter, but has units, from the user's units over to standard ones.

        ``feature``, (K,), and ``reward``, (), are the units in the user's.
        """

    def varies_by(self, name: str) -> Varies | None:
        """Return what a subject's own value of a parameter is by: see :meth:`vary`.

        Of one that is at least 0, and so held as its root, ``root_...``, a factor; of a share s, a
        factor of -log(1 - s); of another that is held as it is, a shift. None: nothing is held
        under that name.
        """
        held = dict(self.named_parameters(recurse=False))
        if f"root_{name}" in held:
            return "share" if name in self.shares else "factor"
        return "shift" if name in held else None

    def vary(
        self, name: str, effect: Tensor, parameters: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return those parameters, as they are held, that a subject's own value changes.

        Parameters
        ----------
        name : str
            The textbook parameter.
        effect : Tensor of shape () or (K,)
            The logarithm of a factor or, see :meth:`varies_by`, a shift.
        parameters : mapping of str to Tensor
            All, under the names of ``named_parameters``; other effects may have changed them.
        """
        root = parameters.get(f"root_{name}")
        if root is not None:
            return {f"root_{name}": root * torch.exp(effect / 2)}
        return {name: parameters[name] + effect}

    def textbook_parameters(self) -> dict[str, Tensor]:
        """Return the parameters under their textbook names."""
        return {name: getattr(self, name) for name in self.textbook_names}

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        """Return the memory before the first trial, (N, M), of ``like``'s type and device."""
        return like.new_zeros(n_subjects, self.memory_size)
