"""Searches of other libraries take the estimators as they are."""

from __future__ import annotations

import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

SHARES = [0.0, 0.2, 0.4]
RULE = lr.ReinforceRuleEstimator(baseline=None)


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 120, random_state=0))[:2]


def test_a_study_of_optuna_finds_what_a_grid_of_scikit_learns_finds(cohort):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    cv = lr.SubjectKFold(2)

    def held_out(trial):
        rule = RULE.set_params(lapses=trial.suggest_categorical("lapses", SHARES))
        return cross_val_score(rule, *cohort, cv=cv).mean()

    sampler = optuna.samplers.GridSampler({"lapses": SHARES}, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(held_out, n_trials=len(SHARES))
    grid = GridSearchCV(RULE, {"lapses": SHARES}, cv=cv).fit(*cohort)
    assert study.best_params == grid.best_params_
    assert study.best_value == pytest.approx(grid.best_score_, abs=1e-12)
