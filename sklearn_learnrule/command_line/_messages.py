"""What is wrong, in a sentence, in the words of the shell."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

PROGRAM = "python -m sklearn_learnrule"
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


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(in_shell(message).split())}\n")


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
