"""Training: which optimizer, what stops it, what it shows; skorch does the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import check_random_state
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from ._net import SequenceDataset, SequenceModel, SequenceNet

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.AdamW, {}),
    "lbfgs": (
        torch.optim.LBFGS,
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-9, "tolerance_change": 1e-12},
    ),
}
# Of a network's parameters, by name: weight decay is for its layers.
UNDECAYED = [
    (name, {"weight_decay": 0.0})
    for name in ("*bias*", "*scale", "initial_weights", "noise.*", "lapses.*")
]


@dataclass(kw_only=True, repr=False, eq=False)
class Training:
    """The parameters that speak of training; ``_classifier`` and ``_networks`` document them."""

    optimizer: str = "lbfgs"
    lr: float | None = None
    max_epochs: int | None = 50
    tol: float = 1e-8
    batch_size: int = -1
    early_stopping: bool = False
    validation_fraction: float = 0.2
    n_iter_no_change: int = 20
    callbacks: Sequence[Any] | None = None
    verbose: int = 0

    # Of networks alone; without annotation, so that they are no fields.
    n_ensemble = 1
    weight_decay = 0.0
    gradient_clip_value = np.inf
    average = False
    mirrored_ = False


def check_training(how: Training) -> None:
    """Raise for training parameters that make no sense."""
    if how.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer should be one of {sorted(OPTIMIZERS)}, got {how.optimizer!r}.")
    if how.optimizer == "lbfgs" and how.batch_size != -1:
        raise ValueError("optimizer='lbfgs' needs all subjects at once: set batch_size=-1.")
    for name in ("max_epochs", "n_iter_no_change", "n_ensemble"):
        value = getattr(how, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} should be at least 1, got {value}.")
    if not how.gradient_clip_value > 0:
        raise ValueError(f"gradient_clip_value should be above 0, got {how.gradient_clip_value}.")
    if how.batch_size != -1 and how.batch_size < 1:
        raise ValueError(f"batch_size should be -1 or at least 1, got {how.batch_size}.")


def train(
    model: SequenceModel,
    dataset: SequenceDataset,
    how: Training,
    device: str,
    seed: int,
) -> SequenceNet:
    """Fit the model, and return the skorch net that holds it.

    With early stopping, subjects that are held out tell after how many epochs to stop; then all
    are fitted, so that none is lost.
    """
    lr, most_epochs = pace(how, dataset, noisy=getattr(model, "noise", None) is not None)
    stopping_history, n_epochs = None, most_epochs
    if how.early_stopping:
        fitted, held_out = _hold_out(dataset, how.validation_fraction, seed)
        with torch.random.fork_rng(devices=[]):  # the fit to come draws as if there were no search
            search = _fit(deepcopy(model), fitted, how, device, lr, n_epochs, held_out)
        stopping_history = search.history
        losses = np.nan_to_num(stopping_history[:, "valid_loss"], nan=np.inf)
        n_epochs = int(np.argmin(losses)) + 1
    net = _fit(model, dataset, how, device, lr, n_epochs)
    net.stopping_history, net.most_epochs = stopping_history, most_epochs
    for _, callback in net.callbacks_:
        vars(callback).pop("lr_scheduler_", None)  # it would bind a pickle to a GPU
    return net


def pace(how: Training, dataset: SequenceDataset, *, noisy: bool = False) -> tuple[float, int]:
    """Return the learning rate and how many passes to take; None: what suits so many trials.

    The more trials a subject has, the farther a network can go before it overfits: from 200
    passes at .001 for 2,000. With process noise, which explains what the rule need not, it can go
    no farther. Mirror images are passed, too.
    """
    size = dataset.lengths.mean() / 2000
    larger = float(np.clip(size, 1, 5))
    lr = 1.0 if how.optimizer == "lbfgs" else 1e-3 * larger
    passes = 200 * np.sqrt(min(size, 1)) / larger if noisy else 200 * np.sqrt(size)
    n_epochs = max(1, round(passes / (1 + how.mirrored_)))
    return lr if how.lr is None else how.lr, how.max_epochs or n_epochs


def _fit(
    model: SequenceModel,
    dataset: SequenceDataset,
    how: Training,
    device: str,
    lr: float,
    n_epochs: int,
    held_out: SequenceDataset | None = None,
) -> SequenceNet:
    engine = model.chosen_engine(len(dataset), torch.device(device))
    callbacks = [*_callbacks(how, engine, device, held_out), *deepcopy(how.callbacks or [])]
    optimizer, options = OPTIMIZERS[how.optimizer]
    if how.optimizer == "adam":
        options = {"weight_decay": how.weight_decay, "param_groups": UNDECAYED}
    net = SequenceNet(
        model,
        criterion=torch.nn.BCEWithLogitsLoss,
        criterion__reduction="none",
        optimizer=optimizer,
        lr=lr,
        max_epochs=n_epochs,
        batch_size=how.batch_size,
        train_split=None if held_out is None else predefined_split(held_out),
        callbacks=callbacks,
        device=device,
        verbose=max(0, how.verbose - 1),
        **{f"optimizer__{name}": value for name, value in options.items()},
    )
    return net.fit(dataset.with_mirror_images() if how.mirrored_ else dataset, y=None)


def _callbacks(
    how: Training, engine: str, device: str, held_out: SequenceDataset | None
) -> list[tuple[str, Callback]]:
    callbacks: list[tuple[str, Callback]] = [("divergence", DivergenceGuard())]
    if held_out is not None:
        stop = {"monitor": "valid_loss", "patience": how.n_iter_no_change}
        callbacks.append(("early_stopping", EarlyStopping(**stop, threshold=0, sink=noop)))
    elif how.average:
        callbacks.append(("average", AverageParameters()))
    if how.gradient_clip_value < np.inf:
        callbacks.append(("clip", GradientNormClipping(how.gradient_clip_value)))
    if how.optimizer == "lbfgs":
        stop = {"monitor": "train_loss", "patience": 1, "threshold_mode": "abs"}
        callbacks.append(("converged", EarlyStopping(**stop, threshold=how.tol, sink=noop)))
    if how.verbose:
        what = ", when to stop" * (held_out is not None) + ", with mirror images" * how.mirrored_
        name = f"{type(how).__name__}{what} ({engine} engine, {device})"
        callbacks.append(("progress", EpochProgress(name)))
    return callbacks


def _hold_out(
    dataset: SequenceDataset, fraction: float, seed: int
) -> tuple[SequenceDataset, SequenceDataset]:
    if len(dataset) < 2:
        raise ValueError("early_stopping holds subjects out and needs at least 2, got 1.")
    split = ShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    train, held_out = next(split.split(np.arange(len(dataset))))
    return dataset.subset(train), dataset.subset(held_out)


@contextmanager
def seeded(random_state: Any, device: str) -> Iterator[int]:
    """Seed torch for a while, and leave its global generators as they were."""
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield seed


class EpochProgress(Callback):
    """One line that tells the epoch, the loss in nats per trial, and the time to go."""

    def __init__(self, name: str = "fit") -> None:
        self.name = name

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_ = tqdm(total=net.max_epochs, desc=self.name, unit="epoch", leave=None)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        losses = {k: net.history[-1].get(k) for k in ("train_loss", "valid_loss")}
        self.bar_.set_postfix({k: f"{v:.5f}" for k, v in losses.items() if v is not None})
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_.close()
        del self.bar_  # a progress bar cannot be pickled


class AverageParameters(Callback):
    """Leaves the parameters' average over the latest steps, which a single step would scatter."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.average_ = AveragedModel(net.module_, avg_fn=self.add)

    @staticmethod
    def add(average: Tensor, parameters: Tensor, n_averaged: Tensor | int) -> Tensor:
        """Return the average of a few steps, and of about the latest 30 of many."""
        return average + (parameters - average) * max(0.03, 9 / (10 + int(n_averaged)))

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.average_.update_parameters(net.module_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        with torch.no_grad():
            for parameter, average in zip(
                net.module_.parameters(), self.average_.parameters(), strict=True
            ):
                parameter.copy_(average)
        del self.average_


class DivergenceGuard(Callback):
    """Stops the training at the first loss that is not finite."""

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if not np.isfinite(net.history[-1, "train_loss"]):
            raise FloatingPointError(
                f"Training diverged: the loss is {net.history[-1, 'train_loss']} at epoch "
                f"{len(net.history)}. Lower lr (now {net.lr}), or rescale the stimulus columns."
            )
