"""Digital twins: fitted estimators as animals that choose, are paid and learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
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
from ..preprocessing import of_own_choices
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
        if made := of_own_choices(self.stimuli):
            warn(
                f"Twins have the animals' choices in {made[0]!r}, not their own: fit a pipeline "
                "of PolicyRegressors and the rule to make_design's X, so that they have habits."
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
        """Return X, of the columns that the estimator was fitted to, as the rule sees it."""
        missing = [name for name in self.columns if name not in X]
        if missing:
            raise ValueError(
                f"X should have the columns that the estimator was fitted to, {self.columns}, but "
                f"has no {missing[0]!r}."
            )
        X = X[self.columns]
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
        answer = "answer" if self.answer_told else None
        restart = RESTART if RESTART in trials else None
        others: Any = {"covariates": self.covariates or None, "restart": restart}
        others["choices"] = self.classes.tolist()
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
