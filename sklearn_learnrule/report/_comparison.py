"""The section that compares the models on held-out animals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..data.sequences import subjects_of
from ..model_selection import choose_reference, compare_rules, rank_rules
from ..plotting import ComparisonDisplay
from ..utils.texts import short
from ._models import Model, tell
from ._parts import (
    Failure,
    Headline,
    Note,
    Part,
    Question,
    Section,
    Shown,
    Table,
    as_written,
    picture,
    written,
)

COLUMNS = ("rule", "subject", "fold", "n_trials", "log_likelihood", "accuracy", "seconds")
FORMATS = {
    "log_likelihood": ".4f",
    "standard_error": ".4f",
    "bits_above_chance": ".3f",
    "difference": "+.4f",
    "p_value": ".2g",
    "accuracy": ".3f",
}
CAPTION = (
    "Each rule was fitted to some animals and scored on the others. Points are animals, bars their "
    "mean and whiskers its standard error: right of 0, choices are better predicted than by "
    "{reference}. Log-likelihoods are in nats per trial (a coin: −0.693), p-values of two-sided "
    "paired t-tests across animals."
)


def check(compare: Any, reference: str | None, names: list[str], X: pd.DataFrame) -> str | None:
    """Check what is to be compared before hours are spent, and return the reference."""
    if isinstance(compare, pd.DataFrame):
        if missing := [name for name in COLUMNS if name not in compare]:
            raise ValueError(
                f"compare should be the table of compare_rules, but has no column {missing[0]!r}."
            )
        strangers = compare.loc[~compare["subject"].isin(subjects_of(X)), "subject"]
        if len(strangers):
            raise ValueError(
                "compare should be scores of the animals in X, but has "
                f"{short(strangers.iloc[0])}, which X has not."
            )
        names = list(compare["rule"].unique())
    elif not isinstance(compare, bool):
        raise TypeError(
            "compare should be True, False or the table of compare_rules, got "
            f"{type(compare).__name__}."
        )
    if compare is False:
        return None
    return choose_reference(names, reference)


def compare(
    models: list[Model],
    scores: pd.DataFrame | None,
    reference: str,
    question: Question,
    cv: Any,
    n_jobs: int | None,
) -> Section:
    """Compare the models, unless their scores are given."""
    if scores is None and reference not in [model.name for model in models]:
        reference = choose_reference(model.name for model in models)  # the other failed
    shown = Shown("comparison", CAPTION.format(reference=reference))
    try:
        if scores is None:
            scores = _score(models, question, cv, n_jobs)
        shown.parts = [(None, part) for part in _parts(scores, reference)]
    except Exception as failure:  # the fits are not lost if they cannot be compared
        text = f"The models could not be compared: {tell(failure)}"
        shown = Shown("comparison", "", [(None, Failure(text))])
    return Section("Which rule predicts held-out animals?", [shown])


def _score(models: list[Model], question: Question, cv: Any, n_jobs: int | None) -> pd.DataFrame:
    candidates = {model.name: model.candidate for model in models}
    options: Any = {"cv": cv, "n_jobs": n_jobs, "verbose": question.verbose}
    return compare_rules(candidates, question.X, question.y, **options)


def _parts(scores: pd.DataFrame, reference: str) -> list[Part]:
    ranked = rank_rules(scores, reference)
    table = as_written(ranked.reset_index()[["rule", *FORMATS]], FORMATS)
    parts: list[Part] = [Headline(_best(ranked, reference, scores["subject"].nunique()))]
    if len(ranked) > 1:
        display = ComparisonDisplay.from_scores(scores, reference=reference)
        parts.append(picture(display.figure_, "Held-out log-likelihood of each rule, by animal"))
    else:
        parts.append(Note("There is one rule, and no other to draw it beside."))
    return [*parts, Table(table, scores)]


def _best(ranked: pd.DataFrame, reference: str, n_subjects: int) -> str:
    """Say which rule is best, and by how much."""
    likelihood = ranked["log_likelihood"].dropna()
    if likelihood.empty:
        return "No rule could be scored on held-out animals."
    best, *others = likelihood.index
    score = written(likelihood[best], ".4f")
    if not others:
        return f"Held-out animals are predicted by {best} with {score} nats per trial."
    other = reference if reference in others else others[0]
    ahead = likelihood[best] - likelihood[other]
    more = written(ahead, ".4f") if ahead >= 0.0001 else "less than 0.0001"
    text = f"Held-out animals are best predicted by {best}: {score} nats per trial, {more} more"
    p: Any = ranked.loc[other if best == reference else best, "p_value"]
    test = f" (paired t-test across {n_subjects} animals: p = {written(p, '.2g')})"
    return f"{text} than by {other}{'' if pd.isna(p) else test}."
