"""Which rule each animal follows, and how many animals follow each."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from ..model_selection import AnimalRules, animal_rules
from ._display import Display
from ._fit import height_of, in_lines
from ._style import BLUE, COLUMN, PAGE, panels

NAME_OF_ANIMAL = 0.13  # inches, of a line
BESIDE = 2.4  # inches, of names of rules, shares and colour bar
BAR: dict[str, Any] = {"height": 0.6, "color": BLUE, "alpha": 0.35}


class AnimalRulesDisplay(Display):
    """Which rule each animal follows, and the share of the population that follows each.

    Left, expected shares with their 95% credible intervals, that of most animals on top. Right,
    the posterior of each animal, a column an animal, those of a rule beside each other and the
    surest first.

    Parameters
    ----------
    posterior : DataFrame of shape (n_subjects, n_rules), ``AnimalRules.posterior``
    population : DataFrame, ``AnimalRules.population``

    Attributes
    ----------
    axes_ : array of the two matplotlib axes, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import *
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 500, random_state=0))
    >>> rules = {"constant": ConstantRuleEstimator(), "PredictMax": PredictMaxRuleEstimator()}
    >>> scores = compare_rules(rules, X, y, cv=2, verbose=0)
    >>> display = AnimalRulesDisplay.from_scores(scores)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['PredictMax', 'constant']
    """

    def __init__(self, posterior: pd.DataFrame, population: pd.DataFrame) -> None:
        self.posterior = posterior
        self.population = population

    @classmethod
    def from_scores(cls, scores: pd.DataFrame, *, prior: float = 1.0, ax: Any = None) -> Self:
        """Draw what :func:`~sklearn_learnrule.animal_rules` finds in these scores."""
        if isinstance(scores, AnimalRules):
            raise TypeError(
                "from_scores takes the table of compare_rules; what animal_rules found is drawn by "
                "AnimalRulesDisplay(found.posterior, found.population).plot()."
            )
        found = animal_rules(scores, prior=prior)
        return cls(found.posterior, found.population).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the shares and the posteriors.

        Parameters
        ----------
        {ax}
        """
        posterior = _sorted(self.posterior[self.population.index])
        names = [in_lines(rule) for rule in posterior]
        animals = [in_lines(animal) for animal in posterior.index]
        wanted = max(1.0, height_of(animals, NAME_OF_ANIMAL))
        width, height = float(np.clip(BESIDE + wanted, COLUMN, PAGE)), height_of(names, 0.3)
        size: Any = {"figsize": (width, 1.2 + height), "height": height, "keep": 1.0}
        ratios = {"width_ratios": [1.0, max(1.0, width - BESIDE)]}
        with panels(ax, 1, 2, sharey=True, gridspec_kw=ratios, **size) as axes:
            shares, map_ = axes[0]
            given = map_.get_window_extent().width / map_.figure.dpi
            self._draw_shares(shares, names)
            image = map_.imshow(posterior.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            map_.figure.colorbar(image, ax=map_, label="posterior")
            map_.tick_params("y", left=False, labelleft=False)
            room = PAGE - BESIDE if ax is None else given
            named = animals if wanted <= room else []
            map_.set_xticks(range(len(named)), named, rotation=90)
            map_.set_xlabel("animal" if named else f"{len(animals)} animals")
        return self._drawn_on(axes[0])

    def _draw_shares(self, ax: Any, names: list[str]) -> None:
        table = self.population
        rows = np.arange(len(table))
        ax.barh(rows, table["expected_share"], **BAR)
        ax.hlines(rows, table["lower"], table["upper"], BLUE, linewidth=1.2)
        ax.set_yticks(rows, names)
        ax.set_ylim(len(table) - 0.5, -0.5)
        ax.set_xlim(0, 1)
        ax.set_ylabel("rule")
        ax.set_xlabel("expected share\n(95% interval)")


def _sorted(posterior: pd.DataFrame) -> pd.DataFrame:
    """Put animals of a rule beside each other, the surest first."""
    values = posterior.to_numpy()
    return posterior.iloc[np.lexsort([-values.max(1), values.argmax(1)])]
