"""From estimators and trials to a report."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state, check_scalar
from tqdm import tqdm

from ..data.sequences import Sequences, has_identity, read_sequences, session_numbers, subjects_of
from ..data.tables import as_labels, number_classes
from ..estimators.classes import read_classes
from ..model_selection import read_folds
from ..utils.files import replacing, write_csv
from ..utils.warn import warn
from . import _comparison
from ._html import render
from ._models import Model, fit_models, name_models
from ._parts import Failure, Note, Picture, Question, Section, Shown, Table, exhibit_models
from ._provenance import PACKAGE, describe_data, provenance, versions
from ._sections import SECTIONS

SUFFIX = ".html"
TOLD = (UserWarning, RuntimeWarning)  # those of fits that fail, or do not converge, are such


def write_report(
    estimators: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    path: str | PathLike[str] = "report.html",
    *,
    title: str = "Learning rules",
    compare: bool | pd.DataFrame = True,
    cv: Any = None,
    reference: str | None = None,
    n_simulations: int = 100,
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> Path:
    """Write all that there is to see of some rules into one file to mail, or into a folder.

    Which rule predicts held-out animals; each rule in pictures, its asymmetries and the nearest
    textbook rule; weights, psychometric and learning curves; checks; parameters with standard
    errors; who each animal is and how groups differ, if parameters vary by animal; and what the
    report was made with. What cannot be made of a model is told in a
    sentence in its place, and the rest is written.

    Parameters
    ----------
    estimators : classifier, list of them, result of cross_validate, or dict of these by name
        A dict holds models to be compared; a list holds fits of one, such as
        :func:`~sklearn_learnrule.inspection.bootstrap_fits`, and gives bands. Clones of those that
        are not fitted are fitted to all of X. Any classifier is taken: what has no rule is
        compared, and its choices are shown.
    X, y : DataFrame and Series from :func:`~sklearn_learnrule.make_design`
    path : str or path, default="report.html"
        A file that ends in .html: it holds all pictures and needs no other file. Else a
        folder: the same file, report.html, beside each picture as PNG and, as CSV, each table that
        is shown or drawn.
    title : str, default="Learning rules"
    compare : bool or DataFrame, default=True
        Whether to compare the models on held-out animals, by refitting them to each fold; or
        the table of :func:`~sklearn_learnrule.compare_rules`, if that has been done.
    cv : int, splitter, iterable or None, default=None
        The folds. None: five of animals, or as many as there are animals.
    reference : str or None, default=None
        The model that the others are compared with; None: "REINFORCE" if so named, else the first.
    n_simulations : int, default=100
        Cohorts of twins of each model, see :func:`~sklearn_learnrule.simulation.predictive_check`.
    random_state : int, RandomState or None, default=0
        Seeds what is drawn for the pictures and the twins; estimators have their own.
    n_jobs : int or None, default=None
        Fits of the comparison at a time. What they warn of is in the report if it is None or 1.
    verbose : int, default=1
        Whether to show progress.

    Returns
    -------
    Path
        As given.

    Raises
    ------
    ValueError, TypeError
        Before any work, where X, y, the estimators or an option make no sense; or if no
        estimator can be fitted.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(4, 100, random_state=0))
    >>> rules = {"REINFORCE": ReinforceRuleEstimator(baseline=None)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_report(rules, X, y, folder + "/mice.html", n_simulations=2, verbose=0)
    ...     path.name, "Which rule predicts held-out animals?" in path.read_text(encoding="utf-8")
    ('mice.html', True)
    """
    named = name_models(estimators)
    sequences, y = _read(X, y)
    check_scalar(n_simulations, "n_simulations", int, min_val=1)
    check_random_state(random_state)
    cv = list(cv) if isinstance(cv, Iterator) else cv  # which is read twice
    if cv is not None and compare is True:
        read_folds(cv, X, y)
    reference = _comparison.check(compare, reference, list(named), X)
    path = _prepare(Path(path))
    n_sessions = _count_sessions(X)
    question = Question(X, y, n_sessions.max(), n_simulations, random_state, verbose)
    with _caught() as told, _drawing():
        models, unfitted = fit_models(named, X, y, verbose=verbose)
        sections = []
        if reference is not None:
            scores = compare if isinstance(compare, pd.DataFrame) else None
            sections.append(_comparison.compare(models, scores, reference, question, cv, n_jobs))
        sections += _look(models, question)
    settings = {"random_state": random_state, "cv": cv, "n_simulations": n_simulations}
    sections += [_warned(told), provenance(models, settings)]
    byline = f"{datetime.now():%d %B %Y, %H:%M} · sklearn_learnrule {versions()[PACKAGE]}"
    data = describe_data(sequences, y, n_sessions)
    _save(path, render(title, byline, data, unfitted, sections), sections)
    _tell(path, told, unfitted + _failures(sections))
    return path


def _read(X: Any, y: Any) -> tuple[Sequences, pd.Series]:
    """Check X and y before any work."""
    if not has_identity(X):
        raise TypeError(
            "X should be the DataFrame that make_design returns, with its index, got "
            f"{type(X).__name__}."
        )
    sequences = read_sequences(X)
    check_consistent_length(X, y)
    labels = np.asarray(y)
    sequences.check_choices(number_classes(labels, read_classes(as_labels(y, "y"), sequences)))
    return sequences, pd.Series(labels, X.index)


def _prepare(path: Path) -> Path:
    """Make room for the report before any work."""
    if path.suffix == SUFFIX:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif path.is_file() or (path.suffix and not path.is_dir()):
        raise ValueError(f"path should end in {SUFFIX} or be a folder, got {str(path)!r}.")
    else:
        path.mkdir(parents=True, exist_ok=True)
    return path


def _count_sessions(X: pd.DataFrame) -> pd.Series:
    """Return how many sessions each animal had, 0 where X does not tell."""
    subjects = np.asarray(subjects_of(X))
    known = "session" in X.index.names or "session" in X
    numbers = session_numbers(X) if known else np.zeros(len(X), dtype=int)
    return pd.Series(numbers).groupby(subjects).max()


@contextmanager
def _caught() -> Iterator[dict[tuple[type[Warning], str], None]]:
    """Yield what will have been warned of, each warning once, in order."""
    told: dict[tuple[type[Warning], str], None] = {}
    with warnings.catch_warnings(record=True) as caught:
        for category in TOLD:
            warnings.simplefilter("always", category)
        yield told
    told |= {(each.category, str(each.message)): None for each in caught}


@contextmanager
def _drawing() -> Iterator[None]:
    """Draw dark on white whatever the user's style, and leave no figure behind."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    try:
        with plt.style.context("default"), plt.ioff():
            yield
    finally:
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)


def _look(models: list[Model], question: Question) -> list[Section]:
    """Make every exhibit of every model."""
    sections = []
    n_exhibits = sum(map(len, SECTIONS.values()))
    with tqdm(total=n_exhibits, desc="look", unit="exhibit", disable=not question.verbose) as bar:
        for title, exhibits in SECTIONS.items():
            sections.append(Section(title))
            for exhibit in exhibits:
                bar.set_postfix_str(exhibit.name)
                sections[-1].exhibits.append(exhibit_models(exhibit, models, question))
                bar.update()
    return sections


def _failures(sections: list[Section]) -> list[str]:
    parts = [part for section in sections for shown in section.exhibits for _, part in shown.parts]
    return [part.text for part in parts if isinstance(part, Failure)]


def _warned(told: dict[tuple[type[Warning], str], None]) -> Section:
    lines = [Note(f"{category.__name__}: {message}") for category, message in told]
    nothing = Note("Nothing was warned of while the models were fitted, compared and looked at.")
    parts: Any = [(None, line) for line in lines or [nothing]]
    return Section("Warnings", [Shown("warnings", "", parts)])


def _save(path: Path, page: str, sections: list[Section]) -> None:
    """Write the page and, into a folder, every picture and table in the order of the page."""
    alone = path.suffix == SUFFIX and not path.is_dir()
    with replacing(path if alone else path / f"report{SUFFIX}") as file:
        file.write_text(page, encoding="utf-8")
    if alone:
        return
    for number, section in enumerate(sections, 1):
        for shown in section.exhibits:
            for model, part in shown.parts:
                names = [f"{number:02d}", shown.name, getattr(part, "kind", "")]
                name = "-".join(filter(None, [*names, model.slug if model else ""]))
                if isinstance(part, Picture):
                    with replacing(path / f"{name}.png") as file:
                        file.write_bytes(part.png)
                if isinstance(part, Picture | Table) and part.table is not None:
                    write_csv(part.table, path / f"{name}.csv")


def _tell(path: Path, told: dict[tuple[type[Warning], str], None], failures: list[str]) -> None:
    """Warn of what is in the report, now that it is written."""
    for category, message in told:
        warn(message, category)
    if failures:
        warn(
            f"{len(failures)} part(s) of {path} could not be made, as is said there: {failures[0]}",
        )
