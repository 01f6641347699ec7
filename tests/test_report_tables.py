"""Tables of a report, as they are read."""

import re

import pandas as pd
from pages import Page

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.report import _sections, _write, write_report


def test_texts_stand_side_by_side_in_their_own_cells_and_in_the_order_they_had():
    cells = [("run", "b", "w"), ("run", "b", "v"), ("all", "c", "v"), ("all", "a", "w")]
    texts = pd.Series(["/".join(cell) for cell in cells], pd.MultiIndex.from_tuples(cells))
    wide = _sections._side_by_side(texts.rename_axis(["group", "measure", "weight"]), "measure")
    assert wide.index.tolist() == [("run", "w"), ("run", "v"), ("all", "v"), ("all", "w")]
    assert wide.columns.tolist() == ["b", "c", "a"]
    found = wide.stack().dropna()
    assert [f"{group}/{measure}/{weight}" for group, weight, measure in found.index] == [*found]
    assert sorted(found) == sorted(texts)


def test_tiny_numbers_are_no_rows_of_zeros(tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SECTIONS", {"Asymmetries": _sections.SECTIONS["Asymmetries"]})
    trials = make_learning_cohort(3, 60, random_state=0)
    trials["stimulus"] *= 16_000  # as frequencies in Hz are
    X, y, _ = lr.make_design(trials)
    rule = lr.ReinforceRuleEstimator(baseline=None)
    write_report({"REINFORCE": rule}, X, y, tmp_path, compare=False, n_simulations=2, verbose=0)
    rows = Page(tmp_path / "report.html").rows
    rate = next(row[-1] for row in rows if row[:2] == ["stimulus", "correct"])
    assert re.match(r"\d\.?\d?e−\d\d \[", rate)
    assert not re.search(r"\.0{7}", str(rows))
