"""The rival without a policy: a small recurrent network straight to the choice."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.sequences import Sequences
from ..engine import CHOICE_ENGINES, choice_logits, choose_choice_engine
from ..models.learning import SequenceModel
from ..rules import Policy, Trial, Units
from ..training.dataset import to_numpy
from ..utils.arrays import Floats, Ints
from ..utils.parameters import WHOLE_FROM_1
from ..utils.sklearn_private import StrOptions
from .classifier import SequenceClassifier
from .network_parameters import NetworkTraining


class ChoiceRNN(SequenceModel):
    """A GRU over what is known before each choice, read out as the policy's logits."""

    def __init__(
        self,
        units: Units,
        memory_size: int = 8,
        session_input: bool = True,
        answer_input: bool = True,
        *,
        known_input: bool = False,
        misses_input: bool = False,
        n_choices: int = 2,
        truncation: int | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        self.policy = Policy(n_choices)
        n_inputs = len(units.feature) + session_input + known_input + misses_input
        n_inputs += self.n_choice_inputs * (1 + answer_input)
        self.gru = nn.GRU(n_inputs, memory_size, batch_first=True)
        self.readout = nn.Linear(memory_size, self.policy.n_sets)
        self.units = deepcopy(units)
        self.session_input = session_input
        self.answer_input = answer_input
        self.known_input = known_input
        self.misses_input = misses_input
        self.truncation = truncation
        self.engine = engine

    @property
    def n_choice_inputs(self) -> int:
        """One of two choices, as many as there are of more."""
        n_choices = self.policy.n_choices
        return 1 if n_choices == 2 else n_choices

    def _as_inputs(self, choice: Tensor, known: Tensor) -> Tensor:
        """Return -1 or +1 of two choices, of more 1 for the one made, 0 where unknown."""
        if self.policy.n_choices == 2:
            return (known * (2 * _previous(choice) - 1))[..., None]
        return known[..., None] * self.policy.one_of_all(_previous(choice))

    def inputs(self, trials: Trial, observed: Tensor) -> Tensor:
        """Return the stimulus and the outcome of the trial before, in standard units, (N, T, D).

        A sequence's first trial opens a session.
        """
        trials = self.units.standardize(trials)
        known = _previous(observed.to(trials.features.dtype))
        outcome = [self._as_inputs(trials.choice, known), _previous(trials.reward)]
        if self.session_input:
            outcome.append(_previous(trials.session_start, on_first=1))
        if self.answer_input:
            outcome.append(self._as_inputs(trials.answer, known))
        if self.known_input:
            outcome.append(_previous(trials.reward_known))
        if self.misses_input:
            outcome.append(_previous(trials.misses / (1 + trials.misses)))
        stimuli = trials.features[..., :-1]  # without the bias, which the GRU has
        columns = [each if each.ndim == stimuli.ndim else each[..., None] for each in outcome]
        return torch.cat([stimuli, *columns], -1)

    def forward(self, trials: Trial, observed: Tensor) -> Tensor:
        """Return the policy's logits on each trial, (N, T) or (N, T, C - 1)."""
        lengths = trials.features[..., -1].count_nonzero(1)  # the bias is 1, but in the padding 0
        return choice_logits(
            self.gru,
            self.readout,
            self.inputs(trials, observed),
            lengths,
            truncation=self.truncation,
            engine=self.engine,
        )

    def chosen_engine(self, n_subjects: int, device: torch.device) -> str:
        del n_subjects
        return choose_choice_engine(device) if self.engine == "auto" else self.engine


def _previous(values: Tensor, on_first: float = 0) -> Tensor:
    """Shift (N, T) values by one trial."""
    return nn.functional.pad(values, (1, -1), value=on_first)


class ChoiceRNNClassifier(NetworkTraining, SequenceClassifier):
    """A recurrent network straight to the choice: neither a policy with weights nor a rule.

    h' = GRU(stimulus, previous choice, previous reward, session start, previous correct choice;
    h), logit of P(y = 1) = c + readout . h', of more than two choices one for each but the first.
    It learns from the same X as the rules, so that it tells what their assumption, a policy that is
    linear in the stimulus, costs or gains.

    Parameters
    ----------
    memory_size : int, default=8
        Units of the GRU.
    session_input, answer_input : bool, default=True
        Whether the network sees that a trial opens a session, and the correct choice before, if X
        tells it.
    {shared}

    References
    ----------
    Ji-An, Benna & Mattar (2025), Nature 644. Liu, Geadah & Pillow (2025), arXiv 2509.04661.

    Examples
    --------
    >>> from sklearn_learnrule import ChoiceRNNClassifier, SubjectKFold, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y, groups = make_design(make_learning_cohort(6, 300, random_state=0))
    >>> how = {"memory_size": 4, "n_ensemble": 1, "mirror": False, "random_state": 0}
    >>> rival = ChoiceRNNClassifier(max_epochs=50, **how)
    >>> bool((cross_val_score(rival, X, y, cv=SubjectKFold(2)) > -0.6931).all())
    True
    """

    memory_size: int = 8
    session_input: bool = True
    answer_input: bool = True
    lr: float | None = 0.01  # it needs larger steps than rules do
    max_epochs: int | None = 200

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "memory_size": [WHOLE_FROM_1],
        "session_input": ["boolean"],
        "answer_input": ["boolean"],
        "engine": [StrOptions({"auto", *CHOICE_ENGINES})],
    }

    def _make_model(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> ChoiceRNN:
        del chosen, weight
        return ChoiceRNN(
            units,
            self.memory_size,
            self.session_input,
            self.answer_input and sequences.answer_known,
            n_choices=sequences.n_choices,
            known_input=sequences.lacks_rewards,
            misses_input=sequences.counts_misses,
            truncation=self.truncation,
            engine=self.engine,
        )

    def _predict_logits(self, sequences: Sequences) -> Floats:
        if self.net_.module_.answer_input:
            sequences.check_answer_known(type(self).__name__)
        dataset = self._dataset(sequences)
        of_members = [dataset.rows(net.predict_logits(dataset)) for net in self.nets_]
        return np.mean(list(map(to_numpy, of_members)), 0)
