"""The options of both commands."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from ._messages import Parser
from ._rules import DEFAULT_RULES, RULES

COLUMNS = ("session", "choice", "reward")

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
    work.add_argument("--habits", action="store_true",
                      help="choices may also lean on what was chosen, paid and seen before, on the "
                           "last trial and lastingly")  # fmt: skip
    work.add_argument("--drift", action="store_true",
                      help="weights may also drift, by noise that is fitted; takes far "
                           "longer")  # fmt: skip
    work.add_argument("--full", action="store_true",
                      help="train networks in full, ten times as long, or three times with "
                           "--drift")  # fmt: skip
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


def can_draw() -> bool:
    return find_spec("matplotlib") is not None
