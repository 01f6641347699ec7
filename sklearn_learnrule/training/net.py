"""The net: a model of choices and padded sequences meet in skorch.

One sample is one sequence. The loss is the negative log-likelihood per scored trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor

from ..models.following import at_places, integrate
from ..models.learning import SequenceModel
from ..rules import Policy
from .dataset import Block, SequenceDataset, Target


class ChoiceLoss(torch.nn.Module):
    """The negative log-likelihood of each choice, by logits, in nats."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, logits: Tensor, choice: Tensor) -> Tensor:
        return -self.policy.log_probability(logits, choice)


class SequenceNet(NeuralNet):
    """A skorch net over sequences: minibatches are sets of subjects, the loss counts trials."""

    generator: torch.Generator | None = None
    """Orders the minibatches."""
    n_trials: float
    """How many scored trials are fitted, beside which a prior counts less and less."""

    def get_default_callbacks(self) -> list[tuple[str, Any]]:
        """Return skorch's, without its log where nothing is to be told.

        The log minds ``verbose=0`` only until another package, as Ray, replaces ``print``.
        """
        named = super().get_default_callbacks()
        return [each for each in named if self.verbose or each[0] != "print_log"]

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the minibatches, each a dataset and its targets; all subjects may be one."""
        if self.batch_size == -1 or self.batch_size >= dataset.n_subjects:
            return [(dataset, dataset.targets_of(dataset))]
        return _Minibatches(dataset, self.batch_size, self.generator if training else None)

    def infer(self, x: SequenceDataset, **fit_params: Any) -> list[Tensor]:
        """Return the blocks' logits before each choice, (n, T) or (n, T, C - 1) each.

        Of subjects with effects, those of each node, (Q, n, ...).
        """
        return [at_nodes(self.module_, block, **fit_params) for block in x.blocks]

    def get_loss(
        self, y_pred: list[Tensor], y_true: list[Target], X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the negative log-likelihood per scored trial, in nats; see ``targets_of``.

        What is fitted to a prior, too, has its share of that in training.
        """
        losses = [
            self._loss(block, logits, target).sum()
            for block, logits, target in zip(X.blocks, y_pred, y_true, strict=True)
        ]
        loss = torch.stack(losses).sum()
        if training and self.module_.has_prior:
            return loss - self.module_.log_prior() / self.n_trials
        return loss

    def _loss(self, block: Block, logits: Tensor, target: Target) -> Tensor:
        """Return sequences' loss, (n,), or subjects', (N,), of which nodes are integrated out."""
        loss = (self.criterion_(logits, target.choice) * target.weight).sum(-1)  # (n,) or (Q, n)
        if block.nodes is None:
            return loss
        of_block = block.nodes, block.covariates, block.parts
        return -integrate(self.module_, *of_block, -loss, target.unit)

    def predict_logits(self, dataset: SequenceDataset) -> list[Tensor]:
        """Return the blocks' logits before each choice, (n, T) or (n, T, C - 1) each."""
        return self._compute(self.module_, dataset)

    def predict_path(self, dataset: SequenceDataset) -> list[tuple[Tensor, Tensor]]:
        """Return what the blocks know of weights before each choice, and whose ran away, (n,)."""
        return self._compute(self.module_.path, dataset)

    def _compute(self, function: Callable[..., Any], dataset: SequenceDataset) -> list[Any]:
        self._set_training(False)
        with torch.no_grad():
            return [function(block.trials, block.observed) for block in dataset.blocks]


def at_nodes(model: torch.nn.Module, block: Block, **how: Any) -> Tensor:
    """Return what a model makes of a block, (n, T), or at each node of its subjects', (Q, n, T)."""
    if block.nodes is None:
        return model(block.trials, block.observed, **how)
    places = block.nodes.places[:, block.parts.subject]
    return at_places(partial(model, **how), block.trials, block.observed, places)


def idle_net(model: SequenceModel, lr: float, device: str) -> SequenceNet:
    """Return a net that holds a model, to predict by and not to train."""
    return SequenceNet(
        model,
        criterion=ChoiceLoss,
        criterion__policy=model.policy,
        lr=lr,
        callbacks="disable",
        device=device,
    ).initialize()


class _Minibatches:
    """A pass over the subjects, a batch at a time, anew on each iteration."""

    def __init__(
        self, dataset: SequenceDataset, batch_size: int, generator: torch.Generator | None
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator  # None: in order

    def __iter__(self) -> Iterator[tuple[SequenceDataset, list[Target]]]:
        n_subjects = self.dataset.n_subjects
        order = torch.arange(n_subjects)
        if self.generator is not None:
            order = torch.randperm(n_subjects, generator=self.generator)
        for subjects in order.split(self.batch_size):
            batch = self.dataset.subset(subjects.numpy())
            yield batch, batch.targets_of(self.dataset)
