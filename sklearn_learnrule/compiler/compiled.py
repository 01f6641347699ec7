"""Compiled steps of any rule, made of what it was seen to do on one trial.

Its equation is written once, in torch. What torch does there is recorded (``trace``), written out
number by number (``operations``, ``scalars``, ``listing``), and compiled (``machine``), which takes
milliseconds. Before anybody uses the steps they go through a few trials beside the rule itself,
gradients included.
"""

from __future__ import annotations

import ctypes
from dataclasses import fields
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..rules import LearningRule, Trial
from .listing import Listing
from .machine import FUNCTIONS, Code
from .trace import PLAIN, Trace, Unruly, Untraceable, example_trial, is_trusted, rule_tensors

N_TESTED, SCALES = 6, (1.0, 1.0, 3.0, 10.0, 1.0)  # subjects, and trials, that are checked
TOLERANCE = 1e-9

_LISTINGS: WeakKeyDictionary[LearningRule, tuple[str, Any, Listing]] = WeakKeyDictionary()
_SHARED: dict[Any, Listing | Untraceable] = {}
_CODES: dict[Any, Code] = {}  # by what they compute


def listing_of(rule: LearningRule, like: Trial) -> Listing:
    """Return what a rule computes.

    A rule of the package hangs on nothing but its settings, by which it is known again. What
    another hangs on nobody knows: it is recorded every time, and known again by its record.
    """
    settings = (*told(like), *describe(rule)) if is_trusted(rule) else None
    listing = _SHARED.get(settings) if settings else None
    if listing is None:
        listing = record(rule, like)
        if settings:
            _SHARED[settings] = listing
    if isinstance(listing, Untraceable):
        raise type(listing)(f"does not compile {type(rule).__name__}, which {listing}")
    return listing


def told(like: Trial) -> list[Any]:
    """Return the fields of a trial and their widths."""
    of_subjects = {f.name for f in fields(like) if "of_subjects" in f.metadata}
    widths = {name: x.shape[1 if name in of_subjects else 2 :] for name, x in vars(like).items()}
    return [type(like), *widths.items()]


def record(rule: LearningRule, like: Trial) -> Listing | Untraceable:
    """Return a rule's listing, checked, or why there is none."""
    try:
        with torch.inference_mode(False), torch.enable_grad():  # whoever asks, wherever
            trace = Trace(rule, like)
            key, known = trace.key(), _LISTINGS.get(rule)
            if known is not None and known[:2] == (key, told(like)):
                return known[2]
            listing = Listing(rule, like, trace)
            check(listing, like)
    except Untraceable as error:
        return error
    except Exception as error:  # the rule's own
        return Untraceable(f"fails on one trial of one subject ({error})")
    _LISTINGS[rule] = key, told(like), listing
    return listing


def describe(rule: LearningRule) -> list[Any]:
    """Return all that a record of a rule of the package holds for good, to be compared."""
    found: list[Any] = []
    first: dict[int, int] = {}  # where each tensor was met: one may be there twice
    for path, module in rule.named_modules():
        held = {**module._parameters, **module._buffers}
        held |= {name: value for name, value in vars(module).items() if name not in PLAIN}
        for name, value in held.items():
            if isinstance(value, Tensor):
                fixed = None if value.is_floating_point() else value.tolist()
                place = first.setdefault(id(value), len(first))
                value = (value.shape, value.dtype, fixed, value.requires_grad, place)
            found.append((path, type(module), name, repr(value)))
    return found


def code_of(listing: Listing, bits: int, in_filter: bool = False) -> Code:
    """Return a listing's code for numbers of so many bits, which rules that do the same share."""
    kind = bits, in_filter
    if kind not in listing.codes:
        key = str(listing), tuple(listing.sizes.items()), *kind
        if key not in _CODES:
            _CODES[key] = Code(listing, *kind)
        listing.codes[kind] = _CODES[key]
    return listing.codes[kind]


def check(listing: Listing, like: Trial) -> None:
    """Raise Untraceable unless the compiled steps do for some subjects what the rule does."""
    rule, generator = listing.trace.rule, listing.trace.generator
    own = [tensor for tensor in rule_tensors(rule).values() if tensor.requires_grad]
    compiled = _Checked(listing)
    weights = torch.randn(N_TESTED, rule.n_weights, generator=generator, dtype=torch.float64)
    memory = rule.initial_memory(N_TESTED, like=weights).detach()
    for scale in SCALES:  # rare and large numbers, too
        trial = example_trial(like, N_TESTED, generator, scale, rule.policy.n_choices)
        state = [weights.requires_grad_(), memory.clone().requires_grad_()]
        results = rule(state[0], trial, state[1])
        adjoints = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in results]
        expected = [*results, *gradients_of(results, [*state, *own], adjoints)]
        found = compiled(state, trial, adjoints, own)
        for a, b in zip(expected, found, strict=True):
            if not torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                raise Unruly(
                    "does something else than what it was seen to do: it may depend on other "
                    "subjects, on what it keeps, on decisions of Python's, or on types of numbers"
                )
        weights, memory = (weights + results[0]).detach(), results[1].detach()


def gradients_of(results: Any, wanted: list[Tensor], adjoints: list[Tensor]) -> list[Tensor]:
    """Return gradients, 0 where there are none."""
    pairs = [pair for pair in zip(results, adjoints, strict=True) if pair[0].requires_grad]
    if not pairs or not wanted:
        return [torch.zeros_like(tensor) for tensor in wanted]
    loss = torch.stack([(result * adjoint).sum() for result, adjoint in pairs]).sum()
    how: Any = {"allow_unused": True, "materialize_grads": True}
    return list(torch.autograd.grad(loss, wanted, **how))


class _Checked:
    """Compiled functions, called from Python for one trial of some subjects."""

    def __init__(self, listing: Listing) -> None:
        self.listing, code = listing, code_of(listing, 64)
        kinds = {"subject": ctypes.c_int64, "trial": ctypes.c_int64}
        self.advance, self.retreat = (
            ctypes.CFUNCTYPE(None, *(kinds.get(a, ctypes.c_void_p) for a in FUNCTIONS[name]))(where)
            for name, where in (("advance", code.forward), ("retreat", code.backward))
        )

    def __call__(
        self, state: list[Tensor], trial: Trial, adjoints: list[Tensor], own: list[Tensor]
    ) -> list[Tensor]:
        """Return update, memory, and the gradients in weights, memory and the rule's tensors."""
        coefficients = self.listing.trace.settle(self.listing.trace.rule)
        parameters = torch.cat([x.flatten() for x in [torch.zeros(0).double(), *coefficients]])
        parameters, gradient = parameters.detach(), torch.zeros_like(parameters)
        weights, memory = (tensor.detach().contiguous() for tensor in state)
        later, memory_later = torch.zeros_like(weights), torch.zeros_like(memory)
        adjoint, above = torch.cat(adjoints, 1), torch.zeros_like(weights)
        fields = torch.tensor([field.data_ptr() for field in vars(trial).values()])
        for i in range(len(weights)):
            known = (0, parameters.data_ptr(), fields.data_ptr(), i, i)
            here = (*known, weights[i].data_ptr(), memory[i].data_ptr(), 0)
            self.advance(*here, later[i].data_ptr(), memory_later[i].data_ptr())
            back = 0, adjoint[i].data_ptr(), above[i].data_ptr(), gradient.data_ptr()
            self.retreat(*here, *back)
        sizes = [coefficient.numel() for coefficient in coefficients]
        parts = gradient.split(sizes) if sizes else []
        of_coefficients = [g.view_as(c) for g, c in zip(parts, coefficients, strict=True)]
        of_weights = adjoint[:, : weights.shape[1]] - adjoints[0]  # what later weights do not pass
        of_own = gradients_of(coefficients, own, of_coefficients)
        return [later - weights, memory_later, of_weights, adjoint[:, weights.shape[1] :], *of_own]
