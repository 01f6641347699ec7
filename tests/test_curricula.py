"""Which training is fastest: what twins say, and what is so."""

import re
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED, curriculum_design
from pandas.testing import assert_frame_equal
from scipy.special import expit
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import ContrastTask, make_learning_cohort
from sklearn_learnrule.preprocessing import tanh_contrast
from sklearn_learnrule.rules import ReinforceRule
from sklearn_learnrule.simulation import (
    Twin,
    design_curriculum,
    simulate,
    simulate_learning,
)
from sklearn_learnrule.simulation._skill import SkillTest
from sklearn_learnrule.simulation._statistics import reach_criterion
from sklearn_learnrule.simulation._uncertainty import interval, split_spread

NOTHING = {"curriculum": [(0.0,)]}  # to be seen
HARD = {"curriculum": [(0.25, 0.125)]}
EASY = {"curriculum": [(1.0, 0.5)]}
BRIEF = {"n_trials": 120, "n_twins": 10, "window": 20, "random_state": 0, "verbose": 0}
TRUTH = ReinforceRule(2, None, learning_rate=0.1)


@pytest.fixture(scope="module")
def cohort():
    """Animals that are trained on hard contrasts alone."""
    return lr.make_design(make_learning_cohort(8, 200, rule=TRUTH, **HARD, random_state=0))[:2]


@pytest.fixture(scope="module")
def rule(cohort):
    return lr.ReinforceRuleEstimator(baseline=None).fit(*cohort)


def design(rule, options, **others):
    """Compare options in the hard test, without a look at what twins visit unless asked."""
    return design_curriculum(
        rule, ContrastTask, options, **{"test": HARD, "X": None} | BRIEF | others
    )


# ------------------------------------------------------------------------------ what is found


def test_where_nothing_is_seen_nothing_is_learned_and_twins_are_counted_with_all_they_did(rule):
    found = design(rule, {"nothing": NOTHING, "hard": HARD}, n_trials=200)
    nothing, hard = found.table.to_dict("records")
    assert nothing["trials"] == 200 and nothing["share_reached"] == 0
    assert np.isnan(nothing["median"])
    assert hard["trials"] < 150 and hard["share_reached"] == 1
    assert hard["p_best"] == 1 and nothing["p_best"] == 0
    against = found.differences().iloc[0]
    assert against["upper"] < -50 and against["share_faster"] == 1


def test_an_option_differs_from_itself_by_0(rule, cohort):
    noisy = lr.ReinforceRuleEstimator(
        baseline=None, process_noise=0.05, initial_std=0.2, lapses=0.05
    ).fit(*cohort)
    found = design([rule, noisy], {"one": HARD, "same": HARD})
    differences = found.differences()
    columns = ["difference", "lower", "upper", "std_fits", "std_twins"]
    assert (differences[columns] == 0).all(axis=None)
    assert differences["share_faster"].tolist() == [0.5]
    assert found.table["p_best"].tolist() == [0.5, 0.5]
    assert found.table["std_twins"].min() > 1  # though twins are unlike


def test_twins_rank_trainings_as_mice_of_the_true_rule_do(rule):
    """In trials as well: .25 and .125, the same with correction trials, and 1 and .5."""
    options = {"hard": HARD, "repeated": HARD | {"repeat_errors": 0.0}, "easy": EASY}
    found = design(rule, options, n_trials=200, n_twins=100).table.set_index("option")
    opens, start = np.arange(200) == np.zeros((400, 1)), np.zeros((400, 2))
    for name, option in options.items():
        task, rng = ContrastTask(opens, **option, random_state=1), np.random.RandomState(2)
        weights = simulate_learning(TRUTH, task, start, opens, rng).weights
        true, _ = reach_criterion(skill_by_hand(weights), 0.75, 20)
        assert found.loc[name, "trials"] == pytest.approx(true.mean(), rel=0.1)
        found.loc[name, "truth"] = true.mean()
    assert found["trials"].rank().tolist() == found["truth"].rank().tolist()
    assert found.loc["easy", "p_best"] == 1


def skill_by_hand(weights, lapses=(0.0, 0.0)):
    """The chance of a correct choice at .25 and .125 on either side, (N, T)."""
    drive, bias = weights[..., :1] * tanh_contrast([0.25, 0.125]), weights[..., 1:]
    to_right, to_left = expit(drive + bias), expit(drive - bias)
    kept = 1 - sum(lapses)
    return (lapses[1] + kept * to_right + lapses[0] + kept * to_left).mean(-1) / 2


@pytest.mark.parametrize("lapses", [None, (0.1, 0.2)])
def test_skill_is_the_chance_of_a_correct_choice_lapses_included(lapses, cohort):
    rule = lr.ReinforceRuleEstimator(baseline=None, lapses=lapses).fit(*cohort)
    twin, weights = Twin(rule), np.random.RandomState(0).standard_normal((3, 5, 2))
    exam = SkillTest.of_task(twin, partial(ContrastTask, **HARD), seed=0)
    assert len(exam.share) == 4
    even = SkillTest(exam.features, exam.answer, np.full(4, 0.25))
    expected = skill_by_hand(weights, lapses or (0.0, 0.0))
    np.testing.assert_allclose(even.skill(twin, weights), expected, rtol=1e-6)
    np.testing.assert_allclose(exam.skill(twin, weights), expected, atol=0.03)


def test_skill_is_that_of_the_twins_that_simulate_makes_and_hangs_on_no_training(rule):
    found = design(rule, {"easy": EASY}, session_length=40)
    sessions = found.sessions.groupby("session")["skill"].mean()
    told = {"n_trials": 120, "session_length": 40, "return_weights": True}
    _, weights = simulate(rule, partial(ContrastTask, **EASY), 100, random_state=1, **told)
    skill = pd.Series(skill_by_hand(weights.to_numpy()), weights.index)
    np.testing.assert_allclose(sessions, skill.groupby("session").mean(), atol=0.03)
    assert found.curves["session"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.curves["mean"], sessions)


@pytest.mark.parametrize(("skill", "expected"), [("0099", 4), ("9000", 4), ("00799", 4), ("97", 2)])
def test_a_twin_has_learned_when_the_mean_of_its_last_trials_is_so_high(skill, expected):
    values = np.array([[int(letter) / 10 for letter in skill]])
    trials, reached = reach_criterion(values, 0.75, 2)
    assert trials.tolist() == [expected]
    assert reached.tolist() == [skill != "9000"]


# ------------------------------------------------------------------------------ how sure it is


def test_uncertainty_is_split_between_fits_and_twins():
    rng = np.random.RandomState(0)
    fits, twins = rng.normal(0, 30, (400, 1, 1)), rng.normal(0, 50, (400, 20, 1))
    spread = split_spread(fits + twins)
    assert spread["std_fits"] == pytest.approx(30, rel=0.1)
    assert spread["std_twins"] == pytest.approx(50, rel=0.1)
    assert split_spread(twins)["std_fits"] < 5
    assert np.isnan(split_spread(twins[:1])["std_fits"]).all()


@pytest.mark.parametrize("n_fits", [1, 2, 5])
def test_intervals_hold_the_truth_as_often_as_they_say_however_few_the_fits(n_fits):
    """Of one fit, what its twins are like; of several, whom the fits lie around as refits do."""
    rng, shape = np.random.RandomState(0), (n_fits, 6, 4000)
    found = rng.standard_normal(4000) * (n_fits > 1)  # about a truth of 0
    refits = rng.normal(found, n_fits > 1, (n_fits, 4000))
    limits = interval(refits[:, None] + rng.normal(0, 0.1, shape), level=0.9)
    held = (limits["lower"] <= 0) & (0 <= limits["upper"])
    assert held.mean() == pytest.approx(0.9, abs=0.02)


def test_with_fits_that_disagree_the_best_option_is_not_known():
    first = [[100] * 5, [300] * 5]  # option z, by two fits
    found = curriculum_design([first, [[200] * 5, [200] * 5]])
    z, a = found.table.to_dict("records")
    assert (z["option"], z["trials"], z["lower"], z["upper"]) == ("z", 200, 0, 1000)
    assert (a["lower"], a["upper"]) == (200, 200)
    assert (z["p_best"], a["p_best"]) == (0.5, 0.5)
    assert (z["std_fits"], z["std_twins"]) == (pytest.approx(100 * np.sqrt(2)), 0)
    difference = found.differences("a").iloc[0]
    assert difference["option"] == "z" and difference["difference"] == 0
    assert difference["lower"] < -1000 and difference["upper"] > 1000
    assert "5 twins of each of 2 fits, 95% intervals over fits and twins" in str(found)
    assert "Differences from 'z', twin by twin" in str(found)
    assert "of one fit, 95% intervals over twins alone" in str(curriculum_design([[[1, 2]]]))


def test_a_median_is_told_if_more_than_half_get_there():
    found = curriculum_design(
        [[[10, 20, 1000, 1000]], [[10, 20, 30, 1000]]], [[[1, 1, 0, 0]], [[1, 1, 1, 0]]]
    )
    assert found.table["median"].isna().tolist() == [True, False]
    assert found.table["median"][1] == 25
    assert found.table["share_reached"].tolist() == [0.5, 0.75]
    assert found.table["trials"].tolist() == [507.5, 265.0]  # with all that the others did


def test_individuals_lie_apart_and_are_the_same_in_all_options():
    spread = {"learning_rate": np.linspace(-1.5, 1.5, 6)}
    trials = make_learning_cohort(
        6, 150, rule=TRUTH, subject_effects=spread, random_state=0, **HARD
    )
    X, y, _ = lr.make_design(trials)
    alike = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    own = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"]).fit(X, y)
    options = {"hard": HARD, "easy": EASY}
    how = {"n_trials": 200, "n_twins": 30}
    one_rule, of_own = (design(each, options, **how) for each in (alike, own))
    assert (of_own.table["std_twins"] > 2 * one_rule.table["std_twins"]).all()
    by_twin = of_own.twins.pivot(index="twin", columns="option", values="trials")
    assert by_twin.corr(method="spearman").loc["hard", "easy"] > 0.8


def test_results_hang_on_the_seed_alone(rule):
    options, few = {"hard": HARD, "easy": EASY}, {"n_twins": 3}
    found = design([rule, rule], options, **few)
    with joblib.parallel_config("threading"):
        assert_frame_equal(design([rule, rule], options, n_jobs=2, **few).twins, found.twins)
    assert_frame_equal(design({0: rule, 1: rule}, options, **few).sessions, found.sessions)
    assert not design([rule, rule], options, random_state=1, **few).twins.equals(found.twins)
    one, other = (rows for _, rows in found.twins.groupby("fit"))
    assert one["trials"].tolist() != other["trials"].tolist()  # fits have twins of their own


# -------------------------------------------------------------------- where animals have been


def test_twins_in_the_animals_own_training_stay_where_these_have_been(rule, cohort):
    noisy = lr.ReinforceRuleEstimator(baseline=None, process_noise=0.05, initial_std=0.3)
    for fit in (rule, noisy.fit(*cohort)):
        assert design(fit, {"hard": HARD}, X=cohort[0]).table["share_outside"][0] < 0.1


def test_twins_that_leave_what_animals_visited_are_told(rule, cohort):
    """Stimuli that no animal has seen, or those seen but never before an animal knew the task."""
    message = (
        "Twins leave the states that the animals visited, where the rule is a guess, on these "
        "shares of trials: 'easy' 100%."
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        found = design(rule, {"hard": HARD, "easy": EASY}, X=cohort[0])
    assert found.outside.to_dict() == {"hard": False, "easy": True}

    in_stages = {"curriculum": [(1.0, 0.5), (0.25, 0.125)], "criterion": 0.9}
    trials = make_learning_cohort(
        8, 300, rule=TRUTH, session_length=60, **in_stages, random_state=0
    )
    X, y, _ = lr.make_design(trials)
    later = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    with pytest.warns(UserWarning, match=r"on these shares of trials: 'hard' \d\d%."):
        design(later, {"in stages": in_stages, "hard": HARD}, X=X, session_length=60)


def test_if_no_twin_gets_there_that_is_told(rule):
    message = "No twin reached a skill of 0.99 in 120 trials, so that all options look alike: give"
    with pytest.warns(UserWarning, match=message):
        design(rule, {"hard": HARD}, criterion=0.99)


def test_if_all_twins_are_there_from_the_start_that_is_told(cohort):
    skilled = lr.ConstantRuleEstimator().fit(*cohort)
    message = "All twins have a skill of 0.6 from the start, so that all options look alike: ask"
    with pytest.warns(UserWarning, match=message):
        design(skilled, {"hard": HARD}, criterion=0.6)


# ------------------------------------------------------------------------- what may be trained


@BRIEFLY_TRAINED
@pytest.mark.filterwarnings("ignore:No twin reached a skill")
def test_pipelines_networks_and_three_choices_are_trained_as_any():
    trials = make_learning_cohort(4, 50, n_choices=3, random_state=0)
    places = [f"stimulus_{place}" for place in "ABC"]
    X, y, _ = lr.make_design(trials, stimulus=places, answer="answer")
    small = {"hidden_sizes": (4,), "n_ensemble": 2, "mirror": False, "random_state": 0}
    reinforce = lr.ReinforceRuleEstimator(baseline=None, max_epochs=2)
    fits = {
        "pipeline": make_pipeline(lr.PolicyRegressors(), reinforce).fit(X, y),
        "network": lr.DNNRuleEstimator(max_epochs=2, **small).fit(X, y),
    }
    three = partial(ContrastTask, n_choices=3)
    told = {"test": HARD, "X": X, "criterion": 0.35} | BRIEF | {"n_trials": 25}
    found = design_curriculum(fits, three, {"one": EASY, "same": EASY}, **told)
    assert found.twins["fit"].unique().tolist() == ["pipeline", "network"]
    assert (found.differences()["difference"] == 0).all()
    assert found.sessions["skill"].between(0.2, 0.9).all()
    assert found.table["share_outside"].notna().all()


# -------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"options": {}},
            "options should be a dict of names to keyword arguments of the task, such",
        ),
        ({"options": [HARD]}, "options should be a dict of names to keyword arguments of the task"),
        (
            {"options": {"hard": 3}},
            "'hard' should be a dict of keyword arguments of the task, got 3",
        ),
        ({"test": [0.25]}, "'test' should be a dict of keyword arguments of the task, got [0.25]."),
        ({"options": {"x": {"criteria": 1}}}, "The task cannot be made as 'x' says: ContrastTask."),
        (
            {"test": {"n_choices": 1}},
            "The task cannot be made as 'test' says: n_choices == 1, must",
        ),
        ({"task": 3}, "task should be a function or class that makes a task, such as ContrastTask"),
        ({"n_twins": 1}, "n_twins == 1, must be >= 2."),
        ({"n_trials": 0}, "n_trials == 0, must be >= 1."),
        ({"window": 121}, "window == 121, must be <= 120."),
        ({"criterion": 1.0}, "criterion == 1.0, must be < 1."),
        ({"level": 0.0}, "level == 0.0, must be > 0."),
        ({"session_length": 0}, "session_length == 0, must be >= 1."),
        ({"estimator": []}, "There are no estimators to make twins of (0 given)."),
        (
            {"task": partial(ContrastTask, n_choices=3)},
            "The task should show the stimuli ['stimulu",
        ),
    ],
)
def test_wrong_arguments_are_told(change, message, rule):
    given = {"estimator": rule, "task": ContrastTask, "options": {"hard": HARD}, "test": HARD}
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        design_curriculum(**given | {"X": None} | BRIEF | change)


def test_fits_that_see_something_else_are_told(rule, cohort):
    X, y = cohort
    other = lr.ConstantRuleEstimator().fit(X.rename(columns={"stimulus": "tone"}), y)
    message = "should have the same stimuli, but fit 0 has ['stimulus'] and fit 1 has ['tone']."
    with pytest.raises(ValueError, match=re.escape(message)):
        design([rule, other], {"hard": HARD})


def test_the_animals_should_be_two_or_more_and_have_the_columns_of_the_fit(rule, cohort):
    X, _ = cohort
    with pytest.raises(ValueError, match="X should have two animals or more, whose states tell"):
        design(rule, {"hard": HARD}, X=X.loc[["mouse_01"]])
    with pytest.raises(ValueError, match="X should have the columns that the estimator was fitted"):
        design(rule, {"hard": HARD}, X=X.drop(columns="stimulus"))


def test_an_option_in_which_weights_run_away_is_told(cohort):
    wild = lr.ReinforceRuleEstimator(baseline=None).fit(*cohort)
    with torch.no_grad():
        wild.net_.module_.rule.rule.root_learning_rate.fill_(1e200)
    with pytest.raises(ValueError, match="In 'hard', by fit 0: The weights of twin_.* ran away"):
        design(wild, {"hard": HARD})


def test_a_reference_that_is_no_option_is_told():
    with pytest.raises(
        ValueError, match=re.escape("reference should be one of ['z', 'a'], got 'b'")
    ):
        curriculum_design([[[1, 2]], [[3, 4]]]).differences("b")
