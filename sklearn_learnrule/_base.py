"""The rule estimators' base class, in which only the learning rule is left open."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from ._classifier import TRAINING_PARAMETERS, SequenceClassifier, to_numpy
from ._design import show
from ._initial_weights import initial_weights
from ._net import LearningModel, SequenceDataset
from ._sequences import Sequences
from ._standard_errors import is_parametric, summarize
from .rules import LearningRule

MARGIN = 1.0  # by how much of their range others' weights may leave the fitted subjects'

RULE_PARAMETERS = """\
initial_weights : "zeros", "psychometric" or array of shape (K,), default="zeros"
    Policy weights before the first trial. "psychometric" fits them to the choices on the
    first 100 trials of all subjects.
train_initial_weights : bool, default=True
    Whether the initial weights, shared by all subjects, are fitted too.
truncation : int or None, default=None, of networks 500
    Stop gradients every so many trials; None: they are exact.
engine : "auto", "loop", "parallel" or "fused", default="auto"
    How the rule is unrolled; every engine gives the same numbers.
"""


@dataclass(kw_only=True, repr=False, eq=False)
class BaseRuleEstimator(SequenceClassifier):
    """A Bernoulli GLM policy whose weights a learning rule moves from trial to trial.

    A subclass is a dataclass whose fields are its parameters, with :meth:`make_rule`.
    """

    initial_weights: str | ArrayLike = "zeros"
    train_initial_weights: bool = True
    truncation: int | None = None
    engine: str = "auto"

    _shared_parameters: ClassVar[str] = RULE_PARAMETERS + TRAINING_PARAMETERS

    def make_rule(self, n_weights: int) -> LearningRule:
        """Return the rule to be fitted, a torch module for K = ``n_weights`` policy weights."""
        raise NotImplementedError

    def _make_model(self, sequences: Sequences, is_second: NDArray[np.bool_]) -> LearningModel:
        start = initial_weights(self.initial_weights, sequences, is_second)
        rule = self.make_rule(len(start))
        if rule.uses_answer:
            self._check_answer_known(sequences)
        model = LearningModel(
            rule,
            torch.as_tensor(start),
            train_initial_weights=self.train_initial_weights,
            truncation=self.truncation,
            engine=self.engine,
        )
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(
                f"{type(self).__name__} has nothing to fit: set train_initial_weights=True."
            )
        return model

    def _publish(self, dataset: SequenceDataset) -> None:
        """Set the fitted attributes: parameters under their textbook names, and a table of them."""
        super()._publish(dataset)
        model: Any = self.net_.module_
        self.weight_names_ = [*self._stimulus_names, "bias"]
        starts = [to_numpy(net.module_.initial_weights) for net in self.nets_]
        self.initial_weights_ = np.mean(starts, 0)
        for name in model.rule.textbook_names:
            setattr(self, f"{name}_", to_numpy(getattr(model.rule, name)))
        if is_parametric(model):
            self.summary_ = summarize(model, dataset, self.weight_names_, self.classes_)
        else:
            for net in self.nets_:
                weights, _ = net.predict_weights(dataset)
                net.module_.bounds = _bounds(weights)

    def predict_weights(self, X: Any, *, return_std: bool = False) -> Any:
        """Return the policy weights in force before each choice, one column a feature, then bias.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        return_std : bool, default=False
            Whether to return how far an ensemble's members lie apart, too.

        Returns
        -------
        DataFrame of shape (n_rows, K), with X's index; of an ensemble, its members' mean
            With ``return_std``, a pair: the weights, and their standard deviation over members.
        """
        if return_std and self.n_ensemble < 2:
            raise ValueError(
                "return_std tells how an ensemble's members differ, but there is one: set "
                "n_ensemble to 2 or more."
            )
        sequences = self._read_as_fitted(X)
        weights = self._weights(sequences)  # (M, N, T, K)

        def table(padded: NDArray[np.float64]) -> pd.DataFrame:
            index = X.index if isinstance(X, pd.DataFrame) else None
            columns = pd.Index(sequences.feature_names)
            return pd.DataFrame(sequences.rows(padded), columns=columns, index=index)

        mean = table(weights.mean(0))
        return (mean, table(weights.std(0, ddof=1))) if return_std else mean

    def _predict_logits(self, sequences: Sequences) -> NDArray[np.float64]:
        return (self._weights(sequences).mean(0) * sequences.features).sum(-1)

    def _weights(self, sequences: Sequences) -> NDArray[np.float64]:
        """Return the M members' weights before each choice, (M, N, T, K)."""
        if self.net_.module_.rule.uses_answer:
            self._check_answer_known(sequences)
        dataset = self._dataset(sequences)
        weights, held = zip(*(net.predict_weights(dataset) for net in self.nets_), strict=True)
        _warn_of_held(
            type(self).__name__, sequences.subjects[torch.stack(held).any(0).cpu().numpy()]
        )
        return np.stack([to_numpy(member) for member in weights])


def _bounds(weights: torch.Tensor) -> torch.Tensor:
    """Return the range of weights (N, T, K), and as much again on either side, (2, K)."""
    lowest, highest = weights.amin((0, 1)), weights.amax((0, 1))
    margin = (MARGIN * (highest - lowest)).clamp_min(MARGIN)
    return torch.stack([lowest - margin, highest + margin])


def _warn_of_held(name: str, subjects: pd.Index) -> None:
    if len(subjects):
        warnings.warn(
            f"{name}: the weights of {len(subjects)} subject(s) ({show(subjects[0])}) went far "
            "beyond those of the subjects fitted, where the rule is a guess, and were held there. "
            "More, or more alike, training subjects help.",
            UserWarning,
            stacklevel=4,
        )
