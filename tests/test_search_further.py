"""Searches of other libraries take the estimators as they are."""

from __future__ import annotations

import pytest
from helpers import BRIEFLY_TRAINED
from sklearn.model_selection import cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

pytestmark = BRIEFLY_TRAINED


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 120, random_state=0))[:2]


def test_a_study_of_optuna_finds_the_setting_that_scores_best_on_held_out_animals(cohort):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = cohort

    def held_out(trial):
        share = trial.suggest_float("lapses", 0.0, 0.4, step=0.2)
        rule = lr.ReinforceRuleEstimator(baseline=None, lapses=share)
        return cross_val_score(rule, X, y, cv=lr.SubjectKFold(2)).mean()

    sampler = optuna.samplers.GridSampler({"lapses": [0.0, 0.2, 0.4]}, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(held_out, n_trials=3)
    assert study.best_params == {"lapses": 0.0}  # simulated animals without lapses
    assert study.best_value == max(trial.value for trial in study.trials)
