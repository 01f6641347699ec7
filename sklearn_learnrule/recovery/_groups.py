"""How often a difference between two groups of animals is found, and one that is not there."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.utils import check_random_state, check_scalar

from ..data.schema import COVARIATE
from ..inspection import compare_groups
from ..simulation import Stimuli, Twin
from ..utils.cache import describe_estimator, describe_table, make_key
from ..utils.tasks import run_tasks
from ..utils.texts import short
from ._rules import MAX_SEED, Warned, noting_warnings, succeeded, tell_failure, tell_warnings

GROUP = f"{COVARIATE}of_two_groups"
FOUND = ("difference", "standard_error", "lower", "upper", "p")


@dataclass(frozen=True, eq=False)
class GroupPower:
    """What :func:`group_power` found; ``str()`` writes the table.

    Attributes
    ----------
    tests : DataFrame, one row a simulated cohort
        ``n_subjects`` (of each group), ``true_difference``, ``repeat``; what was found:
        ``difference``, ``standard_error``, ``lower``, ``upper`` (its 95% interval) and ``p``, of
        the likelihood ratio. NaN where a fit failed.
    level : float
        Below which p is said to have found a difference.
    """

    tests: pd.DataFrame
    level: float = 0.05

    @property
    def table(self) -> pd.DataFrame:
        """One row a number of animals and true difference: how often a difference was found.

        ``n_cohorts`` that were fitted; ``share_found`` of them, with its 95% interval (``lower``,
        ``upper``, Wilson's); ``mean_difference``, over all cohorts. With a true difference the
        share is the power, without it should be about the level.
        """
        rows = []
        for (n_subjects, true), tests in self.tests.groupby(["n_subjects", "true_difference"]):
            p_values = tests["p"].dropna()
            n_found = int((p_values < self.level).sum())
            row = {"n_subjects": n_subjects, "true_difference": true, "n_cohorts": len(p_values)}
            if len(p_values):
                wilson = binomtest(n_found, len(p_values)).proportion_ci(method="wilson")
                row |= {"share_found": n_found / len(p_values)}
                row |= {"lower": wilson.low, "upper": wilson.high}
            rows.append(row | {"mean_difference": tests["difference"].mean()})
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        return self.table.round(3).to_string(index=False)


def group_power(
    rule: Any,
    stimuli: Any,
    *,
    n_subjects: int | Sequence[int] = 8,
    difference: float = np.log(2),
    effect: str | None = None,
    n_repeats: int = 100,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    level: float = 0.05,
    random_state: int | np.random.RandomState | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> GroupPower:
    """Ask how many animals it takes to see that one group learns faster than another.

    "With eight knock-outs and eight controls of 500 trials each, would I see that the knock-outs
    learn at half the rate?" Cohorts of two groups are simulated that learn by a fitted rule and
    vary as its animals do, with a difference between the groups and without. Each is analysed as
    an experiment would be, by :func:`~sklearn_learnrule.inspection.compare_groups`. The share of
    cohorts in which a difference is found is the power where there is one, and else should be
    about the level.

    Parameters
    ----------
    rule : fitted rule estimator with ``subject_effects``, or Pipeline that ends in one
        Of parameters that have names. Such as a fit to a pilot or to published data: so much as its
        animals vary (``subject_effects_std_``), those simulated do, around the same typical one.
    stimuli : DataFrame or function
        What the animals are to be shown: X of :func:`~sklearn_learnrule.make_design`, a table of
        planned trials, or a function that makes a task, see :func:`~.simulation.simulate`.
    n_subjects : int or list of int, default=8
        Animals in each of the two groups; of several numbers, each is tried.
    difference : float, default=log(2)
        Between the groups, in the unit of the effect: of a learning rate that of its logarithm, so
        that log(2) is twice the rate and log(1.2) a fifth more.
    effect : str or None, default=None
        What differs, one of the fit's ``subject_effects``; None: the first.
    n_repeats : int, default=100
        Cohorts with and cohorts without a difference, of each size. A power of one half is then
        known to within .1.
    n_trials, session_length : int, only for a task
    reward : pair of floats, function, "resample" or None, default=None, only for a table
        How the cohorts are paid, see :func:`~.simulation.simulate`.
    level : float, default=0.05
        Below which p says that there is a difference.
    random_state : int, RandomState or None, default=None
        Seeds the cohorts.
    cache : str, Path or None, default=None
        A folder in which finished cohorts are kept, as of :func:`recovery_study`; with an int as
        ``random_state`` they are found again.
    n_jobs : int or None, default=None
        Cohorts at a time.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    GroupPower
        With the tables ``table`` and ``tests``. A fit that fails is told in a ``FitFailedWarning``
        and leaves NaN; the others go on.

    Raises
    ------
    ValueError
        If nothing varies by animal in the fit, or nothing of that name.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 100, random_state=0))  # a pilot
    >>> rule = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    >>> power = group_power(rule, ContrastTask, n_subjects=3, n_trials=50, n_repeats=1,
    ...                     random_state=1, verbose=0)  # with 100 repeats, it takes minutes
    >>> power.table[["n_subjects", "true_difference", "n_cohorts"]].round(2)
       n_subjects  true_difference  n_cohorts
    0           3             0.00          1
    1           3             0.69          1
    """
    sizes = np.atleast_1d(n_subjects).tolist()
    _check(sizes, n_repeats, difference, level)
    twin = Twin(rule)
    name = _read_effect(twin, effect)
    source = twin.read(stimuli, n_trials, session_length, reward)
    rng = check_random_state(random_state)
    cohorts = list(product(sizes, (0.0, float(difference)), range(n_repeats)))
    known = twin, rule, source
    tasks = [(*known, size, name, true, rng.randint(MAX_SEED)) for size, true, _ in cohorts]
    options: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "cache": cache}
    options |= {"name": "power", "unit": "cohort"}
    if cache is not None:
        shown = describe_table(stimuli) if isinstance(stimuli, pd.DataFrame) else stimuli
        truth = [describe_estimator(rule), twin.fitted_numbers()]
        asked = truth, [shown, n_trials, session_length, reward]
        options["keys"] = [make_key("group_power", *asked, task[3:]) for task in tasks]
    done = run_tasks(_study_cohort, tasks, complete=succeeded, **options)
    tell_warnings([_describe(*cohort) for cohort in cohorts], [warned for _, warned in done])
    table = pd.DataFrame(cohorts, columns=["n_subjects", "true_difference", "repeat"])
    return GroupPower(table.join(pd.DataFrame([found for found, _ in done])), level)


def _describe(size: int, true: float, repeat: int) -> str:
    return f"{size} animals a group, true difference {true:.3g}, repeat {repeat}"


def _check(sizes: Sequence[Any], n_repeats: Any, difference: Any, level: Any) -> None:
    for size in sizes:
        check_scalar(size, "n_subjects", numbers.Integral, min_val=2)
    check_scalar(n_repeats, "n_repeats", numbers.Integral, min_val=1)
    check_scalar(level, "level", numbers.Real, min_val=0, max_val=1, include_boundaries="neither")
    check_scalar(difference, "difference", numbers.Real)
    if not (np.isfinite(difference) and difference != 0):
        raise ValueError(
            f"difference should be a number other than 0, got {short(difference)}: cohorts without "
            "a difference are simulated in any case."
        )


def _read_effect(twin: Twin, effect: str | None) -> str:
    """Return the name of what is to differ between groups."""
    name = type(twin.estimator).__name__
    if twin.model.effects is None:
        raise ValueError(
            f"By this {name} all animals learn alike, but how much they vary decides what is found "
            "in so few: fit with subject_effects=['learning_rate']."
        )
    if not hasattr(twin.estimator, "summary_"):
        raise ValueError(
            f"The numbers by which animals differ in a {name} mean what the network makes of them, "
            "so that there is no difference to ask for: give a textbook rule."
        )
    names = twin.model.effects.names
    if effect is not None and effect not in names:
        raise ValueError(
            f"effect should be one of the fit's subject effects, {names}, got {short(effect)}."
        )
    return names[0] if effect is None else effect


def _study_cohort(
    twin: Twin, rule: Any, source: Stimuli, size: int, effect: str, difference: float, seed: int
) -> tuple[dict[str, float], Warned]:
    """Simulate two groups and compare them; and what was warned of."""
    found: dict[str, Any] = dict.fromkeys(FOUND, np.nan)
    told: Warned = []
    with noting_warnings(told):
        try:
            rng = np.random.RandomState(seed)
            experiment = source.for_cohort(2 * size, rng)
            group = np.arange(2 * size) % 2
            simulation = twin.run(experiment, rng, {effect: (difference * group).astype(float)})
            X, y = twin.design(twin.trials(experiment, simulation))
            animal = experiment.subjects.unique().get_indexer(X.index.get_level_values("subject"))
            X = X.assign(**{GROUP: group[animal].astype(float)})
            how: Any = {"rewards": [1], "verbose": 0}  # nobody looks at updates, after any reward
            compared = compare_groups(clone(rule), X, y, GROUP, **how)
            row = compared.table.set_index("parameter").loc[effect]
            found = {name: row[name] for name in FOUND} | {"p": compared.p_value}
        except Exception as failure:  # one bad cohort must not lose the others' hours
            tell_failure(told, "no comparison", failure)
    return found, told
