"""A simulated cohort that learns by REINFORCE: the true rule against rules and classifiers.

python benchmarks/rivals.py
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.metrics import log_likelihood

RIVALS = {
    "REINFORCE, free baseline": lr.ReinforceRuleEstimator(),
    "DNN": lr.DNNRuleEstimator(random_state=0),
    "RNN": lr.RNNRuleEstimator(random_state=0),
    "constant": lr.ConstantRuleEstimator(),
    "logistic regression": LogisticRegression(),
    "gradient boosting": HistGradientBoostingClassifier(random_state=0),
}


def main() -> None:
    trials, weights = make_learning_cohort(15, 800, random_state=3, return_weights=True)
    X, y, _ = lr.make_design(trials)
    cv = lr.SubjectKFold(5)
    logits = weights["stimulus"] * X["stimulus"] + weights["bias"]
    tests = [test for _, test in cv.split(X)]
    truth = np.array([log_likelihood(y.iloc[test] == "right", logits.iloc[test]) for test in tests])
    print("| model | held-out nats per trial | below the true rule |\n|---|---|---|")
    print(f"| the true rule | {truth.mean():.4f} | 0 |")
    for name, estimator in RIVALS.items():
        score = cross_val_score(estimator, X, y, cv=cv, scoring="neg_log_loss")
        print(f"| {name} | {score.mean():.4f} | {(truth - score).mean():.4f} |", flush=True)


if __name__ == "__main__":
    main()
