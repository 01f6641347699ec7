"""Twins of pipelines: a transformer stands between what is shown and the rule, if it may."""

from functools import partial

import pytest
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.simulation import simulate

TASK = partial(ContrastTask, curriculum=[(1.0, 0.5)], criterion=1.0)


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(4, 60, session_length=20, random_state=0)


def fit(transformer, trials, stimulus="stimulus"):
    X, y, _ = lr.make_design(trials, stimulus=stimulus)
    return make_pipeline(transformer, lr.ReinforceRuleEstimator(baseline=None)).fit(X, y), X


def assert_twins_weights_are_predicted(pipeline, stimuli, **options):
    """Return the twins' table and weights."""
    table, weights = simulate(pipeline, stimuli, random_state=0, return_weights=True, **options)
    X, _, _ = lr.make_design(table, stimulus=pipeline.feature_names_in_[0])
    assert_frame_equal(pipeline[-1].predict_weights(pipeline[:-1].transform(X)), weights)
    return table, weights


def assert_twins_of_both_kinds(pipeline, X):
    assert_twins_weights_are_predicted(pipeline, TASK, n_subjects=3, n_trials=40)
    return assert_twins_weights_are_predicted(pipeline, X)


def test_a_transformer_stands_between_stimuli_and_twin(trials):
    pipeline, X = fit(lr.TanhContrast(), trials, "contrast")
    table, _ = assert_twins_of_both_kinds(pipeline, X)
    assert set(table["contrast"]) <= set(trials["contrast"])  # as given, not as bent


def add_history(X):
    """What was done and seen on the trial before."""
    before = X.groupby("subject")["stimulus"].shift(fill_value=0.0)
    return X.assign(stay=X["previous_choice"] * X["previous_reward"], before=before)


def test_a_transformer_may_look_one_trial_back(trials):
    _, weights = assert_twins_of_both_kinds(*fit(FunctionTransformer(add_history), trials))
    assert list(weights) == ["stimulus", "stay", "before", "bias"]


def add_total(X, of):
    return X.assign(total=X.groupby("subject")[of].cumsum() / 50)


def test_a_transformer_that_looks_further_back_is_refused(trials):
    further = FunctionTransformer(add_total, kw_args={"of": "previous_reward"})
    message = "transformers make something else of a whole X than of its trials as they come"
    with pytest.raises(ValueError, match=message):
        simulate(*fit(further, trials), random_state=0)


class Longer(FunctionTransformer):
    """A transformer that says how far it looks back: as many trials as any animal has."""

    n_trials_back = 100


def test_a_transformer_may_say_how_far_it_looks_back(trials):
    further = Longer(add_total, kw_args={"of": "previous_reward"})
    assert_twins_of_both_kinds(*fit(further, trials))


def test_twins_have_habits_that_last(trials):
    regressors = lr.PolicyRegressors(trace_decay=0.6)  # looks back 55 trials, of more
    pipeline, X = fit(regressors, trials)
    _, weights = assert_twins_of_both_kinds(pipeline, X)
    assert {"choice_trace", "win_stay_trace", "stimulus_trace"} <= set(weights)
    assert pipeline[0].n_trials_back == 55
    assert_twins_weights_are_predicted(pipeline, TASK, n_subjects=2, n_trials=150)


def test_the_animal_with_the_longest_sequence_shows_how_far_transformers_look_back(trials):
    """The first animal, of two trials, would not."""
    first = trials["subject"] == trials["subject"].iloc[0]
    short = trials[~first | (trials.groupby("subject").cumcount() < 2)]
    further = FunctionTransformer(add_total, kw_args={"of": "previous_reward"})
    with pytest.raises(ValueError, match="of its trials as they come, 2 at a time"):
        simulate(*fit(further, short), random_state=0)


def test_transformers_after_one_another_look_further_back_together(trials):
    """The stimulus before is a stimulus to the next, which looks one more back."""
    both = make_pipeline(FunctionTransformer(add_history), lr.PolicyRegressors())
    pipeline, X = fit(make_pipeline(lr.TanhContrast(), both), trials)
    _, weights = assert_twins_of_both_kinds(pipeline, X)
    assert "before_back" in weights


@pytest.mark.parametrize("back", [-1, 2.5, None, "all"])
def test_how_far_a_transformer_looks_back_is_a_whole_number(trials, back):
    transformer = FunctionTransformer(add_history)
    transformer.n_trials_back = back
    message = "FunctionTransformer.n_trials_back should be a whole number, 0 or more, got "
    with pytest.raises(ValueError, match=message + repr(back)):
        simulate(*fit(transformer, trials), random_state=0)


@pytest.mark.parametrize("choices", [2, 3])
def test_habits_that_are_the_animals_are_warned_of(trials, choices):
    trials = trials.copy()
    if choices == 3:
        trials.loc[::5, "choice"] = "middle"
    X, y, _ = lr.make_design(trials, answer="answer")
    with_habits = lr.PolicyRegressors(previous_choice=choices == 3).fit_transform(X)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(with_habits, y)
    name = "win_stay" if choices == 2 else "choice_back_left"
    with pytest.warns(UserWarning, match=f"Twins have the animals' choices in '{name}', not their"):
        simulate(rule, with_habits, reward=(0, 1), random_state=0)


def test_stimuli_that_are_known_beforehand_may_be_looked_back_on_at_any_length(trials):
    further = FunctionTransformer(add_total, kw_args={"of": "stimulus"})
    assert_twins_weights_are_predicted(*fit(further, trials))


def as_tables_alone(transformer):
    """Return a transformer that does the same to tables, and cannot do so to columns."""
    as_tables = FunctionTransformer(lambda X: clone(transformer).fit_transform(X))
    as_tables.n_trials_back = getattr(transformer, "n_trials_back", 1)
    return as_tables


def test_twins_are_the_same_by_columns_as_by_tables(trials):
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    steps = [lr.TanhContrast(), lr.PolicyRegressors(split_sides=True, trace_decay=0.5)]
    by_columns, by_tables = (
        make_pipeline(*each, lr.ReinforceRuleEstimator(baseline=None)).fit(X, y)
        for each in (steps, map(as_tables_alone, steps))
    )
    how = {"n_subjects": 2, "n_trials": 25, "random_state": 0, "return_weights": True}
    for twins, expected in zip(
        *(simulate(each, TASK, **how) for each in (by_columns, by_tables)), strict=True
    ):
        assert_frame_equal(twins, expected)
