"""Fitted nets as plain arrays and numbers, for pickles and skops, and made anew from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch.history import History
from torch import Tensor

from ..data.schema import (
    ANSWER_WAS,
    CHOICE_WAS,
    DESIGN,
    PREVIOUS_CHOICE,
    PREVIOUS_REWARD,
    of_labels,
)
from ..data.sequences import Sequences, read_sequences
from ..models.learning import SequenceModel
from ..training.net import SequenceNet, idle_net
from ..training.settings import is_device
from ..training.units import usual_units


class StoredAsArrays:
    """A classifier whose nets are stored as arrays: for every device, without what trained them.

    Its models are made anew as they were made for the fit; what was fitted, or set by the data, are
    their parameters and buffers. ``_made_with`` holds the constructor's parameters of that time.
    """

    device: Any
    _device: Callable[[SequenceModel], str]
    nets_: list[SequenceNet]

    def __getstate__(self) -> dict[str, Any]:
        attributes: Any = super().__getstate__()
        state = dict(attributes)
        if "nets_" in state:
            state["nets_"] = [freeze(net) for net in self.nets_]
            del state["net_"], state["history_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "nets_" in state:
            models = _models_like(self, len(state["nets_"]))
            device = self._device(models[0]) if is_device(self.device) else "cpu"
            frozen = zip(state["nets_"], models, strict=True)
            self.nets_ = [thaw(net, model, device) for net, model in frozen]
            self.net_ = self.nets_[0]
            self.history_ = self.net_.history


def freeze(net: SequenceNet) -> dict[str, Any]:
    """Return what a fitted net knows; not what trained it, nor the log of single minibatches."""
    searched = net.stopping_history
    return {
        "tensors": {name: value.detach().cpu().numpy() for name, value in _tensors(net.module_)},
        "history": _epochs(net.history),
        "stopping_history": None if searched is None else _epochs(searched),
        "most_epochs": net.most_epochs,
        "lr": net.lr,
        "is_symmetric": net.module_.is_symmetric,
    }


def thaw(frozen: dict[str, Any], model: SequenceModel, device: str) -> SequenceNet:
    """Return a net that predicts as the frozen one did; ``model`` is made as its model was."""
    if frozen.get("is_symmetric"):
        model.make_symmetric()
    with torch.no_grad():
        for name, value in _tensors(model):
            value.copy_(torch.tensor(frozen["tensors"][name]).reshape(value.shape))
    net = idle_net(model, frozen["lr"], device)
    net.history_ = History(frozen["history"])
    searched = frozen["stopping_history"]
    net.stopping_history = None if searched is None else History(searched)
    net.most_epochs = frozen["most_epochs"]
    return net


def _one_trial(estimator: Any, n_subjects: int) -> Sequences:
    """Return a trial each of the columns fitted, all 0, for which a model is made as for any."""
    covariates = DESIGN.covariates(getattr(estimator, "feature_names_in_", []))
    labels = estimator._choice_labels
    history = of_labels(CHOICE_WAS, labels) or [PREVIOUS_CHOICE]
    if estimator._answer_told:
        history += of_labels(ANSWER_WAS, labels)
    history += [PREVIOUS_REWARD, *estimator._further_history]
    columns = [*estimator._stimulus_names, *history, *covariates]
    subject = pd.Index([f"nobody {i}" for i in range(n_subjects)], name="subject")
    return read_sequences(pd.DataFrame(0.0, columns=columns, index=subject))


def _models_like(estimator: Any, n_models: int) -> list[SequenceModel]:
    """Make models as for the fit, but for their parameters and buffers."""
    maker = type(estimator)(**estimator._made_with)
    n_subjects = estimator._n_scored
    sequences, weight = _one_trial(estimator, n_subjects), np.ones(n_subjects)
    given = sequences, np.zeros(n_subjects, int), weight, usual_units(sequences, weight)
    return [maker._draw_model(*given, torch.Generator()) for _ in range(n_models)]


def _epochs(history: History) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name != "batches"} for row in history]


def _tensors(model: SequenceModel) -> Iterator[tuple[str, Tensor]]:
    """What was fitted or set by the data: a model's parameters, and all of its buffers."""
    return chain(model.named_parameters(), model.named_buffers())
