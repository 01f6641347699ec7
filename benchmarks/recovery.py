"""How well true rules are recovered, against the published RMSE of Liu, Geadah & Pillow (2025).

    python benchmarks/recovery.py                  # all, or what an earlier run left undone
    python benchmarks/recovery.py --fits base "start 2" --trainings ours
    python benchmarks/recovery.py --table          # tables and figure of what has been run
    python benchmarks/recovery.py --quick          # a smoke run: a few animals each

The RMSE is that of the stimulus weight's update over a grid of stimuli, choices, weights and biases
(``_recovery_cohorts.py``). Every finished fit is a few rows in the CSV beside this script, among
them the log-likelihood per trial of new animals; a killed run loses the fit it was in.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import torch
from _recovery_cohorts import STIMULI, Cohort, Grid, HoldAllButFirst, simulate
from _recovery_tables import draw, render
from skorch.callbacks import GradientNormClipping, LRScheduler
from tqdm import tqdm

import sklearn_learnrule as lr
from sklearn_learnrule.inspection import history_table
from sklearn_learnrule.utils.files import replacing

RESULTS = Path(__file__).with_suffix(".csv")
KEYS = ["fit", "training", "seed"]
COLUMNS = [*KEYS, "measure", "value", "seconds"]
N_PROBED = 10  # animals whose trials histories are made of
N_NEW, NEW_SEED = 300, 1000  # of animals that no fit has seen, for the log-likelihood per trial


# ------------------------------------------------------------------------ what is measured


def error(estimator: Any, cohort: Cohort, X: pd.DataFrame) -> dict[str, float]:
    """Return the RMSE of the update and, for scale, that of no learning at all."""
    del X
    grid = Grid.published()
    true = grid.true_update(cohort.true_rule(cohort.rules[0]))
    inferred = grid.inferred_update(estimator, cohort.n_distractors)
    return {"RMSE": rms(inferred - true), "RMSE of no learning": rms(true)}


def place_between(estimator: Any, cohort: Cohort, X: pd.DataFrame) -> dict[str, float]:
    """Return where the update is on the way from the first true rule, 0, to the second, 1."""
    del X
    grid = Grid.published()
    first, second = (grid.true_update(cohort.true_rule(name)) for name in cohort.rules)
    inferred, way = grid.inferred_update(estimator, 0), second - first
    place = ((inferred - first) @ way / (way @ way)).item()
    return {
        "place": place,
        f"RMSE to {cohort.rules[0]}": rms(inferred - first),
        f"RMSE to {cohort.rules[1]}": rms(inferred - second),
        "RMSE to the place between": rms(inferred - first - place * way),
    }


def after_runs(estimator: Any, cohort: Cohort, X: pd.DataFrame) -> dict[str, float]:
    """Return the update after runs of trials, at weight 0 and bias 0 after a correct choice."""
    del cohort
    unbiased = X[X["own_bias"] == 0]
    names = unbiased.index.unique("subject")[:N_PROBED]
    table = history_table(
        estimator,
        unbiased.loc[names],
        stimuli={"stimulus": STIMULI},
        weights={"own_bias": 1.0},
    )
    mean = table.groupby(["run", "length"])["update_stimulus"].mean()
    return {f"{run} {length}": value for (run, length), value in mean.items()}


def rms(values: torch.Tensor) -> float:
    return values.square().mean().sqrt().item()


# ------------------------------------------------------------------------- what is trained


@dataclass(frozen=True)
class Fit:
    """A cohort, an estimator, and what is measured of it.

    ``start_error`` is that of the assumed start, ``paper_epochs`` are those published for such a
    cohort, and ``ours`` is what our training does otherwise for this one.
    """

    cohort: Cohort = Cohort()
    estimator: type[Any] = lr.DNNRuleEstimator
    measure: Callable[..., dict[str, float]] = error
    start_error: float = 0.0
    paper_epochs: int = 8
    ours: dict[str, Any] = field(default_factory=dict)
    trainings: tuple[str, ...] = ("paper", "ours")


def paper_training(fit: Fit) -> Any:
    """The published training: one animal at a time, Adam, the start taken as known."""
    drop = LRScheduler("StepLR", step_size=5, gamma=0.2)
    return fit.estimator(
        lr=3e-3,
        batch_size=1,
        max_epochs=fit.paper_epochs,
        train_initial_weights=False,
        callbacks=[("hold", HoldAllButFirst()), ("drop", drop)],
        **network_parameters(fit),
    )


def our_training(fit: Fit) -> Any:
    """Larger batches and rates, about 1,000 clipped steps, wider layers, the start is fitted.

    Through hundreds of trials gradients explode: the second one of a fit was 1,400 times the
    median one, and without clipping its network never came back.
    """
    n_animals = fit.cohort.n_animals
    max_epochs = 20_000 // n_animals
    fall = LRScheduler("CosineAnnealingLR", T_max=max_epochs)  # to 0
    clip = GradientNormClipping(0.1)
    how: dict[str, Any] = {
        "lr": 0.01,
        "batch_size": 20,
        "max_epochs": max_epochs,
        "early_stopping": n_animals < 100,
        "n_iter_no_change": 100,
        "hidden_sizes": (64, 64),
        "callbacks": [("hold", HoldAllButFirst()), ("clip", clip), ("fall", fall)],
        **network_parameters(fit),
    }
    return fit.estimator(**how | fit.ours)


def network_parameters(fit: Fit) -> dict[str, Any]:
    start = fit.cohort.start + fit.start_error
    return {
        "initial_weights": [start, 1.0, *[0.0] * (fit.cohort.n_distractors + 1)],
        "session_input": False,
        "answer_input": False,
        "truncation": None,
        "n_ensemble": 1,
        "mirror": False,
        "gradient_clip_value": float("inf"),  # but see our_training
        "average": False,
        "weight_decay": 0.0,
    }


def true_form(fit: Fit) -> Any:
    """The true rule, of which the learning rates alone are to be found."""
    return fit.estimator(initial_weights=[fit.cohort.start, 1.0, 0.0], train_initial_weights=False)


TRAININGS = {"paper": paper_training, "ours": our_training, "true form": true_form}

# Ours has these or not as new animals were predicted better: a user, who has no RMSE, can find that
# out. What was not chosen is fitted as well, for a table of the choices.
SMOOTH = {"activation": "softplus", "hidden_sizes": (32,)}
DECAYED = {"weight_decay": 0.3}
FILTERED = {"process_noise": "learned", "session_noise": 0.0, "initial_std": 0.0}
MIXED = Cohort(rules=("REINFORCE", "maximum likelihood"))
REMEMBERING = Cohort(rules=("eligibility",), learning_rate=2**-5, start=0.0)

FITS: dict[str, Fit] = {
    "base": Fit(),
    **{f"{n} animals": Fit(Cohort(n_animals=n)) for n in (10, 30, 100, 300)},
    "start 0": Fit(Cohort(start=0.0)),
    "start 2": Fit(Cohort(start=2.0)),
    "start 2, smooth": Fit(Cohort(start=2.0), ours=SMOOTH, trainings=("ours",)),
    "noise 1/4": Fit(Cohort(noise=1 / 4)),
    "noise 1/4, filtered": Fit(Cohort(noise=1 / 4), ours=FILTERED, trainings=("ours",)),
    "noise 1/2": Fit(Cohort(noise=1 / 2), ours=FILTERED),
    "noise 1/2, not filtered": Fit(Cohort(noise=1 / 2), trainings=("ours",)),
    "noise 1": Fit(Cohort(noise=1.0), ours=FILTERED),
    "noise 1, not filtered": Fit(Cohort(noise=1.0), trainings=("ours",)),
    **{f"start off by {off}": Fit(start_error=off) for off in (0.5, 1, 2)},
    **{f"{n} distractors": Fit(Cohort(n_distractors=n)) for n in (1, 3, 10)},
    **{f"{n} distractors": Fit(Cohort(n_distractors=n), ours=DECAYED) for n in (30, 100)},
    **{
        f"{n} distractors, not decayed": Fit(Cohort(n_distractors=n), trainings=("ours",))
        for n in (30, 100)
    },
    **{
        f"{n} distractors, 3000 animals": Fit(Cohort(n_animals=3000, n_distractors=n))
        for n in (1, 3, 10, 30, 100)
    },
    "maximum likelihood": Fit(Cohort(rules=("maximum likelihood",))),
    "RewardMax": Fit(Cohort(rules=("RewardMax",))),
    "mixed": Fit(MIXED, measure=place_between),
    "history, DNN": Fit(REMEMBERING, measure=after_runs),
    "history, RNN": Fit(REMEMBERING, lr.RNNRuleEstimator, after_runs),
    "history, true form": Fit(
        REMEMBERING, lr.EligibilityRuleEstimator, after_runs, trainings=("true form",)
    ),
    "300 x 2000": Fit(Cohort(300, 2000, learning_rate=2**-6), paper_epochs=20),
    "1000 x 8000": Fit(Cohort(1000, 8000, learning_rate=2**-8), paper_epochs=40),
}


# ------------------------------------------------------------------------------- the run


def run(
    names: list[str], trainings: list[str], seeds: list[int], results: Path, jobs: int, quick: bool
) -> None:
    """Fit what the CSV lacks, and append it."""
    done = set(finished(results)[KEYS].itertuples(index=False, name=None))
    todo = [
        joblib.delayed(fit_and_measure)(name, training, seed, quick)
        for seed in seeds
        for name in names
        for training in FITS[name].trainings
        if training in trainings and (name, training, seed) not in done
    ]
    tables = joblib.Parallel(jobs, return_as="generator_unordered")(todo)
    for table in tqdm(tables, total=len(todo), unit="fit"):
        add(table, results)


def add(table: pd.DataFrame, results: Path) -> None:
    """Append to the CSV, which is whole whenever it is looked at."""
    with replacing(results) as file:
        if results.exists():
            shutil.copyfile(results, file)
        table.to_csv(file, mode="a", header=not results.exists(), index=False)


def fit_and_measure(name: str, training: str, seed: int, quick: bool) -> pd.DataFrame:
    """Return the rows of one fit, as they stand in the CSV."""
    torch.set_num_threads(1)
    fit = FITS[name]
    estimator = TRAININGS[training](fit).set_params(random_state=seed)
    if quick:
        fit = replace(fit, cohort=replace(fit.cohort, n_animals=6, n_trials=60))
    if quick and training != "true form":
        estimator.set_params(max_epochs=1)
    X, y = simulate(fit.cohort, seed)
    start = time.process_time()  # others may share the machine
    estimator.fit(X, y)
    seconds = round(time.process_time() - start, 1)
    measured = fit.measure(estimator, fit.cohort, X)
    new = fit.cohort if quick else replace(fit.cohort, n_animals=N_NEW)
    measured["score of new animals"] = estimator.score(*simulate(new, NEW_SEED + seed))
    rows = [(name, training, seed, what, value, seconds) for what, value in measured.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def finished(results: Path) -> pd.DataFrame:
    return pd.read_csv(results) if results.exists() else pd.DataFrame(columns=COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS), metavar="FIT")
    parser.add_argument("--trainings", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time, default 2")
    parser.add_argument("--results", type=Path, help="the CSV to go on with")
    parser.add_argument("--quick", action="store_true", help="a few animals, one epoch")
    parser.add_argument("--table", action="store_true", help="fit nothing")
    arguments = parser.parse_args()
    results = arguments.results or RESULTS
    if arguments.quick and arguments.results is None:
        results = Path(tempfile.mkdtemp()) / RESULTS.name
    if not arguments.table:
        run(
            arguments.fits,
            arguments.trainings,
            arguments.seeds,
            results,
            arguments.jobs,
            arguments.quick,
        )
    print(render(finished(results)))
    draw(finished(results), results.with_suffix(".png"))


if __name__ == "__main__":
    main()
