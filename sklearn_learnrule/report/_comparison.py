"""The section that compares the models on held-out animals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..data.sequences import subjects_of
from ..model_selection import animal_rules, choose_reference, compare_rules, rank_rules
from ..plotting import AnimalRulesDisplay, ComparisonDisplay
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
    "{reference}. Log-likelihoods are in nats per trial ({chance}), p-values of two-sided "
    "paired t-tests across animals."
)
ANIMALS_FORMATS = dict.fromkeys(
    ("expected_share", "lower", "upper", "exceedance", "protected_exceedance"), ".2f"
)
ANIMALS_CAPTION = (
    "Taking each animal to follow one of the rules: the expected share of the population that "
    "follows each, with 95% credible intervals, and each animal's posterior, from its total "
    "held-out log-likelihood (random-effects Bayesian model selection). Exceedance is the "
    "probability that more animals follow the rule than any other, protected against the risk "
    "that all rules are equally frequent."
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
    shown = Shown("comparison", _caption(reference, question.n_choices))
    animals = Shown("animal_rules", ANIMALS_CAPTION)
    try:
        if scores is None:
            scores = _score(models, question, cv, n_jobs)
        shown.parts = [(None, part) for part in _parts(scores, reference)]
    except Exception as failure:  # the fits are not lost if they cannot be compared
        text = f"The models could not be compared: {tell(failure)}"
        shown = Shown("comparison", "", [(None, Failure(text))])
    else:
        animals.parts = [(None, part) for part in _animal_parts(scores)]
    exhibits = [each for each in (shown, animals) if each.parts]
    return Section("Which rule predicts held-out animals?", exhibits)


def _caption(reference: str, n_choices: int) -> str:
    chance = written(-np.log(n_choices), ".3f")
    what = "a coin" if n_choices == 2 else f"one of {n_choices} at random"
    return CAPTION.format(reference=reference, chance=f"{what}: {chance}")


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


def _animal_parts(scores: pd.DataFrame) -> list[Part]:
    """Show which rule each animal follows, of those that were scored on all, if there are two."""
    failed = scores.loc[scores["log_likelihood"].isna(), "rule"]
    scored = scores[~scores["rule"].isin(failed)]
    if scored["rule"].nunique() < 2:
        return []
    try:
        found = animal_rules(scored)
    except Exception as failure:  # the comparison is not lost
        return [Note(f"Which rule each animal follows cannot be told: {tell(failure)}")]
    figure = AnimalRulesDisplay(found.posterior, found.population).plot().figure_
    alt = "Posterior of each animal over rules, and the share of the population of each rule"
    population = found.population.reset_index()
    return [
        picture(figure, alt, found.posterior.reset_index(), "posterior"),
        Table(as_written(population, ANIMALS_FORMATS), population),
    ]


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
