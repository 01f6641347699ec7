"""Uses of a fitted estimator that would answer another question than was asked."""

from __future__ import annotations

import sys
from types import FrameType


def refuse_changed_columns(name: str) -> None:
    """Raise if scikit-learn's inspection tools ask for the predictions.

    They permute or overwrite a column of X: not only the stimulus of the choice to be predicted,
    but those of all trials before, from which the animal learned. X does not show it, so the
    callers are looked at, which takes microseconds, in the process or worker that predicts.

    Parameters
    ----------
    name : str
        The estimator's class, for the message.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.startswith("sklearn.inspection."):
            tool = module.rpartition(".")[2].lstrip("_")
            by_column = tool == "permutation_importance"
            instead = "column_importance" if by_column else "psychometric_table"
            raise ValueError(
                f"scikit-learn's {tool} changes past stimuli, too, from which {name} has learned, "
                f"and so answers another question: use sklearn_learnrule.inspection.{instead}."
            )
        frame = frame.f_back
