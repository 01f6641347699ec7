"""Columns of a covariate's labels: each says which label it is of, and what it is compared with."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sklearn_learnrule as lr
from sklearn_learnrule.data import DESIGN
from sklearn_learnrule.data.covariates import Label, columns_of, read_label
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import compare_groups

ANIMALS = ["mouse_01", "mouse_02", "mouse_03", "mouse_04"]


@pytest.fixture
def trials():
    """Two trials of each animal."""
    table = pd.DataFrame(
        {
            "genotype": ["wild", "ko", "wild", "het"],
            "age": [30, 61, 47, 52],
            "trained": [True, False, False, True],
            "subject": ANIMALS,
        }
    )
    table = table.loc[table.index.repeat(2)].reset_index(drop=True)
    return table.assign(stimulus=0.5, choice=4 * ["left", "right"], reward=1.0, session=1)


def test_the_label_that_others_are_compared_with_may_be_named(trials):
    X, _, _ = lr.make_design(trials, covariates={"genotype": "wild", "age": None})
    names = ["covariate_genotype_het_vs_wild", "covariate_genotype_ko_vs_wild", "covariate_age"]
    assert DESIGN.covariates(X) == names
    values = [[0, 0, 30], [0, 1, 61], [0, 0, 47], [1, 0, 52]]
    assert X.groupby("subject")[names].first().to_numpy().tolist() == values


@pytest.mark.parametrize(
    ("covariates", "names", "values"),
    [
        ("dose", ["0_vs_10", "2_vs_10"], [[0, 0], [1, 0], [0, 1], [0, 0]]),  # in their order
        ({"dose": 0}, ["10_vs_0", "2_vs_0"], [[1, 0], [0, 0], [0, 1], [1, 0]]),
        ({"number": 0.0}, ["2_vs_0", "10_vs_0"], [[0, 1], [0, 0], [1, 0], [0, 1]]),
        ({"trained": True}, ["False_vs_True"], [[0], [1], [1], [0]]),
    ],
)
def test_categories_and_what_has_a_reference_are_labels(trials, covariates, names, values):
    number = trials["age"].map({30: 10, 61: 0, 47: 2, 52: 10})
    dose = pd.Categorical(number, [10, 5, 0, 2], ordered=True)
    X, _, _ = lr.make_design(trials.assign(number=number, dose=dose), covariates=covariates)
    (name,) = [covariates] if isinstance(covariates, str) else covariates
    names = [f"covariate_{name}_{text}" for text in names]
    assert DESIGN.covariates(X) == names
    assert X.groupby("subject")[names].first().to_numpy().tolist() == values


@given(
    name=st.text("ab_", min_size=1).map(lambda text: f"{text}c"),
    texts=st.lists(st.text("xv s_", min_size=1), min_size=2, max_size=3, unique_by=str.strip),
)
def test_a_column_says_which_label_of_which_covariate_it_is_of(name, texts):
    first, *others = texts
    columns = [Label(name, text, first).column for text in others]
    assert [read_label(column) for column in columns] == [(name, text, first) for text in others]
    assert columns_of(name, [*columns, "covariate_age"]) == columns


def test_covariates_whose_names_begin_alike_are_told_apart(trials):
    cre = np.where(trials["trained"], "old", "new")
    table = trials.assign(cre=cre, cre_old=trials["trained"], cre_old_new=cre)
    X, _, _ = lr.make_design(table, covariates=["cre", "cre_old", "cre_old_new"])
    columns = ["covariate_cre_old_vs_new", "covariate_cre_old", "covariate_cre_old_new_old_vs_new"]
    assert DESIGN.covariates(X) == columns
    for name, column in zip(["cre", "cre_old", "cre_old_new"], columns, strict=True):
        assert columns_of(name, X) == columns_of(column, X) == [column]


@pytest.mark.parametrize(
    ("change", "covariates", "text"),
    [
        (
            lambda t: t.assign(covariate_genotype=t["age"]),
            ["genotype", "covariate_genotype"],
            "those of 'genotype' would be taken for those of another covariate; rename one.",
        ),
        (
            lambda t: t.assign(ear_left_vs_right=t["age"]),
            "ear_left_vs_right",
            "Column 'covariate_ear_left_vs_right' of X is of a label by its name, so it should be "
            "0 or 1, but is 30.0 (subject 'mouse_01', row 0): let no transformer change "
            "covariates, and name no column of numbers like that.",
        ),
        (
            lambda t: t,
            {"genotype": "WT"},
            "Column 'genotype' has the labels ['het', 'ko', 'wild']: covariates should name one of "
            "them, with which the others are compared, got 'WT'.",
        ),
        (
            lambda t: t.assign(genotype=t["genotype"].replace("het", " ")),
            "genotype",
            "Column 'genotype' is ' ', which a missing value becomes as text, on 2 of 8 trials, "
            "first at subject 'mouse_04', row 6. Fill it, or drop those trials.",
        ),
        (
            lambda t: t.assign(genotype=t["genotype"].replace("ko", "nan")),
            "genotype",
            "Column 'genotype' is 'nan', which a missing value becomes as text, on 2 of 8 trials, ",
        ),
        (
            lambda t: t.assign(genotype=t["genotype"].replace("het", "Wild ")),
            "genotype",
            "The labels in column 'genotype' should differ by more than case and spaces, but two "
            "are 'Wild ' and 'wild'.",
        ),
    ],
)
def test_labels_that_tell_nothing_clear_are_refused(trials, change, covariates, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        lr.make_design(change(trials), covariates=covariates)


def test_a_group_of_one_animal_is_told():
    trials = make_learning_cohort(5, 60, random_state=0)
    trials["genotype"] = np.where(trials["subject"] == "mouse_03", "wild", "ko")
    X, y, _ = lr.make_design(trials, covariates="genotype")
    rule = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
    lone = "^The group 'wild' is of one animal, 'mouse_03': what is its own cannot be told from "
    with pytest.warns(UserWarning, match=lone):
        compare_groups(rule, X, y, "genotype", verbose=0)
