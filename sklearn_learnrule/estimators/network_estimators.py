"""The estimators whose learning rules are networks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..data.sequences import Sequences
from ..rules import DNNRule, LearningRule, Policy, RNNRule, Units
from ..rules.networks import ACTIVATIONS
from ..training.dataset import SequenceDataset, to_numpy
from ..training.optimization import train
from ..training.settings import TrainingSettings
from ..utils.arrays import Floats, Ints
from ..utils.parameters import WHOLE_FROM_1, Meets, each
from ..utils.sklearn_private import StrOptions
from .base import BaseRuleEstimator
from .network_parameters import NetworkTraining
from .rule_estimators import ConstantRuleEstimator, ReinforceRuleEstimator


def _is_textbook(value: Any) -> bool:
    """Whether it is the estimator of a rule that a network may go around, if it has no memory."""
    others = (_NetworkRuleEstimator, ConstantRuleEstimator)  # the latter would add nothing
    return isinstance(value, BaseRuleEstimator) and not isinstance(value, others)


def _rule_of(around: BaseRuleEstimator, n_features: int, policy: Policy) -> LearningRule:
    """Return the rule to go around; raise for what would say how to fit it, if it were fitted."""
    of_fits = {*inspect.signature(BaseRuleEstimator).parameters, "prior", "n_init"}
    for name, given in around.get_params(deep=False).items():
        if name in of_fits and str(given) != str(getattr(type(around), name)):
            raise ValueError(
                f"around tells which rule a network goes around, not how it is fitted: leave out "
                f"its {name}, or give it to the network."
            )
    return around.ask_for_rule(n_features, policy)


class _NetworkRuleEstimator(NetworkTraining, BaseRuleEstimator):
    """What the network rules share: their training, and their inputs."""

    hidden_sizes: int | Sequence[int] = (32, 32)
    activation: str = "relu"
    session_input: bool = True
    answer_input: bool = True
    around: BaseRuleEstimator | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_sizes": [WHOLE_FROM_1, each(WHOLE_FROM_1)],
        "activation": [StrOptions({*ACTIVATIONS})],
        "subject_effects": [None, WHOLE_FROM_1, each(str)],
        "session_input": ["boolean"],
        "answer_input": ["boolean"],
        "around": [None, Meets(_is_textbook, "the estimator of a textbook rule")],
    }
    _parameter_docs: ClassVar[str] = """
        hidden_sizes : int or sequence of int, default={hidden_sizes}
            Widths of the hidden layers, after the memory if there is one; an int: of the only one.
        activation : "relu", "tanh", "elu", "gelu", "silu" or "softplus", default={activation}
        session_input, answer_input : bool, default={session_input}
            Whether the network sees that the next trial opens a session, and the correct choice,
            if X tells it by rewards or by answers that were named.
        around : ReinforceRuleEstimator or another, or None, default={around}
            A textbook rule without memory, to whose update the network adds its own; both are
            fitted together. So a network needs fewer animals where they learn much as the textbook
            says, the more so the larger ``weight_decay`` is (20, of few trials); compare it with
            that rule alone. That estimator tells which rule it is (as by ``baseline``); noise,
            starts and training are the network's.
        """

    def _unlearned_start(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> Floats:
        """Return where REINFORCE has them: elsewhere, networks take habits for learning."""
        reinforce = ReinforceRuleEstimator(unlearned=self.unlearned, prior="weak")
        given = sequences, chosen, weight, units
        model = reinforce._beginning(*given)(reinforce._make_model(*given)).double()
        dataset = SequenceDataset(
            sequences, choice=chosen, weight=weight, dtype=torch.float64, device="cpu"
        )
        settings = TrainingSettings(tol=1e-5)  # nats a trial: it is but a start
        try:
            net = train(model, dataset, settings, "cpu", torch.Generator(), seed=0)
        except FloatingPointError:
            return super()._unlearned_start(sequences, chosen, weight, units)
        return to_numpy(net.module_.start)

    def _options(self, n_weights: int, n_choices: int) -> dict[str, Any]:
        own = self.subject_effects if isinstance(self.subject_effects, int) else 0
        policy = Policy(n_choices)
        around = self.around and _rule_of(self.around, n_weights // policy.n_sets, policy)
        return {
            "n_choices": n_choices,
            "around": around,
            "hidden_sizes": self.hidden_sizes,
            "activation": self.activation,
            "session_input": self.session_input,
            "answer_input": self.answer_input,
            "n_effects": own,
        }


class DNNRuleEstimator(_NetworkRuleEstimator):
    """DNNGLM: a feedforward network maps weights, stimulus, choice and reward to the update.

    update = scale * MLP(w, x, y, r, session start, correct choice), and that of the rule, if any,
    that it goes ``around``.

    Parameters
    ----------
    {shared}

    References
    ----------
    Liu, Geadah & Pillow (2025), arXiv 2509.04661.

    Examples
    --------
    >>> from sklearn_learnrule import DNNRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> quick = {"n_ensemble": 1, "max_epochs": 3, "mirror": False, "random_state": 0}  # a taste
    >>> rule = DNNRuleEstimator(hidden_sizes=8, **quick).fit(X, y)
    >>> rule.predict_weights(X).shape
    (1258, 2)
    """

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return DNNRule(n_weights, **self._options(n_weights, n_choices))


class RNNRuleEstimator(_NetworkRuleEstimator):
    """RNNGLM: as the DNN, with a recurrent memory of earlier trials.

    h' = GRU(w, x, y, r, session start, correct choice; h), update = scale * MLP(h'), and that of
    the rule, if any, that it goes ``around``.

    Parameters
    ----------
    memory_size : int, default=32
        Units of the GRU; of more than two choices that are learned alike, of each of them.
    {shared}

    References
    ----------
    Liu, Geadah & Pillow (2025), arXiv 2509.04661.

    Examples
    --------
    >>> from sklearn_learnrule import RNNRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> quick = {"n_ensemble": 1, "max_epochs": 12, "mirror": False, "random_state": 0}  # a taste
    >>> rule = RNNRuleEstimator(memory_size=4, **quick).fit(X, y)
    >>> rule.predict_weights(X).shape
    (1258, 2)
    """

    memory_size: int = 32

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"memory_size": [WHOLE_FROM_1]}

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return RNNRule(n_weights, self.memory_size, **self._options(n_weights, n_choices))
