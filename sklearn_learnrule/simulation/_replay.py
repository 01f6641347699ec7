"""From a table of stimuli to an experiment that can be given once more."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.design import make_design
from ..data.schema import DESIGN, MISSES, RESTART, REWARD_KNOWN, is_design
from ..data.sequences import Sequences, read_sequences
from ..data.stimuli import with_indicators
from ..utils.arrays import Bools, Floats
from ..utils.warn import warn
from ._corrections import BiasCorrection, corrections_in
from ._experiment import Replay
from ._learning import Choices, Pay, as_choices
from ._payoffs import payoffs_nearby

# What choices earn, by which was correct (None: any other) and whether it was made.
Pays: TypeAlias = dict[tuple[int | None, bool], Floats]

KINDS = {False: "errors", True: "correct choices"}
RESAMPLE = "resample"  # rewards as the animals earned them, drawn anew
PAY_CHOICES = "; or pay each choice what it earned nearby, reward='resample'"


def read_replay(
    table: pd.DataFrame,
    stimuli: list[str],
    classes: NDArray[Any],
    reward: Any,
    further_history: Collection[str] = (),
    correction: BiasCorrection | None = None,
) -> Replay:
    """Read a design X or a table of trials; ``stimuli`` are its columns that the animals saw.

    They may be those of labels, which the table has in one column.

    Whether rewards are known, and trials missed, is read from trials if such is the history.
    """
    table = with_indicators(table, stimuli)
    missing = [name for name in stimuli if name not in table]
    if missing:
        raise ValueError(
            f"The estimator was fitted with the stimulus columns {stimuli}, but the table has no "
            f"{missing[0]!r}, only {list(table.columns)}."
        )
    if correction is not None:
        correction.check(len(stimuli), len(classes))
    if is_design(table):
        return _of_design(table[[*stimuli, *DESIGN.known(table)]], reward, correction)
    if "answer" not in table:
        raise ValueError(
            "A table of stimuli needs a column 'answer', the correct choice on each trial (or "
            f"give make_design's X); it has {list(table.columns)}."
        )
    if correction is not None and "choice" not in table:
        raise ValueError(
            "A correction needs a column 'choice', which tells after which errors the table's "
            f"stimuli came; it has {list(table.columns)}."
        )
    return _of_trials(table, stimuli, classes, reward, further_history, correction)


def _of_design(X: pd.DataFrame, reward: Any, correction: BiasCorrection | None) -> Replay:
    """Replay what row t + 1 tells of trial t: all but each animal's last trial."""
    sequences = read_sequences(X)
    trials = sequences.padded
    happened = trials.observed
    if not happened.any():
        raise ValueError("X tells the outcome of no trial: each subject has one row only.")
    is_bandit = not (sequences.answer_known or sequences.shows_stimuli)
    if is_bandit and isinstance(reward, str):
        _check_word(reward)
        return _of_payoffs(X, sequences, correction)
    or_else = PAY_CHOICES if is_bandit else ""
    sequences.check_answer_known("A replay of the trials", or_else=or_else)
    paid, choice, right = (
        values[trials.told] for values in (trials.reward, trials.choice, trials.answer)
    )
    pay = _pay(reward, paid, choice == right, right)
    known = trials.reward_known > 0 if sequences.lacks_rewards else None
    return _replay(
        X,
        sequences,
        answer=trials.answer,
        happened=happened,
        reward_known=known,
        pay=pay,
        erred=happened & (trials.choice != trials.answer) & (trials.answer != 0.5),
        correction=correction,
    )


def _of_payoffs(X: pd.DataFrame, sequences: Sequences, correction: BiasCorrection | None) -> Replay:
    """Replay a bandit, where nobody knows the correct choice: each choice has its own pay.

    What was shown may change what a choice earns, so nothing was.
    """
    if correction is not None:
        sequences.check_answer_known("A correction")
    trials = sequences.padded
    known = trials.reward_known > 0 if sequences.lacks_rewards else None
    return _replay(
        X,
        sequences,
        answer=np.full(trials.choice.shape, 0.5),
        happened=trials.observed,
        reward_known=known,
        pay=partial(_pay_alike, _two((0, 0))),  # never asked, as no choice is known to be correct
        erred=np.zeros_like(trials.observed),
        payoffs=payoffs_nearby(trials, sequences.n_choices),
    )


def _of_trials(
    trials: pd.DataFrame,
    stimuli: list[str],
    classes: NDArray[Any],
    reward: Any,
    further_history: Collection[str],
    correction: BiasCorrection | None,
) -> Replay:
    _check_answers(trials["answer"], labels := classes.tolist())
    answers = trials.assign(choice=trials["answer"], reward=1.0)
    options: Any = {"covariates": DESIGN.covariates(trials) or None, "choices": labels}
    options["restart"] = RESTART if RESTART in trials else None
    if MISSES in further_history and "choice" in trials:
        trials = trials[trials["choice"].notna()]
        answers["choice"] = trials["answer"]  # by row: none where one was missed
        options["missed"] = "count"
    X, y, _ = make_design(answers, stimulus=stimuli, **options)
    sequences = read_sequences(X)
    happened, known = sequences.pad(np.ones(len(X))) > 0, None
    answer = pd.Index(classes).get_indexer(pd.Index(y)).astype(float)
    if {"choice", "reward"} <= set(trials):
        correct = (trials["choice"] == trials["answer"]).to_numpy()
        paid = trials["reward"].to_numpy(dtype=float)
        told = ~np.isnan(paid)
        if REWARD_KNOWN in further_history:
            known = sequences.pad(told)
        told = told & trials["choice"].notna().to_numpy()  # a missed trial is no error
        pay = _pay(reward, paid[told], correct[told], answer[told])
    else:
        pay = _pay(reward, np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0))
    return _replay(
        X,
        sequences,
        answer=sequences.pad(answer),
        happened=happened,
        reward_known=known,
        pay=pay,
        erred=sequences.pad(_errors(trials)),
        correction=correction,
    )


def _check_answers(answers: pd.Series, labels: list[Any]) -> None:
    if unknown := sorted(set(answers.dropna()).difference(labels), key=str):
        raise ValueError(
            f"The column 'answer' should hold the choices that the estimator knows, {labels}, but "
            f"has {unknown}."
        )


def _errors(trials: pd.DataFrame) -> Bools:
    """Return which trials of a table have a choice that was wrong."""
    if "choice" not in trials:
        return np.zeros(len(trials), dtype=bool)
    return (trials["choice"].notna() & (trials["choice"] != trials["answer"])).to_numpy()


def _replay(
    X: pd.DataFrame,
    sequences: Sequences,
    *,
    answer: Floats,
    happened: Bools,
    reward_known: Bools | None,
    pay: Pay,
    erred: Bools,
    correction: BiasCorrection | None = None,
    payoffs: Floats | None = None,
) -> Replay:
    """Make a replay of the trials that happened; an answer of 1/2 is unknown."""
    n_trials = int(happened.any(0).sum())
    n_choices = len(sequences.choice_labels) or 2
    trials = sequences.padded
    opens = np.pad(trials.session_start[:, :-1] > 0, [(0, 0), (1, 0)], constant_values=True)
    codes, names = pd.factorize(_sessions(X))
    some = np.flatnonzero(happened.any(1))
    told = np.ix_(some, np.arange(n_trials))
    sequence_subject, subjects = pd.factorize(sequences.sequence_subject[some])
    stimulus = trials.features[..., :-1]
    corrected = corrections_in(stimulus, erred, happened & ~opens, correction)
    return Replay(
        subjects=sequences.subjects[subjects],
        sequence_subject=sequence_subject,
        stimulus=stimulus[told],
        answer=as_choices(answer[told], n_choices),
        answer_known=answer[told] != 0.5,
        reward_known=None if reward_known is None else reward_known[told],
        misses=sequences.pad(X[MISSES].to_numpy())[told] if sequences.counts_misses else None,
        session=sequences.pad(codes).astype(np.int64)[told],
        session_names=names,
        opens=opens[told],
        happened=happened[told],
        covariates=pd.DataFrame(sequences.covariates[subjects], columns=sequences.covariate_names),
        pay=pay,
        correction=correction,
        corrected=corrected[told],
        payoffs=None if payoffs is None else payoffs[told],
    )


def _sessions(X: pd.DataFrame) -> pd.Index:
    if "session" in X.index.names:
        return X.index.get_level_values("session")
    return pd.Index(X["session"] if "session" in X else np.ones(len(X), dtype=int))


def _pay(reward: Any, paid: Floats, correct: Bools, answer: Floats) -> Pay:
    """Return how choices are paid: as ``reward`` says or, without it, as they were paid."""
    _check_word(reward)
    if callable(reward):
        return lambda correct, _, rng: reward(correct, rng)
    as_animals = reward is None or isinstance(reward, str)
    return partial(
        _pay_alike, _as_paid(paid, correct, answer, reward) if as_animals else _two(reward)
    )


def _check_word(reward: Any) -> None:
    if isinstance(reward, str) and reward != RESAMPLE:
        raise ValueError(f"reward, if a word, should be {RESAMPLE!r}, got {reward!r}.")


def _pay_alike(pays: Pays, correct: Bools, answer: Choices, rng: Any) -> Floats:
    """Return a reward for each choice, drawn from those of its kind, of which there may be one."""
    reward = np.empty(len(correct))
    for right, made in product(np.unique(answer).astype(int).tolist(), (False, True)):
        rows = np.flatnonzero((answer == right) & (correct == made))
        values = pays.get((right, made), pays[None, made])
        reward[rows] = values[0] if len(values) == 1 else rng.choice(values, len(rows))
    return reward


def _two(reward: Any) -> Pays:
    given = np.asarray(reward)
    numeric = given.dtype.kind in "biuf"
    if not numeric or given.shape != (2,) or not np.isfinite(given).all():
        raise ValueError(
            "reward should be two numbers, for an error and for a correct choice, 'resample' or a "
            f"function (correct, random_state) -> rewards; got {reward!r}."
        )
    return {(None, False): given[:1].astype(float), (None, True): given[1:].astype(float)}


def _as_paid(paid: Floats, correct: Bools, answer: Floats, reward: str | None) -> Pays:
    """What errors and correct choices earned, by what was correct, and anywhere; if none, 0 and 1.

    In a go/no-go task a hit is paid and a correct rejection is not, though both are correct.
    """
    pays: Pays = {(None, False): np.zeros(1), (None, True): np.ones(1)}
    for made, kind in KINDS.items():
        of_it = correct == made
        for right in np.unique(answer[of_it]):
            values = _one_or_all(paid[of_it & (answer == right)])
            if len(values) > 1 and reward != RESAMPLE:
                raise ValueError(
                    f"The rewards of {kind} vary ({_some(values)}): say how twins are paid, "
                    "reward='resample' to draw from these, (for an error, for a correct choice) "
                    "or a function (correct, random_state) -> rewards."
                )
            pays[int(right), made] = values
        if of_it.any():
            pays[None, made] = _one_or_all(paid[of_it])
    _tell_of_guesses(pays, np.unique(answer).astype(int).tolist())
    return pays


def _tell_of_guesses(pays: Pays, answers: list[int]) -> None:
    """Warn if pay hangs on what is correct, and no animal shows what some outcome earns."""
    amounts = {(made, *np.unique(pays[right, made])) for right, made in pays if right is not None}
    if all([made for made, *_ in amounts].count(kind) < 2 for kind in KINDS):
        return
    for made, kind in KINDS.items():
        if any((right, made) not in pays for right in answers):
            warn(
                f"What animals earned hangs on which choice is correct, and for one of these they "
                f"made no {kind}. Twins who do earn what {kind} earned elsewhere, "
                f"{pays[None, made].mean():.3g} on average; if that is wrong, simulate in a task "
                "of your own.",
            )


def _one_or_all(values: Floats) -> Floats:
    return values[:1] if len(np.unique(values)) == 1 else values


def _some(values: Floats) -> str:
    """Write the first few of different values."""
    each = np.unique(values)
    return f"{', '.join(f'{v:g}' for v in each[:3])}{', ...' * (len(each) > 3)}"
