"""The estimators of textbook rules: each a rule and its parameters, in the shell of ``base``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..data.sequences import Sequences
from ..models.learning import LearningModel
from ..rules import (
    ActorCriticRule,
    ConstantRule,
    EligibilityRule,
    LearningRule,
    PearceHallRule,
    PredictMaxRule,
    QLearningRule,
    ReinforceRule,
    RewardMaxRule,
    Units,
)
from ..utils.arrays import Floats, Ints
from ..utils.parameters import ANY_NUMBER, WHOLE_FROM_0, each
from ..utils.sklearn_private import StrOptions
from .base import BaseRuleEstimator

SEVERAL = 4  # places, where a rule may have lower maxima


class ConstantRuleEstimator(BaseRuleEstimator):
    """No learning: a static GLM of the stimulus, against which learning is measured.

    Parameters
    ----------
    {shared}

    Examples
    --------
    >>> from sklearn_learnrule import ConstantRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rule = ConstantRuleEstimator().fit(X, y)
    >>> bool(rule.predict_weights(X).nunique().eq(1).all())  # they never change
    True
    """

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return ConstantRule(n_weights, n_choices=n_choices)


class _TextbookRuleEstimator(BaseRuleEstimator):
    """What the textbook rules share: two options, a prior, and where a fit begins."""

    side_specific: bool = False
    forgetting: bool = False
    prior: str | None = None
    n_init: int = 1

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "side_specific": ["boolean"],
        "forgetting": ["boolean"],
        "prior": [None, StrOptions({"weak"})],
    }
    _parameter_docs: ClassVar[str] = """
        side_specific : bool, default={side_specific}
            Separate learning rates after each choice.
        forgetting : bool, default={forgetting}
            Whether weights also decay: the update gets - lambda w, 0 <= lambda < 1 for each weight.
        prior : None or "weak", default={prior}
            "weak" keeps learning rates and baselines from running away where trials are few: alpha
            and, of a baseline b, alpha b are normal, of mean 0 and standard deviations .1 and .03
            for stimuli and rewards of the usual size 1. Beside many trials it counts for nothing,
            unless animals learn that fast. Standard errors count it in. It says nothing of an
            associability, which may still run away beside a free baseline.
        n_init : int, default={n_init}
            From how many places the fit begins, the same ones each time: rates are between a tenth
            of the usual and ten times as large. The likeliest fit is kept, but the usual one where
            no other is likelier by half a nat. A rule that learns more than the policy's weights
            may have lower maxima, where a fit from one place ends.
        """

    def _make_model(
        self, sequences: Sequences, chosen: Ints, weight: Floats, units: Units
    ) -> LearningModel:
        model = super()._make_model(sequences, chosen, weight, units)
        model.has_prior = self.prior is not None
        return model

    def _options(self) -> dict[str, Any]:
        return {"side_specific": self.side_specific, "forgetting": self.forgetting}


class ReinforceRuleEstimator(_TextbookRuleEstimator):
    """REINFORCE: after each trial, update = alpha (r - b) (y - p) x.

    With x = [stimulus, 1], y the choice (0 or 1), p = P(y = 1), r the reward; alpha, a learning
    rate, and b, a baseline, for each weight.

    Parameters
    ----------
    baseline : None, "free" or "nonnegative", default="free"
        No baseline; any baseline; a baseline of at least 0. It is the same for both sides.
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
    baseline_ : ndarray of shape (K,)
        Where a learning rate goes to 0, alpha b is still determined, but b is huge.
    forgetting_ : ndarray of shape (K,)

    References
    ----------
    Williams (1992), Machine Learning 8. Ashwood, Roy, Bak & Pillow (2020), NeurIPS 33.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(20, 400, random_state=0))
    >>> rule = ReinforceRuleEstimator(baseline=None).fit(X, y)
    >>> rule.learning_rate_.round(3)
    array([0.019, 0.008])
    """

    baseline: str | None = "free"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "baseline": [None, StrOptions({"free", "nonnegative"})]
    }

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return ReinforceRule(n_weights, self.baseline, n_choices=n_choices, **self._options())


class RewardMaxRuleEstimator(_TextbookRuleEstimator):
    """RewardMax: after each trial, update = alpha (2z - 1) p (1 - p) x / 0.5.

    The gradient of the expected reward, where z is the correct choice (0 or 1), told by
    ``previous_answer`` or else by choice and reward.

    Parameters
    ----------
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
    forgetting_ : ndarray of shape (K,)

    References
    ----------
    Ashwood, Roy, Bak & Pillow (2020), NeurIPS 33.

    Examples
    --------
    >>> from sklearn_learnrule import RewardMaxRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rule = RewardMaxRuleEstimator().fit(X, y)
    >>> rule.learning_rate_.round(3)
    array([0.009, 0.025])
    """

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return RewardMaxRule(n_weights, n_choices=n_choices, **self._options())


class PredictMaxRuleEstimator(_TextbookRuleEstimator):
    """PredictMax (maximum likelihood): after each trial, update = alpha (z - p) x.

    The animal learns to predict z, the correct choice (0 or 1), told by ``previous_answer`` or
    else by choice and reward.

    Parameters
    ----------
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
    forgetting_ : ndarray of shape (K,)

    Examples
    --------
    >>> from sklearn_learnrule import PredictMaxRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rule = PredictMaxRuleEstimator().fit(X, y)
    >>> rule.learning_rate_.round(3)
    array([0.012, 0.036])
    """

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return PredictMaxRule(n_weights, n_choices=n_choices, **self._options())


class EligibilityRuleEstimator(_TextbookRuleEstimator):
    """Eligibility: recent choices are strengthened together when rewards have been frequent.

    After trial t, update = R_t sum_{s=0..S} alpha (y_{t-s} - p_{t-s}) x_{t-s}, where R_t = 1 if
    at least half of the last S trials were rewarded (r > 0), trial t among them, else 0. Of
    an animal's first trials, half of as many as there have been is enough. With
    x = [stimulus, 1], y the choice (0 or 1), and p = P(y = 1) as it was on its trial.

    Parameters
    ----------
    window : int, default=10
        S, in trials. With 0, the latest choice is always strengthened.
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
    forgetting_ : ndarray of shape (K,)

    References
    ----------
    Liu, Geadah & Pillow (2025), arXiv 2509.04661.

    Examples
    --------
    >>> from sklearn_learnrule import EligibilityRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rule = EligibilityRuleEstimator(window=5).fit(X, y)
    >>> rule.learning_rate_.round(4)
    array([0.0113, 0.0077])
    """

    window: int = 10

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"window": [WHOLE_FROM_0]}

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return EligibilityRule(n_weights, self.window, n_choices=n_choices, **self._options())


class ActorCriticRuleEstimator(_TextbookRuleEstimator):
    """Actor-critic: REINFORCE with a learned value of the stimulus as its baseline.

    After each trial, update = alpha delta (y - p) x, where ``delta = r - v . |x|``, and
    ``v += alpha_critic delta |x|``. With x = [stimulus, 1], y the choice (0 or 1), p = P(y = 1),
    r the reward. The value is of the stimulus's size, as reward is expected of an easy stimulus
    on either side.

    Parameters
    ----------
    initial_value : float or array of shape (K,), default=0.0
        v before the first trial; it is not fitted. (A baseline that is: REINFORCE's.)
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
        The actor's.
    critic_learning_rate_ : ndarray of shape (K,)
        Below 1. The critic forgets nothing and is the same for both sides.
    forgetting_ : ndarray of shape (K,)

    References
    ----------
    Barto, Sutton & Anderson (1983), IEEE Transactions on Systems, Man, and Cybernetics 13.

    Examples
    --------
    >>> from sklearn_learnrule import ActorCriticRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(6, 200, random_state=0))
    >>> rule = ActorCriticRuleEstimator(initial_value=[0.0, 0.5]).fit(X, y)
    >>> rule.learning_rate_.round(3)
    array([0.019, 0.016])
    """

    initial_value: float | Sequence[float] = 0.0
    n_init: int = SEVERAL

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "initial_value": [ANY_NUMBER, each(ANY_NUMBER)]
    }

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return ActorCriticRule(
            n_weights, initial_value=self.initial_value, n_choices=n_choices, **self._options()
        )


class PearceHallRuleEstimator(_TextbookRuleEstimator):
    """Pearce-Hall: REINFORCE, as fast as rewards have been surprising of late.

    After each trial, update = alpha a (r - b) (y - p) x. The associability a, 1 at first, fades and
    follows the size of the surprise of a reward, ``a <- (1 - gamma) a + g |r - V|``, and the value
    V the rewards, V <- V + eta (r - V), from 0 on. With x = [stimulus, 1], y the choice (0 or 1),
    p = P(y = 1), r the reward; alpha and b for each weight. With gamma = g = 0 this is REINFORCE.

    Parameters
    ----------
    baseline : None, "free" or "nonnegative", default=None
        No baseline b; any baseline; a baseline of at least 0. It is the same for both sides. Beside
        an associability, a free one wants many trials.
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
        alpha, an animal's to which all is new.
    baseline_ : ndarray of shape (K,)
    value_learning_rate_ : ndarray of shape ()
        eta, from 0 to 1.
    associability_gain_ : ndarray of shape ()
        g, at least 0.
    associability_decay_ : ndarray of shape ()
        gamma, from 0 to 1.
    forgetting_ : ndarray of shape (K,)

    References
    ----------
    Pearce & Hall (1980), Psychological Review 87. Li, Schiller, Schoenbaum, Phelps & Daw (2011),
    Nature Neuroscience 14, for an associability that is an average over trials.

    Examples
    --------
    >>> from sklearn_learnrule import PearceHallRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(20, 400, random_state=0))
    >>> rule = PearceHallRuleEstimator().fit(X, y)
    >>> rule.learning_rate_.round(3)
    array([0.026, 0.012])
    """

    baseline: str | None = None
    n_init: int = SEVERAL

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "baseline": [None, StrOptions({"free", "nonnegative"})]
    }

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        return PearceHallRule(n_weights, self.baseline, n_choices=n_choices, **self._options())


class QLearningRuleEstimator(_TextbookRuleEstimator):
    """Q-learning: the animal learns what each choice is worth, and chooses by the difference.

    Q_a = q_a . x, P(y = 1) = sigmoid(beta (Q_1 - Q_0)); after each trial, of the choice made,
    q_y += alpha (r - Q_y) x. With x = [stimulus, 1], y the choice (0 or 1), r the reward. The
    policy's weights are beta (q_1 - q_0); q_0 + q_1 starts at 0. With ``forgetting`` both
    q_a fade.

    Parameters
    ----------
    {shared}

    Attributes
    ----------
    learning_rate_ : ndarray of shape (K,) or, if side-specific, (C, K)
    inverse_temperature_ : ndarray of shape ()
        beta. Where alpha goes to 0, alpha beta is still determined, but beta is huge.
    forgetting_ : ndarray of shape (K,)

    References
    ----------
    Watkins & Dayan (1992), Machine Learning 8.

    Examples
    --------
    >>> from sklearn_learnrule import QLearningRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, groups = make_design(make_learning_cohort(20, 400, random_state=0))
    >>> rule = QLearningRuleEstimator().fit(X, y)
    >>> rule.learning_rate_.round(3), round(float(rule.inverse_temperature_), 1)
    (array([0.005, 0.002]), 1.8)
    """

    n_init: int = SEVERAL

    def make_rule(self, n_weights: int, n_choices: int = 2) -> LearningRule:
        # From far below, a fit to few animals that learn fast may end where alpha is 0.
        return QLearningRule(n_weights, n_choices=n_choices, learning_rate=0.1, **self._options())
