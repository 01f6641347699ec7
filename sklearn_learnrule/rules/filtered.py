"""A rule inside a state-space model: weights that also drift, and what the choices tell of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ._contract import LearningRule
from ._textbook import Numbers, nonnegative
from ._wrapping import WrappingRule
from .lapses import LEARNED, Lapses
from .observing import Observation, pack, unpack
from .partial import PartialRule
from .policy import Policy
from .trial import Trial

# Far beyond sense for stimuli of a standard deviation of 1, in whose units estimators filter. With
# these limits numbers stay finite where a search strays, and it finds its way back.
MAX_WEIGHT = 1e3
MAX_COVARIANCE = MAX_WEIGHT**2
STARTS = {"process_noise": 0.05, "session_noise": 0.2, "initial_std": 0.5}


class ProcessNoise(nn.Module):
    """The noise of weights of K features: standard deviations, fitted where they are "learned".

    Of more than two choices it moves the weights of each, independently; those against the first's
    (see :class:`Policy`), whose standard deviations these are, move together by half.

    Parameters
    ----------
    process_noise : "learned", or number or array of shape (K,)
        Of each weight's step after every trial.
    session_noise : the same
        Of a further step where a new session begins.
    initial_std : the same
        Of the weights of subjects before their first trial.

    Examples
    --------
    >>> noise = ProcessNoise(2, "learned", [0.2, 0.0], 0.5)
    >>> noise.session_noise.detach()
    tensor([0.2000, 0.0000])
    """

    names = tuple(STARTS)
    counts_misses: bool = False
    """Whether it goes on through trials that were missed."""
    columns: Mapping[str, int]
    """Where a context has the logarithms of a subject's factors of process and session noise."""
    root_process_noise: nn.Parameter
    root_session_noise: nn.Parameter
    root_initial_std: nn.Parameter

    def __init__(
        self, n_weights: int, process_noise: Numbers | str, session_noise: Numbers | str,
        initial_std: Numbers | str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.columns = {}
        given = (process_noise, session_noise, initial_std)
        for name, value in zip(self.names, given, strict=True):
            learned = isinstance(value, str)
            if learned and value != LEARNED:
                raise ValueError(f"{name} should be {LEARNED!r} or numbers, got {value!r}.")
            start = STARTS[name] if isinstance(value, str) else value
            std = nonnegative(start, name, n_weights)
            setattr(self, f"root_{name}", nn.Parameter(std.sqrt(), requires_grad=learned))

    @torch.no_grad()
    def standardize_settings(self, feature: Tensor) -> None:
        """Take what is not fitted from the user's units over to standard ones, ``feature`` (K,)."""
        for name in self.names:
            root = getattr(self, f"root_{name}")
            root *= 1 if root.requires_grad else feature.sqrt()

    @property
    def process_noise(self) -> Tensor:
        """The noise after every trial, (K,)."""
        return self.root_process_noise.square()

    @property
    def session_noise(self) -> Tensor:
        """The further noise at a session's start, (K,)."""
        return self.root_session_noise.square()

    @property
    def initial_std(self) -> Tensor:
        """How far subjects lie apart at first, (K,)."""
        return self.root_initial_std.square()

    @property
    def variances(self) -> Tensor:
        """What every trial, and further a session's start, adds to the variance, (2, K)."""
        return torch.stack([self.process_noise, self.session_noise]).square()

    def variance(self, trial: Trial) -> Tensor:
        """Return the variance that a trial adds, and those missed after it, (N, K)."""
        every, further = self.variances
        further = trial.session_start[:, None] * further
        if self.columns:
            own = self.factors(trial.context)
            every, further = own[:, :1] * every, own[:, 1:] * further
        if self.counts_misses:
            every = (1 + trial.misses)[:, None] * every
        return every + further

    def factors(self, context: Tensor) -> Tensor:
        """Return how many times the variances are a subject's own, (N, 2)."""
        one = context.new_ones(len(context))
        places = [self.columns.get(name) for name in self.names[:2]] if context.shape[1] else []
        own = [one if k is None else torch.exp(2 * context[:, k]) for k in places]
        return torch.stack(own or [one, one], -1)


class FilteredRule(WrappingRule):
    """Another rule f, and noise: w <- w + f(w, trial) + noise, filtered by the choices.

    What is known of a subject's weights is a normal distribution, of mean w and covariance P. A
    choice y changes it as moments do (assumed density filtering), a probit's slope standing in
    for the logistic function's where it is averaged over the weights:

        k = (1 + pi / 8 x'Px)^(-1/2),  p = sigmoid(k w.x)       p = P(y = 1)
        w <- w + k (y - p) P x,        P <- P - k^2 p (1 - p) (P x) (P x)'

    Where choices may be lapses, the one made tells less, and a surprise may even widen what is
    known. With e = 2 y - 1, o the odds of a lapse to y (against none), q = p or 1 - p the chance of
    y but for lapses, and l = o / (q + o) that of its being one,

        u = (1 - l) (1 - q),   w <- w + k e u P x,   P <- P - k^2 u (q - l (1 - q)) (P x) (P x)'

    Of more than two choices :func:`observe_one_of_many` does the like. Then the rule moves it, by
    its slope at the mean, and noise widens it:

        w <- w + f(w, trial),          P <- F P F' + noise,   F = 1 + df/dw

    A rule may drive weights away faster and faster, and their P with them. So w is held within
    ``MAX_WEIGHT``, P within ``MAX_COVARIANCE`` by scaling all of it, which leaves it a covariance;
    no gradient passes by what is held.

    The weights of the contract are the mean before each choice. The memory is P, its lower
    triangle row by row, which engines return beside the weights, then the memory of f.

    References
    ----------
    Minka (2001), Expectation propagation; MacKay (1992), Neural Computation 4(5), for k.
    """

    def __init__(
        self, rule: LearningRule, noise: ProcessNoise, lapses: Lapses | None = None
    ) -> None:
        size = rule.n_weights * (rule.n_weights + 1) // 2
        super().__init__(rule, memory_size=size + rule.memory_size)
        self.shown_memory = size
        self.noise = noise
        self.lapses = lapses

    @property
    def observation(self) -> Observation:
        """What a choice tells."""
        return Observation(self.n_weights, self.policy.n_choices, self.lapses)

    def forward(self, weights: Tensor, trial: Trial, memory: Tensor) -> tuple[Tensor, Tensor]:
        packed, own = memory[:, : self.shown_memory], memory[:, self.shown_memory :]
        mean, covariance = self.observation.see(weights, unpack(packed), trial)
        update, slope, own = self.rule.linearize(mean, trial, own)
        transition = slope + torch.eye(self.n_weights, dtype=slope.dtype, device=slope.device)
        covariance = transition @ covariance @ transition.mT
        covariance = covariance + noise_covariance(self.policy, self.noise.variance(trial))
        later = (mean + update).clamp(-MAX_WEIGHT, MAX_WEIGHT)
        return later - weights, torch.cat([pack(contain(covariance)), own], -1)

    def initial_memory(self, n_subjects: int, like: Tensor) -> Tensor:
        variance = noise_covariance(self.policy, self.noise.initial_std.to(like).square())
        packed = pack(variance).expand(n_subjects, -1)
        return torch.cat([packed, self.rule.initial_memory(n_subjects, like)], -1)


def mover(rule: LearningRule) -> tuple[LearningRule, Tensor]:
    """Return what moves weights in a filter, in a partial rule, or both; and its features' places.

    The places are (K,).
    """
    inner = rule.rule if isinstance(rule, FilteredRule) else rule
    if isinstance(inner, PartialRule):
        return inner.rule, inner.learned
    return inner, torch.arange(rule.n_features)


def noise_covariance(policy: Policy, variance: Tensor) -> Tensor:
    """Return the covariance of weights that noise of such variances by feature, (..., K), moves.

    Noise moves the weights of each choice, the first one's too, independently and by half of the
    variance. The policy's are their differences: two of one feature share the first one's half.
    """
    of_weights = policy.in_all_sets(variance)
    if policy.n_choices == 2:  # which is the same, and less to compile
        return torch.diag_embed(of_weights)
    sets, features = torch.eye(policy.n_sets), torch.eye(variance.shape[-1])
    shared = torch.kron((1 + sets) / 2, features).to(variance)
    return shared * of_weights[..., None, :]


def contain(covariance: Tensor) -> Tensor:
    """Return covariances (N, K, K), each scaled down, without a gradient, if it is too large."""
    known = covariance.detach()
    largest = known.abs().amax((-2, -1), keepdim=True)
    return torch.where(largest > MAX_COVARIANCE, known / largest * MAX_COVARIANCE, covariance)
