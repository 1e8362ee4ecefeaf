"""Loops that sum a generation's pairs for rows of the master, and add the sums.

Rank-1 sums look up what four pairs add to a column, full-rank sums what eight pairs add to an
element (the method of four Russians, Arlazarov et al. 1970), normal ones each deviate.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import int16, int32, int64, uint32, uint64

from kernels.cpu.compiled import CHUNK, PAIRS, Array, compiled
from kernels.cpu.noise import fill_words
from kernels.cpu.rounding import add, add_and_weigh
from kernels.normal import BITS, FRACTION_LOG2

EXACT_INT16 = 128  # pairs whose sum stays below 2¹⁵ at |c| ≤ 255
EXACT_GROUPS = EXACT_INT16 // PAIRS


@compiled
def rank1_tables(words: Array, coefficients: Array, moves: Array) -> Array:
    """Return what four pairs add to each column, for each of the 16 ways a row's signs can fall.

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


@compiled
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
                wrapped |= add(k, part, step, narrow) if few else add(k, added, step, narrow)
                continue
            b, w, place = base[row, start:stop], out[row, start:stop], (first_row + row) * width
            if few:
                found = add_and_weigh(k, part, b, w, step, narrow, unit, place + start)
            else:
                found = add_and_weigh(k, added, b, w, step, narrow, unit, place + start)
            wrapped, finite, total = wrapped | found[0], finite & found[1], total + found[2]
    return wrapped, finite, total


@compiled
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
    short[:count] = 0
    for group in range(words.size):
        w, t = words[group], tables[8 * group : 8 * group + 8]
        t0, t1 = t[0, w & 15, start:stop], t[1, (w >> uint32(4)) & 15, start:stop]
        t2, t3 = t[2, (w >> uint32(8)) & 15, start:stop], t[3, (w >> uint32(12)) & 15, start:stop]
        t4, t5 = t[4, (w >> uint32(16)) & 15, start:stop], t[5, (w >> uint32(20)) & 15, start:stop]
        t6, t7 = t[6, (w >> uint32(24)) & 15, start:stop], t[7, w >> uint32(28), start:stop]
        if group and group % EXACT_GROUPS == 0:
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


@compiled
def move_full(
    master: Array, base: Array, out: Array, weigh: bool, first_row: int, key: np.uint64,
    tensor: int, side: int, moves: Array, columns: Array, tables: Array, deviates: Array,
    step: int, narrow: bool, unit: float,
) -> tuple[bool, bool, int]:  # fmt: skip
    """Do for step · Σ c_p E_p of full-rank noise what `move_rank1` does.

    Of normal noise the product is rounded to integers first, none of which leaves int32
    (kernels.change.Change).

    side: that of the noise's words; moves: (out,) and columns: (in,) int8, 0 where frozen; tables:
        `byte_tables(coefficients)`, or of normal noise `two_by_two(coefficients)`; deviates:
        kernels.normal.deviates, empty for signs
    """
    words, sums = np.empty(CHUNK + 8, np.uint32), np.empty(CHUNK, np.int32)
    width, factor = master.shape[1], step
    if deviates.size:
        factor, narrow = 1, True
    wrapped, finite, total = False, True, uint64(0)
    for row in range(master.shape[0]):
        for start in range(0, width, CHUNK):
            count = min(CHUNK, width - start)
            stop, place = start + count, (first_row + row) * width + start
            added, free = sums[:count], columns[start:stop]
            added[:] = 0
            if moves[first_row + row]:
                for group in range(tables.shape[0]):
                    offset = fill_words(words, key, group, tensor, side, place, count)
                    noise = words[offset : offset + count]
                    if deviates.size:
                        _add_two(added, noise, tables[group, 0], deviates)
                    else:
                        _look_up(added, noise, tables[group])
                if deviates.size:
                    _round(added, step, FRACTION_LOG2)
                for e in range(count):
                    added[e] *= free[e]
            k = master[row, start:stop]
            if weigh:
                b, w = base[row, start:stop], out[row, start:stop]
                found = add_and_weigh(k, added, b, w, factor, narrow, unit, place)
                wrapped, finite, total = wrapped | found[0], finite & found[1], total + found[2]
            else:
                wrapped |= add(k, added, factor, narrow)
    return wrapped, finite, total


@compiled
def move_directed(
    master: Array, base: Array, out: Array, weigh: bool, first_row: int, weighed: Array,
    columns: Array, step: int, fraction_log2: int, unit: float,
) -> tuple[bool, bool, int]:  # fmt: skip
    """Do for step · Σ c_p a_p b_pᵀ of told factors what `move_rank1` does.

    The product is rounded to integers first, none of which leaves int32 (kernels.change.Change).

    weighed: (out, pairs) int32, c_p a_p of the whole tensor; columns: (pairs, in) int8; zeros where
        frozen; fraction_log2: an integer of a_p b_pᵀ is 2^−this
    """
    sums, width = np.empty(CHUNK, np.int32), master.shape[1]
    wrapped, finite, total = False, True, uint64(0)
    for row in range(master.shape[0]):
        for start in range(0, width, CHUNK):
            count = min(CHUNK, width - start)
            stop, added = start + count, sums[:count]
            added[:] = 0
            for pair in range(columns.shape[0]):
                factor, part = weighed[first_row + row, pair], columns[pair, start:stop]
                if factor:
                    for e in range(count):
                        added[e] += factor * int32(part[e])
            _round(added, step, fraction_log2)
            k = master[row, start:stop]
            if weigh:
                b, w = base[row, start:stop], out[row, start:stop]
                place = (first_row + row) * width + start
                found = add_and_weigh(k, added, b, w, 1, True, unit, place)
                wrapped, finite, total = wrapped | found[0], finite & found[1], total + found[2]
            else:
                wrapped |= add(k, added, 1, True)
    return wrapped, finite, total


@compiled
def _look_up(sums: Array, words: Array, tables: Array) -> None:
    """Add Σ c_p · sign_p of 32 pairs: four look-ups a word instead of 32 selections."""
    t0, t1, t2, t3 = tables[0], tables[1], tables[2], tables[3]
    byte = uint32(255)
    for e in range(sums.size):
        word = words[e]
        low = t0[word & byte] + t1[(word >> uint32(8)) & byte]
        high = t2[(word >> uint32(16)) & byte] + t3[word >> uint32(24)]
        sums[e] += low + high


@compiled
def _add_two(sums: Array, words: Array, coefficients: Array, deviates: Array) -> None:
    """Add Σ c_p z_p of the two pairs that a word of normal noise serves."""
    c0, c1 = coefficients[0], coefficients[1]
    for e in range(sums.size):
        z0 = deviates[(words[e] >> uint32(16 - BITS)) & uint32(2**BITS - 1)]
        sums[e] += c0 * int32(z0) + c1 * int32(deviates[words[e] >> uint32(32 - BITS)])


@compiled
def _round(sums: Array, step: int, fraction_log2: int) -> None:
    """Replace sums by step · sum in whole units, halves away from zero (kernels.change.Change)."""
    half = (int64(1) << int64(fraction_log2)) >> int64(1)
    for e in range(sums.size):
        product = int64(step) * int64(sums[e])
        sums[e] = int32((product + half + (product >> 63)) >> int64(fraction_log2))


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


def two_by_two(coefficients: Sequence[int]) -> npt.NDArray[np.int32]:
    """Return the coefficients of each word of normal noise, in as many dimensions as byte_tables.

    >>> two_by_two([3, 5, 7]).tolist()
    [[[3, 5]], [[7, 0]]]
    """
    padded = np.zeros(len(coefficients) + len(coefficients) % 2, np.int32)
    padded[: len(coefficients)] = coefficients
    return padded.reshape(-1, 1, 2)
