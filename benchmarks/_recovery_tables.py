"""Tables and figure of what ``recovery.py`` has measured, beside what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_learnrule.utils.files import replacing

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # of the Okabe-Ito palette
TRAININGS = {"paper": "paper's training", "ours": "ours"}
BASE = 0.013


class Row(NamedTuple):
    """What a published RMSE is of, and the fit that answers it."""

    name: str
    fit: str
    published: float | None = None  # infinite: it failed


def distractors(suffix: str, relative: list[float]) -> list[Row]:
    """Rows whose published RMSE is told relative to that with one distractor."""
    numbers = (1, 3, 10, 30, 100)
    return [
        Row(f"{n}", f"{n} distractors{suffix}", BASE * ratio)
        for n, ratio in zip(numbers, relative, strict=True)
    ]


TABLES = {
    "Table 3, true start of the weight": [
        Row("-2", "base", BASE),
        Row("0", "start 0", 0.0244),
        Row("2", "start 2", 0.0287),
    ],
    "Table 4, noise of the weight": [
        Row("alpha / 4", "noise 1/4", 0.0216),
        Row("alpha / 2", "noise 1/2", 0.0349),
        Row("alpha", "noise 1", 0.0652),
    ],
    "Table 5, error of the assumed start": [
        Row("0", "base", BASE),
        Row("+.5", "start off by 0.5", 0.027),
        Row("+1", "start off by 1", 0.0453),
        Row("+2", "start off by 2", 0.1519),
    ],
    "Table 6, distractors": distractors("", [1, 1.09, 1.35, 1.58, np.inf]),
    "Table 6, distractors, three times the data": distractors(
        ", 3000 animals", [0.59, 0.62, 0.7, 1.2, 1.67]
    ),
    "Fig. 2C, animals": [
        *(Row(f"{n}", f"{n} animals") for n in (10, 30, 100, 300)),
        Row("1000", "base", BASE),
    ],
    "Longer sequences, and other rules": [
        Row("300 animals x 2000, alpha = 2^-6", "300 x 2000"),
        Row("1000 animals x 8000, alpha = 2^-8 (Fig. 10)", "1000 x 8000"),
        Row("maximum likelihood", "maximum likelihood"),
        Row("RewardMax", "RewardMax"),
    ],
}
RELATIVE_TO = "1 distractors"
SCORE = "score of new animals"
CHOICES = ["start 2", "noise 1/4", "noise 1/2", "noise 1", "30 distractors", "100 distractors"]


def render(results: pd.DataFrame) -> str:
    """Return Markdown; in bold, an RMSE at or below the published one."""
    means = results.pivot_table("value", ["fit", "training"], "measure")
    seconds = results.drop_duplicates(["fit", "training", "seed"])
    seconds = seconds.groupby(["fit", "training"])["seconds"].mean()
    parts = [rmse_table(name, rows, means, seconds) for name, rows in TABLES.items()]
    parts.append(choices_table(means))
    parts.append(measures_table("Fig. 11, half REINFORCE, half maximum likelihood", "mixed", means))
    parts.append(measures_table("Fig. 3, update after runs", "history", means))
    return "\n\n".join(part for part in parts if part)


def rmse_table(name: str, rows: list[Row], means: pd.DataFrame, seconds: pd.Series) -> str:
    """Return a table of RMSE, published, with the paper's training and with ours."""
    relative = "Table 6" in name
    no_learning = means["RMSE of no learning"].groupby("fit").mean()
    lines = []
    for row in rows:
        published = "" if row.published is None else f"{row.published:.4f}"
        if relative:
            published = _with_ratio(row.published, BASE)
        cells = [row.name, "fails" if row.published == np.inf else published]
        for training in TRAININGS:
            cells.append(_rmse(row, training, means, relative))
            cells.append(_unless_missing(seconds.get((row.fit, training)), ".0f"))
        lines.append([*cells, _unless_missing(no_learning.get(row.fit), ".4f")])
    if not any(line[2] or line[4] for line in lines):
        return ""
    head = ["", "published"]
    head += [cell for label in TRAININGS.values() for cell in (label, "s")]
    return f"**{name}**\n\n{markdown([*head, 'no learning'], lines)}"


def _rmse(row: Row, training: str, means: pd.DataFrame, relative: bool) -> str:
    found = means["RMSE"].get((row.fit, training), np.nan)
    if np.isnan(found):
        return ""
    text = f"{found:.4f}"
    if relative:
        text = _with_ratio(found, means["RMSE"].get((RELATIVE_TO, training), np.nan))
    reached = row.published is not None and found <= row.published
    return f"**{text}**" if reached else text


def _unless_missing(value: float | None, form: str) -> str:
    return "" if value is None or np.isnan(value) else format(value, form)


def _with_ratio(rmse: Any, base: float) -> str:
    return f"{rmse:.4f} ({rmse / base:.2f})"


def choices_table(means: pd.DataFrame) -> str:
    """Return a table of what new animals say of ours, and of other ways to train the same."""
    ours = means.xs("ours", level="training").reindex(columns=["RMSE", SCORE]).dropna()
    lines = [
        [fit, f"{rmse:.4f}", f"{score:.6f}"]
        for fit, rmse, score in ours.itertuples()
        if fit.split(",")[0] in CHOICES and "animals" not in fit
    ]
    if not lines:
        return ""
    return f"**Choices, by new animals**\n\n{markdown(['', 'RMSE', SCORE], lines)}"


def measures_table(name: str, fits: str, means: pd.DataFrame) -> str:
    """Return a table of everything else that was measured of some fits."""
    chosen = means[means.index.get_level_values("fit").str.startswith(fits)].dropna(axis=1)
    if chosen.empty:
        return ""
    chosen = chosen[sorted(chosen.columns, key=lambda measure: measure == SCORE)]
    lines = [
        [f"{fit}, {TRAININGS.get(training, 'fitted')}", *(f"{value:.4f}" for value in values)]
        for (fit, training), values in zip(chosen.index, chosen.to_numpy(), strict=True)
    ]
    return f"**{name}**\n\n{markdown(['', *chosen.columns], lines)}"


def markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# ---------------------------------------------------------------------------- the figure


def draw(results: pd.DataFrame, path: Path) -> None:
    """Draw the RMSE against animals, and the update after runs of trials."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    means = results.pivot_table("value", ["fit", "training"], "measure")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    draw_animals(means, left)
    draw_runs(means, right)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    with replacing(path) as file:
        figure.savefig(file, dpi=200)
    plt.close(figure)


def draw_animals(means: pd.DataFrame, ax: Any) -> None:
    rows = TABLES["Fig. 2C, animals"]
    n_animals = [int(row.name) for row in rows]
    for training, color in (("paper", GREY), ("ours", BLUE)):
        values = means.reindex([(row.fit, training) for row in rows])
        ax.plot(n_animals, values["RMSE"], "o-", color=color, label=TRAININGS[training])
    ax.plot(1000, BASE, "*", color=ORANGE, markersize=11, label="published", zorder=3)
    ax.axhline(values["RMSE of no learning"].mean(), color=GREY, linestyle=":", label="no learning")
    ax.set(xscale="log", yscale="log", xlabel="animals x 500 trials", ylabel="RMSE of the update")
    ax.legend(frameon=False, fontsize=8)


def draw_runs(means: pd.DataFrame, ax: Any) -> None:
    lines = (("true form", "true form", GREY), ("RNN", "ours", BLUE), ("DNN", "ours", ORANGE))
    for name, training, color in lines:
        if (f"history, {name}", training) not in means.index:
            continue
        values = means.loc[(f"history, {name}", training)]
        for run, style in (("rewarded", "-"), ("unrewarded", "--")):
            after = [values[f"{run} {length}"] for length in (1, 2, 3, 4)]
            label = name if run == "rewarded" else None
            ax.plot((1, 2, 3, 4), after, f"o{style}", color=color, label=label)
    ax.axhline(0, color="black", linewidth=0.5)
    ax.set_xlabel("length of the run (dashed: unrewarded)")
    ax.set_ylabel("update after a correct choice")
    ax.set_xticks((1, 2, 3, 4))
    if ax.lines[1:]:
        ax.legend(frameon=False, fontsize=8, loc="center right")
