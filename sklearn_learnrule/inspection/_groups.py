"""Do groups of animals learn differently? Their effects, their updates, and tests over animals."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from ..data.schema import weight_columns
from ..data.sequences import read_sequences
from ..estimators.base import BaseRuleEstimator
from ..estimators.classes import read_classes, read_labels
from ..utils.arrays import Ints
from ..utils.texts import plural, short
from ..utils.warn import warn
from ..utils.wrapping import final_estimator, has_search
from ._bands import band
from ._covariate import Covariate, find_covariate
from ._group_tests import (
    NO_TEST,
    Question,
    compare_likelihoods,
    shuffle_updates,
    without_covariate,
)
from ._probes import Grid, make_grid, read_grid
from ._subject_updates import read_probes, subject_update_table
from ._updates import OUTCOME

LAST_OF_GRID = OUTCOME[-1]
ENOUGH = 19  # shuffles, of which .05 is the least p-value


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """Whether and how animals learn differently by a covariate: what :func:`compare_groups` found.

    ``str()`` writes it.

    Attributes
    ----------
    groups : Series, by subject
        Categories: a covariate's labels, the one first with which the others are compared. Of
        numbers, those up to the median and above, or the two that there are.
    updates : DataFrame, one row an animal and point of a grid
        As of :func:`subject_update_table`, by a fit that does not know the groups.
    updates_p_value : float
        The share of shuffles in which the covariate explains as much of the variance of updates
        over animals, on average over points and weights, the true order among them; NaN without.
    table : DataFrame, one row a column of the covariate and a parameter that varies by animal
        ``covariate``, ``parameter``, ``kind`` (as in :func:`subject_effects_table`),
        ``difference`` (from the animals of the reference, or by a
        unit of what is a number), ``factor`` (what that is in times, where it is a difference of
        logarithms; of a share s, such as Q-learning's learning rate, -log(1 - s) is so many times
        the other), ``standard_error``, the 95% interval (``lower``, ``upper``), ``p`` (Wald's) and
        ``note``, as in ``summary_``. Empty for networks.
    likelihood_ratio : float
        Twice the nats by which the fit with the covariate is likelier, effects integrated out. NaN
        for networks, whose fits are not at the maximum of the likelihood.
    degrees_of_freedom : int
        Of the likelihood ratio: columns of the covariate times parameters that vary.
    p_value : float
        Of the likelihood ratio, by the chi-squared distribution, with Bartlett's correction for few
        animals.
    permutation_p_value : float
        The share of shuffles in which the likelihood ratio is as large, the true order among them;
        NaN without shuffles, and for networks.
    """

    groups: pd.Series
    updates: pd.DataFrame
    updates_p_value: float
    table: pd.DataFrame
    likelihood_ratio: float
    degrees_of_freedom: int
    p_value: float
    permutation_p_value: float

    def __str__(self) -> str:
        counts = self.groups.value_counts(sort=False)
        sizes = ", ".join(f"{n} {group}" for group, n in counts.items())
        lines = [f"{plural(len(self.groups), 'animal')}: {sizes}"]
        if len(self.table):
            shown = self.table.drop(columns="note" if not self.table["note"].any() else [])
            lines += [shown.to_string(index=False, float_format=lambda value: f"{value:.3g}")]
            freedom = plural(self.degrees_of_freedom, "degree")
            lines += [
                f"Likelihood ratio {self.likelihood_ratio:.2f}, {freedom} of freedom: "
                f"p = {self.p_value:.2g}{_shuffled(self.permutation_p_value)}"
            ]
        if not np.isnan(self.updates_p_value):
            lines += [f"Updates{_shuffled(self.updates_p_value)}"]
        return "\n".join(lines)

    def update_bands(self, weight: str, *, level: float = 0.9) -> pd.DataFrame:
        """Return each group's mean update of a weight, with an interval over animals.

        Parameters
        ----------
        weight : str
            As named by ``predict_weights``.
        level : float, default=0.9

        Returns
        -------
        DataFrame, one row a group and point of the grid
            The grid, ``group``, ``mean``, ``lower``, ``upper`` (Student's interval, NaN of a group
            of one animal) and ``n``.
        """
        by = ["group", *self._grid]
        return band(
            self.updates, f"update_{weight}", by=by, over="subject", interval="t", level=level
        )

    def update_differences(self, weight: str, *, level: float = 0.9) -> pd.DataFrame:
        """Return by how much the update of a weight differs from the first group's.

        Parameters
        ----------
        weight : str
            As named by ``predict_weights``.
        level : float, default=0.9

        Returns
        -------
        DataFrame, one row a further group and point of the grid
            The grid, ``group``, ``difference``, ``lower`` and ``upper``: Student's interval, where
            each group has its own spread (Welch's), NaN with a group of one animal.
        """
        each = self.updates.groupby(["group", *self._grid], observed=True, sort=False)
        told = each[f"update_{weight}"].agg(["mean", "std", "count"]).reset_index()
        first, *_ = self.groups.cat.categories
        reference = told[told["group"] == first].drop(columns="group")
        both = told[told["group"] != first].merge(reference, on=self._grid, suffixes=("", "_0"))
        own, others = both["std"] ** 2 / both["count"], both["std_0"] ** 2 / both["count_0"]
        variance = own + others
        within = own**2 / (both["count"] - 1) + others**2 / (both["count_0"] - 1)
        quantile = student_t.ppf((1 + level) / 2, variance**2 / within)
        half = (np.sqrt(variance) * quantile).mask(variance == 0, 0.0)
        difference = both["mean"] - both["mean_0"]
        found = both[["group", *self._grid]].assign(difference=difference)
        return found.assign(lower=difference - half, upper=difference + half)

    @property
    def _grid(self) -> list[str]:
        names: list[Any] = list(self.updates.drop(columns="answer", errors="ignore"))
        return names[names.index("group") + 1 : names.index(LAST_OF_GRID) + 1]


def compare_groups(
    estimator: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    covariate: str,
    *,
    n_permutations: int = 0,
    stimuli: ArrayLike | Grid | None = None,
    weights: Grid | None = None,
    rewards: Sequence[float] | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: str | Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> GroupComparison:
    """Ask whether animals learn differently by what they are: genotype, treatment, age.

    Rules whose parameters have names are fitted with and without the covariate. How much likelier
    the choices are with it is the test; by how much, and in which parameters that vary by animal,
    is in the table. For networks as well, each animal's update at the same stimuli and weights is
    compared between the groups.

    A parameter that does not vary by animal cannot differ between groups: name those in question in
    ``subject_effects``. Other covariates in X are in both fits.

    Parameters
    ----------
    estimator : rule estimator with ``subject_effects``, or pipeline or search that ends in one
        It is cloned, not changed.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design` with ``covariates``
    covariate : str
        As it was named there, such as "genotype", of whose labels all are tested together; or one
        column of X.
    n_permutations : int, default=0
        How often to shuffle the covariate between animals and fit again, for p-values that hold
        whatever is normal: 199 is usual. Where X has other covariates, these should have nothing
        to do with this one. Networks are not fitted again.
    stimuli, weights, rewards : optional
        At which updates are compared, as of :func:`subject_update_table`.
    random_state : int, RandomState or None, default=None
        Shuffles.
    cache : str, Path or None, default=None
        A folder in which finished fits are kept, as of :func:`~sklearn_learnrule.compare_rules`.
        Those to shuffles are found again if ``random_state`` is an int.
    n_jobs : int or None, default=None
        Fits at a time.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    GroupComparison

    Raises
    ------
    ValueError
        If X has no such covariate or all animals share its value, if animals are too few for so
        many covariates, if the estimator has no ``subject_effects``, or if a pipeline does not pass
        covariates on as they are; or for updates that cannot be asked after, as of rewards in many
        sizes none of which is named. All this is before anything is fitted.

    Warns
    -----
    UserWarning
        If the fit with the covariate is the worse one, by over half a nat, and so no maximum of the
        likelihood; if a group is of one animal; or if so few shuffles give no p-value of .05.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> from sklearn_learnrule.rules import ReinforceRule
    >>> rates = {"control": [0.05, 0.03, 0.04, 0.06], "ko": [0.02, 0.03, 0.01, 0.02]}
    >>> trials = pd.concat([
    ...     make_learning_cohort(1, 200, rule=ReinforceRule(2, None, learning_rate=rate),
    ...                          random_state=i).assign(subject=f"{name}{i}", genotype=name)
    ...     for name in rates for i, rate in enumerate(rates[name])])
    >>> X, y, _ = make_design(trials, covariates="genotype")
    >>> rule = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
    >>> found = compare_groups(rule, X, y, "genotype", verbose=0)
    >>> found.table[["parameter", "difference", "factor"]].round(1)
           parameter  difference  factor
    0  learning_rate        -0.9     0.4
    >>> bool(found.p_value < 0.05)
    True
    """
    _check_number(n_permutations)
    check_consistent_length(X, y)
    _check_varies(estimator, covariate)
    sequences = read_sequences(X)
    tested = find_covariate(sequences, covariate)
    seen = without_covariate(estimator, X, y, tested.columns)
    grid: dict[str, Any] = {"stimuli": stimuli, "weights": weights, "rewards": rewards}
    _check_grid(grid, X, y, None if has_search(estimator) else seen)
    groups = pd.Series(tested.groups, sequences.subjects.rename("subject"), name="group")
    _tell_lone(groups)
    rng = check_random_state(random_state)
    orders = [rng.permutation(len(tested.values)) for _ in range(n_permutations)]
    options: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "cache": cache}
    asked = Question(estimator, X, pd.Series(np.asarray(y), X.index), options)

    alike = asked.without(tested.columns)
    fit = alike.fit()
    updates = subject_update_table(fit.estimator, alike.X, y, groups=groups, **grid)
    is_tested = hasattr(fit.final, "summary_")
    return GroupComparison(
        groups,
        updates,
        _compare_updates(updates, tested, orders),
        *(compare_likelihoods(asked, fit, tested, orders) if is_tested else NO_TEST),
    )


def _compare_updates(updates: pd.DataFrame, tested: Covariate, orders: list[Ints]) -> float:
    """Return the p-value of updates, by orders of the animals; NaN without any."""
    if not orders:
        return np.nan
    changes = updates.iloc[:, list(updates).index(LAST_OF_GRID) + 1 :]
    of_animals = changes.to_numpy().reshape(len(tested.values), -1)
    return shuffle_updates(of_animals, tested.values, orders)


def _check_varies(estimator: Any, covariate: str) -> None:
    final = final_estimator(estimator)
    if not isinstance(final, BaseRuleEstimator):
        raise TypeError(
            "compare_groups needs a rule estimator, or a pipeline that ends in one, got "
            f"{type(final).__name__}."
        )
    if final.subject_effects is None:
        raise ValueError(
            f"compare_groups asks what of the rule differs between animals by {short(covariate)}, "
            "but subject_effects is None, so that nothing does: set subject_effects="
            "['learning_rate'] or, of a network, subject_effects=2."
        )


def _check_grid(
    grid: dict[str, Any], X: pd.DataFrame, y: ArrayLike, seen: pd.DataFrame | None
) -> None:
    """Raise, before anything is fitted, for points at which no update can be asked.

    X is ``seen`` so by the rule; None: nobody knows before the fit, as a search may choose.
    """
    sequences = None if seen is None else read_sequences(seen)
    names = [] if sequences is None else sequences.feature_names
    read_probes(X, names, grid["stimuli"], grid["rewards"])
    columns: Any = grid["weights"] or ()
    if sequences is not None:
        columns = weight_columns(names, read_classes(read_labels(y, "rule"), sequences)).tolist()
    make_grid(read_grid("weights", grid["weights"], columns))


def _check_number(n_permutations: int) -> None:
    check_scalar(n_permutations, "n_permutations", numbers.Integral, min_val=0)
    if 0 < n_permutations < ENOUGH:
        warn(
            f"{plural(n_permutations, 'shuffle')} of animals can give no p-value below "
            f"{1 / (n_permutations + 1):.2g}: n_permutations=199 is usual.",
            UserWarning,
        )


def _tell_lone(groups: pd.Series) -> None:
    for subject, group in groups[~groups.duplicated(keep=False)].items():
        warn(
            f"The group {short(group)} is of one animal, {short(subject)}: what is its own cannot "
            "be told from what is of its group.",
            UserWarning,
        )


def _shuffled(p_value: float) -> str:
    return "" if np.isnan(p_value) else f" (animals shuffled: p = {p_value:.2g})"
