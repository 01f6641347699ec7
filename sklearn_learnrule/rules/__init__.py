"""Learning rules: one equation, one class. ``RULES`` is the list that the tests run over."""

from ._contract import NO_CONTEXT, SLOPE_STEP, LearningRule, Trial, choice_probability
from ._textbook import TextbookRule
from .actor_critic import ActorCriticRule
from .bounded import BoundedRule
from .eligibility import EligibilityRule
from .filtered import FilteredRule, ProcessNoise, filtered_logit, mover, observe, unpack
from .lapses import LEARNED, Lapses, lapse_odds, lapse_rates, lapsing_logit
from .networks import DNNRule, RNNRule
from .partial import PartialRule
from .policy_gradient import ConstantRule, PredictMaxRule, ReinforceRule, RewardMaxRule
from .q_learning import QLearningRule
from .standardized import StandardizedRule, Units

RULES = (
    ConstantRule,
    ReinforceRule,
    RewardMaxRule,
    PredictMaxRule,
    EligibilityRule,
    ActorCriticRule,
    QLearningRule,
    DNNRule,
    RNNRule,
)

__all__ = [
    "LEARNED",
    "NO_CONTEXT",
    "RULES",
    "SLOPE_STEP",
    "ActorCriticRule",
    "BoundedRule",
    "ConstantRule",
    "DNNRule",
    "EligibilityRule",
    "FilteredRule",
    "Lapses",
    "LearningRule",
    "PartialRule",
    "PredictMaxRule",
    "ProcessNoise",
    "QLearningRule",
    "RNNRule",
    "ReinforceRule",
    "RewardMaxRule",
    "StandardizedRule",
    "TextbookRule",
    "Trial",
    "Units",
    "choice_probability",
    "filtered_logit",
    "lapse_odds",
    "lapse_rates",
    "lapsing_logit",
    "mover",
    "observe",
    "unpack",
]
