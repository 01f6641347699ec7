"""Texts and numbers as a reader sees them, in messages, on pages and in pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

HIDDEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f"  # control characters but for the new line
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # these turn what follows around
    r"\ud800-\udfff]"  # halves of a character
)
LARGE = 1e6  # from here on, numbers have exponents
FACTORS = ("factor", "share")  # kinds of animals' effects that are the logarithm of one


def short(value: Any) -> str:
    """Write a value for a message, short, a numpy scalar as the Python number that it is."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def what_varies(effect: str, kind: str) -> str:
    """Return that of which an animal's effect is a factor, or by which it is a shift.

    Examples
    --------
    >>> what_varies("learning_rate", "factor"), what_varies("forgetting[bias]", "share")
    ('learning_rate', '−log(1 − forgetting[bias])')
    """
    return f"−log(1 − {effect})" if kind == "share" else effect


def plural(count: int, noun: str) -> str:
    """Write a count of things, such as "1 session" or "2 sessions"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    r"""Write control and bidi characters as Python does, so that a text is what it looks like.

    Examples
    --------
    >>> print(visible("mouse\u202e1"))
    mouse\u202e1
    """
    return HIDDEN.sub(lambda hidden: hidden[0].encode("unicode_escape").decode(), text)


def number(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, all before the point, and a true minus.

    Examples
    --------
    >>> number(-0.012345), number(1234.5), number(1e-7)
    ('−0.0123', '1234', '1e−07')
    """
    if abs(value) < LARGE:
        digits = max(digits, len(f"{abs(value):.0f}"))
    return f"{value + 0.0:.{digits}g}".replace("-", "−")  # -0.0 + 0.0 = 0.0


def settings(values: Mapping[Any, float]) -> str:
    """Write which values differ from 0, of named ones.

    Examples
    --------
    >>> settings({"left": 0.0, "right": 1.0, "tone": 0.5}), settings({"left": 0.0})
    ('right = 1, tone = 0.5', 'all 0')
    """
    texts = [f"{name} = {number(value)}" for name, value in values.items() if value]
    return ", ".join(texts) or "all 0"


def numbers(values: Sequence[float], digits: int = 3) -> list[str]:
    """Write numbers with as many digits as tell them apart.

    Examples
    --------
    >>> numbers([0.5, 5.001, 5.002])
    ['0.5', '5.001', '5.002']
    """
    for more in range(digits, 17):
        texts = [number(value, more) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts
