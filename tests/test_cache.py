"""Finished work is kept, found again by its content alone, and never an obstacle."""

import importlib
import pickle
import re
import shutil
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.inspection import bootstrap_fits
from sklearn_learnrule.recovery import recovery_study
from sklearn_learnrule.utils import cache
from sklearn_learnrule.utils.cache import Cache, describe_estimator, describe_table, make_key

FITS = []


class Counted(DummyClassifier):
    """Notes down that it is fitted, and breaks when it is told to."""

    breaks_at = None
    breaks_by = KeyboardInterrupt

    def fit(self, X, y, sample_weight=None):
        FITS.append(X)
        if len(FITS) == self.breaks_at:
            raise self.breaks_by("enough")
        return super().fit(X, y, sample_weight)


class CountedRule(lr.ConstantRuleEstimator):
    """Notes down that it is fitted."""

    def fit(self, X, y, sample_weight=None):
        FITS.append(X)
        return super().fit(X, y, sample_weight)


RULES = {"one": Counted(), "two": Counted(strategy="uniform")}


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(4, 40, random_state=0))[:2]


@pytest.fixture(autouse=True)
def no_fits_yet(monkeypatch):
    FITS.clear()


def compare(cohort, folder, rules=RULES, **options):
    return lr.compare_rules(rules, *cohort, cache=folder, verbose=0, **{"cv": 4, **options})


def n_fits(function, *arguments, **options):
    FITS.clear()
    function(*arguments, **options)
    return len(FITS)


# ------------------------------------------------------------------- kept and found again


def test_what_is_kept_is_read_and_not_fitted_again(cohort, tmp_path):
    first = compare(cohort, tmp_path / "new" / "folder")
    assert len(FITS) == 8
    again = compare(cohort, tmp_path / "new" / "folder")
    assert len(FITS) == 8
    assert_frame_equal(again, first)


def test_ctrl_c_loses_only_the_fit_that_it_breaks(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(Counted, "breaks_at", 6)
    with pytest.raises(KeyboardInterrupt):
        compare(cohort, tmp_path)
    monkeypatch.setattr(Counted, "breaks_at", None)
    assert n_fits(compare, cohort, tmp_path) == 8 - 5


def test_a_fit_that_failed_is_tried_again(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(Counted, "breaks_at", 3)
    monkeypatch.setattr(Counted, "breaks_by", ValueError)
    with pytest.warns(FitFailedWarning, match="one failed on fold 2: ValueError: enough"):
        compare(cohort, tmp_path)
    monkeypatch.setattr(Counted, "breaks_at", None)
    assert n_fits(compare, cohort, tmp_path) == 1


def test_what_the_fits_do_not_depend_on_may_change(cohort, tmp_path):
    compare(cohort, tmp_path, {"name": CountedRule(verbose=0)})
    X, y = cohort
    other = {"another name": CountedRule(verbose=1), "more": Counted()}
    assert n_fits(compare, (X.copy(), np.asarray(y)), tmp_path, other, n_jobs=1) == 4
    reordered = list(lr.SubjectKFold(4).split(X))[::-1]
    assert n_fits(compare, (X, y), tmp_path, other, cv=reordered) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda X, y: {"X": X.assign(stimulus=X["stimulus"] + 1e-9)},
        lambda X, y: {"X": X.rename(columns={"stimulus": "contrast"})},
        lambda X, y: {"X": X.rename(index={"mouse_01": "mouse_1"})},
        lambda X, y: {"y": y.map({"left": 0, "right": 1})},
        lambda X, y: {"y": y.map({"left": "right", "right": "left"})},
        lambda X, y: {"rules": {"one": Counted(strategy="most_frequent")}},
        lambda X, y: {"rules": {"one": make_pipeline(StandardScaler(), Counted())}},
        lambda X, y: {"sample_weight": np.arange(len(X)) % 9 > 0},
        lambda X, y: {"cv": 2},
    ],
    ids=["values", "column", "index", "labels", "choices", "parameter", "step", "weight", "folds"],
)
def test_what_they_depend_on_makes_them_anew(cohort, tmp_path, change):
    X, y = cohort
    compare(cohort, tmp_path, {"one": Counted()})
    changed = {"rules": {"one": Counted()}, **change(X, y)}
    data = (changed.pop("X", X), changed.pop("y", y))
    n_folds = changed.get("cv", 4)
    assert n_fits(compare, data, tmp_path, **changed) == n_folds


def test_a_change_to_the_code_of_an_estimator_makes_it_anew(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "rule_of_mine.py"
    code = "from sklearn_learnrule import ConstantRuleEstimator as C\nclass Mine(C):\n    n = 1\n"
    file.write_text(code)
    mine = importlib.import_module("rule_of_mine").Mine()
    first = make_key(describe_estimator(make_pipeline(StandardScaler(), mine)))
    file.write_text(code.replace("n = 1", "n = 2"))
    assert make_key(describe_estimator(make_pipeline(StandardScaler(), mine))) != first


def test_a_change_to_any_code_of_the_package_makes_it_anew(tmp_path, monkeypatch):
    package = Path(lr.__file__).parent
    assert package == cache.ROOT
    shutil.copytree(package, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "ROOT", tmp_path / "copy")
    cache._own_code.cache_clear()
    same = make_key("fit")
    with (tmp_path / "copy" / "rules" / "policy_gradient.py").open("a") as file:
        file.write("# changed")
    cache._own_code.cache_clear()
    changed = make_key("fit")
    monkeypatch.undo()
    cache._own_code.cache_clear()
    assert make_key("fit") == same != changed


def test_a_key_is_that_of_equal_content_in_another_process(cohort):
    X, y = cohort
    rule = make_pipeline(lr.TanhContrast(), lr.DNNRuleEstimator(hidden_sizes=(4, 4)))

    with joblib.parallel_config("multiprocessing", n_jobs=2):
        (there,) = joblib.Parallel()([joblib.delayed(_key_of)(X, y, rule)])
    columns = {name: pd.Series(X[name].tolist(), X.index) for name in X}  # other blocks in memory
    assert there == _key_of(pd.DataFrame(columns), y, pickle.loads(pickle.dumps(rule)))


def _key_of(X, y, rule):
    return make_key(describe_table(X), describe_table(y), describe_estimator(rule))


def test_refits_are_kept(cohort, tmp_path):
    options = {"n_bootstraps": 3, "random_state": 0, "verbose": 0, "cache": tmp_path}
    rule = CountedRule()
    first = bootstrap_fits(rule, *cohort, **options)
    again = bootstrap_fits(rule, *cohort, **options)
    assert len(FITS) == 2  # for two of the three draws are alike
    for fit, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(fit.initial_weights_, same.initial_weights_)
        assert same.score(*cohort) == fit.score(*cohort)
    assert n_fits(bootstrap_fits, rule, *cohort, **options | {"n_bootstraps": 4}) <= 4
    other = np.arange(len(cohort[0])) % 7 > 0
    assert n_fits(bootstrap_fits, rule, *cohort, **options, sample_weight=other) == 2


def test_cohorts_of_a_recovery_study_are_kept(cohort, tmp_path):
    X, y = cohort
    rules = {"counted": CountedRule()}
    options = {"y": y, "n_repeats": 2, "random_state": 0, "verbose": 0, "cache": tmp_path}
    first = recovery_study(X, rules, cv=2, **options)
    assert len(FITS) == 1 + 2 * (2 + 1)  # the truth; of each cohort two folds and all of it
    again = recovery_study(X, rules, cv=2, **options)
    assert len(FITS) == 1 + 2 * (2 + 1)
    assert_frame_equal(again.scores, first.scores)
    assert n_fits(recovery_study, X, rules, cv=3, **options) == 2 * (3 + 1)

    del options["y"]
    other = X.index.get_level_values("subject") > "mouse_01"
    for fitted_to, expected in (((X, y), 6), ((X, y), 0), ((X[other], y[other]), 6)):
        fitted = {"counted": CountedRule().fit(*fitted_to)}
        assert n_fits(recovery_study, X, fitted, cv=2, **options) == expected


# --------------------------------------------------------------------- never an obstacle


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: bytes(len(content)),
        lambda content: content[:50] + b"garbage" + content[57:],
    ],
    ids=["empty", "half", "all but a byte", "zeros", "garbage"],
)
def test_a_torn_file_is_one_lost_fit(cohort, tmp_path, damage):
    first = compare(cohort, tmp_path)
    torn = sorted(tmp_path.iterdir())[3]
    torn.write_bytes(damage(torn.read_bytes()))
    FITS.clear()
    again = compare(cohort, tmp_path)
    assert len(FITS) == 1
    assert_frame_equal(again.drop(columns="seconds"), first.drop(columns="seconds"))
    assert n_fits(compare, cohort, tmp_path) == 0


def test_a_full_disk_is_told_and_loses_no_result(cohort, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.warns(UserWarning, match="could not be kept in .*, and the work goes on: OSError"):
        scores = compare(cohort, tmp_path)
    assert scores["log_likelihood"].notna().all()
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_read_and_what_is_not_there_is_none(tmp_path):
    cache = Cache(tmp_path)
    assert cache.read("key") is None
    cache.write("key", {"a": 1})
    assert Cache(tmp_path).read("key") == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["key.pickle.z"]


def test_a_cache_that_is_no_folder_is_refused(cohort, tmp_path):
    file = tmp_path / "file"
    file.touch()
    message = f"cache should be a folder to keep finished work in, got {str(file)!r} (File exists)."
    with pytest.raises(ValueError, match=re.escape(message)):
        compare(cohort, file)


def test_an_estimator_that_cannot_be_told_by_its_content_is_refused(cohort, tmp_path):
    class Local(DummyClassifier):
        pass

    message = "With cache, all that a fit is made from is told by its content, but something here"
    with pytest.raises(TypeError, match=message):
        compare(cohort, tmp_path, [Local()])
    assert compare(cohort, None, [Local()])["log_likelihood"].notna().all()


def test_folds_that_are_drawn_anew_are_refused_as_they_would_never_be_found(cohort, tmp_path):
    with pytest.raises(ValueError, match="draws other folds: set its random_state"):
        compare(cohort, tmp_path, cv=lr.MaskedTrials())


def test_a_class_without_a_file_is_refused_as_its_code_cannot_be_told(monkeypatch):
    monkeypatch.delattr(sys.modules[Counted.__module__], "__file__")
    with pytest.raises(TypeError, match="has no file, as in a notebook: put its class into"):
        make_key(describe_estimator(Counted()))
