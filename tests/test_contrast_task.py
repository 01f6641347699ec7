"""The contrast task: how animals move up its stages, and what follows an error."""

import re

import numpy as np
import pytest

from sklearn_learnrule.datasets import ContrastTask
from sklearn_learnrule.preprocessing import tanh_contrast
from sklearn_learnrule.rules import ConstantRule
from sklearn_learnrule.simulation import simulate_learning

EASY_THEN_HARD = [(1.0, 0.5), (0.25, 0.0), (0.125,)]


def one_session(n_subjects, n_trials):
    return np.arange(n_trials) == np.zeros((n_subjects, 1))


def play(task, n_trials, is_correct):
    """Show and reward trials; ``is_correct`` tells by contrast (N,) and trial who is right."""
    shown, stages = [], []
    for trial in range(n_trials):
        stimulus, answer = task.show(trial)
        task.reward(trial, is_correct(np.abs(task.contrast[:, trial]), trial))
        shown.append(np.column_stack([stimulus, answer]))
        stages.append(task.stage.copy())
    return np.stack(shown, 1), np.stack(stages, 1)  # (N, T, S + 1), (N, T)


def never(contrast, trial):
    return np.zeros(len(contrast), dtype=bool)


@pytest.mark.parametrize("n_choices", [2, 4])
def test_after_an_error_at_an_easy_contrast_the_same_is_shown_again(n_choices):
    opens = np.arange(200) % 50 == np.zeros((20, 1))
    options = {"curriculum": [(1.0, 0.5, 0.25)], "n_choices": n_choices, "random_state": 0}
    task = ContrastTask(opens, repeat_errors=0.5, **options)
    luck = np.random.RandomState(1).random_sample((200, 20)) < 0.6
    shown, _ = play(task, 200, lambda contrast, trial: luck[trial])
    is_same = (shown[:, 1:] == shown[:, :-1]).all(-1)
    wrong, easy = ~luck.T[:, :-1], np.abs(task.contrast[:, :-1]) >= 0.5
    follows = ~opens[:, 1:]  # not across sessions
    assert is_same[wrong & easy & follows].all()
    by_chance = is_same[(~wrong | ~easy | ~follows)].mean()
    assert by_chance == pytest.approx(1 / (3 * n_choices), abs=0.02)


def test_what_is_not_repeated_is_what_would_have_been_shown_anyway():
    def draws(**options):
        return play(ContrastTask(one_session(5, 60), random_state=0, **options), 60, never)[0]

    plain, none_repeated = (
        draws(curriculum=[(0.25, 0.5)]),
        draws(curriculum=[(0.25, 0.5)], repeat_errors=0.6),
    )
    np.testing.assert_array_equal(plain, none_repeated)
    all_repeated = draws(curriculum=[(0.25, 0.5)], repeat_errors=0.0)
    np.testing.assert_array_equal(all_repeated, np.tile(plain[:, :1], (1, 60, 1)))


def test_an_animal_that_favours_a_side_is_shown_the_other_more_often():
    opens, start = one_session(50, 300), np.tile([1.0, 1.5], (50, 1))

    def share_right(**options):
        task = ContrastTask(opens, [(0.5,)], random_state=0, **options)
        rng = np.random.RandomState(1)
        return simulate_learning(ConstantRule(2), task, start, opens, rng).answer.mean()

    assert share_right() == pytest.approx(0.5, abs=0.02)
    assert share_right(repeat_errors=0.0) < 0.42


def test_correction_trials_count_for_no_stage():
    """Of an animal that is right the second time only, each first choice counts alone."""
    opens = np.arange(400) % 100 == np.zeros((4, 1))

    def stages(**options):
        seen = []

        def on_second_look(contrast, trial):
            seen.append(task.repeats.copy())
            return seen[-1]

        task = ContrastTask(opens, EASY_THEN_HARD, 0.4, 0, **options)
        return play(task, 400, on_second_look)[1]

    assert (stages(repeat_errors=0.0) == 0).all()
    assert (stages(repeat_errors=0.0, window=5) == 0).all()


def test_with_a_window_a_stage_is_left_as_soon_as_every_contrast_is_known():
    task = ContrastTask(one_session(30, 300), EASY_THEN_HARD, 0.8, 0, window=10)
    _, stages = play(task, 300, lambda contrast, trial: contrast == 1.0)
    assert (stages == 0).all()  # .5 is not known

    task = ContrastTask(one_session(30, 300), EASY_THEN_HARD, 0.8, 0, window=10)
    luck = np.random.RandomState(1).random_sample((300, 30)) < 0.85
    _, stages = play(task, 300, lambda contrast, trial: luck[trial] & (contrast > 0))
    for contrast, right, stage in zip(np.abs(task.contrast), luck.T, stages, strict=True):
        np.testing.assert_array_equal(stage, stages_by_hand(contrast, right))
    assert (stages[:, -1] == 2).all()


def stages_by_hand(contrast, right):
    """The stage on each trial of an animal: 8 of the last ten right at each contrast but 0."""
    stages, started = [0], 0
    for trial in range(1, len(contrast)):
        shown, was_right = contrast[started:trial], right[started:trial]
        latest = [was_right[shown == c][-10:] for c in EASY_THEN_HARD[stages[-1]] if c > 0]
        moves = all(len(each) == 10 and each.sum() >= 8 for each in latest) and stages[-1] < 2
        started = trial if moves else started
        stages.append(stages[-1] + moves)
    return stages


def test_a_stage_that_is_nothing_but_0_is_never_left():
    task = ContrastTask(one_session(3, 60), [(0.0,), (1.0,)], 0.5, 0, window=5)
    _, stages = play(task, 60, lambda contrast, trial: contrast == 0)
    assert (stages == 0).all()


def test_stages_and_sides_are_shown_as_mice_see_them():
    task = ContrastTask(one_session(10, 50), [(0.25,)], random_state=0, window=5, repeat_errors=0.0)
    shown, _ = play(task, 50, lambda contrast, trial: contrast > 0)
    stimulus, right = shown[..., 0], shown[..., 1]
    np.testing.assert_array_equal(stimulus, tanh_contrast(0.25) * np.where(right, 1, -1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window == 0, must be >= 1."),
        ({"window": 2.5}, "window must be an instance of int"),
        ({"repeat_errors": -0.5}, "repeat_errors == -0.5, must be >= 0."),
        ({"repeat_errors": "easy"}, "repeat_errors must be an instance of float"),
    ],
)
def test_wrong_options_are_told(options, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        ContrastTask(one_session(2, 5), **options)
