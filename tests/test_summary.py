"""Truths about standard errors: closed forms, derivatives, coverage, and when to be silent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import all_estimators, estimator_name
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import sklearn_learnrule as lr
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators.base import BaseRuleEstimator
from sklearn_learnrule.rules import LearningRule, PredictMaxRule, ReinforceRule, choice_probability
from sklearn_learnrule.training.dataset import SequenceDataset
from sklearn_learnrule.training.standard_errors import LogLikelihood, derivatives

COLUMNS = [
    "parameter", "weight", "estimate", "standard_error", "robust_standard_error", "lower", "upper",
    "note",
]  # fmt: skip
NETWORKS = (lr.DNNRuleEstimator, lr.RNNRuleEstimator)
PARAMETRIC = [rule for rule in all_estimators() if not isinstance(rule, NETWORKS)]
STILL = [rule for rule in PARAMETRIC if rule.process_noise is None]  # else noise is at its bound, 0


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(8, 150, random_state=0))


@pytest.fixture(scope="module")
def reinforce(cohort):
    X, y, _ = cohort
    return lr.ReinforceRuleEstimator().fit(X, y)


def likelihood_of(rule, X, y, weight=None):
    """Return a fitted estimator's log-likelihood, by the loop, which can be derived twice."""
    weight = np.ones(len(y)) if weight is None else weight
    dataset = SequenceDataset(
        read_sequences(X),
        choice=(y == rule.classes_[1]).to_numpy(),
        weight=weight,
        dtype=torch.float64,
        device="cpu",
    )
    likelihood = LogLikelihood(rule.net_.module_, dataset)
    likelihood.model.engine = "loop"
    return likelihood


def by_autograd(likelihood: LogLikelihood) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's score (N, P) and the information (P, P), by autograd alone."""
    names = [name for name, p in likelihood.model.named_parameters() if p.requires_grad]
    shapes = [p.shape for p in likelihood.parameters]
    (block,) = likelihood.dataset.blocks
    choice, weight = block.target.choice, block.target.weight

    def subjects(vector: Tensor) -> Tensor:
        parts = vector.split([shape.numel() for shape in shapes])
        parameters = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        logits = torch.func.functional_call(
            likelihood.model, parameters, (block.trials, block.observed)
        )
        return -(binary_cross_entropy_with_logits(logits, choice, reduction="none") * weight).sum(1)

    scores = torch.autograd.functional.jacobian(subjects, likelihood.fitted, vectorize=True)
    hessian = torch.autograd.functional.hessian(lambda v: subjects(v).sum(), likelihood.fitted)
    return scores.numpy(), -hessian.numpy()


# ------------------------------------------------------------------ the numbers are right


def test_the_constant_rules_errors_are_those_of_logistic_regression():
    trials = make_learning_cohort(6, 200, random_state=0)
    trials["extra"] = np.random.RandomState(0).normal(size=len(trials))
    X, y, _ = lr.make_design(trials, stimulus=["stimulus", "extra"])
    weight = np.random.RandomState(1).uniform(0.5, 2, len(X))
    rule = lr.ConstantRuleEstimator().fit(X, y, sample_weight=weight)

    x = np.column_stack([X[["stimulus", "extra"]], np.ones(len(X))])
    p = expit(x @ rule.initial_weights_)
    covariance = np.linalg.inv((x * (weight * p * (1 - p))[:, None]).T @ x)
    scores = x * (weight * ((y == "right").to_numpy() - p))[:, None]
    scores = pd.DataFrame(scores, index=X.index).groupby("subject").sum().to_numpy()  # (N, K)
    sandwich = covariance @ (scores.T @ scores * 6 / 5) @ covariance
    summary = rule.summary_
    np.testing.assert_allclose(summary["standard_error"], np.sqrt(covariance.diagonal()), rtol=1e-5)
    np.testing.assert_allclose(
        summary["robust_standard_error"], np.sqrt(sandwich.diagonal()), rtol=1e-4
    )
    assert summary["weight"].tolist() == ["stimulus", "extra", "bias"]


@pytest.mark.parametrize("estimator", STILL, ids=estimator_name)
def test_differences_of_gradients_are_second_derivatives(estimator):
    trials = make_learning_cohort(60, 60, length_spread=0.1, random_state=0)
    X, y, _ = lr.make_design(trials)  # short, for the loop; many, for no parameter at its bound
    likelihood = likelihood_of(clone(estimator).fit(X, y), X, y)
    true_scores, true_information = by_autograd(likelihood)
    unit = np.abs(true_information.diagonal()) ** -0.5  # so that errors are of what matters
    likelihood.model.engine = "fused"  # by the loop the true ones are derived
    scores, information = derivatives(likelihood)
    np.testing.assert_allclose(scores * unit, true_scores * unit, atol=1e-4)
    error = (information - true_information) * unit * unit[:, None]
    np.testing.assert_allclose(error, 0, atol=1e-4)


def test_published_errors_follow_by_the_delta_method(cohort, reinforce):
    X, y, _ = cohort
    likelihood = likelihood_of(reinforce, X, y)
    scores, information = by_autograd(likelihood)
    moves = 1e-6 * torch.eye(len(likelihood.fitted), dtype=torch.float64)
    jacobian = np.stack(
        [
            (likelihood.values(likelihood.fitted + h) - likelihood.values(likelihood.fitted - h))
            / 2e-6
            for h in moves
        ],
        1,
    )  # (Q, P)
    bread = np.linalg.inv(information)
    covariance = jacobian @ bread @ jacobian.T
    sandwich = jacobian @ bread @ (scores.T @ scores * 8 / 7) @ bread @ jacobian.T
    summary = reinforce.summary_
    assert list(summary) == COLUMNS and (summary["note"] == "").all()
    np.testing.assert_allclose(summary["standard_error"], np.sqrt(covariance.diagonal()), rtol=1e-3)
    np.testing.assert_allclose(
        summary["robust_standard_error"], np.sqrt(sandwich.diagonal()), rtol=1e-3
    )


def test_the_table_tells_the_fitted_attributes_and_their_intervals(reinforce):
    summary = reinforce.summary_
    assert summary["parameter"].tolist() == [
        *2 * ["learning_rate"], *2 * ["baseline"], *2 * ["initial_weights"],
    ]  # fmt: skip
    assert summary["weight"].tolist() == 3 * ["stimulus", "bias"]
    for name, rows in summary.groupby("parameter"):
        np.testing.assert_array_equal(rows["estimate"], getattr(reinforce, f"{name}_"))
    half = 1.959964 * summary["standard_error"]
    np.testing.assert_allclose(summary["upper"] - summary["estimate"], half, rtol=1e-6)
    np.testing.assert_allclose(summary["estimate"] - summary["lower"], half, rtol=1e-6)


def test_intervals_hold_the_true_learning_rate_as_often_as_they_say():
    """Of 40 intervals of 95%, fewer than 34 hold the truth but once in 300 times."""
    truth = ReinforceRule(2, learning_rate=0.04)
    X, y, groups = lr.make_design(make_learning_cohort(200, 200, rule=truth, random_state=0))
    of_ten = pd.factorize(groups)[0] // 10
    n_held = 0
    for cohort in range(20):
        rule = lr.ReinforceRuleEstimator(baseline=None).fit(
            X[of_ten == cohort], y[of_ten == cohort]
        )
        rates = rule.summary_[:2]
        n_held += ((rates["lower"] < 0.04) & (rates["upper"] > 0.04)).sum()
    assert n_held >= 34


# ---------------------------------------------------------------- weights and subjects


def test_twice_the_weight_halves_the_variance_but_not_that_between_subjects(cohort, reinforce):
    X, y, _ = cohort
    doubled = clone(reinforce).fit(X, y, sample_weight=np.full(len(y), 2.0)).summary_
    once = reinforce.summary_
    np.testing.assert_allclose(
        doubled["standard_error"], once["standard_error"] / np.sqrt(2), rtol=1e-3
    )
    np.testing.assert_allclose(
        doubled["robust_standard_error"], once["robust_standard_error"], rtol=1e-3
    )


def test_twice_the_subjects_halve_both_variances(cohort, reinforce):
    X, y, _ = cohort
    twins = X.rename(index=lambda name: f"{name}_twin", level="subject")
    X_two = pd.concat([X, twins])
    two = clone(reinforce).fit(X_two, pd.concat([y, y.set_axis(twins.index)])).summary_
    once = reinforce.summary_
    np.testing.assert_allclose(
        two["standard_error"], once["standard_error"] / np.sqrt(2), rtol=1e-3
    )
    of_few_subjects = np.sqrt((16 / 15) / (8 / 7))  # N / (N - 1)
    np.testing.assert_allclose(
        two["robust_standard_error"],
        once["robust_standard_error"] / np.sqrt(2) * of_few_subjects,
        rtol=1e-3,
    )


def test_robust_errors_see_that_subjects_differ():
    """Half of them learn three times as fast; the errors of the pooled rule know nothing of it."""
    slow, fast = (
        make_learning_cohort(10, 400, rule=PredictMaxRule(2, learning_rate=rate), random_state=seed)
        for seed, rate in enumerate((0.01, 0.03))
    )
    both = pd.concat([slow, fast.assign(subject="fast_" + fast["subject"])])
    X, y, _ = lr.make_design(both, answer="answer")
    differ = lr.PredictMaxRuleEstimator().fit(X, y).summary_.iloc[0]
    assert differ["robust_standard_error"] > 2 * differ["standard_error"]
    X, y, _ = lr.make_design(slow, answer="answer")
    alike = lr.PredictMaxRuleEstimator().fit(X, y).summary_.iloc[0]
    assert 0.5 < alike["robust_standard_error"] / alike["standard_error"] < 1.5


def test_subjects_of_weight_zero_count_for_nothing(cohort, reinforce):
    X, y, _ = cohort
    more = make_learning_cohort(4, 100, random_state=9)
    X_more, y_more, _ = lr.make_design(more.assign(subject="other_" + more["subject"]))
    weight = np.repeat([1.0, 0.0], [len(X), len(X_more)])
    rule = clone(reinforce).fit(pd.concat([X, X_more]), pd.concat([y, y_more]), weight)
    errors = ["standard_error", "robust_standard_error"]
    np.testing.assert_allclose(rule.summary_[errors], reinforce.summary_[errors], rtol=1e-3)


def test_trials_of_weight_zero_tell_nothing(cohort):
    X, y, _ = cohort
    late = (X.index.get_level_values("trial") >= 90).astype(float)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y, sample_weight=late)
    _, information = by_autograd(likelihood_of(rule, X, y, late))
    rates = 2 * rule.net_.module_.rule.rule.root_learning_rate.detach().numpy()
    error = np.sqrt(np.linalg.inv(information).diagonal())[2:] * rates
    np.testing.assert_allclose(rule.summary_["standard_error"][:2], np.abs(error), rtol=1e-3)


# --------------------------------------------------------------- where there are no errors


def test_a_rate_at_its_bound_has_no_error_and_spoils_no_other():
    """The bias does not learn; that the fit says so by a root of 0 must not look like certainty."""
    truth = PredictMaxRule(2, learning_rate=(0.03, 0.0))
    trials = make_learning_cohort(20, 150, rule=truth, initial_weights=(0.0, 0.8), random_state=1)
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = lr.PredictMaxRuleEstimator().fit(X, y)
    summary = rule.summary_.set_index(["parameter", "weight"])
    at_bound = summary.loc[("learning_rate", "bias")]
    assert at_bound["estimate"] < 1e-6 and at_bound["note"] == "too close to a bound"
    silent = ["standard_error", "robust_standard_error", "lower", "upper"]
    assert at_bound[silent].isna().all()

    rest = summary.drop(("learning_rate", "bias"))
    assert (rest["note"] == "").all() and rest.notna().all(axis=None)
    _, information = by_autograd(likelihood_of(rule, X, y))
    free = [0, 1, 2]  # of initial weights and roots, all but the bias's rate
    error = np.sqrt(np.linalg.inv(information[np.ix_(free, free)]).diagonal())
    np.testing.assert_allclose(rest["standard_error"][1:], error[:2], rtol=1e-3)


def test_beside_a_parameter_at_its_bound_errors_are_those_of_a_fit_without_it():
    """These animals forget nothing; what the errors would be if they did is not counted in."""
    X, y, _ = lr.make_design(make_learning_cohort(8, 400, random_state=0))
    fits = [lr.ReinforceRuleEstimator(baseline=None, forgetting=f).fit(X, y) for f in (True, False)]
    forgets, without = (fit.summary_.set_index(["parameter", "weight"]) for fit in fits)
    assert (forgets.loc["forgetting", "note"] == "too close to a bound").all()
    others = forgets.loc[without.index, "standard_error"]
    np.testing.assert_allclose(others, without["standard_error"], rtol=0.02)


def test_the_baseline_of_a_weight_that_does_not_learn_is_unknown():
    truth = ReinforceRule(2, learning_rate=(0.05, 0.0))
    trials = make_learning_cohort(10, 300, rule=truth, initial_weights=(0.0, 0.8), random_state=0)
    X, y, _ = lr.make_design(trials)
    notes = {}
    for kind in ("free", "nonnegative"):
        rule = lr.ReinforceRuleEstimator(baseline=kind).fit(X, y)
        summary = rule.summary_.set_index(["weight", "parameter"])
        assert summary.loc["bias", "standard_error"][["learning_rate", "baseline"]].isna().all()
        assert summary.loc[("stimulus", "learning_rate"), "standard_error"] > 0
        notes[kind] = summary.loc["bias", "note"].to_dict()
    # a free baseline is a ratio over the rate; a nonnegative one has no effect where that is 0
    bound = "too close to a bound"
    unknown = "not identified by these trials"
    assert notes["free"] == {"learning_rate": bound, "baseline": bound, "initial_weights": ""}
    assert notes["nonnegative"] == notes["free"] | {"baseline": unknown}


class StuckRuleEstimator(lr.PredictMaxRuleEstimator):
    """Starts at a learning rate of 0, where the slope along its root is 0 as well."""

    def make_rule(self, n_weights):
        return PredictMaxRule(n_weights, learning_rate=0.0)


def test_a_saddle_is_no_maximum():
    X, y, _ = lr.make_design(make_learning_cohort(5, 300, random_state=0), answer="answer")
    advice = "not fitted to the maximum of the likelihood.*: begin at several places"
    with pytest.warns(ConvergenceWarning, match=advice):
        rule = StuckRuleEstimator().fit(X, y)
    assert (rule.learning_rate_ == 0).all()
    assert (rule.summary_["note"] == "not at the maximum of the likelihood").all()
    assert rule.summary_["standard_error"].isna().all()


def test_what_the_trials_cannot_tell_apart_is_not_identified():
    """Where every trial is rewarded, a rate and its baseline act through alpha (1 - b) alone."""
    trials = make_learning_cohort(8, 200, random_state=0).assign(reward=1.0)
    X, y, _ = lr.make_design(trials)
    summary = lr.ReinforceRuleEstimator().fit(X, y).summary_.set_index("parameter")
    of_rule, of_start = summary.drop("initial_weights"), summary.loc["initial_weights"]
    assert (of_rule["note"] == "not identified by these trials").all()
    assert of_rule["standard_error"].isna().all()
    assert (of_start["note"] == "").all() and (of_start["standard_error"] > 0).all()
    # which are those of the same fit without the baseline that cannot be told
    alone = lr.ReinforceRuleEstimator(baseline=None).fit(X, y).summary_.set_index("parameter")
    np.testing.assert_allclose(
        of_start["standard_error"], alone.loc["initial_weights", "standard_error"], rtol=0.01
    )


@pytest.mark.parametrize(
    "parameters",
    [{"early_stopping": True, "n_iter_no_change": 1}, {"truncation": 20}, {"max_epochs": 1}],
    ids=lambda parameters: next(iter(parameters)),
)
def test_a_fit_that_is_not_at_the_maximum_says_so(parameters):
    X, y, _ = lr.make_design(make_learning_cohort(20, 300, random_state=0))
    rule = lr.ReinforceRuleEstimator(optimizer="adam", **parameters, random_state=0)
    changed = " and ".join(["optimizer", next(iter(parameters))])
    advice = f"was not fitted to the maximum.*leave {changed} at the default"
    with pytest.warns(ConvergenceWarning, match=advice):
        rule.fit(X, y)
    summary = rule.summary_
    assert (summary["note"] == "not at the maximum of the likelihood").all()
    assert summary["standard_error"].isna().all() and summary["estimate"].notna().all()


def test_noise_and_animals_own_rates_that_were_not_fitted_well_are_named():
    X, y, _ = lr.make_design(make_learning_cohort(4, 60, random_state=0))
    how = {"subject_effects": ["learning_rate"], "process_noise": "learned", "optimizer": "adam"}
    advice = "leave optimizer and max_epochs at the default; and fit without process noise or"
    with pytest.warns(match=advice):
        lr.ReinforceRuleEstimator(**how, max_epochs=2).fit(X, y)


def test_one_subject_has_no_robust_error():
    X, y, _ = lr.make_design(make_learning_cohort(1, 600, random_state=0))
    summary = lr.ReinforceRuleEstimator(baseline=None).fit(X, y).summary_
    assert summary["robust_standard_error"].isna().all()
    assert summary["standard_error"].notna().any()


# -------------------------------------------------------------------------- the shell


def test_what_is_held_is_no_parameter(cohort):
    X, y, _ = cohort
    rule = lr.ReinforceRuleEstimator(baseline=None, train_initial_weights=False).fit(X, y)
    assert rule.summary_["parameter"].tolist() == ["learning_rate", "learning_rate"]


class SidedRule(LearningRule):
    """Rates for each side, one baseline for all, and three numbers that are never used."""

    textbook_names = ("rate", "baseline", "unused")

    def __init__(self, n_weights: int) -> None:
        super().__init__(n_weights)
        self.rate = nn.Parameter(torch.full((2, n_weights), 0.02))
        self.baseline = nn.Parameter(torch.tensor(0.1))
        self.unused = nn.Parameter(torch.zeros(3))

    def forward(self, weights, trial, memory):
        rate = torch.where(trial.choice[:, None] > 0.5, self.rate[1], self.rate[0])
        surprise = (trial.reward - self.baseline) * (
            trial.choice - choice_probability(weights, trial.features)
        )
        return rate * surprise[:, None] * trial.features, memory


class SidedRuleEstimator(BaseRuleEstimator):
    def make_rule(self, n_weights):
        return SidedRule(n_weights)


def test_numbers_of_any_shape_are_named_by_side_and_weight(cohort):
    X, y, _ = cohort
    summary = SidedRuleEstimator(train_initial_weights=False).fit(X, y).summary_
    places = summary[["parameter", "side", "weight"]].to_numpy().tolist()
    assert places == [
        ["rate", "left", "stimulus"],
        ["rate", "left", "bias"],
        ["rate", "right", "stimulus"],
        ["rate", "right", "bias"],
        ["baseline", "", ""],
        *(["unused", "", place] for place in "012"),
    ]
    unused = summary["parameter"] == "unused"
    assert (summary["note"][unused] == "not identified by these trials").all()
    assert (summary["note"][~unused] == "").all()
