"""Does a fitted rule behave as the animals did? Their learning curves beside their twins'."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, check_scalar
from tqdm import tqdm

from ..data.schema import of_labels
from ..data.sequences import identity_of, session_numbers
from ..data.tables import label_texts
from ..utils.arrays import Bools, Ints
from ._learning import Simulation
from ._twins import Twin

MAX_TRIALS_AT_ONCE = 2_000_000  # of all twins: bounds the memory
OF_ALL = 0  # stands for the block of a statistic of all trials


def predictive_check(
    estimator: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    n_simulations: int = 100,
    by: str | int = "session",
    criterion: float = 0.75,
    window: int = 100,
    level: float = 0.95,
    reward: Any = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Compare what animals did with what twins of a fitted estimator do of their own accord.

    Predictions one step ahead follow the animal, and look right where the rule is wrong; twins
    follow their own choices. Each simulation is a cohort, one twin an animal, that is given the
    animals' stimuli (see :func:`simulate`). The estimator's parameters are held: the bands hold
    the chance in choices. For a check on animals never seen, fit to others.

    Parameters
    ----------
    estimator : fitted rule estimator, or Pipeline that ends in one
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
        An animal's last trial, whose outcome X does not tell, is left out.
    n_simulations : int, default=100
    by : "session" or int, default="session"
        Blocks of the learning curves: an animal's first, second, ... session, or so many trials,
        counted from where learning begins, with restarts anew from each.
    criterion, window : float and int, default=.75 and 100
        An animal has learned when this share of its last so many choices was correct; with
        restarts, it learns, and is counted, from each anew.
    level : float, default=.95
        Share of the simulations between ``lower`` and ``upper``.
    reward : pair of floats, function or None, default=None
        How twins are paid, see :func:`simulate`.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    DataFrame, one row a statistic and block
        ``statistic``, ``block`` (1, 2, ...; missing where the statistic is of all trials),
        ``n_subjects`` (animals that have the block), ``observed``, ``simulated`` (mean),
        ``lower``, ``upper``, ``share_below`` (of simulations below the observed value, ties
        counting half: near 0 or 1, the twins do not do as the animals did). Statistics are
        means over animals of

        - ``accuracy`` and ``second_choices``, the share of the second class, in each block; of
          more than two classes, the share of each, ``choices_<label>``;
        - ``win_stay`` and ``lose_shift``, the shares of rewarded choices that were repeated and
          of unrewarded ones that were not;
        - ``trials_to_criterion``; all its trials for an animal that did not get there.

    Examples
    --------
    >>> from sklearn_learnrule import ConstantRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 300, random_state=0))
    >>> rule = ConstantRuleEstimator().fit(X, y)
    >>> check = predictive_check(rule, X, y, by=100, n_simulations=20, random_state=0)
    >>> check.loc[:2, ["block", "observed", "lower", "upper"]].round(2)  # its accuracy
       block  observed  lower  upper
    0      1      0.54   0.61   0.68
    1      2      0.66   0.61   0.68
    2      3      0.75   0.63   0.68
    """
    check_scalar(n_simulations, "n_simulations", numbers.Integral, min_val=1)
    check_scalar(window, "window", numbers.Integral, min_val=1)
    check_scalar(level, "level", numbers.Real, min_val=0, max_val=1, include_boundaries="neither")
    twin = Twin(estimator)
    animals = _read_animals(twin, X, y, by)
    replay: Any = twin.read(X, None, None, reward)
    told = replay.happened if replay.reward_known is None else replay.happened & replay.reward_known
    how = _classes_told(twin.classes), criterion, window
    rng = check_random_state(random_state)
    n_at_once = max(1, MAX_TRIALS_AT_ONCE // replay.happened.size)
    simulated = []
    bar_options: Any = {"unit": "cohort", "leave": None, "disable": not verbose}
    with tqdm(total=n_simulations, desc="simulate", **bar_options) as bar:
        for done in range(0, n_simulations, n_at_once):
            n_cohorts = min(n_at_once, n_simulations - done)
            experiment = replay.for_twins(n_cohorts, rng)
            simulation = twin.run(experiment, rng)
            cohorts = animals.as_twins_did(simulation, experiment.sequence, told)
            simulated.append(_statistics(cohorts, *how))
            bar.update(n_cohorts)
    observed = _statistics(animals, *how)[0]
    return _summary(observed, pd.concat(simulated, axis=1), animals, level)


@dataclass(frozen=True)
class Behaviour:
    """What C cohorts did on the same M trials, those of each sequence in a row."""

    animal: Ints  # (M,)
    sequence: Ints  # (M,) whose first trial is the animal's, or one after a restart
    place: Ints  # (M,) in the sequence
    block: Ints  # (M,), from 1
    choice: Ints  # (M, C), the class, 0, 1, ...
    correct: Bools  # (M, C)
    rewarded: Bools  # (M, C)

    def as_twins_did(self, simulation: Simulation, sequence: Ints, happened: Bools) -> Behaviour:
        """Return what twins did in place of animals, each of whom has C twins.

        ``sequence`` says which of the animals' N sequences each of the simulation's was given.
        """
        twins = np.argsort(sequence, kind="stable").reshape(len(happened), -1)  # (N, C)

        def trials(values: NDArray[Any]) -> NDArray[Any]:
            return values[twins].swapaxes(1, 2)[happened]  # (M, C)

        return replace(
            self,
            choice=trials(simulation.choice.astype(int)),
            correct=trials(simulation.choice == simulation.answer),
            rewarded=trials(simulation.reward > 0),
        )


def _read_animals(twin: Twin, X: pd.DataFrame, y: ArrayLike, by: str | int) -> Behaviour:
    """Read what the one cohort of real animals did."""
    sequences, _ = twin.estimator.read_choices(twin.transform(X), y)
    trials = sequences.padded
    happened = trials.told
    if by == "session":
        told = "session" in identity_of(X)
        block = sequences.pad(session_numbers(X) if told else np.ones(len(X), dtype=np.int64))
    else:
        length = check_scalar(by, "by", numbers.Integral, min_val=1)
        block = 1 + np.broadcast_to(np.arange(happened.shape[1]) // length, happened.shape)
    sequence, place = np.nonzero(happened)
    return Behaviour(
        animal=sequences.sequence_subject[sequence],
        sequence=sequence,
        place=place,
        block=block[happened],
        choice=trials.choice[happened][:, None].astype(int),
        correct=(trials.choice == trials.answer)[happened][:, None],
        rewarded=trials.reward[happened][:, None] > 0,
    )


def _classes_told(classes: NDArray[Any]) -> dict[str, int]:
    """Return the names of the statistics of how often classes are chosen, and which these are."""
    if len(classes) == 2:
        return {"second_choices": 1}
    names = of_labels("choices_", label_texts(classes))
    return {name: number for number, name in enumerate(names)}


def _statistics(
    did: Behaviour, told: dict[str, int], criterion: float, window: int
) -> pd.DataFrame:
    """Return each cohort's statistics, a row a statistic and block, (n_statistics, C).

    Which classes are ``told`` of see :func:`_classes_told`.
    """
    always = np.ones_like(did.correct)
    goes_on = (np.diff(did.sequence) == 0) & (np.diff(did.place) == 1)
    stayed = did.choice[1:] == did.choice[:-1]
    won = did.rewarded[:-1]
    by_block, by_animal = (did.animal, did.block), (did.animal[1:], np.full(len(won), OF_ALL))
    tables = {
        "accuracy": _share(did.correct, always, *by_block),
        **{name: _share(did.choice == c, always, *by_block) for name, c in told.items()},
        "win_stay": _share(stayed, won & goes_on[:, None], *by_animal),
        "lose_shift": _share(~stayed, ~won & goes_on[:, None], *by_animal),
        "trials_to_criterion": _trials_to_criterion(did, criterion, window),
    }
    return pd.concat(tables, names=["statistic", "block"])


def _share(event: Bools, given: Bools, animal: Ints, block: Ints) -> pd.DataFrame:
    """Return the share of the event where it could be, a mean over animals, by block."""
    n_events, n_given = (
        pd.DataFrame(where.astype(float)).groupby([animal, block]).sum()
        for where in (event & given, given)
    )
    return (n_events / n_given).groupby(level=1).mean()


def _trials_to_criterion(did: Behaviour, criterion: float, window: int) -> pd.DataFrame:
    counts = []
    sequences, start = np.unique(did.sequence, return_index=True)
    for sequence in sequences:
        correct = did.correct[did.sequence == sequence]  # (T, C)
        total = np.pad(correct, [(1, 0), (0, 0)]).cumsum(0)
        reached = total[window:] - total[:-window] >= criterion * window
        in_the_end = np.ones_like(correct[:1])
        first = np.concatenate([reached, in_the_end]).argmax(0) + window
        counts.append(np.minimum(first, len(correct)))
    of_animals = pd.DataFrame(np.array(counts)).groupby(did.animal[start]).mean()
    return of_animals.mean().to_frame(OF_ALL).T


def _summary(
    observed: pd.Series, simulated: pd.DataFrame, animals: Behaviour, level: float
) -> pd.DataFrame:
    pairs = pd.DataFrame({"animal": animals.animal, "block": animals.block}).drop_duplicates()
    n_subjects = pairs.groupby("block").size()
    n_subjects[OF_ALL] = pairs["animal"].nunique()
    below = (np.sign(-simulated.sub(observed, axis=0)) + 1) / 2  # 0, 1, or 1/2 for a tie
    table = pd.DataFrame(
        {
            "n_subjects": n_subjects.loc[observed.index.get_level_values("block")].to_numpy(),
            "observed": observed,
            "simulated": simulated.mean(axis=1),
            "lower": simulated.quantile((1 - level) / 2, axis=1),
            "upper": simulated.quantile((1 + level) / 2, axis=1),
            "share_below": below.mean(axis=1),
        }
    ).reset_index()
    block = table["block"].astype("Int64")
    return table.assign(block=block.mask(block == OF_ALL))
