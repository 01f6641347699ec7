"""Do twins behave as the animals did, and how did training end?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from ..data.sequences import Sequences, read_sequences
from ..inspection import Fit, RuleFit, session_table
from ..models.members import read_trials
from ..plotting import SessionCurveDisplay
from ..simulation import predictive_check
from ._models import Model
from ._parts import Exhibit, Note, Part, Question, Table, as_written, of_runs, picture, written


def _predictive(model: Model, question: Question) -> Iterator[Part]:
    first = model.first
    X, y = first.held_out(question.X), first.held_out(question.y)
    if len(model.all) > 1:
        which = "fit and the animals that it has not seen" if first.rows is not None else "fit"
        yield Note(f"The twins are of the first {which}.")
    sequences = read_sequences(X)
    if paid := _how_paid(sequences):
        yield Note(paid)
    yield from of_runs(question)
    options: Any = {"n_simulations": question.n_simulations, "random_state": question.random_state}
    options |= {"reward": "resample", "rewarded_above": question.rewarded_above}
    options["verbose"] = question.verbose
    check = predictive_check(first.estimator, X, y, **options)
    whole = check
    if question.one_session:
        yield Note(f"There is no curve by session to draw: {question.one_session}.")
    else:
        display = SessionCurveDisplay(session_table(first.estimator, X, y), check).plot()
        what = "Share of correct choices" if sequences.answer_known else "Mean reward"
        yield picture(display.figure_, f"{what} by session, animals and twins")
        whole = check[check["block"].isna()]
    columns = ["statistic", "observed", "simulated", "lower", "upper", "share_below"]
    shown = whole[columns].assign(statistic=whole["statistic"].str.replace("_", " "))
    yield Table(as_written(shown), check)


def _how_paid(sequences: Sequences) -> str:
    """Say how twins are paid, if whether a choice is correct does not tell."""
    if not sequences.answer_known:
        return (
            "Nobody knows what was correct: a choice of a twin is paid what its animal earned on "
            "one of the ten nearest trials on which it chose the same, too much for an arm that it "
            "avoided since arms changed places."
        )
    trials = sequences.padded
    reward, choice, answer = (
        pd.Series(values[trials.told]) for values in (trials.reward, trials.choice, trials.answer)
    )
    if (reward.groupby([choice == answer, answer]).nunique() < 2).all():
        return ""
    earned = reward.groupby(choice == answer)
    kinds: dict[Any, str] = {True: "correct choices", False: "errors"}
    means = ", ".join(
        f"{kinds[correct]} {written(mean, '.2g')}" for correct, mean in earned.mean().items()
    )
    return (
        "Twins are paid by chance, as the animals were: each reward is one that such a choice "
        f"earned on any trial with the same correct choice (on average {means})."
    )


def _training(model: Model, question: Question) -> Iterator[Part]:
    if not all(hasattr(fit.final, "nets_") for fit in model.all):
        yield Note(f"{model.name} was not trained by this package.")
        return
    held = [", ".join(map(str, _held(rule, question.X))) or "of none" for rule in model.rules]
    rows = [{"fit": fit.name, **_trained(fit, question)} for fit in model.all]
    table = pd.DataFrame(rows).assign(weights_held=held or "")
    shown = table if len(rows) > 1 else table.drop(columns="fit")
    yield Table(as_written(shown, {"log_likelihood": ".4f"}), table)


def _trained(fit: Fit, question: Question) -> dict[str, Any]:
    """Return how training ended, and how well the choices are predicted."""
    final = fit.final
    cut_short = final.n_iter_ >= final.net_.most_epochs
    ended = "all epochs" if cut_short else "stopped early"
    if final.optimizer == "lbfgs" and not final.early_stopping:
        ended = "not converged" if cut_short else "converged"
    return {
        "members": len(final.nets_),
        "epochs": final.n_iter_,
        "training_ended": ended,
        "mirror_images": final.mirrored_,
        "log_likelihood": fit.estimator.score(fit.held_out(question.X), fit.held_out(question.y)),
    }


@torch.no_grad()
def _held(fit: RuleFit, X: pd.DataFrame) -> list[Any]:
    """Return the animals whose weights would have run away, and were held."""
    sequences = fit.sequences(fit.held_out(X))
    trials, observed = read_trials(sequences)
    members = [model.path(trials, observed)[1] for model in fit.models]
    return list(sequences.whose(torch.stack(members).any(0).numpy()))


PREDICTIVE_CHECK = Exhibit(
    "predictive_check",
    "Twins (orange) see the animals' stimuli but learn from their own choices. Where the "
    "animals leave the twins' 95% band, the rule does not do as they did. In the table, a "
    "share of simulations below near 0 or 1 says the same.",
    _predictive,
    "rule",
)
TRAINING = Exhibit(
    "training",
    "How training ended, the log-likelihood of the animals fitted (of folds, of those held "
    "out; nats per trial), and of which animals the weights ran away and were held.",
    _training,
    joined=True,
)
