"""TanhContrast bends the stimulus and nothing else; PolicyRegressors adds what came before."""

import inspect
import re
import tracemalloc

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.preprocessing import PolicyRegressors, TanhContrast, tanh_contrast
from sklearn_learnrule.simulation import simulate


@parametrize_with_checks([TanhContrast(), TanhContrast(slope=1.0)])
def test_tanh_contrast_is_a_transformer_of_scikit_learns(estimator, check):
    check(estimator)


@pytest.fixture
def X():
    """Two stimulus columns beside identity and history, on a named index."""
    trials = make_learning_cohort(2, 20, random_state=0)
    trials = trials.assign(left=trials["contrast"].clip(upper=0), right=trials["contrast"])
    return lr.make_design(trials, stimulus=["left", "right"], answer="answer")[0]


@pytest.mark.parametrize("slope", [5.0, 0.5])
def test_the_contrast_is_bent_by_the_textbook_formula(slope):
    contrast = np.array([-1.0, -0.25, 0.0, 0.0625, 1.0])
    expected = [(1 - 2 / (np.exp(2 * slope * c) + 1)) / np.tanh(slope) for c in contrast]
    np.testing.assert_allclose(tanh_contrast(contrast, slope), expected, atol=1e-15)
    bent = TanhContrast(slope).fit_transform(contrast[:, None])
    np.testing.assert_allclose(bent[:, 0], expected, atol=1e-15)
    np.testing.assert_allclose(bent[[0, -1], 0], [-1, 1])


def test_identity_and_history_are_left_alone(X):
    before = X.copy()
    bent = TanhContrast().fit_transform(X)
    stimuli = ["left", "right"]
    assert_frame_equal(bent.drop(columns=stimuli), X.drop(columns=stimuli))
    np.testing.assert_allclose(bent[stimuli], tanh_contrast(X[stimuli]))
    assert_frame_equal(X, before)
    as_columns = TanhContrast().fit_transform(X.reset_index())
    assert_frame_equal(as_columns, bent.reset_index())


def test_contrasts_in_percent_are_warned_of(X):
    percent = X.assign(left=100 * X["left"])
    with pytest.warns(UserWarning, match="Column 'left' goes beyond -1 and 1, .* divide .* by 100"):
        TanhContrast().fit(percent)
    TanhContrast(columns="right").fit(percent)  # no warning


def test_columns_can_be_chosen(X):
    bent = TanhContrast(columns=["right"]).fit_transform(X)
    assert_frame_equal(bent.drop(columns="right"), X.drop(columns="right"))
    assert (bent["right"] != X["right"]).any()


def test_an_array_stays_an_array_unless_pandas_is_asked_for():
    array = np.array([[0.5, -1.0], [0.25, 0.0]])
    plain = TanhContrast().fit(array)
    assert type(plain.transform(array)) is np.ndarray
    assert plain.get_feature_names_out().tolist() == ["x0", "x1"]
    framed = TanhContrast().set_output(transform="pandas").fit(array).transform(array)
    assert list(framed) == ["x0", "x1"]
    np.testing.assert_array_equal(framed, plain.transform(array))


def test_column_names_come_out_as_they_went_in(X):
    for transformer in (TanhContrast(), TanhContrast().set_output(transform="pandas")):
        bent = transformer.fit_transform(X)
        assert transformer.get_feature_names_out().tolist() == list(bent) == list(X)
        assert bent.index.equals(X.index)


def test_straight_before_an_estimator_it_is_as_if_the_stimulus_had_been_bent_at_first():
    trials = make_learning_cohort(2, 60, random_state=0)
    raw, y, _ = lr.make_design(trials.drop(columns="stimulus"), stimulus="contrast")
    bent, _, _ = lr.make_design(trials)
    pipeline = make_pipeline(TanhContrast(), lr.ConstantRuleEstimator()).fit(raw, y)
    np.testing.assert_allclose(
        pipeline.predict_proba(raw), lr.ConstantRuleEstimator().fit(bent, y).predict_proba(bent)
    )


def test_an_unknown_column_is_named(X):
    with pytest.raises(ValueError, match="TanhContrast: X has no column 'rihgt'"):
        TanhContrast(columns=["right", "rihgt"]).fit(X)


def test_columns_of_an_array_cannot_be_chosen_by_name():
    with pytest.raises(ValueError, match=r"columns=\.\.\.\) needs a DataFrame with column names"):
        TanhContrast(columns=["right"]).fit([[0.5, 1.0], [0.0, 1.0]])


def test_one_column_may_be_named_alone(X):
    one, listed = TanhContrast(columns="right"), TanhContrast(columns=["right"])
    assert_frame_equal(one.fit_transform(X), listed.fit_transform(X))


# -------------------------------------------------------------------- policy regressors


def test_regressors_are_those_of_the_trial_before_of_the_same_animal(X):
    wide = PolicyRegressors().fit_transform(X)
    for _, own in wide.groupby("subject"):
        before = own.shift(fill_value=0.0)
        np.testing.assert_array_equal(own["left_back"], before["left"])
        np.testing.assert_array_equal(own["right_back"], before["right"])
    np.testing.assert_array_equal(wide["choice_back"], X["previous_choice"])
    np.testing.assert_array_equal(wide["win_stay"], X["previous_choice"] * X["previous_reward"])
    assert_frame_equal(wide[X.columns], X)


TRACES = ["choice_trace", "win_stay_trace", "left_trace", "right_trace"]
BACK = ["choice_back", "win_stay", "left_back", "right_back"]


def test_traces_are_decaying_averages_of_all_trials_before_of_the_same_animal(X):
    wide = PolicyRegressors(trace_decay=0.7).fit_transform(X)
    assert_frame_equal(wide.drop(columns=TRACES), PolicyRegressors().fit_transform(X))
    for _, own in wide.groupby("subject"):
        back = np.subtract.outer(np.arange(len(own)), np.arange(len(own)))
        weight = np.where(back >= 0, 0.3 * 0.7 ** np.maximum(back, 0), 0)
        np.testing.assert_allclose(own[TRACES], weight @ own[BACK].to_numpy(), atol=1e-15)


def test_traces_do_not_depend_on_how_subjects_rows_lie(X):
    number = X.groupby("subject").ngroup()
    mixed = X.iloc[np.argsort(X.groupby("subject").cumcount(), kind="stable")]
    regressors = PolicyRegressors(trace_decay=0.7)
    names = dict(zip(X, X.to_numpy().T, strict=True))
    apart = regressors.transform_columns(names, number.to_numpy())
    names = dict(zip(mixed, mixed.to_numpy().T, strict=True))
    together = regressors.transform_columns(names, number[mixed.index].to_numpy())
    for name in TRACES:
        found = np.asarray(together[name])[np.argsort(number[mixed.index], kind="stable")]
        np.testing.assert_array_equal(found, apart[name])


def test_traces_of_one_long_sequence_beside_many_short_ones_take_no_more_memory_than_rows():
    sequence = np.append(np.zeros(3000, dtype=int), np.arange(1, 3001))
    columns = {"previous_choice": np.ones(6000), "previous_reward": np.ones(6000)}
    tracemalloc.start()
    made = PolicyRegressors(trace_decay=0.5).transform_columns(columns, sequence)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1000 * len(sequence)  # bytes; 3001 sequences of 3000 trials would take 72 MB
    np.testing.assert_allclose(made["choice_trace"][2999:], [1.0] + 3000 * [0.5])


@pytest.mark.parametrize("regressors", [PolicyRegressors(), PolicyRegressors(trace_decay=0.5)])
def test_no_rows_are_no_trials(X, regressors):
    assert regressors.fit(X).transform(X.head(0)).shape == (0, regressors.transform(X).shape[1])


@pytest.mark.parametrize("kind", [TanhContrast, PolicyRegressors])
def test_docstrings_tell_all_parameters(kind):
    section = kind.__doc__.split("----------\n")[1].split("\n\n")[0]
    assert re.findall(r"^ *(\w+) : ", section, re.MULTILINE) == [
        *inspect.signature(kind).parameters
    ]


@pytest.mark.parametrize("decay", [0.0, 1.0, True, "slow", [0.5]])
def test_a_trace_decays_by_a_number_between_0_and_1(X, decay):
    with pytest.raises(ValueError, match="PolicyRegressors: trace_decay should be None or"):
        PolicyRegressors(trace_decay=decay).fit(X)


def test_habits_are_not_bent_as_contrasts_are(X):
    wide = PolicyRegressors(previous_choice=False, trace_decay=0.7).fit_transform(X)
    with pytest.raises(ValueError, match="would bend 'win_stay' as well, which is no contrast"):
        TanhContrast().fit(wide)
    bent = TanhContrast(columns=["right"]).fit_transform(wide)
    assert_frame_equal(bent.drop(columns="right"), wide.drop(columns="right"))


def test_a_trace_is_of_something(X):
    nothing = dict.fromkeys(["previous_choice", "win_stay", "previous_stimulus"], False)
    with pytest.raises(ValueError, match=r"trace_decay=0.5 is of .* all three are False"):
        PolicyRegressors(trace_decay=0.5, **nothing).fit(X)


def test_the_likelihood_of_held_out_animals_finds_how_long_habits_last():
    """Twins that repeat what they did some trials ago, by a trace that decays by .8 a trial."""
    X, y, _ = lr.make_design(make_learning_cohort(2, 20, random_state=0))
    habits = PolicyRegressors(win_stay=False, previous_stimulus=False, trace_decay=0.8)
    rule = lr.ReinforceRuleEstimator(baseline=None, unlearned=["choice_back", "choice_trace"])
    truth = [1.0, 0.0, 2.0, 0.0]
    animals = clone(rule).set_params(initial_weights=truth, train_initial_weights=False)
    with pytest.warns(ConvergenceWarning, match="worse than chance"):  # of animals without habits
        animals = make_pipeline(habits, animals).fit(X, y)
    trials = simulate(animals, ContrastTask, n_subjects=6, n_trials=1000, random_state=0)
    X, y, _ = lr.make_design(trials)
    grid = {"policyregressors__trace_decay": [0.5, 0.8, 0.95]}
    search = GridSearchCV(make_pipeline(clone(habits), rule), grid, cv=lr.SubjectKFold(3))
    search.fit(X, y)
    assert search.best_params_ == {"policyregressors__trace_decay": 0.8}
    np.testing.assert_allclose(search.best_estimator_[-1].initial_weights_, truth, atol=0.25)


def test_sides_are_split_by_the_stimulus_sign(X):
    how = {"previous_choice": False, "win_stay": False, "previous_stimulus": False}
    split = PolicyRegressors(split_sides=True, **how).fit_transform(X)
    assert list(split.columns[:4]) == ["left_left", "left_right", "right_left", "right_right"]
    assert (split.iloc[:, :4] >= 0).all(axis=None)
    np.testing.assert_array_equal(split["right_right"] - split["right_left"], X["right"])


def test_a_rule_is_fitted_after_them_and_predicts_no_future(X):
    trials = make_learning_cohort(3, 60, random_state=0)
    X, y, _ = lr.make_design(trials)
    pipeline = make_pipeline(PolicyRegressors(split_sides=True), lr.ConstantRuleEstimator())
    pipeline.set_output(transform="pandas").fit(X, y)
    assert pipeline[-1].weight_names_ == [
        "stimulus_left", "stimulus_right", "choice_back", "win_stay", "stimulus_back", "bias",
    ]  # fmt: skip
    whole = pipeline.predict_proba(X)
    early = X.index.get_level_values("trial") < 30
    np.testing.assert_allclose(pipeline.predict_proba(X[early]), whole[early])


def test_regressors_want_the_design():
    with pytest.raises(ValueError, match="needs the X of make_design"):
        PolicyRegressors().fit(np.zeros((3, 2)))


@pytest.mark.parametrize("name", ["choice_back", "win_stay", "right_back"])
def test_a_regressor_never_takes_the_place_of_a_column_of_its_name(X, name):
    named = X.rename(columns={"left": name})
    with pytest.raises(ValueError, match=f"names should differ .*; rename the second '{name}'"):
        PolicyRegressors().fit(named)


def test_regressors_are_added_once(X):
    twice = make_pipeline(PolicyRegressors(), PolicyRegressors())
    with pytest.raises(ValueError, match="rename the second 'choice_back'"):
        twice.fit(X)


# ------------------------------------------------------------------------------- set_output

TRANSFORMERS = [TanhContrast(), PolicyRegressors()]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)
def test_an_index_that_a_polars_table_could_not_hold_is_never_dropped(X, transformer):
    pytest.importorskip("polars")
    asked = clone(transformer).set_output(transform="polars").fit(X)
    message = (
        rf"{type(transformer).__name__}: set_output\(transform='polars'\) would drop X's index, "
        r"which holds subject, session, trial: use set_output\(transform='pandas'\)\."
    )
    with pytest.raises(ValueError, match=message):
        asked.transform(X)
    with config_context(transform_output="polars"), pytest.raises(ValueError, match=message):
        clone(transformer).fit_transform(X)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)
def test_identity_in_columns_goes_through_polars(X, transformer):
    pytest.importorskip("polars")
    table = X.reset_index()
    expected = clone(transformer).fit_transform(table)
    found = clone(transformer).set_output(transform="polars").fit_transform(table)
    assert type(found).__module__.startswith("polars")
    assert_frame_equal(found.to_pandas(), expected, check_dtype=False)


def test_a_rule_after_a_polars_table_says_what_it_wants():
    pytest.importorskip("polars")
    X, y, _ = lr.make_design(make_learning_cohort(2, 20, random_state=0))
    table, labels = X.reset_index(), y.reset_index(drop=True)
    pipeline = make_pipeline(TanhContrast(), lr.ConstantRuleEstimator())
    with pytest.raises(TypeError, match="X should be a pandas DataFrame from make_design"):
        pipeline.set_output(transform="polars").fit(table, labels)
