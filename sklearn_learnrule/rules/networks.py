"""Flexible rules: a network maps the trial to the weight change (Liu, Geadah & Pillow 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._contract import LearningRule
from .standardized import StandardizedRule, Units
from .trial import Trial

INITIAL_SCALE = 1e-3
NOT_SYMMETRIC = NONE = -1
ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


def make_mlp(
    n_in: int, hidden_sizes: int | Sequence[int], n_out: int, activation: str
) -> nn.Sequential:
    """Linear layers of the given sizes with an activation between each two."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}.")
    layers: list[nn.Module] = []
    hidden = np.ravel(hidden_sizes).tolist()
    for size_in, size_out in pairwise((n_in, *hidden, n_out)):
        layers += [nn.Linear(size_in, size_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class NetworkRule(LearningRule):
    """The inputs and the output scale that the network rules share."""

    n_sided: int = NOT_SYMMETRIC
    """Of a symmetric rule, how many weights, the first ones, are of stimuli, not biases."""
    reads_reward_known = True
    alike: bool = False
    """Whether all of more than two choices are learned alike, see the subclasses."""
    sees_made: bool = False
    """Whether it then sees of each choice if it is the one made, which may go without saying."""
    known_input: bool = False
    """Whether the network sees if the reward is known."""
    misses_input: bool = False
    """Whether it sees how many trials were missed until the next."""
    rate_column: int = NONE
    """Where the context has the logarithm of a subject's own factor of the update, if it has."""
    parameter_units: Mapping[str, tuple[int, int]] | None = {}
    hidden: tuple[int | Sequence[int], str]
    """Sizes of the hidden layers, and their activation."""
    mlp: nn.Sequential
    around: LearningRule | None
    """The rule, without memory, to whose update the network adds its own."""

    def __init__(
        self,
        n_weights: int,
        memory_size: int,
        session_input: bool,
        answer_input: bool,
        n_effects: int,
        n_choices: int,
        around: LearningRule | None,
    ) -> None:
        super().__init__(n_weights, memory_size=memory_size, n_choices=n_choices)
        if around is not None and around.memory_size:
            raise ValueError(
                f"A network goes around a rule without memory, and {type(around).__name__} "
                "remembers: choose REINFORCE, RewardMax or PredictMax."
            )
        self.around = around
        self.n_effects = n_effects
        self.session_input = session_input
        self.answer_input = answer_input
        self.uses_answer = answer_input or bool(around and around.uses_answer)
        self.scale = nn.Parameter(torch.full((n_weights,), INITIAL_SCALE))

    @property
    def n_inputs(self) -> int:
        told = self.policy.n_sets
        n = self.n_weights + told + told * self.answer_input
        if self.alike:  # two chances beside the weights
            n = self.n_features + 2 + 2 * self.answer_input + self.sees_made
        further = self.session_input + self.known_input + self.misses_input + self.n_effects
        return n + self.n_features + 1 + further

    def expect(self, *, unknown_rewards: bool, misses: bool, answers: bool = True) -> None:
        n_before = self.n_inputs
        self.known_input, self.misses_input = unknown_rewards, misses
        if self.around is not None:
            self.around.expect(unknown_rewards=unknown_rewards, misses=misses, answers=answers)
        if self.answer_input and not answers:
            self.answer_input = False
            self.uses_answer = bool(self.around and self.around.uses_answer)
        if self.n_inputs != n_before:
            self.renew_first_layer()

    def renew_first_layer(self) -> None:
        """Draw a first layer anew, for as many inputs as there are."""
        raise NotImplementedError

    def scale_of(self, trial: Trial) -> Tensor:
        """Return the update's scale, (K,), or that of each subject, (N, K)."""
        return self._at_pace(self.scale, trial)

    def _at_pace(self, update: Tensor, trial: Trial) -> Tensor:
        """Return an update times the subject's own factor, if it has one."""
        if self.rate_column == NONE or not trial.context.shape[-1]:
            return update
        return update * torch.exp(trial.context[:, self.rate_column, None])

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        update, later = self.of_network(weights, trial, memory)
        if self.around is not None:
            textbook, _ = self.around(weights, trial, memory[:, :0])
            update = update + self._at_pace(textbook, trial)
        return update, later

    def of_network(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's own part of the update, and the new memory."""
        raise NotImplementedError

    def is_around_alike(self, n_sided: int) -> bool:
        """Whether the rule that it goes around, if any, learns alike of all choices.

        A rule of one's own says so by ``side_specific = False``, or by ``make_symmetric``.
        """
        around = self.around.rule if isinstance(self.around, StandardizedRule) else self.around
        if around is None or not getattr(around, "side_specific", True):
            return True
        return around.make_symmetric(n_sided)

    def standardize_settings(self, feature: Tensor, reward: Tensor) -> None:
        """See :meth:`LearningRule.standardize_settings`; the network has none, the rule may."""
        if self.around is None:
            return
        if self.around.parameter_units is None:  # it would be another rule in standard units
            self.around = StandardizedRule(self.around, Units(1 / feature, 1 / reward))
        else:
            self.around.standardize_settings(feature, reward)

    def inputs(self, weights: Tensor, trial: Trial) -> Tensor:
        """[w, x, y, r] and, unless switched off, session start, correct choice, and u, (N, D).

        Of more than two choices, y and the correct one are 0 or 1 for each but the first.
        u are a subject's own numbers, the first of the context; 0 where there is no context. Where
        some rewards are unknown, whether r is known comes before u, and where trials were missed,
        m / (1 + m) of m misses.
        """
        choice, answer = (self.policy.one_hot(made) for made in (trial.choice, trial.answer))
        return self._join(weights, trial, [choice], answer)

    def _join(self, weights: Tensor, trial: Trial, choice: list[Tensor], answer: Tensor) -> Tensor:
        outcome = [*choice, trial.reward]
        if self.session_input:
            outcome.append(trial.session_start)
        if self.answer_input:
            outcome.append(answer)
        if self.known_input:
            outcome.append(trial.reward_known)
        if self.misses_input:
            outcome.append(trial.misses / (1 + trial.misses))
        columns = [each if each.ndim == weights.ndim else each[..., None] for each in outcome]
        seen = [weights, trial.features, *columns]
        if self.n_effects:
            own = trial.context[:, : self.n_effects]
            seen.append(own if own.shape[1] else weights.new_zeros(len(weights), self.n_effects))
        return torch.cat(seen, -1)

    def inputs_of_each(self, weights: Tensor, trial: Trial) -> Tensor:
        """[w_c - w_y, p_c, p_y, x], of each choice c beside the one made, and further (N C, D).

        That is whether it is the one made, where ``sees_made``, and as in :meth:`inputs`, but that
        the correct choice is told by whether y is, and whether c is.
        """
        policy, n_choices = self.policy, self.policy.n_choices
        made, correct = (policy.one_of_all(which) for which in (trial.choice, trial.answer))
        sets = policy.all_sets(weights)  # (N, C, K)
        chance = policy.of_all(policy.logits(weights, trial.features)).softmax(-1)  # (N, C)
        chance_made, made_correct = (
            (made * of_each).sum(-1, keepdim=True).expand_as(made) for of_each in (chance, correct)
        )
        apart = sets - (made[..., None] * sets).sum(-2, keepdim=True)
        of_weights = torch.cat([apart, torch.stack([chance, chance_made], -1)], -1).flatten(0, 1)
        told = torch.stack([made_correct, correct], -1).flatten(0, 1)  # (N C, 2)
        each = trial.map(lambda values: values.repeat_interleave(n_choices, 0))  # (N C,)
        return self._join(of_weights, each, [made.flatten()] if self.sees_made else [], told)

    def ask_of_each(self, n_in: int) -> None:
        """Draw the last layers anew, from so many numbers to the update of one set of weights."""
        hidden_sizes, activation = self.hidden
        self.mlp = make_mlp(n_in, hidden_sizes, self.n_features, activation).to(self.scale)
        self.scale = nn.Parameter(self.scale.detach()[: self.n_features].clone())

    def join(self, of_each: Tensor, trial: Trial) -> Tensor:
        """Return the weights' update from the network's outputs for each choice, (N C, K)."""
        of_each = of_each.unflatten(0, (-1, self.policy.n_choices))
        update = self.scale_of(trial)[..., None, :] * of_each  # (N, C, K)
        return (update[:, 1:] - update[:, :1]).flatten(1)


class DNNRule(NetworkRule):
    """DNNGLM: update = scale * MLP(w, x, y, r, session start, correct choice).

    A symmetric one learns alike on both sides, whatever its parameters, as it sees each trial from
    the side that was chosen: where that is the first, stimuli and the bias's weight change their
    signs, and the update of the bias. Then y is 1, and the correct choice 1 if it is the one made.

    Of more than two choices it learns alike of all, whatever their names and order, as the same
    network is asked of each other choice c, beside the one made, y:

        update of w_c - w_y = scale * MLP(w_c - w_y, p_c, p_y, x, r, session start,
                                          whether y is correct, whether c is)

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import DNNRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = DNNRule(2, hidden_sizes=8), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.shape, memory.shape
    (torch.Size([1, 2]), torch.Size([1, 0]))
    """

    def __init__(
        self,
        n_weights: int,
        hidden_sizes: int | Sequence[int] = (32, 32),
        activation: str = "relu",
        session_input: bool = True,
        answer_input: bool = True,
        n_effects: int = 0,
        n_choices: int = 2,
        around: LearningRule | None = None,
    ) -> None:
        told = session_input, answer_input, n_effects, n_choices, around
        super().__init__(n_weights, 0, *told)
        self.hidden = hidden_sizes, activation
        self.mlp = make_mlp(self.n_inputs, hidden_sizes, n_weights, activation)

    def make_symmetric(self, n_sided: int) -> bool:
        if not self.is_around_alike(n_sided):
            return False
        if self.policy.n_choices == 2:
            self.n_sided = n_sided
            return True
        self.alike = True
        self.ask_of_each(self.n_inputs)
        return True

    def renew_first_layer(self) -> None:
        first: Any = self.mlp[0]
        self.mlp[0] = nn.Linear(self.n_inputs, first.out_features)

    def of_network(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        if self.alike:
            others = 1 - self.policy.one_of_all(trial.choice).flatten()
            outputs = self.mlp(self.inputs_of_each(weights, trial))
            return self.join(others[:, None] * outputs, trial), memory
        if self.n_sided == NOT_SYMMETRIC:
            return self.scale_of(trial) * self.mlp(self.inputs(weights, trial)), memory
        side = (2 * trial.choice - 1)[:, None]
        stimuli, bias = trial.features.tensor_split([self.n_sided], -1)
        seen = replace(
            trial,
            features=torch.cat([side * stimuli, bias], -1),
            choice=torch.ones_like(trial.choice),
            answer=torch.where(trial.choice > 0.5, trial.answer, 1 - trial.answer),
        )
        signs = torch.cat([torch.ones_like(stimuli), side * torch.ones_like(bias)], -1)
        update = self.scale_of(trial) * self.mlp(self.inputs(signs * weights, seen))
        return signs * update, memory


class RNNRule(NetworkRule):
    """RNNGLM: h' = GRU(w, x, y, r, session start, correct choice; h), update = scale * MLP(h').

    Of more than two choices a symmetric one learns alike of all, whatever their names and order. As
    :class:`DNNRule`, it sees each choice c beside the one made, y, that one, too. Each has a memory
    of its own, M numbers of the C M, in the order of the choices, and all have the same network::

        h_c' = GRU(w_c - w_y, p_c, p_y, x, whether c is y, r, session start,
                   whether y is correct, whether c is; h_c)
        update of w_c - w_y = scale * (MLP(h_c') - MLP(h_y'))

    Of two choices it learns from mirror images.

    Examples
    --------
    >>> import torch
    >>> from sklearn_learnrule.rules import RNNRule, Trial
    >>> seen = torch.tensor([[1.0, 1.0]])  # by one animal: a stimulus on the right, and 1
    >>> trial = Trial(seen, *torch.ones(3, 1), torch.zeros(1))  # chose it, was paid
    >>> rule, weights = RNNRule(2, memory_size=4), torch.zeros(1, 2)
    >>> update, memory = rule(weights, trial, rule.initial_memory(1, like=weights))
    >>> update.shape, memory.shape
    (torch.Size([1, 2]), torch.Size([1, 4]))
    """

    def __init__(
        self,
        n_weights: int,
        memory_size: int = 32,
        hidden_sizes: int | Sequence[int] = (32, 32),
        activation: str = "relu",
        session_input: bool = True,
        answer_input: bool = True,
        n_effects: int = 0,
        n_choices: int = 2,
        around: LearningRule | None = None,
    ) -> None:
        told = session_input, answer_input, n_effects, n_choices, around
        super().__init__(n_weights, memory_size, *told)
        self.hidden = hidden_sizes, activation
        self.gru = nn.GRUCell(self.n_inputs, memory_size)
        self.mlp = make_mlp(memory_size, hidden_sizes, n_weights, activation)

    def make_symmetric(self, n_sided: int) -> bool:
        if self.policy.n_choices == 2 or not self.is_around_alike(n_sided):
            return False
        self.alike = self.sees_made = True
        self.ask_of_each(self.memory_size)
        self.renew_first_layer()
        self.gru = self.gru.to(self.scale)
        self.memory_size = self.policy.n_choices * self.memory_size
        return True

    def renew_first_layer(self) -> None:
        self.gru = nn.GRUCell(self.n_inputs, self.gru.hidden_size)

    def of_network(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        if self.alike:
            of_each = memory.reshape(-1, self.gru.hidden_size)  # (N C, M)
            of_each = self.gru(self.inputs_of_each(weights, trial), of_each)
            return self.join(self.mlp(of_each), trial), of_each.view_as(memory)
        memory = self.gru(self.inputs(weights, trial), memory)  # (N, M)
        return self.scale_of(trial) * self.mlp(memory), memory
