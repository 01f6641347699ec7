"""Held-out log-likelihood of rules, animal by animal."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..model_selection import choose_reference, compare_rules, relative_to
from ._display import Display, check_options, to_compare
from ._fit import height_of, in_lines
from ._style import BLACK, BLUE, GREY, key, panels

XLABEL = 40  # characters in a line
BAR: dict[str, Any] = {"height": 0.6, "color": BLUE, "alpha": 0.35}
DOT: dict[str, Any] = {
    "marker": "o",
    "linestyle": "",
    "color": BLACK,
    "markersize": 2,
    "alpha": 0.6,
}
WHISKER: dict[str, Any] = {"color": BLUE, "marker": "|", "markersize": 5, "alpha": 0.6}


class ComparisonDisplay(Display):
    """Held-out log-likelihood of rules relative to a reference, a dot an animal.

    Bars are means over animals, whiskers their standard errors.

    Parameters
    ----------
    differences : DataFrame of shape (n_subjects, n_rules)
        Log-likelihood minus the reference's, in nats per trial.
    reference : str

    Attributes
    ----------
    axes_ : array of the only matplotlib axes, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import (
    ...     ConstantRuleEstimator, PredictMaxRuleEstimator, compare_rules, make_design)
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "PredictMax": PredictMaxRuleEstimator()}
    >>> scores = compare_rules(rules, X, y, cv=3, verbose=0)
    >>> display = ComparisonDisplay.from_scores(scores, reference="constant")
    >>> display.ax_.get_xlabel().splitlines()
    ['held-out log-likelihood − constant', '(nats / trial)']
    """

    def __init__(self, differences: pd.DataFrame, reference: str) -> None:
        self.differences = differences
        self.reference = reference

    @classmethod
    def from_scores(
        cls, scores: pd.DataFrame, *, reference: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the scores of :func:`~sklearn_learnrule.compare_rules`.

        Where no ``reference`` is named, it is "REINFORCE" if that is there, else the first.
        """
        reference = choose_reference(scores["rule"].unique(), reference)
        return cls(relative_to(scores, reference), reference).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        reference: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Compare the estimators on held-out animals, and draw.

        Parameters
        ----------
        {unfitted}
        reference : see :meth:`from_scores`
        ax : see :meth:`plot`
        **options : of :func:`~sklearn_learnrule.compare_rules`
        """
        check_options(cls.from_estimator, compare_rules, options)
        rules = to_compare(estimators, reference)
        scores = compare_rules(rules, X, y, **options)
        return cls.from_scores(scores, reference=reference, ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the differences.

        Parameters
        ----------
        {ax}
        """
        means = self.differences.mean(skipna=False).sort_values(na_position="first")
        ordered = self.differences[means.index]  # at the bottom those without a score
        rows = np.arange(ordered.shape[1])
        error = ordered.sem(skipna=False)
        names = [in_lines(rule) for rule in ordered]
        with panels(ax, height=height_of(names, 0.3), keep=1.0) as axes:
            panel = axes[0, 0]
            panel.barh(rows, means, xerr=error, ecolor=BLUE, capsize=2, **BAR)
            for row, rule in zip(rows, ordered, strict=True):
                if rule == self.reference:
                    continue  # by definition, all its points lie at 0
                values = ordered[rule].to_numpy()
                spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else 0.0
                panel.plot(values, row + spread, **DOT)
            panel.axvline(0.0, color=GREY, linewidth=0.6)
            panel.set_yticks(rows, names)
            panel.set_ylim(-0.5, len(rows) - 0.5)
            panel.locator_params("x", nbins=4)  # numbers of seven digits beside each other
            label = f"held-out log-likelihood − {self.reference}\n(nats / trial)"
            panel.set_xlabel(in_lines(label, XLABEL))
            key(axes, ("an animal", DOT), ("mean ± standard error", WHISKER), above=True)
        return self._drawn_on(axes)
