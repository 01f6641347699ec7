"""The columns that have a meaning by their names."""

import inspect

import pytest

import sklearn_learnrule as lr
from sklearn_learnrule.data import DESIGN, TRIALS
from sklearn_learnrule.datasets import make_learning_cohort

COHORT = make_learning_cohort(2, 30, random_state=0)


def test_a_design_holds_its_stimuli_and_the_columns_of_the_schema():
    X, _, _ = lr.make_design(COHORT, stimulus=["stimulus", "contrast"], answer="answer")
    assert [*X.index.names] == [name for name in DESIGN.identity if name != "restart"]
    assert list(X) == ["stimulus", "contrast", *DESIGN.history[:3]]
    assert DESIGN.stimuli(X) == ["stimulus", "contrast"]
    assert DESIGN.stimuli(X.reset_index()) == ["stimulus", "contrast"]


def test_history_has_the_values_that_the_schema_says():
    X, _, _ = lr.make_design(COHORT, answer="answer")
    later = X[X.index.get_level_values("trial") > 0]
    for column in DESIGN.columns:
        if column.values == "side":
            assert set(later[column.name]) == {-1.0, 1.0}


def test_a_table_of_trials_needs_no_arguments_if_its_columns_are_named_as_in_the_schema():
    defaults = inspect.signature(lr.make_design).parameters
    for name in TRIALS.names():
        assert name in defaults
        assert defaults[name].default in (name, None)
    required = [column.name for column in TRIALS.columns if not column.optional]
    X, y, _ = lr.make_design(COHORT[required], session=None)
    assert len(X) == len(y) == len(COHORT)


@pytest.mark.parametrize("name", [c.name for c in DESIGN.columns if not c.optional])
def test_a_design_without_a_required_column_is_refused(name):
    X, _, _ = lr.make_design(COHORT)
    with pytest.raises(ValueError, match=f"but no {name!r}"):
        lr.ReinforceRuleEstimator().fit(X.reset_index().drop(columns=name), COHORT["choice"])


def test_every_column_is_described():
    for schema in (TRIALS, DESIGN):
        table = schema.describe()
        assert tuple(table.index) == schema.names()
        assert table["meaning"].str.endswith(".").all()
