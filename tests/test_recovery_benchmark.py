"""The recovery benchmark: its cohorts, its metric, its filter, and a run that goes on."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from sklearn_learnrule.engine import unroll
from sklearn_learnrule.rules import DNNRule, ReinforceRule, Trial

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SOME = ["base", "noise 1", "1 distractors", "mixed", "history, RNN", "history, true form"]


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's modules, found as a script finds those beside it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _recovery_cohorts
    import _recovery_filter
    import _recovery_tables
    import recovery

    return SimpleNamespace(
        cohorts=_recovery_cohorts,
        filter=_recovery_filter,
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
            trial = trial._replace(features=trial.features[:, [0, 2]])
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


def test_without_noise_the_filter_is_the_rule_itself(modules):
    torch.manual_seed(0)
    learned = DNNRule(3, (8,), "tanh", session_input=False, answer_input=False).double()
    filtered = modules.filter.FilteredRule(learned, sigma=1e-9).double()
    features = torch.randn(2, 30, 3).double()
    trials = Trial(features, *(torch.rand(2, 30).round().double() for _ in range(4)))
    observed = torch.arange(30).expand(2, 30) < 29
    start = torch.zeros(2, 3).double()
    with torch.no_grad():
        ours, plain = (
            unroll(rule, start, trials, observed, engine="loop") for rule in (filtered, learned)
        )
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)


def test_the_filter_follows_a_drifting_weight_as_a_particle_filter_does(modules):
    """Of a weight that only drifts; the filter is Gaussian, so nearly."""
    rng = np.random.RandomState(0)
    sigma, x, n_particles = 0.2, rng.choice([-2.0, -1.0, 1.0, 2.0], 40), 40_000
    y = (rng.random_sample(40) < 0.7).astype(float)
    particles, means = np.zeros(n_particles), []
    for x_t, y_t in zip(x, y, strict=True):
        means.append(particles.mean())
        p = expit(particles * x_t)
        likelihood = np.where(y_t > 0, p, 1 - p)
        chosen = rng.choice(n_particles, n_particles, p=likelihood / likelihood.sum())
        particles = particles[chosen] + sigma * rng.standard_normal(n_particles)

    silent = ReinforceRule(2, learning_rate=0.0)
    filtered = modules.filter.FilteredRule(silent, sigma).double()
    features = torch.tensor(np.column_stack([x, np.ones(40)]))[None]
    rest = torch.zeros(1, 40, dtype=torch.float64)
    trials = Trial(features, torch.tensor(y)[None], rest, rest, rest)
    observed = torch.arange(40)[None] < 39
    with torch.no_grad():
        weights = unroll(filtered, torch.zeros(1, 2).double(), trials, observed, engine="loop")
    assert np.ptp(means) > 0.5
    np.testing.assert_allclose(weights[0, :, 0], means, atol=0.15)


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
