"""What a report leaves behind: whole files, visible names, safe tables, a clean screen."""

import errno
import os
import re

import pandas as pd
import pytest
from pages import Page

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.report import _parts, _sections, _write, write_report

OPTIONS = {"n_simulations": 2, "verbose": 0}


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(4, 90, session_length=30, random_state=0))
    return X, y


@pytest.fixture
def short(monkeypatch):
    """Make reports short, so that tests are: of parameters and training alone, in few dots."""
    exhibits = {"training": _sections.SECTIONS["Checks"][1:]}
    monkeypatch.setattr(_write, "SECTIONS", exhibits)
    monkeypatch.setattr(_parts, "DPI", 40)


@pytest.mark.parametrize("name", ["report.html", "folder"])
def test_a_disk_that_is_full_leaves_last_weeks_report(cohort, tmp_path, short, monkeypatch, name):
    rule, path = lr.ConstantRuleEstimator(), tmp_path / name
    options = OPTIONS | {"cv": 2}

    def files():
        return {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    write_report({"constant": rule}, *cohort, path, title="last week's", **options)
    before = files()
    synced = os.fsync

    def full(descriptor):  # from the second file of a folder on
        calls.append(descriptor)
        if len(calls) > (1 if name == "folder" else 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        synced(descriptor)

    calls = []
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report({"constant": rule}, *cohort, path, title="this week's", **options)
    after = files()
    assert set(after) == set(before)  # no litter
    changed = [file for file in before if after[file] != before[file]]
    assert len(changed) == (0 if name == "report.html" else 1)  # the page; other files are alike
    for file in changed:
        page = after[file].decode()
        assert "this week" in page and page.rstrip().endswith("</html>")


def test_names_that_hide_something_show_it_and_are_no_formulas(cohort, tmp_path, monkeypatch):
    name, title = "rule\u202e\x1b[31m", "Mice\u2066\x07"
    curves = {"Learning curves": _sections.SECTIONS["Learning curves"]}
    monkeypatch.setattr(_write, "SECTIONS", curves)
    X, y = cohort
    subjects = {"mouse_01": "=1+1\u202e", "mouse_02": "@SUM(A1)"}
    X = X.rename(index=subjects, level="subject")
    y.index = X.index
    models = {name: lr.ConstantRuleEstimator(), "-x": lr.ConstantRuleEstimator()}
    write_report(models, X, y, tmp_path, title=title, cv=2, reference=name, **OPTIONS)
    page = Page(tmp_path / "report.html")
    assert page.says(r"rule\u202e\x1b[31m") and page.says(r"Mice\u2066\x07")
    assert not re.search("[\u202e\u2066\x07\x1b]", page.source)
    scores = pd.read_csv(tmp_path / "01-comparison.csv")
    assert set(scores["rule"]) == {name, "'-x"}
    assert set(scores["subject"]) == {"'=1+1\u202e", "'@SUM(A1)", "mouse_03", "mouse_04"}
    assert scores["log_likelihood"].dtype == float


def test_a_bar_within_another_is_taken_away_when_it_is_done(cohort, tmp_path, monkeypatch, capsys):
    checks = {"Checks": _sections.SECTIONS["Checks"][:1]}
    monkeypatch.setattr(_write, "SECTIONS", checks)
    options = OPTIONS | {"verbose": 1, "compare": False}
    write_report(lr.ConstantRuleEstimator(), *cohort, tmp_path / "a.html", **options)
    screen = on_screen(capsys.readouterr().err)
    assert [line.split(":")[0] for line in screen if line.strip()] == ["fit", "look"]


def on_screen(written):
    """The lines that a terminal shows in the end."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\n|\r|\x1b\[A|[^\n\r\x1b]+", written):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif part == "\r":
            column = 0
        elif part == "\x1b[A":
            row -= 1
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return lines
