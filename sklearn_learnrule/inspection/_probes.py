"""What a rule is asked: stimuli, choices and outcomes after a history, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from ..data.sequences import NOBODY_KNOWS
from ..data.stimuli import are_indicators
from ..rules import NO_CONTEXT, LearningRule, Trial
from ..utils.arrays import Floats, Ints
from ..utils.texts import short
from ._experience import SLIP, Experience, draw_windows
from ._fits import RuleFit

Grid: TypeAlias = Mapping[str, ArrayLike]

MANY_STIMULI, N_STIMULI = 25, 21
MAX_OUTCOMES = 8


def make_grid(axes: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Return every combination of the axes' values, a row each."""
    values = [
        np.unique(_finite_numbers(axis, f"The grid of {name!r} should be finite numbers"))
        for name, axis in axes.items()
    ]
    return pd.DataFrame(list(product(*values)), columns=pd.Index(list(axes)))


def _finite_numbers(given: Any, expected: str) -> Floats:
    """Return some finite numbers as an array; raise, saying what is expected, for anything else."""
    try:
        numbers = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if not (numbers.size and np.isfinite(numbers).all()):
        raise ValueError(f"{expected}, got {short(given)}.")
    return numbers


def read_grid(what: str, given: Grid | None, names: Sequence[Any]) -> Grid:
    """Return what is given by name, of None nothing; raise for a name not among ``names``."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{what} should be a dict by name, got {short(given)}.")
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"{what} should name some of {list(names)}, got {unknown[0]!r}.")
    return given


def stimulus_grid(experience: Experience, stimuli: ArrayLike | Grid | None) -> pd.DataFrame:
    """Return every combination of the stimulus values, (P, S); 0 where not given.

    Of labels and of more than two choices, where several columns often tell stimuli apart, by
    default all that were met, unless they are many. Where nothing was shown, one row of no columns.
    """
    names = experience.stimulus_names
    if not names and stimuli is None:
        return pd.DataFrame(index=[0])
    met = experience.stimuli.drop_duplicates().sort_values(names, ignore_index=True)
    each = experience.n_choices > 2 or are_indicators(met)
    if stimuli is None and each and len(met) <= MANY_STIMULI:
        return met
    if stimuli is None:
        stimuli = _some_values(experience.stimuli[names[0]].to_numpy())
    given: Grid = stimuli if isinstance(stimuli, Mapping) else dict.fromkeys(names[:1], stimuli)
    if not read_grid("stimuli", given, names):
        raise ValueError(f"stimuli should name some of {names}, got {short(stimuli)}.")
    return make_grid({name: given.get(name, 0.0) for name in names})


def _some_values(values: Floats) -> Floats:
    distinct = np.unique(values)
    if len(distinct) <= MANY_STIMULI:
        return distinct
    return np.linspace(distinct[0], distinct[-1], N_STIMULI)


def outcomes_asked(
    experience: Experience, rewards: Sequence[float] | None, remark: str = ""
) -> list[tuple[float, bool]]:
    """Return pairs of reward and whether the choice was correct, by default those that occur.

    If these are too many, a ``remark`` ends the message.

    A reward that is named is of such choices as earned it or, if none did, anything; if these are
    of both kinds, of correct ones where it is above 0.
    """
    pairs = sorted(set(zip(experience.reward.tolist(), experience.correct.tolist(), strict=True)))
    if rewards is not None:
        expected = "rewards should be some finite numbers"
        named = _finite_numbers(rewards, expected)
        if named.ndim != 1:
            raise ValueError(f"{expected} in a list, got {short(rewards)}.")

        def is_correct(reward: float) -> bool:
            of_it = {correct for earned, correct in pairs if earned == reward}
            kinds = of_it or {correct for _, correct in pairs}
            return kinds.pop() if len(kinds) == 1 else reward > 0

        return [(reward, is_correct(reward)) for reward in np.unique(named).tolist()]
    if len(pairs) > MAX_OUTCOMES:
        some = np.quantile(experience.reward, [0.05, 0.95], method="nearest").tolist()
        if some[0] == some[1]:
            some = [pairs[0][0], pairs[-1][0]]
        raise ValueError(
            f"X has {len(pairs)} outcomes (pairs of reward and correct or not), too many for a "
            f"table: name rewards to ask after, such as rewards={some}{remark}."
        )
    return pairs


def make_probes(
    experience: Experience,
    stimuli: pd.DataFrame,
    outcomes: Sequence[tuple[float, bool]],
    *,
    all_outcomes: bool = False,
) -> pd.DataFrame:
    """Return every stimulus, choice (0, 1, ...) and outcome that the task allows, a row each.

    After an error, the correct choice is the other one or, of more than two, that of the others
    which is correct most often.
    """
    numbers = range(experience.n_choices)
    options = pd.DataFrame(
        [(choice, float(reward), correct) for choice in numbers for reward, correct in outcomes],
        columns=pd.Index(["choice", "reward", "correct"]),
    )
    probes = stimuli.merge(options, how="cross")
    shares = experience.answer_shares(stimuli).repeat(len(options), axis=0)  # (P, C)
    rows, choice = np.arange(len(probes)), probes["choice"].to_numpy()
    others = shares.copy()
    others[rows, choice] = -1.0
    answer = np.where(probes["correct"], choice, others.argmax(1))
    allowed = (shares[rows, answer] > SLIP) | all_outcomes
    if (experience.answer == NOBODY_KNOWS).any():
        answer = np.where(probes["correct"], choice, NOBODY_KNOWS)
    return probes.assign(answer=answer)[allowed].reset_index(drop=True)


def draw_histories(
    fits: Sequence[RuleFit],
    experience: Experience,
    n_histories: int,
    n_trials: int,
    random_state: int | np.random.RandomState | None,
) -> Ints:
    """Return the rows of histories to ask after, (H, L): one of no trial if no rule remembers."""
    if not any(rule.memory_size for fit in fits for rule in fit.rules):
        return np.zeros((1, 0), dtype=np.int64)
    return draw_windows(experience, n_histories, n_trials, check_random_state(random_state))


def probe_trials(
    fit: RuleFit, X: pd.DataFrame, experience: Experience, probes: pd.DataFrame, n_repeats: int
) -> Trial:
    """Return the probes as the fit's rule sees them, the same ``n_repeats`` times, (H, P)."""
    rows = _strangers(X, len(probes))  # for a transformer to take
    rows[experience.stimulus_names] = probes[experience.stimulus_names].to_numpy()
    choice, reward, answer = (
        torch.tensor(probes[name].to_numpy(dtype=float)) for name in ("choice", "reward", "answer")
    )
    trials = Trial(fit.features(rows), choice, reward, answer, torch.zeros_like(choice))
    repeated = trials.map(lambda values: values.expand(n_repeats, *values.shape))
    return replace(repeated, context=NO_CONTEXT)


def _strangers(X: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """Return the first of X's rows so many times, each as the first trial of another animal."""
    rows = X.iloc[np.zeros(n_rows, dtype=int)].copy()
    names = [f"probe {i}" for i in range(n_rows)]
    if "subject" in rows.index.names:
        levels = rows.index.to_frame(index=False).assign(subject=names)
        rows.index = pd.MultiIndex.from_frame(levels) if len(levels.columns) > 1 else names
        rows.index.names = [*levels.columns]
    elif "subject" in rows:
        rows["subject"] = names
    return rows


def take(trials: Trial, rows: Ints) -> Trial:
    """Return these of the trials (n, ...), in the shape of ``rows``, as nobody's in particular."""
    index = torch.as_tensor(rows)
    return replace(trials.map(lambda values: values[index]), context=NO_CONTEXT)


def remember(rule: LearningRule, weights: torch.Tensor, history: Trial) -> torch.Tensor:
    """Return the memory (H, M) after histories (H, L) through which the weights are held."""
    memory = rule.initial_memory(len(weights), like=weights)
    for trial in history.steps():
        _, memory = rule(weights, trial, memory)
    return memory


@torch.no_grad()
def update_after(
    rules: Sequence[LearningRule], weights: torch.Tensor, histories: Trial, probes: Trial
) -> torch.Tensor:
    """Return the update after each history and probe, the mean of an ensemble's rules.

    Parameters
    ----------
    rules : sequence of LearningRule
    weights : Tensor of shape (H, K)
        Held through the history.
    histories : Trial of shape (H, L)
    probes : Trial of shape (H, P)

    Returns
    -------
    Tensor of shape (H, P, K)
    """
    n_histories, n_probes = probes.choice.shape
    each = probes.all_rows()  # (H P,)
    held = weights.repeat_interleave(n_probes, 0)  # (H P, K)
    updates = [
        rule(held, each, remember(rule, weights, histories).repeat_interleave(n_probes, 0))[0]
        for rule in rules
    ]
    return torch.stack(updates).mean(0).unflatten(0, (n_histories, n_probes))
