"""Which training would be fastest? Options that are tried on digital twins first."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar

from ..utils.tasks import run_tasks
from ..utils.texts import short
from ..utils.warn import warn
from ..utils.wrapping import called, named
from ._curriculum_design import CurriculumDesign
from ._experiment import SESSION_LENGTH, Curriculum, make_curriculum
from ._learning import Task
from ._skill import SkillTest
from ._training import Training
from ._twins import Twin

MAX_SEED = np.iinfo(np.int32).max


def design_curriculum(
    estimator: Any,
    task: Callable[..., Task],
    options: Mapping[str, Mapping[str, Any]],
    *,
    test: Mapping[str, Any],
    X: pd.DataFrame | None,
    n_trials: int,
    n_twins: int = 100,
    session_length: int = SESSION_LENGTH,
    criterion: float = 0.75,
    window: int = 100,
    level: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> CurriculumDesign:
    """Ask which of several trainings brings twins to a criterion in the fewest trials.

    "Would my mice learn the hard contrasts sooner if they began with easy ones? If errors were
    repeated?" Twins of fitted animals (see :func:`simulate`) are trained in each option. What is
    compared is what a lab pays for, trials until the animals are good at what they are trained
    for. In training itself, an easy option makes for many correct choices without skill; so skill
    is the chance of a correct choice on the same stimuli for all, the ``test``. It is known from a
    twin's weights, lapses included, whether or not it is ever shown these stimuli.

    Twins are the same animals in all options: their effects, starts, noise and luck are drawn from
    the same random numbers, as are a task's. So differences are paired, and those of an option to
    itself are 0. One that never gets there counts with all its trials (means are restricted to
    ``n_trials``), and ``share_reached`` tells how many did.

    Parameters
    ----------
    estimator : fitted rule estimator, Pipeline that ends in one, or list or dict of some
        Several are refits, such as 20 by :func:`~sklearn_learnrule.inspection.bootstrap_fits`, or
        models of their own: intervals are then over fits as well, wide if these are few. With one,
        they tell nothing of how sure the rule is.
    task : function or class
        ``(session_start, random_state=..., **option)`` makes a :class:`Task`, such as
        :class:`~sklearn_learnrule.datasets.ContrastTask`.
    options : dict of str to keyword arguments of the task
        The trainings by name, that in use first: with it, others are compared.
    test : keyword arguments of the task
        Whose first trials are what animals are to become good at, such as
        ``{"curriculum": [(0.25, 0.125, 0.0625)]}``.
    X : DataFrame from :func:`~sklearn_learnrule.make_design`, or None
        Animals, two or more, such as those fitted, whose states twins should not leave: a rule is
        known where they have been. A state is the weights and the stimulus of a trial. None: not
        to ask.
    n_trials : int
        Trials of a twin.
    n_twins : int, default=100
        Of each fit; more cost little, as all go through a trial at once. With ``subject_effects``,
        each draws its own.
    session_length : int, default=150
    criterion, window : float and int, default=.75 and 100
        A twin has learned when its mean skill in so many trials in a row is so high.
    level : float, default=.95
        Of intervals.
    random_state : int, RandomState or None, default=None
    n_jobs : int or None, default=None
        Options and fits at a time; results are the same.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    CurriculumDesign
        With the tables ``table``, ``differences()``, ``curves``, ``twins`` and ``sessions``;
        :class:`~sklearn_learnrule.plotting.CurriculumDisplay` draws it.

    Raises
    ------
    TypeError, ValueError
        If an option does not suit the task, fits are of other stimuli or choices, or a twin's
        weights run away.

    Warns
    -----
    UserWarning
        If no twin gets there, if all are there from the start, or if more than a fifth of an
        option's trials are outside of the states that animals visited: with a stimulus beyond those
        shown, or farther from any state than all but 1% of an animal's are from those of others.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(6, 400, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> options = {"hard": {"curriculum": [(0.25, 0.125)]}, "easy": {"curriculum": [(1.0, 0.5)]}}
    >>> found = design_curriculum(rule, ContrastTask, options, test=options["hard"], X=X,
    ...                           n_trials=400, criterion=0.6, random_state=0, verbose=0)
    >>> found.table[["option", "trials", "lower", "upper", "p_best"]].round(1)
      option  trials  lower  upper  p_best
    0   hard   235.6  233.0  238.3     0.0
    1   easy   182.6  180.7  184.6     1.0
    """
    fits = _read_fits(estimator)
    _check_numbers(n_twins, criterion, window, level, n_trials)
    _check_options(task, options, test)
    length = {"n_trials": n_trials, "session_length": session_length}
    curricula = {name: _make(task, name, option, **length) for name, option in options.items()}
    tested = _make(task, "test", test, **length).make_task
    rng = check_random_state(random_state)
    seed = rng.randint(MAX_SEED)
    exams = [SkillTest.of_task(twin, tested, seed) for _, twin in fits]
    seeds = [rng.randint(MAX_SEED, size=2) for _ in fits]
    trainings = [
        Training(option, *fit, curriculum, exam, own)
        for option, curriculum in curricula.items()
        for fit, exam, own in zip(fits, exams, seeds, strict=True)
    ]
    tasks = [(training, X, n_twins, criterion, window) for training in trainings]
    how: Any = {"unit": "training", "n_jobs": n_jobs, "verbose": verbose}
    of_twins, of_sessions = zip(*run_tasks(Training.run, tasks, name="design", **how), strict=True)
    twins, sessions = (pd.concat(each, ignore_index=True) for each in (of_twins, of_sessions))
    found = CurriculumDesign(twins, sessions, criterion, n_trials, level)
    _warn_of(found, window)
    return found


def _read_fits(estimator: Any) -> list[tuple[Any, Twin]]:
    """Name the fits, and make twins of them, which should see and choose alike."""
    twins = [(name, Twin(each)) for name, each in named(estimator)]
    if not twins:
        raise ValueError("There are no estimators to make twins of (0 given).")
    for what in ("stimuli", "classes"):
        of_each = [list(getattr(twin, what)) for _, twin in twins]
        for (name, _), own in zip(twins, of_each, strict=True):
            if own != of_each[0]:
                raise ValueError(
                    f"Fits that are compared should have the same {what}, but "
                    f"{called(twins[0][0])} has {of_each[0]} and {called(name)} has {own}."
                )
    return twins


def _check_numbers(n_twins: Any, criterion: Any, window: Any, level: Any, n_trials: Any) -> None:
    whole, share = numbers.Integral, numbers.Real
    inside: Any = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
    check_scalar(n_twins, "n_twins", whole, min_val=2)
    check_scalar(criterion, "criterion", share, **inside)
    check_scalar(level, "level", share, **inside)
    check_scalar(n_trials, "n_trials", whole, min_val=1)
    check_scalar(window, "window", whole, min_val=1, max_val=n_trials)


def _check_options(task: Any, options: Any, test: Any) -> None:
    if not callable(task):
        raise TypeError(
            "task should be a function or class that makes a task, such as ContrastTask, got "
            f"{type(task).__name__}."
        )
    if not (isinstance(options, Mapping) and options):
        raise TypeError(
            "options should be a dict of names to keyword arguments of the task, such as "
            f"{{'as now': {{'criterion': 0.8}}}}, got {short(options)}."
        )
    for name, option in [*options.items(), ("test", test)]:
        if not isinstance(option, Mapping):
            raise TypeError(
                f"{name!r} should be a dict of keyword arguments of the task, got {short(option)}."
            )


def _make(task: Any, name: str, option: Any, n_trials: int, session_length: int) -> Curriculum:
    """Return a training, and raise if the task cannot be made so."""
    training = make_curriculum(partial(task, **option), n_trials, session_length)
    try:
        training.for_twins(1, np.random.RandomState(0))
    except (TypeError, ValueError) as error:
        raise ValueError(f"The task cannot be made as {name!r} says: {error}") from error
    return training


def _warn_of(found: CurriculumDesign, window: int) -> None:
    """Warn of what makes a design tell less than it seems to."""
    if not found.twins["reached"].any():
        warn(
            f"No twin reached a skill of {found.criterion:g} in {found.n_trials} trials, so that "
            "all options look alike: give more trials (n_trials), or ask for less (criterion)."
        )
    elif (found.twins["trials"] == window).all():
        warn(
            f"All twins have a skill of {found.criterion:g} from the start, so that all options "
            "look alike: ask for more (criterion)."
        )
    if found.outside.any():
        left = found.table[found.outside.to_numpy()]
        shares = (f"{row.option!r} {row.share_outside:.0%}" for row in left.itertuples())
        warn(
            "Twins leave the states that the animals visited, where the rule is a guess, on these "
            f"shares of trials: {', '.join(shares)}."
        )
