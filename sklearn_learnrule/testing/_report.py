"""All checks of a rule, one after the other, and what is reported of a rule that passes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter

from ..engine import ENGINES, why_not_compiled
from ..rules import LearningRule
from ._case import Case
from ._checks import CHECKS

LENGTHS_TIMED = (500,) * 4  # trials of each subject


@dataclass(frozen=True)
class RuleReport:
    """What :func:`check_rule` found of a rule that has passed; printed, a few lines."""

    rule: str
    """The name of its class."""
    checks: tuple[str, ...]
    """What was checked."""
    speed: Mapping[str, float]
    """How many times faster than the loop each engine is that serves it, gradients included."""
    remarks: tuple[str, ...]
    """What is no failure, but good to know."""
    n_choices: int = 2
    """How many choices it was checked with."""

    def __str__(self) -> str:
        several = f" of {self.n_choices} choices" if self.n_choices > 2 else ""
        times = [f"{name} {factor:.0f} times" for name, factor in self.speed.items()]
        return "\n".join([
            f"{self.rule}{several} passes {len(self.checks)} checks: {', '.join(self.checks)}.",
            f"Faster than the loop: {', '.join(times)}.",
            *(f"Note: {remark}." for remark in self.remarks),
        ])  # fmt: skip


def check_rule(rule: LearningRule) -> RuleReport:
    """Check that a learning rule is one: on a few random trials, in a second or two.

    Of a rule that passes, everything holds that the package promises: any engine fits it, with
    process noise, lapses, ``unlearned`` weights and truncation, in any units, in parallel.

    Parameters
    ----------
    rule : LearningRule
        An instance, such as ``MyRule(2)``, with any parameters that make it learn. It stays as
        it is.

    Returns
    -------
    RuleReport
        The checks, which engines serve the rule and how fast, and remarks: why it is not
        compiled, if it is not; whether it treats both sides alike; whether its fits depend on
        units.

    Raises
    ------
    AssertionError
        At the first check that fails: one sentence that says what was expected, what came, and
        what to do.
    TypeError
        If this is no instance of LearningRule.

    Examples
    --------
    >>> from sklearn_learnrule.rules import ReinforceRule
    >>> print(check_rule(ReinforceRule(2)))
    ReinforceRule passes 19 checks: names, shapes, inputs, ...
    Faster than the loop: parallel ... times, fused ... times.
    """
    if not isinstance(rule, LearningRule):
        raise TypeError(
            f"check_rule takes an instance of LearningRule, such as MyRule(2), got {rule!r}."
        )
    name = type(rule).__name__
    remarks: list[str] = []
    for title, check in CHECKS.items():
        try:
            remarks += check(deepcopy(rule).double()) or []
        except AssertionError as fault:
            raise AssertionError(f"{name}, {title}: {fault}.") from fault.__cause__
        except Exception as error:
            raise AssertionError(
                f"{name}, {title}: expected numbers, but it raises {type(error).__name__} "
                f"({' '.join(str(error).split())}): mend it, or what it takes for granted."
            ) from error
    speed = _speed(deepcopy(rule).double())
    return RuleReport(name, tuple(CHECKS), speed, tuple(remarks), rule.policy.n_choices)


def _speed(rule: LearningRule) -> dict[str, float]:
    """Return how much faster than the loop each engine is that serves the rule."""
    case = Case(rule, LENGTHS_TIMED)
    seconds = {}
    for engine in ENGINES:
        if engine != "fused" or why_not_compiled(rule) is None:
            start = perf_counter()
            case.path_and_gradients(engine)
            seconds[engine] = perf_counter() - start
    return {name: seconds["loop"] / taken for name, taken in seconds.items() if name != "loop"}
