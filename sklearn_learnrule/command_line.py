"""Learning rules from the shell: ``python -m sklearn_learnrule compare mice.csv``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from . import estimators
from .data.design import make_design
from .datasets import IBL_COLUMNS, from_files, load_ibl_trials
from .model_selection import compare_rules, rank_rules
from .plotting import ComparisonDisplay
from .report import write_report
from .utils.files import replacing
from .utils.tasks import WorkerDiedError

PROGRAM = "python -m sklearn_learnrule"
INSTALL = "install matplotlib, or sklearn_learnrule[plot]"
COLUMNS = ("session", "choice", "reward")
RULES: dict[str, Any] = {
    "constant": estimators.ConstantRuleEstimator(),
    "REINFORCE": estimators.ReinforceRuleEstimator(),
    "REINFORCE, no baseline": estimators.ReinforceRuleEstimator(baseline=None),
    "RewardMax": estimators.RewardMaxRuleEstimator(),
    "PredictMax": estimators.PredictMaxRuleEstimator(),
    "eligibility": estimators.EligibilityRuleEstimator(),
    "Pearce-Hall": estimators.PearceHallRuleEstimator(),
    "actor-critic": estimators.ActorCriticRuleEstimator(),
    "Q-learning": estimators.QLearningRuleEstimator(),
    "DNN": estimators.DNNRuleEstimator(random_state=0),
    "RNN": estimators.RNNRuleEstimator(random_state=0),
}
NETWORKS = ("DNN", "RNN")
DEFAULT_RULES = ("constant", "REINFORCE", *NETWORKS)
# A tenth of the default training: the ranking of the rules is clear by then.
BRIEF: dict[str, Any] = {"n_ensemble": 1, "max_epochs": 60, "lr": 3e-3}

IN_SHELL = {
    "make it NaN and count them, make_design(..., missed='count') (in from_files and from_nwb, "
    "name the choices, choices=...)": "name the choices, --choices, and count them, --missed count",
    "make_design(..., answer=...)": "--answer",
    "session=None": "--no-session",
    "say stimulus=None": "give --stimulus no column",
    "choices=": "--choices ",
    "keep or trial should": "--restart and --covariates should",
    "n_jobs": "--jobs",
    "cache=...": "--cache FOLDER",
    ", by prepare=": " in the file",
    "unrecognized arguments": "unrecognized arguments (many files are one TABLE, in quotes)",
}
"""What messages name in Python, and what it is called here."""
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
  One row a trial, each animal's in the order in which it made them, and columns
    subject   the animal
    session   the session or day
    stimulus  what it saw, a number or a name: such as contrast, right minus left
    choice    what it chose, one of two or more: such as left or right, 0 or 1
    reward    what it got for that, in numbers: such as 1 or 0
  Name yours by the options if they are called otherwise. Trials without a choice or a reward
  (empty cells) are left out and counted, unless --missed or --unknown-reward says otherwise.
  Many files are one table if their names tell the rest, in quotes:
  'data/{{subject}}_{{session}}.csv'. Training data of the International Brain Laboratory (CSV)
  are recognised by their columns.

example:
  {program} {command} mice.csv --subject mouse --stimulus left right --choice response{more}
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(in_shell(message).split())}\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that is given, by default on the command line."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        with warnings_in_sentences():
            arguments.run(arguments)
    except (ValueError, TypeError, OSError, ImportError, WorkerDiedError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "\nStopped. With --cache, the same command goes on from there.\n")


def in_shell(message: Warning | Exception | str) -> str:
    """Return a message with what it names in Python called as it is in the shell."""
    text = str(message)
    for python, shell in IN_SHELL.items():
        text = text.replace(python, shell)
    return text


@contextmanager
def warnings_in_sentences() -> Iterator[None]:
    """Print what is warned of once, without the line of code that it comes from."""
    told = set()

    def tell(message: Warning | str, *of_code: Any, **further: Any) -> None:
        del of_code, further
        if (text := in_shell(message)) not in told:
            told.add(text)
            print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield


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
    command.add_argument("--figure", type=new_figure, default="compare_rules.png", metavar="FILE",
                         help="where to save the figure (default: compare_rules.png)")  # fmt: skip
    command = add(report, "write all about some rules into a page", REPORT, " --out mice.html")
    command.add_argument("--out", type=new_page, default="report.html", metavar="FILE",
                         help="the page to write (default: report.html)")  # fmt: skip
    command.add_argument("--title", default="Learning rules", help="its heading")
    return parser


def add_options(parser: Parser) -> None:
    """Add what both commands take: a table, its columns, the rules, the folds."""
    parser.add_argument("table", metavar="TABLE",
                        help="a CSV, TSV or Parquet file, or how many are named")  # fmt: skip
    add_table_options(parser)
    add_comparison_options(parser)


def add_table_options(parser: Parser) -> None:
    table = parser.add_argument_group("your table")
    table.add_argument("--subject", nargs="+", default=["subject"], metavar="COLUMN",
                       help="its column of animals, or those that name one together, such as "
                            "lab mouse (default: subject)")  # fmt: skip
    for column in COLUMNS:
        table.add_argument(f"--{column}", default=column, metavar="COLUMN",
                           help=f"its column of {column}s (default: {column})")  # fmt: skip
    table.add_argument("--stimulus", nargs="*", default=["stimulus"], metavar="COLUMN",
                       help="its columns of what was seen; without any, nothing was (default: "
                            "stimulus)")  # fmt: skip
    table.add_argument("--answer", metavar="COLUMN",
                       help="its column of correct choices, if it has one")  # fmt: skip
    table.add_argument("--choices", nargs="+", metavar="LABEL",
                       help="its labels of choice, of two that of the right second; a trial with "
                            "another counts as missed (default: all are choices)")  # fmt: skip
    table.add_argument("--no-session", dest="session", action="store_const", const=None,
                       help="it has none: each animal had one session")  # fmt: skip
    table.add_argument("--missed", choices=("drop", "count"), default="drop",
                       help="trials without a choice: leave them out, or count them, so that "
                            "networks know how many lie between (default: drop)")  # fmt: skip
    table.add_argument("--unknown-reward", choices=("drop", "keep"), default="drop",
                       help="trials with a choice, but without a reward, such as probe trials: "
                            "leave them out, or keep the choice, of which textbook rules "
                            "then learn nothing (default: drop)")  # fmt: skip
    table.add_argument("--restart", nargs="+", metavar="COLUMN",
                       help="its columns, such as block or session, at whose changes animals "
                            "begin to learn anew")  # fmt: skip
    table.add_argument("--covariates", nargs="+", metavar="COLUMN",
                       help="its columns of what an animal is, such as genotype or age: the same "
                            "on all of its trials, and no stimulus")  # fmt: skip
    table.add_argument("--max-trials", type=number, metavar="N",
                       help="keep each animal's first N trials only")  # fmt: skip


def add_comparison_options(parser: Parser) -> None:
    work = parser.add_argument_group("the comparison")
    names = ", ".join(map(repr, RULES))
    work.add_argument("--rules", nargs="+", choices=RULES, default=DEFAULT_RULES, metavar="RULE",
                      help=f"any of: {names} (default: {' '.join(DEFAULT_RULES)})")  # fmt: skip
    work.add_argument("--reference", default="REINFORCE", choices=RULES, metavar="RULE",
                      help="the rule to compare with, which is fitted as well "
                           "(default: REINFORCE)")  # fmt: skip
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
    """Check before hours of work that the file can be written."""
    if not Path(path).parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path!r} should be in a folder that exists")
    if Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{path!r} is a folder: name a file in it")
    return path


def new_figure(path: str) -> str:
    if can_draw():
        from matplotlib.backend_bases import FigureCanvasBase

        formats = FigureCanvasBase.get_supported_filetypes()
        if Path(path).suffix.removeprefix(".").lower() not in formats:
            told = f"{path!r} should end in one of .{', .'.join(sorted(formats))}"
            raise argparse.ArgumentTypeError(told)
    return new_file(path)


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
    if not can_draw():
        print(f"\nTo get the figure as well, {INSTALL}.")
        return
    display = ComparisonDisplay.from_scores(scores, reference=arguments.reference)
    with replacing(arguments.figure) as file:
        display.figure_.savefig(file, dpi=200)
    print(f"\nFigure: {arguments.figure}")


def report(arguments: argparse.Namespace) -> None:
    if not can_draw():
        raise ImportError(f"A report has pictures: {INSTALL}.")
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


def can_draw() -> bool:
    return find_spec("matplotlib") is not None


def score(
    rules: dict[str, Any], X: pd.DataFrame, y: pd.Series, arguments: argparse.Namespace
) -> pd.DataFrame:
    n_animals, n_folds = X.index.unique("subject").size, arguments.folds
    check_folds(n_folds, n_animals)
    print(f"{len(X)} trials of {n_animals} animals, {n_folds} folds by animal")
    if arguments.reference not in arguments.rules:
        print(
            f"{arguments.reference} is fitted as well, to compare with: --reference names another"
        )
    brief = [name for name in rules if name in NETWORKS and not arguments.full]
    if brief:
        print(f"{' and '.join(brief)} trained briefly: --full takes ten times as long")
    print(f"Starting {len(rules) * n_folds} fits; the first may take half a minute", flush=True)
    cache, n_jobs = arguments.cache, arguments.jobs
    return compare_rules(rules, X, y, cv=n_folds, cache=cache, n_jobs=n_jobs)


def check_folds(n_folds: int, n_animals: int) -> None:
    """Raise if animals cannot be held out so."""
    if n_animals == 1:
        raise ValueError(
            "There is one animal, and animals cannot be held out of one. Its later trials can be, "
            "in Python: compare_rules(..., cv=FutureSplit(n_train=...)), see docs/comparison.md."
        )
    if not 2 <= n_folds <= n_animals:
        raise ValueError(
            f"--folds should be from 2 to {n_animals}, the number of animals; got {n_folds}."
        )


def choose_rules(arguments: argparse.Namespace) -> dict[str, Any]:
    rules = {name: RULES[name] for name in dict.fromkeys([*arguments.rules, arguments.reference])}
    if not arguments.full:
        for name in set(NETWORKS) & set(rules):
            rules[name] = type(RULES[name])(random_state=0, **BRIEF)
    return rules


# ------------------------------------------------------------------------------------- tables


def read_design(arguments: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Return X and y, each animal's first trials only if so asked."""
    trials, names = read_trials(arguments)
    gaps: Any = {
        "missed": "error" if arguments.missed == "drop" else "count",
        "unknown_reward": "error" if arguments.unknown_reward == "drop" else "keep",
    }
    restart, covariates = arguments.restart, arguments.covariates
    X, y, _ = make_design(trials, **names, restart=restart, covariates=covariates, **gaps)
    if arguments.max_trials is None:
        return X, y
    early = X.index.get_level_values("trial") < arguments.max_trials
    return X[early], y[early]


def read_trials(arguments: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table of trials, and which of its columns make_design is to be told."""
    names = {name: getattr(arguments, name) for name in ("subject", "stimulus", "answer", *COLUMNS)}
    path, choices = arguments.table, arguments.choices
    if choices is None and is_of_ibl(path):
        return load_ibl_trials(path, verbose=True), names
    further = dict.fromkeys([*(arguments.restart or ()), *(arguments.covariates or ())])
    if names["session"] == "session":  # it is kept as such
        further.pop("session", None)
    trials = from_files(
        path,
        **names,
        choices=choices,
        keep=list(further) or None,
        prepare=None if choices is None else partial(as_typed, [names["choice"], names["answer"]]),
        missed="drop" if arguments.missed == "drop" else "keep",
        unknown_reward=arguments.unknown_reward,
    )
    one, answered = len(names["stimulus"]) == 1, names["answer"] is not None
    return trials, {
        "stimulus": "stimulus" if one else names["stimulus"],
        "answer": "answer" if answered else None,
    }


def is_of_ibl(path: str) -> bool:
    try:
        return set(IBL_COLUMNS) <= set(pd.read_csv(path, nrows=0))
    except Exception:  # no CSV file, or many: from_files tells what is wrong
        return False


def as_typed(names: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    """Return some columns' labels as one types them, as text: 1 and 1.0 are "1"."""

    def typed(label: Any) -> str:
        return f"{label:g}" if isinstance(label, float) else str(label)

    there = [name for name in names if name in table]
    return table.assign(**{name: table[name].map(typed, na_action="ignore") for name in there})
