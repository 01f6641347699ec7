"""Does a fitted rule behave as the animals did? Their learning curves beside their twins'."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, check_scalar
from tqdm import tqdm

from ..data.schema import of_labels
from ..data.sequences import identity_of, read_sequences, session_numbers
from ..data.tables import label_texts
from ..utils.parameters import check_finite
from ._corrections import BiasCorrection
from ._statistics import OF_ALL, Behaviour, Statistics
from ._twins import Twin

MAX_TRIALS_AT_ONCE = 2_000_000  # of all twins: bounds the memory


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
    per_subject: bool = False,
    rewarded_above: float = 0.0,
    reward: Any = None,
    correction: BiasCorrection | None = None,
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
    per_subject : bool, default=False
        Whether to compare each animal with its own twins, instead of means over animals.
    rewarded_above : float, default=0
        A choice counts as rewarded if it earned more.
    reward : pair of floats, function, "resample" or None, default=None
        How twins are paid, see :func:`simulate`.
    correction : BiasCorrection or None, default=None
        How errors were answered with stimuli, if they were, see :func:`simulate`.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    DataFrame, one row a statistic and block, with ``per_subject`` of each animal
        ``statistic``, ``block`` (1, 2, ...; missing where the statistic is of all trials),
        ``n_subjects`` (animals that have the block; with ``per_subject`` ``subject`` and its
        ``n_trials``), ``observed``, ``simulated`` (mean), ``lower``, ``upper``, ``share_below``
        (of simulations below the observed value, ties counting half: near 0 or 1, the twins do
        not do as the animals did). Statistics are means over animals of

        - ``accuracy`` and ``second_choices``, the share of the second class, in each block; of
          more than two classes, the share of each, ``choices_<label>``;
        - ``bias`` and ``slope_<stimulus>`` of two classes in each block, by logistic regression:
          the log odds of the second class where nothing is shown, and how much a unit of each
          stimulus column adds. A normal prior, of 5 standard deviations of the stimulus, keeps
          them finite;
        - ``one_sided``, whether 97% of a block's choices, or more, were of one class;
        - ``win_stay`` and ``lose_shift``, the shares of rewarded choices that were repeated and
          of unrewarded ones that were not;
        - where X does not tell which choices were correct, ``reward``, what they earned on
          average in each block, in place of ``accuracy``;
        - ``trials_to_criterion``, where X does; all its trials for an animal that did not get
          there. With restarts, the mean over an animal's parts that are no shorter than ``window``;
          missing (NaN) where there are none.

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
    check_finite(rewarded_above, "rewarded_above")
    check_scalar(level, "level", numbers.Real, min_val=0, max_val=1, include_boundaries="neither")
    twin = Twin(estimator)
    animals, subjects = _read_animals(twin, X, y, by)
    replay: Any = twin.read(X, None, None, reward, correction)
    told = _classes_told(twin.classes), _units_told(twin, animals)
    statistics = Statistics(
        *told, criterion, window, rewarded_above, read_sequences(X).answer_known
    )
    rng = check_random_state(random_state)
    cohorts = _simulate(twin, replay, animals, n_simulations, rng, verbose)
    simulated = [statistics.of(did) for did in cohorts]
    each = pd.concat([statistics.of(animals)[0], *simulated], axis=1)  # animals' first, twins'
    counted = _n_trials(animals)
    if per_subject:
        return _summary(each, counted, level).assign(subject=lambda t: subjects[t["subject"]])
    means = each.groupby(level=["statistic", "block"], sort=False).mean()
    return _summary(means, counted.groupby(level="block").size().rename("n_subjects"), level)


def _read_animals(
    twin: Twin, X: pd.DataFrame, y: ArrayLike, by: str | int
) -> tuple[Behaviour, pd.Index]:
    """Read what the one cohort of real animals did, and their names."""
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
    did = Behaviour(
        animal=sequences.sequence_subject[sequence],
        sequence=sequence,
        place=place,
        block=block[happened],
        stimulus=sequences.pad(X[twin.stimuli].to_numpy(dtype=float))[happened][:, None],
        choice=trials.choice[happened][:, None].astype(int),
        correct=(trials.choice == trials.answer)[happened][:, None],
        reward=trials.reward[happened][:, None],
    )
    return did, sequences.subjects


def _simulate(
    twin: Twin,
    replay: Any,
    animals: Behaviour,
    n_simulations: int,
    rng: np.random.RandomState,
    verbose: int,
) -> Iterator[Behaviour]:
    """Yield what twins did, as many cohorts at once as the memory holds."""
    told = replay.happened if replay.reward_known is None else replay.happened & replay.reward_known
    n_at_once = max(1, MAX_TRIALS_AT_ONCE // replay.happened.size)
    bar_options: Any = {"unit": "cohort", "leave": None, "disable": not verbose}
    with tqdm(total=n_simulations, desc="simulate", **bar_options) as bar:
        for done in range(0, n_simulations, n_at_once):
            n_cohorts = min(n_at_once, n_simulations - done)
            experiment = replay.for_twins(n_cohorts, rng)
            yield animals.as_twins_did(twin.run(experiment, rng), experiment.sequence, told)
            bar.update(n_cohorts)


def _classes_told(classes: NDArray[Any]) -> dict[str, int]:
    """Return the names of the statistics of how often classes are chosen, and which these are."""
    if len(classes) == 2:
        return {"second_choices": 1}
    names = of_labels("choices_", label_texts(classes))
    return {name: number for number, name in enumerate(names)}


def _units_told(twin: Twin, animals: Behaviour) -> dict[str, float]:
    """Return the names of the statistics of psychometric slopes, and the stimuli's units."""
    if len(twin.classes) > 2:
        return {}
    std = animals.stimulus.std((0, 1))
    units = np.where(std > 0, std, 1.0)
    return {f"slope_{name}": unit for name, unit in zip(twin.stimuli, units, strict=True)}


def _n_trials(did: Behaviour) -> pd.Series:
    """Return how many trials each animal has in each block, and in all."""
    of_blocks = pd.Series(1, [did.animal, did.block]).groupby(level=[0, 1]).sum()
    of_all = pd.Series(1, [did.animal, np.full_like(did.block, OF_ALL)]).groupby(level=[0, 1]).sum()
    return pd.concat([of_blocks, of_all]).rename_axis(["subject", "block"]).rename("n_trials")


def _summary(statistics: pd.DataFrame, counted: pd.Series, level: float) -> pd.DataFrame:
    """Compare what animals did, the first column, with what each cohort of twins did, the others.

    ``counted`` says of how much each is, by what the statistics' index has after their names.
    """
    observed, simulated = statistics.iloc[:, 0], statistics.iloc[:, 1:]
    cells = statistics.reset_index("statistic").index
    below = (np.sign(-simulated.sub(observed, axis=0)) + 1) / 2  # 0, 1, or 1/2 for a tie
    table = pd.DataFrame(
        {
            str(counted.name): counted.loc[cells].to_numpy(),
            "observed": observed,
            "simulated": simulated.mean(axis=1),
            "lower": simulated.quantile((1 - level) / 2, axis=1),
            "upper": simulated.quantile((1 + level) / 2, axis=1),
            "share_below": below.mean(axis=1),
        }
    ).reset_index()
    block = table["block"].astype("Int64")
    return table.assign(block=block.mask(block == OF_ALL))
