"""Learning curves of animals, of models and of their twins."""

from __future__ import annotations

from itertools import cycle
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..inspection import band, session_table
from ..metrics import chance_of
from ..simulation import predictive_check
from ..utils.does_not_apply import DoesNotApply
from ._display import Display
from ._style import BAND, BLACK, COLORS, GREY, ORANGE, Entry, draw_line, key, label_outer, panels
from ._tables import split_models

QUANTITIES = {"correct": "P(correct)", "log_likelihood": "log-likelihood\n(nats / trial)"}
BOUNDS = {"correct": (0.0, 1.0), "log_likelihood": (-np.inf, 0.0)}
TWINS = {"color": ORANGE}
ANIMALS = {"color": BLACK, "marker": "o", "markersize": 2.5}


class SessionCurveDisplay(Display):
    """Learning curves by session, or ``by`` another part of the trials.

    Lines are means over animals, with their 95% confidence interval (Student's, as far as
    probabilities go).

    Black is what the animals did; in colour is the model's probability of a correct choice, one
    step ahead of the animals, or how well it predicts their choices. Lines are faint where
    fewer than half of the animals have so many sessions. Several fits of an animal are averaged;
    those in a dict are models of their own. Grey is chance. If X does not tell which choices were
    correct, there is the animals' mean reward alone.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.session_table`
    check : DataFrame or None, default=None
        From :func:`~sklearn_learnrule.simulation.predictive_check`, by session: what twins do
        of their own accord, with the band of their cohorts' means.

    Attributes
    ----------
    axes_ : array of the only matplotlib axes, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> display = SessionCurveDisplay.from_estimator(rule, X, y, n_simulations=10, random_state=0)
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['twins', 'animals', 'model']
    """

    def __init__(self, table: pd.DataFrame, check: pd.DataFrame | None = None) -> None:
        self.table = table
        self.check = check

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        by: pd.Series | None = None,
        quantity: str = "correct",
        n_simulations: int = 0,
        random_state: Any = None,
        ax: Any = None,
    ) -> Self:
        """Tabulate the learning curves and draw them.

        Parameters
        ----------
        {estimators}
        y : array-like of shape (n_rows,)
        by : Series with a number for each row of X or None, default=None
            What to draw along in place of sessions, such as the trial of a block.
        quantity, ax : see :meth:`plot`
        n_simulations : int, default=0
            Cohorts of twins to simulate for a posterior-predictive check of one estimator, by
            session.
        random_state : int, RandomState or None, default=None
            Of the twins.
        """
        check = None
        if n_simulations and by is not None:
            raise ValueError("Twins are drawn by session: n_simulations goes without by.")
        if n_simulations:
            twins = {"n_simulations": n_simulations, "random_state": random_state}
            check = predictive_check(estimators, X, y, **twins)
        table = session_table(estimators, X, y, by=by)
        if by is None and table["session"].nunique() == 1:
            cure = "give by= a number for each row of X, such as the trial of a block"
            raise DoesNotApply("Each animal has one session, which is no curve", cure)
        return cls(table, check).plot(ax, quantity=quantity)

    def plot(self, ax: Any = None, *, quantity: str = "correct") -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        quantity : "correct" or "log_likelihood"
            The share of correct choices, or the models' log-likelihood per trial.
        """
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity should be one of {tuple(QUANTITIES)}, got {quantity!r}.")
        correct = quantity == "correct"
        columns = self.table.columns.tolist()
        along = str(columns[columns.index("n_trials") - 1])  # "session", or the name of by
        table = self.table.rename(columns={along: "session"})
        models = split_models(table)
        entries: list[Entry] = []
        with panels(ax, height=1.8) as axes:
            panel = axes[0, 0]
            panel.xaxis.get_major_locator().set_params(integer=True)
            chance = chance_of(table)
            floor = np.exp(chance) if correct else chance
            untold = correct and table["model"].isna().all()  # nobody knows what was correct
            bounds = (-np.inf, np.inf) if untold else BOUNDS[quantity]
            if not untold:
                panel.axhline(floor, color=GREY, linewidth=0.6, zorder=0)
            if correct and self.check is not None:
                _draw_sessions(panel, _twins(self.check), **TWINS)
                entries.append(("twins", TWINS))
            if correct:
                _draw_sessions(panel, _means(table, "animal", bounds), **ANIMALS)
                entries.append(("animals", ANIMALS))
            for color, (model, fits) in zip(cycle(COLORS), models.items(), strict=False):
                means = _means(fits, "model" if correct else quantity, bounds)
                if means["mean"].isna().all():
                    continue
                opacity = BAND if len(models) == 1 else 0  # several would hide each other
                _draw_sessions(panel, means, color=color, opacity=opacity)
                entries.append((model or "model", {"color": color}))
            label_outer(axes, along, "mean reward" if untold else QUANTITIES[quantity])
            key(axes, *entries, title="no model foretells rewards" if untold else "")
        return self._drawn_on(axes)


def _means(table: pd.DataFrame, quantity: str, bounds: tuple[float, float]) -> pd.DataFrame:
    """Return means over animals, their intervals and how many there are, by session."""
    how: Any = {"by": "session", "over": "subject", "interval": "t", "bounds": bounds}
    return band(table, quantity, **how).sort_values("session")


def _twins(check: pd.DataFrame) -> pd.DataFrame:
    if "subject" in check:
        raise ValueError(
            "check should be of means over animals: predictive_check without per_subject."
        )
    names = {"block": "session", "simulated": "mean", "n_subjects": "n"}
    drawn = check["statistic"].isin(["accuracy", "reward"])  # whichever X tells
    return check[drawn].rename(columns=names)


def _draw_sessions(panel: Any, means: pd.DataFrame, **line: Any) -> None:
    """Draw means, faint and without a band where fewer than half of the animals are left."""
    many = means["n"] >= means["n"].max() / 2
    limits = means[["lower", "upper"]].where(many)
    draw_line(panel, means.assign(**limits), "session", strong=many, **line)
