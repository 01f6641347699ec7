"""Choices that are paid by chance: a correct one at times nothing, an error at times a reward."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from drawn import curves, finite, legend
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import (
    asymmetry_table,
    history_table,
    subject_update_table,
    update_table,
)
from sklearn_learnrule.plotting import HistoryDisplay, SubjectUpdateDisplay, UpdateDisplay
from sklearn_learnrule.report import _sections, _write, write_report
from sklearn_learnrule.simulation import predictive_check, simulate

TONES = np.linspace(-1, 1, 8)
HELD = {"stimulus": 0.5, "bias": 0.0}


def paid(chance_correct=0.8, chance_error=0.2, amounts=(1.0,)):
    """Six animals that are shown a stimulus, and paid an amount as often as is said."""
    trials = make_learning_cohort(6, 200, random_state=0)
    rng = np.random.default_rng(0)
    correct = trials["choice"] == trials["answer"]
    won = rng.random(len(trials)) < np.where(correct, chance_correct, chance_error)
    return trials.assign(reward=won * rng.choice(amounts, len(trials)))


@pytest.fixture(scope="module")
def by_chance():
    X, y, _ = lr.make_design(paid(), answer="answer")
    rule = lr.ReinforceRuleEstimator(subject_effects=["learning_rate"]).fit(X, y)
    return rule, X, y


@pytest.fixture(scope="module")
def graded():
    X, y, _ = lr.make_design(paid(amounts=(1.0, 2.0, 3.0)), answer="answer")
    rule = lr.ReinforceRuleEstimator(subject_effects=["learning_rate"]).fit(X, y)
    return rule, X, y


# -------------------------------------------------------------------------- whose errors are paid


def test_answers_that_are_not_the_correct_choices_are_told_by_what_errors_earned():
    """The other label, or whether the choice was correct in place of which would have been."""
    trials = paid().assign(choice=lambda t: (t["choice"] == "right").astype(int))
    correct = paid()["choice"] == paid()["answer"]
    answer = (paid()["answer"] == "right").astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lr.make_design(trials.assign(answer=answer), answer="answer")
    for other, n_told in ((1 - answer, 2), (correct.astype(int), 1)):
        with pytest.warns(UserWarning, match="should hold the label of the correct") as told:
            lr.make_design(trials.assign(answer=other), answer="answer")
        assert len(told) == n_told


def go_no_go(puff):
    """A hit earns 4, a false alarm a puff, a miss and a correct rejection nothing."""
    trials = make_learning_cohort(2, 100, random_state=0)
    named = {"left": "no lick", "right": "lick"}
    trials = trials.assign(choice=trials["choice"].map(named), answer=trials["answer"].map(named))
    correct, lick = trials["choice"] == trials["answer"], trials["choice"] == "lick"
    return trials.assign(reward=np.where(lick, np.where(correct, 4.0, puff), 0.0))


@pytest.mark.parametrize("puff", [0.0, -1.0])
def test_a_choice_that_was_never_rewarded_is_told_of_unless_answers_are_named(puff):
    """As in a go/no-go task, where a correct rejection earns nothing: by rewards, an error."""
    trials = go_no_go(puff)
    withheld = (trials["choice"] == "no lick").sum()
    message = f"'no lick' was rewarded on none of {withheld} trials, so each counts as an error"
    with pytest.warns(UserWarning, match=message) as told:
        lr.make_design(trials)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lr.make_design(trials, answer="answer")
        lr.make_design(trials, stimulus=None)  # whoever plays a bandit is told of no errors
        lr.make_design(trials.groupby("choice").head(9))  # too few to tell
        lr.make_design(trials[trials["choice"] == "no lick"], choices=["lick", "no lick"])
        untold = trials.assign(reward=trials["reward"].mask(trials["choice"] == "no lick"))
        lr.make_design(untold, unknown_reward="keep")  # nobody knows what it earned


# ------------------------------------------------------------------------------------- pictures


def drawn(panel, color, style):
    lines = curves(panel, color=color, style=style)
    return np.concatenate([finite(line)[:, 1] for line in lines])


def test_solid_is_after_a_rewarded_correct_choice_dashed_after_an_unrewarded_error(by_chance):
    rule, X, _ = by_chance
    display = UpdateDisplay.from_estimator(rule, X, weights=HELD, stimuli=TONES)
    table, (panel,) = display.table, display.axes_.flat
    assert len(table.groupby(["reward", "correct"])) == 4
    entries = legend(panel)
    for style, reward, correct in (("-", 1.0, True), ("--", 0.0, False)):
        assert f"after reward {reward:g}" in entries
        rows = table[(table["reward"] == reward) & (table["correct"] == correct)]
        assert set(drawn(panel, entries["0.5"].get_color(), style)) == set(rows["update_stimulus"])


def test_a_heatmap_is_of_rewarded_correct_choices(by_chance):
    rule, X, _ = by_chance
    display = UpdateDisplay.from_estimator(rule, X, kind="heatmap", weights={"bias": 0.0})
    rows = display.table.query("reward == 1 and correct")
    panel = display.axes_[0, 0]
    (mesh, *_) = panel.collections
    assert sorted(mesh.get_array().ravel()) == pytest.approx(sorted(rows["update_stimulus"]))
    assert panel.get_xlabel() == "stimulus\n(left | right reward 1)"


def test_after_runs_either_reward_of_the_probe_has_its_lines(by_chance):
    rule, X, _ = by_chance
    memory = lr.QLearningRuleEstimator().fit(X, by_chance[2])
    display = HistoryDisplay.from_estimator(
        {"Q": memory, "R": rule}, X, lengths=[1], n_draws=2, stimuli=TONES
    )
    assert set(display.table["correct"]) == {True}
    entries = legend(display.axes_[0, -1])
    assert list(entries)[-2:] == ["after reward 1", "after reward 0"]
    rows = display.table.query("fit == 'Q' and run == 'rewarded'")
    for style, reward in (("-", 1.0), ("--", 0.0)):
        points = drawn(display.axes_[0, 0], entries["rewarded"].get_color(), style)
        expected = rows.loc[rows["reward"] == reward, "update_stimulus"]
        assert sorted(points) == pytest.approx(sorted(expected))


def test_animals_updates_are_drawn_after_either_reward(by_chance):
    display = SubjectUpdateDisplay.from_estimator(*by_chance)
    assert list(legend(display.ax_))[-2:] == ["after reward 1", "after reward 0"]


def test_of_more_rewards_two_are_named(graded):
    rule, X, y = graded
    looks = {
        UpdateDisplay: (rule, X),
        HistoryDisplay: (rule, X),
        SubjectUpdateDisplay: (rule, X, y),
    }
    for display, known in looks.items():
        with pytest.raises(ValueError, match=re.escape("name two, such as rewards=[0.0, 3.0]")):
            display.from_estimator(*known)
        table = display.from_estimator(*known, rewards=[0.0, 3.0]).table
        told = {(0.0, False), (3.0, True)} if display is not HistoryDisplay else {(3.0, True)}
        assert set(zip(table["reward"], table["correct"], strict=True)) == told


def test_rewards_that_make_no_probe_are_refused(by_chance):
    rule, X, y = by_chance
    for rewards in ([], [np.nan], 1.0):
        for table in (update_table, history_table):
            with pytest.raises(ValueError, match="rewards should be some finite numbers"):
                table(rule, X, rewards=rewards)
        with pytest.raises(ValueError, match="rewards should be some finite numbers"):
            subject_update_table(rule, X, y, rewards=rewards)
    with pytest.raises(ValueError, match=r"be an error, but rewards=\[1\] name none"):
        history_table(rule, X, rewards=[1], after_correct=False)


# ---------------------------------------------------------------------------------------- twins


def shares(trials):
    correct = trials["choice"] == trials["answer"]
    return trials.groupby(correct)["reward"].mean()


def test_twins_are_paid_as_often_as_animals_were(by_chance):
    rule, X, _ = by_chance
    with pytest.raises(ValueError, match=r"rewards of errors vary \(0, 1\).*reward='resample' to"):
        simulate(rule, X, random_state=0)
    twins = simulate(rule, X, n_subjects=5, reward="resample", random_state=0)
    assert_allclose(shares(twins), shares(paid()), atol=0.03)
    again = simulate(rule, paid(), n_subjects=5, reward="resample", random_state=0)
    assert_allclose(shares(again), shares(paid()), atol=0.03)


def test_graded_rewards_are_resampled_each_with_its_frequency(graded):
    rule, X, _ = graded
    twins = simulate(rule, X, n_subjects=10, reward="resample", random_state=0)
    animals = paid(amounts=(1.0, 2.0, 3.0))
    for correct in (False, True):
        found, expected = (
            t.loc[(t["choice"] == t["answer"]) == correct, "reward"].value_counts(normalize=True)
            for t in (twins, animals)
        )
        assert_allclose(found.sort_index(), expected.sort_index(), atol=0.03)


def test_rewards_that_never_vary_are_resampled_as_they_are():
    X, y, _ = lr.make_design(paid(1.0, 0.0), answer="answer")
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    usual = simulate(rule, X, random_state=0)
    assert_frame_equal(simulate(rule, X, reward="resample", random_state=0), usual)


@pytest.mark.parametrize("reward", [None, "resample"])
@pytest.mark.parametrize("of", ["design", "trials"])
def test_twins_are_paid_for_a_hit_and_not_for_a_correct_rejection(reward, of):
    trials = go_no_go(-1.0)
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    twins = simulate(rule, X if of == "design" else trials, reward=reward, random_state=0)
    earned = twins.groupby(["choice", "answer"])["reward"].unique().map(list).to_dict()
    assert earned == {
        ("lick", "lick"): [4.0],
        ("lick", "no lick"): [-1.0],
        ("no lick", "lick"): [0.0],
        ("no lick", "no lick"): [0.0],
    }


def test_what_no_animal_shows_to_earn_is_told_of_where_pay_hangs_on_what_is_correct():
    """Of experts that never miss: who knows whether a miss earns what a false alarm does?"""
    for trials, n_told in ((go_no_go(-1.0), 1), (make_learning_cohort(2, 100, random_state=0), 0)):
        first = trials["choice"].min()
        experts = trials[(trials["choice"] == trials["answer"]) | (trials["answer"] != first)]
        X, y, _ = lr.make_design(experts, answer="answer")
        rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            simulate(rule, X, random_state=0)
        texts = [str(warning.message) for warning in told]
        message = "made no errors. Twins who do earn what errors earned elsewhere, -1 on average"
        assert len(texts) == n_told and all(message in text for text in texts)


def test_missed_trials_and_unknown_rewards_are_no_errors_pay(by_chance):
    rule, trials = by_chance[0], paid()
    missed, unknown = trials.index % 3 == 1, trials.index % 7 == 3
    trials["choice"] = trials["choice"].mask(missed)
    trials["reward"] = trials["reward"].mask(missed, -1.0).mask(unknown)
    twins = simulate(rule, trials, n_subjects=5, reward="resample", random_state=0)
    assert set(twins["reward"]) == {0.0, 1.0}
    assert_allclose(shares(twins), shares(trials[~missed]), atol=0.03)
    sure = trials.assign(reward=(trials["choice"] == trials["answer"]).mask(missed, -1.0))
    assert set(simulate(rule, sure, random_state=0)["reward"]) == {0.0, 1.0}


def test_words_for_two_rewards_are_refused(by_chance):
    with pytest.raises(ValueError, match="reward should be two numbers, .*; got .*'much'"):
        simulate(*by_chance[:2], reward=("little", "much"))


def test_another_word_for_pay_is_refused(by_chance):
    rule, X, y = by_chance
    message = "reward, if a word, should be 'resample', got 'resampled'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        predictive_check(rule, X, y, reward="resampled", n_simulations=1)


# --------------------------------------------------------------------------------------- points


def points(arms):
    """Six animals whose choices of arms all earn points, 1 to 99, more of the later arms."""
    rng = np.random.default_rng(0)
    choice = rng.integers(len(arms), size=600)
    earned = rng.normal(30 + 40 * choice / (len(arms) - 1), 10).round().clip(1, 99)
    return pd.DataFrame(
        {
            "subject": np.repeat(np.arange(6), 100),
            "session": np.tile(np.arange(100) // 50, 6),
            "choice": np.array(list(arms))[choice],
            "reward": earned,
        }
    )


@pytest.fixture(scope="module", params=["AB", "ABC"])
def earned(request):
    X, y, _ = lr.make_design(points(request.param), stimulus=None)
    return lr.QLearningRuleEstimator().fit(X, y), X, y


def test_a_reward_that_is_named_is_of_such_choices_as_earned_it():
    trials = make_learning_cohort(3, 50, random_state=0)
    trials["reward"] -= 1  # an error is punished, a correct choice earns nothing
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    table = update_table(rule, X, rewards=[-1.0, 0.0, 2.0])
    told = set(zip(table["reward"], table["correct"], strict=True))
    assert told == {(-1.0, False), (0.0, True), (2.0, True)}  # nothing has earned 2


def test_trials_count_for_the_nearest_reward_that_is_named(earned):
    rule, X, _ = earned
    n_trials = {
        rewards: update_table(rule, X, rewards=list(rewards)).groupby("reward")["n_trials"].sum()
        for rewards in ((0, 100), (45, 55))
    }
    counts = n_trials[0, 100].tolist()
    assert min(counts) > 0 and counts == n_trials[45, 55].tolist()


@pytest.mark.parametrize(
    "table, options", [(history_table, {"rewards": [5]}), (asymmetry_table, {})]
)
def test_runs_need_a_bound_that_parts_trials(earned, table, options):
    rule, X, _ = earned
    for bound, trial in ((0, "Every"), (100, "No")):
        with pytest.raises(ValueError, match=f"^{trial} trial earned more than {bound}, so "):
            table(rule, X, rewarded_above=bound, **options)


def test_after_a_run_of_many_points_as_many_surprise_less(earned):
    rule, X, _ = earned
    found = history_table(rule, X, rewards=[70], rewarded_above=50, lengths=[3])
    whose = "of_choice" if "of_choice" in found else "choice"
    found = found[(found["choice"] == "B") & (found[whose] == "B")]
    update = found.set_index("run")["update_bias"]
    assert 0 < update["rewarded"] < update["unrewarded"]


def test_a_report_of_points_draws_what_there_is_and_says_what_there_is_not(earned, tmp_path):
    rule, X, y = earned
    how = {"compare": False, "n_simulations": 2, "verbose": 0}
    path = write_report({"Q": rule}, X, y, tmp_path / "a", **how)
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "could not be made" not in page
    assert "updates are drawn after two, " in page
    assert page.count("A trial counts as rewarded here if it earned more than the mean, 5") == 3
    assert "a choice of a twin is paid what its animal earned on one of the ten nearest" in page
    assert len(list(path.glob("*history*.png"))) == 2


@pytest.mark.parametrize("arms", ["AB", "ABC"])
def test_of_arms_that_take_points_away_no_choice_is_called_correct_or_a_side(arms, tmp_path):
    trials = points(arms)
    trials["reward"] = np.where(trials["reward"] > 50, 0.0, -1.0)
    X, y, _ = lr.make_design(trials, stimulus=None)
    rule = lr.QLearningRuleEstimator().fit(X, y)
    table = asymmetry_table(rule, X, rewarded_above=-0.5, n_bootstraps=2)
    assert table["contrast"].unique().tolist() == ["choice", "run"]
    told = trials[trials["subject"].duplicated(keep="last")]  # all but an animal's last
    n_trials = table.groupby("group")["n_trials"].first()
    assert n_trials[list(arms)].to_dict() == told["choice"].value_counts().to_dict()
    with pytest.raises(ValueError, match="X has none: give after_correct=False"):
        history_table(rule, X, rewarded_above=-0.5)
    how = {"compare": False, "n_simulations": 2, "verbose": 0}
    page = write_report({"Q": rule}, X, y, tmp_path / "a.html", **how).read_text(encoding="utf-8")
    assert "could not be made" not in page
    assert ("A − B chosen" in page) == (arms == "AB")


# --------------------------------------------------------------------------------------- report


@pytest.mark.parametrize("shown", ["stimulus", None])
def test_a_report_has_all_pictures_and_says_how_twins_are_paid(tmp_path, shown):
    trials = paid() if shown else paid().drop(columns="stimulus")
    X, y, _ = lr.make_design(trials, stimulus=shown, answer="answer")
    how = {"compare": False, "n_simulations": 2, "verbose": 0}
    rule = lr.QLearningRuleEstimator().fit(X, y)
    path = write_report({"Q": rule}, X, y, tmp_path / "a.html", **how)
    page = path.read_text(encoding="utf-8")
    assert "could not be made" not in page
    assert "Twins are paid by chance, as the animals were" in page
    told = pd.Series(page).str.extract(r"on average errors ([\d.]+), correct choices ([\d.]+)\)")
    assert_array_equal(told.astype(float).round(1), [[0.2, 0.8]])


def test_a_report_of_graded_rewards_draws_two_and_says_which(tmp_path, monkeypatch):
    sexes = {f"mouse_0{i}": "fm"[i % 2] for i in range(1, 7)}
    trials = paid(amounts=(1.0, 2.0, 3.0))
    trials["sex"] = trials["subject"].map(sexes)
    X, y, _ = lr.make_design(trials, answer="answer", covariates="sex")
    wanted = ("The learning rule", "What a run of rewards changes", "Individuals and groups")
    monkeypatch.setattr(_write, "SECTIONS", {name: _sections.SECTIONS[name] for name in wanted})
    how = {"compare": False, "n_simulations": 1, "verbose": 0}
    rule = lr.QLearningRuleEstimator(subject_effects=["learning_rate"]).fit(X, y)
    path = write_report({"Q": rule}, X, y, tmp_path / "a", **how)
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "could not be made" not in page
    told = "Of all rewards that were earned, updates are drawn after two, 0 and 3."
    assert page.count(told) == 3
    for file in path.rglob("*update*.csv"):
        assert set(pd.read_csv(file)["reward"]) == {0.0, 3.0}, file
