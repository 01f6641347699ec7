"""Vectors and pointers in numba: what the kernels' inner loops are written in.

LLVM does not turn a loop over ``array[start + j]`` into good vector code by itself: it must
allow for negative indices and for arrays that overlap; and numba counts the references to
every array and slice. A :class:`Vector` says plainly what is meant: as many numbers as fill
the processor's registers (LLVM splits it where they are shorter). ``pointer(array)`` is
numba's ``CPointer`` to an array's numbers: ``p[i]`` reads and writes.

Neither checks bounds, nor keeps its array alive. So only the functions that Python calls
make pointers, from arrays that they hold, and all buffers are padded to whole ``LANES``.
"""

from __future__ import annotations

import operator

from llvmlite import binding, ir
from numba import carray, njit, types
from numba.extending import intrinsic, models, overload, register_model

# Other processors' registers are no longer than this, or are many.
VECTOR_BITS = 512 if binding.get_host_cpu_features().get("avx512f") else 256
LANES = 16  # a multiple of every Vector's length
INT32 = ir.IntType(32)


class Vector(types.Type):
    """The numba type of a vector of float32 or float64 numbers."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


def _llvm(dtype: types.Float) -> ir.VectorType:
    number = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
    return ir.VectorType(number, VECTOR_BITS // dtype.bitwidth)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector_type):
        super().__init__(manager, vector_type, _llvm(vector_type.dtype))


@intrinsic
def pointer(typing_context, array):
    """Return a pointer to the first number of a contiguous array."""

    def codegen(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def shift(typing_context, start, n):
    """Return the pointer to ``start[n]``."""

    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return start(start, types.intp), codegen


@intrinsic
def length(typing_context, start):
    """Return how many of the numbers pointed to fill a Vector."""
    n_numbers = VECTOR_BITS // start.dtype.bitwidth

    def codegen(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), n_numbers)

    return types.intp(start), codegen


@intrinsic
def at_address(typing_context, address, start):
    """Return a pointer of ``start``'s type to an address."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], args[1].type)

    return start(types.int64, start), codegen


@intrinsic
def call(typing_context, address, arguments):
    """Call the C function at an address, which returns nothing, with a tuple of arguments."""

    def codegen(context, builder, signature, args):
        given = [builder.extract_value(args[1], i) for i in range(len(arguments))]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


@njit
def borrowed(array):
    """Return an array of the same numbers whose references nobody counts, which costs time."""
    return carray(pointer(array), array.shape)


@njit
def copy(source, target, size):
    for j in range(size):
        target[j] = source[j]


@njit
def fill_zeros(numbers, size):
    for j in range(size):
        numbers[j] = 0


def _vector_address(builder, args, dtype):
    start, index = args[:2]
    return builder.bitcast(builder.gep(start, [index]), _llvm(dtype).as_pointer())


@intrinsic
def load(typing_context, start, index):
    """Return the numbers from ``start[index]`` on."""

    def codegen(context, builder, signature, args):
        address = _vector_address(builder, args, start.dtype)
        return builder.load(address, align=start.dtype.bitwidth // 8)

    return Vector(start.dtype)(start, types.intp), codegen


@intrinsic
def store(typing_context, start, index, vector):
    """Write a Vector from ``start[index]`` on."""

    def codegen(context, builder, signature, args):
        address = _vector_address(builder, args, start.dtype)
        builder.store(args[2], address, align=start.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(start, types.intp, vector), codegen


def _splat(builder, vector_type, number):
    one = builder.insert_element(ir.Constant(vector_type, ir.Undefined), number, INT32(0))
    first_lane = ir.Constant(ir.VectorType(INT32, vector_type.count), None)
    return builder.shuffle_vector(one, one, first_lane)


@intrinsic
def zeros(typing_context, start):
    """Return a Vector of zeros, of the type pointed to."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_llvm(start.dtype), None)

    return Vector(start.dtype)(start), codegen


@intrinsic
def like(typing_context, vector, number):
    """Return a Vector of the same type with ``number`` in every place."""

    def codegen(context, builder, signature, args):
        cast = context.cast(builder, args[1], number, vector.dtype)
        return _splat(builder, args[0].type, cast)

    return vector(vector, number), codegen


@intrinsic
def multiply_add(typing_context, number, vector, total):
    """Return ``number * vector + total``, rounded once where the processor can."""

    def codegen(context, builder, signature, args):
        factor = _splat(builder, args[1].type, args[0])
        product = builder.fmul(factor, args[1], flags=["contract"])
        return builder.fadd(product, args[2], flags=["contract"])

    return vector(vector.dtype, vector, total), codegen


@intrinsic
def where_at_most(typing_context, x, bound, then, otherwise):
    """Return ``then`` where x <= bound, ``otherwise`` elsewhere and where x is NaN."""

    def codegen(context, builder, signature, args):
        holds = builder.fcmp_ordered("<=", args[0], args[1])
        return builder.select(holds, args[2], args[3])

    return x(x, x, x, x), codegen


@intrinsic
def add_up(typing_context, x):
    """Return the sum of the Vector's numbers, in whichever order is quick."""

    def codegen(context, builder, signature, args):
        kind = args[0].type
        name = f"llvm.vector.reduce.fadd.v{kind.count}f{x.dtype.bitwidth}"
        function_type = ir.FunctionType(kind.element, [kind.element, kind])
        function = builder.module.declare_intrinsic(name, fnty=function_type)
        return builder.call(function, [kind.element(0.0), args[0]], fastmath=("reassoc",))

    return x.dtype(x), codegen


@intrinsic
def _round(typing_context, x):
    def codegen(context, builder, signature, args):
        kind = args[0].type
        name = f"llvm.rint.v{kind.count}f{x.dtype.bitwidth}"
        function = builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind]))
        return builder.call(function, args)

    return x(x), codegen


@intrinsic
def _power_of_two(typing_context, exponent):
    """2 ** exponent for whole numbers in the range of normal floats, made from bits."""
    bits, mantissa, bias = (32, 23, 127) if exponent.dtype.bitwidth == 32 else (64, 52, 1023)

    def codegen(context, builder, signature, args):
        integers = ir.VectorType(ir.IntType(bits), args[0].type.count)

        def constant(value):
            return ir.Constant(integers, [value] * integers.count)

        whole = builder.add(builder.fptosi(args[0], integers), constant(bias))
        return builder.bitcast(builder.shl(whole, constant(mantissa)), args[0].type)

    return exponent(exponent), codegen


def _arithmetic(operation, instruction):
    """Let ``operation`` take two Vectors, or a Vector and a number."""

    @intrinsic
    def apply(typing_context, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, instruction)(*args, flags=["contract"])

        return a(a, b), codegen

    @overload(operation)
    def implement(a, b):
        if isinstance(a, Vector) and isinstance(b, Vector):
            return lambda a, b: apply(a, b)
        if isinstance(a, Vector) and isinstance(b, types.Number):
            return lambda a, b: apply(a, like(a, b))
        if isinstance(a, types.Number) and isinstance(b, Vector):
            return lambda a, b: apply(like(b, a), b)
        return None


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693359375  # few bits, so that its product with a small integer is exact
LN2_LOW = -2.1219444005469058e-4


@njit
def _taylor(r):
    """The first terms of exp(r), |r| < 0.35: enough for float32."""
    y = r * (1 / 5040) + 1 / 720
    y = y * r + 1 / 120
    y = y * r + 1 / 24
    y = y * r + 1 / 6
    y = y * r + 1 / 2
    y = y * r + 1.0
    return y * r + 1.0


@njit
def _taylor_long(r):
    """More terms of exp(r): enough for float64."""
    y = r * (1 / 6227020800) + 1 / 479001600
    y = y * r + 1 / 39916800
    y = y * r + 1 / 3628800
    y = y * r + 1 / 362880
    y = y * r + 1 / 40320
    y = y * r + 1 / 5040
    y = y * r + 1 / 720
    y = y * r + 1 / 120
    y = y * r + 1 / 24
    y = y * r + 1 / 6
    y = y * r + 1 / 2
    y = y * r + 1.0
    return y * r + 1.0


def exp(x):
    """Return exp(x) for x within the floats' range, its limits beyond; NaN stays NaN."""
    raise NotImplementedError("for numba only")


@overload(exp)
def _exp(x):
    series, limit = (_taylor, 87.0) if x.dtype.bitwidth == 32 else (_taylor_long, 708.0)

    def implement(x):
        low, high = like(x, -limit), like(x, limit)
        x = where_at_most(x, low, low, x)
        x = where_at_most(0.0 - x, low, high, x)
        n = _round(x * LOG2_E)
        r = x - n * LN2_HIGH - n * LN2_LOW
        # NaN has no integer: it stays in r, and n becomes a number.
        n = where_at_most(n, high * 2.0, n, low)
        return series(r) * _power_of_two(n)

    return implement


@njit
def sigmoid(x):
    return 1.0 / (1.0 + exp(0.0 - x))


@njit
def tanh(x):
    return 1.0 - 2.0 / (1.0 + exp(x * 2.0))


@njit
def copy_slot(source, target, size):
    """As ``copy``, of slots, whose size is a multiple of LANES."""
    for j in range(0, size, length(source)):
        store(target, j, load(source, j))


@njit
def add_slot(source, target, size):
    for j in range(0, size, length(source)):
        store(target, j, load(target, j) + load(source, j))


@njit
def clear_slot(target, size):
    for j in range(0, size, length(target)):
        store(target, j, zeros(target))
