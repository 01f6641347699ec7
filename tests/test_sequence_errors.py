"""X is never silently misread: each damage gets a sentence of what, where, and how to cure it."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

import sklearn_learnrule as lr
from sklearn_learnrule.data.check_sequences import GIVE_WHOLE, KEEP_RESTARTS, SCALE_STIMULI
from sklearn_learnrule.datasets import make_learning_cohort

RULE = lr.ReinforceRuleEstimator()


@pytest.fixture
def design():
    """Four trials of Ada in two sessions, three of Bo in one; all choices were correct."""
    trials = pd.DataFrame(
        {
            "subject": ["Ada"] * 4 + ["Bo"] * 3,
            "session": [1, 1, 2, 2, 1, 1, 1],
            "stimulus": [0.5, 1.0, -0.5, 2.0, 1.0, -1.0, 0.25],
            "choice": ["left", "right", "right", "left", "left", "left", "right"],
            "reward": [1, 0, 1, 1, 0, 1, 1],
        }
    )
    return lr.make_design(trials.assign(answer=trials["choice"]), answer="answer")[:2]


@pytest.fixture
def fitted(design):
    return lr.ConstantRuleEstimator().fit(*design)


def with_cell(column, row, value):
    def change(X):
        values = X[column].tolist()
        values[row] = value
        return X.assign(**{column: values})

    return change


def with_level(level, values):
    return lambda X: X.droplevel(level).assign(**{level: values})


TOLD = {
    "previous_answer": ("answer=...", {"answer": "answer"}),
    "previous_misses": ("missed='count'", {"missed": "count"}),
    "previous_reward_known": ("unknown_reward='keep'", {"unknown_reward": "keep"}),
}


@pytest.mark.parametrize("column", TOLD)
@pytest.mark.parametrize("n_choices", [2, 3])
@pytest.mark.parametrize("pipeline", [False, True])
def test_a_design_made_by_other_options_than_the_fits(column, n_choices, pipeline):
    trials = make_learning_cohort(3, 20, n_choices=n_choices, random_state=0)
    stimuli = [name for name in trials if name.startswith("stimulus")]
    option, given = TOLD[column]
    told, y, _ = lr.make_design(trials, stimulus=stimuli, **given)
    bare, _, _ = lr.make_design(trials, stimulus=stimuli)
    model = lr.ConstantRuleEstimator()
    model = make_pipeline(lr.PolicyRegressors(), model) if pipeline else model
    alike = r": make both designs alike, make_design\(...\) "
    cure = f"the X of the fit had{alike}with {re.escape(option)}"
    with pytest.raises(ValueError, match=f"X lacks the column '{column}', which {cure}"):
        clone(model).fit(told, y).predict(bare)
    cure = f"the X of the fit lacked{alike}without {re.escape(option)}"
    with pytest.raises(ValueError, match=f"X has the column '{column}', which {cure}"):
        clone(model).fit(bare, y).score(told, y)


NO_HISTORY = (
    "X has 'subject', 'session', 'trial'{} but no '{}'. Build X with make_design, and keep its "
    "index and its history columns."
)
NUMBERING = "Trials of a subject should be numbered 0, 1, 2, ... in row order, but subject "


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda X: X[["stimulus"]], NO_HISTORY.format("", "previous_choice")),
        (
            lambda X: X[["stimulus", "previous_choice"]],
            NO_HISTORY.format(", 'previous_choice'", "previous_reward"),
        ),
        (
            lambda X: X.reset_index(drop=True),
            "X has 'previous_choice', 'previous_reward', 'previous_answer' but no 'subject'.",
        ),
        (
            lambda X: X.drop(index=("Ada", 1, 1)),
            f"{NUMBERING}'Ada' has trial 2 where 1 was expected (row 1). {GIVE_WHOLE}",
        ),
        (
            lambda X: X.iloc[[0, 1, 2, 3, 5, 6]],
            f"{NUMBERING}'Bo' has trial 1 where 0 was expected (row 4). {GIVE_WHOLE}",
        ),
        (
            lambda X: X.iloc[[0, 2, 1, 3, 4, 5, 6]],
            f"{NUMBERING}'Ada' has trial 2 where 1 was expected (row 1).",
        ),
        (
            lambda X: X.droplevel("trial").iloc[[0, 4, 1, 5, 2, 6, 3]],
            "The rows of subject 'Ada' are interleaved with another's (row 2) and X has no "
            "'trial' to tell their order. Keep make_design's index.",
        ),
        (
            with_level("subject", ["Ada", "Ada", "Ada", None, "Bo", "Bo", "Bo"]),
            "'subject' is missing (NaN) in X, first at row 3.",
        ),
        (
            with_level("session", [1, 1, 2, 2, 1, np.nan, 1]),
            "'session' is missing (NaN) in X, first at row 5.",
        ),
        (
            with_level("trial", [0, 1, np.nan, 3, 0, 1, 2]),
            "'trial' is missing (NaN) in X, first at row 2.",
        ),
        (
            with_level("session", ["a", "b", "a", "a", "a", "a", "a"]),
            "Trials should be in temporal order, but session 'a' comes back after another session "
            "(subject 'Ada', row 2). Sort the trials by subject and time, or give sessions names",
        ),
        (
            with_cell("previous_choice", 2, 0.0),
            "previous_choice should be -1 or +1, but is 0 (subject 'Ada', trial 2, row 2). "
            + KEEP_RESTARTS,
        ),
        (
            with_cell("previous_answer", 5, 0.5),
            "previous_answer should be -1 or +1, but is 0.5 (subject 'Bo', trial 1, row 5). "
            + SCALE_STIMULI,
        ),
        (
            with_cell("previous_choice", 4, 1.0),
            "previous_choice should be 0 on a subject's first trial, but is 1 (subject 'Bo', "
            "trial 0, row 4).",
        ),
        (
            with_cell("previous_reward", 0, -0.25),
            "previous_reward should be 0 on a subject's first trial, but is -0.25 (subject 'Ada', "
            "trial 0, row 0).",
        ),
        (
            with_cell("stimulus", 5, np.nan),
            "Column 'stimulus' of X should be finite, but is nan (subject 'Bo', row 5).",
        ),
        (
            with_cell("previous_reward", 1, np.inf),
            "Column 'previous_reward' of X should be finite, but is inf (subject 'Ada', row 1).",
        ),
        (
            with_cell("stimulus", 0, "bright"),
            "Column 'stimulus' of X should be numeric, but has 'bright' (subject 'Ada', row 0); "
            "recode it as numbers, or as a column of 0 and 1 for each label.",
        ),
    ],
)
def test_a_damaged_x_is_refused_in_one_clear_sentence(design, change, text):
    X, y = design
    damaged = change(X)
    with pytest.raises(ValueError, match=re.escape(text)):
        RULE.fit(damaged, y.to_numpy()[: len(damaged)])


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_a_scaler_run_over_all_of_x_is_caught(design, scaler):
    pipeline = make_pipeline(scaler, RULE).set_output(transform="pandas")
    with pytest.raises(ValueError, match=r"previous_choice should .*\. If X was scaled as a whole"):
        pipeline.fit(*design)


def test_choices_that_x_contradicts_are_refused_in_fit_and_in_score(design, fitted):
    X, y = design
    others = y.to_numpy(copy=True)
    others[5] = {"left": "right", "right": "left"}[others[5]]
    message = re.escape(
        "previous_choice should be the choice before, but contradicts y: subject 'Bo', y at trial "
        "1 and X at trial 2. Were X and y put in different orders, or was y relabelled?"
    )
    for method in (RULE.fit, fitted.score):
        with pytest.raises(ValueError, match=message):
            method(X, others)


def test_labels_of_y_that_are_not_the_two_learned_are_named_in_score(design, fitted):
    X, y = design
    with pytest.raises(ValueError, match=r"hold the classes \['left', 'right'\], but has 'l'"):
        fitted.score(X, y.str[:1])


def test_a_transformer_that_drops_the_index_is_caught_in_fit(design):
    pipeline = make_pipeline(FunctionTransformer(np.asarray), RULE)
    message = re.escape(
        "X lost its subject index on the way here, though y still has it: call "
        "set_output(transform='pandas') on the pipeline or on its transformers."
    )
    with pytest.raises(ValueError, match=message):
        pipeline.fit(*design)


def test_an_empty_x_is_refused_in_one_clear_sentence(design, fitted):
    with pytest.raises(ValueError, match=r"X has no trials \(0 rows\)"):
        fitted.predict(design[0].iloc[:0])


@pytest.mark.filterwarnings("ignore:X has no subject identity", "ignore:X does not have valid")
def test_a_rule_fitted_on_identified_rows_refuses_a_plain_array(design, fitted):
    message = (
        r"ConstantRuleEstimator was fitted with the stimulus columns \['stimulus'\], but X has "
        r"\['x0', 'x1', 'x2', 'x3'\]"
    )
    with pytest.raises(ValueError, match=message):
        fitted.predict(design[0].to_numpy())


def test_a_sequence_that_starts_late_without_trial_numbers_is_told_to_be_given_whole(design):
    X, y = design
    with pytest.raises(ValueError, match=f"first trial, but is -1 .*{re.escape(GIVE_WHOLE)}"):
        RULE.fit(X.droplevel("trial").iloc[1:], y.iloc[1:])


def test_prefixed_column_names_are_told_how_to_be_avoided(design):
    scale = make_column_transformer((StandardScaler(), ["stimulus"]), remainder="passthrough")
    pipeline = make_pipeline(scale, RULE).set_output(transform="pandas")
    message = (
        r"no 'previous_choice' \('remainder__previous_choice'\? Set "
        r"verbose_feature_names_out=False\)\. Build X with make_design"
    )
    with pytest.raises(ValueError, match=message):
        pipeline.fit(*design)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (with_cell("stimulus", 5, np.nan), "(subject 8, row 5)"),
        (with_cell("previous_choice", 5, 0.0), "(subject 8, trial 1, row 5)"),
        (lambda X: X.drop(index=(7, 1, 1)), "subject 7 has trial 2 where 1 was expected"),
        (with_level("session", [1, 2, 1, 1, 1, 1, 1]), "session 1 comes back after"),
    ],
)
def test_an_error_shows_a_numbered_subject_as_a_plain_number(design, change, text):
    X, y = design
    damaged = change(X.rename(index={"Ada": 7, "Bo": 8}, level="subject"))
    with pytest.raises(ValueError, match=re.escape(text)):
        RULE.fit(damaged, y.to_numpy()[: len(damaged)])


def test_an_error_shows_a_numbered_label_as_a_plain_number(design):
    X, y = design
    numbers = (y == "right").astype(int)
    fitted = lr.ConstantRuleEstimator().fit(X, numbers)
    with pytest.raises(ValueError, match=r"y should hold the classes \[0, 1\], but has 2\."):
        fitted.score(X, numbers + 1)
