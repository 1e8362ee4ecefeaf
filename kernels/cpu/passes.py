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

from kernels.reference.noise import INCREMENTS, MULTIPLIERS
from kernels.reference.update import MIX_MULTIPLIER

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]

_M0, _M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
_K0, _K1 = np.uint32(INCREMENTS[0]), np.uint32(INCREMENTS[1])
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MIX = np.uint64(MIX_MULTIPLIER)
_SPREAD = np.uint64(2**32 + 1)
INFINITY = np.int32(0x7F800000)  # its bits; those of NaN are above
PAIRS = 32  # pairs that one noise word serves
CHUNK = 1024  # elements at a time: their words and sums stay in the first-level cache
EXACT_INT16 = 128  # pairs whose sum stays below 2¹⁵ at |c| ≤ 255
EXACT_GROUPS = EXACT_INT16 // PAIRS
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
def rank1_tables(words: Array, coefficients: Array, moves: Array) -> Array:
    """Give what four pairs add to each column, for each of the 16 ways a row's signs can fall.

    A row's sum over 32 pairs is then eight look-ups of whole rows, not 32 products: the method of
    four Russians (Arlazarov et al. 1970).

    words: (groups, in) uint32, the columns' noise; coefficients: (32 · groups,) int16, 0 where
        there is no pair; moves: (in,) int8, 0 where frozen
    returns: (8 · groups, 16, in) int16
    """
    groups, width = words.shape
    tables, part = np.empty((groups * 8, 16, width), np.int16), np.empty(width, np.int16)
    for four in range(groups * 8):
        noise, table = words[four // 8], tables[four]
        table[0, :] = 0
        for i in range(4):
            c, bit = coefficients[4 * four + i], uint32(4 * (four % 8) + i)
            for e in range(width):
                sign = int16(1) - int16(2) * int16((noise[e] >> bit) & uint32(1))
                part[e] = int16(int16(sign * c) * moves[e])
            half = 1 << i
            for signs in range(half):
                plus, minus = table[signs], table[signs + half]
                for e in range(width):
                    minus[e] = int16(plus[e] - part[e])
                for e in range(width):
                    plus[e] = int16(plus[e] + part[e])
    return tables


@_compiled
def move_rank1(
    master: Array, base: Array, out: Array, weigh: bool, first_row: int, words: Array,
    moves: Array, tables: Array, step: int, narrow: bool, unit: float,
) -> tuple[bool, bool, int]:  # fmt: skip
    """Add step · Σ c_p a_p b_pᵀ to some rows, wrapping; round them and sum their digest if asked.

    master: (these rows, in) int32; base, out: likewise float32, read and written if `weigh`;
        words: (groups, out) uint32, the rows' noise, and moves: (out,) int8, of the whole tensor;
        tables: `rank1_tables`; narrow: no |step · sum| leaves int32; unit: 2^exponent
    returns: whether an integer wrapped, whether all weights are finite, their part of the digest
    """
    height, width = master.shape
    sums, short = np.empty(CHUNK, np.int32), np.empty(CHUNK, np.int16)
    wrapped, finite, total = False, True, uint64(0)
    few = words.shape[0] <= EXACT_GROUPS
    for row in range(height):
        for start in range(0, width, CHUNK):
            stop = min(start + CHUNK, width)
            k, part, added = master[row, start:stop], short[: stop - start], sums[: stop - start]
            if moves[first_row + row]:
                _rank1_sums(added, part, words[:, first_row + row], tables, start, stop)
            else:
                part[:] = 0
                added[:] = 0
            if not weigh:
                wrapped |= _add(k, part, step, narrow) if few else _add(k, added, step, narrow)
                continue
            b, w, place = base[row, start:stop], out[row, start:stop], (first_row + row) * width
            if few:
                found = _add_and_weigh(k, part, b, w, step, narrow, unit, place + start)
            else:
                found = _add_and_weigh(k, added, b, w, step, narrow, unit, place + start)
            wrapped, finite, total = wrapped | found[0], finite & found[1], total + found[2]
    return wrapped, finite, total


@_compiled
def _rank1_sums(
    sums: Array, short: Array, words: Array, tables: Array, start: int, stop: int
) -> None:
    """Sum a row's pairs over columns start..stop-1.

    Sums of EXACT_INT16 pairs fit 16 bits, so a vector instruction does twice the elements.

    short: (count,) int16, left with the sums where the pairs are as few as that; sums: (count,)
        int32, left with them otherwise
    words: (groups,) uint32, the row's noise
    """
    count = stop - start
    for group in range(words.size):
        w, t = words[group], tables[8 * group : 8 * group + 8]
        t0, t1 = t[0, w & 15, start:stop], t[1, (w >> uint32(4)) & 15, start:stop]
        t2, t3 = t[2, (w >> uint32(8)) & 15, start:stop], t[3, (w >> uint32(12)) & 15, start:stop]
        t4, t5 = t[4, (w >> uint32(16)) & 15, start:stop], t[5, (w >> uint32(20)) & 15, start:stop]
        t6, t7 = t[6, (w >> uint32(24)) & 15, start:stop], t[7, w >> uint32(28), start:stop]
        if group % EXACT_GROUPS == 0:
            short[:count] = 0
        for e in range(count):
            left, right = t0[e] + t1[e] + t2[e] + t3[e], t4[e] + t5[e] + t6[e] + t7[e]
            short[e] = int16(short[e] + left + right)
        if words.size <= EXACT_GROUPS:
            continue
        if group == EXACT_GROUPS - 1:
            for e in range(count):
                sums[e] = int32(short[e])
        elif group % EXACT_GROUPS == EXACT_GROUPS - 1 or group == words.size - 1:
            for e in range(count):
                sums[e] += int32(short[e])


@_compiled
def _add(master: Array, sums: Array, step: int, narrow: bool) -> bool:
    """Add step · sums, wrapping; say whether one wrapped.

    narrow: no product leaves int32, so that 32-bit lanes do; a sum has wrapped when its sign is
        neither summand's
    """
    if narrow:
        signs, factor = int32(0), int32(step)
        for e in range(sums.size):
            old, change = master[e], int32(factor * sums[e])
            new = int32(old + change)
            master[e] = new
            signs = int32(signs | int32(int32(old ^ new) & int32(change ^ new)))
        return bool(signs < 0)
    wrapped = int64(0)
    for e in range(sums.size):
        moved = int64(master[e]) + int64(step) * int64(sums[e])
        master[e] = int32(moved)
        wrapped |= moved ^ int64(int32(moved))
    return bool(wrapped != 0)


@_compiled
def _add_and_weigh(
    master: Array, sums: Array, base: Array, out: Array, step: int, narrow: bool, unit: float,
    first: int,
) -> tuple[bool, bool, int]:  # fmt: skip
    """Do `_add`, `round_weights` and `mix_sum` in one loop, which waits for memory once.

    Three loops over the same kilobytes take a third longer: none of them has loads enough in
    flight to keep the memory busy. What is rare, wide products and large integers, has loops of
    its own before and after.
    """
    wrapped = False
    if not narrow:
        wrapped, step = _add(master, sums, step, narrow), 0
    signs, reach, factor, total = int32(0), int32(0), int32(step), uint64(0)
    single, place, top = float32(unit), uint64(first) * _SPREAD, int32(0)
    for e in range(master.size):
        old, change = master[e], int32(factor * sums[e])
        k = int32(old + change)
        master[e] = k
        signs = int32(signs | int32(int32(old ^ k) & int32(change ^ k)))
        reach = int32(reach | int32(k ^ int32(k >> 31)))
        weight = _moved(base[e], single, k)
        out[e] = weight
        top = max(top, int32(np.float32(weight).view(np.int32) & int32(0x7FFFFFFF)))
        total += _mixed(place, k)
        place += _SPREAD
    if not _is_single(unit, reach):
        _round_wide(out, base, master, unit)
        return wrapped | (signs < 0), _finite(out), total
    return wrapped | (signs < 0), top < INFINITY, total


@_inlined
def _moved(base: Any, single: Any, k: Any) -> Any:
    """Give float32(float64(base) + unit · K) in single precision, and base's own bits where K = 0.

    unit · K is exact for |K| < 2²⁴, and a sum of two float32 rounded first to float64 and then to
    float32 is the sum rounded once, as 53 ≥ 2 · 24 + 2 (Figueroa 1995, "When is double rounding
    innocuous?"). Minus −K, so that K = 0 leaves −0 what it is.
    """
    return float32(base - float32(single * float32(int32(-k))))


@_inlined
def _is_single(unit: Any, reach: Any) -> Any:
    """Say whether `_moved` is exact: no more than 24 bits, and no under- or overflow.

    reach: the bits that any K or −K − 1 has
    """
    return (reach < 2**24 - 1) & (unit >= 2.0**-126) & (unit <= 2.0**100)


@_compiled
def _round_wide(out: Array, base: Array, master: Array, unit: float) -> None:
    """Round by way of float64, which holds base + unit · K of any int32 before its one rounding."""
    for e in range(out.size):
        k = master[e]
        moved = float32(float64(base[e]) + float64(unit) * float64(k))
        out[e] = base[e] if k == 0 else moved


@_inlined
def _mixed(place: Any, k: Any) -> Any:
    """Give mix(index · 2³² + K), 0 where K = 0 (update.mix).

    place: index · _SPREAD, which with K is the word after its first shift
    """
    word = (place ^ uint64(uint32(k))) * _MIX
    word = (word ^ (word >> _HALF)) * _MIX
    return word ^ (word >> _HALF) if k else uint64(0)


@_compiled
def _finite(weights: Array) -> bool:
    """Say whether every float32 is finite."""
    largest, bits = int32(0), weights.view(np.int32)
    for e in range(weights.size):
        largest = max(largest, int32(bits[e] & int32(0x7FFFFFFF)))
    return bool(largest < INFINITY)


@_compiled
def move_full(
    master: Array, base: Array, out: Array, weigh: bool, first_row: int, key: np.uint64,
    tensor: int, moves: Array, columns: Array, tables: Array, step: int, narrow: bool, unit: float,
) -> tuple[bool, bool, int]:  # fmt: skip
    """Do for step · Σ c_p E_p what `move_rank1` does.

    moves: (out,) and columns: (in,) int8, 0 where frozen; tables: `byte_tables(coefficients)`
    """
    words, sums = np.empty(CHUNK + 8, np.uint32), np.empty(CHUNK, np.int32)
    width = master.shape[1]
    wrapped, finite, total = False, True, uint64(0)
    for row in range(master.shape[0]):
        for start in range(0, width, CHUNK):
            count = min(CHUNK, width - start)
            stop, place = start + count, (first_row + row) * width + start
            added, free = sums[:count], columns[start:stop]
            added[:] = 0
            if moves[first_row + row]:
                for group in range(tables.shape[0]):
                    offset = fill_words(words, key, group, tensor, 2, place, count)
                    _look_up(added, words[offset : offset + count], tables[group])
                for e in range(count):
                    added[e] *= free[e]
            if weigh:
                found = _add_and_weigh(
                    master[row, start:stop], added, base[row, start:stop], out[row, start:stop],
                    step, narrow, unit, place,
                )  # fmt: skip
                wrapped, finite, total = wrapped | found[0], finite & found[1], total + found[2]
            else:
                wrapped |= _add(master[row, start:stop], added, step, narrow)
    return wrapped, finite, total


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

    out, base: flat float32, not the same; master: flat int32; unit: 2^exponent
    """
    single = float32(unit)
    for begin in range(0, out.size, CHUNK):
        end = min(begin + CHUNK, out.size)
        target, source, integers = out[begin:end], base[begin:end], master[begin:end]
        reach = int32(0)
        for e in range(end - begin):
            k = integers[e]
            reach = int32(reach | int32(k ^ int32(k >> 31)))
            target[e] = _moved(source[e], single, k)
        if not _is_single(unit, reach):
            _round_wide(target, source, integers, unit)
    return _finite(out)


@_compiled
def mix_sum(master: Array, first: int) -> Any:
    """Sum mix(index · 2³² + K) over elements first.. where K ≠ 0, modulo 2⁶⁴ (update.digest).

    master: flat int32
    """
    total, place = uint64(0), uint64(first) * _SPREAD
    for e in range(master.size):
        total += _mixed(place, master[e])
        place += _SPREAD
    return total
