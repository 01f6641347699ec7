"""Which rule each animal follows: against brute force, and in cohorts of known kind."""

import re
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from rule_scores import cohort, scores_of
from scipy.integrate import quad
from scipy.special import digamma, expit, gammaln, logsumexp, softmax
from scipy.stats import beta
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.model_selection import _animal_rules

TABLE = ["expected_share", "lower", "upper", "exceedance", "protected_exceedance"]


def by_rule(table):
    return table.sort_index()


def all_assignments(nats, prior=1.0):
    """Sum over all that animals could follow: log evidence, expected shares, each posterior."""
    n, k = nats.shape
    follows = np.array(list(product(range(k), repeat=n)))
    is_rule = follows[:, :, None] == np.arange(k)  # (assignments, n, k)
    counts = prior + is_rule.sum(1)
    log_joint = gammaln(counts).sum(1) - gammaln(counts.sum(1)) + nats[range(n), follows].sum(1)
    log_joint += gammaln(k * prior) - k * gammaln(prior)
    weight = softmax(log_joint)
    return logsumexp(log_joint), weight @ counts / (n + k * prior), np.tensordot(weight, is_rule, 1)


# ----------------------------------------------------------- the truth in small


@pytest.mark.parametrize(("n_rules", "n_subjects"), [(2, 8), (3, 6)])
@pytest.mark.parametrize("prior", [0.5, 1.0, 3.0])
def test_where_animals_tell_rules_apart_it_is_the_sum_over_all_assignments(
    n_rules, n_subjects, prior
):
    rng = np.random.default_rng(n_rules)
    follows = rng.integers(n_rules, size=n_subjects)
    nats = cohort(rng, follows, 8.0, n_rules=n_rules)
    found = lr.animal_rules(scores_of(nats), prior=prior)
    evidence, shares, posterior = all_assignments(nats, prior)
    assert list(found.population) == TABLE
    np.testing.assert_allclose(by_rule(found.population)["expected_share"], shares, atol=0.01)
    np.testing.assert_allclose(found.posterior.sort_index(axis=1), posterior, atol=0.02)
    equal = logsumexp(nats, axis=1).sum() - n_subjects * np.log(n_rules)
    assert found.omnibus_risk == pytest.approx(expit(equal - evidence), abs=0.02)


@pytest.mark.parametrize("margin", [0.0, 1.0, 3.0, 10.0])
def test_the_free_energy_is_a_lower_bound_that_is_attained_where_rules_are_told_apart(margin):
    rng = np.random.default_rng(0)
    nats = cohort(rng, rng.integers(3, size=6), margin, n_rules=3)
    concentration = _animal_rules._fit(nats, 1.0)
    missing = all_assignments(nats)[0] - _animal_rules._free_energy(nats, concentration, 1.0)
    assert 0 < missing < (0.01 if margin == 10 else 1.5)
    for moved in concentration + rng.normal(0, 0.2, (20, 3)):  # there is no better one nearby
        other = _animal_rules._free_energy(nats, moved, 1.0)
        assert other < all_assignments(nats)[0] - missing


def test_two_rules_agree_with_an_integral_over_the_share():
    rng = np.random.default_rng(1)
    nats = cohort(rng, np.array([0] * 7 + [1] * 3), 6.0)
    share = np.linspace(0, 1, 20_001)[1:-1]
    density = np.logaddexp(
        np.log(share)[:, None] + nats[:, 0], np.log1p(-share)[:, None] + nats[:, 1]
    ).sum(1)
    weight = softmax(density)
    found = by_rule(lr.animal_rules(scores_of(nats)).population).loc["a"]
    assert found["expected_share"] == pytest.approx(weight @ share, abs=0.01)
    assert found["exceedance"] == pytest.approx(weight[share > 0.5].sum(), abs=0.02)
    lower, upper = np.interp([0.025, 0.975], weight.cumsum(), share)
    assert (found["lower"], found["upper"]) == pytest.approx((lower, upper), abs=0.02)


def test_exceedance_of_two_rules_is_that_of_the_beta_distribution():
    for concentration in np.exp(np.random.default_rng(0).uniform(-5, 9, (200, 2))):
        expected = beta.sf(0.5, *concentration)
        found = _animal_rules._exceedance(concentration)
        np.testing.assert_allclose(found, [expected, 1 - expected], atol=1e-7)


def test_exceedance_of_several_rules_is_how_often_a_share_is_the_largest():
    rng = np.random.default_rng(0)
    for concentration in np.array([[0.5, 1.5, 1.0, 4.0], [30, 31, 29, 10]]):
        largest = rng.dirichlet(concentration, 200_000).argmax(1)
        often = np.bincount(largest, minlength=4) / len(largest)
        np.testing.assert_allclose(_animal_rules._exceedance(concentration), often, atol=0.005)


def test_intervals_are_those_of_a_dirichlet_distribution():
    found = lr.animal_rules(scores_of(cohort(np.random.default_rng(0), [0] * 9 + [1] * 3, 50.0)))
    row = by_rule(found.population).loc["a"]
    assert row["expected_share"] == pytest.approx(10 / 14)
    mass = quad(beta(10, 4).pdf, row["lower"], row["upper"])[0]
    assert mass == pytest.approx(0.95)


# ------------------------------------------------------------------- invariances


def test_rules_are_treated_alike():
    nats = cohort(np.random.default_rng(0), [0, 0, 0, 1, 1, 2], 3.0, n_rules=3)
    found, turned = (lr.animal_rules(scores_of(n)) for n in (nats, nats[:, [2, 0, 1]]))
    names = {"a": "b", "b": "c", "c": "a"}
    renamed = found.population.rename(names)
    assert_frame_equal(turned.population, renamed, rtol=1e-6)
    assert_frame_equal(turned.posterior, found.posterior.rename(columns=names), rtol=1e-6)
    assert turned.omnibus_risk == pytest.approx(found.omnibus_risk)


def test_what_all_rules_predict_alike_of_an_animal_changes_nothing():
    rng = np.random.default_rng(0)
    nats = cohort(rng, [0, 0, 0, 1], 2.0)
    found, other = (lr.animal_rules(scores_of(n)) for n in (nats, nats - 1000 * rng.random((4, 1))))
    assert_frame_equal(other.population, found.population, rtol=1e-6)
    assert_frame_equal(other.posterior, found.posterior, rtol=1e-6)
    assert other.omnibus_risk == pytest.approx(found.omnibus_risk)


def test_an_animal_that_tells_nothing_is_taken_for_one_of_the_population():
    nats = np.vstack([cohort(np.random.default_rng(0), [0] * 30 + [1] * 10, 20.0), [[0.0, 0.0]]])
    found = lr.animal_rules(scores_of(nats))
    shares = found.population["expected_share"]
    assert_series_equal(found.posterior.iloc[-1], shares, check_names=False, atol=0.01)
    expected_log = digamma(shares * 43) - digamma(43)
    np.testing.assert_allclose(found.posterior.iloc[-1], softmax(expected_log), rtol=1e-6)


def test_probabilities_sum_to_one_and_rules_stand_by_their_shares():
    rng = np.random.default_rng(0)
    found = lr.animal_rules(scores_of(cohort(rng, rng.integers(4, size=9), 2.0, n_rules=4)))
    sums = found.population[["expected_share", "exceedance", "protected_exceedance"]].sum()
    np.testing.assert_allclose(sums, 1)
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1)
    assert found.population["expected_share"].is_monotonic_decreasing
    assert list(found.posterior) == list(found.population.index)
    assert found.posterior.index.name == "subject" and found.population.index.name == "rule"


def test_differences_of_thousands_of_nats_are_no_trouble():
    found = lr.animal_rules(scores_of([[-9e4, -1e4], [-5e4, -6e4], [-1e4, -9e4]]))
    np.testing.assert_allclose(by_rule(found.population)["expected_share"], [0.6, 0.4])
    assert set(found.posterior.to_numpy().ravel()) == {0.0, 1.0}


def test_animals_scored_several_times_count_once():
    nats = cohort(np.random.default_rng(0), [0, 0, 1, 0], 2.0)
    once = lr.animal_rules(scores_of(nats))
    twice = lr.animal_rules(pd.concat([scores_of(nats - 1, fold=0), scores_of(nats + 1, fold=1)]))
    assert_frame_equal(twice.posterior, once.posterior, rtol=1e-6)
    assert_frame_equal(twice.population, once.population, rtol=1e-6)


# ---------------------------------------------------------- simulated populations


def test_chance_alone_makes_no_rule_the_most_frequent():
    rng = np.random.default_rng(0)
    protected = []
    for _ in range(200):
        nats = pd.DataFrame(cohort(rng, rng.integers(3, size=12), 3.0, n_rules=3))
        protected.append(by_rule(_animal_rules._infer(nats, 1.0).population)[TABLE[-1]])
    np.testing.assert_allclose(np.mean(protected, axis=0), 1 / 3, atol=0.04)
    highest = np.max(protected, axis=1)
    assert highest.mean() < 0.5 and (highest > 0.95).mean() <= 0.01


def test_a_rule_of_three_animals_in_four_is_found_and_told_to_be_the_most_frequent():
    rng = np.random.default_rng(0)
    nats = cohort(rng, [0] * 12 + [1] * 4, 5.0, noise=0.5)
    found = lr.animal_rules(scores_of(nats))
    row = found.population.loc["a"]
    assert row["expected_share"] == pytest.approx(13 / 18, abs=0.02)
    assert row["lower"] < 0.75 < row["upper"]
    assert row["exceedance"] > 0.95 and found.omnibus_risk < 0.5
    follows = found.posterior.idxmax(axis=1)
    assert follows.tolist() == ["a"] * 12 + ["b"] * 4


def log_odds(rng, share, nats, n_subjects=12):
    """Log odds of animals for the first of two rules that mean what they say, (n_subjects, 2)."""
    sign = np.where(rng.random(n_subjects) < share, 1, -1)
    return np.column_stack([rng.normal(sign * nats, np.sqrt(2 * nats)), np.zeros(n_subjects)])


def test_protected_exceedance_is_right_as_often_as_it_says():
    rng = np.random.default_rng(0)
    said, right = [], []
    for _ in range(400):
        share = rng.choice([0.5, rng.random()])
        population = _animal_rules._infer(pd.DataFrame(log_odds(rng, share, 5.0)), 1.0).population
        said.append(population["protected_exceedance"].iloc[0])
        first = population.index[0] == 0
        right.append(0.5 if share == 0.5 else float((share > 0.5) == first))
    sure = np.array(said) > 0.8
    assert sure.sum() > 50
    for group in (sure, ~sure):
        assert np.mean(said, where=group) == pytest.approx(np.mean(right, where=group), abs=0.05)


@pytest.mark.parametrize(("nats", "low", "high"), [(10.0, 0.92, 0.97), (1.0, 0.75, 0.87)])
def test_intervals_hold_the_true_share_as_often_as_is_said(nats, low, high):
    rng = np.random.default_rng(0)
    held = []
    for share in rng.random(500):
        a, b = _animal_rules._fit(log_odds(rng, share, nats), 1.0)
        lower, upper = beta.ppf(_animal_rules.INTERVAL, a, b)
        held.append(lower <= share <= upper)
    assert low < np.mean(held) < high


def static_animals(n_subjects, random_state):
    trials = make_learning_cohort(
        n_subjects,
        300,
        rule=lambda weights, trial: np.zeros_like(weights),
        initial_weights=(2.0, 0.0),
        random_state=random_state,
    )
    return trials.assign(subject=trials["subject"].str.replace("mouse", "static"))


def test_it_is_told_who_learns_and_who_is_static():
    learners, of_known_kind = (make_learning_cohort(6, 300, random_state=i) for i in (0, 2))
    X, y, _ = lr.make_design(pd.concat([learners, static_animals(4, 1)], ignore_index=True))
    learns = lr.ReinforceRuleEstimator(baseline=None).fit(*lr.make_design(of_known_kind)[:2])
    stays = lr.ConstantRuleEstimator().fit(*lr.make_design(static_animals(6, 3))[:2])
    rules = {"REINFORCE": FrozenEstimator(learns), "constant": FrozenEstimator(stays)}
    found = lr.animal_rules(lr.compare_rules(rules, X, y, cv=2, verbose=0))
    is_static = found.posterior.index.str.startswith("static")
    assert (found.posterior["REINFORCE"] > 0.95).tolist() == (~is_static).tolist()
    assert (found.posterior["constant"] > 0.95).tolist() == is_static.tolist()
    shares = found.population["expected_share"]
    assert shares.to_dict() == pytest.approx({"REINFORCE": 7 / 12, "constant": 5 / 12}, abs=0.01)


def test_totals_are_of_all_scored_trials():
    X, y, _ = lr.make_design(make_learning_cohort(3, 60, random_state=0))
    rules = {side: DummyClassifier(strategy="prior") for side in ("a", "b")}
    rules["b"] = DummyClassifier(strategy="uniform")
    scores = lr.compare_rules(rules, X, y, cv=3, verbose=0)
    totals = _animal_rules._total_log_likelihoods(scores)
    expected = -np.log(2) * X.groupby("subject").size()
    np.testing.assert_allclose(totals["b"], expected[totals.index])


# ------------------------------------------------------------------- wrong input


TWO = scores_of([[0.0, 1.0], [1.0, 0.0]])
FAILED = TWO.assign(log_likelihood=TWO["log_likelihood"].where(TWO.index != 3))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (TWO.drop(columns="n_trials"), "table of compare_rules, but has no column 'n_trials'."),
        (TWO[TWO["rule"] == "a"], "of two rules or more, to tell animals by, got ['a']."),
        (
            FAILED,
            "'b' has not been scored in full on 1 of 2 animals (first 'mouse_01'), or failed "
            "there: leave it out, scores[scores['rule'] != 'b'].",
        ),
        (TWO.drop(index=3), "'b' has not been scored in full on 1 of 2 animals (first 'mouse_01')"),
        (
            TWO.assign(n_trials=[9, 9, 9, 8]),
            "Rules should be scored on the same trials, but are not on those of 'mouse_01' in "
            "fold 0: compare them all in one call of compare_rules.",
        ),
        (TWO.assign(fold=[0, 0, 0, 1]), "are not on those of 'mouse_01' in fold 0"),
        (
            TWO.assign(n_trials=[9, 0, 9, 0]),
            "n_trials of scores should be how many trials were scored, but is 0 of 'mouse_01': "
            "leave out animals without any.",
        ),
        (TWO.assign(log_likelihood="low"), "Column 'log_likelihood' of scores should be numeric."),
        (pd.concat([TWO, TWO]), "should have one row a rule, animal and fold, but has several"),
    ],
)
def test_scores_that_tell_no_rules_apart_are_told_in_a_sentence(scores, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.animal_rules(scores)


def test_scores_may_be_a_table_of_any_library_but_no_text():
    found = lr.animal_rules(pl.from_pandas(TWO))
    assert_frame_equal(found.posterior, lr.animal_rules(TWO).posterior)
    for what in (lr.animal_rules, lr.rank_rules):
        with pytest.raises(TypeError, match="scores should be a table in memory, .*, got str"):
            what("scores.csv")


@pytest.mark.parametrize("prior", [1e-6, 1e6])
def test_intervals_are_numbers_whatever_the_prior(prior):
    shares = lr.animal_rules(scores_of([[0.0, 9.0]] * 9), prior=prior).population
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert (shares["lower"] <= shares["upper"]).all()


@pytest.mark.parametrize("prior", [0, -1.0, 1e-320, 1e308, np.inf, np.nan, "flat", True, None])
def test_a_prior_that_is_none_is_told_in_a_sentence(prior):
    with pytest.raises(ValueError, match="prior should be a float in the range .*, got"):
        lr.animal_rules(TWO, prior=prior)


def test_what_was_found_is_told_in_two_tables_and_a_sentence():
    found = lr.animal_rules(TWO)
    assert str(found).split("\n\n") == [
        f"Probability that an animal follows a rule:\n{found.posterior.round(2)}",
        f"Share of the population that follows a rule:\n{found.population.round(2)}",
        "The probability that all rules are equally frequent (the Bayesian omnibus risk) is "
        f"{found.omnibus_risk:.2f}.",
    ]
