"""
Would they have learned faster, had we begun with easy stimuli?
===============================================================

Ask digital twins first. Mice were trained on hard contrasts from the first day. A rule is fitted to
them, and twins that learn by it are trained in another curriculum, easy first. Then the experiment
is done: mice that learn by the true rule are trained so, too. Were the twins right? Those of
REINFORCE were. Those of a network were not: it was fitted to mice that had never seen an easy
stimulus.

In a shell::

    python examples/new_curriculum.py          # a minute or two
    python examples/new_curriculum.py --quick  # few trials: a test, no science
"""

# %%
# Two curricula
# -------------

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from scipy.special import expit

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import CURRICULUM, ContrastTask, make_learning_cohort
from sklearn_learnrule.simulation import simulate

OLD: Any = ((0.25, 0.125, 0.0625),)
NEW: Any = CURRICULUM[:2] + OLD  # two easy stages first, each left at 80% correct
SESSION, CRITERION, GOAL = 150, 0.8, 0.75


def hard_skill(weights: pd.DataFrame) -> pd.Series:
    """Return how often an animal with these weights is right about the hard contrasts."""
    stimuli = (
        lr.TanhContrast().fit_transform(pd.DataFrame({"contrast": OLD[0]})).to_numpy()
    )  # (C, 1)
    drive, bias = stimuli * weights["stimulus"].to_numpy(), weights["bias"].to_numpy()  # (C, n)
    skill = (expit(drive + bias) + expit(drive - bias)).mean(0) / 2  # on the right and the left
    return pd.Series(skill, weights.index)


# %%
# Mice in the old one
# -------------------
# Their choices are what a lab would have. (Their weights are kept, too, for the picture.)

quick = "--quick" in sys.argv
n_mice, n_trials, n_twins = (6, 300, 10) if quick else (16, 1500, 200)
alike: Any = {"session_length": SESSION, "length_spread": 0.0, "return_weights": True}
trials, lived = make_learning_cohort(n_mice, n_trials, curriculum=OLD, random_state=0, **alike)
X, y, _ = lr.make_design(trials)
print(f"{n_mice} mice, {len(X)} trials in the old curriculum; {n_twins} twins in the new one.")

# %%
# Their twins in the new one
# --------------------------
# Two rules are fitted to the same choices: an equation, which happens to be the true one, and a
# network. The last line is the experiment itself: mice of the true rule in the new curriculum.

rules = {
    "REINFORCE twins": lr.ReinforceRuleEstimator(),
    "DNN twins": lr.DNNRuleEstimator(max_epochs=20 if quick else 300, random_state=0, verbose=1),
}
task = partial(ContrastTask, curriculum=NEW, criterion=CRITERION)
asked: Any = {"n_trials": n_trials, "session_length": SESSION, "return_weights": True}
skills = {"old curriculum": hard_skill(lived)}
for name, rule in rules.items():
    _, weights = simulate(rule.fit(X, y), task, n_twins, random_state=1, **asked)
    skills[name] = hard_skill(weights)
_, weights = make_learning_cohort(
    n_twins, n_trials, curriculum=NEW, criterion=CRITERION, random_state=2, **alike
)
skills["truth"] = hard_skill(weights)

curves = pd.DataFrame({name: skill.groupby("session").mean() for name, skill in skills.items()})
print("Skill at the hard contrasts (chance of a correct choice), by session:\n")
print(curves.round(3).to_string())

# %%
# The answer
# ----------


def trials_to(goal: float, skill: pd.Series) -> pd.Series:
    """Return each animal's number of trials before it is so good, all if it never is."""
    return (skill < goal).groupby("subject").agg(lambda short: short.cummin().sum())


needed = pd.DataFrame({name: trials_to(GOAL, skill) for name, skill in skills.items()})
print(f"Trials to a skill of {GOAL:.0%}, quartiles over animals:\n")
print(needed.quantile([0.25, 0.5, 0.75]).T.round().astype(int).to_string())

figure, ax = plt.subplots(figsize=(4.5, 3.0), layout="constrained")
colors = ("#999999", "#0072B2", "#D55E00", "#000000")
for (curve, skill), color in zip(curves.items(), colors, strict=True):
    ax.plot(skill, "--" if curve == "truth" else "-", color=color, label=curve)
ax.set(xlabel="session", ylabel="P(correct) at hard contrasts")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
