"""Would I see it? What is found in simulated cohorts, of which the truth is known."""

from ._groups import GroupPower, group_power
from ._rules import RecoveryStudy, recovery_study

__all__ = ["GroupPower", "RecoveryStudy", "group_power", "recovery_study"]
