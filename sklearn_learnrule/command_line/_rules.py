"""The rules that may be named, and how they are to be fitted."""

from __future__ import annotations

import argparse
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from .. import estimators
from ..preprocessing import PolicyRegressors

RULES: dict[str, Any] = {
    "constant": estimators.ConstantRuleEstimator(),
    "REINFORCE": estimators.ReinforceRuleEstimator(),
    "REINFORCE, no baseline": estimators.ReinforceRuleEstimator(baseline=None),
    "RewardMax": estimators.RewardMaxRuleEstimator(),
    "PredictMax": estimators.PredictMaxRuleEstimator(),
    "eligibility": estimators.EligibilityRuleEstimator(),
    "Pearce-Hall": estimators.PearceHallRuleEstimator(),
    "actor-critic": estimators.ActorCriticRuleEstimator(),
    "Q-learning": estimators.QLearningRuleEstimator(),
    "DNN": estimators.DNNRuleEstimator(random_state=0),
    "RNN": estimators.RNNRuleEstimator(random_state=0),
}
NETWORKS = ("DNN", "RNN")
DEFAULT_RULES = ("constant", "REINFORCE", *NETWORKS)
# A tenth of the default training, or with drift a third: the ranking is clear by then.
BRIEF: dict[str, Any] = {"n_ensemble": 1, "max_epochs": 60, "lr": 3e-3}
BRIEF_WITH_DRIFT: dict[str, Any] = {"n_ensemble": 1}
TRACE_DECAY = 0.75  # of habits, as on mice: see docs/twelve_mice.md


def choose_rules(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the rules that are asked for, the reference among them, each to be fitted as asked."""
    rules = {}
    for name in dict.fromkeys([*arguments.rules, arguments.reference]):
        rule = clone(RULES[name])
        if arguments.drift:
            rule.set_params(process_noise="learned")
        if name in NETWORKS and not arguments.full:
            rule.set_params(**(BRIEF_WITH_DRIFT if arguments.drift else BRIEF))
        if arguments.habits:
            regressors = PolicyRegressors(trace_decay=TRACE_DECAY)
            rule = make_pipeline(regressors, rule.set_params(unlearned="habits"))
        rules[name] = rule
    return rules


def told_of_training(rules: dict[str, Any], arguments: argparse.Namespace) -> str | None:
    """Return what to tell of networks that are not trained in full, if there are any."""
    named = [name for name in rules if name in NETWORKS]
    if arguments.full or not named:
        return None
    times = "three times" if arguments.drift else "ten times"
    return f"{' and '.join(named)} trained briefly: --full takes {times} as long"
