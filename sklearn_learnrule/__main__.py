"""Learning rules from the shell: ``python -m sklearn_learnrule compare mice.csv``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from .data.design import make_design
from .datasets import IBL_COLUMNS, load_ibl_trials
from .estimators import (
    ConstantRuleEstimator,
    DNNRuleEstimator,
    PredictMaxRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
    RNNRuleEstimator,
)
from .model_selection import compare_rules, rank_rules
from .plotting import ComparisonDisplay
from .report import write_report
from .utils.files import replacing
from .utils.tasks import WorkerDiedError

PROGRAM = "python -m sklearn_learnrule"
COLUMNS = ("subject", "session", "choice", "reward")
RULES: dict[str, Any] = {
    "constant": ConstantRuleEstimator(),
    "REINFORCE": ReinforceRuleEstimator(),
    "REINFORCE, no baseline": ReinforceRuleEstimator(baseline=None),
    "RewardMax": RewardMaxRuleEstimator(),
    "PredictMax": PredictMaxRuleEstimator(),
    "DNN": DNNRuleEstimator(random_state=0),
    "RNN": RNNRuleEstimator(random_state=0),
}
NETWORKS = ("DNN", "RNN")
DEFAULT_RULES = ("constant", "REINFORCE", *NETWORKS)
# A tenth of the default training: the ranking of the rules is clear by then.
BRIEF: dict[str, Any] = {"n_ensemble": 1, "max_epochs": 60, "lr": 3e-3}

READERS: dict[str, Any] = {
    ".csv": pd.read_csv,
    ".csv.gz": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
}
FORMATS: Any = {
    "log_likelihood": "{:.4f}".format,
    "standard_error": "{:.4f}".format,
    "bits_above_chance": "{:.3f}".format,
    "difference": "{:+.4f}".format,
    "p_value": "{:.2g}".format,
    "accuracy": "{:.3f}".format,
    "seconds": "{:.1f}".format,
}

PURPOSE = "Infer the learning rule of animals from their choices, trial by trial."
COMPARE = """\
Rank learning rules by how well they predict the choices of animals that they were not fitted to.
Prints the ranking, against a reference rule, and draws it."""
REPORT = """\
Write all that there is to see of some learning rules into one HTML file: which predicts held-out
animals best, what each changes after a trial, the animals' weights and learning curves, checks."""
TABLE = """\
what TABLE must have:
  One row a trial; each animal's trials together, in the order in which it made them; and columns
    subject   the animal
    session   the session or day
    stimulus  what it saw, in numbers: such as contrast, right minus left
    choice    what it chose, one of two: such as left or right, 0 or 1
    reward    what it got for that, in numbers: such as 1 or 0
  Name yours by the options if they are called otherwise. Leave out trials without a choice.
  Training data of the International Brain Laboratory (CSV) are recognised by their columns.

example:
  {program} {command} mice.csv --subject mouse --stimulus left right --choice response{more}
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that is given, by default on the command line."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, TypeError, OSError, ImportError, WorkerDiedError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "\nStopped. With --cache, the same command goes on from there.\n")


def make_parser() -> Parser:
    parser = Parser(PROGRAM, description=PURPOSE)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(run: Any, summary: str, description: str, more: str = "") -> Parser:
        name = run.__name__
        command: Parser = commands.add_parser(
            name,
            usage=f"{PROGRAM} {name} TABLE [options]",
            help=summary,
            description=description,
            epilog=TABLE.format(program=PROGRAM, command=name, more=more),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        add_options(command)
        return command

    command = add(compare, "rank learning rules on held-out animals", COMPARE)
    command.add_argument("--figure", type=new_file, default="compare_rules.png", metavar="FILE",
                         help="where to save the figure (default: compare_rules.png)")  # fmt: skip
    command = add(report, "write all about some rules into a page", REPORT, " --out mice.html")
    command.add_argument("--out", type=new_page, default="report.html", metavar="FILE",
                         help="the page to write (default: report.html)")  # fmt: skip
    command.add_argument("--title", default="Learning rules", help="its heading")
    return parser


def add_options(parser: Parser) -> None:
    """Add what both commands take: a table, its columns, the rules, the folds."""
    parser.add_argument("table", metavar="TABLE", help=f"a file that ends in {', '.join(READERS)}")
    table = parser.add_argument_group("your table")
    for column in COLUMNS:
        table.add_argument(f"--{column}", default=column, metavar="COLUMN",
                           help=f"its column of {column}s (default: {column})")  # fmt: skip
    table.add_argument("--stimulus", nargs="+", default=["stimulus"], metavar="COLUMN",
                       help="its columns of what was seen (default: stimulus)")  # fmt: skip
    table.add_argument("--answer", metavar="COLUMN",
                       help="its column of correct choices, if it has one")  # fmt: skip
    table.add_argument("--no-session", dest="session", action="store_const", const=None,
                       help="it has none: each animal had one session")  # fmt: skip
    table.add_argument("--max-trials", type=number, metavar="N",
                       help="keep each animal's first N trials only")  # fmt: skip
    work = parser.add_argument_group("the comparison")
    names = ", ".join(map(repr, RULES))
    work.add_argument("--rules", nargs="+", choices=RULES, default=DEFAULT_RULES, metavar="RULE",
                      help=f"any of: {names} (default: {' '.join(DEFAULT_RULES)})")  # fmt: skip
    work.add_argument("--reference", default="REINFORCE", choices=RULES, metavar="RULE",
                      help="the rule to compare with (default: REINFORCE)")  # fmt: skip
    work.add_argument("--full", action="store_true",
                      help="train networks in full, ten times as long")  # fmt: skip
    work.add_argument("--folds", type=int, default=5, metavar="N",
                      help="into how many parts the animals are split (default: 5)")  # fmt: skip
    work.add_argument("--jobs", type=int, default=2, metavar="N",
                      help="fits at a time (default: 2)")  # fmt: skip
    work.add_argument("--cache", metavar="FOLDER",
                      help="keep finished fits there: after a crash or Ctrl-C, the same command "
                           "goes on")  # fmt: skip


def number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"should be a number from 1 on, got {text!r}")
    return int(text)


def new_file(path: str) -> str:
    """Check before hours of work that the folder is there."""
    if not Path(path).parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path!r} should be in a folder that exists")
    return path


def new_page(path: str) -> str:
    if Path(path).suffix != ".html":
        raise argparse.ArgumentTypeError(f"{path!r} should end in .html")
    return new_file(path)


# ---------------------------------------------------------------------------------- commands


def compare(arguments: argparse.Namespace) -> None:
    X, y = read_design(arguments)
    scores = score(choose_rules(arguments), X, y, arguments)
    table = rank_rules(scores, arguments.reference)
    print(f"\nHeld-out animals, log-likelihood in nats per trial, difference from "
          f"{arguments.reference}:\n")  # fmt: skip
    print(table[list(FORMATS)].to_string(formatters=FORMATS))
    if find_spec("matplotlib") is None:
        print("\nInstall matplotlib, or sklearn_learnrule[plot], to get the figure as well.")
        return
    display = ComparisonDisplay.from_scores(scores, reference=arguments.reference)
    with replacing(arguments.figure) as file:
        display.figure_.savefig(file, dpi=200)
    print(f"\nFigure: {arguments.figure}")


def report(arguments: argparse.Namespace) -> None:
    if find_spec("matplotlib") is None:
        raise ImportError("A report has pictures: install matplotlib, or sklearn_learnrule[plot].")
    X, y = read_design(arguments)
    rules = choose_rules(arguments)
    write_report(
        rules,
        X,
        y,
        arguments.out,
        title=arguments.title,
        compare=score(rules, X, y, arguments),
        cv=arguments.folds,
        reference=arguments.reference,
    )
    print(f"\nReport: {arguments.out}")


def score(
    rules: dict[str, Any], X: pd.DataFrame, y: pd.Series, arguments: argparse.Namespace
) -> pd.DataFrame:
    n_animals = X.index.unique("subject").size
    print(f"{len(X)} trials of {n_animals} animals, {arguments.folds} folds by animal")
    brief = [name for name in rules if name in NETWORKS and not arguments.full]
    if brief:
        print(f"{' and '.join(brief)} trained briefly: --full takes ten times as long")
    cache, n_jobs = arguments.cache, arguments.jobs
    return compare_rules(rules, X, y, cv=arguments.folds, cache=cache, n_jobs=n_jobs)


def choose_rules(arguments: argparse.Namespace) -> dict[str, Any]:
    rules = {name: RULES[name] for name in dict.fromkeys([*arguments.rules, arguments.reference])}
    if not arguments.full:
        for name in set(NETWORKS) & set(rules):
            rules[name] = type(RULES[name])(random_state=0, **BRIEF)
    return rules


# ------------------------------------------------------------------------------------- tables


def read_design(arguments: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Return X and y, each animal's first trials only if so asked."""
    names = {name: getattr(arguments, name) for name in (*COLUMNS, "stimulus", "answer")}
    X, y, _ = make_design(read_table(arguments.table), **names)
    if arguments.max_trials is None:
        return X, y
    early = X.index.get_level_values("trial") < arguments.max_trials
    return X[early], y[early]


def read_table(path: str) -> pd.DataFrame:
    """Return the table of trials that a file holds."""
    suffix = next((suffix for suffix in READERS if path.lower().endswith(suffix)), None)
    if suffix is None:
        raise ValueError(f"TABLE should end in {', '.join(READERS)}, got {path!r}.")
    if not Path(path).is_file():
        raise ValueError(f"There is no file {path!r}.")
    try:
        trials: pd.DataFrame = READERS[suffix](path)
    except Exception as error:  # of pandas, pyarrow, gzip
        raise ValueError(f"{path!r} cannot be read as a table: {error}") from error
    if READERS[suffix] is pd.read_csv and set(IBL_COLUMNS) <= set(trials):
        return load_ibl_trials(path)
    return trials


if __name__ == "__main__":
    main(sys.argv[1:])
