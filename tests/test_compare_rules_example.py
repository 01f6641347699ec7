"""The example, run as a user runs it on a table of their own."""

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from sklearn_learnrule.datasets import make_learning_cohort

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "compare_rules.py"
OTHER_NAMES = {
    "subject": "mouse",
    "session": "day",
    "choice": "response",
    "reward": "water",
    "answer": "target",
}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the example's main in a folder of its own and return what it printed."""

    def run_example(*arguments):
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_a_users_own_table_is_ranked_and_drawn(run, tmp_path):
    trials = make_learning_cohort(6, 80, random_state=1).rename(columns=OTHER_NAMES)
    trials["side"] = trials.pop("stimulus")
    trials.to_csv(tmp_path / "mice.csv", index=False)
    named = [word for old, new in OTHER_NAMES.items() for word in (f"--{old}", new)]
    printed = run(
        *("--trials", "mice.csv", "--stimulus", "side", *named),
        *("--rules", "constant", "REINFORCE", "--folds", 2, "--jobs", 1),
        *("--figure", "mine.png"),
    )
    assert f"{len(trials)} trials of 6 animals, 2 folds by animal" in printed
    assert (
        "Held-out animals, log-likelihood in nats per trial, difference from REINFORCE" in printed
    )
    assert printed.rstrip().endswith("Figure: mine.png")
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")

    lines = printed.splitlines()
    header = next(number for number, line in enumerate(lines) if "bits_above_chance" in line)
    table = {line.split()[0]: line.split()[1:] for line in lines[header + 1 : header + 4]}
    assert set(table) == {"rule", "constant", "REINFORCE"}
    assert table["REINFORCE"][3] == "+0.0000"
    for rule in ("constant", "REINFORCE"):
        assert -1.5 < float(table[rule][0]) < -0.3
        assert len(table[rule]) == 7
    difference = float(table["constant"][0]) - float(table["REINFORCE"][0])
    assert float(table["constant"][3]) == pytest.approx(difference, abs=2e-4)


def test_the_layout_of_the_ibl_is_recognised(run, tmp_path):
    trials = make_learning_cohort(2, 40, random_state=0)
    pd.DataFrame(
        {
            "subject": trials["subject"],
            "date": "2019-02-25",
            "session": trials["session"],
            "contrastLeft": -trials["contrast"].clip(upper=0),
            "contrastRight": trials["contrast"].clip(lower=0),
            "choice": (trials["choice"] == "right").astype(int),
            "feedbackType": trials["reward"].astype(int),
            "answer": (trials["answer"] == "right").astype(int),
        }
    ).to_csv(tmp_path / "ibl.csv.gz", index=False)
    printed = run(
        *("--trials", "ibl.csv.gz", "--max-trials", 30, "--rules", "constant"),
        *("--reference", "constant", "--folds", 2, "--jobs", 1),
    )
    assert "60 trials of 2 animals" in printed
    assert (tmp_path / "compare_rules.png").exists()


def test_a_column_that_is_not_there_is_one_clear_sentence_whatever_else_is_asked(run, tmp_path):
    make_learning_cohort(2, 20, random_state=0).to_csv(tmp_path / "mice.csv")
    with pytest.raises(SystemExit, match="compare_rules: Column 'mose' is not in the table"):
        run("--trials", "mice.csv", "--subject", "mose", "--max-trials", 10)


def test_a_rule_that_is_not_there_is_told_the_rules_there_are(run, capsys):
    with pytest.raises(SystemExit):
        run("--rules", "REINFORCED")
    assert "invalid choice: 'REINFORCED'" in capsys.readouterr().err
