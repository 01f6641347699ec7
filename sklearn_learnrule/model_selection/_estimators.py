"""The estimators that are to be compared, by name, and what none of them may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..utils.wrapping import final_estimator


def name_estimators(estimators: Any) -> dict[str, Any]:
    """Return the estimators by name, those of a list by their classes; raise if one is none."""
    if hasattr(estimators, "fit") or not isinstance(estimators, Iterable):
        what = _name(estimators)
        cure = f": write [{what}(...)]" if hasattr(estimators, "fit") else ""
        raise TypeError(
            f"estimators should be a list of classifiers, or a dict by name, got {what}{cure}."
        )
    named = dict(estimators) if isinstance(estimators, Mapping) else _by_class(list(estimators))
    if not named:
        raise ValueError(
            "estimators should hold at least one classifier, as in {'REINFORCE': "
            f"ReinforceRuleEstimator()}}, got {estimators!r}."
        )
    for name, estimator in named.items():
        if not isinstance(name, str):
            raise TypeError(f"The names of estimators should be str, got {name!r}.")
        if isinstance(estimator, type):
            raise TypeError(
                f"{name!r} should be a classifier, but is the class {estimator.__name__}: write "
                f"{estimator.__name__}()."
            )
        if not (hasattr(estimator, "fit") and hasattr(estimator, "predict_proba")):
            raise TypeError(
                f"{name!r} should be a classifier with predict_proba, whose probabilities are "
                f"scored, got {type(estimator).__name__}."
            )
    return named


def _by_class(estimators: list[Any]) -> dict[str, Any]:
    names = [_name(final_estimator(estimator)) for estimator in estimators]
    times, seen = Counter(names), Counter[str]()
    named = {}
    for name, estimator in zip(names, estimators, strict=True):
        seen[name] += 1
        named[f"{name} {seen[name]}" if times[name] > 1 else name] = estimator
    return named


def _name(estimator: Any) -> str:
    return estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
