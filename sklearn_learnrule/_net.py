"""The net: a rule and padded sequences meet in skorch.

One sample is one subject's sequence. The loss is the negative log-likelihood per scored trial.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from torch import Tensor, nn

from ._sequences import Sequences
from .engine import unroll
from .rules import LearningRule, Trial


class Target(NamedTuple):
    """What is to be predicted and how much each trial counts, both (N, T)."""

    choice: Tensor
    weight: Tensor


class LearningModel(nn.Module):
    """A Bernoulli GLM policy whose weights a learning rule moves."""

    def __init__(
        self,
        rule: LearningRule,
        initial_weights: Tensor,
        *,
        train_initial_weights: bool,
        truncation: int | None,
        engine: str,
    ) -> None:
        super().__init__()
        self.rule = rule
        self.initial_weights = nn.Parameter(initial_weights, requires_grad=train_initial_weights)
        self.truncation = truncation
        self.engine = engine

    def weights(self, observed: Tensor, **trials: Tensor) -> Tensor:
        """Return the weights before each choice, (N, T, K)."""
        return unroll(
            self.rule,
            self.initial_weights.expand(len(observed), -1),
            Trial(**trials),
            observed,
            truncation=self.truncation,
            engine=self.engine,
        )

    def forward(self, features: Tensor, **trials: Tensor) -> Tensor:
        """Return the logit of P(y = 1) on each trial, (N, T)."""
        return (self.weights(features=features, **trials) * features).sum(-1)


class SequenceDataset(torch.utils.data.Dataset):
    """The padded sequences as tensors: inputs of the model and, if given, its target."""

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

        self.inputs = {name: tensor(getattr(sequences, name)) for name in Trial._fields}
        self.inputs["observed"] = torch.as_tensor(sequences.observed, device=device)
        self.target = None
        if choice is not None and weight is not None:
            self.target = Target(tensor(sequences.pad(choice)), tensor(sequences.pad(weight)))
        self.lengths = np.bincount(sequences.row_subject)

    def __len__(self) -> int:
        return len(self.lengths)

    def subset(self, subjects: NDArray[np.int64]) -> SequenceDataset:
        """Return some subjects, with no more padding than they need."""
        chosen = copy(self)
        chosen.lengths = self.lengths[subjects]
        n_trials = chosen.lengths.max()
        index = torch.as_tensor(subjects)
        chosen.inputs = {
            name: field[index.to(field.device), :n_trials] for name, field in self.inputs.items()
        }
        chosen.target = self.target and Target(
            *(field[index.to(field.device), :n_trials] for field in self.target)
        )
        return chosen


class RuleNet(NeuralNet):
    """A skorch net over sequences: minibatches are sets of subjects, the loss counts trials."""

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the minibatches; the whole set is one batch, handed on without a copy."""
        if self.batch_size == -1 or self.batch_size >= len(dataset):
            return [(dataset.inputs, dataset.target)]
        return _Minibatches(dataset, self.batch_size, shuffle=training)

    def get_loss(
        self, y_pred: Tensor, y_true: Target, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the negative log-likelihood per scored trial, in nats."""
        del X, training
        loss = self.criterion_(y_pred, y_true.choice)  # (N, T)
        return (loss * y_true.weight).sum() / y_true.weight.sum().clamp_min(1e-12)

    def predict_weights(self, dataset: SequenceDataset) -> Tensor:
        """Return the policy weights before each choice, (N, T, K)."""
        self._set_training(False)
        with torch.no_grad():
            return self.module_.weights(**dataset.inputs)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is not needed any more, and would bind a pickle to a GPU.

        skorch maps the fitted ``module_`` to the device that there is; ``module`` and the
        validation set it would not.
        """
        return {**super().__getstate__(), "module": LearningModel, "train_split": None}


class _Minibatches:
    """A pass over the subjects, a batch at a time, anew on each iteration."""

    def __init__(self, dataset: SequenceDataset, batch_size: int, *, shuffle: bool) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Target | None]]:
        n_subjects = len(self.dataset)
        order = torch.randperm(n_subjects) if self.shuffle else torch.arange(n_subjects)
        for subjects in order.split(self.batch_size):
            batch = self.dataset.subset(subjects.numpy())
            yield batch.inputs, batch.target
