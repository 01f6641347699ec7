"""The order of parameters, in signature, docstring and repr: the rule's own before all others."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from sklearn import get_config
from sklearn.base import BaseEstimator


class ParametersInOrder(BaseEstimator):
    """A scikit-learn estimator that tells its parameters in the order of its signature."""

    def __repr__(self) -> str:
        """Return the call that makes this; what is by default is left out, as in scikit-learn."""
        parameters = inspect.signature(type(self)).parameters
        all_of_them = not get_config()["print_changed_only"]
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if all_of_them or repr(value) != repr(parameters[name].default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the parameters as the signature has them, where scikit-learn sorts them."""
        return list(inspect.signature(cls).parameters)


def present_parameters(kind: Any, bases: Sequence[type]) -> None:
    """Let a dataclass's signature and docstring tell its parameters base by base.

    Parameters
    ----------
    kind : dataclass
        In its docstring, a line ``{shared}`` stands for what its bases say of their parameters.
    bases : its bases and itself, in the order in which to tell what each brought in
        They say it in ``_parameter_docs``, where ``{name}`` stands for the default.
    """
    brought_in = {
        field.name: base for base in filter(is_dataclass, kind.__mro__) for field in fields(base)
    }

    def place(parameter: inspect.Parameter) -> tuple[int, int]:
        by_name = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        base = brought_in.get(parameter.name, kind)
        return parameter.kind, bases.index(base) if by_name else 0

    signature = inspect.signature(kind.__init__)
    ordered = sorted(signature.parameters.values(), key=place)
    kind.__init__.__signature__ = signature.replace(parameters=ordered)
    if kind.__doc__:
        defaults = {field.name: _literal(field.default) for field in fields(kind)}
        docs = [inspect.cleandoc(vars(base).get("_parameter_docs", "")) for base in bases]
        shared = "\n\n".join(filter(None, docs)).format_map(defaults)
        kind.__doc__ = inspect.cleandoc(kind.__doc__).replace("\n{shared}", f"\n{shared}")


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
