"""The two commands, run as a user runs them on a table of their own."""

import runpy
import sys
import warnings

import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pages import Page
from pandas.testing import assert_frame_equal, assert_series_equal

import sklearn_learnrule as lr
from sklearn_learnrule import command_line as program
from sklearn_learnrule.command_line import _options
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.report import _parts, _sections, _write
from sklearn_learnrule.utils.tasks import WorkerDiedError

OTHER_NAMES = {
    "subject": "mouse",
    "session": "day",
    "choice": "response",
    "reward": "water",
    "answer": "target",
    "stimulus": "side",
}
NAMED = [word for old, new in OTHER_NAMES.items() for word in (f"--{old}", new)]
QUICKLY = ("--rules", "constant", "REINFORCE", "--folds", "2", "--jobs", "1")
ONE = ("--rules", "constant", "--reference", "constant", "--folds", "2", "--jobs", "1")


@pytest.fixture(scope="module")
def trials():
    return make_learning_cohort(6, 80, random_state=1)


@pytest.fixture
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(in_folder, capsys):
    """Run a command in a folder of its own and return what it printed."""

    def run_command(*arguments):
        program.main([*map(str, arguments)])
        return capsys.readouterr().out

    return run_command


@pytest.fixture
def fails(run, capsys):
    """Run a command and return the sentence that it ends with."""

    def run_command(*arguments):
        with pytest.raises(SystemExit) as end:
            run(*arguments)
        assert end.value.code == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    return run_command


def ranking(printed):
    """Return the columns of the ranking that a command printed, by rule."""
    lines = printed.splitlines()
    header = next(number for number, line in enumerate(lines) if "bits_above_chance" in line)
    return {line.split()[0]: line.split()[1:] for line in lines[header + 2 : header + 4]}


# ----------------------------------------------------------------------------------- compare


def test_a_users_own_table_is_ranked_and_drawn(run, trials, tmp_path):
    trials.rename(columns=OTHER_NAMES).to_csv("mice.csv", index=False)
    printed = run("compare", "mice.csv", *NAMED, *QUICKLY, "--figure", "mine.png")
    assert f"{len(trials)} trials of 6 animals, 2 folds by animal" in printed
    assert "log-likelihood in nats per trial, difference from REINFORCE" in printed
    assert printed.rstrip().endswith("Figure: mine.png")
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")

    X, y, _ = lr.make_design(trials, answer="answer")
    rules = {"constant": lr.ConstantRuleEstimator(), "REINFORCE": lr.ReinforceRuleEstimator()}
    ranked = lr.rank_rules(lr.compare_rules(rules, X, y, cv=2, verbose=0))
    table = ranking(printed)
    assert list(table) == list(ranked.index)
    for rule, shown in table.items():
        assert_allclose(float(shown[0]), ranked.loc[rule, "log_likelihood"], atol=5e-5)
        assert_allclose(float(shown[3]), ranked.loc[rule, "difference"], atol=5e-5)


def read(*arguments):
    """Return X and y as a command reads them."""
    return program.read_design(program.make_parser().parse_args(["compare", *arguments]))


def write(trials, file):
    """Write a table in the format that the file's name tells."""
    if file.endswith(".parquet"):
        trials.to_parquet(file)
    else:
        trials.to_csv(file, index=False, sep="\t" if ".tsv" in file else ",")


@pytest.mark.parametrize("file", ["mice.csv", "mice.csv.gz", "mice.tsv", "mice.parquet"])
def test_tables_of_every_kind_are_read_alike(in_folder, trials, file):
    write(trials, file)
    X, y = read(file, "--answer", "answer")
    expected = lr.make_design(trials, answer="answer")
    assert_frame_equal(X, expected[0])
    assert_series_equal(y, expected[1], check_dtype=False)


def test_several_columns_may_be_the_stimulus_or_name_the_animal(in_folder, trials):
    sides = {"left": -trials["stimulus"].clip(upper=0), "right": trials["stimulus"].clip(lower=0)}
    trials = trials.assign(lab="01", **sides)
    write(trials, "mice.csv")
    X, _ = read("mice.csv", "--stimulus", "left", "right", "--subject", "lab", "subject")
    assert X.columns[:2].tolist() == ["left", "right"]
    assert X.index.unique("subject")[0] == "01/mouse_01"


def test_names_are_text_and_files_of_sessions_are_one_table(in_folder, trials):
    for (subject, session), table in trials.groupby(["subject", "session"]):
        name = subject.removeprefix("mouse_").zfill(3)
        write(table.drop(columns=["subject", "session"]), f"{name}_{session}.csv")
    X, y = read("{subject}_{session}.csv")
    assert X.index.unique("subject").tolist() == [f"00{number}" for number in range(1, 7)]
    assert y.tolist() == trials["choice"].tolist()


def test_missed_trials_are_left_out_and_counted(in_folder, trials, capsys):
    missed = trials.assign(choice=trials["choice"].where(trials.index % 10 != 3))
    write(missed, "mice.csv")
    _, y = read("mice.csv")
    assert y.tolist() == missed["choice"].dropna().tolist()
    n_missed = missed["choice"].isna().sum()
    assert f"read {len(trials)}, misses {n_missed}, kept {len(y)}" in capsys.readouterr().out


def test_what_was_missed_or_unknown_is_kept_and_blocks_and_groups_are_known_if_so_asked(in_folder):
    gaps = {"miss_rate": 0.2, "unknown_reward_rate": 0.2, "n_blocks": 2}
    table = make_learning_cohort(3, 40, session_length=20, random_state=0, **gaps)
    table["sex"] = table["subject"].map({"mouse_01": "f", "mouse_02": "m", "mouse_03": "f"})
    options = {"missed": "count", "unknown_reward": "keep", "covariates": "sex"}
    X, y, _ = lr.make_design(table, restart=["block", "session"], **options)
    asked = ("--missed", "count", "--unknown-reward", "keep", "--covariates", "sex", "--restart")
    for name in ("session", "day"):
        write(table.rename(columns={"session": name}), "mice.csv")
        shown, chosen = read("mice.csv", "--session", name, *asked, "block", name)
        assert_frame_equal(shown, X)
        assert chosen.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("labels", "none", "choices"),
    [
        ({"left": "R", "right": "L"}, "no go", ("R", "L")),  # R is y = 0
        ({"left": 1, "right": -1}, 0, ("1", "-1")),
        ({"left": 1, "right": 2}, None, ("1", "2")),  # a column of 1.0, 2.0 and empty cells
        ({"left": 1, "right": 2}, "miss", ("1", "2")),  # a column of text
    ],
)
def test_two_labels_are_the_choices_and_others_count_as_missed(
    in_folder, trials, labels, none, choices
):
    coded = trials[["choice", "answer"]].replace(labels).astype(object)
    coded["choice"] = coded["choice"].where(trials.index % 10 != 3, none)
    write(trials.assign(**coded), "mice.csv")
    _, y = read("mice.csv", "--answer", "answer", "--choices", *choices)
    kept = trials["choice"][trials.index % 10 != 3]
    assert (y == max(y)).tolist() == (kept == "right").tolist()


def test_what_is_warned_of_is_told_once_in_the_words_of_the_command(in_folder, trials, capsys):
    trials.assign(choice=trials["choice"].mask(trials.index % 9 == 4, "none")).to_csv("three.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        program.main(["compare", "three.csv", *ONE])
    told = capsys.readouterr().err
    label = "Column 'choice' has the label 'none' on 49 of 444 trials. If these were missed, "
    assert told.count(label) == 1
    assert "missed, name the choices, --choices, and count them, --missed count; if it is" in told
    assert ".py" not in told


def test_every_textbook_rule_is_ranked(run, trials):
    trials.to_csv("mice.csv", index=False)
    rules = ["eligibility", "Pearce-Hall", "actor-critic", "Q-learning"]
    printed = run("compare", "mice.csv", *QUICKLY, "--rules", *rules, "--max-trials", "30")
    assert all(f"\n{rule}" in printed for rule in rules)


def test_the_layout_of_the_ibl_is_recognised(run):
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
    ).to_csv("ibl.csv.gz", index=False)
    printed = run("compare", "ibl.csv.gz", "--max-trials", 30, *ONE)
    assert "2 subjects; trials: read " in printed and "60 trials of 2 animals" in printed


def test_a_table_without_sessions_is_taken_if_that_is_said(run, fails, trials):
    trials.drop(columns="session").to_csv("mice.csv", index=False)
    told = fails("compare", "mice.csv", *QUICKLY)
    assert "Column 'session' is not in the table" in told
    assert told.endswith(" Where there are none, say --no-session.\n")
    assert "6 animals" in run("compare", "mice.csv", "--no-session", *ONE)


def test_a_table_of_a_bandit_is_taken_if_it_is_said_that_nothing_was_shown(run, fails, trials):
    trials.drop(columns="stimulus").to_csv("mice.csv", index=False)
    told = fails("compare", "mice.csv", *QUICKLY)
    assert told.endswith(" Where nothing was shown, give --stimulus no column.\n")
    assert "6 animals" in run("compare", "mice.csv", "--stimulus", *ONE)


def test_what_is_kept_is_not_fitted_again(run, trials, tmp_path, capsys):
    trials.to_csv("mice.csv", index=False)
    first = run("compare", "mice.csv", *QUICKLY, "--cache", "fits")
    assert len(list((tmp_path / "fits").iterdir())) == 4
    program.main(["compare", "mice.csv", *QUICKLY, "--cache", "fits"])
    printed, progress = capsys.readouterr()
    assert printed == first  # the seconds, too
    assert "0/4" not in progress and "4/4" in progress


def test_a_reference_that_was_not_asked_for_is_said_to_be_fitted(run, trials):
    write(trials, "mice.csv")
    printed = run("compare", "mice.csv", "--rules", "constant", *QUICKLY[3:])
    assert "REINFORCE is fitted as well, to compare with: --reference names another" in printed
    assert "Starting 4 fits" in printed and set(ranking(printed)) == {"REINFORCE", "constant"}
    named = run("compare", "mice.csv", "--rules", "REINFORCE", *QUICKLY[3:], "--max-trials", "20")
    assert "fitted as well" not in named


def test_workers_that_die_are_told_of_in_the_words_of_the_command(fails, trials, monkeypatch):
    def die(*_, **__):
        raise WorkerDiedError("fewer at a time (n_jobs); with cache=..., what is done is kept")

    write(trials, "mice.csv")
    monkeypatch.setattr(program, "compare_rules", die)
    assert "(--jobs); with --cache FOLDER, what is done" in fails("compare", "mice.csv")


def test_rules_with_habits_are_ranked(run, trials):
    write(trials, "mice.csv")
    assert set(ranking(run("compare", "mice.csv", *QUICKLY, "--habits"))) == {
        "REINFORCE",
        "constant",
    }


# ------------------------------------------------------------------------------------ report


def test_a_report_holds_the_comparison_and_the_rules(run, trials, tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SECTIONS", {"Checks": _sections.SECTIONS["Checks"][1:]})
    monkeypatch.setattr(_parts, "DPI", 40)
    trials.to_parquet("mice.parquet")
    printed = run("report", "mice.parquet", *QUICKLY, "--out", "mice.html", "--title", "Six mice")
    assert printed.rstrip().endswith("Report: mice.html")
    page = Page(tmp_path / "mice.html")
    assert page.says("Six mice") and page.says("Held-out animals are best predicted by")
    assert {"constant", "REINFORCE"} <= {row[0] for row in page.rows if row}


# ---------------------------------------------------------------------- help and wrong input


@pytest.mark.parametrize("command", ["compare", "report"])
def test_help_says_what_the_table_must_have_and_gives_an_example(run, capsys, command):
    with pytest.raises(SystemExit, match="^0$"):
        run(command, "--help")
    told = capsys.readouterr().out
    assert "what TABLE must have" in told and "the animal" in told
    (example,) = [line for line in told.splitlines() if line.endswith(("response", "mice.html"))]
    words = example.split()
    assert words[:4] == ["python", "-m", "sklearn_learnrule", command]
    read = program.make_parser().parse_args(words[3:])
    assert read.stimulus == ["left", "right"] and read.choice == "response"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["compare"], "the following arguments are required: TABLE"),
        (["compare", "a.csv", "b.csv"], "(many files are one TABLE, in quotes): b.csv"),
        (["compare", "cats.csv"], "No file has a name that fits 'cats.csv'."),
        (["compare", "torn.parquet"], "torn.parquet cannot be read as a Parquet file ("),
        (["compare", "torn.csv.gz"], "torn.csv.gz cannot be read as a CSV file ("),
        (["compare", "mice.csv", "--subject", "mose"], "Column 'mose' is not in the table"),
        (["compare", "mice.csv", "--max-trials", "0"], "should be a number from 1 on, got '0'"),
        (
            ["compare", "mice.csv", "--folds", "99"],
            ": --folds should be from 2 to 6, the number of animals; got 99.\n",
        ),
        (
            ["compare", "mice.csv", "--folds", "1"],
            ": --folds should be from 2 to 6, the number of animals; got 1.\n",
        ),
        (
            ["compare", "mice.csv", "--subject", "all"],
            ": There is one animal, and animals cannot be held out of one. Its later trials can "
            "be, in Python: compare_rules(..., cv=FutureSplit(n_train=...)), see "
            "docs/comparison.md.\n",
        ),
        (
            ["compare", "mice.csv", "--choice", "contrast"],
            "column 'choice' has 4 classes: -1.0, -0.5, 0.5, 1.0; is it the column",
        ),
        (["compare", "mice.csv", "--choices", "L", "R"], "not among --choices ['L', 'R']: 'left'"),
        (
            ["compare", "mice.csv", "--stimulus", "choice", "contrast"],
            "neither that of choices nor that of rewards, got 'choice'.",
        ),
        (
            ["compare", "mice.csv", "--stimulus", "session", "contrast"],
            "of that name. Rename it in the file.",
        ),
        (
            ["compare", "mice.csv", "--session", "all", "--restart", "session"],
            "--restart and --covariates should not name column 'session': the table of trials has "
            "another of that name. Rename it in the file.",
        ),
        (["compare", "mice.csv", "--restart", "shift"], "Column 'shift' is not in the table"),
        (["compare", "mice.csv", "--missed", "keep"], "invalid choice: 'keep'"),
        (["compare", "mice.csv", "--rules", "RMSprop"], "invalid choice: 'RMSprop'"),
        (["compare", "mice.csv", "--figure", "no/a.png"], "should be in a folder that exists"),
        (["compare", "mice.csv", "--figure", "."], "'.' should end in one of ."),
        (["compare", "mice.csv", "--figure", "a.docx"], "'a.docx' should end in one of ."),
        (["compare", "mice.csv", "--figure", "old.png"], "'old.png' is a folder: name a file in"),
        (["report", "mice.csv", "--out", "old.html"], "'old.html' is a folder: name a file in it"),
        (["report", "mice.csv", "--out", "mice.pdf"], "'mice.pdf' should end in .html"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(fails, trials, tmp_path, arguments, message):
    trials.assign(all="mice", session=1).to_csv(tmp_path / "mice.csv", index=False)
    for name in ("torn.parquet", "torn.csv.gz"):
        (tmp_path / name).write_bytes(b"torn")
    for name in ("old.png", "old.html"):
        (tmp_path / name).mkdir()
    assert message in fails(*arguments)


def test_without_matplotlib_there_is_a_ranking_and_no_report(run, fails, trials, monkeypatch):
    trials.to_csv("mice.csv", index=False)
    monkeypatch.setattr(_options, "find_spec", lambda name: None)
    assert "To get the figure as well, install matplotlib" in run("compare", "mice.csv", *ONE)
    assert "A report has pictures: install matplotlib" in fails("report", "mice.csv", *QUICKLY)


def test_ctrl_c_is_no_traceback(run, trials, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    trials.to_csv("mice.csv", index=False)
    monkeypatch.setattr(program, "compare_rules", stop)
    with pytest.raises(SystemExit, match="130"):
        run("compare", "mice.csv")
    assert "With --cache, the same command goes on from there." in capsys.readouterr().err


def test_python_m_runs_it(in_folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["__main__.py", "compare", "cats.csv"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("sklearn_learnrule", run_name="__main__", alter_sys=True)
    printed, told = capsys.readouterr()
    assert (end.value.code, printed) == (2, "")
    assert told.startswith("python -m sklearn_learnrule: No file has a name")
