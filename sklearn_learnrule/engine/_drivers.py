"""Drives a rule's compiled steps over the trials of a cohort: without a filter, and with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..rules import FilteredRule, LearningRule, mover
from ..rules.observing import Expectation
from ._cohort import Array, Cohort, address_of, over_subjects, zeros_aligned
from ._fused import usual_trials
from ._kernels_filter import expect, expect_back
from ._kernels_filtered import Room, Seen, unroll_filtered, unroll_filtered_back
from ._kernels_unroll import unroll, unroll_back
from ._steps import CompiledRule
from ._traced import TracedSteps


class Driver:
    """Drives a rule's steps over trials, on as many threads as torch's.

    Parameters
    ----------
    compiled : CompiledRule
    rule : LearningRule
    """

    in_filter = False

    def __init__(self, compiled: CompiledRule, rule: LearningRule) -> None:
        self.compiled, self.steps = compiled, compiled.steps
        self.n_weights = rule.n_weights
        self.width = rule.n_weights + rule.shown_memory  # of a path's row

    def pack(self, rule: Any) -> Tensor:
        """Return all parameters, flat."""
        return self.compiled.pack(rule)

    def start(self, weights: Tensor, memory: Tensor) -> Tensor:
        """Return weights and memory (N, K + M), the rule's own padded as its steps have it."""
        n, size = self.compiled.n_memories, self.steps.memory_size
        n_own = memory.shape[1] - self.in_filter * (self.width - self.n_weights)
        shown, own = memory.tensor_split([memory.shape[1] - n_own], -1)
        own = pad(own.unflatten(-1, (n, n_own // n)), (0, (size - n_own) // n))
        return torch.cat([weights, shown, own.flatten(1)], -1)

    def unroll(
        self, parameters: Array, cohort: Cohort, start: Array, path: Array, differentiable: bool
    ) -> Array:
        """Fill the path (N, T, K + S) after its first trial, from a start (N, K + M).

        Return the memory before each block, if it is to be differentiated.
        """
        memory = np.ascontiguousarray(start[:, self.n_weights :])
        memories = self._memories(cohort, differentiable, path)
        own, fields = self.compiled.ready(parameters, back=False), addresses(cohort.trials)

        def unroll_some(chunk: int, first: int, last: int) -> None:
            (row,) = zeros_aligned(path.dtype, self.steps.row_size)
            unroll(
                self.steps, self.compiled.layout, own, fields, cohort.n_observed, first, last,
                memory, row, path, memories,
            )  # fmt: skip

        over_subjects(unroll_some, cohort)
        return memories

    def unroll_back(
        self, parameters: Array, cohort: Cohort, path: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]:
        """Return the gradients of the parameters, and of the start."""
        own, fields = self.compiled.ready(parameters, back=True), addresses(cohort.trials)
        gradients = zeros_aligned(path.dtype, *cohort.n_chunks * [len(parameters)])
        of_start = np.empty((len(path), self.n_weights + self.steps.memory_size), path.dtype)

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            size = self.steps.block * self.steps.row_size
            rows, deltas = zeros_aligned(path.dtype, size, size)
            unroll_back(
                self.steps, self.compiled.layout, own, fields, cohort.n_observed, first, last,
                path, kept, cohort.truncation, cohort.n_steps, rows, deltas,
                upstream, gradients[chunk], of_start,
            )  # fmt: skip

        over_subjects(unroll_some_back, cohort)
        return np.sum(gradients, axis=0), of_start

    def _memories(self, cohort: Cohort, differentiable: bool, path: Array) -> Array:
        is_shown = self.steps.memory_size == self.width - self.n_weights and not self.in_filter
        n_blocks = 0 if is_shown or not differentiable else -(-cohort.n_steps // self.steps.block)
        return np.empty((len(path), n_blocks, self.steps.memory_size), path.dtype)


class FilteredDriver(Driver):
    """The same inside the filter; odds of lapses and variances come after the rule's parameters."""

    in_filter = True

    def __init__(self, compiled: CompiledRule, rule: FilteredRule, observing: TracedSteps) -> None:
        super().__init__(compiled, rule)
        self.observing = observing
        self.features, self.n_features = mover(rule)[1].numpy(), rule.n_features
        sets = rule.n_features * np.arange(rule.policy.n_sets)
        self.places = np.add.outer(sets, self.features).ravel()
        self.noise = rule.noise
        self.n_odds = len(observing.pack(rule.observation))

    def _amounts(self, cohort: Cohort) -> Array:
        """Return how many times each of the variances a trial adds, (N, T, 2)."""
        session_start, context, _, misses = cohort.trials[4:8]
        factors = self.noise.factors(torch.from_numpy(context)).numpy()
        every = np.broadcast_to(factors[:, :1], session_start.shape)
        if self.noise.counts_misses:
            every = every * (1 + misses)
        return np.stack([every, factors[:, 1:] * session_start], -1)

    def pack(self, rule: FilteredRule) -> Tensor:
        own, odds = self.compiled.pack(mover(rule)[0]), self.observing.pack(rule.observation)
        variances = rule.policy.in_all_sets(rule.noise.variances)
        return torch.cat([own, odds, variances.flatten()])

    def _split(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Return the rule's parameters, the odds of lapses and the variances (2, K)."""
        n_last = self.n_odds + 2 * self.n_weights
        own, odds, variances = np.split(parameters, np.cumsum([-n_last, self.n_odds]))
        return own, odds, variances.reshape(2, -1)

    def _seen(self, cohort: Cohort, odds: Array, variances: Array) -> Seen:
        fields, code = addresses(cohort.trials), self.observing.steps
        steps, amounts = (code.forward, code.backward), self._amounts(cohort)
        return Seen(self.places, fields, *steps, odds, amounts, variances, self.n_features)

    def _of_rule(self, cohort: Cohort) -> tuple[Array, ...]:
        """Return the trials with those features that the rule sees."""
        features, *others = cohort.trials
        all_seen = len(self.features) == self.n_features
        seen = features if all_seen else features[..., self.features]
        return np.ascontiguousarray(seen), *others

    def _room(self, dtype: np.dtype, n_trials: int, back: bool) -> Room:
        """Return where so many trials are computed, forward or back."""
        k, n_own = self.n_weights, len(self.places)
        size = n_trials * (1 + n_own) * self.steps.row_size
        sizes = n_trials * self.width, size, size * back
        squares = np.zeros((5, k, k), dtype)
        squares[2] = np.eye(k)  # F
        own = np.zeros((1 + n_own, n_own), dtype)
        of_record, nothing = np.zeros(self.width, dtype), np.zeros(k, dtype)
        others = own, of_record, nothing, np.zeros((2, self.steps.memory_size), dtype)
        return Room._make([*zeros_aligned(dtype, *sizes), *others, *squares])

    def unroll(
        self, parameters: Array, cohort: Cohort, start: Array, path: Array, differentiable: bool
    ) -> Array:
        own, *others = self._split(parameters)
        memory = np.ascontiguousarray(start[:, self.width :])
        memories = self._memories(cohort, differentiable, path)
        trials, seen = self._of_rule(cohort), self._seen(cohort, *others)
        own, fields = self.compiled.ready(own, back=False), addresses(trials)

        def unroll_some(chunk: int, first: int, last: int) -> None:
            unroll_filtered(
                self.steps, self.compiled.layout, own, fields, seen, cohort.n_observed, first, last,
                memory, self._room(path.dtype, 1, back=False), path, memories,
            )  # fmt: skip

        over_subjects(unroll_some, cohort)
        return memories

    def unroll_back(
        self, parameters: Array, cohort: Cohort, path: Array, kept: Array, upstream: Array
    ) -> tuple[Array, Array]:
        own, *others = self._split(parameters)
        gradients = np.zeros((cohort.n_chunks, len(parameters)), path.dtype)
        trials, seen = self._of_rule(cohort), self._seen(cohort, *others)
        own, fields = self.compiled.ready(own, back=True), addresses(trials)
        of_start = np.empty((len(path), self.width + self.steps.memory_size), path.dtype)

        def unroll_some_back(chunk: int, first: int, last: int) -> None:
            of_rule, of_odds, of_variances = self._split(gradients[chunk])
            (of_own,) = zeros_aligned(path.dtype, len(of_rule))
            unroll_filtered_back(
                self.steps, self.compiled.layout, own, fields, seen, cohort.n_observed, first, last,
                self._room(path.dtype, self.steps.block, back=True), path, kept, cohort.truncation,
                cohort.n_steps, upstream, of_own, of_odds, of_variances, of_start,
            )  # fmt: skip
            of_rule += of_own

        over_subjects(unroll_some_back, cohort)
        return gradients.sum(0), of_start


class ExpectationDriver:
    """Drives the steps of an :class:`~sklearn_learnrule.rules.observing.Expectation` over rows.

    Parameters
    ----------
    n_weights, n_choices : int
    dtype : torch.dtype
    """

    def __init__(self, n_weights: int, n_choices: int, dtype: torch.dtype) -> None:
        rule = Expectation(n_weights, n_choices)
        self.compiled = TracedSteps(rule, usual_trials(rule), dtype, in_filter=True)
        self.steps, self.n_logits = self.compiled.steps, rule.policy.n_sets

    def logits(self, rows: Array, features: Array) -> Array:
        """Return the logits (R, C - 1) of a path's rows (R, K + S)."""
        logits = np.empty((len(rows), self.n_logits), rows.dtype)

        def fill_some(chunk: int, first: int, last: int) -> None:
            row = np.zeros(self.steps.row_size, rows.dtype)
            expect(self.steps, addresses((features,)), first, last, rows, row, logits)

        over_rows(fill_some, rows)
        return logits

    def logits_back(self, rows: Array, features: Array, upstream: Array) -> Array:
        """Return the rows' gradient from that of their logits."""
        gradient = np.zeros_like(rows)

        def fill_some(chunk: int, first: int, last: int) -> None:
            delta, of = np.zeros(self.steps.row_size, rows.dtype), addresses((features,))
            expect_back(self.steps, of, first, last, rows, delta, upstream, gradient)

        over_rows(fill_some, rows)
        return gradient


def over_rows(task: Callable[[int, int, int], None], rows: Array) -> None:
    """Call ``task`` as :func:`over_subjects` does, each row being a trial by itself."""
    over_subjects(task, Cohort((rows,), np.ones(len(rows), np.int64), 1, 0))


def addresses(trials: tuple[Array, ...]) -> Array:
    """Return where the fields' arrays are, which have to live on."""
    return np.array([address_of(field) for field in trials], np.int64)
