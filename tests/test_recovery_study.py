"""Would I see it? Cohorts that learn by each rule, and the rule that is found in them."""

import re
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.recovery import RecoveryStudy, recovery_study

pytestmark = BRIEFLY_TRAINED

RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(baseline=None, max_epochs=2),
}
TASK = partial(ContrastTask, curriculum=[(1.0, 0.5)], criterion=1.0)


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(8, 200, random_state=0)


@pytest.fixture(scope="module")
def cohort(trials):
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def fitted(cohort):
    return {name: clone(rule).fit(*cohort) for name, rule in RULES.items()}


def run(stimuli, rules, **options):
    return recovery_study(stimuli, rules, **{"cv": 2, "random_state": 0, "verbose": 0, **options})


@pytest.fixture(scope="module")
def study(cohort, fitted):
    return run(cohort[0], fitted, n_repeats=2)


@pytest.fixture(scope="module")
def learner(fitted):
    return {"REINFORCE": fitted["REINFORCE"]}


@pytest.fixture(scope="module")
def short_study(cohort, learner):
    return run(cohort[0], learner, n_repeats=2)


def test_learners_and_others_are_told_apart_in_eight_animals(study):
    counts = study.confusion
    assert counts.to_numpy().tolist() == [[2, 0], [0, 2]]
    assert counts.index.tolist() == counts.columns.tolist() == ["constant", "REINFORCE"]


def test_each_cohort_and_rule_has_a_row(study):
    assert list(study.scores) == [
        *("true_rule", "repeat", "rule", "log_likelihood", "rmse", "true_rms")
    ]
    assert len(study.scores) == 2 * 2 * 2
    assert study.scores["log_likelihood"].between(-0.7, -0.5).all()
    assert list(study.selected) == [
        *("true_rule", "repeat", "selected_rule", "rmse", "true_rms", "constant", "REINFORCE")
    ]
    assert study.selected["repeat"].tolist() == [0, 1] * 2


def test_updates_of_a_rule_that_does_not_learn_err_by_all_of_the_true_ones(study):
    of_constant = study.scores[study.scores["rule"] == "constant"]
    np.testing.assert_allclose(of_constant["rmse"], of_constant["true_rms"])
    of_learners = study.scores[study.scores["true_rule"] == "REINFORCE"]
    assert (of_learners["true_rms"] > 0.003).all()
    refits = of_learners[of_learners["rule"] == "REINFORCE"]
    assert refits["rmse"].mean() < 0.5 * refits["true_rms"].mean()


def test_the_same_seed_gives_the_same_study_and_another_seed_another(cohort, fitted):
    constant = {"constant": fitted["constant"]}
    first, same, other = (
        run(cohort[0], constant, n_repeats=1, random_state=seed).scores for seed in (0, 0, 1)
    )
    assert_frame_equal(first, same)
    assert not other["log_likelihood"].isin(first["log_likelihood"]).any()


def test_rules_that_are_not_fitted_are_fitted_to_the_animals_first(cohort, short_study):
    X, y = cohort
    rules = {"REINFORCE": RULES["REINFORCE"]}
    assert_frame_equal(run(X, rules, y=y, n_repeats=2).scores, short_study.scores)
    assert not hasattr(RULES["REINFORCE"], "net_")


def test_networks_without_a_seed_get_one(cohort):
    small = lr.DNNRuleEstimator(hidden_sizes=(4,), max_epochs=3, n_ensemble=1, mirror=False)
    X, y = cohort
    first, same = (run(X, {"DNN": small}, y=y, n_repeats=1, cv=2).scores for _ in range(2))
    assert_frame_equal(first, same)
    assert small.random_state is None


def test_two_jobs_study_as_one_does(cohort, learner, short_study):
    with joblib.parallel_config("multiprocessing"):  # which pickles by name alone
        two = run(cohort[0], learner, n_repeats=2, n_jobs=2)
    assert_frame_equal(two.scores, short_study.scores)


class Watched(lr.ConstantRuleEstimator):
    """Notes down the animals that it is fitted on."""

    seen = []

    def fit(self, X, y):
        self.seen.append(X)
        return super().fit(X, y)


@pytest.mark.parametrize("n_subjects", [None, 3, 20])
def test_cohorts_have_the_size_asked_for_and_the_animals_own_stimuli(n_subjects, cohort):
    X, _ = cohort
    rule = Watched().fit(*cohort)
    Watched.seen.clear()
    run(X, {"constant": rule}, n_subjects=n_subjects, n_repeats=1)
    whole = Watched.seen[-1]  # the fit to the whole cohort comes last
    assert whole.index.unique("subject").size == (n_subjects or 8)
    own = {tuple(rows.to_numpy()[:-1]) for _, rows in X["stimulus"].groupby("subject")}
    shown = [tuple(rows) for _, rows in whole["stimulus"].groupby("subject")]
    assert set(shown) <= own
    assert len(set(shown)) == len(shown) or n_subjects == 20


def test_cohorts_may_be_drawn_from_the_shorter_animals_alone(fitted):
    X, _, _ = lr.make_design(make_learning_cohort(12, 60, length_spread=0.9, random_state=0))
    scores = run(X, fitted, n_subjects=3, n_repeats=1).scores
    assert scores.notna().all(axis=None)
    of_constant = scores[scores["rule"] == "constant"]
    np.testing.assert_allclose(of_constant["rmse"], of_constant["true_rms"])


def test_a_task_or_a_plan_can_be_tried_before_there_are_animals(learner, trials):
    sizes = {"n_subjects": 4, "n_trials": 60, "session_length": 30}
    of_task = run(TASK, learner, n_repeats=1, **sizes)
    plan = trials[["subject", "session", "stimulus", "answer"]]
    of_plan = run(plan, learner, n_repeats=1, cv=2)
    for study in (of_task, of_plan):
        assert study.scores.notna().all(axis=None)


def test_answers_and_rewards_reach_the_cohorts(trials):
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = Watched().fit(X, y)
    run(X, {"constant": rule}, n_repeats=1, cv=2, reward=(-2.0, 3.0))
    whole = Watched.seen[-1]
    assert list(whole) == list(X)
    later = whole[whole.index.get_level_values("trial") > 0]
    correct = later["previous_choice"] == later["previous_answer"]
    assert (later["previous_reward"] == np.where(correct, 3.0, -2.0)).all()


def test_updates_in_other_units_are_not_compared(trials):
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    rules = {
        "contrast": RULES["REINFORCE"],
        "bent": make_pipeline(lr.TanhContrast(), RULES["REINFORCE"]),
    }
    scores = run(X, rules, y=y, n_repeats=1, cv=2).scores
    assert (scores["rmse"].notna() == (scores["rule"] == scores["true_rule"])).all()
    assert scores["log_likelihood"].notna().all()


class Fussy(lr.ConstantRuleEstimator):
    """Will not be fitted to twins."""

    def fit(self, X, y):
        if "twin" in X.index[0][0]:
            raise RuntimeError("no twins")
        return super().fit(X, y)


def test_a_rule_that_fails_is_told_and_the_rest_goes_on(cohort, fitted):
    X, y = cohort
    rules = {"fussy": Fussy().fit(X, y), "constant": fitted["constant"]}
    with pytest.warns(FitFailedWarning) as warned:
        study = run(X, rules, n_repeats=1, n_subjects=6, cv=2)
    messages = [str(warning.message) for warning in warned]
    for true_rule in rules:
        for what in ("failed on fold 0", "failed on fold 1", "failed on the whole cohort"):
            assert f"{true_rule}, repeat 0: fussy {what}: RuntimeError: no twins" in messages
    assert len(messages) == 6
    failed = study.scores["rule"] == "fussy"
    assert study.scores.loc[failed, ["log_likelihood", "rmse"]].isna().all(axis=None)
    assert study.scores[~failed].notna().all(axis=None)
    assert study.selected["selected_rule"].tolist() == ["constant"] * 2


def test_a_cohort_that_makes_no_sense_is_told_and_the_rest_goes_on(cohort, fitted):
    X, y = cohort
    one_sided = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    one_sided.net_.module_.initial_weights.data[1] = 100.0
    rules = {"one-sided": one_sided, "constant": fitted["constant"]}
    message = "one-sided, repeat 0: no cohort: ValueError: Choices need at least two classes"
    with pytest.warns(FitFailedWarning, match=message):
        study = run(X, rules, n_repeats=1, cv=2)
    assert study.selected["selected_rule"].isna().tolist() == [True, False]
    assert study.confusion.loc["one-sided"].sum() == 0


class Chatty(lr.ConstantRuleEstimator):
    """Warns whenever it is fitted."""

    def fit(self, X, y):
        import warnings

        warnings.warn("I am tired", UserWarning, stacklevel=1)
        return super().fit(X, y)


def test_a_warning_is_told_once(cohort):
    with pytest.warns(UserWarning, match="I am tired"):
        rule = Chatty().fit(*cohort)
    with pytest.warns(UserWarning) as warned:
        run(cohort[0], {"chatty": rule}, n_repeats=2, cv=2)
    assert [str(warning.message) for warning in warned] == ["chatty, repeat 0: I am tired"]


def test_the_best_on_held_out_animals_is_selected_and_ties_go_to_the_first():
    scores = pd.DataFrame(
        {
            "true_rule": list("AAABBBCCC"),
            "repeat": 0,
            "rule": list("ABC") * 3,
            "log_likelihood": [-0.5, -0.5 + 1e-9, -0.6, np.nan, -0.7, -0.6, np.nan, np.nan, np.nan],
            "rmse": np.arange(9.0),
            "true_rms": 1.0,
        }
    )
    study = RecoveryStudy(scores)
    assert study.selected["selected_rule"].fillna("none").tolist() == ["A", "C", "none"]
    assert study.selected["rmse"].fillna(-1).tolist() == [0.0, 5.0, -1.0]
    assert study.selected["B"].fillna(0).tolist() == [-0.5 + 1e-9, -0.7, 0.0]
    assert study.confusion.to_numpy().tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_progress_is_shown_unless_it_is_not_wanted(cohort, fitted, capsys):
    rules = {"constant": fitted["constant"]}
    run(cohort[0], rules, n_repeats=1, cv=2)
    assert capsys.readouterr().err == ""
    run(cohort[0], rules, n_repeats=1, cv=2, verbose=1)
    assert "1/1" in capsys.readouterr().err


UNFITTED = "constant is not fitted: fit it, or give the X and y=... of make_design to fit it to."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": RULES}, UNFITTED),
        ({"rules": RULES, "stimuli": TASK, "y": [0], "n_subjects": 2}, UNFITTED),
        ({"stimuli": TASK, "n_trials": 5}, "say how many animals a cohort has: n_subjects=..."),
        ({"n_subjects": 1}, "n_subjects == 1, must be >= 2."),
        ({"n_repeats": 0}, "n_repeats == 0, must be >= 1."),
        ({"n_subjects": 3, "cv": 4}, "SubjectKFold cannot split 3 subjects into 4 folds"),
        ({"rules": {}}, "rules should name at least one rule estimator, got {}."),
        (
            {"rules": {"rmse": RULES["constant"]}},
            "has a column 'rmse' of its own: rename that rule",
        ),
    ],
)
def test_wrong_input_is_refused(options, message, cohort, fitted):
    arguments = {"stimuli": cohort[0], "rules": fitted, "n_repeats": 1, **options}
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        run(**arguments)


def test_rules_that_see_other_columns_are_refused(trials, fitted):
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    other = lr.ConstantRuleEstimator().fit(X, y)
    message = "All rules should be fitted to the same columns and choices, but constant was fitted"
    with pytest.raises(ValueError, match=message):
        run(X, {**fitted, "other": other})
