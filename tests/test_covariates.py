"""Covariates say what an animal is: columns that are constant within it, and no stimuli."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from pages import Page
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_learnrule as lr
from sklearn_learnrule import inspection
from sklearn_learnrule.data import DESIGN
from sklearn_learnrule.data.sequences import read_sequences
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.recovery import recovery_study
from sklearn_learnrule.report import _write, write_report
from sklearn_learnrule.simulation import predictive_check, simulate

pytestmark = BRIEFLY_TRAINED

ANIMALS = pd.DataFrame(
    {
        "genotype": ["wild", "ko", "wild", "het"],
        "age": [30, 61, 47, 52],
        "trained": [True, False, False, True],
    },
    index=["mouse_01", "mouse_02", "mouse_03", "mouse_04"],
)
NAMES = [
    "covariate_genotype_ko_vs_het",
    "covariate_genotype_wild_vs_het",
    "covariate_age",
    "covariate_trained",
]
VALUES = [[0, 1, 30, 1], [1, 0, 61, 0], [0, 1, 47, 0], [0, 0, 52, 1]]


@pytest.fixture(scope="module")
def trials():
    table = make_learning_cohort(4, 60, session_length=20, random_state=0)
    return table.join(ANIMALS, on="subject")


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, covariates=[*ANIMALS])


@pytest.fixture(scope="module")
def plain(trials):
    return lr.make_design(trials)


# ------------------------------------------------------------------------ the columns of X


def test_labels_become_a_column_for_each_but_the_first_and_numbers_stay(design, plain):
    X, y, groups = design
    assert list(X) == ["stimulus", "previous_choice", "previous_reward", *NAMES]
    assert_frame_equal(X.drop(columns=NAMES), plain[0])
    assert X.dtypes.unique().tolist() == [np.dtype(float)]
    assert X.groupby("subject")[NAMES].first().to_numpy().tolist() == VALUES
    assert y.equals(plain[1])
    assert groups.equals(plain[2])


def test_one_covariate_may_be_named_alone(trials, design):
    X, _, _ = lr.make_design(trials, covariates="age")
    assert_frame_equal(X, design[0][list(X)])


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_text_of_any_type_is_labels(trials, design, dtype):
    table = trials.assign(genotype=trials["genotype"].astype(dtype))
    assert_frame_equal(lr.make_design(table, covariates=[*ANIMALS])[0], design[0])


@pytest.mark.parametrize("dtype", ["Int64", "float32", object])
def test_numbers_may_be_of_any_type(trials, design, dtype):
    table = trials.assign(age=trials["age"].astype(dtype))
    assert_frame_equal(lr.make_design(table, covariates=[*ANIMALS])[0], design[0])


def test_a_table_of_another_library_gives_the_same_covariates(trials, design):
    X, _, _ = lr.make_design(pl.from_pandas(trials), covariates=[*ANIMALS])
    assert_frame_equal(X, design[0])


def test_part_of_an_animals_name_may_be_a_covariate(trials):
    table = trials.assign(lab=np.where(trials["age"] > 50, "ucl", "cshl"))
    X, _, _ = lr.make_design(table, subject=["lab", "subject"], covariates="lab")
    first = X.groupby("subject")["covariate_lab_ucl_vs_cshl"].first()
    assert first.to_dict() == {
        "cshl/mouse_01": 0,
        "ucl/mouse_02": 1,
        "cshl/mouse_03": 0,
        "ucl/mouse_04": 1,
    }


def test_a_column_that_is_named_as_in_X_keeps_its_name(design, trials):
    table = trials[["subject", "session", "stimulus", "choice", "reward"]]
    table = table.assign(**design[0][NAMES].reset_index(drop=True))
    assert_frame_equal(lr.make_design(table, covariates=NAMES)[0], design[0])


# --------------------------------------------------------------------- no estimator's stimuli


def test_no_covariate_is_a_stimulus(design):
    X = design[0]
    assert DESIGN.covariates(X) == NAMES
    assert DESIGN.stimuli(X) == ["stimulus"]
    assert read_sequences(X).feature_names == ["stimulus", "bias"]


def test_sequences_have_a_row_of_covariates_for_each_animal(design):
    X = design[0].sample(frac=1, random_state=0).sort_index(level="trial", sort_remaining=False)
    sequences = read_sequences(X)
    assert sequences.covariate_names == NAMES
    order = sequences.subjects.argsort()
    assert sequences.covariates[order].tolist() == VALUES
    part, _ = sequences.some(order[[3, 1]])
    assert part.subjects.tolist() == ["mouse_04", "mouse_02"]
    assert part.covariates.tolist() == [VALUES[3], VALUES[1]]


def test_without_covariates_there_are_none(plain):
    sequences = read_sequences(plain[0])
    assert sequences.covariate_names == []
    assert sequences.covariates.shape == (4, 0)


def scale_stimulus():
    return make_column_transformer(
        (StandardScaler(), ["stimulus"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


@pytest.mark.parametrize(
    "carry",
    [
        lambda X: pickle.loads(pickle.dumps(X)),
        lambda X: X.reset_index(),
        lambda X: X[X.columns[::-1]],
        lambda X: scale_stimulus().fit_transform(X),
        lambda X: lr.TanhContrast().fit_transform(X),
        lambda X: lr.PolicyRegressors().fit_transform(X),
    ],
    ids=["pickle", "reset_index", "turned", "scaled", "TanhContrast", "PolicyRegressors"],
)
def test_covariates_are_known_by_their_names_wherever_X_has_been(design, carry):
    sequences = read_sequences(carry(design[0]))
    found = dict(zip(sequences.covariate_names, sequences.covariates.T.tolist(), strict=True))
    assert found == dict(zip(NAMES, np.transpose(VALUES).tolist(), strict=True))
    assert not any("covariate" in name for name in sequences.feature_names)


CHOICE_RNN = lr.ChoiceRNNClassifier(max_epochs=1, n_ensemble=1, mirror=False, random_state=0)


@pytest.mark.parametrize(
    "estimator", [*all_estimators(max_epochs=1), CHOICE_RNN], ids=estimator_name
)
def test_estimators_fit_and_predict_the_same_with_and_without_covariates(estimator, design, plain):
    with_them, without = (clone(estimator).fit(X, y) for X, y, _ in (design, plain))
    np.testing.assert_array_equal(
        with_them.predict_proba(design[0]), without.predict_proba(plain[0])
    )
    for one, other in zip(with_them.nets_, without.nets_, strict=True):
        for a, b in zip(one.module_.parameters(), other.module_.parameters(), strict=True):
            np.testing.assert_array_equal(a.detach(), b.detach())
    stored = pickle.loads(pickle.dumps(with_them))
    np.testing.assert_array_equal(
        stored.predict_proba(design[0]), with_them.predict_proba(design[0])
    )


@pytest.mark.parametrize("transformer", [lr.TanhContrast(), lr.PolicyRegressors(split_sides=True)])
def test_transformers_of_stimuli_leave_covariates_alone(transformer, design, plain):
    X = transformer.fit_transform(design[0])
    assert_frame_equal(X[NAMES], design[0][NAMES])
    assert_frame_equal(X.drop(columns=NAMES), transformer.fit_transform(plain[0]))


@pytest.mark.parametrize(
    "look",
    [
        inspection.update_table,
        inspection.weight_trajectories,
        inspection.asymmetry_table,
        inspection.history_table,
    ],
)
def test_what_a_rule_does_is_the_same_with_and_without_covariates(look, design, plain):
    tables = [look(lr.ReinforceRuleEstimator().fit(*d[:2]), d[0]) for d in (design, plain)]
    assert_frame_equal(*tables)


@pytest.mark.parametrize(
    "look",
    [
        inspection.psychometric_table,
        inspection.session_table,
        inspection.column_importance,
        inspection.log_likelihood_table,
        lambda rule, X, y: predictive_check(rule, X, y, n_simulations=3, random_state=0),
    ],
    ids=["psychometric", "session", "importance", "log-likelihood", "predictive check"],
)
def test_what_animals_did_is_the_same_with_and_without_covariates(look, design, plain):
    tables = [look(lr.ConstantRuleEstimator().fit(*d[:2]), *d[:2]) for d in (design, plain)]
    assert_frame_equal(*tables)


def test_the_report_counts_covariates_apart_from_stimuli(design, tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SECTIONS", {})  # it is said of the data
    rules = {"constant": lr.ConstantRuleEstimator()}
    path = tmp_path / "report.html"
    write_report(rules, *design[:2], path, compare=False, n_simulations=2, verbose=0)
    rows = Page(path).rows
    assert ["stimulus columns", "stimulus"] in rows
    assert ["covariates", ", ".join(NAMES)] in rows


# ------------------------------------------------------------------------------------- twins


@pytest.mark.parametrize(
    "make", [lambda rule: rule, lambda rule: make_pipeline(lr.PolicyRegressors(), rule)]
)
def test_twins_have_the_covariates_of_their_animal(make, design, trials):
    X, y, _ = design
    rule = make(lr.ReinforceRuleEstimator(baseline=None)).fit(X, y)
    for stimuli in (X, trials.drop(columns=[*ANIMALS]).assign(**X[NAMES].reset_index(drop=True))):
        twins = simulate(rule, stimuli, 2, random_state=0)
        first = twins.groupby("twin_of")[NAMES].agg(["min", "max"])
        assert first.to_numpy().tolist() == np.repeat(VALUES, 2, axis=1).tolist()
        X_twins, _, _ = lr.make_design(twins, covariates=NAMES)
        assert list(X_twins) == list(X)
        assert np.isfinite(rule.predict_proba(X_twins)).all()


def test_twins_that_are_nobodys_have_covariates_of_0(design, trials):
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(*design[:2])
    for stimuli, options in ((ContrastTask, {"n_trials": 30}), (trials, {})):
        twins = simulate(rule, stimuli, 2, random_state=0, **options)
        assert (twins[NAMES] == 0).all(axis=None)


def test_rules_are_recovered_from_a_design_with_covariates(design, plain):
    rules = {"constant": lr.ConstantRuleEstimator()}
    options = {"n_repeats": 1, "cv": 2, "random_state": 0, "verbose": 0}
    studies = [recovery_study(d[0], rules, y=d[1], **options).scores for d in (design, plain)]
    assert_frame_equal(*studies)
    assert studies[0]["log_likelihood"].notna().all()


# ------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "covariates", "text"),
    [
        (
            lambda t: t.assign(age=np.arange(len(t))),
            "age",
            "Column 'age' should be the same on all trials of an animal, as a covariate is, but is "
            "0 and later 1 (subject 'mouse_01', row 1).",
        ),
        (
            lambda t: t.assign(genotype=["ko", *t["genotype"][1:]]),
            "genotype",
            "Column 'genotype' should be the same on all trials of an animal, as a covariate is, "
            "but is 'ko' and later 'wild' (subject 'mouse_01', row 1).",
        ),
        (
            lambda t: t.assign(age=t["age"].where(t["age"] != 61)),
            ["genotype", "age"],
            "Column 'age' is missing (NaN) on",
        ),
        (
            lambda t: t.assign(age=t["age"].replace(61, np.inf)),
            "age",
            "Column 'age' should be finite, but is inf (subject 'mouse_02', row",
        ),
        (
            lambda t: t.assign(genotype="wild"),
            "genotype",
            "Column 'genotype' has the label 'wild' alone, but a covariate should tell animals "
            "apart: make the design of all animals at once, or code the labels as numbers.",
        ),
        (
            lambda t: t.assign(genotype=t["genotype"].replace("ko", 3)),
            "genotype",
            "The labels in column 'genotype' should be all text, all numbers or all booleans, but "
            "are int and str",
        ),
        (lambda t: t, "ages", "Column 'ages' is not in the table"),
        (lambda t: t, [], "covariates should name a column, or several, got []."),
        (lambda t: t, ["age", "age"], "Two covariates would be called 'covariate_age' in X"),
        (
            lambda t: t.assign(covariate_age=t["age"]),
            ["age", "covariate_age"],
            "Two covariates would be called 'covariate_age' in X; rename one.",
        ),
        (
            lambda t: t,
            "subject",
            "Column 'subject' has a label of its own for each of 4 animals, so that it tells no "
            "groups: name another column, or give numbers.",
        ),
        (
            lambda t: t.assign(born=pd.Timestamp("2024-03-01")),
            "born",
            "The labels in column 'born' should be all text, all numbers or all booleans, but are "
            "Timestamp",
        ),
    ],
)
def test_what_is_no_covariate_is_refused_in_one_clear_sentence(trials, change, covariates, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        lr.make_design(change(trials), covariates=covariates)


def test_a_covariate_is_no_stimulus(trials):
    with pytest.raises(ValueError, match=r"none of .*'age'.*; got \['stimulus', 'age'\]"):
        lr.make_design(trials, stimulus=["stimulus", "age"], covariates="age")


def test_a_stimulus_may_not_be_named_as_covariates_are(trials):
    table = trials.assign(covariate_loudness=0.5)
    with pytest.raises(ValueError, match=r"none of .*'covariate_\*'; got \['covariate_loudness'\]"):
        lr.make_design(table, stimulus=["covariate_loudness"])


def test_an_X_whose_covariates_vary_within_an_animal_is_refused(design):
    X, y, _ = design
    aged = X.assign(covariate_age=np.arange(len(X)))
    message = (
        "Column 'covariate_age' of X should be the same on all trials of an animal, as a covariate "
        "is, but is 0.0 and later 1.0 (subject 'mouse_01', row 1)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.ConstantRuleEstimator().fit(aged, y)


def test_a_label_that_a_scaler_changed_is_refused(design):
    X, y, _ = design
    scaler = make_column_transformer(
        (StandardScaler(), NAMES), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    message = "Column 'covariate_genotype_ko_vs_het' of X is of a label by its name, so it should"
    with pytest.raises(ValueError, match=message):
        make_pipeline(scaler, lr.ConstantRuleEstimator()).fit(X, y)


def test_an_X_of_covariates_without_history_is_refused(design):
    X = design[0].reset_index(drop=True)[["stimulus", "covariate_age"]]
    with pytest.raises(ValueError, match="X has 'covariate_age' but no 'subject'"):
        lr.ConstantRuleEstimator().fit(X, design[1].to_numpy())
