"""The inner loop of products by stored weights, written as vectors of 16 outputs for LLVM.

A strip is 64 outputs side by side. For each input in order, the weights of the strip are made in
registers from what is stored (a scale times a number of 4 or 8 bits, perhaps an offset; or 16-bit
floats), each is multiplied by the input of every row at hand, and added by one rounding. Every
output of every row is a chain of its own, so nothing depends on how many rows there are, and the
sums are those of oneDNN's float32 product. LLVM turns the vectors into whatever the processor has
(two registers of AVX-512 for 32 outputs, four of AVX2); loops of numba's own keep their sums in
memory, which costs most of the time.

Stored, for each strip in order:
- NIBBLES, SIGNED: (in / 2, 64) uint8, inputs 2i in the low half and 2i + 1 in the high one;
- BYTES: (in, 64) int8;
- BFLOAT16, FLOAT16: (in, 64) uint16, the bits of such floats;
- FLOAT32: (in, 64) float32, which is oneDNN's own layout;
- of the first three, scales and offsets: (in / GROUP, 64) float32. A weight is scale · number +
  offset, rounded once.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

STRIP: Final = 64  # outputs, as in oneDNN's layout for 512-bit vectors (AB16b64a)
GROUP: Final = 32  # inputs that share a scale: the blocks of GGUF, or its sub-blocks
LANES: Final = 16
HALF: Final = STRIP // 2  # outputs that are computed at once
NIBBLES, SIGNED, BYTES, BFLOAT16, FLOAT16, FLOAT32 = range(6)
ROWS_AT_ONCE: Final = 8  # their sums, for half a strip, fill half of the registers of AVX-512

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_FLOAT: Final = ir.FloatType()
_FLOATS: Final = ir.VectorType(_FLOAT, LANES)
_INTS: Final = ir.VectorType(_I32, LANES)

Value = Any
"""A value of LLVM's; llvmlite has no types of its own to check against."""


class _Writer:
    """Writes instructions for one strip: where its numbers lie, and what they become."""

    def __init__(self, builder: Any, kind: int, codes: Value, scales: Value, offsets: Value):
        self.builder, self.kind, self.codes = builder, kind, codes
        self.scales, self.offsets = scales, offsets
        self._fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), "llvm.fma.v16f32"
        )

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.builder.call(self._fma, [a, b, c])

    def place(self, address: Value, index: Value, kind: Any) -> Value:
        """Return the pointer to element `index` of what begins at an address."""
        return self.builder.gep(self.builder.inttoptr(address, kind.as_pointer()), [index])

    def vector(self, address: Value, index: Value, kind: Any) -> Value:
        """Load LANES elements."""
        pointer = self.place(address, index, kind)
        many = ir.VectorType(kind, LANES).as_pointer()
        return self.builder.load(self.builder.bitcast(pointer, many), align=1)

    def store(self, value: Value, address: Value, index: Value) -> None:
        pointer = self.builder.bitcast(self.place(address, index, _FLOAT), _FLOATS.as_pointer())
        self.builder.store(value, pointer, align=1)

    def splat(self, address: Value, index: Value) -> Value:
        """Load one float into every lane."""
        one = self.builder.load(self.place(address, index, _FLOAT))
        undefined = ir.Constant(_FLOATS, ir.Undefined)
        first = self.builder.insert_element(undefined, one, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(_INTS, [ir.Constant(_I32, 0)] * LANES)
        )

    def at(self, row: Value, lane: Value) -> Value:
        """Return the index of a lane's element in a row of a strip."""
        return self.builder.add(self.builder.mul(row, _long(STRIP)), lane)

    def group(self, number: Value, lanes: Sequence[Value]) -> list[tuple[Value, Value]]:
        """Load scales and offsets of a group of inputs."""
        if self.kind in (BFLOAT16, FLOAT16, FLOAT32):
            return [(None, None)] * len(lanes)
        scales = [self.vector(self.scales, self.at(number, lane), _FLOAT) for lane in lanes]
        offsets = [self.vector(self.offsets, self.at(number, lane), _FLOAT) for lane in lanes]
        return list(zip(scales, offsets, strict=True))

    def pair(self, half: Value, lane: Value, scale: Value, offset: Value) -> tuple[Value, Value]:
        """Make the weights of inputs 2 · half and 2 · half + 1."""
        b = self.builder
        if self.kind in (NIBBLES, SIGNED):
            both = b.zext(self.vector(self.codes, self.at(half, lane), _I8), _INTS)
            if self.kind == NIBBLES:
                low, high = b.and_(both, _ints(15)), b.lshr(both, _ints(4))
            else:  # the sign of a number is moved to the sign of 32 bits, and back
                low, high = b.ashr(b.shl(both, _ints(28)), _ints(28)), b.shl(both, _ints(24))
                high = b.ashr(high, _ints(28))
            low, high = (b.sitofp(number, _FLOATS) for number in (low, high))
            return self.fma(low, scale, offset), self.fma(high, scale, offset)
        first = b.mul(half, _long(2))
        places = [self.at(b.add(first, _long(more)), lane) for more in (0, 1)]
        return self._one(places[0], scale, offset), self._one(places[1], scale, offset)

    def _one(self, index: Value, scale: Value, offset: Value) -> Value:
        b = self.builder
        if self.kind == BYTES:
            number = b.sext(self.vector(self.codes, index, _I8), _INTS)
            return self.fma(b.sitofp(number, _FLOATS), scale, offset)
        if self.kind == FLOAT32:
            return self.vector(self.codes, index, _FLOAT)
        bits = self.vector(self.codes, index, _I16)
        if self.kind == BFLOAT16:
            return b.bitcast(b.shl(b.zext(bits, _INTS), _ints(16)), _FLOATS)
        return b.fpext(b.bitcast(bits, ir.VectorType(ir.HalfType(), LANES)), _FLOATS)


def _long(number: int) -> Value:
    return ir.Constant(_I64, number)


def _ints(number: int) -> Value:
    return ir.Constant(_INTS, [ir.Constant(_I32, number)] * LANES)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def multiply(  # numba takes no *rest here
    _context: Any, kind: Any, rows: Any, codes: Any, scales: Any, offsets: Any, first: Any,
    x: Any, depth: Any, out: Any, width: Any, block: Any,
) -> Any:  # fmt: skip
    """Write the outputs `first`..`first + HALF - 1` of a strip for some rows.

    kind, rows: literals; the others 64-bit integers
    codes, scales, offsets: addresses of the strip's numbers
    x: address of the first row, `depth` floats a row
    out: address of the first row's first output of this strip, `width` floats a row
    block: inputs whose products are summed before they are added to the rest
    """
    sizes = kind.literal_value, rows.literal_value

    def write(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _multiply(builder, *sizes, arguments[2:])
        return context.get_dummy_value()

    rest = codes, scales, offsets, first, x, depth, out, width, block
    return types.void(kind, rows, *rest), write


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def unpack(
    _context: Any, kind: Any, codes: Any, scales: Any, offsets: Any, out: Any, depth: Any
) -> Any:
    """Write the weights of a strip as floats: (depth, STRIP).

    kind: a literal; the others 64-bit integers, addresses but for depth
    """

    def write(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _unpack(builder, kind.literal_value, arguments[1:])
        return context.get_dummy_value()

    return types.void(kind, codes, scales, offsets, out, depth), write


def _multiply(builder: Any, kind: int, rows: int, arguments: Sequence[Value]) -> None:
    codes, scales, offsets, first, x, depth, out, width, block = arguments
    places = [builder.add(first, _long(lane)) for lane in range(0, HALF, LANES)]
    writer = _Writer(builder, kind, codes, scales, offsets)
    sums = [[cgutils.alloca_once(builder, _FLOATS) for _ in places] for _ in range(rows)]
    starts, ends = ([builder.mul(size, _long(row)) for row in range(rows)] for size in (depth, width))
    zero = ir.Constant(_FLOATS, [ir.Constant(_FLOAT, 0.0)] * LANES)
    with cgutils.for_range_slice(builder, _long(0), depth, block) as (begin, _):
        for cell in (cell for row in sums for cell in row):
            builder.store(zero, cell)
        whole = builder.add(begin, block)
        stop = builder.select(builder.icmp_signed("<", whole, depth), whole, depth)
        for pair, made in _pairs(writer, places, begin, stop):
            for more in (0, 1):
                place = builder.add(builder.mul(pair, _long(2)), _long(more))
                for row, start in zip(sums, starts, strict=True):
                    value = writer.splat(x, builder.add(start, place))
                    for cell, weights in zip(row, made, strict=True):
                        total = writer.fma(value, weights[more], builder.load(cell))
                        builder.store(total, cell)
        is_first = builder.icmp_signed("==", begin, _long(0))
        for row, end in zip(sums, ends, strict=True):
            for cell, place in zip(row, places, strict=True):
                index, total = builder.add(end, place), builder.load(cell)
                more = builder.fadd(writer.vector(out, index, _FLOAT), total)
                writer.store(builder.select(is_first, total, more), out, index)


def _unpack(builder: Any, kind: int, arguments: Sequence[Value]) -> None:
    codes, scales, offsets, out, depth = arguments
    places = [_long(lane) for lane in range(0, STRIP, LANES)]
    writer = _Writer(builder, kind, codes, scales, offsets)
    for pair, made in _pairs(writer, places, _long(0), depth):
        for place, weights in zip(places, made, strict=True):
            for more in (0, 1):
                row = builder.add(builder.mul(pair, _long(2)), _long(more))
                writer.store(weights[more], out, writer.at(row, place))


def _pairs(
    writer: _Writer, places: Sequence[Value], begin: Value, stop: Value
) -> Iterator[tuple[Value, list[tuple[Value, Value]]]]:
    """Write loops over the inputs begin..stop-1, two at a time, around what the caller writes."""
    b = writer.builder
    groups = b.sdiv(begin, _long(GROUP)), b.sdiv(stop, _long(GROUP))
    with cgutils.for_range_slice(b, *groups, _long(1)) as (group, _):
        shared = writer.group(group, places)
        half = b.mul(group, _long(GROUP // 2))
        last = b.add(half, _long(GROUP // 2))
        with cgutils.for_range_slice(b, half, last, _long(1)) as (pair, _):
            yield pair, [writer.pair(pair, p, *s) for p, s in zip(places, shared, strict=True)]
