"""The product of rows by a stored weight, half a strip of outputs after the other.

Few rows are multiplied by weights that are made in registers, once for each 8 rows; for more, a
half strip is unpacked once into a scratch that stays in cache. Both give the same bits: a weight is
rounded alike, and every output of every row is a chain of its own.

Knows nothing of how a weight was laid out: addresses in, addresses out.
"""

from functools import cache
from typing import Final

import numba
import numpy as np

from kernels.cpu.compiled import compiled, inlined, on_threads
from kernels.loops.lanes import (
    BFLOAT16,
    BYTES,
    CODE_BYTES,
    FLOAT16,
    FLOAT32,
    GROUP,
    HALF,
    NIBBLES,
    SCALE_BYTES,
    SIGNED,
    STRIP,
    TIGHT,
    multiply,
    unpack,
)
from kernels.loops.vectors import VECTORS

# Their sums, for half a strip, fill half of the registers; weights are made in others.
MOST_AT_ONCE: Final = 8 if VECTORS == 32 else 2
# Rows that are multiplied at once by unpacked weights: by half a strip with AVX-512 (measured: a
# fifth faster than 8; the sums of 16 no longer fit in registers), else by a quarter of it.
TALL: Final = 12 if VECTORS == 32 else 6
# Inputs, of all rows at hand, that are read for each half strip: 1 MB, so that they stay in cache.
IN_CACHE: Final = 2**18


@compiled
def half_strips(
    kind: int, weights: int, x: int, rows: int, depth: int, out: int, width: int, block: int,
    scratch: int, first: int, last: int,
) -> None:  # fmt: skip
    """Compute the outputs of half strips first..last-1, for all rows.

    weights, x, out: addresses of the weight, of (rows, depth) and of (rows, width) float32
    scratch: address of (depth, HALF) floats, of the calling thread
    """
    many, at_once = rows > MOST_AT_ONCE, max(IN_CACHE // depth // TALL * TALL, TALL)
    for begin in range(0, rows, at_once):
        end = min(begin + at_once, rows)
        for half in range(first, last):
            w = weights + _half_bytes(kind, depth, half)
            if many:
                _unpack_half(kind, w, scratch, HALF, depth)
            row = begin
            while row < end:
                a, b, left = x + row * depth * 4, out + (row * width + half * HALF) * 4, end - row
                if many:
                    row += _many_rows(left, scratch, a, depth, b, width, block)
                elif kind == NIBBLES:
                    row += _some_rows(NIBBLES, left, w, a, depth, b, width, block)
                elif kind == SIGNED:
                    row += _some_rows(SIGNED, left, w, a, depth, b, width, block)
                elif kind == BYTES:
                    row += _some_rows(BYTES, left, w, a, depth, b, width, block)
                elif kind == BFLOAT16:
                    row += _some_rows(BFLOAT16, left, w, a, depth, b, width, block)
                elif kind == FLOAT16:
                    row += _some_rows(FLOAT16, left, w, a, depth, b, width, block)
                else:
                    row += _some_rows(FLOAT32, left, w, a, depth, b, width, block)


@compiled
def _many_rows(
    rows: int, weights: int, x: int, depth: int, out: int, width: int, block: int
) -> int:
    """Multiply as many rows by unpacked weights as a loop is written for; return how many."""
    if rows >= TALL and rows != 8:  # of six, two would be left, whose sums wait for each other
        multiply(TIGHT, TALL, weights, x, depth, out, width, block)
        return TALL
    return _some_rows(TIGHT, rows, weights, x, depth, out, width, block)


@inlined
def _some_rows(
    kind: int, rows: int, weights: int, x: int, depth: int, out: int, width: int, block: int
) -> int:
    """Multiply as many rows as a loop is written for, and return how many; kind is a literal."""
    if rows >= 8 and VECTORS == 32:
        multiply(kind, 8, weights, x, depth, out, width, block)
        return 8
    if rows >= 4:
        multiply(kind, 4, weights, x, depth, out, width, block)
        return 4
    if rows >= 2:
        multiply(kind, 2, weights, x, depth, out, width, block)
        return 2
    multiply(kind, 1, weights, x, depth, out, width, block)
    return 1


@inlined
def _half_bytes(kind: int, depth: int, half: int) -> int:
    """Return where a half strip begins."""
    if kind == FLOAT32:
        return half // 2 * depth * STRIP * 4 + half % 2 * HALF * 4
    if kind in (BFLOAT16, FLOAT16):
        return half * depth * HALF * 2
    codes = CODE_BYTES[2] if kind == BYTES else CODE_BYTES[0]
    return half * (depth // GROUP) * (SCALE_BYTES + codes)


@compiled
def _unpack_half(kind: int, weights: int, made: int, line: int, depth: int) -> None:
    """Write one half strip as floats; line: floats from one input's to the next one's."""
    if kind == NIBBLES:
        unpack(NIBBLES, weights, made, line, depth)
    elif kind == SIGNED:
        unpack(SIGNED, weights, made, line, depth)
    elif kind == BYTES:
        unpack(BYTES, weights, made, line, depth)
    elif kind == BFLOAT16:
        unpack(BFLOAT16, weights, made, line, depth)
    elif kind == FLOAT16:
        unpack(FLOAT16, weights, made, line, depth)
    else:
        unpack(FLOAT32, weights, made, line, depth)


@compiled
def unpack_halves(kind: int, weights: int, out: int, depth: int, count: int) -> None:
    """Write all half strips as floats in oneDNN's layout."""
    for half in range(count):
        made = out + _half_bytes(FLOAT32, depth, half)
        _unpack_half(kind, weights + _half_bytes(kind, depth, half), made, STRIP, depth)


@on_threads
def on_all_threads(
    kind: int, weights: int, x: int, rows: int, depth: int, out: int, width: int, block: int,
    scratch: int, threads: int,
) -> None:  # fmt: skip
    """Compute all outputs; scratch: address of (threads, depth, HALF) floats."""
    count = width // HALF
    for thread in numba.prange(threads):
        first, last = count * thread // threads, count * (thread + 1) // threads
        own = scratch + thread * depth * HALF * 4
        half_strips(kind, weights, x, rows, depth, out, width, block, own, first, last)


@cache
def has_openmp() -> bool:
    """Say whether the loop can run on several threads at once, and from several threads.

    numba's own portable threads abort the process when two threads use them at once; OpenMP's do
    not, and wait as torch's do.
    """
    numba.config.THREADING_LAYER = "omp"
    x, weight, out = (np.zeros(size, np.float32) for size in (GROUP, GROUP * STRIP, STRIP))
    try:
        on_all_threads(
            FLOAT32, weight.ctypes.data, x.ctypes.data, 1, GROUP, out.ctypes.data, STRIP, GROUP, 0,
            2,
        )  # fmt: skip
    except ValueError:  # numba: "No threading layer could be loaded", libgomp is not installed
        return False
    return True
