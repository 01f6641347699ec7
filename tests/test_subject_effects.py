"""What is subjects' own: fitted, integrated out, and found out of animals never seen."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from individuals import design
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

import sklearn_learnrule as lr
from sklearn_learnrule.models.following import at_places
from sklearn_learnrule.models.nodes import Normal, moments, place_nodes, standard_nodes
from sklearn_learnrule.rules import TWO_CHOICES
from sklearn_learnrule.training.dataset import SequenceDataset
from sklearn_learnrule.training.individuals import follow_block

RATE = ["learning_rate"]


def reinforce(effects=RATE, **options):
    return lr.ReinforceRuleEstimator(baseline=None, subject_effects=effects, **options)


@pytest.fixture(scope="module")
def cohort():
    return design()


@pytest.fixture(scope="module")
def fitted(cohort):
    X, y, _ = cohort
    return reinforce().fit(X, y)


@pytest.fixture(scope="module")
def others():
    return design(seed=1)


# ------------------------------------------------------------------------- the likelihood


def by_grid(estimator, X, y, n_nodes=201):
    """Return the marginal log-likelihood by brute force, and the package's own."""
    model = estimator.net_.module_
    sequences, is_second = estimator.read_choices(X, y)
    weight = np.ones(len(y))
    how = {"choice": is_second, "weight": weight, "dtype": torch.float64, "device": "cpu"}
    (block,) = SequenceDataset(sequences, **how).blocks
    along = torch.linspace(-6, 6, n_nodes if len(model.own) == 1 else 41, dtype=torch.float64)
    z = torch.cartesian_prod(*[along] * len(model.own)).reshape(-1, len(model.own))
    log_share = -(z.square().sum(-1) + len(model.own) * np.log(2 * np.pi)) / 2
    log_share = log_share + len(model.own) * (along[1] - along[0]).log()
    exists = block.trials.features[..., -1]

    def log_likelihoods(trials, observed):
        logits, again = model(trials, observed), len(observed) // len(exists)
        choice, counts = (of.repeat(again, 1) for of in (block.target.choice, exists))
        return (TWO_CHOICES.log_probability(logits, choice) * counts).sum(1)

    with torch.no_grad():
        expected, spread = model.effects.expected(block.covariates), model.effects.spread
        places = expected + spread * z[:, None]  # (Q, N, D)
        each = at_places(log_likelihoods, block.trials, block.observed, places)
        whole = (each + log_share[:, None]).logsumexp(0).sum()
        return whole.item(), follow_block(model, block).log_likelihood.sum().item()


@pytest.mark.parametrize(
    ("options", "effects", "n_trials"),
    [
        ({}, RATE, 30),
        ({}, RATE, 200),  # of whom far more is known in the end
        ({}, ["initial_weights[bias]"], 30),
        ({}, ["learning_rate[stimulus]", "learning_rate[bias]"], 60),
        ({"process_noise": "learned"}, RATE, 60),
        ({"process_noise": "learned"}, ["process_noise"], 30),
        ({"process_noise": "learned"}, ["learning_rate", "process_noise"], 30),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, (dict, list)) else str(given),
)
def test_marginal_likelihood_is_what_brute_force_integrates(options, effects, n_trials):
    X, y, _ = design(6, n_trials, seed=1)
    estimator = reinforce(effects, **options).fit(X, y)
    brute, own = by_grid(estimator, X, y)
    assert own == pytest.approx(brute, abs=1e-4 * len(y))


def test_predictions_add_up_to_the_marginal_likelihood(fitted, others):
    """By the chain rule: what past choices let expect of the next, over all choices."""
    X, y = (of_all.loc["m00":"m03"] for of_all in others[:2])
    _, marginal = by_grid(fitted, X, y, n_nodes=2)
    assert fitted.score(X, y) * len(y) == pytest.approx(marginal, abs=1e-4 * len(y))


@pytest.mark.parametrize("n_effects", [1, 2, 3, 4])
@pytest.mark.parametrize("density", ["fewest", "few", "many"])
def test_nodes_integrate_polynomials_of_degree_5(n_effects, density):
    places, weights = standard_nodes(n_effects, density)
    assert (weights > 0).all()
    first, last = places[:, 0], places[:, -1]
    expected = {(0, 0): 1, (2, 0): 1, (4, 0): 3, (1, 0): 0, (3, 0): 0, (5, 0): 0}
    expected |= {(2, 2): 1, (1, 1): 0, (2, 1): 0} if n_effects > 1 else {}
    for (i, j), moment in expected.items():
        assert (weights * first**i * last**j).sum() == pytest.approx(moment, abs=1e-12)


def test_many_effects_have_nodes_of_about_the_right_moments():
    places, weights = standard_nodes(6, "many")
    assert weights.sum() == pytest.approx(1)
    assert weights @ places == pytest.approx(0, abs=0.1)
    assert (places * weights[:, None]).T @ places == pytest.approx(np.eye(6), abs=0.25)


def test_moments_of_nodes_are_those_of_what_they_integrate():
    mean = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    root = torch.tensor([[[0.9, 0.0], [0.2, 0.8]]], dtype=torch.float64)
    before = Normal(torch.zeros(1, 2).double(), torch.eye(2).double()[None])
    nodes = place_nodes(before)
    density = torch.distributions.MultivariateNormal(mean, scale_tril=root)
    weights = density.log_prob(nodes.places) + nodes.log_weights
    found, again = moments(nodes.places, weights, before)
    assert not again.any()
    torch.testing.assert_close(found.mean, mean, atol=0.02, rtol=0)
    torch.testing.assert_close(found.root @ found.root.mT, root @ root.mT, atol=0.05, rtol=0)


def test_what_is_narrower_than_nodes_is_asked_for_again():
    before = Normal(torch.zeros(1, 1).double(), torch.ones(1, 1, 1).double())
    nodes = place_nodes(before)
    sharp = -((nodes.places[..., 0] - 0.9) / 0.01).square()
    found, again = moments(nodes.places, sharp + nodes.log_weights, before)
    assert again.all()
    assert found.std.item() == pytest.approx(0.35)


# --------------------------------------------------------------------- simulated animals


def test_learning_rates_of_animals_are_recovered(cohort, fitted, others):
    spreads, correlations, covered = [], [], []
    fits = [(fitted, cohort[2])]
    fits += [(reinforce().fit(X, y), log_rate) for X, y, log_rate in (others, design(seed=2))]
    for estimator, log_rate in fits:
        known = estimator.subject_effects_
        own = np.log(estimator.learning_rate_[0]) + known["mean", "learning_rate"]
        correlations.append(np.corrcoef(own, log_rate)[0, 1])
        covered.append((own - log_rate).abs() < 1.645 * known["std", "learning_rate"])
        spreads.append(estimator.subject_effects_std_[0] / log_rate.std(ddof=1))
    assert min(correlations) > 0.9
    assert 0.8 < np.mean(covered) < 0.97
    assert np.mean(spreads) == pytest.approx(1, abs=0.2)


def test_animals_never_seen_are_predicted_better_by_their_own_past(cohort, fitted, others):
    X, y, _ = cohort
    pooled = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert fitted.score(*others[:2]) > pooled.score(*others[:2]) + 0.002


def test_animals_that_are_alike_are_predicted_no_worse():
    X, y, _ = design(12, 600, spread=0.0, seed=2)
    new_X, new_y, _ = design(12, 600, spread=0.0, seed=3)
    individual = reinforce().fit(X, y)
    pooled = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert individual.subject_effects_std_[0] < 0.15
    assert individual.score(new_X, new_y) > pooled.score(new_X, new_y) - 0.0005


def test_animals_never_seen_are_known_by_their_choices(fitted, others):
    X, y, log_rate = others
    mean, std = fitted.predict_subject_effects(X, y, return_std=True)
    assert list(mean.index) == list(X.index.unique("subject"))
    assert np.corrcoef(mean["learning_rate"], log_rate)[0, 1] > 0.9
    assert (std < fitted.subject_effects_std_[0]).all().all()
    assert fitted.predict_subject_effects(X).to_numpy() == pytest.approx(mean.to_numpy(), abs=0.01)


def test_fitted_animals_effects_are_what_predicting_them_finds(cohort, fitted):
    X, y, _ = cohort
    mean, std = fitted.predict_subject_effects(X, y, return_std=True)
    pd.testing.assert_frame_equal(fitted.subject_effects_["mean"], mean, check_names=False)
    pd.testing.assert_frame_equal(fitted.subject_effects_["std"], std, check_names=False)


def test_covariates_tell_groups_apart():
    X, y, _ = design(n_trials=500, seed=4, slope=-0.8, covariates=["genotype"])
    estimator = reinforce().fit(X, y)
    summary = estimator.summary_.set_index(["parameter", "weight"])
    row = summary.loc["covariate_genotype_mutant_vs_control", "learning_rate"]
    assert abs(row["estimate"] + 0.8) < 2.5 * row["standard_error"]
    assert 0.1 < row["standard_error"] < 0.5
    assert estimator.covariate_effects_.shape == (1, 1)
    # An animal never seen starts where its group is.
    first = X.groupby(level="subject").head(1)
    unknown = estimator.predict_subject_effects(first)["learning_rate"]
    is_mutant = first["covariate_genotype_mutant_vs_control"].to_numpy() == 1
    assert unknown[is_mutant].to_numpy() == pytest.approx(row["estimate"], abs=1e-6)
    assert unknown[~is_mutant].to_numpy() == pytest.approx(0, abs=1e-6)


def test_covariates_in_other_units_say_the_same():
    X, y, _ = design(8, 100, seed=4, slope=-0.8, covariates=["genotype"])
    X["covariate_age"] = X.index.get_level_values("subject").str[1:].astype(float) + 60
    days = reinforce().fit(X, y)
    weeks = reinforce().fit(X.assign(covariate_age=X["covariate_age"] / 7), y)
    assert weeks.covariate_effects_ == pytest.approx(days.covariate_effects_ * [[1], [7]], abs=0.05)
    assert weeks.score(X.assign(covariate_age=X["covariate_age"] / 7), y) == pytest.approx(
        days.score(X, y), abs=1e-4
    )


def test_a_covariate_that_is_alike_in_all_fitted_animals_says_nothing():
    """Also where its mean is not it, by rounding; and of others it is a guess, which is told."""
    X, y, _ = design(6, 60)
    plain = reinforce().fit(X, y)
    alike = X.assign(covariate_dose=0.1)
    estimator = reinforce().fit(alike, y)
    assert estimator.covariate_effects_ == pytest.approx(0)
    assert estimator.score(alike, y) == pytest.approx(plain.score(X, y), abs=1e-9)


def test_covariates_of_any_size_are_read():
    X, y, _ = design(5, 40)
    number = X.index.get_level_values("subject").str[1:].astype(float)
    scores = []
    for unit in (1e-100, 1.0, 1e100):
        given = X.assign(covariate_age=number * unit)
        scores.append(reinforce().fit(given, y).score(given, y))
    assert scores == pytest.approx(3 * [scores[1]], abs=1e-4)


def test_covariates_of_animals_that_are_not_scored_count_nothing():
    X, y, _ = design(9, 200)
    number = X.index.get_level_values("subject").str[1:].astype(float)
    X["covariate_age"] = np.where(number < 8, number, 30.0)
    whole = reinforce().fit(X, y, sample_weight=(number < 8).astype(float))
    origin = whole.net_.module_.effects.covariate_origin
    assert origin.tolist() == [3.5]


def test_covariates_far_from_those_fitted_are_told():
    X, y, _ = design(6, 60)
    given = X.assign(covariate_age=X.index.get_level_values("subject").str[1:].astype(float))
    estimator = reinforce().fit(given, y)
    with pytest.warns(UserWarning, match="covariate_age is far outside of those fitted"):
        estimator.predict_proba(X.assign(covariate_age=60.0))


# ------------------------------------------------------------------ what must never change


def test_future_choices_never_change_past_predictions(fitted, others):
    X, y, _ = others
    whole = fitted.predict_proba(X)
    number = X.index.get_level_values("trial")
    for cut in (1, 19, 20, 21, 333):
        part = X[number < cut]
        assert fitted.predict_proba(part) == pytest.approx(whole[number < cut], abs=1e-12)


def test_animals_never_change_each_others_predictions(fitted, others):
    X, _, _ = others
    alone = pd.concat([X.loc[[name]] for name in X.index.unique("subject")[::-1]])
    expected = pd.DataFrame(fitted.predict_proba(X), X.index)
    found = pd.DataFrame(fitted.predict_proba(alone), alone.index)
    pd.testing.assert_frame_equal(found.loc[X.index.unique("subject")], expected, rtol=1e-9)


def test_units_change_nothing():
    effects = ["learning_rate", "initial_weights[stimulus]"]
    X, y, _ = design(6, 60)
    in_percent, _, _ = design(6, 60, stimulus_unit=100.0)
    in_percent["previous_reward"] *= 10
    plain, other = reinforce(effects).fit(X, y), reinforce(effects).fit(in_percent, y)
    assert other.score(in_percent, y) == pytest.approx(plain.score(X, y), abs=1e-5)
    expected = plain.subject_effects_std_ * [1, 0.01]
    assert other.subject_effects_std_ == pytest.approx(expected, rel=0.05)


def test_trials_of_weight_0_tell_nothing_of_a_fitted_animal():
    X, y, _ = design(6, 160)
    number = X.index.get_level_values("trial")
    cut = reinforce().fit(X[number < 80], y[number < 80])
    whole = reinforce().fit(X, y, sample_weight=(number < 80).astype(float))
    assert whole.learning_rate_ == pytest.approx(cut.learning_rate_, rel=1e-2, abs=1e-4)
    assert whole.subject_effects_std_ == pytest.approx(cut.subject_effects_std_, rel=1e-2)
    pd.testing.assert_frame_equal(whole.subject_effects_, cut.subject_effects_, atol=0.05)


def test_a_trial_of_weight_2_is_two_to_the_effects():
    X, y, _ = design(6, 200)
    once, twice = (reinforce().fit(X, y, sample_weight=np.full(len(y), w)) for w in (1.0, 2.0))
    assert (twice.subject_effects_["std"] < once.subject_effects_["std"]).all().all()


def test_copies_and_files_predict_the_same(fitted, others):
    X, _, _ = others
    again = pickle.loads(pickle.dumps(fitted))
    assert again.predict_proba(X) == pytest.approx(fitted.predict_proba(X), abs=0)
    pd.testing.assert_frame_equal(again.subject_effects_, fitted.subject_effects_)
    assert clone(fitted).get_params()["subject_effects"] == RATE


def test_warm_start_goes_on_from_the_spread(cohort, fitted):
    X, y, _ = cohort
    estimator = deepcopy(fitted).set_params(warm_start=True, max_epochs=1)
    before = estimator.subject_effects_std_.copy()
    with pytest.warns(match="converged"):
        estimator.fit(X, y)
    assert estimator.subject_effects_std_ == pytest.approx(before, rel=1e-2)


def test_fits_without_effects_have_none(cohort):
    X, y, _ = cohort
    pooled = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert not hasattr(pooled, "subject_effects_")
    with pytest.raises(ValueError, match="subject_effects is None"):
        pooled.predict_subject_effects(X)


@BRIEFLY_TRAINED
def test_it_works_in_cross_validation_and_grid_search():
    rule = reinforce(max_epochs=2)
    X, y, _ = design(6, 40)
    groups = X.index.get_level_values("subject")
    scores = cross_val_score(rule, X, y, groups=groups, cv=GroupKFold(2))
    assert np.isfinite(scores).all()
    grid = {"subject_effects": [None, RATE]}
    search = GridSearchCV(rule, grid, cv=GroupKFold(2)).fit(X, y, groups=groups)
    assert search.best_params_["subject_effects"] in grid["subject_effects"]


# ------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("effects", [2, ["learning_rate"]])
def test_networks_learn_who_animals_are(effects):
    X, y, log_rate = design(8, 150, seed=5, spread=1.0)
    options = {"n_ensemble": 1, "hidden_sizes": 8, "max_epochs": 15, "random_state": 0}
    options |= {"mirror": False, "lr": 0.01}
    estimator = lr.DNNRuleEstimator(subject_effects=effects, **options).fit(X, y)
    known = estimator.predict_subject_effects(X, y)
    correlations = [abs(np.corrcoef(known[name], log_rate)[0, 1]) for name in known]
    assert max(correlations) > 0.6
    assert np.isfinite(estimator.score(X, y))
    number = X.index.get_level_values("trial")
    part = estimator.predict_proba(X[number < 100])
    assert part == pytest.approx(estimator.predict_proba(X)[number < 100], abs=1e-5)


# -------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("effects", "options", "message"),
    [
        (["speed"], {}, r"can vary, \['learning_rate', 'initial_weights'\]"),
        (["learning_rate[weather]"], {}, r"is of the weights \['stimulus', 'bias'\]"),
        (["learning_rate", "learning_rate"], {}, "each once; got 'learning_rate' twice"),
        ([], {}, "each once; got none"),
        (["process_noise"], {}, "can vary"),
        (["initial_weights"], {"process_noise": "learned"}, "; with it, initial_std tells how far"),
        (["process_noise[bias]"], {"process_noise": "learned"}, "not of single weights"),
        ("learning_rate", {}, "subject_effects should be None or a sequence"),
        (2, {}, "subject_effects should be None or a sequence"),
    ],
    ids=str,
)
def test_effects_that_cannot_be_are_refused(effects, options, message):
    X, y, _ = design(3, 20)
    with pytest.raises(ValueError, match=message):
        reinforce(effects, **options).fit(X, y)


def test_one_animal_cannot_tell_how_far_animals_lie_apart():
    X, y, _ = design(1, 200)
    with pytest.warns(UserWarning, match="has subject_effects of one subject, who cannot tell"):
        reinforce().fit(X, y)


def test_several_effects_that_were_not_fitted_well_are_told_to_be_too_many():
    X, y, _ = design(4, 60)
    estimator = reinforce(["learning_rate", "initial_weights[bias]"])
    estimator.set_params(optimizer="adam", max_epochs=2)
    with pytest.warns(match="not fitted to the maximum .*; and name fewer subject_effects"):
        estimator.fit(X, y)


def test_a_network_has_no_effects_of_single_weights():
    X, y, _ = design(3, 20)
    with pytest.raises(ValueError, match="not of single weights"):
        lr.DNNRuleEstimator(subject_effects=["learning_rate[bias]"]).fit(X, y)
