"""Training: which optimizer, what stops it, what it shows; skorch does the rest."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import RLock, current_thread, main_thread
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from ..engine import threads
from ..models.learning import SequenceModel
from .dataset import SequenceDataset
from .individuals import ENOUGH, FollowSubjects, with_own_nodes
from .net import ChoiceLoss, SequenceNet, idle_net
from .settings import OPTIMIZERS, TrainingSettings

# Of a network's parameters, by name: weight decay is for its layers.
UNDECAYED = [
    (name, {"weight_decay": 0.0})
    for name in ("*bias*", "*scale", "*around.*", "initial_weights", "*noise.*", "*lapses.*")
]
TELLER = "teller"
_GLOBAL_GENERATOR = RLock()  # who holds it may draw from torch's global generator


def train(
    model: SequenceModel,
    dataset: SequenceDataset,
    settings: TrainingSettings,
    device: str,
    generator: torch.Generator,
    seed: int,
) -> SequenceNet:
    """Fit the model, and return the skorch net that holds it.

    With early stopping, subjects that are held out, by ``seed``, tell after how many epochs to
    stop; then all are fitted, so that none is lost. ``generator`` orders the minibatches.
    """
    noisy, symmetric = model.noise is not None, model.is_symmetric
    if model.effects is not None:
        dataset = with_own_nodes(dataset)
    lr, most_epochs = pace(settings, dataset, noisy=noisy, symmetric=symmetric)
    stopping_history, n_epochs = None, most_epochs
    if settings.early_stopping:
        fitted, held_out = _hold_out(dataset, settings.validation_fraction, seed)
        before = generator.get_state()
        search = _fit(deepcopy(model), fitted, settings, device, generator, lr, n_epochs, held_out)
        generator.set_state(before)  # the fit to come draws as if there were no search
        stopping_history = search.history
        losses = np.nan_to_num(stopping_history[:, "valid_loss"], nan=np.inf)
        n_epochs = int(np.argmin(losses)) + 1
    net = _fit(model, dataset, settings, device, generator, lr, n_epochs)
    net.stopping_history, net.most_epochs = stopping_history, most_epochs
    net.callbacks_ = [pair for pair in net.callbacks_ if pair[0] != TELLER]  # it is of this fit
    return net


def pace(
    settings: TrainingSettings,
    dataset: SequenceDataset,
    *,
    noisy: bool = False,
    symmetric: bool = False,
) -> tuple[float, int]:
    """Return the learning rate and how many passes to take; None: what suits so many trials.

    The more trials a subject has, the farther a network can go before it overfits: from 200
    passes at .001 for 2,000. With process noise, which explains what the rule need not, it can go
    no farther, nor can one that learns mirror images, which are passed, too. A symmetric network
    knows half of what others have to learn.
    """
    size = dataset.lengths.sum() / dataset.n_subjects / 2000
    larger = float(np.clip(size, 1, 5))
    lr, passes = 1e-3 * larger, 200 * np.sqrt(size)
    if noisy:
        passes = 200 * np.sqrt(min(size, 1)) / larger
    if symmetric:
        lr, passes = 2 * lr, passes / 4
    elif settings.mirrored:
        passes = min(passes, 200) / 2
    if settings.optimizer == "lbfgs":
        lr = 1.0
    n_epochs = settings.max_epochs or max(1, round(passes))
    return lr if settings.lr is None else settings.lr, n_epochs


def _fit(
    model: SequenceModel,
    dataset: SequenceDataset,
    settings: TrainingSettings,
    device: str,
    generator: torch.Generator,
    lr: float,
    n_epochs: int,
    held_out: SequenceDataset | None = None,
) -> SequenceNet:
    how = model.describe_engine(len(dataset), torch.device(device))
    images = settings.mirrored and not model.is_symmetric
    if settings.mirrored:
        how = f"{'with mirror images' if images else 'all choices alike'}, {how}"
    optimizer, options = OPTIMIZERS[settings.optimizer]
    if settings.optimizer == "adam":
        decay = {"weight_decay": settings.weight_decay, "param_groups": UNDECAYED}
        options = options | decay
    individual = model.effects is not None
    least = max(settings.tol, individual * ENOUGH / dataset.n_scored_trials)
    if individual and settings.optimizer == "lbfgs":  # a pass ends where nodes should move
        options = options | {"tolerance_change": least / 100}
    net = SequenceNet(
        model,
        criterion=ChoiceLoss,
        criterion__policy=model.policy,
        optimizer=optimizer,
        lr=lr,
        max_epochs=n_epochs,
        batch_size=settings.batch_size,
        train_split=None if held_out is None else predefined_split(held_out),
        callbacks=_callbacks(settings, how, held_out, individual, least),
        device=device,
        use_caching=False,  # so that a scoring callback gets the net and its dataset
        verbose=max(0, settings.verbose - 1),
        **{f"optimizer__{name}": value for name, value in options.items()},
    )
    net.generator, net.n_trials = generator, dataset.n_scored_trials
    with interruptible():
        return net.fit(dataset.with_mirror_images() if images else dataset, y=None)


def net_so_far(net: SequenceNet) -> SequenceNet:
    """Return a net that predicts as one in training would if its training ended here."""
    model = deepcopy(net.module_)
    if (average := dict(net.callbacks_).get("average")) is not None:
        average.give(model)
    stopped = idle_net(model, net.lr, net.device)
    stopped.history_ = deepcopy(net.history)
    stopped.stopping_history, stopped.most_epochs = None, net.max_epochs
    return stopped


def _callbacks(
    settings: TrainingSettings,
    how: str,
    held_out: SequenceDataset | None,
    individual: bool,
    least: float,
) -> list[Any]:
    callbacks: list[Any] = [("divergence", DivergenceGuard(settings.optimizer))]
    callbacks.append(("called_off", EndsWithOthers()))
    if settings.teller is not None:  # before what may end the training
        callbacks.append((TELLER, settings.teller))
    if held_out is not None:
        stop = {"monitor": "valid_loss", "patience": settings.n_iter_no_change}
        callbacks.append(("early_stopping", EarlyStopping(**stop, threshold=0, sink=noop)))
    elif settings.average:
        callbacks.append(("average", AverageParameters()))
    if settings.gradient_clip_value < np.inf:
        callbacks.append(("clip", GradientNormClipping(settings.gradient_clip_value)))
    if settings.optimizer == "lbfgs":
        stop = {"monitor": "train_loss", "threshold": least, "threshold_mode": "abs"}
        # Nodes that move may take back a little, or much.
        stop |= {"patience": 2, "load_best": True} if individual else {"patience": 1}
        callbacks.append(("converged", EarlyStopping(**stop, sink=noop)))
    if individual:  # after what averages parameters, or goes back to better ones
        callbacks.append(("subjects", FollowSubjects()))
    if settings.verbose:
        what = ", when to stop" if held_out is not None else ""
        name = f"{settings.name}{what} ({how})"
        callbacks.append(("progress", EpochProgress(name)))
    return callbacks + deepcopy([*(settings.callbacks or [])])


def _hold_out(
    dataset: SequenceDataset, fraction: float, seed: int
) -> tuple[SequenceDataset, SequenceDataset]:
    """Hold some of the scored subjects out."""
    scored = dataset.scored_subjects
    if len(scored) < 2:
        raise ValueError(
            f"early_stopping holds scored subjects out and needs at least 2, got {len(scored)}."
        )
    split = ShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    train, held_out = (scored[some] for some in next(split.split(scored)))
    return dataset.subset(train), dataset.subset(held_out)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through, which skorch, whose callbacks raise the like, takes for an early end."""
    handler = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or not callable(handler):
        yield
        return
    seen = []

    def note(number: int, frame: Any) -> None:
        try:
            handler(number, frame)
        except KeyboardInterrupt:
            seen.append(number)
            raise

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if seen:
        raise KeyboardInterrupt


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let what draws from torch's global generator, as layers do for their start, draw from ours.

    The global one is then as it was. Fits in other threads wait for their turn.
    """
    with _GLOBAL_GENERATOR:
        before = torch.default_generator.get_state()
        torch.default_generator.set_state(generator.get_state())
        try:
            yield
        finally:
            generator.set_state(torch.default_generator.get_state())
            torch.default_generator.set_state(before)


class EndsWithOthers(Callback):
    """Ends a training that is part of a fit of which another part has failed."""

    def on_batch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if threads.called_off():
            raise threads.CalledOffError


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
        self.average_ = AveragedModel(net.module_, multi_avg_fn=self.add)

    @staticmethod
    def add(averages: Any, parameters: Any, n_averaged: Tensor | int) -> None:
        """Add a step to the averages over a few, or over about the latest 30 of many."""
        changes = torch._foreach_sub(parameters, averages)
        torch._foreach_mul_(changes, max(0.03, 9 / (10 + int(n_averaged))))
        torch._foreach_add_(averages, changes)

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.average_.update_parameters(net.module_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.give(net.module_)
        del self.average_

    def give(self, model: torch.nn.Module) -> None:
        """Let a model have the averages for its parameters."""
        with torch.no_grad():
            for parameter, average in zip(
                model.parameters(), self.average_.parameters(), strict=True
            ):
                parameter.copy_(average)


class DivergenceGuard(Callback):
    """Takes no step that is not finite, and ends a training that does not find back."""

    def __init__(self, optimizer: str) -> None:
        self.patience = 0 if optimizer == "lbfgs" else 3  # epochs

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.n_lost = 0

    def on_grad_computed(self, net: NeuralNet, **kwargs: Any) -> None:
        parameters = [p for p in net.module_.parameters() if p.grad is not None]
        if self.patience and not all(p.grad.isfinite().all() for p in parameters):
            for parameter in parameters:
                parameter.grad = None  # which optimizers pass over

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        loss = net.history[-1, "train_loss"]
        self.n_lost = 0 if np.isfinite(loss) else self.n_lost + 1
        if self.n_lost > self.patience or (self.n_lost and len(net.history) == net.max_epochs):
            raise FloatingPointError(
                f"Training diverged: the loss is {loss} at epoch {len(net.history)}. Lower lr "
                f"(now {net.lr})."
            )
