"""What a table's rewards and labels of choices say of it: warnings of what is likely a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..utils.arrays import Floats
from ..utils.texts import short
from ..utils.warn import warn
from .tables import as_labels

NO_CHOICE = {"", "none", "nan", "na", "null", "miss", "missed"}  # labels of missed trials,
OFTEN_NONE, FEW = {"-1", "0"}, 0.5  # and those that may be, if below half of what chance makes
ENOUGH_PAID, CLEARLY = 10, 4  # trials of a kind, and standard errors
BY_CHANCE = 1e-3  # how likely a choice like the others would have earned nothing
SHIFTED = 0.3  # by how much more rewards correlate with another row's choices


def tell_of_pay(outcome: pd.DataFrame, stimuli: list[Floats], subjects: pd.Index) -> None:
    """Warn if rewards contradict the answers or, without these, do not tell them.

    ``outcome`` has the columns of choices, rewards and perhaps answers; ``stimuli`` are columns of
    X, (n_rows,), and ``subjects`` names each row's.
    """
    if len(outcome.columns) > 2:
        _tell_of_paid_errors(outcome)
    elif stimuli:
        _tell_of_unpaid_choice(outcome)
    _tell_of_shifted_pay(outcome, stimuli, subjects)


def _tell_of_paid_errors(outcome: pd.DataFrame) -> None:
    """Warn if a choice clearly earned more where, by the answers, it was an error."""
    made, earned, answers = (column for _, column in outcome.items())
    choice, answer = (as_labels(column, f"column {column.name!r}") for column in (made, answers))
    reward = _amounts(earned)
    told, right = ~np.isnan(reward), choice == answer
    for label in np.unique(choice):
        kinds = [reward[told & (choice == label) & kind] for kind in (right, ~right)]
        if min(map(len, kinds)) < ENOUGH_PAID:
            continue
        of_correct, of_errors = (kind.mean() for kind in kinds)
        deviation = np.sqrt(sum(kind.var() / len(kind) for kind in kinds))
        if of_errors - of_correct > CLEARLY * deviation:
            warn(
                f"The choice {short(label)} earned {of_errors:.3g} on average where it was an "
                f"error by column {answers.name!r}, more than where it was correct, "
                f"{of_correct:.3g}. The column should hold the label of the correct choice, not "
                "whether the choice was correct.",
            )


def _tell_of_unpaid_choice(outcome: pd.DataFrame) -> None:
    """Warn if one of two choices was never rewarded: by rewards alone, it is never correct."""
    made, earned = (column for _, column in outcome.items())
    choice, reward = as_labels(made, f"column {made.name!r}"), _amounts(earned)
    told = ~np.isnan(reward)
    choice, paid = choice[told], reward[told] > 0
    labels, counts = np.unique(choice, return_counts=True)
    if len(labels) != 2 or counts.min() < ENOUGH_PAID:
        return
    for label, count in zip(labels, counts, strict=True):
        of_it = choice == label
        if paid[of_it].any() or (1 - paid[~of_it].mean()) ** count > BY_CHANCE:
            continue
        warn(
            f"The choice {short(label)} was rewarded on none of {count} trials, so each "
            "counts as an error. If it can be correct, as withholding a lick is in a go/no-go "
            "task, name the column of correct choices, make_design(..., answer=...).",
        )


def _tell_of_shifted_pay(outcome: pd.DataFrame, stimuli: list[Floats], subjects: pd.Index) -> None:
    """Warn of animals whose rewards go with which choices were correct in rows before or after."""
    correct = _was_correct(outcome, stimuli)
    if correct is None:
        return
    reward, whose = _amounts(outcome.iloc[:, 1]), pd.Series(np.arange(len(subjects)))
    shifted = {}
    for subject, rows in whose.groupby(subjects, sort=False).indices.items():
        own, before, after = (_go_together(correct[rows], reward[rows], by) for by in (0, 1, -1))
        other = max(before, after)
        if other > max(own + SHIFTED, CLEARLY / np.sqrt(len(rows))):
            shifted[subject] = "before" if before == other else "after", other, own
    if shifted:
        subject, (row, other, own) = next(iter(shifted.items()))
        others = f" (and {len(shifted) - 1} more)" if len(shifted) > 1 else ""
        warn(
            f"Rewards of subject {short(subject)}{others} go with whether the choice of the row "
            f"{row} was correct (correlation {other:.2f}), not with their own row's ({own:.2f}). "
            f"Is column {outcome.columns[1]!r} shifted by a row?"
        )


def _was_correct(outcome: pd.DataFrame, stimuli: list[Floats]) -> Floats | None:
    """Return 1 where the choice was correct, 0 where it was not and NaN where nothing tells.

    By its answer or, of two choices, the side of the only stimulus.
    """
    choice, _, *answer = (column for _, column in outcome.items())
    made = as_labels(choice, f"column {choice.name!r}")
    if answer:
        return 1.0 * (made == as_labels(answer[0], f"column {answer[0].name!r}"))
    labels = np.unique(made)
    if len(stimuli) != 1 or len(labels) != 2:
        return None
    side = np.sign(stimuli[0])
    return np.where(side, (made == labels[1]) == (side > 0), np.nan)


def _go_together(correct: Floats, reward: Floats, by: int) -> float:
    """Return the size of the correlation with the reward so many rows later, 0 of few."""
    n_pairs = len(correct) - abs(by)
    correct, reward = correct[max(-by, 0) :][:n_pairs], reward[max(by, 0) :][:n_pairs]
    told = ~np.isnan(correct) & ~np.isnan(reward)
    correct, reward = correct[told], reward[told]
    if min((correct == 0).sum(), (correct == 1).sum()) < ENOUGH_PAID or np.ptp(reward) == 0:
        return 0.0
    return abs(float(np.corrcoef(correct, reward)[0, 1]))


def _amounts(reward: pd.Series) -> Floats:
    """Return rewards as numbers, NaN where they are not known."""
    return reward.astype(object).where(reward.notna(), np.nan).to_numpy(dtype=float)


def tell_of_no_choice(y: pd.Series, reward: pd.Series, named: Sequence[Any] | None) -> None:
    """Warn if one of more than two labels, that nobody named, looks like that of missed trials."""
    made = as_labels(y, f"column {y.name!r}")
    labels, counts = np.unique(made, return_counts=True)
    if named is not None or len(labels) == 2:
        return
    earned = _amounts(reward)
    paid = earned > np.nanmin(earned, initial=np.inf)  # of choices, none may be known
    for label, count in zip(labels.tolist(), counts, strict=True):
        rare, others = count < FEW * len(y) / len(labels), made != label
        unpaid = not paid[~others].any() and (1 - paid[others].mean()) ** count < BY_CHANCE
        called = isinstance(label, str) and label.strip().lower() in NO_CHOICE
        if called or (rare and (unpaid or f"{label}".strip() in OFTEN_NONE)):
            warn(
                f"Column {y.name!r} has the label {short(label)} on {count} of {len(y)} trials"
                f"{', none of which was rewarded' if unpaid else ''}. If these were missed, "
                "make it NaN and count them, make_design(..., missed='count') (in from_files and "
                "from_nwb, name the choices, choices=...); if it is a choice as any other, name "
                "all choices, choices=[...].",
            )
