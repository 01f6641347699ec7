"""What stands inside of pipelines and searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline

from .sklearn_private import BaseSearchCV


def chosen(estimator: Any) -> Any:
    """Return what a search has chosen or, unfitted, is to fit; any other estimator as it is."""
    searched = estimator.estimator if isinstance(estimator, BaseSearchCV) else estimator
    return getattr(estimator, "best_estimator_", searched)


def layers(estimator: Any) -> Iterator[Any]:
    """Yield an estimator, what it wraps, and so on to the one that predicts in the end.

    A pipeline wraps its last step, a search what it has :func:`chosen`.
    """
    yield estimator
    inner = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else chosen(estimator)
    if inner is not estimator:
        yield from layers(inner)


def final_estimator(estimator: Any) -> Any:
    """Return the estimator that predicts in the end.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_learnrule import ReinforceRuleEstimator
    >>> rule = ReinforceRuleEstimator()
    >>> final_estimator(GridSearchCV(make_pipeline(StandardScaler(), rule), {})) is rule
    True
    """
    *_, final = layers(estimator)
    return final


def split_transformers(estimator: Any) -> tuple[Pipeline | None, Any]:
    """Return the transformers that X goes through, if there are any, and the final estimator."""
    *outer, final = layers(estimator)
    parts = [layer[:-1] for layer in outer if isinstance(layer, Pipeline) and len(layer) > 1]
    return (make_pipeline(*parts) if parts else None), final


def has_search(estimator: Any) -> bool:
    """Whether it chooses parameters, also at the end of a pipeline, by folds of its own."""
    return any(isinstance(layer, BaseSearchCV) for layer in layers(estimator))


def named(estimators: Any) -> list[tuple[Any, Any]]:
    """Name several estimators, or one alone, by a dict's keys, else 0, 1, ...

    Examples
    --------
    >>> named(["this", "that"])
    [(0, 'this'), (1, 'that')]
    """
    if isinstance(estimators, Mapping):
        return list(estimators.items())
    if isinstance(estimators, Sequence) and not isinstance(estimators, Pipeline):
        return list(enumerate(estimators))
    return [(0, estimators)]


def is_dict_of_models(estimators: Any) -> bool:
    """Whether this is a dict of named models, and not what ``cross_validate`` returns."""
    return isinstance(estimators, Mapping) and "fit_time" not in estimators


def called(name: Any) -> str:
    """Write what a message calls an estimator that :func:`named` named.

    Examples
    --------
    >>> called("mine"), called(0)
    ("'mine'", 'fit 0')
    """
    return repr(name) if isinstance(name, str) else f"fit {name}"
