"""
Who learns faster?
==================

Ten mice are wild, ten are knock-outs. No two mice learn equally fast, and knock-outs learn at half
the rate of the wild ones on average. We see only their choices: which mouse is fast, do the
knock-outs learn more slowly, and would fewer mice have shown it?

In a shell::

    python examples/who_learns_faster.py          # a minute or two
    python examples/who_learns_faster.py --quick  # few trials: a test, no science
"""

# %%
# Mice of their own
# -----------------
# Each has a learning rate of its own: that of its genotype, times a factor that is by chance.

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import compare_groups
from sklearn_learnrule.plotting import SubjectEffectsDisplay
from sklearn_learnrule.recovery import group_power
from sklearn_learnrule.rules import ReinforceRule

quick = "--quick" in sys.argv
n_mice, n_trials, n_repeats, n_jobs = (8, 100, 1, 1) if quick else (20, 400, 10, 2)
rng = np.random.default_rng(5)
names = [f"mouse_{i + 1:02d}" for i in range(n_mice)]
genotype = pd.Series(np.where(np.arange(n_mice) % 2, "ko", "wild"), names)
truth = pd.Series(rng.normal(0, 0.35, n_mice) - np.log(2) * (genotype == "ko"), names)

trials = make_learning_cohort(
    n_mice,
    n_trials,
    rule=ReinforceRule(2, None, learning_rate=0.05),
    subject_effects={"learning_rate": truth},  # logarithms of factors
    random_state=0,
)
trials["genotype"] = trials["subject"].map(genotype)
X, y, _ = lr.make_design(trials, covariates={"genotype": "wild"})  # that are compared with
print(f"{len(X)} trials of {n_mice} mice, of which half are knock-outs.\n")

# %%
# Does it matter?
# ---------------
# One rule for all mice, and one whose learning rate varies from mouse to mouse, predict mice that
# they have not seen. The second knows of such a mouse, before its first choice, only that it is one
# of these; its choices then tell which. Neither is told the genotype.

blind = X.drop(columns="covariate_genotype_ko_vs_wild")
rules = {
    "one rule": lr.ReinforceRuleEstimator(baseline=None),
    "each its own": lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]),
}
scores = lr.compare_rules(rules, blind, y, cv=2 if quick else 5, n_jobs=n_jobs)
columns = ["log_likelihood", "difference", "p_value"]
print(lr.rank_rules(scores, "one rule")[columns].round(4).to_string(), "\n")

# %%
# Who is who?
# -----------
# Factors of the learning rate, relative to the typical mouse, beside the true ones.

individual = rules["each its own"].fit(blind, y)
mean, std = individual.predict_subject_effects(blind, y, return_std=True)
who = pd.DataFrame(
    {
        "genotype": genotype,
        "truth": np.exp(truth - truth.mean()),
        "factor": np.exp(mean["learning_rate"]),
        "lower": np.exp(mean["learning_rate"] - 1.645 * std["learning_rate"]),
        "upper": np.exp(mean["learning_rate"] + 1.645 * std["learning_rate"]),
    }
)
covered = who["truth"].between(who["lower"], who["upper"])
print(who.sort_values("factor").round(2).to_string())
print(f"\nCorrelation with the truth: {np.corrcoef(mean['learning_rate'], truth)[0, 1]:.2f}")
print(f"The 90% interval holds the truth of {covered.sum()} mice of {n_mice}.\n")

# %%
# Do knock-outs learn more slowly?
# --------------------------------
# The same with the genotype. The true difference is log(1/2) = -0.69, a factor of a half; what
# these mice have by chance comes on top of it.

found = compare_groups(rules["each its own"], X, y, "genotype")
print(found)
of_these = truth.groupby(genotype).mean()
print(f"\nThe true difference of these mice: {of_these['ko'] - of_these['wild']:.2f}\n")

# %%
# Would half as many have been enough?
# ------------------------------------
# Cohorts of five mice in each group are simulated, which vary as the wild ones do, and whose second
# group learns at half the rate or just as fast. How often is a difference found?

is_wild = X["covariate_genotype_ko_vs_wild"] == 0
pilot = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
pilot.fit(blind[is_wild], y[is_wild])
power = group_power(
    pilot,
    blind[is_wild],
    n_subjects=n_mice // 4,
    difference=-np.log(2),
    n_repeats=n_repeats,
    random_state=0,
    n_jobs=n_jobs,
)
columns = ["n_subjects", "true_difference", "n_cohorts", "share_found", "lower", "upper"]
print(power.table[columns].round(2).to_string(index=False))

# %%
# Crosses are the truth.

display = SubjectEffectsDisplay.from_estimator(individual, blind, y, groups=genotype)
order = [label.get_text() for label in display.ax_.get_yticklabels()]
display.ax_.plot(who.loc[order, "truth"], range(n_mice), "kx", markersize=4)
plt.show()
