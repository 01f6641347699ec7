"""Held-out log-likelihood of rules, animal by animal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..model_selection import choose_reference, compare_rules, relative_to
from ._style import BLACK, BLUE, GREY, panels


class ComparisonDisplay:
    """Held-out log-likelihood of rules relative to a reference, a point an animal.

    Bars are means over animals, whiskers their standard error.

    Parameters
    ----------
    differences : DataFrame of shape (n_subjects, n_rules)
        Log-likelihood minus the reference's, in nats per trial.
    reference : str

    Attributes
    ----------
    ax_, figure_ : the matplotlib axes and figure, after :meth:`plot`
    """

    def __init__(self, differences: pd.DataFrame, reference: str) -> None:
        self.differences = differences
        self.reference = reference

    @classmethod
    def from_scores(
        cls, scores: pd.DataFrame, *, reference: str | None = None, ax: Any = None
    ) -> ComparisonDisplay:
        """Draw the scores of :func:`~sklearn_learnrule.compare_rules`.

        Where no ``reference`` is named, it is "REINFORCE" if that is there, else the first.
        """
        reference = choose_reference(scores["rule"].unique(), reference)
        return cls(relative_to(scores, reference), reference).plot(ax=ax)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: pd.DataFrame,
        y: pd.Series,
        *,
        reference: str | None = None,
        cv: Any = None,
        n_jobs: int | None = None,
        verbose: int = 1,
        ax: Any = None,
    ) -> ComparisonDisplay:
        """Compare the estimators on held-out animals, and draw."""
        scores = compare_rules(estimators, X, y, cv=cv, n_jobs=n_jobs, verbose=verbose)
        return cls.from_scores(scores, reference=reference, ax=ax)

    def plot(self, ax: Any = None) -> ComparisonDisplay:
        """Draw on ``ax``, or on a new figure."""
        ordered = self.differences[self.differences.mean().sort_values().index]
        rows = np.arange(ordered.shape[1])
        mean, error = ordered.mean(skipna=False), ordered.sem(skipna=False)
        with panels(ax, height=0.3 * len(rows)) as axes:
            panel = axes[0, 0]
            style = {"height": 0.6, "color": BLUE, "alpha": 0.35, "ecolor": BLUE, "capsize": 2}
            panel.barh(rows, mean, xerr=error, **style)
            for row, rule in zip(rows, ordered, strict=True):
                if rule == self.reference:
                    continue  # by definition, all its points lie at 0
                values = ordered[rule].to_numpy()
                spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else 0.0
                panel.plot(values, row + spread, "o", color=BLACK, markersize=2, alpha=0.6)
            panel.axvline(0.0, color=GREY, linewidth=0.6)
            panel.set_yticks(rows, list(ordered))
            panel.locator_params("x", nbins=6)
            panel.set_xlabel(f"held-out log-likelihood − {self.reference} (nats / trial)")
        self.ax_, self.figure_ = panel, panel.figure
        return self
