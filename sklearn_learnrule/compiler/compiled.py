"""Compiled steps of any rule, made of what it was seen to do on one trial.

Its equation is written once, in torch. What torch does there is recorded (``trace``), written out
number by number (``operations``, ``scalars``, ``listing``), and compiled (``machine``), which takes
milliseconds. Before anybody uses the steps they go through a few trials beside the rule itself,
gradients included.
"""

from __future__ import annotations

import ctypes
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..rules import LearningRule, Trial
from .listing import Listing
from .machine import STEP, STEP_BACK, Code
from .trace import Untraceable, example_trial, rule_tensors

N_TESTED, N_TRIALS = 5, 3  # subjects and trials that steps are checked on
TOLERANCE = 1e-9

_LISTINGS: WeakKeyDictionary[LearningRule, tuple[Any, Listing | Untraceable]] = WeakKeyDictionary()
_CODES: dict[tuple[str, int], Code] = {}  # by what they compute


def listing_of(rule: LearningRule, like: Trial) -> Listing:
    """Return what a rule computes; it is recorded once, and again if its settings changed."""
    told = [(name, values.shape[2:]) for name, values in vars(like).items()]
    settings = (*told, like.context.shape[1:], *describe(rule))
    known, listing = _LISTINGS.get(rule, (None, None))
    if listing is None or known != settings:
        try:
            with torch.inference_mode(False), torch.enable_grad():  # whoever asks, wherever
                listing = Listing(rule, like)
                check(listing, like)
        except Untraceable as error:
            listing = error
        except Exception as error:  # the rule's own
            listing = Untraceable(f"fails on one trial of one subject ({error})")
        _LISTINGS[rule] = settings, listing
    if isinstance(listing, Untraceable):
        raise Untraceable(f"does not compile {type(rule).__name__}, which {listing}")
    return listing


def describe(rule: LearningRule) -> list[Any]:
    """Return all that a record of a rule holds for good, to be compared."""
    plain = vars(nn.Module())
    found: list[Any] = []
    for path, module in rule.named_modules():
        held = {**module._parameters, **module._buffers}
        held |= {name: value for name, value in vars(module).items() if name not in plain}
        for name, value in held.items():
            if isinstance(value, Tensor):
                fixed = None if value.is_floating_point() else value.tolist()
                value = (value.shape, value.dtype, fixed)
            found.append((path, type(module), name, repr(value)))
    return found


def code_of(listing: Listing, bits: int) -> Code:
    """Return a listing's code for numbers of so many bits, which rules that do the same share."""
    if bits not in listing.codes:
        key = str(listing), bits
        if key not in _CODES:
            _CODES[key] = Code(listing, bits)
        listing.codes[bits] = _CODES[key]
    return listing.codes[bits]


def check(listing: Listing, like: Trial) -> None:
    """Raise Untraceable unless the compiled steps do for some subjects what the rule does."""
    rule, generator = listing.trace.rule, listing.trace.generator
    own = [tensor for tensor in rule_tensors(rule).values() if tensor.requires_grad]
    compiled = _Checked(listing)
    weights = torch.randn(N_TESTED, rule.n_weights, generator=generator, dtype=torch.float64)
    memory = rule.initial_memory(N_TESTED, like=weights).detach()
    for _ in range(N_TRIALS):
        trial = example_trial(like, N_TESTED, generator)
        state = [weights.requires_grad_(), memory.clone().requires_grad_()]
        results = rule(state[0], trial, state[1])
        adjoints = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in results]
        expected = [*results, *gradients_of(results, [*state, *own], adjoints)]
        found = compiled(state, trial, adjoints, own)
        for a, b in zip(expected, found, strict=True):
            if not torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                raise Untraceable(
                    "does something else than what it was seen to do: it may depend on other "
                    "subjects, on what it keeps, or on decisions of Python's"
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
    """Compiled steps, called from Python for one trial of some subjects."""

    def __init__(self, listing: Listing) -> None:
        self.listing, self.code = listing, code_of(listing, 64)
        kinds = {"subject": ctypes.c_int64, "trial": ctypes.c_int64}
        self.step, self.step_back = (
            ctypes.CFUNCTYPE(None, *(kinds.get(name, ctypes.c_void_p) for name in names))(address)
            for names, address in ((STEP, self.code.step), (STEP_BACK, self.code.step_back))
        )

    def __call__(
        self, state: list[Tensor], trial: Trial, adjoints: list[Tensor], own: list[Tensor]
    ) -> list[Tensor]:
        """Return update, memory, and the gradients in weights, memory and the rule's tensors."""
        constants = self.listing.trace.settle(self.listing.trace.rule)
        flat = [constant.flatten() for constant in constants]
        parameters = torch.cat(flat).detach() if flat else torch.zeros(1)
        gradient = torch.zeros_like(parameters)
        weights, memory = (tensor.detach().contiguous() for tensor in state)
        n, k = weights.shape
        m = memory.shape[1]
        fields = torch.tensor([field.data_ptr() for field in vars(trial).values()])
        rows, deltas = weights.new_zeros(n, k + m), torch.cat([adjoints[0], 0 * adjoints[0]], 1)
        back = adjoints[1].clone()
        for i in range(n):
            here = [x[i].data_ptr() for x in (weights, memory, rows)]
            known = (0, parameters.data_ptr(), fields.data_ptr(), i, i, *here)
            self.step(*known)
            self.step_back(*known, deltas[i].data_ptr(), back[i].data_ptr(), gradient.data_ptr())
        sizes = [constant.numel() for constant in constants] or [1]
        of_constants = [
            g.view_as(c) for g, c in zip(gradient.split(sizes), constants, strict=False)
        ]
        of_own = gradients_of(constants, own, of_constants)
        return [rows[:, :k], rows[:, k:], deltas[:, k:], back, *of_own]
