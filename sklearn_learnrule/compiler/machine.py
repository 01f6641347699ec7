"""Machine code of programs of numbers, by the compiler that numba brings: in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import binding, ir

from .kept import kept_code, sources_stamp
from .listing import Listing
from .scalars import Program, Scalar

DOUBLE, INT64 = ir.DoubleType(), ir.IntType(64)
LIBM = ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sin", "cos", "erf", "pow")
TRIAL = ("layout", "parameters", "fields", "subject", "trial", "weights", "memory", "row")
FUNCTIONS = {  # with their arguments, see ``engine._steps``
    "advance": (*TRIAL, "later", "memory_later"),
    "retreat": (*TRIAL, "delta", "adjoint", "above", "gradient"),
    "step": TRIAL,
    "step_back": (*TRIAL, "delta", "adjoint", "gradient"),
}
MAX_OPTIMIZED = 3000  # statements, beyond which optimizing takes seconds
WHOLE = {
    "layout": INT64.as_pointer(), "fields": INT64.as_pointer(), "subject": INT64, "trial": INT64,
}  # fmt: skip

BUILD: dict[str, Callable[..., Any]] = {
    "add": lambda build, a, b: build.fadd(a, b),
    "sub": lambda build, a, b: build.fsub(a, b),
    "mul": lambda build, a, b: build.fmul(a, b),
    "div": lambda build, a, b: build.fdiv(a, b),
    "lt": lambda build, a, b: build.fcmp_ordered("<", a, b),
    "le": lambda build, a, b: build.fcmp_ordered("<=", a, b),
    "gt": lambda build, a, b: build.fcmp_ordered(">", a, b),
    "ge": lambda build, a, b: build.fcmp_ordered(">=", a, b),
    "and": lambda build, a, b: build.and_(a, b),
    "or": lambda build, a, b: build.or_(a, b),
    "not": lambda build, a: build.not_(a),
    "float": lambda build, a: build.uitofp(a, DOUBLE),
    "neg": lambda build, a: build.fneg(a),
    "where": lambda build, condition, a, b: build.select(condition, a, b),
    "eq": lambda build, a, b: compare(build, "==", a, b),
    "ne": lambda build, a, b: compare(build, "!=", a, b),
    "maximum": lambda build, a, b: extreme(build, ">", a, b),
    "minimum": lambda build, a, b: extreme(build, "<", a, b),
    "abs": lambda build, a: build.select(build.fcmp_ordered("<", a, DOUBLE(0)), build.fneg(a), a),
}


def compare(build: Any, how: str, a: Any, b: Any) -> Any:
    if a.type != DOUBLE:
        return build.icmp_unsigned(how, a, b)
    return (build.fcmp_unordered if how == "!=" else build.fcmp_ordered)(how, a, b)


def extreme(build: Any, how: str, a: Any, b: Any) -> Any:
    """Return the larger or the smaller of two numbers, NaN if either is: as torch does."""
    first = build.or_(build.fcmp_ordered(how, a, b), build.fcmp_unordered("uno", a, a))
    return build.select(first, a, b)


class Writer:
    """Writes one of the C functions of ``engine._steps`` for a listing."""

    def __init__(self, module: ir.Module, name: str, listing: Listing, number: Any) -> None:
        arguments = FUNCTIONS[name]
        kinds = [WHOLE.get(argument, number.as_pointer()) for argument in arguments]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.module, self.listing, self.number = module, listing, number
        self.in_row = name.startswith("step")  # not yet where they belong
        self.build = ir.IRBuilder(function.append_basic_block())
        self.pointers = dict(zip(arguments, function.args, strict=True))
        self.pointers |= {name: self.at("parameters", i) for name, i in starts(listing).items()}

    def at(self, name: str, place: int) -> Any:
        """Return the address of one of the numbers of this name."""
        if name in self.listing.fields and name not in self.pointers:
            number = self.listing.fields.index(name)
            start = self.build.load(self.build.gep(self.pointers["fields"], [INT64(number)]))
            start = self.build.inttoptr(start, self.number.as_pointer())
            row = self.pointers["subject" if name in self.listing.of_subjects else "trial"]
            first = self.build.mul(row, INT64(self.listing.sizes[name]))
            self.pointers[name] = self.build.gep(start, [first])
        if name == "of_update":
            name = "delta" if self.in_row else "adjoint"
        elif name == "of_memory":
            name, place = "adjoint", place if self.in_row else place + self.listing.sizes["weights"]
        return self.build.gep(self.pointers[name], [INT64(place)])

    def load(self, scalar: Scalar) -> Any:
        """Return an input of a program, in double precision."""
        name, place = scalar.name.removesuffix("]").rsplit("[", 1)
        return self.load_from(self.at(name, int(place)))

    def load_from(self, address: Any) -> Any:
        value = self.build.load(address)
        return value if self.number == DOUBLE else self.build.fpext(value, DOUBLE)

    def run(self, program: Program, results: Sequence[Any]) -> list[Any]:
        """Return the results, all of them before any is stored."""
        values: dict[str, Any] = {}

        def operand(argument: Any) -> Any:
            if not isinstance(argument, Scalar):
                of_truth = isinstance(argument, (bool, np.bool_))
                return ir.IntType(1)(bool(argument)) if of_truth else DOUBLE(float(argument))
            if argument.name not in values:
                values[argument.name] = self.load(argument)
            return values[argument.name]

        for name, operation, arguments in program.needed(results):
            operands = [operand(argument) for argument in arguments]
            if operation in LIBM:
                values[name] = self.build.call(self.libm(operation), operands)
            else:
                values[name] = BUILD[operation](self.build, *operands)
        return [operand(result) for result in results]

    def libm(self, name: str) -> Any:
        if name not in self.module.globals:
            kind = ir.FunctionType(DOUBLE, [DOUBLE] * (2 if name == "pow" else 1))
            ir.Function(self.module, kind, name)
        return self.module.globals[name]

    def store(self, value: Any, address: Any, add: bool = False) -> None:
        if add:
            value = self.build.fadd(self.load_from(address), value)
        if self.number != DOUBLE:
            value = self.build.fptrunc(value, self.number)
        self.build.store(value, address)


def write_forward(writer: Writer) -> None:
    """Write what leads from a trial to the next."""
    listing, k = writer.listing, writer.listing.sizes["weights"]
    values = writer.run(listing.step, [*listing.update, *listing.memory])
    targets = [("row", i) for i in range(len(values))]
    if not writer.in_row:
        before = [writer.load_from(writer.at("weights", i)) for i in range(k)]
        values[:k] = map(writer.build.fadd, before, values[:k])
        targets = [("later", i) for i in range(k)]
        targets += [("memory_later", i) for i in range(listing.sizes["memory"])]
    for value, target in zip(values, targets, strict=True):
        writer.store(value, writer.at(*target))
    writer.build.ret_void()


def write_backward(writer: Writer) -> None:
    """Write what takes the adjoints back over a trial."""
    listing, k = writer.listing, writer.listing.sizes["weights"]
    first = {"weights": ("delta", k) if writer.in_row else ("adjoint", 0)}
    first["memory"] = ("adjoint", 0 if writer.in_row else k)
    first |= {name: ("gradient", start) for name, start in starts(listing).items()}
    places = []
    for name, values in listing.gradients.items():
        for i, value in enumerate(values):
            if first[name][0] != "gradient" or isinstance(value, Scalar) or value != 0:
                places.append((first[name][0], first[name][1] + i, value))
    values = writer.run(listing.step_back, [value for *_, value in places])
    if not writer.in_row:
        for name in ("adjoint", "above"):
            passed = [writer.load_from(writer.at(name, i)) for i in range(k)]
            values[:k] = map(writer.build.fadd, values[:k], passed)
    for value, (name, i, _) in zip(values, places, strict=True):
        writer.store(value, writer.at(name, i), add=name == "gradient")
    writer.build.ret_void()


def starts(listing: Listing) -> dict[str, int]:
    """Return the places of the coefficients among the parameters."""
    ends = np.cumsum([listing.sizes[name] for name in listing.coefficients]).tolist()
    return dict(zip(listing.coefficients, [0, *ends], strict=False))


class Code:
    """Compiled functions of a listing, for numbers of 32 or 64 bits, kept on disk.

    Attributes
    ----------
    forward, backward : int
        The addresses of ``advance`` and ``retreat``; for a filter, of ``step`` and ``step_back``.
    """

    def __init__(self, listing: Listing, bits: int, in_filter: bool = False) -> None:
        names = ("step", "step_back") if in_filter else ("advance", "retreat")
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        cpu, features = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
        target = binding.Target.from_default_triple()
        machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
        made_of = (
            listing,
            listing.sizes,
            names,
            bits,
            cpu,
            features,
            binding.llvm_version_info,
            sources_stamp(),
        )
        code = kept_code(made_of, lambda: compile_listing(listing, names, bits, machine))
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
        self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.forward, self.backward = map(self._engine.get_function_address, names)


def compile_listing(listing: Listing, names: Sequence[str], bits: int, machine: Any) -> bytes:
    """Return an object file."""
    number = DOUBLE if bits == 64 else ir.FloatType()
    module = ir.Module()
    for name, write in zip(names, (write_forward, write_backward), strict=True):
        write(Writer(module, name, listing, number))
    parsed = binding.parse_assembly(str(module))
    # Numbers of a memory lie side by side and may be computed at once, if llvmlite is new enough.
    pays = listing.sizes["memory"] > 8 and len(listing.step_back.statements) < MAX_OPTIMIZED
    if pays and hasattr(binding, "create_pass_builder"):
        options = binding.create_pipeline_tuning_options(speed_level=3)
        options.slp_vectorization = True
        builder = binding.create_pass_builder(machine, options)
        builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)
