"""What a rule does on one trial, recorded operation by operation as torch performs it.

So that a rule need not be written twice: :class:`Trace` holds the operations of its ``forward``,
and records those of its gradient. ``listing`` writes both out, ``machine`` compiles them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ..rules import LearningRule, Trial

# Those that only move numbers: what goes where, torch itself tells by moving integers. What is
# not filled is 0.
MOVING = {
    "alias", "diagonal_backward",
    "_unsafe_view", "cat", "clone", "constant_pad_nd", "detach", "diag_embed", "diagonal",
    "expand", "flip", "gather", "index", "index_copy", "index_select", "permute", "repeat",
    "roll", "select", "select_backward", "slice", "slice_backward", "split", "split_with_sizes",
    "squeeze", "stack", "t", "transpose", "tril", "triu", "unbind", "unsafe_split", "unsqueeze",
    "view",
}  # fmt: skip


class Untraceable(Exception):
    """Why a rule cannot be compiled, as the end of a sentence about it."""


class Unruly(Untraceable):
    """The same of a rule that may do otherwise among others than alone, or the next time."""


# Modules whose forward hangs on its settings alone; that of others may look anywhere.
TRUSTED_MODULES = ("torch.nn.", __name__.partition(".")[0] + ".rules.")
PLAIN = frozenset(vars(nn.Module()))  # what every module has
HOOKS = [name for name in PLAIN if "hook" in name]
OUT_OF_TORCH = (Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.item)


class Value(int):
    """A recorded tensor, by its number."""


class Operation(NamedTuple):
    """One of torch's operations; tensors that are recorded are Values in the arguments."""

    function: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    results: list[Value]
    differentiable: bool
    """Whether gradients pass: not where the rule forbids them (``torch.no_grad``)."""


class StayInTorch(TorchFunctionMode):
    """Refuses to give numbers out of torch, or gradients to hooks, where no record follows them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in OUT_OF_TORCH:
            raise Unruly("takes numbers out of torch, and does with them what no record shows")
        if func is Tensor.register_hook:
            raise Untraceable("changes gradients by a hook")
        return func(*args, **(kwargs or {}))


class Recorder(TorchDispatchMode):
    """Records every operation on tensors that are known: those given, and what is made of them."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.tensors: list[Tensor] = []  # all kept: no two may have one place in memory
        self._numbers: dict[tuple[Any, ...], Value] = {}
        self.given = [self._add(tensor) for tensor in given]

    def _add(self, tensor: Tensor) -> Value:
        value = self._numbers[_identity(tensor)] = Value(len(self.tensors))
        self.tensors.append(tensor)
        return value

    def find(self, tensor: Tensor) -> Value | Tensor:
        """Return what a tensor was recorded as; one that was not is a constant."""
        found = self._numbers.get(_identity(tensor))
        if found is None and tensor.requires_grad:
            raise Untraceable("has parameters that are no attributes, such as in a list or dict")
        return tensor.detach().clone() if found is None else found

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare torch the import of its compiler, which takes a second and has no part in this."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        arguments, options = map_only(Tensor, self.find, (args, kwargs or {}))
        _refuse(func, arguments)
        if func._schema.is_mutable:
            self._refuse_parts(args[0])
        if _values([*options.values()]):
            raise Untraceable(f"gives a tensor by keyword to torch's {func._schema.name}")
        results = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.detach.default or "unsafe_" in func._schema.name:
            # in places of their own: to gradients, and to who writes into them, they are no views
            results = map_only(Tensor, Tensor.clone, results)
        if _values(arguments):
            made = [results] if isinstance(results, Tensor) else list(results)
            numbers = [self._add(tensor) for tensor in made]
            passes = torch.is_grad_enabled()
            self.operations.append(Operation(func, arguments, options, numbers, passes))
        return results

    def _refuse_parts(self, written: Tensor) -> None:
        """Raise if a tensor that is written into shares its memory with another."""
        memory = written.untyped_storage()
        whole = memory.nbytes() == written.numel() * written.element_size()
        alike = {
            _identity(tensor)
            for tensor in self.tensors
            if tensor.untyped_storage().data_ptr() == memory.data_ptr()
        }
        if written.numel() and not (whole and alike == {_identity(written)}):
            raise Untraceable(
                "writes into a part of a tensor, or into one that is seen in two ways: make a new "
                "one instead, as torch.where and torch.cat do"
            )


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    """Return what two tensors have in common only if they are of the same numbers."""
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _refuse(function: Any, arguments: Any) -> None:
    if torch.Tag.nondeterministic_seeded in function.tags:
        raise Unruly("draws random numbers")
    if function is torch.ops.aten._local_scalar_dense.default and _values(arguments):
        raise Unruly("takes Python's decisions by numbers that a trial brings")


def map_only(kind: type, function: Callable[[Any], Any], found: Any) -> Any:
    """Return lists, tuples and dicts with a function's results in the places of a kind.

    torch's own ``tree_map_only`` knows more containers, and takes ten times as long.
    """
    if isinstance(found, kind):
        return function(found)
    if isinstance(found, (list, tuple)):
        return type(found)([map_only(kind, function, part) for part in found])
    if isinstance(found, dict):
        return {name: map_only(kind, function, part) for name, part in found.items()}
    return found


def _values(arguments: Any) -> list[Value]:
    """Return the recorded tensors among an operation's arguments."""
    if isinstance(arguments, Value):
        return [arguments]
    if isinstance(arguments, (list, tuple)):
        return [value for argument in arguments for value in _values(argument)]
    return []


def _in_full(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.tolist()


def _refuse_own_gradients(results: Sequence[Tensor]) -> None:
    """Raise if gradients go by a function of the rule's own, which operations do not show."""
    waiting = [result.grad_fn for result in results if result.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if isinstance(node, BackwardCFunction):
            raise Untraceable("has a gradient of its own (torch.autograd.Function)")
        further = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= further
        waiting += further


def is_trusted(rule: LearningRule, apart_from: LearningRule | None = None) -> bool:
    """Whether all modules are of the package or of torch, and nobody has changed what they do.

    Those of a rule within it that is traced by itself may be ``apart_from`` them.
    """
    others = set() if apart_from is None else set(apart_from.modules())
    return all(
        type(module).__module__.startswith(TRUSTED_MODULES)
        and "forward" not in vars(module)
        and not any(vars(module)[hook] for hook in HOOKS)
        for module in rule.modules()
        if module not in others
    )


def rule_tensors(rule: nn.Module) -> dict[str, Tensor]:
    """Return all floating tensors that a rule has as attributes, its modules' included."""
    found = {}
    for path, module in rule.named_modules():
        held = {**module._parameters, **module._buffers, **vars(module)}
        for name, tensor in held.items():
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                found[f"{path}.{name}".lstrip(".")] = tensor
    return found


def copy_in_double(rule: LearningRule) -> LearningRule:
    """Return a rule with tensors of its own, in double precision, wherever they came from."""
    own = {id(tensor): tensor for tensor in rule_tensors(rule).values()}
    copies = {
        i: tensor.detach().double().clone().requires_grad_(tensor.requires_grad)
        for i, tensor in own.items()
    }
    for i, tensor in own.items():
        if isinstance(tensor, nn.Parameter):
            copies[i] = nn.Parameter(copies[i].detach(), tensor.requires_grad)
    return deepcopy(rule, copies)


def example_trial(
    like: Trial, n_subjects: int, generator: torch.Generator, scale: float = 1, n_choices: int = 2
) -> Trial:
    """Return a trial of subjects, drawn at random, with fields as sequences have them."""

    def draw(field: Any) -> Tensor:
        width = getattr(like, field.name).shape[1 if "of_subjects" in field.metadata else 2 :]
        shape = n_subjects, *width
        if field.name in ("choice", "answer"):
            return torch.randint(n_choices, shape, generator=generator).double()
        if field.name in ("session_start", "reward_known", "misses"):
            return torch.randint(2, shape, generator=generator).double()
        if field.name == "reward":
            return torch.randint(-1, 3, shape, generator=generator).double() / 2 * scale
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        return drawn if "of_subjects" in field.metadata else scale * drawn  # logarithms of factors

    return type(like)(**{field.name: draw(field) for field in fields(like)})


class Trace:
    """The operations of a rule on one trial of one subject.

    Those on the rule's own tensors alone, such as a learning rate made of its root, are torch's to
    perform, once for all trials: ``settled``. What they hand on are the ``coefficients``.

    Raises
    ------
    Untraceable
        For what no program of plain numbers does.
    """

    def __init__(self, rule: LearningRule, like: Trial) -> None:
        rule = copy_in_double(rule)
        self.rule = rule
        self.generator = generator = torch.Generator().manual_seed(0)
        weights = torch.randn(1, rule.n_weights, generator=generator, dtype=torch.float64)
        self.trial = example_trial(like, 1, generator, n_choices=rule.policy.n_choices)
        of_trial = list(vars(self.trial).values())
        memory = rule.initial_memory(1, like=weights).detach().clone()
        own = rule_tensors(rule)
        self.names = list(own)
        given = [weights.requires_grad_(), memory.requires_grad_(), *of_trial, *own.values()]
        with torch.enable_grad(), Recorder(given) as recorder, StayInTorch():
            update, later = rule(weights, self.trial, memory)
        _refuse_own_gradients([update, later])
        self.recorder = recorder
        n_given = 2 + len(of_trial)
        self.inputs, of_rule = recorder.given[:n_given], recorder.given[n_given:]
        self.of_rule = of_rule
        self.results = [self._result(update, weights), self._result(later, memory)]
        moving = set(self.inputs)
        self.settled, self.operations = [], []
        for operation in recorder.operations:
            if moving.isdisjoint(_values(operation.arguments)):
                self.settled.append(operation)
            else:
                self.operations.append(operation)
                moving |= set(operation.results)
        used = [v for operation in self.operations for v in _values(operation.arguments)]
        used += [result for result in self.results if isinstance(result, Value)]
        self.coefficients = [value for value in dict.fromkeys(used) if value not in moving]

    def key(self) -> str:
        """Return what tells the operations of two records apart: numbers, in full, and all."""
        written = [
            (o.function, map_only(Tensor, _in_full, o.arguments), o.options, *o[3:])
            for o in self.recorder.operations
        ]
        return repr((written, map_only(Tensor, _in_full, self.results), self.names))

    def _result(self, result: Tensor, like: Tensor) -> Value | Tensor:
        if result.shape != like.shape:
            raise Untraceable(f"returns {tuple(result.shape)} where {tuple(like.shape)} belongs")
        return self.recorder.find(result)

    def settle(self, rule: LearningRule) -> list[Tensor]:
        """Return the coefficients of a rule that was traced, with their gradients' way to it."""
        own = rule_tensors(rule)
        if list(own) != self.names:
            raise Untraceable("has not the tensors that it had when it was traced")
        known = dict(zip(self.of_rule, own.values(), strict=True))
        return replay(self.settled, known, self.coefficients)

    def labels(self) -> list[str]:
        """Return names of the coefficients, by what they were made of."""
        names = dict(zip(self.of_rule, self.names, strict=True))
        for function, arguments, _, places, _ in self.settled:
            name = function._schema.name.partition("::")[2]
            of = "_".join(names[value] for value in _values(arguments))
            names |= dict.fromkeys(places, of if name in MOVING else f"{name}_{of}")
        return ["rule." + names[value].replace(".", "_") for value in self.coefficients]

    def differentiate(self) -> tuple[Recorder, list[Value | Tensor | None]]:
        """Record the gradient of update and memory, with the operations that lead to them.

        What it is given are the inputs of the trace, the coefficients, then the adjoints of both
        results. The gradients are those in weights, memory and coefficients, or None.
        """
        tensors = self.recorder.tensors
        start, coefficients = (
            [tensors[v].detach().clone().requires_grad_() for v in some]
            for some in (self.inputs[:2], self.coefficients)
        )
        like = (tensors[self.inputs[0]], tensors[self.inputs[1]])
        adjoints = [torch.randn(x.shape, generator=self.generator, dtype=x.dtype) for x in like]
        given = [*start, *vars(self.trial).values(), *coefficients]
        with torch.enable_grad(), Recorder([*given, *adjoints]) as recorder:
            known = dict(zip([*self.inputs, *self.coefficients], given, strict=True))
            results = replay(self.operations, known, self.results)
            pairs = [p for p in zip(results, adjoints, strict=True) if p[0].requires_grad]
            wanted = [*start, *coefficients]
            gradients: Sequence[Tensor | None] = [None] * len(wanted)
            if pairs:  # not with grad_outputs, for which torch imports a second's worth of modules
                how: Any = {"allow_unused": True, "create_graph": True}
                loss = torch.stack([(result * adjoint).sum() for result, adjoint in pairs]).sum()
                gradients = torch.autograd.grad(loss, wanted, **how)
        return recorder, [g if g is None else recorder.find(g) for g in gradients]


def replay(
    operations: Sequence[Operation], known: dict[Value, Tensor], results: Sequence[Any]
) -> list[Tensor]:
    """Perform operations again, on other tensors, and return results (constants as they are)."""
    for function, arguments, options, places, differentiable in operations:
        filled = fill(arguments, known)
        if function._schema.is_mutable:  # then what it writes into is to be its own
            filled = map_only(Tensor, Tensor.clone, filled)
        with torch.set_grad_enabled(torch.is_grad_enabled() and differentiable):
            made = function(*filled, **options)
        known |= zip(places, [made] if isinstance(made, Tensor) else made, strict=True)
    return [known[result] if isinstance(result, Value) else result for result in results]


def fill(arguments: Sequence[Any], known: dict[Value, Any]) -> list[Any]:
    """Return arguments with what is known in the places of Values."""
    return [
        known[a] if type(a) is Value else fill(a, known) if type(a) is list else a
        for a in arguments
    ]
