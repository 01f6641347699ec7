"""The scikit-learn shell: a classifier over subjects' sequences, whose model is left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self, dataclass_transform

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from ..data.check_sequences import check_made_alike
from ..data.sequences import Sequences, check_identity_kept, has_identity, read_sequences
from ..data.tables import label_texts, number_classes
from ..engine import threads
from ..metrics import log_likelihood, with_first
from ..models.learning import SequenceModel
from ..rules import Units
from ..training.dataset import SequenceDataset
from ..training.ensemble import train_members
from ..training.fit_checks import never_made_fault, prediction_fault
from ..training.mirror import fits_mirror_images
from ..training.net import SequenceNet
from ..training.optimization import drawing_from, net_so_far
from ..training.settings import Training, TrainingSettings, check_training, is_device
from ..training.units import usual_units, warn_of_stimuli
from ..utils.arrays import Bools, Floats, Ints
from ..utils.documentation import LinksToDocumentation
from ..utils.parameters import WHOLE_FROM_1, Meets, Number, with_checked_parameters
from ..utils.texts import short
from ..utils.warn import warn
from ..utils.weights import relative_weights
from .classes import check_told, read_classes, read_labels
from .fit_tasks import FitTasks, TakesCallbacks, with_callbacks
from .frozen import StoredAsArrays
from .misuse import refuse_changed_columns
from .parameter_order import ParametersInOrder, present_parameters


@dataclass_transform(kw_only_default=True, eq_default=False)
@dataclass(kw_only=True, repr=False, eq=False)
class SequenceClassifier(
    TakesCallbacks,
    LinksToDocumentation,
    ClassifierMixin,
    Training,
    StoredAsArrays,
    ParametersInOrder,
):
    """A model of subjects' choices, trained by their likelihood.

    A subclass becomes a dataclass, whose fields are its parameters. It has :meth:`_make_model` and
    :meth:`_predict_logits`.
    """

    truncation: int | None = None
    engine: str = "auto"
    device: str = "auto"
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "truncation": [None, WHOLE_FROM_1],
        "device": [Meets(is_device, "'auto' or a torch device that there is on this machine")],
        "warm_start": ["boolean"],
        "random_state": [
            None,
            Number(Integral, 0, 2**32 - 1, closed="both"),
            np.random.RandomState,
        ],
    }
    _parameter_docs: ClassVar[str] = """
        truncation : int or None, default={truncation}
            Stop gradients every so many trials; None: they are exact.
        engine : "auto", "loop", "fused" or, of rules, "parallel", default={engine}
            How sequences are unrolled; every engine gives the same numbers.
        device : str, default={device}
            A torch device. "auto" takes the CPU for what is compiled for it, which is faster there
            but for some hundred thousand trials a step; else a GPU, if torch sees one.
        warm_start : bool, default={warm_start}
            Start from the last fit's parameters.
        random_state : int, RandomState or None, default={random_state}
            Seeds the network's start and the order of minibatches; global seeds stay as they are.
        """
    _dtype: ClassVar[torch.dtype] = torch.float64
    decision_is_logit: ClassVar[bool] = True  # of P(second class), which few promise

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(kw_only=True, repr=False, eq=False)(cls)
        special = [base for base in cls.__mro__ if not _speaks_of_training(base)]
        shared = [base for base in reversed(cls.__mro__) if _speaks_of_training(base)]
        present_parameters(cls, [*special, *shared])

    def _make_model(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> SequenceModel:
        """Return the model to be fitted, for these sequences and choices of the second class."""
        raise NotImplementedError

    def _predict_logits(self, sequences: Sequences) -> Floats:
        """Return the policy's logits before each choice, (n_rows,), or (n_rows, C - 1) of C > 2."""
        raise NotImplementedError

    # ------------------------------------------------------------------ fitting

    @with_callbacks
    @with_checked_parameters
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit by the likelihood of the choices.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
            Choices, two labels of any type or more.
        sample_weight : array-like of shape (n_rows,) or None
            How much each trial counts, relative to the others; one of weight 0 is unrolled
            through, not scored. To standard errors, a trial of weight 2 is two trials.

        Returns
        -------
        self
            A fit that fails leaves the estimator as it was.
        """
        check_training(self)
        check_identity_kept(X, y)
        tasks = FitTasks(self, X, y, sample_weight)
        with _all_or_nothing(self), threads.job():
            self._fit(X, y, sample_weight, tasks)
            tasks.end()
        return self

    def _fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, tasks: FitTasks) -> None:
        sequences = self._read(X, reset=True)
        labels = read_labels(y, type(self).__name__)
        check_consistent_length(X, labels)
        self.classes_ = read_classes(labels, sequences)
        sequences = replace(sequences, n_choices=len(self.classes_))
        chosen = number_classes(labels, self.classes_)
        sequences.check_choices(chosen)
        weight, weight_unit = relative_weights(sample_weight, len(labels))

        units = usual_units(sequences, weight)
        warn_of_stimuli(sequences, units)
        given = sequences, chosen, weight, units
        make_model, begin = partial(self._draw_model, *given), self._beginning(*given)
        model = make_model(torch.Generator(), symmetric=True)  # raises for what does not suit X
        self._warn(model.caution(), UserWarning)
        self.mirrored_ = fits_mirror_images(self._settings.mirror, *given, model.is_symmetric)
        settings = replace(self._settings, mirrored=self.mirrored_)

        def start(member: int, generator: torch.Generator) -> SequenceModel:
            return self._go_on(begin(make_model(generator, symmetric=settings.mirrored)), member)

        device = self._device(model)
        told: Any = {"choice": chosen, "weight": weight, "dtype": self._dtype, "device": device}
        dataset = SequenceDataset(sequences, **told, whole_subjects=model.effects is not None)
        dataset.weight_unit = weight_unit
        draw = check_random_state(self.random_state).randint
        seeds = [int(draw(2**31 - 1)) for _ in range(settings.n_ensemble)]
        learned = dataset, sequences, chosen
        tasks.as_if_stopped = lambda net: self._fitted_so_far(net, *learned)
        how: Any = {"again": not self.warm_start, "teller": tasks.teller}
        self.nets_ = train_members(start, seeds, dataset, settings, device, **how)
        self._publish(*learned)
        features = sequences.fields.features / units.feature.numpy()
        n_told = self.net_.module_.n_told * len(dataset.scored_sequences)
        logits = self._predict_logits(sequences)
        fault = self._training_fault() or prediction_fault(logits, features, chosen, weight, n_told)
        fault = fault or never_made_fault(logits, chosen, weight, self.classes_)
        self._warn(fault, ConvergenceWarning)

    def _fitted_so_far(self, net: SequenceNet, *learned: Any) -> dict[str, Any]:
        """Return the attributes of a fit whose only member is as far as this net."""
        stopped = object.__new__(type(self))
        stopped.__dict__ = {**self.__dict__, "nets_": [net_so_far(net)]}
        stopped._publish(*learned)
        return stopped.__dict__

    def _warn(self, fault: str | None, category: type[Warning]) -> None:
        if fault:
            warn(f"{type(self).__name__} {fault}", category)

    def _beginning(self, *given: Any, **further: Any) -> Callable[[Any], Any]:
        """Return what puts a model, as it was made, where its fit to these trials begins."""
        del given, further
        return lambda model: model

    def _draw_model(
        self,
        sequences: Sequences,
        chosen: Ints,
        weight: Floats,
        units: Units,
        generator: torch.Generator,
        symmetric: bool = False,
    ) -> SequenceModel:
        with drawing_from(generator):
            model = self._make_model(sequences, chosen, weight, units)
            if symmetric:
                model.make_symmetric()
        return model.to(self._dtype)

    @property
    def _goes_on(self) -> bool:
        return self.warm_start and hasattr(self, "nets_")

    @property
    def _settings(self) -> TrainingSettings:
        """How it is trained; a warm start goes on from one place."""
        settings = TrainingSettings.of(self)
        return replace(settings, n_init=1) if self._goes_on else settings

    def _go_on(self, model: SequenceModel, member: int) -> SequenceModel:
        """Let a warm start begin with the last fit's parameters; what is given stays so."""
        if not self._goes_on:
            return model
        try:
            last = dict(self.nets_[member].module_.named_parameters())
            assert self.nets_[member].module_.is_symmetric == model.is_symmetric
            assert last.keys() == dict(model.named_parameters()).keys()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.requires_grad:
                        assert parameter.shape == last[name].shape
                        parameter.copy_(last[name])
            return model
        except (AssertionError, KeyError, IndexError):
            raise ValueError(
                "warm_start goes on from the last fit, which had other layers, another number of "
                "choices or of stimulus columns, a smaller ensemble, other subject_effects, other "
                "covariates, another rule to go around or another answer to mirror='auto': set "
                "warm_start=False."
            ) from None

    def _publish(self, dataset: SequenceDataset, sequences: Sequences, chosen: Ints) -> None:
        """Set the fitted attributes, after a fit to this dataset of these sequences and choices."""
        del chosen
        self.net_ = self.nets_[0]
        self._stimulus_names = sequences.feature_names[:-1]
        self._further_history = sequences.further_history
        self._choice_labels = label_texts(self.classes_) if len(self.classes_) > 2 else []
        self._answer_told = sequences.answer_known
        self._n_scored = len(dataset.scored_subjects)
        made_with = {**self.get_params(deep=False), "callbacks": None, "random_state": None}
        self._made_with = {k: clone(given, safe=False) for k, given in made_with.items()}
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)

    def _training_fault(self) -> str | None:
        """Return why the training may not be trusted, if it ended before it was done."""
        converged = dict(self.net_.callbacks_).get("converged")
        most = self.net_.most_epochs
        cut_short = self.n_iter_ >= most  # and not ended by early stopping
        if converged is not None and cut_short and not converged.misses_:
            return (
                f"has not converged after {most} epochs: give fewer parameters to so little data "
                "(such as baseline=None), or raise max_epochs."
            )
        return None

    # --------------------------------------------------------------- prediction

    def decision_function(self, X: Any) -> Floats:
        """Return the logit of P(second class) before each choice, (n_rows,).

        Of C > 2 classes, the logarithm of each one's probability, less their mean, (n_rows, C).
        """
        logits = self._logits(self.read_sequences(X))
        if logits.ndim == 1:
            return logits
        of_all = with_first(logits)
        return of_all - of_all.mean(1, keepdims=True)

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class before each choice, (n_rows, C)."""
        logits = self.decision_function(X)
        if logits.ndim > 1:
            return softmax(logits, axis=1)
        return np.column_stack([expit(-logits), expit(logits)])  # 1 - p would round to 0

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest choice on each trial, (n_rows,)."""
        logits = self.decision_function(X)
        return self.classes_[(logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean log-likelihood of the choices, in nats per trial.

        Chance is -log C: of two choices -0.6931. Higher is better. It is a proper score, so that
        model comparison and search are right by default; for accuracy use ``scoring="accuracy"``.
        """
        sequences, chosen = self.read_choices(X, y)
        weight, _ = relative_weights(sample_weight, len(chosen))
        return log_likelihood(chosen, self._logits(sequences), sample_weight=weight)

    def read_choices(self, X: Any, y: Any) -> tuple[Sequences, Ints]:
        """Return the sequences in X, and the class of each choice, 0, 1, ... C - 1, (n_rows,).

        Raises
        ------
        ValueError
            If y is of other classes or another length, or contradicts X.
        """
        sequences = self.read_sequences(X)
        labels = read_labels(y, type(self).__name__)
        check_consistent_length(X, labels)
        chosen = number_classes(labels, self.classes_)
        sequences.check_choices(chosen)
        return sequences, chosen

    def _logits(self, sequences: Sequences) -> Floats:
        logits = self._predict_logits(sequences)
        finite = np.asarray(np.isfinite(logits.reshape(len(logits), -1)).all(axis=1))
        self._check_finite(sequences, finite)
        return logits

    def _check_finite(self, sequences: Sequences, finite: Bools) -> None:
        """Raise for a row (n_rows,) of which nothing can be predicted."""
        if finite.all():
            return
        row = int(np.argmin(finite))
        raise FloatingPointError(
            f"{type(self).__name__} cannot predict subject "
            f"{short(sequences.subjects[sequences.row_subject[row]])} from trial "
            f"{sequences.row_trial[row]} on: its weights ran away there. Are its stimuli far "
            "larger than those of the subjects fitted?"
        )

    def _dataset(self, sequences: Sequences) -> SequenceDataset:
        how: Any = {"dtype": self._dtype, "device": self.net_.device}
        whole = self.net_.module_.effects is not None
        return SequenceDataset(sequences, **how, whole_subjects=whole)

    def read_sequences(self, X: Any) -> Sequences:
        """Read the subjects' sequences in X, checked as in predicting.

        Raises
        ------
        NotFittedError, ValueError
            If X has not the columns of the fit, or its trials are not whole and in order.
        """
        check_is_fitted(self)
        refuse_changed_columns(type(self).__name__)
        check_made_alike(X, self)
        sequences = self._read(X, reset=False)
        stimuli = sequences.feature_names[:-1]
        if len(stimuli) != len(self._stimulus_names):
            raise ValueError(
                f"{type(self).__name__} was fitted with the stimulus columns "
                f"{self._stimulus_names}, but X has {stimuli}."
            )
        check_told(sequences, self.classes_)
        return sequences

    def _read(self, X: Any, *, reset: bool) -> Sequences:
        if has_identity(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return read_sequences(X)
        names = list(X.columns) if isinstance(X, pd.DataFrame) else None
        values = validate_data(self, X, dtype=np.float64, reset=reset)
        return read_sequences(values if names is None else pd.DataFrame(values, columns=names))

    def _device(self, model: SequenceModel) -> str:
        return model.usual_device if self.device == "auto" else str(self.device)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        return tags


def _speaks_of_training(base: type) -> bool:
    """Whether a base's parameters are those of training, whatever is trained."""
    shared = issubclass(base, Training) and not issubclass(base, SequenceClassifier)
    return shared or issubclass(SequenceClassifier, base)


@contextmanager
def _all_or_nothing(estimator: Any) -> Iterator[None]:
    """Leave the estimator's attributes as they were if anything goes wrong."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
