"""The parameter ``subject_effects``, read: which of a rule's parameters are a subject's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ..data.sequences import Sequences
from ..models.effects import SubjectEffects
from ..rules import Effect, IndividualRule, LearningRule, NetworkRule, ProcessNoise, Units, mover
from ..utils.arrays import Ints
from ..utils.texts import short

INITIAL_WEIGHTS = "initial_weights"
OF_ONE_WEIGHT = re.compile(r"(?P<parameter>[^\[]+)\[(?P<weight>.+)\]")


class OwnNumbers(NamedTuple):
    """What a fit takes for subjects' own: effects, and how they are called."""

    effects: list[Effect]
    names: list[str]

    @property
    def columns(self) -> dict[str, int]:
        """The place of each parameter that all weights share in a trial's context."""
        return {e.parameter: i for i, e in enumerate(self.effects) if e.place is None}


def read_effects(
    given: Sequence[str] | int | None,
    rule: LearningRule,
    noise: ProcessNoise | None,
    weight_names: Sequence[str],
    learned_names: Sequence[str],
) -> OwnNumbers:
    """Return a subject's own numbers, of a rule for the weights that it learns.

    Raises
    ------
    ValueError
        For what cannot vary, or not by weight.
    """
    if given is None:
        return OwnNumbers([], [])
    if isinstance(given, int):
        names = [f"u{i + 1}" for i in range(given)]
        return OwnNumbers([Effect(name) for name in names], names)
    can_vary = _what_can_vary(rule, noise, weight_names, learned_names)
    effects: list[Effect] = []
    names = []
    for name in given:
        found = _read(name, can_vary, rule.textbook_names)
        effects += found
        of_weights = [f"{INITIAL_WEIGHTS}[{weight}]" for weight in weight_names]
        names += [name] if len(found) == 1 else of_weights
    twice = [name for name in names if names.count(name) > 1]
    if twice or not names:
        wrong = f"{twice[0]!r} twice" if twice else "none"
        raise ValueError(f"subject_effects should name parameters, each once; got {wrong}.")
    return OwnNumbers(effects, names)


def _what_can_vary(
    rule: LearningRule,
    noise: ProcessNoise | None,
    weight_names: Sequence[str],
    learned_names: Sequence[str],
) -> dict[str, list[str]]:
    """Return the parameters that may be a subject's own, and the weights each is of, if it is."""
    found = {}
    for name, value in rule.textbook_parameters().items():
        if rule.varies_by(name) is not None:
            found[name] = list(learned_names) if value.ndim else []
    if isinstance(rule, NetworkRule):  # of a network, the size of its update
        found["learning_rate"] = []
    if noise is None and rule.policy.n_choices == 2:
        found[INITIAL_WEIGHTS] = list(weight_names)
    if noise is not None:
        found |= {name: [] for name in ProcessNoise.names[:2]}
    return found


def _read(name: str, can_vary: dict[str, list[str]], known: Sequence[str]) -> list[Effect]:
    """Return the effect that a name means; of initial weights, which share no unit, one each."""
    match = OF_ONE_WEIGHT.fullmatch(name)
    parameter, weight = match.group("parameter", "weight") if match else (name, None)
    if parameter not in can_vary:
        hint = ""
        if parameter == INITIAL_WEIGHTS:
            hint = (
                " (which can of two choices, without process noise; with it, initial_std tells how "
                "far apart animals begin)"
            )
        elif parameter in known:
            hint = (
                f" (which the rule holds under another name: let it hold root_{parameter}, its "
                "root, or say what varies by its methods varies_by and vary)"
            )
        raise ValueError(
            f"subject_effects should name parameters of this rule that can vary, {list(can_vary)}, "
            f"or of one weight, such as 'learning_rate[bias]'; got {short(name)}{hint}."
        )
    weights = can_vary[parameter]
    if weight is None:
        everyone = parameter == INITIAL_WEIGHTS
        return [Effect(parameter, k) for k in range(len(weights))] if everyone else [Effect(name)]
    if weight not in weights:
        raise ValueError(
            f"subject_effects asks for {short(name)}, but {parameter!r} "
            + (f"is of the weights {weights}." if weights else "is not of single weights.")
        )
    return [Effect(parameter, weights.index(weight))]


def with_own_numbers(
    rule: LearningRule, own: OwnNumbers, noise: ProcessNoise | None
) -> LearningRule:
    """Let rule and noise read a subject's own numbers from the context, and return the rule."""
    if noise is not None:
        noise.columns = {k: i for k, i in own.columns.items() if k in ProcessNoise.names}
    if isinstance(rule, NetworkRule):
        rule.rate_column = own.columns.get("learning_rate", rule.rate_column)
        return rule
    elsewhere = {INITIAL_WEIGHTS, *ProcessNoise.names}
    of_rule = [i for i, effect in enumerate(own.effects) if effect.parameter not in elsewhere]
    if not of_rule:
        return rule
    return IndividualRule(rule, [own.effects[i] for i in of_rule], of_rule)


def distribution(
    own: OwnNumbers,
    rule: LearningRule,
    noise: ProcessNoise | None,
    units: Units,
    sequences: Sequences,
    scored: Ints,
    *,
    trains_start: bool,
) -> SubjectEffects | None:
    """Return the distribution of own numbers over scored subjects, None without any."""
    if not own.effects:
        return None
    moves = mover(rule)[0]
    is_network = isinstance(moves, NetworkRule)
    is_learned: dict[str, Any] = {INITIAL_WEIGHTS: trains_start}
    for name in ProcessNoise.names[:2]:
        is_learned[name] = noise is not None and getattr(noise, f"root_{name}").requires_grad
    has_center = [not is_network and is_learned.get(e.parameter, True) for e in own.effects]
    return SubjectEffects(
        own.names,
        effect_units(own, rule, units),
        torch.as_tensor(sequences.covariates[scored]),
        sequences.covariate_names,
        learns_spread=not (is_network and moves.n_effects),
        has_center=has_center,
    )


def effect_units(own: OwnNumbers, rule: LearningRule, units: Units) -> list[float]:
    """Return the unit of each effect in the user's: that of a factor's logarithm is 1."""
    found = []
    for parameter, place in own.effects:
        unit = 1.0
        if parameter == INITIAL_WEIGHTS:
            unit = 1 / float(units.feature[place])
        elif rule.varies_by(parameter) == "shift":
            of_feature, of_reward = (rule.parameter_units or {}).get(parameter, (0, 0))
            unit = float(units.reward) ** of_reward
            if of_feature:
                unit *= float(units.feature[mover(rule)[1]][place]) ** of_feature
        found.append(unit)
    return found
