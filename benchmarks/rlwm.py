"""People who learn which of three actions goes with which picture, a new problem each block.

python benchmarks/rlwm.py rlwm_collins.csv.gz

Folds are by person. Beside the package's rules stands a Q-learner with no working memory, one loop
in NumPy. Rewards are told less 1/3, so that values begin at, and fade to, what guessing earns. As
pictures and actions have no names that mean anything, the network is fitted to copies of people in
which these are dealt out anew in each block.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import clone
from threadpoolctl import threadpool_limits

import sklearn_learnrule as lr

N_ACTIONS, N_PICTURES, N_FOLDS = 3, 6, 5
CHANCE = -np.log(N_ACTIONS)
PICTURES = [f"picture_{i + 1}" for i in range(N_PICTURES)]
ACTIONS = ["first", "second", "third"]
LOOP, N_COPIES = "loop in NumPy", 4
NETWORK = {"n_ensemble": 1, "batch_size": 4, "lr": 0.01, "max_epochs": 20, "random_state": 0}
RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(unlearned=["bias"]),
    "Q-learning": lr.QLearningRuleEstimator(unlearned=["bias"]),
    "Q-learning, forgetting": lr.QLearningRuleEstimator(forgetting=True, unlearned=["bias"]),
    "RNN": lr.RNNRuleEstimator(**NETWORK, mirror=False),
    "RNN, keys alike": lr.RNNRuleEstimator(**NETWORK, mirror=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="rlwm_collins.csv.gz")
    parser.add_argument("--people", type=int, help="so many of them; default: all")
    parser.add_argument("--models", nargs="+", default=[LOOP, *RULES], choices=[LOOP, *RULES])
    options = parser.parse_args()
    trials = read_people(options.path, options.people)
    made = trials[trials["choice"].notna()]
    size = made["set_size"].to_numpy()
    n_missed = len(trials) - len(made)
    print(f"{made['subject'].nunique()} people, {len(made)} choices, {n_missed} misses.\n")
    columns = ["nats per trial", "bits above chance", *(f"{n} pictures" for n in np.unique(size))]
    print("| model | " + " | ".join([*columns, "s"]) + " |\n|" + "---|" * (len(columns) + 2))
    for name in options.models:
        start = perf_counter()
        score = loop_scores(trials) if name == LOOP else rule_scores(RULES[name], trials)
        seconds = perf_counter() - start
        by_size = pd.Series(score).groupby(size).mean()
        row = [f"{score.mean():.4f}", f"{(score.mean() - CHANCE) / np.log(2):.3f}"]
        row += [f"{each:.3f}" for each in by_size]
        print(f"| {name} | " + " | ".join([*row, f"{seconds:.0f}"]) + " |", flush=True)


def read_people(path: str, n_people: int | None = None) -> pd.DataFrame:
    """Return the trials, each picture's column of 0 and 1 beside the rest; choices may be missing.

    Some people are taken evenly from all, who are of two experiments.
    """
    trials = pd.read_csv(path).astype({"action": int})
    people = trials["subject"].unique()
    if n_people is not None:
        people = people[np.linspace(0, len(people) - 1, n_people).round().astype(int)]
    trials = trials[trials["subject"].isin(people)].reset_index(drop=True)
    for i, name in enumerate(PICTURES):
        trials[name] = (trials["stimulus"] == i + 1).astype(float)
    trials["choice"] = trials["action"].map(dict(enumerate(ACTIONS, 1)))
    trials["reward"] = trials["correct"] - 1 / N_ACTIONS
    return trials


def make_people_design(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return X and y. What was correct is not told: after an error nobody tells people either."""
    how: Any = {"session": None, "restart": "block", "missed": "count"}
    return lr.make_design(trials, stimulus=PICTURES, **how)[:2]


def folds(trials: pd.DataFrame) -> Iterable[tuple[pd.DataFrame, pd.DataFrame, NDArray[Any]]]:
    """Yield some people's trials, the others', and where these have their choices, (n_rows,)."""
    made = trials["choice"].notna().to_numpy()
    X, _ = make_people_design(trials)
    for _, test in lr.SubjectKFold(N_FOLDS).split(X):
        theirs = trials["subject"].isin(X.index[test].unique("subject"))
        yield trials[~theirs], trials[theirs], theirs[made].to_numpy()


def rule_scores(rule: Any, trials: pd.DataFrame) -> NDArray[Any]:
    """Return each choice's log-likelihood by a rule that was fitted to other people."""
    score = np.zeros(trials["choice"].notna().sum())
    for train, test, where in folds(trials):
        if isinstance(rule, lr.RNNRuleEstimator):
            train = dealt_anew(train)
        fitted = clone(rule).fit(*make_people_design(train))
        X, y = make_people_design(test)
        p = fitted.predict_proba(X)
        score[where] = np.log(p[np.arange(len(y)), y.map(ACTIONS.index)])
    return score


def dealt_anew(trials: pd.DataFrame) -> pd.DataFrame:
    """Return copies of people, with other pictures and actions in place of theirs in each block."""
    rng, copies = np.random.RandomState(0), []
    block = trials.groupby(["subject", "block"]).ngroup()
    picture, made = trials["stimulus"].to_numpy() - 1, trials["choice"].notna()
    action = trials["action"].where(made, 1).to_numpy() - 1
    for copy in range(N_COPIES):
        pictures, actions = (
            rng.random_sample((block.max() + 1, n)).argsort(axis=1) for n in (N_PICTURES, N_ACTIONS)
        )
        shown = pd.DataFrame(np.eye(N_PICTURES)[pictures[block, picture]], trials.index, PICTURES)
        done = pd.Series(np.take(ACTIONS, actions[block, action]), trials.index).where(made)
        names = trials["subject"] + f", {copy}"
        copies.append(trials.assign(**shown, choice=done, subject=names))
    return pd.concat(copies, ignore_index=True)


def loop_scores(trials: pd.DataFrame) -> NDArray[Any]:
    """Return the same by the loop, with one alpha, beta and forgetting for all pictures."""
    score = np.zeros(trials["choice"].notna().sum())
    for train, test, where in folds(trials):
        fit = minimize(
            lambda x, train: -loop_log_likelihood(train, *x).mean(),
            (0.3, 5.0, 0.05),
            args=(train,),
            bounds=[(1e-3, 0.999), (0.1, 50), (0, 0.9)],
        )
        score[where] = loop_log_likelihood(test, *fit.x)
    return score


def loop_log_likelihood(
    trials: pd.DataFrame, alpha: ArrayLike, beta: float, forgetting: ArrayLike
) -> NDArray[Any]:
    """Return each choice's log-likelihood by Q-learning of actions, picture by picture.

    A value goes to the reward by alpha, and all values fade; one rate for all pictures, or each.
    """
    trials = trials[trials["choice"].notna()]
    rates, fades = (np.broadcast_to(rate, N_PICTURES) for rate in (alpha, forgetting))
    blocks = trials.groupby(["subject", "block"])
    block, place = blocks.ngroup().to_numpy(), blocks.cumcount().to_numpy()
    picture, reward = trials["stimulus"].to_numpy() - 1, trials["reward"].to_numpy()
    choice = trials["choice"].map(ACTIONS.index).to_numpy()
    score, q = np.zeros(len(trials)), np.zeros((block.max() + 1, N_PICTURES, N_ACTIONS))
    for t in range(place.max() + 1):
        now = place == t  # of all blocks that are so long
        b, seen, chosen = block[now], picture[now], choice[now]
        logits = beta * q[b, seen]
        score[now] = np.take_along_axis(log_softmax(logits, axis=1), chosen[:, None], 1)[:, 0]
        surprise = reward[now] - q[b, seen, chosen]
        q[b] *= 1 - fades[:, None]
        q[b, seen, chosen] += rates[seen] * surprise
    return score


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
