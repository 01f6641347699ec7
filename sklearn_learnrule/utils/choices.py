"""What is of two choices alone, and says so."""

from __future__ import annotations


class OfTwoChoices(ValueError):
    """What is of two choices alone was asked of more."""


def two_choices_only(n_choices: int, what: str, instead: str) -> None:
    """Raise for what is of two choices alone, and say what to use.

    Raises
    ------
    OfTwoChoices

    Examples
    --------
    >>> two_choices_only(2, "A heatmap", "slices")
    >>> two_choices_only(3, "A heatmap", "slices")
    Traceback (most recent call last):
    ...
    sklearn_learnrule.utils.choices.OfTwoChoices: A heatmap is of two choices, and these are 3: ...
    """
    if n_choices > 2:
        raise OfTwoChoices(f"{what} is of two choices, and these are {n_choices}: use {instead}.")
