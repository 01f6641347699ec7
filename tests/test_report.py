"""A report holds the pictures and tables of the package, loses nothing, and stands alone."""

import base64
import re
import sys
from copy import deepcopy
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from pages import Page
from pandas.testing import assert_frame_equal
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate

import sklearn_learnrule as lr
from sklearn_learnrule import inspection
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.plotting import UpdateDisplay
from sklearn_learnrule.report import _parts, _sections, _write, write_report
from sklearn_learnrule.simulation import predictive_check

pytestmark = BRIEFLY_TRAINED

NAME = "<b>R & 'N'</b>"  # as a user may call a model
TINY = {"memory_size": 3, "hidden_sizes": (4,), "n_ensemble": 1, "max_epochs": 2, "mirror": False}
OPTIONS = {"n_simulations": 2, "verbose": 0}


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Pictures of few dots are drawn sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_parts, "DPI", 40)
        yield


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(4, 90, session_length=30, random_state=0))
    return X, y


@pytest.fixture(scope="module")
def models(cohort):
    network = lr.RNNRuleEstimator(random_state=0, **TINY).fit(*cohort)
    return {NAME: network, "constant": lr.ConstantRuleEstimator()}


@pytest.fixture(scope="module")
def folder(models, cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    assert write_report(models, *cohort, folder, title="<Mice> & more", cv=2, **OPTIONS) == folder
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page(folder / "report.html")


@pytest.fixture
def short(monkeypatch):
    """Make reports short, so that tests are: of parameters and training alone."""
    exhibits = {"training": _sections.SECTIONS["Checks"][1:]}
    monkeypatch.setattr(_write, "SECTIONS", exhibits)


def read(folder, name):
    return pd.read_csv(folder / f"{name}.csv")


def same(read, table):
    """Whether a CSV holds this table: missing texts and numbers look alike in one."""
    expected = pd.read_csv(BytesIO(table.to_csv(index=False).encode()))
    assert_frame_equal(read, expected, check_exact=False, rtol=1e-12)
    assert len(table)


# ----------------------------------------------------------------- what it holds


def test_pictures_and_tables_of_a_folder_are_those_of_inspection(folder, models, cohort):
    X, y = cohort
    rule = models[NAME]
    equation = inspection.sparse_rule(rule, X)
    same(read(folder, "02-equation-b_R_N_b"), equation.terms)
    same(read(folder, "02-equation-path-b_R_N_b"), equation.path)
    same(read(folder, "03-asymmetry-b_R_N_b"), inspection.asymmetry_table(rule, X))
    same(read(folder, "04-nearest-b_R_N_b"), inspection.nearest_rules(rule, X))
    same(read(folder, "05-history-length-b_R_N_b"), inspection.history_table(rule, X))
    same(read(folder, "06-trajectories-b_R_N_b"), inspection.weight_trajectories(rule, X))
    constant = models["constant"].fit(X, y)
    both = {NAME: rule, "constant": constant}
    same(read(folder, "07-psychometric"), inspection.psychometric_table(both, X, y, by="session"))
    importance = read(folder, "07-importance")
    found = importance[importance["model"] == NAME].drop(columns="model")
    same(found.reset_index(drop=True), inspection.column_importance(rule, X, y))
    same(read(folder, "08-sessions-correct"), inspection.session_table(both, X, y))
    check = predictive_check(rule, X, y, n_simulations=2, random_state=0)
    same(read(folder, "09-predictive_check-b_R_N_b"), check)
    same(read(folder, "10-parameters").drop(columns=["model", "fit"]), constant.summary_)
    same(
        read(folder, "02-update-stimulus-b_R_N_b"),
        UpdateDisplay.from_estimator(rule, X, random_state=0).table,
    )


def test_the_comparison_is_that_of_compare_rules(folder, page, models, cohort):
    scores = lr.compare_rules(models, *cohort, cv=2, verbose=0)
    same(read(folder, "01-comparison").drop(columns="seconds"), scores.drop(columns="seconds"))
    ranked = lr.rank_rules(scores, NAME)
    best, *_ = ranked.index
    row = next(row for row in page.rows if row[:1] == [best])
    shown = [float(text.replace("−", "-")) for text in (row[1], row[-1])]
    assert shown == pytest.approx(ranked.loc[best, ["log_likelihood", "accuracy"]], abs=5e-4)
    assert page.says(f"Held-out animals are best predicted by {best}: {row[1]} nats per trial")
    found = lr.animal_rules(scores)
    same(read(folder, "01-animal_rules-posterior"), found.posterior.reset_index())
    same(read(folder, "01-animal_rules"), found.population.reset_index())


def test_every_picture_is_a_png_with_a_text_for_those_who_do_not_see_it(folder, page):
    images = page.of("img")
    files = sorted(folder.glob("*.png"))
    assert len(images) == len(files) == 15
    inlined = set()
    for image in images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        inlined.add(base64.b64decode(data))
        pixels = plt.imread(BytesIO(base64.b64decode(data)))
        assert pixels.std() > 0 and pixels[0, 0, :3].min() == 1  # drawn, on white
        assert len(image["alt"]) > 20
    assert inlined == {file.read_bytes() for file in files}


def test_facts_parameters_seeds_and_versions_are_told(page, cohort):
    X, _ = cohort
    facts = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert facts["animals"] == "4"
    assert facts["trials"].startswith(f"{len(X):,} (")
    assert facts["random_state"] == "0" and facts["cv"] == "2"
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["sklearn_learnrule"] == lr.__version__ and facts["numpy"] == np.__version__
    for name in ("torch", "scikit-learn", "skorch", "pandas"):
        assert re.match(r"\d+\.\d+", facts[name])
    parameters = {row[0]: row[1:] for row in page.rows}
    assert parameters["memory_size"] == ["3"]
    assert parameters["initial_weights"] == ["'zeros'", "'zeros'"]
    estimated = [row[1:3] for row in page.rows if row[:2] == ["constant", "initial_weights"]]
    assert estimated == [["initial_weights", "stimulus"], ["initial_weights", "bias"]]


def test_a_report_stands_alone_and_escapes_names(page):
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "b", "mice"}
    assert "//" not in re.sub(r"base64,[^\"]*", "", page.source)
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"] for link in page.of("a")} == {f"#{target}" for target in targets}
    assert page.says(NAME) and page.says("<Mice> & more")
    assert page.open == []  # what was opened is closed


def test_what_a_model_lacks_is_said_in_its_place(page):
    assert page.says("constant does not learn: no trial changes its weights.")
    assert page.says(f"{NAME} has no parameters with textbook names.")
    assert page.says("predicts the choices that it was fitted to worse than")  # trained in haste


def test_the_same_seeds_give_the_same_report(models, cohort, tmp_path, short):
    pages = [
        write_report(models, *cohort, tmp_path / f"{i}.html", cv=2, **OPTIONS).read_text("utf-8")
        for i in range(2)
    ]
    one, other = (re.sub(r'<p class="byline">.*?</p>', "", page) for page in pages)
    assert one == other and "data:image/png" in one


def test_of_a_fit_with_noise_is_told_how_much_is_learning(cohort, tmp_path, monkeypatch):
    name = "How the weights moved"
    monkeypatch.setattr(_write, "SECTIONS", {name: _sections.SECTIONS[name][1:]})
    X, y = cohort
    noisy = lr.ReinforceRuleEstimator(baseline=None, process_noise=0.02).fit(X, y)
    models = {"noisy": noisy, "alone": lr.ConstantRuleEstimator()}
    write_report(models, X, y, tmp_path, compare=False, **OPTIONS)
    shares = inspection.variance_explained(noisy, X, y)
    same(read(tmp_path, "01-learning_and_noise-noisy"), shares)
    parts = inspection.weight_decomposition(noisy, X, y)
    same(read(tmp_path, "01-learning_and_noise-trajectories-noisy"), parts)
    page = Page(tmp_path / "report.html")
    assert page.says("alone has no process noise: its rule alone moves the weights.")
    of_all = shares["rule"].iloc[0]
    assert page.says(f"noisy explains {of_all:.0%} of the change of the stimulus weight, noise the")
    row = next(row for row in page.rows if row[0] == "mouse_02")
    bias = shares.query("subject == 'mouse_02' and weight == 'bias'").squeeze()
    limits = (f"{bias[name]:.0%}".replace("-", "−") for name in ("rule", "lower", "upper"))
    assert row[2] == "{} [{},\u00a0{}]".format(*limits)


# --------------------------------------------------------------- nothing is lost


def test_a_picture_that_fails_is_named_and_the_rest_is_written(
    models, cohort, tmp_path, monkeypatch
):
    def fail(model, question):
        plt.figure()
        raise KeyError("lost")
        yield

    good, *_ = _sections.SECTIONS["Parameters"]
    bad = _parts.Exhibit("heatmap", "How to read it.", fail, "rule")
    monkeypatch.setattr(_write, "SECTIONS", {"Two": [bad, good]})
    before = plt.get_fignums()
    with pytest.warns(UserWarning, match="2 part.*report.html.*heatmap of <b>R"):
        path = write_report(models, *cohort, tmp_path / "report.html", compare=False, **OPTIONS)
    page = Page(path)
    assert page.says("heatmap of constant could not be made: KeyError: 'lost'")
    assert any(row[:2] == ["constant", "initial_weights"] for row in page.rows)
    assert plt.get_fignums() == before


def test_a_model_that_cannot_be_fitted_is_left_out_and_named(cohort, tmp_path, short):
    broken = lr.ReinforceRuleEstimator(optimizer="none")
    models = {"REINFORCE": broken, "constant": lr.ConstantRuleEstimator()}
    with pytest.warns(UserWarning, match="REINFORCE could not be fitted, and is left out"):
        path = write_report(models, *cohort, tmp_path / "a.html", cv=2, **OPTIONS)
    page = Page(path)
    assert page.says("REINFORCE could not be fitted, and is left out: ReinforceRuleEstimator: opti")
    assert page.says("Held-out animals are predicted by constant with")
    with pytest.raises(ValueError, match="nothing to report on. ReinforceRuleEstimator could not"):
        write_report(broken, *cohort, tmp_path / "b.html", **OPTIONS)


def test_warnings_are_in_the_report_and_reach_the_caller(cohort, tmp_path, short):
    brief = lr.ReinforceRuleEstimator(max_epochs=1)
    with pytest.warns(ConvergenceWarning, match="has not converged after 1 epochs") as caught:
        path = write_report(brief, *cohort, tmp_path / "a.html", compare=False, **OPTIONS)
    assert len(caught) == 1
    page = Page(path)
    assert page.says("ConvergenceWarning: ReinforceRuleEstimator has not converged after 1 epochs")
    assert any("not converged" in row for row in page.rows)


def test_animals_whose_weights_were_held_are_named(models, cohort, tmp_path, short):
    network = deepcopy(models[NAME])
    network.net_.module_.bounds = torch.tensor([[-1e-9, -1e-9], [1e-9, 1e-9]])
    with pytest.warns(UserWarning, match="would go far beyond those of the subjects fitted"):
        path = write_report(network, *cohort, tmp_path / "a.html", compare=False, **OPTIONS)
    mice = ", ".join(f"mouse_0{i}" for i in range(1, 5))
    page = Page(path)
    assert any(row[-1] == mice for row in page.rows)
    assert page.says("UserWarning: RNNRuleEstimator: the weights of 4 subject(s)")


def test_a_rule_that_fails_on_a_fold_loses_no_other(cohort, tmp_path, short):
    class Fails(LogisticRegression):
        def fit(self, X, y):
            if len(X) < len(cohort[0]):
                raise ValueError("too few")
            return super().fit(X, y)

    models = {"REINFORCE": Fails(), "constant": lr.ConstantRuleEstimator()}
    with pytest.warns(FitFailedWarning, match="too few"):
        page = Page(write_report(models, *cohort, tmp_path / "a.html", cv=2, **OPTIONS))
    assert page.says("Held-out animals are predicted by constant with")
    assert page.says("REINFORCE was not trained by this package.")


def test_one_session_and_one_animal_are_told_of(cohort, tmp_path, monkeypatch):
    wanted = {name: _sections.SECTIONS[name] for name in ("Learning curves", "Checks")}
    monkeypatch.setattr(_write, "SECTIONS", wanted)
    X, y = cohort
    one = X.index.get_level_values("subject") == "mouse_01"
    X, y = X[one].droplevel("session"), y[one]
    rule = lr.ConstantRuleEstimator()
    with pytest.warns(UserWarning, match="could not be compared"):
        page = Page(write_report(rule, X, y, tmp_path / "a.html", **OPTIONS))
    assert page.says("The models could not be compared: There is one animal, and none to hold out")
    assert page.says(
        "no curve by session to draw: the data do not tell which session a trial is of."
    )
    assert any(row[:1] == ["accuracy"] for row in page.rows)  # of the twins, in the table

    X = X.assign(session=1)
    page = Page(write_report(rule, X, y, tmp_path / "b.html", compare=False, **OPTIONS))
    assert page.says("no curve by session to draw: all trials of each animal are of one session.")


# ------------------------------------------------------------ what may be given


def test_a_given_comparison_is_not_done_again(models, cohort, tmp_path, short, monkeypatch):
    scores = lr.compare_rules({"constant": models["constant"]}, *cohort, cv=2, verbose=0)
    monkeypatch.setattr(_write._comparison, "compare_rules", None)
    path = write_report(models, *cohort, tmp_path / "a.html", compare=scores, **OPTIONS)
    assert Page(path).says("Held-out animals are predicted by constant with")


def test_animals_are_told_apart_by_the_rules_that_did_not_fail(models, cohort, tmp_path, short):
    scores = lr.compare_rules(models, *cohort, cv=2, verbose=0)
    failed = scores[scores["rule"] == "constant"].assign(rule="failed", log_likelihood=np.nan)
    for name, table in (("a", pd.concat([scores, failed])), ("b", pd.concat([scores, scores]))):
        write_report(models, *cohort, tmp_path / name, compare=table, **OPTIONS)
    same(read(tmp_path / "a", "01-animal_rules"), lr.animal_rules(scores).population.reset_index())
    told = "Which rule each animal follows cannot be told: scores should have one row a rule,"
    assert Page(tmp_path / "b" / "report.html").says(told)


def test_folds_and_lists_are_one_model_with_bands(cohort, tmp_path, monkeypatch):
    names = ("Asymmetries", "How the weights moved", "Checks", "Parameters")
    monkeypatch.setattr(_write, "SECTIONS", {name: _sections.SECTIONS[name] for name in names})
    X, y = cohort
    rule = lr.ReinforceRuleEstimator(baseline=None)
    keep = {"return_estimator": True, "return_indices": True}
    folds = cross_validate(rule, X, y, cv=lr.SubjectKFold(2), **keep)
    given = {"folds": folds, "seeds": [rule, folds["estimator"][0]]}
    write_report(given, X, y, tmp_path, compare=False, **OPTIONS)
    same(read(tmp_path, "02-trajectories-folds"), inspection.weight_trajectories(folds, X))
    table = inspection.asymmetry_table(folds, X)
    same(read(tmp_path, "01-asymmetry-folds"), table)
    unseen = folds["indices"]["test"][0]
    first = folds["estimator"][0]
    check = predictive_check(first, X.iloc[unseen], y.iloc[unseen], n_simulations=2, random_state=0)
    same(read(tmp_path, "03-predictive_check-folds"), check)
    page = Page(tmp_path / "report.html")
    assert page.says("The twins are of the first fit and the animals that it has not seen.")
    estimates = read(tmp_path, "04-parameters").groupby("model")["fit"].nunique()
    assert estimates.to_dict() == {"folds": 2, "seeds": 2}
    assert not hasattr(rule, "classes_")  # clones were fitted


def test_the_style_of_the_user_stays_and_does_not_matter(cohort, tmp_path, monkeypatch):
    curves = {"Learning curves": _sections.SECTIONS["Learning curves"]}
    monkeypatch.setattr(_write, "SECTIONS", curves)
    rule = lr.ConstantRuleEstimator()
    with plt.style.context("dark_background"):
        path = write_report(rule, *cohort, tmp_path / "a.html", compare=False, **OPTIONS)
        assert plt.rcParams["figure.facecolor"] == "black"
    source = Page(path).of("img")[0]["src"]
    pixels = plt.imread(BytesIO(base64.b64decode(source.split(",")[1])))
    assert pixels[0, 0, :3].min() == 1


def test_progress_is_shown(cohort, tmp_path, short, capsys):
    options = OPTIONS | {"verbose": 1}
    write_report(lr.ConstantRuleEstimator(), *cohort, tmp_path / "a.html", cv=2, **options)
    shown = capsys.readouterr().err
    assert all(f"{what}:" in shown for what in ("fit", "compare", "look"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"estimators": {}}, ValueError, "no estimators to report on"),
        ({"estimators": {"a": []}}, ValueError, "no estimators to report on"),
        (
            {"estimators": {"a": lr.ConstantRuleEstimator}},
            TypeError,
            "got the class ConstantRuleEstimator as 'a'",
        ),
        ({"estimators": "REINFORCE"}, TypeError, "should be a classifier, .* got str"),
        ({"estimators": {"fit_time": []}}, ValueError, "cross_validate has no 'estimator'"),
        ({"X": np.zeros((3, 2))}, TypeError, "DataFrame that make_design returns.* got ndarray"),
        ({"path": "report.pdf"}, ValueError, "path should end in .html or be a folder, got 'rep"),
        ({"compare": "yes"}, TypeError, "compare should be True, False or the table of .* got str"),
        ({"compare": pd.DataFrame()}, ValueError, "compare_rules, but has no column 'rule'"),
        ({"reference": "RNN"}, ValueError, r"reference should be one of \['constant'\], got 'RNN'"),
        ({"n_simulations": 0}, ValueError, "n_simulations == 0, must be >= 1"),
        ({"random_state": "a"}, ValueError, "'a' cannot be used to seed"),
        ({"cv": iter([([0], [0])])}, ValueError, "Row 0 of X is in both parts of fold 0"),
    ],
)
def test_wrong_input_gets_one_sentence_before_any_work(
    change, error, message, cohort, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_write, "fit_models", None)
    X, y = cohort
    given = {"estimators": {"constant": lr.ConstantRuleEstimator()}, "X": X, "y": y, **change}
    with pytest.raises(error, match=message):
        write_report(**given)
    assert not list(tmp_path.iterdir())


def test_scores_of_other_animals_and_choices_of_other_trials_are_refused(cohort, tmp_path):
    X, y = cohort
    rule, path = lr.ConstantRuleEstimator(), tmp_path / "a.html"
    columns = ("rule", "subject", "fold", "n_trials", "log_likelihood", "accuracy", "seconds")
    scores = pd.DataFrame([["constant", "rat", 0, 9, -0.6, 0.7, 1.0]], columns=columns)
    with pytest.raises(ValueError, match="scores of the animals in X, but has 'rat'"):
        write_report(rule, X, y, path, compare=scores)
    with pytest.raises(ValueError, match="previous_choice should be the choice before"):
        write_report(rule, X, y[::-1], path)
