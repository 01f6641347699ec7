"""The sequences as tensors, one sample each, padded among sequences of like length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.sequences import Sequences
from ..models.following import Parts
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
    sequence: Ints  # its place in the block
    place: Ints  # in the sequence


class Block(NamedTuple):
    """Some of a dataset's sequences, n of them, as padded tensors (n, T, ...)."""

    sequences: Ints  # (n,) their numbers in the dataset
    trials: Trial
    observed: Tensor
    target: Target | None
    parts: Parts
    covariates: Tensor  # (N, C), of the block's N subjects
    rows: Rows | None = None
    nodes: Nodes | None = None
    """Of these subjects' effects, if they have any."""

    def by_subject(self, values: Tensor) -> Tensor:
        """Sum what sequences have, (n,), over each subject's, (N,)."""
        zeros = values.new_zeros(len(self.covariates))
        return zeros.index_add(0, self.parts.subject, values)

    def take(self, sequences: Ints, places: Ints, n_trials: int) -> Block:
        """Return the sequences at some places, under new numbers."""
        index = torch.as_tensor(places, device=self.observed.device)

        def taken(field: Tensor) -> Tensor:
            return field[index, :n_trials]

        trials = self.trials.of_subjects(index).at(slice(n_trials))
        target = self.target and Target(taken(self.target.choice), taken(self.target.weight))
        subjects, subject = self.parts.subject[index].unique(return_inverse=True)
        parts = Parts(subject, self.parts.first[index])
        nodes = self.nodes and self.nodes.of_subjects(subjects)
        known = self.covariates[subjects]
        return Block(sequences, trials, taken(self.observed), target, parts, known, nodes=nodes)

    def with_mirror_images(self, first: int) -> Block:
        """Add the same with left and right swapped, whose numbers begin at ``first``."""
        assert self.target is not None
        exists = self.trials.features[..., -1]  # 1, and 0 in the padding
        choice = TWO_CHOICES.mirror_choice(self.target.choice, exists)
        return Block(
            np.concatenate([self.sequences, self.sequences + first]),
            self.trials.join(TWO_CHOICES.mirror(self.trials, self.observed)),
            torch.cat([self.observed, self.observed]),
            Target(torch.cat([self.target.choice, choice]), torch.cat(2 * [self.target.weight])),
            self.parts.twice(len(self.covariates)),
            torch.cat(2 * [self.covariates]),
        )


class SequenceDataset(torch.utils.data.Dataset):
    """The sequences in blocks of like length: padding takes no more room than trials.

    With choices and weights, (n_rows,) each, the blocks have targets. ``subject`` (N,) says whose
    each sequence is: a subject has one or, with restarts, several, which are fitted, held out and
    judged together. ``whole_subjects`` keeps them in one block, whatever their lengths, as effects
    need it that they share.
    """

    def __init__(
        self,
        sequences: Sequences,
        *,
        choice: NDArray[Any] | None = None,
        weight: NDArray[Any] | None = None,
        dtype: torch.dtype,
        device: str,
        whole_subjects: bool = True,
    ) -> None:
        def tensor(values: NDArray[Any]) -> Tensor:
            return torch.as_tensor(values, dtype=dtype, device=device)

        self.weight_unit = 1.0  # how many trials one of weight 1 stands for
        self.lengths = sequences.lengths  # (N,)
        self.subject = sequences.sequence_subject  # (N,)
        self.blocks = []
        longest = np.zeros(self.n_subjects, dtype=int)
        np.maximum.at(longest, self.subject, self.lengths)
        for some in of_like_length(longest[self.subject] if whole_subjects else self.lengths):
            part, rows = sequences.some(some)
            target = None
            if choice is not None and weight is not None:
                target = Target(tensor(part.pad(choice[rows])), tensor(part.pad(weight[rows])))
            places = Rows(rows, part.row_sequence, part.row_place)
            first = np.empty_like(part.sequence_subject)
            opens = part.row_place == 0
            first[part.row_sequence[opens]] = part.row_trial[opens]
            of_subjects = part.sequence_subject, first
            parts = Parts(*(torch.as_tensor(each, device=device) for each in of_subjects))
            known = torch.as_tensor(part.covariates, device=device)
            self.blocks.append(
                Block(some, *read_trials(part, dtype, device), target, parts, known, places)
            )

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_subjects(self) -> int:
        """How many subjects' sequences these are."""
        return int(self.subject.max()) + 1

    @property
    def targets(self) -> list[Target]:
        """Those of the blocks, if they have any."""
        return [block.target for block in self.blocks if block.target]

    @property
    def scored_sequences(self) -> Ints:
        """The numbers of those of which a trial counts, ascending."""
        scored = [
            block.sequences[(block.target.weight > 0).any(1).cpu().numpy()]
            for block in self.blocks
            if block.target
        ]
        return np.sort(np.concatenate(scored))

    @property
    def scored_subjects(self) -> Ints:
        """The numbers of those of whom a trial counts, ascending."""
        return np.unique(self.subject[self.scored_sequences])

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
        usual = (total * self.n_subjects / whole.n_subjects).clamp_min(1e-12)
        return [
            Target(target.choice, target.weight / usual, usual * self.weight_unit)
            for target in self.targets
        ]

    def subset(self, subjects: Ints) -> SequenceDataset:
        """Return some subjects, numbered anew, with no more padding than they need."""
        chosen = copy(self)
        chosen.subject, sequences = np.nonzero(subjects[:, None] == self.subject)
        chosen.lengths = self.lengths[sequences]
        chosen.blocks = []
        for block in self.blocks:
            numbers, places = np.nonzero(sequences[:, None] == block.sequences)
            if len(numbers):
                n_trials = chosen.lengths[numbers].max()
                chosen.blocks.append(block.take(numbers, places, n_trials))
        return chosen

    def with_mirror_images(self) -> SequenceDataset:
        """Return these subjects and, after them, the same with left and right swapped."""
        both = copy(self)
        both.lengths = np.tile(self.lengths, 2)
        both.subject = np.concatenate([self.subject, self.subject + self.n_subjects])
        both.blocks = [block.with_mirror_images(len(self)) for block in self.blocks]
        return both

    def subjects_of(self, block: Block) -> Ints:
        """Return the numbers of a block's subjects, in its order, (N,)."""
        numbers = np.empty(len(block.covariates), dtype=int)
        numbers[block.parts.subject.cpu().numpy()] = self.subject[block.sequences]
        return numbers

    def by_subject(self, of_blocks: Iterable[Tensor]) -> Tensor:
        """Sum what the blocks' subjects have, (N,) each, over each subject's, (n_subjects,)."""
        values = torch.cat([*of_blocks])
        numbers = np.concatenate([self.subjects_of(block) for block in self.blocks])
        index = torch.as_tensor(numbers, device=values.device)
        return values.new_zeros(self.n_subjects).index_add(0, index, values)

    def rows(self, padded: Sequence[Tensor]) -> Tensor:
        """Read what blocks have, (n, T, ...) each, in the order of X's rows, (n_rows, ...).

        Of a whole dataset, as it was made.
        """
        values = padded[0].new_empty(int(self.lengths.sum()), *padded[0].shape[2:])
        for block, of_block in zip(self.blocks, padded, strict=True):
            assert block.rows is not None
            row, sequence, place = block.rows
            values[row] = of_block[sequence, place]
        return values


def of_like_length(lengths: Ints) -> list[Ints]:
    """Return the sequences in sets, in each of which the longest is at most twice the shortest."""
    sets, left = [], np.ones(len(lengths), dtype=bool)
    while left.any():
        alike = left & (2 * lengths >= lengths[left].max())
        sets.append(np.flatnonzero(alike))
        left &= ~alike
    return sets


def to_numpy(tensor: Tensor) -> Floats:
    """Return a tensor's numbers in double precision, wherever it lies."""
    return tensor.detach().cpu().double().numpy()
