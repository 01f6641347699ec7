"""Bands: refits on animals drawn anew, and intervals over fits and animals."""

import re

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import band, bootstrap_fits, update_table

RULE = lr.ReinforceRuleEstimator()


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(5, 100, random_state=0)


@pytest.fixture(scope="module")
def cohort(trials):
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def refits(cohort):
    return bootstrap_fits(RULE, *cohort, n_bootstraps=4, random_state=0, verbose=0)


def learned(fits):
    return np.array([np.r_[fit.learning_rate_, fit.initial_weights_] for fit in fits])


# ----------------------------------------------------------------------- bootstrap_fits


def test_a_refit_is_a_fit_on_animals_of_which_some_are_there_twice(trials, refits):
    mice = trials["subject"].unique()
    rng = check_random_state(0)
    for times, refit in zip(rng.multinomial(5, np.full(5, 0.2), 4), refits, strict=True):
        drawn = [
            trials[trials["subject"] == mouse].assign(subject=f"{mouse} ({copy})")
            for mouse, n in zip(mice, times, strict=True)
            for copy in range(n)
        ]
        X, y, _ = lr.make_design(pd.concat(drawn))
        copies = lr.ReinforceRuleEstimator().fit(X, y)
        assert refit.net_.history[-1, "train_loss"] == pytest.approx(-copies.score(X, y), abs=1e-6)
        np.testing.assert_allclose(learned([refit]), learned([copies]), atol=1e-3)


def test_an_animal_that_was_not_drawn_is_not_seen(cohort):
    seen = []

    class Watched(lr.ConstantRuleEstimator):
        def fit(self, X, y, sample_weight):
            seen.append((set(X.index.unique("subject")), sample_weight))
            return super().fit(X, y, sample_weight)

    X, y = cohort
    early = (X.index.get_level_values("trial") > 0).astype(float)
    bootstrap_fits(Watched(), X, y, n_bootstraps=3, sample_weight=early, random_state=0, verbose=0)
    for (subjects, weight), times in zip(
        seen, check_random_state(0).multinomial(5, np.full(5, 0.2), 3), strict=True
    ):
        assert len(subjects) == (times > 0).sum()
        assert set(weight) == {0, *times}


def test_the_seed_decides_and_the_number_of_jobs_does_not(cohort, refits):
    options = {"n_bootstraps": 4, "verbose": 0}
    with joblib.parallel_config("threading"):  # quicker than new processes
        two = bootstrap_fits(RULE, *cohort, random_state=0, n_jobs=2, **options)
    np.testing.assert_array_equal(learned(two), learned(refits))
    other = bootstrap_fits(RULE, *cohort, random_state=1, **options | {"n_bootstraps": 1})
    assert not np.allclose(learned(other), learned(refits[:1]))


def test_a_pipelines_weights_reach_its_last_step(cohort, refits):
    pipeline = make_pipeline(lr.TanhContrast(slope=1e-6), RULE)  # as good as no change
    fits = bootstrap_fits(pipeline, *cohort, n_bootstraps=4, random_state=0, verbose=0)
    np.testing.assert_allclose(learned([fit[-1] for fit in fits]), learned(refits), atol=1e-3)


def test_progress_is_shown_unless_it_is_not_wanted(cohort, capsys):
    constant = lr.ConstantRuleEstimator()
    bootstrap_fits(constant, *cohort, n_bootstraps=2, verbose=0)
    assert capsys.readouterr().err == ""
    bootstrap_fits(constant, *cohort, n_bootstraps=2)
    assert "bootstrap" in (shown := capsys.readouterr().err) and "2/2" in shown


def test_no_refit_is_no_bootstrap(cohort):
    with pytest.raises(ValueError, match="n_bootstraps == 0, must be >= 1"):
        bootstrap_fits(RULE, *cohort, n_bootstraps=0)


# --------------------------------------------------------------------------------- band


def test_a_band_lies_between_percentiles_of_the_fits(cohort, refits):
    table = update_table(
        refits, cohort[0], stimuli=[-1, 1], weights={"stimulus": [0, 1], "bias": 0}
    )
    keys = ["stimulus", "weight_stimulus", "correct"]
    bands = band(table, "update_stimulus", by=keys, level=0.9)
    assert list(bands) == [*keys, "mean", "lower", "upper", "n"]
    assert len(bands) == 2 * 2 * 2
    for row in bands.itertuples():
        own = table[(table[keys] == [row.stimulus, row.weight_stimulus, row.correct]).all(axis=1)]
        values = own["update_stimulus"]
        assert row.n == len(values) == 4
        expected = [values.mean(), *np.percentile(values, [5, 95])]
        np.testing.assert_allclose([row.mean, row.lower, row.upper], expected)


def test_over_what_is_not_told_apart_the_mean_is_taken_within_each_fit_first():
    table = pd.DataFrame({"fit": [0, 0, 0, 1], "x": [1] * 4, "value": [0.0, 0.0, 3.0, 5.0]})
    (row,) = band(table, "value", by="x").itertuples()
    assert (row.mean, row.n) == (3.0, 2)


def test_students_interval_is_that_of_independent_animals():
    values = np.random.RandomState(0).standard_normal(8)
    table = pd.DataFrame({"fit": 0, "subject": range(8), "session": 1, "value": values})
    bands = band(table, "value", by="session", over="subject", interval="t")
    expected = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    np.testing.assert_allclose(bands[["lower", "upper"]].to_numpy()[0], expected)


def test_an_interval_ends_where_the_value_can_be_no_more():
    table = pd.DataFrame({"fit": 0, "subject": [1, 2], "session": 1, "value": [0.7, 0.9]})
    how = {"by": "session", "over": "subject", "interval": "t"}
    bands = band(table, "value", bounds=(0, 1), **how)
    assert bands[["mean", "lower", "upper"]].to_numpy()[0] == pytest.approx([0.8, 0, 1])
    assert band(table, "value", **how)["upper"][0] > 2


def test_a_band_of_unknown_things_is_refused():
    table = pd.DataFrame({"fit": [0], "value": [1.0]})
    message = "The table has no column 'subject', but ['fit', 'value']."
    with pytest.raises(ValueError, match=re.escape(message)):
        band(table, "value", by="fit", over="subject")
    message = "The table has a column 'n' of its own: rename yours."
    with pytest.raises(ValueError, match=re.escape(message)):
        band(table.assign(n=0), "value", by=["n"])
    message = "interval should be one of ('percentile', 't'), got 'sd'."
    with pytest.raises(ValueError, match=re.escape(message)):
        band(table, "value", by=[], interval="sd")
