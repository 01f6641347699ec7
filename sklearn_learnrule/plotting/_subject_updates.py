"""By what update each group of animals learns, with intervals over animals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import pandas as pd
from numpy.typing import ArrayLike

from ..data.schema import OF_CHOICE
from ..inspection import band, subject_update_table
from ..utils.texts import plural
from ._display import Display, check_options
from ._style import (
    GAP,
    GREY,
    choice_text,
    draw_line,
    key,
    label_outer,
    outcome_entries,
    outcome_styles,
    panels,
)
from ._tables import (
    SOLID,
    Panel,
    check_one_setting,
    group_colors,
    mark_outcomes,
    name_stimuli,
    names_after,
    of_one_answer,
    panels_of_weights,
    split_choices,
    stimulus_axis,
    update_column,
    update_label,
)

EVERYONE = "all"
LEVEL = 0.9


class SubjectUpdateDisplay(Display):
    """The weight update by stimulus and outcome, a colour a group: do they learn by another rule?

    Means over animals with 90% intervals (Student's; none of a group of one animal), solid after a
    correct choice, dashed after an error or, where choices are paid by chance, as of
    :class:`UpdateDisplay`; of fewer than six stimuli, points, filled and open; a panel for each
    value of the weights. Of more than two choices, a panel for the choice that was
    made and the choice whose weight is told; lines break where, after an error, another choice is
    correct, and one stimulus alone has a point.

    Where the covariate itself is in question, draw the updates of
    :func:`~sklearn_learnrule.inspection.compare_groups`, ``found.updates``, whose fit does not know
    it: a fit that does draws animals to what it expects of their group.

    Parameters
    ----------
    table : DataFrame from :func:`~sklearn_learnrule.inspection.subject_update_table`
        Or the ``updates`` of a comparison of groups.

    Attributes
    ----------
    axes_ : array of matplotlib axes, one a panel, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 200, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    >>> sex = {"mouse_01": "m", "mouse_02": "f", "mouse_03": "f", "mouse_04": "m"}
    >>> display = SubjectUpdateDisplay.from_estimator(rule, X, y, groups=sex)
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['f (2 animals)', 'm (2 animals)', '', 'after correct', 'after error']
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        groups: str | Mapping[Any, Any] | pd.Series | None = None,
        weight: str | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Tabulate by what update each animal learns and draw it.

        Parameters
        ----------
        estimators : fitted rule estimator with ``subject_effects``, or pipeline that ends in one
            One alone: several fits make something else of what is an animal's own.
        X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
        groups : str, mapping or Series by subject, or None, default=None
            A covariate of X, or the label of each animal.
        weight, ax : see :meth:`plot`
        **options : of :func:`~sklearn_learnrule.inspection.subject_update_table`
        """
        check_options(cls.from_estimator, subject_update_table, options)
        table = subject_update_table(estimators, X, y, groups=groups, **options)
        return cls(table).plot(ax, weight=weight)

    def plot(self, ax: Any = None, *, weight: str | None = None) -> Self:
        """Draw the table.

        Parameters
        ----------
        {ax}
        {weight}
        """
        table, outcomes = mark_outcomes(self.table)
        update = update_column(self.table, weight)
        shown, x, ticks = _readable(table)
        colors = group_colors(shown)
        styles = outcome_styles(shown[x], ticks)
        cells, shape = _cells(shown)
        with panels(ax, *shape, sharex=True, sharey=True) as axes:
            for panel, (title, here) in zip(axes.flat, cells, strict=True):
                panel.set_title(title)
                panel.axhline(0, color=GREY, linewidth=0.6, zorder=0)
                lines: Any = here.groupby(["group", SOLID, "choice"], observed=True)
                for (group, solid, _), line in lines:
                    for rows in of_one_answer(line, x):
                        bands = band(rows, update, by=x, over="subject", interval="t", level=LEVEL)
                        draw_line(panel, bands, x, color=colors[group], **styles[solid])
            name_stimuli(axes, ticks)
            label_outer(axes, x, update_label(update))
            sizes = shown.groupby("group", observed=False)["subject"].nunique()
            groups = [(f"{g} ({plural(sizes[g], 'animal')})", {"color": colors[g]}) for g in colors]
            key(axes, *groups, GAP, *outcome_entries(styles, outcomes), title="90% intervals")
        return self._drawn_on(axes)


def _readable(table: pd.DataFrame) -> tuple[pd.DataFrame, str, dict[int, str]]:
    """Return the table with a group for each animal, its x axis, and what is written there."""
    animals = table.filter(["subject", "group"])
    shown, x, ticks = stimulus_axis(table.drop(columns=[*animals]))
    known = {str(name): column.array for name, column in animals.items()}
    return shown.assign(**{"fit": 0, "group": EVERYONE, **known}), x, ticks


def _cells(table: pd.DataFrame) -> tuple[list[Panel], tuple[int, int]]:
    """Return what is in each panel, and how many there are, down and across."""
    if OF_CHOICE not in table:
        weights = [f"weight_{name}" for name in names_after("update_", table)]
        return panels_of_weights(table, [name for name in weights if table[name].nunique() > 1])
    check_one_setting(table, [OF_CHOICE])
    of_choices = split_choices(table, OF_CHOICE)
    cells = [
        (f"after {choice_text(made)}:\nweight of {choice_text(of)}", here[here["choice"] == made])
        for made in of_choices
        for of, here in of_choices.items()
    ]
    return cells, (len(of_choices), len(of_choices))
