"""Vectors of 16 floats, written for LLVM: what loops are made of whose sums must stay in registers.

LLVM turns a vector into whatever the processor has (one register of AVX-512, two of AVX2); loops of
numba's own keep such sums in memory, which costs most of the time.

Knows nothing of what is stored or computed.
"""

from collections.abc import Sequence
from typing import Any, Final

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils

LANES: Final = 16
# What registers hold: 32 vectors of AVX-512, 16 halves of one with AVX2, 32 quarters with NEON.
VECTORS: Final = 32 if get_host_cpu_features().get("avx512f") else 8
# Sums that stay in registers beside what is multiplied.
MOST_SUMS: Final = VECTORS * 3 // 4

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOAT: Final = ir.FloatType()
FLOATS: Final = ir.VectorType(FLOAT, LANES)
INTS: Final = ir.VectorType(I32, LANES)
ZEROS: Final = ir.Constant(FLOATS, [ir.Constant(FLOAT, 0.0)] * LANES)

Value = Any
"""A value of LLVM's; llvmlite has no types of its own to check against."""


class Writer:
    """Writes instructions where a builder stands."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self._fma = self.function("llvm.fma.v16f32", ir.FunctionType(FLOATS, [FLOATS] * 3))

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a · b + c, rounded once."""
        return self.builder.call(self._fma, [a, b, c])

    def load(self, address: Value, kind: Any = FLOAT) -> Value:
        """Load LANES elements."""
        pointer = ir.VectorType(kind, LANES).as_pointer()
        return self.builder.load(self.builder.inttoptr(address, pointer), align=1)

    def store(self, value: Value, address: Value) -> None:
        """Store a vector of any length."""
        pointer = value.type.as_pointer()
        self.builder.store(value, self.builder.inttoptr(address, pointer), align=1)

    def splat(self, address: Value) -> Value:
        """Load one float into every lane."""
        return self.spread(
            self.builder.load(self.builder.inttoptr(address, FLOAT.as_pointer())), LANES
        )

    def spread(self, one: Value, lanes: int) -> Value:
        """Repeat one float in every lane of a vector."""
        undefined = ir.Constant(ir.VectorType(FLOAT, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, one, ir.Constant(I32, 0))
        return self.shuffled(first, undefined, [0] * lanes)

    def shuffled(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Take lanes of two vectors, counted through both."""
        mask = ir.Constant(ir.VectorType(I32, len(lanes)), [ir.Constant(I32, at) for at in lanes])
        return self.builder.shuffle_vector(a, b, mask)

    def ask(self, address: Value) -> None:
        """Ask for a line of memory that will be read soon, into the second level of the cache.

        More lines can be on their way there than to the first (measured on Zen 4: attention reads
        14 instead of 9 GB/s).
        """
        kinds = [I8.as_pointer(), I32, I32, I32]
        asked = self.function("llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), kinds))
        flags = [ir.Constant(I32, flag) for flag in (0, 2, 1)]  # to read, second level, data
        self.builder.call(asked, [self.builder.inttoptr(address, I8.as_pointer()), *flags])

    def place(self, address: Value, index: Value, size: int, more: int = 0) -> Value:
        """Return address + index · size + more."""
        b = self.builder
        return b.add(b.add(address, b.mul(index, long(size))), long(more))

    def function(self, name: str, kind: Any) -> Value:
        """Declare one of LLVM's own functions."""
        return cgutils.get_or_insert_function(self.builder.module, kind, name)


def long(number: int) -> Value:
    """Return a constant of 64 bits."""
    return ir.Constant(I64, number)


def ints(number: int) -> Value:
    """Return a vector of one whole number."""
    return ir.Constant(INTS, [ir.Constant(I32, number)] * LANES)
