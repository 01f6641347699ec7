"""The recovery benchmark: its cohorts, its metric, and a run that goes on."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from scipy.special import expit

from sklearn_learnrule.rules import ReinforceRule

pytestmark = BRIEFLY_TRAINED

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SOME = ["base", "noise 1", "1 distractors", "mixed", "history, RNN", "history, true form"]


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's modules, found as a script finds those beside it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _recovery_cohorts
    import _recovery_tables
    import recovery

    return SimpleNamespace(
        cohorts=_recovery_cohorts,
        tables=_recovery_tables,
        recovery=recovery,
    )


def fitted(rule):
    """What the metric reads of an estimator that has inferred this rule."""
    return SimpleNamespace(net_=SimpleNamespace(module_=SimpleNamespace(rule=rule)))


def test_the_true_rule_has_no_error_and_no_learning_has_the_rules_own_size(modules):
    cohort = modules.cohorts.Cohort(learning_rate=0.1, n_distractors=2)
    true = ReinforceRule(5, learning_rate=[0.1, 0, 0, 0, 0])
    measured = modules.recovery.error(fitted(true), cohort, pd.DataFrame())
    assert measured["RMSE"] < 1e-8

    steps = np.arange(-2, 2.1, 0.25)
    axes = (steps[steps != 0], (0, 1), steps, (-1, 0, 1))
    s, y, w, b = (axis.ravel() for axis in np.meshgrid(*axes))
    update = 0.1 * (y == (s > 0)) * (y - expit(w * s + b)) * s
    assert len(update) == 16 * 2 * 17 * 3
    assert measured["RMSE of no learning"] == pytest.approx(np.sqrt((update**2).mean()))


def test_a_rule_halfway_between_two_is_halfway(modules):
    cohort = modules.recovery.MIXED
    first, second = (cohort.true_rule(name) for name in cohort.rules)

    class Between(torch.nn.Module):
        def forward(self, weights, trial, memory):
            two = torch.stack([weights[:, 0], trial.features[:, 1]], -1)  # weight and bias
            trial = replace(trial, features=trial.features[:, [0, 2]])
            return (first(two, trial, memory)[0] + second(two, trial, memory)[0]) / 2, memory

        initial_memory = ReinforceRule(2).initial_memory

    measured = modules.recovery.place_between(fitted(Between()), cohort, pd.DataFrame())
    assert measured["place"] == pytest.approx(0.5)
    assert measured["RMSE to the place between"] < 1e-8


def test_animals_are_those_of_the_paper(modules):
    cohort = modules.cohorts.Cohort(n_animals=60, n_trials=100)
    X, y = modules.cohorts.simulate(cohort, seed=0)
    assert set(X["stimulus"]) == {k / 4 for k in range(-8, 9) if k}
    by_animal = X.groupby("subject")["own_bias"]
    assert (by_animal.nunique() == 1).all()
    assert by_animal.first().value_counts().to_dict() == {-1.0: 20, 0.0: 20, 1.0: 20}
    first = X.index.get_level_values("trial") == 0
    strong = first & (X["stimulus"].abs() > 1)
    sides = np.sign(X["stimulus"][strong]) == 2 * y[strong] - 1
    assert sides.mean() < 0.3  # the weight starts at -2


def test_only_the_stimulus_weight_learns(modules):
    cohort = modules.cohorts.Cohort(n_animals=4, n_trials=40, n_distractors=1)
    X, y = modules.cohorts.simulate(cohort, seed=0)
    fit = modules.recovery.Fit(cohort)
    estimator = modules.recovery.our_training(fit).set_params(max_epochs=3, random_state=0)
    weights = estimator.fit(X, y).predict_weights(X)
    assert (weights[["own_bias", "distractor_0", "bias"]] == [1.0, 0.0, 0.0]).all(axis=None)
    assert weights["stimulus"].nunique() > 40
    assert estimator.initial_weights_[0] != -2.0


def test_distractors_count_as_error_if_they_matter(modules):
    class Distracted(ReinforceRule):
        def forward(self, weights, trial, memory):
            update, memory = super().forward(weights, trial, memory)
            return update + 0.01 * trial.features[:, 2:3], memory

    cohort = modules.cohorts.Cohort(n_distractors=1)
    rule = Distracted(4, learning_rate=[cohort.learning_rate, 0, 0, 0])
    rmse = modules.recovery.error(fitted(rule), cohort, pd.DataFrame())["RMSE"]
    assert rmse == pytest.approx(0.01, rel=0.1)


def test_noise_moves_the_stimulus_weight_alone(modules):
    cohort = modules.cohorts.Cohort(n_animals=4, n_trials=60)
    X, y = modules.cohorts.simulate(cohort, seed=0)
    fit = modules.recovery.Fit(cohort, ours=modules.recovery.FILTERED)
    estimator = modules.recovery.our_training(fit).set_params(max_epochs=2, random_state=0)
    weights = estimator.fit(X, y).predict_weights(X)
    assert estimator.process_noise_[0] > 0
    assert (estimator.process_noise_[1:] == 0).all()
    np.testing.assert_allclose(weights["own_bias"], 1.0, atol=1e-6)
    np.testing.assert_allclose(weights["bias"], 0.0, atol=1e-6)


def test_choices_are_shown_with_what_new_animals_say(modules):
    columns = ["fit", "training", "seed", "measure", "value", "seconds"]
    rows = [
        (fit, "ours", 0, measure, value, 1.0)
        for fit, values in (("start 2", (0.03, -0.25)), ("start 2, smooth", (0.02, -0.26)))
        for measure, value in zip(("RMSE", modules.tables.SCORE), values, strict=True)
    ]
    rows += [("start 2", "ours", 0, "RMSE of no learning", 0.03, 1.0)]
    table = modules.tables.choices_table(
        pd.DataFrame(rows, columns=columns).pivot_table("value", ["fit", "training"], "measure")
    )
    assert "| start 2 | 0.0300 | -0.250000 |\n| start 2, smooth | 0.0200 | -0.260000 |" in table


def test_a_quick_run_goes_on_where_it_was_and_shows_its_table(
    modules, monkeypatch, tmp_path, capsys
):
    results = tmp_path / "results.csv"
    command = ["recovery.py", "--quick", "--jobs", "1", "--results", str(results), "--fits"]
    monkeypatch.setattr(sys, "argv", [*command, *SOME])
    modules.recovery.main()
    printed = capsys.readouterr().out
    for text in ("Table 3", "Table 4", "Table 6", "Fig. 11", "Fig. 3", "history, RNN, ours"):
        assert text in printed
    assert results.with_suffix(".png").exists()

    whole = pd.read_csv(results)
    done = {tuple(key) for key in whole[["fit", "training"]].to_numpy()}
    assert done == {(name, how) for name in SOME[:5] for how in ("paper", "ours")} | {
        (SOME[5], "true form")
    }
    whole[whole["fit"] != "base"].to_csv(results, index=False)
    modules.recovery.main()
    again = pd.read_csv(results)
    assert again.tail(4)["fit"].eq("base").all()
    key = ["fit", "training", "measure"]
    pd.testing.assert_series_equal(
        again.set_index(key)["value"].sort_index(), whole.set_index(key)["value"].sort_index()
    )


def test_what_reaches_the_published_value_is_bold(modules):
    def row(training, rmse):
        return ("base", training, 0, "RMSE", rmse, 1.0)

    columns = ["fit", "training", "seed", "measure", "value", "seconds"]
    results = pd.DataFrame([row("paper", 0.0131), row("ours", 0.0130)], columns=columns)
    results = pd.concat([results, results.assign(measure="RMSE of no learning", value=0.03)])
    table = modules.tables.render(results)
    assert "| -2 | 0.0130 | 0.0131 | 1 | **0.0130** | 1 | 0.0300 |" in table
