"""What a rule is checked on, and how a check speaks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..engine import unroll
from ..rules import LearningRule, Trial

LENGTHS = (9, 4, 1, 7)  # trials of each subject


class Case:
    """A rule, and random trials of a few subjects of unlike lengths."""

    def __init__(self, rule: LearningRule, lengths: tuple[int, ...] = LENGTHS) -> None:
        self.rule = rule
        self.generator = torch.Generator().manual_seed(0)
        n, t, n_choices = len(lengths), max(lengths), rule.policy.n_choices
        self.observed = torch.arange(t) < torch.tensor(lengths)[:, None] - 1  # (N, T)
        features = 2 * self.random(n, t, rule.n_features) - 1
        features[..., -1] = 1
        choice, answer = (n_choices - 1 - (n_choices * self.random(n, t)).floor() for _ in "ya")
        opens = (self.random(n, t) < 0.2).double()
        reward = (4 * self.random(n, t)).floor() / 2 - 0.5  # -1/2, 0, 1/2 or 1
        self.trials = Trial(features, choice, reward, answer, opens)
        self.start = self.random(n, rule.n_weights) - 0.5

    def random(self, *shape: int) -> Tensor:
        """Return numbers from 0 to 1."""
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)

    def to(self, dtype: torch.dtype) -> Case:
        """Return this in numbers of another type."""
        self.rule, self.start = self.rule.to(dtype), self.start.to(dtype)
        self.trials = self.trials.map(lambda values: values.to(dtype))
        return self

    def question(self, trial: int = 2) -> tuple[Tensor, Trial, Tensor]:
        """Return weights, trial and memory as they are for all subjects after some trials."""
        weights = self.start
        memory = self.rule.initial_memory(len(weights), like=weights)
        for t in range(trial):
            update, memory = self.rule(weights, self.trials.at(t).map(torch.clone), memory)
            weights = (weights + update).detach()
        return weights.clone(), self.trials.at(trial).map(torch.clone), memory.detach().clone()

    def path(self, engine: str = "loop", truncation: int | None = None) -> Tensor:
        """Return the weights before each choice, and shown memory, (N, T, K + S)."""
        how: Any = {"engine": engine, "truncation": truncation}
        return unroll(self.rule, self.start, self.trials, self.observed, **how)

    def path_and_gradients(
        self, engine: str, truncation: int | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the path, and gradients of a sum of it to the start and all parameters."""
        self.start.requires_grad_()
        path = self.path(engine, truncation)
        total = (path * torch.linspace(1, 2, path[0].numel()).view_as(path[0]).to(path)).sum()
        wanted = [self.start, *self.fitted().values()]
        how: Any = {"allow_unused": True, "materialize_grads": True}
        return path.detach(), list(torch.autograd.grad(total, wanted, **how))

    def fitted(self) -> dict[str, Tensor]:
        """Return the parameters that are fitted, by name."""
        return {name: p for name, p in self.rule.named_parameters() if p.requires_grad}


def expect(holds: Any, sentence: str) -> None:
    """Raise AssertionError with this sentence unless something holds."""
    if not holds:
        raise AssertionError(sentence)


def differ(found: Tensor, expected: Tensor, tolerance: float = 1e-9) -> bool:
    """Whether two tensors are not the same, but for rounding."""
    return bool((found - expected).norm() > tolerance * expected.norm().clamp_min(1e-3))


def expect_numbers(what: str, found: Any, like: Tensor) -> None:
    same = isinstance(found, Tensor) and (found.shape, found.dtype) == (like.shape, like.dtype)
    of = f"{tuple(found.shape)} in {found.dtype}" if isinstance(found, Tensor) else repr(found)
    expect(
        same,
        f"expected {what} of shape {tuple(like.shape)} in {like.dtype}, got {of}: return a row a "
        "subject, computed from the inputs, so that their type is kept",
    )
    odd = found[~found.isfinite()].tolist()
    expect(
        not odd,
        f"expected {what} of finite numbers, got {odd[:1]}: divide by nothing that may be 0, and "
        "take no root or logarithm of what may be below it",
    )
