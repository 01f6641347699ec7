"""Mirror images: whether an animal with its sides swapped is one more animal to learn from.

Of more than two choices, which are no sides: whether what is learned of one is learned of all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import wilcoxon
from sklearn.model_selection import KFold

from ..data.sequences import Sequences
from ..engine import threads
from ..models.learning import LearningModel
from ..rules import Policy, ReinforceRule, Units
from ..utils.arrays import Floats, Ints
from .dataset import SequenceDataset
from .net import SequenceNet
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
    is_symmetric: bool,
) -> bool:
    """Return ``mirror`` or, if that is "auto", whether all choices are learned alike.

    ``is_symmetric`` tells whether the model can do so by itself.
    """
    if not mirror:
        return False
    if sequences.n_choices > 2:
        if mirror == "auto":
            return is_symmetric and _choices_are_alike(sequences, chosen, weight, units)
        if not is_symmetric:
            raise ValueError(
                "mirror=True swaps left and right, and more than two choices are no sides; only "
                "DNNRuleEstimator and RNNRuleEstimator can learn alike of them all, around a rule "
                "that does so, too, side_specific=False: set mirror=False or mirror='auto'."
            )
        return True
    stimuli = sequences.fields.features[:, :-1]
    one_sided = (stimuli.min(0) >= 0) | (stimuli.max(0) <= 0)
    if mirror == "auto":
        return not one_sided.any() and _choices_are_alike(sequences, chosen, weight, units)
    if one_sided.any():
        raise ValueError(
            "mirror=True swaps left and right by the sign of every stimulus column, but "
            f"{sequences.feature_names[int(one_sided.argmax())]!r} has one sign only: give it as "
            "right minus left, or set mirror=False."
        )
    return True


def _choices_are_alike(sequences: Sequences, chosen: Ints, weight: Floats, units: Units) -> bool:
    """Return whether a rule that tells choices apart predicts held-out subjects no better.

    The rule is REINFORCE with a learning rate for each choice, or one for all, and a weak prior:
    where rates and baselines run away, no likelihood tells choices apart.
    """
    dataset = SequenceDataset(
        sequences, choice=chosen, weight=weight, dtype=torch.float64, device="cpu"
    )
    counts = dataset.scored_subjects
    if len(counts) < FEWEST_SUBJECTS:
        return False
    folds = KFold(3, shuffle=True, random_state=0).split(counts)
    fits = [
        (dataset.subset(counts[some]), dataset.subset(counts[others])) for some, others in folds
    ]
    try:
        gains = threads.share(lambda fit: _gains(*fit, units, sequences.n_choices), fits)
    except FloatingPointError:  # REINFORCE cannot be fitted, so it cannot tell
        return False
    gain = np.concatenate(gains).round(9)  # what is less is rounding's
    return not gain.any() or bool(wilcoxon(gain, alternative="less").pvalue > LEVEL)


def _gains(
    fitted: SequenceDataset, held_out: SequenceDataset, units: Units, n_choices: int
) -> Floats:
    """Return what held-out subjects gain a trial where choices are taken for alike, (N,)."""
    alike = _fit(fitted, units, n_choices, alike=True)
    apart = _fit(fitted, units, n_choices, alike=False, start=alike.module_)
    return _likelihood(alike, held_out) - _likelihood(apart, held_out)


def _fit(
    dataset: SequenceDataset,
    units: Units,
    n_choices: int,
    *,
    alike: bool,
    start: LearningModel | None = None,
) -> SequenceNet:
    """Fit the rule, from where another has its parameters, which may be one for all choices."""
    weights = torch.zeros_like(Policy(n_choices).in_all_sets(units.feature))
    rule = ReinforceRule(len(weights), "free", side_specific=not alike, n_choices=n_choices)
    how: Any = {"train_initial_weights": True, "truncation": None, "engine": "auto"}
    model = LearningModel(rule, weights, units, **how).double()
    model.has_prior = True
    if start is not None:
        with torch.no_grad():
            for own, given in zip(model.parameters(), start.parameters(), strict=True):
                own.copy_(given)
    if alike and n_choices == 2:  # nor does bias, the last weight, begin on a side
        sided = torch.tensor([1.0] * (len(weights) - 1) + [0.0]).to(model.initial_weights)
        model.initial_weights.register_hook(sided.mul)
    settings = TrainingSettings(tol=TOLERANCE)
    return train(model, dataset, settings, "cpu", torch.Generator(), seed=0)


def _likelihood(net: SequenceNet, held_out: SequenceDataset) -> Floats:
    """Return subjects' mean log-likelihood per trial, (N,)."""
    scores, weights = [], []
    for block, logits in zip(held_out.blocks, net.predict_logits(held_out), strict=True):
        assert block.target is not None
        choice, weight = block.target.choice, block.target.weight
        each = net.module_.policy.log_probability(logits, choice)
        scores.append(block.by_subject((each * weight).sum(1)))
        weights.append(block.by_subject(weight.sum(1)))
    return (held_out.by_subject(scores) / held_out.by_subject(weights)).numpy()
