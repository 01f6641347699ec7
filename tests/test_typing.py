"""What public functions and methods return is told by their types."""

from __future__ import annotations

import inspect

import pytest

import sklearn_learnrule as lr
from sklearn_learnrule import datasets, inspection, model_selection, plotting, recovery, simulation

ROOMS = [lr, datasets, inspection, model_selection, plotting, recovery, simulation]


def public(room):
    """Return the functions that a room offers, and the methods of its classes."""
    for name in (name for name in vars(room) if not name.startswith("_")):
        member = getattr(room, name)
        if inspect.isfunction(member):
            yield member
        elif inspect.isclass(member) and member.__module__.startswith("sklearn_learnrule"):
            for kind in (inspect.isfunction, inspect.ismethod):  # and those of the class
                yield from (m for n, m in inspect.getmembers(member, kind) if n[0] != "_")


FUNCTIONS = {
    f"{function.__module__}.{function.__qualname__}": function
    for room in ROOMS
    for function in public(room)
    if function.__module__.startswith("sklearn_learnrule")
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_return_is_typed_and_not_as_anything(name):
    returned = inspect.signature(FUNCTIONS[name]).return_annotation
    assert isinstance(returned, str) and returned != "Any"


def test_there_are_functions_and_methods_among_them():
    names = {name.rpartition(".")[2] for name in FUNCTIONS}
    assert {"fit", "predict_weights", "compare_rules", "from_estimator", "simulate"} <= names
