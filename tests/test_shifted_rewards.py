"""A table whose rewards are a row off is warned of, and no other."""

import numpy as np
import pytest

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

MESSAGE = (
    r"Rewards of subject 'mouse_01' \(and 2 more\) go with whether the choice of the row {} was "
    r"correct \(correlation {}\), not with "
    r"their own row's \(0\.\d\d\)\. Is column 'reward' shifted by a row\?"
)


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(3, 200, random_state=0)


def shifted(trials, rows):
    return trials.assign(reward=trials["reward"].shift(rows, fill_value=0))


@pytest.mark.parametrize("answer", [None, "answer"])
@pytest.mark.parametrize(("rows", "which"), [(1, "before"), (-1, "after")])
def test_rewards_of_another_row_are_warned_of(trials, rows, which, answer):
    with pytest.warns(UserWarning, match=MESSAGE.format(which, r"1\.00")):
        lr.make_design(shifted(trials, rows), answer=answer)


def test_a_stimulus_whose_sign_is_turned_tells_it_too(trials):
    turned = trials.assign(stimulus=-trials["stimulus"])
    lr.make_design(turned)  # no warning
    with pytest.warns(UserWarning, match=MESSAGE.format("before", r"1\.00")):
        lr.make_design(shifted(turned, 1))


def test_rewards_that_come_by_chance_and_are_not_always_known_tell_it_too(trials):
    rng = np.random.RandomState(0)
    by_chance = trials["reward"].where(rng.rand(len(trials)) < 0.9, 1 - trials["reward"])
    chancy = trials.assign(reward=by_chance.astype(float).mask(rng.rand(len(trials)) < 0.2))
    lr.make_design(chancy, unknown_reward="keep")  # no warning
    with pytest.warns(UserWarning, match=MESSAGE.format("after", r"0\.[78]\d")):
        lr.make_design(chancy.assign(reward=chancy["reward"].shift(-1)), unknown_reward="keep")


@pytest.mark.parametrize(
    "why",
    ["paid whatever is chosen", "nothing tells which choice is correct", "few trials", "no pay"],
)
def test_where_nothing_tells_nothing_is_said(trials, why):
    """Warnings are errors here."""
    if why == "paid whatever is chosen":
        chance = np.random.RandomState(0).randint(2, size=len(trials))
        lr.make_design(trials.assign(reward=chance), answer="answer")
    elif why == "nothing tells which choice is correct":
        lr.make_design(shifted(trials, 1), stimulus=None)
    elif why == "few trials":
        lr.make_design(shifted(trials.head(20), 1))
    else:
        lr.make_design(trials.assign(reward=1.0), answer="answer")


def test_one_animal_of_several_is_named(trials):
    second = trials["subject"] == "mouse_02"
    moved = trials["reward"].where(~second, trials["reward"][second].shift(1, fill_value=0))
    with pytest.warns(UserWarning, match=r"Rewards of subject 'mouse_02' go with"):
        lr.make_design(trials.assign(reward=moved))


def test_a_row_off_between_animals_alone_is_not_looked_at(trials):
    """Animals of one trial each have no rows before or after."""
    alone = trials.assign(subject=[f"mouse_{i}" for i in range(len(trials))])
    lr.make_design(shifted(alone, 1), answer="answer")
