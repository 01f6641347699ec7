"""An animal whose learning begins anew is the same: its effects hold in all its sequences."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from scipy.special import expit, log_expit, logsumexp

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.models.members import read_trials
from sklearn_learnrule.training.dataset import SequenceDataset
from sklearn_learnrule.training.individuals import follow_subjects

FACTORS = np.linspace(-1.2, 1.2, 6)
RATE = ["learning_rate"]


def reinforce(effects=RATE, **options):
    return lr.ReinforceRuleEstimator(baseline=None, subject_effects=effects, **options)


@pytest.fixture(scope="module")
def trials():
    """Six animals that learn three tasks each, the first in few trials."""
    cohort = make_learning_cohort(
        6, 600, n_blocks=3, subject_effects={"learning_rate": FACTORS}, random_state=0
    )
    return cohort[(cohort["block"] > cohort["block"].min()) | (cohort.index % 3 == 0)]


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, restart="block")[:2]


@pytest.fixture(scope="module")
def fitted(design):
    return reinforce().fit(*design)


def told_by_grid(estimator, X, n_nodes=81):
    """Return each row's logits at nodes, (n_nodes, n_rows), and the nodes' log shares."""
    model, sequences = estimator.net_.module_, estimator.read_sequences(X)
    trials, observed = read_trials(sequences)
    z = np.linspace(-6, 6, n_nodes)
    each = []
    with torch.no_grad():
        for node in z:
            own = torch.full((len(observed), 1), node) * model.effects.spread
            logits = model(replace(trials, context=own.double()), observed)
            each.append(sequences.rows(logits.numpy()))
    return np.stack(each), -(z**2) / 2 - logsumexp(-(z**2) / 2)


@pytest.fixture(scope="module")
def noisy(design):
    return reinforce(process_noise="learned", max_epochs=2).fit(*design)


@BRIEFLY_TRAINED
@pytest.mark.parametrize("name", ["fitted", "noisy"])
def test_predictions_and_likelihood_are_what_brute_force_says_of_all_sequences(
    design, name, request
):
    X, y = design
    estimator = deepcopy(request.getfixturevalue(name))
    effects = estimator.net_.module_.effects
    with torch.no_grad():
        effects.log_spread.fill_(np.log(0.3))  # so that nodes are exact
    effects.begin()
    logits, share = told_by_grid(estimator, X)
    sequences, is_second = estimator.read_choices(X, y)
    each = log_expit(np.where(is_second, 1, -1) * logits)
    expected, total = np.empty(len(y)), 0.0
    for subject in range(len(sequences.subjects)):
        rows = np.flatnonzero(sequences.row_subject == subject)
        total += logsumexp(share + each[:, rows].sum(1))
        known = each[:, rows] * sequences.fields.observed[rows]  # X lacks sequences' last choices
        before = share[:, None] + np.cumsum(known, 1) - known
        weight = np.exp(before - logsumexp(before, 0))
        expected[rows] = (weight * expit(logits[:, rows])).sum(0)
    assert_allclose(estimator.predict_proba(X)[:, 1], expected, atol=1e-3)
    dataset = SequenceDataset(
        sequences, choice=is_second, weight=np.ones(len(y)), dtype=torch.float64, device="cpu"
    )
    found = follow_subjects(estimator.net_.module_, dataset).log_likelihood.sum()
    assert found == pytest.approx(total, abs=1e-5 * len(y))


def test_what_is_known_of_an_animal_goes_on_where_its_weights_begin_anew(design, fitted):
    X, y = design
    first = fitted.predict_weights(X).groupby(["subject", "restart"]).first()
    assert_allclose(first, np.tile(fitted.initial_weights_, (18, 1)))
    few = X[X.index.get_level_values("restart") == 0]
    _, by_one = fitted.predict_subject_effects(few, return_std=True)
    mean, by_three = fitted.predict_subject_effects(X, y, return_std=True)
    assert (by_three < 0.8 * by_one).mean().item() > 0.5
    assert np.corrcoef(mean["learning_rate"], FACTORS)[0, 1] > 0.85
    assert_frame_equal(fitted.subject_effects_["mean"], mean, check_names=False)
    assert list(mean.index) == list(X.index.unique("subject"))


def test_later_choices_of_any_sequence_never_change_past_predictions(design, fitted):
    X, _ = design
    whole, number = fitted.predict_proba(X), X.index.get_level_values("trial")
    for cut in (10, 27, 28, 100, 150):
        early = number < cut
        assert_allclose(fitted.predict_proba(X[early]), whole[early], atol=1e-12)


def test_order_of_animals_changes_nothing(design, fitted):
    X, y = design
    backwards = np.concatenate(
        [np.flatnonzero(X.index.get_level_values("subject") == name) for name in
         X.index.unique("subject")[::-1]]
    )  # fmt: skip
    found = fitted.predict_proba(X.iloc[backwards])
    assert_allclose(found, fitted.predict_proba(X)[backwards], rtol=1e-9)
    again = reinforce().fit(X.iloc[backwards], y.iloc[backwards])
    assert_allclose(again.learning_rate_, fitted.learning_rate_, rtol=1e-3)


def test_some_animals_are_who_they_are_among_all(design, fitted):
    sequences, is_second = fitted.read_choices(*design)
    how = {"dtype": torch.float64, "device": "cpu"}
    dataset = SequenceDataset(sequences, choice=is_second, weight=np.ones(len(is_second)), **how)
    model, some = fitted.net_.module_, np.array([4, 0])
    whole, part = follow_subjects(model, dataset), follow_subjects(model, dataset.subset(some))
    for of_all, of_some in zip(whole, part, strict=True):
        assert_allclose(of_some, of_all[some], rtol=1e-9)


def test_one_that_begins_anew_once_is_two_who_are_known_to_be_one(trials):
    """Without a spread they are alike: then its sequences count as those of two do."""
    blocks = trials["block"].unique()[1:]
    some = trials[trials["block"].isin(blocks)]
    X, y = lr.make_design(some, restart="block")[:2]
    apart, same = lr.make_design(some, subject=["subject", "block"])[:2]
    pooled = lr.ReinforceRuleEstimator(baseline=None).fit(apart, same)
    anew = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    assert_allclose(anew.learning_rate_, pooled.learning_rate_, rtol=1e-4)
    assert reinforce().fit(X, y).score(X, y) > anew.score(X, y)


@pytest.mark.parametrize("options", [{"early_stopping": True}, {"mirror": True}], ids=str)
def test_networks_learn_from_animals_that_begin_anew(design, options):
    X, y = design
    network = lr.DNNRuleEstimator(
        subject_effects=2, hidden_sizes=(8,), n_ensemble=1, batch_size=2, max_epochs=4,
        random_state=0, **options,
    ).fit(X, y)  # fmt: skip
    number = X.index.get_level_values("trial")
    part = network.predict_proba(X[number < 100])
    assert_allclose(part, network.predict_proba(X)[number < 100], atol=1e-5)
    assert list(network.subject_effects_.index) == list(X.index.unique("subject"))
