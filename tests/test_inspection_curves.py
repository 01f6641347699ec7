"""Curves of model and animal, in sample or by the fit that has not seen the animal."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import (
    psychometric_table,
    session_table,
    weight_trajectories,
)

FOLDS = lr.SubjectKFold(3)
WHOLE = {"cv": FOLDS, "return_estimator": True, "return_indices": True}
RULE = lr.ReinforceRuleEstimator(baseline=None)


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(6, 150, session_length=40, random_state=0)


@pytest.fixture(scope="module")
def cohort(trials):
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def folds(cohort):
    return cross_validate(RULE, *cohort, **WHOLE)


@pytest.fixture(scope="module")
def held_out(cohort):
    """P(right) of each trial by the fold that has not seen the animal, from scikit-learn."""
    X, y = cohort
    return pd.Series(cross_val_predict(RULE, X, y, cv=FOLDS, method="predict_proba")[:, 1], X.index)


# ------------------------------------------------------------------ weight trajectories


def test_trajectories_are_the_predicted_weights(cohort):
    X, y = cohort
    rule = RULE.fit(X, y)
    table = weight_trajectories({"a": rule}, X)
    assert (table["fit"] == "a").all()
    found = table.set_index(["subject", "session", "trial"])[["weight_stimulus", "weight_bias"]]
    assert_frame_equal(found, rule.predict_weights(X).add_prefix("weight_"))

    columns = X.reset_index()
    assert_frame_equal(weight_trajectories({"a": RULE.fit(columns, y)}, columns), table)


def test_folds_give_the_weights_of_animals_they_have_not_seen(cohort, folds):
    X, _ = cohort
    table = weight_trajectories(folds, X)
    assert len(table) == len(X)
    for number, (_, test) in enumerate(FOLDS.split(X)):
        own = table[table["fit"] == number]
        expected = folds["estimator"][number].predict_weights(X.iloc[test])
        np.testing.assert_array_equal(own[["weight_stimulus", "weight_bias"]], expected)
        assert set(own["subject"]) == set(X.index[test].unique("subject"))


def test_a_pipelines_weights_are_those_of_its_transformed_stimulus(trials):
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    pipeline = make_pipeline(lr.TanhContrast(), RULE).fit(X, y)
    expected = pipeline[-1].predict_weights(lr.TanhContrast().fit_transform(X))
    found = weight_trajectories(pipeline, X)
    np.testing.assert_array_equal(found[["weight_contrast", "weight_bias"]], expected)


# ------------------------------------------------------------------- psychometric curves


def test_a_psychometric_curve_is_the_share_and_mean_probability_of_right(cohort, folds, held_out):
    X, y = cohort
    table = psychometric_table(folds, X, y).set_index(["subject", "stimulus"])
    rows = pd.DataFrame({"s": X["stimulus"], "animal": y == "right", "model": held_out})
    expected = rows.groupby(["subject", "s"]).agg(["size", "mean"])
    for (subject, stimulus), row in expected.iterrows():
        found = table.loc[(subject, stimulus)]
        assert found["n_trials"] == row["animal", "size"]
        np.testing.assert_allclose(
            [found["animal"], found["model"]], [row["animal", "mean"], row["model", "mean"]]
        )
    assert len(table) == len(expected)


def test_sessions_are_numbered_within_the_animal(cohort, folds):
    X, y = cohort
    table = psychometric_table(folds, X, y, by="session")
    assert table.groupby("subject")["session"].min().eq(1).all()
    sizes = table.groupby(["subject", "session"])["n_trials"].sum()
    assert_series_equal(sizes, X.groupby(["subject", "session"]).size(), check_names=False)


def test_parts_may_be_anything_that_has_a_value_a_row(cohort, folds):
    X, y = cohort
    late = pd.Series(X.index.get_level_values("trial") > 70, name="late")
    table = psychometric_table(folds, X, y, by=late)
    assert list(table) == ["fit", "subject", "late", "stimulus", "n_trials", "animal", "model"]
    assert table.loc[table["late"], "n_trials"].sum() == late.sum()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        psychometric_table(folds, X, y, by=late[:-1])


def test_stimuli_of_many_values_are_binned(cohort):
    X, y = cohort
    X = X.assign(stimulus=X["stimulus"] + np.random.RandomState(0).uniform(0, 0.1, len(X)))
    table = psychometric_table(LogisticRegression().fit(X, y), X, y)
    bins = table.groupby("stimulus")["n_trials"].sum()
    assert len(bins) == 10
    assert bins.max() - bins.min() <= 1
    assert np.average(bins.index, weights=bins) == pytest.approx(X["stimulus"].mean())


@pytest.mark.parametrize("name", ["second", "log_likelihood", "run"])
def test_a_stimulus_may_have_a_name_that_is_no_column_of_the_table(cohort, name):
    X, y = cohort
    renamed = X.rename(columns={"stimulus": name})
    one, other = (psychometric_table(LogisticRegression().fit(x, y), x, y) for x in (X, renamed))
    assert_frame_equal(other.rename(columns={name: "stimulus"}), one)


@pytest.mark.parametrize("name", ["fit", "n_trials", "animal", "model"])
def test_a_stimulus_or_part_may_not_be_called_as_a_column_of_the_table(cohort, name):
    X, y = cohort
    renamed = X.rename(columns={"stimulus": name})
    part = pd.Series(0, range(len(X)), name=name)
    for x, by in ((renamed, None), (X, part), (X, part.rename("stimulus"))):
        taken = "stimulus" if by is not None and by.name == "stimulus" else name
        with pytest.raises(ValueError, match=f"The table has a column '{taken}' of its own"):
            psychometric_table(LogisticRegression().fit(x, y), x, y, by=by)


def test_any_classifier_has_curves_and_a_search_those_of_its_best(cohort):
    X, y = cohort
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=FOLDS).fit(X, y)
    one, other = (psychometric_table(e, X, y) for e in (search, search.best_estimator_))
    assert_frame_equal(one, other)


# ---------------------------------------------------------------------- learning curves


def test_a_learning_curve_is_the_share_and_mean_probability_of_correct(cohort, folds, held_out):
    X, y = cohort
    table = session_table(folds, X, y).set_index(["subject", "session"])
    right, sees_right = y == "right", X["stimulus"] > 0
    known = X.groupby("subject").cumcount(ascending=False) > 0
    rows = pd.DataFrame(
        {
            "animal": (right == sees_right).where(known),
            "model": held_out.where(sees_right, 1 - held_out).where(known),
            "log_likelihood": np.log(held_out.where(right, 1 - held_out)),
        }
    ).astype(float)
    expected = rows.groupby(["subject", "session"]).mean()
    assert_frame_equal(table[list(rows)].sort_index(), expected, check_names=False)
    assert table["n_trials"].sum() == len(X)


def test_a_learning_curve_by_session_is_one_by_the_number_of_the_session(cohort, folds):
    X, y = cohort
    number = X.groupby("subject")["stimulus"].transform(
        lambda own: own.groupby("session").ngroup() + 1
    )
    table = session_table(folds, X, y, by=number.rename("day"))
    assert_frame_equal(table.rename(columns={"day": "session"}), session_table(folds, X, y))


def test_every_fit_of_a_list_predicts_every_animal(cohort):
    X, y = cohort
    fits = [lr.ReinforceRuleEstimator(baseline=b).fit(X, y) for b in (None, "free")]
    table = session_table(fits, X, y)
    assert table.groupby("fit")["n_trials"].sum().tolist() == [len(X)] * 2
    means = table.assign(total=table["log_likelihood"] * table["n_trials"]).groupby("fit")["total"]
    np.testing.assert_allclose(means.sum() / len(X), [fit.score(X, y) for fit in fits])


def test_where_rewards_do_not_tell_what_was_correct_sessions_have_their_means(trials):
    paid = trials.assign(reward=trials["reward"] - np.arange(len(trials)) % 2)
    X, y, _ = lr.make_design(paid)
    table = session_table(LogisticRegression().fit(X, y), X, y)
    assert table["model"].isna().all()
    is_last = ~paid["subject"].duplicated(keep="last")  # of which X does not tell
    earned = paid[~is_last].groupby(["subject", "session"])["reward"].mean()
    np.testing.assert_allclose(table["animal"], earned)


# ---------------------------------------------------------------------- wrong input


@pytest.mark.parametrize("missing", ["estimator", "indices"])
def test_a_cross_validation_has_to_keep_its_fits_and_folds(cohort, folds, missing):
    results = {name: value for name, value in folds.items() if name != missing}
    message = (
        f"The result of cross_validate has no '{missing}': call it with return_estimator=True, "
        "return_indices=True."
    )
    with pytest.raises(ValueError, match=message):
        weight_trajectories(results, cohort[0])


def test_folds_of_another_x_are_refused(cohort, folds):
    X, y = cohort
    message = (
        r"Fold 0 holds out row \d+, but X has 5 rows: give the X that cross_validate was given."
    )
    with pytest.raises(ValueError, match=message):
        psychometric_table(folds, X[:5], y[:5])


def test_wrong_names_and_labels_are_told(cohort, folds):
    X, y = cohort
    for options, message in (
        ({"stimulus": "contrast"}, "stimulus should be one of ['stimulus'], got 'contrast'."),
        ({"by": "day"}, "by should be None, 'session' or a Series, got 'day'."),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            psychometric_table(folds, X, y, **options)
    for by in ("session", pd.Series("early", X.index)):
        with pytest.raises(ValueError, match="by should be a Series of numbers, one a row of X"):
            session_table(folds, X, y, by=by)
    with pytest.raises(ValueError, match=re.escape("y should hold the classes ['left', 'right']")):
        psychometric_table(folds, X, y.replace("left", "up"))
    with pytest.raises(ValueError, match="X has no index level or column 'session'"):
        session_table(folds, X.droplevel("session"), y)
