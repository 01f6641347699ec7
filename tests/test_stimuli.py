"""What was shown: numbers, labels, or nothing at all."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import sklearn_learnrule as lr
from sklearn_learnrule.data import DESIGN, check_trials
from sklearn_learnrule.datasets import from_files
from sklearn_learnrule.inspection import history_table, psychometric_table, update_table
from sklearn_learnrule.plotting import HistoryDisplay, PsychometricDisplay, UpdateDisplay
from sklearn_learnrule.report import write_report
from sklearn_learnrule.simulation import simulate

LABELS = ["cat", "dog", "fish"]


def make_table(n_subjects=3, n_trials=60, n_choices=3):
    """Return trials of animals that see pictures, of which each calls for a choice of its own."""
    rng = np.random.RandomState(0)
    n = n_subjects * n_trials
    shown, choice = rng.randint(n_choices, size=(2, n))
    choice = np.where(rng.uniform(size=n) < 0.4, shown, choice)
    table = pd.DataFrame(
        {
            "subject": np.repeat([f"animal {i}" for i in range(n_subjects)], n_trials),
            "session": 1,
            "image": np.take(LABELS, shown),
            "size": rng.randn(n),
            "choice": np.take(["A", "B", "C"], choice),
            "answer": np.take(["A", "B", "C"], shown),
        }
    )
    return table.assign(reward=1.0 * (table["choice"] == table["answer"]))


TABLE = make_table()
INDICATORS = pd.get_dummies(TABLE["image"], prefix="image", dtype=float)


def design(table=TABLE, stimulus="image", **how):
    return lr.make_design(table, stimulus=stimulus, **{"answer": "answer", **how})[:2]


@pytest.fixture(scope="module")
def rule():
    return lr.ReinforceRuleEstimator(baseline=None).fit(*design())


# --------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "kind", ["object", "string", "category", pd.CategoricalDtype(["fish", "cat", "dog"], True)]
)
def test_each_label_has_a_column_of_0_and_1_in_sorted_order(kind):
    X, _ = design(TABLE.astype({"image": kind}), ["image", "size"])
    by_hand = TABLE.drop(columns="image").join(INDICATORS)
    assert_frame_equal(X, design(by_hand, [*INDICATORS, "size"])[0])


def test_numbers_that_are_names_are_labels_if_they_are_a_category_or_text():
    numbers = TABLE["image"].map({"cat": 1, "dog": 2, "fish": 10})
    names = ["image_1", "image_2", "image_10"]
    X, _ = design(TABLE.assign(image=numbers.astype("category")))
    assert_frame_equal(X.set_axis(design()[0].columns, axis=1), design()[0])
    assert DESIGN.stimuli(X) == names
    assert set(DESIGN.stimuli(design(TABLE.assign(image=numbers.astype(str)))[0])) == set(names)
    assert DESIGN.stimuli(design(TABLE.assign(image=numbers))[0]) == ["image"]


def test_tables_read_apart_have_the_columns_of_all_categories(rule):
    pictures = pd.Categorical(TABLE["image"], LABELS)
    X, y = design(TABLE.assign(image=pictures).query("image != 'dog'"))
    assert list(X) == list(design()[0]) and (X["image_dog"] == 0).all()
    assert rule.score(X, y) > -np.log(3)


def test_of_missed_trials_nobody_asks_what_was_shown():
    missed = TABLE.index % 7 == 3
    holes = {name: TABLE[name].mask(missed) for name in ("image", "choice", "answer", "reward")}
    X, _ = design(TABLE.assign(**holes), missed="count")
    assert_allclose(X[list(INDICATORS)], INDICATORS[~missed])
    with pytest.raises(ValueError, match="Column 'image' is missing .NaN. on 26 of 180 trials"):
        design(TABLE.assign(image=holes["image"]))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["0.5", "none", "0"], "Column 'image' should be numeric, but has '0.5' (subject 'animal "),
        (["0,5", "50 %", "1"], "Column 'image' should be numeric, but has '0,5'"),
        (["-1", "0", "1"], "Column 'image' should be numeric, but has '-1'"),
        (["cat", 1, 2], "Column 'image' should be numeric, but has 'cat'"),
        (["cat", "nan", "dog"], "has the label 'nan', which a missing value becomes as text: make"),
        (["cat", "Cat", "dog"], "differ by more than case and spaces, but two are 'Cat' and 'cat'"),
        (
            ["cat", "cat", "cat"],
            "The stimulus in column 'image' has the label 'cat' alone, which tells no more than "
            "the bias does: leave it out or, if other tables have further labels, make it a "
            "Categorical of all.",
        ),
        (
            [f"picture {i}" for i in range(180)],
            "The stimulus in column 'image' has 180 labels, such as 'picture 0', but 100 at most "
            "can be told apart: group them or, if they are numbers, give them as such.",
        ),
    ],
)
def test_what_is_no_label_is_told(column, message):
    values = pd.Series(np.resize(np.array(column, dtype=object), len(TABLE)), dtype=object)
    with pytest.raises(ValueError, match=re.escape(message)):
        design(TABLE.assign(image=values))


def test_a_label_may_not_make_a_name_that_means_something_else():
    clash = TABLE.assign(previous=TABLE["image"].replace("cat", "choice"))
    with pytest.raises(ValueError, match=r"none of .*; got \['previous_choice', 'previous_dog'"):
        design(clash, "previous")
    with pytest.raises(ValueError, match="rename the second 'image_cat'"):
        design(TABLE.assign(image_cat=1.0), ["image", "image_cat"])


def test_files_may_have_labels_or_nothing_shown(tmp_path):
    for animal, table in TABLE.groupby("subject"):
        table.to_csv(tmp_path / f"{animal}.csv", index=False)
    how = {"answer": "answer", "keep": "image", "verbose": False}
    trials = from_files(f"{tmp_path}/{{subject}}.csv", stimulus="size", **how)
    named = from_files(f"{tmp_path}/*.csv", stimulus="image", answer="answer", verbose=False)
    nothing = from_files(f"{tmp_path}/*.csv", stimulus=None, **how)
    X, _ = design(trials)
    names = {f"image_{label}": f"stimulus_{label}" for label in LABELS}
    assert_frame_equal(X.rename(columns=names), design(named, "stimulus")[0])
    assert_frame_equal(X.drop(columns=[*names]), design(nothing, None)[0])


def test_twins_are_shown_what_labels_name(rule):
    told = TABLE.drop(columns=["choice", "reward"])
    twins = simulate(rule, told, random_state=0)
    assert_allclose(twins[list(INDICATORS)], INDICATORS)
    assert_frame_equal(twins, simulate(rule, told.join(INDICATORS), random_state=0))
    with pytest.raises(ValueError, match="'image' has the label 'bird', but the estimator was fi"):
        simulate(rule, told.replace("cat", "bird"))
    with pytest.raises(ValueError, match="but the table has no 'image_cat', only"):
        simulate(rule, told.drop(columns="image").assign(image=0.5))


@pytest.mark.parametrize("order", [["image", "image_size"], ["image_size", "image"]])
def test_a_column_of_labels_may_be_called_as_another_and_more(order):
    told = TABLE.assign(image_size=np.where(TABLE["size"] > 0, "big", "small"))
    X, y = design(told, order)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    shown = told[["subject", "session", "answer", "reward", *order]]
    twins = simulate(rule, shown, random_state=0)
    assert_allclose(twins[rule.weight_names_[:-1]], X[rule.weight_names_[:-1]])


def test_twins_may_be_of_animals_for_whom_one_choice_was_correct(rule):
    told = TABLE.drop(columns=["choice", "reward"])
    twins = simulate(rule, told[told["answer"] == "B"], random_state=0)
    assert set(twins["answer"]) == {"B"} and set(twins["choice"]) > {"B"}


def test_pictures_of_two_choices_have_a_place_for_each_label():
    table = make_table(n_choices=2)
    X, y = design(table.assign(image=table["image"].mask(table.index % 3 == 0, "fish")))
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    shown = [f"image_{label} = 1" for label in LABELS]
    assert psychometric_table(rule, X, y)["stimulus"].unique().tolist() == shown
    met = update_table(rule, X)[[*INDICATORS]].drop_duplicates()
    assert_allclose(met.sort_values(list(INDICATORS), ascending=False), np.eye(3))
    for kind, names in (("slices", shown), ("heatmap", [*shown[::2], *shown[1:]])):
        panel = UpdateDisplay.from_estimator(rule, X, kind=kind).axes_.flat[0]
        labels = [tick.get_text().replace("\n", " ") for tick in panel.get_xticklabels()]
        assert labels == names


def test_pictures_of_labels_tell_apart_what_else_was_there_or_not():
    """As a laser that is on or off."""
    table = make_table(n_choices=2)
    table["laser"] = (table.index % 3 == 0).astype(float)
    X, y = design(table, ["image", "laser"])
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    seen = X[["image_cat", "image_dog", "laser"]].drop_duplicates()
    shown = psychometric_table(rule, X, y)
    assert len(seen) == shown["stimulus"].nunique() == 4
    here = (X["image_cat"] == 1) & (X["laser"] == 0)
    of_it = shown[shown["stimulus"] == "image_cat = 1"]
    assert of_it["n_trials"].sum() == here.sum()
    assert len(update_table(rule, X)[[*seen]].drop_duplicates()) == len(seen)
    UpdateDisplay.from_estimator(rule, X)


# -------------------------------------------------------------------------------------- nothing


def bandit(n_choices):
    return design(make_table(n_choices=n_choices), None)


@pytest.fixture(scope="module", params=[2, 3])
def arms(request):
    X, y = bandit(request.param)
    return lr.QLearningRuleEstimator(train_initial_weights=False).fit(X, y), X, y


def test_where_nothing_is_shown_a_rule_has_a_bias_alone(arms):
    rule, X, y = arms
    zeros = X.assign(nothing=0.0)
    same = lr.QLearningRuleEstimator(train_initial_weights=False).fit(zeros, y)
    assert rule.weight_names_ == ["bias"]
    assert_allclose(rule.predict_proba(X), same.predict_proba(zeros), atol=1e-4)


def test_a_table_without_a_stimulus_is_checked_as_any_other():
    told = TABLE.drop(columns=["image", "size"])
    assert_frame_equal(check_trials(told, stimulus=None), told)


def test_what_one_trial_changes_is_told_and_drawn_where_nothing_is_shown(arms):
    rule, X, _ = arms
    n_choices = len(rule.classes_)
    table = update_table(rule, X, weights=None if n_choices > 2 else {"bias": 0.0})
    per_choice = table.groupby(["choice", "correct"])["update_bias"]
    assert per_choice.size().eq(1 if n_choices == 2 else n_choices).all()
    assert set(history_table(rule, X, lengths=[1])["choice"]) == set(rule.classes_)
    for display in (UpdateDisplay, HistoryDisplay):
        display_of = display.from_estimator(rule, X)
        panel = display_of.axes_.flat[0]
        made = [str(label) for label in rule.classes_] if n_choices == 2 else ["nothing"]
        assert [tick.get_text() for tick in panel.get_xticklabels()] == made
        if display is UpdateDisplay:  # nobody knows what was correct
            entries = display_of.axes_.flat[-1].get_legend().get_texts()
            texts = [entry.get_text() for entry in entries]
            assert texts[-3:-1] == ["after reward 1", "after reward 0"]


def test_what_is_of_a_stimulus_says_that_there_is_none(arms):
    rule, X, y = arms
    message = (
        "A psychometric curve is of what was shown, and nothing was: how often each choice is "
        "made, session_table and predictive_check tell."
    )
    for look in (psychometric_table, PsychometricDisplay.from_estimator):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            look(rule, X, y)
    with pytest.raises(ValueError, match=re.escape("stimuli should name some of [], got [1.0].")):
        update_table(rule, X, stimuli=[1.0])


def test_a_report_of_a_bandit_says_in_words_what_it_lacks(tmp_path):
    X, y = bandit(3)
    rule = lr.QLearningRuleEstimator(train_initial_weights=False).fit(X, y)
    how = {"compare": False, "n_simulations": 1, "verbose": 0}
    page = write_report(rule, X, y, tmp_path / "a.html", **how).read_text(encoding="utf-8")
    assert page.count("A psychometric curve is of what was shown, and nothing was.") == 1
    assert "could not be made" not in page and "_table" not in page
