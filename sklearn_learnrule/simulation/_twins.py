"""Digital twins: fitted estimators as animals that choose, are paid and learn."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ..data.design import make_design
from ..data.schema import (
    ANSWER_WAS,
    DESIGN,
    MISSES,
    PREVIOUS_ANSWER,
    RESTART,
    REWARD_KNOWN,
    TRIALS,
    labelled,
)
from ..data.sequences import read_sequences
from ..data.time_order import count_within
from ..estimators.base import BaseRuleEstimator
from ..models.along import updates_along
from ..models.members import copy_models, read_trials
from ..rules import Trial
from ..utils.arrays import Floats, Ints
from ..utils.warn import warn
from ..utils.wrapping import split_transformers
from ._corrections import BiasCorrection
from ._experiment import Experiment, Stimuli, make_curriculum
from ._learning import Simulation, draw_noise, simulate_learning
from ._perceived_task import PerceivedTask, with_identity
from ._replay import read_replay
from ._twin_rules import EnsembleRule, RewardTellsAnswer, fitted_rules

NOTHING: Mapping[str, Floats] = {}
OUTCOME = ("twin_of", *TRIALS.names("outcome"))


@overload
def simulate(
    estimator: Any,
    stimuli: Any,
    n_subjects: int = 1,
    *,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    correction: BiasCorrection | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_weights: Literal[False] = False,
) -> pd.DataFrame: ...


@overload
def simulate(
    estimator: Any,
    stimuli: Any,
    n_subjects: int = 1,
    *,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    correction: BiasCorrection | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_weights: Literal[True],
) -> tuple[pd.DataFrame, pd.DataFrame]: ...


def simulate(
    estimator: Any,
    stimuli: Any,
    n_subjects: int = 1,
    *,
    n_trials: int | None = None,
    session_length: int | None = None,
    reward: Any = None,
    correction: BiasCorrection | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_weights: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Let digital twins do a task: animals that choose and learn as a fitted estimator does.

    A twin starts with the fitted initial weights, chooses with its policy's probabilities, lapses
    as often as the animals, is paid for its own choices, and its weights move by the fitted rule.
    What follows is its own. With process noise, twins lie apart as the animals do; where these are
    too few to tell (see ``initial_std``), each starts with the smoothed weights of one of them.
    With ``subject_effects``, each twin draws its own, around what its covariates let expect.

    Parameters
    ----------
    estimator : fitted rule estimator, Pipeline that ends in one, or a search for one
    stimuli : DataFrame or function
        A table shows its animals' stimuli, sessions and correct choices once more. Either X of
        :func:`~sklearn_learnrule.make_design`, without each animal's last trial, whose outcome X
        does not tell. Or trials, perhaps of an experiment to come, with the columns ``subject``,
        ``session``, ``answer`` (the correct choice) and the estimator's stimulus columns; with
        ``restart``, learning begins anew where it changes.
        A function ``(session_start, random_state=...)`` makes a :class:`Task`, which may watch
        the animals, for a bool array (N, T) of trials that open a session; such as
        ``functools.partial(ContrastTask, curriculum=..., criterion=...)``.
    n_subjects : int, default=1
        Twins to simulate; with a table, twins of each of its animals.
    n_trials : int
        Trials of a twin, only with a task.
    session_length : int, default=150
        Trials of a session, only with a task.
    reward : pair of floats, function or None, default=None
        What an error and a correct choice earn, or a function ``(correct (N,), random_state)``
        that returns the rewards (N,) and may toss coins; only with a table. None: what they
        earned in the table if that never varied; where it does not say, 0 and 1.
    correction : BiasCorrection or None, default=None
        How the experiment answered the animals' errors with stimuli, if it did: then twins see
        none that answered the animals', but those that answer their own; only with a table.
    random_state : int, RandomState or None, default=None
    return_weights : bool, default=False
        Whether to return the twins' weights too.

    Returns
    -------
    trials : DataFrame
        ``subject``, ``twin_of`` (with a table, whose stimuli these are), ``session``, the
        stimulus columns, ``choice``, ``answer``, ``reward``: ready for ``make_design``. Then the
        covariates of the fit, with the names that they have in X: those of the animal in the
        table, 0 if it has none, and with a task. Where the animals' learning begins anew, that of
        their twins does, which ``restart`` counts; an unknown reward is missing, and so is the
        choice on trials that the animals missed, if the estimator knows of such.
    weights : DataFrame, only if ``return_weights``
        The weights before each choice, with the index of that design's X, of which
        ``estimator.predict_weights`` says the same, if all twins are alike.

    Raises
    ------
    TypeError, ValueError
        If the estimator has no learning rule, if a stimulus column or the correct choices are
        missing, if rewards vary and ``reward`` is not given, or if a twin's weights run away.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 300, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> trials = simulate(rule, X, n_subjects=2, random_state=0)
    >>> trials.head(3)
          subject   twin_of  session  stimulus choice answer  reward
    0  mouse_01_1  mouse_01        1  0.986704   left  right     0.0
    1  mouse_01_1  mouse_01        1  1.000000   left  right     0.0
    2  mouse_01_1  mouse_01        1  1.000000  right  right     1.0
    """
    n_subjects = check_scalar(n_subjects, "n_subjects", numbers.Integral, min_val=1)
    rng = check_random_state(random_state)
    twin = Twin(estimator)
    source = twin.read(stimuli, n_trials, session_length, reward, correction)
    experiment = source.for_twins(n_subjects, rng)
    simulation = twin.run(experiment, rng)
    trials = twin.trials(experiment, simulation)
    return (trials, twin.weights(experiment, simulation)) if return_weights else trials


def split_twin(estimator: Any) -> tuple[Any, BaseRuleEstimator]:
    """Return what a twin is made of: the transformers of a pipeline, or None, and its rule.

    Raises
    ------
    TypeError
        If there is no learning rule.
    """
    transformers, final = split_transformers(estimator)
    if not isinstance(final, BaseRuleEstimator):
        raise TypeError(
            "A twin needs an estimator with a learning rule, or a Pipeline that ends in one, got "
            f"{type(final).__name__}."
        )
    return transformers, final


class Twin:
    """A fitted estimator as an animal: what it sees, how it learns, and where it starts."""

    def __init__(self, estimator: Any) -> None:
        self.transformers, self.estimator = split_twin(estimator)
        check_is_fitted(self.estimator)
        if not hasattr(estimator, "feature_names_in_"):
            raise ValueError(
                "A twin needs an estimator that was fitted to make_design's X, but this "
                f"{type(self.estimator).__name__} has seen no column names."
            )
        self.columns = list(estimator.feature_names_in_)
        self.stimuli = DESIGN.stimuli(self.columns)
        self.covariates = DESIGN.covariates(self.columns)
        self.further_history = {REWARD_KNOWN, MISSES}.intersection(self.columns)
        if clash := [name for name in self.stimuli if name in OUTCOME]:
            raise ValueError(
                f"Tables of twins have a column {clash[0]!r}: rename that stimulus column."
            )
        self.classes = self.estimator.classes_
        columns = self.columns
        self.answer_told = PREVIOUS_ANSWER in columns or bool(labelled(ANSWER_WAS, columns))
        models = [model.requires_grad_(False) for model in copy_models(self.estimator)]
        self.rules, self.initial_weights = fitted_rules(models)  # (M, K)
        self.model = models[0]

    def fitted_numbers(self) -> list[np.ndarray]:
        """Return all numbers that the fit has found, which tell it from others."""
        modules = [net.module_ for net in self.estimator.nets_]
        found = [values for module in modules for values in module.state_dict().values()]
        return [values.cpu().numpy() for values in found]

    def read(
        self,
        stimuli: Any,
        n_trials: int | None,
        session_length: int | None,
        reward: Any,
        correction: BiasCorrection | None = None,
    ) -> Stimuli:
        """Read what :func:`simulate` was given."""
        if not isinstance(stimuli, pd.DataFrame):
            if reward is not None:
                raise ValueError("reward is for tables of stimuli: a task pays by itself.")
            if correction is not None:
                raise ValueError(
                    "correction is for tables of stimuli: a task answers errors by itself."
                )
            return make_curriculum(stimuli, n_trials, session_length)
        if n_trials is not None or session_length is not None:
            raise ValueError(
                "n_trials and session_length are for tasks: a table's animals do the trials and "
                "sessions that it has."
            )
        known = self.stimuli, self.classes, reward, self.further_history
        return read_replay(stimuli, *known, correction)

    def run(
        self,
        experiment: Experiment,
        rng: np.random.RandomState,
        further: Mapping[str, Floats] = NOTHING,
    ) -> Simulation:
        """Let the experiment's animals learn, each with its :meth:`own_effects`."""
        own = self.own_effects(experiment, rng, further)
        perceived = PerceivedTask(experiment, self.columns, self.classes, self.transformers)
        rule = self.rules[0]
        if len(self.rules) > 1:
            rule = EnsembleRule(self.rules, self.initial_weights)
        if rule.uses_answer and not self.answer_told:
            rule = RewardTellsAnswer(rule)
        beside: dict[str, Any] = {}
        if (noise := self.model.noise) is not None:
            names = ("process_noise", "session_noise")
            factors = noise.factors(own).sqrt().numpy()  # (N, 2)
            std = (getattr(self.estimator, f"{name}_") for name in names)
            each = zip(names, std, factors.T[..., None], strict=True)
            beside = {name: values * factor for name, values, factor in each}
        if hasattr(self.estimator, "lapse_rates_"):
            beside["lapses"] = self.estimator.lapse_rates_
        beside |= {"reward_known": experiment.reward_known, "misses": experiment.misses}
        if self.transformers is not None:
            beside["on_trial"] = perceived.note
        given = rule, perceived, self._start(own, rng), experiment.opens, rng
        simulation = simulate_learning(*given, **beside, context=own)
        astray = experiment.happened & ~np.isfinite(simulation.weights).all(-1)
        if astray.any():
            subject, trial = np.argwhere(astray)[0]
            raise ValueError(
                f"The weights of {experiment.subjects[subject]} ran away before trial {trial}: "
                "this rule is unstable on these stimuli."
            )
        if self.transformers is not None:
            perceived.check_transformers(simulation.stimulus)
        return replace(simulation, stimulus=np.stack(perceived.shown, 1))

    def own_effects(
        self,
        experiment: Experiment,
        rng: np.random.RandomState,
        further: Mapping[str, Floats] = NOTHING,
    ) -> torch.Tensor:
        """Draw each animal's effects around what its covariates let expect, (N, D); D may be 0.

        They are the same wherever it begins anew. What is ``further`` added to some of them, a
        number an animal, is in the user's units.
        """
        effects, n = self.model.effects, len(experiment.subjects)
        if effects is None:
            return torch.zeros(n, 0, dtype=torch.float64)
        unknown = [name for name in effects.covariate_names if name not in experiment.covariates]
        if unknown:
            warn(
                f"The twins have no {unknown}, which is taken for 0: give X of make_design, which "
                "has its animals' covariates.",
                UserWarning,
            )
        known = [experiment.covariate(name) for name in effects.covariate_names]
        covariates = torch.tensor(np.reshape(known, (len(known), n)).T, dtype=torch.float64)
        expected, spread = effects.expected(covariates), effects.spread.numpy()
        animal, animals = pd.factorize(experiment.subjects)
        apart = rng.normal(0.0, spread, (len(animals), len(spread)))
        own = expected + torch.tensor(apart[animal])
        for name, values in further.items():
            column = effects.names.index(name)
            own[:, column] += torch.tensor(values[animal]) / effects.units[column]
        return own

    def _start(self, own: torch.Tensor, rng: np.random.RandomState) -> Floats:
        """Return the weights before the first trial, (N, K), of animals with their own effects."""
        if hasattr(self.estimator, "first_weights_"):  # the prior is broader than animals are
            first = self.estimator.first_weights_
            return first[rng.randint(len(first), size=len(own))]
        start = (self.initial_weights.mean(0) + (self.model.starts(own) - self.model.start)).numpy()
        if hasattr(self.estimator, "process_noise_"):
            std = np.tile(self.estimator.initial_std_, (len(start), 1))
            return start + draw_noise(self.rules[0].policy, std, rng)
        return start

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return X as the rule sees it."""
        return X if self.transformers is None else self.transformers.transform(X)

    def experience(self, X: pd.DataFrame) -> tuple[Trial, torch.Tensor]:
        """Return X's trials as the rule sees them, (N, T), and which are observed."""
        return read_trials(read_sequences(self.transform(X)))

    @torch.no_grad()
    def updates(self, trials: Trial, weights: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Return the updates at given weights, (N, T, K), on observed trials, (n, K).

        An ensemble's is its members' mean.
        """
        of_members = [updates_along(rule, trials, weights, observed) for rule in self.rules]
        return torch.stack(of_members).mean(0)

    def design(self, trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        """Return X and y of a table of trials, with the columns that the estimator knows."""
        unchosen = sorted(set(self.classes.tolist()).difference(trials["choice"]))
        if unchosen and len(self.classes) > 2:
            raise ValueError(
                f"No twin has ever chosen {unchosen[0]!r}, of which X would tell nothing: simulate "
                "more animals or trials."
            )
        answer = "answer" if self.answer_told else None
        restart = RESTART if RESTART in trials else None
        others: Any = {"covariates": self.covariates or None, "restart": restart}
        if REWARD_KNOWN in self.columns:
            others["unknown_reward"] = "keep"
        if MISSES in self.columns:
            others["missed"] = "count"
        X, y, _ = make_design(trials, stimulus=self.stimuli, answer=answer, **others)
        return with_identity(X, self.columns)[self.columns], y

    def trials(self, experiment: Experiment, simulation: Simulation) -> pd.DataFrame:
        """Return what happened, a row a trial."""
        happened = experiment.happened
        subject, _ = np.nonzero(happened)
        columns: dict[str, Any] = {"subject": experiment.subjects.take(subject)}
        if experiment.twin_of is not None:
            columns["twin_of"] = experiment.twin_of.take(subject)
        columns["session"] = experiment.session_names.take(experiment.session[happened])
        if experiment.restart is not None:
            columns[RESTART] = experiment.restart[subject]
        stimulus = simulation.stimulus[happened]  # (n_rows, S)
        columns |= dict(zip(self.stimuli, stimulus.T, strict=True))
        columns["choice"] = self.classes[simulation.choice[happened].astype(int)]
        columns["answer"] = self.classes[simulation.answer[happened].astype(int)]
        columns["reward"] = simulation.reward[happened]
        for name in self.covariates:
            columns[name] = experiment.covariate(name)[subject]
        table = pd.DataFrame(columns)
        for name, known in (
            ("answer", experiment.answer_known),
            ("reward", experiment.reward_known),
        ):
            if known is not None and not known[happened].all():
                table[name] = table[name].where(known[happened])
        if experiment.misses is None:
            return table
        return _with_missed(table, experiment.misses[happened].astype(int), self.stimuli)

    def weights(self, experiment: Experiment, simulation: Simulation) -> pd.DataFrame:
        """Return the weights before each choice, a row a trial."""
        happened = experiment.happened
        subject, _ = np.nonzero(happened)
        levels: dict[str, Any] = {"subject": experiment.subjects.take(subject)}
        levels["session"] = experiment.session_names.take(experiment.session[happened])
        if experiment.restart is not None:
            levels[RESTART] = experiment.restart[subject]
        levels["trial"] = count_within(pd.factorize(levels["subject"])[0])
        index = pd.MultiIndex.from_arrays([*levels.values()], names=[*levels])
        columns = self.estimator.weight_columns
        return pd.DataFrame(simulation.weights[happened], columns=columns, index=index)


def _with_missed(table: pd.DataFrame, misses: Ints, stimuli: list[str]) -> pd.DataFrame:
    """Put rows without a choice before those before which so many trials were missed."""
    rows = np.repeat(np.arange(len(table)), misses + 1)
    is_missed = np.append(rows[1:] == rows[:-1], False)
    table = table.iloc[rows].reset_index(drop=True)
    for name in (*stimuli, *TRIALS.names("outcome")):
        if name in table:
            table[name] = table[name].where(~is_missed)
    return table
