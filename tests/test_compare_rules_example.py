"""The example of the front page, run as a newcomer runs it, on fewer mice."""

import runpy
import sys
from pathlib import Path

import pytest

from sklearn_learnrule import datasets

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "compare_rules.py"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the example's main in a folder of its own and return what it printed."""
    whole = datasets.make_learning_cohort

    def fewer_mice(n_subjects, n_trials, random_state):  # and a lucky draw
        return whole(n_subjects // 3, n_trials // 10, random_state=random_state)

    monkeypatch.setattr(datasets, "make_learning_cohort", fewer_mice)
    monkeypatch.chdir(tmp_path)

    def run_example(*arguments):
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_simulated_mice_are_compared_without_any_data_and_drawn(run, tmp_path):
    printed = run("--rules", "constant", "REINFORCE", "--folds", "2", "--jobs", "1")
    assert "trials of 5 animals, 2 folds by animal" in printed
    assert "REINFORCE" in printed and "constant" in printed
    assert printed.rstrip().endswith("Figure: compare_rules.png")
    assert [file.name for file in tmp_path.iterdir()] == ["compare_rules.png"]


def test_a_rule_that_is_not_there_is_told_the_rules_there_are(run, capsys):
    with pytest.raises(SystemExit):
        run("--rules", "REINFORCED")
    told = capsys.readouterr().err
    assert "invalid choice: 'REINFORCED'" in told and "'REINFORCE, no baseline'" in told
