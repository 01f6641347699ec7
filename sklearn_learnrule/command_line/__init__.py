"""Learning rules from the shell: ``python -m sklearn_learnrule compare mice.csv``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..model_selection import compare_rules, rank_rules
from ..plotting import ComparisonDisplay
from ..report import write_report
from ..utils.files import replacing
from ..utils.tasks import WorkerDiedError
from ._messages import PROGRAM, Parser, warnings_in_sentences
from ._options import TABLE, add_options, can_draw, new_figure, new_page
from ._rules import choose_rules, told_of_training
from ._tables import read_design

INSTALL = "install matplotlib, or sklearn_learnrule[plot]"
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
    if told := told_of_training(rules, arguments):
        print(told)
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
