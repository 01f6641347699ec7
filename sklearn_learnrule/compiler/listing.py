"""What a rule computes on one trial, number by number: from its record to programs, to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import count
from typing import Any

from ..rules import FilteredRule, LearningRule, Trial
from .operations import compute
from .scalars import Array, Program, source
from .trace import Trace, Untraceable, Value

# Beyond, a rule takes seconds to compile, and the parallel engine is faster; not in a filter.
MAX_STATEMENTS, MAX_IN_FILTER = 6000, 10_000


class Listing:
    """A rule's step and the step back, as programs.

    Their inputs are named ``weights``, ``memory``, ``trial.`` and its fields, then the coefficients
    by what they were made of, and on the way back ``of_update`` and ``of_memory``: the adjoints.

    Parameters
    ----------
    rule : LearningRule
    like : Trial
        Sequences, which have the fields that the rule is told.

    Raises
    ------
    Untraceable
        If a rule does what no program does, or too much of it.
    """

    def __init__(self, rule: LearningRule, like: Trial, trace: Trace | None = None) -> None:
        self.trace = trace = trace or Trace(rule, like)
        self.codes: dict[Any, Any] = {}  # once it is compiled, by kind
        record, gradients = trace.differentiate()
        self.fields = [f"trial.{field.name}" for field in fields(like)]
        self.of_subjects = {f"trial.{f.name}" for f in fields(like) if "of_subjects" in f.metadata}
        self.coefficients = unique(trace.labels(), ["weights", "memory", *self.fields])
        names = ["weights", "memory", *self.fields, *self.coefficients, "of_update", "of_memory"]
        tensors = [record.tensors[value] for value in record.given]
        self.sizes = dict(zip(names, (tensor.numel() for tensor in tensors), strict=True))
        shapes = {n: tuple(tensor.shape) for n, tensor in zip(names, tensors, strict=True)}

        given = [*trace.inputs, *trace.coefficients]
        most = MAX_IN_FILTER if isinstance(rule, FilteredRule) else MAX_STATEMENTS
        self.step, arrays = write(trace.operations, given, shapes, trace.results, most)
        self.update, self.memory = (list(array.flat) for array in arrays)
        wanted = [gradient for gradient in gradients if gradient is not None]
        self.step_back, found = write(record.operations, record.given, shapes, wanted, most, True)
        lists = iter(list(array.flat) for array in found)
        self.gradients = {  # of weights, memory and coefficients
            name: [0.0] * self.sizes[name] if gradient is None else next(lists)
            for name, gradient in zip(
                ["weights", "memory", *self.coefficients], gradients, strict=True
            )
        }

    def __str__(self) -> str:
        results = {"update": self.update, "memory": self.memory}
        back = {f"gradient_{name}": values for name, values in self.gradients.items()}
        both = [("step", self.step, results), ("step_back", self.step_back, back)]
        return "\n".join(source(title, program, wanted) for title, program, wanted in both)


def write(
    operations: Any,
    given: Sequence[Value],
    shapes: dict[str, tuple[int, ...]],
    results: Any,
    most: int,
    zeros_vanish: bool = False,
) -> tuple[Program, list[Array]]:
    """Return operations as a program of so many statements at most, and its results."""
    program = Program(zeros_vanish)
    named = zip(given, shapes.items(), strict=False)
    known = {value: program.input(name, shape) for value, (name, shape) in named}
    arrays = compute(operations, known, results)
    if len(program.statements) > most:
        raise Untraceable(f"computes more than {most} numbers a trial")
    return program, arrays


def unique(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Return names of which none is there twice."""
    found = list(taken)
    for name in names:
        others = (f"{name}_{i}" for i in count(2))
        found.append(name if name not in found else next(n for n in others if n not in found))
    return found[len(taken) :]
