"""
Which learning rule predicts held-out animals best?
===================================================

Here of simulated mice, so that the truth is known: they learn by REINFORCE. The networks should
find as much without being told, and the constant policy fall behind::

    python examples/compare_rules.py
    python examples/compare_rules.py --rules constant REINFORCE

It is done by the command that compares rules on a table of yours::

    python -m sklearn_learnrule compare mice.csv --choice response --rules REINFORCE DNN
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sklearn_learnrule.__main__ import main as run_command
from sklearn_learnrule.datasets import make_learning_cohort


def main() -> None:
    trials = make_learning_cohort(n_subjects=15, n_trials=1000, random_state=1)
    with TemporaryDirectory() as folder:
        table = Path(folder) / "simulated_mice.csv"
        trials.to_csv(table, index=False)
        run_command(["compare", str(table), *sys.argv[1:]])


if __name__ == "__main__":
    main()
