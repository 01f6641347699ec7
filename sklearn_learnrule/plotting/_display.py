"""What every display has: where it was drawn, and one description of what several take."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from textwrap import indent
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from ..model_selection import choose_reference, name_estimators
from ._fit import MM, fit_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = re.compile(r"^( *)\{(\w+)\}$", re.MULTILINE)
DESCRIBED = {
    "estimators": """\
estimators : fitted classifier, list or dict of some, or a result of ``cross_validate``
    Those in a list are refits of one model, those in a dict are models of their own. Of the folds
    of a cross-validation, with ``return_estimator=True, return_indices=True``, each animal is left
    to the fit that has not seen it.
X : DataFrame from :func:`~sklearn_learnrule.make_design`""",
    "y": """\
y : ignored
    Not needed here; it is taken so that all displays may be given X and y.""",
    "unfitted": """\
estimators : classifier, or list or dict of some
    They are fitted here. Those in a list are named by their classes.
X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`""",
    "weight": """\
weight : str or None, default=None
    The weight whose update to draw; None: the first.""",
    "subjects": """\
subjects : sequence or None, default=None
    The animals to draw; None: the first ones.
max_subjects : int
    How many are drawn at most where ``subjects`` is None; the key tells of how many.""",
    "ax": """\
ax : matplotlib axes, array of as many as there are panels, or None for a new figure""",
    "ax_": """\
ax_ : the first of them
figure_ : their figure""",
}


class Display:
    """A table and its picture: :meth:`plot` draws, and sets ``ax_``, ``axes_`` and ``figure_``.

    In the docstrings of a display, and of its methods, a line ``{name}`` becomes what
    ``DESCRIBED`` says.
    """

    ax_: Axes
    axes_: NDArray[Any]
    figure_: Figure

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        methods = (m.__func__ if isinstance(m, classmethod) else m for m in vars(cls).values())
        for documented in (cls, *filter(inspect.isfunction, methods)):
            if documented.__doc__:
                documented.__doc__ = LINE.sub(_described, documented.__doc__)

    def fit_width(self, width: float) -> Self:
        """Lay the picture out anew for a column so wide, and as high as its labels need.

        Parameters
        ----------
        width : float
            In mm; columns of journals have about 85, pages 180.

        Raises
        ------
        ValueError
            If nothing is drawn yet, if it was drawn on axes whose figure is laid out by whoever
            made it, or if so many panels need more.
        """
        name = type(self).__name__
        if not hasattr(self, "figure_"):
            raise ValueError(f"{name} is not drawn yet: call plot() first.")
        if self.figure_.get_layout_engine() is None:
            raise ValueError(f"{name} was drawn on axes that lay out no labels: call plot() first.")
        fit_width(self.axes_, width / MM)
        return self

    def _drawn_on(self, axes: NDArray[Any]) -> Self:
        """Note the axes that were drawn on."""
        self.axes_, self.ax_ = axes, axes.flat[0]
        self.figure_ = axes.flat[0].figure
        return self


def to_compare(estimators: Any, reference: str | None) -> dict[str, Any]:
    """Return the estimators by name, one alone by its class; raise if none is the reference."""
    named = name_estimators([estimators] if hasattr(estimators, "fit") else estimators)
    choose_reference(named, reference)
    return named


def check_options(
    draw: Callable[..., Any], tabulate: Callable[..., Any], options: Mapping[str, Any]
) -> None:
    """Raise a TypeError for an option that the function of a display's table does not take."""
    its = _options(tabulate)
    if unknown := [name for name in options if name not in its]:
        known = ", ".join(dict.fromkeys([*_options(draw), *its]))
        raise TypeError(f"{draw.__qualname__} takes no {unknown[0]!r}, but {known}.")


def _options(function: Callable[..., Any]) -> list[str]:
    """Return what a function takes by name alone."""
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


def _described(line: re.Match[str]) -> str:
    return indent(DESCRIBED[line[2]], line[1])
