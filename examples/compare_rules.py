"""
Which learning rule predicts held-out animals best?
===================================================

Here of simulated mice, so that the truth is known: they learn by REINFORCE. Two networks, which
know no equation, should predict new mice as well as the true rule does; a policy that never
changes should not.

In a shell::

    python examples/compare_rules.py          # a minute or two
    python examples/compare_rules.py --quick  # few trials: a test, no science
"""

# %%
# A table of trials
# -----------------
# One row a trial: the animal, the session, what it saw, what it chose, what it got.

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.plotting import ComparisonDisplay

quick = "--quick" in sys.argv
n_mice, n_trials, n_epochs, n_folds, n_jobs = (6, 100, 3, 2, 1) if quick else (15, 1000, 60, 5, 2)
trials = make_learning_cohort(n_subjects=n_mice, n_trials=n_trials, random_state=1)
X, y, _ = lr.make_design(trials)
print(trials.head(3).to_string(index=False))
print(f"\n{len(X)} trials of {n_mice} mice. The true rule: REINFORCE.")

# %%
# The rules
# ---------
# "constant" is a policy that stays as it is. The networks are trained for a tenth of the default
# time, which is enough for the ranking.

brief: dict[str, Any] = {"n_ensemble": 1, "max_epochs": n_epochs, "lr": 3e-3, "random_state": 0}
rules = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(**brief),
    "RNN": lr.RNNRuleEstimator(**brief),
}

# %%
# Who predicts mice that it has not seen?
# ---------------------------------------
# Every rule is fitted to four fifths of the mice and predicts the others, in turn. Log-likelihoods
# are in nats per trial (a coin: -0.693), differences from REINFORCE.

scores = lr.compare_rules(rules, X, y, cv=n_folds, n_jobs=n_jobs)
print(lr.rank_rules(scores).round(4).to_string())

# %%
# A difference is of the same mice, mouse by mouse. Accuracies are alike, likelihoods are not: the
# constant policy chooses the right side, but does not know how sure a mice is by then.

ComparisonDisplay.from_scores(scores)
plt.show()
