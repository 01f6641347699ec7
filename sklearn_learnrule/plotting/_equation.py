"""The rule as an equation: what more and more terms explain, and the coefficients of a few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..inspection import SparseRule, sparse_rule
from ..utils.texts import number
from ..utils.wrapping import is_dict_of_models
from ._display import Display
from ._fit import height_of, in_lines
from ._style import BLACK, BLUE, GREY, PAGE, panels
from ._tables import weight_label

NINETY_FIVE = 1.96  # standard errors on either side
PATH: dict[str, Any] = {"color": GREY, "marker": "o", "markersize": 3, "linewidth": 1.0}
TAKEN: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 5, "linestyle": ""}
COEFFICIENT: dict[str, Any] = {"color": BLACK, "marker": "o", "markersize": 3.5, "linestyle": ""}
TERM, LEAST = 0.27, 1.2  # inches: of a term's row, of a panel
N_TICKS = 4  # of coefficients, whose labels are long
DIGITS = 2  # of a coefficient beside its term
ABOVE, INSIDE = 0.15, -3  # where a term stands: rows above its point, points inside of the axis


class EquationDisplay(Display):
    """A rule in few terms: how much they explain, and their coefficients, a row a weight.

    Left, the share of the variance of the updates that so many terms explain in animals left
    out, with standard errors; blue is the number taken. Right, the terms with their coefficients,
    and as points these times the root mean square of the term, so that all are in weight per
    trial, with 95% intervals. Fits in a list share the terms; those in a dict are models of their
    own, with rows of their own.

    Parameters
    ----------
    rules : SparseRule, or dict of some by name
        From :func:`~sklearn_learnrule.inspection.sparse_rule`.

    Attributes
    ----------
    axes_ : array of matplotlib axes (models and weights, 2), after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> display = EquationDisplay.from_estimator(rule, X)
    >>> [label.get_text() for label in display.axes_[0, 1].get_yticklabels()]
    ['0.025 r (y - p) x_stimulus']
    """

    def __init__(self, rules: SparseRule | Mapping[str, SparseRule]) -> None:
        self.rules = rules

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike | None = None,
        *,
        n_terms: int | None = None,
        max_terms: int = 8,
        ax: Any = None,
    ) -> Self:
        """Write the rule in few terms and draw them.

        Parameters
        ----------
        {estimators}
        {y}
        n_terms, max_terms : see :func:`~sklearn_learnrule.inspection.sparse_rule`
        ax : see :meth:`plot`
        """
        del y
        options: Any = {"n_terms": n_terms, "max_terms": max_terms}
        if not is_dict_of_models(estimators):
            return cls(sparse_rule(estimators, X, **options)).plot(ax)
        rules = {name: sparse_rule(model, X, **options) for name, model in estimators.items()}
        return cls(rules).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the paths and the coefficients.

        Parameters
        ----------
        {ax}
        """
        rules = {"": self.rules} if isinstance(self.rules, SparseRule) else self.rules
        rows = [
            (
                f"{model}\n{weight_label(str(name))}".strip(),
                path,
                rule.terms.query("weight == @name"),
            )
            for model, rule in rules.items()
            for name, path in _of_moving(rule.path).groupby("weight", sort=False)
        ]
        height = max([LEAST, *(_height(terms) for *_, terms in rows)])
        size: Any = {"figsize": (PAGE, 0.7 + (height + 0.5) * len(rows)), "height": height}
        with panels(ax, len(rows), 2, width_ratios=(1, 1.6), **size) as axes:
            for (left, right), (title, path, terms) in zip(axes, rows, strict=True):
                _draw_path(left, path, len(terms))
                _draw_terms(right, terms)
                left.set_title(title)
                left.set_ylabel("variance explained")
            axes[-1, 0].set_xlabel("number of terms")
            axes[-1, 1].set_xlabel("coefficient × rms of the term\n(weight per trial)")
        return self._drawn_on(axes)


def _of_moving(path: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of weights that the rule moves, or all if it moves none."""
    moves = path.groupby("weight")["variance_explained"].transform("count") > 0
    return path[moves] if moves.any() else path


def _names(terms: pd.DataFrame) -> list[str]:
    """Return the terms with their coefficients, of that which is 1 the coefficient alone."""
    values = [number(value, DIGITS) for value in terms["coefficient"]]
    both = zip(values, terms["term"], strict=True)
    return [in_lines(value if term == "1" else f"{value} {term}") for value, term in both]


def _height(terms: pd.DataFrame) -> float:
    """Return that of the rows, with a line for each point below its term."""
    return height_of([f"{name}\n" for name in _names(terms)], TERM) if len(terms) else LEAST


def _draw_path(panel: Any, path: pd.DataFrame, n_taken: int) -> None:
    x, y, error = (path[c] for c in ("n_terms", "variance_explained", "standard_error"))
    panel.axhline(1, color=GREY, linewidth=0.6, zorder=0)
    panel.errorbar(x, y, error, elinewidth=0.8, **PATH)
    taken = x == n_taken
    panel.plot(x[taken], y[taken], clip_on=False, **TAKEN)
    panel.set_xticks(x)


def _draw_terms(panel: Any, terms: pd.DataFrame) -> None:
    """Draw the largest term at the top, each by its name: beside the axis, names take its room."""
    coefficient, size = terms["coefficient"], terms["size"]
    half = NINETY_FIVE * terms["standard_error"] * size / coefficient.abs()
    rows = np.arange(len(terms))
    panel.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    panel.errorbar(
        (np.sign(coefficient) * size).to_numpy(), rows, xerr=half, elinewidth=0.8, **COEFFICIENT
    )
    back = {"facecolor": panel.get_facecolor(), "linewidth": 0, "pad": 0.5}  # before the line at 0
    panel.set_yticks(rows - ABOVE, _names(terms), ha="left", va="bottom", bbox=back)
    panel.locator_params("x", nbins=N_TICKS)
    panel.xaxis.set_major_formatter(lambda value, _: number(value))
    panel.tick_params("y", length=0, pad=INSIDE)
    panel.set_ylim(max(len(rows), 1) - 0.5, -0.8)
