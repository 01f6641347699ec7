"""The rule estimators' base class, in which only the learning rule is left open."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, TypeAlias, overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from ..data.sequences import Sequences
from ..data.tables import BIAS
from ..engine import ENGINES
from ..models.learning import LearningModel, choice_logits
from ..models.members import copy_models, in_rows, look_back_members, pool_members
from ..models.smoothing import smooth
from ..rules import (
    LEARNED,
    Lapses,
    LearningRule,
    PartialRule,
    ProcessNoise,
    Units,
    unpack,
)
from ..training.dataset import SequenceDataset, of_like_length, to_numpy
from ..training.initial_weights import BROAD_STD, FEW_SUBJECTS, initial_weights
from ..training.standard_errors import NOT_MAXIMAL, is_parametric, summarize
from ..utils.arrays import Bools, Floats
from ..utils.parameters import ANY_NUMBER, AT_LEAST_0, Number, each
from ..utils.texts import short
from .classifier import SequenceClassifier

TwoTables: TypeAlias = tuple[pd.DataFrame, pd.DataFrame]
IS_LEARNED = StrOptions({LEARNED})
SHARE = Number(Real, 0, 1, closed="left")


class BaseRuleEstimator(SequenceClassifier):
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
    unlearned: Sequence[str] | None = ()
    process_noise: str | ArrayLike | None = None
    session_noise: str | ArrayLike = LEARNED
    initial_std: str | ArrayLike = LEARNED
    lapses: str | ArrayLike | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "initial_weights": [StrOptions({"zeros", "psychometric"}), each(ANY_NUMBER)],
        "train_initial_weights": ["boolean"],
        "unlearned": [None, each(str)],
        "process_noise": [None, IS_LEARNED, AT_LEAST_0, each(AT_LEAST_0)],
        "session_noise": [IS_LEARNED, AT_LEAST_0, each(AT_LEAST_0)],
        "initial_std": [IS_LEARNED, AT_LEAST_0, each(AT_LEAST_0)],
        "lapses": [None, IS_LEARNED, SHARE, each(SHARE)],
        "engine": [StrOptions({"auto", *ENGINES})],
    }
    _parameter_docs: ClassVar[str] = """
        Weights
            Where they start, and which of them the rule moves.
        initial_weights : "zeros", "psychometric" or array of shape (K,), default={initial_weights}
            Policy weights before the first trial. "psychometric" fits them to the choices on the
            first 100 trials of all subjects, where these are scored.
        train_initial_weights : bool, default={train_initial_weights}
            Whether the initial weights, shared by all subjects, are fitted too. Where the start
            is broad (see ``initial_std``) they are not.
        unlearned : sequence of str or None, default={unlearned}
            Columns of X, or "bias", whose weights the rule neither sees nor moves: they stay where
            they start or, with process noise, drift.

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
        lapses : None, "learned", or number or pair of numbers, default={lapses}
            Rates g0 and g1 at which the first and the second class are chosen whatever the weights
            say: P(y = 1) = g1 + (1 - g0 - g1) sigmoid(w . x). "learned" fits them, for which some
            animals should know the task well; ``lapse_rates_`` holds them. The rule's p stays
            sigmoid(w . x).
        """

    def make_rule(self, n_weights: int) -> LearningRule:
        """Return the rule to be fitted, a torch module for K = ``n_weights`` policy weights."""
        raise NotImplementedError(
            f"{type(self).__name__} needs make_rule(self, n_weights), which returns its rule."
        )

    def _make_model(
        self, sequences: Sequences, is_second: Bools, weight: Floats, units: Units
    ) -> LearningModel:
        start = initial_weights(self.initial_weights, sequences, is_second, weight)
        rule = self._make_rule(sequences)
        if rule.uses_answer:
            sequences.check_answer_known(type(self).__name__)
        usual = units.feature
        if rule.parameter_units is None:  # it is another rule in other units
            units = Units(torch.ones_like(units.feature), torch.ones_like(units.reward))
        rule.standardize_settings(units.feature, units.reward)
        broad = self._starts_broad(len(np.unique(sequences.row_subject[weight > 0])))
        model = LearningModel(
            rule,
            torch.as_tensor(start) * units.feature,
            units,
            train_initial_weights=self.train_initial_weights and not broad,
            truncation=self.truncation,
            engine=self.engine,
            noise=self._make_noise(sequences, units.feature, BROAD_STD / usual if broad else None),
            lapses=self._make_lapses(),
        )
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(
                f"{type(self).__name__} has nothing to fit: set train_initial_weights=True and, of "
                f"fewer than {FEW_SUBJECTS} subjects with process noise, initial_std."
            )
        return model

    def _make_rule(self, sequences: Sequences) -> LearningRule:
        """Return the rule, of those weights that it is to learn."""
        weight_names = sequences.feature_names
        learned = self._learned(weight_names)
        rule = self.make_rule(len(learned))
        rule.expect(unknown_rewards=sequences.lacks_rewards, misses=sequences.counts_misses)
        if len(learned) == len(weight_names):
            return rule
        places = [k for k, name in enumerate(weight_names) if name in learned]
        return PartialRule(rule, places, len(weight_names))

    def _learned(self, weight_names: Sequence[str]) -> list[str]:
        """Return the names of the weights that the rule is to learn."""
        unlearned = set(() if self.unlearned is None else self.unlearned)
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

    def _starts_broad(self, n_scored: int) -> bool:
        """Whether so few subjects are fitted that the noise cannot tell how far they lie apart."""
        few = n_scored < FEW_SUBJECTS
        return few and self.process_noise is not None and isinstance(self.initial_std, str)

    def _make_noise(
        self, sequences: Sequences, units: torch.Tensor, start: torch.Tensor | None
    ) -> ProcessNoise | None:
        if self.process_noise is None:
            return None
        std = self.initial_std if start is None else start
        given: Any = (self.process_noise, self.session_noise, std)
        noise = ProcessNoise(len(units), *given)
        noise.standardize_settings(units)
        noise.counts_misses = sequences.counts_misses
        return noise

    def _make_lapses(self) -> Lapses | None:
        given: Any = self.lapses
        return None if given is None else Lapses(given)

    def _publish(self, dataset: SequenceDataset, sequences: Sequences, is_second: Bools) -> None:
        """Set the fitted attributes: parameters under their textbook names, and a table of them."""
        super()._publish(dataset, sequences, is_second)
        model: Any = self.net_.module_
        self.weight_names_ = [*self._stimulus_names, BIAS]
        of_members: Any = [net.module_.published() for net in self.nets_]
        for attribute in self.__dict__.pop("_published", []):  # of an earlier fit
            delattr(self, attribute)
        self.__dict__.pop("_summary", None)
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
            for net in self.nets_:
                path = dataset.rows([path for path, _ in net.predict_path(dataset)])
                net.module_.bound(path[:, : len(self.weight_names_)])
        if broad:
            means, _ = self._smooth(sequences, is_second)
            scored = np.isin(sequences.row_sequence, dataset.scored_sequences)
            self.first_weights_ = means.mean(0)[scored & (sequences.row_place == 0)].numpy()
            self._published.append("first_weights_")

    def _training_fault(self) -> str | None:
        if hasattr(self, "summary_") and NOT_MAXIMAL in self._summary["note"]:
            return super()._training_fault() or (
                "was not fitted to the maximum of the likelihood, so that its parameters may be "
                "far from those that it is to find: leave optimizer, max_epochs, truncation and "
                "early_stopping at their defaults."
            )
        return super()._training_fault()

    @property
    def summary_(self) -> pd.DataFrame:
        """The fitted parameters of a parametric rule, with standard errors; networks have none."""
        if "_summary" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has no summary_: it is there after the fit of a rule whose "
                "parameters have names."
            )
        return pd.DataFrame(self._summary)

    @overload
    def predict_weights(self, X: Any, *, return_std: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def predict_weights(self, X: Any, *, return_std: Literal[True]) -> TwoTables: ...
    def predict_weights(self, X: Any, *, return_std: bool = False) -> pd.DataFrame | TwoTables:
        """Return the policy weights in force before each choice, one column a feature, then bias.

        With process noise, they are what the choices so far let expect.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        return_std : bool, default=False
            Whether to return how sure they are, too: by the process noise, and by how far an
            ensemble's members lie apart.

        Returns
        -------
        DataFrame of shape (n_rows, K), with X's index; of an ensemble, its members' mean
            With ``return_std``, a pair: the weights, and their standard deviations.
        """
        check_is_fitted(self)
        noisy = hasattr(self, "process_noise_")
        if return_std and len(self.nets_) < 2 and not noisy:
            raise ValueError(
                "return_std tells how an ensemble's members differ, or what process noise leaves "
                "open, but there is neither: set n_ensemble to 2 or more, or process_noise."
            )
        sequences = self.read_sequences(X)
        paths = self.predict_paths(sequences)  # (M, n_rows, K + S)
        n_weights = len(self.weight_names_)
        covariances = unpack(paths[..., n_weights:]) if noisy else None
        weights, std = self._tables(X, paths[..., :n_weights], covariances)
        return (weights, std) if return_std else weights

    @overload
    def smooth_weights(
        self, X: Any, y: ArrayLike, *, return_std: Literal[False] = False
    ) -> pd.DataFrame: ...
    @overload
    def smooth_weights(self, X: Any, y: ArrayLike, *, return_std: Literal[True]) -> TwoTables: ...
    def smooth_weights(
        self, X: Any, y: ArrayLike, *, return_std: bool = False
    ) -> pd.DataFrame | TwoTables:
        """Return the weights in force at each choice, as all choices let expect after the fact.

        :meth:`predict_weights` knows the choices before a trial; this knows also that of the
        trial itself and all later ones. It is for looking back, not for predicting.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
            The choices, of which X tells all but each subject's last.
        return_std : bool, default=False
            Whether to return how sure they are, too: 1.64 standard deviations on either side
            are a 90% credible band.

        Returns
        -------
        DataFrame of shape (n_rows, K), or with ``return_std`` a pair, as of ``predict_weights``

        Raises
        ------
        ValueError
            Without process noise: then weights are known from the rule alone.
        """
        check_is_fitted(self)
        if not hasattr(self, "process_noise_"):
            raise ValueError(
                "smooth_weights finds out where noise moved the weights, but process_noise is "
                "None: fit with process_noise='learned', or use predict_weights."
            )
        weights, std = self._tables(X, *self._smooth(*self.read_choices(X, y)))
        return (weights, std) if return_std else weights

    def _smooth(self, sequences: Sequences, is_second: Bools) -> tuple[torch.Tensor, torch.Tensor]:
        """Return smoothed weights (M, n_rows, K) by each member, and their covariances."""
        paths = self.predict_paths(sequences)  # (M, n_rows, K + S)
        means = paths[..., : len(self.weight_names_)].clone()
        covariances = unpack(paths[..., len(self.weight_names_) :])
        for alike in of_like_length(sequences.lengths):
            part, rows = sequences.some(alike)
            models = copy_models(self)
            filtered = look_back_members(models, part, is_second[rows], paths[:, rows])
            smoothed = zip(*map(smooth, filtered), strict=True)
            means[:, rows], covariances[:, rows] = (in_rows(part, each) for each in smoothed)
        return means, covariances

    def _tables(self, X: Any, means: torch.Tensor, covariances: torch.Tensor | None) -> TwoTables:
        """Return M members' mean weights (M, n_rows, K) as a table, and their std."""

        def table(rows: torch.Tensor) -> pd.DataFrame:
            index = X.index if isinstance(X, pd.DataFrame) else None
            return pd.DataFrame(rows.numpy(), columns=pd.Index(self.weight_names_), index=index)

        mean, std = pool_members(means, covariances)
        return table(mean), table(std)

    def _predict_logits(self, sequences: Sequences) -> Floats:
        return self.policy_logits(self.predict_paths(sequences), sequences.fields.features)

    def policy_logits(self, paths: torch.Tensor, features: Floats) -> Floats:
        """Return the logits of P(second class) where given weights meet given features.

        Parameters
        ----------
        paths : Tensor of shape (M, n, K + S)
            See :meth:`predict_paths`.
        features : ndarray of shape (n, K)
            Stimuli, in X's units, and 1 for the bias.

        Returns
        -------
        ndarray of shape (n,)
            With the fitted lapses, if any; of an ensemble, from its members' mean.
        """
        models: Any = [net.module_ for net in self.nets_]
        with torch.no_grad():
            return choice_logits(models, paths, torch.as_tensor(features)).numpy()

    def predict_paths(self, sequences: Sequences) -> torch.Tensor:
        """Return what is known of each member's weights before each choice.

        Parameters
        ----------
        sequences : Sequences from :meth:`read_sequences`

        Returns
        -------
        Tensor of shape (M, n_rows, K + S), in the user's units, one for each of M members
            The weights or, with process noise, their mean, then the S = K (K + 1) / 2 numbers of
            the lower triangle of their covariance.

        Raises
        ------
        ValueError
            If the rule reads correct choices, which X does not tell.
        FloatingPointError
            If weights run away.
        """
        if self.net_.module_.rule.uses_answer:
            sequences.check_answer_known(type(self).__name__)
        dataset = self._dataset(sequences)
        paths, ran_away = [], np.zeros(len(dataset), dtype=bool)
        for net in self.nets_:
            padded, astray = zip(*net.predict_path(dataset), strict=True)
            paths.append(dataset.rows(padded).cpu().double())
            for block, of_block in zip(dataset.blocks, astray, strict=True):
                ran_away[block.sequences] |= of_block.cpu().numpy()
        _warn_of_runaways(type(self).__name__, sequences.whose(ran_away))
        of_members = torch.stack(paths)
        self._check_finite(sequences, of_members.isfinite().all(-1).all(0).numpy())
        return of_members


def _warn_of_runaways(name: str, subjects: pd.Index) -> None:
    if len(subjects):
        warnings.warn(
            f"{name}: the weights of {len(subjects)} subject(s) ({short(subjects[0])}) would go "
            "far beyond those of the subjects fitted, where the rule is a guess, and were held "
            "back. More, or more alike, training subjects help.",
            UserWarning,
            stacklevel=4,
        )
