"""The inner loops of attention over one page of a past, written as vectors for LLVM.

Some queries that share keys and values are taken at once, so that each key and value is loaded
once for all of them. Every score and every output is a chain of its own: what comes out depends
neither on how many heads are taken at once, nor on where a page ends.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from kernels.loops.vectors import FLOATS, LANES, MOST_SUMS, ZEROS, Value, Writer, long

HEADS_AT_ONCE: Final = 3
_PLACES: Final = MOST_SUMS // HEADS_AT_ONCE  # whose lanes are added up together: 8, or 2
# Vectors of a value that are summed at once: a head of 64 with AVX-512, else half of it.
_CHUNKS: Final = min(MOST_SUMS // HEADS_AT_ONCE, 4)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def score(
    _context: Any, heads: Any, q: Any, keys: Any, ahead: Any, places: Any, width: Any, scale: Any,
    out: Any, stride: Any,
) -> Any:  # fmt: skip
    """Write scale · (query · key) for some heads and all places of a page.

    heads: a literal; q: address of the first head, `width` floats a head; keys: address of the
        first place, `width` floats a place; width: a number of whole vectors
    ahead: address of the page that is read next, which is asked for meanwhile
    out: address of the first head's first score, `stride` floats a head
    """
    count = heads.literal_value

    def write(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _score(Writer(builder), count, arguments[1:])
        return context.get_dummy_value()

    return types.void(heads, q, keys, ahead, places, width, scale, out, stride), write


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def weigh(
    _context: Any, heads: Any, shares: Any, stride: Any, values: Any, ahead: Any, places: Any,
    width: Any, out: Any,
) -> Any:  # fmt: skip
    """Add share · value of all places of a page to the outputs of some heads.

    heads: a literal; shares: address of the first head's first one, `stride` floats a head
    values: address of the first place, `width` floats a place; out: likewise, a head
    ahead: address of the page that is read next, which is asked for meanwhile
    """
    count = heads.literal_value

    def write(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _weigh(Writer(builder), count, arguments[1:])
        return context.get_dummy_value()

    return types.void(heads, shares, stride, values, ahead, places, width, out), write


@intrinsic  # type: ignore[untyped-decorator]
def float_of(_context: Any, _bits: Any) -> Any:
    """The float32 that an int32 is the bits of."""

    def write(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), write


def _score(writer: Writer, heads: int, arguments: Sequence[Value]) -> None:
    q, keys, ahead, places, width, scale, out, stride = arguments
    b = writer.builder
    whole = b.mul(b.sdiv(places, long(_PLACES)), long(_PLACES))
    rest = (q, keys, ahead, width, scale, out, stride)
    with cgutils.for_range_slice(b, long(0), whole, long(_PLACES)) as (place, _):
        _score_some(writer, (heads, _PLACES), place, rest)
    with cgutils.for_range_slice(b, whole, places, long(1)) as (place, _):
        _score_some(writer, (heads, 1), place, rest)


def _score_some(
    writer: Writer, sizes: tuple[int, int], place: Value, arguments: Sequence[Value]
) -> None:
    """Score some heads at some places, which begin at `place`."""
    q, keys, ahead, width, scale, out, stride = arguments
    (heads, places), b = sizes, writer.builder
    sums = [[cgutils.alloca_once(b, FLOATS) for _ in range(places)] for _ in range(heads)]
    for cell in chain(*sums):
        b.store(ZEROS, cell)
    begins = [b.mul(b.add(place, long(n)), width) for n in range(places)]
    queries = [writer.place(q, b.mul(width, long(head)), 4) for head in range(heads)]
    with cgutils.for_range_slice(b, long(0), width, long(LANES)) as (lane, _):
        asked = [writer.load(writer.place(query, lane, 4)) for query in queries]
        for n, begin in enumerate(begins):
            at = b.add(begin, lane)
            writer.ask(writer.place(ahead, at, 4))
            key = writer.load(writer.place(keys, at, 4))
            for query, head in zip(asked, sums, strict=True):
                b.store(writer.fma(query, key, b.load(head[n])), head[n])
    for number, head in enumerate(sums):
        to = writer.place(writer.place(out, b.mul(stride, long(number)), 4), place, 4)
        added = _added(writer, [b.load(cell) for cell in head])
        writer.store(b.fmul(added, writer.spread(scale, places)), to)


def _added(writer: Writer, vectors: list[Value]) -> Value:
    """Add up the lanes of each of some vectors, a power of two: first far ones, then near ones.

    Two vectors become one as long as there are two, so that no lane is idle.
    """
    size = width = LANES // 2
    halves = [_pairwise(writer, each, each, _halves(LANES, size, 1), size) for each in vectors]
    while size > 1:
        size //= 2
        if len(halves) == 1:
            halves = [_pairwise(writer, halves[0], halves[0], _halves(width, size, 1), size)]
            width //= 2
        else:
            pairs = zip(halves[: len(halves) // 2], halves[len(halves) // 2 :], strict=True)
            halves = [_pairwise(writer, a, b, _halves(width, size, 2), size) for a, b in pairs]
    return halves[0]


def _halves(width: int, size: int, vectors: int) -> Callable[[int], list[int]]:
    """Of one or two vectors of `width` lanes in runs of 2 · size: half of each run, by turns."""

    def lanes(at: int) -> list[int]:
        runs = range(0, width, 2 * size)
        each = ((run, which) for run in runs for which in range(0, vectors * width, width))
        return [which + run + at + lane for run, which in each for lane in range(size)]

    return lanes


def _pairwise(
    writer: Writer, a: Value, b: Value, lanes: Callable[[int], list[int]], far: int
) -> Value:
    near, other = writer.shuffled(a, b, lanes(0)), writer.shuffled(a, b, lanes(far))
    return writer.builder.fadd(near, other)


def _weigh(writer: Writer, heads: int, arguments: Sequence[Value]) -> None:
    shares, stride, values, ahead, places, width, out = arguments
    b = writer.builder
    step = _CHUNKS * LANES
    whole = b.mul(b.sdiv(width, long(step)), long(step))
    rest = (shares, stride, values, ahead, places, width, out)
    with cgutils.for_range_slice(b, long(0), whole, long(step)) as (lane, _):
        _weigh_some(writer, (heads, _CHUNKS), lane, rest)
    with cgutils.for_range_slice(b, whole, width, long(LANES)) as (lane, _):
        _weigh_some(writer, (heads, 1), lane, rest)


def _weigh_some(
    writer: Writer, sizes: tuple[int, int], lane: Value, arguments: Sequence[Value]
) -> None:
    """Sum some vectors of the values, which begin at `lane`, for some heads."""
    shares, stride, values, ahead, places, width, out = arguments
    (heads, chunks), b = sizes, writer.builder
    sums = [[cgutils.alloca_once(b, FLOATS) for _ in range(chunks)] for _ in range(heads)]
    ends = [
        [writer.place(writer.place(out, b.mul(width, long(n)), 4), lane, 4, 4 * LANES * chunk)
         for chunk in range(chunks)]
        for n in range(heads)
    ]  # fmt: skip
    for cell, end in zip(chain(*sums), chain(*ends), strict=True):
        b.store(writer.load(end), cell)
    lines = [writer.place(shares, b.mul(stride, long(n)), 4) for n in range(heads)]
    with cgutils.for_range_slice(b, long(0), places, long(1)) as (place, _):
        first = b.add(b.mul(place, width), lane)
        for chunk in range(chunks):
            writer.ask(writer.place(ahead, first, 4, 4 * LANES * chunk))
        parts = [writer.load(writer.place(values, first, 4, 4 * LANES * n)) for n in range(chunks)]
        for line, head in zip(lines, sums, strict=True):
            share = writer.splat(writer.place(line, place, 4))
            for part, cell in zip(parts, head, strict=True):
                b.store(writer.fma(share, part, b.load(cell)), cell)
    for cell, end in zip(chain(*sums), chain(*ends), strict=True):
        writer.store(b.load(cell), end)
