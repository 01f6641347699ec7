"""
Would they have learned faster, had we begun with easy stimuli?
===============================================================

Ask digital twins first. Mice that favour the right side were trained on hard contrasts from the
first day. Would easy ones first have been better, or correction trials after errors, or both? A
rule is fitted to the mice, and twins that learn by it are trained in each way. Then the experiment
is done: mice that learn by the true rule are trained so, too. Were the twins right? Those of
REINFORCE put the four trainings in the true order, and foretell what each saves to ten trials.
Those of a network put them in order, too, but are wrong by fifty trials about what easy stimuli
save, and what correction trials do. Of easy stimuli, which no mouse had seen, a warning tells; of
correction trials none does: a network may be wrong even where mice have been.

In a shell::

    python examples/new_curriculum.py          # a minute or two
    python examples/new_curriculum.py --quick  # few trials: a test, no science
"""

# %%
# Four trainings
# --------------
# All are to make mice good at the same hard contrasts.

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import CURRICULUM, ContrastTask, make_learning_cohort
from sklearn_learnrule.inspection import bootstrap_fits
from sklearn_learnrule.plotting import CurriculumDisplay
from sklearn_learnrule.preprocessing import tanh_contrast
from sklearn_learnrule.simulation import design_curriculum, simulate_learning

HARD = (0.25, 0.125, 0.0625)
OLD: Any = (HARD,)
NEW: Any = (*CURRICULUM[:2], HARD)  # two easy stages first, each left at 80% correct
TRAININGS: dict[str, dict[str, Any]] = {
    "as now": {"curriculum": OLD},
    "errors repeated": {"curriculum": OLD, "repeat_errors": 0.0},
    "easy first": {"curriculum": NEW},
    "both": {"curriculum": NEW, "repeat_errors": 0.5},  # after errors at easy contrasts
}
RULE = lr.rules.ReinforceRule(2, "free", learning_rate=0.02, initial_baseline=-0.3)
START, SESSION, WINDOW = (0.0, 1.0), 150, 100

# %%
# Mice as they are trained now
# ----------------------------
# Their choices are what a lab would have.

quick = "--quick" in sys.argv
n_mice, n_trials, n_twins, criterion = (6, 200, 4, 0.55) if quick else (16, 1500, 100, 0.75)
how: Any = {"rule": RULE, "initial_weights": START, "curriculum": OLD, "session_length": SESSION}
trials = make_learning_cohort(n_mice, n_trials, length_spread=0.0, random_state=0, **how)
X, y, _ = lr.make_design(trials)
print(f"{n_mice} mice, {len(X)} trials as now; then {n_twins} twins of each fit in each training.")

# %%
# Their twins in all of them
# --------------------------
# Two rules are fitted to the same choices: an equation, which happens to be the true one, to mice
# drawn anew several times, and a network.

network = lr.DNNRuleEstimator(max_epochs=20 if quick else 300, random_state=0, verbose=1)
reinforce = lr.ReinforceRuleEstimator()
fits = {
    "REINFORCE": bootstrap_fits(reinforce, X, y, n_bootstraps=2 if quick else 4, random_state=0),
    "DNN": network.fit(X, y),
}
asked: Any = {"n_trials": n_trials, "n_twins": n_twins, "session_length": SESSION}
asked |= {"test": {"curriculum": OLD}, "criterion": criterion, "window": WINDOW, "X": X}
found = {
    name: design_curriculum(fit, ContrastTask, TRAININGS, random_state=1, **asked)
    for name, fit in fits.items()
}
for name, design in found.items():
    print(f"\n{name} twins. {design}")

# %%
# The experiment
# --------------
# Mice of the true rule, whose skill at the hard contrasts is known from their true weights.


def train(training: dict[str, Any], n_animals: int) -> pd.Series:
    """Return each animal's number of trials before it is so good, all if it never is."""
    opens = np.tile(np.arange(n_trials) % SESSION == 0, (n_animals, 1))
    task, rng = ContrastTask(opens, **training, random_state=2), np.random.RandomState(3)
    mice = simulate_learning(RULE, task, np.tile(START, (n_animals, 1)), opens, rng)
    drive, bias = mice.weights[..., :1] * tanh_contrast(HARD), mice.weights[..., 1:]  # (N, T, C)
    skill = (expit(drive + bias) + expit(drive - bias)).mean(-1) / 2  # on the right and the left
    is_short = ~(pd.DataFrame(skill.T).rolling(WINDOW).mean() >= criterion)
    return (is_short.cummin().sum() + 1).clip(upper=n_trials)


answer = pd.DataFrame(
    {f"{name} twins": d.table.set_index("option")["trials"] for name, d in found.items()}
)
answer["truth"] = [train(training, n_twins).mean() for training in TRAININGS.values()]
left = found["DNN"].table.set_index("option")["share_outside"]
print(f"\nTrials to a skill of {criterion:.0%}, means:\n")
print(answer.assign(**{"DNN outside": left}).round(2).to_string())
print("\nTrials saved, against training as now:\n")
print((answer.loc["as now"] - answer).iloc[1:].round().to_string())

# %%
# What was right
# --------------
# The dots of REINFORCE's twins are where the truth is (bars). Open ones say that no mouse has been
# in such states: what an equation says of them is right if it is the true one. No fit knows that.

display = CurriculumDisplay.from_design(found["REINFORCE"])
bar: Any = {"marker": "|", "linestyle": "", "color": "black", "markersize": 14}
display.ax_.plot(answer["truth"], range(len(answer)), **bar)
plt.show()
