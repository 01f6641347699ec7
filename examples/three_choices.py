"""
Three choices, learned anew
===========================

A rat faces three ports, one of which is lit, and pokes one of them. Every block it has to find out
anew that the lit one pays. These rats learn what each port is worth, and forget a little with each
trial. Now and then they miss a trial. We see only what they did: do they forget, and how much?

In a shell::

    python examples/three_choices.py                     # half a minute
    python examples/three_choices.py rlwm_collins.csv.gz # people who learn pictures; two minutes
    python examples/three_choices.py --quick             # few trials: a test, no science
"""

# %%
# Rats, or people
# ---------------
# With a file of Collins's RLWM task there are 40 people in place of the rats. A picture is shown,
# and one of three keys is right; each block has new pictures. Nobody knows their true rule.

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import QLearningRule
from sklearn_learnrule.simulation import simulate

quick = "--quick" in sys.argv
files = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
TRUTH = {"learning_rate": 0.15, "inverse_temperature": 4.0, "forgetting": 0.02}


def simulate_rats() -> pd.DataFrame:
    """Return trials of rats that learn by Q-learning, and forget."""
    n_rats, n_trials = (6, 60) if quick else (12, 600)
    rule = QLearningRule(  # of two sets of four weights: three ports and the bias
        8,
        n_choices=3,
        learning_rate=TRUTH["learning_rate"],
        inverse_temperature=TRUTH["inverse_temperature"],
        forgetting=True,
        initial_forgetting=TRUTH["forgetting"],
    )
    how: Any = {"n_blocks": 4, "miss_rate": 0.1, "random_state": 0}
    return make_learning_cohort(n_rats, n_trials, n_choices=3, rule=rule, **how)


def read_people(path: str) -> pd.DataFrame:
    """Return trials of 40 people; there are up to six pictures."""
    people = pd.read_csv(path)
    people = people[people["subject"].isin(people["subject"].unique()[::3])]
    keys = {1: "first key", 2: "second key", 3: "third key"}
    table = {
        "subject": people["subject"],
        "session": 1,
        "block": people["block"],
        "stimulus": people["stimulus"].astype("category"),  # a name, though a number
        "choice": people["action"].map(keys),  # missing where one was missed
        "answer": people["correct_action"].map(keys),
        "reward": people["correct"] - 1 / 3,  # above what guessing earns
    }
    return pd.DataFrame(table).reset_index(drop=True)


trials = read_people(files[0]) if files else simulate_rats()
stimuli = trials.filter(like="stimulus").columns.tolist()
X, y, _ = lr.make_design(trials, stimulus=stimuli, restart="block", missed="count")
print(trials[[*stimuli, "choice", "answer", "reward"]].head(4).to_string(), "\n")
n_missed = trials["choice"].isna().sum()
print(f"{len(X)} choices of {trials['subject'].nunique()} animals; they missed {n_missed}.\n")

# %%
# Which rule?
# -----------
# Of three choices, chance is log(1/3) = -1.10 nats per trial.

rules = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(),
    "Q-learning": lr.QLearningRuleEstimator(),
    "Q-learning, forgetting": lr.QLearningRuleEstimator(forgetting=True),
}
scores = lr.compare_rules(rules, X, y, cv=2 if quick else 4)
columns = ["log_likelihood", "difference", "p_value", "accuracy"]
print(lr.rank_rules(scores, "Q-learning")[columns].round(4).to_string(), "\n")

# %%
# How much is forgotten?
# ----------------------
# The rats' true numbers are the same for all stimuli.

rule = rules["Q-learning, forgetting"].fit(X, y)
found = rule.summary_.loc[lambda table: table["parameter"].isin(TRUTH)]
found = found.assign(truth=np.nan if files else found["parameter"].map(TRUTH))
shown = ["parameter", "weight", "truth", "estimate", "lower", "upper"]
print(found[shown].round(3).to_string(index=False), "\n")

# %%
# Do its twins learn like them?
# -----------------------------
# Twins choose by themselves, on the same stimuli. The policy has a set of weights for each choice
# but the first; these are the last animal's before its last trial.

print(rule.predict_weights(X).iloc[-1].unstack()[rule.weight_names_].round(2).to_string())
table = trials[trials["choice"].notna()].rename(columns={"block": "restart"})
twins = simulate(rule, table.drop(columns="reward"), reward=sorted(table["reward"].unique()))

fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for name, did, style in (("animals", table, "ko"), ("twins", twins, "C0-")):
    place = did.groupby(["subject", "restart"]).cumcount()
    correct = (did["choice"] == did["answer"]).groupby(place // 5 * 5 + 3).mean()
    ax.plot(correct.loc[:60], style, label=name)
ax.set(xlabel="trial of the block", ylabel="share of correct choices")
ax.axhline(1 / 3, color="0.7", linewidth=1)
ax.legend(frameon=False)
plt.show()
