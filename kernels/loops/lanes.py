"""The inner loop of products by stored weights, written as vectors of 16 outputs for LLVM.

32 outputs are computed at once, half a strip. For each input in order, their weights are made in
registers from what is stored (a scale times a number of 4 or 8 bits, and an offset; or 16-bit
floats), each is multiplied by the input of every row at hand, and added by one rounding. Every
output of every row is a chain of its own, so nothing depends on how many rows there are, and the
sums are those of oneDNN's float32 product.

Stored, for each half strip in order, as one stream that is read once from end to end:
- NIBBLES, SIGNED, BYTES: for each GROUP of inputs the scales and offsets, (2, 32) float32, then the
  numbers: (GROUP / 2, 32) uint8, inputs 2i in the low half and 2i + 1 in the high one, or
  (GROUP, 32) int8. A weight is scale · number + offset, rounded once;
- BFLOAT16, FLOAT16: (in, 32) uint16, the bits of such floats.
FLOAT32 is oneDNN's own layout: for each strip of 64 outputs, (in, 64) float32. TIGHT is a scratch:
half a strip that was unpacked for many rows, (in, 32) float32, in cache.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from kernels.loops.vectors import (
    FLOATS,
    I8,
    I16,
    INTS,
    LANES,
    MOST_SUMS,
    ZEROS,
    Value,
    Writer,
    ints,
    long,
)

STRIP: Final = 64  # outputs, as in oneDNN's layout for 512-bit vectors (AB16b64a)
GROUP: Final = 32  # inputs that share a scale: the blocks of GGUF, or its sub-blocks
HALF: Final = STRIP // 2  # outputs that are computed at once
# How far ahead weights are asked for from memory: a page, where the processor itself stops looking.
AHEAD_BYTES: Final = 4096
LINE_BYTES: Final = 64
SCALE_BYTES: Final = 2 * HALF * 4  # scales and offsets of a group
# Of each kind: bytes of the numbers of a group, for half a strip, and of a whole group with scales
CODE_BYTES: Final = (GROUP * HALF // 2, GROUP * HALF // 2, GROUP * HALF)
NIBBLES, SIGNED, BYTES, BFLOAT16, FLOAT16, FLOAT32, TIGHT = range(7)


# Of floats: bytes of half a strip's weights from one input to the next.
_STRIDES: Final = {BFLOAT16: HALF * 2, FLOAT16: HALF * 2, FLOAT32: STRIP * 4, TIGHT: HALF * 4}


class _Writer(Writer):
    """Writes instructions for outputs of half a strip: where weights lie, and what they become.

    lanes: where each vector of these outputs begins
    """

    def __init__(self, builder: Any, kind: int, weights: Value, lanes: range) -> None:
        super().__init__(builder)
        self._kind, self._weights, self._lanes = kind, weights, lanes
        # what half a strip takes for one input, or for GROUP of them
        self._stride = _STRIDES.get(kind, 0)
        self._group_bytes = GROUP * self._stride or SCALE_BYTES + CODE_BYTES[kind]

    def group(self, number: Value) -> tuple[Value, list[tuple[Value, Value]]]:
        """Return where the numbers of a group begin, and load its scales and offsets."""
        begin = self.place(self._weights, number, self._group_bytes)
        lines = range(0, self._group_bytes, LINE_BYTES) if self._kind != TIGHT else ()
        for line in lines:
            self.ask(self.builder.add(begin, long(AHEAD_BYTES + line)))
        if self._stride:
            return begin, [(None, None)] * len(self._lanes)
        both = [
            [self.load(self.builder.add(begin, long(first + 4 * lane))) for first in (0, HALF * 4)]
            for lane in self._lanes
        ]
        return self.builder.add(begin, long(SCALE_BYTES)), [(one, other) for one, other in both]

    def pair(
        self, begin: Value, pair: Value, shared: Sequence[tuple[Value, Value]]
    ) -> list[tuple[Value, Value]]:
        """Make the weights of inputs 2 · pair and 2 · pair + 1 of a group."""
        return [
            self._made(begin, pair, lane, *scales)
            for lane, scales in zip(self._lanes, shared, strict=True)
        ]

    def _made(
        self, begin: Value, pair: Value, lane: int, scale: Value, offset: Value
    ) -> tuple[Value, Value]:
        b = self.builder
        if self._stride:
            size = self._stride // (STRIP if self._kind == FLOAT32 else HALF)
            places = [
                self.place(begin, pair, 2 * self._stride, more * self._stride + lane * size)
                for more in (0, 1)
            ]
            return self._float(places[0]), self._float(places[1])
        if self._kind == BYTES:
            places = [self.place(begin, pair, 2 * HALF, more * HALF + lane) for more in (0, 1)]
            numbers = [b.sext(self.load(place, I8), INTS) for place in places]
        else:
            both = b.zext(self.load(self.place(begin, pair, HALF, lane), I8), INTS)
            numbers = [b.and_(both, ints(15)), b.lshr(both, ints(4))]
            if self._kind == SIGNED:  # the sign is moved to the sign of 32 bits, and back
                up = [b.shl(both, ints(28)), b.shl(both, ints(24))]
                numbers = [b.ashr(number, ints(28)) for number in up]
        low, high = (self.fma(b.sitofp(each, FLOATS), scale, offset) for each in numbers)
        return low, high

    def _float(self, place: Value) -> Value:
        b = self.builder
        if self._kind in (FLOAT32, TIGHT):
            return self.load(place)
        bits = self.load(place, I16)
        if self._kind == BFLOAT16:
            return b.bitcast(b.shl(b.zext(bits, INTS), ints(16)), FLOATS)
        return b.fpext(b.bitcast(bits, ir.VectorType(ir.HalfType(), LANES)), FLOATS)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def multiply(  # numba takes no *rest here
    _context: Any, kind: Any, rows: Any, weights: Any, x: Any, depth: Any, out: Any, width: Any,
    block: Any,
) -> Any:  # fmt: skip
    """Write HALF outputs of some rows, as many at once as their sums stay in registers.

    kind, rows: literals; the others 64-bit integers
    weights: address of the half strip
    x: address of the first row, `depth` floats a row
    out: address of the first row's first output, `width` floats a row
    block: inputs whose products are summed before they are added to the rest
    """
    sizes = kind.literal_value, rows.literal_value

    def write(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        at_once = max(MOST_SUMS // sizes[1], 1) * LANES
        for first in range(0, HALF, at_once):
            lanes = range(first, min(first + at_once, HALF), LANES)
            _multiply(builder, *sizes, lanes, arguments[2:])
        return context.get_dummy_value()

    return types.void(kind, rows, weights, x, depth, out, width, block), write


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def unpack(_context: Any, kind: Any, weights: Any, out: Any, line: Any, depth: Any) -> Any:
    """Write the weights of half a strip as floats.

    kind: a literal; the others 64-bit integers; line: floats from one input's to the next one's
    """

    def write(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _unpack(builder, kind.literal_value, arguments[1:])
        return context.get_dummy_value()

    return types.void(kind, weights, out, line, depth), write


def _multiply(builder: Any, kind: int, rows: int, lanes: range, arguments: Sequence[Value]) -> None:
    weights, x, depth, out, width, block = arguments
    writer = _Writer(builder, kind, weights, lanes)
    sums = [[cgutils.alloca_once(builder, FLOATS) for _ in lanes] for _ in range(rows)]
    starts = [writer.place(x, builder.mul(depth, long(row)), 4) for row in range(rows)]
    ends = [writer.place(out, builder.mul(width, long(row)), 4) for row in range(rows)]
    with cgutils.for_range_slice(builder, long(0), depth, block) as (begin, _):
        for cell in (cell for row in sums for cell in row):
            builder.store(ZEROS, cell)
        whole = builder.add(begin, block)
        stop = builder.select(builder.icmp_signed("<", whole, depth), whole, depth)
        for first, made in _pairs(writer, begin, stop):
            for more in (0, 1):
                for row, start in zip(sums, starts, strict=True):
                    value = writer.splat(writer.place(start, first, 4, 4 * more))
                    for cell, pair in zip(row, made, strict=True):
                        builder.store(writer.fma(value, pair[more], builder.load(cell)), cell)
        is_first = builder.icmp_signed("==", begin, long(0))
        for row, end in zip(sums, ends, strict=True):
            for cell, lane in zip(row, lanes, strict=True):
                place, total = builder.add(end, long(4 * lane)), builder.load(cell)
                added = builder.fadd(writer.load(place), total)
                writer.store(builder.select(is_first, total, added), place)


def _unpack(builder: Any, kind: int, arguments: Sequence[Value]) -> None:
    weights, out, line, depth = arguments
    lanes = range(0, HALF, LANES)
    writer = _Writer(builder, kind, weights, lanes)
    for first, made in _pairs(writer, long(0), depth):
        for lane, pair in zip(lanes, made, strict=True):
            for more in (0, 1):
                start = builder.mul(builder.add(first, long(more)), line)
                place = writer.place(out, start, 4, 4 * lane)
                writer.store(pair[more], place)


def _pairs(
    writer: _Writer, begin: Value, stop: Value
) -> Iterator[tuple[Value, list[tuple[Value, Value]]]]:
    """Write loops over the inputs begin..stop-1, two at a time, around what the caller writes."""
    b = writer.builder
    groups = b.sdiv(begin, long(GROUP)), b.sdiv(stop, long(GROUP))
    with cgutils.for_range_slice(b, *groups, long(1)) as (group, _):
        numbers, shared = writer.group(group)
        with cgutils.for_range_slice(b, long(0), long(GROUP // 2), long(1)) as (pair, _):
            first = b.add(b.mul(group, long(GROUP)), b.mul(pair, long(2)))
            yield first, writer.pair(numbers, pair, shared)
