"""An ensemble: one model from several starts, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from ..engine import threads
from ..models.learning import SequenceModel
from ..utils.warn import warn
from .dataset import SequenceDataset
from .net import SequenceNet
from .settings import TrainingSettings
from .starts import train_from_several

MAX_ATTEMPTS = 3  # at a network that diverges

MakeModel = Callable[[int, torch.Generator], SequenceModel]
"""Returns the model that one member starts from."""


def train_members(
    make_model: MakeModel,
    seeds: Sequence[int],
    dataset: SequenceDataset,
    settings: TrainingSettings,
    device: str,
    *,
    again: bool,
    teller: Callable[[int], Callback | None] = lambda number: None,
) -> list[SequenceNet]:
    """Train a model from each seed, on a CPU by as many threads as there may be.

    A member that is lost is trained ``again`` from another start, if it drew its start, with a
    ConvergenceWarning. What ``teller`` returns of a training's number, of each member from each
    place (see :func:`train_from_several`), looks on at it.

    Raises
    ------
    FloatingPointError
        If one is lost again and again.
    """
    lost: list[str] = []

    def fit(member: int) -> SequenceNet:
        named = settings.one_of(len(seeds), "member", member)
        generator = torch.Generator().manual_seed(seeds[member])
        for attempt in range(1, MAX_ATTEMPTS + 1):
            before = generator.get_state()
            model = make_model(member, generator)
            drawn = not torch.equal(before, generator.get_state())
            try:
                how = dataset, named, device, generator, seeds[member]
                return train_from_several(model, *how, member, teller)
            except FloatingPointError as error:
                if attempt == MAX_ATTEMPTS or not (again and drawn):
                    raise
                lost.append(f"{named.name} is fitted anew from another start. {error}")
        raise AssertionError  # the last attempt returns or raises

    members = range(len(seeds))
    try:
        return threads.share(fit, members) if device == "cpu" else [*map(fit, members)]
    finally:
        for message in lost:
            warn(message, ConvergenceWarning)
