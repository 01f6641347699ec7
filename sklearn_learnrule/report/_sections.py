"""The sections of a report: what each picture and table is, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ..data.schema import OF_CHOICE
from ..data.sequences import subjects_of
from ..inspection import (
    asymmetry_table,
    band,
    column_importance,
    nearest_rules,
    sparse_rule,
    variance_explained,
)
from ..plotting import (
    DecompositionDisplay,
    EquationDisplay,
    HistoryDisplay,
    PsychometricDisplay,
    SessionCurveDisplay,
    UpdateDisplay,
    WeightTrajectoryDisplay,
)
from ._checks import PREDICTIVE_CHECK, TRAINING
from ._individuals import GROUPS, INDIVIDUALS
from ._models import Model
from ._parts import (
    Exhibit,
    Headline,
    Note,
    Part,
    Question,
    Table,
    as_written,
    of_runs,
    of_two_rewards,
    picture,
    written,
)

FAR_BACK = (1, 7, 17, 27)  # trials back of a run of 4, as in the method's paper
RUN = 4
DECIMALS = 6  # at most; of smaller numbers each has its own two digits


def _slices(model: Model, question: Question) -> Iterator[Part]:
    yield from of_two_rewards(question)
    options: Any = {"rewards": question.rewards, "random_state": question.random_state}
    display = UpdateDisplay.from_estimator(model.fits, question.X, **options)
    names = model.rules[0].weight_names
    first, bias = names[0], names[-1]
    each = "weight before it" if question.n_choices == 2 else "choice"
    alt = f"Change of the {{}} weight per trial by stimulus, a line for each {each}"
    yield picture(display.figure_, alt.format(first), display.table, first)
    if bias != first:
        display.plot(weight=bias)
        yield picture(display.figure_, alt.format(bias), kind=bias)


def _heatmap(model: Model, question: Question) -> Iterator[Part]:
    options: Any = {"rewards": question.rewards, "random_state": question.random_state}
    display = UpdateDisplay.from_estimator(model.fits, question.X, kind="heatmap", **options)
    alt = "Change of the first weight after a correct choice, by stimulus and weight"
    yield picture(display.figure_, alt, display.table)


def _equation(model: Model, question: Question) -> Iterator[Part]:
    if subjects_of(question.X).nunique() == 1:
        yield Note("One animal does not tell how many terms an equation should have.")
        return
    rule = sparse_rule(model.fits, question.X)
    yield from map(Note, str(rule).split("\n"))
    alt = "Share of the updates' variance explained by number of terms, and the terms' coefficients"
    yield picture(EquationDisplay(rule).plot().figure_, alt, rule.path, "path")
    yield Table(as_written(rule.terms, {"selected": ".0%"}), rule.terms)


def _asymmetry(model: Model, question: Question) -> Iterator[Part]:
    yield from of_runs(question)
    options: Any = {"random_state": question.random_state}
    options["rewarded_above"] = question.rewarded_above
    table = asymmetry_table(model.fits, question.X, **options)
    whose = [OF_CHOICE] if question.n_choices > 2 else []
    cell = ["contrast", "group", "measure", *whose, "weight"]
    bands = table.rename(columns={"estimate": "mean"})
    if len(model.all) > 1:
        bands = band(table, "estimate", by=cell)
    bands = bands.dropna(subset="mean")  # of a group without a trial
    text = _intervals(bands.set_index(cell)[["mean", "lower", "upper"]])
    shown = _side_by_side(text, "measure").reset_index()
    pairs = shown["group"].str.contains(" - ")
    if question.n_choices > 2:
        shown = shown[~pairs | (shown["contrast"] != "choice")]  # of which there are many
    what = shown["contrast"].map({"run": " run", "choice": " chosen"}).fillna("")
    shown = shown.assign(group=shown["group"].str.replace(" - ", " − ") + what)
    shown = shown.sort_values("weight", key=lambda names: names == "bias", kind="stable")
    columns = ["weight", *whose, "group", *table["measure"].unique()]
    yield Table(as_written(shown[columns]), table)


def _side_by_side(texts: pd.Series, level: str) -> pd.DataFrame:
    """Return a column for each value of a level, rows and columns in the order that they have.

    Of pandas 2.2, ``unstack(sort=False)`` puts texts into the wrong cells.
    """
    rows = texts.droplevel(level).index.unique()
    return texts.unstack(level).reindex(index=rows, columns=texts.index.unique(level))


def _intervals(bands: pd.DataFrame) -> pd.Series:
    """Write means and intervals, with two digits of the largest of their measure."""
    size = bands.abs().max(axis=1).groupby(level=["measure", "weight"]).transform("max")
    decimals = (1 - np.floor(np.log10(size.where(size > 0, 1)))).clip(0).astype(int)
    texts = []
    for n, row in zip(decimals, bands.to_numpy(), strict=True):
        few = [written(v, ".2g") if n > DECIMALS else written(round(v, n), f".{n}f") for v in row]
        texts.append("{} [{},\u00a0{}]".format(*few))
    return pd.Series(texts, bands.index)


def _nearest(model: Model, question: Question) -> Iterator[Part]:
    table = nearest_rules(model.fits, question.X)
    r2 = table.pivot_table("r2", "rule", "weight", "mean", sort=False)  # over fits
    r2 = r2.sort_values("all", ascending=False, kind="stable")
    yield Table(as_written(r2.reset_index(), dict.fromkeys(map(str, r2), ".1%")), table)
    if not hasattr(model.rules[0].final, "summary_"):
        name, share = r2.index[0], r2["all"].iloc[0]
        nearest = f"The textbook rule nearest to {model.name}, {name}, explains {share:.0%} of"
        none = f"No textbook rule comes near {model.name}: none explains any of"
        yield Headline(f"{nearest if share > 0 else none} the variance of its updates.")


def _runs(model: Model, question: Question) -> Iterator[Part]:
    yield from of_two_rewards(question)
    yield from of_runs(question)
    options: Any = {"rewards": question.rewards, "random_state": question.random_state}
    options["rewarded_above"] = question.rewarded_above
    options["after_correct"] = question.any_correct
    display = HistoryDisplay.from_estimator(model.fits, question.X, **options)
    alt = "Change of the first weight after rewarded and unrewarded runs of each length"
    yield picture(display.figure_, alt, display.table, "length")
    options |= {"lengths": [RUN], "trials_back": FAR_BACK}
    display = HistoryDisplay.from_estimator(model.fits, question.X, **options)
    alt = f"Change of the first weight after runs of {RUN} trials that lie farther and farther back"
    yield picture(display.figure_, alt, display.table, "trials_back")


def _trajectories(model: Model, question: Question) -> Iterator[Part]:
    display = WeightTrajectoryDisplay.from_estimator(model.fits, question.X)
    alt = "Policy weights over trials, a panel for each animal"
    yield picture(display.figure_, alt, display.table)


def _learning_and_noise(model: Model, question: Question) -> Iterator[Part]:
    display = DecompositionDisplay.from_estimator(model.fits, question.X, question.y)
    alt = "Policy weights over trials, and what of them is by the rule and by noise"
    yield picture(display.figure_, alt, display.table, "trajectories")
    seed = question.random_state
    table = variance_explained(model.fits, question.X, question.y, random_state=seed)
    whose = ["choice"] if question.n_choices > 2 else []
    cell = ["subject", *whose, "weight"]
    shares = table.groupby(cell, sort=False)[["rule", "lower", "upper"]].mean().dropna()  # of fits
    texts = [
        "{} [{},\u00a0{}]".format(*(written(value, ".0%") for value in row))
        for row in shares.to_numpy()
    ]
    shown = _side_by_side(pd.Series(texts, shares.index), "weight")
    yield Table(as_written(shown.fillna("").reset_index()), table)
    if whose:
        return
    weight = model.rules[0].weight_names[0]
    share = shares["rule"].get(("all", weight), np.nan)
    if 0 <= share <= 1:
        change = f"of the change of the {weight} weight"
        yield Headline(f"{model.name} explains {share:.0%} {change}, noise the rest.")


def _psychometrics(model: Model, question: Question) -> Iterator[Part]:
    by = "session" if question.n_sessions > 1 else None
    display = PsychometricDisplay.from_estimator(model.fits, question.X, question.y, by=by)
    which = "the second" if question.n_choices == 2 else "each"
    alt = f"Share of choices of {which} class by stimulus, of animals and of the model"
    yield picture(display.figure_, alt, display.table)


def _importance(model: Model, question: Question) -> Iterator[Part]:
    X, y, seed = question.X, question.y, question.random_state
    table = column_importance(model.fits, X, y, random_state=seed)
    shown = band(table, "importance", by="column", over="subject", interval="t")
    shown = shown.rename(columns={"mean": "importance", "n": "animals"})
    yield Table(as_written(shown, dict.fromkeys(("importance", "lower", "upper"), ".4f")), table)


def _learning_curves(model: Model, question: Question) -> Iterator[Part]:
    by = question.since_restart
    if by is None and question.one_session:
        yield Note(f"There is no curve by session to draw: {question.one_session}.")
        return
    display = SessionCurveDisplay.from_estimator(model.fits, question.X, question.y, by=by)
    yield picture(display.figure_, "Correct choices as animals learn", display.table, "correct")
    likely = display.plot(quantity="log_likelihood").figure_
    yield picture(likely, "Log-likelihood per trial as animals learn", kind="log_likelihood")


def _parameters(model: Model, question: Question) -> Iterator[Part]:
    del question
    summaries = [(fit, getattr(fit.final, "summary_", None)) for fit in model.all]
    if any(summary is None for _, summary in summaries):
        yield Note(f"{model.name} has no parameters with textbook names.")
        return
    tables = [fit.named(pd.DataFrame(summary)) for fit, summary in summaries]
    table = pd.concat(tables, ignore_index=True)
    shown = table if len(model.all) > 1 else table.drop(columns="fit")
    yield Table(as_written(shown), table)


SECTIONS: dict[str, list[Exhibit]] = {
    "The learning rule": [
        Exhibit(
            "update",
            "How one trial changes a weight. Lines are solid after a correct choice, dashed after "
            "an error (if these are paid by chance, after a correct choice that earned the higher "
            "reward and an error that earned the lower; if nobody knows these, after the higher "
            "reward and the lower); their colour is the weight before. Dots are stimuli that "
            "animals met; lines are faint where no animal has been. Of fewer than six stimuli, "
            "there are dots alone, filled for solid, open for dashed.",
            _slices,
            "learning",
        ),
        Exhibit(
            "heatmap",
            "The same after what is solid there, at every weight: red raises the weight, blue "
            "lowers it, and hatching marks where no animal has been.",
            _heatmap,
            "learning",
        ),
        Exhibit(
            "equation",
            "The same in few terms: those whose sum comes nearest to the inferred updates on the "
            "trials that the animals lived through, as many as animals left out call for. w are "
            "the weights, x the stimuli, y the choice (0 or 1), p = P(y = 1), r the reward, z the "
            "correct choice, c the choice as -1 or 1; _prev is of the trial before. Left, the "
            "share of the variance that so many terms explain (blue: those taken); right, the "
            "terms by size, with their coefficients and 95% intervals, which of one fit take the "
            "rule as it is. Where a term is rarely selected without some animals, another would do "
            "as well.",
            _equation,
            "learning",
        ),
    ],
    "Asymmetries": [
        Exhibit(
            "asymmetry",
            "Over the trials that the animals lived through: the mean change of each weight per "
            "trial, and its learning rate, the slope of that change on the policy's gradient. In "
            "brackets 95% intervals: of several fits over these; of one over bootstrapped animals, "
            "which take the fitted rule as it is. Sides may differ by their mix of correct and "
            "error trials alone. Runs are of four trials.",
            _asymmetry,
            "learning",
        )
    ],
    "The nearest textbook rule": [
        Exhibit(
            "nearest",
            "Share of the variance of the inferred updates that each textbook rule explains, on "
            "the states that the animals visited, with its parameters chosen to come nearest. "
            "Below 0, it does worse than the mean update.",
            _nearest,
            "learning",
        )
    ],
    "What a run of rewards changes": [
        Exhibit(
            "history",
            "The update after a run of rewarded trials (wide, blue) and of unrewarded ones "
            "(narrow, red), with the weights held at 0. Where the lines part, the rule remembers. "
            "Below, a run of four lies farther and farther back.",
            _runs,
            "memory",
        )
    ],
    "How the weights moved": [
        Exhibit(
            "trajectories",
            "The policy's weights before each trial of each animal: how steeply its choices follow "
            "the stimulus, and its bias. Ticks at the foot open sessions.",
            _trajectories,
            "rule",
        ),
        Exhibit(
            "learning_and_noise",
            "How much of it is learning: the weights (black, with 90% bands), where the rule alone "
            "would have brought them on the same trials (blue), and what noise has added (red). In "
            "the table, the share of a weight's variance over trials that the rule explains, with "
            "95% intervals that take the fit as it is. Above 100%, the rule alone would have gone "
            "farther than the weight did; below 0, the other way.",
            _learning_and_noise,
            "noise",
        ),
    ],
    "Choices": [
        Exhibit(
            "psychometric",
            "Points are the animals' choices with 95% intervals, lines what the models predict "
            "on the same trials, one step ahead.",
            _psychometrics,
            together=True,
        ),
        Exhibit(
            "importance",
            "How much worse choices are predicted, in nats per trial, if a column's value on the "
            "trial is exchanged for that of another while the weights stay as they were: means "
            "over animals with 95% confidence intervals.",
            _importance,
            "rule",
            joined=True,
        ),
    ],
    "Learning curves": [
        Exhibit(
            "sessions",
            "Means over animals with 95% confidence intervals: the share of correct choices, of "
            "animals and as predicted one step ahead (if nobody knows these, the mean reward of "
            "animals), and how well choices are predicted (grey: chance). Lines are faint where "
            "fewer than half of the animals are left.",
            _learning_curves,
            together=True,
        )
    ],
    "Checks": [PREDICTIVE_CHECK, TRAINING],
    "Parameters": [
        Exhibit(
            "parameters",
            "Estimates with standard errors and 95% intervals, which hold if the animals share one "
            "rule; the robust ones let them differ. A note says why there are none.",
            _parameters,
            joined=True,
        )
    ],
    "Individuals and groups": [INDIVIDUALS, GROUPS],
}
"""Title of each section that looks at every model alike, and what it shows."""
