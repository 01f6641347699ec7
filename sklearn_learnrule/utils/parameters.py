"""What parameters may be: scikit-learn's constraints, declared beside them and checked by ``fit``.

A class lists its own parameters in ``_parameter_constraints``; what its bases list holds as well.
What depends on the data, such as shapes, is the models' to check.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .sklearn_private import Interval, InvalidParameterError, make_constraint
from .texts import short

P = ParamSpec("P")
R = TypeVar("R")


class Number(Interval):
    """A number in a range, Python's or numpy's; no bool, as True is not meant as 1."""

    def is_satisfied_by(self, val: Any) -> bool:
        is_number = isinstance(val, int | float | np.integer | np.floating)
        return is_number and not isinstance(val, bool) and bool(super().is_satisfied_by(val))


ANY_NUMBER = Number(Real, None, None, closed="neither")
ABOVE_0 = Number(Real, 0, None, closed="neither")
AT_LEAST_0 = Number(Real, 0, None, closed="left")
WHOLE_FROM_0 = Number(Integral, 0, None, closed="left")
WHOLE_FROM_1 = Number(Integral, 1, None, closed="left")


@dataclass(frozen=True)
class Meets:
    """A constraint that is a test, and what it asks for in words."""

    is_satisfied_by: Callable[[Any], bool]
    words: str

    def __str__(self) -> str:
        return self.words


def each(constraint: Any) -> Meets:
    """Return the constraint on a sequence (a list, array or the like) that each entry meets one."""
    of_entry = _as_constraint(constraint)

    def test(value: Any) -> bool:
        if not isinstance(value, list | tuple):
            value = np.asarray(value, dtype=object)  # of what is no sequence, without dimension
            if value.ndim == 0:
                return False
        return all(map(of_entry.is_satisfied_by, value))

    return Meets(test, f"a sequence of which each is {of_entry}")


def check_parameters(estimator: Any) -> None:
    """Raise for a parameter that is nothing of what its class says it may be.

    Raises
    ------
    InvalidParameterError
        Which is a ValueError and a TypeError.
    """
    of_class = constraints(type(estimator))
    for name, value in estimator.get_params(deep=False).items():
        allowed = [_as_constraint(kind) for kind in of_class.get(name, [])]
        if allowed and not any(constraint.is_satisfied_by(value) for constraint in allowed):
            *words, last = map(str, allowed)
            expected = f"{', '.join(words)} or {last}" if words else last
            raise InvalidParameterError(
                f"{type(estimator).__name__}: {name} should be {expected}, got "
                f"{' '.join(short(value).split())}."
            )


def check_finite(value: Any, name: str) -> None:
    """Raise for what is not one finite number."""
    if not ANY_NUMBER.is_satisfied_by(value):
        raise ValueError(f"{name} should be a finite number, got {short(value)}.")


def with_checked_parameters(fit: Callable[P, R]) -> Callable[P, R]:
    """Decorate an estimator's ``fit``, inside of which parameters make sense.

    They are checked before, and numpy's numbers are Python's for as long as it takes: torch and
    numba, and rules that are added, need not know both.
    """

    @wraps(fit)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        estimator: Any = args[0]
        check_parameters(estimator)
        given = estimator.get_params(deep=False)
        plain = {k: v.item() for k, v in given.items() if isinstance(v, np.generic)}
        try:
            vars(estimator).update(plain)
            return fit(*args, **kwargs)
        finally:
            vars(estimator).update(given)

    return checked


def constraints(kind: type) -> dict[str, list[Any]]:
    """Return what each parameter of a class may be, any of a list, in the signature's order."""
    found: dict[str, list[Any]] = {}
    for base in reversed(kind.__mro__):
        found |= vars(base).get("_parameter_constraints", {})
    return {name: found[name] for name in inspect.signature(kind).parameters if name in found}


def _as_constraint(kind: Any) -> Any:
    return kind if isinstance(kind, Meets) else make_constraint(kind)
