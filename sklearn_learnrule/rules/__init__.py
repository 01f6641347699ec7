"""Learning rules: one equation, one class."""

from ._contract import SLOPE_STEP, LearningRule
from ._textbook import TextbookRule
from .actor_critic import ActorCriticRule
from .bounded import BoundedRule
from .eligibility import EligibilityRule
from .filtered import FilteredRule, ProcessNoise, mover
from .given import GivenTrial, GivenWeightsRule
from .individual import Effect, IndividualRule
from .lapses import LEARNED, Lapses, lapse_odds, lapse_rates
from .networks import DNNRule, NetworkRule, RNNRule
from .observing import Observation, filtered_logit, observe, pack, unpack
from .partial import PartialRule
from .pearce_hall import PearceHallRule
from .policy import TWO_CHOICES, Policy, choice_probability
from .policy_gradient import ConstantRule, PredictMaxRule, ReinforceRule, RewardMaxRule
from .q_learning import QLearningRule
from .standardized import StandardizedRule, Units, follows_units
from .trial import NO_CONTEXT, Trial

__all__ = [
    "LEARNED",
    "NO_CONTEXT",
    "SLOPE_STEP",
    "ActorCriticRule",
    "BoundedRule",
    "ConstantRule",
    "DNNRule",
    "Effect",
    "EligibilityRule",
    "FilteredRule",
    "GivenTrial",
    "GivenWeightsRule",
    "IndividualRule",
    "Lapses",
    "LearningRule",
    "NetworkRule",
    "Observation",
    "PartialRule",
    "PearceHallRule",
    "Policy",
    "PredictMaxRule",
    "ProcessNoise",
    "QLearningRule",
    "RNNRule",
    "ReinforceRule",
    "RewardMaxRule",
    "StandardizedRule",
    "TWO_CHOICES",
    "TextbookRule",
    "Trial",
    "Units",
    "choice_probability",
    "filtered_logit",
    "follows_units",
    "lapse_odds",
    "lapse_rates",
    "mover",
    "observe",
    "pack",
    "unpack",
]
