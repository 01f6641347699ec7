"""Which rule is found in cohorts that learn by a known one, and how well."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ..data.schema import is_design
from ..data.tables import sorted_labels
from ..model_selection import AllFitsFailedError, compare_rules, scores_by_subject
from ..rules import Trial
from ..simulation import Stimuli, Twin, split_twin
from ..utils.cache import describe_estimator, describe_table, make_key
from ..utils.tasks import run_tasks
from ..utils.warn import warn

Warned = list[tuple[type[Warning], str]]

MAX_SEED = 2**31 - 1
TIE = 1e-6  # nats per trial
SCORES = ("log_likelihood", "rmse", "true_rms")
OWN_COLUMNS = ("true_rule", "repeat", "selected_rule", *SCORES[1:])


@dataclass(frozen=True, eq=False)
class RecoveryStudy:
    """What :func:`recovery_study` found.

    Attributes
    ----------
    scores : DataFrame, one row a simulated cohort and rule fitted to it
        ``true_rule``, ``repeat``, ``rule``, ``log_likelihood`` (of held-out animals, in nats per
        trial, a mean over animals), ``rmse`` (root mean square error of the update, at the
        cohort's true states, of the rule fitted to all of it), ``true_rms`` (root mean square of
        the true update: what not learning would err by). NaN where a fit failed.
    """

    scores: pd.DataFrame

    @property
    def selected(self) -> pd.DataFrame:
        """One row a cohort: ``selected_rule``, the best on held-out animals, and its ``rmse``.

        Of rules that score alike, within 1e-6 nats, the first listed is selected: list simple
        ones first. Then ``true_rms`` and, under its name, each rule's ``log_likelihood``.
        """
        cohort = ["true_rule", "repeat"]
        highest = self.scores.groupby(cohort)["log_likelihood"].transform("max")
        best = self.scores[self.scores["log_likelihood"] >= highest - TIE].drop_duplicates(cohort)
        best = best.rename(columns={"rule": "selected_rule"}).drop(columns="log_likelihood")
        each = self.scores.pivot(index=cohort, columns="rule", values="log_likelihood")
        cohorts = self.scores[cohort].drop_duplicates(ignore_index=True)
        return cohorts.merge(best, "left", on=cohort).merge(each[self._rules], "left", on=cohort)

    @property
    def confusion(self) -> pd.DataFrame:
        """Number of cohorts by true rule (rows) and selected rule (columns)."""
        selected = self.selected
        counts = pd.crosstab(selected["true_rule"], selected["selected_rule"])
        return counts.reindex(index=self._rules, columns=self._rules, fill_value=0)

    @property
    def _rules(self) -> list[str]:
        return list(self.scores["true_rule"].unique())


def recovery_study(
    stimuli: Any,
    rules: Mapping[str, Any],
    *,
    y: ArrayLike | None = None,
    n_repeats: int = 10,
    n_subjects: int | None = None,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    cv: Any = None,
    random_state: int | np.random.RandomState | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> RecoveryStudy:
    """Simulate cohorts that learn by each rule, fit every rule to each, and see which is found.

    So a lab learns before an experiment whether so many animals and trials will tell its
    hypotheses apart. Cohorts are made of digital twins (:func:`~.simulation.simulate`), rules
    are selected on held-out animals (:func:`~sklearn_learnrule.compare_rules`).

    Parameters
    ----------
    stimuli : DataFrame or function
        X of :func:`~sklearn_learnrule.make_design`, a table of planned trials, or a function
        that makes a task: see :func:`~.simulation.simulate`.
    rules : dict of str to rule estimator, or Pipeline that ends in one
        Each is the truth of ``n_repeats`` cohorts and a candidate in all of them. A fitted one
        is the truth as it is; others are fitted to ``stimuli`` and ``y`` first. All see the
        same columns.
    y : Series, only if ``stimuli`` is X and a rule is not fitted
    n_repeats : int, default=10
        Cohorts for each true rule.
    n_subjects : int or None, default=None
        Animals of a cohort, whose stimuli are drawn from the table's animals, with replacement
        only if these are fewer. None: one for each of the table's.
    n_trials, session_length : int, only for a task
    reward : pair of floats, function, "resample" or None, default=None, only for a table
        How the cohorts are paid, see :func:`~.simulation.simulate`.
    cv : int, splitter or None, default=None
        None: five folds by animal, or as many as there are animals.
    random_state : int, RandomState or None, default=None
        Seeds the cohorts, and the rules whose own ``random_state`` is None.
    cache : str, Path or None, default=None
        A folder in which finished fits and cohorts are kept, as of
        :func:`~sklearn_learnrule.compare_rules`; with an int as ``random_state`` they are found
        again. What a function given as ``stimuli`` or ``reward`` does is not watched.
    n_jobs : int or None, default=None
        Cohorts at a time.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    RecoveryStudy
        With the tables ``confusion``, ``selected`` and ``scores``. A fit that fails is told in a
        ``FitFailedWarning`` and leaves NaN; the others go on.

    Examples
    --------
    >>> from sklearn_learnrule import (
    ...     ConstantRuleEstimator, PredictMaxRuleEstimator, make_design)
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "PredictMax": PredictMaxRuleEstimator()}
    >>> study = recovery_study(X, rules, y=y, n_repeats=1, cv=2, random_state=0, verbose=0)
    >>> study.confusion
    selected_rule  constant  PredictMax
    true_rule
    constant              1           0
    PredictMax            0           1
    """
    _check(rules, stimuli, n_repeats, n_subjects)
    rng = check_random_state(random_state)
    candidates = {name: _seeded(clone(rule), rng) for name, rule in rules.items()}
    options: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "cache": cache}
    twins = _read_truths(rules, candidates, stimuli, y, options)
    tasks, cohorts = [], []
    for name, twin in twins.items():
        source = twin.read(stimuli, n_trials, session_length, reward)
        for repeat in range(n_repeats):
            cohorts.append({"true_rule": name, "repeat": repeat})
            tasks.append((twin, source, n_subjects, candidates, cv, rng.randint(MAX_SEED)))
    if cache is not None:
        shown = describe_table(stimuli) if isinstance(stimuli, pd.DataFrame) else stimuli
        options["keys"] = _keys(tasks, [shown, n_trials, session_length, reward])
    names: dict[str, Any] = {"name": "recovery", "unit": "cohort"}
    done = run_tasks(_study_cohort, tasks, complete=succeeded, **names, **options)
    where = [f"{cohort['true_rule']}, repeat {cohort['repeat']}" for cohort in cohorts]
    tell_warnings(where, [warned for _, warned in done])
    tables = [scores.assign(**cohort) for cohort, (scores, _) in zip(cohorts, done, strict=True)]
    scores = pd.concat(tables, ignore_index=True)
    return RecoveryStudy(scores[[*cohorts[0], "rule", *SCORES]])


def _check(rules: Any, stimuli: Any, n_repeats: int, n_subjects: int | None) -> None:
    """Raise for what can be told to be wrong before anything is fitted."""
    if not rules:
        raise ValueError(f"rules should name at least one rule estimator, got {rules!r}.")
    if clash := [name for name in rules if name in OWN_COLUMNS]:
        raise ValueError(
            f"The table of cohorts has a column {clash[0]!r} of its own: rename that rule."
        )
    check_scalar(n_repeats, "n_repeats", numbers.Integral, min_val=1)
    if n_subjects is not None:
        check_scalar(n_subjects, "n_subjects", numbers.Integral, min_val=2)
    elif not isinstance(stimuli, pd.DataFrame):
        raise ValueError("With a task, say how many animals a cohort has: n_subjects=...")


def _read_truths(
    rules: Mapping[str, Any],
    candidates: Mapping[str, Any],
    X: Any,
    y: ArrayLike | None,
    options: Mapping[str, Any],
) -> dict[str, Twin]:
    """Return each rule as an animal, fitted first if it is not yet."""
    unfitted = [name for name, rule in rules.items() if not _is_fitted(rule)]
    if unfitted and (y is None or not isinstance(X, pd.DataFrame) or not is_design(X)):
        raise ValueError(
            f"{unfitted[0]} is not fitted: fit it, or give the X and y=... of make_design to fit "
            "it to."
        )
    tasks = [(candidates[name], X, y) for name in unfitted]
    keys = None
    if unfitted and options["cache"] is not None:
        data = [describe_table(X), describe_table(pd.Series(np.asarray(y)))]
        keys = [make_key("fit", describe_estimator(rule), data) for rule, *_ in tasks]
    fits = run_tasks(_fit, tasks, name="fit", unit="rule", keys=keys, **options) if tasks else []
    fitted = {**rules, **dict(zip(unfitted, fits, strict=True))}
    twins = {name: Twin(rule) for name, rule in fitted.items()}
    _check_alike(twins)
    return twins


def _fit(rule: Any, X: pd.DataFrame, y: ArrayLike) -> Any:
    return clone(rule).fit(X, y)


def _keys(tasks: list[tuple[Any, ...]], task: list[Any]) -> list[str]:
    """Name each cohort by the content of all that it, and what is found in it, depends on."""
    candidates = [describe_estimator(rule) for rule in tasks[0][3].values()]
    keys = []
    for twin, _, n_subjects, named, cv, seed in tasks:
        truth = [describe_estimator(twin.estimator), twin.transformers, twin.fitted_numbers()]
        keys.append(make_key("recovery", truth, task, n_subjects, [*named], candidates, cv, seed))
    return keys


def succeeded(studied: tuple[Any, Warned]) -> bool:
    return all(category is not FitFailedWarning for category, _ in studied[1])


def tell_warnings(cohorts: list[str], warned: list[Warned]) -> None:
    """Pass on what was warned of, each message once, but every failure."""
    told: set[str] = set()
    for cohort, messages in zip(cohorts, warned, strict=True):
        for category, message in messages:
            if category is FitFailedWarning or message not in told:
                warn(f"{cohort}: {message}", category)
            told.add(message)


def _is_fitted(rule: Any) -> bool:
    try:
        check_is_fitted(split_twin(rule)[1])
    except NotFittedError:
        return False
    return True


def _seeded(rule: Any, rng: np.random.RandomState) -> Any:
    """Give numbers to the rule's random states that are None."""
    unseeded = [
        name
        for name, value in sorted(rule.get_params().items())
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    return rule.set_params(**{name: rng.randint(MAX_SEED) for name in unseeded})


def _check_alike(twins: Mapping[str, Twin]) -> None:
    first, *others = twins.items()
    for name, twin in others:
        if twin.columns != first[1].columns or list(twin.classes) != list(first[1].classes):
            raise ValueError(
                "All rules should be fitted to the same columns and choices, but "
                f"{first[0]} was fitted to {first[1].columns} and {first[1].classes.tolist()}, "
                f"{name} to {twin.columns} and {twin.classes.tolist()}."
            )


class _Cohort(NamedTuple):
    """Simulated animals and what they went through."""

    X: pd.DataFrame
    y: pd.Series
    trials: Trial  # (N, T, ...), padded
    weights: torch.Tensor  # (N, T, K)
    observed: torch.Tensor  # (N, T)
    update: torch.Tensor  # (n, K), on the observed trials


def _study_cohort(
    twin: Twin,
    source: Stimuli,
    n_subjects: int | None,
    candidates: Mapping[str, Any],
    cv: Any,
    seed: int,
) -> tuple[pd.DataFrame, Warned]:
    """Simulate a cohort and score each candidate on it, a row each; and what was warned of."""
    scores = pd.DataFrame({"rule": list(candidates), **dict.fromkeys(SCORES, np.nan)})
    told: Warned = []
    with noting_warnings(told):
        try:
            cohort = _simulate(twin, source, n_subjects, np.random.RandomState(seed))
        except Exception as failure:  # one bad cohort must not lose the others' hours
            tell_failure(told, "no cohort", failure)
        else:
            try:
                mean = _compare(candidates, cohort, cv, told)
                scores["log_likelihood"] = scores["rule"].map(mean)
            except AllFitsFailedError as failure:
                tell_failure(told, "no rule", failure)
            scores["rmse"] = [_rmse(name, rule, cohort, told) for name, rule in candidates.items()]
            scores["true_rms"] = _rms(cohort.update)
    return scores, told


@contextmanager
def noting_warnings(told: Warned) -> Iterator[None]:
    """Note what is warned of meanwhile, but in a thread, as Dask's, where Python cannot."""
    if _in_thread():
        yield
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    told += [(warning.category, str(warning.message)) for warning in caught]


def _in_thread() -> bool:
    return current_thread() is not main_thread()


def _simulate(
    twin: Twin, source: Stimuli, n_subjects: int | None, rng: np.random.RandomState
) -> _Cohort:
    experiment = source.for_cohort(n_subjects, rng)
    simulation = twin.run(experiment, rng)
    X, y = twin.design(twin.trials(experiment, simulation))
    sorted_labels(
        y, "y"
    )  # raises for a choice that is always the same: nothing can be fitted to it
    trials, observed = twin.experience(X)
    weights = torch.as_tensor(simulation.weights)
    update = weights.diff(dim=1)[observed[:, :-1]]  # nobody's last trial is observed
    return _Cohort(X, y, trials, weights, observed, update)


def _compare(candidates: Mapping[str, Any], cohort: _Cohort, cv: Any, told: Warned) -> pd.Series:
    """Return each rule's log-likelihood of held-out animals, NaN if a fold failed."""
    scores = compare_rules(candidates, cohort.X, cohort.y, cv=cv, verbose=0)
    mean = scores_by_subject(scores).mean(skipna=False)
    if _in_thread():
        failed = mean.index[mean.isna()]
        told += [(FitFailedWarning, f"{name} failed, as is said where it ran") for name in failed]
    return mean


def _rmse(name: str, rule: Any, cohort: _Cohort, told: Warned) -> float:
    """Return how far the updates of a rule fitted to the cohort are from the true ones."""
    try:
        fitted = Twin(clone(rule).fit(cohort.X, cohort.y))
        trials, _ = fitted.experience(cohort.X)
    except Exception as failure:
        tell_failure(told, f"{name} failed on the whole cohort", failure)
        return np.nan
    if not torch.equal(trials.features, cohort.trials.features):
        return np.nan  # weights of other features do not compare
    update = fitted.updates(trials, cohort.weights, cohort.observed)
    return _rms(update - cohort.update)


def _rms(values: torch.Tensor) -> float:
    return values.square().mean().sqrt().item()


def tell_failure(told: Warned, what: str, failure: Exception) -> None:
    told.append((FitFailedWarning, f"{what}: {type(failure).__name__}: {failure}"))
