"""Truths about groups: differences between animals are found, with their size, and tested."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from scipy import stats
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import (
    GroupComparison,
    band,
    compare_groups,
    subject_update_table,
    update_table,
)
from sklearn_learnrule.inspection._group_tests import bartlett_factor, shuffle_updates

N_ANIMALS = 10
KO = np.arange(N_ANIMALS) % 2
RULE = lr.ReinforceRuleEstimator(baseline=None, subject_effects=["learning_rate"])
BRIEF = clone(RULE).set_params(max_epochs=1)  # of what does not hang on the maximum
COLUMN = "covariate_genotype_ko_vs_control"
QUIET = {"verbose": 0}
FEW = r"^3 shuffles of animals can give no p-value below 0.25: n_permutations=199 is usual.$"
pytestmark = BRIEFLY_TRAINED


def make_trials(log_rates, n_trials=100):
    """Return the trials of animals that learn by REINFORCE, each at its own rate."""
    rates = np.exp(log_rates)[:, None]

    def reinforce(weights, trial):
        features = np.asarray(trial.features)
        p = 1 / (1 + np.exp(-(weights * features).sum(1)))
        error = np.asarray(trial.reward) * (np.asarray(trial.choice) - p)
        return rates * error[:, None] * features

    cohort = {"rule": reinforce, "length_spread": 0, "random_state": 1}
    return make_learning_cohort(len(log_rates), n_trials, **cohort)


@pytest.fixture(scope="module")
def trials():
    own = np.repeat([0.6, -0.6, 0.3, -0.3, 0.0], 2)  # of either group
    table = make_trials(np.log(0.15) + own - 1.5 * KO)
    number = pd.factorize(table["subject"])[0]
    return table.assign(
        genotype=np.where(KO[number], "ko", "control"),
        line=np.array(["a", "b", "c"])[number % 3],
        age=30.0 + number,
        trained=(number < 4),
        site=1.0,
    )


@pytest.fixture(scope="module")
def design(trials):
    return lr.make_design(trials, covariates=["genotype"])[:2]


@pytest.fixture(scope="module")
def found(design):
    with pytest.warns(UserWarning, match=FEW):
        return compare_groups(RULE, *design, "genotype", n_permutations=3, random_state=0, **QUIET)


@pytest.fixture(scope="module")
def fitted(design):
    return clone(RULE).fit(*design)


@pytest.fixture(scope="module")
def without(design):
    X, y = design
    return clone(RULE).fit(X.drop(columns=COLUMN), y)


# ------------------------------------------------------------------------ the likelihood


def test_a_group_that_learns_more_slowly_is_found(found):
    (row,) = found.table.itertuples()
    assert (row.covariate, row.parameter, row.note) == (COLUMN, "learning_rate", "")
    assert row.lower < -1.5 < row.upper < 0
    assert row.factor == pytest.approx(np.exp(row.difference))
    assert row.p < 0.01
    assert found.p_value < 0.01
    assert found.degrees_of_freedom == 1
    assert found.permutation_p_value == 1 / 4  # no shuffle of three is as likely
    assert found.updates_p_value == 1 / 4


def test_the_table_is_that_of_the_fit_with_the_covariate(fitted, found):
    summary = fitted.summary_.query("parameter == @COLUMN").iloc[0]
    row = found.table.iloc[0]
    names = ["standard_error", "lower", "upper", "p"]
    assert row["difference"] == summary["estimate"]
    assert row[names].tolist() == summary[names].tolist()


def test_p_values_of_covariates_are_students_and_others_have_none(fitted, without):
    summary = fitted.summary_.set_index("parameter")
    row = summary.loc[COLUMN]
    z = abs(row["estimate"] / row["standard_error"])
    assert row["p"] == pytest.approx(2 * stats.t.sf(z, N_ANIMALS - 2))
    half = stats.t.ppf(0.975, N_ANIMALS - 2) * row["standard_error"]
    assert row["upper"] - row["estimate"] == pytest.approx(half)
    assert summary.drop(index=COLUMN)["p"].isna().all()
    assert "p" not in without.summary_


def test_the_ratio_is_that_of_the_likelihood_with_effects_integrated_out(
    design, fitted, without, found
):
    X, y = design
    # about the same, trial by trial
    gain = (fitted.score(X, y) - without.score(X.drop(columns=COLUMN), y)) * len(y)
    assert found.likelihood_ratio == pytest.approx(2 * gain, abs=0.5)
    corrected = found.likelihood_ratio * bartlett_factor(N_ANIMALS, 1, 0)
    assert found.p_value == pytest.approx(stats.chi2.sf(corrected, 1))


@pytest.mark.parametrize("n_animals", [8, 16, 40])
def test_of_effects_that_are_known_the_corrected_ratio_is_students_test(n_animals):
    """The ratio of two regressions is a function of t, whose distribution is known."""
    t = stats.t.ppf(1 - 0.05 / 2, n_animals - 2)
    ratio = n_animals * np.log1p(t**2 / (n_animals - 2))
    p_value = stats.chi2.sf(ratio * bartlett_factor(n_animals, 1, 0), 1)
    assert p_value == pytest.approx(0.05, abs=0.002)


def test_labels_are_tested_together_and_numbers_by_their_unit(trials):
    X, y, _ = lr.make_design(trials, covariates={"line": "b", "age": None})
    by_line = compare_groups(BRIEF, X, y, "line", **QUIET)
    assert by_line.table["covariate"].tolist() == ["covariate_line_a_vs_b", "covariate_line_c_vs_b"]
    assert by_line.degrees_of_freedom == 2
    assert by_line.groups.cat.categories.tolist() == ["b", "a", "c"]
    by_age = compare_groups(BRIEF, X, y, "age", **QUIET)
    assert by_age.table["covariate"].tolist() == ["covariate_age"]
    assert by_age.groups.value_counts().to_dict() == {"age up to 34.5": 5, "age above 34.5": 5}
    assert by_age.p_value > 0.01


def test_a_column_of_x_may_be_named_and_booleans_are_two_groups(trials):
    X, y, _ = lr.make_design(trials, covariates=["genotype", "trained"])
    named = compare_groups(BRIEF, X, y, "covariate_trained", **QUIET)
    assert named.groups.value_counts().to_dict() == {"trained = 0": 6, "trained = 1": 4}


def test_a_factor_is_told_of_logarithms_alone(design):
    effects = ["initial_weights[bias]", "learning_rate"]
    rule = lr.ReinforceRuleEstimator(baseline=None, subject_effects=effects, max_epochs=1)
    table = compare_groups(rule, *design, "genotype", **QUIET).table
    assert table["parameter"].tolist() == effects
    assert table["factor"].isna().tolist() == [True, False]


def test_a_pipeline_is_compared_as_its_rule(design):
    pipeline = make_pipeline(FunctionTransformer(), BRIEF)
    alone, same = (compare_groups(of, *design, "genotype", **QUIET) for of in (BRIEF, pipeline))
    assert same.likelihood_ratio == pytest.approx(alone.likelihood_ratio)
    assert np.isnan(same.permutation_p_value)


def test_what_covariates_have_to_do_with_effects_is_stored(design, fitted):
    X, _ = design
    stored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(stored.decision_function(X), fitted.decision_function(X))
    pd.testing.assert_frame_equal(
        stored.predict_subject_effects(X), fitted.predict_subject_effects(X)
    )


def test_what_is_done_is_kept(design, tmp_path):
    options = {"n_permutations": 1, "random_state": 0, "cache": tmp_path, **QUIET}
    with pytest.warns(UserWarning, match="^1 shuffle of animals can give no p-value below 0.5"):
        first = compare_groups(BRIEF, *design, "genotype", **options)
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.warns(UserWarning, match="^1 shuffle"):
        again = compare_groups(BRIEF, *design, "genotype", **options)
    assert len(list(tmp_path.iterdir())) == 3
    assert again.permutation_p_value == first.permutation_p_value


def test_a_comparison_reads_as_text(found):
    text = str(found)
    assert text.startswith("10 animals: 5 control, 5 ko\n")
    assert re.search(r"Likelihood ratio \d+\.\d\d, 1 degree of freedom: p = ", text)
    assert "note" not in text
    assert text.count("(animals shuffled: p = 0.25)") == 2


# --------------------------------------------------------------------------- the updates


def test_each_animals_update_is_that_of_its_own_learning_rate(design, fitted):
    X, y = design
    grid = {"stimuli": [0.5], "weights": {"stimulus": 0.7, "bias": -0.2}}
    own = subject_update_table(fitted, X, y, **grid)
    typical = update_table(fitted, X, **grid)
    shared = ["choice", "reward", "correct"]
    factor = np.exp(fitted.predict_subject_effects(X, y)["learning_rate"])
    both = own.merge(typical, on=shared, suffixes=("", "_typical"))
    expected = both["update_stimulus_typical"] * factor.loc[both["subject"]].to_numpy()
    np.testing.assert_allclose(both["update_stimulus"], expected, rtol=1e-5, atol=1e-12)
    assert own["subject"].nunique() == N_ANIMALS


def test_bands_and_differences_are_students_over_animals(found):
    bands, differences = found.update_bands("stimulus"), found.update_differences("stimulus")
    assert len(bands) == 2 * len(differences)
    assert bands["n"].eq(5).all()
    point = found.updates.query("stimulus == 1 and correct and choice == 'right'")
    slow, fast = (point.query("group == @g")["update_stimulus"] for g in ("ko", "control"))
    test = stats.ttest_ind(slow, fast, equal_var=False)
    row = differences.query("stimulus == 1 and correct and choice == 'right'").iloc[0]
    assert row["group"] == "ko"
    assert row["difference"] == pytest.approx(slow.mean() - fast.mean())
    interval = test.confidence_interval(0.9)
    assert row[["lower", "upper"]].tolist() == pytest.approx([interval.low, interval.high])
    unrewarded = differences.query("reward == 0")
    assert (unrewarded[["difference", "lower", "upper"]] == 0).to_numpy().all()
    by_hand = band(found.updates, "update_stimulus", by="group", over="subject", interval="t")
    assert by_hand["mean"].iloc[1] < by_hand["mean"].iloc[0]


def test_shuffled_animals_without_a_difference_reject_as_often_as_they_say():
    rng = np.random.RandomState(0)
    values = KO[:, None].astype(float)
    p_values = [
        shuffle_updates(
            rng.normal(size=(N_ANIMALS, 3)), values, [rng.permutation(N_ANIMALS) for _ in range(39)]
        )
        for _ in range(400)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.025)


def test_networks_are_compared_by_their_updates(design):
    network = lr.DNNRuleEstimator(
        hidden_sizes=(4,),
        max_epochs=2,
        n_ensemble=2,
        mirror=False,
        subject_effects=1,
        random_state=0,
    )
    found = compare_groups(network, *design, "genotype", n_permutations=19, random_state=0, **QUIET)
    assert found.table.empty
    assert np.isnan([found.likelihood_ratio, found.p_value, found.permutation_p_value]).all()
    assert 0.05 <= found.updates_p_value <= 1
    assert found.updates.groupby("subject")["update_stimulus"].mean().nunique() == N_ANIMALS
    assert str(found).splitlines()[1].startswith("Updates (animals shuffled: p = ")


def test_what_a_network_remembers_is_each_animals_own_experience(design):
    network = lr.RNNRuleEstimator(
        hidden_sizes=(3,), max_epochs=1, n_ensemble=1, mirror=False, subject_effects=1,
        random_state=0,
    )  # fmt: skip
    fitted = network.fit(*design)
    options = {"stimuli": [1.0], "n_histories": 4, "n_back": 3}
    first, same = (subject_update_table(fitted, *design, **options) for _ in range(2))
    assert isinstance(first, pd.DataFrame)
    pd.testing.assert_frame_equal(first, same)


# --------------------------------------------------------------------------- wrong input


def check_refused(message, rule, X, y, covariate, error=ValueError, **options):
    with pytest.raises(error, match=re.escape(message)):
        compare_groups(rule, X, y, covariate, **QUIET, **options)


def test_a_covariate_that_x_lacks_is_named(design):
    message = (
        "X has no covariate 'genotyp', but ['covariate_genotype_ko_vs_control']: name the column"
    )
    check_refused(message, RULE, *design, "genotyp")
    X, y = design
    check_refused("X has no covariate 'age', but none: ", RULE, X.drop(columns=COLUMN), y, "age")


def test_animals_that_are_all_alike_cannot_be_compared(trials):
    X, y, _ = lr.make_design(trials, covariates="site")
    check_refused("All animals of X have the same covariate_site, 1, so", RULE, X, y, "site")


def test_too_few_animals_are_refused(trials):
    few = trials[trials["subject"].isin(["mouse_01", "mouse_02", "mouse_03"])]
    X, y, _ = lr.make_design(few, covariates="genotype")
    message = "takes at least 4 of them, where X has 1 covariate(s); got 3."
    check_refused(message, RULE, X, y, "genotype")


@pytest.mark.parametrize(
    ("name", "other"),
    [("trained", "covariate_genotype_2_vs_control"), ("line", "covariate_genotype_b_vs_a")],
)
def test_columns_that_may_be_of_two_covariates_are_told(trials, name, other):
    alone = trials.assign(line=(trials["age"] == 30).astype(float))  # of no knock-out
    X, y, _ = lr.make_design(alone, covariates=["genotype", name])
    X = X.rename(columns={f"covariate_{name}": other})
    check_refused("are of more than one covariate: rename", RULE, X, y, "genotype")


def test_a_rule_that_all_animals_share_has_no_difference(design):
    shared = lr.ReinforceRuleEstimator()
    check_refused("but subject_effects is None, so that nothing does", shared, *design, "genotype")
    fitted = shared.fit(*design)
    with pytest.raises(ValueError, match="By this estimator all animals learn alike"):
        subject_update_table(fitted, *design)


def test_other_classifiers_have_no_rule_to_compare(design):
    message = "compare_groups needs a rule estimator, or a pipeline that ends in one, got Logistic"
    check_refused(message, LogisticRegression(), *design, "genotype", TypeError)


def test_a_stimulus_is_not_called_as_the_tables_own_column(trials):
    X, y, _ = lr.make_design(
        trials.rename(columns={"stimulus": "group"}), stimulus="group", covariates="genotype"
    )
    check_refused("The table has a column 'group' of its own: rename", RULE, X, y, "genotype")


def test_updates_are_of_one_fit(design, fitted):
    with pytest.raises(ValueError, match=r"Give one fitted estimator.*got 2\."):
        subject_update_table([fitted, fitted], *design)


@pytest.mark.parametrize("loss", [0.4, 1])  # .4: fits from several places may be so far apart
def test_a_fit_that_is_worse_with_the_covariate_is_told(design, monkeypatch, loss, recwarn):
    told = iter([-100.0, -100.0 - loss])  # without and with
    monkeypatch.setattr(
        "sklearn_learnrule.inspection._group_tests.log_likelihood", lambda *_: next(told)
    )
    worse = compare_groups(BRIEF, *design, "genotype", **QUIET)
    is_told = any("less likely by 1 nats than without" in str(each.message) for each in recwarn)
    assert is_told == (loss == 1)
    assert isinstance(worse, GroupComparison)
    assert worse.likelihood_ratio == 0
    assert worse.p_value == 1


def test_what_other_covariates_say_as_well_is_refused(trials):
    X, y, _ = lr.make_design(trials, covariates=["genotype"])
    with pytest.raises(ValueError, match="the other covariates of X say as well"):
        compare_groups(RULE, X.assign(covariate_twice=2 * X[COLUMN]), y, "genotype", **QUIET)


def scaler(*columns):
    return make_column_transformer(
        (StandardScaler(), ["stimulus", *columns]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (
            FunctionTransformer(lambda X: X.drop(columns="covariate_age", errors="ignore")),
            "does not give its rule ['covariate_age'] as they are: let it pass covariates on",
        ),
        (scaler("covariate_age"), "does not give its rule ['covariate_age'] as they are: let it"),
        (
            FunctionTransformer(lambda X: X.astype({"covariate_age": float})),
            "cannot do without ['covariate_age']: let it pass covariates on",
        ),
    ],
    ids=["drops", "scales", "names"],
)
def test_a_pipeline_that_does_not_pass_on_the_covariate_is_refused(trials, transformer, message):
    X, y, _ = lr.make_design(trials, covariates=["age"])
    check_refused(message, make_pipeline(transformer, BRIEF), X, y, "age")


def test_covariates_are_compared_one_at_a_time(trials):
    X, y, _ = lr.make_design(trials, covariates=["genotype", "age"])
    both = ["genotype", "age"]
    check_refused("X has no covariate ['genotype', 'age'], but ['cov", RULE, X, y, both)
