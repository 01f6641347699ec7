"""Tables of what digital twins do."""

from __future__ import annotations

import numbers
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar

from ._corrections import BiasCorrection
from ._twins import Twin


@overload
def simulate(
    estimator: Any,
    stimuli: Any,
    n_subjects: int = 1,
    *,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    correction: BiasCorrection | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_weights: Literal[False] = False,
) -> pd.DataFrame: ...


@overload
def simulate(
    estimator: Any,
    stimuli: Any,
    n_subjects: int = 1,
    *,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    correction: BiasCorrection | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_weights: Literal[True],
) -> tuple[pd.DataFrame, pd.DataFrame]: ...


def simulate(
    estimator: Any,
    stimuli: Any,
    n_subjects: int = 1,
    *,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    correction: BiasCorrection | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_weights: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Let digital twins do a task: animals that choose and learn as a fitted estimator does.

    A twin starts with the fitted initial weights, chooses with its policy's probabilities, lapses
    as often as the animals, is paid for its own choices, and its weights move by the fitted rule.
    What follows is its own. With process noise, twins lie apart as the animals do; where these are
    too few to tell (see ``initial_std``), each starts with the smoothed weights of one of them.
    With ``subject_effects``, each twin draws its own, around what its covariates let expect.

    Parameters
    ----------
    estimator : fitted rule estimator, Pipeline that ends in one, or a search for one
    stimuli : DataFrame or function
        A table shows its animals' stimuli, sessions and correct choices once more. Either X of
        :func:`~sklearn_learnrule.make_design`, without each animal's last trial, whose outcome X
        does not tell. Or trials, perhaps of an experiment to come, with the columns ``subject``,
        ``session``, ``answer`` (the correct choice) and the estimator's stimulus columns, or the
        labels that they are of; with ``restart``, learning begins anew where it changes.
        A function ``(session_start, random_state=...)`` makes a :class:`Task`, which may watch
        the animals, for a bool array (N, T) of trials that open a session; such as
        ``functools.partial(ContrastTask, curriculum=..., criterion=...)``.
    n_subjects : int, default=1
        Twins to simulate; with a table, twins of each of its animals.
    n_trials : int
        Trials of a twin, only with a task.
    session_length : int, default=150
        Trials of a session, only with a task.
    reward : pair of floats, function, "resample" or None, default=None
        What an error and a correct choice earn, or a function ``(correct (N,), random_state)`` that
        returns the rewards (N,) and may toss coins; only with a table. None: what they earned in
        the table, for each correct choice, if that never varied; where it does not say, what
        errors, or correct choices, earned elsewhere in it or, without any, 0 and 1. "resample":
        each is drawn from what errors, or correct choices, earned on any trial of the table with
        the same correct choice or, where nothing was shown and X does not tell which were correct,
        from what the choice earned the animal on the ten trials on which it was made that are
        nearest. Where arms change places, a choice that is avoided while it is the worse is then
        paid as while it was the better: name the best one, ``make_design(..., answer=...)``.
    correction : BiasCorrection or None, default=None
        How the experiment answered the animals' errors with stimuli, if it did: then twins see
        none that answered the animals', but those that answer their own; only with a table.
    random_state : int, RandomState or None, default=None
    return_weights : bool, default=False
        Whether to return the twins' weights too.

    Returns
    -------
    trials : DataFrame
        ``subject``, ``twin_of`` (with a table, whose stimuli these are), ``session``, the
        stimulus columns, ``choice``, ``answer``, ``reward``: ready for ``make_design``. Then the
        covariates of the fit, with the names that they have in X: those of the animal in the
        table, 0 if it has none, and with a task. Where the animals' learning begins anew, that of
        their twins does, which ``restart`` counts; an unknown reward is missing, and so is the
        choice on trials that the animals missed, if the estimator knows of such.
    weights : DataFrame, only if ``return_weights``
        The weights before each choice, with the index of that design's X, of which
        ``estimator.predict_weights`` says the same, if all twins are alike.

    Raises
    ------
    TypeError, ValueError
        If the estimator has no learning rule, if a stimulus column or the correct choices are
        missing, if rewards vary and ``reward`` is not given, or if a twin's weights run away.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> trials = simulate(rule, X, n_subjects=2, random_state=0)
    >>> trials.head(3)
          subject   twin_of  session  stimulus choice answer  reward
    0  mouse_01_1  mouse_01        1  0.986704   left  right     0.0
    1  mouse_01_1  mouse_01        1  1.000000   left  right     0.0
    2  mouse_01_1  mouse_01        1  1.000000  right  right     1.0
    """
    n_subjects = check_scalar(n_subjects, "n_subjects", numbers.Integral, min_val=1)
    rng = check_random_state(random_state)
    twin = Twin(estimator)
    source = twin.read(stimuli, n_trials, session_length, reward, correction)
    experiment = source.for_twins(n_subjects, rng)
    simulation = twin.run(experiment, rng)
    trials = twin.trials(experiment, simulation)
    return (trials, twin.weights(experiment, simulation)) if return_weights else trials
