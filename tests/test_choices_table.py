"""Any number of choices in a table: what X tells of them, and what is read back."""

import re

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from three_choices import LABELS, random_table

import sklearn_learnrule as lr
from sklearn_learnrule.data import DESIGN, check_trials
from sklearn_learnrule.data.sequences import read_sequences

CHOICE_WAS = [f"previous_choice_{label}" for label in LABELS]
ANSWER_WAS = [f"previous_answer_{label}" for label in LABELS]


def numbers(labels):
    """Return the class of each, 0, 1, ... C - 1."""
    return np.unique(labels, return_inverse=True)[1]


TABLE = random_table()


# ------------------------------------------------------------------------------------ what X tells


def test_each_label_has_a_column_of_0_and_1_in_sorted_order():
    X, y, _ = lr.make_design(TABLE, answer="answer")
    assert list(X) == ["stimulus", *CHOICE_WAS, "previous_reward", *ANSWER_WAS]
    assert y.tolist() == TABLE["choice"].tolist()
    for columns, told in ((CHOICE_WAS, "choice"), (ANSWER_WAS, "answer")):
        before = TABLE.groupby("subject")[told].shift()
        for name, label in zip(columns, LABELS, strict=True):
            assert X[name].tolist() == (before == label).astype(float).tolist()


def test_history_is_no_stimulus_and_the_schema_says_what_it_is():
    X, _, _ = lr.make_design(TABLE, answer="answer")
    assert DESIGN.stimuli(X) == ["stimulus"]
    assert list(DESIGN.known(X, "history")) == list(X)[1:]
    assert {DESIGN.find(name).values for name in CHOICE_WAS + ANSWER_WAS} == {"flag"}


@pytest.mark.parametrize("n_choices", [3, 4, 7])
def test_choices_and_answers_are_read_back_from_the_row_after(n_choices):
    labels = [f"arm {i}" for i in range(n_choices)]
    table = random_table(labels)
    X, _, _ = lr.make_design(table, answer="answer")
    sequences = read_sequences(X)
    told = sequences.fields.observed
    assert told.sum() == len(table) - 2
    assert sequences.fields.choice[told].tolist() == numbers(table["choice"])[told].tolist()
    assert sequences.fields.answer[told].tolist() == numbers(table["answer"])[told].tolist()
    assert (sequences.fields.choice[~told] == 0).all() and (
        sequences.fields.answer[~told] == 0
    ).all()
    assert (sequences.n_choices, sequences.choice_labels) == (n_choices, labels)
    assert sequences.answer_known
    assert sequences.feature_names == ["stimulus", "bias"]
    sequences.check_choices(numbers(table["choice"]))


def test_two_choices_are_told_as_ever_and_a_plain_array_tells_nothing_of_them():
    sequences = read_sequences(lr.make_design(random_table(["left", "right"]), answer="answer")[0])
    assert (sequences.n_choices, sequences.choice_labels) == (2, [])
    with pytest.warns(UserWarning, match="X has no subject identity"):
        sequences = read_sequences(np.ones((3, 2)))
    assert (sequences.n_choices, sequences.tells_choices) == (2, False)


def test_other_names_in_the_same_order_change_nothing_but_the_names():
    X, _, _ = lr.make_design(TABLE, answer="answer")
    for renamed in ([2, 10, 11], [-7, 4, 5], ["a", "b", "c"]):
        new = dict(zip(LABELS, renamed, strict=True))
        other, y, _ = lr.make_design(TABLE.replace(new).infer_objects(), answer="answer")
        assert list(other)[1:4] == [f"previous_choice_{label}" for label in renamed]
        assert (other.to_numpy() == X.to_numpy()).all()
        assert y.tolist() == TABLE["choice"].map(new).tolist()


def test_permuted_names_permute_columns_and_classes():
    new = {"left": "middle", "middle": "right", "right": "left"}
    X, _, _ = lr.make_design(TABLE, answer="answer")
    other, _, _ = lr.make_design(TABLE.replace(new), answer="answer")
    back = {
        f"previous_{of}_{now}": f"previous_{of}_{was}"
        for was, now in new.items()
        for of in ("choice", "answer")
    }
    assert_frame_equal(other.rename(columns=back)[list(X)], X)
    read, changed = read_sequences(X), read_sequences(other)
    for one, of_other in (
        (read.fields.choice, changed.fields.choice),
        (read.fields.answer, changed.fields.answer),
    ):
        told = read.fields.observed
        assert of_other[told].tolist() == np.take([1, 2, 0], one[told].astype(int)).tolist()


def test_some_of_the_sequences_have_as_many_choices():
    sequences = read_sequences(lr.make_design(TABLE)[0])
    part, _ = sequences.some(np.array([1]))
    assert (part.n_choices, part.choice_labels) == (3, LABELS)


# ------------------------------------------------------------------- choices that nobody has made


def test_named_choices_have_columns_though_nobody_made_them():
    named = [*LABELS[::-1], "up"]
    X, y, _ = lr.make_design(TABLE, answer="answer", choices=named)
    plain, _, _ = lr.make_design(TABLE, answer="answer")
    new = ["previous_choice_up", "previous_answer_up"]
    assert_frame_equal(X.drop(columns=new), plain)
    assert (X[new] == 0).all(axis=None) and read_sequences(X).choice_labels == [*LABELS, "up"]
    assert y.tolist() == TABLE["choice"].tolist()


def test_an_animal_that_chose_one_side_has_a_design_of_both():
    left = random_table(LABELS[:1])
    with pytest.raises(ValueError, match="Choices need at least two classes"):
        lr.make_design(left)
    X, _, _ = lr.make_design(left, choices=["left", "right"])
    assert set(X["previous_choice"]) == {0.0, -1.0}


def test_a_label_beside_the_named_choices_is_refused_and_none_of_them_looks_like_a_miss():
    rare = random_table()
    rare.loc[7, "choice"] = "none"
    message = (
        "Column 'choice' should hold the labels of the choices, ['left', 'middle', 'right'], but "
        "has 'none' (subject 'Ada', row 7)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(rare, choices=LABELS)
    lr.make_design(rare, choices=[*LABELS, "none"])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("left", "choices should be a list of the labels of all choices, got 'left'."),
        ([], "choices should be a list of the labels of all choices, got []."),
        (3, "choices should be a list of the labels of all choices, got 3."),
        (["left", "left"], "Choices need at least two classes, but choices has 1 class: 'left'."),
        ([*LABELS, 4], "The labels in choices should be all text, all numbers or all booleans"),
        ([1, 2, 3], "Column 'choice' should hold the labels of the choices, [1, 2, 3], but has '"),
    ],
)
def test_choices_that_are_no_labels_are_refused(named, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        lr.make_design(TABLE, choices=named)


# ----------------------------------------------------------------------- what rewards do not tell


def test_an_error_does_not_tell_which_of_three_was_right():
    X, _, _ = lr.make_design(TABLE)
    fields = read_sequences(X).fields
    correct, told = (TABLE["choice"] == TABLE["answer"]).to_numpy(), fields.observed
    assert (fields.answer[told & correct] == fields.choice[told & correct]).all()
    assert (fields.answer[told & ~correct] == -1).all()
    assert (fields.answer[~told] == 0).all()
    message = (
        "A rule reads the correct choice, which these rewards do not tell (of 3 choices, an error "
        "does not tell which was right): name the column of correct choices, make_design(..., "
        "answer=...)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_sequences(X).check_answer_known("A rule")
    read_sequences(lr.make_design(TABLE, answer="answer")[0]).check_answer_known("A rule")


def test_an_unknown_reward_tells_no_answer():
    table = random_table(reward=TABLE["reward"].mask(TABLE.index % 3 == 0))
    fields = read_sequences(lr.make_design(table, unknown_reward="keep")[0]).fields
    unknown = fields.observed & (fields.reward_known == 0)
    assert unknown.sum() > 20 and (fields.answer[unknown] == -1).all()


# --------------------------------------------------------------------------- restarts and misses


def test_history_is_0_where_learning_begins_anew_and_read_back_in_between():
    table = random_table(block=np.arange(120) // 20)
    X, y, _ = lr.make_design(table, answer="answer", restart="block")
    opens = table["block"].diff() != 0
    assert (X.loc[opens.to_numpy(), CHOICE_WAS + ANSWER_WAS] == 0).all(axis=None)
    assert (X.loc[~opens.to_numpy(), CHOICE_WAS].sum(axis=1) == 1).all()
    sequences = read_sequences(X)
    assert sequences.fields.observed.sum() == len(table) - opens.sum()
    sequences.check_choices(numbers(y))


def test_missed_trials_are_no_rows_and_their_labels_are_not_asked_for():
    missed = TABLE.index % 4 == 1
    holes = {name: TABLE[name].mask(missed) for name in ("choice", "answer", "reward")}
    X, y, _ = lr.make_design(random_table(**holes), answer="answer", missed="count")
    plain, _, _ = lr.make_design(TABLE[~missed], answer="answer")
    assert_frame_equal(X.drop(columns="previous_misses"), plain)
    assert X["previous_misses"].sum() == missed.sum()
    read_sequences(X).check_choices(numbers(y))


def test_whole_numbers_are_named_alike_whether_nan_made_them_floats_or_not():
    table = random_table([2, 3, 10])
    X, y, _ = lr.make_design(table, answer="answer")
    holes = table["choice"].mask(table.index % 4 == 1)
    counted, whole, _ = lr.make_design(table.assign(choice=holes), answer="answer", missed="count")
    assert list(counted.drop(columns="previous_misses")) == list(X)
    other, floats, _ = lr.make_design(table.assign(choice=table["choice"] * 1.0), answer="answer")
    for design in (counted, other):
        assert read_sequences(design).choice_labels == ["2", "3", "10"]
    assert (y.dtype.kind, whole.dtype.kind, floats.dtype.kind) == ("i", "i", "f")
    assert whole.tolist() == holes.dropna().tolist()


def test_numbers_that_are_too_large_to_be_whole_stay_as_they_are():
    table = random_table([2.0**60, 2.0**61, 2.0**62]).drop(columns="answer")
    table["choice"] = table["choice"].mask(table.index % 4 == 1)
    _, y, _ = lr.make_design(table, missed="count")
    assert y.tolist() == table["choice"].dropna().tolist()


@pytest.mark.parametrize("label", ["none", "NaN", "missed", " ", -1, 0, "-1", "0"])
def test_a_label_that_looks_like_that_of_missed_trials_is_told_of(label):
    labels = LABELS if isinstance(label, str) else [1, 2, 3]
    rare = random_table(labels).drop(columns="answer")
    rare.loc[[7, 90], "choice"] = label
    message = re.escape(
        f"Column 'choice' has the label {label!r} on 2 of 120 trials. If these were missed, make "
        "it NaN and count them, make_design(..., missed='count')"
    )
    for use in (lr.make_design, check_trials):
        with pytest.warns(UserWarning, match=message) as caught:
            use(rare)
        assert caught[0].filename == __file__
    as_told = rare.assign(choice=rare["choice"].replace({label: np.nan}))
    X, _, _ = lr.make_design(as_told, missed="count")
    assert len(X) == 118


def test_a_rare_label_that_never_earns_is_told_of_whatever_its_name():
    table = random_table().drop(columns="answer")
    table["reward"], rare = (table.index % 5 < 3).astype(int), table.index % 9 == 4
    table.loc[rare, ["choice", "reward"]] = ["M", 0]
    told = f"'M' on {rare.sum()} of 120 trials, none of which was rewarded. If these were missed, "
    with pytest.warns(UserWarning, match=re.escape(told)):
        lr.make_design(table)
    X, _, _ = lr.make_design(table, choices=[*LABELS, "M"])  # as the message says
    assert "previous_choice_M" in X
    lr.make_design(table.assign(reward=np.where(table.index == 4, 1, table["reward"])))
    lr.make_design(table[~rare | (table.index < 14)])  # two trials may earn nothing by chance
    # nor is anything told of where no reward of a choice is known
    only_missed = table.assign(choice=table["choice"].mask(table.index == 3))
    only_missed["reward"] = table["reward"].where(table.index == 3)
    lr.make_design(only_missed, missed="count", unknown_reward="keep")


def test_a_number_that_is_chosen_as_often_as_others_is_a_choice():
    lr.make_design(random_table([-1, 0, 1]))
    check_trials(random_table([0, 1, 2]))


# --------------------------------------------------------------------------- policy regressors


def test_policy_regressors_have_a_column_of_each_choice():
    table = random_table().assign(choice=TABLE["choice"].mask(TABLE.index % 7 == 3))
    X, _, _ = lr.make_design(table, missed="count")
    more = lr.PolicyRegressors().fit_transform(X)
    back, stay = ([f"{name}_{label}" for label in LABELS] for name in ("choice_back", "win_stay"))
    assert DESIGN.stimuli(more) == ["stimulus", *back, *stay, "stimulus_back"]
    just_before = X["previous_misses"] == 0
    known = X[[*CHOICE_WAS]].sum(axis=1)
    for name, repeat, paid in zip(CHOICE_WAS, back, stay, strict=True):
        side = (X[name] - known / 3) * just_before  # so that they take nothing from the bias
        np.testing.assert_allclose(more[repeat], side)
        np.testing.assert_allclose(more[paid], side * X["previous_reward"])
    sequences = read_sequences(more)
    assert (sequences.n_choices, sequences.choice_labels) == (3, LABELS)
    alone = lr.PolicyRegressors(previous_choice=False, win_stay=False, split_sides=True)
    assert DESIGN.stimuli(alone.fit_transform(X))[:2] == ["stimulus_left", "stimulus_right"]
