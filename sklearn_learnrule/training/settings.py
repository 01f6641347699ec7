"""How a model is trained: the parameters of all estimators, and what is for networks alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from skorch.callbacks import Callback, EpochScoring
from skorch.callbacks.scoring import ScoringBase

from ..utils.parameters import ABOVE_0, AT_LEAST_0, WHOLE_FROM_0, WHOLE_FROM_1, Meets, Number, each
from ..utils.sklearn_private import StrOptions

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.AdamW, {"foreach": True}),  # all tensors at once: they are small
    "lbfgs": (
        torch.optim.LBFGS,
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-9, "tolerance_change": 1e-12},
    ),
}
A_CALLBACK = "a skorch callback, or a name and one (set_callbacks takes scikit-learn's)"


def is_callback(value: Any) -> bool:
    """Whether skorch takes a value for a callback: one, its class, or a name and either."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    return isinstance(value, Callback) or (isinstance(value, type) and issubclass(value, Callback))


def _is_minus_1(value: Any) -> bool:
    return isinstance(value, int | np.integer) and value == -1


def is_device(value: Any) -> bool:
    """Whether a value is "auto" or tells torch a device on which numbers can be kept."""
    if not isinstance(value, str | torch.device):
        return False
    try:
        return value == "auto" or torch.zeros(1, device=value).item() == 0
    except Exception:  # torch raises all kinds, AssertionError for a GPU where there is none
        return False


@dataclass(kw_only=True, repr=False, eq=False)
class Training:
    """The parameters of every estimator that tell how it is trained."""

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "optimizer": [StrOptions({*OPTIMIZERS})],
        "lr": [None, ABOVE_0],
        "max_epochs": [None, WHOLE_FROM_1],
        "tol": [AT_LEAST_0],
        "batch_size": [Meets(_is_minus_1, "-1"), WHOLE_FROM_1],
        "early_stopping": ["boolean"],
        "validation_fraction": [Number(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [WHOLE_FROM_1],
        "callbacks": [None, each(Meets(is_callback, A_CALLBACK))],
        "verbose": [WHOLE_FROM_0, "boolean"],
        # Of estimators that have them, one's own as well:
        "n_ensemble": [WHOLE_FROM_1],
        "n_init": [WHOLE_FROM_1],
        "weight_decay": [AT_LEAST_0],
        "gradient_clip_value": [Number(Real, 0, None, closed="right")],
        "average": ["boolean"],
        "mirror": ["boolean", StrOptions({"auto"})],
    }
    _parameter_docs: ClassVar[str] = """
        Training
            By the likelihood of the choices.
        optimizer : "lbfgs" or "adam", default={optimizer}
        lr : float or None, default={lr}
            Learning rate of the optimizer. None: 1 for "lbfgs"; .001 for "adam" or, of more than
            2,000 trials a subject, in proportion to them up to .005; twice that for a network that
            by itself learns alike of all choices (``mirror``).
        max_epochs : int or None, default={max_epochs}
            Passes over all subjects. An "lbfgs" epoch is up to 20 iterations. None: 200 for
            subjects of 2,000 trials, more or less by the root of their trials, as many trials take
            longer to overfit; with process noise, fewer where steps are larger; half as many, and
            100 at most, with mirror images; a quarter for a network that by itself learns alike of
            all choices.
        tol : float, default={tol}
            "lbfgs" has converged when an epoch gains less than this, in nats per trial.
        batch_size : int, default={batch_size}
            Subjects per gradient step; -1: all.
        early_stopping : bool, default={early_stopping}
            Whether subjects are held out first, to find the epoch at which their loss is lowest;
            then all are fitted for as many epochs.
        validation_fraction : float, default={validation_fraction}
            Share of subjects held out for early stopping, at least one.
        n_iter_no_change : int, default={n_iter_no_change}
            Epochs without improvement after which that search stops.
        callbacks : list of skorch callbacks or None, default={callbacks}
            With names if wished, as pairs. ``EpochScoring`` takes a function of the net, the
            subjects as a dataset, and None.
        verbose : int, default={verbose}
            1 shows progress, 2 also skorch's log of epochs.
        """


@dataclass(kw_only=True, repr=False, eq=False)
class TrainingSettings(Training):
    """How one model is trained, by default as textbook rules are: one net, to convergence.

    What is beyond :class:`Training` are parameters of the networks' estimators; ``mirrored`` tells
    whether mirror images are fitted, ``name`` what is fitted, for the progress bar, and ``teller``
    is a callback that looks on, and may end the training.
    """

    n_ensemble: int = 1
    n_init: int = 1
    weight_decay: float = 0.0
    gradient_clip_value: float = np.inf
    average: bool = False
    mirror: bool | str = False
    mirrored: bool = False
    name: str = ""
    teller: Callback | None = None

    @classmethod
    def of(cls, estimator: Training) -> Self:
        """Return the settings that are parameters of an estimator, the others by default."""
        parameters = {field.name for field in fields(estimator)}
        named = parameters.intersection(field.name for field in fields(cls))
        given = {name: getattr(estimator, name) for name in named}
        return cls(**given | {"name": type(estimator).__name__})

    def one_of(self, count: int, what: str, number: int) -> Self:
        """Return the settings of one of several trainings, which its name tells apart.

        Examples
        --------
        >>> TrainingSettings(name="DNN").one_of(5, "member", 1).name
        'DNN, member 2 of 5'
        """
        which = f", {what} {number + 1} of {count}" if count > 1 else ""
        return replace(self, name=f"{self.name}{which}")


def check_training(training: Training) -> None:
    """Raise for training parameters that do not go together."""
    if training.optimizer == "lbfgs" and training.batch_size != -1:
        raise ValueError("optimizer='lbfgs' needs all subjects at once: set batch_size=-1.")
    for given in training.callbacks if training.callbacks is not None else ():
        callback = given[1] if isinstance(given, tuple) else given
        by_function = isinstance(callback, EpochScoring) and callable(callback.scoring)
        if isinstance(callback, ScoringBase) and not by_function:
            raise ValueError(
                f"callbacks has {type(callback).__name__}(scoring={callback.scoring!r}), but the y "
                "of a net are padded sequences: use EpochScoring with a function of (net, dataset, "
                "y)."
            )
