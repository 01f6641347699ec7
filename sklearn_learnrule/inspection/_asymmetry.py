"""Asymmetries in numbers: correct and error, left and right, after reward and after none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ..data.schema import OF_CHOICE
from ..utils.arrays import Floats, Ints
from ..utils.warn import warn
from ._experience import Experience, draw_windows, read_experience
from ._fits import RuleFit, read_rule_fits
from ._probes import take, update_after

N_BACK = 20  # trials that a memory takes in before a run


def asymmetry_table(
    estimators: Any,
    X: pd.DataFrame,
    *,
    run_length: int = 4,
    rewarded_above: float = 0.0,
    n_states: int = 100,
    n_bootstraps: int = 1000,
    level: float = 0.95,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Compare the updates after correct choices and errors, on each side, and after runs.

    Everything is an average over the states (weights, stimulus, choice, outcome) that the
    animals in X went through, every trial alike, in two measures for each weight:

    - "update", its mean change per trial. That of the stimulus weight after errors is below 0
      with a negative baseline, which strengthens whatever was chosen.
    - "learning_rate", the slope of its change on (y - p) x, the policy's gradient, by which
      states of more and of less certain choices compare. It is above 0 where the change is
      towards the choice made, below where it is away from it. REINFORCE with rewards of 1 and 0
      has alpha (1 - b) after correct choices and -alpha b after errors.

    Correct and error trials are not mixed alike on both sides where an animal is biased. So a rule
    that knows no sides has slopes that differ between them, too, if rewards make them differ.

    Runs are not looked for in the data, where they come with other states: at ``n_states``
    states of each animal, the memory takes in 20 trials in a row that some animal lived through,
    then ``run_length`` rewarded or unrewarded ones drawn from X, with the weights held. Without
    a memory there is no difference.

    A network that was fitted to learn alike on both sides (``mirrored_``) shows no difference.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
    X : DataFrame from :func:`~sklearn_learnrule.make_design`
    run_length : int, default=4
    rewarded_above : float, default=0
        A trial of a run counts as rewarded if it earned more.
    n_states : int, default=100
    n_bootstraps : int, default=1000
        How often animals are drawn with replacement for the interval, while the rule stays as
        it is. What it would be, were it fitted to other animals, a list of
        :func:`bootstrap_fits` tells: take the :func:`band` of ``estimate`` over its fits.
    level : float, default=0.95
        The interval lies between percentiles of the bootstrap.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    DataFrame, one row a fit, group, measure and weight
        ``fit``; ``contrast`` ("outcome", "side" or "run"); ``group``: "correct" and "error", if X
        has both; the class that was correct; "rewarded" and "unrewarded"; and the difference of the
        two, as in "correct - error"; ``measure``; ``weight``; ``estimate``, ``lower`` and ``upper``
        (weight change per trial); ``n_trials``. Of more than two choices, and where X does not tell
        which were correct, "choice" takes the place of "side": after which choice was made, and the
        difference of any two. Of more than two, there is a row for each one's weights,
        ``of_choice``, less their mean over choices.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(20, 500, random_state=0))
    >>> rule = ReinforceRuleEstimator().fit(X, y)
    >>> table = asymmetry_table(rule, X).query("contrast == 'outcome' and weight == 'stimulus'")
    >>> table[["group", "measure", "estimate", "lower", "upper"]].round(3)
                  group        measure  estimate  lower  upper
    0           correct         update     0.008  0.007  0.008
    2           correct  learning_rate     0.032  0.032  0.032
    4             error         update    -0.007 -0.007 -0.007
    6             error  learning_rate     0.011  0.011  0.011
    8   correct - error         update     0.015  0.015  0.015
    10  correct - error  learning_rate     0.021  0.021  0.021
    """
    fits = read_rule_fits(estimators)
    mirrored = [type(fit.final).__name__ for fit in fits if fit.final.mirrored_]
    if mirrored:
        what = "on both sides" if fits[0].n_choices == 2 else "of all choices"
        warn(
            f"{mirrored[0]} was fitted to learn alike {what} (mirrored_): fit it with "
            "mirror=False to compare them.",
        )
    experience = read_experience(X, fits[0].weight_names)
    rng = check_random_state(random_state)
    n_subjects = experience.subject.max() + 1
    state = _draw_states(experience, n_states, rng)  # (n,)
    runs = _draw_runs(experience, rewarded_above, len(state), run_length, rng)  # each (n, L)
    drawn = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), n_bootstraps)
    times_drawn = np.vstack([np.ones(n_subjects), drawn])  # (1 + B, N), first all alike
    rows = []
    for fit in fits:
        contrasts = _contrasts(fit, X, experience, state, runs)
        for contrast, groups in contrasts.items():
            for row in _compare(groups, times_drawn, level, fit):
                rows.append({"fit": fit.name, "contrast": contrast, **row})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Steps:
    """Updates and policy gradients, both (n, K) or (n, C K), and whose they are, (n,)."""

    update: Floats
    gradient: Floats
    subject: Ints

    def __getitem__(self, rows: NDArray[Any]) -> _Steps:
        return _Steps(*(getattr(self, field.name)[rows] for field in fields(self)))

    def measure(self, times_drawn: Floats) -> dict[str, Floats]:
        """Return each measure where animals (N,) count so many times (B, N), (B, K)."""

        def total(values: Floats) -> Floats:
            by_subject = np.zeros((times_drawn.shape[1], values.shape[1]))  # (N, K)
            np.add.at(by_subject, self.subject, values)
            return times_drawn @ by_subject

        with np.errstate(invalid="ignore"):  # NaN where no drawn animal has such a trial
            return {
                "update": total(self.update) / total(np.ones_like(self.update)),
                "learning_rate": total(self.update * self.gradient) / total(self.gradient**2),
            }


def _contrasts(
    fit: RuleFit, X: pd.DataFrame, experience: Experience, state: Ints, runs: Mapping[str, Ints]
) -> dict[str, dict[str, _Steps]]:
    """Return the two groups of steps of each contrast."""
    weights, update, trials = fit.visit(X).rows()
    score = fit.policy.score(weights, trials.features, trials.choice)
    moved, gradient = (fit.policy.of_each(each).numpy() for each in (update, score))
    steps = _Steps(moved, gradient, experience.subject)

    probes = take(trials, state[:, None])  # (n_states, 1)
    after = {}
    for name, run in runs.items():
        updates = update_after(fit.rules, weights[state], take(trials, run), probes)
        after[name] = replace(steps[state], update=fit.policy.of_each(updates[:, 0]).numpy())

    contrasts, correct = {}, experience.correct
    if correct.any() and not correct.all():
        contrasts["outcome"] = {"correct": steps[correct], "error": steps[~correct]}
    # Of more than two choices, errors need not tell which was correct.
    has_sides = fit.n_choices == 2 and fit.sequences(X).answer_known
    name, by = ("side", "answer") if has_sides else ("choice", "choice")
    classes = enumerate(map(str, fit.final.classes_))
    contrasts[name] = {label: steps[getattr(experience, by) == n] for n, label in classes}
    return contrasts | {"run": after}


def _compare(
    groups: Mapping[str, _Steps], times_drawn: Floats, level: float, fit: RuleFit
) -> Iterator[dict[str, Any]]:
    """Yield a row each group, measure and weight, then those of any two groups' difference."""
    measured = {name: steps.measure(times_drawn) for name, steps in groups.items()}
    sizes = {name: len(steps.subject) for name, steps in groups.items()}
    for one, other in combinations(groups, 2):
        name, pair = f"{one} - {other}", (measured[one], measured[other])
        measured[name] = {measure: pair[0][measure] - pair[1][measure] for measure in pair[0]}
        sizes[name] = sizes[one] + sizes[other]
    whose = [{}] if fit.n_choices == 2 else [{OF_CHOICE: label} for label in fit.final.classes_]
    weights = [{**of, "weight": name} for of, name in product(whose, fit.weight_names)]
    for group, measures in measured.items():
        for measure, values in measures.items():
            lower, upper = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
            for k, weight in enumerate(weights):
                yield {
                    "group": group,
                    "measure": measure,
                    **weight,
                    "estimate": values[0, k],
                    "lower": lower[k],
                    "upper": upper[k],
                    "n_trials": sizes[group],
                }


def _draw_states(experience: Experience, n_states: int, rng: np.random.RandomState) -> Ints:
    """Return rows of ``experience``, up to ``n_states`` of each animal."""
    shuffled = rng.permutation(len(experience.subject))
    place = pd.Series(shuffled).groupby(experience.subject[shuffled]).cumcount()
    return np.sort(shuffled[place < n_states])


def _draw_runs(
    experience: Experience,
    rewarded_above: float,
    n_runs: int,
    length: int,
    rng: np.random.RandomState,
) -> dict[str, Ints]:
    """Return rows of ``experience``: a stretch as it happened, the same in both, then a run."""
    rewarded = experience.rewarded(rewarded_above)
    before = draw_windows(experience, n_runs, N_BACK, rng)
    return {
        name: np.hstack([before, rng.choice(np.flatnonzero(which), (n_runs, length))])
        for name, which in (("rewarded", rewarded), ("unrewarded", ~rewarded))
    }
