"""Splits within animals: the future, and masked trials; and what a rule is given on them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.metrics import choice_log_likelihood

RULE = lr.ReinforceRuleEstimator(baseline=None)
FUTURE = lr.FutureSplit(n_train=50, n_test=20)
MASKED = lr.MaskedTrials(share=0.2, n_splits=2, random_state=0)
LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=5)


def rows_of(lengths):
    subjects = pd.Index([f"mouse {i}" for i in range(len(lengths))]).repeat(lengths)
    return pd.DataFrame({"stimulus": 0.0}, index=subjects.rename("subject"))


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(3, 90, random_state=0))[:2]


def trial(X):
    return X.index.get_level_values("trial")


def compared(estimator, X, y, cv, **options):
    scores = lr.compare_rules({"one": estimator}, X, y, cv=cv, verbose=0, **options)
    return scores.set_index(["subject", "fold"])


class Watched(LogisticRegression):
    """Notes down what it was fitted to."""

    fits = []

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.fits.append((X, y, sample_weight, self.coef_))
        return self


@pytest.fixture
def watched():
    Watched.fits.clear()
    return Watched()


class Unweighted(KNeighborsClassifier):
    fits = []

    def fit(self, X, y):
        self.fits.append(X)
        return super().fit(X, y)


# ------------------------------------------------------------------------ the splitters


@pytest.mark.filterwarnings("ignore:FutureSplit")
@settings(max_examples=30, deadline=None)
@given(lengths=LENGTHS, n_train=st.integers(1, 29), n_test=st.none() | st.integers(1, 9))
def test_the_future_is_each_animals_next_trials(lengths, n_train, n_test):
    X = rows_of(lengths)
    cv = lr.FutureSplit(n_train, n_test)
    if max(lengths) <= n_train:
        message = (
            f"the first {n_train} of an animal, but the longest has {max(lengths)}: lower n_train"
        )
        with pytest.raises(ValueError, match=message):
            next(cv.split(X))
        return
    ((train, test),) = cv.split(X)
    assert cv.get_n_splits() == 1
    position = np.concatenate([np.arange(length) for length in lengths])
    assert train.tolist() == np.flatnonzero(position < n_train).tolist()
    end = n_train + (n_test or 99)
    assert test.tolist() == np.flatnonzero((n_train <= position) & (position < end)).tolist()


def test_animals_with_few_trials_to_score_are_told():
    message = (
        r"2 of 3 animals \(first 'mouse 1': 0\) have fewer than 4 trials to score after the first 5"
    )
    with pytest.warns(UserWarning, match=message):
        next(lr.FutureSplit(5, 4).split(rows_of([9, 5, 7])))


@settings(max_examples=30, deadline=None)
@given(lengths=LENGTHS, share=st.floats(0.01, 0.99))
def test_a_share_of_every_animals_trials_is_masked(lengths, share):
    X = rows_of(lengths)
    cv = lr.MaskedTrials(share, n_splits=3, random_state=1)
    if max(lengths) == 1:
        with pytest.raises(ValueError, match="an animal of at least 2 trials, but each has 1"):
            next(cv.split(X))
        return
    folds = list(cv.split(X))
    assert len(folds) == cv.get_n_splits() == 3
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(len(X)))
        found = X.iloc[test].groupby("subject").size().reindex(X.index.unique("subject"))
        expected = np.clip(np.rint(share * np.array(lengths)), 1, np.array(lengths) - 1)
        assert found.fillna(0).tolist() == expected.tolist()


def test_the_same_seed_masks_alike_and_each_fold_otherwise(cohort):
    first, same = ([test.tolist() for _, test in MASKED.split(cohort[0])] for _ in range(2))
    assert first == same
    assert first[0] != first[1]


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (lr.FutureSplit(0), "n_train == 0, must be >= 1"),
        (lr.FutureSplit(5, 0), "n_test == 0, must be >= 1"),
        (lr.MaskedTrials(0), "share == 0, must be > 0"),
        (lr.MaskedTrials(n_splits=0), "n_splits == 0, must be >= 1"),
    ],
)
def test_a_split_that_cannot_be_is_refused(cv, message):
    with pytest.raises(ValueError, match=message):
        next(cv.split(rows_of([9])))


# --------------------------------------------------------- what rules are given on them


@pytest.mark.parametrize("n_subjects", [1, 3])
def test_the_future_is_scored_by_a_rule_that_was_fitted_to_the_past(cohort, n_subjects):
    X, y = cohort
    some = X.index.get_level_values("subject").isin(X.index.unique("subject")[:n_subjects])
    X, y = X[some], y[some]
    past, until = trial(X) < 50, trial(X) < 70
    fit = lr.ConstantRuleEstimator().fit(X[past], y[past])
    expected = pd.Series(choice_log_likelihood(fit, X[until], y[until]), X.index[until])
    expected = expected[trial(X[until]) >= 50].groupby("subject").mean()
    found = compared(lr.ConstantRuleEstimator(), X, y, FUTURE)
    assert found["n_trials"].tolist() == [20] * n_subjects
    np.testing.assert_allclose(found["log_likelihood"], expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:FutureSplit")
def test_an_animal_that_ends_too_early_is_fitted_and_not_scored(cohort, watched):
    X, y = cohort
    short = (X.index.get_level_values("subject") != "mouse_02") | (trial(X) < 30)
    found = compared(watched, X[short], y[short], FUTURE)
    assert found.index.get_level_values("subject").tolist() == ["mouse_01", "mouse_03"]
    fitted = Watched.fits[0][0]
    assert fitted.groupby("subject").size().tolist() == [50, 30, 50]


def test_masked_trials_are_unrolled_through_and_alone_are_scored(cohort):
    X, y = cohort
    found = compared(RULE, X, y, MASKED)
    for fold, (_, test) in enumerate(MASKED.split(X)):
        masked = np.isin(np.arange(len(X)), test)
        fit = lr.ReinforceRuleEstimator(baseline=None).fit(X, y, sample_weight=~masked * 1.0)
        scores = pd.Series(choice_log_likelihood(fit, X, y), X.index)
        expected = scores[masked].groupby("subject").mean()
        own = found.xs(fold, level="fold")
        np.testing.assert_allclose(own["log_likelihood"], expected, atol=1e-6)
        assert own["n_trials"].tolist() == scores[masked].groupby("subject").size().tolist()


def test_masked_choices_are_not_fitted(cohort, watched):
    X, y = cohort
    _, test = next(MASKED.split(X))
    other = y.copy()
    other.iloc[test] = y.iloc[test].map({"left": "right", "right": "left"})
    one = lr.MaskedTrials(share=0.2, n_splits=1, random_state=0)
    scores = [compared(watched, X, choices, one)["accuracy"] for choices in (y, other)]
    (*_, first), (*_, same) = Watched.fits
    np.testing.assert_array_equal(first, same)
    np.testing.assert_allclose(scores[0] + scores[1], 1)


def test_a_rival_that_takes_no_weights_is_given_the_fitted_rows_alone(cohort):
    X, y = cohort
    Unweighted.fits.clear()
    compared(Unweighted(), X, y, MASKED)
    for given_rows, (train, _) in zip(Unweighted.fits, MASKED.split(X), strict=True):
        pd.testing.assert_frame_equal(given_rows, X.iloc[train])


def test_a_pipelines_weights_reach_its_last_step(cohort, watched):
    X, y = cohort
    compared(make_pipeline(StandardScaler(), make_pipeline(watched)), X, y, MASKED)
    for (_, _, weight, _), (train, _) in zip(Watched.fits, MASKED.split(X), strict=True):
        assert np.flatnonzero(weight).tolist() == train.tolist()


@pytest.mark.parametrize("cv", [lr.SubjectKFold(3), FUTURE, MASKED])
def test_a_trial_of_weight_0_is_unrolled_through_and_not_scored(cohort, watched, cv):
    X, y = cohort
    late = trial(X) >= 10
    found = compared(watched, X, y, cv, sample_weight=late)
    whole = compared(watched, X, y, cv)
    assert (found["n_trials"] < whole["n_trials"]).any() or cv is FUTURE
    for fitted, _, weight, _ in Watched.fits[: len(Watched.fits) // 2]:
        assert not weight[trial(fitted) < 10].any()
        assert weight[trial(fitted) >= 10].any()
    if cv is not MASKED:
        last = trial(X) == 9
        edge = X.assign(stimulus=np.where(last, 1e3, X["stimulus"]))  # of a trial not scored
        same = compared(watched, edge, y, cv, sample_weight=late)
        np.testing.assert_allclose(same["log_likelihood"], found["log_likelihood"], rtol=1e-3)


def test_trials_count_by_their_weight(cohort):
    X, y = cohort
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X))
    found = compared(RULE, X, y, 3, sample_weight=weight)
    for train, test in lr.SubjectKFold(3).split(X):
        fit = lr.ReinforceRuleEstimator(baseline=None)
        fit.fit(X.iloc[train], y.iloc[train], sample_weight=weight[train])
        expected = fit.score(X.iloc[test], y.iloc[test], sample_weight=weight[test])
        subject = X.index[test].unique("subject")[0]
        assert found.loc[subject, "log_likelihood"].item() == pytest.approx(expected, abs=1e-6)


def test_a_rival_that_takes_no_weights_takes_no_fractions(cohort):
    message = "Unweighted takes no sample_weight, so that trials count or do not"
    with pytest.raises(ValueError, match=message):
        compared(Unweighted(), *cohort, 3, sample_weight=np.linspace(1, 2, len(cohort[0])))


def test_a_search_is_not_let_choose_by_masked_choices(cohort):
    search = GridSearchCV(RULE, {"forgetting": [True, False]}, cv=lr.SubjectKFold(2))
    message = "'one' is a search, which would choose parameters by the masked choices, too"
    for estimator in (search, make_pipeline(lr.TanhContrast(), search)):
        with pytest.raises(ValueError, match=message):
            compared(estimator, *cohort, MASKED)
    constant = GridSearchCV(
        lr.ConstantRuleEstimator(), {"initial_weights": ["zeros"]}, cv=lr.SubjectKFold(2)
    )
    assert compared(constant, *cohort, FUTURE)["log_likelihood"].notna().all()


@pytest.mark.parametrize("cv", [FUTURE, MASKED])
def test_cross_val_score_on_trials_that_start_late_is_an_error(cohort, cv):
    message = (
        "A rule is unrolled from an animal's first trial.*as compare_rules does for FutureSplit"
    )
    with pytest.raises(ValueError, match=message):
        cross_val_score(RULE, *cohort, cv=cv, error_score="raise")


def test_cross_val_score_of_the_future_is_nan_and_says_why_if_errors_are_not_to_be_raised(cohort):
    with pytest.warns(UserWarning, match="A rule is unrolled from an animal's first trial"):
        assert np.isnan(cross_val_score(RULE, *cohort, cv=FUTURE)).all()


def test_a_row_wise_k_fold_is_refused(cohort):
    message = (
        "Fold 0 of cv trains and tests on the same animal, 'mouse_01', whose neighbouring trials "
        "are too alike: split by animal .* or, within animals, use FutureSplit or MaskedTrials."
    )
    for cv in (KFold(4), list(FUTURE.split(cohort[0]))):
        with pytest.raises(ValueError, match=message):
            compared(RULE, *cohort, cv)


def test_a_splitter_of_ones_own_may_say_that_it_unrolls_through(cohort):
    class EverySecond:
        unrolls_through = True

        def split(self, X, y=None, groups=None):
            yield np.arange(0, len(X), 2), np.arange(1, len(X), 2)

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    found = compared(lr.ConstantRuleEstimator(), *cohort, EverySecond())
    assert found["n_trials"].sum() == len(cohort[0]) // 2
