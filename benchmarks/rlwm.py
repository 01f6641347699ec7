"""People who learn which of three actions goes with which picture, a new problem each block.

python benchmarks/rlwm.py rlwm_collins.csv.gz

Folds are by person. Beside the package's rules stands a Q-learner with no working memory, one loop
in NumPy. Rewards are told less 1/3, so that values begin at, and fade to, what guessing earns.
"""

from __future__ import annotations

import argparse
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

import sklearn_learnrule as lr

N_ACTIONS, N_PICTURES = 3, 6
CHANCE = -np.log(N_ACTIONS)
PICTURES = [f"picture_{i + 1}" for i in range(N_PICTURES)]
RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(unlearned=["bias"]),
    "Q-learning": lr.QLearningRuleEstimator(unlearned=["bias"]),
    "Q-learning, forgetting": lr.QLearningRuleEstimator(forgetting=True, unlearned=["bias"]),
    "RNN": lr.RNNRuleEstimator(n_ensemble=2, max_epochs=60, mirror=False, random_state=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="rlwm_collins.csv.gz")
    parser.add_argument("--people", type=int, help="so many of them; default: all")
    options = parser.parse_args()
    trials = read_people(options.path, options.people)
    X, y = make_people_design(trials)
    made = trials[trials["choice"].notna()]
    cv, size = lr.SubjectKFold(5), made["set_size"].to_numpy()
    print(f"{made['subject'].nunique()} people, {len(X)} choices, {len(trials) - len(X)} misses.\n")
    columns = ["nats per trial", "bits above chance", *(f"{n} pictures" for n in np.unique(size))]
    print("| model | " + " | ".join([*columns, "s"]) + " |\n|" + "---|" * (len(columns) + 2))
    models = {"loop in NumPy": None, **RULES}
    for name, rule in models.items():
        start = perf_counter()
        score = loop_scores(made, cv.split(X)) if rule is None else rule_scores(rule, X, y, cv)
        seconds = perf_counter() - start
        by_size = pd.Series(score).groupby(size).mean()
        row = [f"{score.mean():.4f}", f"{(score.mean() - CHANCE) / np.log(2):.3f}"]
        row += [f"{each:.3f}" for each in by_size]
        print(f"| {name} | " + " | ".join([*row, f"{seconds:.0f}"]) + " |", flush=True)
    forgets = RULES["Q-learning, forgetting"].fit(X, y)
    print(f"\nForgotten a trial, picture by picture: {forgets.forgetting_.round(3)}.")


def read_people(path: str, n_people: int | None = None) -> pd.DataFrame:
    """Return the trials, each picture's column of 0 and 1 beside the rest; choices may be missing.

    Some people are taken evenly from all, who are of two experiments.
    """
    trials = pd.read_csv(path)
    people = trials["subject"].unique()
    if n_people is not None:
        people = people[np.linspace(0, len(people) - 1, n_people).round().astype(int)]
    trials = trials[trials["subject"].isin(people)].reset_index(drop=True)
    for i, name in enumerate(PICTURES):
        trials[name] = (trials["stimulus"] == i + 1).astype(float)
    trials["choice"] = trials["action"].map({1: "first", 2: "second", 3: "third"})
    trials["reward"] = trials["correct"] - 1 / N_ACTIONS
    return trials


def make_people_design(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return X and y. What was correct is not told: after an error nobody tells people either."""
    how: Any = {"session": None, "restart": "block", "missed": "count"}
    return lr.make_design(trials, stimulus=PICTURES, **how)[:2]


def rule_scores(rule: Any, X: pd.DataFrame, y: pd.Series, cv: Any) -> NDArray[Any]:
    """Return each choice's log-likelihood by a rule that was fitted to other people."""
    p = cross_val_predict(rule, X, y, cv=cv, method="predict_proba")
    return np.log(p[np.arange(len(y)), np.unique(y, return_inverse=True)[1]])


def loop_scores(trials: pd.DataFrame, folds: Any) -> NDArray[Any]:
    """Return the same by the loop, with one alpha, beta and forgetting for all pictures."""
    score, of_all = np.zeros(len(trials)), partial(loop_log_likelihood, trials)
    for train, test in folds:
        fit = minimize(
            lambda x, rows: -of_all(*x)[rows].mean(),
            (0.3, 5.0, 0.05),
            args=(train,),
            bounds=[(1e-3, 0.999), (0.1, 50), (0, 0.9)],
        )
        score[test] = of_all(*fit.x)[test]
    return score


def loop_log_likelihood(
    trials: pd.DataFrame, alpha: ArrayLike, beta: float, forgetting: float
) -> NDArray[Any]:
    """Return each choice's log-likelihood by Q-learning of actions, picture by picture.

    A value goes to the reward by alpha, one for all or for each picture; then all values fade.
    """
    rates = np.broadcast_to(alpha, N_PICTURES)
    choice = np.unique(trials["choice"], return_inverse=True)[1]
    columns = (trials[name].to_numpy() for name in ("subject", "block", "stimulus", "reward"))
    score, last = np.zeros(len(trials)), None
    for t, (person, block, picture, reward) in enumerate(zip(*columns, strict=True)):
        if (person, block) != last:
            q, last = np.zeros((N_PICTURES, N_ACTIONS)), (person, block)
        at = picture - 1, choice[t]
        score[t] = log_softmax(beta * q[at[0]])[at[1]]
        surprise = reward - q[at]
        q *= 1 - forgetting
        q[at] += rates[at[0]] * surprise
    return score


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
