"""The sequences as tensors, one sample a subject, padded among subjects of like length."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.sequences import Sequences
from ..models.members import read_trials
from ..models.nodes import Nodes
from ..rules import TWO_CHOICES, Trial
from ..utils.arrays import Floats, Ints


class Target(NamedTuple):
    """What is to be predicted and how much each trial counts, both (n, T)."""

    choice: Tensor
    weight: Tensor
    unit: float | Tensor = 1.0
    """How many trials one of weight 1 stands for."""


class Rows(NamedTuple):
    """Where a block's trials stand among X's rows, each (n_trials,)."""

    row: Ints
    subject: Ints  # its place in the block
    trial: Ints


class Block(NamedTuple):
    """Some of a dataset's subjects, n of them, as padded tensors (n, T, ...)."""

    subjects: Ints  # (n,) their numbers in the dataset
    trials: Trial
    observed: Tensor
    target: Target | None
    covariates: Tensor  # (n, C)
    rows: Rows | None = None
    nodes: Nodes | None = None
    """Of subjects' effects, if they have any."""

    def take(self, subjects: Ints, places: Ints, n_trials: int) -> Block:
        """Return the subjects at some places, under new numbers."""
        index = torch.as_tensor(places, device=self.observed.device)

        def taken(field: Tensor) -> Tensor:
            return field[index, :n_trials]

        trials = self.trials.of_subjects(index).at(slice(n_trials))
        target = self.target and Target(taken(self.target.choice), taken(self.target.weight))
        nodes = self.nodes and self.nodes.of_subjects(index)
        known = self.covariates[index]
        return Block(subjects, trials, taken(self.observed), target, known, nodes=nodes)

    def with_mirror_images(self, first: int) -> Block:
        """Add the same with left and right swapped, whose numbers begin at ``first``."""
        assert self.target is not None
        exists = self.trials.features[..., -1]  # 1, and 0 in the padding
        choice = TWO_CHOICES.mirror_choice(self.target.choice, exists)
        return Block(
            np.concatenate([self.subjects, self.subjects + first]),
            self.trials.join(TWO_CHOICES.mirror(self.trials, self.observed)),
            torch.cat([self.observed, self.observed]),
            Target(torch.cat([self.target.choice, choice]), torch.cat(2 * [self.target.weight])),
            torch.cat(2 * [self.covariates]),
        )


class SequenceDataset(torch.utils.data.Dataset):
    """The sequences in blocks of subjects of like length: padding takes no more room than trials.

    With choices and weights, (n_rows,) each, the blocks have targets.
    """

    def __init__(
        self,
        sequences: Sequences,
        *,
        choice: NDArray[Any] | None = None,
        weight: NDArray[Any] | None = None,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        def tensor(values: NDArray[Any]) -> Tensor:
            return torch.as_tensor(values, dtype=dtype, device=device)

        self.weight_unit = 1.0  # how many trials one of weight 1 stands for
        self.lengths = sequences.lengths  # (N,)
        self.blocks = []
        for subjects in of_like_length(self.lengths):
            part, rows = sequences.some(subjects)
            target = None
            if choice is not None and weight is not None:
                target = Target(tensor(part.pad(choice[rows])), tensor(part.pad(weight[rows])))
            places = Rows(rows, part.row_subject, part.row_trial)
            known = torch.as_tensor(sequences.covariates[subjects], device=device)
            read = read_trials(part, dtype, device)
            self.blocks.append(Block(subjects, *read, target, known, places))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def targets(self) -> list[Target]:
        """Those of the blocks, if they have any."""
        return [block.target for block in self.blocks if block.target]

    @property
    def scored_subjects(self) -> Ints:
        """The numbers of those of whom a trial counts, ascending."""
        scored = [
            block.subjects[(block.target.weight > 0).any(1).cpu().numpy()]
            for block in self.blocks
            if block.target
        ]
        return np.sort(np.concatenate(scored))

    @property
    def n_scored_trials(self) -> float:
        """How many trials count, one of weight 2 for two."""
        return self.weight_unit * sum(target.weight.sum().item() for target in self.targets)

    def targets_of(self, whole: SequenceDataset) -> list[Target]:
        """Return a batch's targets, weights relative to what so many subjects of the whole have.

        So batches' losses, averaged over subjects, are the whole's loss per scored trial, however
        unlike its subjects' weights and lengths.
        """
        total = torch.stack([target.weight.sum() for target in whole.targets]).sum()
        usual = (total * len(self) / len(whole)).clamp_min(1e-12)
        return [
            Target(target.choice, target.weight / usual, usual * self.weight_unit)
            for target in self.targets
        ]

    def subset(self, subjects: Ints) -> SequenceDataset:
        """Return some subjects, with no more padding than they need."""
        chosen = copy(self)
        chosen.lengths = self.lengths[subjects]
        chosen.blocks = []
        for block in self.blocks:
            numbers, places = np.nonzero(subjects[:, None] == block.subjects)
            if len(numbers):
                n_trials = chosen.lengths[numbers].max()
                chosen.blocks.append(block.take(numbers, places, n_trials))
        return chosen

    def with_mirror_images(self) -> SequenceDataset:
        """Return these subjects and, after them, the same with left and right swapped."""
        both = copy(self)
        both.lengths = np.tile(self.lengths, 2)
        both.blocks = [block.with_mirror_images(len(self)) for block in self.blocks]
        return both

    def rows(self, padded: Sequence[Tensor]) -> Tensor:
        """Read what blocks have, (n, T, ...) each, in the order of X's rows, (n_rows, ...).

        Of a whole dataset, as it was made.
        """
        values = padded[0].new_empty(int(self.lengths.sum()), *padded[0].shape[2:])
        for block, of_block in zip(self.blocks, padded, strict=True):
            assert block.rows is not None
            row, subject, trial = block.rows
            values[row] = of_block[subject, trial]
        return values


def of_like_length(lengths: Ints) -> list[Ints]:
    """Return the subjects in sets, in each of which the longest has at most twice the shortest."""
    sets, left = [], np.ones(len(lengths), dtype=bool)
    while left.any():
        alike = left & (2 * lengths >= lengths[left].max())
        sets.append(np.flatnonzero(alike))
        left &= ~alike
    return sets


def to_numpy(tensor: Tensor) -> Floats:
    """Return a tensor's numbers in double precision, wherever it lies."""
    return tensor.detach().cpu().double().numpy()
