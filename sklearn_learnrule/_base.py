"""The scikit-learn shell: one base class, in which only the learning rule is left open."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ._design import show, two_labels
from ._initial_weights import initial_weights
from ._net import LearningModel, SequenceDataset
from ._sequences import Sequences, has_identity, read_sequences
from ._training import check_training, seeded, train
from .metrics import log_likelihood
from .rules import LearningRule

SHARED_PARAMETERS = """\
initial_weights : "zeros", "psychometric" or array of shape (K,), default="zeros"
    Policy weights before the first trial. "psychometric" fits them to the choices on the
    first 100 trials of all subjects.
train_initial_weights : bool, default=True
    Whether the initial weights, shared by all subjects, are fitted too.
truncation : int or None, default=None, of networks 500
    Stop gradients every so many trials; None: they are exact.
engine : "auto", "loop", "parallel" or "fused", default="auto"
    How the rule is unrolled; every engine gives the same numbers.
optimizer : "lbfgs" or "adam", default="lbfgs", of networks "adam"
lr : float or None, default=None
    Learning rate of the optimizer; None: .003 for "adam", 1 for "lbfgs".
max_epochs : int, default=50, of networks 300
    Passes over all subjects. An "lbfgs" epoch is up to 20 iterations.
tol : float, default=1e-8
    "lbfgs" has converged when an epoch gains less than this, in nats per trial.
batch_size : int, default=-1
    Subjects per gradient step; -1: all.
early_stopping : bool, default=False
    Hold subjects out, stop when their loss no longer falls, keep the best epoch.
validation_fraction : float, default=0.2
    Share of subjects held out for early stopping, at least one.
n_iter_no_change : int, default=20
    Epochs without improvement after which early stopping stops.
device : str, default="auto"
    A torch device; "auto" takes a GPU if torch sees one.
callbacks : list of skorch callbacks or None, default=None
warm_start : bool, default=False
    Start from the last fit's parameters.
random_state : int, RandomState or None, default=None
    Seeds the network's start and the order of minibatches; global seeds stay as they are.
verbose : int, default=0
    1 shows progress, 2 also skorch's log of epochs."""


@dataclass(kw_only=True, repr=False, eq=False)
class BaseRuleEstimator(ClassifierMixin, BaseEstimator):
    """A Bernoulli GLM policy whose weights a learning rule moves from trial to trial.

    A subclass is a dataclass whose fields are its parameters, with :meth:`make_rule`.
    """

    initial_weights: str | ArrayLike = "zeros"
    train_initial_weights: bool = True
    truncation: int | None = None
    engine: str = "auto"
    optimizer: str = "lbfgs"
    lr: float | None = None
    max_epochs: int = 50
    tol: float = 1e-8
    batch_size: int = -1
    early_stopping: bool = False
    validation_fraction: float = 0.2
    n_iter_no_change: int = 20
    device: str = "auto"
    callbacks: Sequence[Any] | None = None
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0

    _dtype: ClassVar[torch.dtype] = torch.float64

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__doc__:
            cls.__doc__ = inspect.cleandoc(cls.__doc__).replace("{shared}", SHARED_PARAMETERS)

    def make_rule(self, n_weights: int) -> LearningRule:
        """Return the rule to be fitted, a torch module for K = ``n_weights`` policy weights."""
        raise NotImplementedError

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Fit the rule by the likelihood of the choices.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
            Choices, two labels of any type.
        sample_weight : array-like of shape (n_rows,) or None
            How much each trial counts; one of weight 0 is unrolled through, not scored.

        Returns
        -------
        self
        """
        check_training(self)
        _check_identity_kept(X, y)
        sequences = self._read(X, reset=True)
        labels = self._labels(y)
        check_consistent_length(X, labels)
        self.classes_ = _two_classes(labels)
        sequences.check_choices(self._signed(labels))
        weight = _check_sample_weight(
            sample_weight, np.empty(len(labels)), dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("Every sample_weight is zero: no trial is left to score.")

        device = self._device()
        with seeded(self.random_state, device) as seed:
            model = self._make_model(sequences, labels == self.classes_[1])
            dataset = SequenceDataset(
                sequences,
                choice=labels == self.classes_[1],
                weight=weight,
                dtype=self._dtype,
                device=device,
            )
            self.net_ = train(model, dataset, self, device, seed)
        self.weight_names_ = sequences.feature_names
        self._publish()
        return self

    def _make_model(self, sequences: Sequences, is_second: NDArray[np.bool_]) -> LearningModel:
        start = initial_weights(self.initial_weights, sequences, is_second)
        rule = self.make_rule(len(start))
        self._check_answer(rule, sequences)
        model = LearningModel(
            rule,
            torch.as_tensor(start),
            train_initial_weights=self.train_initial_weights,
            truncation=self.truncation,
            engine=self.engine,
        ).to(self._dtype)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(
                f"{type(self).__name__} has nothing to fit: set train_initial_weights=True."
            )
        if self.warm_start and hasattr(self, "net_"):
            try:
                model.load_state_dict(self.net_.module_.state_dict())
            except RuntimeError:
                raise ValueError(
                    "warm_start goes on from the last fit, which had other layers or another "
                    "number of stimulus columns: set warm_start=False."
                ) from None
        return model

    def _publish(self) -> None:
        """Set the fitted attributes and warn if the optimizer was cut short."""
        model: Any = self.net_.module_
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)
        self.initial_weights_ = _to_numpy(model.initial_weights)
        for name in model.rule.textbook_names:
            setattr(self, f"{name}_", _to_numpy(getattr(model.rule, name)))
        converged = dict(self.net_.callbacks_).get("converged")
        cut_short = self.n_iter_ >= self.max_epochs  # and not ended by early stopping
        if converged is not None and cut_short and not converged.misses_:
            warnings.warn(
                f"{type(self).__name__} has not converged after {self.max_epochs} epochs: raise "
                "max_epochs, or give fewer parameters to so little data.",
                ConvergenceWarning,
                stacklevel=3,
            )

    # --------------------------------------------------------------- prediction

    def predict_weights(self, X: Any) -> pd.DataFrame:
        """Return the policy weights in force before each choice, one column a feature, then bias.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)

        Returns
        -------
        DataFrame of shape (n_rows, K), with X's index
        """
        sequences, weights = self._unroll(X)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(
            sequences.rows(weights), columns=pd.Index(sequences.feature_names), index=index
        )

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logit of P(second class) before each choice, (n_rows,)."""
        return self._logits(X)[1]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class before each choice, (n_rows, 2)."""
        second = expit(self.decision_function(X))
        return np.column_stack([1 - second, second])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier choice on each trial, (n_rows,)."""
        is_second = self.decision_function(X) > 0
        return self.classes_[is_second.astype(int)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean log-likelihood of the choices, in nats per trial (chance: -0.6931).

        Higher is better. It is a proper score, so that model comparison and search are right
        by default; for accuracy use ``scoring="accuracy"``.
        """
        sequences, logits = self._logits(X)
        labels = self._labels(y)
        check_consistent_length(logits, labels, sample_weight)
        sequences.check_choices(self._signed(labels))
        return log_likelihood(self.classes_[1] == labels, logits, sample_weight=sample_weight)

    def _logits(self, X: Any) -> tuple[Sequences, NDArray[np.float64]]:
        sequences, weights = self._unroll(X)
        return sequences, sequences.rows((weights * sequences.features).sum(-1))

    def _unroll(self, X: Any) -> tuple[Sequences, NDArray[np.float64]]:
        """Read X and return the weights before each choice, (N, T, K)."""
        check_is_fitted(self)
        sequences = self._read(X, reset=False)
        if len(sequences.feature_names) != len(self.weight_names_):
            raise ValueError(
                f"{type(self).__name__} was fitted with the stimulus columns "
                f"{self.weight_names_[:-1]}, but X has {sequences.feature_names[:-1]}."
            )
        self._check_answer(self.net_.module_.rule, sequences)
        dataset = SequenceDataset(sequences, dtype=self._dtype, device=self.net_.device)
        return sequences, _to_numpy(self.net_.predict_weights(dataset))

    # ------------------------------------------------------------------- checks

    def _read(self, X: Any, *, reset: bool) -> Sequences:
        if has_identity(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return read_sequences(X)
        names = list(X.columns) if isinstance(X, pd.DataFrame) else None
        values = validate_data(self, X, dtype=np.float64, reset=reset)
        return read_sequences(values if names is None else pd.DataFrame(values, columns=names))

    def _labels(self, y: Any) -> NDArray[Any]:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        labels = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        return labels

    def _signed(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        unknown = ~np.isin(labels, self.classes_)
        if unknown.any():
            raise ValueError(
                f"y should hold the classes {self.classes_.tolist()}, but has "
                f"{show(labels[unknown][0])}."
            )
        return np.where(labels == self.classes_[1], 1.0, -1.0)

    def _check_answer(self, rule: LearningRule, sequences: Sequences) -> None:
        if rule.uses_answer and not sequences.answer_known:
            raise ValueError(
                f"{type(self).__name__} reads the correct choice, which these rewards do not tell "
                "(more than one value stands for an error, or none): name the column of correct "
                "choices, make_design(..., answer=...)."
            )

    def _device(self) -> str:
        if self.device != "auto":
            return str(self.device)
        return "cuda" if torch.cuda.is_available() else "cpu"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _check_identity_kept(X: Any, y: Any) -> None:
    """Raise if y still names its subjects and X, after some transformer, does not."""
    if not has_identity(X) and isinstance(y, pd.Series) and "subject" in y.index.names:
        raise ValueError(
            "X lost its subject index on the way here, though y still has it: call "
            "set_output(transform='pandas') on the pipeline or on its transformers."
        )


def _two_classes(labels: NDArray[Any]) -> NDArray[Any]:
    check_classification_targets(labels)
    kind = type_of_target(labels, input_name="y")
    if kind != "binary":
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}."
        )
    return two_labels(labels, "y")


def _to_numpy(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()
