"""What does not apply to every task, and says so: what is of two choices, or of what was shown."""

from __future__ import annotations


class DoesNotApply(ValueError):
    """What was asked does not apply to this task.

    Parameters
    ----------
    reason : str
        Why, in words for a reader who has no Python.
    cure : str
        What to do, for one who has.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason, cure)
        self.reason = reason

    def __str__(self) -> str:
        return ": ".join(self.args) + "."


def two_choices_only(n_choices: int, what: str, instead: str) -> None:
    """Raise for what is of two choices alone, and say what to use.

    Raises
    ------
    DoesNotApply

    Examples
    --------
    >>> two_choices_only(2, "A heatmap", "slices")
    >>> two_choices_only(3, "A heatmap", "slices")
    Traceback (most recent call last):
    ...
    sklearn_learnrule.utils.does_not_apply.DoesNotApply: A heatmap is of two choices, and ...
    """
    if n_choices > 2:
        raise DoesNotApply(f"{what} is of two choices, and these are {n_choices}", f"use {instead}")
