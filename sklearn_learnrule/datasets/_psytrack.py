"""Data of PsyTrack, to and from a table of trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_scalar

from ..data import TRIALS, check_trials
from ..data.stimuli import as_stimuli
from ..data.tables import as_labels, as_names, as_numbers, two_labels
from ..utils.texts import short
from ._layout import Layout, Names

CODES = ((0, 1), (1, 2))  # of choices and answers: left, right


def from_psytrack(
    D: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    inputs: Names | Mapping[str, int],
    verbose: bool = True,
) -> pd.DataFrame:
    """Make a table of trials of the dict that PsyTrack fits, or of many animals' dicts.

    Parameters
    ----------
    D : dict, or list of dicts
        One animal's: its ``name``; ``y``, the choices, 1 and 2 or 0 and 1, the second right;
        ``inputs``, a dict of arrays (n_trials,) or (n_trials, n_columns). If they are there,
        ``dayLength``, the number of trials of each session (else there is one), and ``answer``, the
        correct choices. Rewards are ``r``, else ``correct``, else whether ``y`` is the answer.
    inputs : str, list of str, or dict
        The inputs that are stimuli, of each the first column. A dict says how many columns, as
        PsyTrack's ``weights`` do: ``{"s1": 2}`` makes "s1" and "s1_1", the second column, one trial
        further back. Inputs that tell of earlier trials, such as "c" and "h", may be among them:
        they become weights of the policy beside the rule's. "bias" is passed over, as every
        policy has one.
    verbose : bool, default=True
        Whether to print what was read and what was left out.

    Returns
    -------
    trials : DataFrame
        ``subject``, ``session`` (1, 2, ...), ``stimulus`` (or the several, named as the inputs),
        ``choice`` and ``answer`` (1 for right, else 0) and ``reward``.

    Raises
    ------
    ValueError
        If something is missing, of another length or coded otherwise.

    See Also
    --------
    to_psytrack : The way back.

    Examples
    --------
    >>> D = {"name": "W053", "y": np.array([2, 1, 2]), "answer": np.array([2, 2, 2]),
    ...      "inputs": {"s1": np.array([[0.5], [1.2], [0.3]])}, "dayLength": np.array([2, 1])}
    >>> from_psytrack(D, inputs="s1")
    2 sessions of 1 subject; trials: read 3, kept 3
      subject  session  stimulus  choice  answer  reward
    0    W053        1       0.5       1       1     1.0
    1    W053        1       1.2       0       1     0.0
    2    W053        2       0.3       1       1     1.0
    """
    wanted = _wanted(inputs)
    stimuli = [f"{name}_{k}" if k else name for name, n in wanted.items() for k in range(n)]
    if isinstance(D, np.ndarray) and D.ndim == 0:
        raise ValueError("D is an array that holds the dict, as np.load returns it: give D.item().")
    sets = [D] if isinstance(D, Mapping) else list(D) if isinstance(D, Iterable) else []
    if not sets or not all(isinstance(each, Mapping) for each in sets):
        raise ValueError(f"D should be a dict, or a list of an animal's each, got {short(D)}.")
    parts = []
    for number, each in enumerate(sets):
        layout = Layout(stimuli, "choice", "reward", "answer" if "answer" in each else None)
        place = f"D of {short(each['name'])}" if "name" in each else f"D (number {number})"
        try:
            table = _outcomes(each).assign(**dict(zip(stimuli, _inputs(each, wanted), strict=True)))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        parts.append(layout.read(table, place))
    return layout.join(parts, verbose)


def _wanted(inputs: Any) -> dict[str, int]:
    """Return how many columns of each input are stimuli."""
    counts = inputs if isinstance(inputs, Mapping) else dict.fromkeys(as_names(inputs, "inputs"), 1)
    if not all(isinstance(n, int | np.integer) and n >= 0 for n in counts.values()):
        raise ValueError(
            f"inputs should say how many columns of each, such as {{'s1': 2}}, got {short(inputs)}."
        )
    wanted = {name: n for name, n in counts.items() if name != "bias" and n > 0}
    if not wanted:
        raise ValueError(f"inputs should name an input, or several, got {short(inputs)}.")
    names = [f"{name}_{k}" if k else name for name, n in wanted.items() for k in range(n)]
    taken = {*TRIALS.identity, *TRIALS.names("outcome")}
    if clash := [name for name in names if name in taken or names.count(name) > 1]:
        raise ValueError(f"An input would be a second column {clash[0]!r}: rename it in D.")
    return wanted


def _inputs(D: Mapping[str, Any], wanted: Mapping[str, int]) -> list[NDArray[Any]]:
    """Return the columns of inputs that are wanted, (n_trials,) each."""
    if not isinstance(D["inputs"], Mapping):
        raise ValueError(
            "'inputs' should be a dict of arrays, such as {'s1': array}, but is of type "
            f"{type(D['inputs']).__name__}."
        )
    columns: list[NDArray[Any]] = []
    for name, n in wanted.items():
        if name not in D["inputs"]:
            raise ValueError(f"there is no input {name!r} among {list(D['inputs'])}.")
        array = np.asarray(D["inputs"][name])
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or len(array) != len(D["y"]) or array.shape[1] < n:
            raise ValueError(
                f"input {name!r} should be of shape ({len(D['y'])}, {n}) or have more columns, but "
                f"is {np.shape(D['inputs'][name])}."
            )
        columns += list(array[:, :n].T)
    return columns


def _outcomes(D: Mapping[str, Any]) -> pd.DataFrame:
    """Return whose and which the trials are, choices, answers and rewards."""
    for name in ("name", "y", "inputs"):
        if name not in D:
            raise ValueError(f"there is no {name!r} among {list(D)}.")
    animal = np.asarray(D["name"])[()]
    if not is_scalar(animal) or pd.isna(animal):
        raise ValueError(f"'name' should be that of one animal, got {short(D['name'])}.")
    y = _of_trials(D, "y")
    answer = _of_trials(D, "answer", len(y)) if "answer" in D else y
    sides = np.concatenate([y, answer])
    if missing := int(pd.isna(sides).reshape(2, -1).any(axis=0).sum()):
        raise ValueError(
            f"y or answer is missing (NaN) on {missing} of {len(y)} trials: drop these from y, "
            "answer, inputs and rewards, and take them off dayLength."
        )
    codes = [code for code in CODES if np.isin(sides, code).all()]
    if len(codes) != 1:
        found = ", ".join(map(short, np.unique(sides)[:6]))
        raise ValueError(
            f"y and answer should hold 1 and 2, or 0 and 1, left and right, but hold {found}."
        )
    paid = next((name for name in ("r", "correct") if name in D), None)
    if paid is None and "answer" not in D:
        raise ValueError("there are no rewards: neither 'r' nor 'correct' nor 'answer'.")
    days = _days(D.get("dayLength", [len(y)]), len(y))
    right = codes[0][1]
    table = pd.DataFrame(
        {
            "subject": animal,
            "session": np.repeat(np.arange(1, len(days) + 1), days),
            "choice": (y == right).astype(int),
            "reward": (y == answer).astype(float) if paid is None else _of_trials(D, paid, len(y)),
        }
    )
    return table.assign(answer=(answer == right).astype(int)) if "answer" in D else table


def _days(lengths: Any, n_trials: int) -> NDArray[np.int64]:
    """Return how many trials each session has."""
    try:
        days = np.asarray(lengths, dtype=float)
    except (TypeError, ValueError):
        days = np.zeros(())
    if days.ndim != 1 or (days < 0).any() or (days % 1).any() or days.sum() != n_trials:
        found = f"is {short(lengths)}"
        if days.ndim == 1:
            found = f"sums to {days.sum():g}: {short(np.asarray(lengths).tolist())}"
        raise ValueError(
            f"dayLength should be a list of whole numbers that sum to {n_trials}, the trials, but "
            f"{found}."
        )
    return days.astype(np.int64)


def _of_trials(D: Mapping[str, Any], name: str, n_trials: int | None = None) -> NDArray[Any]:
    """Return an array of one value a trial."""
    array = np.asarray(D[name])
    if array.ndim != 1 or n_trials not in (None, len(array)):
        expected = "one value a trial" if n_trials is None else f"one value for {n_trials} trials"
        raise ValueError(f"{name!r} should hold {expected}, but is of shape {array.shape}.")
    return array


def to_psytrack(trials: Any, *, stimulus: str | Sequence[str] = "stimulus") -> dict[str, Any]:
    """Make the dict that PsyTrack fits of one animal's table of trials.

    Parameters
    ----------
    trials : DataFrame of pandas, polars or another library, or pyarrow Table
        As every loader returns it (see :func:`~sklearn_learnrule.data.check_trials`).
    stimulus : str or list of str, default="stimulus"
        The stimulus column or columns, which become inputs.

    Returns
    -------
    D : dict
        ``name``; ``y`` (1 and 2, of the first and the second label of choice); ``r``, the rewards;
        ``dayLength``; ``inputs``, arrays (n_trials, 1); and, if the table has an answer, ``answer``
        (as ``y``) and ``correct`` (0 and 1).

    Raises
    ------
    ValueError
        If the table is none of trials, or has more than one animal.

    See Also
    --------
    from_psytrack : The way back.

    Examples
    --------
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> D = to_psytrack(make_learning_cohort(1, 500, length_spread=0))
    >>> sorted(D)
    ['answer', 'correct', 'dayLength', 'inputs', 'name', 'r', 'y']
    >>> D["y"].shape, D["inputs"]["stimulus"].shape
    ((500,), (500, 1))
    """
    table = check_trials(trials, stimulus=stimulus)
    subjects = table["subject"].unique()
    if len(subjects) > 1:
        raise ValueError(
            f"PsyTrack fits one animal at a time, but the table has {len(subjects)}: give "
            f"trials[trials['subject'] == {short(subjects[0])}]."
        )
    labels = two_labels(table["choice"], "column 'choice'")

    def side(name: str) -> NDArray[Any]:
        return 1 + (as_labels(table[name], f"column {name!r}") == labels[1]).astype(int)

    def numbers(name: str) -> NDArray[Any]:
        return as_numbers(table[name], f"Column {name!r}", pd.Index(table["subject"]))

    y = side("choice")
    D = {
        "name": subjects[0],
        "y": y,
        "r": numbers("reward"),
        "dayLength": table.groupby("session", sort=False, observed=True).size().to_numpy(),
        "inputs": {name: numbers(name)[:, None] for name in as_stimuli(stimulus)},
    }
    if "answer" in table:
        answer = side("answer")
        D |= {"answer": answer, "correct": (y == answer).astype(int)}
    return D
