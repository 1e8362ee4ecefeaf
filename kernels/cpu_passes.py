"""The compiled loops of the CPU backend: one pass over memory each, no Python inside.

Each takes a range of its elements or rows, so that threads can share it, and releases the GIL.
All of them live in this one file because numba's cache on disk watches the file of a function
and not what it calls: a stale inlined Philox would be another generator.

Invariants: integers wrap as in C; floats are never contracted or reordered (no fast-math).
Knows nothing of torch: NumPy arrays in, NumPy arrays out.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba import float32, float64, int8, int16, int32, int64, uint32, uint64

from kernels.noise import INCREMENTS, MULTIPLIERS
from kernels.update import MIX_MULTIPLIER

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]

_M0, _M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
_K0, _K1 = np.uint32(INCREMENTS[0]), np.uint32(INCREMENTS[1])
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MIX = np.uint64(MIX_MULTIPLIER)
PAIRS = 32  # pairs that one noise word serves
CHUNK = 1024  # elements at a time: their words and sums stay in the first-level cache
EXACT_INT16 = 128  # pairs whose sum stays below 2¹⁵ at |c| ≤ 255
TOKENS = 32  # activations of a tile are read twice, the second time from cache
LANES = 128  # words side by side in a plane: long enough for vector loops, BLOCK in cache
BLOCK = PAIRS * LANES  # elements of one transposed block of sign planes


def _compiled(function: Function) -> Function:
    """Compile at the first call, keep the machine code on disk, run without the GIL."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def _inlined(function: Function) -> Function:
    """Copy the function into its callers before compiling them, so that their loops vectorise."""
    return cast(Function, numba.njit(inline="always")(function))


@_inlined
def _round(counter: Any, k0: Any, k1: Any) -> Any:
    """Do one round of Philox on a counter in four 64-bit lanes that hold 32 bits each.

    So the product is one vector instruction (vpmuludq); 32-bit lanes would need shuffles.
    """
    c0, c1, c2, c3 = counter
    p0, p1 = _M0 * c0, _M1 * c2
    return (
        (p1 >> _HALF) ^ c1 ^ uint64(k0),
        p1 & _LOW,
        (p0 >> _HALF) ^ c3 ^ uint64(k1),
        p0 & _LOW,
    )


@_inlined
def _philox(c0: Any, group: Any, tensor: Any, side: Any, k0: Any, k1: Any) -> Any:
    """Run ten rounds, written out so that the loop around them can be vectorised."""
    c = (uint64(c0) & _LOW, uint64(group) & _LOW, uint64(tensor) & _LOW, uint64(side) & _LOW)
    c = _round(c, k0, k1)
    c = _round(c, uint32(k0 + _K0), uint32(k1 + _K1))
    c = _round(c, uint32(k0 + 2 * _K0), uint32(k1 + 2 * _K1))
    c = _round(c, uint32(k0 + 3 * _K0), uint32(k1 + 3 * _K1))
    c = _round(c, uint32(k0 + 4 * _K0), uint32(k1 + 4 * _K1))
    c = _round(c, uint32(k0 + 5 * _K0), uint32(k1 + 5 * _K1))
    c = _round(c, uint32(k0 + 6 * _K0), uint32(k1 + 6 * _K1))
    c = _round(c, uint32(k0 + 7 * _K0), uint32(k1 + 7 * _K1))
    c = _round(c, uint32(k0 + 8 * _K0), uint32(k1 + 8 * _K1))
    return _round(c, uint32(k0 + 9 * _K0), uint32(k1 + 9 * _K1))


@_compiled
def fill_words(
    words: Array, key: np.uint64, group: int, tensor: int, side: int, first: int, count: int
) -> int:
    """Write the noise words of elements first.. to words[offset:] and give the offset, 0 to 3.

    words: uint32, at least 4 · ⌈(count + 3) / 4⌉ + 4 of them, as whole counters are computed
    """
    k0, k1 = uint32(key), uint32(uint64(key) >> _HALF)
    quad = first >> 2
    for q in range(((first + count + 3) >> 2) - quad):
        w0, w1, w2, w3 = _philox(quad + q, group, tensor, side, k0, k1)
        words[4 * q] = uint32(w0)
        words[4 * q + 1] = uint32(w1)
        words[4 * q + 2] = uint32(w2)
        words[4 * q + 3] = uint32(w3)
    return first & 3


@_compiled
def fill_signs(
    start: int, stop: int, out: Array, key: np.uint64, tensor: int, side: int, first: int
) -> None:
    """Write the signs of elements first+start.. to out[:, start:stop].

    out: (pairs, count) int8
    """
    words = np.empty(CHUNK + 8, np.uint32)
    pairs = out.shape[0]
    for begin in range(start, stop, CHUNK):
        count = min(CHUNK, stop - begin)
        for group in range((pairs + PAIRS - 1) // PAIRS):
            offset = fill_words(words, key, group, tensor, side, first + begin, count)
            noise = words[offset : offset + count]
            for pair in range(group * PAIRS, min((group + 1) * PAIRS, pairs)):
                part, bit = out[pair, begin : begin + count], uint32(pair % PAIRS)
                for e in range(count):
                    part[e] = int8(1 - 2 * int8((noise[e] >> bit) & uint32(1)))


@_compiled
def fill_normal_words(
    start: int, stop: int, out: Array, key: np.uint64, tensor: int, side: int, first: int
) -> None:
    """Write the words of pairs start..stop-1 at elements first.. to out; one counter a pair.

    out: (pairs, a multiple of 4) uint32; first: a multiple of 4
    """
    for pair in range(start, stop):
        fill_words(out[pair], key, pair, tensor, side, first, out.shape[1])


@_compiled
def write_member(
    out: Array, base: Array, key: np.uint64, tensor: int, first: int, pair: int, scale: float
) -> None:
    """Write base ± scale, with the signs of side FULL at elements first...

    out, base: flat float32; scale: 2^s, or −2^s for the pair's − member
    """
    words = np.empty(CHUNK + 8, np.uint32)
    bit, plus, minus = uint32(pair % PAIRS), float32(scale), float32(-scale)
    for begin in range(0, out.size, CHUNK):
        count = min(CHUNK, out.size - begin)
        offset = fill_words(words, key, pair // PAIRS, tensor, 2, first + begin, count)
        noise = words[offset : offset + count]
        target, source = out[begin : begin + count], base[begin : begin + count]
        for e in range(count):
            odd = (noise[e] >> bit) & uint32(1)
            target[e] = source[e] + (minus if odd else plus)


@_compiled
def fill_planes(
    start: int, stop: int, planes: Array, key: np.uint64, group: int, tensor: int
) -> None:
    """Write the signs of blocks start..stop-1 as one bit plane a pair.

    A member then reads one bit an element, not a word. Bit i of planes[pair, block, lane] is
    element block · BLOCK + i · LANES + lane: neighbours need one vector load and one shift.
    Transposing 32 × 32 bits by halves: Warren, Hacker's Delight, sec. 7-3.

    planes: (32, blocks, LANES) uint32
    """
    words = np.empty(BLOCK + 8, np.uint32)
    for block in range(start, stop):
        fill_words(words, key, group, tensor, 2, block * BLOCK, BLOCK)
        half, mask = uint32(16), uint32(0x0000FFFF)
        while half:
            for row in range(PAIRS):
                if row & half == 0:
                    upper = words[row * LANES : (row + 1) * LANES]
                    lower = words[(row + half) * LANES : (row + half + 1) * LANES]
                    for lane in range(LANES):
                        swap = ((upper[lane] >> half) ^ lower[lane]) & mask
                        upper[lane] ^= uint32(swap << half)
                        lower[lane] ^= uint32(swap)
            half = uint32(half >> uint32(1))
            mask = uint32(mask ^ uint32(mask << half))
        for pair in range(PAIRS):
            planes[pair, block] = words[pair * LANES : (pair + 1) * LANES]


@_compiled
def write_member_from_plane(out: Array, base: Array, plane: Array, scale: float) -> None:
    """Write base ± scale, with signs from a bit plane.

    out, base: flat float32 of whole blocks; plane: (blocks, LANES) uint32
    """
    plus, minus = float32(scale), float32(-scale)
    for block in range(plane.shape[0]):
        lanes = plane[block]
        for i in range(PAIRS):
            start = block * BLOCK + i * LANES
            target, source = out[start : start + LANES], base[start : start + LANES]
            for lane in range(LANES):
                odd = (lanes[lane] >> uint32(i)) & uint32(1)
                target[lane] = source[lane] + (minus if odd else plus)


@_compiled
def add_rank1(master: Array, weighted: Array, columns: Array, step: int) -> bool:
    """Add step · Σ_p weighted[:, p] · columns[p]ᵀ to some rows, wrapping; say whether one wrapped.

    Sums of EXACT_INT16 pairs fit 16 bits, so a vector instruction does twice the elements of a
    float32 product. Eight pairs at a time: a sum is loaded and stored once for eight products.

    master: (rows, in) int32; weighted: (rows, pairs) int16, c_p · a_p; columns: (pairs, in)
        int16; pairs a multiple of 8
    """
    height, width = master.shape
    pairs, wrapped = columns.shape[0], 0
    narrow, wide = np.empty(CHUNK, np.int16), np.empty(CHUNK, np.int32)
    for start in range(0, width, CHUNK):
        stop = min(start + CHUNK, width)
        short, sums = narrow[: stop - start], wide[: stop - start]
        for row in range(height):
            sums[:] = 0
            for begin in range(0, pairs, EXACT_INT16):
                short[:] = 0
                for p in range(begin, min(begin + EXACT_INT16, pairs), 8):
                    _add_eight(short, weighted[row, p : p + 8], columns, p, start, stop)
                for e in range(short.size):
                    sums[e] += int32(short[e])
            target = master[row, start:stop]
            for e in range(target.size):
                moved = int64(target[e]) + int64(step) * int64(sums[e])
                target[e] = int32(moved)
                wrapped |= moved ^ int64(int32(moved))
    return wrapped != 0


@_compiled
def _add_eight(sums: Array, c: Array, signs: Array, p: int, start: int, stop: int) -> None:
    """Add eight products of a coefficient and a piece of a row of signs."""
    c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
    s0, s1 = signs[p, start:stop], signs[p + 1, start:stop]
    s2, s3 = signs[p + 2, start:stop], signs[p + 3, start:stop]
    s4, s5 = signs[p + 4, start:stop], signs[p + 5, start:stop]
    s6, s7 = signs[p + 6, start:stop], signs[p + 7, start:stop]
    for e in range(sums.size):
        left = int16(c0 * s0[e] + c1 * s1[e] + c2 * s2[e] + c3 * s3[e])
        right = int16(c4 * s4[e] + c5 * s5[e] + c6 * s6[e] + c7 * s7[e])
        sums[e] = int16(sums[e] + left + right)


@_compiled
def add_full(
    master: Array, key: np.uint64, tensor: int, first_row: int, tables: Array, step: int,
    rows: Array, columns: Array,
) -> bool:  # fmt: skip
    """Add step · Σ c_p E_p to the rows first_row.. of a tensor, wrapping; say whether one wrapped.

    master: (these rows, in) int32; tables: `byte_tables(coefficients)`; rows: (these rows,) and
        columns: (in,) int8, 0 where frozen
    """
    words, sums = np.empty(CHUNK + 8, np.uint32), np.empty(CHUNK, np.int32)
    width, wrapped = master.shape[1], 0
    for row in range(master.shape[0]):
        if rows[row] == 0:
            continue
        for begin in range(0, width, CHUNK):
            count = min(CHUNK, width - begin)
            target, moves = master[row, begin : begin + count], columns[begin : begin + count]
            total = sums[:count]
            total[:] = 0
            for group in range(tables.shape[0]):
                first = (first_row + row) * width + begin
                offset = fill_words(words, key, group, tensor, 2, first, count)
                _look_up(total, words[offset : offset + count], tables[group])
            for e in range(count):
                moved = int64(target[e]) + int64(step) * int64(moves[e] * total[e])
                target[e] = int32(moved)
                wrapped |= moved ^ int64(int32(moved))
    return wrapped != 0


@_compiled
def _look_up(sums: Array, words: Array, tables: Array) -> None:
    """Add Σ c_p · sign_p of 32 pairs: four look-ups a word instead of 32 selections."""
    t0, t1, t2, t3 = tables[0], tables[1], tables[2], tables[3]
    byte = uint32(255)
    for e in range(sums.size):
        word = words[e]
        low = t0[word & byte] + t1[(word >> uint32(8)) & byte]
        high = t2[(word >> uint32(16)) & byte] + t3[word >> uint32(24)]
        sums[e] += low + high


def byte_tables(coefficients: Sequence[int]) -> npt.NDArray[np.int32]:
    """Give, for each byte of a noise word and each of its values, the sum of its eight pairs.

    coefficients: one a pair; missing ones up to a multiple of 32 count as 0
    returns: (groups, 4, 256) int32

    >>> byte_tables([3, 5])[0, 0, :4].tolist()
    [8, 2, -2, -8]
    """
    groups = -(-len(coefficients) // PAIRS)
    padded = np.zeros(groups * PAIRS, np.int64)
    padded[: len(coefficients)] = coefficients
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    return (padded.reshape(groups, 4, 8) @ (1 - 2 * bits).T).astype(np.int32)


@_compiled
def round_weights(out: Array, base: Array, master: Array, unit: float) -> bool:
    """Write float32(float64(base) + unit · K), the base's bits where K = 0; say if all is finite.

    out, base: flat float32; master: flat int32; unit: 2^exponent
    """
    not_finite = 0
    for e in range(out.size):
        k = master[e]
        moved = float32(float64(base[e]) + float64(unit) * float64(k))
        weight = base[e] if k == 0 else moved
        out[e] = weight
        not_finite += weight - weight != float32(0.0)  # inf − inf and NaN − NaN are NaN
    return not_finite == 0


@_compiled
def mix_sum(master: Array, first: int) -> Any:
    """Sum mix(index · 2³² + K) over elements first.. where K ≠ 0, modulo 2⁶⁴ (update.digest).

    master: flat int32
    """
    total = uint64(0)
    for e in range(master.size):
        word = (uint64(first + e) << _HALF) | uint64(uint32(master[e]))
        word = (word ^ (word >> _HALF)) * _MIX
        word = (word ^ (word >> _HALF)) * _MIX
        total += word ^ (word >> _HALF) if master[e] else uint64(0)
    return total


@_compiled
def unit_moments(start: int, stop: int, x: Array, mean: Array, squares: Array) -> None:
    """Add up the moments of units start..stop-1 over all tokens, a tile of tokens at a time.

    (Chan, Golub & LeVeque 1979, eq. 2.1.)

    x: (tokens, units) float32; mean, squares: (units,) float64, zeros on entry
    """
    width = stop - start
    tile_mean, tile_squares = np.empty(width), np.empty(width)
    means, sums = mean[start:stop], squares[start:stop]
    for begin in range(0, x.shape[0], TOKENS):
        end = min(begin + TOKENS, x.shape[0])
        tile_mean[:] = 0.0
        tile_squares[:] = 0.0
        for token in range(begin, end):
            row = x[token, start:stop]
            for unit in range(width):
                tile_mean[unit] += row[unit] / (end - begin)
        for token in range(begin, end):
            row = x[token, start:stop]
            for unit in range(width):
                tile_squares[unit] += (row[unit] - tile_mean[unit]) ** 2
        for unit in range(width):
            delta = tile_mean[unit] - means[unit]
            sums[unit] += tile_squares[unit] + delta * delta * begin * (end - begin) / end
            means[unit] += delta * (end - begin) / end
