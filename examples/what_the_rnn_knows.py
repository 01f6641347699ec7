"""
What does the RNN know that the DNN can't?
==========================================

These animals learn only while they are doing well, by the eligibility rule: if at least half of the
last ten trials were rewarded, the choices on them are strengthened together; else nothing is
learned. So what a trial teaches depends on the trials before it. A network that sees one trial at a
time cannot know; one with a memory can.

In a shell::

    python examples/what_the_rnn_knows.py          # two minutes
    python examples/what_the_rnn_knows.py --quick  # few trials: a test, no science
"""

# %%
# Animals that learn while they do well
# -------------------------------------
# A third as many are kept aside.

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import band, history_table, relative_log_likelihood
from sklearn_learnrule.plotting import HistoryDisplay
from sklearn_learnrule.rules import EligibilityRule

LEARNING_RATE = 0.02
CONTRASTS = ((1.0, 0.5, 0.25, 0.125),)


def make_animals(n_animals: int, n_trials: int, random_state: int) -> tuple[Any, Any]:
    """Return X and y of animals that learn by the eligibility rule."""
    trials = make_learning_cohort(
        n_animals,
        n_trials,
        rule=EligibilityRule(2, learning_rate=LEARNING_RATE),
        curriculum=CONTRASTS,
        random_state=random_state,
    )
    return lr.make_design(trials)[:2]


quick = "--quick" in sys.argv
n_animals, n_trials, n_epochs = (10, 60, 3) if quick else (200, 200, 20)
X, y = make_animals(n_animals, n_trials, random_state=0)
X_new, y_new = make_animals(n_animals // 3, n_trials, random_state=1)

# %%
# Who predicts new animals?
# -------------------------
# "truth" is the true rule, its numbers fitted.

network: dict[str, Any] = {
    "batch_size": 25,  # of many animals: far more steps an epoch
    "lr": 0.01,
    "max_epochs": n_epochs,
    "n_ensemble": 1,
    "random_state": 0,
    "verbose": 1,
}
rules = {
    "truth": lr.EligibilityRuleEstimator(),
    "RNN": lr.RNNRuleEstimator(**network),
    "DNN": lr.DNNRuleEstimator(**network),
}
fits = {name: rule.fit(X, y) for name, rule in rules.items()}
print(f"{n_animals} animals, {len(X)} trials. The true rule's learning rates are")
print(f"{fits['truth'].learning_rate_.round(4)}; they are {LEARNING_RATE}.\n")
print("Log-likelihood of new animals relative to the DNN's (nats per trial, 95% interval):\n")
scores = relative_log_likelihood(fits, fits["DNN"], X_new, y_new)
ahead = band(scores, "difference", by="fit", over="subject", interval="t")
print(ahead[["fit", "mean", "lower", "upper"]].round(4).to_string(index=False))

# %%
# What do they say of histories?
# ------------------------------
# The same trial, a correct choice of an easy stimulus, after runs of rewarded and of unrewarded
# trials: by the true rule it teaches the more, the longer it has gone well, and nothing after four
# failures. The RNN has found that out; to the DNN all are one.

table = history_table(fits, X)
rightward = table[(table["stimulus"] == 1) & (table["choice"] == "right")]
runs = rightward.pivot_table("update_stimulus", ["fit", "length"], "run", sort=False) * 1000
runs["difference"] = runs["rewarded"] - runs["unrewarded"]
print("The update of the stimulus weight, times 1000, after a run of so many trials:\n")
print(runs.round(2).to_string())
HistoryDisplay(table[table["length"].isin([1, 4])]).plot()
plt.show()
