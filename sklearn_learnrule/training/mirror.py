"""Mirror images: whether an animal with its sides swapped is one more animal to learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import wilcoxon
from sklearn.model_selection import KFold

from ..data.sequences import Sequences
from ..engine import threads
from ..metrics import trial_log_likelihood
from ..models.learning import LearningModel
from ..rules import ReinforceRule, Units
from ..utils.arrays import Floats, Ints
from .dataset import SequenceDataset
from .optimization import train
from .settings import TrainingSettings

FEWEST_SUBJECTS = 4
TOLERANCE = 1e-5  # nats per trial; the gains are larger
LEVEL = 0.2  # of a test; above it, mirror images do no harm


def fits_mirror_images(
    mirror: bool | str,
    sequences: Sequences,
    chosen: Ints,
    weight: Floats,
    units: Units,
) -> bool:
    """Return ``mirror`` or, if that is "auto", whether both sides are learned alike."""
    if not mirror:
        return False
    if sequences.n_choices > 2:
        if mirror == "auto":
            return False
        raise ValueError(
            "mirror=True swaps left and right, and more than two choices are no sides: set "
            "mirror=False or mirror='auto'."
        )
    stimuli = sequences.fields.features[:, :-1]
    one_sided = (stimuli.min(0) >= 0) | (stimuli.max(0) <= 0)
    if mirror == "auto":
        return not one_sided.any() and _sides_are_alike(sequences, chosen, weight, units)
    if one_sided.any():
        raise ValueError(
            "mirror=True swaps left and right by the sign of every stimulus column, but "
            f"{sequences.feature_names[int(one_sided.argmax())]!r} has one sign only: give it as "
            "right minus left, or set mirror=False."
        )
    return True


def _sides_are_alike(sequences: Sequences, chosen: Ints, weight: Floats, units: Units) -> bool:
    """Return whether a rule that tells the sides apart predicts held-out subjects no better.

    The rule is REINFORCE with a learning rate for each side, which mirror images make one.
    """
    dataset = SequenceDataset(
        sequences, choice=chosen, weight=weight, dtype=torch.float64, device="cpu"
    )
    counts = dataset.scored_subjects
    if len(counts) < FEWEST_SUBJECTS:
        return False
    folds = KFold(3, shuffle=True, random_state=0).split(counts)
    fits = [
        (dataset.subset(counts[some]), dataset.subset(counts[others]), mirrored)
        for some, others in folds
        for mirrored in (False, True)
    ]
    try:
        found = threads.share(lambda fit: _likelihood(*fit, units), fits)
    except FloatingPointError:  # REINFORCE cannot be fitted, so it cannot tell
        return False
    gains = np.concatenate(found[1::2]) - np.concatenate(found[::2])
    return bool(wilcoxon(gains, alternative="less").pvalue > LEVEL)


def _likelihood(
    fitted: SequenceDataset, held_out: SequenceDataset, mirrored: bool, units: Units
) -> Floats:
    """Return the held-out subjects' mean log-likelihood per trial, (N,)."""
    start = torch.zeros_like(units.feature)
    rule = ReinforceRule(len(start), "free", side_specific=True)
    how: Any = {"train_initial_weights": True, "truncation": None, "engine": "auto"}
    model = LearningModel(rule, start, units, **how)
    settings = TrainingSettings(mirrored=mirrored, tol=TOLERANCE)
    net = train(model.double(), fitted, settings, "cpu", torch.Generator(), seed=0)
    scores, weights = [], []
    for block, logits in zip(held_out.blocks, net.predict_logits(held_out), strict=True):
        assert block.target is not None
        choice, weight = block.target.choice, block.target.weight
        each = torch.as_tensor(trial_log_likelihood(choice.numpy(), logits.numpy()))
        scores.append(block.by_subject((each * weight).sum(1)))
        weights.append(block.by_subject(weight.sum(1)))
    return (held_out.by_subject(scores) / held_out.by_subject(weights)).numpy()
