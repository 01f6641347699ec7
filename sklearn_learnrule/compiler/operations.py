"""What torch's operations do with arrays of Scalars: from a record to a program of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .scalars import Array, elementwise, is_truth
from .trace import MOVING, Operation, Untraceable, Value, fill, map_only

BY_NUMBER = (
    "add", "sub", "mul", "div", "lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "maximum",
    "minimum", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "sin", "cos", "erf",
)  # fmt: skip


def compute(
    operations: Sequence[Operation], known: dict[Value, Array], results: Sequence[Any]
) -> list[Array]:
    """Return results as arrays of Scalars, given the arrays of what the operations start from."""
    for function, arguments, options, places, _ in operations:
        name = operation_name(function)
        filled = fill(arguments, known)
        if name in MOVING:
            made = move(function, filled, options)
        else:
            made = _perform(name, filled, options)
        known |= zip(places, made, strict=True)
    return [known[r] if isinstance(r, Value) else constant(r) for r in results]


def operation_name(function: Any) -> str:
    """Return an operation's name in torch, the same whether it writes into its tensor or not."""
    name = function._schema.name.partition("::")[2]
    return name.removesuffix("_") if function._schema.is_mutable else name


def constant(value: Any) -> Array:
    """Return a tensor or a number that does not depend on the trial as an array of constants."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value).astype(bool if _is_truth(value) else float).astype(object)


def _is_truth(value: Any) -> bool:
    return np.asarray(value).dtype == bool


def move(function: Any, arguments: Any, options: dict[str, Any]) -> list[Array]:
    """Perform an operation that moves numbers, by performing it on their places."""
    if operation_name(function).startswith(("index", "gather")) and _looks_up(arguments):
        raise Untraceable("looks things up by numbers that a trial brings")
    numbers: list[Any] = [0.0]

    def places(array: Array) -> Tensor:
        first = len(numbers)
        numbers.extend(array.flat)
        return torch.arange(first, len(numbers)).reshape(array.shape)

    def of_constant(tensor: Tensor) -> Tensor:
        return places(constant(tensor)) if tensor.is_floating_point() else tensor

    placed = map_only(Tensor, of_constant, arguments)
    made = function(*map_only(np.ndarray, places, placed), **options)
    pool = np.array(numbers, dtype=object)
    made = [made] if isinstance(made, Tensor) else made
    return [np.asarray(pool[each.numpy()], object) for each in made]


def _looks_up(arguments: Any) -> bool:
    """Whether an index is recorded, and so not known before the trial."""
    _, *others = arguments
    index = others[0] if isinstance(others[0], (list, tuple)) else others[1:2]
    return any(isinstance(each, np.ndarray) for each in index)


def cast(x: Array, options: dict[str, Any]) -> Array:
    """Return numbers as of another type: truths as 0 or 1, and as truths what is not 0."""
    dtype = options.get("dtype") or torch.float64
    if dtype == torch.bool:
        return x if all(map(is_truth, x.flat)) else elementwise("ne", x, 0.0)
    if not dtype.is_floating_point and not all(map(is_truth, x.flat)):
        raise Untraceable(f"makes whole numbers ({dtype})")
    return elementwise("float", x)


def _perform(name: str, arguments: Any, options: dict[str, Any]) -> list[Array]:
    if name not in PERFORM:
        raise Untraceable(f"uses torch's {name!r}, which is not compiled")
    if options.get("alpha", 1) != 1 or options.get("rounding_mode"):
        raise Untraceable(f"uses an option of torch's {name!r} that is not compiled")
    if name == "_to_copy":
        return [cast(arguments[0], options)]
    arrays = [a if isinstance(a, np.ndarray) else _plain(a) for a in arguments]
    try:
        made = PERFORM[name](*arrays)
    except TypeError:
        raise Untraceable(f"uses torch's {name!r} in a way that is not compiled") from None
    return [np.asarray(each, object) for each in (made if isinstance(made, tuple) else [made])]


def _plain(argument: Any) -> Any:
    """Return tensors and numbers as arrays of constants, sizes and the like as they are."""
    return constant(argument) if isinstance(argument, Tensor) else argument


# ------------------------------------------------------------------ torch's names, in our numbers


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + elementwise("exp", -x))


def logsigmoid(x: Array) -> Array:
    """min(x, 0) - log(1 + exp(-|x|)), which is exact at both ends."""
    smooth = elementwise("log1p", elementwise("exp", -elementwise("abs", x)))
    return elementwise("minimum", x, 0.0) - smooth


def power(x: Array, exponent: Any) -> Array:
    if isinstance(exponent, np.ndarray):
        return elementwise("pow", x, exponent)
    special: dict[float, Callable[[], Array]] = {
        0: lambda: x * 0.0 + 1.0,
        0.5: lambda: elementwise("sqrt", x),
        1: lambda: x,
        2: lambda: x * x,
        3: lambda: x * x * x,
        -1: lambda: 1.0 / x,
    }
    return special.get(exponent, lambda: elementwise("pow", x, float(exponent)))()


def clamp(x: Array, lowest: Any = None, highest: Any = None) -> Array:
    x = x if lowest is None else elementwise("maximum", x, lowest)
    return x if highest is None else elementwise("minimum", x, highest)


def total(x: Array, axes: Any = None, keepdim: bool = False) -> Array:
    axis = tuple(axes) if axes else None
    return np.sum(x, axis=axis, keepdims=keepdim) if x.size else np.zeros(
        np.sum(np.empty(x.shape), axis=axis, keepdims=keepdim).shape
    )  # fmt: skip


def largest(x: Array, axes: Any, keepdim: bool) -> Array:
    maximum = np.frompyfunc(lambda a, b: elementwise("maximum", a, b).item(), 2, 1)
    for axis in sorted((axis % x.ndim for axis in axes or range(x.ndim)), reverse=True):
        x = np.asarray(maximum.reduce(x, axis=axis, keepdims=keepdim), object)
    return x


def mean(x: Array, axes: Any = None, keepdim: bool = False) -> Array:
    summed = total(x, axes, keepdim)
    return summed / (x.size / np.asarray(summed).size)


def logsumexp(x: Array, axes: Any, keepdim: bool = False) -> Array:
    most = largest(x, axes, True)
    summed = elementwise("log", total(elementwise("exp", x - most), axes, True)) + most
    return summed if keepdim else np.squeeze(summed, tuple(axes))


def softmax(x: Array, axis: int, _: bool = False) -> Array:
    raised = elementwise("exp", x - largest(x, [axis], True))
    return raised / total(raised, [axis], True)


def logaddexp(a: Array, b: Array) -> Array:
    larger = elementwise("maximum", a, b)
    difference = -elementwise("abs", a - b)
    return larger + elementwise("log1p", elementwise("exp", difference))


def softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    soft = elementwise("log1p", elementwise("exp", x * beta)) / beta
    return elementwise("where", elementwise("gt", x * beta, threshold), x, soft)


def softplus_backward(g: Array, x: Array, beta: float, threshold: float) -> Array:
    return elementwise("where", elementwise("gt", x * beta, threshold), g, g * sigmoid(x * beta))


def elu(x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    below = elementwise("expm1", x * input_scale) * (alpha * scale)
    return elementwise("where", elementwise("gt", x, 0.0), x * scale, below)


def elu_backward(
    g: Array, alpha: float, scale: float, input_scale: float, is_result: bool, x: Array
) -> Array:
    inner = x + alpha * scale if is_result else elementwise("exp", x * input_scale) * alpha * scale
    below = inner * input_scale * g
    return elementwise("where", elementwise("gt", x, 0.0), g * scale, below)


def index_add(x: Array, axis: int, index: Any, more: Array) -> Array:
    """What gathering numbers takes back: some may have gone to several places."""
    added = np.moveaxis(x.copy(), axis, 0)
    np.add.at(added, constant(index).astype(int), np.moveaxis(more, axis, 0))
    return np.moveaxis(added, 0, axis)


def index_put(x: Array, index: Any, values: Array, accumulate: bool = False) -> Array:
    put = x.copy()
    places: Any = tuple(slice(None) if i is None else constant(i).astype(int) for i in index)
    if accumulate:
        np.add.at(put, places, values)
    else:
        put[places] = values
    return put


def filled_like(number: float) -> Callable[..., Array]:
    return lambda x, *_: constant(np.full(x.shape, number))


def new_filled(number: float) -> Callable[..., Array]:
    return lambda _, shape, *__: constant(np.full(tuple(shape), number))


PERFORM: dict[str, Callable[..., Any]] = {
    **{name: partial(elementwise, name) for name in BY_NUMBER},
    "where": partial(elementwise, "where"),
    "bitwise_and": partial(elementwise, "and"),
    "logical_and": partial(elementwise, "and"),
    "bitwise_or": partial(elementwise, "or"),
    "logical_or": partial(elementwise, "or"),
    "bitwise_not": partial(elementwise, "not"),
    "logical_not": partial(elementwise, "not"),
    "_to_copy": cast,
    "masked_fill": lambda x, mask, value: elementwise("where", mask, value, x),
    "reciprocal": lambda x: 1.0 / x,
    "rsqrt": lambda x: 1.0 / elementwise("sqrt", x),
    "rsub": lambda x, other: other - x,
    "pow": power,
    "sigmoid": sigmoid,
    "log_sigmoid_forward": lambda x: (logsigmoid(x), x),  # and a buffer, which is not used
    "relu": lambda x: elementwise("maximum", x, 0.0),
    "sign": lambda x: (
        elementwise("float", elementwise("gt", x, 0.0))
        - elementwise("float", elementwise("lt", x, 0.0))
    ),
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": lambda x, highest: clamp(x, None, highest),
    "softplus": softplus,
    "logaddexp": logaddexp,
    "logsumexp": logsumexp,
    "_softmax": softmax,
    "_log_softmax": lambda x, axis, _: x - logsumexp(x, [axis], True),
    "silu": lambda x: x * sigmoid(x),
    "index_add": index_add,
    "index_put": index_put,
    "_index_put_impl": lambda x, index, values, accumulate, _: index_put(
        x, index, values, accumulate
    ),
    "_unsafe_index_put": index_put,
    "amax": lambda x, axes=(), keepdim=False: largest(x, axes, keepdim),
    "elu": elu,
    "elu_backward": elu_backward,
    "sum": total,
    "mean": mean,
    "mm": np.matmul,
    "bmm": np.matmul,
    "mv": np.matmul,
    "addmm": lambda bias, a, b: bias + a @ b,
    "sigmoid_backward": lambda g, y: g * ((1.0 - y) * y),
    "_softmax_backward_data": lambda g, y, axis, _: y * (g - total(g * y, [axis], True)),
    "_log_softmax_backward_data": lambda g, y, axis, _: (
        g - elementwise("exp", y) * total(g, [axis], True)
    ),
    "tanh_backward": lambda g, y: g * (1.0 - y * y),
    "threshold_backward": lambda g, x, least: elementwise(
        "where", elementwise("le", x, least), 0.0, g
    ),
    "log_sigmoid_backward": lambda g, x, _: g * sigmoid(-x),
    "softplus_backward": softplus_backward,
    "copy": lambda x, other, *_: np.broadcast_to(other, x.shape),
    "fill": lambda x, number: np.broadcast_to(constant(number), x.shape),
    "zero": filled_like(0.0),
    "empty_like": filled_like(math.nan),
    "zeros_like": filled_like(0.0),
    "ones_like": filled_like(1.0),
    "full_like": lambda x, number: constant(np.full(x.shape, number)),
    "new_zeros": new_filled(0.0),
    "new_ones": new_filled(1.0),
    "new_full": lambda _, shape, number: constant(np.full(tuple(shape), number)),
}
PERFORM["sgn"] = PERFORM["sign"]
