"""How networks are trained, which holds for all of them: Adam, single precision, ensembles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..training.settings import Training


@dataclass(kw_only=True, repr=False, eq=False)
class NetworkTraining(Training):
    """The parameters of networks' training: defaults of their own, and more.

    Chosen on training animals of the IBL data and simulated cohorts (benchmarks/defaults.md): small
    steps for long predict other animals better than large ones that fit the same animals alike, and
    steps by two animals at a time as well as by all.
    """

    optimizer: str = "adam"
    max_epochs: int | None = None
    batch_size: int = 2
    n_iter_no_change: int = 30
    truncation: int | None = 500
    n_ensemble: int = 3
    weight_decay: float = 0.1
    gradient_clip_value: float = 0.1
    average: bool = True
    mirror: bool | str = "auto"

    _parameter_docs: ClassVar[str] = """
        Training of networks
            An ensemble, by many small steps.
        n_ensemble : int, default={n_ensemble}
            How many networks are fitted, from different seeds; their logits, and so their policies'
            weights, are averaged.
        weight_decay : float, default={weight_decay}
            Decoupled weight decay of the layers (AdamW), against overfitting.
        gradient_clip_value : float, default={gradient_clip_value}
            The longest gradient, over all parameters; a longer one is shortened to this. Through
            hundreds of trials gradients explode now and then, and one such step throws a network
            off for good.
        average : bool, default={average}
            Whether the parameters are averaged over the latest steps (exponentially, about 30), so
            that the last one does not decide.
        mirror : bool or "auto", default={mirror}
            Whether both sides are learned alike: by a DNN, which then reads each trial from the
            side that was chosen, whatever its parameters; by others, as every animal's mirror
            image, with left and right swapped, is fitted too. It is worth twice the animals where
            it is so, and hides where it is not. "auto" finds out: it is done unless REINFORCE with
            a learning rate for each side predicts held-out animals better without (Wilcoxon's
            signed-rank test, p < .2). Stimulus columns have to be signed by side, as they change
            their sign; "auto" leaves others alone, and fewer than 4 animals. Of more than two
            choices: whether all are learned alike, by a DNN or an RNN, which then sees each choice
            beside the one made; stimuli are as they are. ``mirrored_`` tells what was done.
        """
    _dtype: ClassVar[torch.dtype] = torch.float32
