"""The report tells who each animal is, how far animals lie apart, and how groups differ."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from pages import Page
from pandas.testing import assert_frame_equal
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import compare_groups, subject_effects_table
from sklearn_learnrule.report import _individuals, _parts, _sections, _write, write_report

pytestmark = BRIEFLY_TRAINED

OPTIONS = {"compare": False, "n_simulations": 2, "verbose": 0}
LOG_FACTORS = [-0.9, -0.3, 0.1, 0.4, 0.8, 0.2]
GENOTYPE = {f"mouse_0{i}": "ko" if i <= 3 else "wild" for i in range(1, 7)}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Make reports of this section alone, in few dots."""
    name = "Individuals and groups"
    monkeypatch.setattr(_write, "SECTIONS", {name: _sections.SECTIONS[name]})
    monkeypatch.setattr(_parts, "DPI", 40)


@pytest.fixture(scope="module")
def cohort():
    effects = {"learning_rate": LOG_FACTORS}
    trials = make_learning_cohort(6, 150, subject_effects=effects, random_state=0)
    trials = trials.assign(genotype=trials["subject"].map(GENOTYPE))
    return lr.make_design(trials, covariates="genotype")[:2]


@pytest.fixture(scope="module")
def rule(cohort):
    effects = ["learning_rate"]
    own = lr.ReinforceRuleEstimator(baseline=None, subject_effects=effects, max_epochs=2)
    return own.fit(*cohort)


@pytest.fixture(scope="module")
def report(rule, cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        short.__wrapped__(patch)
        write_report({"own": rule, "one": lr.ConstantRuleEstimator()}, *cohort, folder, **OPTIONS)
    return folder


@pytest.fixture(scope="module")
def page(report):
    return Page(report / "report.html")


def same(path, table):
    expected = pd.read_csv(BytesIO(table.to_csv(index=False).encode()))
    assert_frame_equal(pd.read_csv(path), expected, check_exact=False, rtol=1e-9)


def test_each_animal_has_its_factor_and_interval(report, page, rule, cohort):
    table = subject_effects_table(rule, *cohort)
    same(report / "01-individuals-own.csv", table)
    assert (report / "01-individuals-own.png").exists()
    first = table.iloc[0]
    row = next(row for row in page.rows if row[0] == "mouse_01")
    shown = [
        float(text) for text in row[1].replace("[", "").replace("]", "").replace(",", "").split()
    ]
    assert shown == pytest.approx(np.exp(first[["mean", "lower", "upper"]].tolist()), rel=0.01)
    assert any(row == ["animal", "learning rate (× typical)"] for row in page.rows)


def test_the_spread_is_told_in_words_at_the_top_and_in_its_place(page, rule):
    assert rule.subject_effects_std_ == pytest.approx(0.01)  # the least
    sentence = (
        "own: animals of the same covariates do not differ in learning_rate, as far as these "
        "choices tell."
    )
    assert page.source.count(sentence) == 2


def test_groups_are_those_of_compare_groups(report, page, rule, cohort):
    found = compare_groups(rule, *cohort, "genotype", verbose=0)
    table = pd.read_csv(report / "01-groups.csv")
    assert (table["model"] == "own").all()
    np.testing.assert_allclose(table[["difference", "p"]], found.table[["difference", "p"]])
    factor = found.table["factor"].item()
    assert page.says(
        f"own, genotype: the learning_rate of wild is {factor:.3g} times that of ko (95% interval"
    )
    assert page.says(f"likelihood ratio: p = {found.p_value:.2g}.")
    same(report / "01-groups-genotype-own.csv", found.updates)
    assert (report / "01-groups-genotype-own.png").exists()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            ("covariate_line_b_vs_a", -0.7, 0.5),
            "of b is 0.5 times that of a (95% interval 0.368 to 1)",
        ),
        (("covariate_line_b_vs_a", 0.2, np.nan), "of b is 0.2 above that of a (95% interval −1 to"),
        (("covariate_age", 0.1, 1.1), "is 1.1 times as large with each unit (95% interval 0.368"),
        (("covariate_age", 0.1, np.nan), "is 0.1 higher with each unit (95% interval −1 to 0)"),
    ],
)
def test_a_difference_is_told_from_the_reference_or_by_a_unit(row, told):
    limits = dict(zip(["covariate", "difference", "factor"], row, strict=True), lower=-1, upper=0)
    assert _individuals._difference(pd.Series(limits)).startswith(told)


def test_a_rule_that_all_animals_share_is_told_to_be_one(page):
    assert page.says("one has no subject effects: its animals share one rule.")


def test_without_covariates_there_are_no_groups(rule, cohort, tmp_path):
    X, y = cohort
    X = X.drop(columns="covariate_genotype_wild_vs_ko")
    own = clone(rule)
    page = Page(write_report(own, X, y, tmp_path / "a.html", **OPTIONS))
    assert page.says("X has no covariates to tell groups by: make_design(..., covariates=[...]).")
    assert page.says("animals do not differ in learning_rate, as far as these choices tell.")


def test_a_covariate_that_tells_nothing_apart_does_not_lose_the_others(rule, cohort):
    X, y = cohort
    question = _parts.Question(X.assign(covariate_age=9.0), y, 1, 2, 0, 0)
    model = _individuals.Model("own", "own", rule, rule, X)
    parts = list(_individuals._groups(model, question))
    notes = [part.text for part in parts if isinstance(part, _parts.Note)]
    assert notes[1].startswith("age: All animals of X have the same covariate_age, 9, so that")
    (table,) = [part.table for part in parts if isinstance(part, _parts.Table)]
    assert table["covariate"].tolist() == ["covariate_genotype_wild_vs_ko"]


def test_of_a_network_the_updates_of_groups_are_compared(cohort, tmp_path):
    brief = {"hidden_sizes": (4,), "n_ensemble": 1, "max_epochs": 2, "mirror": False}
    network = lr.DNNRuleEstimator(subject_effects=1, random_state=0, **brief)
    page = Page(write_report({"DNN": network}, *cohort, tmp_path / "a.html", **OPTIONS))
    assert page.says("DNN, genotype: by their updates, groups of shuffled animals differ as")
    assert not page.says("one animal in six")
    assert ["animal", "u1"] in page.rows


@pytest.mark.parametrize(
    ("effect", "kind", "spread", "sentence"),
    [
        (
            "baseline",
            "shift",
            0.25,
            "the baseline of one animal in six lies more than 0.25 above what is typical, of one "
            "in six as far below.",
        ),
        (
            "process_noise",
            "factor",
            0.5,
            "the process_noise of one animal in six is more than 1.65 times what is typical, of "
            "one in six less than 0.61 times.",
        ),
        (
            "learning_rate",
            "factor",
            0.25,
            "one animal in six learns more than 1.28 times as fast as is typical, one in six less "
            "than 0.78 times.",
        ),
        (
            "learning_rate",
            "factor",
            0.01,  # the least that is fitted
            "animals do not differ in learning_rate, as far as these choices tell.",
        ),
    ],
)
def test_a_spread_is_told_as_what_one_animal_in_six_exceeds(effect, kind, spread, sentence):
    assert _individuals._spread(effect, kind, spread, informed=False) == sentence
