"""A fit as scikit-learn's callbacks are told of it: each member's training, and its epochs.

scikit-learn has them from 1.9 on: ``estimator.set_callbacks(ProgressBar())``. They look on, and may
end a training; what an estimator is given as its parameter ``callbacks`` are skorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from skorch import NeuralNet
from skorch.callbacks import Callback

try:
    import sklearn.callback as sklearn_callback
except ImportError:  # before scikit-learn 1.9
    sklearn_callback = None

P = ParamSpec("P")
R = TypeVar("R")


class _TakesNone:
    """What estimators are where scikit-learn has no callbacks."""


TakesCallbacks: Any = getattr(sklearn_callback, "CallbackSupportMixin", _TakesNone)


def with_callbacks(fit: Callable[P, R]) -> Callable[P, R]:
    """Decorate ``fit`` so that callbacks are torn down however it ends."""
    return fit if sklearn_callback is None else sklearn_callback.with_callbacks(fit)


class FitTasks:
    """The tasks of one fit, of which an estimator's callbacks, if it has any, are told.

    Parameters
    ----------
    estimator : classifier
    X, y, sample_weight : as given to its ``fit``
    """

    as_if_stopped: Callable[[NeuralNet], dict[str, Any]]
    """Returns the attributes that the estimator has if a net's training ends here."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        weight = None if sample_weight is None else {"sample_weight": sample_weight}
        self.told = {"estimator": estimator, "X": X, "y": y, "metadata": weight}
        self.stages = ["search", "training"] if estimator.early_stopping else ["training"]
        self.trainings: dict[tuple[int, str], Any] = {}
        self.epochs: dict[tuple[int, str], list[Any]] = {}
        self.root: Any = None
        if getattr(estimator, "_skl_callbacks", None):
            settings = estimator._settings
            n_parts = len(self.stages) * settings.n_ensemble * settings.n_init
            how = {"max_subtasks": n_parts, "sequential_subtasks": False}
            self.root = estimator._init_callback_context(**how)
            self.root.call_on_fit_task_begin(**self.told)

    def teller(self, member: int) -> TellsEpochs | None:
        """Return the skorch callback that tells of a member's training, if anybody is told."""
        return None if self.root is None else TellsEpochs(self, member)

    def begin_training(self, member: int, stage: str, n_epochs: int) -> None:
        if (member, stage) not in self.trainings:  # a network that was lost is trained anew
            number = member * len(self.stages) + self.stages.index(stage)
            self.trainings[member, stage] = self._begin(self.root, stage, number, n_epochs)
            self.epochs[member, stage] = []

    def begin_epoch(self, member: int, stage: str, number: int) -> None:
        epochs = self.epochs[member, stage]
        if number == len(epochs):
            epochs.append(self._begin(self.trainings[member, stage], "epoch", number, 0))

    def end_epoch(self, member: int, stage: str, number: int, net: NeuralNet) -> bool:
        """Return whether a callback wants the training to end."""
        epochs = self.epochs[member, stage]
        is_new = number == len(epochs) - 1
        return is_new and self._end(epochs[-1], lambda: self.as_if_stopped(net))

    def end_training(self, member: int, stage: str, net: NeuralNet) -> None:
        self._end(self.trainings[member, stage], lambda: self.as_if_stopped(net))

    def end(self) -> None:
        """Tell that the estimator is fitted."""
        if self.root is not None:
            self._end(self.root, {})

    def _begin(self, task: Any, name: str, number: int, n_parts: int) -> Any:
        how = {"max_subtasks": n_parts, "sequential_subtasks": False}
        part = task.subcontext(task_name=name, task_id=number, **how)
        return part.call_on_fit_task_begin(**self.told)

    def _end(self, task: Any, fitted: Any) -> bool:
        return bool(task.call_on_fit_task_end(**self.told, reconstruction_attributes=fitted))


class TellsEpochs(Callback):
    """Tells of a member's training, and of each of its epochs once, until told to stop."""

    def __init__(self, tasks: FitTasks, member: int) -> None:
        self.tasks, self.member = tasks, member

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.tasks.begin_training(*self._place(net), net.max_epochs)

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.tasks.begin_epoch(*self._place(net), len(net.history) - 1)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.tasks.end_epoch(*self._place(net), len(net.history) - 1, net):
            raise KeyboardInterrupt  # by which skorch ends a training in good order

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.tasks.end_training(*self._place(net), net)

    def _place(self, net: NeuralNet) -> tuple[int, str]:
        return self.member, "training" if net.train_split is None else "search"
