"""Which training is fastest: trials to a criterion, and skill by session, of twins."""

from __future__ import annotations

from itertools import cycle
from typing import Any, Self

import pandas as pd

from ..simulation import CurriculumDesign
from ._display import Display
from ._fit import height_of, in_lines
from ._style import BLACK, COLORS, GREY, Entry, draw_line, key, panels

DOT: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 4}
OUTSIDE: Entry = (
    "outside of states visited",
    {**DOT, "color": BLACK, "linestyle": "--", "markerfacecolor": "white"},
)


class CurriculumDisplay(Display):
    """Trials to a criterion in each training, and how skill grows there.

    Left, means over twins and fits with their intervals; thin lines hold as large a share of the
    twins. Those that never get there are at the last trial, and the name tells how many do. Right,
    mean skill by session with its interval, and the criterion. Open dots and broken lines are of
    trainings in which twins leave the states that animals visited.

    Parameters
    ----------
    design : CurriculumDesign from :func:`~sklearn_learnrule.simulation.design_curriculum`

    Attributes
    ----------
    axes_ : array of the two matplotlib axes, after :meth:`plot`
    {ax_}

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
    >>> from sklearn_learnrule.simulation import design_curriculum
    >>> X, y, _ = make_design(make_learning_cohort(6, 400, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> options = {"as now": {}, "errors repeated": {"repeat_errors": 0.5}}
    >>> found = design_curriculum(rule, ContrastTask, options, test={}, X=X, n_trials=300,
    ...                           criterion=0.6, random_state=0, verbose=0)
    >>> display = CurriculumDisplay.from_design(found)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['as now', 'errors repeated']
    """

    def __init__(self, design: CurriculumDesign) -> None:
        self.design = design

    @classmethod
    def from_design(cls, design: CurriculumDesign, *, ax: Any = None) -> Self:
        """Draw what :func:`~sklearn_learnrule.simulation.design_curriculum` found."""
        return cls(design).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw trials and skill.

        Parameters
        ----------
        {ax}
        """
        table, criterion = self.design.table, self.design.criterion
        names = [in_lines(_name(row)) for row in table.itertuples()]
        height = max(1.4, height_of(names, 0.3))
        size: Any = {"figsize": (5.5, 0.9 + height), "height": height, "keep": 1.0}
        with panels(ax, 1, 2, **size) as axes:
            trials, skill = axes[0]
            self._draw_trials(trials, table)
            trials.set_yticks(range(len(names)), names)
            trials.set_ylim(len(names) - 0.5, -0.5)
            trials.set_ylabel("training")
            trials.set_xlabel(f"trials to a skill of {criterion:g}")
            skill.axhline(criterion, color=GREY, linewidth=0.6, zorder=0)
            curves = self.design.curves
            for option, style in self._styles(table):
                own = curves[curves["option"] == option]
                draw_line(skill, own, "session", color=style["color"], linestyle=style["linestyle"])
            skill.xaxis.get_major_locator().set_params(integer=True)
            skill.set_xlabel("session")
            skill.set_ylabel("skill: P(correct) in the test")
            shown = f"{self.design.level:.0%}"
            line: dict[str, Any] = {"color": BLACK}
            entries: list[Entry] = [
                (f"mean, {shown} interval", {**DOT, "linestyle": "-", **line}),
                (f"{shown} of twins", {"linewidth": 0.6, **line}),
            ]
            key(axes, *entries, *([OUTSIDE] if self.design.outside.any() else []))
        return self._drawn_on(axes[0])

    def _styles(self, table: pd.DataFrame) -> list[tuple[Any, dict[str, Any]]]:
        """Return each option's colour, and how it is drawn where twins leave what is known."""
        styles = []
        outside = zip(cycle(COLORS), self.design.outside, strict=False)
        for option, (color, left) in zip(table["option"], outside, strict=True):
            fill, line = ("white", "--") if left else (color, "-")
            styles.append((option, {"color": color, "markerfacecolor": fill, "linestyle": line}))
        return styles

    def _draw_trials(self, ax: Any, table: pd.DataFrame) -> None:
        twins, tail = self.design.twins.groupby("option")["trials"], (1 - self.design.level) / 2
        first, last = twins.quantile(tail), twins.quantile(1 - tail)
        rows = zip(self._styles(table), table.itertuples(), strict=True)
        for row, ((option, style), found) in enumerate(rows):
            ax.hlines(row, first[option], last[option], style["color"], linewidth=0.6)
            ax.hlines(row, found.lower, found.upper, style["color"], linewidth=2)
            ax.plot(found.trials, row, **{**style, **DOT})


def _name(found: Any) -> str:
    """Return an option's name, and which share of its twins gets there, unless all do."""
    some = found.share_reached < 1
    return f"{found.option}\n({found.share_reached:.0%} get there)" if some else found.option
