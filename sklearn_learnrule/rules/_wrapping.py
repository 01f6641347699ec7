"""A rule with something done around it."""

from __future__ import annotations

from torch import Tensor

from ._contract import LearningRule


class WrappingRule(LearningRule):
    """Another rule, of as many choices, whose memory and whose needs are this one's, too.

    Parameters
    ----------
    rule : LearningRule
    n_weights, memory_size : int or None
        None: the other rule's.
    """

    def __init__(
        self, rule: LearningRule, n_weights: int | None = None, memory_size: int | None = None
    ) -> None:
        super().__init__(
            rule.n_weights if n_weights is None else n_weights,
            memory_size=rule.memory_size if memory_size is None else memory_size,
            n_choices=rule.policy.n_choices,
        )
        self.uses_answer = rule.uses_answer
        self.rule = rule

    def expect(self, **trials: bool) -> None:
        self.rule.expect(**trials)

    def make_symmetric(self, n_sided: int) -> bool:
        further = self.memory_size - self.rule.memory_size
        is_symmetric = self.rule.make_symmetric(n_sided)
        self.memory_size = further + self.rule.memory_size  # which may be larger now
        return is_symmetric

    def textbook_parameters(self) -> dict[str, Tensor]:
        """Return the other rule's."""
        return self.rule.textbook_parameters()

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        return self.rule.initial_memory(n_subjects, like)
