"""The rules by which twins learn: those of a fitted estimator, an ensemble's as one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..models.learning import LearningModel
from ..rules import LearningRule, Trial


def fitted_rules(models: list[LearningModel]) -> tuple[list[LearningRule], Tensor]:
    """Return the rules as predictions have them, and first weights, of M members, (M, K)."""
    rules = [model.bounded_rule for model in models]
    return rules, torch.stack([model.start for model in models])


class EnsembleRule(LearningRule):
    """An ensemble as one rule, by which the policy's weights stay the mean of its members'.

    Each of M members moves weights of its own, which are part of the ensemble's memory, and
    which noise moves together.
    """

    reads_reward_known = True  # as far as its members do

    def __init__(self, rules: list[LearningRule], initial_weights: Tensor) -> None:
        sizes = [initial_weights.numel(), *(rule.memory_size for rule in rules)]
        n_choices = rules[0].policy.n_choices
        super().__init__(rules[0].n_weights, memory_size=sum(sizes), n_choices=n_choices)
        self.uses_answer = any(rule.uses_answer for rule in rules)
        self.rules = rules
        self.initial_weights = initial_weights  # (M, K)
        self.sizes = sizes

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        weights = self.initial_weights.reshape(1, -1).expand(n_subjects, -1)  # (N, M K)
        memories = [rule.initial_memory(n_subjects, like) for rule in self.rules]
        return torch.cat([weights.to(like), *memories], -1)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        n_members = len(self.rules)
        own, *memories = memory.split(self.sizes, -1)
        own = own.unflatten(-1, (n_members, -1))  # (N, M, K)
        own = own + (weights - own.mean(1))[:, None]
        members = zip(self.rules, own.unbind(1), memories, strict=True)
        steps = [(w, *rule(w, trial, m)) for rule, w, m in members]
        moved = torch.stack([w + update for w, update, _ in steps], 1)  # (N, M, K)
        memory = torch.cat([moved.flatten(1), *(memory for *_, memory in steps)], -1)
        return moved.mean(1) - weights, memory


class RewardTellsAnswer(LearningRule):
    """A rule of two choices whose estimator was told no answers: what is rewarded is correct."""

    reads_reward_known = True  # as far as the other rule does

    def __init__(self, rule: LearningRule) -> None:
        size, n_choices = rule.memory_size, rule.policy.n_choices
        super().__init__(rule.n_weights, memory_size=size, n_choices=n_choices)
        self.rule = rule

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        return self.rule.initial_memory(n_subjects, like)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        answer = torch.where(trial.reward > 0, trial.choice, 1 - trial.choice)
        answer = torch.where(trial.reward_known > 0, answer, 0.5)
        return self.rule(weights, replace(trial, answer=answer), memory)
