"""The update after runs of rewarded and of unrewarded trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from ..utils.arrays import Bools
from ..utils.texts import short
from ._choices import weight_table
from ._experience import Experience, draw_fillers, draw_sequences, read_experience
from ._fits import RuleFit, read_rule_fits
from ._probes import (
    Grid,
    make_probes,
    outcomes_asked,
    probe_trials,
    read_grid,
    stimulus_grid,
    take,
    update_after,
)

OF_RUNS = " (rewarded_above is of the trials of runs alone)"
MOST_SEQUENCES = 4**6  # of choices and outcomes, rewarded or not
Run: TypeAlias = tuple[int, str, Bools]  # its length, of which trials, and what sequences have it


def history_table(
    estimators: Any,
    X: pd.DataFrame,
    *,
    lengths: Sequence[int] = (1, 2, 3, 4),
    trials_back: Sequence[int] = (1,),
    stimuli: ArrayLike | Grid | None = None,
    weights: Mapping[str, float] | None = None,
    after_correct: bool = True,
    rewards: Sequence[float] | None = None,
    rewarded_above: float = 0.0,
    n_warm_up: int = 0,
    n_draws: int = 16,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Tabulate the update at a probe after runs of rewarded and of unrewarded trials.

    All sequences of choices and outcomes on as many trials as the longest run has are
    enumerated. A run of S trials fixes the outcomes of the S latest; the update is averaged
    over all else. The weights are held at the probe's values while the memory, at first that
    before an animal's first trial, takes the history in. The update of a rule without memory is
    the same after every history.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
    X : DataFrame from :func:`~sklearn_learnrule.make_design`
        Each trial of a history is drawn from those in X with its choice and outcome.
    lengths : sequence of int, default=(1, 2, 3, 4)
        S, the lengths of the runs, up to 6; of three or four choices, up to 4.
    trials_back : sequence of int, default=(1,)
        How many trials before the probe the run's latest trial is: with 7, a run of 4 is 7
        to 10 trials back. Between are trials drawn from all in X, the same for every run.
    stimuli : array, dict of str to array or None, default=None
        The probe's stimuli, as in :func:`update_table`.
    weights : dict of str to float or None, default=None
        The policy weights, named as by ``predict_weights``; 0 where not named.
    after_correct : bool, default=True
        Whether the probe's choice is correct.
    rewards : sequence of float or None, default=None
        The probe's rewards: by default those that such choices earned in X, else those of such
        choices that are named, see :func:`update_table`.
    rewarded_above : float, default=0
        A trial of a run counts as rewarded if it earned more. The probe's own are ``rewards``.
    n_warm_up : int, default=0
        Trials before the enumerated ones, drawn from all in X.
    n_draws : int, default=16
        How often trials are drawn for each enumerated sequence.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    DataFrame, one row a fit, run and probe
        ``fit``; ``trials_back``; ``length``; ``run`` ("rewarded" or "unrewarded"); the stimulus
        columns; ``choice`` (a class), ``reward`` and ``correct`` of the probe; ``update_<name>``
        of every weight (change per trial). Of more than two choices also ``of_choice``, as of
        :func:`update_table`.

    References
    ----------
    Liu, Geadah & Pillow (2025), arXiv 2509.04661.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> table = history_table(rule, X, lengths=(1, 3))
    >>> easy = table.query("stimulus == 1 and choice == 'right'")  # no memory: all alike
    >>> easy[["length", "run", "update_stimulus"]].round(4)
        length         run  update_stimulus
    3        1    rewarded           0.0127
    7        1  unrewarded           0.0127
    11       3    rewarded           0.0127
    15       3  unrewarded           0.0127
    """
    fits = read_rule_fits(estimators)
    _check_runs(lengths, trials_back, fits[0].n_choices)
    names = fits[0].weight_columns
    given: Any = read_grid("weights", weights, names)
    held = torch.tensor([float(given.get(name, 0.0)) for name in names]).double()
    experience = read_experience(X, fits[0].weight_names)
    probes = _make_probes(experience, stimuli, rewards, after_correct)

    rng = check_random_state(random_state)
    run, won = draw_sequences(experience, rewarded_above, max(lengths), n_draws, rng)  # (H, L)
    how: Any = {"n_draws": n_draws, "n_repeats": len(run) // n_draws, "rng": rng}
    fill = partial(draw_fillers, experience, **how)
    before, after = fill(n_trials=n_warm_up), fill(n_trials=max(trials_back) - 1)
    tables = []
    for fit in fits:
        trials = fit.trials(X)
        probed = probe_trials(fit, X, experience, probes, len(run))  # (H, P)
        shown = probes.drop(columns="answer").assign(choice=fit.final.classes_[probes["choice"]])
        for back in trials_back:
            history = take(trials, np.hstack([before, run, after[:, : back - 1]]))
            updates = update_after(fit.rules, held.expand(len(run), -1), history, probed)
            means = _mean_updates(updates, _runs(won, lengths), shown, fit)
            means.insert(0, "trials_back", back)
            tables.append(fit.named(means))
    return pd.concat(tables, ignore_index=True)


def _make_probes(
    experience: Experience,
    stimuli: ArrayLike | Grid | None,
    rewards: Sequence[float] | None,
    correct: bool,
) -> pd.DataFrame:
    """Return every stimulus, choice and reward of correct choices, or of errors."""
    asked = outcomes_asked(experience, rewards, OF_RUNS)
    outcomes = [pair for pair in asked if pair[1] == correct]
    if not outcomes:
        kind = "a correct choice" if correct else "an error"
        whose = "X has" if rewards is None else f"rewards={np.unique(rewards).tolist()} name"
        raise ValueError(
            f"The probe is to be {kind}, but {whose} none: give after_correct={not correct}."
        )
    return make_probes(experience, stimulus_grid(experience, stimuli), outcomes)


def _mean_updates(
    updates: torch.Tensor, runs: Iterable[Run], shown: pd.DataFrame, fit: RuleFit
) -> pd.DataFrame:
    """Return the updates (H, P, n_weights) at the probes shown, averaged over runs' sequences."""
    tables = []
    for length, kind, matches in runs:
        run = pd.DataFrame({"length": length, "run": kind}, shown.index)
        tables.append(run.join(shown).join(weight_table(fit, update=updates[matches].mean(0))))
    return pd.concat(tables, ignore_index=True)


def _runs(rewarded: Bools, lengths: Sequence[int]) -> Iterator[Run]:
    """Yield which of the sequences (H, L) end in each run, (H,)."""
    for length in lengths:
        n_rewarded = rewarded[:, -length:].sum(1)
        yield length, "rewarded", n_rewarded == length
        yield length, "unrewarded", n_rewarded == 0


def _check_runs(lengths: Sequence[int], trials_back: Sequence[int], n_choices: int) -> None:
    for name, given in {"lengths": lengths, "trials_back": trials_back}.items():
        if np.ndim(given) != 1 or not all(isinstance(each, Integral) for each in given):
            raise TypeError(f"{name} should be a list of whole numbers, got {short(given)}.")
    longest = int(np.log(MOST_SEQUENCES + 0.5) / np.log(2 * n_choices))
    if not len(lengths) or min(lengths) < 1 or max(lengths) > longest:
        among = "" if n_choices == 2 else f" of {n_choices} choices"
        raise ValueError(
            f"lengths should be from 1 to {longest} trials{among}, got {list(lengths)}."
        )
    if not len(trials_back) or min(trials_back) < 1:
        raise ValueError(f"trials_back should be 1 or more, got {list(trials_back)}.")
