"""What animals lived through: the sides that can be correct, and names that tables keep."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import history_table, nearest_rules, update_table
from sklearn_learnrule.inspection._experience import SLIP, Experience

LEFT, RIGHT, EITHER = [True, False], [False, True], [True, True]


def met(*trials):
    """Animals that were shown these stimuli, of one column or several, each with an answer."""
    stimuli, answers = zip(*trials, strict=True)
    n, nothing = len(trials), np.zeros(len(trials))
    columns = [f"s{i}" for i in range(np.size(stimuli[0]))]
    return Experience(
        stimuli=pd.DataFrame(np.reshape(stimuli, (n, -1)), columns=columns),
        subject=nothing.astype(int),
        place=np.arange(n),
        choice=nothing > 0,
        reward=nothing,
        answer=np.array(answers) > 0,
    )


SIGNED = [(-1.0, 0), (-0.25, 0), (0.5, 1), (1.0, 1)]
WITH_ZERO = [*SIGNED, (0.0, 0), (0.0, 1)]
TWO_SIDES = [((c, 0.0), 0) for c in (0.5, 1)] + [((0.0, c), 1) for c in (0.5, 1)]
WITH_TONE = [((s, tone), s > 0) for s in (-1.0, 0.5) for tone in (-0.7, 0.3, 0.9)]


@pytest.mark.parametrize(
    ("trials", "probe", "sides"),
    [
        (WITH_ZERO, 0.0, EITHER),
        (WITH_ZERO, 0.01, RIGHT),
        (WITH_ZERO, -0.1, LEFT),
        (WITH_ZERO, 9.0, RIGHT),
        (SIGNED, 0.0, EITHER),
        (SIGNED, 0.01, RIGHT),
        (SIGNED, 0.5, RIGHT),
        ([(1.0, 0), (2.0, 0), (3.0, 1)], 2.2, LEFT),  # no sides by sign: the nearest
        ([(1.0, 0), (2.0, 0), (3.0, 1)], 2.8, RIGHT),
        ([(1.0, 0), (2.0, 1)], -1.0, LEFT),
        (TWO_SIDES, (0.1, 0.0), LEFT),
        (TWO_SIDES, (0.0, 0.1), RIGHT),
        (TWO_SIDES, (0.0, 0.0), EITHER),
        ([*TWO_SIDES, ((0.0, 0.0), 1)], (0.0, 0.0), RIGHT),
        (WITH_TONE, (0.1, 0.0), RIGHT),  # nobody heard a tone of 0
        (WITH_TONE, (-0.1, 0.0), LEFT),
        (WITH_TONE, (0.0, 0.0), EITHER),
    ],
)
def test_a_stimulus_has_the_correct_sides_of_its_nearest_of_the_same_signs(trials, probe, sides):
    animals = met(*trials)
    asked = pd.DataFrame([np.atleast_1d(probe)], columns=animals.stimulus_names)
    assert (animals.answer_shares(asked) > SLIP).tolist() == [sides]


def test_an_answer_to_at_most_a_tenth_of_the_trials_is_a_slip():
    asked = pd.DataFrame({"s0": [1.0]})
    for n_right, sides in ((8, EITHER), (9, RIGHT)):
        animals = met(*[(1.0, 1)] * n_right, (1.0, 0))
        assert (animals.answer_shares(asked) > SLIP).tolist() == [sides]


# --------------------------------------------------------------------------- wrong input


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 60, random_state=0))[:2]


def constant_of(X, y):
    return lr.ConstantRuleEstimator().fit(X, y)


def test_x_without_any_outcome_is_refused(cohort):
    rule = constant_of(*cohort)
    message = "X holds no trial whose outcome is known: give at least two of a subject."
    with pytest.raises(ValueError, match=message):
        update_table(rule, cohort[0].groupby("subject").head(1))


TABLES = [update_table, history_table]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_stimulus_may_not_be_called_as_a_column_of_the_tables(cohort, table):
    X, y = cohort
    own = [name for name in table(constant_of(X, y), X) if name != "stimulus"]
    for name in {*own, "weight_bias", "answer"}:
        if name.endswith("stimulus"):
            continue  # renamed with it
        renamed = X.rename(columns={"stimulus": name})
        message = f"The table has a column {name!r} of its own: rename yours."
        with pytest.raises(ValueError, match=re.escape(message)):
            table(constant_of(renamed, y), renamed)


def test_a_stimulus_may_not_be_called_as_the_weight_of_another(cohort):
    X, y = cohort
    X = X.assign(weight_stimulus=1.0)
    with pytest.raises(ValueError, match="has a column 'weight_stimulus' of its own"):
        update_table(constant_of(X, y), X)


def test_a_stimulus_may_be_called_weight_where_that_is_no_other_column(cohort):
    X, y = cohort
    X = X.rename(columns={"stimulus": "weight_left"})
    table = update_table(constant_of(X, y), X)
    assert {"weight_left", "weight_weight_left", "update_weight_left"} <= set(table)


class Name(TransformerMixin, BaseEstimator):
    """Calls the columns by a str."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.rename(columns=str)


def test_a_stimulus_is_named_by_a_str(cohort):
    X, y = cohort
    X = X.rename(columns={"stimulus": 0})
    rule = make_pipeline(Name(), lr.ConstantRuleEstimator()).fit(X, y)
    with pytest.raises(ValueError, match="Stimulus columns should be named by a str, not by 0"):
        update_table(rule, X)


def test_the_weight_of_a_stimulus_may_not_be_all(cohort):
    X, y = cohort
    X = X.rename(columns={"stimulus": "all"})
    message = "Rows of the weight 'all' stand for all weights: rename the stimulus of that name."
    with pytest.raises(ValueError, match=message):
        nearest_rules(constant_of(X, y), X)
