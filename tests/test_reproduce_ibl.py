"""The record of the held-out mice: read with its faults told, written whole, never refitted."""

import pandas as pd
import pytest
from test_recovery_benchmark import BENCHMARKS

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

HEADER = "table,model,seed,fold,subject,n_trials,log_likelihood,seconds\n"
ROWS = [f'animals,"A, b",1,{i},mouse {i},10,-0.5{i},2.0\n' for i in range(2)]


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import reproduce_ibl

    monkeypatch.setattr(reproduce_ibl, "RESULTS", tmp_path / "results.csv")
    return reproduce_ibl


def write(script, *rows):
    script.RESULTS.write_text("".join([HEADER, *rows]))


def test_the_published_record_is_written_as_it_was_read(script):
    published = BENCHMARKS / "reproduce_ibl.csv"
    script.RESULTS.write_bytes(published.read_bytes())
    script.record(script.finished())
    assert script.RESULTS.read_bytes() == published.read_bytes()
    assert [file.name for file in script.RESULTS.parent.iterdir()] == ["results.csv"]


def test_no_record_is_an_empty_one(script):
    assert script.finished().empty


@pytest.mark.parametrize("torn", ['animals,"A, b"', 'animals,"A, b",1,3,mou', "animals"])
def test_a_torn_last_line_is_told_and_left_out(script, torn):
    write(script, *ROWS, torn)
    with pytest.warns(UserWarning, match="results.csv ends in a torn line, which is left out: ani"):
        assert len(script.finished()) == 2


def test_rows_that_stand_there_twice_are_one_unless_they_differ(script):
    write(script, *ROWS, ROWS[0].replace("2.0", "3.0"))
    assert len(script.finished()) == 2
    write(script, *ROWS, ROWS[0].replace("-0.50", "-0.6"))
    with pytest.raises(ValueError, match="has two log-likelihoods of .*'subject': 'mouse 0'"):
        script.finished()


def test_a_model_that_is_not_complete_is_told(script):
    whole = "".join(row.replace("A, b", "REINFORCE") for row in ROWS)
    write(script, whole, ROWS[0])
    table = script.render("animals", script.finished())
    assert "| REINFORCE | -60576 |" in table
    assert "Not complete: A, b, seed 1" in table


def test_only_what_the_record_lacks_is_fitted(script, monkeypatch, tmp_path):
    X, y, _ = lr.make_design(make_learning_cohort(5, 60, length_spread=0, random_state=0))
    monkeypatch.setattr(script, "N_TRAINED", 39)
    monkeypatch.setattr(script, "N_FUTURE", 10)
    constant = script.Model(None, None, lambda seed: lr.ConstantRuleEstimator())
    back = constant._replace(regressors=script.BACK)
    monkeypatch.setattr(script, "MODELS", {"constant": constant, "back": back})
    how = {"cache": tmp_path / "fits", "n_jobs": 1, "verbose": 0}
    what = (["animals", "future"], ["constant", "back"], [1])
    script.run_missing(*what, X, y, how)
    first = script.finished()
    assert first.groupby(["table", "model"]).size().eq(5).all()
    assert first["n_trials"].eq(first["table"].map({"animals": 59, "future": 10})).all()

    script.record(first.drop(index=[3]))
    monkeypatch.setattr(script, "MODELS", {"constant": constant})
    script.run_missing(*what[:1], ["constant"], [1], X, y, how)  # from the kept fits
    by_row = [table.set_index(script.ROW).sort_index() for table in (first, script.finished())]
    pd.testing.assert_frame_equal(*by_row)
