"""Who each animal is, shown: the table has the estimator's numbers, the display the table's."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn import curves, legend
from helpers import BRIEFLY_TRAINED
from pandas.testing import assert_frame_equal
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import subject_effects_table
from sklearn_learnrule.plotting import SubjectEffectsDisplay
from sklearn_learnrule.rules import DNNRule, ReinforceRule

pytestmark = BRIEFLY_TRAINED

LOG_FACTORS = [-0.9, -0.3, 0.0, 0.4, 0.8, 0.2]
ANIMALS = pd.DataFrame(
    {
        "genotype": ["wild", "ko", "wild", "het", "ko", "het"],
        "age": [30, 61, 47, 52, 30, 61],
    },
    index=[f"mouse_0{i}" for i in range(1, 7)],
)


@pytest.fixture(scope="module")
def cohort():
    trials = make_learning_cohort(
        6, 150, subject_effects={"learning_rate": LOG_FACTORS}, random_state=0
    )
    trials = trials.join(ANIMALS, on="subject")
    X, y, _ = lr.make_design(trials, covariates=["genotype", "age"])
    return X, y


@pytest.fixture(scope="module")
def plain(cohort):
    X, y = cohort
    return X[["stimulus", "previous_choice", "previous_reward"]], y


RULE = lr.ReinforceRuleEstimator(
    baseline=None, subject_effects=["learning_rate"], max_epochs=2
)  # the table is of any fit


@pytest.fixture(scope="module")
def fit(plain):
    return lr.ReinforceRuleEstimator(**RULE.get_params()).fit(*plain)


@pytest.fixture(scope="module")
def informed(cohort):
    return lr.ReinforceRuleEstimator(**RULE.get_params()).fit(*cohort)


@pytest.fixture(scope="module")
def table(fit, plain):
    return subject_effects_table(fit, *plain)


# --------------------------------------------------------------------------- the table


def test_the_table_has_what_the_estimator_tells_and_its_90_percent_interval(fit, plain, table):
    mean, std = fit.predict_subject_effects(*plain, return_std=True)
    assert table["fit"].tolist() == [0] * 6
    assert table["subject"].tolist() == list(mean.index) == list(ANIMALS.index)
    assert (table["effect"] == "learning_rate").all() and (table["kind"] == "factor").all()
    np.testing.assert_array_equal(table["mean"], mean["learning_rate"])
    np.testing.assert_array_equal(table["std"], std["learning_rate"])
    assert (table["upper"] + table["lower"]).to_numpy() == pytest.approx(2 * table["mean"])
    assert ((table["upper"] - table["lower"]) / table["std"]).to_numpy() == pytest.approx(
        3.29, 0.01
    )


def test_the_last_choice_tells_only_where_y_is_given(fit, plain, table):
    without = subject_effects_table(fit, plain[0])
    assert 0 < np.abs(without["mean"] - table["mean"]).max() < 0.05


def test_a_pipeline_tells_the_same(plain, table):
    pipeline = make_pipeline(lr.TanhContrast(columns=[]), RULE).fit(*plain)
    assert_frame_equal(subject_effects_table(pipeline, *plain), table)


def test_folds_tell_of_the_animals_that_they_have_not_seen(fit, plain, table):
    is_late = plain[0].index.get_level_values("subject") > "mouse_02"
    rows = [np.flatnonzero(is_late), np.flatnonzero(~is_late)]
    folds = {"estimator": [fit, fit], "indices": {"test": rows}, "fit_time": [0, 0]}
    by_fold = subject_effects_table(folds, *plain)
    assert by_fold["fit"].tolist() == [0, 0, 0, 0, 1, 1]
    by_fold = by_fold.sort_values("subject", ignore_index=True)
    assert_frame_equal(by_fold.assign(fit=0), table, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (
            {"subject_effects": ["baseline", "learning_rate[bias]"]},
            {"baseline": "shift", "learning_rate[bias]": "factor"},
        ),
        (
            {"subject_effects": ["initial_weights"]},
            {"initial_weights[stimulus]": "shift", "initial_weights[bias]": "shift"},
        ),
        (
            {"subject_effects": ["process_noise"], "process_noise": 0.05, "unlearned": ["bias"]},
            {"process_noise": "factor"},
        ),
    ],
)
def test_factors_and_shifts_are_told_apart(plain, options, kinds):
    rule = lr.ReinforceRuleEstimator(max_epochs=1, **options)
    with pytest.warns(UserWarning):  # one epoch
        rule.fit(*plain)
    table = subject_effects_table(rule, *plain)
    assert table.groupby("effect", sort=False)["kind"].first().to_dict() == kinds


BRIEF = {"hidden_sizes": (4,), "n_ensemble": 1, "max_epochs": 2, "mirror": False, "random_state": 0}


@pytest.fixture(scope="module")
def network(plain):
    return lr.DNNRuleEstimator(subject_effects=1, **BRIEF)


def test_a_networks_own_numbers_are_told_from_factors_of_its_update(plain, network):
    own = subject_effects_table(network.fit(*plain), *plain)
    assert own["effect"].unique().tolist() == ["u1"] and own["kind"].unique() == ["number"]
    faster = lr.DNNRuleEstimator(subject_effects=["learning_rate"], **BRIEF).fit(*plain)
    assert subject_effects_table(faster, *plain)["kind"].unique().tolist() == ["factor"]
    with pytest.raises(ValueError, match="no mean of several means anything: draw one fit"):
        SubjectEffectsDisplay.from_estimator([network, network], *plain)
    display = SubjectEffectsDisplay.from_estimator({"a": network, "b": network}, *plain)
    assert [panel.get_ylabel() for panel in display.axes_.flat] == ["a\nanimal", "b\nanimal"]


# --------------------------------------------------------------------------- groups


@pytest.mark.parametrize(
    ("groups", "labels"),
    [
        ("genotype", ["wild", "ko", "wild", "het", "ko", "het"]),
        ("age", 3 * ["age up to 49.5", "age above 49.5"]),
        ("covariate_genotype_ko_vs_het", 2 * ["not ko", "ko", "not ko"]),
        (ANIMALS["genotype"], ANIMALS["genotype"].tolist()),
        (ANIMALS["genotype"].to_dict(), ANIMALS["genotype"].tolist()),
    ],
)
def test_groups_are_those_of_a_covariate_or_as_they_are_given(informed, cohort, groups, labels):
    table = subject_effects_table(informed, *cohort, groups=groups)
    assert table["group"].tolist() == labels
    assert table.drop(columns="group").columns.tolist() == [
        *("fit", "subject", "effect", "kind", "mean", "std", "lower", "upper")
    ]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("sex", "X has no covariate 'sex', but ['covariate_genotype_ko_vs_het', 'covariate_ge"),
        (ANIMALS["genotype"][1:], "a label for each animal, but has none for 'mouse_01'."),
    ],
)
def test_groups_that_tell_not_every_animal_are_refused(informed, cohort, groups, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        subject_effects_table(informed, *cohort, groups=groups)


def test_without_covariates_or_effects_that_is_told(fit, plain):
    with pytest.raises(ValueError, match="X has no covariate 'genotype', but none"):
        subject_effects_table(fit, *plain, groups="genotype")
    with pytest.raises(ValueError, match="subject_effects is None: fit with subject_effects="):
        subject_effects_table(lr.ConstantRuleEstimator().fit(*plain), *plain)


# --------------------------------------------------------------------------- the display


def test_animals_are_sorted_and_have_their_interval_about_the_typical_one(fit, plain, table):
    display = SubjectEffectsDisplay.from_estimator(fit, *plain)
    assert_frame_equal(display.table, table)
    ax = display.ax_
    ordered = table.sort_values("mean")
    assert [label.get_text() for label in ax.get_yticklabels()] == ordered["subject"].tolist()
    (points,) = curves(ax, marker="o")
    np.testing.assert_allclose(points.get_xdata(), np.exp(ordered["mean"]))
    (whiskers,) = ax.collections
    ends = [whisker[:, 0] for whisker in whiskers.get_segments()]
    np.testing.assert_allclose(ends, np.exp(ordered[["lower", "upper"]]))
    assert ax.get_xscale() == "log"
    assert [line.get_xdata() for line in ax.lines if line is not points] == [[1.0, 1.0]]
    assert list(legend(ax)) == ["an animal", "typical animal"]
    assert ax.get_legend().get_title().get_text() == "90% intervals"
    assert ax.get_xlabel() == "learning_rate\n(× typical)"


def made(effects, kind="factor", **columns):
    """A table of animals a, b, ..., of {effect: means}."""
    rows = [
        {"fit": 0, "subject": subject, "effect": effect, "kind": kind, "mean": mean}
        for effect, means in effects.items()
        for subject, mean in zip("abcdefgh", means, strict=False)
    ]
    table = pd.DataFrame(rows).assign(std=0.1, **columns)
    return table.assign(lower=table["mean"] - 0.16, upper=table["mean"] + 0.16)


def test_an_animal_has_its_row_in_all_panels():
    table = made({"baseline": [0.1, 0.3, -0.2], "other": [2.0, 1.0, 3.0]}, kind="shift")
    for sort_by, names in ((None, ["c", "a", "b"]), ("other", ["b", "a", "c"])):
        display = SubjectEffectsDisplay(table).plot(sort_by=sort_by)
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == names
        for panel, effect in zip(display.axes_.flat, ["baseline", "other"], strict=True):
            (points,) = curves(panel, marker="o")
            own = table[table["effect"] == effect].set_index("subject")["mean"]
            assert points.get_xdata().tolist() == own[names].tolist()
            assert points.get_ydata().tolist() == [0, 1, 2]
            assert panel.get_xscale() == "linear"
            assert panel.get_xlabel() == f"{effect}\n(− typical)"
    with pytest.raises(ValueError, match=r"one of \['baseline', 'other'\], got 'bias'"):
        SubjectEffectsDisplay(table).plot(sort_by="bias")


def test_groups_have_a_colour_each():
    table = made({"learning_rate": [0.1, 0.3, -0.2]}, group=["ko", "wild", "ko"])
    ax = SubjectEffectsDisplay(table).plot().ax_
    entries = legend(ax)
    assert list(entries) == ["ko", "wild", "typical animal"]
    for group, means in (("ko", [-0.2, 0.1]), ("wild", [0.3])):
        (points,) = curves(ax, marker="o", color=entries[group].get_color())
        np.testing.assert_allclose(points.get_xdata(), np.exp(means))
    several = made({"learning_rate": range(7)}, group=list("abcdefg"))
    with pytest.raises(ValueError, match="groups should be 6 at most, .* but are 7: put animals"):
        SubjectEffectsDisplay(several).plot()


@pytest.mark.parametrize(
    ("means", "ticks"),
    [
        ([0.01, -0.01], ["0.5", "1", "2"]),  # all but alike, and it looks so
        ([-1.5, 0.0, 1.5], ["0.25", "0.5", "1", "2", "4"]),
        ([-4.0, 3.0], ["0.0156", "0.125", "1", "8"]),
    ],
)
def test_the_axis_of_factors_has_few_numbers_and_shows_half_and_twice(means, ticks):
    ax = SubjectEffectsDisplay(made({"learning_rate": means})).plot().ax_
    assert [label.get_text() for label in ax.get_xticklabels()] == ticks
    lowest, highest = ax.get_xlim()
    assert lowest < min(0.5, np.exp(min(means) - 0.16))
    assert highest > max(2.0, np.exp(max(means) + 0.16))


def test_refits_are_averaged_and_models_have_a_row_each():
    one, other = made({"learning_rate": [0.1, 0.3]}), made({"learning_rate": [0.3, 0.1]})
    refits = pd.concat([one, other.assign(fit=1)], ignore_index=True)
    (points,) = curves(SubjectEffectsDisplay(refits).plot().ax_, marker="o")
    np.testing.assert_allclose(np.log(points.get_xdata()), [0.2, 0.2])
    different = made({"baseline": [0.1, 0.2]}, kind="shift").assign(fit="other")
    both = pd.concat([one.assign(fit="one"), different], ignore_index=True)
    display = SubjectEffectsDisplay(both).plot()
    assert display.axes_.shape == (2, 2)
    assert [[p.axison for p in row] for row in display.axes_] == [[True, False], [False, True]]


def test_many_animals_are_counted_and_not_named():
    many = [
        made({"learning_rate": [0.1, 0.3]}).replace({"a": f"a{i}", "b": f"b{i}"}) for i in range(60)
    ]
    ax = SubjectEffectsDisplay(pd.concat(many, ignore_index=True)).plot().ax_
    assert ax.get_ylabel() == "120 animals" and not ax.get_yticklabels()
    _, small = plt.subplots(figsize=(3.0, 1.0))
    ax = SubjectEffectsDisplay(made({"learning_rate": range(8)})).plot(small).ax_
    assert ax.get_ylabel() == "8 animals" and not ax.get_yticklabels()


# --------------------------------------------------------------- animals that are simulated


def test_animals_of_their_own_learning_rate_learn_as_if_it_were_the_rules():
    rates = 0.05 * np.exp(LOG_FACTORS)
    common = {"length_spread": 0.0, "random_state": 3, "return_weights": True}
    _, own = make_learning_cohort(
        6,
        80,
        rule=ReinforceRule(2, None, learning_rate=0.05),
        subject_effects={"learning_rate": LOG_FACTORS},
        **common,
    )

    def function(weights, trial):
        p = 1 / (1 + np.exp(-(weights * trial.features).sum(1)))
        return (rates * trial.reward * (trial.choice - p))[:, None] * trial.features

    _, expected = make_learning_cohort(6, 80, rule=function, **common)
    assert_frame_equal(own, expected)


def test_one_weight_may_vary_and_the_rule_that_is_given_stays_as_it_is():
    rule = ReinforceRule(2, None, learning_rate=0.05)
    still = {"learning_rate[bias]": [-50.0, 0.0, 0.0]}
    options = {"rule": rule, "subject_effects": still, "return_weights": True, "random_state": 0}
    _, weights = make_learning_cohort(3, 60, **options)
    first = weights.loc["mouse_01"]
    assert first["bias"].abs().max() < 1e-12 < first["stimulus"].max()
    assert weights.loc["mouse_02"]["bias"].abs().max() > 0.01
    network = DNNRule(2)
    options |= {"rule": network, "subject_effects": {"learning_rate": [0.0, 0.5, 1.0]}}
    make_learning_cohort(3, 20, **options)
    assert network.rate_column == DNNRule(2).rate_column


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"subject_effects": {"learning_rate": [0, 1]}},
            ValueError,
            "each of 3 animals, got shape (2,)",
        ),
        (
            {"subject_effects": {"tau": [0, 1, 2]}},
            ValueError,
            "should name parameters of this rule",
        ),
        (
            {"subject_effects": {"initial_weights[bias]": [0, 1, 2]}},
            ValueError,
            "Animals' own initial weights are given as initial_weights, (N, 2).",
        ),
        (
            {"rule": lambda w, trial: 0 * w, "subject_effects": {"learning_rate": [0, 1, 2]}},
            TypeError,
            "subject_effects are of a LearningRule's parameters; a function has none.",
        ),
    ],
)
def test_effects_that_a_cohort_cannot_have_are_refused(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make_learning_cohort(3, 20, random_state=0, **options)
