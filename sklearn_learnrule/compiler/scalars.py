"""Programs of plain numbers: what a rule computes on one trial, one statement a number.

A :class:`Scalar` is a number that is known only when the program runs. Arithmetic with it adds
statements to its program, so that numpy's arrays of objects compute with whole tensors of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy.special import erf

Array: TypeAlias = np.ndarray  # of Scalars and of constants


class Statement(NamedTuple):
    """``name = operation(*arguments)``."""

    name: str
    operation: str
    arguments: tuple[Any, ...]


# What each operation does with constants, at the edges, too, as torch does.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "float": np.float64,
    "neg": np.negative,
    "abs": np.abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "erf": erf,
    "pow": np.power,
}
SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=",
}  # fmt: skip
TRUTHS = {"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"}  # operations that return one


class Program:
    """Statements in order, each number computed once.

    With ``zeros_vanish``, 0 times a number is 0 also where that is not finite: such zeros are of
    gradients that do not exist, and make no number worse.
    """

    def __init__(self, zeros_vanish: bool = False) -> None:
        self.zeros_vanish = zeros_vanish
        self.statements: list[Statement] = []
        self._known: dict[tuple[Any, ...], Scalar] = {}

    def input(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return an array of numbers that are given, ``name[i]`` in row-major order."""
        array = np.empty(shape, object)
        for i in range(array.size):
            array.flat[i] = Scalar(self, f"{name}[{i}]", is_truth=False)
        return array

    def apply(self, operation: str, *arguments: Any) -> Any:
        """Return an operation's result: a constant where all arguments are, else a Scalar."""
        if not any(isinstance(argument, Scalar) for argument in arguments):
            return _fold(operation, arguments)
        if operation not in ("where", "and", "or", "not", "float", "eq", "ne"):
            arguments = tuple(as_float(argument) for argument in arguments)
        simple = simplify(operation, arguments, self.zeros_vanish)
        if simple is not None:
            return simple
        key = (operation, *arguments)
        if key not in self._known:
            name = f"v{len(self.statements)}"
            self.statements.append(Statement(name, operation, arguments))
            truth = operation in TRUTHS or (operation == "where" and is_truth(arguments[1]))
            self._known[key] = Scalar(self, name, is_truth=truth)
        return self._known[key]

    def needed(self, results: Sequence[Any]) -> list[Statement]:
        """Return the statements that these results need, in order."""
        wanted = {result.name for result in results if isinstance(result, Scalar)}
        kept = []
        for statement in reversed(self.statements):
            if statement.name in wanted:
                kept.append(statement)
                wanted |= {a.name for a in statement.arguments if isinstance(a, Scalar)}
        return kept[::-1]


class Scalar:
    """A number that a program computes, or a truth value."""

    __slots__ = ("is_truth", "name", "program")

    def __init__(self, program: Program, name: str, is_truth: bool) -> None:
        self.program, self.name, self.is_truth = program, name, is_truth

    def __repr__(self) -> str:
        return self.name

    def __add__(self, other: Any) -> Any:
        return self.program.apply("add", self, other)

    def __sub__(self, other: Any) -> Any:
        return self.program.apply("sub", self, other)

    def __mul__(self, other: Any) -> Any:
        return self.program.apply("mul", self, other)

    def __truediv__(self, other: Any) -> Any:
        return self.program.apply("div", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.program.apply("add", other, self)

    def __rsub__(self, other: Any) -> Any:
        return self.program.apply("sub", other, self)

    def __rmul__(self, other: Any) -> Any:
        return self.program.apply("mul", other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return self.program.apply("div", other, self)

    def __neg__(self) -> Any:
        return self.program.apply("neg", self)


def is_truth(value: Any) -> bool:
    return value.is_truth if isinstance(value, Scalar) else isinstance(value, bool)


def as_float(value: Any) -> Any:
    """Return a number for a truth value, 0 or 1, and a number as it is."""
    if isinstance(value, Scalar):
        return value.program.apply("float", value) if value.is_truth else value
    return float(value)


def _fold(operation: str, arguments: tuple[Any, ...]) -> Any:
    given = [a if isinstance(a, (bool, np.bool_)) else np.float64(a) for a in arguments]
    with np.errstate(all="ignore"):
        return np.asarray(OPERATIONS[operation](*given)).item()


def simplify(operation: str, arguments: tuple[Any, ...], zeros_vanish: bool) -> Any:
    """Return what an operation comes to without a statement, None if it needs one."""
    a, b = (*arguments, None)[:2]
    if operation == "add":
        return b if _is(a, 0) else a if _is(b, 0) else None
    if operation == "sub":
        return a if _is(b, 0) else None
    if operation == "mul":
        if zeros_vanish and (_is(a, 0) or _is(b, 0)):
            return 0.0
        return b if _is(a, 1) else a if _is(b, 1) else None
    if operation == "div":
        return 0.0 if zeros_vanish and _is(a, 0) else a if _is(b, 1) else None
    if operation == "where":
        condition, a, b = arguments
        if not isinstance(condition, Scalar):
            return a if condition else b
        return a if a is b else None
    return None


def _is(value: Any, number: float) -> bool:
    return not isinstance(value, Scalar) and value == number


def elementwise(operation: str, *arrays: Any) -> Array:
    """Return an operation's results on arrays, which are broadcast."""
    apply = np.frompyfunc(
        lambda *values: _program_of(values).apply(operation, *values), len(arrays), 1
    )
    return np.asarray(apply(*arrays), object)


def _program_of(values: tuple[Any, ...]) -> Program:
    for value in values:
        if isinstance(value, Scalar):
            return value.program
    return Program()  # of constants only, which are folded


def source(title: str, program: Program, results: dict[str, list[Any]]) -> str:
    """Write a program for a reader, as Python would have it."""
    lines = [f"def {title}:"]
    for name, operation, arguments in program.needed(
        [x for some in results.values() for x in some]
    ):
        if operation in SYMBOLS:
            lines.append(f"{name} = {arguments[0]} {SYMBOLS[operation]} {arguments[1]}")
        else:
            lines.append(f"{name} = {operation}({', '.join(map(str, arguments))})")
    for name, values in results.items():
        lines += [f"{name}[{i}] = {value}" for i, value in enumerate(values)]
    return "\n    ".join(lines) + "\n"
