"""What twelve IBL mice do after a trial: five findings of Liu, Geadah & Pillow (2025), in numbers.

    python benchmarks/mice_rules.py FILE --pictures benchmarks

REINFORCE, the DNN and the RNN rule are fitted to all mice, and anew to mice drawn with
replacement, which gives the intervals; each without process noise, as published, and with it: does
what was found survive once drift is taken for drift? Mirror images would hide what differs between
left and right: not used. FILE is that of ``reproduce_ibl.py``. Finished fits are kept in
``--fits``, a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import load_ibl_trials
from sklearn_learnrule.inspection import (
    asymmetry_table,
    band,
    bootstrap_fits,
    history_table,
    nearest_rules,
    variance_explained,
)
from sklearn_learnrule.plotting import (
    DecompositionDisplay,
    HistoryDisplay,
    UpdateDisplay,
    WeightTrajectoryDisplay,
)
from sklearn_learnrule.utils.files import replacing

KEYS = ["weight", "parameter"]
LENGTHS, TRIALS_BACK = (1, 2, 3, 4), (1, 7, 17, 27)
N_REFITS = 12
# No mirror images: how the sides differ is one of the findings.
ONE = {"n_ensemble": 1, "random_state": 0, "weight_decay": 0.3, "mirror": False}
LONG: dict[str, Any] = ONE | {"lr": 1e-3, "max_epochs": 400}
BRIEF: dict[str, Any] = ONE | {"lr": 3e-3, "max_epochs": 60}  # as in reproduce_ibl.py
NOISY = {"process_noise": "learned"}
MODELS = {
    f"{name}{', noise' * bool(noise)}": make_pipeline(lr.TanhContrast(), rule(**how, **noise))
    for noise in ({}, NOISY)
    for name, rule, how in (
        ("REINFORCE", lr.ReinforceRuleEstimator, {}),
        ("DNN", lr.DNNRuleEstimator, BRIEF if noise else LONG),
        ("RNN", lr.RNNRuleEstimator, BRIEF if noise else LONG),
    )
}
MICE_DRAWN = ("CSHL_001", "CSHL_007", "CSHL_015")


def fit(name: str, X: pd.DataFrame, y: pd.Series) -> tuple[Any, list[Any]]:
    """Return the fit to all mice, and the refits."""
    whole = clone(MODELS[name]).fit(X, y)
    return whole, bootstrap_fits(whole, X, y, n_bootstraps=N_REFITS, random_state=0)


def kept(folder: Path, name: str, make: Callable[[], Any]) -> Any:
    """Return what the folder holds by that name, which is made if it is not there."""
    file = folder / f"{name}.joblib"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = make()
        with replacing(file) as beside:
            joblib.dump(made, beside)
    return joblib.load(file)


# ------------------------------------------------------------------------------ the findings


def parameters(whole: Any, refits: list[Any]) -> pd.DataFrame:
    """Return REINFORCE's learning rates, baselines, and their product: learning without reward."""

    def table(rule: Any) -> pd.DataFrame:
        values = {"rate": rule.learning_rate_, "baseline": rule.baseline_}
        values["rate x baseline"] = rule.learning_rate_ * rule.baseline_
        return pd.DataFrame(values, index=pd.Index(rule.weight_names_, name="weight"))

    spread = pd.concat(table(fit[-1]) for fit in refits).groupby("weight", sort=False)
    columns = {"estimate": table(whole[-1]), "lower": spread.quantile(0.025)}
    columns["upper"] = spread.quantile(0.975)
    return pd.concat(columns, axis=1).stack(future_stack=True).reset_index(names=KEYS)


def gain_by_baseline(whole: Any, X: pd.DataFrame, y: pd.Series) -> str:
    """Return what the baselines gain in likelihood, beside what two idle parameters would."""
    without = clone(whole)
    without[-1].set_params(baseline=None)
    gain = len(y) * (whole.score(X, y) - without.fit(X, y).score(X, y))
    return f"{gain:.1f} nats by two baselines, p = {chi2.sf(2 * gain, 2):.2g}"


def outcomes_and_sides(whole: Any, refits: list[Any], X: pd.DataFrame) -> pd.DataFrame:
    """Return findings 1 to 3, of updates averaged over the trials that the mice lived through."""
    groups = ["contrast", "group", "measure", "weight"]
    estimate = asymmetry_table(whole, X, n_bootstraps=2).set_index(groups)["estimate"]
    bands = band(asymmetry_table(refits, X, n_bootstraps=2), "estimate", by=groups)
    table = bands.set_index(groups)[["lower", "upper"]].join(estimate).reset_index()
    return table[table["contrast"] != "run"]


def nearest(whole: Any, refits: list[Any], X: pd.DataFrame) -> pd.DataFrame:
    """Return finding 4: the share of the updates' variance that each textbook rule explains."""
    keys = ["weight", "rule"]
    estimate = nearest_rules(whole, X).set_index(keys)["r2"].rename("estimate")
    bands = band(nearest_rules(refits, X), "r2", by=keys).set_index(keys)
    return bands[["lower", "upper"]].join(estimate).reset_index()


def reward_gaps(whole: Any, refits: list[Any], X: pd.DataFrame) -> pd.DataFrame:
    """Return finding 5: the update after a rewarded run less that after an unrewarded one.

    At weights 0, after a correct choice of an easy stimulus, times 1000.
    """

    def gaps(fits: Any) -> pd.DataFrame:
        probes = {"lengths": LENGTHS, "trials_back": TRIALS_BACK, "stimuli": [-1.0, 1.0]}
        table = history_table(fits, X, n_warm_up=20, n_draws=8, **probes)
        keys = ["fit", "trials_back", "length"]
        runs = table.pivot_table("update_contrast", keys, "run")
        return (1000 * (runs["rewarded"] - runs["unrewarded"])).rename("gap").reset_index()

    keys = ["trials_back", "length"]
    estimate = gaps(whole).set_index(keys)["gap"].rename("estimate")
    bands = band(gaps(refits), "gap", by=keys).set_index(keys)
    return bands[["lower", "upper"]].join(estimate).reset_index()


def show(title: str, table: pd.DataFrame, digits: int) -> None:
    numbers = table.round(digits)
    interval = "[" + numbers["lower"].astype(str) + ", " + numbers["upper"].astype(str) + "]"
    shown = numbers.drop(columns=["lower", "upper"]).assign(interval=interval)
    print(f"\n{title}\n\n{shown.to_string(index=False)}", flush=True)


# ------------------------------------------------------------------------------ the pictures


def draw(
    fits: dict[str, tuple[Any, list[Any]]], X: pd.DataFrame, y: pd.Series, folder: Path
) -> None:
    """Save the pictures of docs/twelve_mice.md."""
    _, dnn_refits = fits["DNN"]
    rnn, rnn_refits = fits["RNN"]
    save(UpdateDisplay.from_estimator(dnn_refits, X), folder / "mice_update.png")
    histories = history_table(
        rnn_refits, X, lengths=(1, 4), stimuli=np.unique(X["contrast"]), n_warm_up=20, n_draws=4
    )
    save(HistoryDisplay(histories).plot(), folder / "mice_history.png")
    some = X.loc[list(MICE_DRAWN)]
    display = WeightTrajectoryDisplay.from_estimator(rnn, some, subjects=MICE_DRAWN)
    save(display, folder / "mice_weights.png")
    drifting, _ = fits["REINFORCE, noise"]
    some_y = y.loc[list(MICE_DRAWN)]
    display = DecompositionDisplay.from_estimator(drifting, some, some_y, subjects=MICE_DRAWN)
    save(display, folder / "mice_drift.png")


def save(display: Any, file: Path) -> None:
    with replacing(file) as beside:
        display.figure_.savefig(beside, dpi=220)
    print(f"Figure: {file}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="the mice's trials, read by load_ibl_trials")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--fits", type=Path, default=Path("mice_rules_fits"))
    parser.add_argument("--pictures", type=Path, help="the folder for four pictures")
    arguments = parser.parse_args()
    trials = load_ibl_trials(arguments.file, processing="published")
    X, y, _ = lr.make_design(trials, stimulus="contrast", answer="answer")
    fits = {name: kept(arguments.fits, name, partial(fit, name, X, y)) for name in arguments.models}
    pd.set_option("display.width", 200)
    for name, found in fits.items():
        if "REINFORCE" in name:
            show(f"{name}: parameters", parameters(*found), 4)
            print(f"\n{name}: {gain_by_baseline(found[0], X, y)}", flush=True)
            continue
        asymmetries = outcomes_and_sides(*found, X)
        updates = asymmetries["measure"] == "update"
        asymmetries.loc[updates, ["estimate", "lower", "upper"]] *= 1000
        show(f"{name}: findings 1 to 3 (updates times 1000)", asymmetries, 3)
        show(f"{name}: finding 4", nearest(*found, X), 3)
        if "RNN" in name:
            show(f"{name}: finding 5 (times 1000)", reward_gaps(*found, X), 2)
    noisy = {name: whole for name, (whole, _) in fits.items() if whole[-1].process_noise}
    if noisy:
        shares = variance_explained(noisy, X, y)
        show("Share of the weights' changes that is the rule's", shares.drop(columns="noise"), 2)
    if arguments.pictures:
        draw(fits, X, y, arguments.pictures)


if __name__ == "__main__":
    main()
