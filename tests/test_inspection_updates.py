"""The update table: the rule's own answers, in X's units, and where animals have been."""

import re
from copy import deepcopy
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from inspection_rules import ONE_STEP, MemoRuleEstimator
from pandas.testing import assert_frame_equal
from scipy.special import expit
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import history_table, update_table
from sklearn_learnrule.rules import ReinforceRule, Trial

pytestmark = BRIEFLY_TRAINED

POINT = {"stimuli": [0.5], "weights": {"stimulus": [1.0], "bias": [0.0]}}


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(6, 200, random_state=0)


@pytest.fixture(scope="module")
def cohort(trials):
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def reinforce(cohort):
    return lr.ReinforceRuleEstimator().fit(*cohort)


# ---------------------------------------------------------------------- the updates


def test_every_row_is_reinforces_formula(cohort, reinforce):
    table = update_table(reinforce, cohort[0])
    features = np.column_stack([table["stimulus"], np.ones(len(table))])
    weights = table[["weight_stimulus", "weight_bias"]].to_numpy()
    chosen = (table["choice"] == "right") - expit((weights * features).sum(1))
    step = reinforce.learning_rate_ * table["reward"].to_numpy()[:, None]
    step -= reinforce.learning_rate_ * reinforce.baseline_
    expected = step * chosen.to_numpy()[:, None] * features
    np.testing.assert_allclose(table[["update_stimulus", "update_bias"]], expected, atol=1e-12)


@pytest.mark.parametrize("estimator", all_estimators(), ids=estimator_name)
def test_every_estimator_answers_as_its_rule_does_with_an_empty_memory(cohort, estimator):
    estimator = deepcopy(estimator).set_params(**ONE_STEP).fit(*cohort)
    table = update_table(estimator, cohort[0], n_back=0, n_histories=1, weights={"bias": [-0.5, 1]})
    expected = []
    for net in estimator.nets_:
        rule = net.module_.rule
        for row in table.itertuples():
            choice = row.choice == "right"
            fields = [choice, row.reward, choice == row.correct, False]
            trial = Trial(
                *(torch.tensor([x]).to(rule_type(net)) for x in [[row.stimulus, 1.0], *fields])
            )
            weights = torch.tensor([[row.weight_stimulus, row.weight_bias]]).to(rule_type(net))
            memory = rule.initial_memory(1, like=weights)
            expected.append(rule(weights, trial, memory)[0].detach().numpy()[0])
    expected = np.reshape(expected, (-1, len(table), 2)).mean(0)
    found = table[["update_stimulus", "update_bias"]]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def rule_type(net):
    return net.module_.initial_weights.dtype


def test_a_memory_takes_lived_trials_in_while_the_weights_are_held(cohort):
    memo = MemoRuleEstimator(**ONE_STEP).fit(*cohort)
    for n_back in (1, 7):
        table = update_table(memo, cohort[0], n_back=n_back, weights={"bias": [-2.0, 3.0]})
        np.testing.assert_allclose(table["update_stimulus"], n_back / 1000)
        np.testing.assert_allclose(table["update_bias"], table["weight_bias"] / 1000)


def test_histories_are_drawn_by_the_seed_alone(cohort):
    how = {"max_epochs": 3, "memory_size": 4, "mirror": False, "random_state": 0}
    rnn = lr.RNNRuleEstimator(**how).fit(*cohort)
    one, same, other = (
        update_table(rnn, cohort[0], n_histories=3, random_state=s) for s in (0, 0, 1)
    )
    assert_frame_equal(one, same)
    assert (one["update_bias"] != other["update_bias"]).any()


def test_an_ensembles_update_is_its_members_mean(cohort):
    X, y = cohort
    how = {"max_epochs": 3, "n_ensemble": 1, "mirror": False}
    networks = [lr.DNNRuleEstimator(random_state=s, **how).fit(X, y) for s in (0, 1)]
    both = deepcopy(networks[0])
    both.nets_ = [network.net_ for network in networks]
    names = ["update_stimulus", "update_bias"]
    grid = {"stimuli": [-1, 0.3], "weights": {"stimulus": [0, 1], "bias": 0}}
    one, other, mean = (update_table(e, X, **grid)[names] for e in (*networks, both))
    np.testing.assert_allclose(mean, (one + other) / 2)
    assert not np.allclose(one, other)


# ------------------------------------------------------------------------- the grid


def test_the_default_grid_is_the_stimuli_of_x_and_weights_that_were_visited(cohort, reinforce):
    X, _ = cohort
    table = update_table(reinforce, X)
    assert sorted(table["stimulus"].unique()) == sorted(X["stimulus"].unique())
    visited = reinforce.predict_weights(X)
    for name, n_values in (("stimulus", 5), ("bias", 3)):
        values = table[f"weight_{name}"].unique()
        assert len(values) == n_values
        low, high = visited[name].quantile([0.04, 0.96])
        assert low - 0.01 < values.min() < values.max() < high + 0.01


class StillBiasRule(ReinforceRule):
    """The bias moves by rounding alone, as where its learning rate is fitted as 0."""

    def forward(self, weights, trial, memory):
        update, memory = super().forward(weights, trial, memory)
        return update * update.new_tensor([1, 1e-9]), memory


class StillBiasRuleEstimator(lr.BaseRuleEstimator):
    def make_rule(self, n_weights):
        return StillBiasRule(n_weights, None)


def test_a_weight_that_does_not_move_has_one_value_in_the_default_grid(cohort):
    rule = StillBiasRuleEstimator().fit(*cohort)
    assert rule.predict_weights(cohort[0])["bias"].nunique() > 3
    values = update_table(rule, cohort[0])[["weight_stimulus", "weight_bias"]].nunique()
    assert values.to_list() == [5, 1]


def test_stimuli_of_many_values_are_shown_at_21(cohort):
    X, y = cohort
    rng = np.random.RandomState(0)
    X = X.assign(stimulus=X["stimulus"] + 0.01 * rng.standard_normal(len(X)))
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    shown = update_table(rule, X)["stimulus"].unique()
    low, high = X["stimulus"][X.groupby("subject").cumcount(ascending=False) > 0].agg(
        ["min", "max"]
    )
    np.testing.assert_allclose(shown, np.linspace(low, high, 21))


def test_further_stimuli_are_held_at_0_and_their_weights_at_the_median(cohort):
    X, y = cohort
    X = X.assign(previous_stimulus=X.groupby("subject")["stimulus"].shift(fill_value=0.0))
    rule = lr.ReinforceRuleEstimator().fit(X, y)
    table = update_table(rule, X)
    assert (table["previous_stimulus"] == 0).all()
    (held,) = table["weight_previous_stimulus"].unique()
    seen = X.groupby("subject").cumcount(ascending=False) > 0
    median = rule.predict_weights(X)["previous_stimulus"][seen].median()
    assert held == pytest.approx(median, abs=0.005)
    moved = update_table(rule, X, stimuli={"stimulus": [1], "previous_stimulus": [-1, 1]})
    assert sorted(moved["previous_stimulus"].unique()) == [-1, 1]
    assert moved["update_previous_stimulus"].abs().min() > 0


def test_only_outcomes_of_the_task_are_shown_unless_all_are_asked_for(cohort, reinforce):
    X, _ = cohort
    side = {"stimuli": [-1, 1], "weights": POINT["weights"]}
    table = update_table(reinforce, X, **side)
    found = set(zip(table["stimulus"], table["choice"], table["correct"], strict=True))
    assert found == {
        (-1, "left", True),
        (-1, "right", False),
        (1, "right", True),
        (1, "left", False),
    }
    assert (table["reward"] == table["correct"]).all()
    everything = update_table(reinforce, X, **side, all_outcomes=True)
    assert len(everything) == 8
    assert (everything.merge(table, how="left", indicator=True)["_merge"] == "both").sum() == 4


def test_rewards_that_depend_on_more_than_the_answer_are_all_shown():
    trials = make_learning_cohort(4, 150, random_state=1)
    paid = np.random.RandomState(0).random_sample(len(trials)) < 0.7
    trials["reward"] = trials["reward"] * paid
    X, y, _ = lr.make_design(trials, answer="answer")
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    table = update_table(rule, X, **POINT)
    outcomes = set(zip(table["reward"], table["correct"], strict=True))
    assert outcomes == {(0, False), (0, True), (1, True)}
    given = update_table(rule, X, **POINT, rewards=[0, 0.5, 2])
    assert set(zip(given["reward"], given["correct"], strict=True)) == {
        (0, False),
        (0.5, True),
        (2, True),
    }


@pytest.mark.parametrize("scaler", ["tanh", "standard"])
def test_a_pipelines_grid_is_in_the_units_of_x(trials, scaler):
    X, y, _ = lr.make_design(trials, stimulus="contrast")
    if scaler == "tanh":
        step = lr.TanhContrast()
    else:
        step = make_column_transformer(
            (StandardScaler(), ["contrast"]),
            remainder="passthrough",
            verbose_feature_names_out=False,
        ).set_output(transform="pandas")
    rule = lr.ReinforceRuleEstimator()
    pipeline = make_pipeline(step, rule).fit(X, y)
    bent = step.fit_transform(X)
    alone = rule.fit(bent, y)
    contrasts, weights = [-0.5, 0.25], {"contrast": [1, 2], "bias": [0]}
    probes = step.transform(X.iloc[:2].assign(contrast=contrasts))["contrast"].to_numpy()
    found = update_table(pipeline, X, stimuli=contrasts, weights=weights)
    expected = update_table(alone, bent, stimuli=probes, weights=weights)
    assert sorted(found["contrast"].unique()) == contrasts
    units = ["contrast", "n_trials", "n_subjects"]  # what is near depends on the units too
    assert_frame_equal(found.drop(columns=units), expected.drop(columns=units))


# ---------------------------------------------------------------------- the support


def test_support_counts_the_trials_and_animals_that_came_near(cohort, reinforce):
    X, y = cohort
    stimuli, slopes, biases = [-1.0, 0.0, 1.0], [0.0, 0.5, 1.5], [0.1]
    table = update_table(
        reinforce, X, stimuli=stimuli, weights={"stimulus": slopes, "bias": biases}
    ).set_index(["stimulus", "weight_stimulus", "choice", "correct"])
    visited = reinforce.predict_weights(X)
    last = X.groupby("subject").cumcount(ascending=False) == 0
    answer = np.where(X["stimulus"] > 0, "right", "left")
    near = pd.DataFrame(
        {
            "stimulus": [nearest(stimuli, s, 0.5, 0.5) for s in X["stimulus"]],
            "weight_stimulus": [nearest(slopes, w, 0.25, 0.5) for w in visited["stimulus"]],
            "inside": [abs(b - 0.1) <= 0.5 for b in visited["bias"]],
            "choice": y,
            "correct": y == answer,
        }
    )[~last]
    near = near[near["inside"]].dropna()
    for cell in product(stimuli, slopes, ["left", "right"], [False, True]):
        if cell in table.index:
            rows = near[(near[[*table.index.names]] == list(cell)).all(axis=1)]
            assert table.loc[cell, "n_trials"] == len(rows)
            assert table.loc[cell, "n_subjects"] == rows.index.unique("subject").size
    assert table["n_trials"].sum() > len(X) / 2


def nearest(axis, value, below, above):
    """The nearest value of the axis, None beyond half its last step."""
    if not axis[0] - below <= value <= axis[-1] + above:
        return None
    return min(axis, key=lambda place: abs(place - value))


def test_where_no_animal_has_been_there_is_no_support(cohort, reinforce):
    table = update_table(reinforce, cohort[0], weights={"stimulus": [0.5, 30]})
    far = table["weight_stimulus"] == 30
    assert (table.loc[far, ["n_trials", "n_subjects"]] == 0).all(axis=None)
    assert table.loc[~far, "n_subjects"].max() == 6


# ---------------------------------------------------------------------- several fits


def test_fits_are_told_apart_by_their_names(cohort, reinforce):
    X, y = cohort
    other = lr.PredictMaxRuleEstimator().fit(X, y)
    single = update_table(reinforce, X, **POINT)
    assert (single["fit"] == 0).all()
    listed = update_table([reinforce, other], X, **POINT)
    named = update_table({"a": reinforce, "b": other}, X, **POINT)
    assert listed["fit"].tolist() == [0, 0, 1, 1]
    assert named["fit"].tolist() == ["a", "a", "b", "b"]
    assert_frame_equal(listed.drop(columns="fit"), named.drop(columns="fit"))
    assert_frame_equal(listed[listed["fit"] == 0], single)


# ---------------------------------------------------------------------- wrong input


def test_an_estimator_that_is_not_fitted_is_refused(cohort):
    with pytest.raises(NotFittedError):
        update_table(lr.ReinforceRuleEstimator(), cohort[0])


def test_wrong_estimators_are_told(cohort, reinforce):
    X, y = cohort
    logistic = LogisticRegression().fit(X, y)
    message = (
        "A learning rule can be read from a fitted rule estimator, or from a pipeline that ends in "
        "one, but 'logistic' is a LogisticRegression."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        update_table({"logistic": logistic}, X)
    more = lr.ConstantRuleEstimator().fit(X.assign(more=0.5), y)
    message = (
        "Estimators in one table should have the same policy weights, but fit 0 has "
        "['stimulus', 'bias'] and fit 1 ['stimulus', 'more', 'bias']: make a table of each."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        update_table([reinforce, more], X)
    with pytest.raises(
        ValueError, match=re.escape("There are no estimators to look at (0 given).")
    ):
        update_table([], X)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            {"stimuli": {"contrast": [1]}},
            "stimuli should name some of ['stimulus'], got 'contrast'.",
        ),
        (
            {"weights": {"side": [1]}},
            "weights should name some of ['stimulus', 'bias'], got 'side'.",
        ),
    ],
)
def test_an_unknown_name_in_the_grid_is_told(cohort, reinforce, grid, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        update_table(reinforce, cohort[0], **grid)


def test_rewards_of_many_values_have_to_be_named(trials):
    amounts = trials.assign(reward=np.where(trials["reward"] > 0, np.arange(len(trials)), 0))
    X, y, _ = lr.make_design(amounts, answer="answer")
    rule = lr.ConstantRuleEstimator().fit(X, y)
    message = (
        r"X has \d+ outcomes \(pairs of reward and correct or not\), too many for a table: name "
        r"rewards to ask after, such as rewards="
    )
    with pytest.raises(ValueError, match=message) as told:
        update_table(rule, X)
    named = [float(number) for number in re.findall(r"\d+\.\d+", str(told.value))]
    assert named[0] == 0 and named[1] in set(amounts["reward"])
    assert update_table(rule, X, **POINT, rewards=named)["reward"].tolist() == named
    with pytest.raises(ValueError, match=message + r".* \(rewarded_above is of the trials of runs"):
        history_table(rule, X, rewarded_above=3)
    assert len(history_table(rule, X, rewarded_above=3, rewards=named, n_draws=1))


def test_two_rewards_are_named_where_hardly_a_trial_was_rewarded(trials):
    amounts = np.where(np.arange(len(trials)) % 40 == 0, np.arange(len(trials)) + 1.0, 0.0)
    X, y, _ = lr.make_design(trials.assign(reward=amounts), answer="answer")
    rule = lr.ConstantRuleEstimator().fit(X, y)
    message = f"such as rewards=[0.0, {X['previous_reward'].max()}]."
    with pytest.raises(ValueError, match=re.escape(message)):
        update_table(rule, X)


@pytest.mark.parametrize("values", [[], [0.0, np.nan], "bias", ["left"]])
def test_a_grid_is_of_finite_numbers(cohort, reinforce, values):
    message = f"The grid of 'bias' should be finite numbers, got {values!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        update_table(reinforce, cohort[0], weights={"bias": values})
