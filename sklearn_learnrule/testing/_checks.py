"""Each check takes a rule, in double precision, and raises AssertionError with one sentence.

It returns remarks, if there are any.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..engine import ENGINES, why_not_compiled
from ..rules import (
    LEARNED,
    BoundedRule,
    FilteredRule,
    Lapses,
    LearningRule,
    PartialRule,
    ProcessNoise,
    Units,
    follows_units,
)
from ._case import Case, differ, expect, expect_numbers

TRUNCATION = 3
TOLERANCES = {torch.float64: 1e-8, torch.float32: 1e-3}
STEPS = (1e-5, 1e-6, 1e-7)  # of finite differences: of which one suits
STIMULUS_UNIT, REWARD_UNIT = 1.5, 1.25
LONG = 300  # trials, after which memory and weights may be far from where they began
BOUND = 0.4  # of weights that start within 0.5

Remarks = list[str]


# ------------------------------------------------------------------------------ one trial


def check_names(rule: LearningRule) -> Remarks:
    for name in rule.textbook_names:
        expect(
            isinstance(getattr(rule, name, None), Tensor),
            f"expected textbook_names of tensors that the rule has, got {name!r}: make it a "
            "parameter or a property of the rule, or leave it out",
        )
    unknown = sorted(set(rule.parameter_units or {}) - set(rule.textbook_parameters()))
    expect(
        not unknown,
        f"expected parameter_units of some of {list(rule.textbook_parameters())}, got {unknown}: "
        "name what textbook_names has",
    )
    if not any(parameter.requires_grad for parameter in rule.parameters()):
        return ["it has nothing to fit: what is fitted is an nn.Parameter of the rule"]
    return []


def check_shapes(rule: LearningRule) -> None:
    case = Case(rule)
    n = len(case.start)
    memory = rule.initial_memory(n, like=case.start)
    expect_numbers("an initial memory", memory, case.start.new_empty(n, rule.memory_size))
    trial = case.trials.at(0)
    answer = rule(case.start, trial, memory)
    expect(
        isinstance(answer, tuple) and len(answer) == 2,
        f"expected forward to return update and memory, got {type(answer).__name__}: a rule that "
        "remembers nothing returns the memory as it came",
    )
    expect_numbers("an update", answer[0], case.start)
    expect_numbers("a memory", answer[1], memory)


def check_inputs(rule: LearningRule) -> None:
    weights, trial, memory = Case(rule).question()
    given = {"weights": weights, "memory": memory, **vars(trial)}
    before = {name: tensor.clone() for name, tensor in given.items()}
    rule(weights, trial, memory)
    for name, tensor in given.items():
        expect(
            torch.equal(tensor, before[name]),
            f"expected {name} to be left as given, got it written into: make a new tensor, by "
            "torch.cat or torch.where, in place of one changed in place",
        )


def check_state(rule: LearningRule) -> None:
    case = Case(rule)
    question, other = case.question(2), case.question(1)
    first = torch.cat(rule(*question), -1)
    rule(*other)
    expect(
        torch.equal(torch.cat(rule(*question), -1), first),
        "expected the same answer whenever the same is asked, got another: draw no random "
        "numbers, and keep nothing in self between trials, for what travels is memory",
    )


def check_subjects(rule: LearningRule) -> None:
    weights, trial, memory = Case(rule).question()
    together = torch.cat(rule(weights, trial, memory), -1)
    start = rule.initial_memory(len(weights), like=weights)
    for rows in (*torch.arange(len(weights)).split(1), torch.tensor([2, 0, 3])):
        found = torch.cat(rule(weights[rows], trial.of_subjects(rows), memory[rows]), -1)
        expect(
            not differ(found, together[rows])
            and torch.equal(rule.initial_memory(len(rows), like=weights), start[rows]),
            f"expected of subjects {rows.tolist()} what they do in company of others, got "
            "something else: rows are subjects, of whom none may know of another or of how many "
            "there are",
        )


@torch.no_grad()
def check_company(rule: LearningRule) -> None:
    case = Case(rule, (LONG, LONG))
    weights, memory = case.start, rule.initial_memory(2, like=case.start)
    states, found = [], []
    for trial in case.trials.steps():
        update, later = rule(weights, trial, memory)
        states.append((weights[0], memory[0]))
        found.append((update[0], later[0]))
        weights, memory = weights + update, later
    all_weights, all_memory = (torch.stack(some) for some in zip(*states, strict=True))
    together = rule(all_weights, case.trials.of_subjects(slice(1)).all_rows(), all_memory)
    alone = [torch.stack(some) for some in zip(*found, strict=True)]
    expect(
        not _any_differ(list(together), alone, 1e-6),
        f"expected of an animal's {LONG} trials, each a row, what it does from trial to trial, got "
        "something else: let no row know of others, and decide for each by torch.where, not by if",
    )


def check_answer(rule: LearningRule) -> None:
    case = Case(rule)
    before = case.path()
    case.trials.answer.mul_(-1).add_(rule.policy.n_sets)
    expect(
        rule.uses_answer or not differ(case.path(), before),
        "expected uses_answer = True of a rule that reads trial.answer, got False: set it in the "
        "class, so that tables that do not tell the correct choice are refused",
    )


# ---------------------------------------------------------------------------- many trials


def check_causality(rule: LearningRule) -> None:
    before = Case(rule).path()
    for t in range(before.shape[1]):
        case = Case(rule)
        for values in (case.trials.features[..., :-1], case.trials.reward):
            values[:, t] = 1 - values[:, t]
        case.trials.choice[:, t] = (case.trials.choice[:, t] + 1) % rule.policy.n_choices
        expect(
            torch.equal(case.path()[:, : t + 1], before[:, : t + 1]),
            f"expected weights before choice {t} that know of earlier trials alone, got ones that "
            "change with what it is and brings: read nothing but the trial that is given",
        )


def check_gradients(rule: LearningRule) -> None:
    case = Case(rule)
    _, exact = case.path_and_gradients("loop")
    tensors = {"the initial weights": case.start, **case.fitted()}
    for (name, tensor), gradient in zip(tensors.items(), exact, strict=True):
        direction = case.random(*tensor.shape) - 0.5
        expected = (gradient * direction).sum().item()
        found = [_slope(case, tensor, direction, step) for step in STEPS]
        expect(
            any(abs(slope - expected) < 1e-5 * abs(slope) + 1e-7 for slope in found),
            f"expected autograd to give the slope along {name}, which is {found[1]:.6g}, got "
            f"{expected:.6g}: detach nothing, round nothing, and stay in torch, without numpy "
            "and item()",
        )


def _slope(case: Case, tensor: Tensor, direction: Tensor, step: float) -> float:
    """Return the derivative of the sum of the path along a direction, by finite differences."""
    ends, here = [], tensor.detach().clone()
    with torch.no_grad():
        for sign in (1, -1):
            tensor.copy_(here + sign * step * direction)
            path = case.path()
            ends.append((path * torch.linspace(1, 2, path[0].numel()).view_as(path[0])).sum())
        tensor.copy_(here)
    return ((ends[0] - ends[1]) / (2 * step)).item()


def check_slopes(rule: LearningRule) -> None:
    question = Case(rule).question()
    update, slope, memory = rule.linearize(*question)
    by_steps = LearningRule.linearize(rule, *question)[1]
    expect(
        not differ(torch.cat([update, memory], -1), torch.cat(rule(*question), -1))
        and not differ(slope, by_steps, 0.05),
        "expected linearize to give what forward does and the slope of the update by the weights, "
        "got something else: mend it, or leave it to LearningRule, which finds slopes by itself",
    )


def check_engines(
    rule: LearningRule,
    make: Callable[[LearningRule], LearningRule] = lambda rule: rule,
    dtype: torch.dtype = torch.float64,
    noteworthy: bool = False,
) -> Remarks:
    """Check that every engine gives the loop's weights and gradients for a rule made of this."""
    made = Case(make(rule).double()).to(dtype)
    truth, _ = made.path_and_gradients("loop")
    expect_numbers("weights", truth, truth.new_empty(truth.shape, dtype=dtype))
    reason = why_not_compiled(made.rule)
    engines = [name for name in ENGINES if name != "loop" and not (name == "fused" and reason)]
    for truncation in (None, TRUNCATION):
        path, gradients = made.path_and_gradients("loop", truncation)
        for engine in engines:
            found = made.path_and_gradients(engine, truncation)
            what = "weights" if differ(found[0], path, TOLERANCES[dtype]) else "gradients"
            expect(
                what == "gradients" and not _any_differ(found[1], gradients, TOLERANCES[dtype]),
                f"expected of engine={engine!r} the {what} of the loop, got others: an update may "
                "depend on nothing but its own row of weights, trial and memory",
            )
    return [f"engine='fused' {reason}"] if reason and noteworthy else []


def _any_differ(found: list[Tensor], expected: list[Tensor], tolerance: float) -> bool:
    return any(differ(a, b, tolerance) for a, b in zip(found, expected, strict=True))


def with_noise(rule: LearningRule, lapses: Lapses | None = None) -> LearningRule:
    return FilteredRule(rule, ProcessNoise(rule.n_features, LEARNED, LEARNED, LEARNED), lapses)


def with_lapses(rule: LearningRule) -> LearningRule:
    return with_noise(rule, Lapses(LEARNED, rule.policy.n_choices))


def with_bias_unlearned(rule: LearningRule) -> LearningRule:
    n_weights = rule.n_weights + rule.policy.n_sets
    return PartialRule(rule, range(rule.n_features), n_weights)


def with_bounds(rule: LearningRule) -> LearningRule:
    highest = torch.full((rule.n_weights,), BOUND)
    return BoundedRule(rule, -highest, highest)


# ------------------------------------------------------------------------ what else it meets


def check_precision(rule: LearningRule) -> None:
    exact = Case(deepcopy(rule)).path()
    case = Case(rule).to(torch.float32)
    expect_numbers("weights", case.path(), exact.float())
    expect(
        not differ(case.path().double(), exact, TOLERANCES[torch.float32]),
        "expected in float32 about the weights of float64, got others: take no small difference "
        "of large numbers",
    )
    check_engines(rule, dtype=torch.float32)


def check_units(rule: LearningRule) -> Remarks:
    if rule.parameter_units is None:
        return ["parameter_units is None, so that fits depend on the units of stimulus and reward"]
    feature = torch.full((rule.n_features,), STIMULUS_UNIT, dtype=torch.float64)
    feature[-1] = 1  # the bias
    units = Units(feature, torch.tensor(REWARD_UNIT, dtype=torch.float64))
    same = follows_units(rule, units)
    if same is None:
        return ["parameter_units was not checked, as textbook_names do not tell all parameters"]
    expect(
        same,
        f"expected the same weights with stimuli in units of {STIMULUS_UNIT} and rewards of "
        f"{REWARD_UNIT}, got others: give in parameter_units the powers of stimulus and reward in "
        "each parameter, take settings over in standardize_settings, or set it to None",
    )
    return []


def check_mirror(rule: LearningRule) -> Remarks:
    case = Case(rule)
    before = case.path()
    case.start = rule.policy.mirror_weights(case.start)
    case.trials = rule.policy.mirror(case.trials, case.observed)
    alike = not differ(rule.policy.mirror_weights(case.path()), before)
    return [] if alike else ["it treats the two sides differently, as their mirror images show"]


def check_copies(rule: LearningRule) -> None:
    try:
        copy = pickle.loads(pickle.dumps(rule))
    except Exception as error:
        raise AssertionError(
            f"expected a rule that can be pickled, got {type(error).__name__} ({error}): define "
            "its class at the top of a module, and keep no lambda or open file in self"
        ) from error
    expect(
        torch.equal(Case(copy).path(), Case(rule).path()),
        "expected a pickled copy to do the same, got something else: keep what the rule needs in "
        "parameters, buffers and plain attributes of self",
    )


CHECKS: dict[str, Callable[[Any], Remarks | None]] = {
    "names": check_names,
    "shapes": check_shapes,
    "inputs": check_inputs,
    "state": check_state,
    "subjects": check_subjects,
    "answer": check_answer,
    "causality": check_causality,
    "gradients": check_gradients,
    "slopes": check_slopes,
    "company": check_company,
    "engines": partial(check_engines, noteworthy=True),
    "float32": check_precision,
    "process noise": partial(check_engines, make=with_noise),
    "lapses": partial(check_engines, make=with_lapses),
    "unlearned": partial(check_engines, make=with_bias_unlearned),
    "bounds": partial(check_engines, make=with_bounds),
    "units": check_units,
    "mirror image": check_mirror,
    "copies": check_copies,
}
