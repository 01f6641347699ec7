"""Held-out likelihood by the number of animals fitted, as a table and as a picture."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn import curves, edges, finite, legend
from pandas.testing import assert_frame_equal
from scipy.stats import t as student_t
from sklearn.dummy import DummyClassifier

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.metrics import CHANCE
from sklearn_learnrule.plotting import LearningCurveDisplay

RULES = {"constant": lr.ConstantRuleEstimator(), "coin": DummyClassifier(strategy="prior")}
OPTIONS = {"cv": 2, "n_repeats": 2, "random_state": 0, "verbose": 0}


class Watched(DummyClassifier):
    """Notes down the animals that it is fitted to."""

    fits = []

    def fit(self, X, y, sample_weight=None):
        self.fits.append(frozenset(X.index.unique("subject")))
        return super().fit(X, y, sample_weight)


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(8, 40, random_state=0))[:2]


@pytest.fixture(scope="module")
def table(cohort):
    return lr.animal_learning_curve(RULES, *cohort, n_subjects=[1, 2, 4], **OPTIONS)


def test_more_and_more_of_the_same_animals_are_fitted(cohort):
    Watched.fits.clear()
    table = lr.animal_learning_curve([Watched()], *cohort, n_subjects=[1, 3, 4], **OPTIONS)
    assert [len(fitted) for fitted in Watched.fits] == [1, 3, 4, 1, 3] * 2
    for one, three, everybody, other, others in (Watched.fits[:5], Watched.fits[5:]):
        assert one < three < everybody
        assert other < others < everybody
    cells = table[["n_subjects", "repeat", "fold"]].drop_duplicates().to_numpy().tolist()
    assert cells == [
        [n, repeat, fold] for n in (1, 3, 4) for repeat in (0, 1)[: 2 - (n == 4)] for fold in (0, 1)
    ]


def test_each_row_is_the_score_of_a_held_out_animal(cohort, table):
    X, y = cohort
    assert list(table)[:5] == ["rule", "n_subjects", "repeat", "subject", "fold"]
    assert table.groupby(["rule", "n_subjects", "repeat"])["subject"].nunique().eq(8).all()
    whole = table.query("rule == 'constant' and n_subjects == 4").drop(
        columns=["n_subjects", "repeat"]
    )
    expected = lr.compare_rules({"constant": RULES["constant"]}, X, y, cv=2, verbose=0)
    assert_frame_equal(
        whole.drop(columns="seconds").reset_index(drop=True), expected.drop(columns="seconds")
    )


def test_the_default_doubles_up_to_all_animals(cohort):
    X, y = cohort
    sizes = lr.animal_learning_curve([RULES["coin"]], X, y, cv=8, verbose=0)["n_subjects"]
    assert sizes.unique().tolist() == [2, 4, 7]


def test_the_seed_decides_who_is_fitted(cohort, table):
    options = {"n_subjects": [1, 2, 4], **OPTIONS}
    same = lr.animal_learning_curve(RULES, *cohort, **options)
    assert_frame_equal(same.drop(columns="seconds"), table.drop(columns="seconds"))
    options |= {"n_subjects": [1], "random_state": 1}
    other = lr.animal_learning_curve(RULES, *cohort, **options)
    of_one = table.loc[table["n_subjects"] == 1, "log_likelihood"]
    assert not np.allclose(other["log_likelihood"], of_one)


def test_fits_are_kept(cohort, tmp_path):
    options = {"n_subjects": [1, 3, 4], "cache": tmp_path, **OPTIONS}
    first = lr.animal_learning_curve([Watched()], *cohort, **options)
    Watched.fits.clear()
    assert_frame_equal(lr.animal_learning_curve([Watched()], *cohort, **options), first)
    assert not Watched.fits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_subjects": [2, 5]}, "from 1 to the 4 that every fold leaves, got [2, 5]."),
        ({"n_subjects": [0]}, "n_subjects should be numbers of animals to fit, from 1 to the 4"),
        ({"n_subjects": []}, "that every fold leaves, got []."),
        ({"cv": lr.MaskedTrials()}, "holds animals out: give a cv by animal."),
        ({"n_repeats": 0}, "n_repeats == 0, must be >= 1."),
    ],
)
def test_a_curve_that_cannot_be_is_refused(cohort, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.animal_learning_curve(RULES, *cohort, **{**OPTIONS, **options})


# ------------------------------------------------------------------------ the picture


def test_lines_are_means_over_animals_by_the_number_fitted(table):
    display = LearningCurveDisplay(table).plot()
    ax = display.ax_
    assert list(legend(ax)) == ["constant", "coin"]
    for line, (_, own) in zip(
        curves(ax, marker="o"), table.groupby("rule", sort=False), strict=True
    ):
        by_animal = own.groupby(["n_subjects", "subject"])["log_likelihood"].mean()
        expected = by_animal.groupby("n_subjects").mean()
        np.testing.assert_allclose(finite(line), np.c_[expected.index, expected])
    assert {band.get_alpha() for band in ax.collections} == {0}  # they would hide each other
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "4"]
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "held-out log-likelihood\n(nats / trial)"
    assert CHANCE in [line.get_ydata()[0] for line in ax.lines]


def test_relative_curves_have_the_bands_of_paired_animals(table):
    ax = LearningCurveDisplay(table).plot(reference="coin").ax_
    wide = table.pivot_table("log_likelihood", ["n_subjects", "subject"], "rule")
    gain = (wide["constant"] - wide["coin"]).groupby("n_subjects")
    half = gain.sem() * student_t.ppf(0.975, 7)
    drawn = edges(ax.collections[0])
    np.testing.assert_allclose(drawn, np.c_[gain.mean() - half, gain.mean() + half])
    assert ax.get_ylabel() == "held-out log-likelihood\n− coin (nats / trial)"
    with pytest.raises(ValueError, match=r"reference should be one of .*, got 'DNN'"):
        LearningCurveDisplay(table).plot(reference="DNN")


def test_the_band_of_a_log_likelihood_ends_at_0(table):
    one = table[table["rule"] == "coin"].copy()
    one["log_likelihood"] = -0.001 - 0.1 * (one["subject"] == one["subject"].iloc[0])
    drawn = edges(LearningCurveDisplay(one).plot().ax_.collections[0])
    assert drawn["max"].max() == 0 and drawn["min"].min() < -0.03


def test_a_number_of_animals_on_which_a_rule_failed_has_no_point(table):
    table = table.copy()
    table.loc[table.query("rule == 'coin' and n_subjects == 2").index[0], "log_likelihood"] = np.nan
    constant, coin = curves(LearningCurveDisplay(table).plot().ax_, marker="o")
    assert finite(constant)[:, 0].tolist() == [1, 2, 4]
    assert finite(coin)[:, 0].tolist() == [1, 4]


def test_estimators_are_fitted_and_drawn_in_one_go(cohort):
    _, ax = plt.subplots()
    options = {"n_subjects": [1, 2], "ax": ax, "reference": "coin", **OPTIONS}
    display = LearningCurveDisplay.from_estimator(RULES, *cohort, **options)
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert isinstance(display.table, pd.DataFrame)
