"""Checks of a learning rule of one's own, and of the package's: what all else takes for granted."""

from ._report import RuleReport, check_rule

__all__ = ["RuleReport", "check_rule"]
