"""The rule estimators' base class, in which only the learning rule is left open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ..data.sequences import Sequences
from ..data.tables import BIAS
from ..engine import ENGINES
from ..models.learning import LearningModel
from ..preprocessing import of_trials_before
from ..rules import (
    LEARNED,
    Lapses,
    LearningRule,
    PartialRule,
    Policy,
    ProcessNoise,
    Units,
    follows_units,
)
from ..training.dataset import SequenceDataset, to_numpy
from ..training.initial_weights import (
    BROAD_STD,
    FEW_SUBJECTS,
    initial_weights,
    static_weights,
)
from ..training.standard_errors import NOT_MAXIMAL, is_parametric, summarize
from ..utils.arrays import Floats, Ints
from ..utils.parameters import ANY_NUMBER, AT_LEAST_0, Number, each
from ..utils.sklearn_private import StrOptions
from ..utils.texts import short
from .fitted_rule import FittedRule
from .subject_effects import OwnNumbers, distribution, read_effects, with_own_numbers

TwoTables: TypeAlias = tuple[pd.DataFrame, pd.DataFrame]
IS_LEARNED = StrOptions({LEARNED})
HABITS = "habits"  # all that PolicyRegressors adds
OF_SEARCH = ("optimizer", "max_epochs", "truncation", "early_stopping")
SHARE = Number(Real, 0, 1, closed="left")


class BaseRuleEstimator(FittedRule):
    """A Bernoulli GLM policy whose weights a learning rule moves from trial to trial.

    A subclass has :meth:`make_rule`, and declares its parameters as a dataclass does its fields; it
    needs no decorator. What they may be it can say in ``_parameter_constraints``, as scikit-learn's
    estimators do. In its docstring, a line ``{shared}`` stands for the parameters below.

    Parameters
    ----------
    {shared}
    """

    initial_weights: str | ArrayLike = "zeros"
    train_initial_weights: bool = True
    unlearned: str | Sequence[str] | None = ()
    process_noise: str | ArrayLike | None = None
    session_noise: str | ArrayLike = LEARNED
    initial_std: str | ArrayLike = LEARNED
    lapses: str | ArrayLike | None = None
    subject_effects: Sequence[str] | int | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "initial_weights": [
            StrOptions({"zeros", "psychometric"}),
            each(ANY_NUMBER),
            each(each(ANY_NUMBER)),
        ],
        "train_initial_weights": ["boolean"],
        "unlearned": [None, StrOptions({HABITS}), each(str)],
        "process_noise": [None, IS_LEARNED, AT_LEAST_0, each(AT_LEAST_0)],
        "session_noise": [IS_LEARNED, AT_LEAST_0, each(AT_LEAST_0)],
        "initial_std": [IS_LEARNED, AT_LEAST_0, each(AT_LEAST_0)],
        "lapses": [None, IS_LEARNED, SHARE, each(SHARE)],
        "subject_effects": [None, each(str)],
        "engine": [StrOptions({"auto", *ENGINES})],
    }
    _parameter_docs: ClassVar[str] = """
        Weights
            Where they start, and which of them the rule moves.
        initial_weights : "zeros", "psychometric" or array of shape (K,), default={initial_weights}
            Policy weights before the first trial; of C > 2 choices (C - 1, K), a set for each but
            the first. "psychometric" fits them to the choices on the first 100 trials of all
            subjects, where these are scored.
        train_initial_weights : bool, default={train_initial_weights}
            Whether the initial weights, shared by all subjects, are fitted too. Where the start
            is broad (see ``initial_std``) they are not.
        unlearned : "habits", sequence of str or None, default={unlearned}
            Columns of X, or "bias", whose weights the rule neither sees nor moves: they stay where
            they start or, with process noise, drift. "habits" are all columns that
            :class:`PolicyRegressors` adds.

        Noise
            What moves weights beside the rule, and what chooses beside them.
        process_noise : None, "learned", or number or array of shape (K,), default={process_noise}
            Standard deviation of the noise that moves each weight after a trial, beside the rule;
            "learned" fits it. The choices then tell where the weights are: see ``predict_weights``.
            None: weights move by the rule alone.
        session_noise, initial_std : "learned", or number or array of shape (K,), default="learned"
            With process noise: that of a further step where a session begins; and how far
            subjects' weights lie around the initial ones. Fewer than 5 subjects do not tell (the
            likelihood would have all start alike): "learned" is then a broad prior, 4 for stimuli
            of the usual size 1, so that an easy one alone may give odds of e^8, and nothing about
            the start is fitted (PsyTrack's 16 costs the filter some nats on the first trials).
            ``first_weights_`` has where these subjects' smoothed weights, and their twins, begin.
        lapses : None, "learned", or number or a number a class, default={lapses}
            Rates g0, g1 and so on at which each class is chosen whatever the weights say: of two
            P(y = 1) = g1 + (1 - g0 - g1) sigmoid(w . x). "learned" fits them, for which some
            animals should know the task well; ``lapse_rates_`` holds them. The rule's p stays
            sigmoid(w . x).

        Individuals
            What of all this is a subject's own.
        subject_effects : None, sequence of str or, of networks, int, default={subject_effects}
            Parameters that vary by subject: "learning_rate" (a factor, the same for all weights) or
            "learning_rate[bias]" (of one weight's), "baseline" and whatever else the rule has; with
            process noise, "process_noise" and "session_noise"; without, "initial_weights". Of what
            is at least 0 the logarithm is normal over subjects, of others the value, of a share
            s below 1, as Q-learning's learning rate, log(-log(1 - s)): an effect u makes it
            1 - (1 - s)^exp(u), about exp(u) times s where s is small. The spread is fitted, and
            what covariates in X have to do with it. Of a network, "learning_rate" is a factor of
            its update; an int is how many numbers, normal over subjects, it reads beside the trial,
            to make of them what it will. A subject never seen begins as one of these, nobody knows
            which, and its own past choices tell. See ``subject_effects_``.
        """

    def make_rule(self, n_weights: int) -> LearningRule:
        """Return the rule to be fitted, a torch module for K = ``n_weights`` policy weights.

        One that is made for C > 2 choices, too, takes ``n_choices`` besides, 2 by default, and
        then (C - 1) K weights: see :class:`~sklearn_learnrule.rules.LearningRule`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} needs make_rule(self, n_weights), which returns its rule."
        )

    def _make_model(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> LearningModel:
        policy, name = Policy(sequences.n_choices), type(self).__name__
        start = initial_weights(self.initial_weights, sequences, chosen, weight, name)
        scored = np.unique(sequences.row_subject[weight > 0])
        broad = self._starts_broad(len(scored))
        noise = self._make_noise(sequences, BROAD_STD / units.feature if broad else None)
        rule, own = self._make_rule(sequences, noise, units)
        if rule.uses_answer:
            sequences.check_answer_known(name)
        if rule.parameter_units is None:  # it is another rule in other units
            units = Units(torch.ones_like(units.feature), torch.ones_like(units.reward))
        rule.standardize_settings(units.feature, units.reward)
        if noise is not None:
            noise.standardize_settings(units.feature)
            noise.counts_misses = sequences.counts_misses
        learns_start = self.train_initial_weights and not broad
        model = LearningModel(
            rule,
            torch.as_tensor(start) * policy.in_all_sets(units.feature),
            units,
            train_initial_weights=learns_start,
            truncation=self.truncation,
            engine=self.engine,
            noise=noise,
            lapses=self._make_lapses(policy),
            effects=distribution(
                own, rule, noise, units, sequences, scored, trains_start=learns_start
            ),
            own=own.effects,
        )
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(
                f"{type(self).__name__} has nothing to fit: set train_initial_weights=True and, of "
                f"fewer than {FEW_SUBJECTS} subjects with process noise, initial_std."
            )
        return model

    def _beginning(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> Callable[[LearningModel], LearningModel]:
        """Let unlearned weights begin where choices have them: from 0, rules may take their part.

        Not where they drift: from there, the fit takes far longer.
        """
        names = sequences.feature_names
        unlearned = np.isin(names, self._learned(names), invert=True)
        free = self.train_initial_weights and isinstance(self.initial_weights, str)
        if not (free and self.process_noise is None and unlearned.any()):
            return lambda model: model
        start = self._unlearned_start(sequences, chosen, weight, units)
        places = np.tile(unlearned, sequences.n_choices - 1)

        def begin(model: LearningModel) -> LearningModel:
            held = model.initial_weights
            with torch.no_grad():
                held[places] = (held.new_tensor(start) * model.dynamics.weight_units)[places]
            return model

        return begin

    def _unlearned_start(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> Floats:
        """Return weights, ((C - 1) K,), of which unlearned ones begin there."""
        del units
        return static_weights(sequences, chosen, weight)

    def _make_rule(
        self, sequences: Sequences, noise: ProcessNoise | None, units: Units
    ) -> tuple[LearningRule, OwnNumbers]:
        """Return the rule, of those weights that it is to learn, and what is subjects' own."""
        weight_names = sequences.feature_names
        learned = self._learned(weight_names)
        policy = Policy(sequences.n_choices)
        rule = self.ask_for_rule(len(learned), policy)
        rule.expect(
            unknown_rewards=sequences.lacks_rewards,
            misses=sequences.counts_misses,
            answers=sequences.answer_known,
        )
        _check_units(rule, units.feature[[name in learned for name in weight_names]], units.reward)
        own = read_effects(self.subject_effects, rule, noise, weight_names, learned)
        rule = with_own_numbers(rule, own, noise)
        if len(learned) == len(weight_names):
            return rule, own
        places = [k for k, name in enumerate(weight_names) if name in learned]
        n_weights = len(weight_names) * policy.n_sets
        return PartialRule(rule, places, n_weights), own

    def ask_for_rule(self, n_features: int, policy: Policy) -> LearningRule:
        """Return the rule for weights of so many features, which is told of more than two choices.

        A class of one's own need not have heard of them.
        """
        make: Any = self.make_rule
        if policy.n_choices == 2:
            return make(n_features)
        takes = signature(make).parameters.values()
        if any(each.name == "n_choices" or each.kind == each.VAR_KEYWORD for each in takes):
            rule = make(n_features * policy.n_sets, n_choices=policy.n_choices)
            if rule.policy == policy:
                return rule
        raise TypeError(
            f"{type(self).__name__} knows two choices, and these are {policy.n_choices}: its "
            "make_rule should take (self, n_weights, n_choices) and hand both to its rule, "
            "which hands n_choices on: super().__init__(n_weights, n_choices=n_choices)."
        )

    def _learned(self, weight_names: Sequence[str]) -> list[str]:
        """Return the names of the weights that the rule is to learn."""
        unlearned = self._unlearned(weight_names)
        unknown = sorted(unlearned.difference(weight_names))
        if unknown:
            raise ValueError(
                f"unlearned should be a list of weights among {list(weight_names)}, got "
                f"{short(unknown[0])}."
            )
        learned = [name for name in weight_names if name not in unlearned]
        if not learned:
            raise ValueError(
                f"unlearned leaves {type(self).__name__} no weight to learn: use "
                "ConstantRuleEstimator."
            )
        return learned

    def _unlearned(self, weight_names: Sequence[str]) -> set[str]:
        """Return the names of the weights that the rule is not to learn, known or not."""
        if not isinstance(self.unlearned, str):
            return set(() if self.unlearned is None else self.unlearned)
        habits = of_trials_before(weight_names)
        if not habits:
            raise ValueError(
                f"unlearned={HABITS!r} are the columns that PolicyRegressors adds, and the weights "
                f"are {list(weight_names)}: put it before {type(self).__name__}; let it add some."
            )
        return set(habits)

    def _starts_broad(self, n_scored: int) -> bool:
        """Whether so few subjects are fitted that the noise cannot tell how far they lie apart."""
        few = n_scored < FEW_SUBJECTS
        return few and self.process_noise is not None and isinstance(self.initial_std, str)

    def _make_lapses(self, policy: Policy) -> Lapses | None:
        given: Any = self.lapses
        return None if given is None else Lapses(given, policy.n_choices)

    def _make_noise(self, sequences: Sequences, start: torch.Tensor | None) -> ProcessNoise | None:
        if self.process_noise is None:
            return None
        std = self.initial_std if start is None else start
        given: Any = (self.process_noise, self.session_noise, std)
        return ProcessNoise(len(sequences.feature_names), *given)

    def _publish(self, dataset: SequenceDataset, sequences: Sequences, chosen: Ints) -> None:
        """Set the fitted attributes: parameters under their textbook names, and a table of them."""
        super()._publish(dataset, sequences, chosen)
        model: Any = self.net_.module_
        self.weight_names_ = [*self._stimulus_names, BIAS]
        of_members: Any = [net.module_.published() for net in self.nets_]
        for attribute in self.__dict__.pop("_published", []):  # of an earlier fit
            delattr(self, attribute)
        for attribute in ("_summary", "_subject_effects", "_subjects"):
            self.__dict__.pop(attribute, None)
        if model.effects is not None:
            both = zip(("mean", "std"), self._know_subjects(dataset), strict=True)
            effects = {
                (k, name): x
                for k, of in both
                for name, x in zip(model.effects.names, of.T, strict=True)
            }
            self._subject_effects, self._subjects = effects, list(sequences.subjects)
        self._published = [f"{name}_" for name in of_members[0]]
        for name in of_members[0]:
            value = np.mean([to_numpy(published[name]) for published in of_members], 0)
            setattr(self, f"{name}_", value)
        broad = self._starts_broad(self._n_scored)
        if is_parametric(model):
            start = ["initial_std", "initial_weights"][: 1 + self.train_initial_weights]
            learned = self._learned(self.weight_names_)
            names = (self.weight_names_, learned, start if broad else [])
            table = summarize(model, dataset, *names, self.classes_)
            self._summary = table.to_dict("list")
        else:
            self._bound(sequences)
        if broad:
            means, _ = self._smooth(sequences, chosen)
            scored = np.isin(sequences.row_sequence, dataset.scored_sequences)
            self.first_weights_ = means.mean(0)[scored & (sequences.row_place == 0)].numpy()
            self._published.append("first_weights_")

    def _training_fault(self) -> str | None:
        fault = super()._training_fault()
        if fault or not hasattr(self, "summary_") or NOT_MAXIMAL not in self._summary["note"]:
            return fault
        return (
            "was not fitted to the maximum of the likelihood, so that its parameters may be far "
            f"from those that it is to find: {'; and '.join(self._ways_to_the_maximum())}."
        )

    def _ways_to_the_maximum(self) -> list[str]:
        usual = signature(type(self)).parameters
        known = [name for name in OF_SEARCH if name in usual]
        changed = [name for name in known if getattr(self, name) != usual[name].default]
        ways = [f"leave {' and '.join(changed)} at the default"] if changed else []
        if self._is_individual and len(self._effect_names) > 1:
            ways.append(
                "name fewer subject_effects, where these choices tell them apart too little, as a "
                "learning rate from a baseline"
            )
        elif self._is_individual and hasattr(self, "process_noise_"):
            ways.append(
                "fit without process noise or without subject_effects, which these choices may not "
                "tell apart"
            )
        return ways or ["begin at several places (n_init), or fit fewer parameters"]

    @property
    def summary_(self) -> pd.DataFrame:
        """The fitted parameters of a parametric rule, with standard errors; networks have none."""
        if "_summary" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has no summary_: it is there after the fit of a rule whose "
                "parameters have names."
            )
        return pd.DataFrame(self._summary)


def _check_units(rule: LearningRule, feature: torch.Tensor, reward: torch.Tensor) -> None:
    """Raise if a rule of someone's own has parameters in other units than it says."""
    ours = type(rule).__module__.startswith(LearningRule.__module__.rpartition(".")[0])
    standard = bool((feature == 1).all() and reward == 1)
    if ours or standard or rule.parameter_units is None:
        return
    if follows_units(rule, Units(feature, reward)) is False:
        raise ValueError(
            f"{type(rule).__name__} does something else in other units, in which it would be "
            "fitted: give in its parameter_units the powers of stimulus and reward in each "
            "parameter, take settings over in standardize_settings, or set parameter_units = None."
        )
