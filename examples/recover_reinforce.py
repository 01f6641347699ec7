"""
Would I get the rule back?
==========================

Mice learn by a REINFORCE that we know; we see only their choices. First the right equation is
fitted, and its numbers are set beside the true ones. Then a network that knows no equation is, and
its update is set beside the true one, curve by curve. That takes hundreds of mice: what a single
reward does shows only in the few choices that follow it. What as many as you have would show,
``sklearn_learnrule.recovery`` tells.

In a shell::

    python examples/recover_reinforce.py          # a minute or two
    python examples/recover_reinforce.py --quick  # few trials: a test, no science
"""

# %%
# Mice of a known rule
# --------------------

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import nearest_rules, update_table
from sklearn_learnrule.rules import ReinforceRule

TRUTH = {  # of the stimulus weight and of the bias
    "learning_rate": (0.1, 0.06),
    "baseline": (-0.5, -0.5),  # below 0: choices are strengthened after errors, too
    "initial_weights": (-1.0, 0.0),  # at first they go to the wrong side
}
CONTRASTS = ((1.0, 0.2, 0.1, 0.05),)  # after the tanh, 1 to .24

quick = "--quick" in sys.argv
n_mice, n_trials, n_epochs = (8, 100, 3) if quick else (400, 200, 40)
trials = make_learning_cohort(
    n_mice,
    n_trials,
    rule=ReinforceRule(
        2, "free", learning_rate=TRUTH["learning_rate"], initial_baseline=TRUTH["baseline"]
    ),
    initial_weights=TRUTH["initial_weights"],
    curriculum=CONTRASTS,
    random_state=0,
)
X, y, _ = lr.make_design(trials)

# %%
# The equation is known
# ---------------------
# Then its numbers come back, and the intervals say how well.

print(f"{n_mice} mice, {len(X)} trials:\n")
summary = lr.ReinforceRuleEstimator().fit(X, y).summary_
summary.insert(2, "truth", np.concatenate([*TRUTH.values()]))
summary["covered"] = summary["truth"].between(summary["lower"], summary["upper"])
columns = ["parameter", "weight", "truth", "estimate", "standard_error", "covered"]
print(summary[columns].round(4).to_string(index=False))

# %%
# Nothing is known
# ----------------
# A network is fitted to the same choices. ``nearest_rules`` fits every textbook rule to the updates
# that it makes.

network = lr.DNNRuleEstimator(
    batch_size=25,  # of many mice: far more steps an epoch
    lr=0.01,
    max_epochs=n_epochs,
    n_ensemble=1,
    weight_decay=0.03,
    session_input=False,
    mirror=True,  # both sides are learned alike
    random_state=0,
    verbose=1,
).fit(X, y)
near = nearest_rules(network, X)
print("The textbook rules nearest to the network:\n")
print(near[near["weight"] == "all"][["rule", "r2"]].round(3).to_string(index=False))
print("\nand the parameters with which REINFORCE is so near:\n")
found = near[(near["rule"] == "REINFORCE") & (near["weight"] != "all")]
print(found[["weight", "r2", "learning_rate", "baseline"]].round(3).to_string(index=False))

# %%
# Curve by curve
# --------------
# The network's update of the stimulus weight beside the true one, where mice have been.

SHOWN: Any = {"stimulus": [-1.0, 0.0, 1.0], "bias": 0.0}  # weights: updates are compared there


def true_update(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return what REINFORCE does to the stimulus weight: alpha (r - b) (y - p) s."""
    alpha, b = TRUTH["learning_rate"][0], TRUTH["baseline"][0]
    logit = table["weight_stimulus"] * table["stimulus"] + table["weight_bias"]
    error = (table["choice"] == "right") - 1 / (1 + np.exp(-logit))  # y - p
    return (alpha * (table["reward"] - b) * error * table["stimulus"]).to_numpy()


table = update_table(network, X, weights=SHOWN).assign(true_update=true_update)
lived = table[table["n_trials"] > 0]
right = lived[lived["stimulus"] > 0].rename(columns={"update_stimulus": "network"})
right = right.set_index(["correct", "stimulus", "weight_stimulus"])
print("The update times 1000, stimulus on the right:\n")
print((right[["true_update", "network"]] * 1000).unstack().round(1).to_string())
error = np.sqrt(((lived["update_stimulus"] - lived["true_update"]) ** 2).mean())
size = np.sqrt((lived["true_update"] ** 2).mean())
print(f"\nThe curves lie {error * 1000:.2f} apart, of {size * 1000:.2f} (root mean squares).")

# %%
# Lines are the truth; dots are the network's, filled after correct choices.

figure, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
for weight, color in zip(SHOWN["stimulus"], ("#0072B2", "#009E73", "#D55E00"), strict=True):
    for (correct, _), line in lived[lived["weight_stimulus"] == weight].groupby(
        ["correct", "choice"]
    ):
        x, dashes = line["stimulus"], "-" if correct else "--"
        ax.plot(x, line["true_update"], dashes, color=color)
        ax.plot(x, line["update_stimulus"], "o", color=color, mfc=color if correct else "white")
    ax.plot([], [], color=color, label=f"weight = {weight:g}")
styles = {"truth, after correct": "k-", "truth, after error": "k--", "network": "ko"}
for name, style in styles.items():
    ax.plot([], [], style, label=name)
ax.set(xlabel="stimulus", ylabel="update of the stimulus weight\n(per trial)")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside right upper", frameon=False)
plt.show()
